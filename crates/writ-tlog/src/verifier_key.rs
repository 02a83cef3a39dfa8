use crate::encoding::{base64, from_base64};
use crate::hash::sha256;
use crate::key::{Algorithm, KeyError, VerifyingKey};
use std::fmt;
use thiserror::Error;

/// A type 0x06 signature counts the bytes of a name in one byte.
const NAME_BYTES_MAX: usize = 255;
/// Longer than any verifier key with the longest name and an ML-DSA-44 key.
const VERIFIER_KEY_BYTES_MAX: usize = 2048;

const TYPE_ED25519: u8 = 0x01;
const TYPE_ML_DSA_44: u8 = 0x06;

/// The name of a key in a note: 1 to 255 bytes without white space, `+` or control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

/// Why something is no name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("expected a name, found nothing")]
    Empty,
    /// Longer than a signature can state.
    #[error("expected a name of at most {NAME_BYTES_MAX} bytes, found {found}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// A character that would make a note read in two ways.
    #[error("expected a name without white space, plus and control characters, found {found:?}")]
    Character {
        /// The character.
        found: char,
    },
}

impl KeyName {
    /// From its text.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        demand_name_characters(&name)?;
        if name.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong { found: name.len() });
        }
        Ok(Self(name))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its text after a byte that counts it, as the message of a cosignature holds a name.
    pub(crate) fn counted(&self) -> Vec<u8> {
        let length = u8::try_from(self.0.len()).unwrap_or(u8::MAX);
        [&[length], self.0.as_bytes()].concat()
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the name of any signer must be, ours or not.
pub(crate) fn demand_name_characters(name: &str) -> Result<(), NameError> {
    let forbidden = |character: &char| character.is_whitespace() || character.is_control() || *character == '+';
    match name.chars().find(forbidden) {
        Some(found) => Err(NameError::Character { found }),
        None if name.is_empty() => Err(NameError::Empty),
        None => Ok(()),
    }
}

/// A key by the name that its signature lines carry: what a C2SP verifier key (`vkey`) says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteVerifier {
    name: KeyName,
    key_id: u32,
    key: VerifyingKey,
}

impl NoteVerifier {
    /// A key under a name.
    pub fn new(name: KeyName, key: VerifyingKey) -> Self {
        let key_id = key_id(&name, &typed(&key));
        Self { name, key_id, key }
    }

    /// From the text of a verifier key, `name+id+base64(type ‖ key)`, in its one canonical form.
    pub fn from_vkey(vkey: &str) -> Result<Self, KeyError> {
        if vkey.len() > VERIFIER_KEY_BYTES_MAX {
            return Err(KeyError::VerifierKeyTooLong { expected: VERIFIER_KEY_BYTES_MAX, found: vkey.len() });
        }
        // Base64 has a plus of its own: only the first two are separators.
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::VerifierKeyParts { found: vkey.split('+').count() });
        };
        let name = KeyName::new(name)?;
        let found = parse_key_id(id).ok_or_else(|| KeyError::KeyIdForm { found: id.to_owned() })?;
        let material = from_base64(material).ok_or(KeyError::KeyForm)?;
        let key = match material.split_first() {
            None => return Err(KeyError::KeyForm),
            Some((&TYPE_ED25519, key)) => VerifyingKey::ed25519(key)?,
            Some((&TYPE_ML_DSA_44, key)) => VerifyingKey::ml_dsa_44(key)?,
            Some((&found, _)) => return Err(KeyError::UnknownType { found }),
        };
        let expected = key_id(&name, &material);
        if expected != found {
            return Err(KeyError::KeyIdMismatch { expected, found });
        }
        Ok(Self { name, key_id: expected, key })
    }

    /// The text of the verifier key.
    pub fn to_vkey(&self) -> String {
        format!("{}+{:08x}+{}", self.name, self.key_id, base64(&typed(&self.key)))
    }

    /// The name of the key.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id that tells its lines from others of the same name.
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The key itself.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }
}

fn typed(key: &VerifyingKey) -> Vec<u8> {
    let type_byte = match key.algorithm() {
        Algorithm::Ed25519 => TYPE_ED25519,
        Algorithm::MlDsa44 => TYPE_ML_DSA_44,
    };
    [&[type_byte], key.as_bytes()].concat()
}

/// The first four bytes of `SHA-256(name ‖ newline ‖ type ‖ key)`.
fn key_id(name: &KeyName, typed_key: &[u8]) -> u32 {
    let hash = sha256(&[name.as_str().as_bytes(), b"\n", typed_key].concat());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

fn parse_key_id(text: &str) -> Option<u32> {
    let id = u32::from_str_radix(text, 16).ok()?;
    (format!("{id:08x}") == text).then_some(id)
}

#[cfg(test)]
mod tests;
