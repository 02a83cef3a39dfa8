//! A disk that can lose power, fill up and fail, for tests of what is said to be durable.
//!
//! It is a FUSE file system in memory. Reads see every write at once; a power cut keeps only
//! what was synced, and, if asked, a random part of the rest. What a process believes to be on
//! the disk and what is on it are kept apart per sector and per name:
//!
//! - a write or a truncation is durable once its file is synced;
//! - a name (created, renamed, removed) is durable once its directory is synced;
//! - a sync that fails leaves its data readable, not durable, and clean.
//!
//! It needs root and `/dev/fuse`, and no `fusermount3`.
//!
//! What it must never know: SQLite or the ledger, with one exception. A file whose name ends in
//! `-shm` is memory that SQLite's processes share, not storage: no fault and no count applies to
//! it, and who has mapped it keeps it after a power cut. For this the kernel must have FUSE
//! passthrough (6.9); without, opening such a file fails, and SQLite works in exclusive locking
//! mode only.
//!
//! Never map any other file on the disk in the process that serves it (`PRAGMA mmap_size` is 0
//! unless set): a process that waits for itself to serve a page waits for ever.
//!
//! Not modelled: links of either kind, extended attributes, sparse files, files above 256 MiB,
//! the durability of modes, owners and times, and corruption of what was synced.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use fault::{Counters, EntryDurability, Fault, PowerCut, WriteFailure};

use kernel::Shared;
use mounting::Mount;
use volume::Volume;

mod backing;
mod content;
mod fault;
mod kernel;
mod memory;
mod mounting;
mod tree;
mod volume;

/// A mounted disk, served by a thread of this process. Dropped, it is unmounted, even when
/// files are open on it, and its contents are gone; see [`FaultDisk::unmount`].
#[derive(Debug)]
pub struct FaultDisk {
    backing: PathBuf,
    loaded: Vec<OsString>,
    mountpoint: PathBuf,
    running: Mutex<Running>,
}

/// Replaced as a whole when the power comes back: files opened before stay with the volume that
/// lost its power, and the kernel caches nothing across.
#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    mount: Option<Mount>,
}

impl FaultDisk {
    /// Mounts a disk that begins with the files in `backing`, all durable. Names are durable
    /// when their directory is synced. Both directories are made if they are missing.
    ///
    /// # Panics
    /// If it cannot be mounted: without root or `/dev/fuse` these tests prove nothing.
    pub fn mount(backing: &Path, mountpoint: &Path) -> Self {
        Self::mount_with(backing, mountpoint, EntryDurability::DirectorySync)
    }

    /// Like [`FaultDisk::mount`], with a choice of when names become durable.
    ///
    /// # Panics
    /// If it cannot be mounted.
    pub fn mount_with(backing: &Path, mountpoint: &Path, entry_durability: EntryDurability) -> Self {
        mounting::sweep_abandoned();
        Self::try_mount(backing, mountpoint, entry_durability).unwrap_or_else(|error| {
            panic!("cannot mount a fault disk at {} (it needs root and /dev/fuse): {error}", mountpoint.display())
        })
    }

    /// Where it is mounted.
    pub fn mountpoint(&self) -> &Path {
        &self.mountpoint
    }

    /// Cuts the power. From now on every operation fails with EIO, on open files too, until
    /// [`FaultDisk::restore`]; files opened before the cut fail for ever.
    pub fn power_cut(&self, how: PowerCut) {
        let running = self.running();
        running.shared.volume().cut_power(how);
        running.forget_pages();
    }

    /// Cuts the power in the middle of the `operations`-th change or sync from now (the first
    /// is 1). That operation fails; whether it was done, the seed decides.
    pub fn power_cut_after(&self, operations: u64, how: PowerCut) {
        self.running().shared.volume().arm(operations, how);
    }

    /// Waits for an armed power cut, and says whether the power is off. Before this has
    /// returned, a read may still be answered from pages that the kernel keeps.
    pub fn wait_for_power_cut(&self, timeout: Duration) -> bool {
        let shared = Arc::clone(&self.running().shared);
        let off = shared.wait_until_off(timeout);
        self.running().forget_pages();
        off
    }

    /// Brings the power back, with what survived, on a new mount in the same place. Faults stay.
    ///
    /// # Panics
    /// If the power is on, or the disk cannot be mounted again.
    pub fn restore(&self) {
        let mut running = self.running();
        let volume = running.shared.volume().take_survivors();
        let volume = volume.expect("the power is on: cut it before restoring it");
        running.forget_pages();
        // The old mount goes first: unmounting takes what is on top.
        running.mount = None;
        *running = Running::new(volume, &self.mountpoint)
            .unwrap_or_else(|error| panic!("cannot mount the restored disk: {error}"));
    }

    /// Adds a fault to those in force.
    pub fn fail(&self, fault: Fault) {
        self.running().shared.volume().faults.add(fault);
    }

    /// Ends all faults. What a failed sync gave up stays given up.
    pub fn heal(&self) {
        self.running().shared.volume().faults = fault::Faults::default();
    }

    /// What it was asked to do so far, over power cuts.
    pub fn counters(&self) -> Counters {
        self.running().shared.volume().counters
    }

    /// Writes what is durable now to a directory outside, for a look at the medium itself.
    pub fn save_durable(&self, to: &Path) -> io::Result<()> {
        let tree = self.running().shared.volume().durable_tree();
        backing::save(&tree, to)
    }

    /// Unmounts in order: what is not synced yet is, if there is power, and the contents
    /// replace what was loaded from the backing directory.
    pub fn unmount(self) -> io::Result<()> {
        let mut running = self.running();
        // Unmounting makes the kernel write back what is mapped.
        running.mount = None;
        let mut volume = running.shared.volume();
        volume.sync_everything();
        backing::clear(&self.backing, &self.loaded)?;
        backing::save(&volume.durable_tree(), &self.backing)
    }

    fn try_mount(backing: &Path, mountpoint: &Path, entry_durability: EntryDurability) -> io::Result<Self> {
        fs::create_dir_all(backing)?;
        fs::create_dir_all(mountpoint)?;
        let mountpoint = mountpoint.canonicalize()?;
        let tree = backing::load(backing)?;
        let loaded = backing::names(&tree)?;
        let running = Running::new(Volume::new(tree, entry_durability), &mountpoint)?;
        Ok(Self { backing: backing.to_owned(), loaded, mountpoint, running: Mutex::new(running) })
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn new(volume: Volume, mountpoint: &Path) -> io::Result<Self> {
        let shared = Shared::new(volume);
        let mount = Mount::new(Arc::clone(&shared), mountpoint)?;
        Ok(Self { shared, mount: Some(mount) })
    }

    /// Not under the lock of the volume: to forget a page the kernel may have to write it.
    fn forget_pages(&self) {
        let cached = self.shared.volume().cached_files();
        if let Some(mount) = &self.mount {
            mount.forget_pages(&cached);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What still has files open must not go on as if the disk were there.
        self.shared.volume().cut_power(PowerCut::DropAll);
    }
}
