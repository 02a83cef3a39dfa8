//! What may be proposed. Drafts are typed: no bytes of a caller ever become an entry unread.

use crate::error::LedgerError;
use writ_protocol::action::Committed;
use writ_protocol::entry::{
    Activation, Advised, Approval, Control, Denial, Enrolment, Entities, Erasure, Evidence, Grant, Halt, Hold, Mandate,
    Revocation, RootOrder, Shadow, Tally,
};
use writ_protocol::order::{ControlState, Records};
use writ_protocol::statement::{Claim, Signed};
use writ_protocol::{Body, Code, Refusal};
use writ_tlog::{Hash, Origin};

/// An entry to be. Control entries get their place in the chain from the sequencer; what a draft says of it is overwritten.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "drafts are moved once, into the queue")]
pub enum Draft {
    /// Enrol or renew a gateway.
    Gateway(Enrolment),
    /// Revoke.
    Revocation(Revocation),
    /// Halt.
    Halt(Halt),
    /// A signed root statement.
    RootOrder(Vec<u8>),
    /// Put a policy set in force.
    Policy(Activation),
    /// Put another snapshot of entities in force.
    Entities(Entities),
    /// Permit.
    Grant(Grant),
    /// Refuse.
    Denial(Denial),
    /// Let wait.
    Hold(Hold),
    /// Record an answer to a hold.
    Approval(Approval),
    /// Record what somebody is for.
    Mandate(Mandate),
    /// Say what policy would have answered.
    Shadow(Shadow),
    /// Say what policy answers about somebody.
    Advised(Advised),
    /// Count strangers that were turned away.
    Tally(Tally),
    /// A gateway's signed statement; it becomes the entry that its kind names.
    Statement(Vec<u8>),
    /// Erase values from the vault.
    Erasure(Erasure),
}

impl Draft {
    /// Whether it goes in where the ledger is as large as it may be: what ends, stops or answers something that is recorded already, and the
    /// counts of what is refused then. All of it is bounded by what was let in before, or by time.
    pub(crate) fn goes_in_when_full(&self, origin: &Origin) -> bool {
        match self {
            Self::Gateway(_)
            | Self::Revocation(_)
            | Self::Halt(_)
            | Self::RootOrder(_)
            | Self::Approval(_)
            | Self::Tally(_)
            | Self::Erasure(_) => true,
            Self::Policy(_)
            | Self::Entities(_)
            | Self::Grant(_)
            | Self::Denial(_)
            | Self::Hold(_)
            | Self::Mandate(_)
            | Self::Shadow(_)
            | Self::Advised(_) => false,
            Self::Statement(statement) => {
                let said = Signed::decode(statement).and_then(|signed| signed.gateway_claims(origin));
                // What cannot be read is refused for that.
                said.map_or(true, |said| match said.claim {
                    Claim::Started { .. } | Claim::Ended { .. } | Claim::Labelled { .. } => true,
                    Claim::Spent { .. } | Claim::Refused { .. } | Claim::Heartbeat { .. } => false,
                })
            }
        }
    }

    /// The body it becomes at this point of the control chain.
    pub(crate) fn into_body(self, control: Control, origin: &Origin) -> Result<Body, Refusal> {
        Ok(match self {
            Self::Gateway(body) => Body::Gateway(Enrolment { control, ..body }),
            Self::Revocation(body) => Body::Revocation(Revocation { control, ..body }),
            Self::Halt(body) => Body::Halt(Halt { control, ..body }),
            Self::RootOrder(statement) => {
                Body::RootOrder(RootOrder { control, statement: writ_protocol::cbor::Bytes(statement) })
            }
            Self::Policy(body) => Body::Policy(Activation { control, ..body }),
            Self::Entities(body) => Body::Entities(Entities { control, ..body }),
            Self::Grant(body) => Body::Grant(body),
            Self::Denial(body) => Body::Denial(body),
            Self::Hold(body) => Body::Hold(body),
            Self::Approval(body) => Body::Approval(body),
            Self::Mandate(body) => Body::Mandate(body),
            Self::Shadow(body) => Body::Shadow(body),
            Self::Advised(body) => Body::Advised(body),
            Self::Tally(body) => Body::Tally(body),
            Self::Statement(statement) => {
                let claim = Signed::decode(&statement)?.gateway_claims(origin)?.claim;
                let evidence = Evidence { statement: writ_protocol::cbor::Bytes(statement) };
                match claim {
                    Claim::Spent { .. } => Body::Spend(evidence),
                    Claim::Started { .. } => Body::Start(evidence),
                    Claim::Ended { .. } => Body::Outcome(evidence),
                    Claim::Labelled { .. } | Claim::Refused { .. } | Claim::Heartbeat { .. } => Body::Report(evidence),
                }
            }
            Self::Erasure(body) => Body::Erasure(body),
        })
    }
}

/// What is appended: a draft, what it commits to, and what must still be true when it is sequenced.
pub struct Proposal {
    /// The entry to be.
    pub draft: Draft,
    /// The values behind its commitments, made durable in the transaction of the entry, so never later than it.
    pub openings: Vec<Committed>,
    /// What the decision read; asked again in sequence (Invariant 5).
    pub reads: Box<dyn Recheck>,
}

impl Proposal {
    /// A proposal that read nothing that can change.
    pub fn new(draft: Draft) -> Self {
        Self { draft, openings: Vec::new(), reads: Box::new(ReadNothing) }
    }

    /// With the values behind its commitments.
    #[must_use]
    pub fn with_openings(mut self, openings: impl IntoIterator<Item: Into<Committed>>) -> Self {
        self.openings = openings.into_iter().map(Into::into).collect();
        self
    }

    /// With what the decision read.
    #[must_use]
    pub fn with_reads(mut self, reads: impl Recheck + 'static) -> Self {
        self.reads = Box::new(reads);
        self
    }
}

/// The read set of a decision: asked when the proposal is sequenced, after everything before it. An error refuses the proposal, and
/// its asker decides again.
pub trait Recheck: Send {
    /// Whether what was read is still so. A store that cannot be read fails the batch.
    fn recheck(
        &self,
        state: &ControlState,
        records: &dyn Records<Error = LedgerError>,
    ) -> Result<Result<(), Refusal>, LedgerError>;
}

/// An empty read set.
#[derive(Clone, Copy, Debug)]
pub struct ReadNothing;

impl Recheck for ReadNothing {
    fn recheck(
        &self,
        _state: &ControlState,
        _records: &dyn Records<Error = LedgerError>,
    ) -> Result<Result<(), Refusal>, LedgerError> {
        Ok(Ok(()))
    }
}

/// A decision that stands on everything the control chain says: it holds only while the chain has not grown.
#[derive(Clone, Copy, Debug)]
pub struct ReadControl {
    /// The control head at the time of the decision.
    pub head: Hash,
}

impl Recheck for ReadControl {
    fn recheck(
        &self,
        state: &ControlState,
        _records: &dyn Records<Error = LedgerError>,
    ) -> Result<Result<(), Refusal>, LedgerError> {
        if state.head().head == self.head {
            return Ok(Ok(()));
        }
        Ok(Err(Refusal::new(Code::FactsChanged, "the control chain has grown since the decision; decide again")))
    }
}
