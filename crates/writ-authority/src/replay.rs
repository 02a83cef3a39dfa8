//! Replay: every decision of a ledger is derived again from what it was recorded to stand on (Invariant 4).
//!
//! The audit gives each entry on as it has read and verified it, so that nothing is read twice; deciding goes on beside it, on a thread
//! of its own.

mod erasures;
mod mandates;
mod opinions;

use crate::decision::Terms;
use crate::entity_history::EntityHistory;
use crate::error::known;
use crate::lineage::carried;
use crate::mandate::{Under, hands_on};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use writ_ledger::audit::{Audited, Report, audit_each};
use writ_ledger::{Kept, LedgerError};
use writ_policy::{Decision, Facts, PolicySet, Semantics, Snapshot, decide};
use writ_protocol::action::Action;
use writ_protocol::entry::{
    Activation, Approval, AssertedPrincipal, Audience, Body, Cause, Denial, Enrolment, Entities, Grant, Halt, Hold,
    Limits, Mandate, OrderRef, Place, Policy, Principal, Revocation, Verdict as Answer,
};
use writ_protocol::statement::{Component, Signed, surroundings_digest};
use writ_protocol::{Code, Name, Refusal, TrustRoot, holds_files};
use writ_tlog::{Hash, Origin};

/// Of each kind so many are named; more are only counted.
const NAMED_MAX: usize = 100;
/// Entries that are handed over at a time, and how many such heaps wait at most.
const HEAP: usize = 64;
const HEAPS_MAX: usize = 64;

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Decisions that came out the same.
    pub same: u64,
    /// Decisions whose facts, action or policy set were erased, so that nobody can derive them any more.
    pub erased: u64,
    /// Decisions by semantics that this release does not have.
    pub unknown_semantics: u64,
    /// The first of both.
    pub not_replayable: Vec<Replayed>,
    /// Refusals that were made before policy was asked.
    pub before_policy: u64,
    /// Decisions that did not come out the same.
    pub different: u64,
    /// The first of them.
    pub findings: Vec<Replayed>,
}

/// What is to be said of one decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Its index.
    pub index: u64,
    /// What differs, or is not there any more.
    pub what: String,
}

/// Audits the ledger in `store` and derives every decision again. What came of that may be believed only where the audit found nothing:
/// decisions are derived from a ledger that is as it was signed, or not at all. `progress` is told how far it is: entries done, entries in all.
pub fn replay(
    store: &Path,
    mark: Option<&Path>,
    trust: &TrustRoot,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Report, Replay), LedgerError> {
    std::thread::scope(|scope| {
        let (audited, entries) = sync_channel::<Vec<Audited>>(HEAPS_MAX);
        let deriving = scope.spawn(move || {
            let mut run = Run::default();
            entries.iter().flatten().for_each(|entry| run.entry(&entry));
            run.found
        });
        let mut heap = Vec::with_capacity(HEAP);
        let report = audit_each(store, mark, trust, progress, &mut |entry| {
            if matters(&entry.body) {
                heap.push(entry);
            }
            if heap.len() == HEAP {
                // The other side takes until there are no more.
                audited.send(std::mem::replace(&mut heap, Vec::with_capacity(HEAP))).ok();
            }
        });
        audited.send(heap).ok();
        drop(audited);
        let found = deriving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((report?, found))
    })
}

/// Whether a replay needs to see it. Most entries tell what was done, and nothing was decided.
fn matters(body: &Body) -> bool {
    match body {
        Body::Genesis(_)
        | Body::Policy(_)
        | Body::Entities(_)
        | Body::Grant(_)
        | Body::Denial(_)
        | Body::Hold(_)
        | Body::Approval(_)
        | Body::Mandate(_)
        | Body::Shadow(_)
        | Body::Advised(_)
        | Body::Revocation(_)
        | Body::Halt(_)
        | Body::Erasure(_) => true,
        Body::Gateway(enrolment) => enrolment.order.is_some(),
        Body::RootOrder(_)
        | Body::Tally(_)
        | Body::Spend(_)
        | Body::Start(_)
        | Body::Outcome(_)
        | Body::Report(_)
        | Body::Seal(_) => false,
    }
}

