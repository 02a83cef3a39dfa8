//! Orders to the control plane itself: authorized like any action, by a key and from outside every governed tree.

use crate::answer::Answer;
use crate::authority::{Authority, random};
use crate::caller::{Caller, Received};
use crate::decision::{Case, Ruling, opening};
use crate::erase::erasure;
use crate::error::AuthorityError;
use crate::hold::asks;
use crate::policies::ActiveSet;
use writ_ledger::{Draft, LedgerError, Proposal, ReadControl};
use writ_policy::{Decision, Facts, decide};
use writ_protocol::action::{Action, Command, CommitmentKind, Enrolled, Order};
use writ_protocol::cbor::Encode;
use writ_protocol::entry::{Enrolment, Genesis, Halt, OrderRef, Policy, Revocation};
use writ_protocol::statement::Ask;
use writ_protocol::{Code, OrderId, Refusal};
use writ_tlog::Hash;

/// How often an order is decided again because the control chain has grown meanwhile.
const DECISIONS_MAX: usize = 8;

impl Authority {
    /// Carries out an order, or refuses it.
    pub async fn order(&self, caller: &Caller<'_>, received: Received<'_>) -> Answer {
        self.asked_for_an_order(caller, received).await.unwrap_or_else(|refusal| self.turn_away(refusal))
    }

    async fn asked_for_an_order(&self, caller: &Caller<'_>, received: Received<'_>) -> Result<Answer, Refusal> {
        let (asker, request) = self.heard(caller, received).await?;
        if !matches!(request.ask, Ask::Order) {
            return Err(Refusal::malformed("expected an order, found another request"));
        }
        let case = Case::new(&asker, &request, received.bytes())?;
        self.ordered(&case).await.map_err(|error| error.refusal())
    }

