//! A least-privilege set learnt from the ledger: what was asked is collected, the policies for it are proposed in place of the permits in force,
//! and history judges the proposal at once.

use crate::backtest::{Backtest, backtest};
use crate::error::AuthorityError;
use std::collections::BTreeMap;
use std::path::Path;
use writ_ledger::{Decided, Kept, Reader, Ruled};
use writ_policy::{Facts, Observed, PolicySet, Proposal, Seen, Semantics, Snapshot};
use writ_protocol::action::Action;
use writ_protocol::entry::Would;
use writ_protocol::{Code, Name};

/// The file that holds what was learnt.
pub const LEARNED: &str = "learned.cedar";

/// From which decisions is learnt, besides what was granted. Never from what a policy forbade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct From {
    /// From what was refused since no policy permitted it.
    pub refusals: bool,
    /// From what was asked in shadow, where nothing was enforced: what would have been permitted, and what no policy would have.
    pub shadow: bool,
}

/// What was learnt.
#[derive(Clone, Debug)]
pub struct Learned {
    /// Executions it was learnt from.
    pub seen: u64,
    /// Of those, the ones that were asked in shadow.
    pub shadow: u64,
    /// Decisions that could not be read, since their values were erased.
    pub erased: u64,
    /// The policies, and what they say less exactly than it was seen.
    pub proposal: Proposal,
    /// The folder it began with, with the policies in place of the permits they replace.
    pub candidate: Snapshot,
    /// What history says to that.
    pub tried: Backtest,
}

/// Learns from everything that `store` has. `active` is the folder that the proposal begins with: everything in it stays but its permits of
/// executions. The candidate compiles, or it is an error and not an answer.
pub fn learn(
    store: &Path,
    active: &Snapshot,
    from: From,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Learned, AuthorityError> {
    let set = PolicySet::compile(active, Semantics::CURRENT).map_err(AuthorityError::Policy)?;
    let reader = Reader::open(store)?;
    let size = reader.view()?.size().get();
    let mut school = School { from, observed: Observed::default(), shadow: 0, erased: 0 };
    reader.decisions(0..size, &mut |decided| school.see(&decided))?;
    let proposal = school.observed.propose(&set);
    let candidate = replaced(active, &set, &proposal)?;
    PolicySet::compile(&candidate, Semantics::CURRENT).map_err(AuthorityError::Policy)?;
    let tried = backtest(store, &candidate, progress)?;
    Ok(Learned {
        seen: school.observed.total(),
        shadow: school.shadow,
        erased: school.erased,
        proposal,
        candidate,
        tried,
    })
}

struct School {
    from: From,
    observed: Observed,
    shadow: u64,
    erased: u64,
}

impl School {
    fn see(&mut self, decided: &Decided) {
        let (principal, permits): (_, &[Name]) = match &decided.ruled {
            Ruled::Grant(grant) => (&grant.principal, grant.policy.reasons.as_slice()),
            Ruled::Denial(denial) => match &denial.policy {
                Some(policy)
                    if self.from.refusals
                        && denial.code == Code::PolicyDenied
                        && policy.reasons.as_slice().is_empty() =>
                {
                    (&denial.principal, &[])
                }
                Some(_) | None => return,
            },
            Ruled::Shadow(shadow) if self.from.shadow => {
                let reasons = shadow.policy.reasons.as_slice();
                match shadow.would {
                    Would::Permit => (&shadow.principal, reasons),
                    Would::PolicyDenied if reasons.is_empty() => (&shadow.principal, &[]),
                    Would::PolicyDenied | Would::EvaluationError | Would::IntegrityFailure => return,
                }
            }
            Ruled::Shadow(_) | Ruled::Hold(_) | Ruled::Order(_) => return,
        };
        let shadow = matches!(decided.ruled, Ruled::Shadow(_));
        let read = |kept: &Kept| match kept {
            Kept::Value(opening) => Some(opening.value.clone()),
            Kept::Erased | Kept::Nothing => None,
        };
        let action = read(&decided.action).and_then(|value| Action::decode(&value).ok());
        let facts = read(&decided.facts).and_then(|value| Facts::decode(&value).ok());
        match (action, facts) {
            (Some(Action::Exec(exec)), Some(facts)) => {
                self.shadow += u64::from(shadow);
                self.observed.add(&Seen {
                    index: decided.index.get(),
                    time_ms: facts.now_ms,
                    principal: (&principal.kind, &principal.id),
                    auth: facts.auth.as_str(),
                    depth: facts.depth,
                    exec: &exec,
                    permits,
                    shadow,
                });
            }
            (Some(Action::Order(_)), Some(_)) => {}
            (_, _) => self.erased += 1,
        }
    }
}

/// The folder without the permits that are replaced, and with what was learnt.
fn replaced(active: &Snapshot, set: &PolicySet, proposal: &Proposal) -> Result<Snapshot, AuthorityError> {
    let mut files: BTreeMap<String, Vec<u8>> = active.files().clone();
    for id in &proposal.replaced {
        let Some(clause) = set.clause(id) else { continue };
        let Some(content) = files.get_mut(&clause.file) else { continue };
        let text = String::from_utf8_lossy(content).into_owned();
        // Each policy has an id of its own in its text, so it stands there once.
        let without = text.replacen(&clause.text, "", 1);
        *content = squeezed(&without).into_bytes();
    }
    files.retain(|path, content| !path.ends_with(".cedar") || content.iter().any(|byte| !byte.is_ascii_whitespace()));
    let learned = files.entry(LEARNED.to_owned()).or_default();
    learned.extend_from_slice(proposal.text.as_bytes());
    Snapshot::new(files).map_err(AuthorityError::Policy)
}

/// Without the empty lines that a policy leaves behind.
fn squeezed(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines() {
        let is_second_empty = line.trim().is_empty() && lines.last().is_none_or(|last: &&str| last.trim().is_empty());
        if !is_second_empty {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}
