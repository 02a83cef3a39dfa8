//! Approvals: a forbid that names groups with `@approval` forbids until enough of them have approved (`docs/decisions/0029`).
//!
//! What stands in the annotation is made a condition of the policy itself before the engine reads it, so that whoever decides, proves or
//! explains sees one and the same thing: `unless { context has approvals && context.approvals.containsAll(["2 of approvers"]) }`. What is no
//! execution has no approvals, and stays forbidden.

use crate::annotation::decimal;
use crate::facts::Facts;
use crate::policy_set::PolicySet;
use cedar_policy::EntityUid;
use std::collections::{BTreeMap, BTreeSet};
use writ_protocol::Name;
use writ_protocol::entry::{AssertedPrincipal, Need, Positive};

/// How long approvals are waited for, where no forbid says otherwise.
pub const WITHIN_MS: u64 = 3_600_000;
/// More approvals of one group, or groups of one forbid, are never asked.
pub const APPROVALS_MAX: u64 = 16;

/// Whose approval lifts a forbid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Approvals {
    /// Ascending by group, each group once.
    pub(crate) needs: Vec<Need>,
    /// How long it is waited for.
    pub(crate) within_ms: u64,
}

/// Reads `approvers` or `2 of approvers, 1 of security`.
pub(crate) fn needs(text: &str) -> Option<Vec<Need>> {
    let mut needs = text.split(',').map(|one| need(one.trim_matches(' '))).collect::<Option<Vec<_>>>()?;
    needs.sort_by(|a, b| a.group.cmp(&b.group));
    let each_once = needs.is_sorted_by(|a, b| a.group < b.group);
    let few = u64::try_from(needs.len()).is_ok_and(|found| found <= APPROVALS_MAX);
    (each_once && few).then_some(needs)
}

fn need(text: &str) -> Option<Need> {
    let (count, group) = match text.split_once(" of ") {
        None => (1, text),
        Some((count, group)) => (decimal(count)?, group),
    };
    let count = Positive::new(count).filter(|count| count.get() <= APPROVALS_MAX)?;
    let plain = !group.is_empty() && group.chars().all(|c| !c.is_whitespace() && c != ',');
    Some(Need { count, group: Name::new(group).ok().filter(|_| plain)? })
}

impl Approvals {
    /// What policies read once all of them are there.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        self.needs.iter().flat_map(|need| (1..=need.count.get()).map(|count| word(count, &need.group)))
    }

    /// The policy as the engine reads it: the annotation is a condition of it.
    pub(crate) fn lift(&self, source: &str) -> String {
        let asked: Vec<String> =
            self.needs.iter().map(|need| format!("{:?}", word(need.count.get(), &need.group))).collect();
        let written = source.strip_suffix(';').unwrap_or(source);
        // On a line of its own: what is written may end with a comment.
        format!(
            "{written}\nunless {{ context has approvals && context.approvals.containsAll([{}]) }};",
            asked.join(", ")
        )
    }
}

/// How policies read that so many of a group have approved.
fn word(count: u64, group: &Name) -> String {
    format!("{count} of {group}")
}

/// What `context.approvals` holds: for each group in which somebody has approved, one text for each count up to how many have. Nobody
/// approves what they ask themselves.
pub(crate) fn words(set: &PolicySet, facts: &Facts) -> BTreeSet<String> {
    let approvers = facts.approvals.iter().filter(|approver| **approver != facts.principal);
    let mut counts: BTreeMap<Name, u64> = BTreeMap::new();
    for approver in approvers {
        for group in groups_of(set, approver) {
            *counts.entry(group).or_default() += 1;
        }
    }
    let each = counts.iter().flat_map(|(group, count)| (1..=*count).map(move |count| word(count, group)));
    each.collect()
}

/// The groups that a principal is in, at any remove.
pub(crate) fn groups_of(set: &PolicySet, principal: &AssertedPrincipal) -> BTreeSet<Name> {
    let Ok(uid) = set.uids.principal(principal) else { return BTreeSet::new() };
    let named = |group: &EntityUid| {
        let is_group = group.type_name().to_string() == "Group";
        is_group.then(|| Name::new(group.id().unescaped()).ok()).flatten()
    };
    let mut groups = BTreeSet::new();
    set.store.each_ancestor(&uid, |group| groups.extend(named(group)));
    groups
}

impl PolicySet {
    /// The groups that a principal is in, ascending.
    pub fn groups_of(&self, principal: &AssertedPrincipal) -> BTreeSet<Name> {
        groups_of(self, principal)
    }
}
