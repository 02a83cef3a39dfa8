//! Signed statements (`spec/statement.md`): what others than the authority assert, kept as the bytes they signed.

mod gateway;
mod http;
mod manifest;
mod presentation;
mod request;
mod root;

pub use gateway::{Claim, Ending, GatewayStatement, Signal};
pub use http::{REQUEST_CONTENT_TYPE, SignedMessage, Validity, content_digest};
pub use manifest::{ListedFile, MANIFEST_BYTES_MAX, MANIFEST_FILES_MAX, Manifest, ManifestFields};
pub use presentation::Presentation;
pub use request::{Ask, Authorize, Component, Request, Shadowing, surroundings_digest};
pub use root::{RootCommand, RootStatement};

use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use crate::envelope::Envelope;
use crate::id::DomainId;
use crate::key::{Ed25519Key, Fingerprint, Key};
use crate::parts::{Authors, RootMembers};
use crate::refusal::{Code, Refusal};
use gateway::GatewayKind;
use request::RequestKind;
use root::RootKind;
use writ_tlog::{Origin, SigningKey};

const ENVELOPE: &str = "writ.signed";
const CONTEXT: &str = "writ.statement";
const VERSION: u64 = 1;
const SIGNATURES_MAX: u64 = 32;
const ED25519_SIGNATURE_BYTES: usize = 64;
const ML_DSA_44_SIGNATURE_BYTES: usize = 2420;

/// What is signed: a prefix that no other message of the project has, then the payload.
fn message(payload: &[u8]) -> Vec<u8> {
    [b"writ.signed/v1\n", payload].concat()
}

/// A statement with its signatures, form checked, signatures not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    payload: &'a [u8],
    signatures: Vec<(Fingerprint, &'a [u8])>,
}

impl<'a> Signed<'a> {
    /// Reads the envelope.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut reader = Reader::checked(bytes)?;
        reader.tuple(4)?;
        if reader.text()? != ENVELOPE {
            return Err(Refusal::malformed(format_args!("expected the context `{ENVELOPE}`")));
        }
        let version = reader.uint()?;
        if version != VERSION {
            return Err(Refusal::new(
                Code::UnsupportedVersion,
                format!("signed statement of version {version} is not known to this reader"),
            ));
        }
        let payload = reader.bytes()?;
        let count = reader.array()?;
        if !(1..=SIGNATURES_MAX).contains(&count) {
            return Err(Refusal::malformed(format_args!("expected 1 to {SIGNATURES_MAX} signatures, found {count}")));
        }
        let signatures = (0..count).map(|_| signature(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        if !signatures.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(Refusal::malformed("expected signatures ascending by fingerprint, each once"));
        }
        Ok(Self { payload, signatures })
    }

    /// Verifies it as a gateway's: exactly one signature, by `key`.
    pub fn verify_gateway(&self, key: &Ed25519Key, origin: &Origin) -> Result<GatewayStatement, Refusal> {
        let statement = self.gateway_claims(origin)?;
        self.verify_only(key, "of the gateway's enrolment")?;
        Ok(statement)
    }

    /// Verifies it as a principal's request: exactly one signature, by `key`.
    pub fn verify_request(&self, key: &Ed25519Key, origin: &Origin) -> Result<Request, Refusal> {
        let request = self.request_claims(origin)?;
        self.verify_only(key, "of the principal")?;
        Ok(request)
    }

    /// Verifies it as the presentation of a writ: exactly one signature, by the holder's `key`.
    pub fn verify_presentation(&self, key: &Ed25519Key, origin: &Origin) -> Result<Presentation, Refusal> {
        let mut reader = Reader::checked(self.payload)?;
        let envelope = Envelope::read(&mut reader, CONTEXT)?;
        let found = Kind::of(&envelope)?;
        let Kind::Presentation = found else { return Err(misplaced(&found, "a presentation")) };
        envelope.origin(origin, "statement")?;
        let presentation = Presentation::read(&mut reader)?;
        self.verify_only(key, "of the writ's holder")?;
        Ok(presentation)
    }

    /// By whose key the one signature claims to be, **not verified**: to find out whose it is.
    pub fn signer(&self) -> Result<Fingerprint, Refusal> {
        match self.signatures.as_slice() {
            [(fingerprint, _)] => Ok(*fingerprint),
            found => {
                Err(Refusal::new(Code::UnknownAuthority, format!("expected one signature, found {}", found.len())))
            }
        }
    }

