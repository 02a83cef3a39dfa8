//! Fixtures: whatever a file of them holds, it is read or refused, each finding with a place; and the gates never pass a set in doubt.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use writ_policy::{PolicySet, Semantics, Snapshot, gate};

const POLICY: &str = r#"@id("ada") permit (principal == User::"ada", action, resource);"#;
const PRINCIPALS: &str = r#"[{"principal":"User::ada","uids":[1]}]"#;
const ENTITIES: &str = r#"[{"uid":{"type":"User","id":"ada"},"attrs":{},"parents":[]}]"#;

fn folder(fixtures: &[u8]) -> Option<Snapshot> {
    let files = [
        ("a.cedar", POLICY.as_bytes()),
        ("principals.json", PRINCIPALS.as_bytes()),
        ("entities.json", ENTITIES.as_bytes()),
        ("tests/a.yaml", fixtures),
    ];
    Snapshot::new(BTreeMap::from(files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())))).ok()
}

fuzz_target!(|data: &[u8]| {
    // Compiling takes the longest, so some inputs stand for all; the gates compile again.
    if data.len() % 4 != 0 {
        return;
    }
    let Some(snapshot) = folder(data) else { return };
    let Ok(set) = PolicySet::compile(&snapshot, Semantics::CURRENT) else { panic!("the policies compile") };
    match set.test() {
        Ok(tested) => {
            let failures = tested.iter().filter_map(|one| one.failure.as_ref());
            assert!(failures.into_iter().all(|one| one.file == "tests/a.yaml" && one.line > 0), "a finding elsewhere");
        }
        Err(findings) => assert!(!findings.is_empty(), "refused without a finding"),
    }
    if data.len() % 16 != 0 {
        return;
    }
    let gated = gate(&snapshot, Semantics::CURRENT);
    let failed = gated.findings().count();
    assert!(gated.findings().all(|finding| finding.file == "tests/a.yaml" && finding.line > 0), "a finding elsewhere");
    assert_eq!(gated.set().is_some(), failed == 0, "a set in force with findings, or none without");
    assert!(gated.tested.iter().filter(|one| one.failure.is_some()).count() <= failed);
});
