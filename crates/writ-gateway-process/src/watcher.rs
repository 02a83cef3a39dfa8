//! The watcher, a process between gateway and command. It holds the command at its first instruction until the gateway says go, adopts what
//! is orphaned below it, and ends the tree when the command has ended or the gateway is gone.

use crate::confinement::{Fault, Step, landlock};
use crate::message::{Channel, Difference, FromWatcher, ToWatcher};
use crate::processes::end_domain;
use crate::tree::Plan;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::ptrace;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, sigaction, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::fstat;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, execveat, fork, getppid, pipe2};
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use writ_protocol::statement::{Ending, Signal as SignalNumber};

/// Runs as the watcher and never returns.
pub(crate) fn watch(plan: &Plan<'_>, gateway: &Channel, original: &SigSet) -> ! {
    // What the watcher may signal is from now on what descends from it, and nothing else, so that it can end all of that at once.
    if let Err(fault) = landlock() {
        gateway.tell(fault.into()).ok();
        // SAFETY: as below; nothing was started.
        unsafe { libc::_exit(1) }
    }
    let outcome = Watcher::begin(plan, gateway, original).and_then(|watcher| watcher.run(gateway));
    let status = match outcome {
        Ok(()) => 0,
        Err(news) => {
            gateway.tell(news).ok();
            1
        }
    };
    // Whatever there is below it ends with it.
    end_domain().ok();
    // SAFETY: ends this process at once, without running what its parent had registered for its own end.
    unsafe { libc::_exit(status) }
}

struct Watcher {
    command: Pid,
    children: SignalFd,
}

impl Watcher {
    /// Starts the command and holds it at its first instruction, verified.
    fn begin(plan: &Plan<'_>, gateway: &Channel, original: &SigSet) -> Result<Self, FromWatcher> {
        let failed = |step: Step| move |errno: Errno| FromWatcher::Failed { step, errno };
        set_child_subreaper(true).map_err(failed(Step::Parent))?;
        // The terminal's signals are for the command; the watcher goes on until the tree is gone.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).map_err(failed(Step::Parent))?;
        let mut child = SigSet::empty();
        child.add(Signal::SIGCHLD);
        let children = SignalFd::with_flags(&child, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
        let children = children.map_err(failed(Step::Parent))?;
        let (reading, writing) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(failed(Step::Parent))?;
        let own = Pid::this();
        // SAFETY: the watcher has one thread, as its parent had, so its child may do whatever it could.
        let command = match unsafe { fork() }.map_err(failed(Step::Parent))? {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                drop(reading);
                let Err(fault) = become_command(plan, own, original);
                report(writing, &fault);
            }
        };
        drop(writing);
        // In this order: a signal that comes before the exec stops the command while it has the pipe open still.
        let held = held(command);
        if let Some(fault) = fault_of(reading) {
            return Err(fault);
        }
        held?;
        verified(plan, command)?;
        gateway.tell(FromWatcher::Ready).map_err(failed(Step::Parent))?;
        match gateway.told() {
            Ok(Some(ToWatcher::Go)) => {
                script_stands(plan, command)?;
                ptrace::detach(command, None).map_err(failed(Step::Trace))?;
                Ok(Self { command, children })
            }
            // The gateway is gone, or wants something that only a running command can do.
            Ok(Some(ToWatcher::Signal(_)) | None) | Err(_) => Err(failed(Step::Parent)(Errno::ESRCH)),
        }
    }

    /// Until the command has ended or the gateway is gone.
    fn run(self, gateway: &Channel) -> Result<(), FromWatcher> {
        let failed = |errno| FromWatcher::Failed { step: Step::Parent, errno };
        loop {
            if let Some(ending) = self.look(gateway)? {
                // Nothing stays behind: what the command has left running ends before its end is told.
                end_domain().map_err(failed)?;
                return gateway.tell(FromWatcher::Ended(ending)).map_err(failed);
            }
            if gateway.wait_beside(&self.children).map_err(failed)? {
                match gateway.told().map_err(failed)? {
                    Some(ToWatcher::Signal(signal)) => {
                        // It may have ended meanwhile.
                        kill(self.command, signal).ok();
                    }
                    Some(ToWatcher::Go) => {}
                    // Invariant 7: an execution never outlives its gateway.
                    None => return Ok(()),
                }
            } else {
                self.children.read_signal().map_err(failed)?;
            }
        }
    }

