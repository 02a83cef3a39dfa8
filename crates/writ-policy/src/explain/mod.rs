//! Why a decision came out as it did, clause by clause. It decides nothing: what was decided comes from [`decide`], and each clause is put to the
//! same engine, so that the clauses taken together say what the engine said of the policy.

mod change;
mod judge;
mod reads;
mod split;

pub use change::{Change, Edit, Remedy, Wanted};

use crate::clause::{Clause, Effect};
use crate::decide::decide;
use crate::decision::Decision;
use crate::facts::Facts;
use crate::index::Selection;
use crate::policy_set::PolicySet;
use crate::request::{Asked, Question};
use judge::Judge;
use std::sync::Arc;
use writ_protocol::Name;
use writ_protocol::action::Action;

/// How much an explanation may cost and say.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Policies that came near and are shown, beside those that determined the decision.
    pub near_max: usize,
    /// Policies whose clauses are looked at: so many that determined the decision, and so many others.
    pub judged_max: usize,
    /// Changed requests that are decided, to find one that would be permitted.
    pub tries_max: usize,
}

impl Depth {
    /// For whoever has time: a reader of the ledger.
    pub const FULL: Self = Self { near_max: 16, judged_max: 4_096, tries_max: 2_048 };
    /// For a node that answers a refusal.
    pub const ANSWER: Self = Self { near_max: 3, judged_max: 32, tries_max: 96 };
}

/// A decision, and what led to it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What was decided.
    pub decision: Decision,
    /// The policies that speak of the request: those that determined the decision, those that failed, those that were overruled,
    /// those that came near; each kind ascending by how far it was from speaking, then by id.
    pub policies: Vec<Told>,
    /// How many more came near, and are not shown.
    pub near_more: usize,
    /// How many permits have a scope that does not cover the request.
    pub elsewhere: usize,
    /// The first of those whose scope misses the request in one part only.
    pub missed: Vec<Missed>,
    /// What would have to be asked instead; of a denial alone.
    pub remedy: Option<Remedy>,
}

/// A policy, and what its clauses came to.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its id.
    pub id: Name,
    /// How it was written.
    pub clause: Clause,
    /// What it did in the decision.
    pub role: Role,
    /// What its clauses came to, taken together.
    pub truth: Truth,
    /// Its scope as written: principal, action, resource. It covers the request.
    pub scope: [String; 3],
    /// Its conditions, in order.
    pub conditions: Vec<Condition>,
}

/// What a policy did in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It determined the decision.
    Determining,
    /// It could not be evaluated, which denies.
    Failed,
    /// It applies, and a forbid or a failure stood against it.
    Overruled,
    /// Its scope covers the request and a condition is not met.
    Near,
}

impl Role {
    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Determining => "determining",
            Self::Failed => "failed",
            Self::Overruled => "overruled",
            Self::Near => "near",
        }
    }
}

/// What a clause came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It is so.
    Holds,
    /// It is not so.
    Fails,
    /// It could not be evaluated, and why.
    Error(String),
}

impl Truth {
    /// The stable string.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Error(_) => "error",
        }
    }

    fn not(self) -> Self {
        match self {
            Self::Holds => Self::Fails,
            Self::Fails => Self::Holds,
            Self::Error(why) => Self::Error(why),
        }
    }
}

/// A `when` or an `unless`.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Whether it is an `unless`, which must not hold.
    pub unless: bool,
    /// What is inside came to; of an `unless` the opposite is what the policy needs.
    pub truth: Truth,
    /// Whether the engine came to it: it stops at the first condition that is not met.
    pub reached: bool,
    /// What is inside.
    pub tree: Node,
}

/// How clauses are joined.
#[derive(Clone, Debug)]
pub enum Node {
    /// `&&`
    All(Vec<Node>),
    /// `||`
    Any(Vec<Node>),
    /// `!`
    Not(Box<Node>),
    /// One clause.
    One(Part),
}

/// One clause.
#[derive(Clone, Debug)]
pub struct Part {
    /// As it was written.
    pub text: String,
    /// The line of its file it begins on.
    pub line: usize,
    /// What it came to by itself.
    pub truth: Truth,
    /// Whether the engine came to it: it leaves out what can change nothing any more.
    pub reached: bool,
    /// What it read.
    pub reads: Vec<Read>,
}

/// An attribute that a clause reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// As policies name it: `context.arg1`.
    pub attribute: String,
    /// Its value in the engine's notation, cut where it is long; nothing where there is none.
    pub value: Option<String>,
}

/// A permit whose scope misses the request in one part only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Its id.
    pub id: Name,
    /// How it was written.
    pub file: String,
    /// Where it begins.
    pub line: usize,
    /// The part of its scope that does not hold, as written.
    pub part: String,
}

/// Of permits that miss in one part, so many are named.
const MISSED_MAX: usize = 5;

