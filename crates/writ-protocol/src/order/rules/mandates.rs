//! The rules of mandates: who gives them, how a chain of them narrows, and what stays within one (decision 0034).

use super::{Rules, refuse};
use crate::action::{Action, Command, Order};
use crate::entry::{ActionRef, Cause, EntryRef, Grant, MANDATES_MAX, Mandate, Place, Positive, Principal, RequestRef};
use crate::key::Ed25519Key;
use crate::order::revoked::mandate_revoked;
use crate::order::{Lookup, OrderError, Records, chain};
use crate::refusal::{Code, Refusal};
use crate::statement::{Ask, SignedRequest};
use writ_tlog::LeafIndex;

/// A mandate and those above it, itself first.
type Chain = Vec<(EntryRef, Mandate)>;

impl<R: Records> Rules<'_, R> {
    /// A mandate is given by whom it names, in their own words; and where it hands another on, by whom that one is for, and narrower.
    pub(super) fn mandate(&self, mandate: &Mandate) -> Result<(), OrderError<R::Error>> {
        self.order(&mandate.by, &mandate.id, &mandate.action, &mandate.policy)?;
        let order = self.ordered(&mandate.statement.0, mandate.key(), &mandate.request, &mandate.action)?;
        let said = order.is_some_and(|order| match order.command {
            Command::Mandate(given) => {
                given.to == mandate.to && given.scope == mandate.scope && given.parent == mandate.parent
            }
            Command::Revoke(_)
            | Command::Halt
            | Command::Answer(..)
            | Command::Publish(_)
            | Command::Entities(_)
            | Command::Erase(_)
            | Command::Enrol(_) => false,
        });
        if !said {
            Err(refuse(Code::EvidenceInvalid, "what was signed is not what the mandate says"))?;
        }
        if mandate.time_ms >= mandate.scope.window.until_ms() {
            Err(refuse(Code::Expired, "a mandate that ends before it is given"))?;
        }
        let Some(parent) = &mandate.parent else { return Ok(()) };
        let above = self.recorded(parent)?;
        self.still_given(parent)?;
        if above.len() >= MANDATES_MAX {
            let why = format!("{} mandates stand above it, and {MANDATES_MAX} is the most in a chain", above.len());
            Err(refuse(Code::ScopeWidened, why))?;
        }
        let Some((_, parent)) = above.first() else { return Ok(()) };
        if parent.to != mandate.by.asserted() {
            let why = format!("the mandate is for {}::{}, and nobody else hands it on", parent.to.kind, parent.to.id);
            Err(refuse(Code::IdentityMismatch, why))?;
        }
        Ok(mandate.scope.narrows(&parent.scope)?)
    }

    /// What is granted under a mandate is within it as far as its entry shows, and is counted by each mandate of the chain that counts. The action
    /// itself is judged by whoever sees it.
    pub(super) fn mandated(&self, grant: &Grant) -> Result<(), OrderError<R::Error>> {
        let Some(chain) = self.under(&grant.cause, &grant.principal)? else { return Ok(()) };
        let Some((_, own)) = chain.first() else { return Ok(()) };
        own.scope.lasts(grant.time_ms)?;
        own.scope.reaches(grant.cause.depth(), grant.audience.name())?;
        let (window, within) = (grant.window, own.scope.window);
        if window.from_ms() < within.from_ms() || window.until_ms() > within.until_ms() {
            Err(refuse(Code::ScopeWidened, "its window is not within that of its mandate"))?;
        }
        for (reference, mandate) in &chain {
            let Some((counter, limit)) = mandate.counter(&reference.entry).map_err(Refusal::from)? else { continue };
            let draws = grant.draws().iter().any(|draw| draw.counter == counter && draw.limit == limit);
            if !draws || grant.uses != Positive::ONE {
                Err(refuse(Code::ScopeWidened, format!("it does not draw one of {} from `{counter}`", limit.get())))?;
            }
        }
        Ok(())
    }

    /// The mandate that a cause names, with those above it: one that is for whoever asks, and that of what caused it or one below that.
    pub(super) fn under(&self, cause: &Cause, asks: &Principal) -> Result<Option<Chain>, OrderError<R::Error>> {
        let inherited = match &cause.place {
            Place::Caused { parent, .. } if parent.ledger == *self.control.origin() => {
                match Self::read(self.records.grant(LeafIndex::new(parent.index), &parent.entry))? {
                    Lookup::Found(ancestor) => ancestor.cause.mandate.clone(),
                    Lookup::Absent | Lookup::Unknown => None,
                }
            }
            Place::Caused { .. } | Place::Origin => None,
        };
        let Some(named) = &cause.mandate else {
            return match inherited {
                None => Ok(None),
                Some(_) => Err(refuse(Code::ScopeWidened, "it leaves the mandate of what caused it"))?,
            };
        };
        let chain = self.recorded(named)?;
        if let Some((_, own)) = chain.first()
            && own.to != asks.asserted()
        {
            let why = format!("the mandate is for {}::{}, not for whoever asks", own.to.kind, own.to.id);
            Err(refuse(Code::IdentityMismatch, why))?;
        }
        if inherited.is_some_and(|inherited| chain.iter().all(|(reference, _)| *reference != inherited)) {
            Err(refuse(Code::ScopeWidened, "its mandate is neither that of what caused it nor one below that"))?;
        }
        Ok(Some(chain))
    }

    /// A mandate that is recorded here, with those above it.
    pub(super) fn recorded(&self, named: &EntryRef) -> Result<Chain, OrderError<R::Error>> {
        match Self::read(chain(self.control.origin(), self.records, named))? {
            Lookup::Found(chain) => Ok(chain),
            Lookup::Absent => Err(refuse(Code::LineageBroken, format!("entry {} is no such mandate", named.index)))?,
            Lookup::Unknown => Err(refuse(Code::EvidenceIncomplete, "the mandate is not among the entries at hand"))?,
        }
    }

    /// Neither it, nor one above it, nor whoever gave one of them is revoked.
    pub(super) fn still_given(&self, named: &EntryRef) -> Result<(), OrderError<R::Error>> {
        match Self::read(mandate_revoked(self.control, self.records, named))? {
            None => Ok(()),
            Some(at) => Err(refuse(Code::Revoked, format!("the mandate is revoked by entry {at}")))?,
        }
    }

    /// The order that a principal has signed, if it is the one that the entry names.
    pub(super) fn ordered(
        &self,
        statement: &[u8],
        key: &Ed25519Key,
        request: &RequestRef,
        action: &ActionRef,
    ) -> Result<Option<Order>, Refusal> {
        let signed = SignedRequest::decode(statement)?.verify(key, self.control.origin())?;
        if !matches!(signed.ask, Ask::Order) {
            return Err(Refusal::malformed("expected an order as what was signed, found another request"));
        }
        let (ordered, opening) = signed.action()?;
        let same = signed.key == request.key
            && signed.opening(statement).commitment() == request.digest
            && opening.commitment() == action.digest;
        match ordered {
            Action::Order(order) if same => Ok(Some(order)),
            Action::Order(_) | Action::Exec(_) | Action::Advice(_) => Ok(None),
        }
    }
}
