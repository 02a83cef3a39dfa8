//! What a governed tree cannot reach (Invariant 13): the domain's files, other processes, and sockets without a name.
//!
//! A mount namespace of its own covers the files; a Landlock domain keeps signals, debugging and abstract sockets inside the tree; what could
//! undo either is given up. It works for root and for ordinary users, who get a user namespace to do it in.

use crate::calls::bar;
use crate::capabilities::give_up;
use crate::script::Identity;
use crate::tree::StartError;
use landlock::{ABI, Access, CompatLevel, Compatible, RestrictionStatus, Ruleset, RulesetAttr, Scope};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, fstat, stat};
use nix::unistd::{getegid, geteuid};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Sockets and folders that lead to executions outside the tree, if they are there. `UID` stands for the user.
const DOORS: &[&str] = &[
    "/run/docker.sock",
    "/run/containerd",
    "/run/podman",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/user/UID/bus",
    "/run/user/UID/systemd",
    "/run/user/UID/podman",
];
/// What the kernel is steered with: it could be had to run something outside the tree (`core_pattern`, `binfmt_misc`), or to freeze or kill the
/// gateway through a control group, which an ordinary user may do in a delegated one.
const READ_ONLY: &[&str] = &["/proc/sys", "/proc/sysrq-trigger", "/sys"];
/// Where root, or a member of the group of disks, could read past every cover.
const RAW_MEMORY: &[&str] = &["/dev/mem", "/dev/kmem", "/dev/port"];

/// Where in the first cover the private copy of a script stands.
const SCRIPT: &str = ".script";
/// What the cover has room for.
pub(crate) const SCRIPT_BYTES_MAX: usize = 8 << 20;

/// What is covered, and what is left open inside it.
#[derive(Clone, Debug)]
pub struct Confinement {
    hidden: Vec<PathBuf>,
    kept: Vec<PathBuf>,
}

/// Where a step in the child failed.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) step: Step,
    pub(crate) errno: Errno,
}

/// The steps of confinement, as a person is told of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    Namespace = 1,
    Maps = 2,
    Cover = 3,
    Keep = 4,
    Doors = 5,
    Script = 6,
    Landlock = 7,
    Capabilities = 8,
    Trace = 9,
    Exec = 10,
    Parent = 11,
    ScriptChanged = 12,
    Calls = 13,
}

impl Step {
    const ALL: &'static [Self] = &[
        Self::Namespace,
        Self::Maps,
        Self::Cover,
        Self::Keep,
        Self::Doors,
        Self::Script,
        Self::Landlock,
        Self::Capabilities,
        Self::Trace,
        Self::Exec,
        Self::Parent,
        Self::ScriptChanged,
        Self::Calls,
    ];

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|step| *step as u8 == number)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "a mount namespace of its own (are user namespaces switched off?)",
            Self::Maps => "the user's own ids in its namespace",
            Self::Cover => "covering the domain's files",
            Self::Keep => "keeping the node's socket reachable",
            Self::Doors => "closing the doors out of the tree",
            Self::Script => "a private copy of the script",
            Self::Landlock => "Landlock (Linux 6.12 or later, with Landlock switched on)",
            Self::Calls => "barring system calls that reach out of the tree (seccomp)",
            Self::Capabilities => "giving up capabilities",
            Self::Trace => "holding the program at its first instruction",
            Self::Exec => "executing the opened file",
            Self::Parent => "staying with the gateway, which is gone",
            Self::ScriptChanged => "the script, which is not what was measured any more",
        }
    }
}

fn at(step: Step) -> impl FnOnce(Errno) -> Fault {
    move |errno| Fault { step, errno }
}

fn at_io(step: Step) -> impl FnOnce(std::io::Error) -> Fault {
    move |error| Fault { step, errno: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)) }
}

impl Confinement {
    /// Covers `hidden`, all of which must be there, and leaves `kept` open inside it.
    pub fn new(hidden: &[PathBuf], kept: &[PathBuf]) -> Result<Self, StartError> {
        // What cannot be found cannot be covered, and may be somewhere else at this moment: doubt denies.
        let found = |path: &PathBuf| {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            fs::canonicalize(path).map_err(|_| StartError::HiddenGone(path.to_owned()))
        };
        if !hidden.iter().any(|path| path.is_dir()) {
            return Err(StartError::NothingHidden);
        }
        let hidden = hidden.iter().map(found).collect::<Result<Vec<_>, _>>()?;
        let kept = kept.iter().filter_map(|path| fs::canonicalize(path).ok()).collect::<Vec<_>>();
        Ok(Self { hidden, kept })
    }

