//! What a client's certificate says of its holder: a SPIFFE id, or an Ed25519 key. Whether the certificate may be believed is for whoever
//! speaks TLS; here is only which name or key stands in it, strictly: what two readers could take for two names is refused.

use writ_policy::SpiffeId;
use writ_protocol::{Code, Ed25519Key, Key, Refusal};

/// The longest certificate that is read, in bytes.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// Everything of an Ed25519 public key in a certificate but its 32 bytes: RFC 8410 leaves no choice.
const ED25519_INFO: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The tag of Ed25519 in our own encoding of keys.
const ED25519_TAG: u8 = 1;

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;
const URI: u8 = 0x86;

const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// Bits of the key usage, in the first byte.
const DIGITAL_SIGNATURE: u8 = 0x80;
const CERTIFICATE_SIGN: u8 = 0x04;
const LIST_SIGN: u8 = 0x02;

/// What stands in a certificate, as far as it says who its holder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// The document of a workload: whether its issuer may say so is not known yet.
    Spiffe(SpiffeId),
    /// A key, and nothing that anybody else vouches for: whoever has the private key is who the key says.
    Key(Ed25519Key),
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// With a URI among its names it is a document of SPIFFE and must keep all rules of one: exactly one URI, a key for signatures, no CA.
    /// Without, it must hold an Ed25519 key, and nothing else in it counts.
    pub fn read(der: &[u8]) -> Result<Self, Refusal> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(unfit(format!("it has more than {CERTIFICATE_BYTES_MAX} bytes")));
        }
        let found = Found::read(der).ok_or_else(|| unfit("it is no X.509 certificate of version 3"))?;
        match (found.uris.as_slice(), found.key) {
            ([], Some(key)) => Ok(Self::Key(key)),
            ([], None) => Err(unfit("it has neither a SPIFFE id nor an Ed25519 key")),
            ([uri], _) => {
                if found.is_ca || found.usage & (CERTIFICATE_SIGN | LIST_SIGN) != 0 {
                    return Err(unfit("it is that of a CA, which is no workload"));
                }
                if found.usage & DIGITAL_SIGNATURE == 0 {
                    return Err(unfit("its key usage lacks digitalSignature"));
                }
                SpiffeId::parse(uri).map(Self::Spiffe).map_err(|expected| unfit(format!("expected {expected}")))
            }
            (uris, _) => Err(unfit(format!("expected one URI among its names, found {}", uris.len()))),
        }
    }
}

fn unfit(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Unauthenticated, format!("the client's certificate shows nobody: {why}"))
}

#[derive(Default)]
struct Found {
    key: Option<Ed25519Key>,
    uris: Vec<String>,
    is_ca: bool,
    usage: u8,
}

impl Found {
    fn read(der: &[u8]) -> Option<Self> {
        let mut outer = Der(der);
        let mut certificate = Der(outer.take(SEQUENCE)?);
        outer.end()?;
        let mut signed = Der(certificate.take(SEQUENCE)?);
        certificate.take(SEQUENCE)?;
        certificate.take(BITS)?;
        certificate.end()?;
        let mut version = Der(signed.take(VERSION)?);
        if version.take(INTEGER)? != [2] {
            return None;
        }
        version.end()?;
        signed.take(INTEGER)?;
        // Algorithm, issuer, validity, subject.
        for _ in 0..4 {
            signed.take(SEQUENCE)?;
        }
        let info = signed.whole(SEQUENCE)?;
        let mut found = Self { key: ed25519(info), ..Self::default() };
        signed.optional(ISSUER_ID)?;
        signed.optional(SUBJECT_ID)?;
        if let Some(extensions) = signed.optional(EXTENSIONS)? {
            let mut extensions = Der(extensions);
            let mut each = Der(extensions.take(SEQUENCE)?);
            extensions.end()?;
            let mut seen: Vec<&[u8]> = Vec::new();
            while !each.0.is_empty() {
                let mut extension = Der(each.take(SEQUENCE)?);
                let id = extension.take(OBJECT)?;
                // Of two, readers differ in which one they take.
                if seen.contains(&id) {
                    return None;
                }
                seen.push(id);
                extension.optional(BOOLEAN)?;
                let value = extension.take(OCTETS)?;
                extension.end()?;
                found.extension(id, value)?;
            }
        }
        signed.end()?;
        Some(found)
    }

    fn extension(&mut self, id: &[u8], value: &[u8]) -> Option<()> {
        let mut value = Der(value);
        if id == ALTERNATIVE_NAMES {
            let mut names = Der(value.take(SEQUENCE)?);
            while let Some(tag) = names.0.first().copied() {
                let name = names.take(tag)?;
                if tag == URI {
                    self.uris.push(str::from_utf8(name).ok()?.to_owned());
                }
            }
        } else if id == BASIC_CONSTRAINTS {
            let mut constraints = Der(value.take(SEQUENCE)?);
            self.is_ca = constraints.optional(BOOLEAN)?.is_some_and(|flag| flag != [0]);
        } else if id == KEY_USAGE {
            // The first byte counts the bits of the last one that mean nothing.
            self.usage = *value.take(BITS)?.get(1)?;
        } else {
            return Some(());
        }
        value.end()
    }
}

fn ed25519(info: &[u8]) -> Option<Ed25519Key> {
    let bytes = info.strip_prefix(&ED25519_INFO)?;
    let key = Key::from_bytes(&[&[ED25519_TAG], bytes].concat()).ok()?;
    Ed25519Key::new(key).ok()
}

/// Elements of DER, one after another: one way of writing each length.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next element, which must have this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (content, rest) = self.element(tag)?;
        self.0 = rest;
        Some(content)
    }

    /// The next element with its head.
    fn whole(&mut self, tag: u8) -> Option<&'a [u8]> {
        let all = self.0;
        self.take(tag)?;
        all.get(..all.len() - self.0.len())
    }

    /// The content of the next element if it has this tag; nothing if it has another.
    fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Some(None) }
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    fn element(&self, tag: u8) -> Option<(&'a [u8], &'a [u8])> {
        let (first, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first()?;
        if *first != tag {
            return None;
        }
        let (length, rest) = match *length {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x81 => {
                let (length, rest) = rest.split_first()?;
                (usize::from(*length).checked_sub(0x80).map(|over| over + 0x80)?, rest)
            }
            0x82 => {
                let (length, rest) = rest.split_at_checked(2)?;
                let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
                ((length > 0xff).then_some(length)?, rest)
            }
            // Nothing that is read here is longer.
            _ => return None,
        };
        rest.split_at_checked(length)
    }
}
