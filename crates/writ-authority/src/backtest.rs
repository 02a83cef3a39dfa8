//! A candidate policy set tried against history: every recorded decision is decided again under it, and what would come out otherwise is
//! told by whom and what it would touch.
//!
//! It reads the store beside a running node and changes nothing. What cannot be decided again counts as undecided, and an undecided decision
//! is no proof that nothing changes (Invariant 2).

use crate::decision::Terms;
use crate::entities::recorded_entities;
use crate::error::AuthorityError;
use crate::lineage::carried;
use crate::replay::Replayed;
use crate::retold::Recorded;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use writ_ledger::{Decided, Kept, Reader, Ruled};
use writ_policy::{Decision, Deny, Facts, Permit, PolicySet, Semantics, Snapshot, decide, text_of_bytes};
use writ_protocol::action::{Action, Advice, Command, Party, QuestionText};
use writ_protocol::entry::{AssertedPrincipal, Grant, Limits, Obligation, Opinion, Policy, Principal};
use writ_protocol::{Code, Name};
use writ_tlog::Hash;

/// Entries that a worker takes at a time.
const STRETCH: u64 = 1_024;
/// The same for whoever goes back from the newest, and may have to stop soon.
const STRETCH_BACK: u64 = 256;
/// More workers than this gain nothing: one disk is read.
const WORKERS_MAX: usize = 8;
/// Of each group so many entries are named.
const EXAMPLES_MAX: usize = 5;
/// Groups that are told apart. Whoever asked chose what the resources are called, so there may be many.
const GROUPS_MAX: usize = 10_000;
/// Undecided decisions that are named.
const NAMED_MAX: usize = 100;

/// What a candidate set would make of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backtest {
    /// The digest of the candidate.
    pub set: Hash,
    /// The first entry that was gone through.
    pub first: u64,
    /// Entries of the ledger that were gone through.
    pub entries: u64,
    /// Decisions that were decided again.
    pub decided: u64,
    /// Of those, the ones that were asked in shadow, where nothing was enforced.
    pub shadow: u64,
    /// Of the ones decided again, those that come out the same, reasons and terms included.
    pub same: u64,
    /// Refusals that were made before policy was asked: no policy changes them.
    pub before_policy: u64,
    /// Decisions that rest on values that were erased, or cannot be read.
    pub undecided: u64,
    /// The first of them.
    pub not_decided: Vec<Replayed>,
    /// How many would come out otherwise, by how.
    pub counts: BTreeMap<Shift, u64>,
    /// What would come out otherwise: the largest groups of each kind first.
    pub changed: Vec<Changed>,
    /// Decisions that would come out otherwise and stand in no group, since there are too many groups.
    pub ungrouped: u64,
}

/// Decisions that would change in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// How.
    pub shift: Shift,
    /// Whether they were asked in shadow: what was decided is what would have been.
    pub shadow: bool,
    /// Who asked: `Agent::builder`.
    pub principal: String,
    /// What for: `exec`, `revoke`, `halt`.
    pub action: &'static str,
    /// On what: the path of the program, or `this` domain.
    pub resource: String,
    /// What was decided.
    pub was: Came,
    /// What the candidate decides.
    pub would: Came,
    /// How many.
    pub count: u64,
    /// The first of them, by index.
    pub examples: Vec<u64>,
    /// The last of them.
    pub last: u64,
}

/// How a decision would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shift {
    /// It was refused or held, and would be permitted.
    Permitted,
    /// It was permitted or held, and would be refused.
    Denied,
    /// It was permitted or refused, and would be held.
    Held,
    /// Refused either way, with another code.
    Code,
    /// It comes out the same, for other reasons.
    Reasons,
    /// It is permitted either way, on other terms.
    Terms,
}

