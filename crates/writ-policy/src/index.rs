//! Which policies can apply to a question at all.
//!
//! A policy whose scope does not hold is not looked at any further by the engine: it neither permits nor forbids nor fails. So leaving it out
//! changes no decision, and what a decision costs follows from the policies that can apply, not from all there are.

use crate::entities::DIGEST;
use cedar_policy::{
    ActionConstraint, Entities, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// Selections that are kept. Principals and resources that no policy tells apart share one, so few are ever made.
const SELECTIONS_MAX: usize = 256;

/// The policies of a set, and for each kind of question those that can apply to it.
#[derive(Debug)]
pub(crate) struct Index {
    scopes: Vec<Scope>,
    /// Named by the scopes as a principal or a group of them, and as a resource.
    principals: BTreeSet<EntityUid>,
    resources: BTreeSet<EntityUid>,
    kept: RwLock<HashMap<Kind, Arc<Selection>>>,
}

/// The policies that can apply to one kind of question.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) engine: cedar_policy::PolicySet,
    /// Whether any of them can read the digest of an executable; where none can, the entity need not be made for each request.
    pub(crate) reads_digest: bool,
    /// What they read of the context; the rest need not be made either.
    pub(crate) reads: Reads,
}

/// Attributes of the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// These.
    Only(BTreeSet<String>),
    /// Any: the context itself is a value to some policy, or nobody can tell.
    All,
}

impl Reads {
    /// Of a policy in the engine's JSON. What is read of the context is always named: it is no map to go through.
    fn of(policy: &Policy) -> Self {
        let mut reads = Self::Only(BTreeSet::new());
        match policy.to_json() {
            Ok(json) => reads.walk(&json),
            Err(_) => reads = Self::All,
        }
        reads
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (operator, operand) in fields {
                    match (operator.as_str(), named_attribute(operand)) {
                        ("." | "has", Some(attribute)) => self.add(attribute),
                        ("Var", _) if operand == "context" => *self = Self::All,
                        (_, _) => self.walk(operand),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn add(&mut self, attribute: &str) {
        if let Self::Only(attributes) = self {
            attributes.insert(attribute.to_owned());
        }
    }

    fn join(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Only(attributes), Self::Only(more)) => attributes.extend(more.iter().cloned()),
            (_, _) => *self = Self::All,
        }
    }

    /// Whether the attribute must be there.
    pub(crate) fn attribute(&self, name: &str) -> bool {
        match self {
            Self::Only(attributes) => attributes.contains(name),
            Self::All => true,
        }
    }
}

/// The attribute, where the operand is one of the context itself.
fn named_attribute(operand: &Value) -> Option<&str> {
    let fields = operand.as_object()?;
    let of_context = fields
        .get("left")?
        .as_object()
        .is_some_and(|left| left.len() == 1 && left.get("Var").is_some_and(|name| name == "context"));
    if of_context && fields.len() == 2 { fields.get("attr")?.as_str() } else { None }
}

/// Whether the word occurs in the parsed policy at all, escapes undone; what cannot be told counts as yes.
fn mentions(policy: &Policy, word: &str) -> bool {
    policy.to_json().map_or(true, |json| is_mentioned(&json, word))
}

/// Whether a text or key of this value is the word.
fn is_mentioned(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text == word,
        Value::Array(items) => items.iter().any(|item| is_mentioned(item, word)),
        Value::Object(fields) => fields.iter().any(|(key, value)| key == word || is_mentioned(value, word)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A policy with its scope.
#[derive(Debug)]
struct Scope {
    policy: Policy,
    reads_digest: bool,
    reads: Reads,
    principal: Constraint,
    action: ActionConstraint,
    resource: Constraint,
}

#[derive(Debug)]
enum Constraint {
    Any,
    Eq(EntityUid),
    In(EntityUid),
    Is(EntityTypeName),
    IsIn(EntityTypeName, EntityUid),
}

/// Two questions of one kind meet exactly the same scopes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    principal: Class,
    action: EntityUid,
    resource: Class,
}

/// What scopes can tell of an entity.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Class {
    type_name: EntityTypeName,
    /// Itself, if a scope names it.
    named: Option<EntityUid>,
    /// What it is in, of what scopes name, ascending.
    within: Vec<EntityUid>,
}

impl Index {
    /// Of these policies.
    pub(crate) fn new(policies: impl IntoIterator<Item = Policy>) -> Self {
        let scopes: Vec<Scope> = policies.into_iter().map(Scope::of).collect();
        Self {
            principals: scopes.iter().filter_map(|scope| scope.principal.named()).cloned().collect(),
            resources: scopes.iter().filter_map(|scope| scope.resource.named()).cloned().collect(),
            scopes,
            kept: RwLock::default(),
        }
    }

