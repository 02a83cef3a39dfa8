//! Job control: who has the terminal, and how a run stops and goes on as its command does.
//!
//! Gateway, watcher and command begin in one process group, which is the job of the shell outside; what a terminal or a shell sends to the job
//! reaches all three. A command with job control of its own leaves for a group of its own. Then the job's signals and its terminal are handed
//! to that group, so that the shell outside finds the command where it would be without a gateway.
//!
//! The terminal changes hands only away from the job's own group, or from a group that is gone. Whoever runs in the background never takes it.

use nix::errno::Errno;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, killpg, raise, sigaction, sigprocmask,
};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpgid, getpgrp, tcgetpgrp, tcsetpgrp};
use std::cell::Cell;
use std::fs::File;

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

/// The terminal that controls this session, if there is one. Its users block SIGTTOU, which would stop them where they hand it on.
#[derive(Debug)]
pub(crate) struct Terminal(Option<File>);

impl Terminal {
    pub(crate) fn controlling() -> Self {
        Self(File::options().read(true).write(true).open("/dev/tty").ok())
    }

    /// The group of this process is in the foreground.
    pub(crate) fn is_ours(&self) -> bool {
        self.foreground().is_some_and(|group| group == getpgrp())
    }

    fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(self.0.as_ref()?).ok()
    }

    /// Gives it to another group if this process's own has it.
    fn hand_over(&self, group: Pid) {
        if let Some(terminal) = self.0.as_ref().filter(|_| self.is_ours()) {
            // A group that is gone misses no terminal.
            tcsetpgrp(terminal, group).ok();
        }
    }

    /// Takes it back from a group of the tree, of which nothing is left: a shell that was killed gives it to nobody.
    pub(crate) fn take_back(&self) {
        let gone = self.foreground().is_some_and(|group| killpg(group, None) == Err(Errno::ESRCH));
        if let Some(terminal) = self.0.as_ref().filter(|_| gone) {
            tcsetpgrp(terminal, getpgrp()).ok();
        }
    }
}

/// Signals that are read instead of acted on, and how they were before. Held from before the first instruction until the end is recorded, so
/// that what ends the command does not end its gateway first.
#[derive(Debug)]
pub struct Held {
    descriptor: SignalFd,
    inherited: Inherited,
}

/// What a command is to find as if there were no gateway.
#[derive(Debug)]
pub struct Inherited {
    blocked: SigSet,
    /// Where whoever started the gateway ignored this, the kernel would tell nobody how a child ended.
    of_children: SigAction,
}

impl Inherited {
    /// Remembers it. From now on the kernel tells how a child ended; everything else acts as before.
    pub fn take() -> Result<Self, Errno> {
        // SAFETY: the default action runs no code of ours.
        let of_children = unsafe { sigaction(Signal::SIGCHLD, &default_action()) }?;
        Ok(Self { blocked: SigSet::thread_get_mask()?, of_children })
    }

    pub(crate) fn restore(&self) -> Result<(), Errno> {
        // SAFETY: it is what was there before the first instruction of this crate.
        unsafe { sigaction(Signal::SIGCHLD, &self.of_children) }?;
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.blocked), None)
    }
}

impl Held {
    /// Begins to read them.
    pub fn take(inherited: Inherited) -> Result<Self, Errno> {
        let descriptor = SignalFd::with_flags(&set(FORWARDED), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut taken = set(FORWARDED);
        taken.extend(set(HELD_BACK).iter());
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&taken), None)?;
        Ok(Self { descriptor, inherited })
    }

    pub(crate) fn descriptor(&self) -> &SignalFd {
        &self.descriptor
    }

    /// The next signal, if there is one.
    pub(crate) fn read(&self) -> Result<Option<Signal>, Errno> {
        let found = self.descriptor.read_signal()?;
        Ok(found.and_then(|found| Signal::try_from(i32::try_from(found.ssi_signo).ok()?).ok()))
    }

    /// Stops this process by a signal until somebody continues it; that SIGCONT is then pending. Says whether it stopped:
    /// the terminal's signals stop nobody whom no shell could continue. A command that has been continued since it was told of is not
    /// followed: where whoever started this process waits for it, no shell would continue it alone.
    pub(crate) fn stop_by(&self, signal: Signal, still: impl Fn() -> bool) -> Result<bool, Errno> {
        if !still() {
            return Ok(true);
        }
        // What was sent to the whole job is pending here. If it was continued meanwhile, the kernel has taken that away, and nothing stops.
        if !pending(signal)? && !pending(Signal::SIGCONT)? {
            raise(signal)?;
            // It is held back. Had the job been continued just before, the kernel would have forgotten that now.
            if HELD_BACK.contains(&signal) && !still() {
                take_pending(&[signal]);
                return Ok(true);
            }
        }
        if HELD_BACK.contains(&signal) {
            // SAFETY: the default action runs no code of ours.
            let before = unsafe { sigaction(signal, &default_action()) }?;
            let one = set(&[signal]);
            sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&one), None)?;
            sigprocmask(SigmaskHow::SIG_BLOCK, Some(&one), None)?;
            // SAFETY: it is what was there before, and the signal is blocked as it was then.
            unsafe { sigaction(signal, &before) }?;
        }
        // Of a stop right after the SIGCONT only the later of the two is pending.
        Ok(pending(Signal::SIGCONT)? || stops_pending())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // They were meant for the command.
        forget_pending();
        self.inherited.restore().ok();
    }
}

