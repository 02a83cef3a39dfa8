//! Reading beside a running node, without its lock: entries, proofs, tiles and bundles of what is published.

use crate::error::LedgerError;
use crate::head::Head;
use crate::place::require_store;
use crate::receipt::Receipt;
use crate::schema;
use crate::store::{self, StoredEntry, StoredNodes, StoredTiles, sql};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use writ_protocol::order::ControlState;
use writ_tlog::{
    LeafIndex, Origin, Resource, TileReader, TreeSize, VerifiedCheckpoint, encode_bundle, encode_tile, prove_inclusion,
    tile_width,
};

/// A ledger that this process only reads.
pub struct Reader {
    connection: Connection,
    origin: Origin,
}

/// What a reader sees at one moment: everything it answers is of this size.
#[derive(Clone, Debug)]
pub struct View {
    /// The newest checkpoint.
    pub checkpoint: Arc<VerifiedCheckpoint>,
    /// What the control chain says there.
    pub control: Arc<ControlState>,
}

impl View {
    /// Its tree size.
    pub fn size(&self) -> TreeSize {
        self.checkpoint.checkpoint().size
    }
}

impl Reader {
    /// Opens the store at `path` for reading.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        require_store(path)?;
        let connection = schema::open_reader(path)?;
        let origin = schema::identify(&connection)?;
        let origin = Origin::new(origin).map_err(|error| LedgerError::inconsistent(error.to_string()))?;
        Ok(Self { connection, origin })
    }

    /// The ledger's origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The newest state, verified as a node verifies it when it starts.
    pub fn view(&self) -> Result<View, LedgerError> {
        // One read transaction: all of it is of one moment.
        self.connection.execute_batch("BEGIN")?;
        let head = Head::load(&self.connection, &self.origin);
        self.connection.execute_batch("COMMIT")?;
        let head = head?;
        Ok(View { checkpoint: head.checkpoint, control: head.control })
    }

    /// The newest signed checkpoint, as it is stored.
    pub fn checkpoint(&self) -> Result<(TreeSize, Vec<u8>), LedgerError> {
        store::newest_checkpoint(&self.connection)?.ok_or_else(|| LedgerError::inconsistent("there is no checkpoint"))
    }

    /// The entry at an index, if there is one.
    pub fn entry(&self, index: LeafIndex) -> Result<Option<StoredEntry>, LedgerError> {
        store::entry_in_tree(&self.connection, index)
    }

    /// The entry at an index with its proof in a view.
    pub fn receipt(&self, index: LeafIndex, view: &View) -> Result<Receipt, LedgerError> {
        let stored = self.require(index)?;
        let nodes = StoredNodes::new(&self.connection, view.size());
        let proof = prove_inclusion(index, view.size(), &nodes)
            .map_err(|error| LedgerError::inconsistent(error.to_string()))?;
        Ok(Receipt { index, entry: stored.bytes.into(), proof, checkpoint: view.checkpoint.clone(), repeated: true })
    }

    /// A resource of `tlog-tiles`, if the published tree has it.
    pub fn resource(&self, resource: &Resource) -> Result<Option<Vec<u8>>, LedgerError> {
        let (size, note) = self.checkpoint()?;
        match *resource {
            Resource::Checkpoint => Ok(Some(note)),
            Resource::Tile(id) => match tile_width(size, id.level, id.index) {
                Some(width) if id.width <= width => Ok(Some(encode_tile(&StoredTiles(&self.connection).tile(id)?))),
                Some(_) | None => Ok(None),
            },
            Resource::Entries { index, width } => match tile_width(size, 0, index) {
                Some(published) if width <= published => self.entry_bundle(index, width).map(Some),
                Some(_) | None => Ok(None),
            },
        }
    }

    pub(crate) fn require(&self, index: LeafIndex) -> Result<StoredEntry, LedgerError> {
        self.entry(index)?.ok_or(LedgerError::NoEntry(index))
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn entry_bundle(&self, index: u64, width: u16) -> Result<Vec<u8>, LedgerError> {
        let first = index.saturating_mul(256);
        let entries = (first..first.saturating_add(u64::from(width)))
            .map(|index| self.require(LeafIndex::new(index)).map(|stored| stored.bytes))
            .collect::<Result<Vec<_>, _>>()?;
        encode_bundle(entries).map_err(|error| LedgerError::inconsistent(error.to_string()))
    }

    /// The indices a query finds, ascending.
    pub(crate) fn indices(&self, query: &str, key: u64) -> Result<Vec<LeafIndex>, LedgerError> {
        self.connection
            .prepare_cached(query)?
            .query_map([sql(key)], |row| row.get::<_, i64>(0))?
            .map(|index| Ok(LeafIndex::new(store::unsql(index?)?)))
            .collect()
    }
}
