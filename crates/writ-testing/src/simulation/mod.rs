//! A seeded simulator of a governed domain: askers, gateways, a revoker, a halter, operators who approve, people and agents who give mandates, a policy editor, a clock that jumps, a node that is killed
//! or loses its power at any phase of a batch, gateways that are killed at any step, and a network that says things late and twice.
//!
//! One actor moves at a time and waits for its answer, so a seed determines the whole schedule. Effects are counted outside of everything
//! that can crash. After each schedule the ledger is judged by [`breaches`], by the audit and by the replay.

mod chance;
mod disk;
mod effects;
mod gateway;
mod history;
mod holding;
mod mandated;
mod mandating;
mod node;
mod orders;
mod report;
mod speaking;
mod world;

pub use effects::Effects;
pub use history::{Breach, breaches};
pub use report::Report;
pub use world::{Outcome, simulate};