    /// Reaps whatever has ended; says how the command did.
    fn look(&self, gateway: &Channel) -> Result<Option<Ending>, FromWatcher> {
        loop {
            let mut status = 0;
            // Not by names: real-time signals have none.
            // SAFETY: the call writes the status, which lives through it.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
            match pid {
                0 => return Ok(None),
                -1 => match Errno::last() {
                    Errno::ECHILD => return Ok(None),
                    Errno::EINTR => {}
                    errno => return Err(FromWatcher::Failed { step: Step::Parent, errno }),
                },
                pid if pid != self.command.as_raw() => {}
                _ if libc::WIFEXITED(status) => {
                    return Ok(Some(Ending::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))));
                }
                _ if libc::WIFSIGNALED(status) => {
                    let number = u8::try_from(libc::WTERMSIG(status)).ok().and_then(SignalNumber::new);
                    return Ok(Some(number.map_or(Ending::Unknown, Ending::Signaled)));
                }
                _ => {
                    if let Ok(signal) = Signal::try_from(libc::WSTOPSIG(status)) {
                        gateway.tell(FromWatcher::Stopped(signal)).ok();
                    }
                }
            }
        }
    }
}

/// Waits until the command stands at its exec.
fn held(command: Pid) -> Result<(), FromWatcher> {
    let failed = |errno| FromWatcher::Failed { step: Step::Trace, errno };
    loop {
        match waitpid(command, None) {
            Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => break,
            Ok(WaitStatus::Stopped(_, signal)) => ptrace::cont(command, signal).map_err(failed)?,
            Err(Errno::EINTR) => {}
            Ok(_) => return Err(failed(Errno::ESRCH)),
            Err(errno) => return Err(failed(errno)),
        }
    }
    ptrace::setoptions(command, ptrace::Options::PTRACE_O_EXITKILL).map_err(failed)
}

/// Invariant 12: what stands at its first instruction is the file that was opened, with the content that was hashed, and the arguments that were
/// asked for. From the exec on the kernel lets nobody write to it.
fn verified(plan: &Plan<'_>, command: Pid) -> Result<(), FromWatcher> {
    let failed = |errno| FromWatcher::Failed { step: Step::Trace, errno };
    let differs = |what| Err(FromWatcher::Differs(what));
    let image = plan.executable.image();
    let opened = fstat(image).map_err(failed)?;
    let running = File::open(format!("/proc/{command}/exe")).map_err(|_| failed(Errno::EACCES))?;
    let found = fstat(running.as_fd()).map_err(failed)?;
    if (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino) {
        return differs(Difference::Image);
    }
    let expected = match &plan.expected.interpreter {
        Some(interpreter) => interpreter.digest,
        None => plan.expected.executable,
    };
    if digest(&running).map_err(|_| failed(Errno::EIO))? != expected {
        return differs(Difference::Content);
    }
    let mut cmdline = Vec::new();
    let read = File::open(format!("/proc/{command}/cmdline")).and_then(|mut file| file.read_to_end(&mut cmdline));
    read.map_err(|_| failed(Errno::EACCES))?;
    let argv: Vec<Vec<u8>> = plan.argv.iter().map(|argument| argument.as_bytes().to_vec()).collect();
    let mut wanted: Vec<u8> = Vec::new();
    for argument in plan.executable.kernel_argv(&argv) {
        wanted.extend_from_slice(&argument);
        wanted.push(0);
    }
    if cmdline == wanted { Ok(()) } else { differs(Difference::Arguments) }
}

