//! `writ root`: orders of the root members, appended to a ledger that no node holds.

use crate::args;
use crate::domain::{Domain, read, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::keys::{must_be_secret, random, seed_of};
use crate::policy::author_key;
use crate::render::{counted, quoted};
use crate::time::now_ms;
use serde_json::json;
use std::path::{Path, PathBuf};
use writ_ledger::{Draft, Ledger, LedgerError, Options, Proposal, Reader};
use writ_protocol::entry::Authors;
use writ_protocol::statement::{RootCommand, RootStatement};
use writ_protocol::{Label, OrderId};
use writ_server::{
    AuthorityNode, Erring, KeyFetcher, NodeSetting, Prover, Quota, Rate, SolverCommand, SolverLimits, set_in_force,
};
use writ_tlog::{Algorithm, SigningKey};

/// Two lines, the longer of them with `ml-dsa-44 ` and 64 digits.
const MEMBER_BYTES_MAX: usize = 512;

pub(crate) fn resume(args: &args::Resume, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.place)?;
    let reason = Label::new(args.reason.as_str()).map_err(|error| CliError::Usage(format!("--reason: {error}")))?;
    let members = member_files(&args.members, &domain)?;
    let index = record(&domain, &members, RootCommand::Resume(reason))?;
    if as_json {
        return json_line(&json!({ "outcome": "recorded", "command": "resume", "index": index, "members": members }));
    }
    line(format_args!("resume: the halt is ended, entry {index}"))?;
    line(format_args!("\nnext: writ up --domain {}", quoted(domain.dir())))
}

pub(crate) fn policy_authors(args: &args::PolicyAuthors, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.place)?;
    let keys = args.authors.iter().map(|text| author_key(text)).collect::<Result<Vec<_>, _>>()?;
    let (threshold, count) = (args.threshold, keys.len());
    let authors = Authors::new(threshold, keys).map_err(|error| CliError::Usage(error.to_string()))?;
    let members = member_files(&args.members, &domain)?;
    begin_with_the_folder(&domain, args.solver.command())?;
    let warnings = unproved(&domain, args.solver.command());
    if !as_json {
        for warning in &warnings {
            line(format_args!("warning: {warning}"))?;
        }
    }
    let index = record(&domain, &members, RootCommand::PolicyAuthors(authors))?;
    if as_json {
        return json_line(&json!({
            "outcome": "recorded", "command": "policy-authors", "index": index, "members": members,
            "authors": count, "threshold": threshold, "warnings": warnings,
        }));
    }
    line(format_args!(
        "policy authors: {threshold} of {} must sign each policy set, entry {index}",
        counted(count as u64, "author", "authors")
    ))?;
    line("  folder      is not followed any more; what is in force stays until a signed set replaces it")?;
    line(format_args!("\nnext: writ up --domain {}, then `writ policy publish`", quoted(domain.dir())))
}

/// A domain whose node was never started begins with its folder: once authors are pinned, nobody but them could put a first set in force,
/// and there would be no node to hand it to.
fn begin_with_the_folder(domain: &Domain, solver: SolverCommand) -> Result<(), CliError> {
    let reader = Reader::open(&domain.store())?;
    if reader.view()?.control.policy().is_some() {
        return Ok(());
    }
    let (place, signer, policy) = (domain.place()?, domain.signer()?, domain.policy());
    let fetcher = KeyFetcher::default();
    let setting = NodeSetting {
        place,
        signer,
        policy,
        rate: Rate::STANDARD,
        quota: Quota::NONE,
        solver,
        fetcher,
        holds_webhook: None,
    };
    AuthorityNode::open(setting, now_ms).map(drop).map_err(|error| CliError::Failed(error.to_string()))
}

