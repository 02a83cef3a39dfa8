use crate::compile::complaint;
use crate::error::{PolicyError, Problem};
use crate::json;
use crate::principals::PRINCIPAL_TYPES;
use crate::request::Obstacle;
use crate::snapshot::{ENTITIES, Snapshot};
use crate::text::{from_hex, text_of_bytes};
use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, EvalResult, Schema};
use std::collections::HashSet;
use std::str::FromStr;
use writ_protocol::entry::AssertedPrincipal;

/// The type of what is executed.
pub(crate) const EXECUTABLE: &str = "Executable";
/// The type of what orders are given to; there is one of it.
pub(crate) const DOMAIN: &str = "Domain";
/// The id of the one domain.
pub(crate) const THIS_DOMAIN: &str = "this";
/// The attribute with which an executable is pinned.
pub(crate) const DIGEST: &str = "digest";

/// The names that every question has, parsed once: the engine parses each name anew.
#[derive(Clone, Debug)]
pub(crate) struct Uids {
    pub(crate) exec: EntityUid,
    pub(crate) revoke: EntityUid,
    pub(crate) halt: EntityUid,
    pub(crate) approve: EntityUid,
    pub(crate) reject: EntityUid,
    pub(crate) withdraw: EntityUid,
    pub(crate) mandate: EntityUid,
    pub(crate) delegate: EntityUid,
    pub(crate) advise: EntityUid,
    pub(crate) entities: EntityUid,
    pub(crate) erase: EntityUid,
    pub(crate) enrol: EntityUid,
    pub(crate) domain: EntityUid,
    executable: EntityTypeName,
    principals: Vec<EntityTypeName>,
}

impl Uids {
    /// The actions of the base schema.
    pub(crate) const BUILT_IN: [&str; 12] = [
        "exec", "revoke", "halt", "approve", "reject", "withdraw", "mandate", "delegate", "advise", "entities",
        "erase", "enrol",
    ];

    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            exec: uid("Action", "exec")?,
            revoke: uid("Action", "revoke")?,
            halt: uid("Action", "halt")?,
            approve: uid("Action", "approve")?,
            reject: uid("Action", "reject")?,
            withdraw: uid("Action", "withdraw")?,
            mandate: uid("Action", "mandate")?,
            delegate: uid("Action", "delegate")?,
            advise: uid("Action", "advise")?,
            entities: uid("Action", "entities")?,
            erase: uid("Action", "erase")?,
            enrol: uid("Action", "enrol")?,
            domain: uid(DOMAIN, THIS_DOMAIN)?,
            executable: EntityTypeName::from_str(EXECUTABLE).ok()?,
            principals: PRINCIPAL_TYPES
                .iter()
                .map(|kind| EntityTypeName::from_str(kind).ok())
                .collect::<Option<_>>()?,
        })
    }

    pub(crate) fn executable(&self, path: &[u8]) -> EntityUid {
        EntityUid::from_type_name_and_id(self.executable.clone(), EntityId::new(text_of_bytes(path)))
    }

    pub(crate) fn principal(&self, named: &AssertedPrincipal) -> Result<EntityUid, Obstacle> {
        let position = PRINCIPAL_TYPES.iter().position(|kind| *kind == named.kind.as_str());
        let kind = position
            .and_then(|position| self.principals.get(position))
            .ok_or_else(|| Obstacle::error(format!("`{}` is not a type of principals", named.kind)))?;
        Ok(EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(named.id.as_str())))
    }
}

