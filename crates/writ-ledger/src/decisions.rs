//! The decisions of a stretch of the ledger, with what they were decided on: for whoever goes through all of them.

use crate::error::LedgerError;
use crate::reader::Reader;
use crate::store::{StoredEntry, hash_of, sql, unsql};
use crate::vault::{self, Kept};
use rusqlite::Row;
use std::ops::Range;
use writ_protocol::Body;
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::EntryType;
use writ_tlog::{Hash, LeafIndex, leaf_hash};

/// A decision, and what the vault holds of what it was decided on.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Its index.
    pub index: LeafIndex,
    /// A grant, a denial, a hold, or an order that was carried out.
    pub body: Body,
    /// The action; where nothing was committed to, there is nothing.
    pub action: Kept,
    /// The facts, likewise.
    pub facts: Kept,
}

/// What was decided, and orders, which were decided too.
const DECIDED: [EntryType; 5] =
    [EntryType::Grant, EntryType::Denial, EntryType::Hold, EntryType::Revocation, EntryType::Halt];

impl Reader {
    /// Gives each decision in the range to `next`, ascending. Every entry has the hash it was stored with and every value opens its
    /// commitment, or it is an error; that the entries are those of the tree, an audit says.
    pub fn decisions(&self, range: Range<u64>, next: &mut dyn FnMut(Decided)) -> Result<(), LedgerError> {
        let mut query = self.connection().prepare_cached(
            "SELECT entry.idx, entry.hash, entry.bytes, vault.action, vault.facts
             FROM entry LEFT JOIN vault ON vault.idx = entry.idx
             WHERE entry.idx >= ?1 AND entry.idx < ?2 ORDER BY entry.idx",
        )?;
        let mut rows = query.query((sql(range.start), sql(range.end)))?;
        while let Some(row) = rows.next()? {
            if is_decided(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?) {
                next(self.decided(row)?);
            }
        }
        Ok(())
    }

    fn decided(&self, row: &Row<'_>) -> Result<Decided, LedgerError> {
        let index = LeafIndex::new(unsql(row.get(0)?)?);
        let hash = hash_of(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?;
        let stored = StoredEntry { index, hash, bytes: row.get(2)? };
        if leaf_hash(&stored.bytes) != stored.hash {
            return Err(LedgerError::inconsistent(format!("entry {index} does not have the hash it was stored with")));
        }
        let body = stored.decode(self.origin())?.body;
        let held = body.commitments();
        let kept = |kind: CommitmentKind, column: usize| {
            let commitment: Option<Hash> = held.iter().find_map(|(held, hash)| (*held == kind).then_some(*hash));
            match commitment {
                Some(commitment) => vault::opened(index, kind, &commitment, row.get_ref(column)?),
                None => Ok(Kept::Nothing),
            }
        };
        let (action, facts) = (kept(CommitmentKind::Action, 3)?, kept(CommitmentKind::Facts, 4)?);
        Ok(Decided { index, body, action, facts })
    }
}

/// Told by the first bytes, which name the type: most entries tell what was done, and need not be read.
fn is_decided(bytes: &[u8]) -> bool {
    DECIDED.iter().any(|kind| {
        let name = kind.as_str().as_bytes();
        // `[context, type, …]`, each a text shorter than 24 bytes.
        let at = 2 + b"writ.entry".len();
        bytes.get(at).is_some_and(|head| usize::from(*head) == 0x60 + name.len())
            && bytes.get(at + 1..).is_some_and(|rest| rest.starts_with(name))
    })
}
