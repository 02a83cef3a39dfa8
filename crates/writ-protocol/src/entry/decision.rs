//! Bodies of decision entries: what the authority answered to a request.

use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer, record};
use crate::id::{DenialId, ExecutionId, HoldId, WritId};
use crate::name::{Label, Name};
use crate::parts::{
    ActionRef, Admitted, AsOf, Ascending, Cause, EntryRef, HolderKey, Lease, Policy, Positive, Principal, RequestRef,
    Window,
};
use crate::refusal::Code;
use writ_tlog::Hash;

record! {
    /// A permit. With its proof it is a writ.
    pub GrantFields {
        /// Its id.
        id: ! WritId,
        /// The hold it resolves.
        hold: ? EntryRef,
        /// How many executions it starts.
        uses: ! Positive,
        /// The state it stood on.
        as_of: ! AsOf,
        /// What caused it.
        cause: ! Cause,
        /// Commitment to the facts.
        facts: ! Hash,
        /// Terms of going on.
        lease: ! Lease,
        /// What it covers.
        scope: ! Scope,
        /// What is to be executed.
        action: ! ActionRef,
        /// Who must present it.
        holder: ! HolderKey,
        /// Under which policy.
        policy: ! Policy,
        /// When it may be admitted.
        window: ! Window,
        /// The request it answers.
        request: ! RequestRef,
        /// When it was decided.
        time_ms: ! u64,
        /// Already spent for the asker.
        admitted: ? Admitted,
        /// Who may execute it.
        audience: ! Audience,
        /// Who asked.
        principal: ! Principal,
        /// What the gateway must do besides.
        obligations: ! Vec<Obligation>,
        /// Where it may run.
        surroundings: ! Surroundings,
    }
}

/// A permit whose parts fit one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant(GrantFields);

impl Grant {
    /// The relations between fields that a shape cannot say.
    pub fn new(fields: GrantFields) -> Result<Self, ShapeError> {
        if fields.lease.freeze_after_ms > fields.lease.kill_after_ms {
            return Err(ShapeError::expected("freeze_after_ms not above kill_after_ms"));
        }
        if !fields.obligations.is_sorted_by(|a, b| a.kind() < b.kind()) {
            return Err(ShapeError::expected("obligations ascending by kind, each once"));
        }
        if fields.admitted.is_some() {
            match &fields.audience {
                Audience::Gateway { .. } if fields.uses.get() == 1 => {}
                Audience::Gateway { .. } | Audience::Group(_) => {
                    return Err(ShapeError::expected("`admitted` only with a gateway audience and one use"));
                }
            }
        }
        Ok(Self(fields))
    }

    /// The execution for which use 1 is spent by the grant itself, and the gateway that executes it.
    pub fn admitted_execution(&self) -> Option<(ExecutionId, Name)> {
        match (&self.0.admitted, &self.0.audience) {
            (Some(admitted), Audience::Gateway { gateway, .. }) => Some((admitted.execution, gateway.clone())),
            (Some(_), Audience::Group(_)) | (None, _) => None,
        }
    }
}

impl std::ops::Deref for Grant {
    type Target = GrantFields;

    fn deref(&self) -> &GrantFields {
        &self.0
    }
}

impl Encode for Grant {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Grant {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(GrantFields::decode(reader)?)
    }
}

/// What a grant covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Exactly its action.
    One,
}

impl Encode for Scope {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::One => {
                writer.map(1);
                writer.field("kind", "one");
            }
        }
    }
}

impl Decode for Scope {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        map.constant("kind", "one")?;
        map.end()?;
        Ok(Self::One)
    }
}

/// Who may execute a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// One gateway in one instance epoch.
    Gateway {
        /// Its name.
        gateway: Name,
        /// Its epoch.
        epoch: Positive,
    },
    /// Any gateway of a group; spent online.
    Group(Name),
}

impl Encode for Audience {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Gateway { gateway, epoch } => {
                writer.map(2);
                writer.field("epoch", epoch);
                writer.field("gateway", gateway);
            }
            Self::Group(group) => {
                writer.map(1);
                writer.field("group", group);
            }
        }
    }
}

