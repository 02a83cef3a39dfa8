//! Bodies of decision entries: what the authority answered to a request.

use crate::action::ActionKind;
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
        /// What its execution carries, and with it whatever it causes.
        labels: ! Ascending<Label>,
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

/// What is granted or held is carried out; a question is answered, and that is no writ.
fn executable(action: &ActionRef) -> Result<(), ShapeError> {
    match action.kind {
        ActionKind::Exec | ActionKind::Order => Ok(()),
        ActionKind::Advice => Err(ShapeError::expected("an action of kind `exec` or `order`")),
    }
}

/// A permit whose parts fit one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant(GrantFields);

impl Grant {
    /// The relations between fields that a shape cannot say.
    pub fn new(fields: GrantFields) -> Result<Self, ShapeError> {
        executable(&fields.action)?;
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

    /// What it draws from counters.
    pub fn draws(&self) -> &[Draw] {
        self.0.obligations.iter().map(Obligation::draws).find(|draws| !draws.is_empty()).unwrap_or_default()
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

impl Audience {
    /// The gateway, or the group.
    pub fn name(&self) -> &Name {
        match self {
            Self::Gateway { gateway, .. } => gateway,
            Self::Group(group) => group,
        }
    }
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
    /// It draws one from each of these counters; the rules of order hold their limits.
    Budget(Draws),
    /// Run in a sandbox of this profile.
    Sandbox(Label),
}

impl Obligation {
    /// What it draws from counters.
    pub fn draws(&self) -> &[Draw] {
        match self {
            Self::Budget(draws) => draws.as_slice(),
            Self::Sandbox(_) => &[],
        }
    }

    /// The stable string of its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Budget(_) => "budget",
            Self::Sandbox(_) => "sandbox",
        }
    }
}

impl Encode for Obligation {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Budget(draws) => {
                writer.map(2);
                writer.field("kind", self.kind());
                writer.field("draws", draws);
            }
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
        let kind = reader.peek_field("kind")?;
        let mut map = reader.map()?;
        let obligation = match kind {
            "budget" => {
                map.constant("kind", "budget")?;
                Self::Budget(map.required("draws")?)
            }
            "sandbox" => {
                map.constant("kind", "sandbox")?;
                Self::Sandbox(map.required("profile")?)
            }
            _ => return Err(ShapeError::expected("an obligation: budget or sandbox")),
        };
        map.end()?;
        Ok(obligation)
    }
}

record! {
    /// One from a counter that may not pass its limit.
    pub Draw {
        /// The most that all grants together may draw.
        limit: ! Positive,
        /// The counter.
        counter: ! Name,
    }
}

/// At least one draw, ascending by counter, each counter once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draws(Vec<Draw>);

impl Draws {
    /// Draws that are in order.
    pub fn new(draws: Vec<Draw>) -> Result<Self, ShapeError> {
        if draws.is_empty() || !draws.is_sorted_by(|a, b| a.counter < b.counter) {
            return Err(ShapeError::expected("at least one draw, ascending by counter, each once"));
        }
        Ok(Self(draws))
    }

    /// Each of them.
    pub fn as_slice(&self) -> &[Draw] {
        &self.0
    }
}

impl Encode for Draws {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Draws {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(Vec::decode(reader)?)
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
        /// Commitment to what more there is to say of it.
        text: ? Hash,
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
        executable(&fields.action)?;
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

record! {
    /// Callers that were turned away before it was known who they are.
    pub TallyFields {
        /// How many, for each code.
        counts: ! Vec<Count>,
        /// Since when.
        from_ms: ! u64,
        /// Until when.
        time_ms: ! u64,
    }
}

record! {
    /// So many refusals with one code.
    pub Count {
        /// Why.
        code: ! Code,
        /// How many.
        count: ! Positive,
    }
}

/// A count of refusals that have no entry of their own: a flood of strangers must not fill the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally(TallyFields);

impl Tally {
    /// At least one count, ascending by the string of its code, over a time that does not run backwards.
    pub fn new(fields: TallyFields) -> Result<Self, ShapeError> {
        if fields.counts.is_empty() || !fields.counts.is_sorted_by(|a, b| a.code.as_str() < b.code.as_str()) {
            return Err(ShapeError::expected("at least one count, ascending by code, each once"));
        }
        if fields.from_ms > fields.time_ms {
            return Err(ShapeError::expected("from_ms not after time_ms"));
        }
        Ok(Self(fields))
    }
}

impl std::ops::Deref for Tally {
    type Target = TallyFields;

    fn deref(&self) -> &TallyFields {
        &self.0
    }
}

impl Encode for Tally {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Tally {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(TallyFields::decode(reader)?)
    }
}
