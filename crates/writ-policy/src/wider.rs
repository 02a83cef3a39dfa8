//! How one set may be wider than another beside what its policies permit: on looser terms, or for others. No solver is needed to see
//! that; it is told whenever it may be so.

use crate::policy_set::{Compiled, PolicySet};
use crate::terms::{BudgetTerm, PermitTerms};
use crate::{Clause, Effect};
use cedar_policy::Policy;
use std::collections::BTreeMap;
use writ_protocol::Name;

/// A permit on terms that are looser than those of one that was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looser {
    /// The permit.
    pub policy: Name,
    /// The one that was there before, and is gone, changed, or on other terms.
    pub than: Name,
    /// Which term is looser.
    pub what: &'static str,
}

impl PolicySet {
    /// The permits by which something could be permitted on looser terms than before. Where several permits hold the strictest terms
    /// count, so it takes a permit of the older set that does not hold as it did; and then any looser one may be what is left.
    pub fn looser_than(&self, older: &Self) -> Vec<Looser> {
        let (ours, theirs) = (self.meanings(), older.meanings());
        let is_kept = |id: &Name, compiled: &Compiled| {
            let same = |now: &Compiled| {
                // What the engine cannot write is not known to be the same.
                let meaning = ours.get(id).and_then(Option::as_ref);
                let is_same = meaning.is_some_and(|meaning| theirs.get(id).and_then(Option::as_ref) == Some(meaning));
                is_same && looser((id, &now.terms), (id, &compiled.terms)).is_none()
            };
            self.policies.get(id).is_some_and(same)
        };
        let permits = |set: &'_ Self| -> Vec<(Name, PermitTerms)> {
            let permits = set.policies.iter().filter(|(_, one)| one.clause.effect == Effect::Permit);
            permits.map(|(id, one)| (id.clone(), one.terms.clone())).collect()
        };
        let gone = older.policies.iter().filter(|(id, one)| one.clause.effect == Effect::Permit && !is_kept(id, one));
        let gone: Vec<(&Name, &Compiled)> = gone.collect();
        let found = permits(self).into_iter().filter_map(|(policy, terms)| {
            gone.iter().find_map(|(than, before)| {
                let what = looser((&policy, &terms), (than, &before.terms))?;
                Some(Looser { policy: policy.clone(), than: (*than).clone(), what })
            })
        });
        found.collect()
    }

    /// Whether entities and principals are the same.
    pub fn has_entities_of(&self, other: &Self) -> bool {
        // The engine's own comparison of entities looks at their names alone.
        self.store.own().deep_eq(other.store.own()) && self.principals == other.principals
    }

    /// Whether the schema is the same, byte for byte: another action in a group is permitted by a policy that has not changed.
    pub fn has_schema_of(&self, other: &Self) -> bool {
        self.own_schema == other.own_schema
    }

    /// Where a policy stands, for findings about it.
    pub fn place_of(&self, id: &str) -> Option<&Clause> {
        self.clause(&Name::new(id).ok()?)
    }

    fn meanings(&self) -> BTreeMap<Name, Option<String>> {
        let (_, policies) = self.engine();
        let named = policies.filter_map(|policy| Some((Name::new(policy.id().to_string()).ok()?, meaning(policy))));
        named.collect()
    }
}

/// What a policy says, without what it is called and on which terms; `None` where the engine cannot write it.
pub fn meaning(policy: &Policy) -> Option<String> {
    let mut json = policy.to_json().ok()?;
    json.as_object_mut()?.remove("annotations");
    Some(json.to_string())
}

/// Which of these terms is looser than that of the others.
fn looser((id, terms): (&Name, &PermitTerms), (other, others): (&Name, &PermitTerms)) -> Option<&'static str> {
    if terms.window_ms > others.window_ms {
        return Some("a longer window");
    }
    if terms.freeze_after_ms > others.freeze_after_ms || terms.kill_after_ms > others.kill_after_ms {
        return Some("a longer lease");
    }
    if others.sandbox.is_some() && terms.sandbox != others.sandbox {
        return Some("another sandbox, or none");
    }
    if others.labels.iter().any(|label| !terms.labels.contains(label)) {
        return Some("a label less");
    }
    // What was drawn is counted by the policy's id and the period: under others it would begin at nothing.
    let is_kept = |budget| id == other && terms.budget.is_some_and(|ours| is_within(ours, budget));
    if others.budget.is_some_and(|budget| !is_kept(budget)) {
        return Some("a larger budget, another one, or none");
    }
    None
}

/// Whether a budget never allows more than another: as much or less, counted alike.
fn is_within(ours: BudgetTerm, other: BudgetTerm) -> bool {
    ours.limit <= other.limit && ours.period == other.period
}
