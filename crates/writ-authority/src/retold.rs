//! One decision of a ledger, derived again and explained: by a reader beside the node, or where there is no node at all.
//!
//! The entry is built anew from what was derived and compared byte for byte with the one that is recorded (Invariant 4).

use crate::advice::opinion;
use crate::decision::Terms;
use crate::mandate::{Under, hands_on};
use crate::replay::{Derived, Run, Verdict};
use crate::shadow::would;
use writ_ledger::audit::Audited;
use writ_ledger::{Kept, LedgerError, Reader, Ruled, StoredEntry};
use writ_policy::{Decision, Depth, Explanation, Permit, advise, explain};
use writ_protocol::action::{Action, Opening};
use writ_protocol::entry::{
    ActionRef, Advised, AdvisedFields, Approval, ApprovalFields, Ascending, Body, Denial, EntryRef, EntryType, Erasure,
    ErasureFields, Grant, GrantFields, Hold, HoldFields, Mandate, MandateFields, Opinion, Policy, Principal,
    RequestRef, Shadow, ShadowFields, Would,
};
use writ_protocol::{Code, Entry};
use writ_tlog::{Hash, LeafIndex, sha256};

/// A decision as it was recorded, and what came of deriving it again.
#[derive(Debug)]
pub struct Retold {
    /// Its entry.
    pub index: LeafIndex,
    /// Whether nothing was decided: it says what would have been.
    pub shadow: bool,
    /// Whether it is an advice to somebody who enforces elsewhere.
    pub advised: bool,
    /// What was recorded.
    pub recorded: Recorded,
    /// When it was decided.
    pub time_ms: u64,
    /// Who asked.
    pub principal: Principal,
    /// The request it answers; a question about somebody has none.
    pub request: Option<RequestRef>,
    /// Under which policy; nothing where policy was not asked.
    pub policy: Option<Policy>,
    /// What was to be done, where it was not erased.
    pub action: Option<Action>,
    /// Whether it came out the same.
    pub outcome: Outcome,
    /// Why it came out as it did, where it could be derived.
    pub explanation: Option<Explanation>,
}

/// What an entry records of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// A grant.
    Permit,
    /// A denial.
    Deny(Code),
    /// A hold.
    Hold,
    /// A search that was answered.
    Searched,
}

impl Recorded {
    /// The stable string: `permit`, `hold`, or the code of a refusal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Hold => "hold",
            Self::Searched => "searched",
            Self::Deny(code) => code.as_str(),
        }
    }
}

impl From<Opinion> for Recorded {
    fn from(opinion: Opinion) -> Self {
        match opinion {
            Opinion::Hold => Self::Hold,
            Opinion::Searched => Self::Searched,
            Opinion::Permit | Opinion::PolicyDenied | Opinion::EvaluationError | Opinion::Halted | Opinion::Revoked => {
                opinion.refusal().map_or(Self::Permit, Self::Deny)
            }
        }
    }
}

impl From<Would> for Recorded {
    fn from(would: Would) -> Self {
        match would {
            Would::Hold => Self::Hold,
            Would::Permit
            | Would::PolicyDenied
            | Would::EvaluationError
            | Would::IntegrityFailure
            | Would::ScopeWidened => would.refusal().map_or(Self::Permit, Self::Deny),
        }
    }
}

/// What came of deriving a decision again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The entry built from what was derived has exactly the recorded bytes.
    Same {
        /// How many.
        bytes: usize,
    },
    /// It rests on values that were erased.
    Erased(&'static str),
    /// It was decided by semantics that this release does not have.
    UnknownSemantics(String),
    /// It was refused before policy was asked, so there is nothing to derive.
    BeforePolicy,
    /// It did not come out the same.
    Differs(String),
}

/// Why an entry cannot be told again.
#[derive(Debug, thiserror::Error)]
pub enum RetellError {
    /// The ledger says why.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Nothing was decided there.
    #[error("entry {index} is of type {}, and no decision; grants, denials, holds, shadows, advice and orders carried out are", found.as_str())]
    NoDecision {
        /// Where.
        index: LeafIndex,
        /// What stands there.
        found: EntryType,
    },
}

