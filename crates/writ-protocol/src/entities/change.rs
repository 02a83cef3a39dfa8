//! A change of a snapshot, as somebody orders it and as the vault keeps it.

use super::{EntityRecord, EntityUid, Uids};
use crate::cbor::{Decode, MapReader, Reader, ShapeError, Writer};
use crate::refusal::{Code, Refusal};
use aws_lc_rs::hmac;
use writ_tlog::{Hash, sha256};

const CONTEXT: &str = "writ.entities";
const VERSION: u64 = 1;

/// One entity has at most this many bytes.
pub const ENTITY_BYTES_MAX: usize = 65_535;
/// One change has at most this many bytes.
pub const ENTITY_CHANGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Entities that are put in place of those of the same uid, or added, and entities that are taken away.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityChange {
    /// Drawn for this change: nobody without it can confirm from the ledger what the snapshot holds.
    pub salt: [u8; 32],
    /// The snapshot that it is a change of and of no other; where there is none, of whichever is in force.
    pub base: Option<Hash>,
    /// Ascending by uid, each once.
    pub put: Vec<EntityRecord>,
    /// Ascending, each once, none of them among those that are put.
    pub removed: Vec<EntityUid>,
}

impl EntityChange {
    /// Of its parts, in any order. What stands twice is refused: readers could differ in which one counts.
    pub fn new(
        salt: [u8; 32],
        base: Option<Hash>,
        mut put: Vec<EntityRecord>,
        mut removed: Vec<EntityUid>,
    ) -> Result<Self, ShapeError> {
        put.sort_by(|left, right| left.uid().cmp(right.uid()));
        removed.sort();
        let change = Self { salt, base, put, removed };
        change.judge_form()?;
        Ok(change)
    }

    fn judge_form(&self) -> Result<(), ShapeError> {
        let twice = |uid: &EntityUid| Err(ShapeError::expected(format!("each entity once, `{uid}` stands twice")));
        let put: Vec<&EntityUid> = self.put.iter().map(EntityRecord::uid).collect();
        let removed: Vec<&EntityUid> = self.removed.iter().collect();
        for uids in [&put, &removed] {
            if let Some([one, _]) = uids.windows(2).find(|pair| !pair.is_sorted_by(|one, next| one < next)) {
                return twice(one);
            }
        }
        let is_put = |uid: &EntityUid| self.put.binary_search_by(|put| put.uid().cmp(uid)).is_ok();
        match self.removed.iter().find(|uid| is_put(uid)) {
            Some(uid) => twice(uid),
            None => Ok(()),
        }
    }

    /// The one encoding.
    pub fn encode(&self) -> Result<Vec<u8>, Refusal> {
        let mut writer = Writer::default();
        writer.array(3);
        writer.text(CONTEXT);
        writer.uint(VERSION);
        writer.map(if self.base.is_some() { 4 } else { 3 });
        writer.field("put", &self.put);
        if let Some(base) = &self.base {
            writer.field("base", base);
        }
        writer.field("salt", &self.salt);
        writer.field("removed", &self.removed);
        let bytes = writer.into_bytes();
        if bytes.len() > ENTITY_CHANGE_BYTES_MAX { Err(too_large(bytes.len())) } else { Ok(bytes) }
    }

    /// Reads the one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > ENTITY_CHANGE_BYTES_MAX {
            return Err(too_large(bytes.len()));
        }
        let mut reader = Reader::checked(bytes)?;
        reader.tuple(3)?;
        if reader.text()? != CONTEXT {
            return Err(Refusal::malformed(format_args!("expected the context `{CONTEXT}`")));
        }
        let version = reader.uint()?;
        let map = reader.map()?;
        if version != VERSION {
            let why = format!("a change of entities of version {version} is not known to this reader");
            return Err(Refusal::new(Code::UnsupportedVersion, why));
        }
        Ok(Self::fields(map)?)
    }

    fn fields(mut map: MapReader<'_, '_>) -> Result<Self, ShapeError> {
        let put: Records = map.required("put")?;
        let base = map.optional("base")?;
        let salt = map.required("salt")?;
        let removed: Uids = map.required("removed")?;
        map.end()?;
        let change = Self { salt, base, put: put.0, removed: removed.0 };
        change.judge_form()?;
        Ok(change)
    }

    /// The digest of the snapshot that has this root once the change is made.
    pub fn snapshot(&self, root: &Hash) -> Hash {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.salt);
        let tag = hmac::sign(&key, root.as_bytes());
        // An HMAC-SHA256 has 32 bytes.
        Hash::from_slice(tag.as_ref()).unwrap_or_else(|| sha256(tag.as_ref()))
    }
}

struct Records(Vec<EntityRecord>);

impl Decode for Records {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let count = reader.array()?;
        // Each has been found there already, so their number is bounded by the length of what is read.
        (0..count).map(|_| EntityRecord::decode(reader)).collect::<Result<_, _>>().map(Self)
    }
}

fn too_large(length: usize) -> Refusal {
    Refusal::malformed(format_args!(
        "a change of entities has at most {ENTITY_CHANGE_BYTES_MAX} bytes, this one has {length}; make it in several"
    ))
}
