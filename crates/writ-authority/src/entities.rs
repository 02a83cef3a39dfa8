//! Entities beside those of the policy set: who is in which group, changed by order, each change an entry, in force with that entry.
//!
//! Whether somebody may make a change is decided by policy, before anything is said of what is there; whether the entities still fit is
//! asked after that. Nothing takes effect before the entry is durable (Invariant 9), and what was decided on older entities is decided
//! again when it is sequenced (Invariant 5).

use crate::answer::Answer;
use crate::authority::{Authority, random};
use crate::caller::{Caller, Received};
use crate::decision::{Case, Ruling, opening};
use crate::error::AuthorityError;
use crate::hold::asks;
use crate::policies::ActiveSet;
use std::collections::BTreeSet;
use std::sync::Arc;
use writ_ledger::{Draft, Kept, LedgerError, Proposal, Reader, Receipt};
use writ_policy::{Decision, EntitySnapshot, Facts, PolicyError, PolicySet, decide};
use writ_protocol::action::{Action, Command, CommitmentKind, Order};
use writ_protocol::cbor::Encode;
use writ_protocol::entities::EntityChange;
use writ_protocol::entry::{Body, Entities, Genesis, Positive};
use writ_protocol::order::ActiveEntities;
use writ_protocol::statement::Ask;
use writ_protocol::{Code, Name, OrderId, Refusal};
use writ_tlog::{Hash, LeafIndex, sha256};

/// How often a change is decided again because policies or entities have changed meanwhile.
const DECISIONS_MAX: usize = 8;
/// A caller is told the first findings; all of them are kept.
const TOLD_MAX: usize = 5;

impl Authority {
    /// Changes the entities, or refuses it and records why. It compiles what it is given, so it takes its time: it is for a thread that may
    /// wait.
    pub async fn change_entities(&self, caller: &Caller<'_>, received: Received<'_>, change: &[u8]) -> Answer {
        self.asked_for_a_change(caller, received, change).await.unwrap_or_else(|refusal| self.turn_away(refusal))
    }

    async fn asked_for_a_change(
        &self,
        caller: &Caller<'_>,
        received: Received<'_>,
        change: &[u8],
    ) -> Result<Answer, Refusal> {
        let (asker, request) = self.heard(caller, received).await?;
        // A change is read and hashed whoever orders it, so it counts by its size like any large request.
        self.rates.take(&asker.name(), change.len(), self.now_ms())?;
        if !matches!(request.ask, Ask::Order) {
            return Err(Refusal::malformed("expected an order, found a request for a writ"));
        }
        let case = Case::new(&asker, &request, received.bytes())?;
        self.changed_by(&case, change).await.map_err(|error| error.refusal())
    }

    async fn changed_by(&self, case: &Case<'_>, bytes: &[u8]) -> Result<Answer, AuthorityError> {
        let (order, change) = match ordered(case, bytes) {
            Ok(ordered) => ordered,
            Err(refusal) => return self.deny(case, None, Ruling::of(&refusal)).await,
        };
        let mut last = Refusal::new(Code::FactsChanged, "the entities kept changing; ask again");
        for _ in 0..DECISIONS_MAX {
            let active = self.policies.active();
            let made = match self.decided_on(case, &active, &change).await? {
                Ok(made) => made,
                Err(answer) => return Ok(answer),
            };
            match self.put_in_force(case, order, (&change, bytes), &active, made) {
                Ok(Some(receipt)) => return Ok(Answer::Done(receipt)),
                Ok(None) => {}
                Err(AuthorityError::Ledger(LedgerError::Refused(refusal))) => {
                    if refusal.code() == Code::ClockUntrusted {
                        return Err(LedgerError::Refused(refusal).into());
                    }
                    if !matches!(refusal.code(), Code::FactsChanged | Code::PolicyMismatch) {
                        return self.deny(case, None, Ruling::of(&refusal)).await;
                    }
                    last = refusal;
                }
                Err(error) => return Err(error),
            }
        }
        self.deny(case, None, Ruling::of(&last)).await
    }

