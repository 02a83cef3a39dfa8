use super::Action;
use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use crate::refusal::Refusal;
use aws_lc_rs::hmac;
use writ_tlog::Hash;

/// What a commitment is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum CommitmentKind {
    Action,
    Facts,
    Request,
    Policy,
    Entities,
    Text,
    Output,
}

impl CommitmentKind {
    /// Every kind.
    pub const ALL: &'static [Self] =
        &[Self::Action, Self::Facts, Self::Request, Self::Policy, Self::Entities, Self::Text, Self::Output];

    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Facts => "facts",
            Self::Request => "request",
            Self::Policy => "policy",
            Self::Entities => "entities",
            Self::Text => "text",
            Self::Output => "output",
        }
    }

    /// The kind with this string.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

/// A value with its salt: what opens a commitment (Invariant 10: it lives in the vault, never in an entry).
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    /// What it is.
    pub kind: CommitmentKind,
    /// 32 random bytes, fresh for each.
    pub salt: [u8; 32],
    /// The value.
    pub value: Vec<u8>,
}

impl std::fmt::Debug for Opening {
    /// Values may be secret: only their length is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opening({}, {} bytes)", self.kind.as_str(), self.value.len())
    }
}

impl Opening {
    /// The commitment it opens.
    pub fn commitment(&self) -> Hash {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.salt);
        let mut context = hmac::Context::with_key(&key);
        context.update(self.kind.as_str().as_bytes());
        context.update(&[0]);
        context.update(&self.value);
        let mut commitment = [0; 32];
        commitment.copy_from_slice(context.sign().as_ref());
        Hash::from_bytes(commitment)
    }

    /// Whether the value is what its kind says: an action must be canonical.
    pub fn judge_value(&self) -> Result<(), Refusal> {
        match self.kind {
            CommitmentKind::Action => Action::decode(&self.value).map(|_| ()),
            CommitmentKind::Facts
            | CommitmentKind::Request
            | CommitmentKind::Policy
            | CommitmentKind::Entities
            | CommitmentKind::Text
            | CommitmentKind::Output => Ok(()),
        }
    }
}

/// An opening with the commitment that was computed of it, so that nobody needs to compute it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    opening: Opening,
    commitment: Hash,
}

impl From<Opening> for Committed {
    fn from(opening: Opening) -> Self {
        Self { commitment: opening.commitment(), opening }
    }
}

impl From<Committed> for Opening {
    fn from(committed: Committed) -> Self {
        committed.opening
    }
}

impl Committed {
    /// The commitment that the opening opens.
    pub fn commitment(&self) -> Hash {
        self.commitment
    }
}

impl std::ops::Deref for Committed {
    type Target = Opening;

    fn deref(&self) -> &Opening {
        &self.opening
    }
}

impl Encode for Opening {
    fn encode(&self, writer: &mut Writer) {
        writer.array(3);
        writer.text(self.kind.as_str());
        writer.bytes(&self.salt);
        writer.bytes(&self.value);
    }
}

impl Decode for Opening {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.tuple(3)?;
        let kind = CommitmentKind::from_str_exact(reader.text()?).ok_or_else(|| {
            ShapeError::expected("a commitment kind: action, facts, request, policy, entities, text or output")
        })?;
        Ok(Self { kind, salt: reader.fixed()?, value: reader.bytes()?.to_vec() })
    }
}
