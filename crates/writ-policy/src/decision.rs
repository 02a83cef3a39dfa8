use crate::terms::Terms;
use writ_protocol::cbor::{Encode, Writer};
use writ_protocol::entry::Need;
use writ_protocol::{Code, Name};

const CONTEXT: &str = "writ.decision";
const VERSION: u64 = 1;

/// A decision names at most this many policies, the first by their ids, for an entry can record no more. What becomes of a permit that more
/// determine, [`crate::Semantics`] says.
pub const DECISION_REASONS_MAX: usize = 256;

/// A hold asks at most this many groups: an entry can record no more.
pub const NEEDS_MAX: usize = 256;

/// What was decided. There is no fourth answer, and no default.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It may be done, on these terms.
    Permit(Permit),
    /// It may be done once enough have approved it.
    Hold(Hold),
    /// It may not.
    Deny(Deny),
}

/// At least one policy permits it, none forbids it, and none failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The determining permits, ascending; of very many the first.
    pub reasons: Vec<Name>,
    /// The strictest terms of all of them.
    pub terms: Terms,
}

/// Forbidden by nothing but what approvals lift, and permitted then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The determining forbids, ascending.
    pub reasons: Vec<Name>,
    /// Whose approvals lift them all, ascending by group.
    pub needs: Vec<Need>,
    /// How long they are waited for: the shortest of them.
    pub within_ms: u64,
}

/// Not permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deny {
    /// `policy_denied`, `evaluation_error` or `integrity_failure`.
    pub code: Code,
    /// The determining forbids, ascending; of very many the first; empty where nothing permits.
    pub reasons: Vec<Name>,
    /// What could not be evaluated, ascending; by policy where it was one.
    pub errors: Vec<(Option<Name>, String)>,
    /// Whether they tell of an entity whether it is there, or what it holds: for whoever may read the store.
    pub tells: bool,
}

impl Decision {
    /// The determining policies, ascending.
    pub fn reasons(&self) -> &[Name] {
        match self {
            Self::Permit(permit) => &permit.reasons,
            Self::Hold(hold) => &hold.reasons,
            Self::Deny(deny) => &deny.reasons,
        }
    }

    /// The stable string: `permit`, `hold`, or the code of the refusal.
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Permit(_) => "permit",
            Self::Hold(_) => "hold",
            Self::Deny(deny) => deny.code.as_str(),
        }
    }

    /// The one encoding, by which a replay is compared (Invariant 4).
    pub fn encode(&self) -> Vec<u8> {
        self.to_cbor()
    }
}

impl Encode for Decision {
    fn encode(&self, writer: &mut Writer) {
        writer.array(4);
        writer.text(CONTEXT);
        writer.uint(VERSION);
        match self {
            Self::Permit(Permit { reasons, terms }) => {
                writer.text("permit");
                writer.map(2);
                writer.field("terms", terms);
                writer.field("reasons", reasons);
            }
            Self::Hold(Hold { reasons, needs, within_ms }) => {
                writer.text("hold");
                writer.map(3);
                writer.field("needs", needs);
                writer.field("reasons", reasons);
                writer.field("within_ms", within_ms);
            }
            Self::Deny(Deny { code, reasons, errors, tells: _ }) => {
                writer.text("deny");
                writer.map(3);
                writer.field("code", code);
                writer.text("errors");
                writer.array(errors.len());
                for (policy, message) in errors {
                    writer.array(2);
                    match policy {
                        Some(policy) => policy.encode(writer),
                        None => writer.null(),
                    }
                    writer.text(message);
                }
                writer.field("reasons", reasons);
            }
        }
    }
}
