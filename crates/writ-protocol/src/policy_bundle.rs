//! The policy bundle (`spec/policy-bundle.md`): a policy set with the manifest that its authors have signed.

use crate::cbor::{Reader, ShapeError, Writer};
use crate::refusal::{Code, Refusal};
use crate::statement::{MANIFEST_BYTES_MAX, MANIFEST_FILES_MAX, Manifest, Signed};
use std::collections::BTreeMap;
use std::fmt;
use writ_tlog::{Origin, sha256};

const CONTEXT: &str = "writ.policy-bundle";
const SET_CONTEXT: &str = "writ.policy";
const VERSION: u64 = 1;
const PATH_BYTES_MAX: usize = 255;

/// The files of a policy set have at most this many bytes in all.
pub const POLICY_SET_BYTES_MAX: usize = 4 * 1024 * 1024 - 128 * 1024;
/// A policy bundle has at most this many bytes.
pub const POLICY_BUNDLE_BYTES_MAX: usize = 4 * 1024 * 1024 + 128 * 1024;

/// The path of a file in a policy set: parts of `A-Z a-z 0-9 . _ -` that do not begin with a dot, joined by `/`, at most 255 bytes. So no
/// path leads out of the folder into which a set is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetPath(String);

impl SetPath {
    /// The path, if it has this form.
    pub fn new(path: &str) -> Result<Self, ShapeError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed);
        if path.len() > PATH_BYTES_MAX || !path.split('/').all(part) {
            return Err(ShapeError::expected("a path of parts of A-Z a-z 0-9 . _ - that do not begin with a dot"));
        }
        Ok(Self(path.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The one encoding of a policy set; its SHA-256 is the digest of the set.
pub fn encode_policy_set<'a>(files: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.array(3);
    writer.text(SET_CONTEXT);
    writer.uint(VERSION);
    write_files(&mut writer, files);
    writer.into_bytes()
}

fn write_files<'a>(writer: &mut Writer, files: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>) {
    writer.array(files.len());
    for (path, bytes) in files {
        writer.array(2);
        writer.text(path);
        writer.bytes(bytes);
    }
}

/// A policy bundle whose files are those of its manifest. Who has signed it, and whether it may be put in force, is for the rules of order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyBundle {
    signed: Vec<u8>,
    manifest: Manifest,
    files: BTreeMap<SetPath, Vec<u8>>,
}

impl PolicyBundle {
    /// Puts a signed manifest and its files together. They need not fit: that is judged where the bundle is read.
    pub fn assemble(signed: &[u8], files: &BTreeMap<SetPath, Vec<u8>>) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.array(4);
        writer.text(CONTEXT);
        writer.uint(VERSION);
        writer.bytes(signed);
        write_files(&mut writer, files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
        writer.into_bytes()
    }

    /// Reads a bundle for a ledger, and holds each file against the manifest.
    pub fn decode(bytes: &[u8], origin: &Origin) -> Result<Self, Refusal> {
        let (signed, mut reader) = opened(bytes)?;
        let files = decode_files(&mut reader)?;
        let manifest = Signed::decode(signed)?.manifest_claims(origin)?;
        let bundle = Self { signed: signed.to_vec(), manifest, files };
        bundle.is_whole()?;
        Ok(bundle)
    }

    /// The ledger that a bundle says it is for, **not verified**: to show what somebody has handed over.
    pub fn origin(bytes: &[u8]) -> Result<Origin, Refusal> {
        Signed::decode(opened(bytes)?.0)?.claimed_origin()
    }

    /// The manifest, as its authors have signed it.
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// What the manifest says; its signatures are **not verified** here.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The files, by path.
    pub fn files(&self) -> &BTreeMap<SetPath, Vec<u8>> {
        &self.files
    }

    /// Exactly the files of the manifest, byte for byte, and their digest as a set.
    fn is_whole(&self) -> Result<(), Refusal> {
        holds_files(&self.manifest, self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))?;
        let set = self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        if sha256(&encode_policy_set(set)) == self.manifest.set {
            return Ok(());
        }
        Err(broken("the digest of the set is not that of the files"))
    }
}

/// The signed manifest of a bundle, and a reader that stands before the files.
fn opened(bytes: &[u8]) -> Result<(&[u8], Reader<'_>), Refusal> {
    if bytes.len() > POLICY_BUNDLE_BYTES_MAX {
        return Err(Refusal::malformed(format_args!(
            "a policy bundle has at most {POLICY_BUNDLE_BYTES_MAX} bytes, this one has {}",
            bytes.len()
        )));
    }
    let mut reader = Reader::checked(bytes)?;
    reader.tuple(4)?;
    if reader.text()? != CONTEXT {
        return Err(Refusal::malformed(format_args!("expected the context `{CONTEXT}`")));
    }
    let version = reader.uint()?;
    let signed = reader.bytes()?;
    reader.clone().array()?;
    if version != VERSION {
        let why = format!("policy bundle of version {version} is not known to this reader");
        return Err(Refusal::new(Code::UnsupportedVersion, why));
    }
    Ok((signed, reader))
}

/// Holds files, ascending by path, against a manifest: none is missing, none is more, none has changed.
pub fn holds_files<'a>(manifest: &Manifest, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<(), Refusal> {
    let mut listed = manifest.files.iter();
    for (path, bytes) in files {
        match listed.next() {
            Some(expected) if expected.path.as_str() == path => {
                if expected.length != bytes.len() as u64 || expected.digest != sha256(bytes) {
                    return Err(broken(format!("the file `{path}` is not the one that was signed")));
                }
            }
            Some(expected) if expected.path.as_str() < path => {
                return Err(broken(format!("the file `{}` is missing", expected.path)));
            }
            Some(_) | None => return Err(broken(format!("the manifest does not list the file `{path}`"))),
        }
    }
    match listed.next() {
        Some(expected) => Err(broken(format!("the file `{}` is missing", expected.path))),
        None => Ok(()),
    }
}

fn broken(what: impl fmt::Display) -> Refusal {
    Refusal::new(Code::IntegrityFailure, format!("policy bundle: {what}"))
}

fn decode_files(reader: &mut Reader<'_>) -> Result<BTreeMap<SetPath, Vec<u8>>, ShapeError> {
    let count = reader.array()?;
    if !(1..=MANIFEST_FILES_MAX as u64).contains(&count) {
        return Err(ShapeError::expected(format!("1 to {MANIFEST_FILES_MAX} files, found {count}")));
    }
    let (mut files, mut total) = (BTreeMap::<SetPath, Vec<u8>>::new(), 0usize);
    for _ in 0..count {
        reader.tuple(2)?;
        let (path, bytes) = (SetPath::new(reader.text()?)?, reader.bytes()?);
        if files.last_key_value().is_some_and(|(last, _)| *last >= path) {
            return Err(ShapeError::expected("files ascending by path, each once"));
        }
        total = total.saturating_add(bytes.len());
        files.insert(path, bytes.to_vec());
    }
    if total > POLICY_SET_BYTES_MAX {
        return Err(ShapeError::expected(format!("at most {POLICY_SET_BYTES_MAX} bytes of files, found {total}")));
    }
    Ok(files)
}

const _: () = assert!(
    POLICY_SET_BYTES_MAX + MANIFEST_BYTES_MAX + (MANIFEST_FILES_MAX + 1) * (PATH_BYTES_MAX + 16)
        <= POLICY_BUNDLE_BYTES_MAX,
    "a bundle at its limits fits"
);
