//! Questions about somebody: whether a subject may do an action of the domain's own to a resource, asked by whoever enforces it elsewhere
//! (`docs/decisions/0035`).
//!
//! Two things are decided: whether the asker may ask this, and what the answer is. What the schema declares of subject, resource, action and
//! context is put to the engine exactly or not at all, and whatever does not fit denies (Invariant 2).

use crate::decide::{answer, decided};
use crate::decision::{Decision, Deny};
use crate::entities::{Uids, references, uid};
use crate::error::Problem;
use crate::facts::Facts;
use crate::index::Selection;
use crate::policy_set::PolicySet;
use crate::request::{Asked, Obstacle, Question, Texts, asker_context};
use crate::search::search;
use crate::store::REACHED_MAX;
use crate::terms::Terms;
use cedar_policy::{Context, Entities, Entity, EntityUid, Request};
use serde_json::{Map, Number, Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use writ_protocol::action::{Action, Advice, Asks, Members, Party, QuestionText};
use writ_protocol::cbor::Value as Given;

/// Attributes of the context that the node fills in, where the schema declares them; whoever asks has no say in them.
const OF_THE_NODE: [&str; 5] = ["now", "auth", "asker", "approvals", "action"];

/// What is answered to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Advised {
    /// Whether the subject may.
    Evaluated(Decision),
    /// What a search found.
    Found(Found),
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Ids of subjects or resources, or names of actions: ascending.
    pub results: Vec<QuestionText>,
    /// After which one the search goes on; nothing at its end.
    pub next: Option<QuestionText>,
}

/// Answers a question. The error is that the asker may not ask it.
pub fn advise(set: &PolicySet, action: &Action, facts: &Facts) -> Result<Advised, Deny> {
    let Action::Advice(question) = action else {
        return Err(denied(Obstacle::error("this is no question about somebody")));
    };
    may_ask(set, question, facts)?;
    Ok(match question.asks {
        Asks::Evaluation => Advised::Evaluated(decided(set, action, facts)),
        Asks::Subjects | Asks::Resources | Asks::Actions => Advised::Found(search(set, question, facts)),
    })
}

/// Whether the asker may ask it: `Action::"advise"` on the domain, decided as everything is.
pub(crate) fn may_ask(set: &PolicySet, question: &Advice, facts: &Facts) -> Result<(), Deny> {
    let question = asking(set, question, facts).map_err(denied)?;
    can_be_kept(&answer(set, &question, facts)?.terms)
}

fn asking(set: &PolicySet, question: &Advice, facts: &Facts) -> Result<Question, Obstacle> {
    let (principal, now) = Asked::who_and_when(set, facts)?;
    let (verb, resource) = (set.uids.advise.clone(), set.uids.domain.clone());
    let texts = Texts::of_asker(facts);
    let selection = set.index.selection(&set.store, [&principal, &verb, &resource], &texts);
    let selection = selection.map_err(Obstacle::error)?;
    let context = asker_context(question, facts, now)?;
    let entities = set.store.reached([&principal, &verb, &resource], None).map_err(unreadable)?;
    let request = Request::new(principal, verb, resource, context, Some(set.store.schema()));
    let request = request.map_err(|error| Obstacle::error(error.to_string()))?;
    Ok(Question { request, selection, entities, now })
}

pub(crate) fn denied(obstacle: Obstacle) -> Deny {
    Deny { code: obstacle.code, reasons: Vec::new(), tells: obstacle.tells, errors: vec![(None, obstacle.why)] }
}

/// What a permit demands of an execution, nobody keeps here: there is no execution, and nothing is drawn.
pub(crate) fn can_be_kept(terms: &Terms) -> Result<(), Deny> {
    if terms.budgets.is_empty() && terms.sandbox.is_none() {
        return Ok(());
    }
    let why = "a determining permit has a budget or a sandbox, which only an execution keeps; ask for a writ";
    Err(denied(Obstacle::error(why)))
}

/// Subject, action and resource as the engine knows them.
pub(crate) fn uids(question: &Advice) -> Result<[EntityUid; 3], Obstacle> {
    let verb = question.action.as_ref().map(|verb| verb.name.as_str());
    let verb = verb.ok_or_else(|| Obstacle::error("a search is answered with what it finds"))?;
    Ok([party_uid(&question.subject)?, verb_uid(verb)?, party_uid(&question.resource)?])
}

fn party_uid(party: &Party) -> Result<EntityUid, Obstacle> {
    let id = party.id.as_ref().ok_or_else(|| Obstacle::error("a search is answered with what it finds"))?;
    let kind = party.kind.as_str();
    // A name that the engine reads as another one is not the name that was given.
    uid(kind, id.as_str())
        .filter(|uid| uid.type_name().to_string() == kind)
        .ok_or_else(|| Obstacle::error(format!("`{kind}` is no type of this domain")))
}

