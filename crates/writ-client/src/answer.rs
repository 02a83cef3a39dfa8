//! What a node answers. Nothing here is verified: a writ and a proof are text until somebody with the trust root has read them.

use crate::fields::Fields;
use serde_json::Value;
use writ_protocol::entry::Would;
use writ_protocol::{Code, Refusal};

/// The answer to a request for a writ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Granted: verify the writ before anything is done with it.
    Permit(Permit),
    /// It waits for approvals, and that is recorded.
    Hold(Held),
    /// Denied, and recorded.
    Deny(Denial),
    /// Refused before anything was recorded.
    Refused(Refused),
}

/// A hold, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Where it is said to be in the ledger.
    pub index: u64,
    /// Whether the same waited before, and this is that hold.
    pub repeated: bool,
    /// Whether enough have approved it, so that whoever asked may go on.
    pub approved: bool,
    /// When it lapses.
    pub until_ms: u64,
    /// Why, for people.
    pub why: String,
    /// The salt of the action digest that is approved.
    pub action_salt: [u8; 32],
    /// That it is there, a `tlog-proof`.
    pub proof: String,
    /// The policies that ask for approvals.
    pub policies: Vec<PolicyNote>,
    /// What to do next.
    pub next: Option<String>,
}

/// How far a hold has come, as the node tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldState {
    /// `pending`, `approved`, `rejected`, `lapsed` or `resolved`.
    pub state: String,
    /// All of it.
    pub told: Value,
}

impl HoldState {
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let told = Fields::read(body)?.into_value();
        Ok(Self { state: Fields::of(told.clone())?.text("state")?, told })
    }
}

/// A grant, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Where the grant is said to be in the ledger.
    pub index: u64,
    /// Whether the same request was granted before, and this is that grant.
    pub repeated: bool,
    /// The writ, a `tlog-proof`.
    pub writ: String,
}

/// A denial, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Why, for machines.
    pub code: Code,
    /// Where the denial is said to be in the ledger.
    pub index: u64,
    /// Why, for people.
    pub why: String,
    /// That it is there, a `tlog-proof`.
    pub proof: String,
    /// The policies that decided.
    pub policies: Vec<PolicyNote>,
    /// Why, clause by clause, as the node says it; nothing where it does not.
    pub explanation: Option<Value>,
    /// What to do next.
    pub next: Option<String>,
}

/// A policy that decided, as a person finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyNote {
    /// Its id.
    pub id: String,
    /// The file it stands in.
    pub file: Option<String>,
    /// The line where it begins.
    pub line: Option<u64>,
    /// `permit` or `forbid`.
    pub effect: String,
    /// Its text.
    pub text: Option<String>,
}

/// A refusal without an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status of the answer.
    pub status: u16,
    /// Why, for machines.
    pub code: Code,
    /// Why, for people.
    pub why: String,
    /// What to do next.
    pub next: Option<String>,
}

/// What was recorded, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Where it is said to be in the ledger.
    pub index: u64,
    /// That it is there, a `tlog-proof`.
    pub proof: String,
    /// Whether it had been recorded before.
    pub repeated: bool,
}

/// The answer to a request in shadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShadowAnswer {
    /// What policy would have answered, recorded.
    Recorded(Shadowed),
    /// Denied whatever policy says of it, and recorded: whoever asked is not who they say.
    Deny(Denial),
    /// Refused before anything was recorded.
    Refused(Refused),
}

/// What policy would have answered, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// What it would have been.
    pub would: Would,
    /// Where the shadow is said to be in the ledger.
    pub index: u64,
    /// Why it would have been refused, for people.
    pub why: Option<String>,
    /// That it is there, a `tlog-proof`.
    pub proof: String,
    /// The policies that would have decided.
    pub policies: Vec<PolicyNote>,
    /// Why, clause by clause, as the node says it; nothing where it does not.
    pub explanation: Option<Value>,
    /// What to do next.
    pub next: Option<String>,
}

/// The answer to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderAnswer {
    /// Recorded.
    Recorded(Recorded),
    /// Denied, and recorded.
    Deny(Denial),
    /// Refused before anything was recorded.
    Refused(Refused),
}

/// The answer to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateAnswer {
    /// Recorded.
    Recorded(Recorded),
    /// Refused: it is not recorded.
    Refused(Refused),
}

impl Answer {
    pub(crate) fn read(status: u16, body: &[u8]) -> Result<Self, String> {
        match status {
            200 => {
                let mut fields = Fields::read(body)?;
                fields.outcome("permit")?;
                let (index, repeated) = (fields.number("index")?, fields.boolean("repeated")?);
                Ok(Self::Permit(Permit { index, repeated, writ: fields.text("writ")? }))
            }
            202 => {
                let mut fields = Fields::read(body)?;
                fields.outcome("hold")?;
                Held::of(fields).map(Self::Hold)
            }
            403 => Ok(match Denied::read(body)? {
                Denied::Recorded(denial) => Self::Deny(denial),
                Denied::Refused(refused) => Self::Refused(refused),
            }),
            _ => Refused::read(status, body).map(Self::Refused),
        }
    }
}

