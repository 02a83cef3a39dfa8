//! Invariant 12 for a script: its interpreter opens it by name, long after it was hashed, and what it opens must be the private copy.
//!
//! The copy is mounted over the name, and that holds against everything in the tree. It does not hold against other mount namespaces: whoever
//! can write to the folder can rename another file over the name, and the kernel takes the mount away. So the interpreter is traced until it
//! has opened the script, and ended if it gets another file.

use crate::calls::{Opening, opening, starts_another};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::ptrace;
use nix::sys::stat::{FileStat, Mode, fstat, stat};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Calls of the kernel until it is given up that the first process opens the script: an interpreter may leave that to another process, or not
/// do it at all. Python with a large site, or behind a version manager written in shell, needs some thousands.
const CALLS_MAX: u32 = 20_000;
/// Calls that are looked at after the first opening: Python looks whether it has an archive, closes it, and opens it again some fifteen calls
/// later.
const CALLS_AFTER_MAX: u32 = 64;
/// The longest name that the kernel takes.
const PATH_BYTES_MAX: usize = 4096;
/// No page is smaller: what is within one is there as a whole, or not at all.
const PAGE_BYTES: usize = 4096;

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(found: &FileStat) -> Self {
        Self { device: found.st_dev, inode: found.st_ino }
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.device) << 64 | u128::from(self.inode)).to_le_bytes()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self { device: (both >> 64) as u64, inode: both as u64 }
    }
}

/// What is known about the script so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The interpreter has not opened it for good.
    Further,
    /// It has, or will not: there is nothing more to see.
    Done,
    /// It has opened another file as the script.
    Replaced,
    /// The kernel does not show what it opens.
    Unseen,
}

/// A script that its interpreter is about to open.
#[derive(Debug)]
pub(crate) struct Awaited {
    command: Pid,
    /// The root folder as the command has it, with its mounts.
    root: OwnedFd,
    /// The name as the interpreter was given it.
    asked: PathBuf,
    /// The same, absolute: in the folder that the command began in.
    absolute: PathBuf,
    cwd: PathBuf,
    /// Where it was measured, links resolved.
    resolved: PathBuf,
    copy: Identity,
    calls_left: u32,
    opened: bool,
    call: Option<Opening>,
}

impl Awaited {
    /// For a command that stands at its exec.
    pub(crate) fn new(command: Pid, cwd: &Path, asked: &Path, resolved: &Path, copy: Identity) -> Result<Self, Errno> {
        let root = open(format!("/proc/{command}/root").as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Self {
            command,
            root,
            asked: asked.to_owned(),
            absolute: cwd.join(asked),
            cwd: cwd.to_owned(),
            resolved: resolved.to_owned(),
            copy,
            calls_left: CALLS_MAX,
            opened: false,
            call: None,
        })
    }

    /// The command executes another program: `env` its interpreter, or the script what it ends with.
    pub(crate) fn at_exec(&mut self) -> Look {
        self.call = None;
        if !self.opened {
            return Look::Further;
        }
        let arguments = std::fs::read(format!("/proc/{}/cmdline", self.command)).unwrap_or_default();
        let name = self.asked.as_os_str().as_bytes();
        if !arguments.windows(name.len()).any(|found| found == name) {
            return Look::Done;
        }
        // Given the name of the script, it will open it in its turn.
        (self.opened, self.calls_left) = (false, CALLS_MAX);
        Look::Further
    }

    /// The command calls the kernel, or comes back from there.
    pub(crate) fn at_call(&mut self) -> Result<Look, Errno> {
        let info = ptrace::syscall_info(self.command)?;
        match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                // SAFETY: at the entry to a call, this is what the kernel has filled in.
                let entry = unsafe { info.u.entry };
                self.calls_left = self.calls_left.saturating_sub(1);
                // Once it starts something else, the bytes that were measured are what it runs.
                if self.calls_left == 0 || (self.opened && starts_another(info.arch, entry.nr)) {
                    return Ok(Look::Done);
                }
                self.call = opening(info.arch, entry.nr, &entry.args);
                Ok(Look::Further)
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => {
                let Some(call) = self.call.take() else { return Ok(Look::Further) };
                // SAFETY: at the return from a call, this is what the kernel has filled in.
                let exit = unsafe { info.u.exit };
                if exit.is_error != 0 { Ok(Look::Further) } else { Ok(self.at_opened(call, exit.sval)) }
            }
            _ => Ok(Look::Further),
        }
    }

    /// The command has opened something, and has not got it yet.
    fn at_opened(&mut self, call: Opening, descriptor: i64) -> Look {
        let opened = PathBuf::from(format!("/proc/{}/fd/{descriptor}", self.command));
        let (Ok(found), Ok(path)) = (stat(&opened), std::fs::read_link(&opened)) else { return Look::Unseen };
        if Identity::of(&found) == self.copy {
            if !self.opened {
                (self.opened, self.calls_left) = (true, CALLS_AFTER_MAX);
            }
            return Look::Further;
        }
        let Ok(name) = self.name(call.name) else { return Look::Unseen };
        let deleted = path.as_os_str().as_bytes().strip_suffix(b" (deleted)");
        let path = deleted.map_or(path.as_path(), |path| Path::new(OsStr::from_bytes(path)));
        if self.is_script(&name, call.folder) || path == self.resolved || self.leads_elsewhere() {
            return Look::Replaced;
        }
        Look::Further
    }

    /// Whether this is a name of the script. What is opened relative to a folder that the interpreter holds has no name of its own.
    fn is_script(&self, name: &Path, folder: Option<i32>) -> bool {
        if name.is_relative() && folder.is_some_and(|folder| folder != libc::AT_FDCWD) {
            return false;
        }
        // Compared without `.` and doubled slashes; links are the kernel's to follow.
        let absolute = self.cwd.join(name);
        absolute == self.absolute || absolute == self.resolved
    }

    /// Whether the name leads to another file already: some interpreters follow links themselves and open what they have found. That it leads
    /// nowhere is the interpreter's to say. Once it has the script, whoever may can put a newer one there.
    fn leads_elsewhere(&self) -> bool {
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC);
        let how = how.resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let found = || fstat(openat2(&self.root, &self.absolute, how)?);
        !self.opened && found().is_ok_and(|found| Identity::of(&found) != self.copy)
    }

    /// A name in the memory of the command.
    fn name(&self, address: u64) -> Result<PathBuf, Errno> {
        let base = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
        let mut bytes = vec![0; PATH_BYTES_MAX];
        let first = PAGE_BYTES - base % PAGE_BYTES;
        let parts = [
            RemoteIoVec { base, len: first },
            RemoteIoVec { base: base.saturating_add(first), len: PATH_BYTES_MAX - first },
        ];
        let read = process_vm_readv(self.command, &mut [IoSliceMut::new(&mut bytes)], &parts)?;
        let name = bytes.get(..read).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(PathBuf::from(OsStr::from_bytes(name)))
    }
}
