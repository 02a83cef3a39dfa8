//! People and agents who are not who they say, or are not trusted any more.

use super::attacker::{Wish, key, outcome};
use super::stage::{PERSON, Stage};
use super::table::{Attempt, COUNTED, NOT_ASKED, Table};
use crate::error::CliError;
use crate::keys::random;
use crate::who::principal;
use writ_protocol::Code;
use writ_protocol::entry::PrincipalRef;

const AGENT: &str = "Agent::builder";

pub(super) fn play(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    table.section("principals", "Somebody else")?;
    claimed(stage, table)?;
    signed(stage, table)?;
    let attempt = Attempt::recorded("orders", "an agent orders a halt, with its own key", Code::PolicyDenied);
    table.refused(stage, &attempt, &stage.ask(&["halt", "--as", AGENT])?)?;

    let argv = ["env".to_owned()].into_iter().chain(stage.touch("agent")).collect::<Vec<_>>();
    stage.ran(table, "agent", "an agent runs what agents may", &stage.run(&["--as", AGENT], &argv)?)?;
    stage.order(&["revoke", "--principal", AGENT, "--reason", "demo"])?;
    let attempt = Attempt::recorded("agent", "the same, after the agent was revoked", Code::Revoked);
    table.refused(stage, &attempt, &stage.run(&["--as", AGENT], &argv)?)
}

/// Named without a key that shows it.
fn claimed(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let attempt = Attempt::recorded("bare", "a user of this machine names an agent, unsigned", Code::IdentityMismatch);
    let mut wish = Wish::new(stage, stage.touch(attempt.name))?;
    wish.principal = Some(named(AGENT)?);
    table.refused(stage, &attempt, &outcome(&wish.bare(stage)?))?;

    let tried = "as an agent, without its key";
    let attempt = Attempt::unrecorded("keyless", tried, Code::IdentityMismatch, NOT_ASKED);
    let missing = stage.path("no.seed");
    table.refused(stage, &attempt, &stage.run(&["--as", AGENT, "--key", &missing], &stage.touch(attempt.name))?)
}

/// Signed by somebody else's key.
fn signed(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let attempt = Attempt::recorded("other-key", "as a person, signed with an agent's key", Code::IdentityMismatch);
    let agents = stage.principal_key(AGENT)?;
    let person = format!("User::{PERSON}");
    table.refused(stage, &attempt, &stage.run(&["--as", &person, "--key", &agents], &stage.touch(attempt.name))?)?;

    let attempt = Attempt::unrecorded("stranger", "signed with a key that nobody has", Code::Unauthenticated, COUNTED);
    let wish = Wish::new(stage, stage.touch(attempt.name))?;
    table.refused(stage, &attempt, &outcome(&wish.signed(stage, &key(&random()?))?))
}

fn named(text: &str) -> Result<PrincipalRef, CliError> {
    let named = principal(text)?;
    Ok(PrincipalRef { id: named.id, kind: named.kind })
}
