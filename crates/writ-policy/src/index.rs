//! Which policies can apply to a question at all.
//!
//! A policy whose scope does not hold is not looked at any further by the engine: it neither permits nor forbids nor fails. The same goes for
//! one whose condition begins with a comparison, `context.path == "/usr/bin/cargo"`, of a text that is there and is another one. So leaving
//! them out changes no decision, and what a decision costs follows from the policies that can apply, not from all there are.

use crate::entities::DIGEST;
use crate::request::{TEXTS, Texts};
use crate::store::Store;
use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How many policies are kept together in what was made for kinds of questions, and in selections for questions. Callers choose what
/// they ask, so it is memory that is bounded and not their number.
pub(crate) const KEPT_MAX: usize = 16 * 1024;

/// The policies of a set, and for each kind of question those that can apply to it.
#[derive(Debug)]
pub(crate) struct Index {
    scopes: Vec<Scope>,
    /// Named by the scopes as a principal or a group of them, and as a resource.
    principals: BTreeSet<EntityUid>,
    resources: BTreeSet<EntityUid>,
    kinds: RwLock<Kept<Kind, Applicable>>,
    selections: RwLock<Kept<Asked, Selection>>,
    made: AtomicU64,
}

/// The policies whose scope can hold for one kind of question, by their place in the index.
#[derive(Debug)]
struct Applicable {
    number: u64,
    always: Vec<usize>,
    /// Those that begin with a comparison, by the text that is compared.
    guarded: Vec<Guarded>,
}

/// The policies that begin by comparing one text.
#[derive(Debug)]
struct Guarded {
    text: &'static str,
    /// What it is compared with: a number for it, and the policies that do.
    values: HashMap<String, (usize, Vec<usize>)>,
}

/// Two questions that are alike in this are answered by the same policies.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    applicable: u64,
    /// What the question has for each text that is compared.
    met: Vec<Met>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Met {
    /// It has no such text, and whatever compares it fails.
    Missing,
    /// It is none of those.
    Other,
    /// It is this one.
    Value(usize),
}

/// The policies that can apply to a question.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) engine: cedar_policy::PolicySet,
    /// Whether any of them can read the digest of an executable; where none can, the entity need not be made for each request.
    pub(crate) reads_digest: bool,
    /// What they read of the context; the rest need not be made either.
    pub(crate) reads: Reads,
    /// The entities that they name; nothing where they may name any.
    pub(crate) literals: Option<BTreeSet<EntityUid>>,
}

impl Selection {
    /// No policies, and everything that any could read.
    pub(crate) fn of_everything() -> Self {
        Self { engine: cedar_policy::PolicySet::new(), reads_digest: true, reads: Reads::All, literals: None }
    }
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

/// The comparison that a condition begins with.
#[derive(Debug)]
struct Guard {
    text: &'static str,
    value: String,
}

impl Guard {
    /// What the engine asks first once the scope holds: if it is not so, nothing else is asked. Only of the first condition, and there only
    /// of what stands leftmost, for anything before it might fail.
    fn of(json: &Value) -> Option<Self> {
        let first = json.get("conditions")?.as_array()?.first()?;
        if first.get("kind")? != "when" {
            return None;
        }
        let mut leftmost = first.get("body")?;
        while let Some(both) = only(leftmost, "&&") {
            leftmost = both.get("left")?;
        }
        let sides = only(leftmost, "==")?;
        let (left, right) = (sides.get("left")?, sides.get("right")?);
        let compared = |text: &Value, value: &Value| {
            let name = named_attribute(only(text, ".")?)?;
            let text = TEXTS.iter().find(|known| **known == name)?;
            Some(Self { text, value: only(value, "Value")?.as_str()?.to_owned() })
        };
        compared(left, right).or_else(|| compared(right, left))
    }
}

/// The operand, where the value is this operation.
fn only<'v>(value: &'v Value, operator: &str) -> Option<&'v Value> {
    let fields = value.as_object()?;
    if fields.len() == 1 { fields.get(operator) } else { None }
}

/// A policy with its scope.
#[derive(Debug)]
struct Scope {
    policy: Policy,
    guard: Option<Guard>,
    reads_digest: bool,
    reads: Reads,
    literals: Vec<EntityUid>,
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
    /// All policies, and what each reads of the context.
    pub(crate) fn policies(&self) -> impl Iterator<Item = (&Policy, &Reads)> {
        self.scopes.iter().map(|scope| (&scope.policy, &scope.reads))
    }