/// An entity's uid, if the type's name is one.
pub(crate) fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind = EntityTypeName::from_str(kind).ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// The entities of a snapshot, complete: what is named is there. With a parent missing, `principal in Group::"x"` would be false
/// without an error, and a forbid would not hold.
pub(crate) fn compile(snapshot: &Snapshot, schema: &Schema) -> Result<Entities, Vec<PolicyError>> {
    let failed = |problem| vec![PolicyError::file(ENTITIES, problem)];
    let value = match snapshot.file(ENTITIES) {
        Some(bytes) => json::read(ENTITIES, bytes).map_err(|error| vec![error])?,
        None => serde_json::Value::Array(Vec::new()),
    };
    let entities = Entities::from_json_value(value, Some(schema))
        .map_err(|error| failed(Problem::Entities(complaint(&error).0)))?;
    let mut findings: Vec<PolicyError> = entities
        .iter()
        .flat_map(|entity| incompleteness(entity, &entities))
        .map(|problem| PolicyError::file(ENTITIES, problem))
        .collect();
    findings.sort();
    if !findings.is_empty() {
        return Err(findings);
    }
    let domain = uid(DOMAIN, THIS_DOMAIN).filter(|domain| entities.get(domain).is_none());
    let added = domain.map(|domain| Entity::new_no_attrs(domain, HashSet::new()));
    entities.add_entities(added, Some(schema)).map_err(|error| failed(Problem::Entities(complaint(&error).0)))
}

/// Whether a uid may be named without being declared: an executable is made for its request, and the domain is always there.
pub(crate) fn is_always_there(uid: &EntityUid) -> bool {
    match uid.type_name().to_string().as_str() {
        EXECUTABLE => uid.id().unescaped().starts_with('/'),
        DOMAIN => uid.id().unescaped() == THIS_DOMAIN,
        _ => false,
    }
}

/// Whether a uid is of a type of which requests have certain uids only.
pub(crate) fn is_of_request(uid: &EntityUid) -> bool {
    [EXECUTABLE, DOMAIN].contains(&uid.type_name().to_string().as_str())
}

fn incompleteness(entity: &Entity, entities: &Entities) -> Vec<Problem> {
    let name = entity.uid();
    let is_missing = |uid: &EntityUid| entities.get(uid).is_none();
    let parents = entities.ancestors(&name).into_iter().flatten().filter(|parent| is_missing(parent));
    let mut problems: Vec<Problem> =
        parents.map(|parent| Problem::ParentMissing { entity: name.to_string(), parent: parent.to_string() }).collect();
    let mut named = Vec::new();
    for (_, value) in entity.attrs().chain(entity.tags()) {
        match value {
            Ok(value) => references(&value, &mut named),
            Err(error) => problems.push(Problem::Entities(error.to_string())),
        }
    }
    let missing = named.into_iter().filter(|uid| is_missing(uid) && !is_always_there(uid));
    problems.extend(missing.map(|uid| Problem::ReferenceMissing { entity: name.to_string(), found: uid.to_string() }));
    problems.extend(executable_form(entity));
    problems
}

/// An executable is named by an absolute path; its digest has one form, since it is compared as text.
pub(crate) fn executable_form(entity: &Entity) -> Option<Problem> {
    let name = entity.uid();
    if name.type_name().to_string() != EXECUTABLE {
        return None;
    }
    if !name.id().unescaped().starts_with('/') {
        return Some(Problem::ExecutablePath(name.to_string()));
    }
    match entity.attr(DIGEST) {
        None => None,
        Some(Ok(EvalResult::String(digest))) if from_hex(&digest).is_some_and(|bytes| bytes.len() == 32) => None,
        Some(_) => Some(Problem::DigestForm(name.to_string())),
    }
}

/// The uids in a value. Its depth is bounded by that of the JSON it was read from.
pub(crate) fn references(value: &EvalResult, found: &mut Vec<EntityUid>) {
    match value {
        EvalResult::EntityUid(uid) => found.push(uid.clone()),
        EvalResult::Set(set) => set.iter().for_each(|value| references(value, found)),
        EvalResult::Record(record) => record.iter().for_each(|(_, value)| references(value, found)),
        EvalResult::Bool(_) | EvalResult::Long(_) | EvalResult::String(_) | EvalResult::ExtensionValue(_) => {}
    }
}
