use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use writ_protocol::statement::Ending;

/// Ends this process as the command ended, so that whoever started it sees no difference: the same status, or the same signal.
pub fn end_like(ending: Ending) -> ! {
    let status = match ending {
        Ending::Exited(status) => i32::from(status),
        Ending::Signaled(signal) => {
            die_of(i32::from(signal.get()));
            // A signal that does not end a process cannot have ended the command.
            128 + i32::from(signal.get())
        }
        Ending::Terminated(_) | Ending::Unknown => 126,
    };
    // SAFETY: ends this process at once. What would be done before, such as giving memory back, is done by the kernel anyway, and nothing that is
    // still to be written is kept here.
    unsafe { libc::_exit(status) }
}

fn die_of(number: i32) {
    // The command has left its core, if any; this process has nothing to show.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).ok();
    // By number: a real-time signal has no name.
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(number, libc::SIG_DFL) };
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).ok();
    // SAFETY: takes a number and touches no memory.
    unsafe { libc::raise(number) };
}
