//! A policy folder: whatever its files hold, it compiles or is refused, and what compiles decides without a panic and is explained as it was
//! decided.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use writ_policy::{Decision, Depth, Facts, PolicySet, Role, Snapshot, decide, explain};
use writ_protocol::action::{Action, Command, Order};
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::{Label, Name};

const PRINCIPALS: &str = r#"[{"principal":"User::ada","uids":[1]}]"#;
const ENTITIES: &str = r#"[{"uid":{"type":"User","id":"ada"},"attrs":{},"parents":[]}]"#;

fuzz_target!(|data: &[u8]| {
    // An encoded snapshot, or else the text of one policy file.
    let snapshot = match Snapshot::decode(data) {
        Ok(snapshot) => {
            assert_eq!(snapshot.encode(), data);
            snapshot
        }
        Err(_) => {
            let files =
                [("a.cedar", data), ("principals.json", PRINCIPALS.as_bytes()), ("entities.json", ENTITIES.as_bytes())];
            let files = files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
            let Ok(snapshot) = Snapshot::new(BTreeMap::from(files)) else { return };
            snapshot
        }
    };
    let Ok(set) = PolicySet::compile(&snapshot) else { return };
    let facts = Facts {
        now_ms: 1_700_000_000_000,
        auth: Label::new("key").unwrap(),
        principal: AssertedPrincipal { kind: Name::new("User").unwrap(), id: Name::new("ada").unwrap() },
        depth: 0,
        gateway: None,
        surroundings: Vec::new(),
    };
    let action = Action::Order(Order { command: Command::Halt, reason: Label::new("test").unwrap() });
    let decision = decide(&set, &action, &facts);
    assert_eq!(decision.encode(), decide(&set, &action, &facts).encode());
    // However it is written, what is told of it is what was decided.
    let told = explain(&set, &action, &facts, Depth::FULL);
    assert_eq!(told.decision.encode(), decision.encode());
    let reasons = match &decision {
        Decision::Permit(permit) => &permit.reasons,
        Decision::Deny(deny) => &deny.reasons,
    };
    let mut determining: Vec<_> =
        told.policies.iter().filter(|told| told.role == Role::Determining).map(|told| told.id.clone()).collect();
    determining.sort();
    assert_eq!(&determining, reasons);
});
