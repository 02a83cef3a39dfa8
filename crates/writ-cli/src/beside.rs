//! The domains of one node that are not an execution's own: nothing governed may reach their keys, policies and sockets either (Invariant 13).
//!
//! They belong to one user, whom executions run as. So `writ up` notes in each domain's folder where the others are, and `writ run` hides those too.

use crate::domain::Domain;
use crate::error::CliError;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Beside the keys of the slots, where no execution sees it.
const NOTE: &str = "beside";

/// Notes for each of these domains where the others are. One that is alone has no note.
pub(crate) fn note(domains: &[&Domain]) -> Result<(), CliError> {
    let folders = domains.iter().map(|domain| folders(domain)).collect::<Result<Vec<_>, _>>()?;
    for (number, domain) in domains.iter().enumerate() {
        let path = domain.slots().join(NOTE);
        let others = folders.iter().enumerate().filter(|(other, _)| *other != number);
        let text: String = others.flat_map(|(_, folders)| folders).map(|folder| format!("{folder}\n")).collect();
        if text.is_empty() {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(CliError::file(&path)(error)),
                Ok(()) | Err(_) => continue,
            }
        }
        // Renamed over the one before, so that a run never reads half of it.
        let fresh = domain.slots().join(format!(".{NOTE}"));
        let mut options = fs::OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        written.and_then(|()| fs::rename(&fresh, &path)).map_err(CliError::file(&path))?;
    }
    Ok(())
}

/// One domain inside another could not be hidden without hiding that one too.
pub(crate) fn must_be_apart(domains: &[&Domain]) -> Result<(), CliError> {
    let folders = domains.iter().map(|domain| resolved(domain.dir())).collect::<Result<Vec<_>, _>>()?;
    for (number, folder) in folders.iter().enumerate() {
        let other = folders.iter().enumerate().find(|(other, outer)| *other != number && folder.starts_with(outer));
        if let Some((_, outer)) = other {
            let (inner, outer) = (folder.display(), outer.display());
            return Err(CliError::Usage(format!(
                "{inner} is inside {outer}; each domain of a node has a folder of its own"
            )));
        }
    }
    Ok(())
}

/// What else is hidden from an execution of this domain.
pub(crate) fn hidden(domain: &Domain) -> Result<Vec<PathBuf>, CliError> {
    let path = domain.slots().join(NOTE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CliError::file(&path)(error)),
    };
    // One that is gone for certain has nothing to be hidden; one that cannot be looked at is refused further on.
    let is_there = |folder: &PathBuf| !matches!(folder.try_exists(), Ok(false));
    Ok(text.lines().map(PathBuf::from).filter(is_there).collect())
}

/// The folder of a domain, and that of its mark.
fn folders(domain: &Domain) -> Result<Vec<String>, CliError> {
    let mark = std::path::absolute(domain.mark()).map_err(CliError::file(domain.mark()))?;
    let folders = [Some(domain.dir()), mark.parent()];
    folders.into_iter().flatten().map(|folder| written(&resolved(folder)?)).collect()
}

fn resolved(folder: &Path) -> Result<PathBuf, CliError> {
    fs::canonicalize(folder).map_err(CliError::file(folder))
}

fn written(folder: &Path) -> Result<String, CliError> {
    let text = folder.to_str().filter(|text| !text.contains('\n'));
    let why =
        || CliError::Usage(format!("{folder:?} has a name that cannot be noted for the other domains; rename it"));
    text.map(str::to_owned).ok_or_else(why)
}