impl Decode for Audience {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let audience = match map.optional("epoch")? {
            Some(epoch) => Self::Gateway { epoch, gateway: map.required("gateway")? },
            None => Self::Group(map.required("group")?),
        };
        map.end()?;
        Ok(audience)
    }
}

record! {
    /// Where an execution may run.
    pub Surroundings {
        /// How its components were established.
        level: ! Level,
        /// Digest of the components.
        digest: ! Hash,
        /// Which components.
        components: ! Ascending<Label>,
    }
}

/// How surroundings were established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Stated by the gateway.
    Claimed,
    /// Proved by hardware or a third party.
    Attested,
}

impl Encode for Level {
    fn encode(&self, writer: &mut Writer) {
        writer.text(match self {
            Self::Claimed => "claimed",
            Self::Attested => "attested",
        });
    }
}

impl Decode for Level {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        match reader.text()? {
            "claimed" => Ok(Self::Claimed),
            "attested" => Ok(Self::Attested),
            _ => Err(ShapeError::expected("`claimed` or `attested`")),
        }
    }
}

/// What a gateway must do besides; one it does not know is a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obligation {
    /// Run in a sandbox of this profile.
    Sandbox(Label),
}

impl Obligation {
    /// The stable string of its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sandbox(_) => "sandbox",
        }
    }
}

impl Encode for Obligation {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Sandbox(profile) => {
                writer.map(2);
                writer.field("kind", self.kind());
                writer.field("profile", profile);
            }
        }
    }
}

impl Decode for Obligation {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        map.constant("kind", "sandbox")?;
        let profile = map.required("profile")?;
        map.end()?;
        Ok(Self::Sandbox(profile))
    }
}

record! {
    /// A request was refused.
    pub Denial {
        /// Its id.
        id: ! DenialId,
        /// Why.
        code: ! Code,
        /// The hold that ended so.
        hold: ? EntryRef,
        /// The state it stood on.
        as_of: ! AsOf,
        /// What caused the request.
        cause: ! Cause,
        /// Commitment to the facts.
        facts: ? Hash,
        /// What was to be executed.
        action: ! ActionRef,
        /// Under which policy, if it came so far.
        policy: ? Policy,
        /// The request it answers.
        request: ! RequestRef,
        /// When it was decided.
        time_ms: ! u64,
        /// Who asked.
        principal: ! Principal,
    }
}

record! {
    /// A request waits for approval.
    pub HoldFields {
        /// Its id.
        id: ! HoldId,
        /// The state it stood on.
        as_of: ! AsOf,
        /// What caused the request.
        cause: ! Cause,
        /// Commitment to the facts.
        facts: ! Hash,
        /// Whose approval it needs.
        needs: ! Vec<Need>,
        /// What is to be executed.
        action: ! ActionRef,
        /// Under which policy.
        policy: ! Policy,
        /// The request it answers.
        request: ! RequestRef,
        /// When it was decided.
        time_ms: ! u64,
        /// When it lapses.
        until_ms: ! u64,
        /// Who asked.
        principal: ! Principal,
    }
}

/// A hold that somebody can resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold(HoldFields);

impl Hold {
    /// At least one need, ascending by group.
    pub fn new(fields: HoldFields) -> Result<Self, ShapeError> {
        let sorted = fields.needs.is_sorted_by(|a, b| a.group < b.group);
        let counted = fields.needs.iter().all(|need| need.count.get() <= 16);
        if fields.needs.is_empty() || !sorted || !counted {
            return Err(ShapeError::expected("at least one need, ascending by group, each of 1 to 16 approvals"));
        }
        Ok(Self(fields))
    }
}

impl std::ops::Deref for Hold {
    type Target = HoldFields;

    fn deref(&self) -> &HoldFields {
        &self.0
    }
}

impl Encode for Hold {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Hold {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(HoldFields::decode(reader)?)
    }
}

record! {
    /// So many approvals of a group.
    pub Need {
        /// How many.
        count: ! Positive,
        /// Of which group.
        group: ! Name,
    }
}
