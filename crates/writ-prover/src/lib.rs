//! What a policy set can never do, proved by a solver before the set is put in force.
//!
//! Tests try some requests; a solver answers for all of them. A [`Prover`] asks it three things: can a policy fail while it is evaluated, is
//! anything permitted that was not before, and can a request get past a guardrail. Where the answer is no, that is a proof. Where it is yes,
//! there is a [`Counterexample`]: a request for which it happens, evaluated again by the engine before anybody is told of it.
//!
//! A solver that is missing, too slow or undecided proves nothing, and then nothing is taken for proved ([`Unproved`], Invariant 2).
//!
//! It must never be asked for a decision, and never know who publishes what. It looks at policies, not at entities: what it proves holds
//! whoever belongs to which group.
#![forbid(unsafe_code)]

mod counterexample;
mod error;
mod gates;
mod prover;
mod solver;

pub use counterexample::{Counterexample, Value};
pub use error::Unproved;
pub use gates::{Accepted, prove};
pub use prover::{Breach, Erring, Prover, Step, Widening};
pub use solver::{SolverCommand, SolverLimits};
