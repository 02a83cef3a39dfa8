//! `writ status` and `writ doctor`: how a domain stands, and what stands in its way.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::keys::read_seed;
use crate::policy::compiled;
use crate::render::{counted, quoted};
use crate::who::connect;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
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
    let running = counted(number("/running"), "execution", "executions");
    line(format_args!("  gateways    {gateways} enrolled, {running} running"))?;
    line(format_args!("  revoked     {}", text("/revocations")))?;
    let halted = match status.get("halted_at") {
        Some(Value::Number(at)) => format!("yes, by entry {at}: only the root members end it, with `writ root resume`"),
        Some(_) | None => "no".to_owned(),
    };
    line(format_args!("  halted      {halted}"))?;
    let recording =
        if status.get("recording") == Some(&Value::Bool(true)) { "yes" } else { "NO: look at the node's log" };
    line(format_args!("  recording   {recording}"))
}

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    ok: bool,
    found: String,
}

pub(crate) fn doctor(args: &args::Doctor, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let mut findings =
        vec![kernel(), landlock(), user_namespaces(), folder(domain.dir()), seeds(&domain), mark(&domain)];
    let status = connect(&args.reach, &domain)
        .and_then(|client| client.status().map_err(|error| CliError::Refused(error.refusal())));
    findings.push(policy(&domain, status.as_ref().ok()));
    findings.extend(status.as_ref().ok().and_then(solver));
    findings.push(match status {
        Ok(status) => Finding { what: "node", ok: true, found: entries(&status) },
        Err(error) => Finding { what: "node", ok: false, found: error.to_string() },
    });
    let bad = findings.iter().filter(|finding| !finding.ok).count();
    if as_json {
        let all = findings.iter().map(|one| json!({ "what": one.what, "ok": one.ok, "found": one.found }));
        json_line(&json!({ "ok": bad == 0, "findings": all.collect::<Vec<_>>() }))?;
    } else {
        for finding in &findings {
            let mark = if finding.ok { "ok " } else { "BAD" };
            line(format_args!("{mark}  {:<16} {}", finding.what, finding.found.replace('\n', "\n      ")))?;
        }
    }
    match bad {
        0 => Ok(()),
        1 => Err(CliError::Found("1 thing keeps this machine from governing executions".to_owned())),
        bad => Err(CliError::Found(format!("{bad} things keep this machine from governing executions"))),
    }
}

fn entries(status: &Value) -> String {
    let size = status.get("size").and_then(Value::as_u64).unwrap_or_default();
    format!("answers, {}", counted(size, "entry", "entries"))
}

/// The policy folder as it is: what the node says of it, or what it would say.
fn policy(domain: &Domain, status: Option<&Value>) -> Finding {
    let finding = |ok, found| Finding { what: "policy folder", ok, found };
    if let Some(Value::String(why)) = status.and_then(|status| status.get("policy_refused")) {
        return finding(
            false,
            format!("not taken, the policies before it stay in force: {why}; see `writ policy check`"),
        );
    }
    if let Some(status) = status.filter(|status| status.pointer("/policy/authors").is_some_and(Value::is_object)) {
        let epoch = status.pointer("/policy/epoch").and_then(Value::as_u64).unwrap_or_default();
        return finding(true, format!("not read: its authors sign the set, epoch {epoch} is in force"));
    }
    let beside = crate::policy::beside(domain).unwrap_or_default();
    match compiled(&domain.policy(), beside.as_ref()) {
        Ok(compiled) => match compiled.gated.set() {
            Some(set) => finding(true, counted(set.len() as u64, "policy", "policies")),
            None => {
                let found = counted(compiled.gated.findings().count() as u64, "finding", "findings");
                finding(false, format!("{found}; see `writ policy check`"))
            }
        },
        Err(error) => finding(false, error.to_string()),
    }
}

/// Whether a set could be published, where its authors sign it.
fn solver(status: &Value) -> Option<Finding> {
    status.pointer("/policy/authors").filter(|authors| authors.is_object())?;
    Some(match status.get("cannot_publish") {
        Some(Value::String(why)) => {
            Finding { what: "solver", ok: false, found: format!("nothing can be published: {why}") }
        }
        Some(_) | None => Finding { what: "solver", ok: true, found: "the node has one".to_owned() },
    })
}

fn kernel() -> Finding {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let mut parts = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let ok = (parts.next(), parts.next()) >= (Some(6), Some(12));
    let found = if ok { release } else { format!("{release}; Linux 6.12 or later is needed") };
    Finding { what: "kernel", ok, found }
}

fn landlock() -> Finding {
    match writ_gateway_process::landlock_abi() {
        Some(abi) if abi >= 6 => Finding { what: "landlock", ok: true, found: format!("ABI {abi}") },
        Some(abi) => Finding { what: "landlock", ok: false, found: format!("ABI {abi}; 6 or later is needed") },
        None => Finding { what: "landlock", ok: false, found: "switched off; boot with lsm=…,landlock".to_owned() },
    }
}

fn user_namespaces() -> Finding {
    let most = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default().trim().parse::<u64>();
    let ok = most.as_ref().is_ok_and(|most| *most > 0);
    let found = if ok { "allowed" } else { "switched off; only root can run governed executions here" };
    Finding { what: "user namespaces", ok, found: found.to_owned() }
}

fn folder(dir: &Path) -> Finding {
    match fs::metadata(dir) {
        Ok(found) if found.mode() & 0o022 != 0 => Finding {
            what: "domain folder",
            ok: false,
            found: format!("others may write in it: `chmod go-w {}`", quoted(dir)),
        },
        Ok(_) => Finding { what: "domain folder", ok: true, found: dir.display().to_string() },
        Err(error) => Finding { what: "domain folder", ok: false, found: format!("{}: {error}", dir.display()) },
    }
}

fn seeds(domain: &Domain) -> Finding {
    let keys = domain.dir().join("keys");
    let wrong =
        ["ledger-ed25519.seed", "ledger-ml-dsa-44.seed"].iter().find_map(|name| read_seed(&keys.join(name)).err());
    match wrong {
        None => Finding { what: "ledger keys", ok: true, found: "there, and nobody else can read them".to_owned() },
        Some(error) => Finding { what: "ledger keys", ok: false, found: error.to_string() },
    }
}

fn mark(domain: &Domain) -> Finding {
    let path = match domain.mark() {
        Ok(path) => path,
        Err(error) => return Finding { what: "mark", ok: false, found: error.to_string() },
    };
    let ok = path.is_file();
    let found = if ok {
        path.display().to_string()
    } else if !domain.store().exists() {
        format!("{} is missing, and so is the ledger: is this the folder of the node?", path.display())
    } else {
        format!("{} is missing; see `writ log accept-mark`", path.display())
    };
    Finding { what: "mark", ok, found }
}