    /// Whether it may be made, and then what would come of it; or the answer.
    async fn decided_on(
        &self,
        case: &Case<'_>,
        active: &Arc<ActiveSet>,
        change: &EntityChange,
    ) -> Result<Result<Made, Answer>, AuthorityError> {
        let changes = match active.set.changes(change) {
            Ok(changes) if changes.can_be_recorded() => changes,
            Ok(_) => {
                let why = Refusal::malformed("it touches more groups than can be recorded; make it in several changes");
                return self.deny(case, None, Ruling::of(&why)).await.map(Err);
            }
            Err(findings) => return self.deny(case, None, unfit(&findings)).await.map(Err),
        };
        let facts = Facts { changes: Some(changes), ..self.order_facts(case) };
        let reasons = match decide(&active.set, &case.action, &facts) {
            Decision::Permit(permit) => permit.reasons,
            // Nothing of policy makes an order wait; were it so, it would not be carried out.
            Decision::Hold(wait) => {
                let why = Refusal::new(Code::ApprovalPending, asks(&wait.needs));
                return self.deny(case, Some((active, &facts)), Ruling::of(&why)).await.map(Err);
            }
            Decision::Deny(deny) => {
                let ruling = Ruling::of_policy(active, &deny).judged(case);
                let denied = self.deny(case, Some((active, &facts)), ruling).await?;
                return Ok(Err(denied.because(active, case, &facts)));
            }
        };
        if let Err(refusal) = stands_on(active, change) {
            return self.deny(case, Some((active, &facts)), Ruling::of(&refusal)).await.map(Err);
        }
        match active.set.changed(change).and_then(tested) {
            Ok(set) => Ok(Ok(Made { set, facts, reasons })),
            Err(findings) => self.deny(case, Some((active, &facts)), unfit(&findings)).await.map(Err),
        }
    }

    /// Nothing, where something else has come into force since it was decided.
    fn put_in_force(
        &self,
        case: &Case<'_>,
        order: &Order,
        (change, bytes): (&EntityChange, &[u8]),
        active: &Arc<ActiveSet>,
        made: Made,
    ) -> Result<Option<Receipt>, AuthorityError> {
        let Made { set, facts, reasons } = made;
        let others = set.others().cloned().unwrap_or_default();
        let epoch = active.entities.as_ref().map_or(1, |before| before.epoch.get().saturating_add(1));
        let (content, committed) =
            (opening(CommitmentKind::Entities, bytes.to_vec())?, opening(CommitmentKind::Facts, facts.to_cbor())?);
        let entities = Entities {
            by: case.asker.principal.clone(),
            id: OrderId::new(facts.now_ms, random()?),
            count: others.len() as u64,
            epoch: Positive::new(epoch).unwrap_or(Positive::ONE),
            facts: committed.commitment(),
            action: case.action_ref(),
            change: sha256(bytes),
            policy: active.decided_by(reasons)?,
            reason: order.reason.clone(),
            content: content.commitment(),
            // The sequencer gives it its place in the chain.
            control: Genesis::CONTROL,
            request: case.request_ref(),
            time_ms: facts.now_ms,
            snapshot: change.snapshot(&others.root()),
        };
        let reference = entities.reference();
        let openings = vec![case.action_opening.clone(), committed, content, case.request_opening.clone()];
        let proposal = Proposal::new(Draft::Entities(entities)).with_openings(openings);
        self.policies.change(active, set, reference, || Ok(self.ledger.append(proposal)?))
    }
}

/// What was decided, and what comes of it.
struct Made {
    set: PolicySet,
    facts: Facts,
    reasons: Vec<Name>,
}

/// The order and the change that it names, of somebody who may give orders.
fn ordered<'c>(case: &'c Case<'_>, bytes: &[u8]) -> Result<(&'c Order, EntityChange), Refusal> {
    case.asker.fault.clone().map_or(Ok(()), Err)?;
    case.asker.may_give_orders()?;
    let Action::Order(order) = &case.action else {
        return Err(Refusal::malformed("expected an order as the action, found an execution"));
    };
    let Command::Entities(named) = &order.command else {
        return Err(Refusal::malformed("expected an order to change entities"));
    };
    if sha256(bytes) != *named {
        return Err(Refusal::new(Code::IntegrityFailure, "the change is not the one that the order names"));
    }
    Ok((order, EntityChange::decode(bytes)?))
}

