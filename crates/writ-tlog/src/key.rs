use crate::hash::sha256;
use crate::verifier_key::NameError;
use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair, ML_DSA_44, ML_DSA_44_SIGNING, ParsedPublicKey, PqdsaKeyPair,
};
use std::fmt;
use thiserror::Error;

const ED25519_KEY_BYTES: usize = 32;
const ED25519_SIGNATURE_BYTES: usize = 64;
const ML_DSA_44_KEY_BYTES: usize = 1312;
pub(crate) const ML_DSA_44_SIGNATURE_BYTES: usize = 2420;

/// The bit of an encoded point that says which of the two x belong to its y.
const SIGN_BIT: u8 = 0x80;
/// The y of every point of small order, below p, with the sign bit cleared: either sign is refused.
const SMALL_ORDER_Y: [[u8; ED25519_KEY_BYTES]; 5] = [
    y_of(0, 0, 0),          // order 4
    y_of(1, 0, 0),          // order 1
    y_of(0xec, 0xff, 0x7f), // p − 1, order 2
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05, // order 8
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a, // order 8
    ],
];

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032), by the strict rule of [`VerifyingKey::verify`].
    Ed25519,
    /// ML-DSA-44 (FIPS 204), pure, with an empty context.
    MlDsa44,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::MlDsa44 => "ML-DSA-44",
        })
    }
}

/// Why something is no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// A public key of another length.
    #[error("expected an {algorithm} public key of {expected} bytes, found {found}")]
    Length {
        /// The algorithm of the key.
        algorithm: Algorithm,
        /// The bytes such a key has.
        expected: usize,
        /// The bytes there are.
        found: usize,
    },
    /// An Ed25519 key with a y that is not reduced: a second form of another key.
    #[error("expected an Ed25519 public key with y below 2^255 - 19, found a larger one")]
    NotCanonical,
    /// An Ed25519 key under which signatures can be made that fit many messages.
    #[error("expected an Ed25519 public key of prime order, found a point of small order")]
    SmallOrder,
    /// A public key that the cryptographic library does not take.
    #[error("expected a public key that {algorithm} can use, found another")]
    Unusable {
        /// The algorithm of the key.
        algorithm: Algorithm,
    },
    /// A verifier key longer than any of ours.
    #[error("expected a verifier key of at most {expected} bytes, found {found}")]
    VerifierKeyTooLong {
        /// The most bytes it can have.
        expected: usize,
        /// The bytes there are.
        found: usize,
    },
    /// A verifier key without its three parts.
    #[error("expected a verifier key of three parts, name+id+key, found only {found}")]
    VerifierKeyParts {
        /// How many parts there are.
        found: usize,
    },
    /// A verifier key for a name that no key can have.
    #[error("expected a verifier key that begins with the name of a key")]
    Name(#[from] NameError),
    /// A key id not written as eight lower-case hex digits.
    #[error("expected a key id of 8 lower-case hex digits, found {found:?}")]
    KeyIdForm {
        /// What stands in its place.
        found: String,
    },
    /// Key material that is not canonical base64 of an algorithm byte and a key.
    #[error("expected canonical base64 of an algorithm byte and a public key")]
    KeyForm,
    /// A type of signature that is not verified here.
    #[error("expected a key of type 0x01 (Ed25519) or 0x06 (ML-DSA-44), found 0x{found:02x}")]
    UnknownType {
        /// The type byte.
        found: u8,
    },
    /// A key id that is not that of the name and key beside it.
    #[error("expected the key id {expected:08x} of this name and key, found {found:08x}")]
    KeyIdMismatch {
        /// The id of the name and key.
        expected: u32,
        /// The id written.
        found: u32,
    },
}

/// A signature that is not the key's over the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected a signature by this key over this message, found one that does not verify")]
pub struct SignatureInvalid;

