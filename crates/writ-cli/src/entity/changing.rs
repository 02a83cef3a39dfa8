//! `writ entity put`, `remove` and `import`: orders to change entities, signed by a person's key.

use super::difference::{Difference, Step};
use super::{Import, InForce, Put, Remove, records_of, shown, snapshot_of, uid_of};
use crate::args::{As, Reach};
use crate::domain::{Domain, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::explained::Detail;
use crate::keys::random;
use crate::orders::Office;
use crate::render::{counted, hex};
use crate::who::connect;
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};
use writ_client::OrderAnswer;
use writ_protocol::action::Command;
use writ_protocol::entities::{EntityChange, EntityRecord, EntityUid};
use writ_protocol::entry::{Body, Entities};
use writ_protocol::{Refusal, WritVerifier};
use writ_server::EntitySnapshot;
use writ_tlog::{Hash, sha256};

/// Of each kind of change so many are named.
const NAMED_MAX: usize = 20;

pub(super) fn put(args: &Put, as_json: bool) -> Result<(), CliError> {
    let put = records_of(&args.file)?;
    if put.is_empty() {
        return Err(CliError::Usage(format!("{}: there is no entity in it", args.file.display())));
    }
    let office = Office { reach: &args.reach, who: &args.who, domain: Domain::of(&args.reach.place)? };
    let change = change(None, put, Vec::new())?;
    recorded(&ordered(&office, &change, &args.reason)?, as_json)
}

pub(super) fn remove(args: &Remove, as_json: bool) -> Result<(), CliError> {
    let removed = args.uids.iter().map(|uid| uid_of(uid)).collect::<Result<Vec<_>, _>>()?;
    let office = Office { reach: &args.reach, who: &args.who, domain: Domain::of(&args.reach.place)? };
    let change = change(None, Vec::new(), removed)?;
    recorded(&ordered(&office, &change, &args.reason)?, as_json)
}

pub(super) fn import(args: &Import, as_json: bool) -> Result<(), CliError> {
    let Import { reach, who, file, yes, reason } = args;
    let domain = Domain::of(&reach.place)?;
    let then = snapshot_of(records_of(file)?)?;
    let now = InForce::of(reach, &domain)?;
    let difference = Difference::between(&now.entities, &then);
    if difference.is_empty() {
        if as_json {
            return json_line(&json!({ "outcome": "unchanged", "epoch": now.epoch, "count": then.len() }));
        }
        return line("the entities in force are those of the file; nothing to change");
    }
    if !as_json {
        tell(&difference)?;
    }
    if !yes {
        meant()?;
    }
    let last = carried_out(reach, who, domain, (now, difference), (reason, as_json))?;
    match last {
        Some(last) => recorded(&last, as_json),
        None => line("nothing to change"),
    }
}

/// Every step, each on what the one before has made. Where one is refused, what came before it stands, and the same import goes on from there.
fn carried_out(
    reach: &Reach,
    who: &As,
    domain: Domain,
    (now, difference): (InForce, Difference),
    (reason, as_json): (&str, bool),
) -> Result<Option<Recorded>, CliError> {
    let office = Office { reach, who, domain };
    let InForce { mut entities, digest: mut base, .. } = now;
    let steps = difference.steps(&entities);
    let (count, mut last) = (steps.len(), None);
    for (at, Step { put, removed, .. }) in steps.into_iter().enumerate() {
        let change = change(Some(base), put, removed)?;
        let done = ordered(&office, &change, reason)?;
        entities = made(&entities, &change)?;
        base = change.snapshot(&entities.root());
        if base != done.entities.snapshot {
            let index = done.index;
            return Err(CliError::Failed(format!(
                "entry {index} names another snapshot than this change makes; audit the ledger"
            )));
        }
        if count > 1 && !as_json {
            let (step, size) = (at + 1, done.entities.count);
            line(format_args!("step {step} of {count}: {}, entry {}", entity_count(size), done.index))?;
        }
        last = Some(done);
    }
    Ok(last)
}

