//! `writ policy backtest`: a candidate folder against everything the ledger has recorded.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::render::{counted, hex};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use writ_server::{AuthorityError, Backtest, Came, Changed, Replayed, Shift, Verdict, backtest, read_policy_folder};

/// Groups of each kind that are shown to a person.
const SHOWN_MAX: usize = 20;
/// Every change of an answer, then what changes no answer; each with how it is told.
const SHIFTS: [(Shift, &str); 6] = [
    (Shift::Permitted, "newly permitted"),
    (Shift::Denied, "newly denied"),
    (Shift::Held, "newly held"),
    (Shift::Code, "refused with another code"),
    (Shift::Reasons, "the same, for other reasons"),
    (Shift::Terms, "permitted on other terms"),
];

pub(crate) fn run(args: &args::Backtest, as_json: bool) -> Result<(), CliError> {
    let store = Domain::of(&args.place)?.store();
    let candidate = read_policy_folder(&args.folder).map_err(failed)?;
    let shows_progress = std::io::stderr().is_terminal() && !as_json;
    let progress = |done: u64, total: u64| {
        if shows_progress {
            // Progress that cannot be shown is not worth failing for.
            write!(std::io::stderr(), "\rtried {done} of {total} entries").ok();
        }
    };
    let begun = Instant::now();
    let tried = backtest(&store, &candidate, &progress).map_err(failed)?;
    let took = begun.elapsed();
    if shows_progress {
        write!(std::io::stderr(), "\r\x1b[K").ok();
    }
    if as_json {
        json_line(&told_json(&tried))?;
    } else {
        told(&tried, took)?;
    }
    match tried.verdict() {
        Verdict::Unchanged => Ok(()),
        Verdict::Changes => {
            let count: u64 = SHIFTS.iter().take(3).map(|(shift, _)| tried.count(*shift)).sum();
            Err(CliError::Found(format!("{} come out otherwise", counted(count, "decision would", "decisions would"))))
        }
        Verdict::Undecided => Err(CliError::Found(format!(
            "{} not be decided again, so what the candidate would change is not known",
            counted(tried.undecided, "decision could", "decisions could")
        ))),
    }
}

/// A folder that does not compile is a finding; everything else stood in the way.
pub(crate) fn failed(error: AuthorityError) -> CliError {
    match error {
        AuthorityError::Policy(_) => CliError::Found(error.to_string()),
        AuthorityError::Ledger(error) => CliError::Ledger(error),
        AuthorityError::File { .. }
        | AuthorityError::Refused(_)
        | AuthorityError::Chance
        | AuthorityError::NoSet
        | AuthorityError::SetMissing { .. }
        | AuthorityError::EntitiesMissing { .. }
        | AuthorityError::SetUnread { .. }
        | AuthorityError::SemanticsUnknown { .. } => CliError::Failed(error.to_string()),
    }
}

fn told(tried: &Backtest, took: Duration) -> Result<(), CliError> {
    for (shift, words) in SHIFTS {
        let groups: Vec<&Changed> = tried.changed.iter().filter(|changed| changed.shift == shift).collect();
        if !groups.is_empty() {
            line(format_args!("{words}: {}", counted(tried.count(shift), "decision", "decisions")))?;
        }
        for group in groups.iter().take(SHOWN_MAX) {
            group_told(group)?;
        }
        let more = groups.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            line(format_args!("  and {}; --json has them all", counted(more as u64, "more group", "more groups")))?;
        }
    }
    for Replayed { index, what } in tried.not_decided.iter().take(SHOWN_MAX) {
        line(format_args!("undecided: entry {index}: {}", what.replace('\n', "\\n")))?;
    }
    let rate = tried.decided as f64 / took.as_secs_f64().max(1e-9);
    line(format_args!(
        "{} decided again in {:.1} s ({rate:.0}/s): {} the same, {} undecided",
        counted(tried.decided, "decision", "decisions"),
        took.as_secs_f64(),
        tried.same,
        tried.undecided,
    ))?;
    if tried.shadow > 0 {
        line(format_args!("  in shadow   {} of them, where nothing was enforced", tried.shadow))?;
    }
    line(format_args!("  not asked   {} refused before policy", tried.before_policy))?;
    line(format_args!("  candidate   {}", hex(tried.set.as_bytes())))
}

fn group_told(group: &Changed) -> Result<(), CliError> {
    // The resource is what somebody asked for: it must not look like another line.
    let resource = group.resource.replace('\n', "\\n");
    line(format_args!("  {:>8} x {} {} {resource}", group.count, group.principal, group.action))?;
    let shadow = if group.shadow { ", in shadow" } else { "" };
    line(format_args!("             {}{shadow} -> {}", came(&group.was), came(&group.would)))?;
    let examples: Vec<String> = group.examples.iter().map(u64::to_string).collect();
    let more = if group.count > group.examples.len() as u64 { format!(" … {}", group.last) } else { String::new() };
    line(format_args!("             entries {}{more}", examples.join(", ")))
}

fn came(came: &Came) -> String {
    let by: Vec<&str> = came.reasons.iter().map(writ_protocol::Name::as_str).collect();
    if by.is_empty() {
        came.outcome.as_str().to_owned()
    } else {
        format!("{} by {}", came.outcome.as_str(), by.join(", "))
    }
}

fn told_json(tried: &Backtest) -> Value {
    let came = |came: &Came| {
        let reasons: Vec<&str> = came.reasons.iter().map(writ_protocol::Name::as_str).collect();
        json!({ "outcome": came.outcome.as_str(), "reasons": reasons })
    };
    let changed = tried.changed.iter().map(|group| {
        json!({
            "change": group.shift.as_str(),
            "shadow": group.shadow,
            "principal": group.principal,
            "action": group.action,
            "resource": group.resource,
            "was": came(&group.was),
            "would": came(&group.would),
            "count": group.count,
            "examples": group.examples,
            "last": group.last,
        })
    });
    let verdict = match tried.verdict() {
        Verdict::Unchanged => "unchanged",
        Verdict::Changes => "changes",
        Verdict::Undecided => "undecided",
    };
    let counts = SHIFTS.iter().map(|(shift, _)| (shift.as_str().to_owned(), Value::from(tried.count(*shift))));
    json!({
        "set": hex(tried.set.as_bytes()),
        "verdict": verdict,
        "entries": tried.entries,
        "decided": tried.decided,
        "shadow": tried.shadow,
        "same": tried.same,
        "before_policy": tried.before_policy,
        "undecided": tried.undecided,
        "not_decided": tried.not_decided.iter().map(|one| json!({ "index": one.index, "what": one.what })).collect::<Vec<_>>(),
        "counts": counts.collect::<serde_json::Map<_, _>>(),
        "ungrouped": tried.ungrouped,
        "changed": changed.collect::<Vec<_>>(),
    })
}
