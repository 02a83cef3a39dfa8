//! A request for a writ: facts are gathered, policy decides, and what was decided is proposed.

use crate::answer::{Answer, Denied};
use crate::authority::{Authority, random};
use crate::caller::{Caller, Received};
use crate::disclosure::Basis;
use crate::error::AuthorityError;
use crate::hold::{Resumed, Resumption, asks};
use crate::lineage::{Inherited, LineageRead, carried};
use crate::mandate::Under;
use crate::policies::ActiveSet;
use crate::recognise::Asker;
use crate::trees::Governed;
use std::sync::Arc;
use writ_ledger::{Draft, LedgerError, Proposal, Published, Receipt};
use writ_policy::{Clause, Decision, Facts, Permit, SURROUNDINGS_MAX, decide, text_of_bytes};
use writ_protocol::action::{Action, ActionKind, CommitmentKind, Committed, Opening};
use writ_protocol::cbor::Encode;
use writ_protocol::entry::{
    ActionRef, AsOf, Ascending, Body, Cause, Denial, Draw, Draws, EntryRef, Grant, GrantFields, Lease, Level, Limits,
    Obligation, Place, Positive, RequestRef, Scope, Surroundings, Window,
};
use writ_protocol::statement::{Ask, Authorize, Component, Request, surroundings_digest};
use writ_protocol::{Code, DenialId, Name, Refusal, WritId};

/// How often a request is decided again because what its decision read had changed before it was recorded.
const DECISIONS_MAX: usize = 8;
/// What is said of the surroundings is recorded with every decision, and read again by whoever replays it.
const SURROUNDINGS_BYTES_MAX: usize = 65_536;
/// A window begins this much before the decision, for gateways whose clock is a little behind.
const WINDOW_BEFORE_MS: u64 = 2_000;

/// A request in the making of its answer.
pub(crate) struct Case<'a> {
    pub(crate) asker: &'a Asker,
    pub(crate) request: &'a Request,
    pub(crate) action: Action,
    /// The recorded mandate that it is under.
    pub(crate) mandate: Option<EntryRef>,
    /// What opens the commitments to the action and to the request.
    pub(crate) action_opening: Committed,
    pub(crate) request_opening: Committed,
}

impl<'a> Case<'a> {
    pub(crate) fn new(asker: &'a Asker, request: &'a Request, received: &[u8]) -> Result<Self, Refusal> {
        let (action, action_opening) = request.action()?;
        let request_opening = request.opening(received).into();
        let mandate = asker.governed.as_ref().and_then(|governed| governed.mandate.clone());
        Ok(Self { asker, request, action, mandate, action_opening: action_opening.into(), request_opening })
    }

    pub(crate) fn request_ref(&self) -> RequestRef {
        RequestRef { key: self.request.key, digest: self.request_opening.commitment() }
    }

    pub(crate) fn action_ref(&self) -> ActionRef {
        ActionRef { kind: self.action.kind(), digest: self.action_opening.commitment() }
    }

    pub(crate) fn cause(&self) -> Cause {
        Cause { mandate: self.mandate.clone(), ..self.asker.cause() }
    }
}

impl Asker {
    /// What causes whatever it asks for.
    pub(crate) fn cause(&self) -> Cause {
        let place = match &self.governed {
            None => Place::Origin,
            Some(Governed { parent, origin, depth, .. }) => {
                Place::Caused { depth: depth.saturating_add(1), parent: parent.clone(), origin: origin.clone() }
            }
        };
        let mandate = self.governed.as_ref().and_then(|governed| governed.mandate.clone());
        Cause { place, mandate }
    }
}

impl Authority {
    /// Answers a request for a writ.
    pub async fn authorize(&self, caller: &Caller<'_>, received: Received<'_>) -> Answer {
        self.asked_for_a_writ(caller, received).await.unwrap_or_else(|refusal| self.turn_away(refusal))
    }

    async fn asked_for_a_writ(&self, caller: &Caller<'_>, received: Received<'_>) -> Result<Answer, Refusal> {
        let (asker, request) = self.heard(caller, received).await?;
        let Ask::Authorize(ask) = &request.ask else {
            return Err(Refusal::malformed("expected a request for a writ, found an order or a request in shadow"));
        };
        let mut case = Case::new(&asker, &request, received.bytes())?;
        let under = self.under(&mut case, ask.mandate.as_ref()).map_err(|error| error.refusal())?;
        self.decided(&case, ask, under).await.map_err(|error| error.refusal())
    }

