//! A least-privilege set learnt from the ledger: what was asked is collected, the policies for it are proposed in place of the permits in force,
//! and history judges the proposal at once.

use crate::backtest::{Backtest, backtest};
use crate::error::AuthorityError;
use std::collections::BTreeMap;
use std::path::Path;
use writ_ledger::{Decided, Kept, Reader, Ruled};
use writ_policy::{Clause, Facts, Observed, PolicySet, Proposal, Seen, Semantics, Snapshot};
use writ_protocol::action::Action;
use writ_protocol::entry::Would;
use writ_protocol::{Code, Name};

/// The file that holds what was learnt.
pub const LEARNED: &str = "learned.cedar";

/// What was asked for at greater length is not learnt: a policy that named it would be larger than a set may be.
const LEARNED_BYTES_MAX: usize = 32_768;

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
    /// Decisions that could not be read, for one since their values were erased.
    pub erased: u64,
    /// Executions that are too long to be named in a policy.
    pub long: u64,
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
    let mut school = School { from, observed: Observed::default(), shadow: 0, erased: 0, long: 0 };
    reader.decisions(0..size, &mut |decided| school.see(&decided))?;
    let proposal = school.observed.propose(&set);
    let candidate = replaced(active, &set, &proposal)?;
    PolicySet::compile(&candidate, Semantics::CURRENT).map_err(AuthorityError::Policy)?;
    let tried = backtest(store, &candidate, progress)?;
    Ok(Learned {
        seen: school.observed.total(),
        shadow: school.shadow,
        erased: school.erased,
        long: school.long,
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
    long: u64,
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
                    Would::Hold
                    | Would::PolicyDenied
                    | Would::EvaluationError
                    | Would::IntegrityFailure
                    | Would::ScopeWidened => return,
                }
            }
            Ruled::Shadow(_) | Ruled::Hold(_) | Ruled::Order(_) | Ruled::Advised(_) => return,
        };
        let shadow = matches!(decided.ruled, Ruled::Shadow(_));
        let read = |kept: &Kept| match kept {
            Kept::Value(opening) => Some(opening.value.clone()),
            Kept::Erased | Kept::Nothing => None,
        };
        let action = read(&decided.action);
        if action.as_ref().is_some_and(|value| value.len() > LEARNED_BYTES_MAX) {
            self.long += 1;
            return;
        }
        let action = action.and_then(|value| Action::decode(&value).ok());
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
            (Some(Action::Order(_) | Action::Advice(_)), Some(_)) => {}
            (_, _) => self.erased += 1,
        }
    }
}

/// The folder without the permits that are replaced, and with what was learnt.
fn replaced(active: &Snapshot, set: &PolicySet, proposal: &Proposal) -> Result<Snapshot, AuthorityError> {
    let mut files: BTreeMap<String, Vec<u8>> = active.files().clone();
    let mut gone: Vec<&Clause> = proposal.replaced.iter().filter_map(|id| set.clause(id)).collect();
    // From the end, so that the lines of the others stay where they are.
    gone.sort_by_key(|clause| std::cmp::Reverse(clause.line));
    for clause in gone {
        let Some(content) = files.get_mut(&clause.file) else { continue };
        let text = String::from_utf8_lossy(content).into_owned();
        *content = without(&text, clause).unwrap_or(text).into_bytes();
    }
    files.retain(|path, content| !path.ends_with(".cedar") || content.iter().any(|byte| !byte.is_ascii_whitespace()));
    let learned = files.entry(LEARNED.to_owned()).or_default();
    learned.extend_from_slice(proposal.text.as_bytes());
    Snapshot::new(files).map_err(AuthorityError::Policy)
}

/// How the lines begin that are written above what is learnt.
const HEADINGS: [&str; 2] = ["// Seen ", "// Permits more than was seen: "];

/// A text without a policy that begins in its line, without what was written above it when it was learnt, and without the empty lines between
/// which it stood. What looks like it in any other comment before stays.
fn without(text: &str, clause: &Clause) -> Option<String> {
    let line = clause.line.saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let (before, rest) = text.split_at_checked(start)?;
    let (indent, after) = rest.split_once(clause.text.as_str())?;
    let (kept, after) = (format!("{before}{indent}"), after.trim_start_matches(['\n', ' ']));
    let mut kept = kept.trim_end_matches(['\n', ' ']);
    let last = |text: &str| text.rfind('\n').map_or(0, |end| end + 1);
    while let Some((above, line)) = kept.split_at_checked(last(kept))
        && HEADINGS.iter().any(|heading| line.starts_with(heading))
    {
        kept = above.trim_end_matches(['\n', ' ']);
    }
    Some(match (kept.is_empty(), after.is_empty()) {
        (true, _) => after.to_owned(),
        (false, true) => format!("{kept}\n"),
        (false, false) => format!("{kept}\n\n{after}"),
    })
}

#[cfg(test)]
mod tests {
    use super::without;
    use writ_policy::{Clause, PolicySet, Semantics, Snapshot};
    use writ_protocol::Name;

    const TEXT: &str = "// It was @id(\"wide\") permit (principal, action, resource);\n// once.\n\n@id(\"wide\") permit (principal, action, resource);\n\n@id(\"kept\")\nforbid (principal, action == Action::\"exec\", resource) when { context.path == \"a\n\n\nb\" };\n";

    fn clause(id: &str) -> Clause {
        let files = [("all.cedar", TEXT), ("entities.json", "[]"), ("principals.json", "[]")];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        let set = PolicySet::compile(&Snapshot::new(files.into()).unwrap(), Semantics::CURRENT).unwrap();
        set.clause(&Name::new(id).unwrap()).unwrap().clone()
    }

    #[test]
    fn a_policy_is_cut_where_it_stands_and_nothing_else_is_touched() {
        let rest = without(TEXT, &clause("wide")).unwrap();
        let (comment, kept) =
            (TEXT.split("\n\n").next().unwrap(), TEXT.get(TEXT.find("@id(\"kept\")").unwrap()..).unwrap());
        assert_eq!(rest, format!("{comment}\n\n{kept}"));
        let headed = TEXT.replacen(
            "\n\n@id(\"wide\")",
            "\n\n// Seen once.\n// Permits more than was seen: all.\n@id(\"wide\")",
            1,
        );
        let moved = Clause { line: clause("wide").line + 2, ..clause("wide") };
        assert_eq!(without(&headed, &moved).unwrap(), rest);
        let first = without(TEXT, &clause("kept")).unwrap();
        assert_eq!(first, TEXT.split_once("\n\n@id(\"kept\")").unwrap().0.to_owned() + "\n");
    }
}
