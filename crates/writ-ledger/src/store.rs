//! Reading the store. Whatever is read is compared with what the tree says before it leaves here, so a flipped bit is an error and not an answer.

use crate::error::LedgerError;
use rusqlite::{Connection, OptionalExtension};
use writ_protocol::entry::{Grant, Hold, Mandate};
use writ_protocol::{Body, Entry};
use writ_tlog::{
    Hash, LeafIndex, Nodes, Origin, TILE_WIDTH, TileId, TileNodes, TileNodesError, TileReader, TreeSize, leaf_hash,
};

/// SQLite integers are signed. A number beyond their range can be in no row, and saturating makes a comparison with one fail closed.
pub(crate) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn unsql(number: i64) -> Result<u64, LedgerError> {
    u64::try_from(number)
        .map_err(|_| LedgerError::inconsistent(format!("a negative number, {number}, where an index is expected")))
}

pub(crate) fn hash_of(bytes: &[u8]) -> Result<Hash, LedgerError> {
    Hash::from_slice(bytes).ok_or_else(|| LedgerError::inconsistent(format!("a hash of {} bytes", bytes.len())))
}

/// An entry as it is stored.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// Its index.
    pub index: LeafIndex,
    /// Its entry hash.
    pub hash: Hash,
    /// Its bytes, which have that hash.
    pub bytes: Vec<u8>,
}

impl StoredEntry {
    /// What the bytes say.
    pub fn decode(&self, origin: &Origin) -> Result<Entry, LedgerError> {
        Entry::decode(&self.bytes, origin)
            .map_err(|refusal| LedgerError::inconsistent(format!("entry {}: {refusal}", self.index)))
    }
}

/// The entry at an index.
pub(crate) fn entry(connection: &Connection, index: LeafIndex) -> Result<Option<StoredEntry>, LedgerError> {
    let mut query = connection.prepare_cached("SELECT hash, bytes FROM entry WHERE idx = ?1")?;
    let found = query
        .query_row([sql(index.get())], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .optional()?;
    let Some((hash, bytes)) = found else { return Ok(None) };
    let hash = hash_of(&hash)?;
    if leaf_hash(&bytes) != hash {
        return Err(LedgerError::inconsistent(format!("entry {index} does not have the hash it was stored with")));
    }
    Ok(Some(StoredEntry { index, hash, bytes }))
}

/// The entry at an index, if it is the one that the tree has there.
pub(crate) fn entry_in_tree(connection: &Connection, index: LeafIndex) -> Result<Option<StoredEntry>, LedgerError> {
    let Some(stored) = entry(connection, index)? else { return Ok(None) };
    require_in_tree(&stored, &StoredNodes::new(connection, size(connection)?))?;
    Ok(Some(stored))
}

/// Bytes and hash of a row agree even when a flipped bit in its key lets it answer for another index.
pub(crate) fn require_in_tree(stored: &StoredEntry, nodes: &StoredNodes<'_>) -> Result<(), LedgerError> {
    let index = stored.index;
    if nodes.node(0, index.get())? == stored.hash {
        return Ok(());
    }
    Err(LedgerError::inconsistent(format!("what is stored as entry {index} is not what the tree has there")))
}

/// The grant at an index, if it has this hash.
pub(crate) fn grant(
    connection: &Connection,
    origin: &Origin,
    index: LeafIndex,
    hash: &Hash,
) -> Result<Option<Grant>, LedgerError> {
    match entry(connection, index)? {
        Some(stored) if stored.hash == *hash => {
            let body = stored.decode(origin)?.body;
            Ok(if let Body::Grant(grant) = body { Some(grant) } else { None })
        }
        Some(_) | None => Ok(None),
    }
}

/// The hold at an index, if it has this hash.
pub(crate) fn hold(
    connection: &Connection,
    origin: &Origin,
    index: LeafIndex,
    hash: &Hash,
) -> Result<Option<Hold>, LedgerError> {
    match entry(connection, index)? {
        Some(stored) if stored.hash == *hash => {
            let body = stored.decode(origin)?.body;
            Ok(if let Body::Hold(hold) = body { Some(hold) } else { None })
        }
        Some(_) | None => Ok(None),
    }
}

/// The mandate at an index, if it has this hash.
pub(crate) fn mandate(
    connection: &Connection,
    origin: &Origin,
    index: LeafIndex,
    hash: &Hash,
) -> Result<Option<Mandate>, LedgerError> {
    match entry(connection, index)? {
        Some(stored) if stored.hash == *hash => {
            let body = stored.decode(origin)?.body;
            Ok(if let Body::Mandate(mandate) = body { Some(mandate) } else { None })
        }
        Some(_) | None => Ok(None),
    }
}

/// How many entries there are, by the highest index.
pub(crate) fn size(connection: &Connection) -> Result<TreeSize, LedgerError> {
    let last: Option<i64> = connection.prepare_cached("SELECT max(idx) FROM entry")?.query_row([], |row| row.get(0))?;
    Ok(TreeSize::new(match last {
        Some(last) => unsql(last)? + 1,
        None => 0,
    }))
}

/// The newest checkpoint: its size and its note.
pub(crate) fn newest_checkpoint(connection: &Connection) -> Result<Option<(TreeSize, Vec<u8>)>, LedgerError> {
    let mut query = connection.prepare_cached("SELECT tile, size, note FROM checkpoint ORDER BY tile DESC LIMIT 1")?;
    let found =
        query.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?))).optional()?;
    let Some((tile, size, note)) = found else { return Ok(None) };
    let size = TreeSize::new(unsql(size)?);
    if tile_of(size) != tile {
        return Err(LedgerError::inconsistent(format!("a checkpoint of {size} entries is kept as number {tile}")));
    }
    Ok(Some((size, note)))
}

