//! Running commands to their end, and waiting for conditions; neither for ever.

use super::stop;
use crate::error::CliError;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const COMMAND_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A command that has ended.
pub(super) struct Finished {
    /// Its exit status; none if a signal ended it.
    pub(super) status: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs a command to its end. One that does not end is killed, and an error.
pub(super) fn finished(mut command: Command) -> Result<Finished, CliError> {
    let named = command.get_program().to_string_lossy().into_owned();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    finished_child(child.map_err(|error| CliError::Failed(format!("{named}: {error}")))?, &named)
}

/// The same for one that runs already, its output in pipes.
pub(super) fn finished_child(mut child: Child, named: &str) -> Result<Finished, CliError> {
    let fails = |error: std::io::Error| CliError::Failed(format!("{named}: {error}"));
    let ended = awaited(&format!("{named} to end"), COMMAND_WITHIN, || child.try_wait().map_err(fails));
    if let Err(error) = ended {
        child.kill().and_then(|()| child.wait()).map_err(fails)?;
        return Err(error);
    }
    let output = child.wait_with_output().map_err(fails)?;
    Ok(Finished {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A line for the shell.
pub(super) fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).stdin(Stdio::null());
    command
}

/// Looks again and again until there is something, or it is too late.
pub(super) fn awaited<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Option<T>, CliError>,
) -> Result<T, CliError> {
    let begun = Instant::now();
    loop {
        stop::here();
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begun.elapsed() > within {
            return Err(CliError::Failed(format!("waited {} s in vain for {what}", within.as_secs())));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
