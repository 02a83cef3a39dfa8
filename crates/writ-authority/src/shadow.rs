//! Shadow: policy is asked, what it would have answered is recorded, and nothing comes of it (decision 0026).
//!
//! The same callers, the same facts and the same decision as for a writ; but what is proposed is a `shadow`, which nobody can present. Neither
//! halts nor revocations nor counters are asked, since they are the ledger's order and not policy.

use crate::answer::{Answer, Shadowed};
use crate::authority::Authority;
use crate::caller::{Caller, Received};
use crate::decision::{Case, Ruling, as_of, can_be_recorded, opening};
use crate::disclosure::Basis;
use crate::error::AuthorityError;
use crate::hold::asks;
use crate::lineage::carried;
use crate::mandate::Under;
use crate::policies::ActiveSet;
use std::sync::Arc;
use writ_ledger::{Draft, LedgerError, Proposal, Receipt};
use writ_policy::{Decision, Deny, Facts, decide};
use writ_protocol::action::{Action, CommitmentKind};
use writ_protocol::cbor::Encode;
use writ_protocol::entry::{Body, Shadow, ShadowFields, Would};
use writ_protocol::statement::{Ask, Shadowing};
use writ_protocol::{Code, Refusal};

/// How often a request is decided again because another set came into force before it was recorded.
const DECISIONS_MAX: usize = 8;

/// What a decision says where nothing is enforced; nothing for an answer that policy does not have.
pub(crate) fn would(decision: &Decision) -> Option<Would> {
    match decision {
        Decision::Permit(_) => Some(Would::Permit),
        Decision::Hold(_) => Some(Would::Hold),
        Decision::Deny(deny) => Would::refuse(deny.code),
    }
}

/// What a decision comes to under a mandate: what is outside its scope would be refused. What is outside its time is not looked at, nor is how
/// often it was used: these are the ledger's order.
pub(crate) fn under_mandate(under: Option<&Under>, decision: Decision, action: &Action, facts: &Facts) -> Decision {
    let Some(under) = under else { return decision };
    match (&decision, under.allows(action, facts)) {
        (Decision::Permit(_) | Decision::Hold(_), Err(refusal)) => {
            let errors = vec![(None, refusal.why().to_owned())];
            Decision::Deny(Deny { code: refusal.code(), reasons: Vec::new(), errors, tells: false })
        }
        (Decision::Permit(_) | Decision::Hold(_), Ok(())) | (Decision::Deny(_), _) => decision,
    }
}

impl Authority {
    /// Records what policy would have answered.
    pub async fn shadow(&self, caller: &Caller<'_>, received: Received<'_>) -> Answer {
        self.asked_in_shadow(caller, received).await.unwrap_or_else(|refusal| self.turn_away(refusal))
    }

    async fn asked_in_shadow(&self, caller: &Caller<'_>, received: Received<'_>) -> Result<Answer, Refusal> {
        let (asker, request) = self.heard(caller, received).await?;
        let Ask::Shadow(ask) = &request.ask else {
            return Err(Refusal::malformed("expected a request in shadow, found one for a writ or an order"));
        };
        let mut case = Case::new(&asker, &request, received.bytes())?;
        let under = self.under(&mut case, ask.mandate.as_ref()).map_err(|error| error.refusal())?;
        self.shadowed(&case, ask, under).await.map_err(|error| error.refusal())
    }