/// What keeps the set in force from being published again once it takes authors: a policy of it that can fail.
fn unproved(domain: &Domain, solver: SolverCommand) -> Vec<String> {
    let unknown = |why: String| vec![format!("not proved that no policy of the set in force can fail: {why}")];
    let set = match set_in_force(&domain.store()) {
        Ok(set) => set,
        Err(error) => return unknown(error.to_string()),
    };
    let prover = Prover::new(solver, SolverLimits::STANDARD, |_| {});
    let erring = match prover.and_then(|mut prover| prover.never_errors(&set)) {
        Ok(erring) => erring,
        Err(error) => return unknown(error.to_string()),
    };
    let told = |one: Erring| {
        let (id, why) = (one.policy, one.why);
        format!(
            "`{id}` of the set in force can fail ({why}), so no signed set may have it: mend it in the next one, which its authors sign with --accept policy:{id}"
        )
    };
    erring.into_iter().map(told).collect()
}

/// Has an order recorded, signed by these members.
fn record(domain: &Domain, members: &[PathBuf], order: RootCommand) -> Result<u64, CliError> {
    let keys = members.iter().map(|path| member(path)).collect::<Result<Vec<_>, _>>()?;
    let pairs: Vec<[&SigningKey; 2]> = keys.iter().map(|[ed25519, ml_dsa_44]| [ed25519, ml_dsa_44]).collect();
    let trust = read_trust_root(&domain.trust_root())?;
    let (id, time_ms) = (OrderId::new(now_ms(), random()?), now_ms());
    let order = RootStatement { domain: trust.domain(), id, time_ms, order };
    let signed = order.sign(&domain.origin()?, &pairs);
    // The one who writes to a ledger is its node: this is one that takes a single order.
    let ledger = Ledger::open(&domain.place()?, domain.signer()?, Options::new(now_ms)).map_err(|error| {
        if matches!(error, LedgerError::Locked(_)) {
            let what = "the node is running; stop it (Ctrl-C), give the order, start it again with `writ up`";
            return CliError::Failed(what.to_owned());
        }
        CliError::Ledger(error)
    })?;
    let recorded = ledger.append(Proposal::new(Draft::RootOrder(signed))).map_err(|error| {
        if let LedgerError::Refused(refusal) = error { CliError::Refused(refusal) } else { CliError::Ledger(error) }
    });
    ledger.close()?;
    Ok(recorded?.index.get())
}

/// The files that were named, or all that `writ init` has left in the domain's folder.
fn member_files(named: &[PathBuf], domain: &Domain) -> Result<Vec<PathBuf>, CliError> {
    if !named.is_empty() {
        let mut files = named.to_vec();
        files.sort();
        files.dedup();
        return Ok(files);
    }
    let folder = domain.dir().join("root-keys");
    let found = std::fs::read_dir(&folder).map(|found| {
        found
            .filter_map(|one| one.ok().map(|one| one.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "seeds"))
    });
    let mut files: Vec<PathBuf> = found.map(Iterator::collect).unwrap_or_default();
    files.sort();
    if files.is_empty() {
        let folder = folder.display();
        return Err(CliError::Usage(format!(
            "there are no root members' keys in {folder}; name them with --member FILE"
        )));
    }
    Ok(files)
}

/// The two keys of a member, as `writ init` wrote them.
fn member(path: &Path) -> Result<[SigningKey; 2], CliError> {
    must_be_secret(path)?;
    let bytes = read(path, MEMBER_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    let key = |name: &str, algorithm| {
        let seed = text.lines().find_map(|line| seed_of(line.strip_prefix(name)?.trim()));
        let expected = || {
            let path = path.display();
            CliError::Failed(format!(
                "{path}: expected two lines, `ed25519 HEX` and `ml-dsa-44 HEX`, as `writ init` wrote them"
            ))
        };
        Ok::<_, CliError>(SigningKey::from_seed(algorithm, &seed.ok_or_else(expected)?))
    };
    Ok([key("ed25519 ", Algorithm::Ed25519)?, key("ml-dsa-44 ", Algorithm::MlDsa44)?])
}
