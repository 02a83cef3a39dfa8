//! The rules of order (`spec/ledger.md`) where everything that was recorded is known. A bundle holds one story, so its vectors cannot show what
//! depends on the rest of the ledger: numbers of statements, budgets, holds, erasures.
//!
//! Each test spoils one part of an entry that is accepted as it is: the refusal has that one cause.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "rules/advised.rs"]
mod advised;
#[path = "rules/bodies.rs"]
mod bodies;
#[path = "rules/causes.rs"]
mod causes;
#[path = "rules/control.rs"]
mod control;
#[path = "rules/domain.rs"]
mod domain;
#[path = "rules/entities.rs"]
mod entities;
#[path = "rules/evidence.rs"]
mod evidence;
#[path = "rules/grants.rs"]
mod grants;
#[path = "rules/holds.rs"]
mod holds;
#[path = "rules/known.rs"]
mod known;
#[path = "rules/mandates.rs"]
mod mandates;
#[path = "rules/shadows.rs"]
mod shadows;
