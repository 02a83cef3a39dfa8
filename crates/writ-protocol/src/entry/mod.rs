//! Entries (`spec/entry.md`): what stands at each index of a ledger.
//!
//! **A new entry type goes here**: a body in one of the submodules, a variant of [`Body`], a row in `spec/entry.md`, its CDDL, vectors,
//! its rules in [`crate::order`], and the projection in `writ-ledger`; the compiler names each place that must decide about it.

mod advised;
mod approval;

mod control;
mod decision;
mod mandate;
mod opened;
mod record;
mod shadow;

pub use crate::parts::*;
pub use advised::*;
pub use approval::*;
pub use control::*;
pub use decision::*;
pub use mandate::*;
pub use record::*;
pub use shadow::*;

use crate::action::CommitmentKind;
use crate::cbor::{Decode, Encode, Reader, Writer};
use crate::envelope::Envelope;
use crate::refusal::Refusal;
use crate::statement::{Signed, SignedRequest};
use writ_tlog::{ENTRY_BYTES_MAX, Hash, Origin, leaf_hash};

const CONTEXT: &str = "writ.entry";
const VERSION: u64 = 1;

/// One record of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The ledger it belongs to.
    pub origin: Origin,
    /// What it records.
    pub body: Body,
}

/// What an entry records, one variant a type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is decoded at a time and it is used at once")]
pub enum Body {
    /// The ledger begins.
    Genesis(Genesis),
    /// A gateway is enrolled or renewed.
    Gateway(Enrolment),
    /// Something is no longer trusted.
    Revocation(Revocation),
    /// Everything stops.
    Halt(Halt),
    /// A statement of the root.
    RootOrder(RootOrder),
    /// A policy set comes into force.
    Policy(Activation),
    /// Another snapshot of entities comes into force.
    Entities(Entities),
    /// A permit.
    Grant(Grant),
    /// A refusal by the authority.
    Denial(Denial),
    /// A request waits.
    Hold(Hold),
    /// Somebody answered a hold.
    Approval(Approval),
    /// What somebody is for.
    Mandate(Mandate),
    /// What policy would have answered, where nothing was enforced.
    Shadow(Shadow),
    /// What policy says of somebody, to whoever enforces it elsewhere.
    Advised(Advised),
    /// Strangers were turned away.
    Tally(Tally),
    /// A use was consumed.
    Spend(Evidence),
    /// An execution began.
    Start(Evidence),
    /// An execution ended.
    Outcome(Evidence),
    /// A gateway refused something, or is alive.
    Report(Evidence),
    /// Values were erased.
    Erasure(Erasure),
    /// A batch ends.
    Seal(Seal),
}

const _: () = assert!(EntryType::ALL.len() == EntryType::Seal as usize + 1, "a type is missing in EntryType::ALL");

/// The type of an entry, without its body. `Seal` stays last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants are those of `Body`")]
pub enum EntryType {
    Genesis,
    Gateway,
    Revocation,
    Halt,
    RootOrder,
    Policy,
    Entities,
    Grant,
    Denial,
    Hold,
    Approval,
    Mandate,
    Shadow,
    Advised,
    Tally,
    Spend,
    Start,
    Outcome,
    Report,
    Erasure,
    Seal,
}

impl EntryType {
    /// Every type.
    pub const ALL: &'static [Self] = &[
        Self::Genesis,
        Self::Gateway,
        Self::Revocation,
        Self::Halt,
        Self::RootOrder,
        Self::Policy,
        Self::Entities,
        Self::Grant,
        Self::Denial,
        Self::Hold,
        Self::Approval,
        Self::Mandate,
        Self::Shadow,
        Self::Advised,
        Self::Tally,
        Self::Spend,
        Self::Start,
        Self::Outcome,
        Self::Report,
        Self::Erasure,
        Self::Seal,
    ];

    /// The string in the entry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Gateway => "gateway",
            Self::Revocation => "revocation",
            Self::Halt => "halt",
            Self::RootOrder => "root-order",
            Self::Policy => "policy",
            Self::Entities => "entities",
            Self::Grant => "grant",
            Self::Denial => "denial",
            Self::Hold => "hold",
            Self::Approval => "approval",
            Self::Mandate => "mandate",
            Self::Shadow => "shadow",
            Self::Advised => "advised",
            Self::Tally => "tally",
            Self::Spend => "spend",
            Self::Start => "start",
            Self::Outcome => "outcome",
            Self::Report => "report",
            Self::Erasure => "erasure",
            Self::Seal => "seal",
        }
    }
}

