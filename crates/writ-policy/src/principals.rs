use crate::entities;
use crate::entity_change::Required;
use crate::error::{PolicyError, Problem};
use crate::issuers::{self, Issuer};
use crate::json;
use crate::snapshot::{PRINCIPALS, Snapshot};
use crate::spiffe::SpiffeId;
use crate::text::from_hex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::{Ed25519Key, Fingerprint, Key, Name};

/// The types that can act.
pub(crate) const PRINCIPAL_TYPES: [&str; 3] = ["User", "Agent", "Workload"];

/// The longest subject of a token, in bytes.
const SUBJECT_BYTES_MAX: usize = 255;

/// Who proves to be whom, and by what: a key, a uid, or whatever else somebody is known by belongs to one principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principals {
    by_key: BTreeMap<Fingerprint, AssertedPrincipal>,
    by_uid: BTreeMap<u32, AssertedPrincipal>,
    by_subject: BTreeMap<String, BTreeMap<String, AssertedPrincipal>>,
    by_spiffe: BTreeMap<SpiffeId, AssertedPrincipal>,
    keys: BTreeMap<AssertedPrincipal, Vec<Ed25519Key>>,
    issuers: BTreeMap<String, Issuer>,
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

    /// Who the subject of an issuer's tokens is.
    pub fn by_subject(&self, issuer: &str, subject: &str) -> Option<&AssertedPrincipal> {
        self.by_subject.get(issuer)?.get(subject)
    }

    /// Whose SPIFFE id it is.
    pub fn by_spiffe(&self, id: &SpiffeId) -> Option<&AssertedPrincipal> {
        self.by_spiffe.get(id)
    }

    /// An issuer whose tokens say who asks.
    pub fn issuer(&self, name: &str) -> Option<&Issuer> {
        self.issuers.get(name)
    }

    /// All issuers, ascending by name.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.issuers.values()
    }

    /// By which subjects of which issuers a principal is known, ascending.
    pub fn subjects_of(&self, principal: &AssertedPrincipal) -> impl Iterator<Item = (&str, &str)> {
        let all = self.by_subject.iter().flat_map(|(issuer, subjects)| subjects.iter().map(move |one| (issuer, one)));
        let own = all.filter(move |(_, (_, whose))| *whose == principal);
        own.map(|(issuer, (subject, _))| (issuer.as_str(), subject.as_str()))
    }

    /// The SPIFFE ids of a principal, ascending.
    pub fn spiffe_ids_of(&self, principal: &AssertedPrincipal) -> impl Iterator<Item = &SpiffeId> {
        self.by_spiffe.iter().filter(move |(_, whose)| *whose == principal).map(|(id, _)| id)
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
pub(crate) fn compile(snapshot: &Snapshot, required: &mut Vec<Required>) -> Result<Principals, Vec<PolicyError>> {
    let finding = |problem| PolicyError::file(PRINCIPALS, problem);
    let bytes = snapshot.file(PRINCIPALS).ok_or_else(|| vec![finding(Problem::FileMissing(PRINCIPALS))])?;
    let value = json::read(PRINCIPALS, bytes).map_err(|error| vec![error])?;
    let Value::Array(items) = value else {
        return Err(vec![finding(Problem::PrincipalForm { item: 1, expected: "an array of principals" })]);
    };
    // Without sound issuers, nothing is said of who is known by their tokens.
    let issuers = issuers::compile(snapshot)?;
    let principals = Principals { issuers, ..Principals::default() };
    let mut reading = Reading { principals, problems: Vec::new() };
    for (at, item) in items.iter().enumerate() {
        if let Err(expected) = reading.item(item, required) {
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
    fn item(&mut self, item: &Value, required: &mut Vec<Required>) -> Result<(), &'static str> {
        let item = item.as_object().ok_or("an object")?;
        if item.keys().any(|key| !["principal", "keys", "uids", "oidc", "spiffe"].contains(&key.as_str())) {
            return Err("no other fields than `principal`, `keys`, `uids`, `oidc` and `spiffe`");
        }
        let text = item.get("principal").and_then(Value::as_str).ok_or("a `principal` as text")?;
        let principal = read_principal(text).ok_or("a `principal` of the form User::id, Agent::id or Workload::id")?;
        let missing = Problem::PrincipalMissing(text.to_owned());
        match entities::uid(principal.kind.as_str(), principal.id.as_str()) {
            Some(uid) => required.push(Required { uid, missing: PolicyError::file(PRINCIPALS, missing) }),
            None => self.problems.push(missing),
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
        for identity in list(item, "oidc")? {
            let (issuer, subject) = identity_of(identity)
                .ok_or("`oidc` as objects of `issuer` and `subject`, both text, and nothing else")?;
            self.subject(&principal, issuer, subject);
        }
        for id in list(item, "spiffe")? {
            self.spiffe(&principal, id.as_str().ok_or("`spiffe` as text")?);
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

    fn subject(&mut self, principal: &AssertedPrincipal, issuer: &str, subject: &str) {
        let what = format!("the subject {subject:?} of {issuer}");
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
            let expected = "a subject of 1 to 255 bytes";
            return self.problems.push(Problem::IdentityForm { principal: shown(principal), what, expected });
        }
        if !self.principals.issuers.contains_key(issuer) {
            let issuer = issuer.to_owned();
            return self.problems.push(Problem::IssuerMissing { principal: shown(principal), issuer });
        }
        let subjects = self.principals.by_subject.entry(issuer.to_owned()).or_default();
        if let Some(first) = subjects.insert(subject.to_owned(), principal.clone()) {
            self.problems.push(Problem::IdentityShared { what, first: shown(&first), second: shown(principal) });
        }
    }

    fn spiffe(&mut self, principal: &AssertedPrincipal, text: &str) {
        let id = match SpiffeId::parse(text) {
            Ok(id) => id,
            Err(expected) => {
                let what = format!("{text:?}");
                return self.problems.push(Problem::IdentityForm { principal: shown(principal), what, expected });
            }
        };
        if let Some(first) = self.principals.by_spiffe.insert(id, principal.clone()) {
            let (first, second) = (shown(&first), shown(principal));
            self.problems.push(Problem::IdentityShared { what: text.to_owned(), first, second });
        }
    }
}

/// Issuer and subject.
fn identity_of(identity: &Value) -> Option<(&str, &str)> {
    let identity = identity.as_object().filter(|identity| identity.len() == 2)?;
    Some((identity.get("issuer")?.as_str()?, identity.get("subject")?.as_str()?))
}

fn list<'a>(item: &'a Map<String, Value>, field: &str) -> Result<&'a [Value], &'static str> {
    match item.get(field) {
        None => Ok(&[]),
        Some(list) => list.as_array().map(Vec::as_slice).ok_or("`keys`, `uids`, `oidc` and `spiffe` as arrays"),
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
