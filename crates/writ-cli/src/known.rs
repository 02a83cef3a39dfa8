//! What can be known of a domain here, without its node: who exists, and whether its policy folder counts.

use crate::domain::Domain;
use serde_json::{Value, json};
use std::path::Path;
use writ_ledger::Reader;
use writ_protocol::entities::EntityUid;
use writ_protocol::entry::{AssertedPrincipal, Authors};
use writ_server::{entities_in_force, set_in_force};

/// The policy authors that are pinned: then no node reads the folder. A ledger that cannot be read here says nothing.
pub(crate) fn authors(domain: &Domain) -> Option<Authors> {
    let view = Reader::open(&domain.store()).and_then(|reader| reader.view());
    view.ok()?.control.authors().cloned()
}

/// Whether there is such a principal: in the policy folder, in the set in force, or among the entities beside it. Nothing where none of
/// them can be read.
pub(crate) fn is_there(domain: &Domain, principal: &AssertedPrincipal) -> Option<bool> {
    let places = [named_in(&domain.policy(), principal), in_force(domain, principal), beside(domain, principal)];
    places.into_iter().flatten().reduce(|one, other| one || other)
}

/// Whether the policy folder knows a principal.
fn named_in(folder: &Path, principal: &AssertedPrincipal) -> Option<bool> {
    let listed = |file: &str| serde_json::from_slice::<Vec<Value>>(&std::fs::read(folder.join(file)).ok()?).ok();
    let (principals, entities) = (listed("principals.json")?, listed("entities.json").unwrap_or_default());
    let name = format!("{}::{}", principal.kind, principal.id);
    let uid = json!({ "type": principal.kind.as_str(), "id": principal.id.as_str() });
    let is_listed = principals.iter().any(|one| one.get("principal").and_then(Value::as_str) == Some(name.as_str()));
    Some(is_listed || entities.iter().any(|one| one.get("uid") == Some(&uid)))
}

fn in_force(domain: &Domain, principal: &AssertedPrincipal) -> Option<bool> {
    let set = set_in_force(&domain.store()).ok()?;
    Some(set.principals().iter().any(|one| one == principal))
}

fn beside(domain: &Domain, principal: &AssertedPrincipal) -> Option<bool> {
    let entities = entities_in_force(&Reader::open(&domain.store()).ok()?).ok()?;
    let uid = EntityUid::new(principal.kind.as_str(), principal.id.as_str()).ok()?;
    Some(entities.get(&uid).is_some())
}