#[derive(Default)]
pub(crate) struct Run {
    limits: Option<Limits>,
    origin: Option<Origin>,
    /// What was in force.
    sets: BTreeMap<Hash, Held>,
    /// The entities beside those of the sets.
    pub(crate) entities: EntityHistory,
    /// Who has approved which hold.
    approvers: BTreeMap<u64, BTreeSet<AssertedPrincipal>>,
    /// What was given to somebody to do, by its entry.
    mandates: BTreeMap<u64, Mandate>,
    found: Replay,
}

/// A set that was in force, once or under several semantics.
#[derive(Default)]
struct Held {
    /// Its files, unless they were erased in every entry so far.
    files: Option<Snapshot>,
    /// The set for each semantics that it was in force under; nothing for one that cannot be made.
    compiled: BTreeMap<Semantics, PolicySet>,
}

/// Why a decision cannot be called the same.
pub(crate) enum Verdict {
    /// What was erased.
    Erased(&'static str),
    /// What it was decided by, which is not in this binary.
    UnknownSemantics(String),
    BeforePolicy,
    Differs(String),
}

impl Verdict {
    pub(crate) fn differs(what: impl Into<String>) -> Self {
        Self::Differs(what.into())
    }
}

impl Run {
    /// Takes in an entry.
    pub(crate) fn entry(&mut self, entry: &Audited) {
        let values = &entry.values;
        if let Body::Approval(approval) = &entry.body {
            self.approved_by(approval.hold.index, approval.verdict, &approval.by.asserted());
        }
        if let Body::Mandate(mandate) = &entry.body {
            self.given(entry.index.get(), mandate);
        }
        let judged = match &entry.body {
            Body::Genesis(genesis) => {
                self.limits = Some(genesis.limits.clone());
                self.origin = Some(genesis.home.clone());
                return;
            }
            Body::Policy(activation) => match self.activation(activation, values) {
                Ok(()) => return,
                Err(what) => Err(Verdict::Differs(what)),
            },
            Body::Entities(entities) => self.entities(entities, entry),
            body @ (Body::Grant(_)
            | Body::Denial(_)
            | Body::Hold(_)
            | Body::Approval(_)
            | Body::Mandate(_)
            | Body::Shadow(_)
            | Body::Advised(_)
            | Body::Gateway(_)
            | Body::Revocation(_)
            | Body::Halt(_)
            | Body::RootOrder(_)
            | Body::Tally(_)
            | Body::Spend(_)
            | Body::Start(_)
            | Body::Outcome(_)
            | Body::Report(_)
            | Body::Erasure(_)
            | Body::Seal(_)) => match self.decided(body, entry) {
                Some(judged) => judged.map(drop),
                None => return,
            },
        };
        let index = entry.index.get();
        let name = |named: &mut Vec<Replayed>, what: String| {
            if named.len() < NAMED_MAX {
                named.push(Replayed { index, what });
            }
        };
        match judged {
            Ok(()) => self.found.same += 1,
            Err(Verdict::BeforePolicy) => self.found.before_policy += 1,
            Err(Verdict::Erased(what)) => {
                self.found.erased += 1;
                name(&mut self.found.not_replayable, what.to_owned());
            }
            Err(Verdict::UnknownSemantics(what)) => {
                self.found.unknown_semantics += 1;
                name(&mut self.found.not_replayable, what);
            }
            Err(Verdict::Differs(what)) => {
                self.found.different += 1;
                name(&mut self.found.findings, what);
            }
        }
    }

    /// Takes in what somebody answered to the hold at an index.
    pub(crate) fn approved_by(&mut self, hold: u64, verdict: Answer, by: &AssertedPrincipal) {
        if verdict == Answer::Approve {
            self.approvers.entry(hold).or_default().insert(by.clone());
        }
    }

