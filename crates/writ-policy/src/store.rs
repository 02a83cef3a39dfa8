//! The entities that a policy set decides with: its own, and those of a snapshot beside them.
//!
//! Nothing here costs more because there are more entities. A question is put to the engine with those that it can reach and no others:
//! principal, action and resource, what they are in, and what their attributes name as far as any policy follows it.

use crate::entities::DIGEST;
use crate::entity_snapshot::{EntitySnapshot, Held};
use crate::error::Problem;
use crate::reach::Reach;
use crate::text::hex;
use cedar_policy::{Entities, Entity, EntityUid, EvalResult, RestrictedExpression, Schema};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use writ_tlog::Hash;

/// Entities that are kept in what was made for questions. Callers choose what they ask, so it is memory that is bounded.
const KEPT_MAX: usize = 64 * 1024;
/// One question is not put with more entities than this: policies that follow references into the whole domain are an error, and not slow.
pub(crate) const REACHED_MAX: usize = 10_000;

/// Own entities and others.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    own: Arc<Entities>,
    pub(crate) others: Option<EntitySnapshot>,
    schema: Schema,
    reach: Arc<Reach>,
    kept: Arc<Kept>,
}

/// What was made before.
#[derive(Debug, Default)]
struct Kept {
    /// What others are in.
    ancestors: RwLock<Ancestors>,
    questions: RwLock<Questions>,
}

#[derive(Debug, Default)]
struct Ancestors {
    all: HashMap<EntityUid, Arc<BTreeSet<EntityUid>>>,
    members: usize,
}

#[derive(Debug, Default)]
struct Questions {
    all: HashMap<Asked, Arc<Entities>>,
    entities: usize,
}

/// What tells questions apart, as far as their entities go.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    principal: EntityUid,
    verb: EntityUid,
    /// Nothing where it is no entity at all.
    resource: Option<EntityUid>,
    digest: Option<Hash>,
}

impl Store {
    pub(crate) fn new(own: Entities, schema: Schema, reach: Reach) -> Self {
        Self { own: Arc::new(own), others: None, schema, reach: Arc::new(reach), kept: Arc::default() }
    }

    /// With other entities beside its own; nothing is asked of them here.
    pub(crate) fn beside(&self, others: EntitySnapshot) -> Self {
        Self { others: Some(others), kept: Arc::default(), ..self.clone() }
    }

    pub(crate) fn own(&self) -> &Entities {
        &self.own
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) fn held(&self, uid: &EntityUid) -> Option<&Arc<Held>> {
        self.others.as_ref()?.held(uid)
    }

    /// Whether it is there.
    pub(crate) fn contains(&self, uid: &EntityUid) -> bool {
        self.own.get(uid).is_some() || self.held(uid).is_some()
    }

