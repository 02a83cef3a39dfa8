//! A disk that fails, fills up and forgets; a store that is damaged, old, foreign or held by another; a clock that jumps; keys that
//! change. Nothing acknowledged is lost, nothing is recorded by halves, and whoever cannot go on says why (Invariants 2 and 9).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    clippy::print_stdout,
    reason = "a test panics to fail, and prints its counts"
)]

#[path = "faults/damage.rs"]
mod damage;
#[path = "faults/edges.rs"]
mod edges;
#[path = "faults/nodes.rs"]
mod nodes;
#[path = "faults/power.rs"]
mod power;
#[path = "faults/rig.rs"]
mod rig;
