use crate::encoding::{from_base64, from_decimal, push_base64};
use crate::hash::Hash;
use crate::note::{NOTE_BYTES_MAX, Note, NoteError};
use crate::position::LeafIndex;
use crate::proof::InclusionProof;
use thiserror::Error;

/// The most hashes a proof file may have.
pub const PROOF_HASHES_MAX: usize = 63;
/// The most extra data a proof file may have.
pub const EXTRA_BYTES_MAX: usize = 65_536;
/// The longest proof file that is read: the longest note, the most extra data in base64, and the lines between.
pub const TLOG_PROOF_BYTES_MAX: usize = NOTE_BYTES_MAX + EXTRA_BYTES_MAX.div_ceil(3) * 4 + 4096;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A C2SP proof file: an entry's place, the way to the root, and the checkpoint with that root.
///
/// Nothing in it is verified. The extra data is not even covered by anything: never act on it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Unauthenticated extra data, if any.
    pub extra: Option<Vec<u8>>,
    /// The index of the entry.
    pub index: LeafIndex,
    /// The inclusion proof of the entry.
    pub proof: InclusionProof,
    /// The note of the checkpoint, verbatim.
    pub checkpoint: Vec<u8>,
}

/// Why something is no proof file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TlogProofError {
    /// Longer than a proof file may be.
    #[error("expected a proof file of at most {TLOG_PROOF_BYTES_MAX} bytes, found {found}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// No blank line, and so no checkpoint.
    #[error("expected a blank line and a checkpoint after the proof, found none")]
    NoCheckpoint,
    /// Something before the blank line that is not text.
    #[error("expected UTF-8 before the checkpoint, found something else after {valid_up_to} bytes")]
    NotUtf8 {
        /// How many bytes are text.
        valid_up_to: usize,
    },
    /// Another first line.
    #[error("expected the first line `{FIRST_LINE}`, found another")]
    FirstLine,
    /// Extra data that is not canonical base64, or none where a line announces it.
    #[error("expected canonical base64 of extra data, found another form")]
    Extra,
    /// More extra data than a proof file may have.
    #[error("expected at most {EXTRA_BYTES_MAX} bytes of extra data, found {found}")]
    ExtraTooLong {
        /// How much there is.
        found: usize,
    },
    /// No index, or one that is not a canonical decimal of 64 bits.
    #[error("expected a line `index` with a number without leading zeros, found another form")]
    Index,
    /// A line of the proof that is not canonical base64 of 32 bytes.
    #[error("expected the base64 of a hash in line {line} of the proof, found another form")]
    Hash {
        /// Which line of the proof, from 1.
        line: usize,
    },
    /// More hashes than any tree demands.
    #[error("expected at most {PROOF_HASHES_MAX} hashes, found {found}")]
    TooManyHashes {
        /// How many there are.
        found: usize,
    },
    /// A checkpoint that is not a signed note.
    #[error("expected a signed note as the checkpoint")]
    Checkpoint(#[from] NoteError),
}

/// [`TlogProof::encode`] for those who have the parts elsewhere; no extra data is empty data.
pub fn encode_tlog_proof(extra: &[u8], index: LeafIndex, proof: &InclusionProof, checkpoint: &[u8]) -> Vec<u8> {
    let mut file = String::with_capacity(
        FIRST_LINE.len() + extra.len().div_ceil(3) * 4 + proof.hashes().len() * 45 + 64 + checkpoint.len(),
    );
    file.push_str(FIRST_LINE);
    if !extra.is_empty() {
        file.push_str("\nextra ");
        push_base64(&mut file, extra);
    }
    file.push_str("\nindex ");
    file.push_str(&index.to_string());
    file.push('\n');
    for hash in proof.hashes() {
        push_base64(&mut file, hash.as_bytes());
        file.push('\n');
    }
    file.push('\n');
    let mut file = file.into_bytes();
    file.extend_from_slice(checkpoint);
    file
}

