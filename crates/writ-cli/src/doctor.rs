//! `writ doctor`: what keeps a machine from governing executions.

mod gateway;

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
use writ_ledger::Reader;
use writ_server::{AuthorityError, read_own_policy_folder};
use writ_tlog::LeafIndex;

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    ok: bool,
    found: String,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, ok: true, found: found.into() }
    }

    fn bad(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, ok: false, found: found.into() }
    }
}

/// The folder of a gateway's machine has the trust root, slots, and nothing of a node.
fn is_of_a_gateway(domain: &Domain) -> bool {
    !domain.store().exists() && !domain.dir().join("keys/ledger-ed25519.seed").exists() && !domain.policy().exists()
}

pub(crate) fn run(args: &args::Doctor, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let status = connect(&args.reach, &domain)
        .and_then(|client| client.status().map_err(|error| CliError::Refused(error.refusal())));
    let known = status.as_ref().ok();
    let mut findings = vec![kernel(), landlock(), user_namespaces(), folder(domain.dir())];
    if is_of_a_gateway(&domain) {
        findings.extend(gateway::slots(&domain, known));
    } else {
        findings.extend([seeds(&domain), mark(&domain), policy(&domain, known)]);
        findings.extend(known.and_then(solver));
    }
    findings.extend(halt(&domain, known));
    findings.push(match &status {
        Ok(status) => Finding::ok("node", entries(status)),
        Err(error) => Finding::bad("node", error.to_string()),
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
    // A store that cannot be read is told of by the mark.
    if status.is_none() && crate::known::authors(domain).is_some() {
        return finding(true, "not read: its authors sign the set".to_owned());
    }
    // Whoever may write there decides. What else is wrong with it is said clause by clause below.
    if let Err(error @ AuthorityError::File { .. }) = read_own_policy_folder(&domain.policy()) {
        return finding(false, error.to_string());
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

/// Whether the store is the newest, as a node asks before it starts.
fn mark(domain: &Domain) -> Finding {
    let what = "mark";
    let path = match domain.mark() {
        Ok(path) => path,
        Err(error) => return Finding::bad(what, error.to_string()),
    };
    if !path.is_file() {
        let path = path.display();
        return Finding::bad(
            what,
            if domain.store().exists() {
                format!("{path} is missing; see `writ log accept-mark`")
            } else {
                format!("{path} is missing, and so is the ledger: is this the folder of the node?")
            },
        );
    }
    match Reader::open(&domain.store()).and_then(|reader| reader.agrees_with(&path)) {
        Ok(()) => Finding::ok(what, format!("{}, and the store is as new", path.display())),
        Err(error) => Finding::bad(what, format!("no node starts: {error}")),
    }
}

/// What the node says of it, or the store where there is no node; nothing while nothing is halted.
fn halt(domain: &Domain, status: Option<&Value>) -> Option<Finding> {
    let halted = match status {
        Some(status) => status.get("halted_at").and_then(Value::as_u64),
        None => Reader::open(&domain.store()).ok()?.view().ok()?.control.halted().map(LeafIndex::get),
    };
    let told =
        |at| format!("halted by entry {at}, and nothing starts: stop the node, `writ root resume`, start it again");
    halted.map(|at| Finding::bad("halt", told(at)))
}
