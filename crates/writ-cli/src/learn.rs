//! `writ policy learn`: what was done, as the policies that permit it; shown as a difference from the folder, with the evidence of each line.

use crate::backtest::failed;
use crate::domain::Domain;
use crate::error::{CliError, harmless, json_line, line, painted_line};
use crate::keys::{SECRET_FILE, SECRET_FOLDER, must_be_new, write_new};
use crate::paint::Paint;
use crate::policy::args;
use crate::render::{counted, hex};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use writ_server::{LearnFrom, Learned, Shift, Snapshot, learn, read_policy_folder};

pub(crate) fn run(args: &args::Learn, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.place)?;
    let folder = args.folder.clone().unwrap_or_else(|| domain.policy());
    if let Some(output) = &args.output {
        must_be_new(output)?;
    }
    let active = read_policy_folder(&folder).map_err(failed)?;
    let shows_progress = std::io::stderr().is_terminal() && !as_json;
    let progress = |done: u64, total: u64| {
        if shows_progress {
            // Progress that cannot be shown is not worth failing for.
            write!(std::io::stderr(), "\rtried {done} of {total} entries").ok();
        }
    };
    let from = LearnFrom { refusals: args.refused, shadow: args.shadow };
    let learned = learn(&domain.store(), &active, from, &progress).map_err(failed)?;
    if shows_progress {
        write!(std::io::stderr(), "\r\x1b[K").ok();
    }
    if learned.seen == 0 {
        let hint = match (args.refused, args.shadow) {
            (true, true) => "",
            (true, false) => "; --shadow learns from what was asked in shadow too",
            (false, true) => "; --refused learns from what no policy permitted too",
            (false, false) => {
                "; --refused learns from what no policy permitted too, and --shadow from what was asked in shadow"
            }
        };
        let nothing = if args.shadow { "granted, or asked in shadow, yet" } else { "granted yet" };
        return Err(CliError::Found(format!("there is nothing to learn from: no execution was {nothing}{hint}")));
    }
    if let Some(output) = &args.output {
        write(output, &learned.candidate)?;
    }
    if as_json { told_json(&learned) } else { told(&learned, &active, args.output.as_deref()) }
}

/// A folder as a policy folder is kept: for its owner.
fn write(folder: &Path, snapshot: &Snapshot) -> Result<(), CliError> {
    for (name, content) in snapshot.files() {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        DirBuilder::new().recursive(true).mode(SECRET_FOLDER).create(parent).map_err(CliError::file(parent))?;
        write_new(&path, content, SECRET_FILE)?;
    }
    Ok(())
}

fn told(learned: &Learned, active: &Snapshot, output: Option<&Path>) -> Result<(), CliError> {
    let paint = Paint::of_stdout(false);
    for change in differences(active, &learned.candidate) {
        // Tabs are part of what `patch` compares.
        painted_line(&paint.difference(&change.split('\t').map(harmless).collect::<Vec<_>>().join("\t")))?;
    }
    let proposal = &learned.proposal;
    line(format_args!(
        "# learnt {} from {}; in place of {}",
        counted(proposal.policies as u64, "policy", "policies"),
        counted(learned.seen, "execution", "executions"),
        counted(proposal.replaced.len() as u64, "permit", "permits"),
    ))?;
    if learned.shadow > 0 {
        line(format_args!("# of these, asked in shadow, where nothing was enforced: {}", learned.shadow))?;
    }
    for one in &proposal.generalised {
        line(format_args!("# permits more than was seen: {}: {}", one.policy, one.what))?;
    }
    for id in &proposal.wider {
        line(format_args!("# stays, and permits executions besides other things: {id}"))?;
    }
    if learned.erased > 0 {
        line(format_args!(
            "# not learnt from, since erased or unreadable: {}",
            counted(learned.erased, "decision", "decisions")
        ))?;
    }
    if learned.long > 0 {
        line(format_args!(
            "# not learnt from, since too long for a policy: {}",
            counted(learned.long, "execution", "executions")
        ))?;
    }
    let tried = &learned.tried;
    line(format_args!(
        "# tried against {}: {} newly permitted, {} newly denied, {} undecided",
        counted(tried.decided, "decision", "decisions"),
        tried.count(Shift::Permitted),
        tried.count(Shift::Denied),
        tried.undecided
    ))?;
    match output {
        Some(output) => line(format_args!("# written to {}: read it, then `writ policy check` it", output.display())),
        None => line("# nothing was written; -o FOLDER writes the whole folder"),
    }
}

fn told_json(learned: &Learned) -> Result<(), CliError> {
    let names = |names: &[writ_protocol::Name]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let proposal = &learned.proposal;
    let open = proposal.generalised.iter().map(|one| json!({ "policy": one.policy.as_str(), "what": one.what }));
    json_line(&json!({
        "seen": learned.seen,
        "shadow": learned.shadow,
        "erased": learned.erased,
        "long": learned.long,
        "policies": proposal.policies,
        "text": proposal.text,
        "replaced": names(&proposal.replaced),
        "wider": names(&proposal.wider),
        "generalised": open.collect::<Vec<_>>(),
        "digest": hex(learned.candidate.digest().as_bytes()),
        "newly_permitted": learned.tried.count(Shift::Permitted),
        "newly_denied": learned.tried.count(Shift::Denied),
        "undecided": learned.tried.undecided,
    }))
}

/// The files that differ, as `patch -p1` takes them.
fn differences(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let names: BTreeSet<&String> = before.files().keys().chain(after.files().keys()).collect();
    let mut lines = Vec::new();
    for name in names {
        let text = |of: &Snapshot| of.files().get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (old, new) = (text(before), text(after));
        if old != new {
            let header = |side: char, text: &Option<String>| match text {
                Some(_) => format!("{side}/{name}"),
                None => "/dev/null".to_owned(),
            };
            lines.push(format!("--- {}", header('a', &old)));
            lines.push(format!("+++ {}", header('b', &new)));
            lines.extend(difference(&old.unwrap_or_default(), &new.unwrap_or_default()));
        }
    }
    lines
}

/// One hunk for the whole file. What was taken out is found going through both once: the new text is the old one without some lines,
/// and with others at its end.
fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let start = |lines: &[&str]| usize::from(!lines.is_empty());
    let mut shown = vec![format!("@@ -{},{} +{},{} @@", start(&old), old.len(), start(&new), new.len())];
    let mut rest = new.iter().peekable();
    for line in old {
        match rest.next_if(|next| **next == line) {
            Some(_) => shown.push(format!(" {line}")),
            None => shown.push(format!("-{line}")),
        }
    }
    shown.extend(rest.map(|line| format!("+{line}")));
    shown
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_is_a_hunk_that_leads_from_one_text_to_the_other() {
        let shown = difference("a\nb\nc\n", "a\nc\nd\n");
        assert_eq!(shown, ["@@ -1,3 +1,3 @@", " a", "-b", " c", "+d"]);
        assert_eq!(difference("", "x\n"), ["@@ -0,0 +1,1 @@", "+x"]);
        assert_eq!(difference("x\n", ""), ["@@ -1,1 +0,0 @@", "-x"]);
    }
}
