//! The process gateway: measures what is about to run, asks, verifies, and runs exactly that, with its whole tree below it.
//!
//! It must never depend on what authorizes (Invariant 11), and never start anything without an admission (Invariant 1). It forks, so the process that uses
//! it must have one thread.
#![allow(unsafe_code, reason = "fork, and system calls that no safe wrapper has; each block says why it is sound")]

mod calls;
mod capabilities;
mod confinement;
mod ending;
mod executable;
mod hold;
mod measure;
mod memory;
mod message;
mod node;
mod processes;
mod run;
mod script;
mod shadow;
mod slot;
mod surroundings;
mod terminal;
mod trace;
mod tree;
mod watcher;

pub use confinement::{Confinement, landlock_abi};
pub use ending::end_like;
pub use executable::{Executable, ExecutableError, Program};
pub use hold::{OnHold, on_hold};
pub use measure::measure;
pub use memory::Memory;
pub use node::Refused;
pub use run::{HandedOver, Patience, Ran, Run, Signer, run};
pub use shadow::{Shadow, replace, shadow};
pub use slot::{SLOTS_MAX, Slot, SlotError};
pub use surroundings::measure as measure_surroundings;
pub use terminal::{Held, Inherited};
pub use tree::{Ended, Lost, Plan, Poised, Preparing, Running, StartError, prepare};