/// For the watcher: forgets what was sent to the job before there was a command in it.
pub(crate) fn forget_pending() {
    while take_pending(&[FORWARDED, HELD_BACK].concat()) {}
}

/// The watcher's side: passes on what its gateway was sent, unless the command has it already. What was sent to the whole job has reached the
/// watcher too, which takes no signal, so that there it is pending.
pub(crate) struct Steering {
    command: Pid,
    /// How many stops of the command the gateway was told of and has not answered by stopping and going on itself.
    told: Cell<u32>,
}

impl Steering {
    pub(crate) fn of(command: Pid) -> Self {
        Self { command, told: Cell::new(0) }
    }

    /// The command has stopped, and the gateway is being told.
    pub(crate) fn stopped(&self) {
        self.told.set(self.told.get().saturating_add(1));
        while take_pending(HELD_BACK) {}
    }

    /// The gateway has stopped likewise, and goes on.
    pub(crate) fn goes_on(&self) {
        self.told.set(self.told.get().saturating_sub(1));
    }

    pub(crate) fn pass_on(&self, signal: Signal) {
        let sent_to_job = take_pending(&[signal]);
        // What has ended meanwhile misses nothing, here and below.
        let Ok(group) = getpgid(Some(self.command)) else { return };
        let left = group != getpgrp();
        if signal == Signal::SIGCONT {
            // What was continued and has stopped again took the SIGCONT away here, or was told of since. Passed on now, it would undo that stop.
            let stopped_since = self.told.get() > 0 || (!sent_to_job && !left && stops_pending());
            if stopped_since {
                return;
            }
            if left {
                // In this order: what goes on in the background asks for the terminal, and stops again.
                Terminal::controlling().hand_over(group);
            }
        }
        match (sent_to_job, left) {
            (true, false) => {}
            (true, true) => {
                killpg(group, signal).ok();
            }
            (false, _) => {
                kill(self.command, signal).ok();
            }
        }
    }
}

pub(crate) fn default_action() -> SigAction {
    SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty())
}

fn stops_pending() -> bool {
    HELD_BACK.iter().any(|signal| pending(*signal).unwrap_or(false))
}

/// Takes one of these if it is pending.
pub(crate) fn take_pending(signals: &[Signal]) -> bool {
    let reader = SignalFd::with_flags(&set(signals), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
    reader.and_then(|reader| reader.read_signal()).is_ok_and(|found| found.is_some())
}

fn pending(signal: Signal) -> Result<bool, Errno> {
    let mut found = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call writes the whole set when it succeeds, and only then is it read.
    let found = unsafe {
        Errno::result(libc::sigpending(found.as_mut_ptr()))?;
        SigSet::from_sigset_t_unchecked(found.assume_init())
    };
    Ok(found.contains(signal))
}

fn set(signals: &[Signal]) -> SigSet {
    signals.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::{Held, Inherited, Signal, stops_pending};
    use std::cell::Cell;

    /// What would stop this process stops the test.
    #[test]
    fn a_command_that_was_continued_meanwhile_is_not_followed() {
        let held = Held::take(Inherited::take().unwrap()).unwrap();
        for continued_at in [0, 1] {
            let looks = Cell::new(0);
            let still = || looks.replace(looks.get() + 1) < continued_at;
            assert!(held.stop_by(Signal::SIGTSTP, still).unwrap());
            assert_eq!(looks.get(), continued_at + 1);
            assert!(!stops_pending());
        }
    }
}
