use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use crate::entry::Target;
use crate::name::Label;
use writ_tlog::Hash;

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
    /// The policy set of this bundle comes into force: SHA-256 of the bundle's bytes.
    Publish(Hash),
}

impl Command {
    /// The stable string.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Revoke(_) => "revoke",
            Self::Halt => "halt",
            Self::Publish(_) => "publish",
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
            Command::Publish(bundle) => {
                writer.map(3);
                writer.field("bundle", bundle);
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
        let (command, reason) = match command {
            "revoke" => {
                let reason = map.required("reason")?;
                let target = map.required("target")?;
                map.constant("command", "revoke")?;
                (Command::Revoke(target), reason)
            }
            "halt" => {
                let reason = map.required("reason")?;
                map.constant("command", "halt")?;
                (Command::Halt, reason)
            }
            "publish" => {
                let bundle = map.required("bundle")?;
                let reason = map.required("reason")?;
                map.constant("command", "publish")?;
                (Command::Publish(bundle), reason)
            }
            _ => return Err(ShapeError::expected("a command: revoke, halt or publish")),
        };
        map.end()?;
        Ok(Self { command, reason })
    }
}
