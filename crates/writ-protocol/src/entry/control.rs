//! Bodies of control entries: what changes the domain as a whole.

use crate::cbor::{Bytes, Decode, Encode, Reader, ShapeError, Writer, record};
use crate::id::{ClusterId, DomainId, OrderId};
use crate::key::{Ed25519Key, Fingerprint, KeyPair};
use crate::name::{Label, Name};
use crate::parts::{
    ActionRef, Ascending, Control, EntitiesRef, Limits, Policy, Positive, Principal, PrincipalRef, RequestRef,
    RootMembers,
};
use crate::statement::Request;
use writ_tlog::{Hash, Origin};

/// The beginning of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The domain.
    pub domain: DomainId,
    /// The cluster whose ledger this is.
    pub cluster: ClusterId,
    /// The ledger with the control chain.
    pub home: Origin,
    /// The keys that sign checkpoints from size 0 on.
    pub keys: KeyPair,
    /// Who may change keys and end a halt.
    pub root: RootMembers,
    /// What no grant may exceed.
    pub limits: Limits,
    /// When it was made.
    pub time_ms: u64,
}

impl Genesis {
    /// Genesis begins the chain.
    pub const CONTROL: Control = Control { prev: Hash::from_bytes([0; 32]), seq: 0 };
}

impl Encode for Genesis {
    fn encode(&self, writer: &mut Writer) {
        writer.map(9);
        writer.field("home", &self.home);
        writer.field("keys", &self.keys);
        writer.field("domain", &self.domain);
        writer.field("limits", &self.limits);
        writer.field("cluster", &self.cluster);
        writer.field("control", &Self::CONTROL);
        writer.field("members", &self.root.members().to_vec());
        writer.field("time_ms", &self.time_ms);
        writer.field("threshold", &(self.root.threshold() as u64));
    }
}

impl Decode for Genesis {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let home = map.required("home")?;
        let keys = map.required("keys")?;
        let domain = map.required("domain")?;
        let limits = map.required("limits")?;
        let cluster = map.required("cluster")?;
        let control: Control = map.required("control")?;
        let members = map.required("members")?;
        let time_ms = map.required("time_ms")?;
        let threshold = map.required("threshold")?;
        map.end()?;
        if control != Self::CONTROL {
            return Err(ShapeError::expected("control seq 0 after 32 zero bytes in genesis"));
        }
        let root = RootMembers::new(threshold, members)?;
        Ok(Self { domain, cluster, home, keys, root, limits, time_ms })
    }
}

record! {
    /// A gateway is enrolled or renewed.
    pub Enrolment {
        /// By whose order.
        by: ! Principal,
        /// The key that signs its statements in this epoch.
        key: ! Ed25519Key,
        /// Instance epoch, from 1.
        epoch: ! Positive,
        /// What it was decided on; nothing where whoever starts the node has enrolled a gateway of its own machine.
        order: ? OrderRef,
        /// Group audiences it belongs to.
        groups: ! Ascending<Name>,
        /// Principals it may ask for.
        asserts: ! Ascending<AssertedPrincipal>,
        /// Its place in the chain.
        control: ! Control,
        /// Its name.
        gateway: ! Name,
        /// The request that led to it.
        request: ! RequestRef,
        /// When.
        time_ms: ! u64,
    }
}

record! {
    /// The order that an entry carries out, and what it was decided on.
    pub OrderRef {
        /// Of this order.
        id: ! OrderId,
        /// Commitment to the facts that it was decided on.
        facts: ! Hash,
        /// The order itself.
        action: ! ActionRef,
        /// Under which policy.
        policy: ! Policy,
        /// Why.
        reason: ! Label,
    }
}

/// A principal a gateway may ask for, ordered by (type, id).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssertedPrincipal {
    /// Its type.
    pub kind: Name,
    /// Its id.
    pub id: Name,
}

impl Principal {
    /// How it is said that its own key has signed the request.
    pub const BY_KEY: &str = "key";

    /// How it is said that a gateway, whose key has signed the request, says who asks.
    pub const BY_GATEWAY: &str = "gateway";

