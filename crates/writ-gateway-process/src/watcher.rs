//! The watcher, a process between gateway and command. It holds the command at its first instruction until the gateway says go, adopts what
//! is orphaned below it, and ends the tree when the command has ended or the gateway is gone.

use crate::confinement::{Fault, Step, landlock};
use crate::executable::hash;
use crate::message::{Channel, Difference, FromWatcher, ToWatcher};
use crate::processes::end_domain;
use crate::script::{Awaited, Identity, Look};
use crate::terminal::{Inherited, Steering, default_action, forget_pending};
use crate::trace::{News, Pace, Stop, go_on, wait};
use crate::tree::Plan;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sched::sched_yield;
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::ptrace;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::fstat;
use nix::unistd::{ForkResult, Pid, execveat, fork, getppid, pipe2};
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use writ_protocol::statement::{Ending, Signal as SignalNumber};
use writ_tlog::Hash;

/// Looks at a traced command without sleeping in between: to be woken takes longer than most calls do.
const LOOKS_MAX: u32 = 200;
/// Stops of a traced command until the gateway is heard again.
const STOPS_MAX: u32 = 256;

/// Runs as the watcher and never returns.
pub(crate) fn watch(plan: &Plan<'_>, gateway: &Channel, inherited: &Inherited) -> ! {
    // What the watcher may signal is from now on what descends from it, and nothing else, so that it can end all of that at once.
    if let Err(fault) = landlock() {
        gateway.tell(fault.into()).ok();
        // SAFETY: as below; nothing was started.
        unsafe { libc::_exit(1) }
    }
    let outcome = Watcher::begin(plan, gateway, inherited).and_then(|watcher| watcher.run(gateway));
    // Whatever there is below it ends with it, before anybody is told.
    end_domain().ok();
    let status = match outcome {
        Ok(()) => 0,
        Err(news) => {
            gateway.tell(news).ok();
            1
        }
    };
    // SAFETY: ends this process at once, without running what its parent had registered for its own end.
    unsafe { libc::_exit(status) }
}

struct Watcher {
    command: Pid,
    children: SignalFd,
    /// A script that the command has not opened yet; until it has, the command is traced.
    awaited: Option<Awaited>,
    steering: Steering,
    _mounts: Option<File>,
}

impl Watcher {
    /// Starts the command and holds it at its first instruction, verified.
    fn begin(plan: &Plan<'_>, gateway: &Channel, inherited: &Inherited) -> Result<Self, FromWatcher> {
        let failed = |step: Step| move |errno: Errno| FromWatcher::Failed { step, errno };
        set_child_subreaper(true).map_err(failed(Step::Parent))?;
        // The terminal's signals are for the command; the watcher goes on until the tree is gone.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).map_err(failed(Step::Parent))?;
        let mut child = SigSet::empty();
        child.add(Signal::SIGCHLD);
        let children = SignalFd::with_flags(&child, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
        let children = children.map_err(failed(Step::Parent))?;
        let (reading, writing) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(failed(Step::Parent))?;
        let (seized, seizing) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(failed(Step::Parent))?;
        let own = Pid::this();
        // SAFETY: the watcher has one thread, as its parent had, so its child may do whatever it could.
        let command = match unsafe { fork() }.map_err(failed(Step::Parent))? {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                drop((reading, seizing));
                let mut report = File::from(writing);
                let Err(fault) = become_command(plan, own, inherited, seized, &mut report);
                give_in(report, &fault);
            }
        };
        drop((writing, seized));
        // Seized and not told to trace itself, it can be stopped as any other while it is traced.
        let options = ptrace::Options::PTRACE_O_EXITKILL
            | ptrace::Options::PTRACE_O_TRACEEXEC
            | ptrace::Options::PTRACE_O_TRACESYSGOOD;
        ptrace::seize(command, options).map_err(failed(Step::Trace))?;
        // It may have died; that is seen next.
        File::from(seizing).write_all(&[0]).ok();
        // In this order: a signal that comes before the exec stops the command while it has the pipe open still.
        let held = held(command);
        let copy = reported(reading)?;
        held?;
        // Held here, what is mounted for the tree is taken down when the watcher ends, while the end of the command is being recorded.
        let mounts = File::open(format!("/proc/{command}/ns/mnt")).ok();
        let content = verified(plan, command)?;
        let (asked, resolved) = (plan.program.asked(), plan.program.path());
        let awaited = copy.map(|copy| Awaited::new(command, plan.cwd, asked, resolved, copy)).transpose();
        let awaited = awaited.map_err(failed(Step::Trace))?;
        gateway.tell(FromWatcher::Ready(content)).map_err(failed(Step::Parent))?;
        loop {
            match gateway.told() {
                Ok(Some(ToWatcher::Held)) => forget_pending(),
                Ok(Some(ToWatcher::Go)) => break,
                // The gateway is gone, or wants something that only a running command can do.
                Ok(Some(ToWatcher::Signal(_)) | None) | Err(_) => return Err(failed(Step::Parent)(Errno::ESRCH)),
            }
        }
        let pace = if awaited.is_some() { Pace::Calls } else { Pace::Detached };
        go_on(command, pace, 0).map_err(failed(Step::Trace))?;
        Ok(Self { command, children, awaited, steering: Steering::of(command), _mounts: mounts })
    }

