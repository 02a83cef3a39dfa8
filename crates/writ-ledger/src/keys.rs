use writ_protocol::{Key, KeyPair, Refusal};
use writ_tlog::{Algorithm, Checkpoint, NoteSigner, Origin, SigningKey, sign_checkpoint};

/// The two private keys of a ledger. Whoever holds them can sign checkpoints, and nothing else.
pub struct LedgerSigner {
    origin: Origin,
    signers: [NoteSigner; 2],
}

impl LedgerSigner {
    /// From two seeds of 32 random bytes.
    pub fn from_seeds(origin: Origin, ed25519: &[u8; 32], ml_dsa_44: &[u8; 32]) -> Self {
        let keys = [(Algorithm::Ed25519, ed25519), (Algorithm::MlDsa44, ml_dsa_44)];
        let signers = keys.map(|(algorithm, seed)| {
            NoteSigner::new(origin.key_name().clone(), SigningKey::from_seed(algorithm, seed))
        });
        Self { origin, signers }
    }

    /// The ledger they sign for.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The public keys.
    pub fn key_pair(&self) -> Result<KeyPair, Refusal> {
        let [ed25519, ml_dsa_44] = self.signers.each_ref().map(|signer| Key::from(signer.verifier().key().clone()));
        Ok(KeyPair::new(ed25519, ml_dsa_44)?)
    }

    pub(crate) fn sign(&self, checkpoint: &Checkpoint) -> Vec<u8> {
        sign_checkpoint(checkpoint, &self.signers)
    }
}
