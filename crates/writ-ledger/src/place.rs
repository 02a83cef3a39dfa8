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

    /// The right to write here, as long as it is held. The kernel gives it back when the process ends, however it ends.
    pub(crate) fn lock(&self) -> Result<Lock, LedgerError> {
        let path = self.store.with_extension("lock");
        let fails = |source| LedgerError::file(&path, source);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(fails)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(LedgerError::Locked(self.store.clone())),
            Err(TryLockError::Error(source)) => Err(fails(source)),
        }
    }
}

/// The right to write a ledger.
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// Gives it back now: a child that is being started has a copy of the file for a moment, and would keep the right by it.
    fn drop(&mut self) {
        // Whatever fails here, the right ends with the last copy.
        self.0.unlock().ok();
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

#[cfg(test)]
mod tests {
    use super::Place;
    use crate::error::LedgerError;

    #[test]
    fn the_right_to_write_ends_with_its_holder_and_not_with_a_copy_of_the_file() {
        let dir = std::env::temp_dir().join(format!("writ-place-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let place = Place::new(dir.join("ledger.db"), dir.join("mark"));
        let lock = place.lock().unwrap();
        let child_has = lock.0.try_clone().unwrap();
        assert!(matches!(place.lock(), Err(LedgerError::Locked(_))));
        drop(lock);
        place.lock().unwrap();
        drop(child_has);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
