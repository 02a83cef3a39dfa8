//! The body of an `advised`: what policy says of somebody, to whoever enforces it elsewhere.

use super::AssertedPrincipal;
use crate::action::{ActionKind, Advice, Asks};
use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer, record};
use crate::parts::{ActionRef, AsOf, Cause, Policy, Principal, PrincipalRef};
use crate::refusal::Code;
use writ_tlog::Hash;

record! {
    /// What policy says of somebody, to whoever asked. It has no id, no holder and no audience: nobody can present it and nothing can name it.
    pub AdvisedFields {
        /// The state it stood on.
        as_of: ! AsOf,
        /// What caused whoever asks to ask.
        cause: ! Cause,
        /// Commitment to the facts.
        facts: ! Hash,
        /// How many a search has found, on this page.
        found: ? u64,
        /// What was asked.
        action: ! ActionRef,
        /// Under which policy.
        policy: ! Policy,
        /// Whom it is about, where that is a principal; everybody else is told by the question alone.
        subject: ? PrincipalRef,
        /// When it was decided.
        time_ms: ! u64,
        /// What was answered.
        decision: ! Opinion,
        /// Who asked, and says who the subject is.
        principal: ! Principal,
    }
}

/// An advice as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advised(AdvisedFields);

impl Advised {
    /// It answers a question, and counts what it found where it searched.
    pub fn new(fields: AdvisedFields) -> Result<Self, ShapeError> {
        if fields.action.kind != ActionKind::Advice {
            return Err(ShapeError::expected("an action of kind `advice`"));
        }
        if fields.found.is_some() != (fields.decision == Opinion::Searched) {
            return Err(ShapeError::expected("`found` with `searched`, and only there"));
        }
        Ok(Self(fields))
    }

    /// Whom it is about, where it says so.
    pub fn about(&self) -> Option<AssertedPrincipal> {
        self.subject.as_ref().map(|PrincipalRef { id, kind }| AssertedPrincipal { kind: kind.clone(), id: id.clone() })
    }

    /// Whether this is the question that it says it answers.
    pub(super) fn is_about(&self, question: &Advice) -> bool {
        let kind_fits = match self.decision {
            Opinion::Searched => question.asks != Asks::Evaluation,
            Opinion::Halted | Opinion::Revoked => true,
            Opinion::Permit | Opinion::Hold | Opinion::PolicyDenied | Opinion::EvaluationError => {
                question.asks == Asks::Evaluation
            }
        };
        kind_fits && question.principal() == self.about()
    }
}

impl std::ops::Deref for Advised {
    type Target = AdvisedFields;

    fn deref(&self) -> &AdvisedFields {
        &self.0
    }
}

impl Encode for Advised {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Advised {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(AdvisedFields::decode(reader)?)
    }
}

/// What is answered to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// The subject may.
    Permit,
    /// It may not, until others have approved.
    Hold,
    /// It may not: no policy permits it, or one forbids it.
    PolicyDenied,
    /// It may not, since a policy could not be evaluated, or the question could not be put to it exactly.
    EvaluationError,
    /// Nobody may: the domain is halted.
    Halted,
    /// It may not: subject, asker or policy set are revoked.
    Revoked,
    /// A search was answered.
    Searched,
}

impl Opinion {
    /// Each of them.
    pub const ALL: [Self; 7] = [
        Self::Permit,
        Self::Hold,
        Self::PolicyDenied,
        Self::EvaluationError,
        Self::Halted,
        Self::Revoked,
        Self::Searched,
    ];

    /// The refusal with this code, if an advice can be one.
    pub fn refuse(code: Code) -> Option<Self> {
        Self::ALL.into_iter().find(|opinion| opinion.refusal() == Some(code))
    }

    /// The code with which it refuses.
    pub const fn refusal(self) -> Option<Code> {
        match self {
            Self::Permit | Self::Hold | Self::Searched => None,
            Self::PolicyDenied => Some(Code::PolicyDenied),
            Self::EvaluationError => Some(Code::EvaluationError),
            Self::Halted => Some(Code::Halted),
            Self::Revoked => Some(Code::Revoked),
        }
    }

    /// The stable string: `permit`, `hold`, `searched`, or the code of the refusal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Hold => "hold",
            Self::PolicyDenied => Code::PolicyDenied.as_str(),
            Self::EvaluationError => Code::EvaluationError.as_str(),
            Self::Halted => Code::Halted.as_str(),
            Self::Revoked => Code::Revoked.as_str(),
            Self::Searched => "searched",
        }
    }

    /// Whether something may be done for it, so that the order of the ledger has a say: in a halt, and after a revocation, nobody is told so.
    pub const fn lets_through(self) -> bool {
        match self {
            Self::Permit | Self::Searched => true,
            Self::Hold | Self::PolicyDenied | Self::EvaluationError | Self::Halted | Self::Revoked => false,
        }
    }
}

impl Encode for Opinion {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }
}

impl Decode for Opinion {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let text = reader.text()?;
        Self::ALL.into_iter().find(|opinion| opinion.as_str() == text).ok_or_else(|| {
            ShapeError::expected(
                "`permit`, `hold`, `searched`, `policy_denied`, `evaluation_error`, `halted` or `revoked`",
            )
        })
    }
}
