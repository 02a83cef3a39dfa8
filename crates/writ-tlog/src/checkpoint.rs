use crate::encoding::from_decimal;
use crate::hash::Hash;
use crate::key::Algorithm;
use crate::note::NoteError;
use crate::position::TreeSize;
use crate::verifier_key::{KeyName, NameError};
use std::fmt;
use thiserror::Error;

/// The name of a log, and of the keys that sign its checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(KeyName);

impl Origin {
    /// From its text: 1 to 255 bytes without white space, `+` or control characters.
    pub fn new(origin: impl Into<String>) -> Result<Self, NameError> {
        KeyName::new(origin).map(Self)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name of the log's keys.
    pub fn key_name(&self) -> &KeyName {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a log says of its tree. It is but a claim: what a log has signed is a [`VerifiedCheckpoint`](crate::VerifiedCheckpoint).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// How many leaves its tree has.
    pub size: TreeSize,
    /// The root of that tree.
    pub root: Hash,
}

/// Why a note is no checkpoint of the log asked about.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// Not a signed note.
    #[error("expected a signed note")]
    Note(#[from] NoteError),
    /// Fewer than the three lines.
    #[error("expected the lines origin, size and root, found {found} lines")]
    MissingLines {
        /// How many lines there are.
        found: usize,
    },
    /// An origin that no log can have.
    #[error("expected the origin of a log in the first line")]
    Origin(#[source] NameError),
    /// A size that is not a canonical decimal of 64 bits.
    #[error("expected a tree size without leading zeros in the second line, found another form")]
    Size,
    /// A root that is not canonical base64 of 32 bytes.
    #[error("expected the base64 of a root hash in the third line, found another form")]
    Root,
    /// Lines after the third: the ML-DSA-44 signature does not cover them.
    #[error("expected no extension lines, found {found}")]
    ExtensionLines {
        /// How many there are.
        found: usize,
    },
    /// The checkpoint of another log.
    #[error("expected a checkpoint of {expected}, found one of {found}")]
    WrongOrigin {
        /// The log asked about.
        expected: Origin,
        /// The log that speaks.
        found: Origin,
    },
    /// Two lines by the same pinned key.
    #[error("expected one signature by the pinned {algorithm} key {key_id:08x}, found {found}")]
    DuplicateSignature {
        /// The algorithm of the pinned key.
        algorithm: Algorithm,
        /// Its id.
        key_id: u32,
        /// How many lines there are.
        found: usize,
    },
    /// No line by a pinned key.
    #[error("expected a signature by the pinned {algorithm} key {key_id:08x}, found none")]
    MissingSignature {
        /// The algorithm of the pinned key.
        algorithm: Algorithm,
        /// Its id.
        key_id: u32,
    },
    /// A line by a pinned key that does not verify.
    #[error("expected the signature of the pinned {algorithm} key {key_id:08x}, found one that does not verify")]
    SignatureInvalid {
        /// The algorithm of the pinned key.
        algorithm: Algorithm,
        /// Its id.
        key_id: u32,
    },
}

impl Checkpoint {
    /// The text that is signed.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// From the text of a note: exactly the three lines.
    pub fn parse(body: &str) -> Result<Self, CheckpointError> {
        // Counted in lines that are ended: a last one that goes on is none.
        let mut lines = body.split_inclusive('\n').map_while(|line| line.strip_suffix('\n'));
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::MissingLines { found: body.matches('\n').count() });
        };
        let origin = Origin::new(origin).map_err(CheckpointError::Origin)?;
        let size = from_decimal(size).map(TreeSize::new).ok_or(CheckpointError::Size)?;
        let root = Hash::from_base64(root).ok_or(CheckpointError::Root)?;
        match body.split_inclusive('\n').skip(3).count() {
            0 => Ok(Self { origin, size, root }),
            found => Err(CheckpointError::ExtensionLines { found }),
        }
    }
}

#[cfg(test)]
mod tests;
