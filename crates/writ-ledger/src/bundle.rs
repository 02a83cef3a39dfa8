//! Assembling evidence bundles (`spec/bundle.md`). Whoever hands one out verifies it first, as its reader will: this module has no trust root.

use crate::error::LedgerError;
use crate::reader::{Reader, View};
use crate::records::answers_to;
use crate::vault::{self, Kept};
use std::collections::BTreeSet;
use writ_protocol::Body;
use writ_protocol::action::Opening;
use writ_protocol::bundle::{Bundle, ProvedEntry};
use writ_protocol::entry::EntryRef;
use writ_protocol::statement::{Claim, Signed};
use writ_tlog::LeafIndex;

/// How much of the vault goes into a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclosure {
    /// Commitments only: the bundle tells nothing that the ledger does not.
    Nothing,
    /// The values too, as far as they were not erased.
    Values,
}

impl Reader {
    /// The story of the entry at `subject`, proved towards the view's checkpoint.
    pub fn bundle(&self, subject: LeafIndex, view: &View, disclosure: Disclosure) -> Result<Bundle, LedgerError> {
        let Told { decision, mut indices } = self.story(subject)?;
        indices.extend(self.control_entries()?);
        indices.insert(LeafIndex::new(view.size().get().saturating_sub(1)));
        // The store may have grown since the view was taken.
        indices.retain(|index| view.size().contains(*index));
        let entries = indices.into_iter().map(|index| self.proved(index, view)).collect::<Result<Vec<_>, _>>()?;
        let openings = match disclosure {
            Disclosure::Nothing => Vec::new(),
            Disclosure::Values => self.openings(decision)?,
        };
        Ok(Bundle { checkpoint: view.checkpoint.note_bytes().to_vec(), entries, openings, subject })
    }

    /// The subject and, if it belongs to a writ, the grant and every step of its executions; with the hold that was resolved or
    /// answered, and what was answered to it.
    fn story(&self, subject: LeafIndex) -> Result<Told, LedgerError> {
        let body = self.require(subject)?.decode(self.origin())?.body;
        let grant = match &body {
            Body::Grant(_) => Some(subject),
            // Of reports, those of labels are of a writ.
            Body::Spend(_) | Body::Start(_) | Body::Outcome(_) | Body::Report(_) => self.grant_of(&body)?,
            Body::Genesis(_)
            | Body::Gateway(_)
            | Body::Revocation(_)
            | Body::Halt(_)
            | Body::RootOrder(_)
            | Body::Denial(_)
            | Body::Policy(_)
            | Body::Entities(_)
            | Body::Hold(_)
            | Body::Approval(_)
            | Body::Mandate(_)
            | Body::Shadow(_)
            | Body::Advised(_)
            | Body::Tally(_)
            | Body::Erasure(_)
            | Body::Seal(_) => None,
        };
        let decision = grant.unwrap_or(subject);
        let mut indices = BTreeSet::from([subject, decision]);
        if let Some(grant) = grant {
            // A grant that admits its asker is itself the beginning of its execution.
            let steps = "SELECT begun_idx FROM execution WHERE grant_idx = ?1
                UNION SELECT started_idx FROM execution WHERE grant_idx = ?1 AND started_idx IS NOT NULL
                UNION SELECT ended_idx FROM execution WHERE grant_idx = ?1 AND ended_idx IS NOT NULL
                UNION SELECT idx FROM labelled WHERE grant_idx = ?1 ORDER BY 1";
            indices.extend(self.indices(steps, grant.get())?);
        }
        let body = if decision == subject { body } else { self.require(decision)?.decode(self.origin())?.body };
        if let Body::Hold(_) = &body {
            indices.extend(answers_to(self.connection(), decision)?);
        }
        if let Body::Approval(approval) = &body {
            indices.insert(LeafIndex::new(approval.hold.index));
            let held = self.require(LeafIndex::new(approval.hold.index))?.decode(self.origin())?.body;
            let named = held.cause().and_then(|cause| cause.mandate.as_ref());
            indices.extend(named.map(|named| self.mandates_up(named)).transpose()?.into_iter().flatten());
        }
        let above = if let Body::Mandate(mandate) = &body {
            mandate.parent.as_ref()
        } else {
            body.cause().and_then(|cause| cause.mandate.as_ref())
        };
        indices.extend(above.map(|named| self.mandates_up(named)).transpose()?.into_iter().flatten());
        if let Some(hold) = body.resolves() {
            let hold = LeafIndex::new(hold.index);
            indices.insert(hold);
            indices.extend(answers_to(self.connection(), hold)?);
        }
        Ok(Told { decision, indices })
    }

    fn mandates_up(&self, named: &EntryRef) -> Result<Vec<LeafIndex>, LedgerError> {
        let missing = || LedgerError::inconsistent(format!("entry {}, a mandate, is not there", named.index));
        let chain = self.mandate_chain(named)?.ok_or_else(missing)?;
        Ok(chain.into_iter().map(|(reference, _)| LeafIndex::new(reference.index)).collect())
    }

    /// The grant of the execution that the entry at an index is a step of, if it is one.
    pub fn grant_at(&self, at: LeafIndex) -> Result<Option<LeafIndex>, LedgerError> {
        self.grant_of(&self.require(at)?.decode(self.origin())?.body)
    }

    fn grant_of(&self, body: &Body) -> Result<Option<LeafIndex>, LedgerError> {
        let statement = body.statement().unwrap_or_default();
        let claims = Signed::decode(statement)?.gateway_claims(self.origin())?;
        match claims.claim {
            Claim::Spent { index, .. } => Ok(Some(LeafIndex::new(index))),
            Claim::Started { execution, .. } | Claim::Ended { execution, .. } | Claim::Labelled { execution, .. } => {
                Ok(self.execution(&execution)?.map(|found| found.grant))
            }
            Claim::Refused { .. } | Claim::Heartbeat { .. } => Ok(None),
        }
    }

    fn proved(&self, index: LeafIndex, view: &View) -> Result<ProvedEntry, LedgerError> {
        let receipt = self.receipt(index, view)?;
        Ok(ProvedEntry { index, bytes: receipt.entry.to_vec(), proof: receipt.proof })
    }

    fn openings(&self, decision: LeafIndex) -> Result<Vec<Opening>, LedgerError> {
        let body = self.require(decision)?.decode(self.origin())?.body;
        let kept = body.commitments().into_iter().map(|(kind, commitment)| {
            vault::lookup(self.connection(), decision, kind, &commitment).map(|kept| match kept {
                Kept::Value(opening) => Some(opening),
                Kept::Erased | Kept::Nothing => None,
            })
        });
        kept.filter_map(Result::transpose).collect()
    }
}

/// What belongs to a subject.
struct Told {
    /// The entry whose values may be shown.
    decision: LeafIndex,
    indices: BTreeSet<LeafIndex>,
}
