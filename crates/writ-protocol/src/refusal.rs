use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use std::borrow::Cow;
use std::fmt;

/// Why something was refused: the closed list of `spec/refusals.md`. There is no default and no "other". `Internal` stays last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// No writ was presented, or the ledger has no such writ.
    MissingWrit,
    /// Bytes that are not the one encoding of a known structure.
    Malformed,
    /// A kind or version this reader does not know: it is too old, or the bytes are not what they seem.
    UnsupportedVersion,
    /// Signed by, addressed to, or read from somebody who is not pinned or enrolled.
    UnknownAuthority,
    /// A required signature is missing or does not verify.
    SignatureInvalid,
    /// The inclusion or consistency proof does not hold.
    ProofInvalid,
    /// Fewer witnesses have signed than required.
    WitnessQuorumMissing,
    /// A proved entry that is not a grant.
    NotAWrit,
    /// The control entries shown are not all of them, in order.
    ControlChainBroken,
    /// An entry that others refer to is not in the bundle.
    EvidenceIncomplete,
    /// The bundle holds entries that do not belong to its subject.
    EvidenceInvalid,
    /// An opening opens none of the commitments.
    CommitmentMismatch,
    /// The writ is for another gateway, epoch or group.
    WrongAudience,
    /// Before the window.
    NotYetValid,
    /// After the window.
    Expired,
    /// What is about to run is not what was granted.
    ActionMismatch,
    /// Granted under a policy set that is not the active one.
    PolicyMismatch,
    /// The policy epoch is older than allowed.
    PolicyStale,
    /// The surroundings measured are not those granted for.
    SurroundingsMismatch,
    /// A measured component is not what it must be.
    IntegrityFailure,
    /// The presenter is not the principal.
    IdentityMismatch,
    /// The holder's signature on the presentation does not verify.
    HolderProofInvalid,
    /// This use, execution, request or statement was seen before.
    Replayed,
    /// No use is left.
    UsesExhausted,
    /// The writ, key, principal, policy, gateway or an ancestor is revoked.
    Revoked,
    /// The domain is halted.
    Halted,
    /// Cause, depth or origin do not follow from what is recorded.
    LineageBroken,
    /// More is claimed than what caused it, or a limit, allows.
    ScopeWidened,
    /// It would run without labels that its lineage carries.
    LabelsMissing,
    /// The control view is too old to say that nothing speaks against it.
    ViewStale,
    /// The clock disagrees with authenticated time.
    ClockUntrusted,
    /// A budget has nothing left.
    BudgetExceeded,
    /// No policy permits it, or one forbids it.
    PolicyDenied,
    /// A policy could not be evaluated.
    EvaluationError,
    /// A policy set did not pass the gates before activation.
    GateFailed,
    /// It waits for approval.
    ApprovalPending,
    /// Approval was refused, or there is none that fits.
    ApprovalRejected,
    /// The caller could not be authenticated.
    Unauthenticated,
    /// Too many requests.
    RateLimited,
    /// What the decision stood on changed before it was recorded, and again on each new decision.
    FactsChanged,
    /// Something still rests on a value that was to be erased.
    StillNeeded,
    /// The authority did not answer.
    AuthorityUnreachable,
    /// The ledger cannot record, so nothing may happen.
    LedgerUnavailable,
    /// An error on our side.
    Internal,
}

const _: () = assert!(Code::ALL.len() == Code::Internal as usize + 1, "a code is missing in Code::ALL");

