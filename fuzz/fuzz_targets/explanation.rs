//! Explanations: however the policies of a folder are written, what is told of a decision is what was decided.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_fuzz::{asked, snapshot};
use writ_policy::{DECISION_REASONS_MAX, Decision, Depth, PolicySet, Role, Semantics, decide, explain};

fuzz_target!(|data: &[u8]| {
    let Some(snapshot) = snapshot(data) else { return };
    let Ok(set) = PolicySet::compile(&snapshot, Semantics::CURRENT) else { return };
    let (action, facts) = asked();
    let decision = decide(&set, &action, &facts);
    let told = explain(&set, &action, &facts, Depth::FULL);
    assert_eq!(told.decision.encode(), decision.encode());
    let reasons = match &decision {
        Decision::Permit(permit) => &permit.reasons,
        Decision::Deny(deny) => &deny.reasons,
        Decision::Hold(hold) => &hold.reasons,
    };
    let mut determining: Vec<_> =
        told.policies.iter().filter(|told| told.role == Role::Determining).map(|told| told.id.clone()).collect();
    determining.sort();
    // All of them are told of, and the first are named.
    determining.truncate(DECISION_REASONS_MAX);
    assert_eq!(&determining, reasons);
});
