//! How much room a store takes, and how much it may.

use crate::error::LedgerError;
use crate::store::unsql;
use rusqlite::Connection;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use writ_protocol::{Code, Refusal};

/// The bound of a store, and where to look for what it takes.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    log: PathBuf,
    bytes_max: Option<u64>,
}

impl Room {
    /// Of the store at this path.
    pub(crate) fn of(store: &Path, bytes_max: Option<u64>) -> Self {
        let mut log = OsString::from(store);
        log.push("-wal");
        Self { log: log.into(), bytes_max }
    }

    pub(crate) fn bytes_max(&self) -> Option<u64> {
        self.bytes_max
    }

    /// What the store takes, in bytes of its file and of its log, which keeps what it has once taken until it is emptied.
    pub(crate) fn bytes(&self, connection: &Connection) -> Result<u64, LedgerError> {
        Ok(Self::file_bytes(connection)?.saturating_add(self.log_bytes()?))
    }

    /// What its file takes. Pages that an erasure has freed are used again, and count no more.
    pub(crate) fn file_bytes(connection: &Connection) -> Result<u64, LedgerError> {
        let ask = |what: &str| -> Result<u64, LedgerError> {
            unsql(connection.prepare_cached(what)?.query_row([], |row| row.get(0))?)
        };
        let pages = ask("PRAGMA page_count")?.saturating_sub(ask("PRAGMA freelist_count")?);
        Ok(pages.saturating_mul(ask("PRAGMA page_size")?))
    }

    /// What its log takes of that.
    pub(crate) fn log_bytes(&self) -> Result<u64, LedgerError> {
        match std::fs::metadata(&self.log) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(LedgerError::file(&self.log, error)),
        }
    }

    /// Whether a store that takes so much has reached its bound.
    pub(crate) fn is_reached(&self, bytes: u64) -> bool {
        self.bytes_max.is_some_and(|bytes_max| bytes >= bytes_max)
    }

    /// Invariant 2: where no more may be recorded, nothing more is permitted.
    pub(crate) fn judge(&self, connection: &Connection) -> Result<Result<(), Refusal>, LedgerError> {
        match self.bytes_max {
            Some(bytes_max) => Ok(judge(self.bytes(connection)?, bytes_max)),
            None => Ok(Ok(())),
        }
    }
}

pub(crate) fn judge(bytes: u64, bytes_max: u64) -> Result<(), Refusal> {
    if bytes < bytes_max {
        return Ok(());
    }
    let why = format!(
        "the ledger is as large as it may be ({bytes_max} bytes), and takes only what ends, stops or answers something; ask the operator of the node"
    );
    Err(Refusal::new(Code::LedgerUnavailable, why))
}
