//! Every refusal of the authority is provoked here, and what the ledger records of it is read back: a denial for whoever is known, a count
//! for strangers. Then the same under concurrency (Invariant 5).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test panics to fail, and looks at the entries and answers that it is about"
)]

#[path = "authority/answers.rs"]
mod answers;
#[path = "authority/callers.rs"]
mod callers;
#[path = "authority/concurrency.rs"]
mod concurrency;
#[path = "authority/decisions.rs"]
mod decisions;
#[path = "authority/entities.rs"]
mod entities;
#[path = "authority/erase.rs"]
mod erase;
#[path = "authority/explained.rs"]
mod explained;
#[path = "authority/gateways.rs"]
mod gateways;
#[path = "authority/history.rs"]
mod history;
#[path = "authority/holds.rs"]
mod holds;
#[path = "authority/lineage.rs"]
mod lineage;
#[path = "authority/mandates.rs"]
mod mandates;
#[path = "authority/orders.rs"]
mod orders;
#[path = "authority/policy.rs"]
mod policy;
#[path = "authority/quota.rs"]
mod quota;
#[path = "authority/replay.rs"]
mod replay;
#[path = "authority/running.rs"]
mod running;
#[path = "authority/semantics.rs"]
mod semantics;
#[path = "authority/shadow.rs"]
mod shadow;
#[path = "authority/signed.rs"]
mod signed;
#[path = "authority/trees.rs"]
mod trees;
#[path = "authority/withdrawn.rs"]
mod withdrawn;
