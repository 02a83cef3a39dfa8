//! Erasing: what an order to erase names, and what must not be erased since something still rests on it.
//!
//! Whether somebody may erase is decided by policy, from what stands in the entries; whether the values can be spared is asked after that.

use crate::authority::Authority;
use crate::decision::Case;
use crate::entities::rests_on;
use crate::error::AuthorityError;
use std::collections::{BTreeMap, BTreeSet};
use writ_ledger::{Draft, Kept};
use writ_policy::{Facts, Values};
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::{Ascending, Body, Erased, Erasure, ErasureFields, Policy};
use writ_protocol::order::ExecutionState;
use writ_protocol::{Code, Label, Refusal};
use writ_tlog::{Hash, LeafIndex};

/// What the values are that are named, as the entries say it; nothing where one of the entries is not there, or does not hold what is named.
pub(crate) fn values<'b>(named: &Ascending<Erased>, entry: impl Fn(u64) -> Option<&'b Body>) -> Option<Values> {
    let (mut kinds, mut entries, mut principals) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for one in named.as_slice() {
        let body = entry(one.index)?;
        kinds.insert(kind(body, &one.commitment)?.as_str().to_owned());
        entries.insert(body.entry_type().as_str().to_owned());
        principals.extend(body.asker().map(|who| format!("{}::{}", who.kind, who.id)));
    }
    let listed = |set: BTreeSet<String>| set.into_iter().collect();
    let count = u64::try_from(named.as_slice().len()).unwrap_or(u64::MAX);
    Some(Values { kinds: listed(kinds), count, entries: listed(entries), principals: listed(principals) })
}

fn kind(body: &Body, commitment: &Hash) -> Option<CommitmentKind> {
    body.commitments().into_iter().find_map(|(kind, held)| (held == *commitment).then_some(kind))
}

impl Authority {
    /// What the values are that an order names.
    pub(crate) fn named(&self, named: &Ascending<Erased>) -> Result<Values, AuthorityError> {
        let entries = self.entries_of(named)?;
        values(named, |index| entries.get(&index)).ok_or_else(|| {
            let why = "an entry that is named is not there, or does not hold the commitment that is named";
            Refusal::new(Code::CommitmentMismatch, why).into()
        })
    }

    fn entries_of(&self, named: &Ascending<Erased>) -> Result<BTreeMap<u64, Body>, AuthorityError> {
        let mut entries = BTreeMap::new();
        let reader = self.reader();
        for index in named.as_slice().iter().map(|one| one.index).collect::<BTreeSet<_>>() {
            if let Some(stored) = reader.entry(LeafIndex::new(index))? {
                entries.insert(index, stored.decode(reader.origin())?.body);
            }
        }
        Ok(entries)
    }

    /// Nothing rests on the values any more: neither what is in force, nor what waits, nor what may still be executed.
    pub(crate) fn spared(&self, named: &Ascending<Erased>) -> Result<(), AuthorityError> {
        let entries = self.entries_of(named)?;
        let mut changes = BTreeSet::new();
        for one in named.as_slice() {
            let Some(body) = entries.get(&one.index) else { continue };
            let (at, kind) = (LeafIndex::new(one.index), kind(body, &one.commitment));
            if let Some(why) = self.needed(at, body, kind)? {
                return Err(Refusal::new(Code::StillNeeded, format!("entry {at}: {why}")).into());
            }
            if kind == Some(CommitmentKind::Entities) {
                changes.insert(at);
            }
        }
        let control = self.ledger.published().control;
        if rests_on(&self.reader(), control.entities(), &changes)? {
            let why = "the entities in force follow from this change; say again in another what is to stay";
            return Err(Refusal::new(Code::StillNeeded, why).into());
        }
        for one in named.as_slice() {
            let Some(body) = entries.get(&one.index) else { continue };
            let (at, kind) = (LeafIndex::new(one.index), kind(body, &one.commitment));
            self.there(at, kind, one)?;
            if let Some(held) = self.also_in_its_request(at, body, kind, named)? {
                return Err(held.into());
            }
        }
        Ok(())
    }

    /// What the vault never had is not erased, and no entry says that it was.
    fn there(&self, at: LeafIndex, kind: Option<CommitmentKind>, one: &Erased) -> Result<(), AuthorityError> {
        let Some(kind) = kind else { return Ok(()) };
        if matches!(self.reader().kept(at, kind, &one.commitment)?, Kept::Nothing) {
            let kind = kind.as_str();
            let why = format!("the vault never had the {kind} of entry {at}; leave it out by naming the other kinds");
            return Err(Refusal::new(Code::CommitmentMismatch, why).into());
        }
        Ok(())
    }

