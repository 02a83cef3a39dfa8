//! A governed tree as its gateway sees it: brought to its first instruction, let go, waited for, and ended whatever happens.
//!
//! Three processes: this one (the gateway), a watcher, and the command below the watcher. Gateway and watcher both adopt what is orphaned
//! below them. When the gateway dies, the watcher ends the tree; when the watcher dies, the gateway does; the tree itself can signal neither.

use crate::confinement::{Confinement, Fault, Step};
use crate::executable::Executable;
use crate::message::{Channel, Difference, FromWatcher, ToWatcher};
use crate::processes::{end_descendants, own_children};
use crate::terminal::{Held, Terminal, take_pending};
use crate::watcher;
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{ForkResult, Pid, fork, getpgrp};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use writ_protocol::action::Exec;
use writ_protocol::statement::Ending;
use writ_protocol::{Code, Refusal};

/// What is to run, and how.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The opened file.
    pub executable: &'a Executable,
    /// The arguments, as they were asked for.
    pub argv: &'a [OsString],
    /// All variables.
    pub variables: &'a [(OsString, OsString)],
    /// The working directory, which is this process's own.
    pub cwd: &'a Path,
    /// What it cannot reach.
    pub confinement: &'a Confinement,
    /// What was granted.
    pub expected: &'a Exec,
}

/// Why nothing was started, or what is known no more of what was.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StartError {
    #[error("there is nothing to hide from the execution; name the domain's folder")]
    NothingHidden,
    #[error("{} is not there to be covered; look who has moved it", .0.display())]
    HiddenGone(PathBuf),
    #[error("{} is inside what the execution must not see; start from another folder", .0.display())]
    InsideHidden(PathBuf),
    #[error("standard output or error is a folder; give it a file, a pipe or a terminal")]
    FolderAsStream,
    #[error("the kernel refused {}: {errno}", step.as_str())]
    Step {
        #[doc(hidden)]
        step: StepName,
        errno: Errno,
    },
    #[error("what is about to run is not what was measured any more: {0}; start again")]
    Changed(&'static str),
    #[error("{}, so the execution was ended; {}; then start again", .0.what(), .0.remedy())]
    Ended(Lost),
    #[error("the watcher of the execution is gone, so the execution was ended")]
    WatcherGone,
    #[error("a process for the execution cannot be made: {0}; see the limits on processes and memory")]
    System(#[from] Errno),
}

/// The name of a step, for a message.
#[derive(Clone, Copy, Debug)]
pub struct StepName(Step);

impl StepName {
    fn as_str(self) -> &'static str {
        self.0.as_str()
    }
}

/// What was found about a script whose interpreter ran already.
#[derive(Clone, Copy, Debug)]
pub struct Lost(Difference);

impl Lost {
    fn what(self) -> &'static str {
        self.0.as_str()
    }

    fn remedy(self) -> &'static str {
        match self.0 {
            Difference::Unseen => "give this user read permission for its interpreter",
            Difference::Image | Difference::Content | Difference::Arguments | Difference::Script => {
                "find out who writes to the folders that its name leads through"
            }
        }
    }
}

impl StartError {
    /// How an execution that had begun has ended.
    pub fn ending(&self) -> Code {
        if matches!(self, Self::Ended(_)) { Code::IntegrityFailure } else { Code::Internal }
    }

    /// As a refusal.
    pub fn refusal(&self) -> Refusal {
        Refusal::new(Code::IntegrityFailure, self.to_string())
    }
}

/// Brings the program to where its first instruction would run, confined and verified, and holds it there.
pub fn prepare<'held>(plan: &Plan<'_>, held: &'held Held) -> Result<Poised<'held>, StartError> {
    plan.confinement.admits(plan.cwd)?;
    streams_lead_nowhere()?;
    let spared = own_children()?;
    let terminal = Terminal::controlling();
    let foreground = terminal.is_ours();
    set_child_subreaper(true)?;
    let (ours, theirs) = Channel::pair()?;
    // SAFETY: this process has one thread (the caller's event loop starts none), so the child may do whatever its parent could.
    let watcher = match unsafe { fork() }? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            drop(ours);
            watcher::watch(plan, &theirs, held.inherited())
        }
    };
    drop(theirs);
    let mut poised = Poised(Some(Tree { channel: ours, watcher, spared, held, terminal, foreground }));
    match poised.tree()?.channel.receive()? {
        Some(FromWatcher::Ready) => Ok(poised),
        Some(FromWatcher::Failed { step: Step::ScriptChanged, .. }) => Err(StartError::Changed("the script")),
        Some(FromWatcher::Failed { step, errno }) => Err(StartError::Step { step: StepName(step), errno }),
        Some(FromWatcher::Differs(what)) => Err(StartError::Changed(what.as_str())),
        Some(FromWatcher::Stopped(_) | FromWatcher::Ended(_)) | None => Err(StartError::WatcherGone),
    }
}

/// A folder as a stream would lead past the covers.
fn streams_lead_nowhere() -> Result<(), StartError> {
    use std::os::fd::AsFd;
    let is_folder = |found: Result<nix::sys::stat::FileStat, Errno>| {
        found.is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFDIR)
    };
    let (out, err) = (std::io::stdout(), std::io::stderr());
    if is_folder(nix::sys::stat::fstat(out.as_fd())) || is_folder(nix::sys::stat::fstat(err.as_fd())) {
        return Err(StartError::FolderAsStream);
    }
    Ok(())
}

