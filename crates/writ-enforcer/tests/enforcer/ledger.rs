//! A ledger in memory that has no rules: it proves and signs whatever it is given, as a dishonest one could.

use writ_protocol::action::ActionKind;
use writ_protocol::bundle::ProvedEntry;
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{
    ActionRef, Activation, Ascending, AssertedPrincipal, Body, Control, ControlHead, Enrolment, Evidence, Gates,
    Genesis, Grant, Halt, Limits, Policy, Positive, Principal, RequestRef, Revocation, RootMembers, Seal, Target,
};
use writ_protocol::{
    Bundle, ClusterId, DomainId, Ed25519Key, Entry, Key, KeyPair, Label, Name, OrderId, PinnedLedger, RequestKey,
    TrustRoot,
};
use writ_tlog::{
    Algorithm, Checkpoint, ConsistencyProof, Hash, LeafIndex, NoteSigner, Origin, SigningKey, TlogProof, Tree,
    TreeSize, leaf_hash, prove_consistency, prove_inclusion, sha256, sign_checkpoint,
};

/// When everything happens.
pub(crate) const NOW_MS: u64 = 1_700_000_000_000;
/// The longest of everything that genesis limits.
pub(crate) const LIMIT_MS: u64 = 3_600_000;
/// The gateway under test.
pub(crate) const GATEWAY: &str = "process/01";
/// Another gateway of the domain.
pub(crate) const OTHER_GATEWAY: &str = "process/02";

/// A private key that its label determines.
pub(crate) fn key(algorithm: Algorithm, label: &str) -> SigningKey {
    SigningKey::from_seed(algorithm, sha256(label.as_bytes()).as_bytes())
}

/// An Ed25519 key that its label determines.
pub(crate) fn ed25519(label: &str) -> SigningKey {
    key(Algorithm::Ed25519, label)
}

/// The public half, as entries name it.
pub(crate) fn public(label: &str) -> Ed25519Key {
    Ed25519Key::new(Key::from(ed25519(label).verifying_key())).unwrap()
}

/// The key of a gateway in an epoch.
pub(crate) fn gateway_key(gateway: &str, epoch: u64) -> String {
    format!("{gateway} in epoch {epoch}")
}

fn pair(label: &str) -> KeyPair {
    let [first, second] = [Algorithm::Ed25519, Algorithm::MlDsa44]
        .map(|algorithm| Key::from(key(algorithm, &format!("{label} {algorithm:?}")).verifying_key()));
    KeyPair::new(first, second).unwrap()
}

fn ten(label: &str) -> [u8; 10] {
    *sha256(label.as_bytes()).as_bytes().first_chunk().unwrap()
}

