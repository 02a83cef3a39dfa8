//! What gateway and watcher tell each other: a few bytes in one datagram, so that nothing comes in halves.

use crate::confinement::Step;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use writ_protocol::statement::{Ending, Signal as SignalNumber};
use writ_tlog::Hash;

/// A datagram: its kind, a small number, the number of an error or a process, a hash.
const BYTES: usize = 38;

/// One end of the line between the two. The other end being closed means that the other process is gone.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// From the watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FromWatcher {
    /// The command is held at its first instruction: the file that was opened, with the arguments that were asked for, and with this content,
    /// to which nobody can write any more.
    Ready(Hash),
    /// It could not be brought there.
    Failed { step: Step, errno: Errno },
    /// It is something else. Told before `Ready`, nothing ran; told later, its tree is gone.
    Differs(Difference),
    /// It, which is this process, was stopped by a signal.
    Stopped { command: Pid, signal: Signal },
    /// It has ended, and its tree is gone.
    Ended(Ending),
}

/// What about a held program is not what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Image,
    Content,
    Arguments,
    /// Its interpreter has opened another file in place of the script.
    Script,
    /// What its interpreter opens cannot be seen.
    Unseen,
}

impl Difference {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Image => "another file was executed",
            Self::Content => "the file was written to",
            Self::Arguments => "its arguments differ",
            Self::Script => "another file was opened in place of the script",
            Self::Unseen => "what its interpreter opens cannot be seen",
        }
    }
}

/// From the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToWatcher {
    /// From here on the gateway reads the signals that are meant for the command. What was sent to the job before was for the gateway.
    Held,
    /// The command may run, for the first time or after the gateway has stopped likewise.
    Go,
    Signal(Signal),
}

impl Channel {
    pub(crate) fn pair() -> Result<(Self, Self), Errno> {
        let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self(one), Self(other)))
    }

    /// Waits for news here or a signal there; says whether there is news. News goes first.
    pub(crate) fn wait_beside(&self, signals: &SignalFd) -> Result<bool, Errno> {
        let mut both =
            [PollFd::new(self.0.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut both, PollTimeout::NONE) {
                Ok(_) => {
                    let news = both.first().and_then(PollFd::revents);
                    return Ok(news.is_some_and(|news| !news.is_empty()));
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn take(&self) -> Result<Option<[u8; BYTES]>, Errno> {
        let mut bytes = [0; BYTES];
        loop {
            match recv(self.0.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(bytes)),
                // The other end is gone and has not read everything; what it said before is there still, after this error.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn put(&self, kind: u8, one: u8, number: i32, hash: Option<Hash>) -> Result<(), Errno> {
        let mut bytes = vec![kind, one];
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(hash.map_or([0; 32], |hash| *hash.as_bytes()).as_slice());
        send(self.0.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL).map(|_| ())
    }

    /// For the gateway.
    pub(crate) fn receive(&self) -> Result<Option<FromWatcher>, Errno> {
        let Some([kind, one, a, b, c, d, hash @ ..]) = self.take()? else { return Ok(None) };
        let number = i32::from_le_bytes([a, b, c, d]);
        let signal = || Signal::try_from(i32::from(one)).map_err(|_| Errno::EBADMSG);
        Ok(Some(match kind {
            1 => FromWatcher::Ready(Hash::from_bytes(hash)),
            2 => FromWatcher::Failed {
                step: Step::from_number(one).ok_or(Errno::EBADMSG)?,
                errno: Errno::from_raw(number),
            },
            3 => FromWatcher::Differs(match one {
                1 => Difference::Image,
                2 => Difference::Content,
                3 => Difference::Arguments,
                4 => Difference::Script,
                5 => Difference::Unseen,
                _ => return Err(Errno::EBADMSG),
            }),
            4 => FromWatcher::Stopped { command: Pid::from_raw(number), signal: signal()? },
            5 => FromWatcher::Ended(Ending::Exited(one)),
            6 => FromWatcher::Ended(Ending::Signaled(SignalNumber::new(one).ok_or(Errno::EBADMSG)?)),
            _ => return Err(Errno::EBADMSG),
        }))
    }

    /// For the watcher.
    pub(crate) fn tell(&self, news: FromWatcher) -> Result<(), Errno> {
        let (kind, one) = match news {
            FromWatcher::Ready(_) => (1, 0),
            FromWatcher::Failed { step, .. } => (2, step as u8),
            FromWatcher::Differs(Difference::Image) => (3, 1),
            FromWatcher::Differs(Difference::Content) => (3, 2),
            FromWatcher::Differs(Difference::Arguments) => (3, 3),
            FromWatcher::Differs(Difference::Script) => (3, 4),
            FromWatcher::Differs(Difference::Unseen) => (3, 5),
            FromWatcher::Stopped { signal, .. } => (4, u8::try_from(signal as i32).unwrap_or(0)),
            FromWatcher::Ended(Ending::Exited(status)) => (5, status),
            FromWatcher::Ended(Ending::Signaled(signal)) => (6, signal.get()),
            FromWatcher::Ended(Ending::Terminated(_) | Ending::Unknown) => return Err(Errno::EINVAL),
        };
        let number = match news {
            FromWatcher::Failed { errno, .. } => errno as i32,
            FromWatcher::Stopped { command, .. } => command.as_raw(),
            FromWatcher::Ready(_) | FromWatcher::Differs(_) | FromWatcher::Ended(_) => 0,
        };
        let hash = if let FromWatcher::Ready(content) = news { Some(content) } else { None };
        self.put(kind, one, number, hash)
    }

    /// For the watcher.
    pub(crate) fn told(&self) -> Result<Option<ToWatcher>, Errno> {
        let Some([kind, one, ..]) = self.take()? else { return Ok(None) };
        match kind {
            1 => Ok(Some(ToWatcher::Go)),
            2 => Ok(Some(ToWatcher::Signal(Signal::try_from(i32::from(one)).map_err(|_| Errno::EBADMSG)?))),
            3 => Ok(Some(ToWatcher::Held)),
            _ => Err(Errno::EBADMSG),
        }
    }

    /// For the gateway.
    pub(crate) fn send(&self, order: ToWatcher) -> Result<(), Errno> {
        let (kind, one) = match order {
            ToWatcher::Go => (1, 0),
            ToWatcher::Signal(signal) => (2, u8::try_from(signal as i32).unwrap_or(0)),
            ToWatcher::Held => (3, 0),
        };
        self.put(kind, one, 0, None)
    }
}
