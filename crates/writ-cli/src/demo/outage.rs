//! The node is gone, in the middle or from the start; and at last the domain is halted.

use super::found::Found;
use super::relay::{Moment, Relay};
use super::stage::Stage;
use super::table::{Attempt, NO_NODE, Table};
use crate::error::CliError;
use writ_protocol::Code;

pub(super) fn play(stage: &mut Stage, table: &mut Table) -> Result<(), CliError> {
    table.section("outage", "Without a node, and halted")?;
    let unreachable = |name, tried| Attempt::unrecorded(name, tried, Code::AuthorityUnreachable, NO_NODE);
    let attempt = unreachable("killed", "the node is killed after it granted, before the start");
    let socket = stage.dir.join("deadly.sock");
    let relay = Relay::begin(&socket, &stage.socket(), Moment::NodeKilled(stage.node.clone()))?;
    let found = stage.run(&["--node", &relay.address()], &stage.touch(attempt.name))?;
    drop(relay);
    if stage.node.lives() {
        return Err(CliError::Failed(format!("the node was not killed: {found:?}")));
    }
    table.refused(stage, &attempt, &found)?;
    let attempt = unreachable("absent", "there is no node");
    table.refused(stage, &attempt, &stage.run(&[], &stage.touch(attempt.name))?)?;

    stage.start_node()?;
    let found = stage.run(&[], &stage.touch("again"))?;
    stage.ran(table, "again", "the node is started again, and a permitted command runs", &found)?;

    let writ = stage.authorize("halted-writ", &stage.touch("halted-writ"))?.0;
    stage.order(&["halt", "--reason", "demo"])?;
    halted(stage, table, "halted", "what was permitted, in a halted domain", |argv| stage.run(&[], argv))?;
    halted(stage, table, "halted-writ", "a writ from before the halt", |argv| stage.run(&["--writ", &writ], argv))
}

fn halted(
    stage: &Stage,
    table: &mut Table,
    name: &'static str,
    tried: &'static str,
    run: impl FnOnce(&[String]) -> Result<Found, CliError>,
) -> Result<(), CliError> {
    let found = run(&stage.touch(name))?;
    table.refused(stage, &Attempt::recorded(name, tried, Code::Halted), &found)
}
