use std::io;
use writ_ledger::LedgerError;

/// Why a ledger is not, or no longer, served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] LedgerError),
    /// The socket to listen on is of no use.
    #[error("the listening socket cannot be used: {0}; choose another address")]
    Listener(io::Error),
    /// The system gives no event loop, or no signals to wait for.
    #[error("the server cannot start: {0}; see whether the process may open more files")]
    Start(io::Error),
}