    /// Derives a decision again; nothing, where the entry is none.
    pub(crate) fn decided(&self, body: &Body, audited: &Audited) -> Option<Result<Derived, Verdict>> {
        let values = audited.values.as_slice();
        match body {
            Body::Grant(grant) => Some(self.grant(grant, values)),
            Body::Denial(denial) => Some(self.denial(denial, values)),
            Body::Hold(hold) => Some(self.hold(hold, values)),
            Body::Revocation(Revocation { by, action, facts, policy, time_ms, .. })
            | Body::Halt(Halt { by, action, facts, policy, time_ms, .. })
            | Body::Entities(Entities { by, action, facts, policy, time_ms, .. }) => Some(self.order(&Subject {
                values,
                policy,
                facts: *facts,
                action: action.digest,
                principal: by,
                // Orders come from outside every governed tree.
                cause: None,
                time_ms: *time_ms,
            })),
            Body::Gateway(Enrolment { by, order, time_ms, .. }) => order.as_ref().map(|order| {
                let OrderRef { facts, action, policy, .. } = order;
                let (facts, action) = (*facts, action.digest);
                let subject = Subject { values, policy, facts, action, principal: by, cause: None, time_ms: *time_ms };
                self.order(&subject)
            }),
            Body::Approval(approval) => Some(self.approval(approval, values)),
            Body::Mandate(mandate) => Some(self.mandate(mandate, values)),
            Body::Erasure(erasure) => Some(self.erasure(erasure, audited)),
            Body::Shadow(shadow) => Some(self.shadow(shadow, values)),
            Body::Advised(advised) => Some(self.advised(advised, values)),
            Body::Genesis(_)
            | Body::Policy(_)
            | Body::RootOrder(_)
            | Body::Tally(_)
            | Body::Spend(_)
            | Body::Start(_)
            | Body::Outcome(_)
            | Body::Report(_)
            | Body::Seal(_) => None,
        }
    }

