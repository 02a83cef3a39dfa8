//! Fixtures: whatever a file of them holds, it is read or refused, each finding with a place; and the gates never pass a set in doubt.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use writ_policy::{Semantics, Snapshot, gate};

const POLICY: &str = r#"@id("ada") permit (principal == User::"ada", action, resource);"#;
const PRINCIPALS: &str = r#"[{"principal":"User::ada","uids":[1]}]"#;
const ENTITIES: &str = r#"[{"uid":{"type":"User","id":"ada"},"attrs":{},"parents":[]}]"#;

fuzz_target!(|data: &[u8]| {
    let files = [
        ("a.cedar", POLICY.as_bytes()),
        ("principals.json", PRINCIPALS.as_bytes()),
        ("entities.json", ENTITIES.as_bytes()),
        ("tests/a.yaml", data),
    ];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
    let Ok(snapshot) = Snapshot::new(BTreeMap::from(files)) else { return };
    let gated = gate(&snapshot, Semantics::CURRENT);
    let failed = gated.findings().count();
    assert!(gated.findings().all(|finding| finding.file == "tests/a.yaml" && finding.line > 0), "a finding elsewhere");
    assert_eq!(gated.set().is_some(), failed == 0, "a set in force with findings, or none without");
    assert!(gated.tested.iter().filter(|one| one.failure.is_some()).count() <= failed);
});
