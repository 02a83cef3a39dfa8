//! Requests that are signed as HTTP messages (RFC 9421), kept as the parts that the signature covers: so anybody can write down again what was
//! signed, and verify it long after the message.

use super::Request;
use crate::cbor::{Encode, Reader, Writer};
use crate::key::{Ed25519Key, Fingerprint};
use crate::refusal::{Code, Refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use writ_tlog::{Hash, Origin, sha256};

pub(super) const CONTEXT: &str = "writ.http-request";
const VERSION: u64 = 1;
/// What must be covered, in any order, and nothing else.
const COMPONENTS: [&str; 4] = ["@method", "@path", "content-digest", "content-type"];
const METHOD: &str = "POST";
const PATH_BYTES_MAX: usize = 256;
const INPUT_BYTES_MAX: usize = 1024;
const SIGNATURE_BYTES: usize = 64;
const ALGORITHM: &str = "ed25519";

/// The type of a message whose body is a request.
pub const REQUEST_CONTENT_TYPE: &str = "application/cbor";

/// A signed message, form checked, signature not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedMessage<'a> {
    path: &'a str,
    input: &'a str,
    signature: &'a [u8],
    body: &'a [u8],
    parameters: Parameters,
}

/// What a signature says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parameters {
    key: Fingerprint,
    validity: Validity,
}

/// Between which times whoever signed a message wants it to count, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// When it was signed.
    pub created_s: u64,
    /// Up to when it counts.
    pub expires_s: Option<u64>,
}

impl<'a> SignedMessage<'a> {
    /// The parts of a message as they are kept. What is wrong with them is found when they are read.
    pub fn keep(path: &str, input: &str, signature: &[u8], body: &[u8]) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.array(6);
        writer.text(CONTEXT);
        VERSION.encode(&mut writer);
        writer.text(path);
        writer.text(input);
        writer.bytes(signature);
        writer.bytes(body);
        writer.into_bytes()
    }

    /// Reads the parts.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut reader = Reader::checked(bytes)?;
        reader.tuple(6)?;
        if reader.text()? != CONTEXT {
            return Err(Refusal::malformed(format_args!("expected the context `{CONTEXT}`")));
        }
        let version = reader.uint()?;
        let (path, input, signature, body) = (reader.text()?, reader.text()?, reader.bytes()?, reader.bytes()?);
        if version != VERSION {
            let why = format!("a signed message of version {version} is not known to this reader");
            return Err(Refusal::new(Code::UnsupportedVersion, why));
        }
        if signature.len() != SIGNATURE_BYTES {
            return Err(Refusal::malformed("expected a signature of 64 (Ed25519) bytes"));
        }
        if path.len() > PATH_BYTES_MAX || !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::malformed("expected the path of a message"));
        }
        Ok(Self { path, input, signature, body, parameters: Parameters::read(input)? })
    }

    /// By whose key the signature claims to be, **not verified**.
    pub fn signer(&self) -> Fingerprint {
        self.parameters.key
    }

    /// When it counts, **not verified**.
    pub fn validity(&self) -> Validity {
        self.parameters.validity
    }

    /// What it says, **not verified**.
    pub fn request_claims(&self, origin: &Origin) -> Result<Request, Refusal> {
        Request::read(self.body, origin)
    }

    /// Verifies it as a principal's request, by `key`.
    pub fn verify_request(&self, key: &Ed25519Key, origin: &Origin) -> Result<Request, Refusal> {
        let request = self.request_claims(origin)?;
        let fingerprint = key.key().fingerprint();
        if self.parameters.key != fingerprint {
            let why = format!("expected one signature, by the key {fingerprint} of the principal");
            return Err(Refusal::new(Code::UnknownAuthority, why));
        }
        key.key().verifying_key().verify(self.base().as_bytes(), self.signature).map_err(|_| {
            Refusal::new(Code::SignatureInvalid, format!("the message's signature by {fingerprint} does not verify"))
        })?;
        Ok(request)
    }

    /// What was signed: the *signature base* of RFC 9421, section 2.5.
    fn base(&self) -> String {
        let mut base = String::new();
        for component in covered(self.input) {
            let value = match component {
                "@method" => METHOD.to_owned(),
                "@path" => self.path.to_owned(),
                "content-digest" => content_digest(self.body),
                _ => REQUEST_CONTENT_TYPE.to_owned(),
            };
            base.push_str(&format!("\"{component}\": {value}\n"));
        }
        base.push_str(&format!("\"@signature-params\": {}", self.input));
        base
    }
}

