//! The evidence bundle (`spec/bundle.md`): one story, proved by itself.

mod records;
mod walk;

use crate::action::Opening;
use crate::cbor::{Decode, Reader, ShapeError, Writer};
use crate::entry::EntryType;
use crate::id::ExecutionId;
use crate::refusal::{Code, Refusal};
use crate::statement::Ending;
use crate::trust_root::TrustRoot;
use crate::verified::Verified;
use writ_tlog::{Hash, InclusionProof, LeafIndex, TreeSize};

const CONTEXT: &str = "writ.bundle";
const VERSION: u64 = 1;

/// A bundle is at most this long.
pub const BUNDLE_BYTES_MAX: usize = 64 * 1024 * 1024;
const ENTRIES_MAX: u64 = 65_536;
const OPENINGS_MAX: u64 = 4_096;

/// A bundle as it was read: well formed, nothing verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The signed note.
    pub checkpoint: Vec<u8>,
    /// The entries, ascending by index.
    pub entries: Vec<ProvedEntry>,
    /// What opens commitments in them.
    pub openings: Vec<Opening>,
    /// The index of the entry it is about.
    pub subject: LeafIndex,
}

/// An entry with its way to the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedEntry {
    /// Where it stands.
    pub index: LeafIndex,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its inclusion proof.
    pub proof: InclusionProof,
}

/// What a verified bundle shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// The index it is about.
    pub subject: LeafIndex,
    /// What stands there.
    pub subject_type: EntryType,
    /// The tree it was proved in.
    pub size: TreeSize,
    /// Every entry, ascending.
    pub entries: Vec<StoryEntry>,
    /// Every execution, in order of their beginning.
    pub executions: Vec<StoryExecution>,
    /// The entry that by the end revokes the writ or what it rests on.
    pub revoked_at: Option<LeafIndex>,
    /// What the control chain says by the end.
    pub control: crate::order::ControlState,
    /// The entry that by the end halts the domain.
    pub halted_at: Option<LeafIndex>,
    /// What was opened.
    pub openings: Vec<Opening>,
}

/// One entry of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryEntry {
    /// Where it stands.
    pub index: LeafIndex,
    /// Its entry hash.
    pub hash: Hash,
    /// What it says.
    pub entry: crate::entry::Entry,
    /// What its statement says, if it carries one.
    pub accepted: crate::order::Accepted,
}

/// One execution of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryExecution {
    /// Its id.
    pub id: ExecutionId,
    /// How far it came.
    pub state: crate::order::ExecutionState,
}

impl StoryExecution {
    /// How it ended, if it is known to have ended.
    pub fn result(&self) -> Option<Ending> {
        match self.state {
            crate::order::ExecutionState::Ended(ending) => Some(ending),
            crate::order::ExecutionState::Spent | crate::order::ExecutionState::Started => None,
        }
    }
}

impl Bundle {
    /// Reads a bundle and verifies all of it, in the order of `spec/bundle.md`.
    pub fn verify(bytes: &[u8], trust: &TrustRoot) -> Result<Verified<Story>, Refusal> {
        let bundle = Self::decode(bytes)?;
        walk::verify(bundle, trust).map(Verified::attest)
    }

    /// Reads a bundle, judging its form only.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > BUNDLE_BYTES_MAX {
            return Err(Refusal::malformed(format_args!(
                "a bundle has at most {BUNDLE_BYTES_MAX} bytes, this one has {}",
                bytes.len()
            )));
        }
        let mut reader = Reader::checked(bytes)?;
        reader.tuple(3)?;
        if reader.text()? != CONTEXT {
            return Err(Refusal::malformed(format_args!("expected the context `{CONTEXT}`")));
        }
        let version = reader.uint()?;
        reader.clone().map()?;
        if version != VERSION {
            return Err(Refusal::new(
                Code::UnsupportedVersion,
                format!("bundle of version {version} is not known to this reader"),
            ));
        }
        let mut map = reader.map()?;
        let Entries(entries) = map.required("entries")?;
        let subject = LeafIndex::new(map.required("subject")?);
        let Openings(openings) = map.required("openings")?;
        let checkpoint: crate::cbor::Bytes = map.required("checkpoint")?;
        map.end()?;
        Ok(Self { checkpoint: checkpoint.0, entries, openings, subject })
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.array(3);
        writer.text(CONTEXT);
        writer.uint(VERSION);
        writer.map(4);
        writer.text("entries");
        writer.array(self.entries.len());
        for entry in &self.entries {
            writer.array(3);
            writer.uint(entry.index.get());
            writer.bytes(&entry.bytes);
            let proof: Vec<u8> = entry.proof.hashes().iter().flat_map(|hash| *hash.as_bytes()).collect();
            writer.bytes(&proof);
        }
        writer.field("subject", &self.subject.get());
        writer.field("openings", &self.openings);
        writer.text("checkpoint");
        writer.bytes(&self.checkpoint);
        writer.into_bytes()
    }
}

struct Entries(Vec<ProvedEntry>);

impl Decode for Entries {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let count = reader.array()?;
        if !(1..=ENTRIES_MAX).contains(&count) {
            return Err(ShapeError::expected(format!("1 to {ENTRIES_MAX} entries, found {count}")));
        }
        let entries = (0..count).map(|_| proved_entry(reader)).collect::<Result<Vec<_>, _>>()?;
        if entries.is_sorted_by(|a, b| a.index < b.index) {
            Ok(Self(entries))
        } else {
            Err(ShapeError::expected("entries ascending by index, each once"))
        }
    }
}

fn proved_entry(reader: &mut Reader<'_>) -> Result<ProvedEntry, ShapeError> {
    reader.tuple(3)?;
    let index = LeafIndex::new(reader.uint()?);
    let bytes = reader.bytes()?.to_vec();
    let proof = reader.bytes()?;
    let (hashes, []) = proof.as_chunks::<32>() else {
        return Err(ShapeError::expected("a proof of whole hashes of 32 bytes"));
    };
    let proof = InclusionProof::new(hashes.iter().copied().map(Hash::from_bytes).collect());
    Ok(ProvedEntry { index, bytes, proof })
}

struct Openings(Vec<Opening>);

impl Decode for Openings {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let count = reader.array()?;
        if count > OPENINGS_MAX {
            return Err(ShapeError::expected(format!("at most {OPENINGS_MAX} openings, found {count}")));
        }
        (0..count).map(|_| Opening::decode(reader)).collect::<Result<_, _>>().map(Self)
    }
}
