use crate::checkpoint::Checkpoint;
use crate::cosignature;
use crate::key::{Algorithm, SigningKey};
use crate::note::{NoteSignature, write_note};
use crate::verifier_key::{KeyName, NoteVerifier};

/// A private key by the name that its signature lines carry.
#[derive(Debug)]
pub struct NoteSigner {
    verifier: NoteVerifier,
    key: SigningKey,
}

impl NoteSigner {
    /// A key under a name.
    pub fn new(name: KeyName, key: SigningKey) -> Self {
        Self { verifier: NoteVerifier::new(name, key.verifying_key()), key }
    }

    /// What others verify its lines with.
    pub fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    fn sign(&self, checkpoint: &Checkpoint, text: &str) -> NoteSignature<'_> {
        let bytes = match self.key.algorithm() {
            Algorithm::Ed25519 => self.key.sign(text.as_bytes()),
            Algorithm::MlDsa44 => {
                cosignature::timestamped(&self.key.sign(&cosignature::message(self.verifier.name(), checkpoint)))
            }
        };
        NoteSignature { name: self.verifier.name().as_str(), key_id: self.verifier.key_id(), bytes }
    }
}

/// The signed note of a checkpoint, with one line by each signer, in their order.
///
/// Ed25519 signs the text (type 0x01), ML-DSA-44 a cosignature of the whole tree without a time (type 0x06).
/// A log must have stored the tree for good before it signs, and never sign two trees that contradict each other.
pub fn sign_checkpoint(checkpoint: &Checkpoint, signers: &[NoteSigner]) -> Vec<u8> {
    let text = checkpoint.body();
    let signatures: Vec<_> = signers.iter().map(|signer| signer.sign(checkpoint, &text)).collect();
    write_note(&text, &signatures)
}
