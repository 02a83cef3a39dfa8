//! Waiting for processes and steering one that is traced, both by numbers: real-time signals have no names.

use nix::errno::Errno;
use nix::unistd::Pid;

/// What a process below this one has done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    Exited(i32),
    Killed(i32),
    /// Stopped, by this signal or for whoever traces it.
    Stopped {
        signal: i32,
        event: i32,
    },
}

/// Why a traced process stands still.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// It is about to get this signal.
    Signal(i32),
    /// Its whole group was stopped by this signal.
    Group(i32),
    /// It executes another program.
    Exec,
    /// It calls the kernel, or comes back from there.
    Call,
    /// It was let go on from a stop of its group, or stands for a reason that is none of ours.
    Other,
}

/// How a traced process goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Until something happens.
    Free,
    /// Until it calls the kernel.
    Calls,
    /// Not at all, until its group is let go on.
    Listening,
    /// Never traced again.
    Detached,
}

/// Waits for one process or for any; none if `flags` say not to wait.
pub(crate) fn wait(pid: Option<Pid>, flags: i32) -> Result<Option<(Pid, News)>, Errno> {
    let mut status = 0;
    loop {
        // SAFETY: the call writes the status, which lives through it.
        let found = unsafe { libc::waitpid(pid.map_or(-1, Pid::as_raw), &raw mut status, flags) };
        match Errno::result(found) {
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((Pid::from_raw(pid), News::of(status)))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

impl News {
    fn of(status: i32) -> Self {
        if libc::WIFEXITED(status) {
            Self::Exited(libc::WEXITSTATUS(status))
        } else if libc::WIFSIGNALED(status) {
            Self::Killed(libc::WTERMSIG(status))
        } else {
            Self::Stopped { signal: libc::WSTOPSIG(status), event: status >> 16 }
        }
    }
}

impl Stop {
    /// Of a process that was seized with `PTRACE_O_TRACESYSGOOD`.
    pub(crate) fn of(signal: i32, event: i32) -> Self {
        const CALL: i32 = libc::SIGTRAP | 0x80;
        match (signal, event) {
            (libc::SIGTRAP, libc::PTRACE_EVENT_EXEC) => Self::Exec,
            (libc::SIGTRAP, libc::PTRACE_EVENT_STOP) => Self::Other,
            (signal, libc::PTRACE_EVENT_STOP) => Self::Group(signal),
            (CALL, 0) => Self::Call,
            (signal, 0) => Self::Signal(signal),
            _ => Self::Other,
        }
    }
}

/// Lets a traced process go on; it gets the signal, unless that is 0. One that was killed meanwhile is gone, which the next wait tells.
pub(crate) fn go_on(pid: Pid, pace: Pace, signal: i32) -> Result<(), Errno> {
    let request = match pace {
        Pace::Free => libc::PTRACE_CONT,
        Pace::Calls => libc::PTRACE_SYSCALL,
        Pace::Listening => libc::PTRACE_LISTEN,
        Pace::Detached => libc::PTRACE_DETACH,
    };
    // SAFETY: these requests take a number where others take a pointer, and touch no memory of this process.
    let done = unsafe { libc::ptrace(request, pid.as_raw(), 0_usize, libc::c_long::from(signal)) };
    match Errno::result(done) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno),
    }
}
