//! What has begun and not ended, as far as the record goes: a gateway that died without its machine has left something open that runs no more.

use crate::error::LedgerError;
use crate::reader::Reader;
use crate::store::unsql;
use writ_protocol::entry::{Grant, Target};
use writ_protocol::order::{ControlState, Execution, ExecutionState, revoked};
use writ_protocol::statement::Signed;
use writ_protocol::{Body, ExecutionId};
use writ_tlog::LeafIndex;

/// An execution that has begun and not ended on the record.
#[derive(Clone, Debug)]
pub struct Unended {
    /// Which, and how far it has come.
    pub execution: Execution,
    /// The entry with which it began: its grant, or the use of it.
    pub begun: LeafIndex,
    /// When that was, as that entry says.
    pub since_ms: u64,
    /// What it was granted.
    pub grant: Grant,
}

impl Reader {
    /// How many executions have begun and not ended.
    pub fn unended_count(&self) -> Result<u64, LedgerError> {
        let query = "SELECT count(*) FROM execution WHERE state != 'ended'";
        unsql(self.connection().prepare_cached(query)?.query_row([], |row| row.get(0))?)
    }

    /// These executions, the oldest first.
    pub fn unended(&self) -> Result<Vec<Unended>, LedgerError> {
        let query = "SELECT id, begun_idx FROM execution WHERE state != 'ended' ORDER BY begun_idx";
        let rows = self
            .connection()
            .prepare_cached(query)?
            .query_map([], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, i64>(1)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        let each = rows.into_iter().map(|(id, begun)| {
            // One that has ended in between is left out.
            let open = self.execution(&ExecutionId::from_bytes(id))?;
            let open = open.filter(|found| !matches!(found.state, ExecutionState::Ended(_)));
            let begun = LeafIndex::new(unsql(begun)?);
            open.map(|execution| self.unended_one(execution, begun)).transpose()
        });
        each.filter_map(Result::transpose).collect()
    }

    fn unended_one(&self, execution: Execution, begun: LeafIndex) -> Result<Unended, LedgerError> {
        let at = execution.grant;
        let Body::Grant(grant) = self.require(at)?.decode(self.origin())?.body else {
            return Err(LedgerError::inconsistent(format!("entry {at} is no grant, a projection says so")));
        };
        let since_ms = if begun == at { grant.time_ms } else { self.stated_ms(begun)? };
        Ok(Unended { execution, begun, since_ms, grant })
    }

    fn stated_ms(&self, at: LeafIndex) -> Result<u64, LedgerError> {
        let body = self.require(at)?.decode(self.origin())?.body;
        Ok(Signed::decode(body.statement().unwrap_or_default())?.gateway_claims(self.origin())?.time_ms)
    }

    /// The entry that revokes what an execution rests on, as far as a control state says: its grant, whatever that rests on, or its gateway.
    pub fn unended_revoked(&self, control: &ControlState, of: &Unended) -> Result<Option<LeafIndex>, LedgerError> {
        let Execution { writ, gateway, .. } = &of.execution;
        let by_grant = revoked(control, &self.records(), Some(writ), &of.grant)?;
        let key =
            control.gateway(gateway).and_then(|known| known.key()).map(|key| Target::Key(key.key().fingerprint()));
        let by_gateway = [Some(Target::Gateway(gateway.clone())), key].into_iter().flatten();
        Ok(by_gateway.filter_map(|target| control.revoked(&target)).chain(by_grant).min())
    }
}
