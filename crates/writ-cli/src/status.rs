//! `writ status`: how a domain stands.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::ps::begun;
use crate::render::counted;
use crate::who::connect;
use serde_json::Value;
use writ_protocol::{Code, Refusal};

pub(crate) fn run(args: &args::Status, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let client = connect(&args.reach, &domain)?;
    let status = client.status().map_err(|error| CliError::Refused(error.refusal()))?;
    // Nothing here is proved, but where several domains share an address the wrong one is soon asked.
    if let (Ok(own), Some(Value::String(found))) = (domain.origin(), status.get("origin"))
        && own.as_str() != found
    {
        let why = format!("the node speaks for the ledger {found}, and the trust root here is that of {own}");
        return Err(CliError::Refused(Refusal::new(Code::UnknownAuthority, why)));
    }
    if as_json {
        return json_line(&status);
    }
    let text = |pointer: &str| match status.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "no".to_owned(),
        Some(other) => other.to_string(),
    };
    let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    line(format_args!(
        "{}   {}, {} of them control",
        text("/origin"),
        counted(number("/size"), "entry", "entries"),
        text("/control")
    ))?;
    line(format_args!("  domain      {}", text("/domain")))?;
    line(format_args!(
        "  policy      epoch {}, {}, {}",
        text("/policy/epoch"),
        counted(number("/policy/policies"), "policy", "policies"),
        text("/policy/semantics")
    ))?;
    line(format_args!("  policy set  {}", text("/policy/set")))?;
    let authors = match status.pointer("/policy/authors") {
        Some(Value::Object(_)) => {
            let (threshold, keys) = (number("/policy/authors/threshold"), number("/policy/authors/keys"));
            format!("{threshold} of {} must sign; see `writ policy history`", counted(keys, "author", "authors"))
        }
        Some(_) | None => "nobody: the policy folder is followed".to_owned(),
    };
    line(format_args!("  signed by   {authors}"))?;
    if let Some(Value::String(why)) = status.get("policy_refused") {
        line(format_args!("  not taken   the policy folder as it is now: {why}"))?;
    }
    if let Some(Value::String(why)) = status.get("cannot_publish") {
        line(format_args!("  publishing  NOT possible: {why}"))?;
    }
    let gateways = status.get("gateways").and_then(Value::as_array).map_or(0, Vec::len);
    line(format_args!("  gateways    {gateways} enrolled"))?;
    let running = match status.get("running").and_then(Value::as_u64) {
        Some(0) => begun(0),
        Some(running) => format!("{}; see `writ ps`", begun(running)),
        None => "not known: the node could not read it".to_owned(),
    };
    line(format_args!("  running     {running}"))?;
    let revoked = match number("/revocations") {
        0 => "nothing".to_owned(),
        count => format!("{}; see `writ log revocations`", counted(count, "target", "targets")),
    };
    line(format_args!("  revoked     {revoked}"))?;
    let halted = match status.get("halted_at") {
        Some(Value::Number(at)) => format!("yes, by entry {at}: only the root members end it, with `writ root resume`"),
        Some(_) | None => "no".to_owned(),
    };
    line(format_args!("  halted      {halted}"))?;
    let recording =
        if status.get("recording") == Some(&Value::Bool(true)) { "yes" } else { "NO: look at the node's log" };
    line(format_args!("  recording   {recording}"))
}
