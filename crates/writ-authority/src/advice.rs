//! Advice: whoever enforces elsewhere asks what policy says of somebody, and gets an answer that is recorded and is no writ (decision 0035).
//!
//! Questions that came together are decided under one set at one time and proposed together; nothing is answered before its entry is durable.

use crate::answer::Denied;
use crate::authority::{Authority, random};
use crate::caller::{BearerToken, Caller};
use crate::decision::{Ruling, as_of, opening};
use crate::error::AuthorityError;
use crate::hold::asks;
use crate::lineage::{Inherited, LineageRead, carried};
use crate::policies::ActiveSet;
use crate::recognise::Asker;
use std::sync::Arc;
use writ_ledger::{Draft, LedgerError, Proposal, Receipt};
use writ_policy::{Advised as Answered, Decision, Deny, Facts, Found, advise};
use writ_protocol::action::{Action, ActionKind, Advice, CommitmentKind, Committed};
use writ_protocol::cbor::Encode;
use writ_protocol::entry::{
    ActionRef, Advised, AdvisedFields, AssertedPrincipal, Denial, Need, Opinion, Policy, PrincipalRef, RequestRef,
};
use writ_protocol::{Code, DenialId, Name, Refusal, RequestKey};

/// How often a question is decided again because what its answer stood on changed before it was recorded.
const DECISIONS_MAX: usize = 8;

/// Of whatever is not as the question has it.
const NOT_AS_KNOWN: &str = "what the question names or says does not agree with what the domain knows; whoever may read the ledger sees where, with `writ replay`";
/// With these the order of the ledger says no to what policy permits.
const STOOD_AGAINST: [Code; 2] = [Code::Halted, Code::Revoked];
/// And with these that something has changed since it was decided.
const CHANGED: [Code; 2] = [Code::PolicyMismatch, Code::FactsChanged];

/// Questions that came together.
#[derive(Debug)]
pub struct Questions {
    /// Each of them, in order.
    pub all: Vec<Advice>,
    /// After which answer the rest need not be answered.
    pub until: Until,
    /// How many bytes they came in.
    pub bytes: usize,
}

/// After which answer the rest need not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// All are answered.
    All,
    /// The first that does not permit.
    FirstDeny,
    /// The first that permits.
    FirstPermit,
}

impl Until {
    /// Whether this answer is the last.
    pub fn ends_with(self, permits: bool) -> bool {
        match self {
            Self::All => false,
            Self::FirstDeny => !permits,
            Self::FirstPermit => permits,
        }
    }
}

/// The recorded answer to one question.
#[derive(Debug)]
pub enum Told {
    /// An advice.
    Advised(Box<Counsel>),
    /// The asker may not ask this.
    Denied(Box<Denied>),
}

/// An advice, recorded and explained.
#[derive(Debug)]
pub struct Counsel {
    /// The entry. It proves that this was answered, and is no writ.
    pub receipt: Receipt,
    /// What was answered.
    pub opinion: Opinion,
    /// Why it does not let the subject through, for a person.
    pub why: Option<String>,
    /// The policies that decided it.
    pub policies: Vec<Name>,
    /// Whose approvals would lift what stands in the way, if they would.
    pub needs: Vec<Need>,
    /// What a search found.
    pub found: Option<Found>,
}

impl Told {
    fn permits(&self) -> bool {
        matches!(self, Self::Advised(counsel) if counsel.opinion == Opinion::Permit)
    }
}

/// What an entry says of an answer: the answer, the policies that decided it, and how many a search found.
pub(crate) fn opinion(answer: &Answered) -> (Opinion, Vec<Name>, Option<u64>) {
    match answer {
        Answered::Evaluated(Decision::Permit(permit)) => (Opinion::Permit, permit.reasons.clone(), None),
        Answered::Evaluated(Decision::Hold(hold)) => (Opinion::Hold, hold.reasons.clone(), None),
        // Nothing is measured here, so policy has two ways to refuse.
        Answered::Evaluated(Decision::Deny(deny)) => {
            (Opinion::refuse(deny.code).unwrap_or(Opinion::EvaluationError), deny.reasons.clone(), None)
        }
        Answered::Found(found) => {
            (Opinion::Searched, Vec::new(), Some(u64::try_from(found.results.len()).unwrap_or(u64::MAX)))
        }
    }
}

/// One question on its way to its entry.
struct Case {
    action: Action,
    about: Option<AssertedPrincipal>,
    opening: Committed,
}

/// What all questions that came together stand on.
struct Ground<'a> {
    asker: &'a Asker,
    active: Arc<ActiveSet>,
    facts: Facts,
}

/// What is to be recorded of one question, and told once it is.
struct Ruled {
    answer: Outcome,
    ruling: Ruling,
    proposal: Proposal,
}

/// What is told; the error is why the asker may not ask.
type Outcome = Result<Opined, Code>;

struct Opined {
    opinion: Opinion,
    needs: Vec<Need>,
    found: Option<Found>,
}

