use crate::trees::Descent;
use std::fmt;
use std::os::fd::BorrowedFd;
use writ_policy::SpiffeId;
use writ_protocol::{Ed25519Key, Refusal};

/// Where a request comes from, as the node itself has seen it.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// Over the local socket: the kernel says who connected.
    Local(Local<'a>),
    /// Over the network, on a connection that has shown something of its other end.
    Connected(&'a Shown),
    /// Over the network: nothing is known but what a request itself shows.
    Remote,
}

/// What the other end of a connection has proved to whoever speaks TLS. It holds for all requests of that connection, until it is looked at anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// That it has this key.
    Key(Ed25519Key),
    /// That somebody who may name workloads of its trust domain calls it so.
    Spiffe(SpiffeId),
    /// Nothing: what it showed is not, or no longer, good for anything.
    Nothing(Refusal),
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
    /// A request without a signature, and a token that says who sends it.
    WithToken(&'a [u8], BearerToken<'a>),
}

/// A token as it came. Whoever has it can use it, so it is shown nowhere.
#[derive(Clone, Copy)]
pub struct BearerToken<'a>(pub &'a str);

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

impl<'a> Received<'a> {
    /// The bytes, as they came.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bare(bytes) | Self::Signed(bytes) | Self::WithToken(bytes, _) => bytes,
        }
    }
}