impl Code {
    /// Every code, in the order of the specification.
    pub const ALL: &'static [Self] = &[
        Self::MissingWrit,
        Self::Malformed,
        Self::UnsupportedVersion,
        Self::UnknownAuthority,
        Self::SignatureInvalid,
        Self::ProofInvalid,
        Self::WitnessQuorumMissing,
        Self::NotAWrit,
        Self::ControlChainBroken,
        Self::EvidenceIncomplete,
        Self::EvidenceInvalid,
        Self::CommitmentMismatch,
        Self::WrongAudience,
        Self::NotYetValid,
        Self::Expired,
        Self::ActionMismatch,
        Self::PolicyMismatch,
        Self::PolicyStale,
        Self::SurroundingsMismatch,
        Self::IntegrityFailure,
        Self::IdentityMismatch,
        Self::HolderProofInvalid,
        Self::Replayed,
        Self::UsesExhausted,
        Self::Revoked,
        Self::Halted,
        Self::LineageBroken,
        Self::ScopeWidened,
        Self::LabelsMissing,
        Self::ViewStale,
        Self::ClockUntrusted,
        Self::BudgetExceeded,
        Self::PolicyDenied,
        Self::EvaluationError,
        Self::GateFailed,
        Self::ApprovalPending,
        Self::ApprovalRejected,
        Self::Unauthenticated,
        Self::RateLimited,
        Self::FactsChanged,
        Self::StillNeeded,
        Self::AuthorityUnreachable,
        Self::LedgerUnavailable,
        Self::Internal,
    ];

    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingWrit => "missing_writ",
            Self::Malformed => "malformed",
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnknownAuthority => "unknown_authority",
            Self::SignatureInvalid => "signature_invalid",
            Self::ProofInvalid => "proof_invalid",
            Self::WitnessQuorumMissing => "witness_quorum_missing",
            Self::NotAWrit => "not_a_writ",
            Self::ControlChainBroken => "control_chain_broken",
            Self::EvidenceIncomplete => "evidence_incomplete",
            Self::EvidenceInvalid => "evidence_invalid",
            Self::CommitmentMismatch => "commitment_mismatch",
            Self::WrongAudience => "wrong_audience",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::ActionMismatch => "action_mismatch",
            Self::PolicyMismatch => "policy_mismatch",
            Self::PolicyStale => "policy_stale",
            Self::SurroundingsMismatch => "surroundings_mismatch",
            Self::IntegrityFailure => "integrity_failure",
            Self::IdentityMismatch => "identity_mismatch",
            Self::HolderProofInvalid => "holder_proof_invalid",
            Self::Replayed => "replayed",
            Self::UsesExhausted => "uses_exhausted",
            Self::Revoked => "revoked",
            Self::Halted => "halted",
            Self::LineageBroken => "lineage_broken",
            Self::ScopeWidened => "scope_widened",
            Self::LabelsMissing => "labels_missing",
            Self::ViewStale => "view_stale",
            Self::ClockUntrusted => "clock_untrusted",
            Self::BudgetExceeded => "budget_exceeded",
            Self::PolicyDenied => "policy_denied",
            Self::EvaluationError => "evaluation_error",
            Self::GateFailed => "gate_failed",
            Self::ApprovalPending => "approval_pending",
            Self::ApprovalRejected => "approval_rejected",
            Self::Unauthenticated => "unauthenticated",
            Self::RateLimited => "rate_limited",
            Self::FactsChanged => "facts_changed",
            Self::StillNeeded => "still_needed",
            Self::AuthorityUnreachable => "authority_unreachable",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::Internal => "internal",
        }
    }

    /// The code with this string, if there is one.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Encode for Code {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }
}

impl Decode for Code {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let text = reader.text()?;
        Self::from_str_exact(text).ok_or_else(|| ShapeError::expected("a refusal code"))
    }
}

/// A refusal: the code for machines, and for people what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {why}")]
pub struct Refusal {
    code: Code,
    why: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(code: Code, why: impl Into<Cow<'static, str>>) -> Self {
        Self { code, why: why.into() }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The reason, for a person.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Malformed, with what was found wrong.
    pub fn malformed(what: impl fmt::Display) -> Self {
        Self::new(Code::Malformed, what.to_string())
    }
}

impl From<ShapeError> for Refusal {
    fn from(error: ShapeError) -> Self {
        Self::malformed(error)
    }
}

impl From<crate::cbor::Faulty> for Refusal {
    fn from(error: crate::cbor::Faulty) -> Self {
        Self::malformed(error)
    }
}