fn made(entities: &EntitySnapshot, change: &EntityChange) -> Result<EntitySnapshot, CliError> {
    entities.with(change).map_err(|problem| CliError::Found(problem.to_string()))
}

fn change(base: Option<Hash>, put: Vec<EntityRecord>, removed: Vec<EntityUid>) -> Result<EntityChange, CliError> {
    EntityChange::new(random()?, base, put, removed).map_err(|error| CliError::Refused(Refusal::malformed(error)))
}

/// A change that is in force.
struct Recorded {
    entities: Entities,
    index: u64,
}

fn ordered(office: &Office<'_>, change: &EntityChange, reason: &str) -> Result<Recorded, CliError> {
    let bytes = change.encode().map_err(CliError::Refused)?;
    let signed = office.signed(Command::Entities(sha256(&bytes)), reason)?;
    let client = connect(office.reach, &office.domain)?;
    let answer = client.change_entities(&signed, &bytes).map_err(|error| CliError::Refused(error.refusal()))?;
    let recorded = match answer {
        OrderAnswer::Recorded(recorded) => recorded,
        OrderAnswer::Deny(denial) => return Err(CliError::Denied(Box::new(denial), Detail::Obstacles)),
        OrderAnswer::Refused(refused) => return Err(CliError::Refused(refused.refusal())),
    };
    // An order that is not proved was not carried out.
    let trust = read_trust_root(&office.domain.trust_root())?;
    let logged = WritVerifier::new(trust).verify_logged(recorded.proof.as_bytes()).map_err(CliError::Refused)?;
    let index = logged.index.get();
    if let Body::Entities(entities) = &logged.entry.body
        && entities.change == sha256(&bytes)
    {
        return Ok(Recorded { entities: entities.clone(), index });
    }
    Err(CliError::Failed(format!("entry {index} records something else than this change; audit the ledger")))
}

fn recorded(done: &Recorded, as_json: bool) -> Result<(), CliError> {
    let Recorded { entities, index } = done;
    let (epoch, snapshot) = (entities.epoch.get(), hex(entities.snapshot.as_bytes()));
    if as_json {
        return json_line(&json!({
            "outcome": "recorded", "command": "entities", "epoch": epoch, "count": entities.count,
            "snapshot": snapshot, "index": index,
        }));
    }
    line(format_args!("entities: epoch {epoch} is in force, {}, entry {index}", entity_count(entities.count)))
}

fn entity_count(count: u64) -> String {
    counted(count, "entity", "entities")
}

fn tell(difference: &Difference) -> Result<(), CliError> {
    let uids = |records: &[EntityRecord]| records.iter().map(|one| shown(one.uid())).collect::<Vec<_>>();
    let kinds = [
        ("adds", uids(&difference.added)),
        ("changes", uids(&difference.changed)),
        ("removes", difference.removed.iter().map(shown).collect()),
    ];
    for (verb, uids) in kinds.iter().filter(|(_, uids)| !uids.is_empty()) {
        line(format_args!("{verb} {}", entity_count(uids.len() as u64)))?;
        for uid in uids.iter().take(NAMED_MAX) {
            line(format_args!("  {uid}"))?;
        }
        if uids.len() > NAMED_MAX {
            line(format_args!("  and {} more", uids.len() - NAMED_MAX))?;
        }
    }
    Ok(())
}

/// Asks the person; nobody there means no.
fn meant() -> Result<(), CliError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::Usage("nobody is there to ask; look at what it changes, and say --yes".to_owned()));
    }
    let failed = |error: std::io::Error| CliError::Failed(error.to_string());
    let mut out = std::io::stdout().lock();
    write!(out, "Type yes to make these the entities of the domain: ").and_then(|()| out.flush()).map_err(failed)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(failed)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(CliError::Usage("nothing was changed".to_owned())),
    }
}
