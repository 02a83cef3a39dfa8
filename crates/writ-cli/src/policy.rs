//! `writ policy`: a policy folder, put through the gates as the node does it; bundles; the history of sets in force.

pub(crate) mod args;
mod bundle;
mod diff;
mod history;
mod new;
mod source;
mod test;

pub(crate) use bundle::{author, author_key, publish, sign};
pub(crate) use diff::run as diff;
pub(crate) use history::run as history;
pub(crate) use new::run as new;
pub(crate) use test::run as test;

use crate::args::{Check, Place};
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::known::authors;
use crate::render::{counted, hex};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use test::{gates_json, gates_line};
use writ_ledger::Reader;
use writ_server::{
    Accepted, AuthorityError, EntitySnapshot, Gate, GateResult, Gated, History, PolicyError, PolicySet, Semantics,
    Snapshot, SolverLimits, Step, entities_in_force, gate_with, prove, read_policy_folder, schema_text,
};

/// What is said of a folder whose domain takes signed sets.
const NOT_FOLLOWED: &str =
    "by nobody: the set of this domain is signed by its authors; `writ policy sign` makes the next one of this folder";
/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(100);
/// How often `check --watch` looks.
const LOOKED_EVERY: Duration = Duration::from_millis(250);

/// What the node would make of a folder.
pub(crate) struct Compiled {
    /// The digest, if the files are those of a folder at all.
    digest: Option<String>,
    /// What came of the gates.
    pub(crate) gated: Gated,
}

/// Puts a folder, or the set of a bundle, through the gates; an error only if it cannot be read.
pub(crate) fn compiled(folder: &Path, beside: Option<&EntitySnapshot>) -> Result<Compiled, CliError> {
    if folder.is_file() {
        return Ok(of_snapshot(&source::files_of(folder)?, beside));
    }
    match read_policy_folder(folder) {
        Ok(snapshot) => Ok(of_snapshot(&snapshot, beside)),
        Err(AuthorityError::Policy(findings)) => Ok(Compiled { digest: None, gated: Gated::of_findings(findings) }),
        Err(error) => Err(CliError::Failed(error.to_string())),
    }
}

/// The same for files that are not in a folder yet.
pub(crate) fn of_snapshot(snapshot: &Snapshot, beside: Option<&EntitySnapshot>) -> Compiled {
    Compiled { digest: Some(hex(snapshot.digest().as_bytes())), gated: compiled_snapshot(snapshot, beside) }
}

fn compiled_snapshot(snapshot: &Snapshot, beside: Option<&EntitySnapshot>) -> Gated {
    gate_with(snapshot, Semantics::CURRENT, beside)
}

/// The entities with which a set of this domain would decide beside its own, where its store is at hand.
pub(crate) fn beside(domain: &Domain) -> Result<Option<EntitySnapshot>, CliError> {
    let store = domain.store();
    if !store.is_file() {
        return Ok(None);
    }
    let entities = entities_in_force(&Reader::open(&store)?).map_err(|error| CliError::Failed(error.to_string()))?;
    Ok((!entities.is_empty()).then_some(entities))
}

