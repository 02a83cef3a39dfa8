use crate::error::{PolicyError, Problem};
use std::collections::BTreeMap;
use writ_protocol::cbor::{Reader, ShapeError};
use writ_protocol::{Refusal, SetPath, encode_policy_set};
use writ_tlog::{Hash, sha256};

const CONTEXT: &str = "writ.policy";
const VERSION: u64 = 1;
const PATH_BYTES_MAX: usize = 255;

/// The files of a snapshot have at most this many bytes in all.
pub const SNAPSHOT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A snapshot has at most this many files.
pub const SNAPSHOT_FILES_MAX: usize = 1_000;

/// No encoding of a snapshot is longer: contents, and for each file its path and heads.
const ENCODED_BYTES_MAX: usize = SNAPSHOT_BYTES_MAX + (SNAPSHOT_FILES_MAX + 1) * (PATH_BYTES_MAX + 16);

pub(crate) const SCHEMA: &str = "schema.cedarschema";
pub(crate) const ENTITIES: &str = "entities.json";
pub(crate) const PRINCIPALS: &str = "principals.json";
pub(crate) const ISSUERS: &str = "issuers.json";
const README: &str = "README.md";
const FIXTURES: &str = "tests/";
const GUARDRAILS: &str = "guardrails/";

/// The files of a policy folder: only files it may have, in their one encoding. What they say is for [`crate::PolicySet::compile`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    files: BTreeMap<String, Vec<u8>>,
}

impl Snapshot {
    /// A folder's files by relative path, or everything that is wrong with the list.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Result<Self, Vec<PolicyError>> {
        let mut findings = Vec::new();
        if files.len() > SNAPSHOT_FILES_MAX {
            let problem = Problem::TooManyFiles { limit: SNAPSHOT_FILES_MAX, found: files.len() };
            return Err(vec![PolicyError::file(".", problem)]);
        }
        let found = files.values().map(Vec::len).fold(0usize, usize::saturating_add);
        if found > SNAPSHOT_BYTES_MAX {
            findings.push(PolicyError::file(".", Problem::TooManyBytes { limit: SNAPSHOT_BYTES_MAX, found }));
        }
        for path in files.keys() {
            if let Err(problem) = judge_path(path) {
                findings.push(PolicyError::file(path, problem));
            }
        }
        if !files.contains_key(PRINCIPALS) {
            findings.push(PolicyError::file(PRINCIPALS, Problem::FileMissing(PRINCIPALS)));
        }
        if findings.is_empty() { Ok(Self { files }) } else { Err(findings) }
    }

    /// The files, by path.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// Its one encoding.
    pub fn encode(&self) -> Vec<u8> {
        encode_policy_set(self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))
    }

    /// Reads the one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > ENCODED_BYTES_MAX {
            return Err(Refusal::malformed(format_args!(
                "a policy snapshot has at most {ENCODED_BYTES_MAX} bytes, this one has {}",
                bytes.len()
            )));
        }
        let files = decode_files(&mut Reader::checked(bytes)?)?;
        Self::new(files).map_err(|findings| match findings.into_iter().next() {
            Some(first) => Refusal::malformed(first),
            None => Refusal::malformed("not a policy snapshot"),
        })
    }

    /// SHA-256 of the encoding: what a decision names as its policy.
    pub fn digest(&self) -> Hash {
        sha256(&self.encode())
    }

    /// A file's bytes, if it is there.
    pub(crate) fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// The policy files, by path.
    pub(crate) fn policy_files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().filter(|(path, _)| is_policy(path)).map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// The files with guardrails, by path.
    pub fn guardrail_files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().filter(|(path, _)| is_guardrail(path)).map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// The files with fixtures, by path.
    pub(crate) fn fixture_files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().filter(|(path, _)| is_fixture(path)).map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }
}

fn is_policy(path: &str) -> bool {
    path.ends_with(".cedar") && !is_guardrail(path)
}

/// What must never be permitted; it takes no part in a decision.
fn is_guardrail(path: &str) -> bool {
    path.starts_with(GUARDRAILS) && path.ends_with(".cedar")
}

fn is_fixture(path: &str) -> bool {
    path.starts_with(FIXTURES) && path.ends_with(".yaml")
}

fn judge_path(path: &str) -> Result<(), Problem> {
    SetPath::new(path).map_err(|_| Problem::PathForm)?;
    // Misspelt, it would be a policy, and permit just what it is to keep from being permitted.
    let looks_like_one = path.split('/').any(|part| part.to_ascii_lowercase().starts_with("guardrail"));
    if path.ends_with(".cedar") && looks_like_one && !is_guardrail(path) {
        return Err(Problem::UnknownFile);
    }
    let known = [SCHEMA, ENTITIES, PRINCIPALS, ISSUERS, README].contains(&path);
    if known || is_policy(path) || is_guardrail(path) || is_fixture(path) { Ok(()) } else { Err(Problem::UnknownFile) }
}

fn decode_files(reader: &mut Reader<'_>) -> Result<BTreeMap<String, Vec<u8>>, ShapeError> {
    reader.tuple(3)?;
    if reader.text()? != CONTEXT {
        return Err(ShapeError::expected(format!("the context `{CONTEXT}`")));
    }
    if reader.uint()? != VERSION {
        return Err(ShapeError::expected("version 1, which is the one this reader knows"));
    }
    let count = reader.array()?;
    if count > SNAPSHOT_FILES_MAX as u64 {
        return Err(ShapeError::expected(format!("at most {SNAPSHOT_FILES_MAX} files, found {count}")));
    }
    let mut files = BTreeMap::<String, Vec<u8>>::new();
    for _ in 0..count {
        reader.tuple(2)?;
        let (path, bytes) = (reader.text()?, reader.bytes()?);
        if files.last_key_value().is_some_and(|(last, _)| last.as_str() >= path) {
            return Err(ShapeError::expected("files ascending by path, each once"));
        }
        files.insert(path.to_owned(), bytes.to_vec());
    }
    Ok(files)
}
