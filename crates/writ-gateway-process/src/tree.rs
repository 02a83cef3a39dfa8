//! A governed tree as its gateway sees it: brought to its first instruction, let go, waited for, and ended whatever happens.
//!
//! Three processes: this one (the gateway), a watcher, and the command below the watcher. Gateway and watcher both adopt what is orphaned
//! below them. When the gateway dies, the watcher ends the tree; when the watcher dies, the gateway does; the tree itself can signal neither.

use crate::confinement::{Confinement, Fault, Step};
use crate::executable::{Executable, Program};
use crate::message::{Channel, Difference, FromWatcher, ToWatcher};
use crate::processes::{end_descendants, is_stopped, own_children};
use crate::terminal::{Held, Inherited, Terminal, take_pending};
use crate::watcher;
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{ForkResult, Pid, fork, getpgrp};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use writ_protocol::statement::Ending;
use writ_protocol::{Code, Refusal};

/// What is to run, and how.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The opened file.
    pub program: &'a Program,
    /// The arguments, as they were asked for.
    pub argv: &'a [OsString],
    /// All variables.
    pub variables: &'a [(OsString, OsString)],
    /// The working directory, which is this process's own.
    pub cwd: &'a Path,
    /// What it cannot reach.
    pub confinement: &'a Confinement,
}

/// Why nothing was started, or what is known no more of what was.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StartError {
    #[error("there is nothing to hide from the execution; name the domain's folder")]
    NothingHidden,
    #[error("what the execution must not see cannot be looked up: {0}; mend that and start again")]
    NotHidden(std::io::Error),
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

/// Begins to bring the program to where its first instruction would run, confined and verified, where it is held. That goes on in other
/// processes while this one asks whether it may run at all.
pub fn prepare(plan: &Plan<'_>, inherited: &Inherited) -> Result<Preparing, StartError> {
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
            watcher::watch(plan, &theirs, inherited)
        }
    };
    drop(theirs);
    Ok(Preparing(Tree { channel: Some(ours), watcher, spared, terminal, foreground }))
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

/// A program on its way to its first instruction. Dropped, it is ended before that.
#[derive(Debug)]
#[must_use = "dropping it ends the program before it began"]
pub struct Preparing(Tree);

/// A program at its first instruction. Dropped, it is ended there.
#[derive(Debug)]
#[must_use = "dropping it ends the program before it began"]
pub struct Poised<'held> {
    tree: Tree,
    held: &'held Held,
}

/// A program that runs.
#[derive(Debug)]
#[must_use = "dropping it ends the program"]
pub struct Running<'held> {
    tree: Tree,
    held: &'held Held,
}

/// A program that has ended, and its whole tree with it. What is left is the watcher, which is reaped when this is dropped.
#[derive(Debug)]
pub struct Ended {
    ending: Ending,
    tree: Tree,
}

impl Ended {
    /// How it ended.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Makes sure of it: an error says that something below this process could not be ended.
    pub fn gone(mut self) -> Result<(), StartError> {
        Ok(self.tree.end()?)
    }
}

#[derive(Debug)]
struct Tree {
    /// Until the watcher is let go.
    channel: Option<Channel>,
    watcher: Pid,
    spared: BTreeSet<Pid>,
    terminal: Terminal,
    /// Its job had the terminal when it was last let go.
    foreground: bool,
}

impl Preparing {
    /// Waits until it stands there, and compares it with what was measured. Signals are held from before that, so that none is lost between
    /// the gateway and the command.
    pub fn poised<'held>(self, held: &'held Held, measured: &Executable) -> Result<Poised<'held>, StartError> {
        let channel = self.0.channel()?;
        // A watcher that is gone already may have said why.
        let hears = channel.send(ToWatcher::Held).is_ok();
        match channel.receive()? {
            Some(FromWatcher::Ready(_)) if !hears => Err(StartError::WatcherGone),
            Some(FromWatcher::Ready(content)) if content == *measured.image_digest() => {
                Ok(Poised { tree: self.0, held })
            }
            Some(FromWatcher::Ready(_)) => Err(StartError::Changed(Difference::Content.as_str())),
            Some(FromWatcher::Failed { step: Step::ScriptChanged, .. }) => Err(StartError::Changed("the script")),
            Some(FromWatcher::Failed { step, errno }) => Err(StartError::Step { step: StepName(step), errno }),
            Some(FromWatcher::Differs(what)) => Err(StartError::Changed(what.as_str())),
            Some(FromWatcher::Stopped { .. } | FromWatcher::Ended(_)) | None => Err(StartError::WatcherGone),
        }
    }
}

