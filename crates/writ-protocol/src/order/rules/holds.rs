//! The rules of holds and of what is answered to them.

use super::{Rules, refuse};
use crate::action::{Command, Held};
use crate::entry::{Approval, AssertedPrincipal, Cause, EntryRef, Grant, Hold, Place, Principal, Verdict};
use crate::key::Key;
use crate::order::{Lookup, OpenHold, OrderError, Records};
use crate::refusal::{Code, Refusal};
use writ_tlog::{Hash, LeafIndex};

/// Approvals that a hold takes: what is decided on them must be readable for ever.
const ANSWERS_MAX: usize = 256;

impl<R: Records> Rules<'_, R> {
    /// What waits was asked by somebody who is trusted, and names the state, the set and the lineage that it truly stood on.
    pub(super) fn held(&self, hold: &Hold) -> Result<(), OrderError<R::Error>> {
        self.new_id(hold.id.as_bytes())?;
        if let Some(at) = self.control.halted() {
            Err(refuse(Code::Halted, format!("the domain is halted by entry {at}")))?;
        }
        let key = hold.principal.key.as_ref().map(Key::fingerprint);
        if let Some(at) = self.no_longer_trusted(&hold.principal.asserted(), key) {
            Err(refuse(Code::Revoked, format!("revoked by entry {at}")))?;
        }
        self.spoken_for(&hold.principal)?;
        self.as_of(&hold.as_of)?;
        self.policy(&hold.policy)?;
        self.cause(&hold.cause)?;
        let Some(chain) = self.under(&hold.cause, &hold.principal)? else { return Ok(()) };
        if let Some((named, mandate)) = chain.first() {
            self.still_given(named)?;
            mandate.scope.lasts(hold.time_ms)?;
        }
        Ok(())
    }

    /// A hold is resolved once, for the same principal and action.
    pub(super) fn hold(
        &self,
        hold: &EntryRef,
        principal: &Principal,
        action: &Hash,
    ) -> Result<OpenHold, OrderError<R::Error>> {
        let open = self.open_hold(hold)?;
        if open.hold.principal.asserted() != principal.asserted() || open.hold.action.digest != *action {
            Err(refuse(Code::ApprovalRejected, "the hold is of another principal or action"))?;
        }
        Ok(open)
    }

    fn open_hold(&self, hold: &EntryRef) -> Result<OpenHold, OrderError<R::Error>> {
        if hold.ledger != *self.control.origin() {
            Err(refuse(Code::ApprovalRejected, "the hold is of another ledger"))?;
        }
        match Self::read(self.records.open_hold(LeafIndex::new(hold.index), &hold.entry))? {
            Lookup::Found(open) => Ok(open),
            Lookup::Absent => Err(refuse(Code::ApprovalRejected, "there is no such open hold"))?,
            Lookup::Unknown => Err(refuse(Code::EvidenceIncomplete, "the hold is not among the entries at hand"))?,
        }
    }

    /// What was held is granted once enough have approved it and nobody has said no, before it lapses and where it was asked.
    pub(super) fn approved(&self, grant: &Grant, open: &OpenHold) -> Result<(), Refusal> {
        if grant.time_ms >= open.hold.until_ms {
            return Err(refuse(Code::ApprovalRejected, "the hold has lapsed"));
        }
        if grant.cause != open.hold.cause {
            return Err(refuse(Code::ApprovalRejected, "the hold is of another place in the lineage"));
        }
        if open.is_rejected() {
            return Err(refuse(Code::ApprovalRejected, "somebody who was asked has rejected it"));
        }
        match open.lacks(|answer| self.no_longer_trusted(&answer.by, Some(answer.key)).is_none()) {
            Some(group) => Err(refuse(Code::ApprovalPending, format!("group `{group}` has not approved it yet"))),
            None => Ok(()),
        }
    }

    /// An answer to an open hold: signed by the key it names, about just this, in time, and never by whoever asked or caused it; but whoever
    /// asked takes it back, until somebody has said no.
    pub(super) fn approval(&self, approval: &Approval) -> Result<(), OrderError<R::Error>> {
        self.order(&approval.by, &approval.id, &approval.action, &approval.policy)?;
        let held = self.said(approval)?;
        let open = self.open_hold(&approval.hold)?;
        let hold = &open.hold;
        if held.action != hold.action.digest {
            Err(refuse(Code::ActionMismatch, "the answer is about another action than the one that is held"))?;
        }
        let by = approval.by.asserted();
        let rejected = |why: &str| Err(refuse(Code::ApprovalRejected, why.to_owned()));
        if approval.time_ms >= hold.until_ms {
            rejected("the hold has lapsed")?;
        }
        if open.is_rejected() {
            rejected("somebody who was asked has rejected it")?;
        }
        if approval.verdict == Verdict::Withdraw {
            if hold.principal.asserted() != by {
                rejected("only whoever asked withdraws it")?;
            }
            return Ok(());
        }
        if approval.groups.as_slice().iter().any(|group| hold.needs.iter().all(|need| need.group != *group)) {
            rejected("it counts for a group that the hold does not ask")?;
        }
        if hold.principal.asserted() == by {
            rejected("nobody answers what they have asked themselves")?;
        }
        if self.has_caused(&by, &hold.cause)? {
            rejected("nobody answers what they have caused")?;
        }
        let key = approval.key().key().fingerprint();
        if open.answers.iter().any(|answer| answer.by == by && answer.key == key && answer.verdict == approval.verdict)
        {
            Err(refuse(Code::Replayed, "this principal has answered so before"))?;
        }
        // A no is always heard.
        if open.answers.len() >= ANSWERS_MAX && approval.verdict == Verdict::Approve {
            rejected("it has as many answers as are ever counted")?;
        }
        Ok(())
    }

    /// What the principal has signed, if that is what the entry says.
    fn said(&self, approval: &Approval) -> Result<Held, Refusal> {
        let order = self.ordered(&approval.statement.0, approval.key(), &approval.request, &approval.action)?;
        match order.map(|order| order.command) {
            Some(Command::Answer(verdict, held)) if verdict == approval.verdict && held.hold == approval.hold => {
                Ok(held)
            }
            Some(_) | None => Err(refuse(Code::EvidenceInvalid, "what was signed is not what the approval says")),
        }
    }

    /// Whether something that a principal runs, or ran, has led here.
    fn has_caused(&self, who: &AssertedPrincipal, cause: &Cause) -> Result<bool, OrderError<R::Error>> {
        let mut cause = cause.clone();
        // Depth falls by one with each ancestor (the rules of grants), so this ends; the count says so to the reader.
        for _ in 0..cause.depth() {
            let Place::Caused { parent, .. } = &cause.place else { break };
            match Self::read(self.records.grant(LeafIndex::new(parent.index), &parent.entry))? {
                Lookup::Found(ancestor) if ancestor.principal.asserted() == *who => return Ok(true),
                Lookup::Found(ancestor) => cause = ancestor.cause.clone(),
                Lookup::Absent | Lookup::Unknown => break,
            }
        }
        Ok(false)
    }
}