impl Held {
    fn of(mut fields: Fields) -> Result<Self, String> {
        let salt = fields.bytes("action_salt")?;
        Ok(Self {
            index: fields.number("index")?,
            repeated: fields.boolean("repeated")?,
            approved: fields.boolean("approved")?,
            until_ms: fields.number("until_ms")?,
            why: fields.text("why")?,
            action_salt: salt.try_into().map_err(|_| "`action_salt` is not 32 bytes".to_owned())?,
            proof: fields.text("proof")?,
            policies: fields.array("policies")?.into_iter().map(PolicyNote::of).collect::<Result<_, _>>()?,
            next: fields.optional_text("next")?,
        })
    }
}

impl ShadowAnswer {
    pub(crate) fn read(status: u16, body: &[u8]) -> Result<Self, String> {
        match status {
            200 => {
                let mut fields = Fields::read(body)?;
                fields.outcome("shadow")?;
                Shadowed::of(fields).map(Self::Recorded)
            }
            403 => Ok(match Denied::read(body)? {
                Denied::Recorded(denial) => Self::Deny(denial),
                Denied::Refused(refused) => Self::Refused(refused),
            }),
            _ => Refused::read(status, body).map(Self::Refused),
        }
    }
}

impl Shadowed {
    fn of(mut fields: Fields) -> Result<Self, String> {
        let would = fields.text("would")?;
        Ok(Self {
            would: Would::from_str_exact(&would)
                .ok_or_else(|| format!("`would` is {would:?}, which is unknown here"))?,
            index: fields.number("index")?,
            why: fields.optional_text("why")?,
            proof: fields.text("proof")?,
            policies: fields.array("policies")?.into_iter().map(PolicyNote::of).collect::<Result<_, _>>()?,
            explanation: fields.optional_value("explanation"),
            next: fields.optional_text("next")?,
        })
    }
}

impl OrderAnswer {
    pub(crate) fn read(status: u16, body: &[u8]) -> Result<Self, String> {
        match status {
            200 => {
                let mut fields = Fields::read(body)?;
                fields.outcome("recorded")?;
                Recorded::of(fields).map(Self::Recorded)
            }
            403 => Ok(match Denied::read(body)? {
                Denied::Recorded(denial) => Self::Deny(denial),
                Denied::Refused(refused) => Self::Refused(refused),
            }),
            _ => Refused::read(status, body).map(Self::Refused),
        }
    }
}

impl StateAnswer {
    pub(crate) fn read(status: u16, body: &[u8]) -> Result<Self, String> {
        match status {
            200 => Recorded::of(Fields::read(body)?).map(Self::Recorded),
            _ => Refused::read(status, body).map(Self::Refused),
        }
    }
}

impl Recorded {
    fn of(mut fields: Fields) -> Result<Self, String> {
        let (index, proof) = (fields.number("index")?, fields.text("proof")?);
        // An order may leave it out.
        let repeated = fields.boolean("repeated").unwrap_or(false);
        Ok(Self { index, proof, repeated })
    }
}

/// What 403 means: with an entry, or before there could be one.
enum Denied {
    Recorded(Denial),
    Refused(Refused),
}

impl Denied {
    fn read(body: &[u8]) -> Result<Self, String> {
        let mut fields = Fields::read(body)?;
        let outcome = fields.text("outcome")?;
        match outcome.as_str() {
            "deny" => Denial::of(fields).map(Self::Recorded),
            "refused" => Refused::of(403, fields).map(Self::Refused),
            _ => Err(format!("expected the outcome \"deny\" or \"refused\", found {outcome:?}")),
        }
    }
}

impl Denial {
    fn of(mut fields: Fields) -> Result<Self, String> {
        Ok(Self {
            code: fields.code()?,
            index: fields.number("index")?,
            why: fields.text("why")?,
            proof: fields.text("proof")?,
            policies: fields.array("policies")?.into_iter().map(PolicyNote::of).collect::<Result<_, _>>()?,
            explanation: fields.optional_value("explanation"),
            next: fields.optional_text("next")?,
        })
    }
}

impl PolicyNote {
    fn of(value: Value) -> Result<Self, String> {
        let line = value.get("line").and_then(Value::as_u64);
        let mut fields = Fields::of(value)?;
        Ok(Self {
            id: fields.text("id")?,
            file: fields.optional_text("file")?,
            line,
            effect: fields.text("effect")?,
            text: fields.optional_text("text")?,
        })
    }
}

impl Refused {
    /// With code and reason, and with what to do next where the node says it.
    pub fn refusal(&self) -> Refusal {
        let next = self.next.as_ref().map(|next| format!("; {next}")).unwrap_or_default();
        Refusal::new(self.code, format!("the node refused: {}{next}", self.why))
    }

    pub(crate) fn read(status: u16, body: &[u8]) -> Result<Self, String> {
        if status < 400 {
            return Err(format!("expected a status that we know, found {status}"));
        }
        let mut fields = Fields::read(body).map_err(|why| format!("status {status}: {why}"))?;
        fields.outcome("refused")?;
        Self::of(status, fields)
    }

    fn of(status: u16, mut fields: Fields) -> Result<Self, String> {
        Ok(Self { status, code: fields.code()?, why: fields.text("why")?, next: fields.optional_text("next")? })
    }
}
