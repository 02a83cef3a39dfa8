use std::collections::BTreeMap;
use writ_protocol::ExecutionId;
use writ_tlog::Hash;

/// What executions did to the world. Nothing that crashes takes an effect back.
#[derive(Clone, Debug, Default)]
pub struct Effects(BTreeMap<(Hash, u64), Vec<ExecutionId>>);

impl Effects {
    /// A use of a writ has had its effect, as this execution.
    pub fn happen(&mut self, writ: Hash, usage: u64, execution: ExecutionId) {
        self.0.entry((writ, usage)).or_default().push(execution);
    }

    /// The executions of each use, by writ and number.
    pub fn of_uses(&self) -> impl Iterator<Item = (&(Hash, u64), &[ExecutionId])> {
        self.0.iter().map(|(of, executions)| (of, executions.as_slice()))
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}
