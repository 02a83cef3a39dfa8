//! What was decided under mandates, and of mandates themselves.

use super::{Derived, Run, Subject, Verdict};
use crate::mandate::Under;
use writ_ledger::Kept;
use writ_protocol::entry::{EntryRef, MANDATES_MAX, Mandate};
use writ_tlog::Hash;

impl Run {
    /// Takes in a mandate.
    pub(crate) fn given(&mut self, index: u64, mandate: &Mandate) {
        self.mandates.insert(index, mandate.clone());
    }

    /// The mandate that an entry names, with those above it. The audit has judged that they are all there.
    pub(crate) fn under(&self, named: Option<&EntryRef>) -> Option<Under> {
        let mut chain = Vec::new();
        let mut next = named.cloned();
        while chain.len() < MANDATES_MAX
            && let Some(named) = next.take()
        {
            let mandate = self.mandates.get(&named.index)?;
            next.clone_from(&mandate.parent);
            chain.push((named, mandate.clone()));
        }
        Under::of(chain)
    }

    /// A mandate was permitted, and its order is the one that it records; that it narrows the one above is the audit's to judge.
    pub(super) fn mandate(&self, mandate: &Mandate, values: &[(Hash, Kept)]) -> Result<Derived, Verdict> {
        self.order(&Subject {
            values,
            policy: &mandate.policy,
            facts: mandate.facts,
            action: mandate.action.digest,
            principal: &mandate.by,
            // Orders come from outside every governed tree.
            cause: None,
            time_ms: mandate.time_ms,
        })
    }
}