    /// The set that a decision was made by, with the entities that it was made with.
    pub(crate) fn set(&self, policy: &Policy) -> Option<Cow<'_, PolicySet>> {
        let set = self.sets.get(&policy.set)?.compiled.get(&Semantics::parse(policy.semantics.as_str())?)?;
        self.entities.with(set, policy).ok()
    }

    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.limits.as_ref()
    }

    /// Takes in a policy set, or says what is wrong with it.
    fn activation(&mut self, activation: &Activation, values: &[(Hash, Kept)]) -> Result<(), String> {
        let files = match values.iter().find(|(held, _)| *held == activation.content) {
            Some((_, Kept::Value(opening))) => Some(self.files(activation, &opening.value)?),
            Some((_, Kept::Erased | Kept::Nothing)) => None,
            None => return Err("the policy set in the vault is not the one of the entry".to_owned()),
        };
        let held = self.sets.entry(activation.set).or_default();
        // It may have been in force before, and be kept from then.
        held.files = files.or(held.files.take());
        if let (Some(files), Some(semantics)) = (&held.files, Semantics::parse(activation.semantics.as_str()))
            && !held.compiled.contains_key(&semantics)
        {
            let set = PolicySet::compile_with(files, semantics, self.entities.now());
            match set {
                Ok(set) => drop(held.compiled.insert(semantics, set)),
                // What it names may be among what was erased.
                Err(_) if self.entities.is_erased() => {}
                Err(errors) => return Err(unread(format!("{} errors", errors.len()))),
            }
        }
        Ok(())
    }

    /// The files of a set, if they are those that the entry names.
    fn files(&self, activation: &Activation, content: &[u8]) -> Result<Snapshot, String> {
        let snapshot = Snapshot::decode(content).map_err(|refusal| unread(refusal.to_string()))?;
        if snapshot.digest() != activation.set {
            return Err("the policy set in the vault does not have the digest of the entry".to_owned());
        }
        if let (Some(manifest), Some(origin)) = (&activation.manifest, &self.origin) {
            let files = snapshot.files().iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
            let manifest = Signed::decode(&manifest.0).and_then(|signed| signed.manifest_claims(origin));
            manifest
                .and_then(|manifest| holds_files(&manifest, files))
                .map_err(|refusal| format!("the files of the policy set are not those that were signed: {refusal}"))?;
        }
        Ok(snapshot)
    }

    fn grant(&self, grant: &Grant, values: &[(Hash, Kept)]) -> Result<Derived, Verdict> {
        let derived = self.derive(&Subject {
            values,
            policy: &grant.policy,
            facts: grant.facts,
            action: grant.action.digest,
            principal: &grant.principal,
            cause: Some(&grant.cause),
            time_ms: grant.time_ms,
        })?;
        let permit = match &derived.decision {
            Decision::Permit(permit) => permit,
            other @ (Decision::Hold(_) | Decision::Deny(_)) => {
                return Err(Verdict::Differs(format!("recorded is a permit, derived is {}", came(other))));
            }
        };
        agree_on_reasons(grant.policy.reasons.as_slice(), &permit.reasons)?;
        let limits = self.limits.as_ref().ok_or_else(|| Verdict::differs("there is no genesis before it"))?;
        let under = self.under(grant.cause.mandate.as_ref());
        if let Some(Err(refusal)) = under.as_ref().map(|under| under.contains(&derived.action, &derived.facts)) {
            return Err(Verdict::Differs(format!("it is outside of its mandate: {refusal}")));
        }
        let terms = Terms::of(permit, limits, grant.time_ms).and_then(|terms| Under::narrow(under.as_ref(), terms));
        let terms = terms.map_err(|refusal| Verdict::Differs(format!("what policy demands: {refusal}")))?;
        let same = terms.lease == grant.lease && terms.window == grant.window && terms.obligations == grant.obligations;
        if !same {
            return Err(Verdict::differs("lease, window or obligations are not those that policy gives"));
        }
        if carried(&derived.facts.labels, &permit.terms.labels).as_ref() != Ok(&grant.labels) {
            return Err(Verdict::differs("its labels are not those that were inherited and those that policy gives"));
        }
        agrees_on_place(grant, &derived.facts)?;
        self.agrees_on_approvals(grant, &derived.facts)?;
        Ok(derived)
    }

    /// An order that was carried out was permitted.
    fn order(&self, subject: &Subject<'_>) -> Result<Derived, Verdict> {
        let derived = self.derive(subject)?;
        match &derived.decision {
            Decision::Permit(permit) => {
                agree_on_reasons(subject.policy.reasons.as_slice(), &permit.reasons)?;
                Ok(derived)
            }
            other @ (Decision::Hold(_) | Decision::Deny(_)) => {
                Err(Verdict::Differs(format!("recorded is an order carried out, derived is {}", came(other))))
            }
        }
    }

    fn denial(&self, denial: &Denial, values: &[(Hash, Kept)]) -> Result<Derived, Verdict> {
        let (Some(policy), Some(facts)) = (&denial.policy, denial.facts) else { return Err(Verdict::BeforePolicy) };
        let derived = self.derive(&Subject {
            values,
            policy,
            facts,
            action: denial.action.digest,
            principal: &denial.principal,
            cause: Some(&denial.cause),
            time_ms: denial.time_ms,
        })?;
        let by_policy = matches!(denial.code, Code::PolicyDenied | Code::EvaluationError | Code::IntegrityFailure);
        match &derived.decision {
            Decision::Deny(deny) if deny.code == denial.code => {
                agree_on_reasons(policy.reasons.as_slice(), &deny.reasons)?;
                Ok(derived)
            }
            Decision::Deny(deny) => {
                Err(Verdict::Differs(format!("recorded is {}, derived is {}", denial.code, deny.code)))
            }
            // Policy permitted it, or had it wait, and the order of the ledger did not: the audit judges that.
            Decision::Permit(_) | Decision::Hold(_) if !by_policy => Ok(derived),
            other @ (Decision::Permit(_) | Decision::Hold(_)) => {
                Err(Verdict::Differs(format!("recorded is {}, derived is {}", denial.code, came(other))))
            }
        }
    }

    fn hold(&self, hold: &Hold, values: &[(Hash, Kept)]) -> Result<Derived, Verdict> {
        let derived = self.derive(&Subject {
            values,
            policy: &hold.policy,
            facts: hold.facts,
            action: hold.action.digest,
            principal: &hold.principal,
            cause: Some(&hold.cause),
            time_ms: hold.time_ms,
        })?;
        match &derived.decision {
            Decision::Hold(held) => {
                agree_on_reasons(hold.policy.reasons.as_slice(), &held.reasons)?;
                let until_ms = hold.time_ms.saturating_add(held.within_ms);
                match hold.needs == held.needs && hold.until_ms == until_ms {
                    true => Ok(derived),
                    false => Err(Verdict::differs("it asks others, or waits longer or shorter, than policy says")),
                }
            }
            other @ (Decision::Permit(_) | Decision::Deny(_)) => {
                Err(Verdict::Differs(format!("recorded is a hold, derived is {}", came(other))))
            }
        }
    }

    /// Whoever answers is in the groups for which it counts, by the set that decided on it.
    fn approval(&self, approval: &Approval, values: &[(Hash, Kept)]) -> Result<Derived, Verdict> {
        let derived = self.order(&Subject {
            values,
            policy: &approval.policy,
            facts: approval.facts,
            action: approval.action.digest,
            principal: &approval.by,
            // Orders come from outside every governed tree.
            cause: None,
            time_ms: approval.time_ms,
        })?;
        let set = self.set(&approval.policy).ok_or_else(|| Verdict::differs("its policy set is not there"))?;
        let (member_of, groups) = (set.groups_of(&approval.by.asserted()), approval.groups.as_slice());
        let said = derived.facts.answers.as_ref().map(|answered| answered.groups.as_slice());
        if said != Some(groups) || groups.iter().any(|group| !member_of.contains(group)) {
            return Err(Verdict::differs("it counts for groups that whoever answered is not in"));
        }
        Ok(derived)
    }

    /// What was decided on approvals names those that are recorded for its hold, and no others.
    fn agrees_on_approvals(&self, grant: &Grant, facts: &Facts) -> Result<(), Verdict> {
        let approvers = grant.hold.as_ref().and_then(|hold| self.approvers.get(&hold.index));
        let recorded = |one| approvers.is_some_and(|approvers| approvers.contains(one));
        match facts.approvals.iter().all(recorded) {
            true => Ok(()),
            false => Err(Verdict::differs("it was decided on an approval that is not recorded for its hold")),
        }
    }

    fn derive(&self, subject: &Subject<'_>) -> Result<Derived, Verdict> {
        let Some(semantics) = Semantics::parse(subject.policy.semantics.as_str()) else {
            let found = &subject.policy.semantics;
            let what = format!("it was decided by `{found}`, and this release has {}", known());
            return Err(Verdict::UnknownSemantics(what));
        };
        let held = self.sets.get(&subject.policy.set);
        let held = held.ok_or_else(|| Verdict::differs("its policy set was never in force"))?;
        let set = match (held.compiled.get(&semantics), &held.files) {
            (Some(set), _) => set,
            (None, None) => return Err(Verdict::Erased("its policy set is erased")),
            (None, Some(_)) if self.entities.is_erased() => return Err(Verdict::Erased("its entities are erased")),
            (None, Some(_)) => {
                return Err(Verdict::Differs(format!(
                    "its policy set was not in force under `{semantics}`, or does not compile"
                )));
            }
        };
        let set = self.entities.with(set, subject.policy)?;
        let (action, facts) = subject.read()?;
        let named = match hands_on(&action) {
            Some(above) => Some(above),
            None => subject.cause.and_then(|cause| cause.mandate.as_ref()),
        };
        if facts.mandate != self.under(named).and_then(|under| under.fact()) {
            return Err(Verdict::differs("the facts are of another mandate"));
        }
        Ok(Derived { decision: decide(&set, &action, &facts), action, facts })
    }
}

