//! The head of the ledger as a node holds it: what it has verified itself, and nothing else, is what it builds on.

use crate::error::LedgerError;
use crate::keys::LedgerSigner;
use crate::mark::Mark;
use crate::store::{self, StoredNodes, unsql};
use rusqlite::Connection;
use std::sync::Arc;
use writ_protocol::entry::Seal;
use writ_protocol::order::{ControlState, NoRecords, judge};
use writ_protocol::{Body, Entry, KeyPair, checkpoint_refusal, pinned_keys};
use writ_tlog::{Hash, LeafIndex, Origin, Tree, TreeSize, VerifiedCheckpoint, root_at};

/// Tree, control state and last seal, all of one size.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) tree: Tree,
    /// Shared with every reader of the published head; copied only by a batch that changes it.
    pub(crate) control: Arc<ControlState>,
    /// The last seal, and the number of the next batch follows from it.
    pub(crate) seal: Seal,
    pub(crate) checkpoint: Arc<VerifiedCheckpoint>,
}

impl Head {
    /// Loads the head and refuses a store that does not agree with itself: the tree with the signed root, the control chain with the
    /// last seal, the newest entries with the tree.
    pub(crate) fn load(connection: &Connection, origin: &Origin) -> Result<Self, LedgerError> {
        let size = store::size(connection)?;
        let (signed, note) =
            store::newest_checkpoint(connection)?.ok_or_else(|| LedgerError::inconsistent("there is no checkpoint"))?;
        if signed != size {
            return Err(LedgerError::inconsistent(format!(
                "there are {size} entries, but the newest checkpoint is of {signed}"
            )));
        }
        let tree = Tree::resume(size, &StoredNodes::new(connection, size))?;
        let seal = last_seal(connection, origin, size)?;
        newest_batch_is_intact(connection, &seal, size)?;
        let (control, signing) = control_state(connection, origin, &seal)?;
        let checkpoint = pinned_keys(origin, &signing)?.open(&note).map_err(|error| {
            LedgerError::inconsistent(format!("the newest checkpoint: {}", checkpoint_refusal(&error)))
        })?;
        if checkpoint.checkpoint().size != size || checkpoint.checkpoint().root != tree.root() {
            return Err(LedgerError::inconsistent(format!(
                "the tree of {size} entries does not have the root that was signed"
            )));
        }
        Ok(Self { tree, control: Arc::new(control), seal, checkpoint: Arc::new(checkpoint) })
    }

    /// Refuses a store that is older than what was published, or another history.
    pub(crate) fn agrees_with(&self, connection: &Connection, mark: Mark) -> Result<(), LedgerError> {
        let size = self.tree.size();
        if mark.size > size {
            return Err(LedgerError::OlderThanMark { store: size, mark: mark.size });
        }
        if root_at(mark.size, &StoredNodes::new(connection, size))? != mark.root {
            return Err(LedgerError::ForkedFromMark(mark.size));
        }
        Ok(())
    }

    /// Refuses keys that are not the ones that must sign the next checkpoint.
    pub(crate) fn signed_by(&self, signer: &LedgerSigner) -> Result<(), LedgerError> {
        if signer.key_pair()? == *self.control.keys() { Ok(()) } else { Err(LedgerError::WrongKeys) }
    }

    /// How far it is published once its batch is committed.
    pub(crate) fn mark(&self) -> Mark {
        let checkpoint = self.checkpoint.checkpoint();
        Mark { size: checkpoint.size, root: checkpoint.root }
    }
}

fn last_seal(connection: &Connection, origin: &Origin, size: TreeSize) -> Result<Seal, LedgerError> {
    let missing = || LedgerError::inconsistent("the last entry is not a seal");
    let last = LeafIndex::new(size.get().checked_sub(1).ok_or_else(missing)?);
    let body = store::entry(connection, last)?.ok_or_else(missing)?.decode(origin)?.body;
    if let Body::Seal(seal) = body { Ok(seal) } else { Err(missing()) }
}

/// The newest batch is what a crash could have hurt: each of its entries is read and hashed. Older entries are hashed whenever they are
/// read, and all of them by `writ audit`.
fn newest_batch_is_intact(connection: &Connection, seal: &Seal, size: TreeSize) -> Result<(), LedgerError> {
    for index in seal.first..size.get() {
        if store::entry(connection, LeafIndex::new(index))?.is_none() {
            return Err(LedgerError::inconsistent(format!("entry {index} of the newest batch is missing")));
        }
    }
    Ok(())
}

/// The control chain, read again from its entries, and the keys that had to sign the newest checkpoint: those in force before its batch.
fn control_state(
    connection: &Connection,
    origin: &Origin,
    seal: &Seal,
) -> Result<(ControlState, KeyPair), LedgerError> {
    let rows = connection
        .prepare("SELECT idx FROM control ORDER BY seq")?
        .query_map([], |row| row.get::<_, i64>(0))?
        .map(|index| Ok(LeafIndex::new(unsql(index?)?)))
        .collect::<Result<Vec<_>, LedgerError>>()?;
    let mut rows = rows.into_iter();
    let (hash, genesis) = match rows.next().map(|index| control_entry(connection, origin, index)).transpose()? {
        Some((index, hash, Entry { body: Body::Genesis(genesis), .. })) if index.get() == 0 => (hash, genesis),
        _ => return Err(LedgerError::inconsistent("the control chain does not begin with genesis at index 0")),
    };
    let mut control = ControlState::begin(origin.clone(), genesis, hash);
    let mut signing = control.keys().clone();
    for index in rows {
        let (index, hash, entry) = control_entry(connection, origin, index)?;
        // What the chain itself decides is judged again here, signatures of the root included.
        let accepted = judge(&control, &NoRecords, index, &entry)
            .map_err(|error| LedgerError::inconsistent(format!("control entry {index}: {error}")))?;
        control.apply(index, hash, &entry.body, accepted.root());
        if index.get() < seal.first {
            signing = control.keys().clone();
        }
    }
    if control.head() != seal.control {
        return Err(LedgerError::inconsistent("the control chain does not end where the last seal says"));
    }
    Ok((control, signing))
}

fn control_entry(
    connection: &Connection,
    origin: &Origin,
    index: LeafIndex,
) -> Result<(LeafIndex, Hash, Entry), LedgerError> {
    let stored = store::entry(connection, index)?
        .ok_or_else(|| LedgerError::inconsistent(format!("control entry {index} is missing")))?;
    Ok((index, stored.hash, stored.decode(origin)?))
}
