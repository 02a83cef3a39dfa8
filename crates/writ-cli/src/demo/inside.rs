//! The governed cannot govern (Invariant 13): one governed shell tries, and what it was told lies in files.

use super::commands::Finished;
use super::found::Found;
use super::stage::{PERSON, Stage};
use super::table::{Attempt, NOT_ASKED, Table};
use crate::error::CliError;
use std::fs;
use std::path::Path;
use writ_protocol::Code;

/// The attempt that is made by a process which has left those who started it.
const ORPHAN: &str = "orphan";

/// How an attempt reads its outcome.
#[derive(Clone, Copy)]
enum By {
    Run,
    Command,
    Kernel,
}

pub(super) fn play(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    table.section("inside", "From inside a governed execution, with stolen keys at hand")?;
    let outside = stage.run(&[], &stage.tool("origin", ORPHAN))?;
    stage.ran(table, ORPHAN, "for comparison: what is permitted to origins, asked from outside", &outside)?;
    // Keys that somebody has left where everybody may read them.
    let person = stage.smuggle(&format!("User::{PERSON}"), "inside/person.seed")?;
    let agent = stage.smuggle("Agent::builder", "inside/agent.seed")?;
    let attempts = attempts(stage, &person, &agent);
    let lines: Vec<String> = attempts.iter().map(|(attempt, _, command)| tried(stage, attempt, command)).collect();
    let found = stage.run(&[], &["sh".to_owned(), "-c".to_owned(), lines.concat() + "exit 0"])?;
    if found != Found::Done {
        return Err(CliError::Failed(format!("the governed shell did not run: {found:?}")));
    }
    for (attempt, by, _) in &attempts {
        let read = |part: &str| {
            let path = stage.path(&format!("inside/{}.{part}", attempt.name));
            fs::read_to_string(&path).map_err(CliError::file(Path::new(&path)))
        };
        let status = read("status")?.trim().parse().ok();
        let ended = Finished { status, stdout: read("out")?, stderr: read("err")? };
        let found = match by {
            By::Run => Found::of_run(&ended),
            By::Command => Found::of_command(&ended),
            By::Kernel if status == Some(0) => Found::Done,
            By::Kernel => Found::Barred,
        };
        table.refused(stage, attempt, &found)?;
    }
    Ok(())
}

fn attempts(stage: &Stage, person: &str, agent: &str) -> Vec<(Attempt, By, String)> {
    let writ = format!("{} --json", stage.binary());
    let (acme, inside) = (stage.place.domain.dir().display(), stage.path("inside"));
    let mark = |name: &str| stage.mark(name);
    let node = stage.node.pid().unwrap_or(0);
    let origin = stage.tool("origin", ORPHAN).join(" ");
    let unauthenticated = Code::Unauthenticated;
    vec![
        (
            Attempt::barred("keys", "reads the ledger's keys"),
            By::Kernel,
            format!("sh -c 'cat {acme}/keys/ledger-ed25519.seed && touch {}'", mark("keys")),
        ),
        (
            Attempt::barred("policy", "adds a policy"),
            By::Kernel,
            format!("sh -c 'echo >{acme}/policy/mine.cedar && touch {}'", mark("policy")),
        ),
        (
            Attempt::barred("signal", "ends the node by a signal"),
            By::Kernel,
            format!("sh -c 'kill -TERM {node} && touch {}'", mark("signal")),
        ),
        (
            Attempt::unrecorded("nested", "is a gateway itself: runs `writ run`", Code::UnknownAuthority, NOT_ASKED),
            By::Run,
            format!("{writ} run -- touch {}", mark("nested")),
        ),
        (
            Attempt::unrecorded("keyless-halt", "orders a halt, without a key", unauthenticated, NOT_ASKED),
            By::Command,
            format!("{writ} halt"),
        ),
        (
            Attempt::recorded("halt", "orders a halt, with an administrator's stolen key", unauthenticated),
            By::Command,
            format!("{writ} halt --as User::{PERSON} --key {person}"),
        ),
        (
            Attempt::recorded("revoke", "revokes the agent, with the same key", unauthenticated),
            By::Command,
            format!("{writ} revoke --principal Agent::builder --as User::{PERSON} --key {person}"),
        ),
        (
            Attempt::recorded("other-self", "asks as the agent, with its stolen key", Code::IdentityMismatch),
            By::Command,
            format!("{writ} authorize --as Agent::builder --key {agent} -o {inside}/x -- touch {}", mark("other-self")),
        ),
        (
            Attempt::recorded(ORPHAN, "asks from a detached orphan, as if it began anew", Code::PolicyDenied),
            By::Command,
            format!("{writ} authorize -o {inside}/y -- {origin}"),
        ),
    ]
}

/// A line of the shell that tries a command and keeps what came of it. The orphan runs in a session of its own, below nobody who asked
/// for it, and the shell waits for it.
fn tried(stage: &Stage, attempt: &Attempt, command: &str) -> String {
    let file = stage.path(&format!("inside/{}", attempt.name));
    let line = format!("{command} >{file}.out 2>{file}.err; echo $? >{file}.ended; mv {file}.ended {file}.status");
    if attempt.name != ORPHAN {
        return format!("{line}\n");
    }
    let detached = format!("setsid -f sh -c '{}'\n", line.replace('\'', "'\\''"));
    let waits = format!("n=0\nwhile [ ! -e {file}.status ] && [ $n -lt 1000 ]; do sleep 0.02; n=$((n+1)); done\n");
    detached + &waits
}
