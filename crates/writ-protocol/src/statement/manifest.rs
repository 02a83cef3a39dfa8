use super::{payload, sign};
use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer, record};
use crate::id::DomainId;
use crate::name::Name;
use crate::parts::{Ascending, Positive};
use crate::policy_bundle::SetPath;
use crate::refusal::{Code, Refusal};
use std::collections::BTreeMap;
use writ_tlog::{Hash, Origin, SigningKey, sha256};

/// A policy set that is published as a bundle has at most this many files.
pub const MANIFEST_FILES_MAX: usize = 256;
/// A signed manifest has at most this many bytes: it stands in an entry, beside other things.
pub const MANIFEST_BYTES_MAX: usize = 57_344;

record! {
    /// What a manifest says.
    pub ManifestFields {
        /// Digest of the policy set.
        set: ! Hash,
        /// The epoch it is for.
        epoch: ! Positive,
        /// Every file, ascending by path.
        files: ! Vec<ListedFile>,
        /// The domain it is for.
        domain: ! DomainId,
        /// What the authors know to be wider than before, and accept, each by a name.
        accepts: ! Ascending<Name>,
        /// It may be put in force from here on.
        from_ms: ! u64,
        /// When it was written.
        time_ms: ! u64,
        /// Digest of the set that it replaces; none in epoch 1.
        replaces: ? Hash,
        /// It may be put in force before this.
        until_ms: ! u64,
    }
}

/// What authors sign: a policy set, file by file, for one place in the history of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest(ManifestFields);

/// A file of a policy set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Its path.
    pub path: SetPath,
    /// Its length in bytes.
    pub length: u64,
    /// SHA-256 of its bytes.
    pub digest: Hash,
}

impl Manifest {
    /// 1 to 256 files, ascending by path; a window; what it replaces, but in epoch 1.
    pub fn new(fields: ManifestFields) -> Result<Self, ShapeError> {
        if !(1..=MANIFEST_FILES_MAX).contains(&fields.files.len()) {
            return Err(ShapeError::expected(format!("1 to {MANIFEST_FILES_MAX} files in a manifest")));
        }
        if !fields.files.is_sorted_by(|a, b| a.path < b.path) {
            return Err(ShapeError::expected("files ascending by path, each once"));
        }
        if fields.from_ms >= fields.until_ms {
            return Err(ShapeError::expected("from_ms before until_ms"));
        }
        if fields.replaces.is_some() != (fields.epoch > Positive::ONE) {
            return Err(ShapeError::expected("`replaces` from epoch 2 on, and only there"));
        }
        Ok(Self(fields))
    }

    /// Lists files, for their authors to sign.
    pub fn list(files: &BTreeMap<SetPath, Vec<u8>>) -> Vec<ListedFile> {
        let listed = files.iter().map(|(path, bytes)| ListedFile {
            path: path.clone(),
            length: bytes.len() as u64,
            digest: sha256(bytes),
        });
        listed.collect()
    }

    /// What is signed.
    pub fn payload(&self, origin: &Origin) -> Vec<u8> {
        payload("policy-set", origin, &self.0)
    }

    /// Signs it with each key given.
    pub fn sign(&self, origin: &Origin, authors: &[&SigningKey]) -> Vec<u8> {
        sign(self.payload(origin), authors)
    }

    /// Judges its place: it follows the set in force, if there is one, and `time_ms` is within its window.
    pub fn follows(&self, active: Option<(Positive, Hash)>, time_ms: u64) -> Result<(), Refusal> {
        let expected = active.map_or(1, |(epoch, _)| epoch.get().saturating_add(1));
        let found = self.epoch.get();
        if found != expected {
            return Err(Refusal::new(
                Code::PolicyStale,
                format!("the manifest is for policy epoch {found}, expected {expected}"),
            ));
        }
        if self.replaces != active.map(|(_, set)| set) {
            let why = "the manifest replaces another policy set than the one in force";
            return Err(Refusal::new(Code::PolicyMismatch, why));
        }
        if time_ms < self.from_ms {
            let why = format!("the set may be put in force from {} ms on", self.from_ms);
            return Err(Refusal::new(Code::NotYetValid, why));
        }
        if time_ms >= self.until_ms {
            let why = format!("the set could be put in force until {} ms; have it signed again", self.until_ms);
            return Err(Refusal::new(Code::Expired, why));
        }
        Ok(())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(ManifestFields::decode(reader)?)
    }
}

impl std::ops::Deref for Manifest {
    type Target = ManifestFields;

    fn deref(&self) -> &ManifestFields {
        &self.0
    }
}

impl Encode for ListedFile {
    fn encode(&self, writer: &mut Writer) {
        writer.array(3);
        writer.text(self.path.as_str());
        writer.uint(self.length);
        self.digest.encode(writer);
    }
}

impl Decode for ListedFile {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.tuple(3)?;
        Ok(Self { path: SetPath::new(reader.text()?)?, length: reader.uint()?, digest: Hash::decode(reader)? })
    }
}
