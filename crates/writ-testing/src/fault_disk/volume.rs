//! The disk as the kernel sees it: each operation, with the faults and the power cut that may
//! befall it.

use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

use fuser::{Errno, FileAttr, FileType, INodeNo};

use super::content::Content;
use super::fault::{Counters, EntryDurability, Faults, PowerCut};
use super::memory::SharedMemory;
use super::tree::{Inode, Kind, Owner, Tree};

/// Contents are in memory, so a stray offset must not take it all.
const FILE_BYTES_MAX: u64 = 256 << 20;
const BLOCK_BYTES: u32 = 4096;
const VOLUME_BLOCKS: u64 = 1 << 18;

#[derive(Debug)]
pub(super) struct Volume {
    power: Power,
    armed: Option<Armed>,
    entry_durability: EntryDurability,
    pub(super) faults: Faults,
    pub(super) counters: Counters,
}

#[derive(Debug)]
enum Power {
    On(Tree),
    Off {
        /// What the disk holds; gone once another volume took it over.
        survivors: Option<Tree>,
        /// The files of which the kernel may still have pages.
        cached: Vec<u64>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    operations_left: u64,
    how: PowerCut,
}

/// What may be set of an inode, besides its size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes {
    pub(super) mode: Option<u16>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) modified: Option<SystemTime>,
}

/// Sizes for `statfs`, in blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    pub(super) blocks: u64,
    pub(super) free: u64,
    pub(super) block_bytes: u32,
}

/// Power: what cuts it and what comes back.
impl Volume {
    pub(super) fn new(tree: Tree, entry_durability: EntryDurability) -> Self {
        Self {
            power: Power::On(tree),
            armed: None,
            entry_durability,
            faults: Faults::default(),
            counters: Counters::default(),
        }
    }

    pub(super) fn is_off(&self) -> bool {
        match self.power {
            Power::On(_) => false,
            Power::Off { .. } => true,
        }
    }

    pub(super) fn arm(&mut self, operations_left: u64, how: PowerCut) {
        self.armed = Some(Armed { operations_left, how });
    }

    pub(super) fn cut_power(&mut self, how: PowerCut) {
        self.armed = None;
        let Power::On(tree) = &mut self.power else {
            return;
        };
        let mut tree = std::mem::replace(tree, Tree::new());
        let cached = tree.files().collect();
        tree.cut_power(how.chance());
        self.power = Power::Off { survivors: Some(tree), cached };
    }

    /// Once the power is off: the files whose pages the kernel must forget.
    pub(super) fn cached_files(&self) -> Vec<u64> {
        match &self.power {
            Power::On(_) => Vec::new(),
            Power::Off { cached, .. } => cached.clone(),
        }
    }

    /// The volume that a new mount serves; this one stays dead.
    pub(super) fn take_survivors(&mut self) -> Option<Self> {
        let Power::Off { survivors, .. } = &mut self.power else {
            return None;
        };
        Some(Self {
            power: Power::On(survivors.take()?),
            armed: None,
            entry_durability: self.entry_durability,
            faults: self.faults,
            counters: self.counters,
        })
    }

    /// What a power cut that drops everything would leave now.
    pub(super) fn durable_tree(&self) -> Tree {
        match &self.power {
            Power::On(tree) => {
                let mut tree = tree.clone();
                tree.cut_power(None);
                tree
            }
            Power::Off { survivors, .. } => survivors.clone().unwrap_or_else(Tree::new),
        }
    }

    pub(super) fn sync_everything(&mut self) {
        if let Ok(tree) = self.tree_mut() {
            tree.sync_everything();
        }
    }

    /// Runs an operation on storage, unless the power goes: then it is done or not, and its
    /// caller does not learn which.
    fn change<R>(&mut self, apply: impl FnOnce(&mut Self) -> Result<R, Errno>) -> Result<R, Errno> {
        self.tree()?;
        let Some(armed) = self.armed.as_mut() else {
            return apply(self);
        };
        armed.operations_left = armed.operations_left.saturating_sub(1);
        if armed.operations_left > 0 {
            return apply(self);
        }
        let how = armed.how;
        if how.chance().is_some_and(|mut chance| chance.coin()) {
            drop(apply(self));
        }
        self.cut_power(how);
        Err(Errno::EIO)
    }

