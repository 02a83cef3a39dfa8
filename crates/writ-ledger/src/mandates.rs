//! Mandates as a reader sees them: who is for what, and how much of it is left.

use crate::error::LedgerError;
use crate::reader::Reader;
use crate::store::{self, sql, unsql};
use writ_protocol::entry::{EntryRef, Mandate};
use writ_protocol::order::{ControlState, Lookup, Records, chain, mandate_revoked};
use writ_tlog::{Hash, LeafIndex};

/// A mandate, and how often it was used.
#[derive(Clone, Debug)]
pub struct Mandated {
    /// Its index.
    pub index: LeafIndex,
    /// Its entry hash.
    pub entry: Hash,
    /// What it says.
    pub mandate: Mandate,
    /// How many executions were granted under it, and under those below it, where it counts them.
    pub drawn: Option<u64>,
}

impl Reader {
    /// The mandate at an index; nothing where there is none.
    pub fn mandated(&self, index: LeafIndex) -> Result<Option<Mandated>, LedgerError> {
        let Some(stored) = self.entry(index)? else { return Ok(None) };
        let Some(mandate) = store::mandate(self.connection(), self.origin(), index, &stored.hash)? else {
            return Ok(None);
        };
        let counter = mandate.counter(&stored.hash).map_err(|error| LedgerError::inconsistent(error.to_string()))?;
        let drawn = match counter {
            None => None,
            Some((counter, _)) => match self.records().drawn(&counter)? {
                Lookup::Found(drawn) => Some(drawn),
                Lookup::Absent | Lookup::Unknown => Some(0),
            },
        };
        Ok(Some(Mandated { index, entry: stored.hash, mandate, drawn }))
    }

    /// A mandate with those above it, itself first; nothing, where it is not recorded here.
    pub fn mandate_chain(&self, named: &EntryRef) -> Result<Option<Vec<(EntryRef, Mandate)>>, LedgerError> {
        Ok(match chain(self.origin(), &self.records(), named)? {
            Lookup::Found(chain) => Some(chain),
            Lookup::Absent | Lookup::Unknown => None,
        })
    }

    /// The entry that revokes a mandate, one above it, or whoever gave them, as far as a control state says.
    pub fn mandate_revoked(&self, control: &ControlState, named: &EntryRef) -> Result<Option<LeafIndex>, LedgerError> {
        mandate_revoked(control, &self.records(), named)
    }

    /// The mandates that have not ended, the newest first, `most` of them at most.
    pub fn mandates(&self, now_ms: u64, most: u64) -> Result<Vec<LeafIndex>, LedgerError> {
        let query = "SELECT idx FROM mandate WHERE until_ms > ?1 ORDER BY idx DESC LIMIT ?2";
        let mut query = self.connection().prepare_cached(query)?;
        let found = query.query_map((sql(now_ms), sql(most)), |row| row.get::<_, i64>(0))?;
        found.map(|index| Ok(LeafIndex::new(unsql(index?)?))).collect()
    }
}
