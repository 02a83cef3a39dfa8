//! A governed domain for tests: a real ledger in a folder of its own, the authority over it, people and agents with keys, enrolled
//! gateways, and a clock that only the test moves.

mod calling;
mod clock;
mod domain;
mod entered;
mod members;
mod policies;

pub use calling::{Myself, wait};
pub use clock::TestClock;
pub use domain::{GovernedDomain, Place};
pub use entered::{Entered, Judgement, entered, judged};
pub use members::{Member, Members};
pub use policies::PolicyFiles;
