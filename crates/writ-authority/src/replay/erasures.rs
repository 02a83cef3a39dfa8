//! Erasures, derived again: they were permitted, for just what the entries say of the values.

use super::{Derived, Run, Subject, Verdict};
use crate::erase::values;
use writ_ledger::audit::Audited;
use writ_protocol::entry::Erasure;

impl Run {
    pub(super) fn erasure(&self, erasure: &Erasure, audited: &Audited) -> Result<Derived, Verdict> {
        let derived = self.order(&Subject {
            values: &audited.values,
            policy: &erasure.policy,
            facts: erasure.facts,
            action: erasure.action.digest,
            principal: &erasure.by,
            // Orders come from outside every governed tree.
            cause: None,
            time_ms: erasure.time_ms,
        })?;
        let entry = |index: u64| audited.named.iter().find(|(at, _)| at.get() == index).map(|(_, body)| body);
        match derived.facts.values == values(&erasure.erased, entry) {
            true => Ok(derived),
            false => Err(Verdict::differs("it was decided on other values than it names")),
        }
    }
}
