//! Canonical actions, commitments and openings (`spec/action.md`).

mod advice;
mod commitment;
mod exec;
mod order;

pub use advice::{Advice, AdviceFields, Asks, Members, Page, Party, QUESTION_TEXT_BYTES_MAX, QuestionText, Verb};
pub use commitment::{CommitmentKind, Committed, Opening};
pub use exec::{Exec, ExecFields, Interpreter, Stdin, Variables};
pub use order::{Command, Enrolled, Given, Held, Order};

use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use crate::refusal::{Code, Refusal};

const CONTEXT: &str = "writ.action";
const VERSION: u64 = 1;

/// An encoded action is at most this long.
pub const ACTION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is to be executed, in its one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A program.
    Exec(Exec),
    /// A command to the control plane itself.
    Order(Order),
    /// A question about somebody: nothing is executed.
    Advice(Advice),
}

/// The kinds of action this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Execution of a program.
    Exec,
    /// A command to the control plane itself.
    Order,
    /// A question about somebody.
    Advice,
}

impl ActionKind {
    const ALL: &'static [Self] = &[Self::Exec, Self::Order, Self::Advice];

    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Order => "order",
            Self::Advice => "advice",
        }
    }

    fn from_str_exact(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

impl Encode for ActionKind {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }
}

impl Decode for ActionKind {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::from_str_exact(reader.text()?).ok_or_else(|| ShapeError::expected("`exec`, `order` or `advice`"))
    }
}

impl Action {
    /// Its kind.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Exec(_) => ActionKind::Exec,
            Self::Order(_) => ActionKind::Order,
            Self::Advice(_) => ActionKind::Advice,
        }
    }

    /// Its bytes, if it is not too large.
    pub fn encode(&self) -> Result<Vec<u8>, Refusal> {
        let bytes = self.to_cbor();
        if bytes.len() > ACTION_BYTES_MAX {
            return Err(too_large(bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads the one form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > ACTION_BYTES_MAX {
            return Err(too_large(bytes.len()));
        }
        let mut reader = Reader::checked(bytes)?;
        reader.tuple(4)?;
        if reader.text()? != CONTEXT {
            return Err(Refusal::malformed(format_args!("expected the context `{CONTEXT}`")));
        }
        let (kind, version) = (reader.text()?, reader.uint()?);
        reader.clone().map()?;
        match (ActionKind::from_str_exact(kind), version) {
            (Some(ActionKind::Exec), VERSION) => Ok(Self::Exec(Exec::decode(&mut reader)?)),
            (Some(ActionKind::Order), VERSION) => Ok(Self::Order(Order::decode(&mut reader)?)),
            (Some(ActionKind::Advice), VERSION) => Ok(Self::Advice(Advice::decode(&mut reader)?)),
            (Some(_) | None, _) => Err(Refusal::new(
                Code::UnsupportedVersion,
                format!("action of kind `{kind}` version {version} is not known to this reader"),
            )),
        }
    }
}

fn too_large(length: usize) -> Refusal {
    Refusal::malformed(format_args!("an action has at most {ACTION_BYTES_MAX} bytes, this one has {length}"))
}

impl Encode for Action {
    fn encode(&self, writer: &mut Writer) {
        writer.array(4);
        writer.text(CONTEXT);
        writer.text(self.kind().as_str());
        writer.uint(VERSION);
        match self {
            Self::Exec(exec) => exec.encode(writer),
            Self::Order(order) => order.encode(writer),
            Self::Advice(advice) => advice.encode(writer),
        }
    }
}
