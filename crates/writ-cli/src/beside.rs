//! The domains of one node that are not an execution's own: nothing governed may reach their keys, policies and sockets either (Invariant 13).
//!
//! They belong to one user, whom executions run as. So `writ up` notes in each domain's folder where the others are, and `writ run` hides those too.

use crate::domain::Domain;
use crate::error::CliError;
use crate::render::counted;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use writ_gateway_process::{Slot, SlotError};

/// Beside the keys of the slots, where no execution sees it.
const NOTE: &str = "beside";

/// Notes for each of these domains where the others are. One that is alone has no note.
///
/// A run has a slot before it reads the note, so after this either it is seen to run or it has read the new one.
pub(crate) fn note(domains: &[&Domain]) -> Result<(), CliError> {
    let gained = gained(domains)?;
    let before = domains.iter().map(|domain| noted(domain).map(|text| (*domain, text)));
    let before = before.collect::<Result<Vec<_>, _>>()?;
    write(&notes(domains)?)?;
    // What runs has not read it, so it is not noted yet: or the next start would take it for known.
    none_runs(&gained).or_else(|running| write(&before).and(Err(running)))
}

fn write(notes: &[(&Domain, String)]) -> Result<(), CliError> {
    for (domain, text) in notes {
        let path = domain.slots().join(NOTE);
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

/// What is noted now.
fn noted(domain: &Domain) -> Result<String, CliError> {
    let path = domain.slots().join(NOTE);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        noted => noted.map_err(CliError::file(&path)),
    }
}

/// What an execution must not see is settled when it starts. One that runs already would see a domain that is put beside its own only now.
pub(crate) fn nothing_runs_that_sees_more(domains: &[&Domain]) -> Result<(), CliError> {
    none_runs(&gained(domains)?)
}

/// Domains with a folder beside them that is not in their note.
fn gained<'d>(domains: &[&'d Domain]) -> Result<Vec<(&'d Domain, String)>, CliError> {
    let mut gained = Vec::new();
    for (domain, text) in notes(domains)? {
        let noted = noted(domain)?;
        let new = text.lines().find(|folder| noted.lines().all(|known| known != *folder));
        gained.extend(new.map(|new| (domain, new.to_owned())));
    }
    Ok(gained)
}

fn none_runs(gained: &[(&Domain, String)]) -> Result<(), CliError> {
    for (domain, new) in gained {
        let running = match Slot::in_use(&domain.slots()) {
            Ok(running) => running,
            // One that never ran has no slots yet.
            Err(SlotError::Folder { source, .. }) if source.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(CliError::Failed(error.to_string())),
        };
        if running > 0 {
            let (running, dir) = (counted(running as u64, "execution", "executions"), domain.dir().display());
            return Err(CliError::Failed(format!(
                "{dir}: {running} began before {new} was beside it, and would see what is in there; start the node once they have ended"
            )));
        }
    }
    Ok(())
}

fn notes<'d>(domains: &[&'d Domain]) -> Result<Vec<(&'d Domain, String)>, CliError> {
    let folders = domains.iter().map(|domain| folders(domain)).collect::<Result<Vec<_>, _>>()?;
    let one = |(number, domain): (usize, &&'d Domain)| {
        let others = folders.iter().enumerate().filter(|(other, _)| *other != number);
        (*domain, others.flat_map(|(_, folders)| folders).map(|folder| format!("{folder}\n")).collect())
    };
    Ok(domains.iter().enumerate().map(one).collect())
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

/// What else is hidden from an execution, by the note beside the slots of its domain.
pub(crate) fn hidden(slots: &Path) -> io::Result<Vec<PathBuf>> {
    let path = slots.join(NOTE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    };
    // One that is gone for certain has nothing to be hidden; one that cannot be looked at is refused further on.
    let is_there = |folder: &PathBuf| !matches!(folder.try_exists(), Ok(false));
    Ok(text.lines().map(PathBuf::from).filter(is_there).collect())
}

/// The folder of a domain, and that of its mark.
fn folders(domain: &Domain) -> Result<Vec<String>, CliError> {
    let mark = domain.mark()?;
    let mark = std::path::absolute(&mark).map_err(CliError::file(&mark))?;
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