impl Body {
    /// Its type.
    pub fn entry_type(&self) -> EntryType {
        match self {
            Self::Genesis(_) => EntryType::Genesis,
            Self::Gateway(_) => EntryType::Gateway,
            Self::Revocation(_) => EntryType::Revocation,
            Self::Halt(_) => EntryType::Halt,
            Self::RootOrder(_) => EntryType::RootOrder,
            Self::Policy(_) => EntryType::Policy,
            Self::Entities(_) => EntryType::Entities,
            Self::Grant(_) => EntryType::Grant,
            Self::Denial(_) => EntryType::Denial,
            Self::Hold(_) => EntryType::Hold,
            Self::Approval(_) => EntryType::Approval,
            Self::Mandate(_) => EntryType::Mandate,
            Self::Shadow(_) => EntryType::Shadow,
            Self::Advised(_) => EntryType::Advised,
            Self::Tally(_) => EntryType::Tally,
            Self::Spend(_) => EntryType::Spend,
            Self::Start(_) => EntryType::Start,
            Self::Outcome(_) => EntryType::Outcome,
            Self::Report(_) => EntryType::Report,
            Self::Erasure(_) => EntryType::Erasure,
            Self::Seal(_) => EntryType::Seal,
        }
    }

    /// Its place in the control chain, if it is a control entry.
    pub fn control(&self) -> Option<&Control> {
        match self {
            Self::Genesis(_) => Some(&Genesis::CONTROL),
            Self::Gateway(body) => Some(&body.control),
            Self::Revocation(body) => Some(&body.control),
            Self::Halt(body) => Some(&body.control),
            Self::RootOrder(body) => Some(&body.control),
            Self::Policy(body) => Some(&body.control),
            Self::Entities(body) => Some(&body.control),
            Self::Grant(_)
            | Self::Denial(_)
            | Self::Hold(_)
            | Self::Approval(_)
            | Self::Mandate(_)
            | Self::Shadow(_)
            | Self::Advised(_)
            | Self::Spend(_)
            | Self::Start(_)
            | Self::Outcome(_)
            | Self::Report(_)
            | Self::Erasure(_)
            | Self::Tally(_)
            | Self::Seal(_) => None,
        }
    }

    /// The request it answers, if it answers one.
    pub fn request(&self) -> Option<&RequestRef> {
        match self {
            Self::Gateway(body) => Some(&body.request),
            Self::Revocation(body) => Some(&body.request),
            Self::Halt(body) => Some(&body.request),
            Self::Policy(body) => Some(&body.request),
            Self::Entities(body) => Some(&body.request),
            Self::Grant(body) => Some(&body.request),
            Self::Denial(body) => Some(&body.request),
            Self::Hold(body) => Some(&body.request),
            Self::Approval(body) => Some(&body.request),
            Self::Mandate(body) => Some(&body.request),
            Self::Shadow(body) => Some(&body.request),
            Self::Erasure(body) => Some(&body.request),
            Self::Genesis(_)
            | Self::RootOrder(_)
            | Self::Advised(_)
            | Self::Spend(_)
            | Self::Start(_)
            | Self::Outcome(_)
            | Self::Report(_)
            | Self::Tally(_)
            | Self::Seal(_) => None,
        }
    }