    /// What it says as a principal's request, **not verified**.
    pub fn request_claims(&self, origin: &Origin) -> Result<Request, Refusal> {
        Request::read(self.payload, origin)
    }

    fn verify_only(&self, key: &Ed25519Key, whose: &str) -> Result<(), Refusal> {
        match self.signatures.as_slice() {
            [(fingerprint, signature)] if *fingerprint == key.key().fingerprint() => {
                self.verify_one(key.key(), signature)
            }
            _ => Err(Refusal::new(
                Code::UnknownAuthority,
                format!("expected one signature, by the key {} {whose}", key.key().fingerprint()),
            )),
        }
    }

    /// What it says as a gateway's, **not verified**: to find out whose key must have signed it.
    pub fn gateway_claims(&self, origin: &Origin) -> Result<GatewayStatement, Refusal> {
        let mut reader = Reader::checked(self.payload)?;
        let envelope = Envelope::read(&mut reader, CONTEXT)?;
        let found = Kind::of(&envelope)?;
        let Kind::Gateway(kind) = found else { return Err(misplaced(&found, "a gateway's statement")) };
        envelope.origin(origin, "statement")?;
        Ok(GatewayStatement::decode(kind, &mut reader)?)
    }

    /// Verifies it as the root's: enough members of `root`, both keys of each, for this domain.
    pub fn verify_root(&self, root: &RootMembers, domain: DomainId, origin: &Origin) -> Result<RootStatement, Refusal> {
        let statement = self.root_claims(origin)?;
        if statement.domain != domain {
            return Err(Refusal::new(
                Code::UnknownAuthority,
                format!("a root statement of {}, expected {domain}", statement.domain),
            ));
        }
        let mut signed = 0;
        let mut counted = 0;
        for member in root.members() {
            let found = member.keys().map(|key| self.signature_by(key).map(|signature| (key, signature)));
            match found {
                [None, None] => {}
                [Some((ed25519, first)), Some((ml_dsa_44, second))] => {
                    self.verify_one(ed25519, first)?;
                    self.verify_one(ml_dsa_44, second)?;
                    signed += 1;
                    counted += 2;
                }
                [Some(_), None] | [None, Some(_)] => {
                    return Err(Refusal::new(
                        Code::SignatureInvalid,
                        "a root member has signed with one of its two keys only",
                    ));
                }
            }
        }
        if counted != self.signatures.len() {
            return Err(Refusal::new(Code::UnknownAuthority, "signed by a key that no root member holds"));
        }
        if signed < root.threshold() {
            return Err(Refusal::new(
                Code::SignatureInvalid,
                format!("{signed} root members have signed, {} must", root.threshold()),
            ));
        }
        Ok(statement)
    }

    /// What it says as the root's, **not verified**: for display.
    pub fn root_claims(&self, origin: &Origin) -> Result<RootStatement, Refusal> {
        let mut reader = Reader::checked(self.payload)?;
        let envelope = Envelope::read(&mut reader, CONTEXT)?;
        let found = Kind::of(&envelope)?;
        let Kind::Root(kind) = found else { return Err(misplaced(&found, "a root statement")) };
        envelope.origin(origin, "statement")?;
        Ok(RootStatement::decode(kind, &mut reader)?)
    }

    /// Verifies it as a manifest: by enough of the `authors` and nobody else, for this domain.
    pub fn verify_manifest(&self, authors: &Authors, domain: DomainId, origin: &Origin) -> Result<Manifest, Refusal> {
        let manifest = self.manifest_claims(origin)?;
        if manifest.domain != domain {
            return Err(Refusal::new(
                Code::UnknownAuthority,
                format!("a policy manifest of {}, expected {domain}", manifest.domain),
            ));
        }
        for (by, signature) in &self.signatures {
            let author = authors.keys().iter().find(|key| key.key().fingerprint() == *by).ok_or_else(|| {
                Refusal::new(Code::UnknownAuthority, format!("signed by {by}, which is no policy author's key"))
            })?;
            self.verify_one(author.key(), signature)?;
        }
        let (signed, threshold) = (self.signatures.len(), authors.threshold());
        if signed < threshold {
            return Err(Refusal::new(
                Code::SignatureInvalid,
                format!("it is signed by {signed} of the {threshold} policy authors that must sign"),
            ));
        }
        Ok(manifest)
    }

