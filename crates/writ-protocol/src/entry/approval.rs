//! The body of an `approval`: what somebody answered to a hold, in their own signed words.

use crate::action::ActionKind;
use crate::cbor::{Bytes, Decode, Encode, Reader, ShapeError, Writer, record};
use crate::id::OrderId;
use crate::key::Ed25519Key;
use crate::name::Name;
use crate::parts::{ActionRef, Ascending, EntryRef, Policy, Principal, RequestRef};
use writ_tlog::Hash;

record! {
    /// An answer to a hold.
    pub ApprovalFields {
        /// Whose answer.
        by: ! Principal,
        /// Of this order.
        id: ! OrderId,
        /// To which hold.
        hold: ! EntryRef,
        /// Commitment to the facts that the order was decided on.
        facts: ! Hash,
        /// The order.
        action: ! ActionRef,
        /// The groups for which it counts, of those that the hold needs.
        groups: ! Ascending<Name>,
        /// Under which policy the order was decided.
        policy: ! Policy,
        /// The request that led to it.
        request: ! RequestRef,
        /// When.
        time_ms: ! u64,
        /// Yes or no.
        verdict: ! Verdict,
        /// The order as it was signed: what the principal says is not for others to say.
        statement: ! Bytes,
    }
}

/// An answer to a hold, by a key: for at least one of the groups that are asked, or by whoever asked and takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    fields: ApprovalFields,
    key: Ed25519Key,
}

impl Approval {
    /// The relations between fields that a shape cannot say.
    pub fn new(fields: ApprovalFields) -> Result<Self, ShapeError> {
        let counts = match fields.verdict {
            Verdict::Approve | Verdict::Reject => true,
            Verdict::Withdraw => false,
        };
        if fields.groups.as_slice().is_empty() == counts {
            return Err(ShapeError::expected("at least one group, and none where it is withdrawn"));
        }
        if fields.action.kind != ActionKind::Order {
            return Err(ShapeError::expected("an action of kind `order`"));
        }
        let key = fields.by.key.clone().ok_or_else(|| ShapeError::expected("`by` with the key that has signed"))?;
        Ok(Self { key: Ed25519Key::new(key)?, fields })
    }

    /// The key that has signed.
    pub fn key(&self) -> &Ed25519Key {
        &self.key
    }
}

impl std::ops::Deref for Approval {
    type Target = ApprovalFields;

    fn deref(&self) -> &ApprovalFields {
        &self.fields
    }
}

impl Encode for Approval {
    fn encode(&self, writer: &mut Writer) {
        self.fields.encode(writer);
    }
}

impl Decode for Approval {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(ApprovalFields::decode(reader)?)
    }
}

/// What was answered. One no is enough, and so is one withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be done.
    Approve,
    /// It may not.
    Reject,
    /// Whoever asked does not want it any more.
    Withdraw,
}

impl Verdict {
    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Withdraw => "withdraw",
        }
    }

    /// What was done with the hold.
    pub const fn done(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::Withdraw => "withdrawn",
        }
    }
}

impl Encode for Verdict {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }
}

impl Decode for Verdict {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        match reader.text()? {
            "approve" => Ok(Self::Approve),
            "reject" => Ok(Self::Reject),
            "withdraw" => Ok(Self::Withdraw),
            _ => Err(ShapeError::expected("`approve`, `reject` or `withdraw`")),
        }
    }
}
