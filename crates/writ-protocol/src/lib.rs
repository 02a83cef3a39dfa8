//! What independent verifiers must agree on: entries, statements, actions, refusal codes, and the verification of writs and bundles.
//!
//! The formats are those of `spec/`; a second implementation in `vectors/` holds us to them. This crate has no I/O, no clock, no
//! randomness and no async: bytes go in, and a [`Verified`] value or a [`Refusal`] comes out. It must never know how anything is
//! decided, stored or transported.

pub mod action;
pub mod bundle;
pub mod cbor;
pub mod entities;
pub mod entry;
pub mod order;
pub mod scope;
pub mod statement;

mod envelope;
mod id;
mod key;
mod name;
mod parts;
mod policy_bundle;
mod refusal;
mod trust_root;
mod verified;
mod writ;

pub use bundle::Bundle;
pub use entry::{Body, Entry, EntryType};
pub use id::{ClusterId, DenialId, DomainId, ExecutionId, HoldId, OrderId, RequestKey, WritId};
pub use key::{Ed25519Key, Fingerprint, Key, KeyPair};
pub use name::{Label, Name};
pub use policy_bundle::{
    POLICY_BUNDLE_BYTES_MAX, POLICY_SET_BYTES_MAX, PolicyBundle, SetPath, encode_policy_set, holds_files,
};
pub use refusal::{Code, Refusal};
pub use trust_root::{PinnedLedger, TRUST_ROOT_BYTES_MAX, TrustRoot, checkpoint_refusal, pinned_keys};
pub use verified::Verified;
pub use writ::{Logged, WRIT_BYTES_MAX, Writ, WritVerifier};
