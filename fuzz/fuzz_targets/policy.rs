//! A policy folder: whatever its files hold, it compiles or is refused, and what compiles decides without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use writ_policy::{Facts, PolicySet, Snapshot, decide};
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
    assert_eq!(decide(&set, &action, &facts).encode(), decide(&set, &action, &facts).encode());
});
