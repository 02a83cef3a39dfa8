//! `writ revoke` and `writ halt`: orders, signed by a person's key.

use crate::args;
use crate::authorize::denied;
use crate::domain::{Domain, read};
use crate::error::{CliError, json_line, line};
use crate::keys::random;
use crate::time::now_ms;
use crate::who::{commander, connect, principal};
use serde_json::json;
use std::path::Path;
use writ_client::OrderAnswer;
use writ_protocol::action::{Action, Command, Order};
use writ_protocol::entry::Target;
use writ_protocol::statement::{Ask, Request};
use writ_protocol::{Fingerprint, Label, Name, RequestKey, WRIT_BYTES_MAX, WritVerifier};
use writ_tlog::Hash;

pub(crate) fn revoke(args: &args::Revoke, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let target = target(&args.target, &domain)?;
    order(&args.reach, &args.who, &domain, Command::Revoke(target), &args.reason, as_json)
}

pub(crate) fn halt(args: &args::Halt, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    order(&args.reach, &args.who, &domain, Command::Halt, &args.reason, as_json)
}

fn order(
    reach: &args::Reach,
    who: &args::As,
    domain: &Domain,
    command: Command,
    reason: &str,
    as_json: bool,
) -> Result<(), CliError> {
    let reason = Label::new(reason).map_err(|error| CliError::Usage(format!("--reason: {error}")))?;
    let signer = commander(who, domain)?;
    let done = command.as_str();
    let action = Action::Order(Order { command, reason });
    let request = Request {
        key: RequestKey::new(now_ms(), random()?),
        salt: random()?,
        time_ms: now_ms(),
        principal: Some(signer.name.clone()),
        action_salt: random()?,
        action: action.encode().map_err(CliError::Refused)?,
        ask: Ask::Order,
    };
    let signed = request.sign(&domain.origin()?, &signer.key);
    let client = connect(reach, domain)?;
    let recorded = match client.order(&signed).map_err(|error| CliError::Refused(error.refusal()))? {
        OrderAnswer::Recorded(recorded) => recorded,
        OrderAnswer::Deny(denial) => return Err(denied(&denial)),
        OrderAnswer::Refused(refused) => return Err(CliError::Refused(refused.refusal())),
    };
    // An order that is not proved was not carried out.
    let trust = crate::domain::read_trust_root(&domain.trust_root())?;
    let logged = WritVerifier::new(trust).verify_logged(recorded.proof.as_bytes()).map_err(CliError::Refused)?;
    if as_json {
        return json_line(&json!({ "outcome": "recorded", "command": done, "index": logged.index.get() }));
    }
    line(format_args!("{done}: recorded and in force, entry {}", logged.index))
}

fn target(args: &args::RevokeTarget, domain: &Domain) -> Result<Target, CliError> {
    let usage = |what: &str| CliError::Usage(what.to_owned());
    if let Some(writ) = &args.writ {
        return Ok(Target::Writ(writ_hash(writ, domain)?));
    }
    if let Some(text) = &args.principal {
        return Ok(Target::Principal(principal(text)?));
    }
    if let Some(key) = &args.key {
        let hash = key.strip_prefix("key_").and_then(from_hex);
        return Ok(Target::Key(Fingerprint(
            hash.ok_or_else(|| usage("--fingerprint: expected key_ and 64 hex digits"))?,
        )));
    }
    if let Some(set) = &args.policy {
        return Ok(Target::Policy(from_hex(set).ok_or_else(|| usage("--policy: expected 64 hex digits"))?));
    }
    if let Some(entry) = &args.lineage {
        let entry = from_hex(entry).ok_or_else(|| usage("--lineage: expected 64 hex digits"))?;
        return Ok(Target::Lineage { ledger: domain.origin()?, entry });
    }
    match &args.gateway {
        Some(gateway) => {
            Ok(Target::Gateway(Name::new(gateway.as_str()).map_err(|error| usage(&format!("--gateway: {error}")))?))
        }
        None => Err(usage("say what to revoke")),
    }
}

fn writ_hash(text: &str, domain: &Domain) -> Result<Hash, CliError> {
    if let Some(hash) = from_hex(text) {
        return Ok(hash);
    }
    let bytes = read(Path::new(text), WRIT_BYTES_MAX)?;
    let trust = crate::domain::read_trust_root(&domain.trust_root())?;
    let writ = WritVerifier::new(trust).verify(&bytes).map_err(CliError::Refused)?;
    Ok(*writ.entry())
}

fn from_hex(text: &str) -> Option<Hash> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect::<Option<Vec<u8>>>()?;
    Hash::from_slice(&bytes)
}