/// Which of the kept checkpoints one of this size is.
pub(crate) fn tile_of(size: TreeSize) -> i64 {
    sql(size.get() / u64::from(TILE_WIDTH))
}

/// The checkpoint of a size, if it is kept.
pub(crate) fn checkpoint(connection: &Connection, size: TreeSize) -> Result<Option<Vec<u8>>, LedgerError> {
    let mut query = connection.prepare_cached("SELECT note FROM checkpoint WHERE tile = ?1 AND size = ?2")?;
    Ok(query.query_row((tile_of(size), sql(size.get())), |row| row.get(0)).optional()?)
}

/// A checkpoint is some 3 KB, most of it the post-quantum signature, so only the newest one of each 256 entries is kept: enough to prove
/// any entry and for an audit to say where a history leaves what was signed.
pub(crate) fn keep_checkpoint(connection: &Connection, size: TreeSize, note: &[u8]) -> Result<(), LedgerError> {
    let keep = "INSERT INTO checkpoint (tile, size, note) VALUES (?1, ?2, ?3)
                ON CONFLICT (tile) DO UPDATE SET size = excluded.size, note = excluded.note";
    connection.prepare_cached(keep)?.execute((tile_of(size), sql(size.get()), note))?;
    Ok(())
}

/// Tiles of the stored tree: full ones as stored, partial ones from what they are made of.
pub(crate) struct StoredTiles<'a>(pub(crate) &'a Connection);

impl TileReader for StoredTiles<'_> {
    type Error = LedgerError;

    fn tile(&self, id: TileId) -> Result<Vec<Hash>, LedgerError> {
        let hashes = if id.width == 256 { self.full(id)? } else { None };
        let hashes = match hashes {
            Some(hashes) => hashes,
            None => self.assembled(id)?,
        };
        if hashes.len() == usize::from(id.width) {
            Ok(hashes)
        } else {
            Err(LedgerError::inconsistent(format!(
                "tile {} of level {} has {} hashes",
                id.index,
                id.level,
                hashes.len()
            )))
        }
    }
}

impl StoredTiles<'_> {
    fn full(&self, id: TileId) -> Result<Option<Vec<Hash>>, LedgerError> {
        let mut query = self.0.prepare_cached("SELECT hashes FROM tile WHERE level = ?1 AND n = ?2")?;
        let found: Option<Vec<u8>> =
            query.query_row((i64::from(id.level), sql(id.index)), |row| row.get(0)).optional()?;
        let Some(bytes) = found else { return Ok(None) };
        let (hashes, _) = bytes.as_chunks::<32>();
        Ok(Some(hashes.iter().copied().map(Hash::from_bytes).collect()))
    }

    fn assembled(&self, id: TileId) -> Result<Vec<Hash>, LedgerError> {
        let from = id.index.saturating_mul(256);
        let until = from.saturating_add(u64::from(id.width));
        let column = |row: &rusqlite::Row<'_>| row.get::<_, Vec<u8>>(0);
        let hashes: Vec<Vec<u8>> = match id.level.checked_sub(1) {
            None => self
                .0
                .prepare_cached("SELECT hash FROM entry WHERE idx >= ?1 AND idx < ?2 ORDER BY idx")?
                .query_map((sql(from), sql(until)), column)?
                .collect::<Result<_, _>>()?,
            Some(below) => self
                .0
                .prepare_cached("SELECT root FROM tile WHERE level = ?1 AND n >= ?2 AND n < ?3 ORDER BY n")?
                .query_map((i64::from(below), sql(from), sql(until)), column)?
                .collect::<Result<_, _>>()?,
        };
        hashes.iter().map(|hash| hash_of(hash)).collect()
    }
}

/// Nodes of the stored tree as it is at one size.
pub(crate) struct StoredNodes<'a>(TileNodes<StoredTiles<'a>>);

impl<'a> StoredNodes<'a> {
    pub(crate) fn new(connection: &'a Connection, size: TreeSize) -> Self {
        Self(TileNodes::new(StoredTiles(connection), size))
    }
}

impl Nodes for StoredNodes<'_> {
    type Error = LedgerError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, LedgerError> {
        self.0.node(level, index).map_err(|error| match error {
            TileNodesError::Read(error) => error,
            TileNodesError::NotInTree { .. } | TileNodesError::Width { .. } => {
                LedgerError::inconsistent(error.to_string())
            }
        })
    }
}
