use crate::entities;
use crate::error::{PolicyError, Problem};
use crate::json;
use crate::snapshot::{PRINCIPALS, Snapshot};
use crate::text::from_hex;
use cedar_policy::Entities;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::{Ed25519Key, Fingerprint, Key, Name};

/// The types that can act.
pub(crate) const PRINCIPAL_TYPES: [&str; 3] = ["User", "Agent", "Workload"];

/// Who proves to be whom, and by what: a key or a uid belongs to one principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principals {
    by_key: BTreeMap<Fingerprint, AssertedPrincipal>,
    by_uid: BTreeMap<u32, AssertedPrincipal>,
    keys: BTreeMap<AssertedPrincipal, Vec<Ed25519Key>>,
}

impl Principals {
    /// Whose key it is.
    pub fn by_key(&self, key: &Fingerprint) -> Option<&AssertedPrincipal> {
        self.by_key.get(key)
    }

    /// Whose uid it is.
    pub fn by_uid(&self, uid: u32) -> Option<&AssertedPrincipal> {
        self.by_uid.get(&uid)
    }

    /// The keys of a principal, in the order of the file; none for one that is not listed.
    pub fn keys_of(&self, principal: &AssertedPrincipal) -> &[Ed25519Key] {
        self.keys.get(principal).map_or(&[], Vec::as_slice)
    }

    /// The uids of a principal, ascending.
    pub fn uids_of(&self, principal: &AssertedPrincipal) -> impl Iterator<Item = u32> {
        self.by_uid.iter().filter(move |(_, whose)| *whose == principal).map(|(uid, _)| *uid)
    }

    /// All that are listed, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &AssertedPrincipal> {
        self.keys.keys()
    }
}

/// Reads `principals.json`; each principal must be an entity.
pub(crate) fn compile(snapshot: &Snapshot, entities: Option<&Entities>) -> Result<Principals, Vec<PolicyError>> {
    let finding = |problem| PolicyError::file(PRINCIPALS, problem);
    let bytes = snapshot.file(PRINCIPALS).ok_or_else(|| vec![finding(Problem::FileMissing(PRINCIPALS))])?;
    let value = json::read(PRINCIPALS, bytes).map_err(|error| vec![error])?;
    let Value::Array(items) = value else {
        return Err(vec![finding(Problem::PrincipalForm { item: 1, expected: "an array of principals" })]);
    };
    let mut reading = Reading { principals: Principals::default(), problems: Vec::new() };
    for (at, item) in items.iter().enumerate() {
        if let Err(expected) = reading.item(item, entities) {
            reading.problems.push(Problem::PrincipalForm { item: at + 1, expected });
        }
    }
    if reading.problems.is_empty() {
        Ok(reading.principals)
    } else {
        Err(reading.problems.into_iter().map(finding).collect())
    }
}

struct Reading {
    principals: Principals,
    problems: Vec<Problem>,
}

impl Reading {
    fn item(&mut self, item: &Value, entities: Option<&Entities>) -> Result<(), &'static str> {
        let item = item.as_object().ok_or("an object")?;
        if item.keys().any(|key| !["principal", "keys", "uids"].contains(&key.as_str())) {
            return Err("no other fields than `principal`, `keys` and `uids`");
        }
        let text = item.get("principal").and_then(Value::as_str).ok_or("a `principal` as text")?;
        let principal = read_principal(text).ok_or("a `principal` of the form User::id, Agent::id or Workload::id")?;
        let is_known = |uid| entities.is_none_or(|entities| entities.get(&uid).is_some());
        if !entities::uid(principal.kind.as_str(), principal.id.as_str()).is_some_and(is_known) {
            self.problems.push(Problem::PrincipalMissing(text.to_owned()));
        }
        if self.principals.keys.contains_key(&principal) {
            self.problems.push(Problem::PrincipalRepeated(text.to_owned()));
            return Ok(());
        }
        self.principals.keys.insert(principal.clone(), Vec::new());
        for key in list(item, "keys")? {
            let key = key.as_str().ok_or("`keys` as text")?;
            self.key(&principal, key);
        }
        for uid in list(item, "uids")? {
            let uid = uid.as_u64().and_then(|uid| u32::try_from(uid).ok());
            self.uid(&principal, uid.ok_or("`uids` as numbers from 0 to 4294967295")?);
        }
        Ok(())
    }

    fn key(&mut self, principal: &AssertedPrincipal, text: &str) {
        let bytes = from_hex(text).ok_or_else(|| "not hexadecimal in lower case".to_owned());
        let key = bytes
            .and_then(|bytes| Key::from_bytes(&bytes).and_then(Ed25519Key::new).map_err(|error| error.to_string()));
        let key = match key {
            Ok(key) => key,
            Err(why) => {
                self.problems.push(Problem::KeyForm { principal: shown(principal), why });
                return;
            }
        };
        let fingerprint = key.key().fingerprint();
        match self.principals.by_key.insert(fingerprint, principal.clone()) {
            None => self.principals.keys.entry(principal.clone()).or_default().push(key),
            Some(first) => self.problems.push(Problem::KeyShared {
                key: fingerprint.to_string(),
                first: shown(&first),
                second: shown(principal),
            }),
        }
    }

    fn uid(&mut self, principal: &AssertedPrincipal, uid: u32) {
        if let Some(first) = self.principals.by_uid.insert(uid, principal.clone()) {
            self.problems.push(Problem::UidShared { uid, first: shown(&first), second: shown(principal) });
        }
    }
}

fn list<'a>(item: &'a Map<String, Value>, field: &str) -> Result<&'a [Value], &'static str> {
    match item.get(field) {
        None => Ok(&[]),
        Some(list) => list.as_array().map(Vec::as_slice).ok_or("`keys` and `uids` as arrays"),
    }
}

pub(crate) fn read_principal(text: &str) -> Option<AssertedPrincipal> {
    let (kind, id) = text.split_once("::")?;
    if !PRINCIPAL_TYPES.contains(&kind) {
        return None;
    }
    Some(AssertedPrincipal { kind: Name::new(kind).ok()?, id: Name::new(id).ok()? })
}

fn shown(principal: &AssertedPrincipal) -> String {
    format!("{}::{}", principal.kind, principal.id)
}
