use std::path::PathBuf;
use writ_ledger::LedgerError;
use writ_policy::{PolicyError, Semantics};
use writ_protocol::{Label, Refusal};

/// Why an authority cannot be opened, or cannot do what its operator asks.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file of the policy folder cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The policy set is of no use; the one in force stays.
    #[error("the policy set is refused:\n{}", list(.0))]
    Policy(Vec<PolicyError>),
    /// Something in the folder is not what a snapshot may hold.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The root has pinned policy authors before any set was in force.
    #[error(
        "no policy set is in force, and only its authors could put one there; start the node before the root pins them"
    )]
    NoSet,
    /// The set in force cannot be read back.
    #[error(
        "the policy set of epoch {epoch} (entry {at}) is not in the vault any more, so nothing can be decided; restore the store from a backup"
    )]
    SetMissing {
        /// Its epoch.
        epoch: u64,
        /// Its entry.
        at: u64,
    },
    /// The entities in force cannot be read back.
    #[error(
        "the entities of epoch {epoch} (entry {at}) rest on what is not in the vault any more, so nothing can be decided; restore the store from a backup"
    )]
    EntitiesMissing {
        /// Their epoch.
        epoch: u64,
        /// Their entry.
        at: u64,
    },
    /// The set in force is there, and this release makes nothing of it.
    #[error(
        "the policy set of epoch {epoch} (entry {at}) is in the vault, and this release cannot read it, so nothing can be decided: {why}; start the node with the release that put it in force, and publish a set that this one takes"
    )]
    SetUnread {
        /// Its epoch.
        epoch: u64,
        /// Its entry.
        at: u64,
        /// The first thing that is wrong.
        why: String,
    },
    /// The set in force decides by semantics that are not in this binary.
    #[error(
        "the policy set of epoch {epoch} (entry {at}) decides by `{found}`, and this release has {}: start the node with the release that put the set in force; before going to this one, have its authors publish the set with a release that has both",
        known()
    )]
    SemanticsUnknown {
        /// Its epoch.
        epoch: u64,
        /// Its entry.
        at: u64,
        /// What the entry names.
        found: Label,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness; see whether /dev/urandom is there")]
    Chance,
}

/// The semantics that this binary has.
pub(crate) fn known() -> String {
    Semantics::ALL.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ")
}

/// A whole screen of them helps nobody to find the first.
const SHOWN_MAX: usize = 20;

fn list(errors: &[PolicyError]) -> String {
    let mut lines: Vec<String> = errors.iter().take(SHOWN_MAX).map(|error| format!("  {error}")).collect();
    let more = errors.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        lines.push(format!("  and {more} more; `writ policy check` shows them all"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_policy::Problem;

    #[test]
    fn of_many_findings_the_first_are_shown_and_the_rest_counted() {
        let finding = |line| PolicyError {
            file: "a.cedar".to_owned(),
            line,
            column: 1,
            problem: Problem::LiteralMissing(format!("Agent::\"{line}\"")),
        };
        let told = |count| AuthorityError::Policy((1..=count).map(finding).collect()).to_string();
        assert_eq!(told(SHOWN_MAX).lines().count(), 1 + SHOWN_MAX);
        assert!(!told(SHOWN_MAX).contains("more"));
        let long = told(SHOWN_MAX + 7);
        assert_eq!(long.lines().count(), 1 + SHOWN_MAX + 1);
        assert!(long.ends_with("  and 7 more; `writ policy check` shows them all"), "{long}");
    }
}
