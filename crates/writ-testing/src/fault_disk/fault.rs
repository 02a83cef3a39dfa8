//! What can go wrong, and when: faults, power cuts and the seed that decides.

use fuser::Errno;

/// A way in which the disk fails, from the next operation on until it is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// ENOSPC once files have grown by `after_bytes` more. Space is taken by growth only, as
    /// on a real disk: overwriting what is there still works, and so a log that is reused from
    /// its start does not notice. With nothing left a new file or directory fails too. What is
    /// deleted does not come back before the disk is healed.
    NoSpace {
        /// How much files may still grow.
        after_bytes: u64,
    },
    /// EIO from the `nth` fsync or fdatasync from now (the first is 1), once. As on Linux, the
    /// unsynced data stays readable and counts as clean: a later sync answers success and does
    /// not make it durable. Who retries a failed fsync believes a lie.
    SyncError {
        /// Which sync fails, counted from now.
        nth: u64,
    },
    /// EROFS from every change, and from a sync of what is not durable yet.
    ReadOnly,
    /// EIO from every write and truncation.
    WriteError,
    /// From the `nth` write or truncation from now on (the first is 1), all of them fail, those that overwrite too: a disk that copies
    /// what it changes needs space for each.
    FromWrite {
        /// Which write is the first to fail, counted from now.
        nth: u64,
        /// How.
        failure: WriteFailure,
    },
}

/// How a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFailure {
    /// ENOSPC, for new files and directories too.
    NoSpace,
    /// EIO.
    Error,
    /// EROFS, from every change: what a file system does that goes read-only at its first error.
    ReadOnly,
}

/// What survives of unsynced changes when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// Nothing: the disk is as it was at the last sync of each file and directory.
    DropAll,
    /// A subset that the seed chooses, since a disk may write back whatever it likes, in any
    /// order: of each unsynced sector either what was synced, what it held at some moment
    /// since, or what it held last; of each file's size one it may have had; of the directory
    /// changes, which a journal keeps in order, the first few. The seed also chooses whether
    /// sectors of 512 or of 4096 bytes are torn apart.
    KeepRandomSectors(u64),
}

impl PowerCut {
    pub(super) fn chance(self) -> Option<Chance> {
        match self {
            Self::DropAll => None,
            Self::KeepRandomSectors(seed) => Some(Chance::seeded(seed)),
        }
    }
}

/// When a directory entry (a created, renamed or removed name) becomes durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntryDurability {
    /// When its directory is fsynced, as POSIX promises and no more.
    #[default]
    DirectorySync,
    /// Also when any file is fsynced, as on ext4, whose journal commits as a whole.
    AnySync,
}

/// What the disk was asked to do since it was mounted. Memory that SQLite shares through a
/// `-shm` file is not storage and is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Writes that succeeded.
    pub writes: u64,
    /// Bytes that those writes carried.
    pub bytes: u64,
    /// fsyncs and fdatasyncs of files, failed ones included.
    pub syncs: u64,
    /// fsyncs of directories, failed ones included.
    pub directory_syncs: u64,
    /// Writes, truncations and syncs of files that a fault made fail.
    pub failed: u64,
}

/// The faults in force.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    space_left: Option<u64>,
    syncs_until_error: Option<u64>,
    read_only: bool,
    write_error: bool,
    full: bool,
    from_write: Option<(u64, WriteFailure)>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        match fault {
            Fault::NoSpace { after_bytes } => self.space_left = Some(after_bytes),
            Fault::SyncError { nth } => self.syncs_until_error = Some(nth.max(1)),
            Fault::ReadOnly => self.read_only = true,
            Fault::WriteError => self.write_error = true,
            Fault::FromWrite { nth, failure } => self.from_write = Some((nth.max(1), failure)),
        }
    }

    pub(super) fn space_left(&self) -> Option<u64> {
        self.space_left
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether names and attributes may change.
    pub(super) fn check_change(&self) -> Result<(), Errno> {
        if self.read_only {
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    /// Whether an inode may be made.
    pub(super) fn check_create(&self) -> Result<(), Errno> {
        self.check_change()?;
        if self.full || self.space_left == Some(0) {
            return Err(Errno::ENOSPC);
        }
        Ok(())
    }

    /// Whether contents may change and grow by `growth`; takes the space.
    pub(super) fn take_space(&mut self, growth: u64) -> Result<(), Errno> {
        self.count_write();
        self.check_change()?;
        if self.write_error {
            return Err(Errno::EIO);
        }
        if self.full {
            return Err(Errno::ENOSPC);
        }
        if let Some(left) = self.space_left.as_mut() {
            // A FUSE write is taken whole or refused: the kernel turns a short one into EIO.
            *left = left.checked_sub(growth).ok_or(Errno::ENOSPC)?;
        }
        Ok(())
    }

    /// Counts a write, and begins to fail if it is the one.
    fn count_write(&mut self) {
        let Some((left, failure)) = self.from_write.as_mut() else { return };
        *left -= 1;
        if *left > 0 {
            return;
        }
        match failure {
            WriteFailure::NoSpace => self.full = true,
            WriteFailure::Error => self.write_error = true,
            WriteFailure::ReadOnly => self.read_only = true,
        }
        self.from_write = None;
    }

    /// Counts a sync, and says whether it is the one that fails.
    pub(super) fn sync_fails(&mut self) -> bool {
        let Some(left) = self.syncs_until_error.as_mut() else {
            return false;
        };
        *left -= 1;
        if *left == 0 {
            self.syncs_until_error = None;
            return true;
        }
        false
    }
}

/// A small generator (splitmix64): the same seed gives the same disk.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