impl TlogProof {
    /// The bytes of the file. Extra data that is empty is left out, for there is no line for it.
    pub fn encode(&self) -> Vec<u8> {
        encode_tlog_proof(self.extra.as_deref().unwrap_or_default(), self.index, &self.proof, &self.checkpoint)
    }

    /// The inverse of [`TlogProof::encode`]: a file that it would not have written is refused.
    pub fn parse(file: &[u8]) -> Result<Self, TlogProofError> {
        let AroundCheckpoint { extra, index, proof, checkpoint } = AroundCheckpoint::parse(file)?;
        Note::parse(checkpoint)?;
        Ok(Self { extra, index, proof, checkpoint: checkpoint.to_vec() })
    }
}

/// A proof file for those who open the checkpoint next: that it is a note is left to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AroundCheckpoint<'a> {
    /// Extra data, if there is any.
    pub extra: Option<Vec<u8>>,
    /// The index of the entry.
    pub index: LeafIndex,
    /// Its inclusion in the checkpoint.
    pub proof: InclusionProof,
    /// The checkpoint, as it stands in the file.
    pub checkpoint: &'a [u8],
}

impl<'a> AroundCheckpoint<'a> {
    /// As [`TlogProof::parse`], but for the checkpoint.
    pub fn parse(file: &'a [u8]) -> Result<Self, TlogProofError> {
        if file.len() > TLOG_PROOF_BYTES_MAX {
            return Err(TlogProofError::TooLong { found: file.len() });
        }
        let (head, checkpoint) = around_blank_line(file)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(TlogProofError::FirstLine);
        }
        let mut line = lines.next();
        let extra = line.and_then(|line| line.strip_prefix("extra ")).map(parse_extra).transpose()?;
        if extra.is_some() {
            line = lines.next();
        }
        let index = line.and_then(|line| line.strip_prefix("index ")).and_then(from_decimal).map(LeafIndex::new);
        let index = index.ok_or(TlogProofError::Index)?;
        let proof = parse_hashes(lines)?;
        Ok(Self { extra, index, proof, checkpoint })
    }
}

/// Its own lines are not empty: the first blank line ends them.
fn around_blank_line(file: &[u8]) -> Result<(&str, &[u8]), TlogProofError> {
    let (text, valid_up_to) = match std::str::from_utf8(file) {
        Ok(text) => (text, file.len()),
        Err(error) => {
            let valid = file.get(..error.valid_up_to()).unwrap_or_default();
            (std::str::from_utf8(valid).unwrap_or_default(), error.valid_up_to())
        }
    };
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line == "\n" && at > 0 {
            let (head, _) = text.split_at(at - 1);
            return Ok((head, file.get(at + 1..).unwrap_or_default()));
        }
        at += line.len();
    }
    let elsewhere = file.windows(2).any(|pair| pair == b"\n\n");
    Err(if elsewhere { TlogProofError::NotUtf8 { valid_up_to } } else { TlogProofError::NoCheckpoint })
}

fn parse_extra(text: &str) -> Result<Vec<u8>, TlogProofError> {
    let extra = from_base64(text).filter(|extra| !extra.is_empty()).ok_or(TlogProofError::Extra)?;
    match extra.len() {
        found if found > EXTRA_BYTES_MAX => Err(TlogProofError::ExtraTooLong { found }),
        _ => Ok(extra),
    }
}

fn parse_hashes<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Result<InclusionProof, TlogProofError> {
    let texts: Vec<&str> = lines.clone().take(PROOF_HASHES_MAX + 1).collect();
    if texts.len() > PROOF_HASHES_MAX {
        return Err(TlogProofError::TooManyHashes { found: lines.count() });
    }
    let hashes = (1..).zip(texts).map(|(line, text)| Hash::from_base64(text).ok_or(TlogProofError::Hash { line }));
    hashes.collect::<Result<_, _>>().map(InclusionProof::new)
}

#[cfg(test)]
mod tests;
