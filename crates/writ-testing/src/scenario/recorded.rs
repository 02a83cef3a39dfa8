use std::collections::BTreeMap;
use writ_ledger::{Published, Receipt};
use writ_protocol::action::{CommitmentKind, Opening};
use writ_protocol::entry::{Body, EntitiesRef, Entry, EntryRef, EntryType, Grant};
use writ_tlog::{Hash, LeafIndex, Origin};

/// Where a ledger stands when a draft is made.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its tree size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// Entry hash of its last control entry.
    pub control: Hash,
    /// The entities in force beside those of the set.
    pub entities: Option<EntitiesRef>,
}

impl Standing {
    /// The newest state a ledger has published.
    pub fn of(published: &Published) -> Self {
        let checkpoint = published.checkpoint.checkpoint();
        let (size, root) = (checkpoint.size.get(), checkpoint.root);
        let entities = published.control.entities().map(|active| active.entities.clone());
        Self { size, root, control: published.control.head().head, entities }
    }
}

/// An entry that is in a ledger, with the values behind its commitments.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its ledger.
    pub origin: Origin,
    /// Its index.
    pub index: LeafIndex,
    /// Its entry hash.
    pub hash: Hash,
    /// What it says.
    pub body: Body,
    /// What opens its commitments.
    pub openings: Vec<Opening>,
}

impl Recorded {
    /// From what the ledger answered.
    pub fn of(receipt: &Receipt, origin: &Origin, openings: Vec<Opening>) -> Self {
        let Entry { origin, body } = receipt.decode(origin).unwrap();
        Self { origin, index: receipt.index, hash: receipt.hash(), body, openings }
    }

    /// How others refer to it.
    pub fn entry_ref(&self) -> EntryRef {
        EntryRef { entry: self.hash, index: self.index.get(), ledger: self.origin.clone() }
    }

    /// Its type.
    pub fn entry_type(&self) -> EntryType {
        self.body.entry_type()
    }

    /// The grant it is.
    pub fn grant(&self) -> &Grant {
        let Body::Grant(grant) = &self.body else {
            panic!("entry {} is a `{}`, expected a grant", self.index, self.entry_type().as_str());
        };
        grant
    }

    /// What opens its commitment of a kind.
    pub fn opening(&self, kind: CommitmentKind) -> &Opening {
        self.openings.iter().find(|opening| opening.kind == kind).unwrap()
    }
}

/// A story as far as it has been told: what the next step may refer to.
pub struct Told {
    /// Where the ledger stands now.
    pub standing: Standing,
    entries: BTreeMap<&'static str, Recorded>,
}

impl Told {
    /// Nothing yet.
    pub fn new(standing: Standing) -> Self {
        Self { standing, entries: BTreeMap::new() }
    }

    /// The entry that a step has made.
    pub fn entry(&self, step: &str) -> &Recorded {
        self.entries.get(step).unwrap_or_else(|| panic!("there was no step `{step}` yet"))
    }

    /// Goes on.
    pub fn tell(&mut self, step: &'static str, recorded: Recorded, standing: Standing) {
        self.entries.insert(step, recorded);
        self.standing = standing;
    }
}