    /// Until the command has ended or the gateway is gone.
    fn run(mut self, gateway: &Channel) -> Result<(), FromWatcher> {
        let failed = |errno| FromWatcher::Failed { step: Step::Parent, errno };
        loop {
            if let Some(ending) = self.look(gateway)? {
                // Nothing stays behind: what the command has left running ends before its end is told.
                end_domain().map_err(failed)?;
                return gateway.tell(FromWatcher::Ended(ending)).map_err(failed);
            }
            if gateway.wait_beside(&self.children).map_err(failed)? {
                match gateway.told().map_err(failed)? {
                    Some(ToWatcher::Signal(signal)) => self.steering.pass_on(signal),
                    Some(ToWatcher::Go) => self.steering.goes_on(),
                    // Told once, before the first instruction.
                    Some(ToWatcher::Held) => {}
                    // Invariant 7: an execution never outlives its gateway.
                    None => return Ok(()),
                }
            } else {
                self.children.read_signal().map_err(failed)?;
            }
        }
    }

    /// Reaps whatever has ended; says how the command did.
    fn look(&mut self, gateway: &Channel) -> Result<Option<Ending>, FromWatcher> {
        let (mut stops, mut looks) = (0, 0);
        loop {
            let news = match wait(None, libc::WNOHANG | libc::WUNTRACED) {
                Ok(Some((pid, news))) if pid == self.command => news,
                Ok(Some(_)) => continue,
                Ok(None) if self.awaited.is_some() && looks < LOOKS_MAX && stops < STOPS_MAX => {
                    looks += 1;
                    sched_yield().ok();
                    continue;
                }
                Ok(None) | Err(Errno::ECHILD) => return Ok(None),
                Err(errno) => return Err(FromWatcher::Failed { step: Step::Parent, errno }),
            };
            match (news, self.awaited.take()) {
                (News::Exited(status), _) => {
                    return Ok(Some(Ending::Exited(u8::try_from(status & 0xff).unwrap_or(u8::MAX))));
                }
                (News::Killed(signal), _) => {
                    let number = u8::try_from(signal).ok().and_then(SignalNumber::new);
                    return Ok(Some(number.map_or(Ending::Unknown, Ending::Signaled)));
                }
                (News::Stopped { signal, .. }, None) => self.stopped(gateway, signal),
                (News::Stopped { signal, event }, Some(awaited)) => {
                    self.awaited = self.traced(gateway, awaited, Stop::of(signal, event))?;
                    (stops, looks) = (stops + 1, 0);
                }
            }
        }
    }