    /// The type of a gateway that has asked for whom it may not ask: so it is named itself.
    pub const GATEWAY: &str = "Gateway";

    /// Who it is, without how that was established.
    pub fn asserted(&self) -> AssertedPrincipal {
        AssertedPrincipal { kind: self.kind.clone(), id: self.id.clone() }
    }

    /// Whether the key that is named here has signed the request.
    pub(crate) fn has_signed(&self) -> bool {
        matches!(self.auth.as_str(), Self::BY_KEY | Self::BY_GATEWAY)
    }

    /// A gateway says who asks in what it has signed; one that may not is the asker itself.
    pub(crate) fn is_named_by(&self, request: &Request) -> bool {
        self.auth.as_str() != Self::BY_GATEWAY
            || self.kind.as_str() == Self::GATEWAY
            || request.principal.as_ref().is_some_and(|named| named.kind == self.kind && named.id == self.id)
    }
}

impl Encode for AssertedPrincipal {
    fn encode(&self, writer: &mut Writer) {
        PrincipalRef { id: self.id.clone(), kind: self.kind.clone() }.encode(writer);
    }
}

impl Decode for AssertedPrincipal {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let PrincipalRef { id, kind } = PrincipalRef::decode(reader)?;
        Ok(Self { kind, id })
    }
}

record! {
    /// Something is no longer trusted.
    pub Revocation {
        /// By whose order.
        by: ! Principal,
        /// Of this order.
        id: ! OrderId,
        /// Commitment to the facts that it was decided on.
        facts: ! Hash,
        /// The order itself.
        action: ! ActionRef,
        /// Under which policy.
        policy: ! Policy,
        /// Why.
        reason: ! Label,
        /// What.
        target: ! Target,
        /// Its place in the chain.
        control: ! Control,
        /// The request that led to it.
        request: ! RequestRef,
        /// When.
        time_ms: ! u64,
    }
}

/// What a revocation is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One writ.
    Writ(Hash),
    /// Every writ that rests on a key.
    Key(Fingerprint),
    /// Everything of a principal.
    Principal(AssertedPrincipal),
    /// Everything granted under a policy set.
    Policy(Hash),
    /// An execution's grant and everything it caused.
    Lineage {
        /// Its ledger.
        ledger: Origin,
        /// Its entry hash.
        entry: Hash,
    },
    /// A gateway.
    Gateway(Name),
    /// A mandate and whatever was done, or given on, under it.
    Mandate(Hash),
}

impl Encode for Target {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Writ(writ) => {
                writer.map(2);
                writer.field("kind", "writ");
                writer.field("writ", writ);
            }
            Self::Key(key) => {
                writer.map(2);
                writer.field("key", key);
                writer.field("kind", "key");
            }
            Self::Principal(principal) => {
                writer.map(3);
                writer.field("id", &principal.id);
                writer.field("kind", "principal");
                writer.field("type", &principal.kind);
            }
            Self::Policy(set) => {
                writer.map(2);
                writer.field("set", set);
                writer.field("kind", "policy");
            }
            Self::Lineage { ledger, entry } => {
                writer.map(3);
                writer.field("kind", "lineage");
                writer.field("entry", entry);
                writer.field("ledger", ledger);
            }
            Self::Gateway(gateway) => {
                writer.map(2);
                writer.field("kind", "gateway");
                writer.field("gateway", gateway);
            }
            Self::Mandate(mandate) => {
                writer.map(2);
                writer.field("kind", "mandate");
                writer.field("mandate", mandate);
            }
        }
    }
}

impl Decode for Target {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let kind = reader.peek_field("kind")?;
        let mut map = reader.map()?;
        let target = match kind {
            "writ" => {
                map.constant("kind", "writ")?;
                Self::Writ(map.required("writ")?)
            }
            "key" => {
                let key = map.required("key")?;
                map.constant("kind", "key")?;
                Self::Key(key)
            }
            "principal" => {
                let id = map.required("id")?;
                map.constant("kind", "principal")?;
                Self::Principal(AssertedPrincipal { id, kind: map.required("type")? })
            }
            "policy" => {
                let set = map.required("set")?;
                map.constant("kind", "policy")?;
                Self::Policy(set)
            }
            "lineage" => {
                map.constant("kind", "lineage")?;
                let entry = map.required("entry")?;
                Self::Lineage { entry, ledger: map.required("ledger")? }
            }
            "gateway" => {
                map.constant("kind", "gateway")?;
                Self::Gateway(map.required("gateway")?)
            }
            "mandate" => {
                map.constant("kind", "mandate")?;
                Self::Mandate(map.required("mandate")?)
            }
            _ => {
                return Err(ShapeError::expected(
                    "a target: writ, key, principal, policy, lineage, gateway or mandate",
                ));
            }
        };
        map.end()?;
        Ok(target)
    }
}

