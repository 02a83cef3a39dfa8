//! Records in memory that are complete, and records that cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use writ_protocol::entry::{Grant, Mandate, Positive};
use writ_protocol::order::{Carrier, Execution, Lookup, OpenHold, Records};
use writ_protocol::{ExecutionId, Label, Name};
use writ_tlog::{Hash, LeafIndex};

/// Everything that was recorded: what is not here is not there.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) grants: BTreeMap<(LeafIndex, Hash), Grant>,
    pub(crate) executions: BTreeMap<ExecutionId, Execution>,
    pub(crate) spent: BTreeMap<(LeafIndex, Positive), ExecutionId>,
    pub(crate) holds: BTreeMap<(LeafIndex, Hash), OpenHold>,
    pub(crate) mandates: BTreeMap<(LeafIndex, Hash), Mandate>,
    pub(crate) drawn: BTreeMap<Name, u64>,
    /// What each lineage carries, by the entry hash of its origin.
    pub(crate) labels: BTreeMap<Hash, Vec<Label>>,
    pub(crate) last_seq: BTreeMap<(Name, Positive), u64>,
    pub(crate) ids: BTreeSet<[u8; 16]>,
    pub(crate) commitments: BTreeSet<(LeafIndex, Hash)>,
}

fn found<T: Clone>(found: Option<&T>) -> Result<Lookup<T>, Infallible> {
    Ok(found.cloned().map_or(Lookup::Absent, Lookup::Found))
}

impl Records for Known {
    type Error = Infallible;

    fn grant(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<Grant>, Infallible> {
        found(self.grants.get(&(at, *entry)))
    }

    fn execution(&self, id: &ExecutionId) -> Result<Lookup<Execution>, Infallible> {
        found(self.executions.get(id))
    }

    fn spent(&self, grant: LeafIndex, usage: Positive) -> Result<Lookup<ExecutionId>, Infallible> {
        found(self.spent.get(&(grant, usage)))
    }

    fn open_hold(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<OpenHold>, Infallible> {
        found(self.holds.get(&(at, *entry)))
    }

    fn mandate(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<Mandate>, Infallible> {
        found(self.mandates.get(&(at, *entry)))
    }

    fn drawn(&self, counter: &Name) -> Result<Lookup<u64>, Infallible> {
        found(self.drawn.get(counter))
    }

    fn labels(&self, of: &Carrier) -> Result<Lookup<Vec<Label>>, Infallible> {
        match of {
            Carrier::Lineage(origin) => found(self.labels.get(origin)),
            // The rules of order ask this of nobody: it is for read sets.
            Carrier::OpenWorkOf(_) => Ok(Lookup::Unknown),
        }
    }

    fn last_seq(&self, gateway: &Name, epoch: Positive) -> Result<Lookup<u64>, Infallible> {
        found(self.last_seq.get(&(gateway.clone(), epoch)))
    }

    fn id(&self, id: &[u8; 16]) -> Result<Lookup<()>, Infallible> {
        found(self.ids.contains(id).then_some(&()))
    }

    fn commitment(&self, at: LeafIndex, commitment: &Hash) -> Result<Lookup<()>, Infallible> {
        found(self.commitments.contains(&(at, *commitment)).then_some(&()))
    }
}

/// Records on a disk that fails.
pub(crate) struct Unreadable;

impl Records for Unreadable {
    type Error = &'static str;

    fn grant(&self, _at: LeafIndex, _entry: &Hash) -> Result<Lookup<Grant>, &'static str> {
        Err("grant")
    }

    fn execution(&self, _id: &ExecutionId) -> Result<Lookup<Execution>, &'static str> {
        Err("execution")
    }

    fn spent(&self, _grant: LeafIndex, _usage: Positive) -> Result<Lookup<ExecutionId>, &'static str> {
        Err("spent")
    }

    fn open_hold(&self, _at: LeafIndex, _entry: &Hash) -> Result<Lookup<OpenHold>, &'static str> {
        Err("open_hold")
    }

    fn mandate(&self, _at: LeafIndex, _entry: &Hash) -> Result<Lookup<Mandate>, &'static str> {
        Err("mandate")
    }

    fn drawn(&self, _counter: &Name) -> Result<Lookup<u64>, &'static str> {
        Err("drawn")
    }

    fn labels(&self, _of: &Carrier) -> Result<Lookup<Vec<Label>>, &'static str> {
        Err("labels")
    }

    fn last_seq(&self, _gateway: &Name, _epoch: Positive) -> Result<Lookup<u64>, &'static str> {
        Err("last_seq")
    }

    fn id(&self, _id: &[u8; 16]) -> Result<Lookup<()>, &'static str> {
        Err("id")
    }

    fn commitment(&self, _at: LeafIndex, _commitment: &Hash) -> Result<Lookup<()>, &'static str> {
        Err("commitment")
    }
}