impl Shift {
    /// Those by which somebody is answered otherwise.
    pub const ANSWERS: [Self; 3] = [Self::Permitted, Self::Denied, Self::Held];

    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "newly_permitted",
            Self::Denied => "newly_denied",
            Self::Held => "newly_held",
            Self::Code => "other_code",
            Self::Reasons => "other_reasons",
            Self::Terms => "other_terms",
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// How it came out.
    pub outcome: Recorded,
    /// The policies that determined it.
    pub reasons: Vec<Name>,
}

/// What a backtest comes to: a gate passes on the first alone, unless somebody accepted what changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every decision was decided again, and nobody would be answered otherwise.
    Unchanged,
    /// Every decision was decided again, and somebody would be answered otherwise.
    Changes,
    /// Something could not be decided again, so nobody knows.
    Undecided,
}

impl Backtest {
    /// How many decisions would change so.
    pub fn count(&self, shift: Shift) -> u64 {
        self.counts.get(&shift).copied().unwrap_or_default()
    }

    /// What it comes to. Other reasons or terms for the same answer are told, and change nobody's answer.
    pub fn verdict(&self) -> Verdict {
        if self.undecided > 0 {
            Verdict::Undecided
        } else if Shift::ANSWERS.iter().any(|shift| self.count(*shift) > 0) {
            Verdict::Changes
        } else {
            Verdict::Unchanged
        }
    }
}

/// Decides every recorded decision in `store` again under `candidate`. `progress` is told, from several threads, how many of how many entries
/// are done. Entries that are appended meanwhile are not looked at.
pub fn backtest(
    store: &Path,
    candidate: &Snapshot,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Backtest, AuthorityError> {
    let reader = Reader::open(store)?;
    let view = reader.view()?;
    // It would decide with the entities that are in force.
    let others = recorded_entities(&reader, view.control.entities())?;
    let (size, limits) = (view.size().get(), view.control.limits().clone());
    let (taken, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        // Sets that are compiled apart share nothing that two cores would wait for each other for.
        // As it would be in force. What was decided is compared as it is recorded, whatever it was decided by.
        let set = PolicySet::compile_with(candidate, Semantics::CURRENT, others.as_ref());
        let set = set.map_err(AuthorityError::Policy)?;
        let reader = Reader::open(store)?;
        let mut run = Run { set: &set, replaced: None, limits: &limits, found: Found::default() };
        loop {
            let first = taken.fetch_add(STRETCH, Ordering::Relaxed);
            if first >= size {
                return Ok::<_, AuthorityError>(run.found);
            }
            let end = first.saturating_add(STRETCH).min(size);
            reader.decisions(first..end, &mut |decided| run.decision(&decided))?;
            progress(done.fetch_add(end - first, Ordering::Relaxed) + (end - first), size);
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(WORKERS_MAX);
    let found = std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let joined = running.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    let all = found.into_iter().fold(Found::default(), Found::with);
    Ok(all.into_report(candidate.digest(), 0..size))
}

/// How far back somebody looks: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// So many of the newest entries.
    pub entries: u64,
    /// So many bytes of what was asked. Whoever asked chose how long it is.
    pub bytes: u64,
}

/// Decides the newest recorded decisions again under `candidate`, as far back as it is told, and holds them against what `replaced` decides:
/// that is what was recorded, where it was in force then. One thread reads and decides, the calling one.
pub(crate) fn newest(
    store: &Path,
    candidate: &PolicySet,
    replaced: &PolicySet,
    reach: Reach,
) -> Result<Backtest, AuthorityError> {
    let reader = Reader::open(store)?;
    let view = reader.view()?;
    let (size, limits) = (view.size().get(), view.control.limits().clone());
    let last_stretch = size.saturating_sub(reach.entries);
    let mut run = Run { set: candidate, replaced: Some(replaced), limits: &limits, found: Found::default() };
    let (mut first, mut bytes) = (size, 0);
    while first > last_stretch && bytes < reach.bytes {
        let start = first.saturating_sub(STRETCH_BACK).max(last_stretch);
        reader.decisions(start..first, &mut |decided| {
            bytes += length(&decided.action) + length(&decided.facts);
            run.decision(&decided);
        })?;
        first = start;
    }
    run.found.not_decided.sort_by_key(|one| one.index);
    Ok(run.found.into_report(*candidate.digest(), first..size))
}

fn length(kept: &Kept) -> u64 {
    match kept {
        Kept::Value(opening) => opening.value.len() as u64,
        Kept::Erased | Kept::Nothing => 0,
    }
}

/// Decisions are alike if they change alike.
type Key = (Shift, bool, String, &'static str, String, [&'static str; 2], [Vec<Name>; 2]);

#[derive(Default)]
struct Group {
    count: u64,
    examples: Vec<u64>,
    last: u64,
}

/// What a worker has found.
#[derive(Default)]
struct Found {
    decided: u64,
    shadow: u64,
    same: u64,
    before_policy: u64,
    counts: BTreeMap<Shift, u64>,
    undecided: u64,
    not_decided: Vec<Replayed>,
    groups: BTreeMap<Key, (Came, Came, Group)>,
    ungrouped: u64,
}

struct Run<'a> {
    set: &'a PolicySet,
    /// What is in force; where there is none, what was recorded is what the candidate is held against.
    replaced: Option<&'a PolicySet>,
    limits: &'a Limits,
    found: Found,
}

