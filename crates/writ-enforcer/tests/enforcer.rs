//! Every way in which a writ, a presentation, a view or a receipt can fail, and that nothing is admitted then (Invariants 1, 2, 6, 12).
//!
//! Each test spoils one part of a play that is admitted as it is: the refusal has that one cause.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "enforcer/flipped.rs"]
mod flipped;
#[path = "enforcer/ledger.rs"]
mod ledger;
#[path = "enforcer/play.rs"]
mod play;
#[path = "enforcer/presented.rs"]
mod presented;
#[path = "enforcer/spent.rs"]
mod spent;
#[path = "enforcer/terms.rs"]
mod terms;
#[path = "enforcer/view.rs"]
mod view;
#[path = "enforcer/writ.rs"]
mod writ;
