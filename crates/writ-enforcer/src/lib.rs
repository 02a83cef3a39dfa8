//! The fail-closed core of every gateway: bytes, measurements and the time in, an [`Admission`] or a refusal out.
//!
//! It must never do input or output, read a clock, draw randomness, or reach what decides. A gateway starts nothing without an
//! [`Admission`], which only this crate makes, from a verified writ and the proof that its use is spent in the ledger (Invariants 1, 6).
//!
//! **The ledger is the spend store.** A use is spent by an entry: the grant itself, for a gateway that asked for its own immediate use, or a
//! `spend` for a writ that was handed over. Nothing that decides over a second execution is kept beside it, so nothing can be restored.
#![forbid(unsafe_code)]

mod admission;
mod enforcer;
mod time;
mod view;

pub use admission::{Admission, Running};
pub use enforcer::{Enforcer, Examined, Identity, Own, Presented, Scene};
pub use time::{BootTime, CLOCK_TOLERANCE_MS, Moment};
pub use view::ControlView;