fn unread(why: String) -> String {
    format!("the policy set in the vault does not compile: {why}")
}

/// A decision that was derived again, and what from.
pub(crate) struct Derived {
    pub(crate) decision: Decision,
    pub(crate) action: Action,
    pub(crate) facts: Facts,
}

/// What all decisions have in common here.
struct Subject<'a> {
    values: &'a [(Hash, Kept)],
    policy: &'a Policy,
    facts: Hash,
    action: Hash,
    principal: &'a Principal,
    /// Nothing for an order.
    cause: Option<&'a Cause>,
    time_ms: u64,
}

impl Subject<'_> {
    /// The action and the facts that were decided on.
    fn read(&self) -> Result<(Action, Facts), Verdict> {
        let unread = |what: &str, refusal: Refusal| Verdict::differs(format!("{what} it stood on: {refusal}"));
        let action = self.value(self.action, "its action is erased")?;
        let action = Action::decode(action).map_err(|refusal| unread("the action", refusal))?;
        let facts = self.value(self.facts, "its facts are erased")?;
        let facts = Facts::decode(facts).map_err(|refusal| unread("the facts", refusal))?;
        match self.agrees(&facts) {
            true => Ok((action, facts)),
            false => Err(Verdict::differs("the facts are of another principal, time or lineage")),
        }
    }

    fn value(&self, commitment: Hash, erased: &'static str) -> Result<&[u8], Verdict> {
        match self.values.iter().find(|(held, _)| *held == commitment) {
            Some((_, Kept::Value(opening))) => Ok(&opening.value),
            // Where there is nothing, an erasure says so; the audit holds that.
            Some((_, Kept::Erased | Kept::Nothing)) => Err(Verdict::Erased(erased)),
            None => Err(Verdict::differs("a value it stood on is not what it commits to")),
        }
    }

    fn agrees(&self, facts: &Facts) -> bool {
        facts.principal.kind == self.principal.kind
            && facts.principal.id == self.principal.id
            && facts.auth == self.principal.auth
            && facts.now_ms == self.time_ms
            && facts.depth == self.cause.map_or(0, Cause::depth)
            && self.agrees_on_cause(facts)
    }

    fn agrees_on_cause(&self, facts: &Facts) -> bool {
        match (self.cause.map(|cause| &cause.place), &facts.caused) {
            (Some(Place::Caused { parent, origin, .. }), Some(caused)) => {
                parent.entry == caused.parent && origin.entry == caused.origin
            }
            (Some(Place::Origin) | None, None) => true,
            (Some(Place::Caused { .. }), None) | (Some(Place::Origin) | None, Some(_)) => false,
        }
    }
}