    async fn shadowed(
        &self,
        case: &Case<'_>,
        ask: &Shadowing,
        under: Result<Option<Under>, Refusal>,
    ) -> Result<Answer, AuthorityError> {
        if let Some(fault) = &case.asker.fault {
            return self.deny(case, None, Ruling::of(fault)).await;
        }
        let under = match can_be_recorded(&ask.surroundings).and(under) {
            Ok(under) => under,
            Err(refusal) => return self.deny(case, None, Ruling::of(&refusal)).await,
        };
        let mut last = Refusal::new(Code::PolicyMismatch, "other policy sets kept coming into force; ask again");
        for _ in 0..DECISIONS_MAX {
            let active = self.policies.active();
            let mut facts = self.facts(case, &ask.gateway, &ask.surroundings)?;
            facts.mandate = under.as_ref().and_then(Under::fact);
            if let Err(refusal) = carried(&facts.labels, &[]) {
                return self.deny(case, None, Ruling::of(&refusal)).await;
            }
            let decision =
                under_mandate(under.as_ref(), decide(&active.set, &case.action, &facts), &case.action, &facts);
            match self.record(self.shadow_of(case, &active, &facts, &decision)?).await {
                Ok(receipt) if receipt.repeated => return self.told(case, receipt),
                Ok(receipt) => return Ok(said(case, &active, facts, &decision, receipt)),
                Err(LedgerError::Refused(refusal)) if refusal.code() == Code::PolicyMismatch => last = refusal,
                Err(LedgerError::Refused(refusal)) if refusal.code() == Code::ClockUntrusted => {
                    return Err(refusal.into());
                }
                // What policy would have said, which may have been no too, is not why.
                Err(LedgerError::Refused(refusal)) => return self.deny(case, None, Ruling::of(&refusal)).await,
                Err(error) => return Err(error.into()),
            }
        }
        self.deny(case, None, Ruling::of(&last)).await
    }

    fn shadow_of(
        &self,
        case: &Case<'_>,
        active: &ActiveSet,
        facts: &Facts,
        decision: &Decision,
    ) -> Result<Proposal, AuthorityError> {
        let unknown = || Refusal::new(Code::Internal, "policy has answered with a code that is not its own");
        let committed = opening(CommitmentKind::Facts, facts.to_cbor())?;
        let fields = ShadowFields {
            as_of: as_of(&self.ledger.published())?,
            cause: case.cause(),
            facts: committed.commitment(),
            would: would(decision).ok_or_else(unknown)?,
            action: case.action_ref(),
            policy: active.decided_by(decision.reasons().to_vec())?,
            request: case.request_ref(),
            time_ms: facts.now_ms,
            principal: case.asker.principal.clone(),
        };
        let shadow = Shadow::new(fields).map_err(Refusal::from)?;
        let openings = vec![case.action_opening.clone(), committed, case.request_opening.clone()];
        Ok(Proposal::new(Draft::Shadow(shadow)).with_openings(openings))
    }

    /// What was recorded when the same was asked before; nothing, where that is no shadow.
    pub(crate) fn told_shadow(&self, receipt: &Receipt) -> Result<Option<Shadowed>, AuthorityError> {
        let Body::Shadow(shadow) = receipt.decode(self.ledger.origin())?.body else { return Ok(None) };
        let clauses = self.clauses(shadow.policy.reasons.as_slice());
        let why = (shadow.would != Would::Permit).then(|| "this was asked before; `writ replay` says why".to_owned());
        Ok(Some(Shadowed { receipt: receipt.clone(), would: shadow.would, why, clauses, basis: None }))
    }
}

fn said(case: &Case<'_>, active: &Arc<ActiveSet>, facts: Facts, decision: &Decision, receipt: Receipt) -> Answer {
    let (would, why, clauses, basis) = match decision {
        Decision::Permit(permit) => (Would::Permit, None, active.explained(&permit.reasons), None),
        Decision::Hold(hold) => (Would::Hold, Some(asks(&hold.needs)), active.explained(&hold.reasons), None),
        Decision::Deny(deny) => {
            let Ruling { why, clauses, .. } = Ruling::of_policy(active, deny).judged(case);
            let basis = Basis { active: active.clone(), action: case.action.clone(), facts };
            // Another code has not been recorded.
            let would = Would::refuse(deny.code).unwrap_or(Would::PolicyDenied);
            (would, Some(why), clauses, Some(basis))
        }
    };
    Answer::Shadow(Box::new(Shadowed { receipt, would, why, clauses, basis }))
}