/// Derives the decision at an index again, and explains it. It trusts the store as every reader does: each entry is the one that the tree
/// has there. That the tree is the one that was signed, an audit says.
pub fn retell(reader: &Reader, index: LeafIndex) -> Result<Retold, RetellError> {
    let stored = reader.entry(index)?.ok_or(LedgerError::NoEntry(index))?;
    let entry = stored.decode(reader.origin())?;
    let none = || RetellError::NoDecision { index, found: entry.body.entry_type() };
    let ruled = Ruled::of(entry.body.clone()).ok_or_else(none)?;
    let (recorded, time_ms, principal, policy) = match &ruled {
        Ruled::Grant(grant) => (Recorded::Permit, grant.time_ms, &grant.principal, Some(&grant.policy)),
        Ruled::Denial(denial) => {
            (Recorded::Deny(denial.code), denial.time_ms, &denial.principal, denial.policy.as_ref())
        }
        Ruled::Hold(hold) => (Recorded::Hold, hold.time_ms, &hold.principal, Some(&hold.policy)),
        Ruled::Order(order) => (Recorded::Permit, order.time_ms, &order.by, Some(&order.policy)),
        Ruled::Shadow(shadow) => (shadow.would.into(), shadow.time_ms, &shadow.principal, Some(&shadow.policy)),
        Ruled::Advised(advised) => {
            (advised.decision.into(), advised.time_ms, &advised.principal, Some(&advised.policy))
        }
    };
    let request = entry.body.request().cloned();
    let audited = read(reader, &stored, entry.body.clone())?;
    let mut run = prepared(reader, index, policy.map(|policy| policy.set), entry.body.resolves())?;
    let asked = action_of(&audited);
    let named = match asked.as_ref().and_then(hands_on) {
        Some(above) => Some(above),
        None => entry.body.cause().and_then(|cause| cause.mandate.as_ref()),
    };
    for (above, mandate) in named.map(|named| reader.mandate_chain(named)).transpose()?.flatten().unwrap_or_default() {
        run.given(above.index, &mandate);
    }
    let (outcome, explanation, action) = match run.decided(&audited.body, &audited) {
        Some(Ok(derived)) => {
            let outcome = compared(&run, &audited, &derived, &entry, &stored);
            let set = policy.and_then(|policy| run.set(policy));
            let explanation = set.map(|set| explain(&set, &derived.action, &derived.facts, Depth::FULL));
            (outcome, explanation, Some(derived.action))
        }
        Some(Err(Verdict::Erased(what))) => (Outcome::Erased(what), None, action_of(&audited)),
        Some(Err(Verdict::UnknownSemantics(what))) => (Outcome::UnknownSemantics(what), None, action_of(&audited)),
        Some(Err(Verdict::BeforePolicy)) => (Outcome::BeforePolicy, None, action_of(&audited)),
        Some(Err(Verdict::Differs(what))) => (Outcome::Differs(what), None, action_of(&audited)),
        None => return Err(none()),
    };
    let (principal, policy) = (principal.clone(), policy.cloned());
    let shadow = matches!(ruled, Ruled::Shadow(_));
    let advised = matches!(ruled, Ruled::Advised(_));
    Ok(Retold { index, shadow, advised, recorded, time_ms, principal, request, policy, action, outcome, explanation })
}

/// An entry with what the vault holds behind it.
fn read(reader: &Reader, stored: &StoredEntry, body: Body) -> Result<Audited, LedgerError> {
    let held = body.commitments().into_iter();
    let values = held
        .map(|(kind, commitment)| Ok((commitment, reader.kept(stored.index, kind, &commitment)?)))
        .collect::<Result<Vec<_>, LedgerError>>()?;
    let mut named = Vec::new();
    if let Body::Erasure(erasure) = &body {
        for index in erasure.entries() {
            if let Some(entry) = reader.entry(index)? {
                named.push((index, entry.decode(reader.origin())?.body));
            }
        }
    }
    Ok(Audited { index: stored.index, body, values, named })
}

/// What stood before the decision: the limits of the domain, the set it names, and who approved the hold that it resolves.
fn prepared(reader: &Reader, index: LeafIndex, set: Option<Hash>, hold: Option<&EntryRef>) -> Result<Run, LedgerError> {
    let mut run = Run::default();
    for at in reader.control_entries()?.into_iter().take_while(|at| *at < index) {
        let stored = reader.entry(at)?.ok_or(LedgerError::NoEntry(at))?;
        let body = stored.decode(reader.origin())?.body;
        let is_the_set = matches!(&body, Body::Policy(activation) if Some(activation.set) == set);
        if let Body::Entities(entities) = &body {
            run.entered(entities, &read(reader, &stored, body.clone())?.values);
        } else if is_the_set || matches!(body, Body::Genesis(_)) {
            run.entry(&read(reader, &stored, body)?);
        }
    }
    let held = hold.map(|hold| reader.held(LeafIndex::new(hold.index))).transpose()?.flatten();
    for answer in held.iter().flat_map(|held| &held.waiting.answers) {
        run.approved_by(hold.map_or(0, |hold| hold.index), answer.verdict, &answer.by);
    }
    Ok(run)
}

