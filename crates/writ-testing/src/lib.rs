//! writ-testing
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test infrastructure: a panic is a failed test"
)]

pub mod fault_disk;
pub mod governed;
pub mod load;
pub mod scenario;
pub mod simulation;
pub mod vectors;
