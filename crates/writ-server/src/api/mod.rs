//! What a node answers, apart from how it travels: JSON in, a status and JSON out. `api/openapi.json` says the same to others.

pub(crate) mod advice;
mod asked;
mod entities;
mod evidence;
pub(crate) mod holds;
pub(crate) mod mandates;
mod state;
mod status;

pub(crate) use asked::{authorize, change_entities, order, publish, shadow};
pub(crate) use entities::entities;
pub(crate) use evidence::{bundle, control, control_json, entry, gateway, lineage};
pub(crate) use state::state;
pub(crate) use status::status;

use crate::exchange::Reply;
use hyper::StatusCode;
use writ_protocol::{Code, Refusal};

/// A refusal without an entry.
pub(crate) fn refused(refusal: &Refusal) -> Reply {
    let code = refusal.code();
    Reply::refusal(status_of(code), refusal, Some(next_step(code)))
}

/// Every code with its status.
pub(crate) fn status_codes() -> impl Iterator<Item = (Code, StatusCode)> {
    Code::ALL.iter().map(|code| (*code, status_of(*code)))
}

/// The HTTP status of a refusal that has no entry: what a client that knows nothing of codes should make of it.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Malformed | Code::UnsupportedVersion => StatusCode::BAD_REQUEST,
        Code::Unauthenticated
        | Code::UnknownAuthority
        | Code::SignatureInvalid
        | Code::Expired
        | Code::NotYetValid
        | Code::IdentityMismatch => StatusCode::UNAUTHORIZED,
        Code::MissingWrit => StatusCode::NOT_FOUND,
        Code::Replayed
        | Code::EvidenceIncomplete
        | Code::EvidenceInvalid
        | Code::LineageBroken
        | Code::WrongAudience
        | Code::ActionMismatch
        | Code::SurroundingsMismatch
        | Code::UsesExhausted
        | Code::CommitmentMismatch
        | Code::FactsChanged
        | Code::StillNeeded => StatusCode::CONFLICT,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::LedgerUnavailable | Code::ClockUntrusted | Code::AuthorityUnreachable => StatusCode::SERVICE_UNAVAILABLE,
        Code::ProofInvalid
        | Code::WitnessQuorumMissing
        | Code::NotAWrit
        | Code::ControlChainBroken
        | Code::PolicyMismatch
        | Code::PolicyStale
        | Code::IntegrityFailure
        | Code::HolderProofInvalid
        | Code::Revoked
        | Code::Halted
        | Code::ScopeWidened
        | Code::LabelsMissing
        | Code::ViewStale
        | Code::BudgetExceeded
        | Code::PolicyDenied
        | Code::EvaluationError
        | Code::GateFailed
        | Code::ApprovalPending
        | Code::ApprovalRejected => StatusCode::FORBIDDEN,
    }
}

/// What whoever is refused can do about it.
pub(crate) fn next_step(code: Code) -> &'static str {
    match code {
        Code::PolicyDenied => "ask whoever keeps the policy, or ask for something that it permits",
        Code::EvaluationError => {
            "whoever keeps the policy must mend the one that failed; until then nothing like this runs"
        }
        Code::GateFailed => {
            "mend what the gate found, or have its authors accept it by name; `writ policy check` with --prove --against SET and --history shows it before anybody signs"
        }
        Code::BudgetExceeded => "wait for the next period, or ask for a larger budget",
        Code::Revoked => "nothing that rests on this will run again; ask for a new key, principal or writ",
        Code::Halted => "the domain is halted; only its root members end a halt, with `writ root resume`",
        Code::IdentityMismatch => "ask as yourself, or have the one whom you named sign the request",
        Code::IntegrityFailure => {
            "the file is not the one that policy knows; restore it, or have its new digest accepted"
        }
        Code::LabelsMissing => "its lineage has learnt more since it was granted; ask for a new writ",
        Code::LineageBroken => "ask from an execution that is still running",
        Code::Unauthenticated | Code::UnknownAuthority | Code::SignatureInvalid => {
            "see that your key, user, token or certificate is one that principals.json names, and that a token or certificate is renewed in time"
        }
        Code::Expired | Code::NotYetValid => "see that the clocks agree, then make a new request",
        Code::RateLimited => "slow down",
        Code::ApprovalPending => {
            "wait until enough have approved it: `writ holds` shows what waits, and `--wait` waits for it"
        }
        Code::ApprovalRejected => {
            "ask whoever was asked for their approval why; what has changed, or was approved once, is asked anew"
        }
        Code::LedgerUnavailable => "nothing can be recorded, so nothing may run; look at the node's log and its disk",
        Code::ClockUntrusted => "set the node's clock right",
        Code::Malformed | Code::UnsupportedVersion => "use a client of the same release as the node",
        Code::Replayed => "what is recorded already stands; ask anew where something else is meant",
        Code::MissingWrit => "see that the entry is of the kind that is meant; `writ log show` shows it",
        Code::ProofInvalid
        | Code::WitnessQuorumMissing
        | Code::NotAWrit
        | Code::ControlChainBroken
        | Code::EvidenceIncomplete
        | Code::EvidenceInvalid
        | Code::CommitmentMismatch
        | Code::WrongAudience
        | Code::ActionMismatch
        | Code::PolicyMismatch
        | Code::PolicyStale
        | Code::SurroundingsMismatch
        | Code::HolderProofInvalid
        | Code::UsesExhausted
        | Code::ViewStale
        | Code::FactsChanged => "ask for a new writ",
        Code::StillNeeded => "do first what the reason says, then give the order again",
        Code::ScopeWidened => {
            "ask for no more than the mandate, or what caused this, allows; `writ mandate show` says what one is for"
        }
        Code::AuthorityUnreachable | Code::Internal => "look at the node's log",
    }
}

/// A proof file as JSON carries it.
pub(crate) fn proof_text(proof: Vec<u8>) -> Result<String, Refusal> {
    String::from_utf8(proof).map_err(|_| Refusal::new(Code::Internal, "a proof that is not text"))
}
