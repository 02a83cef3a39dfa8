//! Load for a real ledger, and a memory of what it acknowledged, for tests that kill it and take its disk away.
//!
//! Each [`Appender`] has a gateway of its own and asks for one thing after another. What it asks for follows from its number and from
//! what was recorded for it before, so whoever goes on in its place asks for the same again, as a client does that got no answer.
//! A [`Memory`] believes nothing but the answers and holds every later state of the store against them.

mod appender;
mod line;
mod memory;
mod phase_file;
mod story;

pub use appender::{Appender, append_all};
pub use line::{Acknowledged, Line};
pub use memory::{Asked, Memory};
pub use phase_file::PhaseFile;
pub use story::{STORIES_OF_AN_EPOCH, Story};
