//! A gateway's key in the wrong hands: it can say what it likes, and is believed nothing that does not follow from the ledger.

use super::attacker::StolenGateway;
use super::commands::finished_child;
use super::found::Found;
use super::stage::Stage;
use super::table::{Attempt, NOT_TAKEN, Table};
use crate::error::CliError;
use crate::keys::random;
use crate::time::now_ms;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use writ_protocol::statement::{Claim, Ending};
use writ_protocol::{Code, ExecutionId};
use writ_tlog::Hash;

pub(super) fn play(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    table.section("lineage", "With a gateway's stolen key")?;
    let mut gateway = StolenGateway::take(stage)?;
    let tried = "reports the start of what was never granted";
    let attempt = Attempt::unrecorded("unspent", tried, Code::LineageBroken, NOT_TAKEN);
    let zero = Hash::from_bytes([0; 32]);
    let execution = ExecutionId::new(now_ms(), random()?);
    let claim = Claim::Started { writ: zero, execution, action: zero, surroundings: zero };
    table.refused(stage, &attempt, &gateway.say(stage, claim, None)?)?;
    ended_parent(stage, table, &mut gateway)
}

/// A process goes on after its end was reported, and asks for more.
fn ended_parent(stage: &Stage, table: &mut Table, gateway: &mut StolenGateway) -> Result<(), CliError> {
    let attempt = Attempt::recorded("parent", "an execution asks after its end was reported", Code::LineageBroken);
    let (writ, execution) = gateway.own_writ(stage, stage.touch("parent-own"))?;
    let grant = writ.grant();
    let (action, surroundings) = (grant.action.digest, grant.surroundings.digest);
    let mut child = waiting(stage, &stage.touch(attempt.name))?;
    let watcher = Some(child.id());
    let started = Claim::Started { writ: *writ.entry(), execution, action, surroundings };
    let ended = Claim::Ended { writ: *writ.entry(), execution, result: Ending::Exited(0) };
    let said = [gateway.say(stage, started, watcher)?, gateway.say(stage, ended, None)?];
    let told = child.stdin.take().map(|mut stdin| stdin.write_all(b"go\n"));
    let found = Found::of_command(&finished_child(child, "the orphan")?);
    if said.iter().any(|said| *said != Found::Done) || !matches!(told, Some(Ok(()))) {
        return Err(CliError::Failed(format!("the gateway's statements were not recorded: {said:?}")));
    }
    table.refused(stage, &attempt, &found)
}

/// A process that asks for a writ as soon as it is told to.
fn waiting(stage: &Stage, argv: &[String]) -> Result<Child, CliError> {
    let file = stage.path("writs/parent");
    let asks = stage.writ(["authorize", "-o", &file, "--"].into_iter().chain(argv.iter().map(String::as_str)));
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "read -r go && exec \"$0\" \"$@\""]).arg(asks.get_program()).args(asks.get_args());
    command.current_dir(&stage.dir).env_clear().envs(stage.variables());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| CliError::Failed(format!("/bin/sh: {error}")))
}
