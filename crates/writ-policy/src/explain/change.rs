//! The smallest change of a request that would be permitted. Clauses propose edits; whether an edited request is permitted is not reasoned
//! about, it is decided. So what is said here is always true, and silence says only that nothing was found.

use super::reads::json;
use super::{Explanation, Role, Told};
use crate::clause::Effect;
use crate::decide::decide;
use crate::decision::{Decision, Deny};
use crate::facts::Facts;
use crate::policy_set::PolicySet;
use std::collections::BTreeSet;
use writ_protocol::Name;
use writ_protocol::action::Action;

mod edit;
mod wishes;

pub use edit::{Edit, Wanted};

/// So many changes are told, all of them smallest.
const CHANGES_MAX: usize = 3;

/// What can be said of how a denied request would be permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Each of these changes makes it a request that is permitted; none with fewer edits was found.
    Changes(Vec<Change>),
    /// No permit's scope covers this principal, action and resource.
    NoScope,
    /// Nothing that was tried would be permitted.
    NotFound {
        /// How many changed requests were decided.
        tried: usize,
        /// Forbids that hold whatever the permits say.
        forbids: Vec<Name>,
    },
    /// A policy fails for this request, and nothing that was tried keeps it from failing.
    Fails {
        /// How many changed requests were decided.
        tried: usize,
    },
    /// The engine could not be asked at all.
    Obstructed,
}

/// A change of the request, and what would permit it then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What is done to the request, all of it together.
    pub edits: Vec<Edit>,
    /// The permits that would determine the decision.
    pub permits: Vec<Name>,
}

/// What to say of a decision; nothing of a permit, and of a hold its own approvals say it.
pub(super) fn remedy(
    set: &PolicySet,
    action: &Action,
    facts: &Facts,
    told: &Explanation,
    tries_max: usize,
) -> Option<Remedy> {
    let Decision::Deny(deny) = &told.decision else { return None };
    let mut search = Search { set, action, facts, left: tries_max, tried: 0 };
    let candidates = candidates(&told.policies);
    let found = search.singles(&candidates).or_else(|| search.pairs(&candidates));
    Some(match found {
        Some(changes) => Remedy::Changes(changes),
        None => search.silence(told, deny),
    })
}

/// The edits that the clauses of policies suggest. It does not matter which way round a clause must come out: what does not help is not permitted.
fn candidates(policies: &[Told]) -> Vec<Edit> {
    let mut edits = BTreeSet::new();
    for told in policies {
        let stands_in_the_way = match (told.role, told.clause.effect) {
            (Role::Near, Effect::Permit) | (Role::Determining | Role::Failed, _) => true,
            (Role::Near, Effect::Forbid) | (Role::Overruled, _) => false,
        };
        if stands_in_the_way {
            let clauses = told.parts().into_iter().filter_map(|part| json(&part.text));
            clauses.for_each(|json| wishes::of(&json, &mut edits));
        }
    }
    edits.into_iter().collect()
}

struct Search<'a> {
    set: &'a PolicySet,
    action: &'a Action,
    facts: &'a Facts,
    left: usize,
    tried: usize,
}

impl Search<'_> {
    fn singles(&mut self, candidates: &[Edit]) -> Option<Vec<Change>> {
        let found = candidates.iter().filter_map(|edit| self.attempt(&[edit])).collect();
        smallest(found)
    }

    fn pairs(&mut self, candidates: &[Edit]) -> Option<Vec<Change>> {
        let pairs = candidates.iter().enumerate().flat_map(|(at, one)| {
            // An attribute is changed once.
            candidates.iter().skip(at + 1).filter(|other| other.attribute() != one.attribute()).map(move |it| [one, it])
        });
        let found =
            pairs.map_while(|pair| if self.left == 0 { None } else { Some(self.attempt(&pair)) }).flatten().collect();
        smallest(found)
    }

    /// The change, if the edited request is another one and is permitted.
    fn attempt(&mut self, edits: &[&Edit]) -> Option<Change> {
        let (mut action, mut facts) = (self.action.clone(), self.facts.clone());
        for edit in edits {
            let before = (action.clone(), facts.clone());
            edit.apply(&mut action, &mut facts)?;
            if before == (action.clone(), facts.clone()) {
                return None;
            }
        }
        self.left = self.left.checked_sub(1)?;
        self.tried += 1;
        match decide(self.set, &action, &facts) {
            Decision::Permit(permit) => {
                let edits = edits.iter().map(|edit| (*edit).clone()).collect();
                Some(Change { edits, permits: permit.reasons })
            }
            Decision::Hold(_) | Decision::Deny(_) => None,
        }
    }

    fn silence(&self, told: &Explanation, deny: &Deny) -> Remedy {
        let permits = told.policies.iter().any(|told| told.clause.effect == Effect::Permit);
        if !deny.errors.is_empty() {
            return Remedy::Fails { tried: self.tried };
        }
        if deny.reasons.is_empty() && !permits && told.near_more == 0 {
            return Remedy::NoScope;
        }
        Remedy::NotFound { tried: self.tried, forbids: deny.reasons.clone() }
    }
}

/// The first few, those whose edits ask least of whoever asks before the others.
fn smallest(mut found: Vec<Change>) -> Option<Vec<Change>> {
    found.sort();
    found.truncate(CHANGES_MAX);
    if found.is_empty() { None } else { Some(found) }
}
