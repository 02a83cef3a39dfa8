//! The directory that a disk is loaded from and left in.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use fuser::Errno;

use super::content::Content;
use super::memory::SharedMemory;
use super::tree::{Kind, Owner, ROOT, Tree};

/// Reads a directory into a tree in which everything is durable.
pub(super) fn load(backing: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    load_directory(&mut tree, ROOT, backing)?;
    tree.sync_all_directories();
    Ok(tree)
}

fn load_directory(tree: &mut Tree, ino: u64, from: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, name, metadata) = (entry.path(), entry.file_name(), entry.metadata()?);
        let owner = Owner {
            mode: u16::try_from(metadata.mode() & 0o7777).unwrap_or_default(),
            uid: metadata.uid(),
            gid: metadata.gid(),
        };
        if metadata.is_dir() {
            let kind = Kind::Directory(Default::default());
            let child = tree.add(ino, &name, kind, owner).map_err(os_error)?;
            load_directory(tree, child, &path)?;
        } else if SharedMemory::is_meant_by(&name) {
            // What processes shared that are gone is of no use.
        } else if metadata.is_file() {
            let content = Content::durable(fs::read(&path)?);
            tree.add(ino, &name, Kind::File(content), owner).map_err(os_error)?;
        } else {
            let message = format!("{} is neither a file nor a directory", path.display());
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
    }
    Ok(())
}

/// The names at the top of a tree.
pub(super) fn names(tree: &Tree) -> io::Result<Vec<OsString>> {
    let list = tree.list(ROOT).map_err(os_error)?;
    Ok(list.into_iter().map(|(_, name)| name).collect())
}

/// Removes what was loaded, and nothing else that may be there.
pub(super) fn clear(backing: &Path, names: &[OsString]) -> io::Result<()> {
    for name in names {
        let path = backing.join(name);
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Writes a tree out. Files that are there already are replaced.
pub(super) fn save(tree: &Tree, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    save_directory(tree, ROOT, to)
}

fn save_directory(tree: &Tree, ino: u64, to: &Path) -> io::Result<()> {
    for (child, name) in tree.list(ino).map_err(os_error)? {
        save_entry(tree, child, &name, to)?;
    }
    Ok(())
}

fn save_entry(tree: &Tree, ino: u64, name: &OsStr, to: &Path) -> io::Result<()> {
    let path = to.join(name);
    let inode = tree.inode(ino).map_err(os_error)?;
    let mode = u32::from(inode.owner.mode);
    match &inode.kind {
        Kind::Directory(_) => {
            if !path.is_dir() {
                DirBuilder::new().mode(mode).create(&path)?;
            }
            save_directory(tree, ino, &path)
        }
        Kind::Memory(_) => Ok(()),
        Kind::File(content) => OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&path)?
            .write_all(content.bytes()),
    }
}

fn os_error(error: Errno) -> io::Error {
    io::Error::from_raw_os_error(error.code())
}