impl Run<'_> {
    fn decision(&mut self, decided: &Decided) {
        let (principal, outcome, policy) = match &decided.ruled {
            Ruled::Grant(grant) => (&grant.principal, Recorded::Permit, &grant.policy),
            Ruled::Denial(denial) => match &denial.policy {
                Some(policy) if denial.facts.is_some() => (&denial.principal, Recorded::Deny(denial.code), policy),
                Some(_) | None => return self.found.before_policy += 1,
            },
            Ruled::Hold(hold) => (&hold.principal, Recorded::Hold, &hold.policy),
            Ruled::Shadow(shadow) => (&shadow.principal, shadow.would.into(), &shadow.policy),
            // A search has no decision, and what it finds follows from those of its candidates.
            Ruled::Advised(advised) if advised.decision == Opinion::Searched => return,
            Ruled::Advised(advised) => (&advised.principal, advised.decision.into(), &advised.policy),
            Ruled::Order(order) => (&order.by, Recorded::Permit, &order.policy),
        };
        let (action, facts) = match read(decided) {
            Ok(read) => read,
            Err(what) => return self.found.not_decided(decided.index.get(), what),
        };
        self.found.decided += 1;
        let shadow = matches!(decided.ruled, Ruled::Shadow(_));
        self.found.shadow += u64::from(shadow);
        let derived = match self.replaced {
            Some(replaced) => answered(self.set, principal, &action, &facts, replaced),
            None => decide(self.set, &action, &facts),
        };
        let is_policys = !matches!(outcome, Recorded::Deny(code) if !by_policy(code));
        let (was, shift) = match self.replaced {
            // What was recorded is not what is in force now, or not what policy said.
            Some(replaced) if !is_policys || !decided_by(policy, replaced) => {
                let now = answered(replaced, principal, &action, &facts, replaced);
                let shift = between(&now, &derived);
                (came_of(now), shift)
            }
            Some(_) | None => {
                let was = Came { outcome, reasons: policy.reasons.as_slice().to_vec() };
                let shift = self.shift(decided, &was, &derived, &facts);
                (was, shift)
            }
        };
        match shift {
            None => self.found.same += 1,
            Some(shift) => {
                self.found.changed((shift, shadow), decided.index.get(), principal, &action, was, derived);
            }
        }
    }

    /// How the candidate's decision differs from what was recorded, if it does.
    fn shift(&self, decided: &Decided, was: &Came, derived: &Decision, facts: &Facts) -> Option<Shift> {
        match (was.outcome, derived) {
            (Recorded::Permit, Decision::Permit(permit)) => {
                if was.reasons != permit.reasons {
                    return Some(Shift::Reasons);
                }
                match &decided.ruled {
                    Ruled::Grant(grant) if self.same_terms(grant, permit, facts) => None,
                    // An order is carried out at once and has no terms, and what would be permitted has none on record.
                    Ruled::Order(_) | Ruled::Shadow(_) | Ruled::Advised(_) => None,
                    Ruled::Grant(_) | Ruled::Denial(_) | Ruled::Hold(_) => Some(Shift::Terms),
                }
            }
            (Recorded::Hold, Decision::Hold(held)) => {
                let recorded = match &decided.ruled {
                    Ruled::Hold(hold) => Some(&hold.needs),
                    Ruled::Grant(_) | Ruled::Denial(_) | Ruled::Shadow(_) | Ruled::Advised(_) | Ruled::Order(_) => None,
                };
                if was.reasons != held.reasons {
                    return Some(Shift::Reasons);
                }
                recorded.is_some_and(|needs| *needs != held.needs).then_some(Shift::Terms)
            }
            (Recorded::Deny(code), Decision::Hold(_)) if !by_policy(code) => None,
            (Recorded::Permit | Recorded::Deny(_), Decision::Hold(_)) => Some(Shift::Held),
            (Recorded::Permit | Recorded::Hold, Decision::Deny(_)) => Some(Shift::Denied),
            (Recorded::Hold, Decision::Permit(_)) => Some(Shift::Permitted),
            (Recorded::Searched, _) => None,
            // Policy permitted it then too, and the order of the ledger did not.
            (Recorded::Deny(code), Decision::Permit(_)) => by_policy(code).then_some(Shift::Permitted),
            (Recorded::Deny(code), Decision::Deny(_)) if !by_policy(code) => Some(Shift::Code),
            (Recorded::Deny(code), Decision::Deny(deny)) if code != deny.code => Some(Shift::Code),
            (Recorded::Deny(_), Decision::Deny(deny)) => (was.reasons != deny.reasons).then_some(Shift::Reasons),
        }
    }

    fn same_terms(&self, grant: &Grant, permit: &Permit, facts: &Facts) -> bool {
        let same_labels = carried(&facts.labels, &permit.terms.labels).is_ok_and(|labels| labels == grant.labels);
        Terms::of(permit, self.limits, facts.now_ms).is_ok_and(|terms| {
            let same_lease = terms.lease == grant.lease;
            if grant.cause.mandate.is_none() {
                let same = terms.window == grant.window && terms.obligations == grant.obligations;
                return same_labels && same_lease && same;
            }
            // What its mandate takes away stays taken: its window is within, and it draws from the mandate's counters besides.
            let within =
                terms.window.from_ms() <= grant.window.from_ms() && terms.window.until_ms() >= grant.window.until_ms();
            let drawn = terms.obligations.iter().flat_map(Obligation::draws).all(|draw| grant.draws().contains(draw));
            same_labels && same_lease && within && drawn
        })
    }
}