/// Whoever was shown a snapshot and changes it changes that one, and not what somebody else has made of it meanwhile.
fn stands_on(active: &ActiveSet, change: &EntityChange) -> Result<(), Refusal> {
    let Some(base) = change.base else { return Ok(()) };
    let in_force = active.entities.as_ref().map_or_else(nothing, |entities| entities.snapshot);
    if base == in_force {
        return Ok(());
    }
    Err(Refusal::new(Code::FactsChanged, "the entities have changed since they were looked at; look again"))
}

/// What a change names as its base where there are no entities yet.
pub(crate) fn nothing() -> Hash {
    EntitySnapshot::default().root()
}

/// A set that still answers its fixtures as they say.
fn tested(set: PolicySet) -> Result<PolicySet, Vec<PolicyError>> {
    let failed: Vec<PolicyError> = set.test()?.into_iter().filter_map(|one| one.failure).collect();
    if failed.is_empty() { Ok(set) } else { Err(failed) }
}

/// Why a change is not made, the first findings for whoever asked and all of them for the vault.
fn unfit(findings: &[PolicyError]) -> Ruling {
    let told: Vec<String> = findings.iter().take(TOLD_MAX).map(ToString::to_string).collect();
    let more = findings.len().saturating_sub(TOLD_MAX);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let why = format!("the entities would not fit: {}{more}", told.join("; "));
    let all: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    Ruling::of(&Refusal::new(Code::GateFailed, why)).with_text(all)
}

/// The entities that the control chain has put in force: every change made again, in order. One that was erased is passed over, since what it
/// said may have been said again by later ones; that the outcome is the snapshot of the last entry is what counts.
pub(crate) fn recorded_entities(
    reader: &Reader,
    active: Option<&ActiveEntities>,
) -> Result<Option<EntitySnapshot>, AuthorityError> {
    let Some(active) = active else { return Ok(None) };
    let missing = || AuthorityError::EntitiesMissing { epoch: active.entities.epoch.get(), at: active.at.get() };
    made_again(reader, active, &BTreeSet::new())?.ok_or_else(missing).map(Some)
}

/// Whether the entities in force could not be made again without these changes.
pub(crate) fn rests_on(
    reader: &Reader,
    active: Option<&ActiveEntities>,
    changes: &BTreeSet<LeafIndex>,
) -> Result<bool, AuthorityError> {
    match active {
        Some(active) if !changes.is_empty() => Ok(made_again(reader, active, changes)?.is_none()),
        Some(_) | None => Ok(false),
    }
}

/// The entities in force, made again without these changes and those that were erased; nothing where something else comes of that.
fn made_again(
    reader: &Reader,
    active: &ActiveEntities,
    without: &BTreeSet<LeafIndex>,
) -> Result<Option<EntitySnapshot>, AuthorityError> {
    let (mut snapshot, mut digest) = (EntitySnapshot::default(), None);
    for at in &active.changes {
        let Some(stored) = reader.entry(*at)? else { return Ok(None) };
        let Body::Entities(entities) = stored.decode(reader.origin())?.body else { return Ok(None) };
        digest = match reader.kept(*at, CommitmentKind::Entities, &entities.content)? {
            Kept::Value(opening) if !without.contains(at) => {
                let change = EntityChange::decode(&opening.value)?;
                let Ok(changed) = snapshot.with(&change) else { return Ok(None) };
                snapshot = changed;
                Some(change.snapshot(&snapshot.root()))
            }
            Kept::Value(_) | Kept::Erased | Kept::Nothing => None,
        };
    }
    Ok((digest == Some(active.entities.snapshot)).then_some(snapshot))
}

/// The entities in force by the control chain in a store, wherever its node runs; none, where none were ever put there.
pub fn entities_in_force(reader: &Reader) -> Result<EntitySnapshot, AuthorityError> {
    let view = reader.view()?;
    Ok(recorded_entities(reader, view.control.entities())?.unwrap_or_default())
}