    /// Looks at what the command does, and lets it go on; returns the script that is still awaited.
    fn traced(&self, gateway: &Channel, mut awaited: Awaited, stop: Stop) -> Result<Option<Awaited>, FromWatcher> {
        let failed = |errno| FromWatcher::Failed { step: Step::Trace, errno };
        let (look, pace, signal) = match stop {
            Stop::Exec => (awaited.at_exec(), Pace::Calls, 0),
            Stop::Call => match awaited.at_call() {
                // It was killed meanwhile, which is seen next.
                Err(Errno::ESRCH) => return Ok(Some(awaited)),
                look => (look.map_err(failed)?, Pace::Calls, 0),
            },
            Stop::Signal(signal) => (Look::Further, Pace::Calls, signal),
            Stop::Group(_) => (Look::Further, Pace::Listening, 0),
            Stop::Other => (Look::Further, Pace::Calls, 0),
        };
        let (pace, awaited) = match look {
            Look::Further => (pace, Some(awaited)),
            Look::Done => (Pace::Detached, None),
            // It stands where it has not got the file yet, and ends there with all that it has started.
            Look::Replaced => return Err(FromWatcher::Differs(Difference::Script)),
            Look::Unseen => return Err(FromWatcher::Differs(Difference::Unseen)),
        };
        go_on(self.command, pace, signal).map_err(failed)?;
        if let Stop::Group(signal) = stop {
            self.stopped(gateway, signal);
        }
        Ok(awaited)
    }

    /// Only signals that have names stop a process.
    fn stopped(&self, gateway: &Channel, signal: i32) {
        if let Ok(signal) = Signal::try_from(signal) {
            self.steering.stopped();
            gateway.tell(FromWatcher::Stopped { command: self.command, signal }).ok();
        }
    }
}

/// Waits until the command stands at its exec.
fn held(command: Pid) -> Result<(), FromWatcher> {
    let failed = |errno| FromWatcher::Failed { step: Step::Trace, errno };
    loop {
        let Some((_, News::Stopped { signal, event })) = wait(Some(command), 0).map_err(failed)? else {
            return Err(failed(Errno::ESRCH));
        };
        let signal = match Stop::of(signal, event) {
            Stop::Exec => return Ok(()),
            Stop::Signal(signal) => signal,
            Stop::Group(_) | Stop::Call | Stop::Other => 0,
        };
        go_on(command, Pace::Free, signal).map_err(failed)?;
    }
}

/// Invariant 12: what stands at its first instruction is the file that was opened, with the arguments that were asked for. From the exec on the
/// kernel lets nobody write to it; returned is its content, which the gateway compares with what was granted.
fn verified(plan: &Plan<'_>, command: Pid) -> Result<Hash, FromWatcher> {
    let failed = |errno| FromWatcher::Failed { step: Step::Trace, errno };
    let differs = |what| Err(FromWatcher::Differs(what));
    let image = plan.program.image();
    let opened = fstat(image).map_err(failed)?;
    let running = File::open(format!("/proc/{command}/exe")).map_err(|_| failed(Errno::EACCES))?;
    let found = fstat(running.as_fd()).map_err(failed)?;
    if (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino) {
        return differs(Difference::Image);
    }
    let mut cmdline = Vec::new();
    let read = File::open(format!("/proc/{command}/cmdline")).and_then(|mut file| file.read_to_end(&mut cmdline));
    read.map_err(|_| failed(Errno::EACCES))?;
    let argv: Vec<Vec<u8>> = plan.argv.iter().map(|argument| argument.as_bytes().to_vec()).collect();
    let mut wanted: Vec<u8> = Vec::new();
    for argument in plan.program.kernel_argv(&argv) {
        wanted.extend_from_slice(&argument);
        wanted.push(0);
    }
    if cmdline != wanted {
        return differs(Difference::Arguments);
    }
    Ok(hash(&running).map_err(|_| failed(Errno::EIO))?.0)
}

