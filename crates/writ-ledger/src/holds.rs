//! Holds as a reader sees them: what waits, what was answered, what came of it.

use crate::error::LedgerError;
use crate::reader::Reader;
use crate::records::{answers_to, held, shown};
use crate::store::{self, sql, unsql};
use rusqlite::{OptionalExtension, Row};
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::order::OpenHold;
use writ_tlog::{Hash, LeafIndex};

/// A hold, and how far it has come.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its index.
    pub index: LeafIndex,
    /// Its entry hash.
    pub entry: Hash,
    /// What waits, and what was answered.
    pub waiting: OpenHold,
    /// The entries of these answers.
    pub answered_at: Vec<LeafIndex>,
    /// The grant, denial or withdrawal that has resolved it.
    pub resolved_at: Option<LeafIndex>,
}

impl Reader {
    /// The hold at an index; nothing where there is none.
    pub fn held(&self, index: LeafIndex) -> Result<Option<Held>, LedgerError> {
        let resolved: Option<Option<i64>> = self
            .connection()
            .prepare_cached("SELECT resolved_idx FROM hold WHERE idx = ?1")?
            .query_row([sql(index.get())], |row| row.get(0))
            .optional()?;
        let Some(resolved) = resolved else { return Ok(None) };
        let resolved_at = resolved.map(|at| Ok::<_, LedgerError>(LeafIndex::new(unsql(at)?))).transpose()?;
        let stored = store::entry_in_tree(self.connection(), index)?.ok_or(LedgerError::NoEntry(index))?;
        let waiting = held(self.connection(), self.connection(), self.origin(), index, &stored.hash)?;
        let waiting = waiting
            .ok_or_else(|| LedgerError::inconsistent(format!("entry {index} is no hold, a projection says so")))?;
        let answered_at = answers_to(self.connection(), index)?;
        Ok(Some(Held { index, entry: stored.hash, waiting, answered_at, resolved_at }))
    }

    /// The holds that nothing has resolved and that have not lapsed, the oldest first, `most` of them at most: all, or those of one principal.
    pub fn open_holds(
        &self,
        now_ms: u64,
        of: Option<&AssertedPrincipal>,
        most: u64,
    ) -> Result<Vec<LeafIndex>, LedgerError> {
        // Two questions, so that each has its index.
        let (all, each) = (
            "SELECT idx FROM hold WHERE resolved_idx IS NULL AND until_ms > ?1 ORDER BY idx LIMIT ?2",
            "SELECT idx FROM hold WHERE resolved_idx IS NULL AND until_ms > ?1 AND principal = ?3 ORDER BY idx LIMIT ?2",
        );
        let index = |row: &Row<'_>| row.get::<_, i64>(0);
        let found: Vec<i64> = match of {
            None => {
                let mut query = self.connection().prepare_cached(all)?;
                query.query_map((sql(now_ms), sql(most)), index)?.collect::<Result<_, _>>()?
            }
            Some(of) => {
                let mut query = self.connection().prepare_cached(each)?;
                query.query_map((sql(now_ms), sql(most), shown(of)), index)?.collect::<Result<_, _>>()?
            }
        };
        found.into_iter().map(|index| Ok(LeafIndex::new(unsql(index)?))).collect()
    }

    /// The holds that are open, from this index on, the oldest first, `most` of them at most.
    pub fn open_holds_from(&self, now_ms: u64, from: LeafIndex, most: u64) -> Result<Vec<LeafIndex>, LedgerError> {
        let text =
            "SELECT idx FROM hold WHERE resolved_idx IS NULL AND until_ms > ?1 AND idx >= ?3 ORDER BY idx LIMIT ?2";
        let mut query = self.connection().prepare_cached(text)?;
        let rows = query.query_map((sql(now_ms), sql(most), sql(from.get())), |row| row.get::<_, i64>(0))?;
        rows.map(|index| Ok(LeafIndex::new(unsql(index?)?))).collect()
    }
}
