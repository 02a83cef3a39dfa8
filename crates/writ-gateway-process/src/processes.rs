//! The processes below this one, and their end.

use crate::trace::wait;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getpgid, getppid, getsid};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// Passes over the process table before this is given up; each ends everything that it sees.
const PASSES_MAX: usize = 10_000;
/// How often, and how long, it is waited for children that are ending.
const LOOKS_MAX: usize = 40;
const MOMENT: Duration = Duration::from_micros(50);

/// Ends everything in the Landlock domain of this process, which must be the first one in it, and reaps it. One call reaches all of them while
/// the kernel lets none of them fork, so not even a chain of processes that each start the next and end gets away.
pub(crate) fn end_domain() -> Result<(), Errno> {
    // Outside a domain the same call would end everything that this user has. The parent is outside, and of the same user or the first process.
    if kill(getppid(), None) != Err(Errno::EPERM) {
        return Err(Errno::EPERM);
    }
    loop {
        match kill(Pid::from_raw(-1), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => {}
            Err(errno) => return Err(errno),
        }
        match wait(None, 0) {
            Ok(_) => {}
            // As their subreaper, this process has a child as long as one of them is there.
            Err(Errno::ECHILD) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Ends everything that descends from this process, except what was there before, and reaps it: what is left when the watcher was killed.
pub(crate) fn end_descendants(spared: &BTreeSet<Pid>) -> Result<(), Errno> {
    if spared.is_empty() && all_have_ended()? {
        return Ok(());
    }
    let session = getsid(None)?;
    for _ in 0..PASSES_MAX {
        let below = descendants(spared)?;
        // Stopped first, so that what forks while it is looked for stops forking.
        let mut refused = None;
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in &below {
                // Nobody joins a session: one that began below holds nothing else, and a whole group ends though its members come and go.
                let of_a_session = getsid(Some(*pid)).is_ok_and(|found| found != session);
                let group = if of_a_session { getpgid(Some(*pid)).ok() } else { None };
                group.map(|group| killpg(group, signal));
                match kill(*pid, signal) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    // The others end all the same.
                    Err(errno) => refused = Some(errno),
                }
            }
        }
        if let Some(errno) = refused {
            return Err(errno);
        }
        // Children of ours are reaped here; others become ours when their parent is gone. The table may have missed some that forked while it
        // was read, but then there is a child.
        let flags = if below.is_empty() { libc::WNOHANG } else { 0 };
        match wait(None, flags) {
            Err(Errno::ECHILD) => return Ok(()),
            Ok(None) if !spared.is_empty() => return Ok(()),
            Ok(_) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EAGAIN)
}

/// Reaps what has ended, and what ends within moments, as a watcher does whose tree is gone: then the process table need not be read.
/// As a subreaper, this process has a child as long as one of them is there.
fn all_have_ended() -> Result<bool, Errno> {
    for _ in 0..LOOKS_MAX {
        match wait(None, libc::WNOHANG) {
            Err(Errno::ECHILD) => return Ok(true),
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(MOMENT),
            Err(errno) => return Err(errno),
        }
    }
    Ok(false)
}

/// Whether a process is stopped. Where that cannot be seen, it is taken to be as it was told.
pub(crate) fn is_stopped(pid: Pid) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| {
        let text = String::from_utf8_lossy(&stat);
        // Behind the last bracket, since a name may hold any.
        text.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['T', 't']))
    })
}

/// What this process has as children now.
pub(crate) fn own_children() -> Result<BTreeSet<Pid>, Errno> {
    let none_reaped = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    if waitid(Id::All, none_reaped) == Err(Errno::ECHILD) {
        return Ok(BTreeSet::new());
    }
    let own = Pid::this();
    Ok(parents()?.into_iter().filter(|(_, parent)| *parent == own).map(|(pid, _)| pid).collect())
}

fn descendants(spared: &BTreeSet<Pid>) -> Result<Vec<Pid>, Errno> {
    let parents = parents()?;
    let own = Pid::this();
    let below = |pid: &Pid| {
        let mut next = *pid;
        // A chain of parents is no longer than the table; a pid that was reused while it was read ends here too.
        for _ in 0..=parents.len() {
            if spared.contains(&next) {
                return false;
            }
            match parents.get(&next) {
                Some(parent) if *parent == own => return true,
                Some(parent) => next = *parent,
                None => return false,
            }
        }
        false
    };
    Ok(parents.keys().filter(|pid| below(pid)).copied().collect())
}

/// A table that cannot be read is an error: taken for an empty one, it would leave a tree running.
fn parents() -> Result<BTreeMap<Pid, Pid>, Errno> {
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").map_err(errno)? {
        let Some(pid) = entry.map_err(errno)?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        match fs::read(format!("/proc/{pid}/stat")) {
            Ok(stat) => {
                parents.extend(parent(&String::from_utf8_lossy(&stat)).map(|parent| (Pid::from_raw(pid), parent)));
            }
            // It has ended meanwhile.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {}
            Err(error) => return Err(errno(error)),
        }
    }
    Ok(parents)
}

/// Field 4 of `/proc/PID/stat`, counted from the last bracket of the name. A zombie is none, for its parent reaps it, unless only its first
/// thread has ended and others go on.
fn parent(text: &str) -> Option<Pid> {
    let (_, after) = text.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 20, and what follows the parent is field 5.
    let threads: u64 = fields.nth(15)?.parse().ok()?;
    (state != "Z" || threads > 1).then(|| Pid::from_raw(parent))
}
