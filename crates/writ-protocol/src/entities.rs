//! Entities (`spec/entities.md`): what policies know of principals, groups and resources beside what a policy set holds itself.
//!
//! A **snapshot** is a set of entities, each under its uid, and complete by itself. Its root is that of a tree over the digests of the
//! uids, so that a change of one entity is found with a few hashes, and whoever has all entities finds the same root without any history.

mod change;
mod tree;

pub use change::{ENTITY_BYTES_MAX, ENTITY_CHANGE_BYTES_MAX, EntityChange};
pub use tree::{EntityTree, Keyed};

use crate::cbor::{Decode, Encode, Reader, ShapeError, Value, Writer};
use std::fmt;
use writ_tlog::{Hash, leaf_hash, sha256};

const TYPE_BYTES_MAX: usize = 255;
const ID_BYTES_MAX: usize = 4_096;

/// What an entity is called: its type, and its id among those of the type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityUid {
    kind: String,
    id: String,
}

impl EntityUid {
    /// Of a type and an id.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Result<Self, ShapeError> {
        let (kind, id) = (kind.into(), id.into());
        let letters = |part: &str| {
            let begins = part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
            begins && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if kind.len() > TYPE_BYTES_MAX || !kind.split("::").all(letters) {
            return Err(ShapeError::expected("a type: 1 to 255 bytes, words of A-Z a-z 0-9 _ joined by `::`"));
        }
        if !(1..=ID_BYTES_MAX).contains(&id.len()) || id.chars().any(char::is_control) {
            return Err(ShapeError::expected("an id: 1 to 4096 bytes without control characters"));
        }
        Ok(Self { kind, id })
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its place in the tree of a snapshot.
    pub fn key(&self) -> Hash {
        sha256(&self.to_cbor())
    }
}

impl fmt::Display for EntityUid {
    /// As policies write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::\"{}\"", self.kind, self.id.escape_debug())
    }
}

impl Encode for EntityUid {
    fn encode(&self, writer: &mut Writer) {
        writer.array(2);
        writer.text(&self.kind);
        writer.text(&self.id);
    }
}

impl Decode for EntityUid {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.tuple(2)?;
        Self::new(reader.text()?, reader.text()?)
    }
}

/// One entity as it was written: what its attributes mean says the schema of the policy set.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityRecord {
    uid: EntityUid,
    parents: Vec<EntityUid>,
    attrs: Vec<(String, Value)>,
    tags: Vec<(String, Value)>,
}

impl EntityRecord {
    /// Of its parts; parents in any order.
    pub fn new(
        uid: EntityUid,
        mut parents: Vec<EntityUid>,
        attrs: Vec<(String, Value)>,
        tags: Vec<(String, Value)>,
    ) -> Result<Self, ShapeError> {
        parents.sort();
        parents.dedup();
        let plain = |(_, value): &(String, Value)| is_plain(value);
        if !attrs.iter().chain(&tags).all(plain) {
            return Err(ShapeError::expected(
                "values of attributes and tags that are texts, integers of 64 bits, `true`, `false`, arrays or objects of these",
            ));
        }
        let record = Self { uid, parents, attrs, tags };
        let length = record.to_cbor().len();
        if length > ENTITY_BYTES_MAX {
            return Err(ShapeError::expected(format!(
                "an entity of at most {ENTITY_BYTES_MAX} bytes, `{}` has {length}",
                record.uid
            )));
        }
        Ok(record)
    }

    /// What it is called.
    pub fn uid(&self) -> &EntityUid {
        &self.uid
    }

    /// What it is in: ascending, each once.
    pub fn parents(&self) -> &[EntityUid] {
        &self.parents
    }

    /// Its attributes, as they were written.
    pub fn attrs(&self) -> &[(String, Value)] {
        &self.attrs
    }

    /// Its tags, as they were written.
    pub fn tags(&self) -> &[(String, Value)] {
        &self.tags
    }

    /// The hash of its leaf.
    pub fn leaf(&self) -> Hash {
        leaf_hash(&self.to_cbor())
    }
}

/// What the engine has values for.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Uint(value) => i64::try_from(*value).is_ok(),
        Value::Nint(_) | Value::Text(_) | Value::Bool(_) => true,
        Value::Array(items) => items.iter().all(is_plain),
        Value::Map(pairs) => pairs.iter().all(|(_, value)| is_plain(value)),
        Value::Bytes(_) | Value::Null | Value::Float(_) => false,
    }
}

impl Encode for EntityRecord {
    fn encode(&self, writer: &mut Writer) {
        writer.map(if self.tags.is_empty() { 4 } else { 5 });
        writer.field("id", self.uid.id.as_str());
        if !self.tags.is_empty() {
            writer.field("tags", &Value::Map(self.tags.clone()));
        }
        writer.field("type", self.uid.kind.as_str());
        writer.field("attrs", &Value::Map(self.attrs.clone()));
        writer.field("parents", &self.parents);
    }
}

impl Decode for EntityRecord {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let Text(id) = map.required("id")?;
        let tags: Option<Value> = map.optional("tags")?;
        let Text(kind) = map.required("type")?;
        let attrs: Value = map.required("attrs")?;
        let parents: Uids = map.required("parents")?;
        map.end()?;
        let tags = match tags {
            None => Vec::new(),
            Some(Value::Map(tags)) if !tags.is_empty() => tags,
            Some(_) => return Err(ShapeError::expected("`tags` as a map, where there are any")),
        };
        let Value::Map(attrs) = attrs else { return Err(ShapeError::expected("`attrs` as a map")) };
        Self::new(EntityUid::new(kind, id)?, parents.0, attrs, tags)
    }
}

struct Text(String);

impl Decode for Text {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Ok(Self(reader.text()?.to_owned()))
    }
}

/// Uids ascending, each once.
struct Uids(Vec<EntityUid>);

impl Decode for Uids {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let count = reader.array()?;
        let mut uids: Vec<EntityUid> = Vec::new();
        for _ in 0..count {
            let uid = EntityUid::decode(reader)?;
            if uids.last().is_some_and(|last| *last >= uid) {
                return Err(ShapeError::expected("uids ascending by type and id, each once"));
            }
            uids.push(uid);
        }
        Ok(Self(uids))
    }
}
