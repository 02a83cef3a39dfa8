use std::future::Future;
use std::os::fd::{AsFd, OwnedFd};
use writ_authority::{Caller, Descent, Local};

/// Waits for an answer on this thread.
///
/// # Panics
/// If there is no runtime to be had.
pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer)
}

/// A process of this machine as a caller over the local socket.
pub struct Myself {
    pid: u32,
    pidfd: OwnedFd,
    descent: Descent,
}

impl Myself {
    /// This process.
    pub fn now() -> Self {
        Self::process(std::process::id())
    }

    /// Another one.
    ///
    /// # Panics
    /// If there is no such process.
    pub fn process(pid: u32) -> Self {
        let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        let pidfd = rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty()).unwrap();
        Self { pid, pidfd, descent: Descent::default() }
    }

    /// Calling as a user.
    pub fn as_user(&self, uid: u32) -> Caller<'_> {
        Caller::Local(Local { uid, pid: self.pid, pidfd: Some(self.pidfd.as_fd()), descent: &self.descent })
    }
}