impl Authority {
    /// Answers questions about somebody, in order; of those after the one that ends it nothing is said.
    pub async fn advise(
        &self,
        caller: &Caller<'_>,
        token: Option<BearerToken<'_>>,
        questions: Questions,
    ) -> Result<Vec<Told>, Refusal> {
        let size = (questions.all.len(), questions.bytes);
        let asker =
            self.heard_asking(caller, token, size).inspect_err(|refusal| drop(self.turn_away(refusal.clone())))?;
        let until = questions.until;
        let mut cases = Vec::with_capacity(questions.all.len());
        for question in questions.all {
            cases.push(Case::new(question)?);
        }
        let mut told = self.told_each(&asker, &cases, until).await.map_err(|error| error.refusal())?;
        if let Some(last) = told.iter().position(|one| until.ends_with(one.permits())) {
            told.truncate(last + 1);
        }
        Ok(told)
    }

    async fn told_each(&self, asker: &Asker, cases: &[Case], until: Until) -> Result<Vec<Told>, AuthorityError> {
        let mut told: Vec<Option<Told>> = cases.iter().map(|_| None).collect();
        let mut against: Vec<Option<Refusal>> = cases.iter().map(|_| None).collect();
        for _ in 0..DECISIONS_MAX {
            let ground = self.ground(asker)?;
            let mut sent = Vec::new();
            for (at, case) in cases.iter().enumerate() {
                let before = told.get(at).and_then(Option::as_ref).map(Told::permits);
                let permits = match before {
                    Some(permits) => permits,
                    None => {
                        let stood = against.get(at).and_then(Option::as_ref);
                        let Ruled { answer, ruling, proposal } = self.ruled(&ground, case, stood)?;
                        let permits = matches!(&answer, Ok(Opined { opinion: Opinion::Permit, .. }));
                        sent.push((at, answer, ruling, self.sent(proposal)?));
                        permits
                    }
                };
                if until.ends_with(permits) {
                    break;
                }
            }
            if sent.is_empty() {
                return Ok(told.into_iter().map_while(|one| one).collect());
            }
            for (at, answer, ruling, recorded) in sent {
                let stopped = |_| LedgerError::Stopped("it ended while this was waiting".to_owned());
                match recorded.await.map_err(stopped)? {
                    Ok(receipt) => set(&mut told, at, Some(tell(&ground.active, answer, ruling, receipt))),
                    Err(LedgerError::Refused(refusal)) if STOOD_AGAINST.contains(&refusal.code()) => {
                        set(&mut against, at, Some(refusal));
                    }
                    // Decided again, under what is true now.
                    Err(LedgerError::Refused(refusal)) if CHANGED.contains(&refusal.code()) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(Refusal::new(Code::FactsChanged, "what was decided on kept changing; ask again").into())
    }

    /// Proposes, without waiting: what came together is recorded together.
    fn sent(
        &self,
        proposal: Proposal,
    ) -> Result<tokio::sync::oneshot::Receiver<Result<Receipt, LedgerError>>, AuthorityError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.ledger.submit(proposal, move |result| {
            // Whoever asked may have gone; the entry stands.
            answer.send(result).ok();
        })?;
        Ok(answered)
    }

    fn ground<'a>(&self, asker: &'a Asker) -> Result<Ground<'a>, AuthorityError> {
        let Inherited { labels, caused } = self.inherited(asker)?;
        carried(&labels, &[])?;
        let facts = Facts {
            now_ms: self.now_ms(),
            auth: asker.principal.auth.clone(),
            principal: asker.name(),
            depth: asker.cause().depth(),
            approvals: Vec::new(),
            answers: None,
            changes: None,
            values: None,
            labels,
            caused,
            mandate: None,
            gateway: None,
            surroundings: Vec::new(),
        };
        Ok(Ground { asker, active: self.policies.active(), facts })
    }

    fn ruled(&self, ground: &Ground<'_>, case: &Case, against: Option<&Refusal>) -> Result<Ruled, AuthorityError> {
        let Ground { asker, active, facts } = ground;
        if let Some(fault) = &asker.fault {
            return self.denied(ground, case, Ruling::of(fault), false);
        }
        let answer = match advise(&active.set, &case.action, facts) {
            Ok(answer) => answer,
            Err(deny) => return self.denied(ground, case, Ruling::of_policy(active, &deny), true),
        };
        let (mut opinion, reasons, mut found) = opinion(&answer);
        let mut ruling = ruling_of(active, &answer);
        if let Some(against) = against.filter(|_| opinion.lets_through()) {
            ruling = Ruling::of(against);
            (opinion, found) = (Opinion::refuse(against.code()).unwrap_or(Opinion::Revoked), None);
        }
        let committed = opening(CommitmentKind::Facts, facts.to_cbor())?;
        let fields = AdvisedFields {
            as_of: as_of(&self.ledger.published())?,
            cause: asker.cause(),
            facts: committed.commitment(),
            found,
            action: case.action_ref(),
            policy: active.decided_by(reasons)?,
            subject: case.about.clone().map(|AssertedPrincipal { kind, id }| PrincipalRef { id, kind }),
            time_ms: facts.now_ms,
            decision: opinion,
            principal: asker.principal.clone(),
        };
        let advised = Advised::new(fields).map_err(Refusal::from)?;
        let mut proposal = Proposal::new(Draft::Advised(advised)).with_openings([case.opening.clone(), committed]);
        if opinion.lets_through() {
            proposal = proposal.with_reads(LineageRead::new(asker, facts.labels.clone()));
        }
        let (needs, found) = match answer {
            Answered::Found(results) if opinion == Opinion::Searched => (Vec::new(), Some(results)),
            Answered::Evaluated(Decision::Hold(hold)) => (hold.needs, None),
            Answered::Found(_) | Answered::Evaluated(Decision::Permit(_) | Decision::Deny(_)) => (Vec::new(), None),
        };
        Ok(Ruled { answer: Ok(Opined { opinion, needs, found }), ruling, proposal })
    }

