//! The policy folder of a domain: read whole, or not at all.

use crate::error::AuthorityError;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use writ_policy::Snapshot;

/// Folders in folders, at most.
const DEPTH_MAX: usize = 8;
/// More than a snapshot may hold, so that its own limit is what refuses.
const READ_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Whoever writes in the folder may put another thing in place of a name at any moment, so what is looked at is what was opened: no link is
/// followed, and nothing that is opened can keep the reader waiting.
const OPENED: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// Reads every file below `folder`. Links are not followed: what is digested must be what lies there.
pub fn read_policy_folder(folder: &Path) -> Result<Snapshot, AuthorityError> {
    read_as(folder, None)
}

/// The same, of a folder that decides. What somebody else may write there would be taken for the word of this user, so it is refused.
pub fn read_own_policy_folder(folder: &Path) -> Result<Snapshot, AuthorityError> {
    read_as(folder, Some(Own { root: folder, reached: others_get_to(folder) }))
}

/// Whether each folder above lets others through. The domain's own does not, as a rule, and then the modes below it mean nothing.
fn others_get_to(folder: &Path) -> bool {
    let lets_through = |above: &Path| std::fs::metadata(above).map_or(true, |found| found.mode() & 0o011 != 0);
    folder.canonicalize().map_or(true, |real| real.ancestors().skip(1).all(lets_through))
}

fn read_as(folder: &Path, own: Option<Own<'_>>) -> Result<Snapshot, AuthorityError> {
    // The folder itself is named by the operator, and may be reached by a link.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, folder, flags, Mode::empty()).map_err(|errno| file(folder, errno.into()))?;
    let own = own.map(|own| own.judge(folder, &opened)).transpose()?;
    let mut read = ReadSoFar { files: BTreeMap::new(), left: READ_BYTES_MAX };
    read.folder((&opened, folder), "", own, 0)?;
    Snapshot::new(read.files).map_err(AuthorityError::Policy)
}

/// What nobody but this process's user, and root, may write.
#[derive(Clone, Copy)]
struct Own<'a> {
    root: &'a Path,
    /// Whether others get to what is looked at: a folder that they may not enter protects what is in it.
    reached: bool,
}

impl Own<'_> {
    /// What there is to say of what lies in this.
    fn judge(self, path: &Path, opened: &OwnedFd) -> Result<Self, AuthorityError> {
        let found = fstat(opened).map_err(|errno| file(path, errno.into()))?;
        let (owner, myself, root) = (found.st_uid, geteuid().as_raw(), self.root.display());
        if self.reached && owner != myself && owner != 0 {
            let why = format!(
                "it belongs to another user (uid {owner}), who decides nothing here: `chown -R {myself} {root}`"
            );
            return Err(file(path, std::io::Error::other(why)));
        }
        if self.reached && found.st_mode & 0o022 != 0 {
            let why = format!(
                "others may write it, so nobody knows whose it is: `chmod -R go-w {root}`, and look at what it says"
            );
            return Err(file(path, std::io::Error::other(why)));
        }
        Ok(Self { reached: self.reached && found.st_mode & 0o011 != 0, ..self })
    }
}

struct ReadSoFar {
    files: BTreeMap<String, Vec<u8>>,
    /// How many bytes may still come.
    left: u64,
}

impl ReadSoFar {
    fn folder(
        &mut self,
        (opened, folder): (&OwnedFd, &Path),
        prefix: &str,
        own: Option<Own<'_>>,
        depth: usize,
    ) -> Result<(), AuthorityError> {
        let fails = |path: &Path, errno: Errno| file(path, errno.into());
        let refused = |path: &Path, why: &str| file(path, std::io::Error::other(why.to_owned()));
        if depth > DEPTH_MAX {
            return Err(refused(folder, "folders are nested too deep for a policy set"));
        }
        for found in Dir::read_from(opened).map_err(|errno| fails(folder, errno))? {
            let found = found.map_err(|errno| fails(folder, errno))?;
            let path = folder.join(found.file_name().to_string_lossy().as_ref());
            let name = found.file_name().to_str().map_err(|_| refused(&path, "a file name that is not text"))?;
            if name.starts_with('.') || name.ends_with('~') {
                // The folder itself, the one above, and what editors leave beside the file that they have open.
                continue;
            }
            let strange = "expected a file or a folder; links and devices have no place in a policy set";
            let seen = statat(opened, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| fails(&path, errno))?;
            if !matches!(FileType::from_raw_mode(seen.st_mode), FileType::Directory | FileType::RegularFile) {
                return Err(refused(&path, strange));
            }
            let one = match openat(opened, name, OPENED, Mode::empty()) {
                Err(Errno::LOOP | Errno::NXIO) => return Err(refused(&path, strange)),
                one => one.map_err(|errno| fails(&path, errno))?,
            };
            let kind =
                fstat(&one).map(|found| FileType::from_raw_mode(found.st_mode)).map_err(|errno| fails(&path, errno))?;
            let name = format!("{prefix}{name}");
            let own = own.map(|own| own.judge(&path, &one)).transpose()?;
            match kind {
                FileType::Directory => self.folder((&one, &path), &format!("{name}/"), own, depth + 1)?,
                FileType::RegularFile => {
                    let bytes = read(File::from(one), &path, &mut self.left)?;
                    self.files.insert(name, bytes);
                }
                FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => return Err(refused(&path, strange)),
            }
        }
        Ok(())
    }
}

fn read(opened: File, path: &Path, left: &mut u64) -> Result<Vec<u8>, AuthorityError> {
    let mut bytes = Vec::new();
    opened.take(left.saturating_add(1)).read_to_end(&mut bytes).map_err(|source| file(path, source))?;
    let length = bytes.len() as u64;
    if length > *left {
        let why = format!("the policy folder holds more than {READ_BYTES_MAX} bytes");
        return Err(file(path, std::io::Error::other(why)));
    }
    *left -= length;
    Ok(bytes)
}

fn file(path: &Path, source: std::io::Error) -> AuthorityError {
    AuthorityError::File { path: PathBuf::from(path), source }
}
