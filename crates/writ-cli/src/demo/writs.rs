//! Writs that are none, are not for this, or are used up.

use super::attacker::{Part, Wish, forge, key, name, outcome};
use super::stage::Stage;
use super::table::{Attempt, Table};
use crate::error::CliError;
use crate::keys::{SECRET_FILE, random, write_new};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use writ_protocol::Code;
use writ_protocol::entry::{Audience, Positive};

pub(super) fn play(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    table.section("writs", "Writs that are none, or are for something else")?;
    // Its second runs while the others are tried.
    let brief = stage.tool("brief", "expired");
    let (expiring, until_ms) = stage.authorize("expired", &brief)?;
    none_or_forged(stage, table)?;
    of_another_domain(stage, table)?;
    for_something_else(stage, table)?;
    elsewhere(stage, table)?;
    stolen(stage, table)?;
    replayed(stage, table)?;
    revoked(stage, table)?;
    stage.until(until_ms)?;
    let found = stage.run(&["--writ", &expiring], &brief)?;
    table.refused(stage, &Attempt::recorded("expired", "a writ whose second is over", Code::Expired), &found)
}

fn none_or_forged(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let empty = stage.path("writs/empty");
    write_new(Path::new(&empty), b"", SECRET_FILE)?;
    let found = stage.run(&["--writ", &empty], &stage.touch("missing"))?;
    table.refused(stage, &Attempt::recorded("missing", "no writ: an empty file", Code::MissingWrit), &found)?;
    for (attempt, part) in [
        (Attempt::recorded("signature", "one letter of a signature changed", Code::SignatureInvalid), Part::Signature),
        (Attempt::recorded("proof", "one letter of the proof changed", Code::ProofInvalid), Part::Proof),
    ] {
        let argv = stage.touch(attempt.name);
        let (writ, _) = stage.authorize(attempt.name, &argv)?;
        forge(&writ, part)?;
        table.refused(stage, &attempt, &stage.run(&["--writ", &writ], &argv)?)?;
    }
    Ok(())
}

fn of_another_domain(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let argv = stage.touch("authority");
    let (writ, _) = stage.in_other_domain(|other| other.authorize("authority", &argv))?;
    let attempt = Attempt::recorded("authority", "a good writ, of another domain's ledger", Code::UnknownAuthority);
    table.refused(stage, &attempt, &stage.run(&["--writ", &writ], &argv)?)
}

/// What runs is what was granted, to the last byte (Invariant 12).
fn for_something_else(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let (writ, _) = stage.authorize("argument", &stage.touch("granted"))?;
    let attempt = Attempt::recorded("argument", "granted for one file, run with another", Code::ActionMismatch);
    table.refused(stage, &attempt, &stage.run(&["--writ", &writ], &stage.touch("argument"))?)?;
    for (attempt, tool) in [
        (Attempt::recorded("script", "a script that was changed since it was granted", Code::ActionMismatch), "plain"),
        (Attempt::recorded("binary", "a binary that was changed since it was granted", Code::ActionMismatch), "touch"),
    ] {
        let argv = stage.tool(tool, attempt.name);
        let (writ, _) = stage.authorize(attempt.name, &argv)?;
        let path = stage.dir.join("tools").join(tool);
        let file = OpenOptions::new().append(true).open(&path);
        file.and_then(|mut file| file.write_all(b"\n")).map_err(CliError::file(&path))?;
        table.refused(stage, &attempt, &stage.run(&["--writ", &writ], &argv)?)?;
    }
    Ok(())
}

/// For another gateway, or for another place.
fn elsewhere(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    // Whoever runs it takes the first slot that is free.
    let attempt = Attempt::recorded("audience", "for the gateway in slot 02, run in slot 01", Code::WrongAudience);
    let argv = stage.touch(attempt.name);
    let mut wish = Wish::new(stage, argv.clone())?;
    wish.ask.audience = Audience::Gateway { gateway: name("process/02")?, epoch: Positive::ONE };
    let writ = wish.granted(stage, attempt.name)?;
    table.refused(stage, &attempt, &stage.run(&["--writ", &writ], &argv)?)?;

    let attempt = Attempt::recorded("epoch", "for a gateway in an epoch that it is not in", Code::WrongAudience);
    let mut wish = Wish::new(stage, stage.touch(attempt.name))?;
    let epoch = Positive::new(7).unwrap_or(Positive::ONE);
    wish.ask.audience = Audience::Gateway { gateway: name("process/01")?, epoch };
    table.refused(stage, &attempt, &outcome(&wish.bare(stage)?))?;

    let attempt = Attempt::recorded("place", "granted for a machine with another kernel", Code::SurroundingsMismatch);
    let argv = stage.touch(attempt.name);
    let mut wish = Wish::new(stage, argv.clone())?;
    for component in wish.ask.surroundings.iter_mut().filter(|one| one.name.as_str() == "kernel") {
        component.value.push_str("-other");
    }
    let writ = wish.granted(stage, attempt.name)?;
    table.refused(stage, &attempt, &stage.run(&["--writ", &writ], &argv)?)
}

fn stolen(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let attempt = Attempt::recorded("stolen", "a stolen writ, without its holder's key", Code::HolderProofInvalid);
    let argv = stage.touch(attempt.name);
    // The thief even knows the salt of the action: it comes from the seed that is kept beside the writ.
    let writ = Wish::new(stage, argv.clone())?.held_by(&key(&random()?))?.granted(stage, attempt.name)?;
    table.refused(stage, &attempt, &stage.run(&["--writ", &writ], &argv)?)
}

fn replayed(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let argv = stage.touch("replayed");
    let (writ, _) = stage.authorize("replayed", &argv)?;
    let found = stage.run(&["--writ", &writ], &argv)?;
    stage.ran(table, "replayed", "a writ that was handed over, once", &found)?;
    let attempt = Attempt::recorded("replayed", "the same writ again", Code::Replayed);
    table.refused(stage, &attempt, &stage.run(&["--writ", &writ], &argv)?)
}

fn revoked(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let attempt = Attempt::recorded("revoked-writ", "a writ that was revoked meanwhile", Code::Revoked);
    let argv = stage.touch(attempt.name);
    let (writ, _) = stage.authorize(attempt.name, &argv)?;
    stage.order(&["revoke", "--writ", &writ, "--reason", "demo"])?;
    table.refused(stage, &attempt, &stage.run(&["--writ", &writ], &argv)?)
}
