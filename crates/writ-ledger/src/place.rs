use crate::error::LedgerError;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Where a ledger lives: the store, and the mark that must not be lost together with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The SQLite file.
    pub store: PathBuf,
    /// The high-water mark; best on another disk than the store.
    pub mark: PathBuf,
}

impl Place {
    /// A store and a mark.
    pub fn new(store: impl Into<PathBuf>, mark: impl Into<PathBuf>) -> Self {
        Self { store: store.into(), mark: mark.into() }
    }

    /// The right to write here, as long as the file is held. The kernel gives it back when the process ends, however it ends.
    pub(crate) fn lock(&self) -> Result<File, LedgerError> {
        let path = self.store.with_extension("lock");
        let fails = |source| LedgerError::file(&path, source);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(fails)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(LedgerError::Locked(self.store.clone())),
            Err(TryLockError::Error(source)) => Err(fails(source)),
        }
    }
}

/// Whether a store is there, and is a file.
pub(crate) fn require_store(path: &Path) -> Result<(), LedgerError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(LedgerError::NoStore(path.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(LedgerError::NoStore(path.to_owned())),
        Err(error) => Err(LedgerError::file(path, error)),
    }
}