    async fn decided(
        &self,
        case: &Case<'_>,
        ask: &Authorize,
        under: Result<Option<Under>, Refusal>,
    ) -> Result<Answer, AuthorityError> {
        if let Some(fault) = &case.asker.fault {
            return self.deny(case, None, Ruling::of(fault)).await;
        }
        if case.action.kind() != ActionKind::Exec {
            let why = Refusal::malformed("an order is no action that a gateway executes; send it as an order");
            return self.deny(case, None, Ruling::of(&why)).await;
        }
        let under = match can_be_recorded(&ask.surroundings).and(under) {
            Ok(under) => under,
            Err(refusal) => return self.deny(case, None, Ruling::of(&refusal)).await,
        };
        let mut last = Refusal::new(Code::FactsChanged, "the facts kept changing; ask again");
        for _ in 0..DECISIONS_MAX {
            match self.decided_once(case, ask, under.as_ref()).await? {
                Ok(answer) => return Ok(answer),
                Err(changed) => last = changed,
            }
        }
        self.deny(case, None, Ruling::of(&last)).await
    }

    /// One decision and its answer; or why it has to be decided again.
    async fn decided_once(
        &self,
        case: &Case<'_>,
        ask: &Authorize,
        under: Option<&Under>,
    ) -> Result<Result<Answer, Refusal>, AuthorityError> {
        let active = self.policies.active();
        let mut facts = self.facts(case, ask.gateway(), &ask.surroundings)?;
        facts.mandate = under.and_then(Under::fact);
        if let Err(refusal) = carried(&facts.labels, &[]) {
            return self.deny(case, None, Ruling::of(&refusal)).await.map(Ok);
        }
        let hold = match self.resumption(case, ask)? {
            Resumption::Fresh => None,
            Resumption::Approved(Resumed { hold, approvers }) => {
                facts.approvals = approvers;
                Some(hold)
            }
            Resumption::Over(hold, refusal) => {
                return self.deny(case, None, Ruling::of(&refusal).ending(hold)).await.map(Ok);
            }
            Resumption::Not(refusal) => return self.deny(case, None, Ruling::of(&refusal)).await.map(Ok),
        };
        let decision = decide(&active.set, &case.action, &facts);
        // Whatever policy allows stays within the mandate; what policy refuses, it refuses first.
        if let (Decision::Permit(_) | Decision::Hold(_), Some(under)) = (&decision, under)
            && let Err(refusal) = under.contains(&case.action, &facts)
        {
            let ruling = Ruling { hold: hold.map(Box::new), ..Ruling::of(&refusal) };
            return self.deny(case, Some((&active, &facts)), ruling).await.map(Ok);
        }
        let recorded = match decision {
            Decision::Permit(permit) => self.permitted(case, ask, &active, (&facts, hold), (permit, under)).await?,
            Decision::Hold(wait) if ask.hold.is_none() => {
                if let Err(refusal) = self.awaited_by(&ask.audience) {
                    return self.deny(case, Some((&active, &facts)), Ruling::of(&refusal)).await.map(Ok);
                }
                self.hold(case, ask, (&active, &facts), wait).await?
            }
            // Other approvals are asked now than were when it was held: it is at its end, and whoever asks afresh waits for those.
            Decision::Hold(wait) => {
                let why = Refusal::new(Code::ApprovalPending, format!("policy asks anew; {}", asks(&wait.needs)));
                let ruling = Ruling { hold: hold.map(Box::new), ..Ruling::of(&why) };
                return self.deny(case, Some((&active, &facts)), ruling).await.map(Ok);
            }
            Decision::Deny(deny) => {
                let ruling = Ruling { hold: hold.map(Box::new), ..Ruling::of_policy(&active, &deny).judged(case) };
                let denied = self.deny(case, Some((&active, &facts)), ruling).await;
                return denied.map(|answer| Ok(answer.because(&active, case, &facts)));
            }
        };
        match recorded {
            Ok(answer) => Ok(Ok(answer)),
            Err(LedgerError::Refused(refusal)) if refusal.code() == Code::ClockUntrusted => Err(refusal.into()),
            Err(LedgerError::Refused(refusal))
                if matches!(refusal.code(), Code::FactsChanged | Code::PolicyMismatch) =>
            {
                Ok(Err(refusal))
            }
            Err(LedgerError::Refused(refusal)) => {
                self.deny(case, Some((&active, &facts)), Ruling::of(&refusal)).await.map(Ok)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Records a permit, on the terms that policy and the mandate leave it.
    async fn permitted(
        &self,
        case: &Case<'_>,
        ask: &Authorize,
        active: &ActiveSet,
        (facts, hold): (&Facts, Option<EntryRef>),
        (permit, under): (Permit, Option<&Under>),
    ) -> Result<Result<Answer, LedgerError>, AuthorityError> {
        let carries = carried(&facts.labels, &permit.terms.labels);
        let terms = Terms::of(&permit, self.ledger.published().control.limits(), facts.now_ms)?;
        let terms = match carries.and_then(|_| Under::narrow(under, terms)) {
            Ok(terms) => terms,
            Err(refusal) => return self.deny(case, Some((active, facts)), Ruling::of(&refusal)).await.map(Ok),
        };
        match self.record(self.grant(case, ask, active, (facts, hold), (permit, terms))?).await {
            Ok(receipt) => self.told(case, receipt).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    pub(crate) fn facts(
        &self,
        case: &Case<'_>,
        gateway: &Name,
        surroundings: &[Component],
    ) -> Result<Facts, AuthorityError> {
        let Inherited { labels, caused } = self.inherited(case.asker)?;
        Ok(Facts {
            now_ms: self.now_ms(),
            auth: case.asker.principal.auth.clone(),
            principal: case.asker.name(),
            depth: case.cause().depth(),
            approvals: Vec::new(),
            answers: None,
            changes: None,
            values: None,
            labels,
            caused,
            mandate: None,
            gateway: Some(gateway.clone()),
            surroundings: surroundings.iter().map(|one| (one.name.clone(), one.value.clone())).collect(),
        })
    }

    fn grant(
        &self,
        case: &Case<'_>,
        ask: &Authorize,
        active: &ActiveSet,
        (facts, hold): (&Facts, Option<EntryRef>),
        (permit, terms): (Permit, Terms),
    ) -> Result<Proposal, AuthorityError> {
        let published = self.ledger.published();
        let now_ms = facts.now_ms;
        let (labels, inherited) = (carried(&facts.labels, &permit.terms.labels)?, facts.labels.clone());
        let facts = opening(CommitmentKind::Facts, facts.to_cbor())?;
        let Terms { lease, window, obligations } = terms;
        let fields = GrantFields {
            id: WritId::new(now_ms, random()?),
            hold,
            uses: Positive::ONE,
            as_of: as_of(&published)?,
            cause: case.cause(),
            facts: facts.commitment(),
            lease,
            scope: Scope::One,
            action: case.action_ref(),
            holder: ask.holder.clone(),
            labels,
            policy: active.decided_by(permit.reasons)?,
            window,
            request: case.request_ref(),
            time_ms: now_ms,
            admitted: ask.admit.clone(),
            audience: ask.audience.clone(),
            principal: case.asker.principal.clone(),
            obligations,
            surroundings: Surroundings {
                level: Level::Claimed,
                digest: surroundings_digest(&ask.surroundings).map_err(Refusal::from)?,
                components: Ascending::new(ask.surroundings.iter().map(|one| one.name.clone())),
            },
        };
        let grant = Grant::new(fields).map_err(Refusal::from)?;
        let openings = vec![case.action_opening.clone(), facts, case.request_opening.clone()];
        Ok(Proposal::new(Draft::Grant(grant))
            .with_openings(openings)
            .with_reads(LineageRead::new(case.asker, inherited)))
    }

    /// Records a refusal and tells it.
    pub(crate) async fn deny(
        &self,
        case: &Case<'_>,
        decided: Option<(&ActiveSet, &Facts)>,
        ruling: Ruling,
    ) -> Result<Answer, AuthorityError> {
        let now_ms = decided.map_or_else(|| self.now_ms(), |(_, facts)| facts.now_ms);
        let facts = decided.map(|(_, facts)| opening(CommitmentKind::Facts, facts.to_cbor())).transpose()?;
        let text = ruling.text.as_ref().map(|text| opening(CommitmentKind::Text, text.clone().into_bytes()));
        let text = text.transpose()?;
        let denial = Denial {
            id: DenialId::new(now_ms, random()?),
            code: ruling.code,
            hold: ruling.hold.as_deref().cloned(),
            text: text.as_ref().map(Committed::commitment),
            as_of: as_of(&self.ledger.published())?,
            cause: case.cause(),
            facts: facts.as_ref().map(Committed::commitment),
            action: case.action_ref(),
            policy: decided.map(|(active, _)| active.decided_by(ruling.reasons.clone())).transpose()?,
            request: case.request_ref(),
            time_ms: now_ms,
            principal: case.asker.principal.clone(),
        };
        let mut openings = vec![case.action_opening.clone(), case.request_opening.clone()];
        openings.extend(facts);
        openings.extend(text);
        let proposal = Proposal::new(Draft::Denial(denial)).with_openings(openings);
        let receipt = self.record(proposal).await?;
        if receipt.repeated {
            return self.told(case, receipt);
        }
        let Ruling { code, why, clauses, .. } = ruling;
        Ok(Answer::Deny(Box::new(Denied { receipt, code, why, clauses, basis: None })))
    }

    /// What a recorded decision says; for a repeated request that is the answer of the first time.
    pub(crate) fn told(&self, case: &Case<'_>, receipt: Receipt) -> Result<Answer, AuthorityError> {
        let repeated = receipt.repeated.then(|| receipt.decode(self.ledger.origin())).transpose()?;
        let repeated = repeated.map(|entry| entry.body);
        if let Some(Body::Hold(hold)) = &repeated {
            return self.told_hold(receipt, hold, case.request.action_salt);
        }
        if let Some(Body::Denial(denial)) = &repeated {
            let clauses = denial.policy.as_ref().map(|policy| self.clauses(policy.reasons.as_slice()));
            let why = "this request was refused before, and a refusal is final; make a new request".to_owned();
            let clauses = clauses.unwrap_or_default();
            let denied = Denied { code: denial.code, why, clauses, receipt, basis: None };
            return Ok(Answer::Deny(Box::new(denied)));
        }
        Ok(match case.request.ask {
            Ask::Authorize(_) if !matches!(repeated, None | Some(Body::Grant(_))) => {
                let why = "a request for a writ was answered with something else";
                return Err(Refusal::new(Code::Internal, why).into());
            }
            Ask::Authorize(_) => Answer::Permit(receipt),
            Ask::Order => Answer::Done(receipt),
            Ask::Shadow(_) => {
                let none = || Refusal::new(Code::Internal, "a request in shadow was answered with something else");
                Answer::Shadow(Box::new(self.told_shadow(&receipt)?.ok_or_else(none)?))
            }
        })
    }

    pub(crate) fn clauses(&self, reasons: &[Name]) -> Vec<(Name, Clause)> {
        self.policies.active().explained(reasons)
    }
}

impl Answer {
    /// With what policy was asked on, so that it can be explained if somebody wants to know. A repeated refusal is not decided again.
    pub(crate) fn because(mut self, active: &Arc<ActiveSet>, case: &Case<'_>, facts: &Facts) -> Self {
        if let Self::Deny(denied) = &mut self
            && !denied.receipt.repeated
        {
            let (active, action, facts) = (active.clone(), case.action.clone(), facts.clone());
            denied.basis = Some(Basis { active, action, facts });
        }
        self
    }
}

/// Facts that nobody could read again are none that anybody may decide on.
pub(crate) fn can_be_recorded(surroundings: &[Component]) -> Result<(), Refusal> {
    let bytes: usize = surroundings.iter().map(|one| one.name.as_str().len() + one.value.len()).sum();
    if bytes <= SURROUNDINGS_BYTES_MAX && surroundings.len() <= SURROUNDINGS_MAX {
        return Ok(());
    }
    Err(Refusal::malformed(format_args!(
        "expected surroundings of at most {SURROUNDINGS_MAX} components and {SURROUNDINGS_BYTES_MAX} bytes, found {} and {bytes}",
        surroundings.len()
    )))
}

/// Why a request is refused.
pub(crate) struct Ruling {
    pub(crate) code: Code,
    pub(crate) why: String,
    pub(crate) reasons: Vec<Name>,
    pub(crate) clauses: Vec<(Name, Clause)>,
    /// What is kept of it in the vault.
    text: Option<String>,
    /// The hold that ends with it.
    pub(crate) hold: Option<Box<EntryRef>>,
}

impl ActiveSet {
    /// Its policies with these ids.
    pub(crate) fn explained(&self, reasons: &[Name]) -> Vec<(Name, Clause)> {
        reasons.iter().filter_map(|reason| Some((reason.clone(), self.set.clause(reason)?.clone()))).collect()
    }
}

impl Ruling {
    pub(crate) fn of(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code(),
            why: refusal.why().to_owned(),
            reasons: Vec::new(),
            clauses: Vec::new(),
            text: None,
            hold: None,
        }
    }

    /// With what is kept of it in the vault, for whoever asks later what was wrong.
    pub(crate) fn with_text(self, text: String) -> Self {
        Self { text: Some(text), ..self }
    }

    /// With the hold that ends so.
    pub(crate) fn ending(self, hold: EntryRef) -> Self {
        Self { hold: Some(Box::new(hold)), ..self }
    }

    pub(crate) fn of_policy(active: &ActiveSet, deny: &writ_policy::Deny) -> Self {
        let clauses = active.explained(&deny.reasons);
        let names = |reasons: &[Name]| reasons.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
        let errors = || {
            let each = deny.errors.iter().map(|(policy, error)| match policy {
                Some(policy) => format!("{policy}: {error}"),
                None => error.clone(),
            });
            each.collect::<Vec<_>>().join("; ")
        };
        let why = match (deny.errors.is_empty(), deny.reasons.is_empty()) {
            (false, _) => format!("a policy could not be evaluated: {}", errors()),
            (true, false) => format!("forbidden by {}", names(&deny.reasons)),
            (true, true) => "no policy permits it".to_owned(),
        };
        Self { code: deny.code, why, reasons: deny.reasons.clone(), clauses, text: None, hold: None }
    }

    /// Where no policy said anything, what was judged is all that helps whoever asked.
    pub(crate) fn judged(self, case: &Case<'_>) -> Self {
        if self.code != Code::PolicyDenied || !self.reasons.is_empty() {
            return self;
        }
        let who = case.asker.name();
        let asked = match &case.action {
            Action::Exec(exec) => format!("running {} in {}", text_of_bytes(&exec.path), text_of_bytes(&exec.cwd)),
            Action::Order(order) => format!("ordering {}", order.command.as_str()),
            Action::Advice(_) => "asking about somebody".to_owned(),
        };
        Self { why: format!("{}: {}::{}, {asked}", self.why, who.kind, who.id), ..self }
    }
}

/// What policy demands of a permitted execution, within what the domain allows.
pub(crate) struct Terms {
    pub(crate) lease: Lease,
    pub(crate) window: Window,
    pub(crate) obligations: Vec<Obligation>,
}

impl Terms {
    /// A pure function of the permit, the domain's limits and the time: replay calls it too.
    pub(crate) fn of(permit: &Permit, limits: &Limits, now_ms: u64) -> Result<Self, Refusal> {
        let terms = &permit.terms;
        let positive = |wanted: u64, most: Positive| {
            Positive::new(wanted.min(most.get())).ok_or_else(|| Refusal::malformed("a policy demands a time of zero"))
        };
        let kill_after_ms = positive(terms.kill_after_ms, limits.kill_ms_max)?;
        let freeze_after_ms = positive(terms.freeze_after_ms, limits.freeze_ms_max)?.min(kill_after_ms);
        let window_ms = terms.window_ms.saturating_add(WINDOW_BEFORE_MS).min(limits.window_ms_max.get());
        let from_ms = now_ms.saturating_sub(WINDOW_BEFORE_MS.min(window_ms / 2));
        let window = Window::new(from_ms, from_ms.saturating_add(window_ms))?;
        let draws = terms.budgets.iter().map(|budget| Draw { limit: budget.limit, counter: budget.counter.clone() });
        let draws: Vec<Draw> = draws.collect();
        let mut obligations = Vec::new();
        if !draws.is_empty() {
            obligations.push(Obligation::Budget(Draws::new(draws)?));
        }
        obligations.extend(terms.sandbox.clone().map(Obligation::Sandbox));
        Ok(Self { lease: Lease { kill_after_ms, freeze_after_ms }, window, obligations })
    }
}

pub(crate) fn opening(kind: CommitmentKind, value: Vec<u8>) -> Result<Committed, AuthorityError> {
    Ok(Opening { kind, salt: random()?, value }.into())
}

pub(crate) fn as_of(published: &Published) -> Result<AsOf, AuthorityError> {
    let size = published.checkpoint.checkpoint().size.get();
    let control =
        published.control.head_at(size).ok_or_else(|| Refusal::new(Code::Internal, "a chain without head"))?;
    Ok(AsOf { size, ledger: published.control.genesis().home.clone(), control })
}
