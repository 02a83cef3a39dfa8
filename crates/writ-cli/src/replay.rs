//! `writ replay`: one decision, derived again from the ledger and explained clause by clause.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::explained::{Detail, lines};
use crate::render::{command, hex};
use crate::time::utc;
use serde_json::{Value, json};
use writ_ledger::{LedgerError, Reader};
use writ_protocol::action::{Action, Command, Given};
use writ_protocol::{DenialId, ExecutionId, HoldId, RequestKey, WritId};
use writ_server::{Outcome, Recorded, RetellError, Retold, explanation_json, retell};
use writ_tlog::LeafIndex;

pub(crate) fn run(args: &args::Replay, as_json: bool) -> Result<(), CliError> {
    let reader = Reader::open(&Domain::of(&args.place)?.store())?;
    let retold = retell(&reader, index(&reader, &args.decision)?).map_err(|error| match error {
        RetellError::Ledger(error) => CliError::Ledger(error),
        error @ RetellError::NoDecision { .. } => CliError::Usage(error.to_string()),
    })?;
    if as_json {
        json_line(&told_json(&retold))?;
    } else {
        told(&retold)?;
    }
    let cannot = |what: &str| Err(CliError::Found(format!("entry {} cannot be derived again: {what}", retold.index)));
    match &retold.outcome {
        Outcome::Same { .. } | Outcome::BeforePolicy => Ok(()),
        Outcome::Erased(what) => cannot(what),
        Outcome::UnknownSemantics(what) => cannot(what),
        Outcome::Differs(what) => {
            Err(CliError::Found(format!("entry {} does not come out the same: {what}", retold.index)))
        }
    }
}

/// An index, or the index of what has this id.
pub(crate) fn index(reader: &Reader, decision: &str) -> Result<LeafIndex, CliError> {
    if let Ok(index) = decision.parse() {
        return Ok(LeafIndex::new(index));
    }
    let id = WritId::parse(decision)
        .map(|id| *id.as_bytes())
        .or_else(|| DenialId::parse(decision).map(|id| *id.as_bytes()))
        .or_else(|| HoldId::parse(decision).map(|id| *id.as_bytes()))
        .or_else(|| RequestKey::parse(decision).map(|id| *id.as_bytes()))
        .or_else(|| ExecutionId::parse(decision).map(|id| *id.as_bytes()))
        .ok_or_else(|| {
            let kinds = "writ_…, deny_…, hold_…, req_… or exec_…";
            CliError::Usage(format!("expected the index of an entry, or an id: {kinds}; found `{decision}`"))
        })?;
    let missing = || CliError::Ledger(LedgerError::Inconsistent(format!("nothing is recorded as {decision}")));
    reader.named(&id)?.ok_or_else(missing)
}

fn told(retold: &Retold) -> Result<(), CliError> {
    let outcome = match (retold.recorded, retold.shadow) {
        (Recorded::Permit, false) if retold.advised => "advised, permit".to_owned(),
        (Recorded::Deny(code), false) if retold.advised => format!("advised, {code}"),
        (Recorded::Hold, _) if retold.advised => "advised, hold".to_owned(),
        (Recorded::Searched, _) => "searched".to_owned(),
        (Recorded::Permit, false) => "permitted".to_owned(),
        (Recorded::Permit, true) => "in shadow, would permit".to_owned(),
        (Recorded::Deny(code), false) => format!("denied, {code}"),
        (Recorded::Deny(code), true) => format!("in shadow, would refuse, {code}"),
        (Recorded::Hold, _) => "held".to_owned(),
    };
    line(format_args!("entry {}: {outcome}, {}", retold.index, utc(retold.time_ms)))?;
    line(format_args!("  asked   {}", asked(retold)))?;
    if let Some(policy) = &retold.policy {
        let set = hex(policy.set.as_bytes());
        line(format_args!("  under   policy set {set}, epoch {}, {}", policy.epoch, policy.semantics))?;
    }
    let replay = match &retold.outcome {
        Outcome::Same { bytes } => format!("the same, byte for byte: the entry of {bytes} bytes"),
        Outcome::Erased(what) => format!("cannot be derived again: {what}"),
        Outcome::UnknownSemantics(what) => format!("cannot be derived again: {what}"),
        Outcome::BeforePolicy => "refused before policy was asked, so there is nothing to derive".to_owned(),
        Outcome::Differs(what) => format!("does not come out the same: {what}"),
    };
    line(format_args!("  replay  {replay}"))?;
    let explanation = retold.explanation.as_ref().map(explanation_json);
    explanation.iter().flat_map(|told| lines(told, Detail::Everything)).try_for_each(line)
}

