//! `writ audit`: the whole ledger, against the trust root and the mark.

use crate::args;
use crate::domain::{Domain, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::render::counted;
use serde_json::json;
use std::io::{IsTerminal, Write};
use writ_ledger::audit::{Report, audit};
use writ_server::{Replay, replay};

pub(crate) fn run(args: &args::Audit, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.place)?;
    let trust = read_trust_root(&args.trust.clone().unwrap_or_else(|| domain.trust_root()))?;
    let mark = (!args.no_mark).then(|| domain.mark());
    let shows_progress = std::io::stderr().is_terminal() && !as_json;
    let mut progress = |read: u64, total: u64| {
        if shows_progress {
            // Progress that cannot be shown is not worth failing for.
            write!(std::io::stderr(), "\raudited {read} of {total} entries").ok();
        }
    };
    let report = audit(&domain.store(), mark, &trust, &mut progress)?;
    if shows_progress {
        write!(std::io::stderr(), "\r\x1b[K").ok();
    }
    // Decisions are derived from a ledger that is as it was signed, or not at all.
    let replayed = match args.replay && report.findings.is_empty() {
        true => Some(derive(&domain, shows_progress)?),
        false => None,
    };
    if as_json {
        tell_json(&report, replayed.as_ref())?
    } else {
        tell(&report, args.no_mark)?;
        replayed.as_ref().map_or(Ok(()), tell_replay)?;
    }
    let different = replayed.map_or(0, |replayed| usize::try_from(replayed.different).unwrap_or(usize::MAX));
    match report.findings.len().saturating_add(different) {
        0 => Ok(()),
        found => Err(CliError::Found(format!(
            "{}: this ledger is not as it was signed",
            counted(found as u64, "finding", "findings")
        ))),
    }
}

fn derive(domain: &Domain, shows_progress: bool) -> Result<Replay, CliError> {
    let told = |read: u64, total: u64| {
        if shows_progress && read.is_multiple_of(64) {
            write!(std::io::stderr(), "\rreplayed {read} of {total} entries").ok();
        }
    };
    let replayed = replay(&domain.store(), told).map_err(|error| CliError::Failed(error.to_string()))?;
    if shows_progress {
        write!(std::io::stderr(), "\r\x1b[K").ok();
    }
    Ok(replayed)
}

fn tell_replay(replayed: &Replay) -> Result<(), CliError> {
    for finding in &replayed.findings {
        line(format_args!(
            "{:<21} entry {}: {}",
            "decision_differs",
            finding.index,
            finding.what.replace('\n', "\\n")
        ))?;
    }
    line(format_args!(
        "replay: {} derived again, {} the same; {} were refused before policy was asked, {} rest on erased values",
        counted(replayed.same + replayed.different, "decision", "decisions"),
        replayed.same,
        replayed.before_policy,
        replayed.erased,
    ))
}

fn tell_json(report: &Report, replayed: Option<&Replay>) -> Result<(), CliError> {
    let replay = replayed.map(|replayed| {
        let findings = replayed.findings.iter().map(|one| json!({ "index": one.index, "what": one.what }));
        json!({
            "same": replayed.same,
            "different": replayed.different,
            "before_policy": replayed.before_policy,
            "erased": replayed.erased,
            "findings": findings.collect::<Vec<_>>(),
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
