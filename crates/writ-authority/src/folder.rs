//! The policy folder of a domain: read whole, or not at all.

use crate::error::AuthorityError;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use writ_policy::Snapshot;

/// Folders in folders, at most.
const DEPTH_MAX: usize = 8;
/// More than a snapshot may hold, so that its own limit is what refuses.
const READ_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Reads every file below `folder`. Links are not followed: what is digested must be what lies there.
pub fn read_policy_folder(folder: &Path) -> Result<Snapshot, AuthorityError> {
    let mut files = BTreeMap::new();
    let mut left = READ_BYTES_MAX;
    read_into(folder, "", &mut files, &mut left, 0)?;
    Snapshot::new(files).map_err(AuthorityError::Policy)
}

fn read_into(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, Vec<u8>>,
    left: &mut u64,
    depth: usize,
) -> Result<(), AuthorityError> {
    let refused = |path: &Path, why: &str| file(path, std::io::Error::other(why.to_owned()));
    if depth > DEPTH_MAX {
        return Err(refused(folder, "folders are nested too deep for a policy set"));
    }
    for found in fs::read_dir(folder).map_err(|source| file(folder, source))? {
        let found = found.map_err(|source| file(folder, source))?;
        let path = found.path();
        let name = found.file_name().into_string().map_err(|_| refused(&path, "a file name that is not text"))?;
        if name.starts_with('.') || name.ends_with('~') {
            // What editors leave beside the file that they have open.
            continue;
        }
        let kind = found.file_type().map_err(|source| file(&path, source))?;
        let name = format!("{prefix}{name}");
        if kind.is_dir() {
            read_into(&path, &format!("{name}/"), files, left, depth + 1)?;
        } else if kind.is_file() {
            files.insert(name, read(&path, left)?);
        } else {
            return Err(refused(&path, "expected a file or a folder; links and devices have no place in a policy set"));
        }
    }
    Ok(())
}

fn read(path: &Path, left: &mut u64) -> Result<Vec<u8>, AuthorityError> {
    let mut bytes = Vec::new();
    let opened = fs::File::open(path).map_err(|source| file(path, source))?;
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