impl<'held> Poised<'held> {
    /// The process that everything in the tree descends from.
    pub fn watcher_pid(&self) -> u32 {
        u32::try_from(self.tree.watcher.as_raw()).unwrap_or(0)
    }

    /// Lets it run.
    pub fn release(self) -> Result<Running<'held>, StartError> {
        self.tree.channel()?.send(ToWatcher::Go).map_err(|_| StartError::WatcherGone)?;
        Ok(Running { tree: self.tree, held: self.held })
    }
}

impl Drop for Tree {
    /// Nothing of the tree is left after this.
    fn drop(&mut self) {
        // Nobody is left to tell here; who must be told asks before.
        self.end().ok();
        if self.foreground {
            self.terminal.take_back();
        }
    }
}

impl Running<'_> {
    /// Waits until the command has ended and its whole tree is gone, passing signals on meanwhile.
    pub fn wait(mut self) -> Result<Ended, StartError> {
        let ending = loop {
            match self.next()? {
                Next::Signal(signal) => self.send(ToWatcher::Signal(signal)),
                Next::News(FromWatcher::Stopped { command, signal }) => self.stop_likewise(command, signal)?,
                Next::News(FromWatcher::Ended(ending)) => break ending,
                Next::News(FromWatcher::Differs(what)) => return Err(StartError::Ended(Lost(what))),
                Next::News(FromWatcher::Ready(_) | FromWatcher::Failed { .. }) => {}
            }
        };
        // The watcher, of which nothing else is left, ends by itself now, while the end is being recorded.
        self.tree.let_go();
        Ok(Ended { ending, tree: self.tree })
    }

    /// A watcher that is gone is seen by the next look; it may have told before how the command ended.
    fn send(&self, order: ToWatcher) {
        self.tree.channel().and_then(|channel| Ok(channel.send(order)?)).ok();
    }

    fn next(&self) -> Result<Next, StartError> {
        let channel = self.tree.channel()?;
        loop {
            if channel.wait_beside(self.held.descriptor())? {
                return match channel.receive()? {
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
    fn stop_likewise(&mut self, command: Pid, signal: Signal) -> Result<(), StartError> {
        let asked_for_terminal = matches!(signal, Signal::SIGTTIN | Signal::SIGTTOU);
        if asked_for_terminal && self.tree.terminal.is_ours() {
            // Its job was brought to the foreground before the shell could see it stop, or it has left the group that was. It goes on at once,
            // by what a shell would send, since no shell will: for it the job runs.
            self.send(ToWatcher::Go);
            return Ok(killpg(getpgrp(), Signal::SIGCONT)?);
        }
        let stopped = self.held.stop_by(signal, || is_stopped(command))?;
        self.send(ToWatcher::Go);
        // Before anything else is heard of: it belongs to this stop and not to the next.
        if take_pending(&[Signal::SIGCONT]) {
            self.send(ToWatcher::Signal(Signal::SIGCONT));
        }
        if !stopped {
            // No shell is left that could continue it: to ask for the terminal is then its end, as where the kernel finds such a job.
            let told =
                if asked_for_terminal { [Signal::SIGHUP, Signal::SIGCONT].as_slice() } else { &[Signal::SIGCONT] };
            for signal in told {
                self.send(ToWatcher::Signal(*signal));
            }
        }
        self.tree.foreground = self.tree.terminal.is_ours();
        Ok(())
    }
}

enum Next {
    Signal(Signal),
    News(FromWatcher),
}

impl Tree {
    fn channel(&self) -> Result<&Channel, StartError> {
        self.channel.as_ref().ok_or(StartError::WatcherGone)
    }

    /// Ends what is left. Whatever the watcher leaves, this process ends.
    fn end(&mut self) -> Result<(), Errno> {
        self.let_go();
        end_descendants(&self.spared)
    }

    /// The watcher ends the tree, and itself, when nobody holds the other end.
    fn let_go(&mut self) {
        self.channel = None;
    }
}

impl From<Fault> for FromWatcher {
    fn from(fault: Fault) -> Self {
        Self::Failed { step: fault.step, errno: fault.errno }
    }
}