    /// That the asker may not ask this.
    fn denied(
        &self,
        ground: &Ground<'_>,
        case: &Case,
        ruling: Ruling,
        by_policy: bool,
    ) -> Result<Ruled, AuthorityError> {
        let Ground { asker, active, facts } = ground;
        let committed = by_policy.then(|| opening(CommitmentKind::Facts, facts.to_cbor())).transpose()?;
        let policy: Option<Policy> = by_policy.then(|| active.decided_by(ruling.reasons.clone())).transpose()?;
        // What was asked is behind the action digest; the request has no form of its own to keep.
        let request = opening(CommitmentKind::Request, case.opening.value.clone())?;
        let denial = Denial {
            id: DenialId::new(facts.now_ms, random()?),
            code: ruling.code,
            hold: None,
            text: None,
            as_of: as_of(&self.ledger.published())?,
            cause: asker.cause(),
            facts: committed.as_ref().map(Committed::commitment),
            action: case.action_ref(),
            policy,
            request: RequestRef { key: RequestKey::new(facts.now_ms, random()?), digest: request.commitment() },
            time_ms: facts.now_ms,
            principal: asker.principal.clone(),
        };
        let openings = std::iter::once(case.opening.clone()).chain(committed);
        let proposal = Proposal::new(Draft::Denial(denial)).with_openings(openings);
        Ok(Ruled { answer: Err(ruling.code), ruling, proposal })
    }
}

impl Case {
    /// A question that no reader could read again is none.
    fn new(question: Advice) -> Result<Self, Refusal> {
        let about = question.principal();
        let action = Action::Advice(question);
        let value = action.encode()?;
        if Action::decode(&value)? != action {
            return Err(Refusal::malformed("the question would be read as another one"));
        }
        let opening = opening(CommitmentKind::Action, value).map_err(|error| error.refusal())?;
        Ok(Self { action, about, opening })
    }

    fn action_ref(&self) -> ActionRef {
        ActionRef { kind: ActionKind::Advice, digest: self.opening.commitment() }
    }
}

fn ruling_of(active: &ActiveSet, answer: &Answered) -> Ruling {
    match answer {
        Answered::Evaluated(Decision::Deny(deny)) => Ruling::of_policy(active, &for_asker(deny)),
        Answered::Evaluated(Decision::Hold(hold)) => {
            let mut ruling = Ruling::of(&Refusal::new(Code::ApprovalPending, asks(&hold.needs)));
            ruling.reasons.clone_from(&hold.reasons);
            ruling
        }
        Answered::Evaluated(Decision::Permit(permit)) => {
            let none =
                Deny { code: Code::PolicyDenied, reasons: permit.reasons.clone(), errors: Vec::new(), tells: false };
            Ruling::of_policy(active, &none)
        }
        Answered::Found(_) => Ruling::of(&Refusal::new(Code::PolicyDenied, "")),
    }
}

/// A message of the engine can quote what an entity holds, and one of ours tells which entity is not there, or which of its attributes is another
/// one: whoever asks is told which policy failed, and what is wrong with the question itself; whoever may read the store sees why with
/// `writ replay` (decision 0023).
fn for_asker(deny: &Deny) -> Deny {
    let told = |(policy, why): &(Option<Name>, String)| match policy {
        Some(policy) => (Some(policy.clone()), "it failed on what it read".to_owned()),
        None if deny.tells => (None, NOT_AS_KNOWN.to_owned()),
        None => (None, why.clone()),
    };
    Deny { errors: deny.errors.iter().map(told).collect(), ..deny.clone() }
}

fn tell(active: &ActiveSet, answer: Outcome, ruling: Ruling, receipt: Receipt) -> Told {
    let Ruling { why, reasons, .. } = ruling;
    match answer {
        Ok(Opined { opinion, needs, found }) => {
            let why = (!opinion.lets_through()).then_some(why);
            Told::Advised(Box::new(Counsel { receipt, opinion, why, policies: reasons, needs, found }))
        }
        Err(code) => {
            let clauses = active.explained(&reasons);
            Told::Denied(Box::new(Denied { receipt, code, why, clauses, basis: None }))
        }
    }
}

fn set<T>(all: &mut [Option<T>], at: usize, value: Option<T>) {
    if let Some(place) = all.get_mut(at) {
        *place = value;
    }
}
