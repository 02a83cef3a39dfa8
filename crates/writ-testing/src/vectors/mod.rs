//! The test vectors of `vectors/`: how they are made (`vectors/README.md`). Ours are judged by them in the tests of `writ-protocol`.
//!
//! Each submodule makes the cases of one format. What a case expects is stated where it is made, from the specification; it is
//! never what the implementation happened to answer.

mod action;
mod action_advice;
mod assembly;
mod bundle;
mod bundle_advised;
mod bundle_asked;
mod bundle_entities;
mod bundle_erasure;
mod bundle_faults;
mod bundle_gateways;
mod bundle_hold;
mod bundle_labels;
mod bundle_mandate;
mod bundle_orders;
mod bundle_policy;
mod bundle_shadow;
mod bundle_steps;
mod bundle_story;
mod bundle_withdrawn;
mod case;
mod cbor;
mod checkpoint;
mod entities;
mod entry;
mod entry_decision_faults;
mod entry_faults;
mod message;
mod mutation;
mod policy_bundle;
mod presentation;
mod proofs;
mod request;
mod scope;
mod signatures;
mod statement;
mod trust_root;
mod writ;

pub use case::{Case, Expect};

use std::path::Path;

/// When the domain of the vectors begins.
const BASE_MS: u64 = 1_700_000_000_000;

/// Every case, in order of directory and making.
pub fn all() -> Vec<Case> {
    let parts = [
        cbor::cases(),
        entry::cases(),
        entry_faults::cases(),
        statement::cases(),
        request::cases(),
        message::cases(),
        presentation::cases(),
        action::cases(),
        scope::cases(),
        signatures::cases(),
        checkpoint::cases(),
        proofs::cases(),
        writ::cases(),
        bundle::cases(),
        bundle_faults::cases(),
        bundle_steps::cases(),
        bundle_orders::cases(),
        bundle_policy::cases(),
        bundle_labels::cases(),
        bundle_shadow::cases(),
        bundle_advised::cases(),
        action_advice::cases(),
        bundle_entities::cases(),
        bundle_erasure::cases(),
        bundle_gateways::cases(),
        bundle_hold::cases(),
        bundle_withdrawn::cases(),
        bundle_asked::cases(),
        bundle_mandate::cases(),
        trust_root::cases(),
        policy_bundle::cases(),
        entities::cases(),
    ];
    parts.into_iter().flatten().collect()
}

/// Writes every case below a directory, beside what is there.
pub fn write(root: &Path) -> std::io::Result<usize> {
    let cases = all();
    for case in &cases {
        let path = root.join(case.path());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, case.to_json())?;
    }
    Ok(cases.len())
}