/// Whoever may rename in the folder of a script, or in one above it, takes the private copy away with the name it stood under. Recording
/// that it starts takes a while, so what the interpreter would open is looked at again, as the command sees it.
fn script_stands(plan: &Plan<'_>, command: Pid) -> Result<(), FromWatcher> {
    if plan.expected.interpreter.is_none() {
        return Ok(());
    }
    let from = if plan.executable.asked().is_absolute() { "root" } else { "cwd" };
    let below = PathBuf::from(format!("/proc/{command}/{from}"));
    let asked = plan.executable.asked();
    let seen = below.join(asked.strip_prefix("/").unwrap_or(asked));
    // Not to wait for whoever would write to a FIFO in its place.
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(seen);
    match opened.and_then(|script| digest(&script)) {
        Ok(found) if found == plan.expected.executable => Ok(()),
        Ok(_) | Err(_) => Err(FromWatcher::Differs(Difference::Script)),
    }
}

fn digest(file: &File) -> std::io::Result<writ_tlog::Hash> {
    use aws_lc_rs::digest::{Context, SHA256};
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0_u64;
    loop {
        let read = file.read_at(&mut buffer, offset)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        context.update(bytes);
        offset = offset.saturating_add(bytes.len() as u64);
    }
    let mut found = [0; 32];
    found.copy_from_slice(context.finish().as_ref());
    Ok(writ_tlog::Hash::from_bytes(found))
}

/// Becomes the command: confined, held by the watcher, with the streams, variables, limits and signals that the gateway was given.
fn become_command(plan: &Plan<'_>, watcher: Pid, original: &SigSet) -> Result<Infallible, Fault> {
    let at = |step: Step| move |errno: Errno| Fault { step, errno };
    set_pdeathsig(Signal::SIGKILL).map_err(at(Step::Parent))?;
    if getppid() != watcher {
        return Err(Fault { step: Step::Parent, errno: Errno::ESRCH });
    }
    let asked =
        File::from(plan.executable.asked_file().try_clone_to_owned().map_err(|_| at(Step::Script)(Errno::EMFILE))?);
    let path = plan.executable.path();
    let script = plan.expected.interpreter.as_ref().map(|_| (path, &asked, &plan.expected.executable));
    plan.confinement.apply(script)?;
    // Rust ignores SIGPIPE in its programs; a command finds it as any other parent leaves it.
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours.
    unsafe { sigaction(Signal::SIGPIPE, &default) }.map_err(at(Step::Exec))?;
    let argv: Vec<Vec<u8>> = plan.argv.iter().map(|argument| argument.as_bytes().to_vec()).collect();
    let argv = strings(plan.executable.kernel_argv(&argv)).map_err(at(Step::Exec))?;
    let joined = plan.variables.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let variables = strings(joined).map_err(at(Step::Exec))?;
    close_others(plan).map_err(at(Step::Exec))?;
    ptrace::traceme().map_err(at(Step::Trace))?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(original), None).map_err(at(Step::Exec))?;
    execveat(plan.executable.image(), c"", &argv, &variables, AtFlags::AT_EMPTY_PATH).map_err(at(Step::Exec))
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
fn report(writing: OwnedFd, fault: &Fault) -> ! {
    let mut message = vec![fault.step as u8];
    message.extend_from_slice(&(fault.errno as i32).to_le_bytes());
    File::from(writing).write_all(&message).ok();
    // SAFETY: as in `watch`.
    unsafe { libc::_exit(126) }
}

/// What the command reported before its exec closed the pipe.
fn fault_of(reading: OwnedFd) -> Option<FromWatcher> {
    debug_assert!(reading.as_raw_fd() > 2);
    let mut message = Vec::new();
    File::from(reading).read_to_end(&mut message).ok()?;
    match message.as_slice() {
        [] => None,
        [step, a, b, c, d] => Some(FromWatcher::Failed {
            step: Step::from_number(*step).unwrap_or(Step::Exec),
            errno: Errno::from_raw(i32::from_le_bytes([*a, *b, *c, *d])),
        }),
        _ => Some(FromWatcher::Failed { step: Step::Exec, errno: Errno::EIO }),
    }
}
