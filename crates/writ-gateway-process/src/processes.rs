//! The processes below this one, and their end.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Passes over the process table before this is given up; each ends everything that it sees.
const PASSES_MAX: usize = 10_000;

/// Ends everything that descends from this process, except what was there before, and reaps it. As its subreaper this process inherits
/// whatever is orphaned, so nothing gets away: a process that is missed in one pass has this one as an ancestor still.
pub(crate) fn end_descendants(spared: &BTreeSet<Pid>) -> Result<(), Errno> {
    for _ in 0..PASSES_MAX {
        let below = descendants(spared)?;
        if below.is_empty() {
            return Ok(());
        }
        // Stopped first, so that what forks while it is looked for stops forking.
        let mut refused = None;
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in &below {
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
        // Children of ours are reaped here; others become ours when their parent is gone.
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EAGAIN)
}

/// What this process has as children now.
pub(crate) fn own_children() -> Result<BTreeSet<Pid>, Errno> {
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
