use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use writ_ledger::LedgerError;

/// Why a ledger or a node is not, or no longer, served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] LedgerError),
    /// The socket to listen on is of no use.
    #[error("the listening socket cannot be used: {0}; choose another address")]
    Listener(io::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}; stop what listens there, or choose another address")]
    Address {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        why: io::Error,
    },
    /// The system gives no event loop, or no signals to wait for.
    #[error("the server cannot start: {0}; see whether the process may open more files")]
    Start(io::Error),
    /// There is neither a local socket nor an address.
    #[error("expected a local socket or an address to listen on, found neither")]
    NoListener,
    /// Others could put their own socket there.
    #[error(
        "expected that only its owner may write in {folder:?} and that this is us or root, found mode {mode:o} of uid {uid}; choose another folder"
    )]
    SocketFolder {
        /// The folder of the socket.
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        uid: u32,
    },
    /// Something else has the name of the socket.
    #[error("expected a socket or nothing at {0:?}, found something else; move it away or choose another path")]
    NotASocket(PathBuf),
    /// The socket is in use.
    #[error("another node answers at {0:?}; stop it first or choose another path")]
    AnotherNode(PathBuf),
    /// The socket cannot be made.
    #[error("no socket can be made at {path:?}: {why}; choose a shorter path in a folder that we may write")]
    Socket {
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// Everything between us and clients could be read and changed.
    #[error(
        "expected a loopback address or TLS, found {0} without TLS; give a certificate and a key, or listen on 127.0.0.1"
    )]
    PlainTcp(SocketAddr),
    /// A file for TLS is not what it must be.
    #[error("{file:?} cannot be used for TLS: {why}; give a PEM file with {expected}")]
    TlsFile {
        /// The file.
        file: PathBuf,
        /// What must be in it.
        expected: &'static str,
        /// What was found.
        why: String,
    },
    /// What was given as the name of a host is none.
    #[error("{0:?} is no host name; give one like acme.localhost, or with TLS acme.example, without scheme and port")]
    Host(String),
    /// Two domains have one name.
    #[error("{0:?} is the name of two domains; give each its own")]
    HostTwice(String),
    /// Nobody could ask for a domain from the network.
    #[error("a domain has no host name; with several, or where names count, each needs one")]
    NoHost,
    /// In clear, a page in a browser could have such a name lead here.
    #[error(
        "over a connection in clear nobody can ask for {0:?}; use TLS (--tls-cert, --tls-key), or a name below .localhost, like {first}.localhost", first = first_label(.0)
    )]
    PlainHost(String),
    /// More would leave each with too little.
    #[error("a node serves {max} domains at most, found {found}; start another node for the others")]
    TooManyDomains {
        /// How many it may.
        max: usize,
        /// How many were given.
        found: usize,
    },
    /// What was given as the name of a trust domain is none, or was given twice.
    #[error("{0:?} is no trust domain, or stands twice; give each once, in letters a-z, digits and . _ -")]
    TrustDomain(String),
    /// Nobody can be told of holds so.
    #[error("the webhook for holds cannot be used: {0}")]
    Webhook(&'static str),
    /// Certificate and key do not fit.
    #[error("the certificate and the key cannot be used for TLS: {0}; give the key that belongs to the certificate")]
    Tls(rustls::Error),
}

fn first_label(host: &str) -> &str {
    host.split('.').next().unwrap_or(host)
}