    /// The id it gives to what it records, unique in the ledger. (A root order's id is inside its statement.)
    pub fn own_id(&self) -> Option<[u8; 16]> {
        match self {
            Self::Gateway(body) => body.order.as_ref().map(|order| *order.id.as_bytes()),
            Self::Revocation(body) => Some(*body.id.as_bytes()),
            Self::Halt(body) => Some(*body.id.as_bytes()),
            Self::Entities(body) => Some(*body.id.as_bytes()),
            Self::Grant(body) => Some(*body.id.as_bytes()),
            Self::Denial(body) => Some(*body.id.as_bytes()),
            Self::Approval(body) => Some(*body.id.as_bytes()),
            Self::Mandate(body) => Some(*body.id.as_bytes()),
            Self::Hold(body) => Some(*body.id.as_bytes()),
            Self::Erasure(body) => Some(*body.id.as_bytes()),
            Self::Genesis(_)
            | Self::RootOrder(_)
            | Self::Spend(_)
            | Self::Start(_)
            | Self::Outcome(_)
            | Self::Report(_)
            | Self::Policy(_)
            | Self::Shadow(_)
            | Self::Advised(_)
            | Self::Tally(_)
            | Self::Seal(_) => None,
        }
    }

    /// Who asked for what it decides, or would decide, if it is a decision, a shadow or an advice.
    pub fn asked_by(&self) -> Option<&Principal> {
        match self {
            Self::Grant(body) => Some(&body.principal),
            Self::Denial(body) => Some(&body.principal),
            Self::Hold(body) => Some(&body.principal),
            Self::Approval(body) => Some(&body.by),
            Self::Mandate(body) => Some(&body.by),
            Self::Shadow(body) => Some(&body.principal),
            Self::Advised(body) => Some(&body.principal),
            Self::Genesis(_)
            | Self::Gateway(_)
            | Self::Revocation(_)
            | Self::Halt(_)
            | Self::RootOrder(_)
            | Self::Spend(_)
            | Self::Start(_)
            | Self::Outcome(_)
            | Self::Report(_)
            | Self::Erasure(_)
            | Self::Policy(_)
            | Self::Entities(_)
            | Self::Tally(_)
            | Self::Seal(_) => None,
        }
    }

