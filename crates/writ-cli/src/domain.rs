//! The folder of a domain: where its files are, and how they are read.

use crate::args;
use crate::error::CliError;
use crate::keys::read_seed;
use std::path::{Path, PathBuf};
use writ_ledger::{LedgerSigner, Place};
use writ_protocol::TrustRoot;
use writ_tlog::{Origin, sha256};

/// The files of a domain.
pub(crate) struct Domain {
    dir: PathBuf,
    mark: Option<PathBuf>,
}

impl Domain {
    pub(crate) fn at(dir: &Path, mark: Option<&Path>) -> Self {
        Self { dir: dir.to_owned(), mark: mark.map(Path::to_owned) }
    }

    /// The domain that the arguments name. It must be there: each command says in the same words that it is not.
    pub(crate) fn of(place: &args::Place) -> Result<Self, CliError> {
        there(&place.domain)?;
        Ok(Self::at(&place.domain, place.mark.as_deref()))
    }

    /// A domain that is served beside another: its mark is where `writ init` puts it.
    pub(crate) fn beside(dir: &Path) -> Result<Self, CliError> {
        there(dir)?;
        Ok(Self::at(dir, None))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder with policies, entities and principals.
    pub(crate) fn policy(&self) -> PathBuf {
        self.dir.join("policy")
    }

    /// The ledger's keys.
    pub(crate) fn signer(&self) -> Result<LedgerSigner, CliError> {
        let seed = |name: &str| read_seed(&self.dir.join("keys").join(name));
        Ok(LedgerSigner::from_seeds(self.origin()?, &seed("ledger-ed25519.seed")?, &seed("ledger-ml-dsa-44.seed")?))
    }

    /// The folder with the keys of this machine's gateway slots.
    pub(crate) fn slots(&self) -> PathBuf {
        self.dir.join("gateway")
    }

    /// Where the node listens, if nobody says otherwise.
    pub(crate) fn socket(&self, other: Option<&Path>) -> PathBuf {
        other.map_or_else(|| self.run_folder().join("node.sock"), Path::to_owned)
    }

    /// What executions may still see of the domain.
    pub(crate) fn run_folder(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// The ledger, as the trust root names it.
    pub(crate) fn origin(&self) -> Result<Origin, CliError> {
        origin_of(&read_trust_root(&self.trust_root())?)
    }

    pub(crate) fn store(&self) -> PathBuf {
        store_in(&self.dir)
    }

    /// As it was named, or where `writ init` puts it. Only who needs the mark is asked for it: a service may have no home.
    pub(crate) fn mark(&self) -> Result<PathBuf, CliError> {
        self.mark.clone().map_or_else(|| default_mark(&self.dir), Ok)
    }

    pub(crate) fn trust_root(&self) -> PathBuf {
        self.dir.join("trust-root")
    }

    pub(crate) fn place(&self) -> Result<Place, CliError> {
        Ok(Place::new(self.store(), self.mark()?))
    }
}

/// A domain's folder has a trust root, or at least a ledger.
fn there(dir: &Path) -> Result<(), CliError> {
    for path in [dir.join("trust-root"), store_in(dir)] {
        match std::fs::symlink_metadata(&path) {
            Ok(_) => return Ok(()),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(unread(&path, error)),
        }
    }
    let shown = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    Err(CliError::Usage(format!(
        "there is no domain in {}; set WRIT_DOMAIN or --domain, or make one with `writ init`",
        shown.display()
    )))
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// A file that this user may not read belongs to another user's domain more often than not.
fn unread(path: &Path, error: std::io::Error) -> CliError {
    use std::os::unix::fs::MetadataExt;
    if error.kind() != std::io::ErrorKind::PermissionDenied {
        return CliError::file(path)(error);
    }
    // The nearest folder whose owner can be seen.
    let owner = path.ancestors().skip(1).find_map(|folder| std::fs::metadata(folder).ok()).map(|found| found.uid());
    let owner = owner.map_or_else(|| "another user".to_owned(), user);
    CliError::Failed(format!(
        "{}: permission denied: the domain belongs to {owner}; work as that user, or over the network (see \"One user\" in docs/operations.md)",
        path.display()
    ))
}

pub(crate) fn user(uid: u32) -> String {
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    found.map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

/// The ledger's file in a domain's folder.
pub(crate) fn store_in(dir: &Path) -> PathBuf {
    dir.join("ledger.db")
}

/// The ledger that a trust root names.
pub(crate) fn origin_of(trust: &TrustRoot) -> Result<Origin, CliError> {
    let ledger = trust.ledgers().first();
    ledger
        .map(|ledger| ledger.origin().clone())
        .ok_or_else(|| CliError::Failed("no ledger in the trust root".to_owned()))
}

/// Reads a trust root.
pub(crate) fn read_trust_root(path: &Path) -> Result<TrustRoot, CliError> {
    let bytes = read(path, writ_protocol::TRUST_ROOT_BYTES_MAX)
        .map_err(|error| if let CliError::File { path, source } = error { unread(&path, source) } else { error })?;
    TrustRoot::parse(&bytes).map_err(CliError::Refused)
}

/// Reads a file of which more than `limit` bytes cannot be meant; one byte more is read, so that its reader sees that it is too long.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(CliError::file(path))?;
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(CliError::file(path))?;
    Ok(bytes)
}

/// Outside the folder, so that a restored copy of the folder does not bring its own mark: one file for each folder, named by its path.
fn default_mark(dir: &Path) -> Result<PathBuf, CliError> {
    let absolute = canonical(dir).map_err(CliError::file(dir))?;
    let digest = sha256(absolute.as_os_str().as_encoded_bytes());
    let name: String = digest.as_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(state_folder()?.join("writ").join("marks").join(name))
}

/// The one path of a folder that is there, or is about to be made where another one is.
fn canonical(dir: &Path) -> std::io::Result<PathBuf> {
    let dir = std::path::absolute(dir)?;
    match (std::fs::canonicalize(&dir), dir.parent(), dir.file_name()) {
        (Ok(path), _, _) => Ok(path),
        (Err(error), Some(parent), Some(name)) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::canonicalize(parent).map(|parent| parent.join(name))
        }
        (Err(error), _, _) => Err(error),
    }
}

fn state_folder() -> Result<PathBuf, CliError> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state"))).ok_or_else(|| {
        CliError::Usage(
            "there is no state folder for the mark (neither XDG_STATE_HOME nor HOME is set): set HOME, or give --mark FILE (WRIT_MARK)".to_owned(),
        )
    })
}
