//! Proofs and counterexamples by the real solver, and what comes of one that fails.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "proofs/faults.rs"]
mod faults;
#[path = "proofs/generated.rs"]
mod generated;
#[path = "proofs/guardrails.rs"]
mod guardrails;
#[path = "proofs/never_errors.rs"]
mod never_errors;
#[path = "proofs/semantics.rs"]
mod semantics;
#[path = "proofs/sets.rs"]
mod sets;
#[path = "proofs/terms.rs"]
mod terms;
#[path = "proofs/widening.rs"]
mod widening;
