use crate::trees::Descent;
use std::os::fd::BorrowedFd;

/// Where a request comes from, as the node itself has seen it.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// Over the local socket: the kernel says who connected.
    Local(Local<'a>),
    /// Over the network: nothing is known but what a signature shows.
    Remote,
}

/// A process of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Its user.
    pub uid: u32,
    /// The process that connected.
    pub pid: u32,
    /// A handle on that process, which shows that its number was not given to another one since.
    pub pidfd: Option<BorrowedFd<'a>>,
    /// What was found out about it before, on this connection.
    pub descent: &'a Descent,
}

/// What was received.
#[derive(Clone, Copy, Debug)]
pub enum Received<'a> {
    /// A request without a signature: its caller must be known otherwise.
    Bare(&'a [u8]),
    /// A signed request.
    Signed(&'a [u8]),
}

impl<'a> Received<'a> {
    /// The bytes, as they came.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bare(bytes) | Self::Signed(bytes) => bytes,
        }
    }
}