    /// A tree that begins inside what is covered would look out from under the cover.
    pub(crate) fn admits(&self, folder: &Path) -> Result<(), StartError> {
        match self.hidden.iter().find(|hidden| folder.starts_with(hidden)) {
            Some(hidden) => Err(StartError::InsideHidden(hidden.clone())),
            None => Ok(()),
        }
    }

    /// Confines this process and all that it will start. `script` is the resolved path of a script, and the opened file; what is returned is
    /// its private copy.
    pub(crate) fn apply(&self, script: Option<(&Path, &File, &writ_tlog::Hash)>) -> Result<Option<Identity>, Fault> {
        let own_user_namespace = new_namespace()?;
        let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
        mount(None::<&str>, "/", None::<&str>, slave, None::<&str>).map_err(at(Step::Namespace))?;
        let kept = self.kept.iter().map(|path| Ok((path, descriptor(path)?))).collect::<Result<Vec<_>, Fault>>()?;
        self.pin_ancestors()?;
        for path in &self.hidden {
            cover(path).map_err(at(Step::Cover))?;
        }
        for (path, found) in &kept {
            keep(path, found)?;
        }
        let uid = geteuid().as_raw().to_string();
        for door in DOORS {
            cover(Path::new(&door.replace("UID", &uid))).map_err(at(Step::Doors))?;
        }
        close_the_kernel()?;
        let copy = script.map(|(path, file, digest)| self.private_script(path, file, digest)).transpose()?;
        for path in self.hidden.iter().filter(|path| path.is_dir()) {
            read_only(path).map_err(at(Step::Cover))?;
        }
        landlock()?;
        bar().map_err(at(Step::Calls))?;
        give_up(own_user_namespace).map_err(at(Step::Capabilities))?;
        Ok(copy)
    }

    /// Makes the folders above what is covered mount points, which nobody in the tree can rename, to put a domain of its own where this one
    /// was. What is mounted afterwards by name is mounted in there, and the working folder is entered anew, or it would lead beside the covers.
    fn pin_ancestors(&self) -> Result<(), Fault> {
        use std::os::unix::fs::MetadataExt;
        let above = self.hidden.iter().flat_map(|path| path.ancestors().skip(1));
        let above: std::collections::BTreeSet<&Path> = above.filter(|path| path.parent().is_some()).collect();
        let identity = || fs::metadata(".").map(|found| (found.dev(), found.ino())).map_err(at_io(Step::Cover));
        let (folder, before) = (std::env::current_dir().map_err(at_io(Step::Cover))?, identity()?);
        // A folder comes before what is in it.
        for folder in above {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(folder), folder, None::<&str>, flags, None::<&str>).map_err(at(Step::Cover))?;
        }
        std::env::set_current_dir(folder).map_err(at_io(Step::Cover))?;
        if identity()? == before { Ok(()) } else { Err(Fault { step: Step::Cover, errno: Errno::ESTALE }) }
    }

    /// The bytes that were measured, under the name that the interpreter will open. Nobody can write to them; that it is them which are opened
    /// is for `Awaited` to see.
    fn private_script(&self, path: &Path, file: &File, digest: &writ_tlog::Hash) -> Result<Identity, Fault> {
        use std::os::unix::fs::FileExt;
        let step = Step::Script;
        let folder = self.hidden.iter().find(|path| path.is_dir()).ok_or(Fault { step, errno: Errno::ENOENT })?;
        let length = file.metadata().map_err(at_io(step))?.len();
        let changed = Fault { step: Step::ScriptChanged, errno: Errno::ESTALE };
        // It was refused when it was measured, if it was larger then.
        let length = usize::try_from(length).ok().filter(|length| *length <= SCRIPT_BYTES_MAX);
        let mut bytes = vec![0; length.ok_or(changed)?];
        file.read_exact_at(&mut bytes, 0).map_err(at_io(Step::ScriptChanged))?;
        if writ_tlog::sha256(&bytes) != *digest {
            return Err(Fault { step: Step::ScriptChanged, errno: Errno::ESTALE });
        }
        let copy = folder.join(SCRIPT);
        let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o555).open(&copy);
        let mut opened = opened.map_err(at_io(step))?;
        opened.write_all(&bytes).map_err(at_io(step))?;
        let identity = Identity::of(&fstat(&opened).map_err(at(step))?);
        drop(opened);
        mount(Some(&copy), path, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(at(step))?;
        read_only(path).map_err(at(step))?;
        Ok(identity)
    }
}

