//! What policy refuses, and what it refuses because it cannot be sure.

use super::commands::finished;
use super::found::Found;
use super::policy;
use super::relay::{Moment, Relay};
use super::stage::Stage;
use super::table::{Attempt, Table};
use crate::error::CliError;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;
use writ_protocol::Code;

/// Longer than the tool's policy lets a view be old.
const HELD: Duration = Duration::from_millis(400);

pub(super) fn play(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    table.section("policy", "What policy refuses")?;
    denied(stage, table)?;
    spent(stage, table)?;
    integrity(stage, table)?;
    stale_view(stage, table)?;
    changed_policy(stage, table)
}

fn denied(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let attempt = Attempt::recorded("denied", "a program that no policy permits", Code::PolicyDenied);
    table.refused(stage, &attempt, &stage.run(&[], &stage.tool("other", attempt.name))?)?;

    let attempt = Attempt::recorded("forbidden", "permitted, with a variable that is forbidden", Code::PolicyDenied);
    let argv = stage.touch(attempt.name);
    let mut command = stage.writ(["run", "--"].into_iter().chain(argv.iter().map(String::as_str)));
    command.env("LD_LIBRARY_PATH", stage.path("tools"));
    table.refused(stage, &attempt, &Found::of_run(&finished(command)?))
}

fn spent(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let argv = stage.tool("scarce", "budget");
    stage.ran(table, "budget", "what may be done once, once", &stage.run(&[], &argv)?)?;
    let attempt = Attempt::recorded("budget", "the same again", Code::BudgetExceeded);
    table.refused(stage, &attempt, &stage.run(&[], &argv)?)
}

fn integrity(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let attempt = Attempt::recorded("integrity", "a program that is not what policy knows", Code::IntegrityFailure);
    let path = stage.dir.join("tools/pinned");
    let file = OpenOptions::new().append(true).open(&path);
    file.and_then(|mut file| file.write_all(b"# changed\n")).map_err(CliError::file(&path))?;
    table.refused(stage, &attempt, &stage.run(&[], &stage.tool("pinned", attempt.name))?)
}

fn stale_view(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let attempt = Attempt::recorded("stale", "the node's answer held back by somebody between", Code::ViewStale);
    let socket = stage.dir.join("slow.sock");
    let relay = Relay::begin(&socket, &stage.socket(), Moment::Held(HELD))?;
    let found = stage.run(&["--node", &relay.address()], &stage.tool("fresh", attempt.name))?;
    table.refused(stage, &attempt, &found)
}

/// A policy set that fails for one program, and what it does to writs of the set before it.
fn changed_policy(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let outdated = Attempt::recorded("outdated", "a writ of a policy that was replaced", Code::PolicyStale);
    let argv = stage.touch(outdated.name);
    let (writ, _) = stage.authorize(outdated.name, &argv)?;
    stage.change_policy("overflow.cedar", &policy::overflowing(&stage.dir))?;
    let attempt = Attempt::recorded("evaluation", "a policy fails while it is evaluated", Code::EvaluationError);
    table.refused(stage, &attempt, &stage.run(&[], &stage.tool("sum", attempt.name))?)?;
    table.refused(stage, &outdated, &stage.run(&["--writ", &writ], &argv)?)
}
