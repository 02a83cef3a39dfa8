//! `writ revoke` and `writ halt`: orders, signed by a person's key.

use crate::args;
use crate::domain::{Domain, read, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::explained::Detail;
use crate::keys::random;
use crate::known::is_there;
use crate::render::{from_hex, target as shown};
use crate::time::now_ms;
use crate::who::{commander, connect, principal};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use std::path::Path;
use writ_client::OrderAnswer;
use writ_protocol::action::{Action, Command, Order};
use writ_protocol::entry::{AssertedPrincipal, Target};
use writ_protocol::statement::{Ask, Request};
use writ_protocol::{Fingerprint, Label, Name, RequestKey, WRIT_BYTES_MAX, WritVerifier};
use writ_tlog::Hash;

#[derive(ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct RevokeTarget {
    /// A writ: its file, or the hash of its entry
    #[arg(long, value_name = "FILE|HASH")]
    pub(crate) writ: Option<String>,
    /// Everything of a principal, like Agent::builder
    #[arg(long, value_name = "PRINCIPAL")]
    pub(crate) principal: Option<String>,
    /// Everything that rests on a key: its fingerprint
    #[arg(long = "fingerprint", id = "fingerprint", value_name = "key_HEX")]
    pub(crate) key: Option<String>,
    /// Everything granted under a policy set: its digest, as `writ status` shows it
    #[arg(long, value_name = "HASH")]
    pub(crate) policy: Option<String>,
    /// An execution's writ and everything it caused: the hash of the writ's entry
    #[arg(long, value_name = "HASH")]
    pub(crate) lineage: Option<String>,
    /// A gateway, like process/01; `writ --json status` names them
    #[arg(long, value_name = "NAME")]
    pub(crate) gateway: Option<String>,
    /// A mandate and every one that was handed on from it: the index of its entry
    #[arg(long, value_name = "INDEX")]
    pub(crate) mandate: Option<u64>,
}

/// Who orders, and through which node.
pub(crate) struct Office<'a> {
    pub(crate) reach: &'a args::Reach,
    pub(crate) who: &'a args::As,
    pub(crate) domain: Domain,
}

pub(crate) fn revoke(args: &args::Revoke, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let target = match args.target.mandate {
        Some(index) => Target::Mandate(crate::mandates::named(&args.reach, &domain, index)?.entry),
        None => target(&args.target, &domain)?,
    };
    let office = Office { reach: &args.reach, who: &args.who, domain };
    if !args.unknown_ok {
        office.must_be_known(&target)?;
    }
    office.order(Command::Revoke(target), &args.reason, as_json)
}

pub(crate) fn halt(args: &args::Halt, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    Office { reach: &args.reach, who: &args.who, domain }.order(Command::Halt, &args.reason, as_json)
}