    /// What it says as a manifest, **not verified**: for display, and to hold files against it.
    pub fn manifest_claims(&self, origin: &Origin) -> Result<Manifest, Refusal> {
        let mut reader = Reader::checked(self.payload)?;
        let envelope = Envelope::read(&mut reader, CONTEXT)?;
        let found = Kind::of(&envelope)?;
        let Kind::Manifest = found else { return Err(misplaced(&found, "a policy manifest")) };
        envelope.origin(origin, "statement")?;
        let manifest = Manifest::read(&mut reader)?;
        let length = self.payload.len();
        if length > MANIFEST_BYTES_MAX {
            return Err(Refusal::malformed(format_args!(
                "a policy manifest has at most {MANIFEST_BYTES_MAX} bytes, this one has {length}; put several policies into one file"
            )));
        }
        Ok(manifest)
    }

    /// The ledger that it says it is for, **not verified**: to read what somebody has handed over.
    pub fn claimed_origin(&self) -> Result<Origin, Refusal> {
        let mut reader = Reader::checked(self.payload)?;
        Envelope::read(&mut reader, CONTEXT)?.claimed_origin()
    }

    /// Whose signatures it has, **not verified**, ascending.
    pub fn signers(&self) -> impl Iterator<Item = Fingerprint> {
        self.signatures.iter().map(|(by, _)| *by)
    }

    /// The same statement with one signature more; one that is there already is made anew.
    pub fn signed_too(&self, key: &SigningKey) -> Vec<u8> {
        let mine = Key::from(key.verifying_key()).fingerprint();
        let others = self.signatures.iter().filter(|(by, _)| *by != mine).map(|(by, made)| (*by, made.to_vec()));
        let signatures = others.chain([(mine, key.sign(&message(self.payload)))]).collect();
        enveloped(self.payload, signatures)
    }

    fn signature_by(&self, key: &Key) -> Option<&'a [u8]> {
        let fingerprint = key.fingerprint();
        let place = self.signatures.binary_search_by_key(&fingerprint, |(by, _)| *by).ok()?;
        self.signatures.get(place).map(|(_, signature)| *signature)
    }

    fn verify_one(&self, key: &Key, signature: &[u8]) -> Result<(), Refusal> {
        key.verifying_key().verify(&message(self.payload), signature).map_err(|_| {
            Refusal::new(Code::SignatureInvalid, format!("the signature by {} does not verify", key.fingerprint()))
        })
    }
}

/// A request that its principal has signed, in either of the two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedRequest<'a> {
    /// A statement in an envelope.
    Statement(Signed<'a>),
    /// The body of an HTTP message.
    Message(SignedMessage<'a>),
}

impl<'a> SignedRequest<'a> {
    /// Reads whichever it is: their contexts differ.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut reader = Reader::checked(bytes)?;
        reader.array()?;
        match reader.text()? {
            http::CONTEXT => SignedMessage::decode(bytes).map(Self::Message),
            _ => Signed::decode(bytes).map(Self::Statement),
        }
    }

    /// By whose key the one signature claims to be, **not verified**: to find out whose it is.
    pub fn signer(&self) -> Result<Fingerprint, Refusal> {
        match self {
            Self::Statement(signed) => signed.signer(),
            Self::Message(message) => Ok(message.signer()),
        }
    }

    /// When the signature itself counts, where it says so, **not verified**.
    pub fn validity(&self) -> Option<Validity> {
        match self {
            Self::Statement(_) => None,
            Self::Message(message) => Some(message.validity()),
        }
    }

    /// Verifies it as a principal's request: exactly one signature, by `key`.
    pub fn verify(&self, key: &Ed25519Key, origin: &Origin) -> Result<Request, Refusal> {
        match self {
            Self::Statement(signed) => signed.verify_request(key, origin),
            Self::Message(message) => message.verify_request(key, origin),
        }
    }
}