pub(crate) fn positive(value: u64) -> Positive {
    Positive::new(value).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

/// The digest of the policy set of an epoch.
pub(crate) fn policy_set(epoch: u64) -> Hash {
    sha256(format!("policy set {epoch}").as_bytes())
}

/// Entries, their tree, and the chain as it should go on.
#[derive(Clone)]
pub(crate) struct Ledger {
    origin: Origin,
    entries: Vec<Vec<u8>>,
    tree: Tree,
    chain: Vec<(u64, Hash)>,
    first: u64,
    batch: u64,
    made: u64,
    /// The epoch of the policy set in force.
    epoch: u64,
    /// What the next seal says of the time.
    pub(crate) time_ms: u64,
}

impl Ledger {
    /// Both gateways are enrolled, and a policy set is in force.
    pub(crate) fn new(origin: &str) -> Self {
        let origin = Origin::new(origin).unwrap();
        let (entries, tree, chain) = (Vec::new(), Tree::new(), Vec::new());
        let mut ledger = Self { origin, entries, tree, chain, first: 0, batch: 0, made: 0, epoch: 1, time_ms: NOW_MS };
        ledger.append(Body::Genesis(ledger.genesis()));
        ledger.enrol(GATEWAY, 1);
        ledger.enrol(OTHER_GATEWAY, 1);
        ledger.activate(1);
        ledger
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What verifiers pin.
    pub(crate) fn trust(&self) -> TrustRoot {
        let genesis = Entry { origin: self.origin.clone(), body: Body::Genesis(self.genesis()) };
        let hash = leaf_hash(&genesis.encode().unwrap());
        let pinned = PinnedLedger::new(self.origin.clone(), hash, pair(self.origin.as_str())).unwrap();
        TrustRoot::new(self.domain(), pinned)
    }

    fn domain(&self) -> DomainId {
        DomainId::new(NOW_MS, ten(self.origin.as_str()))
    }

    fn genesis(&self) -> Genesis {
        Genesis {
            domain: self.domain(),
            cluster: ClusterId::new(NOW_MS, ten("cluster")),
            home: self.origin.clone(),
            keys: pair(self.origin.as_str()),
            root: RootMembers::new(1, vec![pair("root")]).unwrap(),
            limits: Limits {
                depth_max: 4,
                kill_ms_max: positive(LIMIT_MS),
                freeze_ms_max: positive(LIMIT_MS),
                window_ms_max: positive(LIMIT_MS),
            },
            time_ms: NOW_MS,
        }
    }

    /// An entry and its seal. Returns the index of the entry.
    pub(crate) fn append(&mut self, body: Body) -> u64 {
        let control = body.control().is_some();
        let index = self.raw(body);
        if control {
            self.chain.push((index, self.hash(index)));
        }
        let head = self.chain.last().map(|(_, hash)| *hash).unwrap();
        let seq = self.chain.len() as u64 - 1;
        let seal = Seal {
            batch: self.batch,
            count: positive(self.size() - self.first),
            first: self.first,
            control: ControlHead { seq, head, ledger: self.origin.clone() },
            time_ms: self.time_ms,
        };
        self.first = self.raw(Body::Seal(seal)) + 1;
        self.batch += 1;
        index
    }

    fn raw(&mut self, body: Body) -> u64 {
        let bytes = Entry { origin: self.origin.clone(), body }.encode().unwrap();
        self.tree.push(leaf_hash(&bytes));
        self.entries.push(bytes);
        self.size() - 1
    }

    /// Logs bytes as they are, and proves them.
    pub(crate) fn logged_raw(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.tree.push(leaf_hash(&bytes));
        self.entries.push(bytes);
        self.proved(self.size() - 1)
    }

    fn next(&mut self, what: &str) -> [u8; 10] {
        self.made += 1;
        ten(&format!("{} {what} {}", self.origin, self.made))
    }

    /// A request that was not made before.
    pub(crate) fn request(&mut self) -> RequestRef {
        let key = RequestKey::new(NOW_MS, self.next("request"));
        RequestRef { key, digest: sha256(key.as_bytes()) }
    }

    /// Where it stands: tree size and control head.
    pub(crate) fn standing(&self) -> (u64, Hash) {
        (self.size(), self.chain.last().unwrap().1)
    }

    fn link(&self) -> Control {
        Control { seq: self.chain.len() as u64, prev: self.chain.last().unwrap().1 }
    }

    fn alice() -> Principal {
        Principal { id: name("alice"), key: None, auth: label("peer"), kind: name("User") }
    }

    pub(crate) fn enrol(&mut self, gateway: &str, epoch: u64) {
        let enrolment = Enrolment {
            by: Self::alice(),
            key: public(&gateway_key(gateway, epoch)),
            epoch: positive(epoch),
            order: None,
            groups: Ascending::new([name("builders")]),
            asserts: Ascending::new([AssertedPrincipal { kind: name("Agent"), id: name("builder") }]),
            control: self.link(),
            gateway: name(gateway),
            request: self.request(),
            time_ms: self.time_ms,
        };
        self.append(Body::Gateway(enrolment));
    }

    pub(crate) fn activate(&mut self, epoch: u64) {
        self.epoch = epoch;
        let activation = Activation {
            by: Self::alice(),
            set: policy_set(epoch),
            epoch: positive(epoch),
            gates: Gates::default(),
            report: None,
            content: sha256(b"committed"),
            control: self.link(),
            request: self.request(),
            time_ms: self.time_ms,
            entities: None,
            manifest: None,
            semantics: label("cedar"),
        };
        self.append(Body::Policy(activation));
    }

    pub(crate) fn revoke(&mut self, target: Target) {
        let revocation = Revocation {
            by: Self::alice(),
            id: OrderId::new(NOW_MS, self.next("order")),
            facts: sha256(b"facts"),
            action: ordered(),
            policy: self.policy(),
            reason: label("lost"),
            target,
            control: self.link(),
            request: self.request(),
            time_ms: self.time_ms,
        };
        self.append(Body::Revocation(revocation));
    }

    /// What an order stands on: the set in force.
    fn policy(&self) -> Policy {
        let (set, epoch) = (policy_set(self.epoch), self.epoch);
        Policy { set, epoch, reasons: Ascending::new([]), entities: None, semantics: label("cedar") }
    }

    pub(crate) fn halt(&mut self) {
        let halt = Halt {
            by: Self::alice(),
            id: OrderId::new(NOW_MS, self.next("order")),
            facts: sha256(b"facts"),
            action: ordered(),
            policy: self.policy(),
            reason: label("incident"),
            control: self.link(),
            request: self.request(),
            time_ms: self.time_ms,
        };
        self.append(Body::Halt(halt));
    }

    pub(crate) fn grant(&mut self, grant: Grant) -> u64 {
        self.append(Body::Grant(grant))
    }

    pub(crate) fn spend(&mut self, statement: &[u8]) -> u64 {
        self.append(Body::Spend(Evidence { statement: Bytes(statement.to_vec()) }))
    }

    pub(crate) fn report(&mut self, statement: &[u8]) -> u64 {
        self.append(Body::Report(Evidence { statement: Bytes(statement.to_vec()) }))
    }

    pub(crate) fn size(&self) -> u64 {
        self.tree.size().get()
    }

    pub(crate) fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The hash of an entry.
    pub(crate) fn hash(&self, index: u64) -> Hash {
        leaf_hash(&self.entries[usize::try_from(index).unwrap()])
    }

    fn entry(&self, index: u64) -> &[u8] {
        &self.entries[usize::try_from(index).unwrap()]
    }

    pub(crate) fn signers(&self) -> Vec<NoteSigner> {
        [Algorithm::Ed25519, Algorithm::MlDsa44]
            .map(|algorithm| {
                let key = key(algorithm, &format!("{} {algorithm:?}", self.origin));
                NoteSigner::new(self.origin.key_name().clone(), key)
            })
            .into()
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: self.tree.size(), root: self.tree.root() }
    }

    /// An entry with its proof, in its parts.
    pub(crate) fn proof(&self, index: u64) -> TlogProof {
        let index = LeafIndex::new(index);
        TlogProof {
            extra: Some(self.entry(index.get()).to_vec()),
            index,
            proof: prove_inclusion(index, self.tree.size(), &self.tree).unwrap(),
            checkpoint: sign_checkpoint(&self.checkpoint(), &self.signers()),
        }
    }

    /// An entry with its proof: a writ, or a receipt.
    pub(crate) fn proved(&self, index: u64) -> Vec<u8> {
        self.proof(index).encode()
    }

    /// The bundle about one entry: the control chain, it, and the closing seal.
    pub(crate) fn bundle_about(&self, subject: u64) -> Vec<u8> {
        let mut indices: Vec<u64> = self.chain.iter().map(|(index, _)| *index).collect();
        indices.extend([subject, self.size() - 1]);
        indices.sort_unstable();
        indices.dedup();
        let entries = indices.into_iter().map(|index| self.proved_entry(index)).collect();
        let checkpoint = sign_checkpoint(&self.checkpoint(), &self.signers());
        Bundle { checkpoint, entries, openings: Vec::new(), subject: LeafIndex::new(subject) }.encode()
    }

    /// An entry as bundles hold it.
    pub(crate) fn proved_entry(&self, index: u64) -> ProvedEntry {
        let bytes = self.entry(index).to_vec();
        let index = LeafIndex::new(index);
        ProvedEntry { index, bytes, proof: prove_inclusion(index, self.tree.size(), &self.tree).unwrap() }
    }

    /// The bundle that a control view comes from: the one about genesis.
    pub(crate) fn bundle(&self) -> Vec<u8> {
        self.bundle_about(0)
    }

    /// That its tree grew out of the one of `size`.
    pub(crate) fn consistency(&self, size: u64) -> ConsistencyProof {
        prove_consistency(TreeSize::new(size), self.tree.size(), &self.tree).unwrap()
    }
}

fn ordered() -> ActionRef {
    ActionRef { kind: ActionKind::Order, digest: sha256(b"order") }
}