record! {
    /// Everything stops.
    pub Halt {
        /// By whose order.
        by: ! Principal,
        /// Of this order.
        id: ! OrderId,
        /// Commitment to the facts that it was decided on.
        facts: ! Hash,
        /// The order itself.
        action: ! ActionRef,
        /// Under which policy.
        policy: ! Policy,
        /// Why.
        reason: ! Label,
        /// Its place in the chain.
        control: ! Control,
        /// The request that led to it.
        request: ! RequestRef,
        /// When.
        time_ms: ! u64,
    }
}

record! {
    /// A policy set is in force from here on.
    pub Activation {
        /// By whose order.
        by: ! Principal,
        /// Digest of the set.
        set: ! Hash,
        /// Its epoch, from 1.
        epoch: ! Positive,
        /// What it has passed.
        gates: ! Gates,
        /// Commitment to what the gates had to say.
        report: ? Hash,
        /// Commitment to the set itself.
        content: ! Hash,
        /// Its place in the chain.
        control: ! Control,
        /// The request that led to it.
        request: ! RequestRef,
        /// When.
        time_ms: ! u64,
        /// The snapshot of entities with which it was compiled and has passed.
        entities: ? EntitiesRef,
        /// The manifest that its authors have signed, as they signed it.
        manifest: ? Bytes,
        /// Engine version and wrapper.
        semantics: ! Label,
    }
}

record! {
    /// Another snapshot of entities is in force from here on.
    pub Entities {
        /// By whose order.
        by: ! Principal,
        /// Of this order.
        id: ! OrderId,
        /// How many entities the snapshot has.
        count: ! u64,
        /// Its epoch, from 1.
        epoch: ! Positive,
        /// Commitment to the facts that the order was decided on.
        facts: ! Hash,
        /// The order itself.
        action: ! ActionRef,
        /// SHA-256 of the change.
        change: ! Hash,
        /// Under which policy, and with the entities before.
        policy: ! Policy,
        /// Why.
        reason: ! Label,
        /// Commitment to the change.
        content: ! Hash,
        /// Its place in the chain.
        control: ! Control,
        /// The request that led to it.
        request: ! RequestRef,
        /// When.
        time_ms: ! u64,
        /// Digest of the snapshot.
        snapshot: ! Hash,
    }
}

impl Entities {
    /// As decisions name the snapshot.
    pub fn reference(&self) -> EntitiesRef {
        EntitiesRef { epoch: self.epoch, snapshot: self.snapshot }
    }
}

record! {
    /// One gate that a policy set has passed.
    pub Gate {
        /// Its name.
        gate: ! Label,
        /// How many things it looked at and found in order.
        passed: ! u64,
    }
}

/// The gates that a policy set has passed, in the order in which they stand; each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates(Vec<Gate>);

impl Gates {
    /// Each gate once.
    pub fn new(gates: Vec<Gate>) -> Result<Self, ShapeError> {
        let mut names: Vec<&Label> = gates.iter().map(|gate| &gate.gate).collect();
        names.sort();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(ShapeError::expected("each gate once"));
        }
        Ok(Self(gates))
    }

    /// The gates, in their order.
    pub fn as_slice(&self) -> &[Gate] {
        &self.0
    }
}

impl Encode for Gates {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Gates {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(Vec::decode(reader)?)
    }
}

record! {
    /// A statement of the root.
    pub RootOrder {
        /// Its place in the chain.
        control: ! Control,
        /// The signed statement, as it was signed.
        statement: ! Bytes,
    }
}
