//! Entities beside those of a policy set: kept by uid, each checked once under the schema of the set with which they are used.

use crate::compile::complaint;
use crate::entities::{executable_form, is_always_there, references};
use crate::entity_json::{entity_to_json, uid_of};
use crate::error::Problem;
use cedar_policy::{Entity, EntityUid, Schema};
use std::sync::{Arc, OnceLock};
use writ_protocol::entities::{EntityChange, EntityRecord, EntityTree, Keyed};
use writ_tlog::Hash;

/// A snapshot has at most this many entities.
pub const ENTITIES_MAX: usize = 250_000;

/// A snapshot of entities. A copy costs nothing, and a change leaves what it does not touch as it is.
#[derive(Clone, Debug, Default)]
pub struct EntitySnapshot {
    pub(crate) tree: EntityTree<Held>,
    /// Under which schema of a domain all of them were found sound.
    pub(crate) sound_under: Option<Hash>,
}

/// One entity.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) record: EntityRecord,
    key: Hash,
    leaf: Hash,
    pub(crate) uid: EntityUid,
    pub(crate) parents: Vec<EntityUid>,
    /// What its attributes and tags name, once it was found to fit the schema.
    references: OnceLock<Box<[EntityUid]>>,
}

impl Keyed for Held {
    fn key(&self) -> &Hash {
        &self.key
    }

    fn leaf(&self) -> &Hash {
        &self.leaf
    }
}

impl Held {
    pub(crate) fn new(record: EntityRecord) -> Result<Self, Problem> {
        let unnamed = |uid: &writ_protocol::entities::EntityUid| Problem::Entities(format!("`{uid}` is no uid"));
        let engine = |uid| uid_of(uid).ok_or_else(|| unnamed(uid));
        let parents = record.parents().iter().map(engine).collect::<Result<_, _>>()?;
        let uid = engine(record.uid())?;
        let (key, leaf) = (record.uid().key(), record.leaf());
        Ok(Self { key, leaf, uid, parents, record, references: OnceLock::new() })
    }

    /// As the engine has it, if it fits the schema.
    pub(crate) fn read(&self, schema: &Schema) -> Result<Entity, Problem> {
        Entity::from_json_value(entity_to_json(&self.record), Some(schema))
            .map_err(|error| Problem::Entities(complaint(&error).0))
    }

    /// What its attributes and tags name.
    pub(crate) fn references(&self, schema: &Schema) -> Result<&[EntityUid], Problem> {
        if let Some(known) = self.references.get() {
            return Ok(known);
        }
        let entity = self.read(schema)?;
        if let Some(problem) = executable_form(&entity) {
            return Err(problem);
        }
        let mut named = Vec::new();
        for (_, value) in entity.attrs().chain(entity.tags()) {
            references(&value.map_err(|error| Problem::Entities(error.to_string()))?, &mut named);
        }
        named.retain(|uid| !is_always_there(uid));
        named.sort();
        named.dedup();
        Ok(self.references.get_or_init(|| named.into()))
    }
}

impl EntitySnapshot {
    /// The root over its entities (`spec/entities.md`).
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// One of them.
    pub fn get(&self, uid: &writ_protocol::entities::EntityUid) -> Option<&EntityRecord> {
        self.tree.get(&uid.key()).map(|held| &held.record)
    }

    /// All, ascending by uid.
    pub fn records(&self) -> Vec<&EntityRecord> {
        let mut records: Vec<&EntityRecord> = self.tree.iter().map(|held| &held.record).collect();
        records.sort_by(|left, right| left.uid().cmp(right.uid()));
        records
    }

    /// With a change made, whatever comes of it: nothing is asked here, neither of the schema nor of what is missing then.
    pub fn with(&self, change: &EntityChange) -> Result<Self, Problem> {
        let mut tree = self.tree.clone();
        for uid in &change.removed {
            tree = tree.without(&uid.key());
        }
        for record in &change.put {
            // What stays the same stays what it is.
            let held = tree.get(&record.uid().key());
            if held.is_none_or(|held| held.record != *record) {
                tree = tree.with(Arc::new(Held::new(record.clone())?));
            }
        }
        Ok(Self { tree, sound_under: self.sound_under })
    }

    /// The same entities, of which nothing is known yet.
    pub(crate) fn unread(&self) -> Result<Self, Problem> {
        let mut tree = EntityTree::default();
        for held in self.tree.iter() {
            tree = tree.with(Arc::new(Held::new(held.record.clone())?));
        }
        Ok(Self { tree, sound_under: None })
    }

    pub(crate) fn held(&self, uid: &EntityUid) -> Option<&Arc<Held>> {
        let uid = writ_protocol::entities::EntityUid::new(uid.type_name().to_string(), uid.id().unescaped()).ok()?;
        self.tree.get(&uid.key())
    }
}
