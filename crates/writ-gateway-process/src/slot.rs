//! The identity of a gateway process. A machine has several, in a folder: each is enrolled under its own name, and at most one process uses it
//! at a time, so that statements of one name come from one process and count without a gap.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use writ_protocol::Name;
use writ_tlog::{Algorithm, SigningKey};

/// Slots of one folder, at most.
pub const SLOTS_MAX: usize = 256;

/// An identity that no other process has now. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Slot {
    name: Name,
    key: SigningKey,
    _lock: File,
}

/// Why there is no identity to run with.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The folder is not there, or cannot be read.
    #[error(
        "there is no gateway to run with in {}: {source}; start the node once with `writ up`, and run from outside governed executions",
        path.display()
    )]
    Folder {
        /// Which.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// Other executions use all of them.
    #[error(
        "all {0} gateway slots are in use; wait for an execution to end, or start the node with more (`writ up --slots`)"
    )]
    Busy(usize),
    /// A file is not a seed, or others can read it.
    #[error("{} {why}; start the node again after mending it", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

impl Slot {
    /// Takes the first slot of a folder that is free.
    pub fn take(folder: &Path) -> Result<Self, SlotError> {
        let paths = seeds(folder)?;
        for path in &paths {
            if let Some(slot) = Self::open(path)? {
                return Ok(slot);
            }
        }
        Err(SlotError::Busy(paths.len()))
    }

    /// How many slots of a folder are in use by an execution.
    pub fn in_use(folder: &Path) -> Result<usize, SlotError> {
        let mut used = 0;
        for path in seeds(folder)? {
            let file = File::open(&path).map_err(|source| SlotError::Folder { path, source })?;
            used += usize::from(matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
        }
        Ok(used)
    }

    fn open(path: &Path) -> Result<Option<Self>, SlotError> {
        let fails = |source| SlotError::Folder { path: path.to_owned(), source };
        let unusable = |why| SlotError::Unusable { path: path.to_owned(), why };
        let mut file = File::open(path).map_err(fails)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(fails(source)),
        }
        if file.metadata().map_err(fails)?.mode() & 0o077 != 0 {
            return Err(unusable("can be read by others, so its key may be anybody's: remove it"));
        }
        let mut text = String::new();
        Read::take(&mut file, 128).read_to_string(&mut text).map_err(fails)?;
        let seed = from_hex(text.trim_end()).ok_or_else(|| unusable("is not a line of 64 hexadecimal digits"))?;
        let name = named(path).ok_or_else(|| unusable("has a name that no gateway can have"))?;
        Ok(Some(Self { name, key: SigningKey::from_seed(Algorithm::Ed25519, &seed), _lock: file }))
    }

    /// The gateway's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The key that signs its statements.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }
}

/// The name of the first slot of a folder, whoever uses it now.
pub(crate) fn first_name(folder: &Path) -> Option<Name> {
    named(seeds(folder).ok()?.first()?)
}

fn seeds(folder: &Path) -> Result<Vec<PathBuf>, SlotError> {
    let fails = |source| SlotError::Folder { path: folder.to_owned(), source };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(fails)?
        .filter_map(|found| found.ok().map(|found| found.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "seed"))
        .take(SLOTS_MAX)
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(fails(std::io::Error::from(std::io::ErrorKind::NotFound)));
    }
    Ok(paths)
}

fn named(seed: &Path) -> Option<Name> {
    let stem = seed.file_stem()?.to_str()?;
    Name::new(format!("process/{stem}")).ok()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{Slot, SlotError};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn seed(folder: &Path, name: &str, text: &str, mode: u32) {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_slot_is_taken_once_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["01.seed", "02.seed"] {
            seed(folder.path(), name, &format!("{}\n", "07".repeat(32)), 0o600);
        }
        let first = Slot::take(folder.path()).unwrap();
        let second = Slot::take(folder.path()).unwrap();
        assert_eq!((first.name().as_str(), second.name().as_str()), ("process/01", "process/02"));
        assert!(matches!(Slot::take(folder.path()), Err(SlotError::Busy(2))));
        drop(first);
        assert_eq!(Slot::take(folder.path()).unwrap().name().as_str(), "process/01");
    }

    #[test]
    fn a_folder_without_slots_or_with_bad_ones_gives_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Slot::take(&folder.path().join("none")), Err(SlotError::Folder { .. })));
        assert!(matches!(Slot::take(folder.path()), Err(SlotError::Folder { .. })));
        seed(folder.path(), "01.seed", &"07".repeat(32), 0o644);
        assert!(matches!(Slot::take(folder.path()), Err(SlotError::Unusable { .. })));
        seed(folder.path(), "01.seed", "not hex", 0o600);
        assert!(matches!(Slot::take(folder.path()), Err(SlotError::Unusable { .. })));
    }
}