fn verb_uid(name: &str) -> Result<EntityUid, Obstacle> {
    uid("Action", name).ok_or_else(|| Obstacle::error(format!("`{name}` is no action of this domain")))
}

/// That the action is one of the domain's own: what a writ is for is asked for with a request for a writ.
pub(crate) fn is_own(set: &PolicySet, verb: &EntityUid) -> Result<(), Obstacle> {
    let name = verb.id().unescaped();
    if set.declared.of_action(name).is_some() {
        return Ok(());
    }
    Err(Obstacle::error(match Uids::BUILT_IN.contains(&name) {
        true => format!(
            "`{name}` is an action of Writ itself: it is asked for with a request, and answered with a writ or an entry"
        ),
        false => format!("`{name}` is no action of this domain"),
    }))
}

/// What one question puts to the engine besides the policies.
pub(crate) struct Put {
    pub(crate) context: Context,
    pub(crate) entities: Arc<Entities>,
}

impl Put {
    pub(crate) fn new(
        set: &PolicySet,
        question: &Advice,
        facts: &Facts,
        asked: &Asked,
        selection: &Selection,
    ) -> Result<Self, Obstacle> {
        is_own(set, &asked.verb)?;
        let made = [(&question.subject, &asked.principal), (&question.resource, &asked.resource)];
        let made = made.map(|(party, uid)| entity(set, party, uid));
        let [subject, resource] = made;
        let mut made: BTreeMap<EntityUid, Entity> = BTreeMap::new();
        if asked.principal == asked.resource && question.subject != question.resource {
            let why = format!("`{}` is subject and resource, with other properties", asked.principal);
            return Err(Obstacle::error(why));
        }
        for entity in [subject?, resource?].into_iter().flatten() {
            made.insert(entity.uid(), entity);
        }
        let (context, mut named) = context(set, question, facts, asked)?;
        made.values().for_each(|entity| named_by_entity(entity, &mut named));
        if let Some(missing) = named.iter().find(|uid| !set.store.contains(uid) && !made.contains_key(uid)) {
            return Err(Obstacle::of_entities(format!("`{missing}` is named, and is no entity of this domain")));
        }
        if made.is_empty() && named.is_empty() {
            let asked = [&asked.principal, &asked.verb, &asked.resource];
            return Ok(Self { context, entities: set.store.reached(asked, None).map_err(unreadable)? });
        }
        let roots = [asked.principal.clone(), asked.verb.clone(), asked.resource.clone()].into_iter().chain(named);
        let entities = match &selection.literals {
            Some(literals) => reachable(set, &made, roots.chain(literals.iter().cloned()))?,
            None if set.store.others.is_none() => {
                let whole = set.store.own().clone().upsert_entities(made.into_values(), None);
                whole.map_err(|error| Obstacle::error(error.to_string()))?
            }
            None => return Err(Obstacle::error("nobody can tell which entities the policies name")),
        };
        Ok(Self { context, entities: Arc::new(entities) })
    }
}

/// The entities that an evaluation can come to from `roots`, those that were made for the question in the place of those in the set: what cannot be
/// come to changes nothing, and a set may have many.
fn reachable(
    set: &PolicySet,
    made: &BTreeMap<EntityUid, Entity>,
    roots: impl Iterator<Item = EntityUid>,
) -> Result<Entities, Obstacle> {
    let mut seen: BTreeSet<EntityUid> = roots.collect();
    let mut ahead: Vec<EntityUid> = seen.iter().cloned().collect();
    let mut found = Vec::new();
    while let Some(uid) = ahead.pop() {
        let entity = match made.get(&uid) {
            Some(made) => Cow::Borrowed(made),
            None => match set.store.get(&uid).map_err(unreadable)? {
                Some(known) => known,
                None => continue,
            },
        };
        let mut named = Vec::new();
        named_by_entity(&entity, &mut named);
        // Of an entity that was made, the parents are those that it has in the domain.
        named.extend(set.store.ancestors(&uid));
        ahead.extend(named.into_iter().filter(|uid| seen.insert(uid.clone())));
        found.push(entity.into_owned());
        if found.len() > REACHED_MAX {
            return Err(Obstacle::of_entities(format!("more than {REACHED_MAX} entities are reached from here")));
        }
    }
    Entities::from_entities(found, None).map_err(|error| Obstacle::error(error.to_string()))
}

fn unreadable(problem: Problem) -> Obstacle {
    Obstacle::error(problem.to_string())
}

fn named_by_entity(entity: &Entity, found: &mut Vec<EntityUid>) {
    let values = entity.attrs().chain(entity.tags());
    values.for_each(|(_, value)| value.iter().for_each(|value| references(value, found)));
}

