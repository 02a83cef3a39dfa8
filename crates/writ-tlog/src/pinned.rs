use crate::checkpoint::{Checkpoint, CheckpointError, Origin};
use crate::cosignature;
use crate::key::{Algorithm, SignatureInvalid};
use crate::note::{Note, NoteSignature};
use crate::verifier_key::{KeyName, NoteVerifier};
use thiserror::Error;

/// All keys pinned for one log: every one of them must have signed.
///
/// It has at least one key of each algorithm, so that breaking one algorithm forges no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedKeys {
    origin: Origin,
    keys: Vec<NoteVerifier>,
}

/// Why keys cannot be pinned together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PinError {
    /// No key at all.
    #[error("expected keys to pin for {origin}, found none")]
    Empty {
        /// The log.
        origin: Origin,
    },
    /// A key of another name than the log's.
    #[error("expected a key named {expected}, found one named {found}")]
    WrongName {
        /// The name of the log.
        expected: KeyName,
        /// The name of the key.
        found: KeyName,
    },
    /// The same name and id twice.
    #[error("expected keys with different ids, found {key_id:08x} twice")]
    Duplicate {
        /// The id that two keys have.
        key_id: u32,
    },
    /// No key of one of the two algorithms.
    #[error("expected at least one {algorithm} key, found none")]
    MissingAlgorithm {
        /// The algorithm without a key.
        algorithm: Algorithm,
    },
}

impl PinnedKeys {
    /// Pins keys for a log.
    pub fn new(origin: Origin, keys: Vec<NoteVerifier>) -> Result<Self, PinError> {
        if keys.is_empty() {
            return Err(PinError::Empty { origin });
        }
        if let Some(other) = keys.iter().find(|key| key.name() != origin.key_name()) {
            return Err(PinError::WrongName { expected: origin.key_name().clone(), found: other.name().clone() });
        }
        let mut ids: Vec<_> = keys.iter().map(NoteVerifier::key_id).collect();
        ids.sort_unstable();
        if let Some([key_id, _]) = ids.array_windows().find(|[one, next]| one == next) {
            return Err(PinError::Duplicate { key_id: *key_id });
        }
        for algorithm in [Algorithm::Ed25519, Algorithm::MlDsa44] {
            if !keys.iter().any(|key| key.key().algorithm() == algorithm) {
                return Err(PinError::MissingAlgorithm { algorithm });
            }
        }
        Ok(Self { origin, keys })
    }

    /// The log they are pinned for.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The pinned keys.
    pub fn keys(&self) -> &[NoteVerifier] {
        &self.keys
    }

    /// Opens a checkpoint: each pinned key has exactly one line, and each of those verifies. Lines of other keys are ignored.
    ///
    /// The form is judged first, then the origin, then lines that are there twice, then the signatures.
    pub fn open(&self, note: &[u8]) -> Result<VerifiedCheckpoint, CheckpointError> {
        self.open_note(&Note::parse(note)?)
    }

    /// As [`PinnedKeys::open`], for a note that was taken apart already.
    pub fn open_note(&self, note: &Note<'_>) -> Result<VerifiedCheckpoint, CheckpointError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != self.origin {
            return Err(CheckpointError::WrongOrigin { expected: self.origin.clone(), found: checkpoint.origin });
        }
        for key in &self.keys {
            let found = lines_of(key, note).count();
            if found > 1 {
                let (algorithm, key_id) = (key.key().algorithm(), key.key_id());
                return Err(CheckpointError::DuplicateSignature { algorithm, key_id, found });
            }
        }
        for key in &self.keys {
            let (algorithm, key_id) = (key.key().algorithm(), key.key_id());
            let line = lines_of(key, note).next().ok_or(CheckpointError::MissingSignature { algorithm, key_id })?;
            verify_line(key, line, &checkpoint, note.text())
                .map_err(|SignatureInvalid| CheckpointError::SignatureInvalid { algorithm, key_id })?;
        }
        Ok(VerifiedCheckpoint { checkpoint, note: note.whole().as_bytes().to_vec() })
    }
}

/// A checkpoint signed by every key pinned for its log. [`PinnedKeys::open`] alone makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    checkpoint: Checkpoint,
    note: Vec<u8>,
}

impl VerifiedCheckpoint {
    /// What the log says of its tree.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note it was opened from.
    pub fn note_bytes(&self) -> &[u8] {
        &self.note
    }

    /// Whether these are the bytes of the note that was verified, so that they need not be verified again.
    pub fn is_same_note(&self, note: &[u8]) -> bool {
        self.note == note
    }
}

/// The lines by a key: name and id decide, as either alone is anyone's to choose.
fn lines_of<'n>(key: &'n NoteVerifier, note: &'n Note<'n>) -> impl Iterator<Item = &'n NoteSignature<'n>> {
    note.signatures().iter().filter(|line| line.name == key.name().as_str() && line.key_id == key.key_id())
}

/// What is signed comes from the pinned key's algorithm, never from the line.
fn verify_line(
    key: &NoteVerifier,
    line: &NoteSignature<'_>,
    checkpoint: &Checkpoint,
    text: &str,
) -> Result<(), SignatureInvalid> {
    match key.key().algorithm() {
        Algorithm::Ed25519 => key.key().verify(text.as_bytes(), &line.bytes),
        Algorithm::MlDsa44 => {
            let signature = cosignature::signature_in(&line.bytes).ok_or(SignatureInvalid)?;
            key.key().verify(&cosignature::message(key.name(), checkpoint), signature)
        }
    }
}

#[cfg(test)]
mod tests;
