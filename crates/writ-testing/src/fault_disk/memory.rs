//! Memory that processes share through a mapped file, as SQLite does with `-shm`.
//!
//! Such a file is handed to the kernel as it is, and its operations do not come to the disk.
//! They must not: a process that waits for its own thread to serve a page it has mapped waits
//! for ever once that thread needs memory, for the wait holds the lock on the address space.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::sys::memfd::{MFdFlags, memfd_create};

#[derive(Clone, Debug)]
pub(super) struct SharedMemory(Arc<File>);

impl SharedMemory {
    pub(super) fn new() -> Self {
        let memory = memfd_create("writ-fault-disk", MFdFlags::MFD_CLOEXEC);
        Self(Arc::new(memory.expect("memory for a test disk").into()))
    }

    pub(super) fn is_meant_by(name: &OsStr) -> bool {
        name.as_encoded_bytes().ends_with(b"-shm")
    }

    pub(super) fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |metadata| metadata.len())
    }

    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