/// The entity that a question makes of a subject or resource: the domain's own with what the asker adds to it, or nothing where it adds nothing.
fn entity(set: &PolicySet, party: &Party, uid: &EntityUid) -> Result<Option<Entity>, Obstacle> {
    let kind = party.kind.as_str();
    let known = set.store.get(uid).map_err(unreadable)?;
    let known = known.as_deref();
    if known.is_none() && !set.declared.comes_with_requests(kind) {
        return Err(Obstacle::of_entities(format!("`{uid}` is no entity of this domain")));
    }
    let declared = set.declared.of_type(kind);
    let said: Map<String, Value> = declared_members(&party.properties, |name| declared.has(name));
    let mut whole = match known {
        Some(_) if said.is_empty() => return Ok(None),
        Some(known) => known.to_json_value().map_err(|error| Obstacle::error(error.to_string()))?,
        None => json!({ "uid": { "type": kind, "id": uid.id().unescaped() }, "attrs": {}, "parents": [] }),
    };
    if let Some(attributes) = whole.get_mut("attrs").and_then(Value::as_object_mut) {
        attributes.extend(said.clone());
    }
    let made = Entity::from_json_value(whole, Some(set.store.schema())).map_err(|error| {
        let why = format!("the properties of `{uid}` do not fit the schema: {error}");
        // Of one that comes with the question alone, there is nothing to tell.
        if known.is_some() { Obstacle::of_entities(why) } else { Obstacle::error(why) }
    })?;
    for (name, value) in known.iter().flat_map(|known| known.attrs()).filter(|(name, _)| said.contains_key(*name)) {
        if !matches!((value, made.attr(name)), (Ok(known), Some(Ok(said))) if known == said) {
            let why = format!("the property `{name}` of `{uid}` is not what the domain knows it to be");
            return Err(Obstacle::of_entities(why));
        }
    }
    Ok(Some(made))
}

fn declared_members(members: &Members, is_declared: impl Fn(&str) -> bool) -> Map<String, Value> {
    let declared = members.iter().filter(|(name, _)| is_declared(name));
    declared.map(|(name, value)| (name.to_owned(), as_json(value))).collect()
}

/// The same value in the engine's JSON; what it has no form for (`null`, fractions), it refuses.
fn as_json(value: &Given) -> Value {
    match value {
        Given::Uint(number) => (*number).into(),
        Given::Nint(number) => (*number).into(),
        Given::Text(text) => text.as_str().into(),
        Given::Bool(truth) => (*truth).into(),
        Given::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Given::Array(items) => items.iter().map(as_json).collect(),
        Given::Map(pairs) => pairs.iter().map(|(name, value)| (name.clone(), as_json(value))).collect(),
        Given::Null | Given::Bytes(_) => Value::Null,
    }
}

/// What is said in the context and declared there, and what the node knows by itself; with the entities that it names.
fn context(
    set: &PolicySet,
    question: &Advice,
    facts: &Facts,
    asked: &Asked,
) -> Result<(Context, Vec<EntityUid>), Obstacle> {
    let verb = &asked.verb;
    let (declared, of_action) = set
        .declared
        .of_action(verb.id().unescaped())
        .ok_or_else(|| Obstacle::error(format!("`{verb}` is no action of this domain")))?;
    let mut context = declared_members(&question.context, |name| declared.has(name));
    if let Some(name) = OF_THE_NODE.into_iter().find(|name| context.contains_key(*name)) {
        let why = format!("`context.{name}` is for the node to say, and the question says it");
        return Err(Obstacle::error(why));
    }
    let properties = question.action.as_ref().map(|verb| &verb.properties);
    let of_action = properties.map(|members| declared_members(members, |name| of_action.has(name)));
    let asker = &facts.principal;
    for name in OF_THE_NODE.into_iter().filter(|name| declared.has(name)) {
        let value = match name {
            "now" => json!({ "__extn": { "fn": "datetime", "arg": asked.now.full() } }),
            "auth" => facts.auth.as_str().into(),
            "asker" => format!("{}::{}", asker.kind, asker.id).into(),
            "approvals" => asked.approvals.iter().cloned().collect(),
            _ => Value::Object(of_action.clone().unwrap_or_default()),
        };
        context.insert(name.to_owned(), value);
    }
    let names: Vec<String> = context.keys().cloned().collect();
    let context = Context::from_json_value(Value::Object(context), Some((set.store.schema(), verb)))
        .map_err(|error| Obstacle::error(format!("the context does not fit `{verb}`: {error}")))?;
    let mut named = Vec::new();
    names.iter().filter_map(|name| context.get(name)).for_each(|value| references(&value, &mut named));
    Ok((context, named))
}
