//! Where a set comes from: a folder, or a bundle.

use crate::domain::read;
use crate::error::CliError;
use std::collections::BTreeMap;
use std::path::Path;
use writ_protocol::{POLICY_BUNDLE_BYTES_MAX, PolicyBundle, Refusal, SetPath};
use writ_server::{Snapshot, read_policy_folder};
use writ_tlog::Origin;

/// The bytes of a bundle's file, of which one that is too long is read no further.
pub(crate) fn read_bundle(path: &Path) -> Result<Vec<u8>, CliError> {
    read(path, POLICY_BUNDLE_BYTES_MAX)
}

/// The files of a folder or bundle.
pub(crate) fn files_of(source: &Path) -> Result<Snapshot, CliError> {
    if source.is_dir() {
        return read_policy_folder(source).map_err(|error| CliError::Found(error.to_string()));
    }
    let bytes = read_bundle(source)?;
    let origin = PolicyBundle::origin(&bytes).map_err(CliError::Refused)?;
    snapshot_of(&PolicyBundle::decode(&bytes, &origin).map_err(CliError::Refused)?)
}

/// The set of a bundle.
pub(crate) fn snapshot_of(bundle: &PolicyBundle) -> Result<Snapshot, CliError> {
    let files: BTreeMap<String, Vec<u8>> =
        bundle.files().iter().map(|(path, bytes)| (path.as_str().to_owned(), bytes.clone())).collect();
    Snapshot::new(files).map_err(|findings| {
        let first = findings.first().map(ToString::to_string).unwrap_or_default();
        CliError::Found(format!("the bundle does not hold a policy set: {first}"))
    })
}

/// The files of a set as a bundle has them.
pub(crate) fn listed(snapshot: &Snapshot) -> Result<BTreeMap<SetPath, Vec<u8>>, CliError> {
    let each = snapshot.files().iter().map(|(path, bytes)| Ok((SetPath::new(path)?, bytes.clone())));
    each.collect::<Result<_, writ_protocol::cbor::ShapeError>>()
        .map_err(|error| CliError::Refused(Refusal::malformed(error)))
}

/// The ledger that a bundle is for must be this one.
pub(crate) fn bundle_for(bytes: &[u8], origin: &Origin) -> Result<PolicyBundle, CliError> {
    PolicyBundle::decode(bytes, origin).map_err(CliError::Refused)
}