fn asked(retold: &Retold) -> String {
    let what = match &retold.action {
        Some(Action::Exec(exec)) => {
            let one = |text: &Vec<u8>| command(std::slice::from_ref(text));
            format!("{} ({}) in {}", one(&exec.path), command(&exec.argv), one(&exec.cwd))
        }
        Some(Action::Order(order)) => match &order.command {
            Command::Revoke(target) => format!("revoke {}: {}", crate::render::target(target), order.reason),
            Command::Halt => format!("halt: {}", order.reason),
            Command::Answer(verdict, held) => {
                format!("{} hold {}: {}", verdict.as_str(), held.hold.index, order.reason)
            }
            Command::Mandate(given) => {
                let Given { to, parent, .. } = given.as_ref();
                let above = parent.as_ref().map(|parent| format!(" under {}", parent.index)).unwrap_or_default();
                format!("{} {}::{}{above}: {}", order.command.as_str(), to.kind, to.id, order.reason)
            }
            Command::Entities(change) => format!("entities {}: {}", hex(change.as_bytes()), order.reason),
            Command::Erase(erased) => format!("erase {}: {}", crate::erase::told(erased), order.reason),
            Command::Enrol(enrolled) => format!("enrol {}: {}", crate::gateway::told(enrolled), order.reason),
            Command::Publish(bundle) => format!("publish {}: {}", hex(bundle.as_bytes()), order.reason),
        },
        Some(Action::Advice(question)) => crate::render::asked_about(question),
        None => "what was asked is erased".to_owned(),
    };
    let what = what.replace('\n', "\\n");
    format!("{}::{} by {}: {what}", retold.principal.kind, retold.principal.id, retold.principal.auth)
}

fn told_json(retold: &Retold) -> Value {
    let (decision, code) = match retold.recorded {
        Recorded::Permit => ("permit", None),
        Recorded::Deny(code) => ("deny", Some(code.as_str())),
        Recorded::Hold => ("hold", None),
        Recorded::Searched => ("searched", None),
    };
    let (replay, what) = match &retold.outcome {
        Outcome::Same { .. } => ("same", None),
        Outcome::Erased(what) => ("erased", Some((*what).to_owned())),
        Outcome::UnknownSemantics(what) => ("unknown_semantics", Some(what.clone())),
        Outcome::BeforePolicy => ("before_policy", None),
        Outcome::Differs(what) => ("differs", Some(what.clone())),
    };
    let policy = retold.policy.as_ref().map(|policy| {
        let reasons: Vec<&str> = policy.reasons.as_slice().iter().map(writ_protocol::Name::as_str).collect();
        json!({ "set": hex(policy.set.as_bytes()), "epoch": policy.epoch, "semantics": policy.semantics.as_str(), "reasons": reasons })
    });
    json!({
        "index": retold.index.get(),
        "shadow": retold.shadow,
        "advised": retold.advised,
        "decision": decision,
        "code": code,
        "time_ms": retold.time_ms,
        "principal": format!("{}::{}", retold.principal.kind, retold.principal.id),
        "auth": retold.principal.auth.as_str(),
        "request": retold.request.as_ref().map(|request| request.key.to_string()),
        "asked": asked(retold),
        "policy": policy,
        "replay": replay,
        "what": what,
        "explanation": retold.explanation.as_ref().map(explanation_json),
    })
}
