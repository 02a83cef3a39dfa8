//! `writ demo`: the whole thing live, in a folder of its own. A real node, a permitted command, and whatever should be refused, tried one by
//! one against the real program. It succeeds only if each attempt was refused with the code that it should have, stands in the ledger with
//! it, and left no mark; and if the evidence verifies and the audit finds nothing.

mod attacker;
mod commands;
mod evidence;
mod found;
mod inside;
mod lineage;
mod node;
mod outage;
mod policies;
mod policy;
mod principals;
mod relay;
mod stage;
mod stop;
mod table;
mod writs;

use crate::args;
use crate::error::{CliError, line};
use stage::Stage;
use table::Table;

pub(crate) fn run(args: &args::Demo, as_json: bool) -> Result<(), CliError> {
    stop::watch()?;
    let played = play(args, as_json);
    if played.is_err() {
        stop::settle();
    }
    played
}

fn play(args: &args::Demo, as_json: bool) -> Result<(), CliError> {
    let mut stage = Stage::set(args.dir.as_deref(), args.keep)?;
    let mut table = Table::new(as_json);
    if !as_json {
        line(format_args!("A new domain in {}", stage.place.domain.dir().display()))?;
        table.head()?;
    }
    stage.start_node()?;
    permitted(&stage, &mut table)?;
    writs::play(&stage, &mut table)?;
    principals::play(&stage, &mut table)?;
    inside::play(&stage, &mut table)?;
    lineage::play(&stage, &mut table)?;
    policies::play(&stage, &mut table)?;
    outage::play(&mut stage, &mut table)?;
    stage.node.stop()?;
    evidence::play(&stage, &mut table)?;
    if args.keep && args.dir.is_none() && !as_json {
        line(format_args!("\nkept: {}", stage.dir.display()))?;
    }
    table.end()
}

fn permitted(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    table.section("permitted", "What policy permits")?;
    let found = stage.run(&[], &stage.touch("permitted"))?;
    stage.ran(table, "permitted", "a command that the policy permits", &found)
}
