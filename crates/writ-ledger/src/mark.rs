//! The high-water mark: how far the ledger was published, kept outside the store.
//!
//! A store that is put back from a backup forgets what was published since; signing on top of it would fork history. The mark remembers.
//! It is a lower bound, so writing it needs no sync of its own: after a power cut it may be older than the store, never newer, because
//! it is written after the commit. Two slots are written in turn, each with its own digest, so a torn write leaves the other one.

use crate::error::LedgerError;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use writ_tlog::{Hash, TreeSize, sha256};

const SLOT_BYTES: usize = 256;
const HEADER: &str = "writ/mark@v1";
/// The mark is made durable at most this often, besides when it is closed.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How far a ledger was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Tree size.
    pub size: TreeSize,
    /// Root hash there.
    pub root: Hash,
}

/// The file that holds it.
#[derive(Debug)]
pub(crate) struct MarkFile {
    path: PathBuf,
    file: File,
    slot: u64,
    synced: Instant,
}

impl MarkFile {
    /// Makes a new mark where there is none; the directory is made if it is missing.
    pub(crate) fn create(path: &Path, mark: Mark) -> Result<Self, LedgerError> {
        Self::write_new(path, mark, OpenOptions::new().create_new(true))
    }

    /// Makes a new mark in the place of one that was lost or damaged.
    pub(crate) fn replace(path: &Path, mark: Mark) -> Result<Self, LedgerError> {
        Self::write_new(path, mark, OpenOptions::new().create(true).truncate(true))
    }

    fn write_new(path: &Path, mark: Mark, options: &mut OpenOptions) -> Result<Self, LedgerError> {
        let fails = |source| LedgerError::file(path, source);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(fails)?;
        }
        let file = options.read(true).write(true).open(path).map_err(fails)?;
        let mut made = Self { path: path.to_owned(), file, slot: 0, synced: Instant::now() };
        // Both slots at once: a mark that has its whole space cannot meet a full disk later.
        made.record(mark)?;
        made.record(mark)?;
        made.slot = 1;
        made.sync()?;
        sync_parent(path)?;
        Ok(made)
    }

    /// Opens the mark and reads it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Mark), LedgerError> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LedgerError::MarkMissing(path.to_owned()));
            }
            Err(error) => return Err(LedgerError::file(path, error)),
        };
        let (slot, mark) = newest(&file).ok_or_else(|| LedgerError::MarkDamaged(path.to_owned()))?;
        Ok((Self { path: path.to_owned(), file, slot: slot + 1, synced: Instant::now() }, mark))
    }

    /// Reads the mark of a ledger that another process may be using.
    pub(crate) fn peek(path: &Path) -> Result<Mark, LedgerError> {
        match File::open(path) {
            Ok(file) => newest(&file).map(|(_, mark)| mark).ok_or_else(|| LedgerError::MarkDamaged(path.to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(LedgerError::MarkMissing(path.to_owned()))
            }
            Err(error) => Err(LedgerError::file(path, error)),
        }
    }

    /// Moves the mark, after the commit and before anything is published.
    pub(crate) fn record(&mut self, mark: Mark) -> Result<(), LedgerError> {
        let slot = self.slot % 2;
        self.file
            .write_all_at(&encode(mark), slot * SLOT_BYTES as u64)
            .map_err(|source| LedgerError::file(&self.path, source))?;
        self.slot = self.slot.wrapping_add(1);
        if self.synced.elapsed() >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes it durable.
    pub(crate) fn sync(&mut self) -> Result<(), LedgerError> {
        self.synced = Instant::now();
        self.file.sync_data().map_err(|source| LedgerError::file(&self.path, source))
    }
}

/// Makes a new file's directory entry durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), LedgerError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(|source| LedgerError::file(parent, source))
}

fn encode(mark: Mark) -> [u8; SLOT_BYTES] {
    let text = format!("{HEADER} {} {}", mark.size, mark.root.to_base64());
    let line = format!("{text} {}\n", sha256(text.as_bytes()).to_base64());
    let mut slot = [b' '; SLOT_BYTES];
    for (place, byte) in slot.iter_mut().zip(line.bytes()) {
        *place = byte;
    }
    slot
}

fn decode(slot: &[u8]) -> Option<Mark> {
    let line = std::str::from_utf8(slot).ok()?.trim_end_matches(' ').strip_suffix('\n')?;
    let (text, digest) = line.rsplit_once(' ')?;
    if Hash::from_base64(digest)? != sha256(text.as_bytes()) {
        return None;
    }
    let (size, root) = text.strip_prefix(HEADER)?.strip_prefix(' ')?.split_once(' ')?;
    Some(Mark { size: TreeSize::new(size.parse().ok()?), root: Hash::from_base64(root)? })
}

/// The slot with the larger tree, and which one it is.
fn newest(file: &File) -> Option<(u64, Mark)> {
    let read = |slot: u64| {
        let mut bytes = [0; SLOT_BYTES];
        file.read_exact_at(&mut bytes, slot * SLOT_BYTES as u64).ok()?;
        decode(&bytes).map(|mark| (slot, mark))
    };
    match (read(0), read(1)) {
        (Some(a), Some(b)) => Some(if a.1.size >= b.1.size { a } else { b }),
        (found, None) | (None, found) => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(size: u64) -> Mark {
        Mark { size: TreeSize::new(size), root: sha256(&size.to_be_bytes()) }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_slot_is_noticed() {
        let slot = encode(mark(1_234_567));
        assert_eq!(decode(&slot), Some(mark(1_234_567)));
        let line = slot.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for bit in 0..line * 8 {
            let mut flipped = slot;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
        for end in 0..line {
            assert_eq!(decode(&slot[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn the_larger_of_two_slots_counts_and_a_torn_write_leaves_the_other() {
        let dir = std::env::temp_dir().join(format!("writ-mark-{}", std::process::id()));
        let path = dir.join("mark");
        let mut file = MarkFile::create(&path, mark(2)).unwrap();
        for size in [5, 9, 12] {
            file.record(mark(size)).unwrap();
            assert_eq!(MarkFile::peek(&path).unwrap(), mark(size));
        }
        // The next write goes over 9; tear it.
        let raw = OpenOptions::new().write(true).open(&path).unwrap();
        raw.write_all_at(b"writ/mark@v1 99 torn", 0).unwrap();
        assert_eq!(MarkFile::peek(&path).unwrap(), mark(12));
        raw.write_all_at(b"garbage", SLOT_BYTES as u64).unwrap();
        assert!(matches!(MarkFile::open(&path), Err(LedgerError::MarkDamaged(_))));
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(matches!(MarkFile::open(&path), Err(LedgerError::MarkMissing(_))));
    }
}
