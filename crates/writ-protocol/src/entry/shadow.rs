//! The body of a `shadow`: what policy would have answered, where nothing was enforced.

use crate::action::ActionKind;
use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer, record};
use crate::parts::{ActionRef, AsOf, Cause, Policy, Principal, RequestRef};
use crate::refusal::Code;
use writ_tlog::Hash;

record! {
    /// What policy would have answered to a request that asked for nothing else. It has no id, since nobody may present it and nothing may
    /// name it: it is no answer that anything stands on.
    pub ShadowFields {
        /// The state it stood on.
        as_of: ! AsOf,
        /// What caused the request.
        cause: ! Cause,
        /// Commitment to the facts.
        facts: ! Hash,
        /// What policy would have answered.
        would: ! Would,
        /// What was to be executed.
        action: ! ActionRef,
        /// Under which policy.
        policy: ! Policy,
        /// The request it answers.
        request: ! RequestRef,
        /// When it was decided.
        time_ms: ! u64,
        /// Who asked.
        principal: ! Principal,
    }
}

/// What policy would have answered about an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow(ShadowFields);

impl Shadow {
    /// Only an execution is asked about.
    pub fn new(fields: ShadowFields) -> Result<Self, ShapeError> {
        match fields.action.kind {
            ActionKind::Exec => Ok(Self(fields)),
            ActionKind::Order | ActionKind::Advice => Err(ShapeError::expected("an action of kind `exec`")),
        }
    }
}

impl std::ops::Deref for Shadow {
    type Target = ShadowFields;

    fn deref(&self) -> &ShadowFields {
        &self.0
    }
}

impl Encode for Shadow {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Shadow {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(ShadowFields::decode(reader)?)
    }
}

/// What policy and a mandate's scope answer, and nothing besides: no limit of a counter, no halt and no revocation is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Would {
    /// It would permit.
    Permit,
    /// It would wait for approvals.
    Hold,
    /// It would refuse: no policy permits it, or one forbids it.
    PolicyDenied,
    /// It would refuse, since a policy could not be evaluated.
    EvaluationError,
    /// It would refuse, since the program is not the one that policy knows.
    IntegrityFailure,
    /// It would refuse, since its mandate does not contain it.
    ScopeWidened,
}

impl Would {
    /// Each of them.
    pub const ALL: [Self; 6] = [
        Self::Permit,
        Self::Hold,
        Self::PolicyDenied,
        Self::EvaluationError,
        Self::IntegrityFailure,
        Self::ScopeWidened,
    ];

    /// The refusal with this code, if policy refuses with it.
    pub fn refuse(code: Code) -> Option<Self> {
        Self::ALL.into_iter().find(|would| would.refusal() == Some(code))
    }

    /// The code with which it would refuse.
    pub const fn refusal(self) -> Option<Code> {
        match self {
            Self::Permit | Self::Hold => None,
            Self::PolicyDenied => Some(Code::PolicyDenied),
            Self::EvaluationError => Some(Code::EvaluationError),
            Self::IntegrityFailure => Some(Code::IntegrityFailure),
            Self::ScopeWidened => Some(Code::ScopeWidened),
        }
    }

    /// The stable string: `permit`, `hold`, or the code of the refusal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Hold => "hold",
            Self::PolicyDenied => Code::PolicyDenied.as_str(),
            Self::EvaluationError => Code::EvaluationError.as_str(),
            Self::IntegrityFailure => Code::IntegrityFailure.as_str(),
            Self::ScopeWidened => Code::ScopeWidened.as_str(),
        }
    }

    /// What has this string.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|would| would.as_str() == text)
    }
}

impl Encode for Would {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }
}

impl Decode for Would {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::from_str_exact(reader.text()?).ok_or_else(|| {
            ShapeError::expected(
                "`permit`, `hold`, `policy_denied`, `evaluation_error`, `integrity_failure` or `scope_widened`",
            )
        })
    }
}
