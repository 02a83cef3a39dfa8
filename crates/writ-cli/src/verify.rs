//! `writ verify`: a bundle or a writ, with nothing but the trust root. It opens no store and no connection.

use crate::args;
use crate::domain::{read, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::render::{command, counted, hex, summary, told_action, value_json, would};
use crate::time::utc;
use serde_json::{Value as Json, json};
use writ_protocol::action::{Action, CommitmentKind, Opening};
use writ_protocol::bundle::{BUNDLE_BYTES_MAX, Story, StoryEntry};
use writ_protocol::cbor::{Decode, Value};
use writ_protocol::entry::{Audience, Grant, Principal};
use writ_protocol::{Body, Bundle, TrustRoot, Verified, Writ, WritVerifier};

const WRIT_BEGINS: &[u8] = b"c2sp.org/tlog-proof@";

pub(crate) fn run(args: &args::Verify, as_json: bool) -> Result<(), CliError> {
    let trust = read_trust_root(&args.trust)?;
    let bytes = read(&args.file, BUNDLE_BYTES_MAX)?;
    if bytes.starts_with(WRIT_BEGINS) {
        let writ = WritVerifier::new(trust).verify(&bytes).map_err(CliError::Refused)?;
        return if as_json { json_line(&writ_json(&writ)) } else { tell_writ(&writ) };
    }
    let story = Bundle::verify(&bytes, &trust).map_err(CliError::Refused)?;
    if as_json { json_line(&story_json(&story)) } else { tell_story(&story, &trust) }
}

fn writ_json(writ: &Verified<Writ>) -> Json {
    json!({
        "verified": "writ",
        "index": writ.index().get(),
        "size": writ.size().get(),
        "hash": hex(writ.entry().as_bytes()),
        "id": hex(writ.grant().id.as_bytes()),
    })
}

fn tell_writ(writ: &Verified<Writ>) -> Result<(), CliError> {
    line(format_args!("verified: a writ, entry {} in the tree of {}", writ.index(), writ.size()))?;
    tell_grant(writ.grant())?;
    line("  note        whether it may be used here and now is for the gateway to say")
}

/// The fields of `vectors/README.md`, what kind of thing was verified, and the hash that orders name it by.
fn story_json(story: &Story) -> Json {
    let executions: Vec<Json> = story
        .executions
        .iter()
        .map(|one| {
            json!({
                "execution": hex(one.id.as_bytes()),
                "state": one.state.as_str(),
                "result": one.result().map(|result| result.to_string()),
            })
        })
        .collect();
    json!({
        "verified": "bundle",
        "subject": story.subject.get(),
        "hash": story.entries.iter().find(|one| one.index == story.subject).map(|one| hex(one.hash.as_bytes())),
        "type": story.subject_type.as_str(),
        "size": story.size.get(),
        "executions": executions,
        "revoked_at": story.revoked_at.map(|at| at.get()),
        "halted_at": story.halted_at.map(|at| at.get()),
        "openings": story.openings.len(),
    })
}

fn tell_story(story: &Story, trust: &TrustRoot) -> Result<(), CliError> {
    let origin = story.entries.first().map_or_else(String::new, |one| one.entry.origin.to_string());
    line(format_args!(
        "verified: the story of entry {}, {}, in the ledger {origin} of {}",
        story.subject,
        with_article(story.subject_type.as_str()),
        counted(story.size.get(), "entry", "entries")
    ))?;
    line(format_args!("  domain      {}", trust.domain()))?;
    for one in &story.entries {
        tell_decision(one, story)?;
    }
    for opening in &story.openings {
        tell_opening(opening)?;
    }
    for execution in &story.executions {
        let ended = execution.result().map_or_else(String::new, |result| format!(", {result}"));
        line(format_args!("  execution   {} {}{ended}", execution.id, execution.state.as_str()))?;
    }
    let last = story.size.get().saturating_sub(1);
    let state = |at: Option<writ_tlog::LeafIndex>| at.map_or_else(|| "no".to_owned(), |at| format!("by entry {at}"));
    line(format_args!("  revoked     {} (as of entry {last})", state(story.revoked_at)))?;
    line(format_args!("  halted      {} (as of entry {last})", state(story.halted_at)))
}

/// `a grant`, `an approval`.
fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

fn tell_decision(one: &StoryEntry, story: &Story) -> Result<(), CliError> {
    if let Body::Grant(grant) = &one.entry.body {
        line(format_args!("  granted     entry {} at {}", one.index, utc(grant.time_ms)))?;
        return tell_grant(grant);
    }
    if let Body::Approval(answer) = &one.entry.body {
        let verb = answer.verdict.done();
        return line(format_args!(
            "  {verb:<11} by {}, entry {} at {}",
            who(&answer.by),
            one.index,
            utc(answer.time_ms)
        ));
    }
    if let Body::Mandate(mandate) = &one.entry.body {
        let to = format_args!("for {}::{} by {}", mandate.to.kind, mandate.to.id, who(&mandate.by)).to_string();
        return line(format_args!("  mandate     entry {} {to} at {}", one.index, utc(mandate.time_ms)));
    }
    if let (Body::Hold(hold), false) = (&one.entry.body, one.index == story.subject) {
        return line(format_args!("  held        entry {} at {}", one.index, utc(hold.time_ms)));
    }
    if one.index != story.subject {
        return Ok(());
    }
    if let Body::Denial(denial) = &one.entry.body {
        line(format_args!("  denied      {} at {}", denial.code, utc(denial.time_ms)))?;
        return line(format_args!("  asked by    {}", who(&denial.principal)));
    }
    if let Body::Shadow(shadow) = &one.entry.body {
        line(format_args!("  in shadow   {} at {}", would(shadow.would), utc(shadow.time_ms)))?;
        return line(format_args!("  asked by    {}", who(&shadow.principal)));
    }
    if let Body::Advised(advised) = &one.entry.body {
        line(format_args!("  advised     {} at {}", advised.decision.as_str(), utc(advised.time_ms)))?;
        line(format_args!("  asked by    {}, and is no writ", who(&advised.principal)))?;
        let Some(subject) = &advised.subject else { return Ok(()) };
        return line(format_args!("  about       {}::{}", subject.kind, subject.id));
    }
    if let Body::Hold(hold) = &one.entry.body {
        line(format_args!("  held        at {}, lapses {}", utc(hold.time_ms), utc(hold.until_ms)))?;
        return line(format_args!("  asked by    {}", who(&hold.principal)));
    }
    line(format_args!("  entry       {} {}", one.index, summary(&one.entry.body, &one.entry.origin)))
}

fn tell_grant(grant: &Grant) -> Result<(), CliError> {
    let audience = match &grant.audience {
        Audience::Gateway { gateway, epoch } => format!("gateway {gateway}, epoch {}", epoch.get()),
        Audience::Group(group) => format!("any gateway of {group}"),
    };
    line(format_args!("  writ        {}", grant.id))?;
    line(format_args!("  asked by    {}", who(&grant.principal)))?;
    line(format_args!("  action      {} {}", grant.action.kind.as_str(), hex(grant.action.digest.as_bytes())))?;
    line(format_args!("  audience    {audience}"))?;
    line(format_args!("  window      {} to {}", utc(grant.window.from_ms()), utc(grant.window.until_ms())))?;
    line(format_args!("  uses        {}", grant.uses.get()))?;
    let reasons: Vec<&str> = grant.policy.reasons.as_slice().iter().map(writ_protocol::Name::as_str).collect();
    line(format_args!("  policy      epoch {}: {}", grant.policy.epoch, reasons.join(", ")))
}

fn who(principal: &Principal) -> String {
    format!("{}::{} (by {})", principal.kind, principal.id, principal.auth)
}

fn tell_opening(opening: &Opening) -> Result<(), CliError> {
    let shown = match opening.kind {
        CommitmentKind::Action => match Action::decode(&opening.value) {
            Ok(Action::Exec(exec)) => {
                format!("{} in {}", command(&exec.argv), command(std::slice::from_ref(&exec.cwd)))
            }
            Ok(action @ (Action::Order(_) | Action::Advice(_))) => told_action(&action),
            Err(refusal) => refusal.to_string(),
        },
        CommitmentKind::Request => format!("{} bytes, as it was asked", opening.value.len()),
        CommitmentKind::Facts
        | CommitmentKind::Policy
        | CommitmentKind::Entities
        | CommitmentKind::Text
        | CommitmentKind::Output => match Value::from_cbor(&opening.value) {
            Ok(value) => value_json("", &value).to_string(),
            Err(_) => format!("{} bytes", opening.value.len()),
        },
    };
    line(format_args!("  {:<11} {shown}", opening.kind.as_str()))
}
