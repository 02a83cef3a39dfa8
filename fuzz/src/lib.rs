//! What the targets about policies have in common: a policy folder made of any bytes, and a request to decide under it.

use std::collections::BTreeMap;
use writ_policy::{Facts, Snapshot};
use writ_protocol::action::{Action, Command, Order};
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::{Label, Name};

const PRINCIPALS: &str = r#"[{"principal":"User::ada","uids":[1]}]"#;
const ENTITIES: &str = r#"[{"uid":{"type":"User","id":"ada"},"attrs":{},"parents":[]}]"#;

/// An encoded snapshot, or else the text of one policy file in a folder.
///
/// # Panics
/// If a snapshot has two encodings.
pub fn snapshot(data: &[u8]) -> Option<Snapshot> {
    if let Ok(snapshot) = Snapshot::decode(data) {
        assert_eq!(snapshot.encode(), data);
        return Some(snapshot);
    }
    let files = [("a.cedar", data), ("principals.json", PRINCIPALS.as_bytes()), ("entities.json", ENTITIES.as_bytes())];
    Snapshot::new(BTreeMap::from(files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())))).ok()
}

/// User::ada halts the domain.
///
/// # Panics
/// Never: the names are sound.
pub fn asked() -> (Action, Facts) {
    let facts = Facts {
        changes: None,
        values: None,
        mandate: None,
        approvals: vec![],
        answers: None,
        now_ms: 1_700_000_000_000,
        auth: Label::new("key").unwrap(),
        principal: AssertedPrincipal { kind: Name::new("User").unwrap(), id: Name::new("ada").unwrap() },
        depth: 0,
        labels: Vec::new(),
        caused: None,
        gateway: None,
        surroundings: Vec::new(),
    };
    (Action::Order(Order { command: Command::Halt, reason: Label::new("test").unwrap() }), facts)
}
