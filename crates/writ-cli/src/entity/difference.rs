//! What lies between the entities in force and those of a file, and in which steps one gets from here to there: each step leaves entities
//! that are complete.

use std::collections::BTreeMap;
use writ_protocol::cbor::Encode;
use writ_protocol::entities::{ENTITY_CHANGE_BYTES_MAX, EntityRecord, EntityUid};
use writ_server::EntitySnapshot;

/// A step leaves room for what every change has besides.
const STEP_BYTES_MAX: usize = ENTITY_CHANGE_BYTES_MAX - 64 * 1024;

/// What a file changes.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) added: Vec<EntityRecord>,
    pub(super) changed: Vec<EntityRecord>,
    pub(super) removed: Vec<EntityUid>,
}

/// One order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Step {
    pub(super) put: Vec<EntityRecord>,
    pub(super) removed: Vec<EntityUid>,
    bytes: usize,
}

impl Difference {
    pub(super) fn between(now: &EntitySnapshot, then: &EntitySnapshot) -> Self {
        let mut difference = Self::default();
        for record in then.records() {
            match now.get(record.uid()) {
                None => difference.added.push(record.clone()),
                Some(before) if before != record => difference.changed.push(record.clone()),
                Some(_) => {}
            }
        }
        let gone = now.records().into_iter().filter(|record| then.get(record.uid()).is_none());
        difference.removed = gone.map(|record| record.uid().clone()).collect();
        difference
    }

    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// What is added, what it is in before itself; then what changes, which may be in it; and last what goes, which nothing names any more.
    pub(super) fn steps(self, now: &EntitySnapshot) -> Vec<Step> {
        let mut steps = vec![Step::default()];
        for record in parents_first(self.added).into_iter().chain(self.changed) {
            room(&mut steps, record.to_cbor().len()).put.push(record);
        }
        let mut gone: Vec<EntityRecord> = self.removed.iter().filter_map(|uid| now.get(uid)).cloned().collect();
        gone = parents_first(gone);
        // Members before what they are in.
        for record in gone.into_iter().rev() {
            room(&mut steps, record.uid().to_cbor().len()).removed.push(record.uid().clone());
        }
        steps
    }
}

/// The step that has room for so many bytes more.
fn room(steps: &mut Vec<Step>, bytes: usize) -> &mut Step {
    let step = match steps.pop() {
        Some(last) if last.bytes == 0 || last.bytes + bytes <= STEP_BYTES_MAX => last,
        full => {
            steps.extend(full);
            Step::default()
        }
    };
    let step = steps.push_mut(step);
    step.bytes += bytes;
    step
}

/// Each after what it is in, as far as that is among them. A circle stays as it is, and is refused.
fn parents_first(records: Vec<EntityRecord>) -> Vec<EntityRecord> {
    let mut left: BTreeMap<EntityUid, EntityRecord> =
        records.into_iter().map(|record| (record.uid().clone(), record)).collect();
    let mut ordered = Vec::with_capacity(left.len());
    while let Some((_, first)) = left.pop_first() {
        // Whatever is open has been taken out, so that nothing is opened twice.
        let mut open = vec![first];
        while let Some(record) = open.pop() {
            match record.parents().iter().find_map(|parent| left.remove(parent)) {
                Some(parent) => open.extend([record, parent]),
                None => ordered.push(record),
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, parents: &[&str]) -> EntityRecord {
        let uid = |id: &str| EntityUid::new("Group", id).unwrap();
        EntityRecord::new(uid(id), parents.iter().map(|id| uid(id)).collect(), Vec::new(), Vec::new()).unwrap()
    }

    fn ids(records: &[EntityRecord]) -> Vec<&str> {
        records.iter().map(|record| record.uid().id()).collect()
    }

    #[test]
    fn what_something_is_in_comes_before_it() {
        let records = vec![record("a", &["b", "c"]), record("b", &["c"]), record("c", &[]), record("d", &["a", "x"])];
        let ordered = parents_first(records);
        assert_eq!(ids(&ordered), ["c", "b", "a", "d"]);
    }

    #[test]
    fn a_circle_comes_to_an_end() {
        let ordered = parents_first(vec![record("a", &["b"]), record("b", &["a"]), record("c", &["c"])]);
        assert_eq!(ordered.len(), 3);
    }

    #[test]
    fn no_step_is_larger_than_a_change_may_be() {
        let long = "x".repeat(4_000);
        let added: Vec<EntityRecord> = (0..3_000).map(|at| record(&format!("{at}-{long}"), &[])).collect();
        let steps = Difference { added, ..Difference::default() }.steps(&EntitySnapshot::default());
        assert!(steps.len() > 2);
        assert!(steps.iter().all(|step| step.bytes <= STEP_BYTES_MAX && !step.put.is_empty()));
        assert_eq!(steps.iter().map(|step| step.put.len()).sum::<usize>(), 3_000);
    }
}
