use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use crate::entry::Target;
use crate::name::Label;

/// A command to the control plane itself: administering is an action like any other, authorized and recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is to be done.
    pub command: Command,
    /// Why.
    pub reason: Label,
}

/// What an order commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Something is no longer trusted.
    Revoke(Target),
    /// Everything stops.
    Halt,
}

impl Command {
    /// The stable string.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Revoke(_) => "revoke",
            Self::Halt => "halt",
        }
    }
}

impl Encode for Order {
    fn encode(&self, writer: &mut Writer) {
        match &self.command {
            Command::Revoke(target) => {
                writer.map(3);
                writer.field("reason", &self.reason);
                writer.field("target", target);
            }
            Command::Halt => {
                writer.map(2);
                writer.field("reason", &self.reason);
            }
        }
        writer.field("command", self.command.as_str());
    }
}

impl Decode for Order {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let command = reader.peek_field("command")?;
        let mut map = reader.map()?;
        let reason = map.required("reason")?;
        let command = match command {
            "revoke" => {
                let target = map.required("target")?;
                map.constant("command", "revoke")?;
                Command::Revoke(target)
            }
            "halt" => {
                map.constant("command", "halt")?;
                Command::Halt
            }
            _ => return Err(ShapeError::expected("a command: revoke or halt")),
        };
        map.end()?;
        Ok(Self { command, reason })
    }
}