/// Returns whether it took a user namespace too.
fn new_namespace() -> Result<bool, Fault> {
    let (uid, gid) = (geteuid(), getegid());
    match unshare(CloneFlags::CLONE_NEWNS) {
        Ok(()) => return Ok(false),
        Err(Errno::EPERM) => {}
        Err(errno) => return Err(Fault { step: Step::Namespace, errno }),
    }
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(at(Step::Namespace))?;
    for (file, content) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{uid} {uid} 1")),
        ("/proc/self/gid_map", format!("{gid} {gid} 1")),
    ] {
        fs::write(file, content).map_err(at_io(Step::Maps))?;
    }
    Ok(true)
}

fn descriptor(path: &Path) -> Result<OwnedFd, Fault> {
    open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(at(Step::Keep))
}

/// An empty folder over a folder, an empty file over anything else. What is not there needs none.
fn cover(path: &Path) -> Result<(), Errno> {
    let found = match stat(path) {
        Ok(found) => found,
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    if SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        return mount(Some("writ"), path, Some("tmpfs"), flags, Some("mode=755,size=8m"));
    }
    mount(Some("/dev/null"), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
}

fn read_only(path: &Path) -> Result<(), Errno> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(None::<&str>, path, None::<&str>, flags, None::<&str>)
}

fn keep(path: &Path, found: &OwnedFd) -> Result<(), Fault> {
    let source = format!("/proc/self/fd/{}", found.as_raw_fd());
    if fs::metadata(&source).map_err(at_io(Step::Keep))?.is_dir() {
        fs::create_dir_all(path).map_err(at_io(Step::Keep))?;
    } else {
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(at_io(Step::Keep))?;
        File::create(path).map_err(at_io(Step::Keep))?;
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source.as_str()), path, None::<&str>, flags, None::<&str>).map_err(at(Step::Keep))?;
    // A socket is reached through a folder that is read only; nobody puts another in its place. Only added to what the mount has: taking away
    // what it had outside, such as `noexec` on `/run`, is not for a user namespace.
    read_only_below(path).map_err(at(Step::Keep))
}

/// Who is root can write where the kernel looks even with no capability at all, and who may read a disk sees every file on it.
fn close_the_kernel() -> Result<(), Fault> {
    for path in READ_ONLY.iter().map(Path::new).filter(|path| path.exists()) {
        mount(Some(path), path, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
            .map_err(at(Step::Doors))?;
        read_only_below(path).map_err(at(Step::Doors))?;
    }
    let devices = fs::read_dir("/dev").map_err(at_io(Step::Doors))?;
    let block = devices.filter_map(Result::ok).map(|found| found.path()).filter(|path| is_block_device(path));
    for path in block.chain(RAW_MEMORY.iter().map(PathBuf::from)) {
        cover(&path).map_err(at(Step::Doors))?;
    }
    Ok(())
}

/// Everything that is mounted below a path too, and what is mounted there outside later does not arrive: it would be writable.
fn read_only_below(path: &Path) -> Result<(), Errno> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let wanted = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    let flags = libc::AT_RECURSIVE;
    // SAFETY: the path ends with a zero byte, the attributes are of the size that is told, and both live through the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(Errno::last()) }
}

fn is_block_device(path: &Path) -> bool {
    let found = nix::sys::stat::lstat(path);
    found.is_ok_and(|found| SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFBLK)
}

/// The version of Landlock that this kernel offers, if any.
pub fn landlock_abi() -> Option<i32> {
    const VERSION: libc::c_int = 1;
    // SAFETY: asked for its version, the call takes no attributes and touches no memory.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    i32::try_from(abi).ok().filter(|abi| *abi > 0)
}

/// Signals, debugging and abstract sockets stay inside the tree; no privilege is ever gained by executing.
pub(crate) fn landlock() -> Result<(), Fault> {
    let step = Step::Landlock;
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::from_all(ABI::V6))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    match restricted {
        Ok(RestrictionStatus { no_new_privs: true, .. }) => Ok(()),
        Ok(_) => Err(Fault { step, errno: Errno::ENOSYS }),
        Err(_) => Err(Fault { step, errno: Errno::ENOSYS }),
    }
}
