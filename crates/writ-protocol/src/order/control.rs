//! The control state: what the control chain makes true for the whole domain at one index.

use crate::entry::{
    AssertedPrincipal, Authors, Body, Control, ControlHead, EntitiesRef, Genesis, Limits, Positive, RootMembers, Target,
};
use crate::id::{DomainId, OrderId};
use crate::key::{Ed25519Key, Fingerprint, KeyPair};
use crate::name::{Label, Name};
use crate::refusal::{Code, Refusal};
use crate::statement::{RootCommand, RootStatement};
use std::collections::{BTreeMap, BTreeSet};
use writ_tlog::{Hash, LeafIndex, Origin};

/// Everything the control entries up to an index say. It is built from entries only, in order, and owned by whoever reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlState {
    origin: Origin,
    genesis: Genesis,
    root: RootMembers,
    keys: KeyPair,
    /// Index and entry hash of every control entry, ascending.
    chain: Vec<(LeafIndex, Hash)>,
    gateways: BTreeMap<Name, GatewayRecord>,
    /// Whose a gateway's key is, or was.
    gateway_keys: BTreeMap<Fingerprint, Name>,
    revoked: BTreeMap<Target, LeafIndex>,
    halted: Option<LeafIndex>,
    policy: Option<ActivePolicy>,
    entities: Option<ActiveEntities>,
    authors: Option<Authors>,
    root_orders: BTreeSet<OrderId>,
}

/// The policy set in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivePolicy {
    /// Digest of the set.
    pub set: Hash,
    /// Its epoch.
    pub epoch: Positive,
    /// Engine version and wrapper.
    pub semantics: Label,
    /// The entry that put it in force.
    pub at: LeafIndex,
}

/// The snapshot of entities in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveEntities {
    /// Which it is.
    pub entities: EntitiesRef,
    /// The entry that put it in force.
    pub at: LeafIndex,
    /// The entries that have changed the entities, this one the last.
    pub changes: Vec<LeafIndex>,
}

/// What enrolments say of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRecord {
    /// The current instance epoch.
    pub epoch: Positive,
    /// Its groups.
    pub groups: Vec<Name>,
    /// Whom it may ask for.
    pub asserts: Vec<AssertedPrincipal>,
    /// Whether an order has enrolled it; otherwise it is of the node's own machine.
    pub by_order: bool,
    /// The key of each epoch: statements of an ended epoch may still arrive.
    pub keys: BTreeMap<Positive, Ed25519Key>,
}

impl GatewayRecord {
    /// The key of the current epoch.
    pub fn key(&self) -> Option<&Ed25519Key> {
        self.keys.get(&self.epoch)
    }
}

impl ControlState {
    /// The state after genesis, the entry at index 0.
    pub fn begin(origin: Origin, genesis: Genesis, entry: Hash) -> Self {
        Self {
            origin,
            root: genesis.root.clone(),
            keys: genesis.keys.clone(),
            chain: vec![(LeafIndex::new(0), entry)],
            gateways: BTreeMap::new(),
            gateway_keys: BTreeMap::new(),
            revoked: BTreeMap::new(),
            halted: None,
            policy: None,
            entities: None,
            authors: None,
            root_orders: BTreeSet::new(),
            genesis,
        }
    }

    /// The ledger.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The domain.
    pub fn domain(&self) -> DomainId {
        self.genesis.domain
    }

    /// The beginning.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// What no grant may exceed.
    pub fn limits(&self) -> &Limits {
        &self.genesis.limits
    }

    /// The root members now.
    pub fn root(&self) -> &RootMembers {
        &self.root
    }

    /// The ledger's keys from the next batch on.
    pub fn keys(&self) -> &KeyPair {
        &self.keys
    }

    /// The index of the entry that halted the domain, while it is halted.
    pub fn halted(&self) -> Option<LeafIndex> {
        self.halted
    }

    /// The policy set in force, once there is one.
    pub fn policy(&self) -> Option<&ActivePolicy> {
        self.policy.as_ref()
    }

    /// The snapshot of entities in force, once there is one.
    pub fn entities(&self) -> Option<&ActiveEntities> {
        self.entities.as_ref()
    }

    /// Who must sign a policy set, once the root has said so.
    pub fn authors(&self) -> Option<&Authors> {
        self.authors.as_ref()
    }

    /// The index of the revocation of exactly this target.
    pub fn revoked(&self, target: &Target) -> Option<LeafIndex> {
        self.revoked.get(target).copied()
    }

    /// Every revocation.
    pub fn revocations(&self) -> impl Iterator<Item = (&Target, LeafIndex)> {
        self.revoked.iter().map(|(target, index)| (target, *index))
    }