    fn tree(&self) -> Result<&Tree, Errno> {
        match &self.power {
            Power::On(tree) => Ok(tree),
            Power::Off { .. } => Err(Errno::EIO),
        }
    }

    fn tree_mut(&mut self) -> Result<&mut Tree, Errno> {
        match &mut self.power {
            Power::On(tree) => Ok(tree),
            Power::Off { .. } => Err(Errno::EIO),
        }
    }
}

/// Looking.
impl Volume {
    pub(super) fn lookup(&self, directory: u64, name: &OsStr) -> Result<FileAttr, Errno> {
        let tree = self.tree()?;
        let ino = tree.lookup(directory, name)?;
        Ok(attributes(ino, tree.inode(ino)?))
    }

    pub(super) fn attributes(&self, ino: u64) -> Result<FileAttr, Errno> {
        Ok(attributes(ino, self.tree()?.inode(ino)?))
    }

    pub(super) fn list(&self, ino: u64) -> Result<Vec<(u64, FileType, OsString)>, Errno> {
        let tree = self.tree()?;
        let mut list = Vec::new();
        for (ino, name) in tree.list(ino)? {
            list.push((ino, file_type(&tree.inode(ino)?.kind), name));
        }
        Ok(list)
    }

    /// Returns the memory that the kernel should use in place of the file, if it is that.
    pub(super) fn open(&self, ino: u64, writing: bool) -> Result<Option<SharedMemory>, Errno> {
        let inode = self.tree()?.inode(ino)?;
        if writing {
            self.faults.check_change()?;
        }
        match &inode.kind {
            Kind::Memory(memory) => Ok(Some(memory.clone())),
            Kind::File(_) | Kind::Directory(_) => Ok(None),
        }
    }

    pub(super) fn read(&self, ino: u64, offset: u64, size: u32) -> Result<Vec<u8>, Errno> {
        let content = self.tree()?.file(ino)?;
        let offset = usize::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
        Ok(content.read(offset, size).to_vec())
    }

    pub(super) fn space(&self) -> Result<Space, Errno> {
        self.tree()?;
        let left = self.faults.space_left();
        Ok(Space {
            blocks: VOLUME_BLOCKS,
            free: left.map_or(VOLUME_BLOCKS / 2, |bytes| bytes / u64::from(BLOCK_BYTES)),
            block_bytes: BLOCK_BYTES,
        })
    }
}

/// Contents and attributes.
impl Volume {
    pub(super) fn write(&mut self, ino: u64, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.change(|volume| {
            let at = file_offset(offset, data.len() as u64)?;
            let len = volume.tree()?.file(ino)?.len();
            let growth = (at + data.len()).saturating_sub(len);
            volume.take_space(growth as u64)?;
            volume.tree_mut()?.file_mut(ino)?.write(at, data);
            volume.counters.writes += 1;
            volume.counters.bytes += data.len() as u64;
            volume.touch(ino)
        })
    }

    pub(super) fn set_len(&mut self, ino: u64, len: u64) -> Result<(), Errno> {
        if let Kind::Memory(memory) = &self.tree()?.inode(ino)?.kind {
            return memory.set_len(len).map_err(|_| Errno::ENOSPC);
        }
        self.change(|volume| {
            let len = file_offset(len, 0)?;
            let growth = len.saturating_sub(volume.tree()?.file(ino)?.len());
            volume.take_space(growth as u64)?;
            volume.tree_mut()?.file_mut(ino)?.set_len(len);
            volume.touch(ino)
        })
    }

    /// Makes a file at least `len` long.
    pub(super) fn allocate(&mut self, ino: u64, len: u64) -> Result<(), Errno> {
        if len > self.attributes(ino)?.size {
            self.set_len(ino, len)?;
        }
        Ok(())
    }

    pub(super) fn set_attributes(&mut self, ino: u64, set: Attributes) -> Result<(), Errno> {
        self.faults.check_change()?;
        let inode = self.tree_mut()?.inode_mut(ino)?;
        inode.owner.mode = set.mode.unwrap_or(inode.owner.mode);
        inode.owner.uid = set.uid.unwrap_or(inode.owner.uid);
        inode.owner.gid = set.gid.unwrap_or(inode.owner.gid);
        inode.modified = set.modified.unwrap_or(inode.modified);
        Ok(())
    }

