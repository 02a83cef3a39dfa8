use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use std::fmt;
use writ_tlog::{Algorithm, Hash, VerifyingKey, sha256};

/// A public key as entries hold it: one byte algorithm, then the key.
///
/// It is made by parsing only, so that a key of a bad form (small order, not canonical) never gets as far as a verification.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    bytes: Vec<u8>,
    key: VerifyingKey,
}

const ED25519: u8 = 0x01;
const ML_DSA_44: u8 = 0x06;

impl Key {
    /// From its tagged bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShapeError> {
        let refused = |error: &dyn fmt::Display| ShapeError::expected(format!("a key: {error}"));
        let key = match bytes.split_first() {
            Some((&ED25519, key)) => VerifyingKey::ed25519(key).map_err(|error| refused(&error))?,
            Some((&ML_DSA_44, key)) => VerifyingKey::ml_dsa_44(key).map_err(|error| refused(&error))?,
            _ => return Err(ShapeError::expected("a key: 0x01 Ed25519 or 0x06 ML-DSA-44, then the public key")),
        };
        Ok(Self { bytes: bytes.to_vec(), key })
    }

    /// Its tagged bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key itself.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// SHA-256 of the tagged bytes.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(sha256(&self.bytes))
    }
}

impl From<VerifyingKey> for Key {
    fn from(key: VerifyingKey) -> Self {
        let tag = match key.algorithm() {
            Algorithm::Ed25519 => ED25519,
            Algorithm::MlDsa44 => ML_DSA_44,
        };
        let mut bytes = vec![tag];
        bytes.extend_from_slice(key.as_bytes());
        Self { bytes, key }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.fingerprint())
    }
}

impl Encode for Key {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.bytes);
    }
}

impl Decode for Key {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::from_bytes(reader.bytes()?)
    }
}

/// An Ed25519 key: gateways and holders have no other kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ed25519Key(Key);

impl Ed25519Key {
    /// The key, if it is an Ed25519 key.
    pub fn new(key: Key) -> Result<Self, ShapeError> {
        match key.algorithm() {
            Algorithm::Ed25519 => Ok(Self(key)),
            Algorithm::MlDsa44 => Err(ShapeError::expected("an Ed25519 key, found ML-DSA-44")),
        }
    }

    /// As a key of any kind.
    pub fn key(&self) -> &Key {
        &self.0
    }
}

impl Encode for Ed25519Key {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Ed25519Key {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(Key::decode(reader)?)
    }
}

/// A pair of keys of which both must sign: Ed25519 today, ML-DSA-44 for the day when that falls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// Ed25519.
    pub ed25519: Key,
    /// ML-DSA-44.
    pub ml_dsa_44: Key,
}

impl KeyPair {
    /// Two keys in this order, of these kinds.
    pub fn new(ed25519: Key, ml_dsa_44: Key) -> Result<Self, ShapeError> {
        match (ed25519.algorithm(), ml_dsa_44.algorithm()) {
            (Algorithm::Ed25519, Algorithm::MlDsa44) => Ok(Self { ed25519, ml_dsa_44 }),
            _ => Err(ShapeError::expected("an Ed25519 key, then an ML-DSA-44 key")),
        }
    }

    /// Both keys.
    pub fn keys(&self) -> [&Key; 2] {
        [&self.ed25519, &self.ml_dsa_44]
    }
}

impl Encode for KeyPair {
    fn encode(&self, writer: &mut Writer) {
        writer.array(2);
        self.ed25519.encode(writer);
        self.ml_dsa_44.encode(writer);
    }
}

impl Decode for KeyPair {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.tuple(2)?;
        Self::new(Key::decode(reader)?, Key::decode(reader)?)
    }
}

/// SHA-256 of a key's tagged bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub Hash);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key_")?;
        self.0.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Encode for Fingerprint {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Fingerprint {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Hash::decode(reader).map(Self)
    }
}

impl Encode for Hash {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(self.as_bytes());
    }
}

impl Decode for Hash {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.fixed().map(Self::from_bytes)
    }
}
