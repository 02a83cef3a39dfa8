//! The slots of a gateway's machine, and whether the node would believe what they say.

use super::Finding;
use crate::domain::Domain;
use crate::keys::read_key;
use crate::render::{counted, hex, quoted};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use writ_protocol::Key;

/// One finding about the slots, and where the node answers one about their enrolments. One that can be used is enough.
pub(super) fn slots(domain: &Domain, status: Option<&Value>) -> Vec<Finding> {
    let (what, folder) = ("gateway slots", domain.slots());
    let mut seeds: Vec<PathBuf> = fs::read_dir(&folder)
        .map(|found| found.filter_map(|one| one.ok().map(|one| one.path())).collect())
        .unwrap_or_default();
    seeds.retain(|path| path.extension().is_some_and(|extension| extension == "seed"));
    seeds.sort();
    if seeds.is_empty() {
        let make = format!("`writ gateway new process/NAME --domain {}`", quoted(domain.dir()));
        return vec![Finding::bad(what, format!("there is none in {}: {make}", folder.display()))];
    }
    let mut slots = Vec::new();
    for path in seeds {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match read_key(&path) {
            Ok(key) => slots.push((format!("process/{name}"), Key::from(key.verifying_key()))),
            Err(error) => return vec![Finding::bad(what, error.to_string())],
        }
    }
    let found =
        Finding::ok(what, format!("{}, and nobody else can read them", counted(slots.len() as u64, "key", "keys")));
    [Some(found), status.map(|status| enrolled(&slots, status))].into_iter().flatten().collect()
}

fn enrolled(slots: &[(String, Key)], status: &Value) -> Finding {
    let known = status.get("gateways").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let wrong: Vec<String> = slots.iter().filter_map(|(name, key)| not_enrolled(name, key, known)).collect();
    let good = counted((slots.len() - wrong.len()) as u64, "slot", "slots");
    let found = match wrong.as_slice() {
        [] => good.clone(),
        wrong if wrong.len() == slots.len() => wrong.join("\n"),
        wrong => format!("{good}; passed over:\n{}", wrong.join("\n")),
    };
    Finding { what: "enrolment", ok: wrong.len() < slots.len(), found }
}

/// Why the node believes nothing that this slot says.
fn not_enrolled(name: &str, key: &Key, known: &[Value]) -> Option<String> {
    let public = hex(key.as_bytes());
    let Some(found) = known.iter().find(|one| one.get("name").and_then(Value::as_str) == Some(name)) else {
        return Some(format!("{name} is not enrolled: `writ gateway enrol {name} {public}`, by whoever policy lets"));
    };
    if found.get("revoked") == Some(&Value::Bool(true)) {
        return Some(format!("{name} is revoked: take another name, `writ gateway new`"));
    }
    if found.get("key").and_then(Value::as_str) != Some(key.fingerprint().to_string().as_str()) {
        return Some(format!("{name} is enrolled with another key: `writ gateway enrol {name} {public} --renew`"));
    }
    None
}