    pub(super) fn sync_file(&mut self, ino: u64) -> Result<(), Errno> {
        if let Kind::Memory(_) = self.tree()?.inode(ino)?.kind {
            return Ok(());
        }
        self.change(|volume| {
            volume.counters.syncs += 1;
            let read_only = volume.faults.is_read_only();
            let fails = volume.faults.sync_fails();
            let entry_durability = volume.entry_durability;
            let tree = volume.tree_mut()?;
            let content = tree.file_mut(ino)?;
            if fails {
                content.fail_sync();
                volume.counters.failed += 1;
                return Err(Errno::EIO);
            }
            if read_only && content.is_dirty() {
                volume.counters.failed += 1;
                return Err(Errno::EROFS);
            }
            content.sync();
            match entry_durability {
                EntryDurability::DirectorySync => {}
                EntryDurability::AnySync => tree.sync_all_directories(),
            }
            Ok(())
        })
    }

    fn take_space(&mut self, growth: u64) -> Result<(), Errno> {
        let taken = self.faults.take_space(growth);
        self.counters.failed += u64::from(taken.is_err());
        taken
    }

    fn touch(&mut self, ino: u64) -> Result<(), Errno> {
        self.tree_mut()?.inode_mut(ino)?.modified = SystemTime::now();
        Ok(())
    }
}

/// Names.
impl Volume {
    pub(super) fn create_file(&mut self, directory: u64, name: &OsStr, owner: Owner) -> Result<FileAttr, Errno> {
        let kind = if SharedMemory::is_meant_by(name) {
            Kind::Memory(SharedMemory::new())
        } else {
            Kind::File(Content::default())
        };
        self.create(directory, name, kind, owner)
    }

    pub(super) fn create_directory(&mut self, directory: u64, name: &OsStr, owner: Owner) -> Result<FileAttr, Errno> {
        self.create(directory, name, Kind::Directory(Default::default()), owner)
    }

    pub(super) fn remove(&mut self, directory: u64, name: &OsStr) -> Result<(), Errno> {
        self.change(|volume| {
            volume.faults.check_change()?;
            volume.tree_mut()?.remove(directory, name)
        })
    }

    pub(super) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), replace: bool) -> Result<(), Errno> {
        self.change(|volume| {
            volume.faults.check_change()?;
            volume.tree_mut()?.rename(from, to, replace)
        })
    }

    pub(super) fn sync_directory(&mut self, ino: u64) -> Result<(), Errno> {
        self.change(|volume| {
            volume.counters.directory_syncs += 1;
            if volume.faults.sync_fails() {
                return Err(Errno::EIO);
            }
            volume.tree_mut()?.sync_directory(ino)
        })
    }

    fn create(&mut self, directory: u64, name: &OsStr, kind: Kind, owner: Owner) -> Result<FileAttr, Errno> {
        self.change(|volume| {
            volume.faults.check_create()?;
            let tree = volume.tree_mut()?;
            let ino = tree.add(directory, name, kind, owner)?;
            Ok(attributes(ino, tree.inode(ino)?))
        })
    }
}

fn file_offset(offset: u64, len: u64) -> Result<usize, Errno> {
    if offset.saturating_add(len) > FILE_BYTES_MAX {
        return Err(Errno::EFBIG);
    }
    usize::try_from(offset).map_err(|_| Errno::EFBIG)
}

fn file_type(kind: &Kind) -> FileType {
    match kind {
        Kind::File(_) | Kind::Memory(_) => FileType::RegularFile,
        Kind::Directory(_) => FileType::Directory,
    }
}

fn attributes(ino: u64, inode: &Inode) -> FileAttr {
    let size = match &inode.kind {
        Kind::File(content) => content.len() as u64,
        Kind::Memory(memory) => memory.len(),
        Kind::Directory(_) => 0,
    };
    FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: size.div_ceil(512),
        atime: inode.modified,
        mtime: inode.modified,
        ctime: inode.modified,
        crtime: inode.modified,
        kind: file_type(&inode.kind),
        perm: inode.owner.mode,
        nlink: u32::from(inode.linked),
        uid: inode.owner.uid,
        gid: inode.owner.gid,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}