fn opening<'a>(audited: &'a Audited, commitment: &Hash) -> Option<&'a Opening> {
    audited.values.iter().find_map(|(held, kept)| match kept {
        Kept::Value(opening) if held == commitment => Some(opening),
        Kept::Value(_) | Kept::Erased | Kept::Nothing => None,
    })
}

fn action_of(audited: &Audited) -> Option<Action> {
    let digest = match Ruled::of(audited.body.clone())? {
        Ruled::Grant(grant) => grant.action.digest,
        Ruled::Denial(denial) => denial.action.digest,
        Ruled::Hold(hold) => hold.action.digest,
        Ruled::Order(order) => order.action.digest,
        Ruled::Shadow(shadow) => shadow.action.digest,
        Ruled::Advised(advised) => advised.action.digest,
    };
    Action::decode(&opening(audited, &digest)?.value).ok()
}

/// Builds the entry from what was derived, and holds its bytes against those that are recorded.
fn compared(run: &Run, audited: &Audited, derived: &Derived, entry: &Entry, stored: &StoredEntry) -> Outcome {
    let differs = |why: &str| Outcome::Differs(why.to_owned());
    let Some(body) = rebuilt(run, audited, derived) else { return differs("the entry cannot be built from it") };
    match (Entry { origin: entry.origin.clone(), body }).encode() {
        Ok(bytes) if bytes == stored.bytes => Outcome::Same { bytes: bytes.len() },
        Ok(_) => differs("the entry built from what was derived has other bytes"),
        Err(refusal) => Outcome::Differs(refusal.to_string()),
    }
}

/// The body with everything in it that follows from the decision put there anew: commitments from the values they open to, policies, code and
/// terms as derived.
fn rebuilt(run: &Run, audited: &Audited, derived: &Derived) -> Option<Body> {
    let commitment = |held: Hash| opening(audited, &held).map(Opening::commitment);
    match (&audited.body, &derived.decision) {
        (Body::Grant(grant), Decision::Permit(permit)) => {
            let terms = Terms::of(permit, run.limits()?, derived.facts.now_ms).ok()?;
            let terms = Under::narrow(run.under(grant.cause.mandate.as_ref()).as_ref(), terms).ok()?;
            let mut fields = GrantFields::clone(grant);
            fields.facts = commitment(grant.facts)?;
            fields.action.digest = commitment(grant.action.digest)?;
            fields.action.kind = derived.action.kind();
            fields.policy.reasons = Ascending::new(permit.reasons.clone());
            (fields.lease, fields.window, fields.obligations) = (terms.lease, terms.window, terms.obligations);
            fields.time_ms = derived.facts.now_ms;
            Grant::new(fields).ok().map(Body::Grant)
        }
        (Body::Denial(denial), decision) => {
            let mut denial: Denial = denial.clone();
            denial.facts = Some(commitment(denial.facts?)?);
            denial.action.digest = commitment(denial.action.digest)?;
            denial.action.kind = derived.action.kind();
            denial.time_ms = derived.facts.now_ms;
            if let Decision::Deny(deny) = decision {
                denial.code = deny.code;
                denial.policy.as_mut()?.reasons = Ascending::new(deny.reasons.clone());
            }
            Some(Body::Denial(denial))
        }
        (Body::Hold(hold), Decision::Hold(held)) => {
            let mut fields = HoldFields::clone(hold);
            fields.facts = commitment(hold.facts)?;
            fields.action = ActionRef { kind: derived.action.kind(), digest: commitment(hold.action.digest)? };
            fields.policy.reasons = Ascending::new(held.reasons.clone());
            (fields.needs, fields.time_ms) = (held.needs.clone(), derived.facts.now_ms);
            fields.until_ms = derived.facts.now_ms.saturating_add(held.within_ms);
            Hold::new(fields).ok().map(Body::Hold)
        }
        (Body::Shadow(shadow), decision) => {
            let mut fields = ShadowFields::clone(shadow);
            fields.facts = commitment(shadow.facts)?;
            fields.action.digest = commitment(shadow.action.digest)?;
            fields.action.kind = derived.action.kind();
            fields.time_ms = derived.facts.now_ms;
            fields.would = would(decision)?;
            fields.policy.reasons = Ascending::new(decision.reasons().to_vec());
            Shadow::new(fields).ok().map(Body::Shadow)
        }
        (Body::Advised(advised), _) => rebuilt_advice(run, audited, derived, advised),
        (_, Decision::Permit(permit)) => rebuilt_order(audited, derived, permit),
        (_, Decision::Hold(_) | Decision::Deny(_)) => None,
    }
}