    /// The policies that can apply.
    pub(crate) fn selection(
        &self,
        entities: &Entities,
        principal: &EntityUid,
        action: &EntityUid,
        resource: &EntityUid,
    ) -> Result<Arc<Selection>, String> {
        let kind = Kind {
            principal: Class::of(principal, entities, &self.principals),
            action: action.clone(),
            resource: Class::of(resource, entities, &self.resources),
        };
        if let Some(known) = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(&kind) {
            return Ok(known.clone());
        }
        let made = Arc::new(self.select(entities, &kind)?);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= SELECTIONS_MAX {
            kept.clear();
        }
        kept.insert(kind, made.clone());
        Ok(made)
    }

    /// All policies, as if there were no index.
    #[cfg(test)]
    pub(crate) fn whole(&self) -> Selection {
        let engine = cedar_policy::PolicySet::from_policies(self.scopes.iter().map(|scope| scope.policy.clone()));
        Selection {
            engine: engine.unwrap(),
            reads_digest: self.scopes.iter().any(|scope| scope.reads_digest),
            reads: Reads::All,
        }
    }

    fn select(&self, entities: &Entities, kind: &Kind) -> Result<Selection, String> {
        let (engine, reads) = (cedar_policy::PolicySet::new(), Reads::Only(BTreeSet::new()));
        let mut selection = Selection { engine, reads_digest: false, reads };
        for scope in self.scopes.iter().filter(|scope| scope.can_hold(entities, kind)) {
            selection.reads_digest |= scope.reads_digest;
            selection.reads.join(&scope.reads);
            selection.engine.add(scope.policy.clone()).map_err(|error| error.to_string())?;
        }
        Ok(selection)
    }
}

impl Scope {
    fn of(policy: Policy) -> Self {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => Constraint::Any,
            PrincipalConstraint::Eq(uid) => Constraint::Eq(uid),
            PrincipalConstraint::In(uid) => Constraint::In(uid),
            PrincipalConstraint::Is(type_name) => Constraint::Is(type_name),
            PrincipalConstraint::IsIn(type_name, uid) => Constraint::IsIn(type_name, uid),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => Constraint::Any,
            ResourceConstraint::Eq(uid) => Constraint::Eq(uid),
            ResourceConstraint::In(uid) => Constraint::In(uid),
            ResourceConstraint::Is(type_name) => Constraint::Is(type_name),
            ResourceConstraint::IsIn(type_name, uid) => Constraint::IsIn(type_name, uid),
        };
        let action = policy.action_constraint();
        let (reads_digest, reads) = (mentions(&policy, DIGEST), Reads::of(&policy));
        Self { policy, reads_digest, reads, principal, action, resource }
    }

    fn can_hold(&self, entities: &Entities, kind: &Kind) -> bool {
        let is_action = |uid: &EntityUid| *uid == kind.action || entities.is_ancestor_of(uid, &kind.action);
        let of_action = match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => *uid == kind.action,
            ActionConstraint::In(uids) => uids.iter().any(is_action),
        };
        of_action && self.principal.can_hold(&kind.principal) && self.resource.can_hold(&kind.resource)
    }
}

impl Constraint {
    fn named(&self) -> Option<&EntityUid> {
        match self {
            Self::Any | Self::Is(_) => None,
            Self::Eq(uid) | Self::In(uid) | Self::IsIn(_, uid) => Some(uid),
        }
    }

    fn can_hold(&self, class: &Class) -> bool {
        let is = |uid: &EntityUid| class.named.as_ref() == Some(uid);
        let is_in = |uid: &EntityUid| is(uid) || class.within.contains(uid);
        match self {
            Self::Any => true,
            Self::Eq(uid) => is(uid),
            Self::In(uid) => is_in(uid),
            Self::Is(type_name) => *type_name == class.type_name,
            Self::IsIn(type_name, uid) => *type_name == class.type_name && is_in(uid),
        }
    }
}

impl Class {
    fn of(uid: &EntityUid, entities: &Entities, named: &BTreeSet<EntityUid>) -> Self {
        let ancestors = entities.ancestors(uid).into_iter().flatten();
        let within: BTreeSet<&EntityUid> = ancestors.filter(|ancestor| named.contains(*ancestor)).collect();
        Self {
            type_name: uid.type_name().clone(),
            named: named.contains(uid).then(|| uid.clone()),
            within: within.into_iter().cloned().collect(),
        }
    }
}