/// The same of the domain that is named, if there is one.
fn beside_at(place: &Place) -> Result<Option<EntitySnapshot>, CliError> {
    match Domain::of(place) {
        Ok(domain) => beside(&domain),
        Err(CliError::Usage(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The folder that was named, or that of the domain.
fn folder_of(named: Option<&Path>, place: &Place) -> Result<PathBuf, CliError> {
    match named {
        Some(folder) => Ok(folder.to_owned()),
        None => Ok(Domain::of(place)?.policy()),
    }
}

pub(crate) fn schema(args: &args::Schema, as_json: bool) -> Result<(), CliError> {
    let folder = folder_of(args.folder.as_deref(), &args.place)?;
    let text = schema_text(&source::files_of(&folder)?);
    if as_json { json_line(&json!({ "schema": text })) } else { line(text.trim_end()) }
}

pub(crate) fn check(args: &Check, as_json: bool) -> Result<(), CliError> {
    let folder = folder_of(args.folder.as_deref(), &args.place)?;
    if !args.watch {
        return check_once(args, &folder, as_json);
    }
    let mut seen = None;
    loop {
        // What cannot be read now may be about to be written.
        let now = read_policy_folder(&folder).map(|snapshot| snapshot.digest()).map_err(|error| error.to_string());
        if seen.as_ref() != Some(&now) {
            seen = Some(now);
            check_again(args, &folder, as_json)?;
        }
        std::thread::sleep(LOOKED_EVERY);
    }
}

/// One of many checks: what it finds is told, and is no reason to stop.
fn check_again(args: &Check, folder: &Path, as_json: bool) -> Result<(), CliError> {
    if !as_json {
        line(crate::time::utc(crate::time::now_ms()))?;
    }
    match check_once(args, folder, as_json) {
        Err(CliError::Found(found) | CliError::Failed(found)) if !as_json => line(found)?,
        Ok(()) | Err(CliError::Found(_) | CliError::Failed(_)) => {}
        Err(error) => return Err(error),
    }
    if as_json { Ok(()) } else { line("") }
}

fn check_once(args: &Check, folder: &Path, as_json: bool) -> Result<(), CliError> {
    let mut compiled = compiled(folder, beside_at(&args.place)?.as_ref())?;
    if args.prove {
        prove_too(args, &mut compiled.gated, as_json)?;
    }
    if args.history {
        history_too(args, &mut compiled.gated)?;
    }
    let followed = is_followed(folder, &args.place);
    if as_json {
        let mut told = told_json(&compiled);
        if !followed && let Some(fields) = told.as_object_mut() {
            fields.insert("followed".to_owned(), false.into());
        }
        json_line(&told)?;
    }
    let Compiled { digest, gated } = compiled;
    match gated.set() {
        Some(_) if as_json => Ok(()),
        Some(set) => {
            for warning in set.warnings() {
                line(format_args!("warning: {warning}"))?;
            }
            let policies = counted(set.len() as u64, "policy", "policies");
            line(format_args!("{}: sound, {policies}", folder.display()))?;
            line(format_args!("  digest      {}", hex(set.digest().as_bytes())))?;
            line(format_args!("  gates       {}", gates_line(&gated)))?;
            if followed { Ok(()) } else { line(format_args!("  followed    {NOT_FOLLOWED}")) }
        }
        None => {
            if !as_json {
                for finding in gated.findings() {
                    line(finding)?;
                }
                line(format_args!("  digest      {}", digest.as_deref().unwrap_or("none")))?;
                line(format_args!("  gates       {}", gates_line(&gated)))?;
            }
            let found = counted(gated.findings().count() as u64, "finding", "findings");
            Err(CliError::Found(format!("{found}: the node would not take {}", folder.display())))
        }
    }
}

/// False of the domain's own folder where authors are pinned: then it is sound for nothing but to be signed.
fn is_followed(folder: &Path, place: &Place) -> bool {
    let Ok(domain) = Domain::of(place) else { return true };
    let own = match (folder.canonicalize(), domain.policy().canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        (Ok(_) | Err(_), _) => false,
    };
    !own || authors(&domain).is_none()
}

/// The gates that need a solver, as the node has them when a set is published.
fn prove_too(args: &Check, gated: &mut Gated, as_json: bool) -> Result<(), CliError> {
    let before = args.against.as_ref().map(|source| set_of(source)).transpose()?;
    let shows_progress = std::io::stderr().is_terminal() && !as_json;
    let (none, mut shown) = (BTreeSet::new(), Instant::now());
    let told = |step: Step| {
        if shows_progress && (shown.elapsed() >= SHOWN_EVERY || step.done == step.of) {
            // Progress that cannot be shown is not worth failing for.
            write!(std::io::stderr(), "\rproving: {} of {} questions ", step.done, step.of).ok();
            shown = Instant::now();
        }
    };
    let replaced = before.as_ref().map(|set| (set, Accepted::new(&none)));
    prove(&args.solver.command(), SolverLimits::STANDARD, gated, replaced, told);
    if shows_progress {
        write!(std::io::stderr(), "\r\x1b[K").ok();
    }
    Ok(())
}

/// The gate that asks history, as the node has it when a set is published. Nothing is accepted here: who signs does that.
fn history_too(args: &Check, gated: &mut Gated) -> Result<(), CliError> {
    let store = Domain::of(&args.place)?.store();
    let result = match gated.set() {
        None => GateResult::NotReached,
        Some(set) => match history_at_hand(&store, set)? {
            Some(history) => history.judged(&BTreeSet::new()).result,
            None => {
                return Err(CliError::Failed(format!(
                    "{}: no store that can be read; history is asked when the set is published",
                    store.display()
                )));
            }
        },
    };
    gated.add(Gate::Backtest, result);
    Ok(())
}

/// What the ledger says of a set that is to replace the one in force; nothing where there is no store that can be read.
fn history_at_hand(store: &Path, set: &PolicySet) -> Result<Option<History>, CliError> {
    match std::fs::File::open(store) {
        Ok(_) => History::ask_store(store, set).map(Some).map_err(crate::backtest::failed),
        Err(_) => Ok(None),
    }
}

fn history_json(history: &History) -> Value {
    let found = history.found();
    json!({ "first": found.first, "entries": found.entries, "decided": found.decided, "undecided": found.undecided })
}

/// A set that something is compared with.
fn set_of(source: &Path) -> Result<PolicySet, CliError> {
    PolicySet::compile(&source::files_of(source)?, Semantics::CURRENT).map_err(|findings| {
        let first = findings.first().map(ToString::to_string).unwrap_or_default();
        CliError::Found(format!("{}: {first}", source.display()))
    })
}

fn told_json(compiled: &Compiled) -> Value {
    let shown = |one: &PolicyError| {
        json!({
            "file": one.file,
            "line": one.line,
            "column": one.column,
            "what": one.problem.to_string(),
            "next": one.advice(),
        })
    };
    let Compiled { digest, gated } = compiled;
    let gates = gates_json(gated);
    match gated.set() {
        Some(set) => json!({
            "ok": true,
            "digest": hex(set.digest().as_bytes()),
            "policies": set.len(),
            "findings": [],
            "warnings": set.warnings().iter().map(shown).collect::<Vec<_>>(),
            "gates": gates,
        }),
        None => json!({
            "ok": false,
            "digest": digest,
            "findings": gated.findings().map(shown).collect::<Vec<_>>(),
            "warnings": [],
            "gates": gates,
        }),
    }
}
