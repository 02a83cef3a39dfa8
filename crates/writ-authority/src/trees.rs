//! Which processes of this machine are governed, and by which execution.
//!
//! A gateway that starts an execution names its watcher: the process that all of the tree descends from, whatever is orphaned in it (it is
//! their subreaper). A caller that descends from a watcher *is* that execution. The tree also runs in a mount namespace of its own,
//! which it cannot leave: a caller from another mount namespace whose execution is not known here is nobody (Invariant 13).

use crate::caller::Local;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use writ_protocol::entry::{AssertedPrincipal, EntryRef};
use writ_protocol::{Code, ExecutionId, Refusal};

/// More generations than any tree of processes has.
const GENERATIONS_MAX: usize = 4096;

/// An execution under way on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Governed {
    /// Which.
    pub(crate) execution: ExecutionId,
    /// Its grant: the cause of whatever it asks for.
    pub(crate) parent: EntryRef,
    /// The grant at the beginning of its lineage.
    pub(crate) origin: EntryRef,
    /// Who acts there.
    pub(crate) by: AssertedPrincipal,
    /// How deep it is itself.
    pub(crate) depth: u64,
    /// The mandate that it is under, and whatever it causes.
    pub(crate) mandate: Option<EntryRef>,
    /// Who it acts as.
    pub(crate) principal: AssertedPrincipal,
}

/// One life of a process: its number, and when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    pid: u32,
    started: u64,
}

impl Process {
    fn lives(self) -> bool {
        stat(self.pid).is_some_and(|found| found.started == self.started)
    }
}

/// The trees that are known.
#[derive(Debug, Default)]
pub(crate) struct Trees {
    live: Mutex<BTreeMap<Process, Governed>>,
    /// How many have begun.
    begun: AtomicU64,
}

/// What a connection's process was found to be part of. It holds until another tree begins: a process has its ancestors from birth.
#[derive(Debug, Default)]
pub struct Descent(Mutex<Option<Box<Found>>>);

#[derive(Clone, Debug)]
struct Found {
    /// How many trees had begun before it was looked for.
    begun: u64,
    governed: Option<Governed>,
}

impl Trees {
    /// From here on, what descends from `watcher` is this execution. The watcher must be a child of the gateway that says so.
    pub(crate) fn begin(&self, gateway: &Local<'_>, watcher: u32, governed: Governed) -> Result<(), Refusal> {
        let refused = |why: String| Refusal::new(Code::LineageBroken, why);
        let found = stat(watcher).ok_or_else(|| refused(format!("there is no watcher process {watcher}")))?;
        if found.parent != gateway.pid {
            return Err(refused(format!("the watcher {watcher} is no child of the gateway's process {}", gateway.pid)));
        }
        still_there(gateway)?;
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|process, _| process.lives());
        live.insert(Process { pid: watcher, started: found.started }, governed);
        self.begun.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// How many there are. An execution that has ended stays one as long as processes of it are left: what they ask is refused, since
    /// their cause has ended.
    pub(crate) fn count(&self) -> usize {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|process, _| process.lives());
        live.len()
    }

    /// The execution that a caller is part of; `None` for a caller that nothing governs. Doubt is a refusal.
    pub(crate) fn of(&self, caller: &Local<'_>) -> Result<Option<Governed>, Refusal> {
        let begun = self.begun.load(Ordering::Acquire);
        let mut known = caller.descent.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.as_ref().filter(|found| found.begun == begun) {
            still_lives(caller)?;
            return Ok(found.governed.clone());
        }
        let governed = self.walk(caller)?;
        *known = Some(Box::new(Found { begun, governed: governed.clone() }));
        Ok(governed)
    }

    fn walk(&self, caller: &Local<'_>) -> Result<Option<Governed>, Refusal> {
        let nobody = |why: &str| Refusal::new(Code::Unauthenticated, format!("process {}: {why}", caller.pid));
        let mut next = caller.pid;
        let mut found = None;
        for _ in 0..GENERATIONS_MAX {
            if next == 0 {
                break;
            }
            let process =
                stat(next).ok_or_else(|| nobody("it or a parent of it is gone, so nobody can say who asks"))?;
            let life = Process { pid: next, started: process.started };
            found = self.live.lock().unwrap_or_else(PoisonError::into_inner).get(&life).cloned();
            if found.is_some() {
                break;
            }
            next = process.parent;
        }
        if found.is_none() && next != 0 {
            return Err(nobody("it has too many ancestors"));
        }
        if found.is_none() && mount_namespace("self") != mount_namespace(&caller.pid.to_string()) {
            return Err(nobody(
                "it runs in another mount namespace, as part of no execution known here; ask over the network, with a signed request",
            ));
        }
        still_there(caller)?;
        Ok(found)
    }
}

/// The process that connected still lives, so what was read under its number was its own.
fn still_there(caller: &Local<'_>) -> Result<(), Refusal> {
    let nobody = |why: &str| Refusal::new(Code::Unauthenticated, format!("process {}: {why}", caller.pid));
    let Some(pidfd) = &caller.pidfd else {
        return Err(nobody(
            "this kernel gives no handle on it (Linux 6.5 or later does); ask over the network, with a signed request",
        ));
    };
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap_or_default();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).map(str::trim);
    if pid == Some(caller.pid.to_string().as_str()) {
        return Ok(());
    }
    Err(nobody("it has ended since it connected"))
}

/// As [`still_there`], of a process whose number was compared before.
fn still_lives(caller: &Local<'_>) -> Result<(), Refusal> {
    let gone =
        || Refusal::new(Code::Unauthenticated, format!("process {}: it has ended since it connected", caller.pid));
    let pidfd = caller.pidfd.ok_or_else(gone)?;
    let mut asked = [PollFd::new(pidfd, PollFlags::POLLIN)];
    match poll(&mut asked, PollTimeout::ZERO) {
        Ok(0) => Ok(()),
        Ok(_) | Err(_) => Err(gone()),
    }
}

/// `None` also when it cannot be read: then it equals no other.
fn mount_namespace(pid: &str) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()
}

struct Stat {
    parent: u32,
    started: u64,
}

/// Field 4 and 22 of `/proc/PID/stat`; the name in field 2 may hold anything, so fields are counted from its last bracket.
fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    let (_, after) = text.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?;
    // A zombie asks for nothing any more.
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    (state != "Z" && state != "X").then_some(Stat { parent, started })
}

#[cfg(test)]
mod tests;
