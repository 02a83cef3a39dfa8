//! `writ policy diff`: what changed between two sets, policy by policy.

use super::args;
use super::source::files_of;
use crate::error::{CliError, harmless, json_line, line, painted_line};
use crate::paint::{Colour, Paint};
use crate::render::counted;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use writ_protocol::Name;
use writ_server::{PolicySet, Semantics, Snapshot};

/// What became of a policy.
enum Change<'a> {
    Added(&'a PolicySet),
    Removed(&'a PolicySet),
    Changed(&'a PolicySet, &'a PolicySet),
}

pub(crate) fn run(args: &args::Diff, as_json: bool) -> Result<(), CliError> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let ids: BTreeSet<&Name> = before.1.ids().chain(after.1.ids()).collect();
    let changes: Vec<(&Name, Change<'_>)> =
        ids.iter().filter_map(|id| Some((*id, change(id, &before.1, &after.1)?))).collect();
    let files = changed_files(&before.0, &after.0);
    let same = ids.len() - changes.len();
    if as_json {
        let policies: Vec<Value> = changes.iter().map(|(id, change)| told_json(id, change)).collect();
        let files: Vec<Value> = files.iter().map(|(file, what)| json!({ "file": file, "change": what })).collect();
        json_line(&json!({ "same": same, "policies": policies, "files": files }))?;
    } else {
        for (id, change) in &changes {
            tell(id, change, Paint::of_stdout(as_json))?;
        }
        for (file, what) in &files {
            line(format_args!("{what:<8} {file}"))?;
        }
        line(format_args!("{} the same", counted(same as u64, "policy is", "policies are")))?;
    }
    match (changes.len() as u64, files.len() as u64) {
        (0, 0) => Ok(()),
        (policies, files) => Err(CliError::Found(format!(
            "{} and {} differ",
            counted(policies, "policy", "policies"),
            counted(files, "other file", "other files")
        ))),
    }
}

fn read(source: &Path) -> Result<(Snapshot, PolicySet), CliError> {
    let snapshot = files_of(source)?;
    let set = PolicySet::compile(&snapshot, Semantics::CURRENT).map_err(|findings| {
        let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
        CliError::Found(format!("{} does not compile:\n  {}", source.display(), found.join("\n  ")))
    })?;
    Ok((snapshot, set))
}

fn change<'a>(id: &Name, before: &'a PolicySet, after: &'a PolicySet) -> Option<Change<'a>> {
    match (before.clause(id), after.clause(id)) {
        (None, Some(_)) => Some(Change::Added(after)),
        (Some(_), None) => Some(Change::Removed(before)),
        (Some(old), Some(new)) if old.text != new.text => Some(Change::Changed(before, after)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn tell(id: &Name, change: &Change<'_>, paint: Paint) -> Result<(), CliError> {
    let (what, lines) = match change {
        Change::Added(set) => ("added", marked('+', set, id)),
        Change::Removed(set) => ("removed", marked('-', set, id)),
        Change::Changed(before, after) => ("changed", compared(before, after, id)),
    };
    painted_line(&format!("{} {id}", paint.text(Colour::Bold, &format!("{what:<8}"))))?;
    lines.iter().try_for_each(|text| painted_line(&format!("  {}", paint.difference(&harmless(text)))))
}

fn marked(mark: char, set: &PolicySet, id: &Name) -> Vec<String> {
    lines_of(set, id).iter().map(|text| format!("{mark} {text}")).collect()
}

fn lines_of<'a>(set: &'a PolicySet, id: &Name) -> Vec<&'a str> {
    set.clause(id).map(|clause| clause.text.lines().collect()).unwrap_or_default()
}

/// Both texts line by line, by their longest common part.
fn compared(before: &PolicySet, after: &PolicySet, id: &Name) -> Vec<String> {
    let (old, new) = (lines_of(before, id), lines_of(after, id));
    // `common[i][j]` is how many lines the ends from `i` and from `j` on have in common.
    let mut common = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    let at = |common: &[Vec<usize>], i: usize, j: usize| {
        common.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default()
    };
    for (i, left) in old.iter().enumerate().rev() {
        for (j, right) in new.iter().enumerate().rev() {
            let longest = if left == right {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(place) = common.get_mut(i).and_then(|row| row.get_mut(j)) {
                *place = longest;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(left), Some(right)) if left == right => {
                lines.push(format!("  {left}"));
                (i, j) = (i + 1, j + 1);
            }
            (Some(left), right) if right.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                lines.push(format!("- {left}"));
                i += 1;
            }
            (_, Some(right)) => {
                lines.push(format!("+ {right}"));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

/// Files other than policies, guardrails among them.
fn changed_files<'a>(before: &'a Snapshot, after: &'a Snapshot) -> Vec<(&'a str, &'static str)> {
    let paths: BTreeSet<&String> = before.files().keys().chain(after.files().keys()).collect();
    let others = paths.into_iter().filter(|path| !path.ends_with(".cedar") || path.starts_with("guardrails/"));
    others
        .filter_map(|path| match (before.files().get(path), after.files().get(path)) {
            (None, Some(_)) => Some((path.as_str(), "added")),
            (Some(_), None) => Some((path.as_str(), "removed")),
            (Some(old), Some(new)) if old != new => Some((path.as_str(), "changed")),
            (Some(_), Some(_)) | (None, None) => None,
        })
        .collect()
}

fn told_json(id: &Name, change: &Change<'_>) -> Value {
    let text = |set: &PolicySet| set.clause(id).map(|clause| clause.text.clone());
    let (what, before, after) = match change {
        Change::Added(set) => ("added", None, text(set)),
        Change::Removed(set) => ("removed", text(set), None),
        Change::Changed(before, after) => ("changed", text(before), text(after)),
    };
    json!({ "id": id.as_str(), "change": what, "before": before, "after": after })
}