/// A public key whose form was checked: it is made by parsing only.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// An Ed25519 public key: 32 bytes, canonical, not of small order.
    ///
    /// Bytes that are no point of the curve pass, and nothing verifies under them.
    pub fn ed25519(bytes: &[u8]) -> Result<Self, KeyError> {
        let algorithm = Algorithm::Ed25519;
        // The library would take the DER form as well: the length decides that it is the raw one.
        let y: [u8; ED25519_KEY_BYTES] = bytes.try_into().map_err(|_| KeyError::Length {
            algorithm,
            expected: ED25519_KEY_BYTES,
            found: bytes.len(),
        })?;
        let y = without_sign(y);
        if !is_reduced(&y) {
            return Err(KeyError::NotCanonical);
        }
        if SMALL_ORDER_Y.contains(&y) {
            return Err(KeyError::SmallOrder);
        }
        let key = ParsedPublicKey::new(&ED25519, bytes).map_err(|_| KeyError::Unusable { algorithm })?;
        Ok(Self { algorithm, key })
    }

    /// An ML-DSA-44 public key: 1312 bytes.
    pub fn ml_dsa_44(bytes: &[u8]) -> Result<Self, KeyError> {
        let algorithm = Algorithm::MlDsa44;
        if bytes.len() != ML_DSA_44_KEY_BYTES {
            return Err(KeyError::Length { algorithm, expected: ML_DSA_44_KEY_BYTES, found: bytes.len() });
        }
        let key = ParsedPublicKey::new(&ML_DSA_44, bytes).map_err(|_| KeyError::Unusable { algorithm })?;
        Ok(Self { algorithm, key })
    }

    /// The algorithm it verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw public key.
    pub fn as_bytes(&self) -> &[u8] {
        self.key.as_ref()
    }

    /// Verifies a signature over a message, by the one rule that holds everywhere:
    ///
    /// * Ed25519: the key is canonical and not of small order (it would not be here otherwise); the signature is
    ///   64 bytes `R ‖ S` with `S` below the group order; and with `k = SHA-512(R ‖ A ‖ M)` the encoding of
    ///   `[S]B − [k]A` is the bytes `R`. There is no multiplication by the cofactor, and so one answer for every input.
    /// * ML-DSA-44: FIPS 204 over 2420 bytes, pure, with an empty context.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureInvalid> {
        let expected = match self.algorithm {
            Algorithm::Ed25519 => ED25519_SIGNATURE_BYTES,
            Algorithm::MlDsa44 => ML_DSA_44_SIGNATURE_BYTES,
        };
        if signature.len() != expected {
            return Err(SignatureInvalid);
        }
        self.key.verify_sig(message, signature).map_err(|_| SignatureInvalid)
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, {:?})", self.algorithm, sha256(self.as_bytes()))
    }
}

/// A private key, made from a seed that the caller keeps.
pub struct SigningKey {
    pair: Pair,
    verifying: VerifyingKey,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    MlDsa44(PqdsaKeyPair),
}

impl SigningKey {
    /// The key that the seed stands for. Every 32 bytes are a seed.
    ///
    /// # Panics
    /// When the cryptographic library is out of memory.
    #[expect(clippy::expect_used, reason = "every seed makes a key; without memory there is no way to go on")]
    pub fn from_seed(algorithm: Algorithm, seed: &[u8; 32]) -> Self {
        let (pair, verifying) = match algorithm {
            Algorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are an Ed25519 seed");
                let verifying = VerifyingKey::ed25519(pair.public_key().as_ref());
                (Pair::Ed25519(pair), verifying)
            }
            Algorithm::MlDsa44 => {
                let pair =
                    PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, seed).expect("every 32 bytes are an ML-DSA seed");
                let verifying = VerifyingKey::ml_dsa_44(pair.public_key().as_ref());
                (Pair::MlDsa44(pair), verifying)
            }
        };
        Self { pair, verifying: verifying.expect("the public key of a seed has the form of a public key") }
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.verifying.algorithm
    }

    /// The public key that goes with it.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.verifying.clone()
    }

    /// Signs a message. Ed25519 always gives the same signature, ML-DSA-44 a new one each time.
    ///
    /// # Panics
    /// When the cryptographic library is out of memory or randomness.
    #[expect(clippy::expect_used, reason = "signing fails without memory or randomness only; there is no way to go on")]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Ed25519(pair) => pair.try_sign(message).expect("an Ed25519 signature").as_ref().to_vec(),
            Pair::MlDsa44(pair) => {
                let mut signature = vec![0; ML_DSA_44_SIGNATURE_BYTES];
                let length = pair.sign(message, &mut signature).expect("an ML-DSA-44 signature");
                signature.truncate(length);
                signature
            }
        }
    }
}

/// Says which key it is, and nothing of the secret.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey of {:?}", self.verifying)
    }
}

fn without_sign(mut y: [u8; ED25519_KEY_BYTES]) -> [u8; ED25519_KEY_BYTES] {
    y[31] &= !SIGN_BIT;
    y
}

/// Whether y, without its sign bit, is below p = 2^255 − 19.
fn is_reduced(y: &[u8; ED25519_KEY_BYTES]) -> bool {
    y.iter().rev().cmp(y_of(0xed, 0xff, 0x7f).iter().rev()).is_lt()
}

const fn y_of(lowest: u8, between: u8, highest: u8) -> [u8; ED25519_KEY_BYTES] {
    let mut y = [between; ED25519_KEY_BYTES];
    y[0] = lowest;
    y[31] = highest;
    y
}

#[cfg(test)]
mod tests;