    /// What caused the request that it decides, if it says so.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Grant(body) => Some(&body.cause),
            Self::Denial(body) => Some(&body.cause),
            Self::Hold(body) => Some(&body.cause),
            Self::Shadow(body) => Some(&body.cause),
            Self::Advised(body) => Some(&body.cause),
            Self::Genesis(_)
            | Self::Gateway(_)
            | Self::Revocation(_)
            | Self::Halt(_)
            | Self::RootOrder(_)
            | Self::Approval(_)
            | Self::Mandate(_)
            | Self::Spend(_)
            | Self::Start(_)
            | Self::Outcome(_)
            | Self::Report(_)
            | Self::Erasure(_)
            | Self::Entities(_)
            | Self::Policy(_)
            | Self::Tally(_)
            | Self::Seal(_) => None,
        }
    }

    /// The hold that it resolves, if it resolves one.
    pub fn resolves(&self) -> Option<&EntryRef> {
        match self {
            Self::Grant(body) => body.hold.as_ref(),
            Self::Denial(body) => body.hold.as_ref(),
            Self::Genesis(_)
            | Self::Gateway(_)
            | Self::Revocation(_)
            | Self::Halt(_)
            | Self::RootOrder(_)
            | Self::Hold(_)
            | Self::Approval(_)
            | Self::Mandate(_)
            | Self::Shadow(_)
            | Self::Advised(_)
            | Self::Spend(_)
            | Self::Start(_)
            | Self::Outcome(_)
            | Self::Report(_)
            | Self::Erasure(_)
            | Self::Policy(_)
            | Self::Entities(_)
            | Self::Tally(_)
            | Self::Seal(_) => None,
        }
    }

    /// The commitments it holds: what an opening may open and an erasure may erase.
    pub fn commitments(&self) -> Vec<(CommitmentKind, Hash)> {
        let mut held = Vec::new();
        match self {
            Self::Grant(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.push((CommitmentKind::Facts, body.facts));
            }
            Self::Denial(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.extend(body.facts.map(|facts| (CommitmentKind::Facts, facts)));
                held.extend(body.text.map(|text| (CommitmentKind::Text, text)));
            }
            Self::Hold(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.push((CommitmentKind::Facts, body.facts));
            }
            Self::Approval(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.push((CommitmentKind::Facts, body.facts));
            }
            Self::Mandate(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.push((CommitmentKind::Facts, body.facts));
            }
            Self::Shadow(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.push((CommitmentKind::Facts, body.facts));
            }
            Self::Advised(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.push((CommitmentKind::Facts, body.facts));
            }
            Self::Revocation(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.push((CommitmentKind::Facts, body.facts));
            }
            Self::Halt(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.push((CommitmentKind::Facts, body.facts));
            }
            Self::Entities(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.push((CommitmentKind::Facts, body.facts));
                held.push((CommitmentKind::Entities, body.content));
            }
            Self::Erasure(body) => {
                held.push((CommitmentKind::Action, body.action.digest));
                held.push((CommitmentKind::Facts, body.facts));
            }
            Self::Policy(body) => {
                held.push((CommitmentKind::Policy, body.content));
                held.extend(body.report.map(|report| (CommitmentKind::Text, report)));
            }
            Self::Gateway(body) => {
                let order = body.order.as_ref();
                held.extend(order.map(|order| (CommitmentKind::Action, order.action.digest)));
                held.extend(order.map(|order| (CommitmentKind::Facts, order.facts)));
            }
            Self::Tally(_)
            | Self::Genesis(_)
            | Self::RootOrder(_)
            | Self::Spend(_)
            | Self::Start(_)
            | Self::Outcome(_)
            | Self::Report(_)
            | Self::Seal(_) => {}
        }
        held.extend(self.request().map(|request| (CommitmentKind::Request, request.digest)));
        held
    }

    /// The signed statement it carries, if it carries one.
    pub fn statement(&self) -> Option<&[u8]> {
        match self {
            Self::RootOrder(body) => Some(&body.statement.0),
            Self::Approval(body) => Some(&body.statement.0),
            Self::Mandate(body) => Some(&body.statement.0),
            Self::Spend(body) | Self::Start(body) | Self::Outcome(body) | Self::Report(body) => Some(&body.statement.0),
            Self::Genesis(_)
            | Self::Gateway(_)
            | Self::Revocation(_)
            | Self::Halt(_)
            | Self::Grant(_)
            | Self::Denial(_)
            | Self::Hold(_)
            | Self::Shadow(_)
            | Self::Advised(_)
            | Self::Erasure(_)
            | Self::Policy(_)
            | Self::Entities(_)
            | Self::Tally(_)
            | Self::Seal(_) => None,
        }
    }
}

