//! `writ entity`: the entities beside those of the policy set, who is in which group among them.

mod changing;
mod difference;

use crate::args::{As, Reach};
use crate::domain::{Domain, read};
use crate::error::{CliError, json_line, line};
use crate::render::{counted, visible};
use crate::who::connect;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use writ_protocol::Refusal;
use writ_protocol::entities::{EntityChange, EntityRecord, EntityUid};
use writ_server::{EntitySnapshot, entity_to_json, read_entities};
use writ_tlog::Hash;

const HELP: &str = "A policy set holds entities of its own, which only another set changes. What changes more often, and by others, stands \
beside them: each change is an order, decided by policy (action \"entities\"), recorded, and in force with its entry. Files are arrays of \
entities in Cedar's JSON form, as in entities.json. A change needs a key, from outside every governed execution.";

/// The largest file that is read: more entities than this no snapshot has.
const FILE_BYTES_MAX: usize = 256 * 1024 * 1024;

#[derive(ClapArgs)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Add the entities of a file, or put them in place of those of the same name
    Put(Put),
    /// Take entities away
    Remove(Remove),
    /// Make the entities exactly those of a file; shows what that changes, and asks
    Import(Import),
    /// Show which entities there are
    List(List),
    /// Show one entity
    Show(Show),
    /// Write all entities, as `writ entity import` takes them
    Export(Export),
}

#[derive(ClapArgs)]
struct Put {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    who: As,
    /// The file, or - for standard input
    file: PathBuf,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    reason: String,
}

#[derive(ClapArgs)]
struct Remove {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    who: As,
    /// Which, such as User::ada
    #[arg(required = true, value_name = "UID")]
    uids: Vec<String>,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    reason: String,
}

#[derive(ClapArgs)]
struct Import {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    who: As,
    /// The file, or - for standard input
    file: PathBuf,
    /// Do not ask whether this is meant
    #[arg(long)]
    yes: bool,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    reason: String,
}

#[derive(ClapArgs)]
struct List {
    #[command(flatten)]
    reach: Reach,
    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
}

#[derive(ClapArgs)]
struct Show {
    #[command(flatten)]
    reach: Reach,
    /// Which, such as User::ada
    uid: String,
}

#[derive(ClapArgs)]
struct Export {
    #[command(flatten)]
    reach: Reach,
    /// Write to this file, which must not exist yet, and not to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, as_json: bool) -> Result<(), CliError> {
    match &args.command {
        Command::Put(args) => changing::put(args, as_json),
        Command::Remove(args) => changing::remove(args, as_json),
        Command::Import(args) => changing::import(args, as_json),
        Command::List(args) => list(args, as_json),
        Command::Show(args) => show(args, as_json),
        Command::Export(args) => export(args, as_json),
    }
}

/// The entities in force, as the node tells them.
struct InForce {
    entities: EntitySnapshot,
    epoch: u64,
    digest: Hash,
}

impl InForce {
    fn of(reach: &Reach, domain: &Domain) -> Result<Self, CliError> {
        let told = connect(reach, domain)?.entities().map_err(|error| CliError::Refused(error.refusal()))?;
        let unread = || CliError::Failed("the node's answer is not one that this release can read".to_owned());
        let all = told.get("entities").ok_or_else(unread)?.to_string();
        let entities = snapshot_of(records("the node's answer", all.as_bytes())?)?;
        let epoch = told.get("epoch").and_then(Value::as_u64).ok_or_else(unread)?;
        let digest =
            told.get("snapshot").and_then(Value::as_str).and_then(crate::render::from_hex).ok_or_else(unread)?;
        Ok(Self { entities, epoch, digest })
    }
}

/// A snapshot of just these.
fn snapshot_of(put: Vec<EntityRecord>) -> Result<EntitySnapshot, CliError> {
    let change = EntityChange::new([0; 32], None, put, Vec::new());
    let change = change.map_err(|error| CliError::Refused(Refusal::malformed(error)))?;
    EntitySnapshot::default().with(&change).map_err(|problem| CliError::Found(problem.to_string()))
}

