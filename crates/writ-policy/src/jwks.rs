//! Public keys of token issuers, as JSON Web Keys (RFC 7517). Which algorithm a key is for is settled here, once, by the key: a token
//! never chooses how it is verified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::fmt;
use writ_tlog::VerifyingKey;

/// The longest key set that is read, in bytes.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;
/// The most keys that are read of one set.
const KEYS_MAX: usize = 64;
/// The longest key id, in bytes.
const KEY_ID_BYTES_MAX: usize = 256;
/// An RSA modulus, in bytes: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// How a token may be signed. There is no `none` here, and nothing that is signed with a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// RSA, PKCS #1 v1.5, with SHA-256.
    Rs256,
    /// RSA, PSS, with SHA-256.
    Ps256,
}

impl TokenAlgorithm {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Es256, Self::Es384, Self::EdDsa, Self::Rs256, Self::Ps256];

    /// Its registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for TokenAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The numbers of a public key, without leading zeros or of fixed length, as a verifier takes them.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicNumbers {
    /// A point, uncompressed (`04`, x, y).
    Point(Vec<u8>),
    /// An Ed25519 key.
    Ed25519([u8; 32]),
    /// Modulus and exponent.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
}

/// One key of an issuer.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuerKey {
    /// What tokens call it.
    pub id: Option<String>,
    /// The one algorithm that it verifies.
    pub algorithm: TokenAlgorithm,
    /// The key.
    pub numbers: PublicNumbers,
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerKey({:?}, {})", self.id, self.algorithm)
    }
}

/// Reads the key set of an issuer as it publishes it. Keys that are for something else, or of a kind that verifies no token here, are left out,
/// as the format demands; two keys of one id are refused, since readers would differ in which one they take. Several may have none: a token that names none
/// is then held against each that fits.
pub fn read_jwks(bytes: &[u8]) -> Result<Vec<IssuerKey>, String> {
    if bytes.len() > JWKS_BYTES_MAX {
        return Err(format!("a key set has at most {JWKS_BYTES_MAX} bytes, this one has {}", bytes.len()));
    }
    let value = crate::json::unambiguous(bytes)?;
    let keys =
        value.get("keys").and_then(Value::as_array).ok_or("expected a key set, an object with the array `keys`")?;
    read_keys(keys, |key| usable(key).ok())
}

/// Reads keys that somebody has written into a policy set: there, a key that is of no use is an error.
pub(crate) fn read_pinned(keys: &[Value]) -> Result<Vec<IssuerKey>, String> {
    let mut fault = None;
    let read = read_keys(keys, |key| usable(key).map_err(|why| fault.get_or_insert(why)).ok())?;
    match fault {
        Some(why) => Err(why),
        None if read.is_empty() => Err("no key is in it".to_owned()),
        None => Ok(read),
    }
}

fn read_keys(
    keys: &[Value],
    mut read: impl FnMut(&Map<String, Value>) -> Option<IssuerKey>,
) -> Result<Vec<IssuerKey>, String> {
    if keys.len() > KEYS_MAX {
        return Err(format!("at most {KEYS_MAX} keys are read, found {}", keys.len()));
    }
    let mut found: Vec<IssuerKey> = Vec::new();
    for key in keys {
        let key = key.as_object().ok_or("expected each key to be an object")?;
        let Some(key) = read(key) else { continue };
        if let Some(id) = &key.id
            && found.iter().any(|other| other.id.as_ref() == Some(id))
        {
            return Err(format!("two keys have the id {id:?}"));
        }
        found.push(key);
    }
    Ok(found)
}

fn usable(key: &Map<String, Value>) -> Result<IssuerKey, String> {
    if let Some(found) = key.get("use")
        && found != "sig"
    {
        return Err(format!("a key with `use` {found} verifies no token"));
    }
    if let Some(operations) = key.get("key_ops")
        && !operations.as_array().is_some_and(|operations| operations.iter().any(|one| one == "verify"))
    {
        return Err("a key whose `key_ops` lack `verify` verifies no token".to_owned());
    }
    // Whatever holds a secret is not published by somebody who means it.
    if key.contains_key("d") || key.contains_key("k") {
        return Err("expected a public key, found a secret one".to_owned());
    }
    let id = match key.get("kid") {
        None => None,
        Some(Value::String(id)) if !id.is_empty() && id.len() <= KEY_ID_BYTES_MAX => Some(id.clone()),
        Some(_) => return Err(format!("expected a `kid` of 1 to {KEY_ID_BYTES_MAX} bytes")),
    };
    let (fitting, numbers) = numbers(key)?;
    let algorithm = match key.get("alg") {
        // For RSA, what OpenID Connect takes where nothing is said.
        None => fitting.first().copied(),
        Some(name) => fitting
            .iter()
            .copied()
            .find(|algorithm| name == algorithm.as_str() || *name == "Ed25519" && *algorithm == TokenAlgorithm::EdDsa),
    };
    let algorithm = algorithm.ok_or("its `alg` does not fit the key, or is none that is verified here")?;
    Ok(IssuerKey { id, algorithm, numbers })
}

/// Which algorithms a key of this kind can be for, the usual one first, and its numbers.
fn numbers(key: &Map<String, Value>) -> Result<(&'static [TokenAlgorithm], PublicNumbers), String> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let point = |length: usize| {
        let (x, y) = (decoded(key, "x", length..=length)?, decoded(key, "y", length..=length)?);
        Ok::<_, String>(PublicNumbers::Point([vec![4], x, y].concat()))
    };
    match (text("kty"), text("crv")) {
        (Some("EC"), Some("P-256")) => Ok((&[TokenAlgorithm::Es256], point(32)?)),
        (Some("EC"), Some("P-384")) => Ok((&[TokenAlgorithm::Es384], point(48)?)),
        (Some("OKP"), Some("Ed25519")) => {
            let x: [u8; 32] = decoded(key, "x", 32..=32)?.try_into().map_err(|_| "expected 32 bytes in `x`")?;
            // A key of small order verifies what nobody has signed.
            VerifyingKey::ed25519(&x).map_err(|error| error.to_string())?;
            Ok((&[TokenAlgorithm::EdDsa], PublicNumbers::Ed25519(x)))
        }
        (Some("RSA"), None) => {
            let (n, e) = (decoded(key, "n", MODULUS_BYTES)?, decoded(key, "e", 1..=8)?);
            if n.first() == Some(&0) || e.first() == Some(&0) {
                return Err("expected `n` and `e` without leading zeros".to_owned());
            }
            Ok((&[TokenAlgorithm::Rs256, TokenAlgorithm::Ps256], PublicNumbers::Rsa { n, e }))
        }
        (kind, curve) => Err(format!("a key of `kty` {kind:?} and `crv` {curve:?} verifies no token here")),
    }
}

fn decoded(key: &Map<String, Value>, name: &str, length: std::ops::RangeInclusive<usize>) -> Result<Vec<u8>, String> {
    let text = key.get(name).and_then(Value::as_str).ok_or_else(|| format!("expected `{name}` as text"))?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("expected `{name}` in base64url without padding"))?;
    if length.contains(&bytes.len()) {
        return Ok(bytes);
    }
    Err(format!("expected {} to {} bytes in `{name}`, found {}", length.start(), length.end(), bytes.len()))
}
