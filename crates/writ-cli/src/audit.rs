//! `writ audit`: the whole ledger, against the trust root and the mark.

use crate::args;
use crate::domain::{Domain, read_trust_root};
use crate::error::{CliError, json_line, line};
use serde_json::json;
use std::io::{IsTerminal, Write};
use writ_ledger::audit::{Report, audit};

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
    if as_json {
        tell_json(&report)?
    } else {
        tell(&report, args.no_mark)?
    }
    if report.findings.is_empty() { Ok(()) } else { Err(CliError::Findings(report.findings.len())) }
}

fn tell_json(report: &Report) -> Result<(), CliError> {
    let findings: Vec<_> =
        report.findings.iter().map(|finding| json!({ "name": finding.name(), "what": finding.to_string() })).collect();
    json_line(&json!({
        "origin": report.origin.as_str(),
        "entries": report.entries,
        "checkpoints": report.checkpoints,
        "values": report.values,
        "findings": findings,
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

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