/// That a grant may be executed where the decision was told it would be, and nowhere else.
fn agrees_on_place(grant: &Grant, facts: &Facts) -> Result<(), Verdict> {
    let audience: &Name = match &grant.audience {
        Audience::Gateway { gateway, .. } => gateway,
        Audience::Group(group) => group,
    };
    if facts.gateway.as_ref() != Some(audience) {
        return Err(Verdict::differs("it is for another gateway than was decided on"));
    }
    let components = facts.surroundings.iter();
    let components: Vec<Component> =
        components.map(|(name, value)| Component { name: name.clone(), value: value.clone() }).collect();
    match surroundings_digest(&components) {
        Ok(digest) if digest == grant.surroundings.digest => Ok(()),
        Ok(_) => Err(Verdict::differs("it is for other surroundings than were decided on")),
        Err(error) => Err(Verdict::differs(format!("the surroundings it was decided on: {error}"))),
    }
}

/// What was derived, in words.
fn came(decision: &Decision) -> &'static str {
    match decision {
        Decision::Permit(_) => "a permit",
        Decision::Hold(_) => "a hold",
        Decision::Deny(deny) => deny.code.as_str(),
    }
}

fn agree_on_reasons(recorded: &[Name], derived: &[Name]) -> Result<(), Verdict> {
    if recorded == derived {
        return Ok(());
    }
    let list = |names: &[Name]| names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    Err(Verdict::differs(format!("recorded policies are [{}], derived are [{}]", list(recorded), list(derived))))
}
