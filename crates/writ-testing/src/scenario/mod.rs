//! A scripted domain: the same people, gateways, keys and story for the demo, the vectors, the crash tests and the audit tests.
//!
//! Everything follows from labels and a base time, so two runs with the same base time make the same entries. Nothing here is a
//! secret, and none of these keys may ever protect anything.

mod advice;
mod approvals;
mod authors;
mod decisions;
mod domain;
mod entities;
mod folder;
mod mandates;
mod orders;
mod recorded;
mod requests;
mod script;
mod secrets;
mod statements;

pub use advice::{AdvisedDraft, question};
pub use authors::{author, authors, set_digest, set_files};
pub use decisions::{ApprovalDraft, DenialDraft, GrantDraft, HoldDraft, ShadowDraft};
pub use domain::{Domain, ORIGIN, SEMANTICS, digest};
pub use entities::{entities_root, person};
pub use mandates::MandateDraft;
pub use recorded::{Recorded, Standing, Told};
pub use script::{Step, run_script, script};
pub use secrets::{Secret, SecretPair};
pub use statements::{Speaker, envelope, payload_of, statement_message};
