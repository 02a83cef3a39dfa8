use crate::entry::{Grant, Mandate, Positive};
use crate::id::ExecutionId;
use crate::name::{Label, Name};
use crate::order::{Carrier, Execution, Lookup, OpenHold, Records};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use writ_tlog::{Hash, LeafIndex};

/// What the entries of one bundle say. It never claims that something does not exist in the ledger, except what the story itself excludes.
#[derive(Default)]
pub(super) struct StoryRecords {
    /// Every index walked so far: what stands there is known, and if it is no grant there is none.
    pub(super) walked: BTreeSet<LeafIndex>,
    pub(super) grants: BTreeMap<LeafIndex, (Hash, Grant)>,
    /// Holds that nothing in the story has resolved yet.
    pub(super) holds: BTreeMap<LeafIndex, (Hash, OpenHold)>,
    pub(super) mandates: BTreeMap<LeafIndex, (Hash, Mandate)>,
    pub(super) executions: BTreeMap<ExecutionId, Execution>,
    /// Executions in the order of their beginning.
    pub(super) order: Vec<ExecutionId>,
    pub(super) spent: BTreeMap<(LeafIndex, Positive), ExecutionId>,
    pub(super) ids: BTreeSet<[u8; 16]>,
}

impl StoryRecords {
    pub(super) fn begin(&mut self, execution: Execution, usage: Positive) {
        self.spent.insert((execution.grant, usage), execution.id);
        self.order.push(execution.id);
        self.executions.insert(execution.id, execution);
    }
}

impl Records for StoryRecords {
    type Error = Infallible;

    fn grant(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<Grant>, Infallible> {
        Ok(match self.grants.get(&at) {
            Some((hash, grant)) if hash == entry => Lookup::Found(grant.clone()),
            Some(_) => Lookup::Absent,
            None if self.walked.contains(&at) => Lookup::Absent,
            None => Lookup::Unknown,
        })
    }

    fn execution(&self, id: &ExecutionId) -> Result<Lookup<Execution>, Infallible> {
        Ok(self.executions.get(id).cloned().map_or(Lookup::Unknown, Lookup::Found))
    }

    fn spent(&self, grant: LeafIndex, usage: Positive) -> Result<Lookup<ExecutionId>, Infallible> {
        Ok(self.spent.get(&(grant, usage)).copied().map_or(Lookup::Unknown, Lookup::Found))
    }

    fn open_hold(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<OpenHold>, Infallible> {
        Ok(match self.holds.get(&at) {
            Some((hash, open)) if hash == entry => Lookup::Found(open.clone()),
            Some(_) => Lookup::Absent,
            None if self.walked.contains(&at) => Lookup::Absent,
            None => Lookup::Unknown,
        })
    }

    fn mandate(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<Mandate>, Infallible> {
        Ok(match self.mandates.get(&at) {
            Some((hash, mandate)) if hash == entry => Lookup::Found(mandate.clone()),
            Some(_) => Lookup::Absent,
            None if self.walked.contains(&at) => Lookup::Absent,
            None => Lookup::Unknown,
        })
    }

    fn drawn(&self, _counter: &Name) -> Result<Lookup<u64>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn labels(&self, _of: &Carrier) -> Result<Lookup<Vec<Label>>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn last_seq(&self, _gateway: &Name, _epoch: Positive) -> Result<Lookup<u64>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn id(&self, id: &[u8; 16]) -> Result<Lookup<()>, Infallible> {
        Ok(if self.ids.contains(id) { Lookup::Found(()) } else { Lookup::Unknown })
    }

    fn commitment(&self, _at: LeafIndex, _commitment: &Hash) -> Result<Lookup<()>, Infallible> {
        Ok(Lookup::Unknown)
    }
}