/// Becomes the command: confined, held by the watcher, with the streams, variables, limits and signals that the gateway was given.
fn become_command(
    plan: &Plan<'_>,
    watcher: Pid,
    inherited: &Inherited,
    seized: OwnedFd,
    report: &mut File,
) -> Result<Infallible, Fault> {
    let at = |step: Step| move |errno: Errno| Fault { step, errno };
    set_pdeathsig(Signal::SIGKILL).map_err(at(Step::Parent))?;
    if getppid() != watcher {
        return Err(Fault { step: Step::Parent, errno: Errno::ESRCH });
    }
    File::from(seized).read_exact(&mut [0]).map_err(|_| at(Step::Trace)(Errno::EPERM))?;
    let asked =
        File::from(plan.program.asked_file().try_clone_to_owned().map_err(|_| at(Step::Script)(Errno::EMFILE))?);
    let path = plan.program.path();
    let script = plan.program.script().map(|digest| (path, &asked, digest));
    if let Some(copy) = plan.confinement.apply(script)? {
        report.write_all(&copy.to_bytes()).map_err(|_| at(Step::Script)(Errno::EPIPE))?;
    }
    // Rust ignores SIGPIPE in its programs; a command finds it as any other parent leaves it.
    // SAFETY: the default action runs no code of ours.
    unsafe { sigaction(Signal::SIGPIPE, &default_action()) }.map_err(at(Step::Exec))?;
    let argv: Vec<Vec<u8>> = plan.argv.iter().map(|argument| argument.as_bytes().to_vec()).collect();
    let argv = strings(plan.program.kernel_argv(&argv)).map_err(at(Step::Exec))?;
    let joined = plan.variables.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let variables = strings(joined).map_err(at(Step::Exec))?;
    close_others(plan).map_err(at(Step::Exec))?;
    inherited.restore().map_err(at(Step::Exec))?;
    execveat(plan.program.image(), c"", &argv, &variables, AtFlags::AT_EMPTY_PATH).map_err(at(Step::Exec))
}

fn strings(parts: impl IntoIterator<Item = Vec<u8>>) -> Result<Vec<CString>, Errno> {
    parts.into_iter().map(|part| CString::new(part).map_err(|_| Errno::EINVAL)).collect()
}

/// Everything but the three streams is closed by the exec, whoever opened it.
fn close_others(_plan: &Plan<'_>) -> Result<(), Errno> {
    // SAFETY: takes numbers and touches no memory; descriptors are only marked.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// Tells the watcher why there is no command, and ends.
fn give_in(mut report: File, fault: &Fault) -> ! {
    let mut message = vec![fault.step as u8];
    message.extend_from_slice(&(fault.errno as i32).to_le_bytes());
    report.write_all(&message).ok();
    // SAFETY: as in `watch`.
    unsafe { libc::_exit(126) }
}

/// What the command reported before its exec closed the pipe: the copy of a script, and why it could not become what it was to be.
fn reported(reading: OwnedFd) -> Result<Option<Identity>, FromWatcher> {
    debug_assert!(reading.as_raw_fd() > 2);
    let failed = |step: Step, errno: Errno| Err(FromWatcher::Failed { step, errno });
    let mut message = Vec::new();
    if File::from(reading).read_to_end(&mut message).is_err() {
        return failed(Step::Parent, Errno::EIO);
    }
    let (copy, rest) = match message.split_first_chunk() {
        Some((copy, rest)) => (Some(Identity::from_bytes(*copy)), rest),
        None => (None, message.as_slice()),
    };
    match rest {
        [] => Ok(copy),
        [step, a, b, c, d] => failed(
            Step::from_number(*step).unwrap_or(Step::Exec),
            Errno::from_raw(i32::from_le_bytes([*a, *b, *c, *d])),
        ),
        _ => failed(Step::Exec, Errno::EIO),
    }
}
