//! Inodes and names. A name changes at once for who looks, and durably when its directory is
//! synced; what happened in between is a list in order, as in a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

use fuser::Errno;

use super::content::Content;
use super::fault::Chance;
use super::memory::SharedMemory;

pub(super) const ROOT: u64 = 1;

/// Inodes stay until the next power cut even when nothing names them any more: a name may
/// come back, and tests are short.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    inodes: BTreeMap<u64, Inode>,
    next: u64,
    journal: Vec<EntryChange>,
}

#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) kind: Kind,
    pub(super) owner: Owner,
    pub(super) modified: SystemTime,
    /// Whether a name leads here.
    pub(super) linked: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    File(Content),
    /// Not storage: after a power cut it is empty.
    Memory(SharedMemory),
    Directory(Directory),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    entries: BTreeMap<OsString, u64>,
    durable: BTreeMap<OsString, u64>,
}

/// Modes and owners are durable at once: nothing here is about them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

#[derive(Clone, Debug)]
enum EntryChange {
    Added(Entry, u64),
    Removed(Entry),
    /// One change, though it may touch two directories: a journal keeps it whole.
    Moved(Entry, Entry, u64),
}

#[derive(Clone, Debug)]
struct Entry {
    directory: u64,
    name: OsString,
}

impl Entry {
    fn new(directory: u64, name: &OsStr) -> Self {
        Self { directory, name: name.to_owned() }
    }
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Inode {
            kind: Kind::Directory(Directory::default()),
            owner: Owner { mode: 0o755, uid: 0, gid: 0 },
            modified: SystemTime::now(),
            linked: true,
        };
        Self { inodes: BTreeMap::from([(ROOT, root)]), next: ROOT + 1, journal: Vec::new() }
    }

    pub(super) fn inode(&self, ino: u64) -> Result<&Inode, Errno> {
        self.inodes.get(&ino).ok_or(Errno::ENOENT)
    }

    pub(super) fn inode_mut(&mut self, ino: u64) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&ino).ok_or(Errno::ENOENT)
    }

    pub(super) fn file(&self, ino: u64) -> Result<&Content, Errno> {
        match &self.inode(ino)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Memory(_) | Kind::Directory(_) => Err(Errno::EINVAL),
        }
    }

    pub(super) fn file_mut(&mut self, ino: u64) -> Result<&mut Content, Errno> {
        match &mut self.inode_mut(ino)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Memory(_) | Kind::Directory(_) => Err(Errno::EINVAL),
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = u64> {
        let files = self.inodes.iter();
        files.filter_map(|(&ino, inode)| match inode.kind {
            Kind::File(_) => Some(ino),
            Kind::Memory(_) | Kind::Directory(_) => None,
        })
    }

    pub(super) fn lookup(&self, directory: u64, name: &OsStr) -> Result<u64, Errno> {
        let found = self.directory(directory)?.entries.get(name);
        found.copied().ok_or(Errno::ENOENT)
    }

    /// Names and inodes, in an order that does not change while others come and go.
    pub(super) fn list(&self, directory: u64) -> Result<Vec<(u64, OsString)>, Errno> {
        let entries = &self.directory(directory)?.entries;
        let mut list: Vec<_> = entries.iter().map(|(name, &ino)| (ino, name.clone())).collect();
        list.sort();
        Ok(list)
    }

    pub(super) fn add(&mut self, directory: u64, name: &OsStr, kind: Kind, owner: Owner) -> Result<u64, Errno> {
        let ino = self.next;
        let entries = &mut self.directory_mut(directory)?.entries;
        if entries.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        entries.insert(name.to_owned(), ino);
        self.next += 1;
        self.inodes.insert(ino, Inode { kind, owner, modified: SystemTime::now(), linked: true });
        self.journal.push(EntryChange::Added(Entry::new(directory, name), ino));
        Ok(ino)
    }

    pub(super) fn remove(&mut self, directory: u64, name: &OsStr) -> Result<(), Errno> {
        let ino = self.lookup(directory, name)?;
        self.check_replaceable(ino)?;
        self.directory_mut(directory)?.entries.remove(name);
        self.inode_mut(ino)?.linked = false;
        self.journal.push(EntryChange::Removed(Entry::new(directory, name)));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), replace: bool) -> Result<(), Errno> {
        let ino = self.lookup(from.0, from.1)?;
        match self.lookup(to.0, to.1) {
            Ok(there) if there == ino => return Ok(()),
            Ok(_) if !replace => return Err(Errno::EEXIST),
            Ok(replaced) => {
                self.check_replaceable(replaced)?;
                self.inode_mut(replaced)?.linked = false;
            }
            Err(_) => {}
        }
        self.directory_mut(from.0)?.entries.remove(from.1);
        self.directory_mut(to.0)?.entries.insert(to.1.to_owned(), ino);
        let (from, to) = (Entry::new(from.0, from.1), Entry::new(to.0, to.1));
        self.journal.push(EntryChange::Moved(from, to, ino));
        Ok(())
    }

    /// Makes the names in a directory durable, and of other directories only what a move into
    /// or out of it depends on.
    pub(super) fn sync_directory(&mut self, directory: u64) -> Result<(), Errno> {
        self.directory(directory)?;
        let mut directories = BTreeSet::from([directory]);
        let (mut durable, mut pending) = (Vec::new(), Vec::new());
        for change in std::mem::take(&mut self.journal).into_iter().rev() {
            let touched = change.directories();
            if touched.iter().any(|one| directories.contains(one)) {
                directories.extend(touched);
                durable.push(change);
            } else {
                pending.push(change);
            }
        }
        pending.reverse();
        self.journal = pending;
        for change in durable.into_iter().rev() {
            self.make_durable(change);
        }
        Ok(())
    }

    pub(super) fn sync_all_directories(&mut self) {
        for change in std::mem::take(&mut self.journal) {
            self.make_durable(change);
        }
    }

    /// What an orderly unmount does.
    pub(super) fn sync_everything(&mut self) {
        self.sync_all_directories();
        for inode in self.inodes.values_mut() {
            if let Kind::File(content) = &mut inode.kind {
                content.sync();
            }
        }
    }

    /// Leaves what survives, and of inodes only those that a durable name leads to.
    pub(super) fn cut_power(&mut self, mut chance: Option<Chance>) {
        let changes = std::mem::take(&mut self.journal);
        if let Some(chance) = chance.as_mut() {
            let kept = usize::try_from(chance.below(changes.len() as u64 + 1)).unwrap_or(0);
            for change in changes.into_iter().take(kept) {
                self.make_durable(change);
            }
        }
        let reachable = self.durable_inodes();
        self.inodes.retain(|ino, _| reachable.contains(ino));
        for inode in self.inodes.values_mut() {
            inode.linked = true;
            match &mut inode.kind {
                Kind::File(content) => content.cut_power(chance.as_mut()),
                Kind::Memory(memory) => *memory = SharedMemory::new(),
                Kind::Directory(directory) => directory.entries.clone_from(&directory.durable),
            }
        }
    }

    fn durable_inodes(&self) -> BTreeSet<u64> {
        let mut reachable = BTreeSet::new();
        let mut ahead = vec![ROOT];
        while let Some(ino) = ahead.pop() {
            if reachable.insert(ino)
                && let Ok(directory) = self.directory(ino)
            {
                ahead.extend(directory.durable.values());
            }
        }
        reachable
    }

    fn make_durable(&mut self, change: EntryChange) {
        let mut set = |entry: Entry, ino: Option<u64>| {
            if let Ok(directory) = self.directory_mut(entry.directory) {
                match ino {
                    Some(ino) => directory.durable.insert(entry.name, ino),
                    None => directory.durable.remove(&entry.name),
                };
            }
        };
        match change {
            EntryChange::Added(entry, ino) => set(entry, Some(ino)),
            EntryChange::Removed(entry) => set(entry, None),
            EntryChange::Moved(from, to, ino) => {
                set(from, None);
                set(to, Some(ino));
            }
        }
    }

    fn check_replaceable(&self, ino: u64) -> Result<(), Errno> {
        match &self.inode(ino)?.kind {
            Kind::Directory(directory) if !directory.entries.is_empty() => Err(Errno::ENOTEMPTY),
            Kind::Directory(_) | Kind::File(_) | Kind::Memory(_) => Ok(()),
        }
    }

    fn directory(&self, ino: u64) -> Result<&Directory, Errno> {
        match &self.inode(ino)?.kind {
            Kind::Directory(directory) => Ok(directory),
            Kind::File(_) | Kind::Memory(_) => Err(Errno::ENOTDIR),
        }
    }

    fn directory_mut(&mut self, ino: u64) -> Result<&mut Directory, Errno> {
        match &mut self.inode_mut(ino)?.kind {
            Kind::Directory(directory) => Ok(directory),
            Kind::File(_) | Kind::Memory(_) => Err(Errno::ENOTDIR),
        }
    }
}

impl EntryChange {
    fn directories(&self) -> Vec<u64> {
        match self {
            Self::Added(entry, _) | Self::Removed(entry) => vec![entry.directory],
            Self::Moved(from, to, _) => vec![from.directory, to.directory],
        }
    }
}
