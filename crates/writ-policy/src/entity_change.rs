//! A policy set with other entities beside its own. They must be complete and fit: what is missing, stands twice or goes round in a circle
//! would have policies match nothing, in silence.

use crate::entities::DOMAIN;
use crate::entity_json::uid_of;
use crate::entity_problem::EntityProblem;
use crate::entity_snapshot::{ENTITIES_MAX, EntitySnapshot, Held};
use crate::error::{PolicyError, Problem};
use crate::facts::Changes;
use crate::policy_set::PolicySet;
use crate::store::Store;
use cedar_policy::EntityUid;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use writ_protocol::entities::EntityChange;
use writ_tlog::{Hash, sha256};

/// What findings about a snapshot name as their file.
const PLACE: &str = "entities";
/// Of a whole snapshot that does not fit, so many findings are told.
const FINDINGS_MAX: usize = 100;
/// An id of the engine's actions: they belong to the schema.
const ACTION: &str = "Action";

/// What must be there, and what is wrong where it is not.
#[derive(Clone, Debug)]
pub(crate) struct Required {
    pub(crate) uid: EntityUid,
    pub(crate) missing: PolicyError,
}

impl PolicySet {
    /// The entities beside its own, if it decides with any.
    pub fn others(&self) -> Option<&EntitySnapshot> {
        self.store.others.as_ref()
    }

    /// The same set with these entities beside its own, or everything that is wrong with them.
    pub fn with_entities(&self, others: &EntitySnapshot) -> Result<Self, Vec<PolicyError>> {
        let store = sound(&self.store, self.own_schema_digest(), others)?;
        let mut findings: Vec<PolicyError> = missing(&self.required, &store).collect();
        findings.sort();
        if findings.is_empty() { Ok(self.with_store(store)) } else { Err(findings) }
    }

    /// What a change would do, as policies are asked about it. Whether anything is there that it names is not said.
    pub fn changes(&self, change: &EntityChange) -> Result<Changes, Vec<PolicyError>> {
        let others = self.store.others.clone().unwrap_or_default();
        let after = others.with(change).map_err(|problem| vec![PolicyError::file(PLACE, problem)])?;
        Ok(changes(change, &self.store, &self.store.beside(after)))
    }

    /// The same set with a change made to the entities beside its own, or everything that is wrong with what would come of it. What does not
    /// change is not looked at again, but for those that may name what is taken away.
    pub fn changed(&self, change: &EntityChange) -> Result<Self, Vec<PolicyError>> {
        let before = &self.store;
        let none = EntitySnapshot { sound_under: Some(self.own_schema_digest()), ..EntitySnapshot::default() };
        let others = before.others.clone().unwrap_or(none);
        let failed = |problem| vec![PolicyError::file(PLACE, problem)];
        if let Some(unknown) = change.removed.iter().find(|uid| others.get(uid).is_none()) {
            return Err(failed(Problem::Entity(EntityProblem::Unknown(unknown.to_string()))));
        }
        let store = before.beside(others.with(change).map_err(failed)?);
        let mut findings = Vec::new();
        if store.others.as_ref().is_some_and(|others| others.len() > ENTITIES_MAX) {
            findings.push(PolicyError::file(PLACE, Problem::Entity(EntityProblem::TooMany { limit: ENTITIES_MAX })));
        }
        let removed: BTreeSet<EntityUid> = change.removed.iter().filter_map(uid_of).collect();
        for record in &change.put {
            let Some(held) = uid_of(record.uid()).and_then(|uid| store.held(&uid).cloned()) else { continue };
            findings.extend(wrong_with(&held, &store).into_iter().map(|problem| PolicyError::file(PLACE, problem)));
            if store.found_ancestors(&held.uid).contains(&held.uid) {
                findings
                    .push(PolicyError::file(PLACE, Problem::Entity(EntityProblem::Cycle(circle(&held.uid, &store)))));
            }
        }
        findings.extend(left_behind(&removed, &store));
        findings.extend(missing(&self.required, &store).filter(|_| !removed.is_empty()));
        findings.sort();
        findings.dedup();
        if !findings.is_empty() {
            findings.truncate(FINDINGS_MAX);
            return Err(findings);
        }
        Ok(self.with_store(store))
    }

    fn own_schema_digest(&self) -> Hash {
        sha256(&self.own_schema)
    }

    pub(crate) fn with_store(&self, store: Store) -> Self {
        Self { store, ..self.clone() }
    }
}

/// A store with these entities beside its own, all of them looked at unless that was done under the same schema before.
pub(crate) fn sound(store: &Store, schema: Hash, others: &EntitySnapshot) -> Result<Store, Vec<PolicyError>> {
    let failed = |problem| vec![PolicyError::file(PLACE, problem)];
    let mut others =
        if others.sound_under == Some(schema) { others.clone() } else { others.unread().map_err(failed)? };
    let seen = store.beside(others.clone());
    let mut findings = Vec::new();
    for held in others.tree.iter() {
        findings.extend(wrong_with(held, &seen).into_iter().map(|problem| PolicyError::file(PLACE, problem)));
        if findings.len() >= FINDINGS_MAX {
            break;
        }
    }
    findings.extend(any_circle(&others, &seen).map(|problem| PolicyError::file(PLACE, problem)));
    if !findings.is_empty() {
        findings.sort();
        return Err(findings);
    }
    others.sound_under = Some(schema);
    Ok(store.beside(others))
}

/// Of what must be there, what is not.
pub(crate) fn missing<'a>(required: &'a [Required], store: &'a Store) -> impl Iterator<Item = PolicyError> + 'a {
    required.iter().filter(|one| !store.contains(&one.uid)).map(|one| one.missing.clone())
}