    /// The same with no revocation but that of one target: by it is told what rests on that, whatever else was revoked.
    #[must_use]
    pub fn with_revoked_only(&self, target: &Target) -> Self {
        let mut only = self.clone();
        only.revoked.retain(|revoked, _| revoked == target);
        only
    }

    /// What is known of a gateway.
    pub fn gateway(&self, name: &Name) -> Option<&GatewayRecord> {
        self.gateways.get(name)
    }

    /// The gateway that has, or had, a key.
    pub fn gateway_by_key(&self, key: &Fingerprint) -> Option<(&Name, &GatewayRecord)> {
        self.gateways.get_key_value(self.gateway_keys.get(key)?)
    }

    /// Every gateway.
    pub fn gateways(&self) -> impl Iterator<Item = (&Name, &GatewayRecord)> {
        self.gateways.iter()
    }

    /// The end of the chain.
    pub fn head(&self) -> ControlHead {
        let (seq, head) = match self.chain.last() {
            Some((_, head)) => ((self.chain.len() - 1) as u64, *head),
            None => (0, Genesis::CONTROL.prev),
        };
        ControlHead { seq, head, ledger: self.origin.clone() }
    }

    /// The place that the next control entry has.
    pub fn next(&self) -> Control {
        let ControlHead { seq, head, .. } = self.head();
        Control { prev: head, seq: seq + 1 }
    }

    /// The control head of the tree of `size` entries.
    pub fn head_at(&self, size: u64) -> Option<Hash> {
        let before = self.chain.partition_point(|(index, _)| index.get() < size);
        self.chain.get(before.checked_sub(1)?).map(|(_, hash)| *hash)
    }

    /// Whether a root statement was accepted before.
    pub fn has_root_order(&self, id: &OrderId) -> bool {
        self.root_orders.contains(id)
    }

    /// A control entry must continue the chain.
    pub(super) fn continues(&self, control: &Control) -> Result<(), Refusal> {
        let expected = self.next();
        if *control == expected {
            return Ok(());
        }
        Err(Refusal::new(
            Code::ControlChainBroken,
            format!(
                "control entry {} after {}, expected {} after {}",
                control.seq, control.prev, expected.seq, expected.prev
            ),
        ))
    }

    /// Takes in a control entry that the rules have accepted; other entries change nothing here.
    pub fn apply(&mut self, at: LeafIndex, entry: Hash, body: &Body, root: Option<&RootStatement>) {
        match body {
            Body::Gateway(enrolment) => {
                let mut keys = self.gateways.remove(&enrolment.gateway).map(|known| known.keys).unwrap_or_default();
                keys.insert(enrolment.epoch, enrolment.key.clone());
                let record = GatewayRecord {
                    epoch: enrolment.epoch,
                    groups: enrolment.groups.as_slice().to_vec(),
                    asserts: enrolment.asserts.as_slice().to_vec(),
                    by_order: enrolment.order.is_some(),
                    keys,
                };
                self.gateway_keys.insert(enrolment.key.key().fingerprint(), enrolment.gateway.clone());
                self.gateways.insert(enrolment.gateway.clone(), record);
            }
            Body::Revocation(revocation) => {
                self.revoked.entry(revocation.target.clone()).or_insert(at);
            }
            Body::Halt(_) => {
                self.halted.get_or_insert(at);
            }
            Body::RootOrder(_) => {
                if let Some(statement) = root {
                    self.obey(at, statement);
                }
            }
            Body::Policy(activation) => {
                self.policy = Some(ActivePolicy {
                    set: activation.set,
                    epoch: activation.epoch,
                    semantics: activation.semantics.clone(),
                    at,
                });
            }
            Body::Entities(body) => {
                let mut changes = self.entities.take().map(|before| before.changes).unwrap_or_default();
                changes.push(at);
                self.entities = Some(ActiveEntities { entities: body.reference(), at, changes });
            }
            Body::Genesis(_)
            | Body::Grant(_)
            | Body::Denial(_)
            | Body::Hold(_)
            | Body::Approval(_)
            | Body::Mandate(_)
            | Body::Shadow(_)
            | Body::Advised(_)
            | Body::Tally(_)
            | Body::Spend(_)
            | Body::Start(_)
            | Body::Outcome(_)
            | Body::Report(_)
            | Body::Erasure(_)
            | Body::Seal(_) => return,
        }
        self.chain.push((at, entry));
    }

    fn obey(&mut self, at: LeafIndex, statement: &RootStatement) {
        self.root_orders.insert(statement.id);
        match &statement.order {
            RootCommand::Halt(_) => {
                self.halted.get_or_insert(at);
            }
            RootCommand::Resume(_) => self.halted = None,
            RootCommand::LedgerKeys(keys) => self.keys = keys.clone(),
            RootCommand::RootKeys(root) => self.root = root.clone(),
            RootCommand::PolicyAuthors(authors) => self.authors = Some(authors.clone()),
        }
    }
}