/// A program at its first instruction. Dropped, it is ended there.
#[derive(Debug)]
#[must_use = "dropping it ends the program before it began"]
pub struct Poised<'held>(Option<Tree<'held>>);

/// A program that runs.
#[derive(Debug)]
#[must_use = "dropping it ends the program"]
pub struct Running<'held>(Option<Tree<'held>>);

#[derive(Debug)]
struct Tree<'held> {
    channel: Channel,
    watcher: Pid,
    spared: BTreeSet<Pid>,
    held: &'held Held,
    terminal: Terminal,
    /// Its job had the terminal when it was last let go.
    foreground: bool,
}

impl<'held> Poised<'held> {
    fn tree(&mut self) -> Result<&mut Tree<'held>, StartError> {
        self.0.as_mut().ok_or(StartError::WatcherGone)
    }

    /// The process that everything in the tree descends from.
    pub fn watcher_pid(&self) -> u32 {
        self.0.as_ref().and_then(|tree| u32::try_from(tree.watcher.as_raw()).ok()).unwrap_or(0)
    }

    /// Lets it run.
    pub fn release(mut self) -> Result<Running<'held>, StartError> {
        let tree = self.0.take().ok_or(StartError::WatcherGone)?;
        let mut running = Running(Some(tree));
        running.tree()?.channel.send(ToWatcher::Go).map_err(|_| StartError::WatcherGone)?;
        Ok(running)
    }
}

impl Drop for Poised<'_> {
    fn drop(&mut self) {
        if let Some(tree) = self.0.take() {
            tree.end().ok();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(tree) = self.0.take() {
            tree.end().ok();
        }
    }
}

impl<'held> Running<'held> {
    fn tree(&mut self) -> Result<&mut Tree<'held>, StartError> {
        self.0.as_mut().ok_or(StartError::WatcherGone)
    }

    /// Waits until the command has ended and its whole tree is gone, passing signals on meanwhile.
    pub fn wait(mut self) -> Result<Ending, StartError> {
        let tree = self.tree()?;
        let ended = loop {
            match tree.next()? {
                Next::Signal(signal) => {
                    // A watcher that is gone is seen by the next look.
                    tree.channel.send(ToWatcher::Signal(signal)).ok();
                }
                Next::News(FromWatcher::Stopped(signal)) => tree.stop_likewise(signal)?,
                Next::News(FromWatcher::Ended(ending)) => break Ok(ending),
                Next::News(FromWatcher::Differs(what)) => break Err(StartError::Ended(Lost(what))),
                Next::News(FromWatcher::Ready | FromWatcher::Failed { .. }) => {}
            }
        };
        if let Some(tree) = self.0.take() {
            tree.end()?;
        }
        ended
    }
}

enum Next {
    Signal(Signal),
    News(FromWatcher),
}

impl Tree<'_> {
    fn next(&self) -> Result<Next, StartError> {
        loop {
            if self.channel.wait_beside(self.held.descriptor())? {
                return match self.channel.receive()? {
                    Some(news) => Ok(Next::News(news)),
                    None => Err(StartError::WatcherGone),
                };
            }
            if let Some(signal) = self.held.read()? {
                return Ok(Next::Signal(signal));
            }
        }
    }

    /// The command has stopped itself, or was stopped: whoever runs this process sees it stop by the same signal, and can let both go on.
    fn stop_likewise(&mut self, signal: Signal) -> Result<(), StartError> {
        let asked_for_terminal = matches!(signal, Signal::SIGTTIN | Signal::SIGTTOU);
        // A watcher that is gone is seen by the next look, here and below; it may have told before how the command ended.
        let send = |order| self.channel.send(order).ok();
        if asked_for_terminal && self.terminal.is_ours() {
            // Its job was brought to the foreground before the shell could see it stop, or it has left the group that was. It goes on at once,
            // by what a shell would send, since no shell will: for it the job runs.
            send(ToWatcher::Go);
            return Ok(killpg(getpgrp(), Signal::SIGCONT)?);
        }
        let stopped = self.held.stop_by(signal)?;
        send(ToWatcher::Go);
        // Before anything else is heard of: it belongs to this stop and not to the next.
        if take_pending(&[Signal::SIGCONT]) {
            send(ToWatcher::Signal(Signal::SIGCONT));
        }
        if !stopped {
            // No shell is left that could continue it: to ask for the terminal is then its end, as where the kernel finds such a job.
            let told =
                if asked_for_terminal { [Signal::SIGHUP, Signal::SIGCONT].as_slice() } else { &[Signal::SIGCONT] };
            for signal in told {
                send(ToWatcher::Signal(*signal));
            }
        }
        self.foreground = self.terminal.is_ours();
        Ok(())
    }

    /// Nothing of the tree is left when this returns.
    fn end(self) -> Result<(), StartError> {
        // The watcher ends the tree when nobody holds the other end; whatever it leaves, this process ends.
        drop(self.channel);
        let ended = end_descendants(&self.spared);
        if self.foreground {
            self.terminal.take_back();
        }
        Ok(ended?)
    }
}

impl From<Fault> for FromWatcher {
    fn from(fault: Fault) -> Self {
        Self::Failed { step: fault.step, errno: fault.errno }
    }
}