/// What is wrong with one entity by itself, and with what it names.
fn wrong_with(held: &Held, store: &Store) -> Vec<Problem> {
    let name = || held.uid.to_string();
    let kind = held.uid.type_name().basename().to_string();
    // A set vouches for its own entities with its digest and its authors: nobody else has a say in them.
    if store.own().get(&held.uid).is_some() || kind == ACTION || kind == DOMAIN {
        return vec![Problem::Entity(EntityProblem::OfSet(name()))];
    }
    let references = match held.references(store.schema()) {
        Ok(references) => references,
        Err(problem) => return vec![problem],
    };
    let parents = held.parents.iter().filter(|uid| !store.contains(uid));
    let mut problems: Vec<Problem> =
        parents.map(|parent| Problem::ParentMissing { entity: name(), parent: parent.to_string() }).collect();
    let absent = references.iter().filter(|uid| !store.contains(uid));
    problems.extend(absent.map(|uid| Problem::ReferenceMissing { entity: name(), found: uid.to_string() }));
    problems
}

/// Entities that name what is taken away.
fn left_behind(removed: &BTreeSet<EntityUid>, store: &Store) -> Vec<PolicyError> {
    if removed.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for held in store.others.iter().flat_map(|others| others.tree.iter()) {
        let entity = || held.uid.to_string();
        let parents = held.parents.iter().filter(|uid| removed.contains(*uid));
        let parents = parents.map(|parent| Problem::ParentMissing { entity: entity(), parent: parent.to_string() });
        // They were read when they came.
        let references = held.references(store.schema()).unwrap_or_default().iter();
        let references = references.filter(|uid| removed.contains(*uid));
        let references = references.map(|uid| Problem::ReferenceMissing { entity: entity(), found: uid.to_string() });
        findings.extend(parents.chain(references).map(|problem| PolicyError::file(PLACE, problem)));
    }
    findings
}

/// The circle in which an entity is a member of itself, as a text.
fn circle(uid: &EntityUid, store: &Store) -> String {
    let (mut path, mut at) = (vec![uid.to_string()], uid.clone());
    while let Some(held) = store.held(&at) {
        let back = |parent: &&EntityUid| *parent == uid || store.found_ancestors(parent).contains(uid);
        let Some(next) = held.parents.iter().find(back) else { break };
        path.push(next.to_string());
        if next == uid || path.len() > FINDINGS_MAX {
            break;
        }
        at = next.clone();
    }
    path.join(" in ")
}

/// A circle anywhere in a whole snapshot, each entity being visited once.
fn any_circle(others: &EntitySnapshot, store: &Store) -> Option<Problem> {
    #[derive(PartialEq)]
    enum Visit {
        Open,
        Done,
    }
    let mut visits: HashMap<EntityUid, Visit> = HashMap::new();
    for first in others.tree.iter() {
        let mut open: Vec<(Arc<Held>, usize)> = vec![(first.clone(), 0)];
        while let Some((held, at)) = open.pop() {
            if at == 0 {
                match visits.get(&held.uid) {
                    Some(Visit::Done) => continue,
                    Some(Visit::Open) => return Some(Problem::Entity(EntityProblem::Cycle(circle(&held.uid, store)))),
                    None => visits.insert(held.uid.clone(), Visit::Open),
                };
            }
            let Some(parent) = held.parents.get(at) else {
                visits.insert(held.uid.clone(), Visit::Done);
                continue;
            };
            open.push((held.clone(), at + 1));
            if let Some(parent) = store.held(parent) {
                open.push((parent.clone(), 0));
            }
        }
    }
    None
}

/// What a change does, as policies are asked about it: whoever can put an entity into a group can do what the group can, and so can whoever
/// puts that group into another.
fn changes(change: &EntityChange, before: &Store, after: &Store) -> Changes {
    let (mut changes, mut types, mut direct) = (Changes::default(), BTreeSet::new(), BTreeSet::new());
    let mut touched = |uid: &EntityUid, was: &[EntityUid], is: &[EntityUid]| {
        types.insert(uid.type_name().to_string());
        let (was, is): (BTreeSet<&EntityUid>, BTreeSet<&EntityUid>) = (was.iter().collect(), is.iter().collect());
        direct.extend(was.symmetric_difference(&is).map(|group| (*group).clone()));
    };
    for uid in change.removed.iter().filter_map(uid_of) {
        if let Some(was) = before.held(&uid) {
            changes.removed += 1;
            touched(&uid, &was.parents, &[]);
        }
    }
    for uid in change.put.iter().filter_map(|record| uid_of(record.uid())) {
        let Some(is) = after.held(&uid) else { continue };
        match before.held(&uid) {
            Some(was) if was.record == is.record => continue,
            Some(was) => {
                changes.changed += 1;
                touched(&uid, &was.parents, &is.parents);
            }
            None => {
                changes.added += 1;
                touched(&uid, &[], &is.parents);
            }
        }
    }
    changes.types = types.into_iter().collect();
    // Nobody has been asked yet whether this may be done, so each group is visited once, whatever is in what.
    let groups = [before, after].into_iter().flat_map(|store| store.closed(direct.iter().cloned().collect()));
    changes.groups = groups.map(|group| name(&group)).collect::<BTreeSet<_>>().into_iter().collect();
    changes
}

/// As lists of names write it: `Group::owners`.
fn name(uid: &EntityUid) -> String {
    format!("{}::{}", uid.type_name(), uid.id().unescaped())
}