    /// A request holds the action that it asks for, with its salt. As long as it is there, the action is not gone.
    fn also_in_its_request(
        &self,
        at: LeafIndex,
        body: &Body,
        kind: Option<CommitmentKind>,
        named: &Ascending<Erased>,
    ) -> Result<Option<Refusal>, AuthorityError> {
        if kind != Some(CommitmentKind::Action) {
            return Ok(None);
        }
        let request = body.commitments().into_iter().find(|(kind, _)| *kind == CommitmentKind::Request);
        let Some((kind, request)) = request else { return Ok(None) };
        let is_named = named.as_slice().iter().any(|one| one.index == at.get() && one.commitment == request);
        let is_there = matches!(self.reader().kept(at, kind, &request)?, Kept::Value(_));
        let why = || {
            format!("entry {at}: its request holds the action too; have both erased (`--kind action --kind request`)")
        };
        Ok((is_there && !is_named).then(|| Refusal::new(Code::StillNeeded, why())))
    }

    /// Why a value of an entry is still needed, if it is.
    fn needed(
        &self,
        at: LeafIndex,
        body: &Body,
        kind: Option<CommitmentKind>,
    ) -> Result<Option<&'static str>, AuthorityError> {
        let read = matches!(kind, Some(CommitmentKind::Action | CommitmentKind::Facts | CommitmentKind::Request));
        match body {
            Body::Policy(_) if kind == Some(CommitmentKind::Policy) => {
                let in_force = self.ledger.published().control.policy().is_some_and(|active| active.at == at);
                Ok(in_force.then_some("the policy set in force is read from it; publish another set first"))
            }
            Body::Hold(hold) if read => {
                let is_open = self.reader().held(at)?.is_some_and(|held| held.resolved_at.is_none());
                let waits = is_open && hold.until_ms > self.now_ms();
                Ok(waits.then_some(
                    "it is open, and whoever is asked must see it; wait until it is gone on with, withdrawn or over",
                ))
            }
            Body::Grant(grant) if read => {
                // Asked before the executions: what is revoked by then begins nowhere afterwards, and a revocation is for good.
                let control = self.ledger.published().control;
                let is_revoked = self.reader().grant_revoked(&control, at, grant)?.is_some();
                let executions = self.reader().executions_of(at)?;
                let goes_on = |state: ExecutionState| match state {
                    ExecutionState::Spent => !is_revoked,
                    ExecutionState::Started => true,
                    ExecutionState::Ended(_) => false,
                };
                if executions.iter().any(|one| goes_on(one.state)) {
                    return Ok(Some("its execution has not ended"));
                }
                let used = u64::try_from(executions.len()).unwrap_or(u64::MAX) >= grant.uses.get();
                let usable = !is_revoked && !used && grant.window.until_ms() > self.now_ms();
                Ok(usable.then_some("it can still be executed; wait for the end of its window"))
            }
            Body::Policy(_)
            | Body::Hold(_)
            | Body::Grant(_)
            | Body::Genesis(_)
            | Body::Gateway(_)
            | Body::Revocation(_)
            | Body::Halt(_)
            | Body::RootOrder(_)
            | Body::Entities(_)
            | Body::Denial(_)
            | Body::Approval(_)
            | Body::Mandate(_)
            | Body::Shadow(_)
            | Body::Advised(_)
            | Body::Tally(_)
            | Body::Spend(_)
            | Body::Start(_)
            | Body::Outcome(_)
            | Body::Report(_)
            | Body::Erasure(_)
            | Body::Seal(_) => Ok(None),
        }
    }
}

/// The entry of an erasure that policy permits.
pub(crate) fn erasure(
    case: &Case<'_>,
    erased: &Ascending<Erased>,
    reason: &Label,
    facts: &Facts,
    (committed, policy): (Hash, Policy),
) -> Result<Draft, AuthorityError> {
    let fields = ErasureFields {
        by: case.asker.principal.clone(),
        id: crate::orders::order_id(facts)?,
        facts: committed,
        action: case.action_ref(),
        erased: erased.clone(),
        policy,
        reason: reason.clone(),
        request: case.request_ref(),
        time_ms: facts.now_ms,
    };
    Ok(Draft::Erasure(Erasure::new(fields).map_err(Refusal::from)?))
}
