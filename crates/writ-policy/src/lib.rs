//! Policy: compiled once, evaluated purely. The only crate that knows the engine (Cedar).
//!
//! A [`Snapshot`] is the policy folder of a domain as bytes. [`PolicySet::compile`] reads it, to be decided under one
//! version of our [`Semantics`], and refuses everything that the engine would let pass in silence. [`decide`] answers one action from the facts it is given, and any doubt is a [`Deny`] (Invariants 2 and 4).
//!
//! It must never do input or output, read a clock or draw randomness: files come as bytes, time as a fact. It must never know who
//! asked for a decision or where it is recorded.
#![forbid(unsafe_code)]

mod advice;
mod annotation;
mod approval;
mod calendar;
mod clause;
mod compile;
mod decide;
mod decision;
mod declared;
mod entities;
mod entity_change;
mod entity_json;
mod entity_problem;
mod entity_snapshot;
mod error;
mod explain;
mod facts;
mod fixture;
mod gate;
mod index;
mod issuers;
mod json;
mod jwks;
mod learn;
mod mandate;
mod policy_set;
mod principals;
mod reach;
mod request;
mod scan;
mod schema;
mod search;
mod semantics;
mod snapshot;
mod spiffe;
mod store;
mod terms;
mod text;
mod wider;
mod yaml;

pub use advice::{Advised, Found, advise};
pub use approval::{APPROVALS_MAX, WITHIN_MS};
pub use clause::{Clause, Effect};
pub use decide::decide;
pub use decision::{DECISION_REASONS_MAX, Decision, Deny, Hold, NEEDS_MAX, Permit};
pub use entity_json::{entity_to_json, read_entities};
pub use entity_problem::EntityProblem;
pub use entity_snapshot::{ENTITIES_MAX, EntitySnapshot};
pub use error::{PolicyError, Problem};
pub use explain::{
    Change, Condition, Depth, Edit, Explanation, Missed, Node, Part, Read, Remedy, Role, Told, Truth, Wanted, explain,
};
pub use facts::{Answered, Caused, Changes, Facts, LABELS_MAX, SURROUNDINGS_MAX, Values};
pub use fixture::{Fixture, Tested};
pub use gate::{Gate, GateResult, Gated, ID_CHARS_MAX, gate, gate_with};
pub use issuers::{Issuer, IssuerKeys, is_place};
pub use json::unambiguous;
pub use jwks::{IssuerKey, JWKS_BYTES_MAX, PublicNumbers, TokenAlgorithm, read_jwks};
pub use learn::{Generalised, Observed, Proposal, Seen, WRITTEN_MAX};
pub use mandate::Mandated;
pub use policy_set::PolicySet;
pub use principals::Principals;
pub use schema::schema_text;
pub use search::SEARCHED_MAX;
pub use semantics::Semantics;
pub use snapshot::{SNAPSHOT_BYTES_MAX, SNAPSHOT_FILES_MAX, Snapshot};
pub use spiffe::{SpiffeId, is_trust_domain};
pub use terms::{BUDGETS_MAX, Budget, FREEZE_AFTER_MS, KILL_AFTER_MS, Terms, WINDOW_MS};
pub use text::{command_text, text_of_bytes};
pub use wider::{Looser, meaning};

#[cfg(test)]
mod tests;
