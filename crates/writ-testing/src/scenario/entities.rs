//! Entities beside those of the policy sets, as the stories have them.

use super::domain::{Domain, NO_PLACE};
use writ_ledger::{Draft, Proposal};
use writ_protocol::Label;
use writ_protocol::action::{ActionKind, Command, CommitmentKind, Opening};
use writ_protocol::cbor::Value;
use writ_protocol::entities::{EntityChange, EntityRecord, EntityTree, EntityUid, Keyed};
use writ_protocol::entry::{ActionRef, Entities, EntitiesRef, Policy, Positive};
use writ_tlog::{Hash, sha256};

struct Leaf(Hash, Hash);

impl Keyed for Leaf {
    fn key(&self) -> &Hash {
        &self.0
    }

    fn leaf(&self) -> &Hash {
        &self.1
    }
}

/// The root over some entities.
pub fn entities_root(entities: &[EntityRecord]) -> Hash {
    let leaves = entities.iter().map(|one| Leaf(one.uid().key(), one.leaf()).into());
    leaves.fold(EntityTree::default(), |tree, leaf| tree.with(leaf)).root()
}

/// A person in a group, with whatever attributes.
pub fn person(id: &str, attrs: &[(&str, Value)]) -> EntityRecord {
    let uid = |kind: &str, id: &str| EntityUid::new(kind, id).unwrap();
    let attrs = attrs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    EntityRecord::new(uid("User", id), vec![uid("Group", "builders")], attrs, Vec::new()).unwrap()
}

impl Domain {
    /// The change that makes the first snapshot: it adds one person.
    pub fn entity_change(&self) -> EntityChange {
        EntityChange::new([9; 32], None, vec![person("carol", &[])], Vec::new()).unwrap()
    }

    /// The first snapshot, as decisions name it.
    pub fn entities_ref(&self) -> EntitiesRef {
        let snapshot = self.entity_change().snapshot(&entities_root(&[person("carol", &[])]));
        EntitiesRef { epoch: Positive::ONE, snapshot }
    }

    /// Puts the first snapshot of entities in force, with what opens the order, its facts and the change.
    pub fn entities(&self) -> (Entities, Vec<Opening>) {
        let change = self.entity_change().encode().unwrap();
        let named = sha256(&change);
        let (action, facts) = (self.order(Command::Entities(named)), self.facts());
        let content = self.opening(CommitmentKind::Entities, change);
        let EntitiesRef { epoch, snapshot } = self.entities_ref();
        let entities = Entities {
            by: self.alice(),
            id: self.order_id(),
            count: 1,
            epoch,
            facts: facts.commitment(),
            action: ActionRef { kind: ActionKind::Order, digest: action.commitment() },
            change: named,
            policy: self.policy(),
            reason: Label::new("incident").unwrap(),
            content: content.commitment(),
            control: NO_PLACE,
            request: self.request(),
            time_ms: self.now_ms(),
            snapshot,
        };
        (entities, vec![action, facts, content])
    }

    /// Puts the first snapshot of entities in force, as a ledger takes it.
    pub fn change_entities(&self) -> Proposal {
        let (entities, openings) = self.entities();
        Proposal::new(Draft::Entities(entities)).with_openings(openings)
    }

    /// What decides in the stories, once the first snapshot is in force.
    pub fn policy_with_entities(&self) -> Policy {
        Policy { entities: Some(self.entities_ref()), ..self.policy() }
    }
}
