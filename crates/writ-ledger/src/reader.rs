//! Reading beside a running node, without its lock: entries, proofs, tiles and bundles of what is published.

use crate::error::LedgerError;
use crate::head::Head;
use crate::mark::MarkFile;
use crate::place::require_store;
use crate::receipt::Receipt;
use crate::records::StoredRecords;
use crate::schema;
use crate::sequencer::Published;
use crate::store::{self, StoredEntry, StoredNodes, StoredTiles, sql};
use crate::vault::{self, Kept};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::Positive;
use writ_protocol::order::{Carrier, ControlState, Execution, Lookup, Records};
use writ_protocol::{ExecutionId, Label, Name};
use writ_tlog::{
    ConsistencyProof, Hash, LeafIndex, Origin, Resource, TileReader, TreeSize, VerifiedCheckpoint, encode_bundle,
    encode_tile, prove_consistency, prove_inclusion, tile_width,
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

impl From<Published> for View {
    /// As the node itself holds it: verified when it was published, and durable before that.
    fn from(published: Published) -> Self {
        Self { checkpoint: published.checkpoint, control: published.control }
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

    /// Refuses a store that is older than what was published, or of another history, as a node that opens it does.
    pub fn agrees_with(&self, mark: &Path) -> Result<(), LedgerError> {
        // The mark first: a node that writes meanwhile moves it after the store.
        let marked = MarkFile::peek(mark)?;
        self.connection.execute_batch("BEGIN")?;
        let agrees =
            Head::load(&self.connection, &self.origin).and_then(|head| head.agrees_with(&self.connection, marked));
        self.connection.execute_batch("COMMIT")?;
        agrees
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
        let stored = store::entry(&self.connection, index)?;
        let stored = stored.filter(|_| index.get() < view.size().get()).ok_or(LedgerError::NoEntry(index))?;
        // The same nodes for both: the tile with the leaf is read once.
        let nodes = StoredNodes::new(&self.connection, view.size());
        store::require_in_tree(&stored, &nodes)?;
        let proof = prove_inclusion(index, view.size(), &nodes)
            .map_err(|error| LedgerError::inconsistent(error.to_string()))?;
        Ok(Receipt { index, entry: stored.bytes.into(), proof, checkpoint: view.checkpoint.clone(), repeated: true })
    }

    /// How the view's tree grew out of an older one.
    pub fn consistency(&self, from: TreeSize, view: &View) -> Result<ConsistencyProof, LedgerError> {
        let nodes = StoredNodes::new(&self.connection, view.size());
        prove_consistency(from, view.size(), &nodes).map_err(|error| LedgerError::inconsistent(error.to_string()))
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

    /// The labels that something carries.
    pub fn labels(&self, of: &Carrier) -> Result<Vec<Label>, LedgerError> {
        match self.records().labels(of)? {
            Lookup::Found(labels) => Ok(labels),
            Lookup::Absent | Lookup::Unknown => Ok(Vec::new()),
        }
    }

    /// An execution, as far as it is recorded.
    pub fn execution(&self, id: &ExecutionId) -> Result<Option<Execution>, LedgerError> {
        match self.records().execution(id)? {
            Lookup::Found(found) => Ok(Some(found)),
            Lookup::Absent | Lookup::Unknown => Ok(None),
        }
    }

    /// Where the entry stands that gave something this id; the newest where a request was answered twice. `None` where there is none.
    pub fn named(&self, id: &[u8; 16]) -> Result<Option<LeafIndex>, LedgerError> {
        let query = "SELECT max(idx) FROM (SELECT idx FROM used_id WHERE id = ?1 UNION ALL
                     SELECT idx FROM request WHERE key = ?1 UNION ALL SELECT grant_idx FROM execution WHERE id = ?1)";
        let found: Option<i64> = self.connection.prepare_cached(query)?.query_row([id], |row| row.get(0))?;
        found.map(|index| Ok(LeafIndex::new(store::unsql(index)?))).transpose()
    }

    /// The entries of the control chain, ascending.
    pub fn control_entries(&self) -> Result<Vec<LeafIndex>, LedgerError> {
        self.indices("SELECT idx FROM control WHERE seq >= ?1 ORDER BY seq", 0)
    }

    /// The number of the last statement that a gateway made in an epoch; 0 when it made none.
    pub fn last_seq(&self, gateway: &Name, epoch: Positive) -> Result<u64, LedgerError> {
        match self.records().last_seq(gateway, epoch)? {
            Lookup::Found(last) => Ok(last),
            Lookup::Absent | Lookup::Unknown => Ok(0),
        }
    }

    /// The executions of a gateway that have begun and not ended, oldest first, a hundred at most.
    pub fn open_executions(&self, gateway: &Name) -> Result<Vec<Execution>, LedgerError> {
        let ids = self
            .connection
            .prepare_cached(
                "SELECT id FROM execution WHERE gateway = ?1 AND state != 'ended' ORDER BY begun_idx LIMIT 100",
            )?
            .query_map([gateway.as_str()], |row| row.get::<_, [u8; 16]>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        let found = ids.into_iter().map(|id| self.execution(&ExecutionId::from_bytes(id)));
        found.filter_map(Result::transpose).collect()
    }

    /// What the vault holds behind a commitment of an entry. A value that does not open it is an error.
    pub fn kept(&self, at: LeafIndex, kind: CommitmentKind, commitment: &Hash) -> Result<Kept, LedgerError> {
        vault::lookup(&self.connection, at, kind, commitment)
    }

    pub(crate) fn records(&self) -> StoredRecords<'_> {
        StoredRecords { projections: &self.connection, entries: &self.connection, origin: &self.origin }
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
