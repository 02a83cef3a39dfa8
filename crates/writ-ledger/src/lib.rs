//! The ledger: an append-only Merkle log of entries, one durable transaction a batch, proofs at once.
//!
//! One thread sequences ([`Ledger`]); anyone may read beside it ([`Reader`]); `writ audit` trusts neither ([`audit`]). This crate knows how entries are
//! ordered, stored and proved. It must never know how anything is decided: drafts come to it typed, and leave it as entries.

pub mod audit;
mod batch;
mod bundle;
mod decisions;
mod draft;
mod error;
mod head;
mod holds;
mod keys;
mod ledger;
mod lineage;
mod mandates;
mod mark;
mod phase;
mod place;
mod reader;
mod receipt;
mod records;
mod room;
mod schema;
mod sequencer;
mod store;
mod unended;
mod vault;

pub use bundle::Disclosure;
pub use decisions::{Decided, Ordered, Ruled};
pub use draft::{Draft, Proposal, ReadControl, ReadNothing, Recheck};
pub use error::LedgerError;
pub use holds::Held;
pub use keys::LedgerSigner;
pub use ledger::{Ledger, Options};
pub use lineage::{Kin, Lineage};
pub use mandates::Mandated;
pub use mark::Mark;
pub use phase::{Observer, Phase};
pub use place::Place;
pub use reader::{Reader, View};
pub use receipt::Receipt;
pub use sequencer::{Clock, Published};
pub use store::StoredEntry;
pub use unended::Unended;
pub use vault::Kept;
