//! The kernel's requests, translated to operations on a volume.
//!
//! Caching: the write-back cache stays off, so each write arrives before its caller goes on;
//! names and attributes are never cached; pages are, as on any disk, and are thrown out at a
//! power cut. Locks are not ours: the kernel keeps them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BackingId, BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::tree::Owner;
use super::volume::{Attributes, Volume};

const NEVER_CACHED: Duration = Duration::ZERO;
/// Without a flush on close: a process that serves the disk and leaves a file of it open could
/// wait for itself when it ends.
const OPENED: FopenFlags = FopenFlags::FOPEN_NOFLUSH;

/// A volume, shared by the thread that serves it and the test that breaks it.
#[derive(Debug)]
pub(super) struct Shared {
    volume: Mutex<Volume>,
    power_changed: Condvar,
}

impl Shared {
    pub(super) fn new(volume: Volume) -> Arc<Self> {
        Arc::new(Self { volume: Mutex::new(volume), power_changed: Condvar::new() })
    }

    pub(super) fn volume(&self) -> MutexGuard<'_, Volume> {
        // A panic elsewhere must not keep the kernel waiting for an answer.
        self.volume.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the power is off, and says whether it is.
    pub(super) fn wait_until_off(&self, timeout: Duration) -> bool {
        let waited = self.power_changed.wait_timeout_while(self.volume(), timeout, |volume| !volume.is_off());
        let (volume, _) = waited.unwrap_or_else(PoisonError::into_inner);
        volume.is_off()
    }

    fn with<R>(&self, run: impl FnOnce(&mut Volume) -> R) -> R {
        let mut volume = self.volume();
        let result = run(&mut volume);
        if volume.is_off() {
            self.power_changed.notify_all();
        }
        result
    }
}

/// One mount of a volume.
#[derive(Debug)]
pub(super) struct Mounted {
    shared: Arc<Shared>,
    /// The kernel wants one and the same number for a memory as long as it is open.
    memories: Mutex<BTreeMap<u64, Arc<BackingId>>>,
}

impl Mounted {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, memories: Mutex::default() }
    }

    /// What a memory goes by, after giving it to the kernel once.
    fn registered(&self, ino: u64, register: impl FnOnce() -> io::Result<BackingId>) -> Result<Arc<BackingId>, Errno> {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memories.get(&ino) {
            return Ok(Arc::clone(known));
        }
        let id = Arc::new(register().map_err(|_| Errno::EOPNOTSUPP)?);
        memories.insert(ino, Arc::clone(&id));
        Ok(id)
    }

    fn empty(&self, reply: ReplyEmpty, run: impl FnOnce(&mut Volume) -> Result<(), Errno>) {
        match self.shared.with(run) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn entry(&self, reply: ReplyEntry, run: impl FnOnce(&mut Volume) -> Result<FileAttr, Errno>) {
        match self.shared.with(run) {
            Ok(attributes) => reply.entry(&NEVER_CACHED, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }
}

impl Filesystem for Mounted {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // A kernel without this (before 6.9) refuses to open shared memory, and nothing else.
        if config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok() {
            config.set_max_stack_depth(1).ok();
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(reply, |volume| volume.lookup(parent.0, name));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.shared.with(|volume| volume.attributes(ino.0)) {
            Ok(attributes) => reply.attr(&NEVER_CACHED, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = Attributes {
            mode: mode.map(permissions),
            uid,
            gid,
            modified: mtime.map(|time| match time {
                TimeOrNow::SpecificTime(time) => time,
                TimeOrNow::Now => SystemTime::now(),
            }),
        };
        let result = self.shared.with(|volume| {
            if let Some(size) = size {
                volume.set_len(ino.0, size)?;
            }
            volume.set_attributes(ino.0, set)?;
            volume.attributes(ino.0)
        });
        match result {
            Ok(attributes) => reply.attr(&NEVER_CACHED, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let owner = owner(request, mode & !umask);
        self.entry(reply, |volume| volume.create_directory(parent.0, name, owner));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(reply, |volume| volume.remove(parent.0, name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(reply, |volume| volume.remove(parent.0, name));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !RenameFlags::RENAME_NOREPLACE.contains(flags) {
            return reply.error(Errno::EINVAL);
        }
        self.empty(reply, |volume| {
            let (from, to) = ((parent.0, name), (new_parent.0, new_name));
            volume.rename(from, to, flags.is_empty())
        });
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let writing = flags.acc_mode() != OpenAccMode::O_RDONLY;
        match self.shared.with(|volume| volume.open(ino.0, writing)) {
            Ok(None) => reply.opened(FileHandle(0), OPENED),
            Ok(Some(memory)) => match self.registered(ino.0, || reply.open_backing(&memory)) {
                Ok(id) => reply.opened_passthrough(FileHandle(0), OPENED, &id),
                Err(error) => reply.error(error),
            },
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let owner = owner(request, mode & !umask);
        let created = self.shared.with(|volume| {
            let attributes = volume.create_file(parent.0, name, owner)?;
            let memory = volume.open(attributes.ino.0, true)?;
            Ok((attributes, memory))
        });
        let (ttl, generation, handle) = (&NEVER_CACHED, Generation(0), FileHandle(0));
        match created {
            Ok((attributes, None)) => reply.created(ttl, &attributes, generation, handle, OPENED),
            Ok((attributes, Some(memory))) => match self.registered(attributes.ino.0, || reply.open_backing(&memory)) {
                Ok(id) => {
                    let attributes = &attributes;
                    reply.created_passthrough(ttl, attributes, generation, handle, OPENED, &id);
                }
                Err(error) => reply.error(error),
            },
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.shared.with(|volume| volume.read(ino.0, offset, size)) {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let result = self.shared.with(|volume| volume.write(ino.0, offset, data));
        match result.and(u32::try_from(data.len()).map_err(|_| Errno::EINVAL)) {
            Ok(written) => reply.written(written),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.empty(reply, |volume| volume.sync_file(ino.0));
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let entries = match self.shared.with(|volume| volume.list(ino.0)) {
            Ok(entries) => entries,
            Err(error) => return reply.error(error),
        };
        // The offset of an entry follows from its inode, so that it stays when others go.
        let dots = [(0, "."), (1, "..")].map(|(at, name)| (at, ino.0, FileType::Directory, name.into()));
        let named = entries.into_iter().map(|(ino, kind, name)| (ino + 1, ino, kind, name));
        for (at, ino, kind, name) in dots.into_iter().chain(named) {
            if at >= offset && reply.add(INodeNo(ino), at + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.empty(reply, |volume| volume.sync_directory(ino.0));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match self.shared.with(|volume| volume.space()) {
            Ok(space) => reply.statfs(
                space.blocks,
                space.free,
                space.free,
                space.blocks,
                space.free,
                space.block_bytes,
                255,
                space.block_bytes,
            ),
            Err(error) => reply.error(error),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        self.empty(reply, |volume| volume.allocate(ino.0, offset.saturating_add(length)));
    }
}

fn owner(request: &Request, mode: u32) -> Owner {
    Owner { mode: permissions(mode), uid: request.uid(), gid: request.gid() }
}

fn permissions(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).unwrap_or_default()
}
