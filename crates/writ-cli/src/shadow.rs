//! `writ run --shadow` and `writ authorize --shadow`: what policy would answer is asked and recorded, and nothing is enforced.

use crate::args;
use crate::domain::{Domain, origin_of, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::explained::Detail;
use crate::refused::{explained_shadow, next_step};
use crate::render::policy_json;
use crate::run::{FAILED, NOT_FOUND, REFUSED, say, say_json, shown};
use crate::who::{endpoint, signer};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::time::Duration;
use writ_client::{Shadowed, Timeouts};
use writ_gateway_process::{Shadow, Signer, replace};
use writ_protocol::Code;
use writ_protocol::entry::Would;

/// What runs in shadow runs as before: a node that cannot be reached or does not answer holds nobody up for longer than both together.
const REACHED_WITHIN: Duration = Duration::from_secs(2);
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// Asks, says what would have been refused, and becomes the program whatever came of it.
pub(crate) fn run(args: &args::Run, as_json: bool) -> Result<u8, CliError> {
    let asked_for = Duration::from_secs(args.reach.timeout);
    let connect = asked_for.min(REACHED_WITHIN);
    let timeouts = Timeouts { connect, request: asked_for.min(ANSWERED_WITHIN), ..Timeouts::STANDARD };
    match ask(&args.reach, &args.who, &args.argv, (args.mandate, Some(timeouts))) {
        Ok(told) if told.would == Would::Permit => {}
        Ok(told) if as_json => say_json(&told_json(&told)),
        Ok(told) => say(&format!("writ: would refuse {}: {}; entry {}", shown(&args.argv), reason(&told), told.index)),
        Err(error) if as_json => say_json(&unrecorded_json(&error)),
        Err(error) => say(&format!("writ: not recorded, and runs anyhow: {}: {error}", shown(&args.argv))),
    }
    let error = replace(&args.argv);
    if error.kind() == ErrorKind::NotFound {
        say(&format!("writ: there is no such program: {}", shown(args.argv.get(..1).unwrap_or_default())));
        return Ok(NOT_FOUND);
    }
    say(&format!("writ: cannot be executed: {}: {error}", shown(&args.argv)));
    Ok(if error.kind() == ErrorKind::PermissionDenied { REFUSED } else { FAILED })
}

/// Asks, and tells what would be answered.
pub(crate) fn authorize(args: &args::Authorize, as_json: bool) -> Result<(), CliError> {
    let told = ask(&args.reach, &args.who, &args.argv, (args.mandate, None))?;
    if as_json {
        json_line(&told_json(&told))?;
    } else if told.would == Would::Permit {
        let by: Vec<&str> = told.policies.iter().map(|policy| policy.id.as_str()).collect();
        line(format_args!("would permit: entry {}", told.index))?;
        line(format_args!("  permitted   by {}", by.join(", ")))?;
    } else {
        line(format_args!("would refuse: {}", reason(&told)))?;
        let detail = if args.explain { Detail::Everything } else { Detail::Obstacles };
        explained_shadow(&told, detail).iter().try_for_each(line)?;
    }
    match told.would.refusal() {
        None => Ok(()),
        Some(code) => Err(CliError::Found(format!("it would be refused: {code}"))),
    }
}

fn ask(
    reach: &args::Reach,
    who: &args::As,
    argv: &[OsString],
    (mandate, timeouts): (Option<u64>, Option<Timeouts>),
) -> Result<Shadowed, CliError> {
    let domain = Domain::of(&reach.place)?;
    let trust = read_trust_root(&domain.trust_root())?;
    let endpoint = endpoint(reach, &domain)?;
    let endpoint = match timeouts {
        Some(timeouts) => endpoint.within(timeouts),
        None => endpoint,
    };
    let asked = Shadow {
        argv: argv.to_vec(),
        mandate: mandate.map(|index| crate::mandates::named(reach, &domain, index)).transpose()?,
        principal: signer(who, &domain)?.map(|signer| Signer { name: signer.name, key: signer.key }),
        endpoint,
        origin: origin_of(&trust)?,
        trust,
        slots: domain.slots(),
    };
    writ_gateway_process::shadow(&asked).map_err(CliError::Refused)
}

fn reason(told: &Shadowed) -> String {
    format!("{}: {}", told.would.as_str(), told.why.as_deref().unwrap_or("the node says no more"))
}

fn told_json(told: &Shadowed) -> Value {
    json!({
        "outcome": "shadow",
        "would": told.would.as_str(),
        "why": told.why,
        "index": told.index,
        "policies": told.policies.iter().map(policy_json).collect::<Vec<_>>(),
        "explanation": told.explanation,
        "next": told.would.refusal().map(|code: Code| told.next.as_deref().unwrap_or_else(|| next_step(code))),
    })
}

fn unrecorded_json(error: &CliError) -> Value {
    let code = if let CliError::Refused(refusal) = error { Some(refusal.code().as_str()) } else { None };
    json!({ "outcome": "unrecorded", "code": code, "why": error.to_string(), "index": null })
}