    /// Of these policies.
    pub(crate) fn new(policies: impl IntoIterator<Item = Policy>) -> Self {
        let scopes: Vec<Scope> = policies.into_iter().map(Scope::of).collect();
        Self {
            principals: scopes.iter().filter_map(|scope| scope.principal.named()).cloned().collect(),
            resources: scopes.iter().filter_map(|scope| scope.resource.named()).cloned().collect(),
            scopes,
            kinds: RwLock::default(),
            selections: RwLock::default(),
            made: AtomicU64::new(0),
        }
    }

    /// The policies that can apply.
    pub(crate) fn selection(
        &self,
        entities: &Store,
        [principal, action, resource]: [&EntityUid; 3],
        texts: &Texts<'_>,
    ) -> Result<Arc<Selection>, String> {
        let kind = self.kind(entities, [principal, action, resource]);
        let applicable = kept(&self.kinds, kind, |kind| Ok(self.applicable(entities, kind)))?;
        let asked = Asked { applicable: applicable.number, met: applicable.meets(texts) };
        kept(&self.selections, asked, |asked| self.select(applicable.policies(&asked.met)))
    }

    /// Of every permit, the actions that its scope names; nothing where it is for any.
    pub(crate) fn permitted_actions(&self) -> impl Iterator<Item = (String, Option<Vec<EntityUid>>)> {
        let permits = self.scopes.iter().filter(|scope| scope.policy.effect() == Effect::Permit);
        permits.map(|scope| {
            let actions = match &scope.action {
                ActionConstraint::Any => None,
                ActionConstraint::Eq(uid) => Some(vec![uid.clone()]),
                ActionConstraint::In(uids) => Some(uids.clone()),
            };
            (scope.policy.id().to_string(), actions)
        })
    }

    fn kind(&self, entities: &Store, [principal, action, resource]: [&EntityUid; 3]) -> Kind {
        Kind {
            principal: Class::of(principal, entities, &self.principals),
            action: action.clone(),
            resource: Class::of(resource, entities, &self.resources),
        }
    }

    /// Every policy, with which parts of its scope hold: principal, action, resource. For explanations, which have time.
    pub(crate) fn scoped(&self, entities: &Store, asked: [&EntityUid; 3]) -> Vec<(&Policy, [bool; 3])> {
        let kind = self.kind(entities, asked);
        self.scopes.iter().map(|scope| (&scope.policy, scope.parts_hold(entities, &kind))).collect()
    }

    /// How many policies are kept in selections.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.selections.read().unwrap().policies
    }

    /// All policies, as if there were no index.
    #[cfg(test)]
    pub(crate) fn whole(&self) -> Selection {
        let engine = cedar_policy::PolicySet::from_policies(self.scopes.iter().map(|scope| scope.policy.clone()));
        let whole = Selection::of_everything();
        let reads_digest = self.scopes.iter().any(|scope| scope.reads_digest);
        Selection { engine: engine.unwrap(), reads_digest, ..whole }
    }

    fn applicable(&self, entities: &Store, kind: &Kind) -> Applicable {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mut applicable = Applicable { number, always: Vec::new(), guarded: Vec::new() };
        for (place, scope) in self.scopes.iter().enumerate().filter(|(_, scope)| scope.can_hold(entities, kind)) {
            match &scope.guard {
                None => applicable.always.push(place),
                Some(guard) => applicable.guarded_by(guard, place),
            }
        }
        applicable
    }

    fn select(&self, policies: impl Iterator<Item = usize>) -> Result<Selection, String> {
        let (engine, reads) = (cedar_policy::PolicySet::new(), Reads::Only(BTreeSet::new()));
        let mut selection = Selection { engine, reads_digest: false, reads, literals: Some(BTreeSet::new()) };
        for scope in policies.filter_map(|place| self.scopes.get(place)) {
            selection.reads_digest |= scope.reads_digest;
            selection.reads.join(&scope.reads);
            selection.literals.get_or_insert_default().extend(scope.literals.iter().cloned());
            selection.engine.add(scope.policy.clone()).map_err(|error| error.to_string())?;
        }
        Ok(selection)
    }
}

/// What was made before, and how many policies all of it has.
#[derive(Debug)]
struct Kept<K, V> {
    all: HashMap<K, Arc<V>>,
    policies: usize,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self { all: HashMap::new(), policies: 0 }
    }
}

