//! The authority: who asks, on what facts, what policy says, and what is proposed to the ledger.
//!
//! A request comes in as bytes with a [`Caller`]; an [`Answer`] goes out, with the entry that records it. Deciding itself is pure and lives in
//! `writ-policy`; ordering and durability live in `writ-ledger`. This crate must never be linked into a gateway (Invariant 11), and never
//! answer a permit that is not recorded (Invariant 3).
#![forbid(unsafe_code)]

mod advice;
mod answer;
mod authority;
mod backtest;
mod caller;
mod certificate;
mod decision;
mod disclosure;
mod entities;
mod entity_history;
mod erase;
mod error;
mod folder;
mod history;
mod hold;
mod issuer_keys;
mod lately;
mod learn;
mod lineage;
mod mandate;
mod orders;
mod policies;
mod publish;
mod rate;
mod recognise;
mod replay;
mod retold;
mod shadow;
mod tally;
mod token;
mod trees;
mod verifier;
mod waiting;

pub use advice::{Counsel, Questions, Told as ToldAdvice, Until};
pub use answer::{Answer, Denied, Held, Shadowed};
pub use authority::{Authority, Prepared, Setting};
pub use backtest::{Backtest, Came, Changed, Reach, Shift, Verdict, backtest};
pub use caller::{BearerToken, Caller, Local, Received, Shown};
pub use certificate::Certificate;
pub use disclosure::Basis;
pub use entities::entities_in_force;
pub use error::AuthorityError;
pub use folder::{read_own_policy_folder, read_policy_folder};
pub use history::{History, LOOKED_BACK, Looked, set_in_force};
pub use hold::{OPEN_HOLDS_MAX, Waiting};
pub use issuer_keys::{ATTEMPTS_MS, FRESH_MS, KEPT_MS};
pub use learn::{From as LearnFrom, LEARNED, Learned, learn};
pub use policies::ActiveSet;
pub use rate::{Bucket, Rate};
pub use replay::{Replay, Replayed, replay};
pub use retold::{Outcome, Recorded, RetellError, Retold, retell};
pub use token::Token;
pub use trees::Descent;
pub use writ_policy::{
    Change, Clause, Condition, Depth, ENTITIES_MAX, Edit, Effect, EntitySnapshot, Explanation, Found, Gate, GateResult,
    Gated, Generalised, Issuer, JWKS_BYTES_MAX, Missed, Node, Part, PolicyError, PolicySet, Proposal, Read, Remedy,
    Role, Semantics, Snapshot, SpiffeId, Tested, Told, Truth, Wanted, command_text, entity_to_json, explain, gate,
    gate_with, is_place, is_trust_domain, read_entities, schema_text,
};
pub use writ_prover::{Accepted, Erring, Prover, SolverCommand, SolverLimits, Step, prove};