/// The `Content-Digest` (RFC 9530) of a body, in the one form that is read.
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(sha256(body).as_bytes()))
}

/// The components of an input that was read, in its order.
fn covered(input: &str) -> impl Iterator<Item = &str> {
    let list = input.split_once(')').map_or("", |(list, _)| list);
    list.trim_start_matches('(').split(' ').map(|quoted| quoted.trim_matches('"'))
}

impl Parameters {
    /// Reads what follows the label in `Signature-Input`: the covered components, and the parameters in any order, each once.
    fn read(input: &str) -> Result<Self, Refusal> {
        let refused =
            |why: &str| Refusal::malformed(format_args!("expected the input of a signature (RFC 9421): {why}"));
        if input.len() > INPUT_BYTES_MAX {
            return Err(refused("it is too long"));
        }
        let (list, rest) = input
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .ok_or_else(|| refused("it begins with what is covered, in round brackets"))?;
        let mut found: Vec<_> = list.split(' ').collect();
        found.sort_unstable();
        if found != COMPONENTS.map(|name| format!("\"{name}\"")) {
            let all = COMPONENTS.join("\", \"");
            return Err(refused(&format!("it covers \"{all}\", each once, and nothing else")));
        }
        let (mut created, mut expires, mut key, mut nonce, mut algorithm) = (None, None, None, None, None);
        let mut rest = rest;
        while let Some(parameter) = rest.strip_prefix(';') {
            let (name, value) = parameter.split_once('=').ok_or_else(|| refused("a parameter has a value"))?;
            let place = match name {
                "created" => &mut created,
                "expires" => &mut expires,
                "keyid" => &mut key,
                "nonce" => &mut nonce,
                "alg" => &mut algorithm,
                _ => return Err(refused("its parameters are `created`, `expires`, `nonce`, `alg` and `keyid`")),
            };
            let (value, after) = item(value).ok_or_else(|| refused("a value is an integer or plain quoted text"))?;
            if place.replace(value).is_some() {
                return Err(refused("a parameter is there once"));
            }
            rest = after;
        }
        if !rest.is_empty() {
            return Err(refused("nothing follows the parameters"));
        }
        let time = |value: Option<Item<'_>>| match value {
            None => Ok(None),
            Some(Item::Integer(seconds)) => Ok(Some(seconds)),
            Some(Item::Text(_)) => Err(refused("a time is in seconds")),
        };
        let text = |value: Option<Item<'_>>| match value {
            None => Ok(None),
            Some(Item::Text(text)) => Ok(Some(text.to_owned())),
            Some(Item::Integer(_)) => Err(refused("`keyid`, `nonce` and `alg` are texts")),
        };
        let (created, expires) = (time(created)?, time(expires)?);
        let (key, algorithm) = (text(key)?, text(algorithm)?);
        text(nonce)?;
        if algorithm.is_some_and(|named| named != ALGORITHM) {
            return Err(refused("its `alg` is that of its key, `ed25519`"));
        }
        let key = key.as_deref().and_then(fingerprint).ok_or_else(|| refused("its `keyid` is a key's fingerprint"))?;
        let created_s = created.ok_or_else(|| refused("it says when it was `created`"))?;
        if expires.is_some_and(|expires_s| expires_s < created_s) {
            return Err(refused("it expires after it was created"));
        }
        Ok(Self { key, validity: Validity { created_s, expires_s: expires } })
    }
}

/// A bare item of a structured field (RFC 8941), as far as it is needed.
enum Item<'a> {
    Integer(u64),
    Text(&'a str),
}

/// The item at the beginning, and what follows it. A text has no escapes.
fn item(text: &str) -> Option<(Item<'_>, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, rest) = quoted.split_once('"')?;
        let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\\';
        return value.bytes().all(plain).then_some((Item::Text(value), rest));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    // RFC 8941 has integers of up to 15 digits.
    let one_form = (1..=15).contains(&digits) && (digits == 1 || !number.starts_with('0'));
    Some((Item::Integer(number.parse().ok().filter(|_| one_form)?), rest))
}

/// The inverse of how a fingerprint is shown.
fn fingerprint(text: &str) -> Option<Fingerprint> {
    let digits = text.strip_prefix("key_").filter(|digits| digits.len() == 64)?;
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let pair = digits.get(2 * at..2 * at + 2)?;
        let lower = pair.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| lower)?;
    }
    Some(Fingerprint(Hash::from_bytes(bytes)))
}
