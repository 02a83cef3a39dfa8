use crate::cbor::{Decode, Encode, MapReader, Reader, ShapeError, Writer};
use crate::entry::{Ascending, AssertedPrincipal, EntryRef, Erased, Positive, Target, Verdict};
use crate::key::Ed25519Key;
use crate::name::{Label, Name};
use crate::scope::Scope;
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
    /// An answer to a hold.
    Answer(Verdict, Held),
    /// Somebody is given a mandate.
    Mandate(Box<Given>),
    /// The policy set of this bundle comes into force: SHA-256 of the bundle's bytes.
    Publish(Hash),
    /// The entities are changed so: SHA-256 of the change.
    Entities(Hash),
    /// These values are gone from the vault.
    Erase(Ascending<Erased>),
    /// A gateway is enrolled, or renewed.
    Enrol(Box<Enrolled>),
}

/// A gateway as it is to be enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The key that signs its statements.
    pub key: Ed25519Key,
    /// The instance epoch that begins: 1 for a new gateway. Whoever renews one says so.
    pub epoch: Positive,
    /// Group audiences it belongs to.
    pub groups: Ascending<Name>,
    /// Principals it may ask for.
    pub asserts: Ascending<AssertedPrincipal>,
    /// Its name.
    pub gateway: Name,
}

/// A hold that is answered, and what it is about: whoever answers has computed the digest of what they were shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The hold.
    pub hold: EntryRef,
    /// The digest of the action that is held.
    pub action: Hash,
}

/// A mandate as it is ordered: to whom, for what, and which one it narrows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// To whom.
    pub to: AssertedPrincipal,
    /// For what.
    pub scope: Scope,
    /// The mandate that whoever orders it hands on; without one, it is the first of its chain.
    pub parent: Option<EntryRef>,
}

impl Command {
    /// The stable string.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Answer(verdict, _) => verdict.as_str(),
            Self::Mandate(given) if given.parent.is_none() => "mandate",
            Self::Mandate(_) => "delegate",
            Self::Revoke(_) => "revoke",
            Self::Halt => "halt",
            Self::Publish(_) => "publish",
            Self::Entities(_) => "entities",
            Self::Erase(_) => "erase",
            Self::Enrol(_) => "enrol",
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
            Command::Answer(_, held) => {
                writer.map(4);
                writer.field("hold", &held.hold);
                writer.field("action", &held.action);
                writer.field("reason", &self.reason);
            }
            Command::Mandate(given) => {
                writer.map(4 + usize::from(given.parent.is_some()));
                writer.field("to", &given.to);
                writer.field("scope", &given.scope);
                if let Some(parent) = &given.parent {
                    writer.field("parent", parent);
                }
                writer.field("reason", &self.reason);
            }
            Command::Publish(bundle) => {
                writer.map(3);
                writer.field("bundle", bundle);
                writer.field("reason", &self.reason);
            }
            Command::Entities(change) => {
                writer.map(3);
                writer.field("change", change);
                writer.field("reason", &self.reason);
            }
            Command::Erase(erased) => {
                writer.map(3);
                writer.field("erased", erased);
                writer.field("reason", &self.reason);
            }
            Command::Enrol(enrolled) => {
                writer.map(7);
                writer.field("key", &enrolled.key);
                writer.field("epoch", &enrolled.epoch);
                writer.field("groups", &enrolled.groups);
                writer.field("reason", &self.reason);
                writer.field("asserts", &enrolled.asserts);
                writer.field("command", self.command.as_str());
                writer.field("gateway", &enrolled.gateway);
                return;
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
            "approve" => Self::answer(Verdict::Approve, &mut map)?,
            "reject" => Self::answer(Verdict::Reject, &mut map)?,
            "withdraw" => Self::answer(Verdict::Withdraw, &mut map)?,
            "publish" => {
                let bundle = map.required("bundle")?;
                let reason = map.required("reason")?;
                map.constant("command", "publish")?;
                (Command::Publish(bundle), reason)
            }
            "entities" => {
                let change = map.required("change")?;
                let reason = map.required("reason")?;
                map.constant("command", "entities")?;
                (Command::Entities(change), reason)
            }
            "erase" => {
                let erased: Ascending<Erased> = map.required("erased")?;
                if erased.as_slice().is_empty() {
                    return Err(ShapeError::expected("at least one commitment"));
                }
                let reason = map.required("reason")?;
                map.constant("command", "erase")?;
                (Command::Erase(erased), reason)
            }
            "enrol" => {
                let (key, epoch) = (map.required("key")?, map.required("epoch")?);
                let groups = map.required("groups")?;
                let reason = map.required("reason")?;
                let asserts = map.required("asserts")?;
                map.constant("command", "enrol")?;
                let gateway = map.required("gateway")?;
                (Command::Enrol(Box::new(Enrolled { key, epoch, groups, asserts, gateway })), reason)
            }
            "mandate" | "delegate" => {
                let (to, scope) = (map.required("to")?, map.required("scope")?);
                let parent = if command == "delegate" { Some(map.required("parent")?) } else { None };
                let reason = map.required("reason")?;
                map.constant("command", if parent.is_some() { "delegate" } else { "mandate" })?;
                (Command::Mandate(Box::new(Given { to, scope, parent })), reason)
            }
            _ => {
                return Err(ShapeError::expected(
                    "a command: revoke, halt, approve, reject, withdraw, mandate, delegate, publish, entities, erase or enrol",
                ));
            }
        };
        map.end()?;
        Ok(Self { command, reason })
    }
}

impl Order {
    fn answer(verdict: Verdict, map: &mut MapReader<'_, '_>) -> Result<(Command, Label), ShapeError> {
        let held = Held { hold: map.required("hold")?, action: map.required("action")? };
        let reason = map.required("reason")?;
        map.constant("command", verdict.as_str())?;
        Ok((Command::Answer(verdict, held), reason))
    }
}
