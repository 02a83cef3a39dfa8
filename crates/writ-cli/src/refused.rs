//! Refusals for people: what was refused, where that stands, and what to do next.

use crate::explained::Detail;
use serde_json::Value;
use writ_client::{Denial, PolicyNote, Shadowed};
use writ_protocol::Code;

/// The lines below the first one of a recorded refusal: the policies that decided, the clauses that stood in the way with what they read, the
/// smallest change, the entry, the next step.
pub(crate) fn explained(denial: &Denial, detail: Detail) -> Vec<String> {
    let next = denial.next.as_deref().unwrap_or_else(|| next_step(denial.code));
    told(denial.explanation.as_ref(), &denial.policies, detail, denial.index, next)
}

/// The same of what would have been refused.
pub(crate) fn explained_shadow(shadowed: &Shadowed, detail: Detail) -> Vec<String> {
    let next = shadowed.next.as_deref().unwrap_or_default();
    told(shadowed.explanation.as_ref(), &shadowed.policies, detail, shadowed.index, next)
}

fn told(explanation: Option<&Value>, policies: &[PolicyNote], detail: Detail, index: u64, next: &str) -> Vec<String> {
    let mut lines = explanation.map(|told| crate::explained::lines(told, detail)).unwrap_or_default();
    // Where the node explains nothing, the policies as they were written.
    let policies = if explanation.is_none() { policies } else { &[] };
    for policy in policies {
        let place = match (&policy.file, policy.line) {
            (Some(file), Some(line)) => format!(" ({file}:{line})"),
            (Some(file), None) => format!(" ({file})"),
            (None, _) => String::new(),
        };
        lines.push(format!("  policy  {}{place}", policy.id));
        lines.extend(policy.text.as_deref().unwrap_or_default().lines().map(|line| format!("          {line}")));
    }
    lines.push(format!("  entry   {index}"));
    lines.push(format!("  next    {next}"));
    lines
}

/// What whoever runs a command can do about a refusal. The node says it of its own; this is for what is refused on this side.
pub(crate) fn next_step(code: Code) -> &'static str {
    match code {
        Code::MissingWrit => "give one that is there: see `writ authorize`, `writ mandate list` and `writ holds`",
        Code::Malformed => {
            "see that the file is a writ as `writ authorize` wrote it, and that `writ` and the node are of one release"
        }
        Code::UnsupportedVersion => "use a `writ` of the release that wrote it",
        Code::UnknownAuthority => {
            "see that WRIT_DOMAIN names the domain that the node and the writ belong to; `writ up` there enrols this machine's slots"
        }
        Code::SignatureInvalid | Code::ProofInvalid => {
            "it was changed or damaged; ask for a new one with `writ authorize`"
        }
        Code::WitnessQuorumMissing
        | Code::NotAWrit
        | Code::ControlChainBroken
        | Code::EvidenceIncomplete
        | Code::EvidenceInvalid
        | Code::CommitmentMismatch => "ask for a new writ; if that is refused too, run `writ audit`",
        Code::WrongAudience => "ask for a new writ on this machine, with `writ authorize`",
        Code::NotYetValid | Code::Expired => {
            "ask for a new writ; if that is over at once too, see that the clocks agree"
        }
        Code::ActionMismatch => {
            "run exactly what was granted, in the same folder with the same environment, or ask for a new writ"
        }
        Code::PolicyMismatch | Code::PolicyStale => "the policy has changed since; ask for a new writ",
        Code::SurroundingsMismatch => {
            "ask for a new writ on this machine as it is now; a permit with @sandbox lets nothing run, since no profile exists yet"
        }
        Code::GateFailed => {
            "mend what the gate found, or accept it by name; `writ policy check` with --prove --against SET and --history shows it beforehand"
        }
        Code::IntegrityFailure => "see that program and folder are there, outside the domain's own, and for this user",
        Code::IdentityMismatch => "ask as yourself, or give the key of whom you named with --key",
        Code::HolderProofInvalid => "give the holder's key with --holder; it was written beside the writ, with .key",
        Code::Replayed | Code::UsesExhausted => "a writ is good once; ask for a new one",
        Code::Revoked => "nothing that rests on this will run again; ask for a new key, principal or writ",
        Code::Halted => "wait until the root members end the halt, with `writ root resume`",
        Code::LineageBroken => "start it from outside, or from an execution that is still running",
        Code::LabelsMissing => "its lineage has learnt more since it was granted; ask for a new writ",
        Code::ScopeWidened => {
            "ask for no more than the mandate, or what caused this, allows; `writ mandate show` says what one is for"
        }
        Code::ViewStale => "start it once more; if this comes again, the node is slower than the policy allows",
        Code::ClockUntrusted => "set the clocks of this machine and of the node right",
        Code::BudgetExceeded => "wait for the next period, or ask for a larger budget",
        Code::PolicyDenied => "ask whoever keeps the policy, or ask for something that it permits",
        Code::EvaluationError => "whoever keeps the policy must mend the one that failed",
        Code::ApprovalPending => {
            "wait until enough have approved it: `writ holds` shows what waits, and --wait waits for it"
        }
        Code::ApprovalRejected => {
            "ask whoever was asked for their approval why; what has changed, or was approved once, is asked anew"
        }
        Code::Unauthenticated => {
            "see that your key or user is in principals.json, and sign with --as where a key is needed"
        }
        Code::RateLimited => {
            "wait until something has ended; the node's --slots and --rate say how much goes at a time"
        }
        Code::FactsChanged => "start it once more",
        Code::StillNeeded => "do first what the reason says, then give the order again",
        Code::AuthorityUnreachable => {
            "see that the node runs (`writ up`) and answers (`writ status`); --domain and --node say where it is"
        }
        Code::LedgerUnavailable | Code::Internal => "look at the node's log, then run `writ doctor`",
    }
}
