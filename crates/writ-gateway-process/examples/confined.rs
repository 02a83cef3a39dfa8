//! Runs a command as a governed tree, without asking anybody: what the tests of confinement and of the tree run.
//!
//! `confined HIDDEN [KEPT] -- COMMAND…` exits as the command does, 126 when it cannot be started, 128 and the signal when it was killed.
//! With `CONFINED_ALIKE` set it is killed by that signal instead, as `writ run` is.
//! With `CONFINED_BETWEEN` set, that shell command runs between measuring and starting: what an attacker would do then.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use writ_gateway_process::{Confinement, Executable, Held, Inherited, Plan, end_like, measure, prepare};
use writ_protocol::statement::Ending;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // What a test compares; whether it can be printed is its own matter.
            std::io::Write::write_all(&mut std::io::stderr(), format!("refused: {error}\n").as_bytes()).ok();
            ExitCode::from(126)
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folders: Vec<PathBuf> = arguments.by_ref().take_while(|argument| argument != "--").map(PathBuf::from).collect();
    let argv: Vec<OsString> = arguments.collect();
    let program = argv.first().ok_or("expected a command")?;
    let variables: Vec<_> =
        std::env::vars_os().filter(|(name, _)| name != "CONFINED_BETWEEN" && name != "CONFINED_ALIKE").collect();
    let path = std::env::var_os("PATH");
    let executable = Executable::open(program, path.as_deref())?;
    let cwd = std::env::current_dir()?;
    measure(&executable, &argv, &variables, cwd.as_os_str())?;
    if let Some(between) = std::env::var_os("CONFINED_BETWEEN") {
        Command::new("sh").arg("-c").arg(between).status()?;
    }
    let (hidden, kept) = folders.split_at(folders.len().min(1));
    let confinement = Confinement::new(hidden, kept)?;
    let plan = Plan {
        program: executable.program(),
        argv: &argv,
        variables: &variables,
        cwd: &cwd,
        confinement: &confinement,
    };
    let inherited = Inherited::take()?;
    let preparing = prepare(&plan, &inherited)?;
    let held = Held::take(inherited)?;
    let ended = preparing.poised(&held, &executable)?.release()?.wait()?;
    let ending = ended.ending();
    drop(ended);
    drop(held);
    if std::env::var_os("CONFINED_ALIKE").is_some() {
        end_like(ending);
    }
    match ending {
        Ending::Exited(status) => Ok(ExitCode::from(status)),
        Ending::Signaled(signal) => Ok(ExitCode::from(128 + signal.get())),
        Ending::Terminated(_) | Ending::Unknown => Err("no known end".into()),
    }
}