/// The entities of a file, or everything that is wrong with it.
fn records(file: &str, bytes: &[u8]) -> Result<Vec<EntityRecord>, CliError> {
    read_entities(file, bytes).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        CliError::Found(lines.join("\n"))
    })
}

fn records_of(path: &Path) -> Result<Vec<EntityRecord>, CliError> {
    if path != Path::new("-") {
        return records(&path.display().to_string(), &read(path, FILE_BYTES_MAX)?);
    }
    let mut bytes = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin.take(FILE_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(CliError::file(path))?;
    records("standard input", &bytes)
}

/// `User::ada`, or as policies write it: `User::"ada"`.
fn uid_of(text: &str) -> Result<EntityUid, CliError> {
    let usage = |why: String| CliError::Usage(format!("{text}: {why}"));
    let (kind, id) = match text.split_once("::\"") {
        Some((kind, id)) => (kind, id.strip_suffix('"').ok_or_else(|| usage("expected a closing quote".to_owned()))?),
        None => text.rsplit_once("::").ok_or_else(|| usage("expected TYPE::ID, such as User::ada".to_owned()))?,
    };
    EntityUid::new(kind, id).map_err(|error| usage(format!("expected TYPE::ID, such as User::ada; {error}")))
}

/// As names of entities stand in lists.
fn shown(uid: &EntityUid) -> String {
    visible(format!("{}::{}", uid.kind(), uid.id()).as_bytes())
}

fn list(args: &List, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let InForce { entities, epoch, .. } = InForce::of(&args.reach, &domain)?;
    let of_kind = |record: &&EntityRecord| args.kind.as_deref().is_none_or(|kind| record.uid().kind() == kind);
    let records: Vec<&EntityRecord> = entities.records().into_iter().filter(of_kind).collect();
    if as_json {
        let uids: Vec<String> = records.iter().map(|record| shown(record.uid())).collect();
        return json_line(&json!({ "epoch": epoch, "entities": uids }));
    }
    for record in &records {
        let within: Vec<String> = record.parents().iter().map(shown).collect();
        let within = if within.is_empty() { String::new() } else { format!("  in {}", within.join(", ")) };
        line(format_args!("{}{within}", shown(record.uid())))?;
    }
    line(format_args!("{}, epoch {epoch}", counted(records.len() as u64, "entity", "entities")))
}

fn show(args: &Show, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let uid = uid_of(&args.uid)?;
    let in_force = InForce::of(&args.reach, &domain)?;
    let Some(record) = in_force.entities.get(&uid) else {
        let own = "those of the policy set stand in its entities.json";
        return Err(CliError::Found(format!("{} is not among the entities; {own}", shown(&uid))));
    };
    let value = entity_to_json(record);
    if as_json {
        return json_line(&value);
    }
    let text = serde_json::to_string_pretty(&value).map_err(|error| CliError::Failed(error.to_string()))?;
    line(text)
}

fn export(args: &Export, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let InForce { entities, epoch, .. } = InForce::of(&args.reach, &domain)?;
    let records = entities.records();
    let mut text = String::from("[\n");
    for (at, record) in records.iter().enumerate() {
        let end = if at + 1 == records.len() { "\n" } else { ",\n" };
        text.push_str(&format!("{}{end}", entity_to_json(record)));
    }
    text.push(']');
    match &args.output {
        None => line(text),
        Some(path) => {
            text.push('\n');
            crate::keys::write_new(path, text.as_bytes(), crate::keys::SECRET_FILE)?;
            if as_json {
                return json_line(&json!({ "outcome": "exported", "epoch": epoch, "count": records.len() }));
            }
            let count = counted(records.len() as u64, "entity", "entities");
            line(format_args!("{}: {count}, epoch {epoch}", path.display()))
        }
    }
}
