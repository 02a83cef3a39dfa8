//! Keys made from labels.

use ml_dsa::MlDsa44;
use writ_protocol::{Key, KeyPair};
use writ_tlog::{Algorithm, SigningKey, sha256};

/// A private key that its label determines.
pub struct Secret {
    seed: [u8; 32],
    key: SigningKey,
}

impl Secret {
    /// The key of a label.
    pub fn new(algorithm: Algorithm, label: &str) -> Self {
        let seed = *sha256(label.as_bytes()).as_bytes();
        Self { seed, key: SigningKey::from_seed(algorithm, &seed) }
    }

    /// The key of a seed that was made elsewhere.
    pub fn from_seed(algorithm: Algorithm, seed: [u8; 32]) -> Self {
        Self { seed, key: SigningKey::from_seed(algorithm, &seed) }
    }

    /// Its seed.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The public key as entries hold it.
    pub fn public(&self) -> Key {
        Key::from(self.key.verifying_key())
    }

    /// For whoever signs by itself.
    pub fn signing_key(&self) -> &SigningKey {
        &self.key
    }

    /// Signs. Unlike the product, which hedges its ML-DSA signatures with randomness, it gives the same signature each time: vectors
    /// must not change when they are made again.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self.key.algorithm() {
            Algorithm::Ed25519 => self.key.sign(message),
            Algorithm::MlDsa44 => {
                let key = ml_dsa::SigningKey::<MlDsa44>::from_seed(&self.seed.into());
                key.expanded_key().sign_deterministic(message, &[]).unwrap().encode().to_vec()
            }
        }
    }
}

/// A pair of keys of which both must sign: a ledger's, or a root member's.
pub struct SecretPair {
    /// Ed25519.
    pub ed25519: Secret,
    /// ML-DSA-44.
    pub ml_dsa_44: Secret,
}

impl SecretPair {
    /// The pair of a label.
    pub fn new(label: &str) -> Self {
        Self {
            ed25519: Secret::new(Algorithm::Ed25519, &format!("{label} ed25519")),
            ml_dsa_44: Secret::new(Algorithm::MlDsa44, &format!("{label} ml-dsa-44")),
        }
    }

    /// Both, in order.
    pub fn both(&self) -> [&Secret; 2] {
        [&self.ed25519, &self.ml_dsa_44]
    }

    /// The public keys.
    pub fn key_pair(&self) -> KeyPair {
        KeyPair::new(self.ed25519.public(), self.ml_dsa_44.public()).unwrap()
    }
}
