//! A policy folder: whatever its files hold, it compiles or is refused, and what compiles decides without a panic, the same each time, by
//! every version of the semantics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_fuzz::{asked, snapshot};
use writ_policy::{Decision, PolicySet, Semantics, decide};

fuzz_target!(|data: &[u8]| {
    let Some(snapshot) = snapshot(data) else { return };
    let Ok(set) = PolicySet::compile(&snapshot, Semantics::CURRENT) else { return };
    let (action, facts) = asked();
    let decision = decide(&set, &action, &facts);
    assert_eq!(decision.encode(), decide(&set, &action, &facts).encode());
    // Compiling takes the longest, so some inputs stand for all.
    for semantics in Semantics::ALL.iter().filter(|_| data.len() % 8 == 0) {
        let set = PolicySet::compile(&snapshot, *semantics).expect("what compiles does so under every version");
        let theirs = decide(&set, &action, &facts);
        // They differ in nothing but a permit of more policies than one names.
        let is_crowded = matches!(&decision, Decision::Permit(permit) if permit.reasons.len() == 256);
        assert!(is_crowded || theirs.encode() == decision.encode(), "{semantics}");
    }
});