/// Decides, and says why. Pure, as [`decide`] is.
pub fn explain(set: &PolicySet, action: &Action, facts: &Facts, depth: Depth) -> Explanation {
    let decision = decide(set, action, facts);
    let mut told =
        Explanation { remedy: None, decision, policies: Vec::new(), near_more: 0, elsewhere: 0, missed: Vec::new() };
    let Ok(asked) = Asked::of(set, action, facts) else { return obstructed(told) };
    let scoped = set.index.scoped(&set.store, [&asked.principal, &asked.verb, &asked.resource]);
    let Ok(question) = Question::of(set, Arc::new(Selection::of_everything()), action, facts, asked) else {
        return obstructed(told);
    };
    let judge = Judge { set, question: &question };
    let named = determining(&told.decision);
    let mut others = Vec::new();
    for (policy, [principal, verb, resource]) in scoped {
        let Ok(id) = Name::new(policy.id().to_string()) else { continue };
        let Some(compiled) = set.policies.get(&id) else { continue };
        match (principal, verb, resource) {
            (true, true, true) if named.contains(&id) && told.policies.len() < depth.judged_max => {
                told.policies.push(judge.tell(&id, compiled))
            }
            (true, true, true) => others.push((id, compiled)),
            (_, _, _) => told.miss(&id, &compiled.clause, [principal, verb, resource]),
        }
    }
    let unseen = others.len().saturating_sub(depth.judged_max);
    told.policies.extend(others.into_iter().take(depth.judged_max).map(|(id, compiled)| judge.tell(&id, compiled)));
    told.sort(depth.near_max);
    told.near_more += unseen;
    told.remedy = change::remedy(set, action, facts, &told, depth.tries_max);
    told
}

/// Nothing could be asked: the error of the decision says why, and no clause was looked at.
fn obstructed(told: Explanation) -> Explanation {
    let remedy = matches!(told.decision, Decision::Deny(_)).then_some(Remedy::Obstructed);
    Explanation { remedy, ..told }
}

/// The policies that a decision names.
fn determining(decision: &Decision) -> Vec<Name> {
    match decision {
        Decision::Permit(permit) => permit.reasons.clone(),
        Decision::Hold(hold) => hold.reasons.clone(),
        Decision::Deny(deny) => {
            deny.reasons.iter().chain(deny.errors.iter().filter_map(|(policy, _)| policy.as_ref())).cloned().collect()
        }
    }
}

impl Explanation {
    fn miss(&mut self, id: &Name, clause: &Clause, holds: [bool; 3]) {
        if clause.effect != Effect::Permit {
            return;
        }
        self.elsewhere += 1;
        let missing: Vec<usize> = (0..3).filter(|part| !holds.get(*part).copied().unwrap_or_default()).collect();
        if let ([part], true) = (missing.as_slice(), self.missed.len() < MISSED_MAX) {
            let part = split::split(clause).scope.get(*part).cloned().unwrap_or_default();
            let (file, line) = (clause.file.clone(), clause.line);
            self.missed.push(Missed { id: id.clone(), file, line, part });
        }
    }

    /// Gives each policy its role, and keeps the nearest of those that are merely near.
    fn sort(&mut self, near_max: usize) {
        let denied = matches!(self.decision, Decision::Deny(_) | Decision::Hold(_));
        // Also one that is not named by the decision, since it names the first of very many.
        let determines = if denied { Effect::Forbid } else { Effect::Permit };
        for told in &mut self.policies {
            told.role = match &told.truth {
                Truth::Holds if told.clause.effect == determines => Role::Determining,
                Truth::Holds => Role::Overruled,
                Truth::Fails => Role::Near,
                Truth::Error(_) => Role::Failed,
            };
        }
        self.policies.sort_by_cached_key(|told| {
            // A denial wants permits, and a permit was threatened by forbids.
            let permits = told.clause.effect == Effect::Permit;
            (told.role, told.role == Role::Near && permits != denied, told.distance(), told.id.clone())
        });
        let near = self.policies.iter().filter(|told| told.role == Role::Near).count();
        self.near_more = near.saturating_sub(near_max);
        self.policies.truncate(self.policies.len() - self.near_more);
    }
}

impl Told {
    /// How many clauses would have to come out otherwise, so that the policy applies.
    pub(crate) fn distance(&self) -> usize {
        self.conditions.iter().map(|condition| condition.tree.distance(!condition.unless)).sum()
    }

    /// Its clauses, in order.
    pub fn parts(&self) -> Vec<&Part> {
        let mut parts = Vec::new();
        self.conditions.iter().for_each(|condition| condition.tree.parts(&mut parts));
        parts
    }
}

impl Node {
    /// How many clauses would have to come out otherwise, so that this is `wanted`.
    fn distance(&self, wanted: bool) -> usize {
        let each = |nodes: &[Self]| nodes.iter().map(|node| node.distance(wanted)).collect::<Vec<_>>();
        match (self, wanted) {
            (Self::All(nodes), true) | (Self::Any(nodes), false) => each(nodes).iter().sum(),
            (Self::All(nodes), false) | (Self::Any(nodes), true) => each(nodes).into_iter().min().unwrap_or(0),
            (Self::Not(node), _) => node.distance(!wanted),
            (Self::One(part), _) => usize::from(part.truth != if wanted { Truth::Holds } else { Truth::Fails }),
        }
    }

    fn parts<'a>(&'a self, found: &mut Vec<&'a Part>) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.parts(found)),
            Self::Not(node) => node.parts(found),
            Self::One(part) => found.push(part),
        }
    }
}
