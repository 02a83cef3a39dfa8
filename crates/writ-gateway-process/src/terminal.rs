use nix::unistd::{Pid, tcgetpgrp, tcsetpgrp};
use std::fs::File;

/// Which group of processes had the terminal. A shell with job control gives it to its jobs and, when it is killed, to nobody.
#[derive(Debug)]
pub(crate) struct Foreground(Option<(File, Pid)>);

impl Foreground {
    pub(crate) fn remember() -> Self {
        let terminal = File::options().read(true).write(true).open("/dev/tty").ok();
        Self(terminal.and_then(|terminal| {
            let group = tcgetpgrp(&terminal).ok()?;
            Some((terminal, group))
        }))
    }

    /// Gives the terminal back to it. SIGTTOU is blocked while a tree runs, so this does not stop its caller.
    pub(crate) fn restore(&self) {
        if let Some((terminal, group)) = &self.0 {
            // The group may be gone, and then nobody misses the terminal.
            tcsetpgrp(terminal, *group).ok();
        }
    }
}