trait Policies {
    fn count(&self) -> usize;
}

impl Policies for Applicable {
    fn count(&self) -> usize {
        let guarded = self.guarded.iter().flat_map(|guarded| guarded.values.values());
        self.always.len() + guarded.map(|(_, places)| places.len()).sum::<usize>()
    }
}

impl Policies for Selection {
    fn count(&self) -> usize {
        self.engine.num_of_policies()
    }
}

/// What was made for this key before, or is made now. The newest is always kept, and with it what fits.
fn kept<K: Eq + Hash, V: Policies>(
    before: &RwLock<Kept<K, V>>,
    key: K,
    make: impl FnOnce(&K) -> Result<V, String>,
) -> Result<Arc<V>, String> {
    if let Some(known) = before.read().unwrap_or_else(PoisonError::into_inner).all.get(&key) {
        return Ok(known.clone());
    }
    let made = Arc::new(make(&key)?);
    // One that has no policies takes room too.
    let room = made.count() + 1;
    let mut kept = before.write().unwrap_or_else(PoisonError::into_inner);
    if kept.policies + room > KEPT_MAX {
        *kept = Kept::default();
    }
    let replaced = kept.all.insert(key, made.clone());
    kept.policies += room;
    kept.policies -= replaced.map_or(0, |replaced| replaced.count() + 1);
    Ok(made)
}

impl Applicable {
    fn guarded_by(&mut self, guard: &Guard, place: usize) {
        let at = self.guarded.iter().position(|guarded| guarded.text == guard.text).unwrap_or_else(|| {
            self.guarded.push(Guarded { text: guard.text, values: HashMap::new() });
            self.guarded.len() - 1
        });
        if let Some(Guarded { values, .. }) = self.guarded.get_mut(at) {
            let number = values.len();
            values.entry(guard.value.clone()).or_insert_with(|| (number, Vec::new())).1.push(place);
        }
    }

    fn meets(&self, texts: &Texts<'_>) -> Vec<Met> {
        let met = |guarded: &Guarded| match texts.get(guarded.text) {
            None => Met::Missing,
            Some(found) => guarded.values.get(&*found).map_or(Met::Other, |(number, _)| Met::Value(*number)),
        };
        self.guarded.iter().map(met).collect()
    }

    /// Those that can apply to whoever meets this.
    fn policies<'a>(&'a self, met: &'a [Met]) -> impl Iterator<Item = usize> + 'a {
        let guarded = self.guarded.iter().zip(met).flat_map(|(Guarded { values, .. }, met)| {
            let is_met = move |number: usize| match *met {
                Met::Missing => true,
                Met::Other => false,
                Met::Value(value) => value == number,
            };
            values.values().filter(move |(number, _)| is_met(*number)).flat_map(|(_, places)| places.iter().copied())
        });
        self.always.iter().copied().chain(guarded)
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
        let guard = policy.to_json().ok().and_then(|json| Guard::of(&json));
        let (reads_digest, reads) = (mentions(&policy, DIGEST), Reads::of(&policy));
        let literals = policy.entity_literals();
        Self { policy, guard, reads_digest, reads, literals, principal, action, resource }
    }

    fn can_hold(&self, entities: &Store, kind: &Kind) -> bool {
        self.parts_hold(entities, kind).iter().all(|holds| *holds)
    }

    /// Of principal, action and resource, each for itself.
    fn parts_hold(&self, entities: &Store, kind: &Kind) -> [bool; 3] {
        let is_action = |uid: &EntityUid| *uid == kind.action || entities.own().is_ancestor_of(uid, &kind.action);
        let of_action = match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => *uid == kind.action,
            ActionConstraint::In(uids) => uids.iter().any(is_action),
        };
        [self.principal.can_hold(&kind.principal), of_action, self.resource.can_hold(&kind.resource)]
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
    fn of(uid: &EntityUid, entities: &Store, named: &BTreeSet<EntityUid>) -> Self {
        let mut within = BTreeSet::new();
        entities.each_ancestor(uid, |ancestor| {
            if named.contains(ancestor) {
                within.insert(ancestor.clone());
            }
        });
        Self {
            type_name: uid.type_name().clone(),
            named: named.contains(uid).then(|| uid.clone()),
            within: within.into_iter().collect(),
        }
    }
}