    async fn ordered(&self, case: &Case<'_>) -> Result<Answer, AuthorityError> {
        let allowed = case.asker.fault.clone().map_or(Ok(()), Err).and_then(|()| case.asker.may_give_orders());
        if let Err(refusal) = allowed {
            return self.deny(case, None, Ruling::of(&refusal)).await;
        }
        let Action::Order(order) = &case.action else {
            let why = Refusal::malformed("expected an order as the action, found an execution");
            return self.deny(case, None, Ruling::of(&why)).await;
        };
        if let Some(why) = comes_with_more(&order.command) {
            return self.deny(case, None, Ruling::of(&why)).await;
        }
        let mut last = Refusal::new(Code::FactsChanged, "the control chain kept growing; ask again");
        for _ in 0..DECISIONS_MAX {
            let active = self.policies.active();
            let head = self.ledger.published().control.head().head;
            let facts = match self.facts_of_order(case, &active, &order.command) {
                Ok(facts) => facts,
                Err(AuthorityError::Refused(refusal)) => return self.deny(case, None, Ruling::of(&refusal)).await,
                Err(error) => return Err(error),
            };
            let permit = match decide(&active.set, &case.action, &facts) {
                Decision::Permit(permit) => permit,
                // Nothing of policy makes an order wait; were it so, it would not be carried out.
                Decision::Hold(wait) => {
                    let why = Refusal::new(Code::ApprovalPending, asks(&wait.needs));
                    return self.deny(case, Some((&active, &facts)), Ruling::of(&why)).await;
                }
                Decision::Deny(deny) => {
                    return self
                        .deny(case, Some((&active, &facts)), Ruling::of_policy(&active, &deny).judged(case))
                        .await
                        .map(|answer| answer.because(&active, case, &facts));
                }
            };
            if let Command::Erase(named) = &order.command {
                match self.spared(named) {
                    Ok(()) => {}
                    Err(AuthorityError::Refused(refusal)) => {
                        return self.deny(case, Some((&active, &facts)), Ruling::of(&refusal)).await;
                    }
                    Err(error) => return Err(error),
                }
            }
            let committed = opening(CommitmentKind::Facts, facts.to_cbor())?;
            let stands = Stands { facts: committed.commitment(), policy: active.decided_by(permit.reasons)? };
            let draft = draft(case, order, stands, &facts)?;
            let openings = vec![case.action_opening.clone(), committed, case.request_opening.clone()];
            let proposal = Proposal::new(draft).with_openings(openings).with_reads(ReadControl { head });
            match self.record(proposal).await {
                Ok(receipt) => return Ok(Answer::Done(receipt)),
                Err(LedgerError::Refused(refusal))
                    if matches!(refusal.code(), Code::FactsChanged | Code::PolicyMismatch) =>
                {
                    last = refusal;
                }
                Err(LedgerError::Refused(refusal)) => {
                    return self.deny(case, Some((&active, &facts)), Ruling::of(&refusal)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.deny(case, None, Ruling::of(&last)).await
    }

    /// The facts of an order, with what is known of what it is about.
    fn facts_of_order(&self, case: &Case<'_>, active: &ActiveSet, command: &Command) -> Result<Facts, AuthorityError> {
        let facts = self.order_facts(case);
        Ok(match command {
            Command::Answer(verdict, held) => {
                Facts { answers: Some(self.answered(case, active, (*verdict, held))?), ..facts }
            }
            Command::Mandate(given) => {
                let mandate = given.parent.as_ref().map(|named| self.handed_on(named)).transpose()?;
                Facts { mandate, ..facts }
            }
            Command::Erase(named) => Facts { values: Some(self.named(named)?), ..facts },
            Command::Revoke(_) | Command::Halt | Command::Publish(_) | Command::Entities(_) | Command::Enrol(_) => {
                facts
            }
        })
    }

    pub(crate) fn order_facts(&self, case: &Case<'_>) -> Facts {
        Facts {
            now_ms: self.now_ms(),
            auth: case.asker.principal.auth.clone(),
            principal: case.asker.name(),
            // Orders come from outside every lineage.
            depth: 0,
            approvals: Vec::new(),
            answers: None,
            changes: None,
            values: None,
            labels: Vec::new(),
            caused: None,
            mandate: None,
            gateway: None,
            surroundings: Vec::new(),
        }
    }
}

/// What an order was decided on.
struct Stands {
    facts: Hash,
    policy: Policy,
}

fn draft(case: &Case<'_>, order: &Order, stands: Stands, decided: &Facts) -> Result<Draft, AuthorityError> {
    let (Stands { facts, policy }, time_ms) = (stands, decided.now_ms);
    let (by, id, action) = (case.asker.principal.clone(), order_id(decided)?, case.action_ref());
    let (reason, request) = (order.reason.clone(), case.request_ref());
    // The sequencer gives it its place in the chain.
    let control = Genesis::CONTROL;
    Ok(match &order.command {
        Command::Revoke(target) => {
            let target = target.clone();
            Draft::Revocation(Revocation { by, id, facts, action, policy, reason, target, control, request, time_ms })
        }
        Command::Halt => Draft::Halt(Halt { by, id, facts, action, policy, reason, control, request, time_ms }),
        Command::Answer(verdict, held) => Authority::approval(case, (held, *verdict), decided, (facts, policy))?,
        Command::Mandate(given) => Authority::mandate(case, given, decided, (facts, policy))?,
        Command::Erase(named) => erasure(case, named, &order.reason, decided, (facts, policy))?,
        Command::Enrol(enrolled) => {
            let Enrolled { key, epoch, groups, asserts, gateway } = Enrolled::clone(enrolled);
            let order = Some(OrderRef { id, facts, action, policy, reason });
            Draft::Gateway(Enrolment { by, key, epoch, order, groups, asserts, control, gateway, request, time_ms })
        }
        Command::Publish(_) => return Err(without_bundle().into()),
        Command::Entities(_) => return Err(without_change().into()),
    })
}

pub(crate) fn order_id(decided: &Facts) -> Result<OrderId, AuthorityError> {
    Ok(OrderId::new(decided.now_ms, random()?))
}

/// What is wrong with an order that is given alone, where it comes with what is to be put in force.
fn comes_with_more(command: &Command) -> Option<Refusal> {
    match command {
        Command::Publish(_) => Some(without_bundle()),
        Command::Entities(_) => Some(without_change()),
        Command::Revoke(_)
        | Command::Halt
        | Command::Answer(..)
        | Command::Mandate(_)
        | Command::Erase(_)
        | Command::Enrol(_) => None,
    }
}

/// An order to change entities comes with the change.
fn without_change() -> Refusal {
    Refusal::malformed("entities are changed with what is to change, to /v1/entities")
}

/// An order to publish comes with what is to be published.
fn without_bundle() -> Refusal {
    Refusal::malformed("a policy set is published with its bundle, to /v1/policies")
}
