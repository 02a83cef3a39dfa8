//! `writ audit`: the whole ledger, against the trust root and the mark; with `--replay` every decision is derived again.

use crate::args;
use crate::domain::{Domain, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::render::counted;
use serde_json::json;
use std::io::{IsTerminal, Write};
use writ_ledger::audit::{Finding, Report, audit};
use writ_server::{Replay, Replayed, replay};

pub(crate) fn run(args: &args::Audit, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.place)?;
    let trust = read_trust_root(&args.trust.clone().unwrap_or_else(|| domain.trust_root()))?;
    let mark = if args.no_mark { None } else { Some(domain.mark()?) };
    let shows_progress = std::io::stderr().is_terminal() && !as_json;
    let mut progress = |read: u64, total: u64| {
        if shows_progress {
            // Progress that cannot be shown is not worth failing for.
            write!(std::io::stderr(), "\raudited {read} of {total} entries").ok();
        }
    };
    let (report, replayed) = if args.replay {
        let (report, replayed) = replay(&domain.store(), mark.as_deref(), &trust, &mut progress)?;
        // Decisions are derived from a ledger that is as it was signed, or not at all.
        let replayed = report.findings.is_empty().then_some(replayed);
        (report, replayed)
    } else {
        (audit(&domain.store(), mark.as_deref(), &trust, &mut progress)?, None)
    };
    if shows_progress {
        write!(std::io::stderr(), "\r\x1b[K").ok();
    }
    if as_json {
        tell_json(&report, replayed.as_ref())?
    } else {
        tell(&report, args.no_mark)?;
        match &replayed {
            Some(replayed) => tell_replay(replayed)?,
            None if args.replay => line(format_args!("replay: not done, since {}", in_short(&report)))?,
            None => {}
        }
    }
    verdict(&report, replayed.as_ref())
}

/// The exit code says whether there is anything to look at.
fn verdict(report: &Report, replayed: Option<&Replay>) -> Result<(), CliError> {
    let found = counted(report.findings.len() as u64, "finding", "findings");
    let (different, unknown) = replayed.map_or((0, 0), |replayed| (replayed.different, replayed.unknown_semantics));
    match (report.findings.is_empty(), different, unknown) {
        (true, 0, 0) => Ok(()),
        // Nothing was found against them, and nothing was shown for them either.
        (true, 0, unknown) => Err(CliError::Found(format!(
            "{} by semantics that this release does not have: audit with the release that made them",
            counted(unknown, "decision was made", "decisions were made")
        ))),
        (true, different, _) => Err(CliError::Found(format!(
            "{} not come out the same: what is recorded is not what the recorded policy says",
            counted(different, "decision does", "decisions do")
        ))),
        (false, _, _) => Err(CliError::Found(format!("{found}: {}", wrong(report)))),
    }
}

fn mark_unread(finding: &Finding) -> bool {
    matches!(finding, Finding::MarkUnreadable(_))
}

fn in_short(report: &Report) -> &'static str {
    let only_the_mark = report.findings.iter().all(mark_unread);
    if only_the_mark { "the mark cannot be read" } else { "the ledger is not as it was signed" }
}

/// What findings come to. A mark that is not at hand says nothing against the ledger.
fn wrong(report: &Report) -> &'static str {
    let not_newest = |finding: &Finding| {
        mark_unread(finding) || matches!(finding, Finding::OlderThanMark { .. } | Finding::ForkedFromMark(_))
    };
    if report.findings.iter().all(mark_unread) {
        "this ledger is as it was signed, but without its mark nobody can tell whether it is the newest. A folder that was moved or restored has its mark elsewhere: give it with --mark FILE; --no-mark audits without one"
    } else if report.findings.iter().all(not_newest) {
        "what is here is as it was signed, but it is not what was published last"
    } else {
        "this ledger is not as it was signed"
    }
}

fn tell_replay(replayed: &Replay) -> Result<(), CliError> {
    let named = |name: &str, all: &[Replayed], count: u64| {
        for one in all {
            // It quotes what an entry says: it must not look like another line.
            line(format_args!("{name:<21} entry {}: {}", one.index, one.what.replace('\n', "\\n")))?;
        }
        match count.saturating_sub(all.len() as u64) {
            0 => Ok(()),
            more => line(format_args!("{name:<21} and {more} more")),
        }
    };
    named("decision_differs", &replayed.findings, replayed.different)?;
    named("not_replayable", &replayed.not_replayable, replayed.erased + replayed.unknown_semantics)?;
    line(format_args!(
        "replay: {} derived again, {} the same; {} were refused before policy was asked, {} rest on erased values, {} on unknown semantics",
        counted(replayed.same + replayed.different, "decision", "decisions"),
        replayed.same,
        replayed.before_policy,
        replayed.erased,
        replayed.unknown_semantics,
    ))
}

fn tell_json(report: &Report, replayed: Option<&Replay>) -> Result<(), CliError> {
    let replay = replayed.map(|replayed| {
        let named = |all: &[Replayed]| {
            all.iter().map(|one| json!({ "index": one.index, "what": one.what })).collect::<Vec<_>>()
        };
        json!({
            "same": replayed.same,
            "different": replayed.different,
            "before_policy": replayed.before_policy,
            "erased": replayed.erased,
            "unknown_semantics": replayed.unknown_semantics,
            "not_replayable": named(&replayed.not_replayable),
            "findings": named(&replayed.findings),
        })
    });
    let findings: Vec<_> =
        report.findings.iter().map(|finding| json!({ "name": finding.name(), "what": finding.to_string() })).collect();
    json_line(&json!({
        "origin": report.origin.as_str(),
        "entries": report.entries,
        "checkpoints": report.checkpoints,
        "values": report.values,
        "findings": findings,
        "replay": replay,
    }))
}

fn tell(report: &Report, no_mark: bool) -> Result<(), CliError> {
    for finding in &report.findings {
        // A finding quotes what an attacker may have written: it must not look like another line.
        line(format_args!("{:<21} {}", finding.name(), finding.to_string().replace('\n', "\\n")))?;
    }
    if report.findings.is_empty() {
        let mark = if no_mark { "the mark was not looked at" } else { "the mark agrees" };
        line(format_args!(
            "{}: {}, {} with all signatures, {}: all as signed; {mark}",
            report.origin,
            counted(report.entries, "entry", "entries"),
            counted(report.checkpoints, "checkpoint", "checkpoints"),
            counted(report.values, "vault value", "vault values")
        ))?;
    }
    Ok(())
}