fn came_of(decision: Decision) -> Came {
    match decision {
        Decision::Permit(permit) => Came { outcome: Recorded::Permit, reasons: permit.reasons },
        Decision::Hold(hold) => Came { outcome: Recorded::Hold, reasons: hold.reasons },
        Decision::Deny(deny) => Came { outcome: Recorded::Deny(deny.code), reasons: deny.reasons },
    }
}

/// What a set would answer to whoever asked then: nothing, if it does not know them any more by what the set in force knows them by.
fn answered(set: &PolicySet, who: &Principal, action: &Action, facts: &Facts, in_force: &PolicySet) -> Decision {
    let name = AssertedPrincipal { kind: who.kind.clone(), id: who.id.clone() };
    let recognised = match (who.auth.as_str(), &who.key) {
        (_, Some(key)) => set.principals().by_key(&key.fingerprint()) == Some(&name),
        // By which user of the machine is not recorded; the set in force says which ones it can be.
        ("peer", None) => {
            let mut uids = in_force.principals().uids_of(&name).peekable();
            uids.peek().is_some() && uids.all(|uid| set.principals().by_uid(uid) == Some(&name))
        }
        // Nor by which of its ids.
        ("spiffe", None) => {
            let mut ids = in_force.principals().spiffe_ids_of(&name).peekable();
            ids.peek().is_some() && ids.all(|id| set.principals().by_spiffe(id) == Some(&name))
        }
        ("oidc", None) => {
            let mut subjects = in_force.principals().subjects_of(&name).peekable();
            // An issuer that is another one now, or has other keys, vouches for nobody as it did.
            let same = |issuer: &str| set.principals().issuer(issuer) == in_force.principals().issuer(issuer);
            let is_known = |(issuer, subject): (&str, &str)| {
                same(issuer) && set.principals().by_subject(issuer, subject) == Some(&name)
            };
            subjects.peek().is_some() && subjects.all(is_known)
        }
        // An execution is whoever its origin was.
        (_, None) => true,
    };
    if recognised {
        return decide(set, action, facts);
    }
    Decision::Deny(Deny { code: Code::Unauthenticated, reasons: Vec::new(), errors: Vec::new(), tells: false })
}