impl Request {
    /// Reads a request that nobody has signed: its caller must be known otherwise.
    pub fn read(payload: &[u8], origin: &Origin) -> Result<Self, Refusal> {
        let mut reader = Reader::checked(payload)?;
        let envelope = Envelope::read(&mut reader, CONTEXT)?;
        let found = Kind::of(&envelope)?;
        let Kind::Request(kind) = found else { return Err(misplaced(&found, "a request")) };
        envelope.origin(origin, "statement")?;
        Self::decode(kind, &mut reader)
    }
}

/// Who says a statement of this kind.
#[derive(Clone, Copy)]
enum Kind {
    Gateway(GatewayKind),
    Root(RootKind),
    Request(RequestKind),
    Presentation,
    Manifest,
}

impl Kind {
    fn of(envelope: &Envelope<'_>) -> Result<Self, Refusal> {
        Ok(match (envelope.kind, envelope.version) {
            ("spent", VERSION) => Self::Gateway(GatewayKind::Spent),
            ("started", VERSION) => Self::Gateway(GatewayKind::Started),
            ("ended", VERSION) => Self::Gateway(GatewayKind::Ended),
            ("refused", VERSION) => Self::Gateway(GatewayKind::Refused),
            ("labelled", VERSION) => Self::Gateway(GatewayKind::Labelled),
            ("heartbeat", VERSION) => Self::Gateway(GatewayKind::Heartbeat),
            ("halt", VERSION) => Self::Root(RootKind::Halt),
            ("resume", VERSION) => Self::Root(RootKind::Resume),
            ("ledger-keys", VERSION) => Self::Root(RootKind::LedgerKeys),
            ("root-keys", VERSION) => Self::Root(RootKind::RootKeys),
            ("policy-authors", VERSION) => Self::Root(RootKind::PolicyAuthors),
            ("policy-set", VERSION) => Self::Manifest,
            ("authorize", VERSION) => Self::Request(RequestKind::Authorize),
            ("order", VERSION) => Self::Request(RequestKind::Order),
            ("shadow", VERSION) => Self::Request(RequestKind::Shadow),
            ("presented", VERSION) => Self::Presentation,
            _ => return Err(envelope.unsupported("statement")),
        })
    }
}

fn misplaced(found: &Kind, expected: &str) -> Refusal {
    let found = match found {
        Kind::Gateway(_) => "a gateway's statement",
        Kind::Root(_) => "a root statement",
        Kind::Request(_) => "a principal's request",
        Kind::Presentation => "a presentation",
        Kind::Manifest => "a policy manifest",
    };
    Refusal::malformed(format_args!("expected {expected}, found {found}"))
}

fn signature<'a>(reader: &mut Reader<'a>) -> Result<(Fingerprint, &'a [u8]), ShapeError> {
    reader.tuple(2)?;
    let by = Fingerprint::decode(reader)?;
    let signature = reader.bytes()?;
    match signature.len() {
        ED25519_SIGNATURE_BYTES | ML_DSA_44_SIGNATURE_BYTES => Ok((by, signature)),
        _ => Err(ShapeError::expected("a signature of 64 (Ed25519) or 2420 (ML-DSA-44) bytes")),
    }
}

/// Signs a payload with every key given.
fn sign(payload: Vec<u8>, keys: &[&SigningKey]) -> Vec<u8> {
    let message = message(&payload);
    let signed = keys.iter().map(|key| (Key::from(key.verifying_key()).fingerprint(), key.sign(&message)));
    enveloped(&payload, signed.collect())
}

fn enveloped(payload: &[u8], mut signatures: Vec<(Fingerprint, Vec<u8>)>) -> Vec<u8> {
    signatures.sort_by_key(|(by, _)| *by);
    let mut writer = Writer::default();
    writer.array(4);
    writer.text(ENVELOPE);
    writer.uint(VERSION);
    writer.bytes(payload);
    writer.array(signatures.len());
    for (by, signature) in signatures {
        writer.array(2);
        by.encode(&mut writer);
        writer.bytes(&signature);
    }
    writer.into_bytes()
}

fn payload(kind: &str, origin: &Origin, body: &impl Encode) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.array(5);
    writer.text(CONTEXT);
    writer.text(kind);
    writer.uint(VERSION);
    origin.encode(&mut writer);
    body.encode(&mut writer);
    writer.into_bytes()
}
