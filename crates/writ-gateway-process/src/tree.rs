//! A governed tree as its gateway sees it: brought to its first instruction, let go, waited for, and ended whatever happens.
//!
//! Three processes: this one (the gateway), a watcher, and the command below the watcher. Gateway and watcher both adopt what is orphaned
//! below them. When the gateway dies, the watcher ends the tree; when the watcher dies, the gateway does; the tree itself can signal neither.

use crate::confinement::{Confinement, Fault, Step};
use crate::executable::Executable;
use crate::message::{Channel, Difference, FromWatcher, ToWatcher};
use crate::processes::{end_descendants, own_children};
use crate::terminal::Foreground;
use crate::watcher;
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{ForkResult, Pid, fork};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use writ_protocol::action::Exec;
use writ_protocol::statement::Ending;
use writ_protocol::{Code, Refusal};

/// Signals that end or steer a command when they are sent to whoever runs it.
const FORWARDED: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGALRM,
    Signal::SIGCONT,
];
/// Signals of the terminal that would stop this process before the command has put the terminal in order.
const HELD_BACK: &[Signal] = &[Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

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
pub fn prepare(plan: &Plan<'_>) -> Result<Poised, StartError> {
    plan.confinement.admits(plan.cwd)?;
    streams_lead_nowhere()?;
    let spared = own_children()?;
    let foreground = Foreground::remember();
    set_child_subreaper(true)?;
    let signals = Signals::take()?;
    let (ours, theirs) = Channel::pair()?;
    // SAFETY: this process has one thread (the caller's event loop starts none), so the child may do whatever its parent could.
    let watcher = match unsafe { fork() }? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            drop(ours);
            watcher::watch(plan, &theirs, &signals.original)
        }
    };
    drop(theirs);
    let mut poised = Poised(Some(Tree { channel: ours, watcher, spared, signals, foreground }));
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
pub struct Poised(Option<Tree>);

/// A program that runs.
#[derive(Debug)]
#[must_use = "dropping it ends the program"]
pub struct Running(Option<Tree>);

#[derive(Debug)]
struct Tree {
    channel: Channel,
    watcher: Pid,
    spared: BTreeSet<Pid>,
    signals: Signals,
    foreground: Foreground,
}

impl Poised {
    fn tree(&mut self) -> Result<&mut Tree, StartError> {
        self.0.as_mut().ok_or(StartError::WatcherGone)
    }

    /// The process that everything in the tree descends from.
    pub fn watcher_pid(&self) -> u32 {
        self.0.as_ref().and_then(|tree| u32::try_from(tree.watcher.as_raw()).ok()).unwrap_or(0)
    }

    /// Lets it run.
    pub fn release(mut self) -> Result<Running, StartError> {
        let tree = self.0.take().ok_or(StartError::WatcherGone)?;
        let running = Running(Some(tree));
        running.tree()?.channel.send(ToWatcher::Go).map_err(|_| StartError::WatcherGone)?;
        Ok(running)
    }
}

impl Drop for Poised {
    fn drop(&mut self) {
        if let Some(tree) = self.0.take() {
            tree.end().ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(tree) = self.0.take() {
            tree.end().ok();
        }
    }
}

impl Running {
    fn tree(&self) -> Result<&Tree, StartError> {
        self.0.as_ref().ok_or(StartError::WatcherGone)
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
            tree.foreground.restore();
            tree.end()?;
        }
        ended
    }
}

enum Next {
    Signal(Signal),
    News(FromWatcher),
}

impl Tree {
    fn next(&self) -> Result<Next, StartError> {
        loop {
            if self.channel.wait_beside(&self.signals.descriptor)? {
                return match self.channel.receive()? {
                    Some(news) => Ok(Next::News(news)),
                    None => Err(StartError::WatcherGone),
                };
            }
            if let Some(found) = self.signals.descriptor.read_signal()?
                // What the kernel sends for the terminal has reached the command's group already.
                && found.ssi_code != libc::SI_KERNEL
                && let Ok(signal) = Signal::try_from(i32::try_from(found.ssi_signo).unwrap_or(0))
                && FORWARDED.contains(&signal)
            {
                return Ok(Next::Signal(signal));
            }
        }
    }

    /// The command has stopped itself, or was stopped: whoever runs this process sees it stop too, and can let both go on.
    fn stop_likewise(&self, _signal: Signal) -> Result<(), StartError> {
        let command = Foreground::remember();
        self.foreground.restore();
        raise(Signal::SIGSTOP)?;
        // Someone has continued this process. The command is told so once, or a stop that comes next would be undone.
        forget(Signal::SIGCONT);
        command.restore();
        self.channel.send(ToWatcher::Signal(Signal::SIGCONT)).map_err(|_| StartError::WatcherGone)
    }

    /// Nothing of the tree is left when this returns.
    fn end(self) -> Result<(), StartError> {
        // The watcher ends the tree when nobody holds the other end; whatever it leaves, this process ends.
        drop(self.channel);
        Ok(end_descendants(&self.spared)?)
    }
}

/// Takes a blocked signal that waits to be read, if it does.
fn forget(signal: Signal) {
    let mut set = SigSet::empty();
    set.add(signal);
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: set and time live through the call, and nothing is written where no place is given.
    unsafe { libc::sigtimedwait(set.as_ref(), std::ptr::null_mut(), &raw const now) };
}

/// Signals that are read instead of acted on, and how they were before.
#[derive(Debug)]
struct Signals {
    descriptor: SignalFd,
    original: SigSet,
}

impl Signals {
    fn take() -> Result<Self, Errno> {
        let mut taken = SigSet::empty();
        for signal in FORWARDED {
            taken.add(*signal);
        }
        let read = taken;
        for signal in HELD_BACK {
            taken.add(*signal);
        }
        let mut original = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&taken), Some(&mut original))?;
        let descriptor = SignalFd::with_flags(&read, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { descriptor, original })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.original), None).ok();
    }
}

impl From<Fault> for FromWatcher {
    fn from(fault: Fault) -> Self {
        Self::Failed { step: fault.step, errno: fault.errno }
    }
}
