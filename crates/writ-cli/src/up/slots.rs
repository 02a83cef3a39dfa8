//! The gateway slots of the node's own machine.

use super::named;
use crate::error::CliError;
use crate::keys::{SECRET_FOLDER, read_key, write_secret};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use writ_gateway_process::SLOTS_MAX;
use writ_protocol::{Ed25519Key, Key};
use writ_server::AuthorityNode;

/// What became of them at a start.
pub(super) struct Slots {
    /// How many are new, or have new keys.
    pub(super) enrolled: usize,
    /// How many cannot be used any more.
    pub(super) set_aside: usize,
}

impl Slots {
    /// As many as are wanted have keys that are enrolled. One that is not, because it is new or its key was replaced, is enrolled now, in a new epoch.
    /// A name that is revoked, or that an order has given to another machine, stays out, and a key that is revoked is replaced: what
    /// somebody has revoked must not keep a node from starting.
    pub(super) fn of(node: &AuthorityNode, folder: &Path, wanted: u16) -> Result<Self, CliError> {
        match DirBuilder::new().mode(SECRET_FOLDER).create(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(CliError::file(folder)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let (group, mut found) = (named("process")?, Self { enrolled: 0, set_aside: 0 });
        let mut missing = wanted;
        for number in 1..=SLOTS_MAX {
            if missing == 0 {
                return Ok(found);
            }
            let stem = format!("{number:02}");
            let (gateway, path) = (named(&format!("process/{stem}"))?, folder.join(format!("{stem}.seed")));
            if !node.may_be_a_slot(&gateway) {
                found.set_aside += usize::from(set_aside(&path)?);
                continue;
            }
            let mut key = key(&path)?;
            if !node.may_be_of_a_slot(&gateway, &key) {
                found.set_aside += usize::from(set_aside(&path)?);
                key = self::key(&path)?;
            }
            if !node.knows_gateway(&gateway, &key) {
                let enrolled = node.enrol(&gateway, key, vec![group.clone()]);
                enrolled.map_err(|error| CliError::Failed(error.to_string()))?;
                found.enrolled += 1;
            }
            missing -= 1;
        }
        let have = wanted - missing;
        Err(CliError::Failed(format!(
            "only {have} of {wanted} slots can be made: of {SLOTS_MAX} names, the others are revoked or other machines'; start with --slots {have}"
        )))
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} newly enrolled", self.enrolled)?;
        if self.set_aside > 0 {
            write!(f, ", {} revoked or another machine's and set aside", self.set_aside)?;
        }
        Ok(())
    }
}

/// The key of a slot; a new one where there is none.
fn key(path: &Path) -> Result<Ed25519Key, CliError> {
    if !path.exists() {
        write_secret(path)?;
    }
    let key = Key::from(read_key(path)?.verifying_key());
    Ed25519Key::new(key).map_err(|error| CliError::Failed(error.to_string()))
}

/// No execution takes it any more; whoever wonders finds it beside. Returns whether there was one.
fn set_aside(path: &Path) -> Result<bool, CliError> {
    match fs::rename(path, path.with_extension("set-aside")) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(CliError::file(path)(error)),
    }
}