/// Of a question about somebody, whom it is about and what they would do to what.
fn told(question: &Advice) -> String {
    let party =
        |party: &Party| format!("{}::{}", party.kind.as_str(), party.id.as_ref().map_or("*", QuestionText::as_str));
    let verb = question.action.as_ref().map_or("*", |verb| verb.name.as_str());
    format!("{} {verb} {}", party(&question.subject), party(&question.resource))
}

/// Whether what is recorded is what this set decides.
fn decided_by(policy: &Policy, set: &PolicySet) -> bool {
    policy.set == *set.digest() && policy.semantics.as_str() == set.semantics().as_str()
}

/// How two sets differ on one request.
fn between(now: &Decision, would: &Decision) -> Option<Shift> {
    match (now, would) {
        (Decision::Permit(now), Decision::Permit(would)) if now.reasons != would.reasons => Some(Shift::Reasons),
        (Decision::Permit(now), Decision::Permit(would)) => (now.terms != would.terms).then_some(Shift::Terms),
        (Decision::Hold(now), Decision::Hold(would)) if now.reasons != would.reasons => Some(Shift::Reasons),
        (Decision::Hold(now), Decision::Hold(would)) => (now != would).then_some(Shift::Terms),
        (Decision::Permit(_) | Decision::Hold(_), Decision::Deny(_)) => Some(Shift::Denied),
        (Decision::Deny(_) | Decision::Hold(_), Decision::Permit(_)) => Some(Shift::Permitted),
        (Decision::Permit(_) | Decision::Deny(_), Decision::Hold(_)) => Some(Shift::Held),
        (Decision::Deny(now), Decision::Deny(would)) if now.code != would.code => Some(Shift::Code),
        (Decision::Deny(now), Decision::Deny(would)) => (now.reasons != would.reasons).then_some(Shift::Reasons),
    }
}

/// Whether a refusal is policy's own; all others are of the ledger's order, after policy permitted.
fn by_policy(code: Code) -> bool {
    matches!(code, Code::PolicyDenied | Code::EvaluationError | Code::IntegrityFailure)
}

/// What was decided on.
fn read(decided: &Decided) -> Result<(Action, Facts), String> {
    let value = |kept: &Kept, erased: &str| match kept {
        Kept::Value(opening) => Ok(opening.value.clone()),
        Kept::Erased | Kept::Nothing => Err(erased.to_owned()),
    };
    let action = Action::decode(&value(&decided.action, "its action is erased")?).map_err(|error| error.to_string())?;
    let facts = Facts::decode(&value(&decided.facts, "its facts are erased")?).map_err(|error| error.to_string())?;
    Ok((action, facts))
}

