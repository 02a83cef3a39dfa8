//! Mounting without a helper: root opens `/dev/fuse` and calls mount(2) itself.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, INodeNo, Notifier, Session, SessionACL};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::kernel::{Mounted, Shared};

/// Names the mounts, and the process that serves each, in the table of mounts.
const SOURCE_PREFIX: &str = "writ-fault-disk-";

/// A mount and the thread that serves it. Dropped, the mount is gone from the name space at
/// once; the thread ends when the last file that is still open is closed.
#[derive(Debug)]
pub(super) struct Mount {
    mountpoint: PathBuf,
    session: BackgroundSession,
}

impl Mount {
    pub(super) fn new(shared: Arc<Shared>, mountpoint: &Path) -> io::Result<Self> {
        let device: OwnedFd = OpenOptions::new().read(true).write(true).open("/dev/fuse")?.into();
        let options =
            format!("fd={},rootmode=40755,user_id=0,group_id=0,default_permissions,allow_other", device.as_raw_fd());
        let source = format!("{SOURCE_PREFIX}{}", std::process::id());
        mount(
            Some(source.as_str()),
            mountpoint,
            Some("fuse"),
            MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOATIME,
            Some(options.as_str()),
        )?;
        let mut config = Config::default();
        config.acl = SessionACL::All;
        match Session::from_fd(Mounted::new(shared), device, SessionACL::All, config).and_then(Session::spawn) {
            Ok(session) => Ok(Self { mountpoint: mountpoint.to_owned(), session }),
            Err(error) => {
                detach(mountpoint);
                Err(error)
            }
        }
    }

    /// Throws out cached pages, so that reads ask the disk.
    pub(super) fn forget_pages(&self, inodes: &[u64]) {
        let notifier: Notifier = self.session.notifier();
        for &ino in inodes {
            // It fails only for an inode that the kernel does not hold, or a mount that is gone.
            notifier.inval_inode(INodeNo(ino), 0, 0).ok();
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        detach(&self.mountpoint);
    }
}

/// Takes a mount out of the name space, busy or not. It fails only when there is none.
fn detach(mountpoint: &Path) {
    umount2(mountpoint, MntFlags::MNT_DETACH).ok();
}

/// Removes the mounts that killed processes left behind. One of them may hang in its end,
/// waiting for its own disk to take back mapped pages: forced, the disk answers with errors.
pub(super) fn sweep_abandoned() {
    let Ok(table) = fs::read("/proc/self/mountinfo") else {
        return;
    };
    for line in table.split(|&byte| byte == b'\n') {
        if let Some(mountpoint) = abandoned(line) {
            umount2(&mountpoint, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH).ok();
        }
    }
}

fn abandoned(line: &[u8]) -> Option<PathBuf> {
    let mut fields = line.split(|&byte| byte == b' ');
    let mountpoint = fields.nth(4)?;
    let source = fields.skip_while(|field| *field != b"-").nth(2)?;
    let server = str::from_utf8(source).ok()?.strip_prefix(SOURCE_PREFIX)?;
    server.parse::<u32>().ok()?;
    // The command line of a process that is ending, or has ended, is gone.
    let lives = fs::read(format!("/proc/{server}/cmdline")).is_ok_and(|line| !line.is_empty());
    (!lives).then(|| unescape(mountpoint))
}

/// The table of mounts writes a space as `\040`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escaped = || {
            let octal = str::from_utf8(tail.get(..3)?).ok()?;
            u8::from_str_radix(octal, 8).ok()
        };
        match (first, escaped()) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => bytes.push(*first),
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_ended_processes_are_abandoned() {
        let line =
            |source: &str| format!("36 35 98:0 / /tmp/a\\040b\\134c rw,nodev shared:1 - fuse {source} rw,user_id=0");
        let ended = line("writ-fault-disk-4194305");
        assert_eq!(abandoned(ended.as_bytes()), Some("/tmp/a b\\c".into()));
        let ours = line(&format!("writ-fault-disk-{}", std::process::id()));
        assert_eq!(abandoned(ours.as_bytes()), None);
        assert_eq!(abandoned(line("/dev/fuse").as_bytes()), None);
    }
}
