use super::line::{Acknowledged, Line};
use crate::scenario::Domain;
use std::collections::BTreeMap;
use writ_ledger::{Reader, StoredEntry};
use writ_protocol::statement::Signed;
use writ_protocol::{Body, TrustRoot};
use writ_tlog::{Hash, LeafIndex, Origin, Tree, TreeSize, verify_inclusion};

/// How many earlier entries are read again each time.
const SAMPLE: u64 = 64;

/// How an entry is recognised by whoever asks for it again: its request key, or `gateway/epoch/number` of its statement.
pub struct Asked;

impl Asked {
    /// For an entry that somebody asked for.
    pub fn of(body: &Body, origin: &Origin) -> Option<String> {
        if let Some(request) = body.request() {
            return Some(request.key.to_string());
        }
        let claims = Signed::decode(body.statement()?).unwrap().gateway_claims(origin).ok()?;
        Some(format!("{}/{}/{}", claims.gateway, claims.epoch.get(), claims.seq.get()))
    }
}

/// What a ledger has shown so far. It may only ever show more.
pub struct Memory {
    trust: TrustRoot,
    origin: Origin,
    /// The tree of every entry that was read, hashed here.
    tree: Tree,
    leaves: Vec<Hash>,
    /// Roots of the trees that were published.
    roots: BTreeMap<TreeSize, Hash>,
    /// Where the answer to each request is, acknowledged or not.
    answers: BTreeMap<String, (LeafIndex, Hash)>,
    /// Told since the store was last read.
    signed: BTreeMap<TreeSize, Hash>,
    fresh: Vec<Acknowledged>,
    /// How far each appender is known to have come.
    stories: Vec<u64>,
    /// Counts, for the table.
    pub acknowledged: u64,
    /// Acknowledged a second time.
    pub repeated: u64,
    /// Recorded although no answer arrived.
    pub unanswered: u64,
}

impl Memory {
    /// Of a new ledger.
    pub fn new(domain: &Domain, trust: TrustRoot, appenders: usize) -> Self {
        Self {
            trust,
            origin: domain.origin().clone(),
            tree: Tree::new(),
            leaves: Vec::new(),
            roots: BTreeMap::new(),
            answers: BTreeMap::new(),
            signed: BTreeMap::new(),
            fresh: Vec::new(),
            stories: vec![0; appenders],
            acknowledged: 0,
            repeated: 0,
            unanswered: 0,
        }
    }

    /// From where each appender goes on.
    pub fn stories(&self) -> &[u64] {
        &self.stories
    }

    /// How much of the ledger is known.
    pub fn size(&self) -> TreeSize {
        self.tree.size()
    }

    /// Whether the store has what was asked for, as of when it was last read.
    pub fn is_recorded(&self, asked: &str) -> bool {
        self.answers.contains_key(asked)
    }

    /// Takes what was told; failures are the caller's.
    ///
    /// # Panics
    /// When it contradicts what was told before.
    pub fn hear(&mut self, line: Line) {
        match line {
            Line::Opened(_) | Line::Failed { .. } => {}
            Line::Signed { size, note } => {
                let opened = self.trust.open_checkpoint(&note).expect("every checkpoint is signed by the pinned keys");
                assert_eq!(opened.checkpoint().size, size);
                let root = opened.checkpoint().root;
                assert_eq!(*self.signed.entry(size).or_insert(root), root, "two checkpoints of {size}");
            }
            Line::Acknowledged(answer) => {
                assert_eq!(self.signed.get(&answer.size), Some(&answer.root), "the receipt's checkpoint");
                verify_inclusion(&answer.entry, answer.index, answer.size, &answer.root, &answer.proof)
                    .expect("every receipt proves its entry");
                self.stories[answer.appender] = self.stories[answer.appender].max(answer.story);
                self.fresh.push(answer);
            }
        }
    }

    /// Holds the store against everything known, and learns what is new in it.
    ///
    /// # Panics
    /// When something that was acknowledged or seen is not there, or is not the same.
    pub fn hold_against(&mut self, reader: &Reader) {
        let view = reader.view().expect("the store verifies");
        let known = self.tree.size();
        assert!(view.size() >= known, "{} entries were seen, now there are {}", known, view.size());
        let fresh_at: std::collections::BTreeSet<LeafIndex> = self.fresh.iter().map(|answer| answer.index).collect();
        for index in known.get()..view.size().get() {
            let stored = read(reader, LeafIndex::new(index));
            self.learn(&stored, fresh_at.contains(&stored.index));
        }
        let checkpoint = view.checkpoint.checkpoint();
        self.publish(checkpoint.size, checkpoint.root);
        for (size, root) in std::mem::take(&mut self.signed) {
            assert_eq!(self.roots.get(&size), Some(&root), "the checkpoint of {size} is not of this history");
        }
        for answer in std::mem::take(&mut self.fresh) {
            self.acknowledged += 1;
            self.repeated += u64::from(answer.repeated);
            let found = self.answers.get(&answer.asked);
            assert_eq!(found, Some(&(answer.index, answer.entry)), "the answer to {}", answer.asked);
        }
        let step = (known.get() / SAMPLE).max(1);
        for index in (0..known.get()).step_by(usize::try_from(step).unwrap()) {
            self.still_there(reader, LeafIndex::new(index));
        }
    }

    /// Reads everything again.
    ///
    /// # Panics
    /// When an entry is not what it was.
    pub fn hold_all_against(&mut self, reader: &Reader) {
        self.hold_against(reader);
        for index in 0..self.tree.size().get() {
            self.still_there(reader, LeafIndex::new(index));
        }
    }

    fn learn(&mut self, stored: &StoredEntry, answered: bool) {
        let body = stored.decode(&self.origin).unwrap().body;
        if let Some(asked) = Asked::of(&body, &self.origin) {
            let before = self.answers.insert(asked.clone(), (stored.index, stored.hash));
            assert_eq!(before, None, "{asked} is recorded twice, now at {}", stored.index);
            self.unanswered += u64::from(!answered);
        }
        self.tree.push(stored.hash);
        self.leaves.push(stored.hash);
        let size = self.tree.size();
        if let Some(root) = self.signed.get(&size).copied() {
            self.publish(size, root);
        }
        if size.get().is_multiple_of(256) {
            self.tree.trim();
        }
    }

    fn publish(&mut self, size: TreeSize, root: Hash) {
        assert_eq!(size, self.tree.size());
        assert_eq!(root, self.tree.root(), "the entries do not have the root of the checkpoint of {size}");
        assert_eq!(*self.roots.entry(size).or_insert(root), root, "two checkpoints of {size}");
    }

    fn still_there(&self, reader: &Reader, index: LeafIndex) {
        let known = self.leaves[usize::try_from(index.get()).unwrap()];
        assert_eq!(read(reader, index).hash, known, "entry {index} has changed");
    }
}

fn read(reader: &Reader, index: LeafIndex) -> StoredEntry {
    let stored = reader.entry(index).unwrap_or_else(|error| panic!("entry {index}: {error}"));
    stored.unwrap_or_else(|| panic!("entry {index} is gone"))
}