impl Found {
    fn not_decided(&mut self, index: u64, what: String) {
        self.undecided += 1;
        if self.not_decided.len() < NAMED_MAX {
            self.not_decided.push(Replayed { index, what });
        }
    }

    fn changed(
        &mut self,
        (shift, shadow): (Shift, bool),
        index: u64,
        who: &Principal,
        action: &Action,
        was: Came,
        derived: Decision,
    ) {
        let would = came_of(derived);
        *self.counts.entry(shift).or_default() += 1;
        let (verb, resource) = match action {
            Action::Exec(exec) => ("exec", text_of_bytes(&exec.path)),
            Action::Order(order) => match &order.command {
                Command::Revoke(_) => ("revoke", "this".to_owned()),
                Command::Halt => ("halt", "this".to_owned()),
                // Policy has no say in it, so nothing about it is ever decided again.
                Command::Answer(verdict, _) => (verdict.as_str(), "this".to_owned()),
                Command::Mandate(_) => (order.command.as_str(), "this".to_owned()),
                Command::Publish(_) => ("publish", "this".to_owned()),
                Command::Entities(_) => ("entities", "this".to_owned()),
                Command::Erase(_) => ("erase", "this".to_owned()),
                Command::Enrol(_) => ("enrol", "this".to_owned()),
            },
            Action::Advice(question) => ("advise", told(question)),
        };
        let outcomes = [was.outcome.as_str(), would.outcome.as_str()];
        let reasons = [was.reasons.clone(), would.reasons.clone()];
        let key = (shift, shadow, format!("{}::{}", who.kind, who.id), verb, resource, outcomes, reasons);
        self.add(key, was, would, Group { count: 1, examples: vec![index], last: index });
    }

    fn add(&mut self, key: Key, was: Came, would: Came, more: Group) {
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&key) {
            self.ungrouped += more.count;
            return;
        }
        let (_, _, group) = self.groups.entry(key).or_insert_with(|| (was, would, Group::default()));
        group.count += more.count;
        group.last = group.last.max(more.last);
        group.examples.extend(more.examples);
        group.examples.sort_unstable();
        group.examples.truncate(EXAMPLES_MAX);
    }

    /// Both together; which worker found what makes no difference.
    fn with(mut self, other: Self) -> Self {
        self.decided += other.decided;
        self.shadow += other.shadow;
        self.same += other.same;
        self.before_policy += other.before_policy;
        for (shift, count) in other.counts {
            *self.counts.entry(shift).or_default() += count;
        }
        self.undecided += other.undecided;
        self.ungrouped += other.ungrouped;
        self.not_decided.extend(other.not_decided);
        self.not_decided.sort_by_key(|one| one.index);
        self.not_decided.truncate(NAMED_MAX);
        for (key, (was, would, group)) in other.groups {
            self.add(key, was, would, group);
        }
        self
    }

    fn into_report(self, set: Hash, range: Range<u64>) -> Backtest {
        let each =
            self.groups.into_iter().map(|((shift, shadow, principal, action, resource, _, _), (was, would, group))| {
                let Group { count, examples, last } = group;
                Changed { shift, shadow, principal, action, resource, was, would, count, examples, last }
            });
        let mut changed: Vec<Changed> = each.collect();
        changed.sort_by_key(|changed| (changed.shift, std::cmp::Reverse(changed.count)));
        Backtest {
            set,
            first: range.start,
            entries: range.end - range.start,
            decided: self.decided,
            shadow: self.shadow,
            same: self.same,
            before_policy: self.before_policy,
            counts: self.counts,
            undecided: self.undecided,
            not_decided: self.not_decided,
            changed,
            ungrouped: self.ungrouped,
        }
    }
}