impl Office<'_> {
    /// A misspelt name would be revoked in silence, and what was meant would go on.
    fn must_be_known(&self, target: &Target) -> Result<(), CliError> {
        let unknown = |what: String| {
            Err(CliError::Usage(format!("{what}; look at the spelling, or say --unknown-ok to revoke it in advance")))
        };
        match target {
            Target::Principal(principal) => self.must_exist(principal, "revoke it in advance"),
            Target::Gateway(gateway) => {
                let status = self.status()?;
                let known = status.get("gateways").and_then(Value::as_array).is_some_and(|all| {
                    all.iter().any(|one| one.get("name").and_then(Value::as_str) == Some(gateway.as_str()))
                });
                if known { Ok(()) } else { unknown(format!("no gateway {gateway} is enrolled")) }
            }
            Target::Writ(_) | Target::Key(_) | Target::Policy(_) | Target::Lineage { .. } | Target::Mandate(_) => {
                Ok(())
            }
        }
    }

    /// Without the policy folder and the store, nobody here can tell.
    pub(crate) fn must_exist(&self, principal: &AssertedPrincipal, purpose: &str) -> Result<(), CliError> {
        match is_there(&self.domain, principal) {
            Some(false) => Err(CliError::Usage(format!(
                "there is no principal {}::{} in {}, in the set in force or beside it; look at the spelling, or say --unknown-ok to {purpose}",
                principal.kind,
                principal.id,
                self.domain.policy().display()
            ))),
            Some(true) | None => Ok(()),
        }
    }

    fn status(&self) -> Result<Value, CliError> {
        connect(self.reach, &self.domain)?.status().map_err(|error| CliError::Refused(error.refusal()))
    }

    /// The order, signed by whoever gives it.
    pub(crate) fn signed(&self, command: Command, reason: &str) -> Result<Vec<u8>, CliError> {
        let reason = Label::new(reason).map_err(|error| CliError::Usage(format!("--reason: {error}")))?;
        let signer = commander(self.who, &self.domain)?;
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
        Ok(request.sign(&self.domain.origin()?, &signer.key))
    }

    /// Gives it, and tells what came of it.
    pub(crate) fn order(&self, command: Command, reason: &str, as_json: bool) -> Result<(), CliError> {
        let done = command.as_str();
        let answers =
            matches!(command, Command::Answer(..) | Command::Mandate(_) | Command::Erase(_) | Command::Enrol(_));
        let target = match &command {
            Command::Revoke(target) => Some(shown(target)),
            Command::Answer(_, held) => Some(format!("hold {}", held.hold.index)),
            Command::Mandate(given) => Some(format!("for {}::{}", given.to.kind, given.to.id)),
            Command::Erase(erased) => Some(crate::erase::told(erased)),
            Command::Enrol(enrolled) => Some(crate::gateway::told(enrolled)),
            Command::Halt | Command::Publish(_) | Command::Entities(_) => None,
        };
        let revoked = if let Command::Revoke(target) = &command { Some(target.clone()) } else { None };
        let signed = self.signed(command, reason)?;
        let client = connect(self.reach, &self.domain)?;
        let recorded = match client.order(&signed).map_err(|error| CliError::Refused(error.refusal()))? {
            OrderAnswer::Recorded(recorded) => recorded,
            OrderAnswer::Deny(denial) => return Err(CliError::Denied(Box::new(denial), Detail::Obstacles)),
            OrderAnswer::Refused(refused) => {
                return Err(CliError::Refused(refused.refusal()));
            }
        };
        // An order that is not proved was not carried out.
        let trust = read_trust_root(&self.domain.trust_root())?;
        let logged = WritVerifier::new(trust).verify_logged(recorded.proof.as_bytes()).map_err(CliError::Refused)?;
        let index = logged.index.get();
        if answers {
            return told_answer(done, target.as_deref(), index, as_json);
        }
        // The order stands whether or not the node says what still runs.
        let running = self.status().ok().and_then(|status| status.get("running")?.as_u64());
        let goes_on = GoesOn {
            concerned: revoked.as_ref().map_or(running, |target| crate::ps::concerned(&self.domain, target)),
            running,
        };
        if as_json {
            let told = json!({
                "outcome": "recorded", "command": done, "target": target, "index": index, "running": running,
                "concerned": goes_on.concerned,
            });
            return json_line(&told);
        }
        match target {
            Some(target) => line(format_args!("{done}: {target}: recorded and in force, entry {index}"))?,
            None => line(format_args!("{done}: recorded and in force, entry {index}"))?,
        }
        goes_on.tell(revoked.is_some())?;
        if done == Command::Halt.as_str() {
            line("  end         only the root members end it; see `writ help root resume`")?;
        }
        Ok(())
    }
}

fn told_answer(done: &str, target: Option<&str>, index: u64, as_json: bool) -> Result<(), CliError> {
    if as_json {
        return json_line(&json!({ "outcome": "recorded", "command": done, "target": target, "index": index }));
    }
    line(format_args!("{done}: {}: recorded, entry {index}", target.unwrap_or_default()))
}

/// What an order does not end.
struct GoesOn {
    /// How many have begun and not ended in the whole domain.
    running: Option<u64>,
    /// How many of them the order is about.
    concerned: Option<u64>,
}

impl GoesOn {
    fn tell(&self, is_of_some: bool) -> Result<(), CliError> {
        let of = if is_of_some { " that rests on it" } else { "" };
        let told = match (self.concerned, self.running) {
            (Some(0), _) => format!("no execution{of}"),
            (Some(1), _) => format!("1 execution{of} has begun and not ended on the record, and goes on until it ends"),
            (Some(count), _) => {
                let of = of.replace("rests", "rest");
                format!("{count} executions{of} have begun and not ended on the record, and go on until they end")
            }
            (None, Some(0)) => "no execution".to_owned(),
            (None, Some(running)) => {
                format!("{}; `writ ps` beside the node says which of them rest on it", crate::ps::begun(running))
            }
            (None, None) => "not known; see `writ ps`, beside the node".to_owned(),
        };
        line(format_args!("  running     {told}"))?;
        match self.concerned {
            Some(1..) => line("  next        `writ ps` lists what goes on"),
            Some(0) | None => Ok(()),
        }
    }
}

fn target(args: &RevokeTarget, domain: &Domain) -> Result<Target, CliError> {
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
    let trust = read_trust_root(&domain.trust_root())?;
    let writ = WritVerifier::new(trust).verify(&bytes).map_err(CliError::Refused)?;
    Ok(*writ.entry())
}