/// The same of an advice; that the order of the ledger stood against it, the audit judges.
fn rebuilt_advice(run: &Run, audited: &Audited, derived: &Derived, advised: &Advised) -> Option<Body> {
    let commitment = |held: Hash| opening(audited, &held).map(Opening::commitment);
    let set = run.set(&advised.policy)?;
    let answer = advise(&set, &derived.action, &derived.facts).ok()?;
    let (opinion, reasons, found) = opinion(&answer);
    let mut fields = AdvisedFields::clone(advised);
    fields.facts = commitment(advised.facts)?;
    fields.action = ActionRef { kind: derived.action.kind(), digest: commitment(advised.action.digest)? };
    fields.time_ms = derived.facts.now_ms;
    fields.policy.reasons = Ascending::new(reasons);
    if !matches!(advised.decision, Opinion::Halted | Opinion::Revoked) {
        (fields.decision, fields.found) = (opinion, found);
    }
    Advised::new(fields).ok().map(Body::Advised)
}

/// The same of an order that was carried out.
fn rebuilt_order(audited: &Audited, derived: &Derived, permit: &Permit) -> Option<Body> {
    let commitment = |held: Hash| opening(audited, &held).map(Opening::commitment);
    let action = |held: Hash| Some(ActionRef { kind: derived.action.kind(), digest: commitment(held)? });
    let reasons = Ascending::new(permit.reasons.clone());
    let mut body = audited.body.clone();
    match &mut body {
        Body::Revocation(order) => {
            (order.facts, order.action) = (commitment(order.facts)?, action(order.action.digest)?);
            (order.policy.reasons, order.time_ms) = (reasons, derived.facts.now_ms);
        }
        Body::Halt(order) => {
            (order.facts, order.action) = (commitment(order.facts)?, action(order.action.digest)?);
            (order.policy.reasons, order.time_ms) = (reasons, derived.facts.now_ms);
        }
        Body::Entities(order) => {
            (order.facts, order.action) = (commitment(order.facts)?, action(order.action.digest)?);
            (order.content, order.change) =
                (commitment(order.content)?, sha256(&opening(audited, &order.content)?.value));
            (order.policy.reasons, order.time_ms) = (reasons, derived.facts.now_ms);
        }
        Body::Approval(approval) => {
            let mut fields = ApprovalFields::clone(approval);
            (fields.facts, fields.action) = (commitment(approval.facts)?, action(approval.action.digest)?);
            (fields.policy.reasons, fields.time_ms) = (reasons, derived.facts.now_ms);
            fields.groups = Ascending::new(derived.facts.answers.as_ref()?.groups.clone());
            *approval = Approval::new(fields).ok()?;
        }
        Body::Mandate(mandate) => {
            let mut fields = MandateFields::clone(mandate);
            (fields.facts, fields.action) = (commitment(mandate.facts)?, action(mandate.action.digest)?);
            (fields.policy.reasons, fields.time_ms) = (reasons, derived.facts.now_ms);
            *mandate = Mandate::new(fields).ok()?;
        }
        Body::Erasure(erasure) => {
            let mut fields = ErasureFields::clone(erasure);
            (fields.facts, fields.action) = (commitment(erasure.facts)?, action(erasure.action.digest)?);
            (fields.policy.reasons, fields.time_ms) = (reasons, derived.facts.now_ms);
            *erasure = Erasure::new(fields).ok()?;
        }
        Body::Gateway(enrolment) => {
            let order = enrolment.order.as_mut()?;
            (order.facts, order.action) = (commitment(order.facts)?, action(order.action.digest)?);
            (order.policy.reasons, enrolment.time_ms) = (reasons, derived.facts.now_ms);
        }
        Body::Genesis(_)
        | Body::RootOrder(_)
        | Body::Policy(_)
        | Body::Grant(_)
        | Body::Denial(_)
        | Body::Hold(_)
        | Body::Shadow(_)
        | Body::Advised(_)
        | Body::Tally(_)
        | Body::Spend(_)
        | Body::Start(_)
        | Body::Outcome(_)
        | Body::Report(_)
        | Body::Seal(_) => return None,
    }
    Some(body)
}