    /// One entity.
    pub(crate) fn get(&self, uid: &EntityUid) -> Result<Option<Cow<'_, Entity>>, Problem> {
        match (self.own.get(uid), self.held(uid)) {
            (Some(own), _) => Ok(Some(Cow::Borrowed(own))),
            (None, Some(held)) => held.read(&self.schema).map(|entity| Some(Cow::Owned(entity))),
            (None, None) => Ok(None),
        }
    }

    /// The ids of all entities of a type.
    pub(crate) fn of_type(&self, kind: &str) -> impl Iterator<Item = String> {
        let own = self.own.iter().map(Entity::uid);
        let others = self.others.iter().flat_map(|others| others.tree.iter().map(|held| held.uid.clone()));
        own.chain(others)
            .filter(move |uid| uid.type_name().to_string() == kind)
            .map(|uid| uid.id().unescaped().to_owned())
    }

    /// Whether it is there as a member of what policies can name, at any remove: each of those is handed on.
    pub(crate) fn each_ancestor(&self, uid: &EntityUid, mut next: impl FnMut(&EntityUid)) {
        match self.own.ancestors(uid) {
            Some(ancestors) => ancestors.for_each(next),
            None if self.others.is_some() => self.ancestors_of_other(uid).iter().for_each(&mut next),
            None => {}
        }
    }

    /// What it is in, at any remove.
    pub(crate) fn ancestors(&self, uid: &EntityUid) -> BTreeSet<EntityUid> {
        let mut ancestors = BTreeSet::new();
        self.each_ancestor(uid, |one| {
            ancestors.insert(one.clone());
        });
        ancestors
    }

    fn ancestors_of_other(&self, uid: &EntityUid) -> Arc<BTreeSet<EntityUid>> {
        if let Some(known) = self.kept.ancestors.read().unwrap_or_else(PoisonError::into_inner).all.get(uid) {
            return known.clone();
        }
        let found = Arc::new(self.found_ancestors(uid));
        let mut kept = self.kept.ancestors.write().unwrap_or_else(PoisonError::into_inner);
        if kept.members + found.len() >= KEPT_MAX {
            *kept = Ancestors::default();
        }
        if kept.all.insert(uid.clone(), found.clone()).is_none() {
            kept.members += found.len() + 1;
        }
        found
    }

    pub(crate) fn found_ancestors(&self, uid: &EntityUid) -> BTreeSet<EntityUid> {
        self.closed(self.held(uid).map(|held| held.parents.clone()).unwrap_or_default())
    }

    /// These, and what they are in. Each is visited once, so a cycle ends too.
    pub(crate) fn closed(&self, mut open: Vec<EntityUid>) -> BTreeSet<EntityUid> {
        let mut found = BTreeSet::new();
        while let Some(uid) = open.pop() {
            if found.contains(&uid) {
                continue;
            }
            match self.own.ancestors(&uid) {
                Some(ancestors) => found.extend(ancestors.cloned()),
                None => open.extend(self.held(&uid).into_iter().flat_map(|held| held.parents.iter().cloned())),
            }
            found.insert(uid);
        }
        found
    }

    /// The entities that a question can reach. With a digest, the resource is an executable of which that was measured.
    pub(crate) fn reached(
        &self,
        [principal, verb, resource]: [&EntityUid; 3],
        digest: Option<&Hash>,
    ) -> Result<Arc<Entities>, Problem> {
        if self.others.is_none() && digest.is_none() {
            return Ok(self.own.clone());
        }
        let there = digest.is_some() || self.contains(resource);
        let resource = there.then(|| resource.clone());
        let asked = Asked { principal: principal.clone(), verb: verb.clone(), resource, digest: digest.copied() };
        let questions = &self.kept.questions;
        if let Some(known) = questions.read().unwrap_or_else(PoisonError::into_inner).all.get(&asked) {
            return Ok(known.clone());
        }
        let reached = self.gather(&asked)?;
        let count = reached.len();
        let made = Entities::from_entities(reached, None).map_err(|error| Problem::Entities(error.to_string()))?;
        let made = Arc::new(made);
        let mut kept = questions.write().unwrap_or_else(PoisonError::into_inner);
        if kept.entities + count > KEPT_MAX {
            *kept = Questions::default();
        }
        if kept.all.insert(asked, made.clone()).is_none() {
            kept.entities += count;
        }
        Ok(made)
    }

    fn gather(&self, asked: &Asked) -> Result<Vec<Entity>, Problem> {
        let mut found: BTreeMap<EntityUid, Entity> = BTreeMap::new();
        let mut within = BTreeSet::new();
        if let (Some(executable), Some(digest)) = (&asked.resource, &asked.digest) {
            found.insert(executable.clone(), measured(executable, digest)?);
        }
        let roots = [&asked.principal, &asked.verb].into_iter().chain(&asked.resource).chain(&self.reach.named);
        let mut open: VecDeque<(EntityUid, usize)> = roots.map(|uid| (uid.clone(), 1)).collect();
        while let Some((uid, step)) = open.pop_front() {
            if found.contains_key(&uid) {
                continue;
            }
            let Some(entity) = self.get(&uid)? else { continue };
            if step < self.reach.steps {
                open.extend(self.named_by(&uid, &entity)?.into_iter().map(|uid| (uid, step + 1)));
            }
            within.extend(self.ancestors(&uid));
            found.insert(uid, entity.into_owned());
            if found.len() + within.len() > REACHED_MAX {
                return Err(Problem::Entities(format!("policies reach more than {REACHED_MAX} entities from here")));
            }
        }
        // What is only a group here need not have its attributes: nothing that is asked looks into it.
        for uid in within {
            if !found.contains_key(&uid) {
                let parents = self.ancestors(&uid).into_iter().collect();
                found.insert(uid.clone(), Entity::new_no_attrs(uid, parents));
            }
        }
        Ok(found.into_values().collect())
    }

    /// What the attributes and tags of an entity name.
    fn named_by(&self, uid: &EntityUid, entity: &Entity) -> Result<Vec<EntityUid>, Problem> {
        if let Some(held) = self.held(uid).filter(|_| self.own.get(uid).is_none()) {
            return held.references(&self.schema).map(<[EntityUid]>::to_vec);
        }
        let mut named = Vec::new();
        for (_, value) in entity.attrs().chain(entity.tags()) {
            let value = value.map_err(|error| Problem::Entities(error.to_string()))?;
            crate::entities::references(&value, &mut named);
        }
        Ok(named)
    }

    /// The text to which an executable is pinned; another value in its place is told as an error.
    pub(crate) fn pin(&self, executable: &EntityUid) -> Result<Option<String>, Problem> {
        match self.get(executable)?.and_then(|entity| entity.attr(DIGEST)) {
            None => Ok(None),
            Some(Ok(EvalResult::String(pinned))) => Ok(Some(pinned)),
            Some(Ok(other)) => Ok(Some(other.to_string())),
            Some(Err(error)) => Err(Problem::Entities(error.to_string())),
        }
    }
}

/// An executable with the digest that was measured of it.
fn measured(executable: &EntityUid, digest: &Hash) -> Result<Entity, Problem> {
    let digest = RestrictedExpression::new_string(hex(digest.as_bytes()));
    let attributes = HashMap::from([(DIGEST.to_owned(), digest)]);
    Entity::new(executable.clone(), attributes, HashSet::new()).map_err(|error| Problem::Entities(error.to_string()))
}