impl Entry {
    /// The bytes of this entry: the only ones it can have.
    pub fn encode(&self) -> Result<Vec<u8>, Refusal> {
        let bytes = self.to_cbor();
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(too_large(bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads an entry of the ledger `origin`, in the order of judgement of `spec/entry.md`.
    pub fn decode(bytes: &[u8], origin: &Origin) -> Result<Self, Refusal> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(too_large(bytes.len()));
        }
        let mut reader = Reader::checked(bytes)?;
        let envelope = Envelope::read(&mut reader, CONTEXT)?;
        let entry_type = (envelope.version == VERSION)
            .then(|| EntryType::ALL.iter().copied().find(|known| known.as_str() == envelope.kind))
            .flatten()
            .ok_or_else(|| envelope.unsupported("entry"))?;
        let found = envelope.origin(origin, "entry")?;
        let body = decode_body(entry_type, &mut reader)?;
        match (&body, body.statement()) {
            (Body::Approval(_) | Body::Mandate(_), Some(statement)) => drop(SignedRequest::decode(statement)?),
            (_, Some(statement)) => drop(Signed::decode(statement)?),
            (_, None) => {}
        }
        if let Body::Policy(activation) = &body
            && let Some(manifest) = &activation.manifest
        {
            Signed::decode(&manifest.0)?;
        }
        Ok(Self { origin: found, body })
    }

    /// The entry hash of bytes: what everything else refers to.
    pub fn hash(bytes: &[u8]) -> Hash {
        leaf_hash(bytes)
    }
}

fn too_large(length: usize) -> Refusal {
    Refusal::malformed(format_args!(
        "an entry has at most {ENTRY_BYTES_MAX} bytes, this one has {length}; large values belong in the vault"
    ))
}

fn decode_body(entry_type: EntryType, reader: &mut Reader<'_>) -> Result<Body, Refusal> {
    Ok(match entry_type {
        EntryType::Genesis => Body::Genesis(Genesis::decode(reader)?),
        EntryType::Gateway => Body::Gateway(Enrolment::decode(reader)?),
        EntryType::Revocation => Body::Revocation(Revocation::decode(reader)?),
        EntryType::Halt => Body::Halt(Halt::decode(reader)?),
        EntryType::RootOrder => Body::RootOrder(RootOrder::decode(reader)?),
        EntryType::Grant => Body::Grant(Grant::decode(reader)?),
        EntryType::Denial => Body::Denial(Denial::decode(reader)?),
        EntryType::Policy => Body::Policy(Activation::decode(reader)?),
        EntryType::Entities => Body::Entities(Entities::decode(reader)?),
        EntryType::Hold => Body::Hold(Hold::decode(reader)?),
        EntryType::Approval => Body::Approval(Approval::decode(reader)?),
        EntryType::Mandate => Body::Mandate(Mandate::decode(reader)?),
        EntryType::Shadow => Body::Shadow(Shadow::decode(reader)?),
        EntryType::Advised => Body::Advised(Advised::decode(reader)?),
        EntryType::Tally => Body::Tally(Tally::decode(reader)?),
        EntryType::Spend => Body::Spend(Evidence::decode(reader)?),
        EntryType::Start => Body::Start(Evidence::decode(reader)?),
        EntryType::Outcome => Body::Outcome(Evidence::decode(reader)?),
        EntryType::Report => Body::Report(Evidence::decode(reader)?),
        EntryType::Erasure => Body::Erasure(Erasure::decode(reader)?),
        EntryType::Seal => Body::Seal(Seal::decode(reader)?),
    })
}

impl Encode for Entry {
    fn encode(&self, writer: &mut Writer) {
        writer.array(5);
        writer.text(CONTEXT);
        writer.text(self.body.entry_type().as_str());
        writer.uint(VERSION);
        self.origin.encode(writer);
        match &self.body {
            Body::Genesis(body) => body.encode(writer),
            Body::Gateway(body) => body.encode(writer),
            Body::Revocation(body) => body.encode(writer),
            Body::Halt(body) => body.encode(writer),
            Body::RootOrder(body) => body.encode(writer),
            Body::Grant(body) => body.encode(writer),
            Body::Denial(body) => body.encode(writer),
            Body::Policy(body) => body.encode(writer),
            Body::Entities(body) => body.encode(writer),
            Body::Hold(body) => body.encode(writer),
            Body::Approval(body) => body.encode(writer),
            Body::Mandate(body) => body.encode(writer),
            Body::Shadow(body) => body.encode(writer),
            Body::Advised(body) => body.encode(writer),
            Body::Tally(body) => body.encode(writer),
            Body::Spend(body) | Body::Start(body) | Body::Outcome(body) | Body::Report(body) => {
                body.encode(writer);
            }
            Body::Erasure(body) => body.encode(writer),
            Body::Seal(body) => body.encode(writer),
        }
    }
}
