use super::secrets::{Secret, SecretPair};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use writ_ledger::LedgerSigner;
use writ_protocol::action::{Action, Command, CommitmentKind, Exec, ExecFields, Opening, Order, Stdin, Variables};
use writ_protocol::entry::{
    AssertedPrincipal, Body, Control, Entry, Genesis, Limits, Positive, Principal, RequestRef, RootMembers,
};
use writ_protocol::statement::Component;
use writ_protocol::{
    ClusterId, DomainId, Ed25519Key, ExecutionId, Label, Name, OrderId, PinnedLedger, RequestKey, TrustRoot,
};
use writ_tlog::{Algorithm, Hash, Origin, leaf_hash, sha256};

/// The ledger of the scripted domain.
pub const ORIGIN: &str = "writ.example/ledger/demo";
/// Names of its gateways.
const GATEWAYS: [&str; 3] = ["gateway-1", "gateway-2", "speaker-1"];
const ROOT_MEMBERS: usize = 3;
const THRESHOLD: u64 = 2;
/// The engine and wrapper of its policy sets.
pub const SEMANTICS: &str = "cedar-4.14-writ-1";
/// Between two things that happen.
const TICK_MS: u64 = 10;

/// The domain, its keys, and the counters that keep what it makes apart. It may be shared by threads.
pub struct Domain {
    origin: Origin,
    base_ms: u64,
    ledger: SecretPair,
    root: Vec<SecretPair>,
    holder: Secret,
    pub(super) alice: Secret,
    /// Genesis, when it was made elsewhere: by `writ init`.
    genesis: Option<Genesis>,
    made: AtomicU64,
    /// The last statement of each gateway and epoch.
    statements: Mutex<BTreeMap<(usize, u64), u64>>,
}

/// SHA-256 of a label, for digests that stand for something.
pub fn digest(label: &str) -> Hash {
    sha256(label.as_bytes())
}

impl Domain {
    /// The domain as it begins at a time: a fixed one for what must be repeatable, the clock's for what really runs.
    pub fn new(base_ms: u64) -> Self {
        Self::at(ORIGIN, base_ms)
    }

    /// A domain with another ledger, and with that other keys.
    pub fn at(origin: &str, base_ms: u64) -> Self {
        let member = |number| SecretPair::new(&format!("{origin} root member {number}"));
        Self {
            base_ms,
            ledger: SecretPair::new(&format!("{origin} ledger")),
            root: (1..=ROOT_MEMBERS).map(member).collect(),
            holder: Secret::new(Algorithm::Ed25519, &format!("{origin} holder")),
            alice: Secret::new(Algorithm::Ed25519, &format!("{origin} alice")),
            origin: Origin::new(origin).unwrap(),
            genesis: None,
            made: AtomicU64::new(0),
            statements: Mutex::new(BTreeMap::new()),
        }
    }

    /// The story told in a domain that `writ init` made, with its own keys.
    pub fn adopted(origin: &Origin, base_ms: u64, genesis: Genesis, ledger: SecretPair, root: Vec<SecretPair>) -> Self {
        Self { ledger, root, genesis: Some(genesis), ..Self::at(origin.as_str(), base_ms) }
    }

    /// Goes on after a process that has made this many things and is gone: ids stay different.
    #[must_use]
    pub fn after(self, made: u64) -> Self {
        self.made.store(made, Ordering::Relaxed);
        self
    }

    /// How many things were made: what to give to [`Domain::after`].
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Its ledger.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// When it begins.
    pub fn base_ms(&self) -> u64 {
        self.base_ms
    }

    /// The time as of the last thing that was made.
    pub fn now_ms(&self) -> u64 {
        self.base_ms + self.made() * TICK_MS
    }

    /// Its id.
    pub fn id(&self) -> DomainId {
        if let Some(genesis) = &self.genesis {
            return genesis.domain;
        }
        DomainId::new(self.base_ms, self.ten_bytes("domain"))
    }

    /// The keys of its ledger.
    pub fn ledger_keys(&self) -> &SecretPair {
        &self.ledger
    }

    /// The ledger's signer, for [`writ_ledger::Ledger`].
    pub fn ledger_signer(&self) -> LedgerSigner {
        LedgerSigner::from_seeds(self.origin.clone(), self.ledger.ed25519.seed(), self.ledger.ml_dsa_44.seed())
    }

    /// The keys of its root members.
    pub fn root_keys(&self) -> &[SecretPair] {
        &self.root
    }

    /// The key that presents its writs.
    pub fn holder(&self) -> &Secret {
        &self.holder
    }

    /// The root members as genesis names them.
    pub fn root_members(&self) -> RootMembers {
        RootMembers::new(THRESHOLD, self.root.iter().map(SecretPair::key_pair).collect()).unwrap()
    }

    /// The beginning of its ledger.
    pub fn genesis(&self) -> Genesis {
        if let Some(genesis) = &self.genesis {
            return genesis.clone();
        }
        let limit = |milliseconds| Positive::new(milliseconds).unwrap();
        Genesis {
            domain: self.id(),
            cluster: ClusterId::new(self.base_ms, self.ten_bytes("cluster")),
            home: self.origin.clone(),
            keys: self.ledger.key_pair(),
            root: self.root_members(),
            limits: Limits {
                depth_max: 4,
                kill_ms_max: limit(120_000),
                freeze_ms_max: limit(60_000),
                window_ms_max: limit(3_600_000),
            },
            time_ms: self.base_ms,
        }
    }

    /// The entry hash of genesis.
    pub fn genesis_hash(&self) -> Hash {
        let entry = Entry { origin: self.origin.clone(), body: Body::Genesis(self.genesis()) };
        leaf_hash(&entry.encode().unwrap())
    }

    /// What verifiers pin.
    pub fn trust_root(&self) -> TrustRoot {
        TrustRoot::new(self.id(), self.pinned_ledger())
    }

    /// Its ledger as verifiers pin it.
    pub fn pinned_ledger(&self) -> PinnedLedger {
        PinnedLedger::new(self.origin.clone(), self.genesis_hash(), self.ledger.key_pair()).unwrap()
    }

    /// The name of a gateway: 0 or 1, or 2 for one that asks in the names of others.
    pub fn gateway_name(&self, gateway: usize) -> Name {
        Name::new(GATEWAYS[gateway]).unwrap()
    }

    /// The key of a gateway in an instance epoch.
    pub fn gateway_key(&self, gateway: usize, epoch: u64) -> Secret {
        Secret::new(Algorithm::Ed25519, &format!("{} {} epoch {epoch}", self.origin, GATEWAYS[gateway]))
    }

    /// The group that both gateways belong to.
    pub fn group(&self) -> Name {
        Name::new("builders").unwrap()
    }

    /// `User::alice`, who proved a key: gives orders.
    pub fn alice(&self) -> Principal {
        principal("User", "alice", "key", Some(&self.alice))
    }

    /// `Agent::builder`, asserted by its gateway: asks for executions.
    pub fn builder(&self) -> Principal {
        principal("Agent", "builder", "asserted", None)
    }

    /// `Agent::builder` without how it was authenticated.
    pub fn builder_name(&self) -> AssertedPrincipal {
        let Principal { kind, id, .. } = self.builder();
        AssertedPrincipal { kind, id }
    }

    /// The holder key as grants name it.
    pub fn holder_key(&self) -> Ed25519Key {
        Ed25519Key::new(self.holder.public()).unwrap()
    }

    /// A request that was not made before.
    pub fn request(&self) -> RequestRef {
        let key = RequestKey::new(self.now_ms(), self.fresh("request"));
        RequestRef { key, digest: sha256(key.as_bytes()) }
    }

    /// A new id of an order.
    pub fn order_id(&self) -> OrderId {
        OrderId::new(self.now_ms(), self.fresh("order"))
    }

    /// A new id of an execution.
    pub fn execution_id(&self) -> ExecutionId {
        ExecutionId::new(self.now_ms(), self.fresh("execution"))
    }

    /// The opening of a real action, each time with another salt.
    pub fn action(&self, arguments: &[&str]) -> Opening {
        let argv = arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        let variables = [(b"LANG".as_slice(), b"C.UTF-8".as_slice()), (b"PATH", b"/usr/bin:/bin")];
        let exec = Exec::new(ExecFields {
            cwd: b"/srv/build".to_vec(),
            argv,
            path: arguments[0].as_bytes().to_vec(),
            variables: Variables::new(variables).unwrap(),
            stdin: Stdin::Null,
            executable: digest(arguments[0]),
            interpreter: None,
        })
        .unwrap();
        self.opening(CommitmentKind::Action, Action::Exec(exec).encode().unwrap())
    }

    /// The opening of an order to the control plane, each time with another salt.
    pub fn order(&self, command: Command) -> Opening {
        let order = Order { command, reason: Label::new("incident").unwrap() };
        self.opening(CommitmentKind::Action, Action::Order(order).encode().unwrap())
    }

    /// The policy set of an epoch, encoded: a ledger takes any bytes.
    pub fn policy_set(&self, epoch: u64) -> Vec<u8> {
        format!("permit(principal, action, resource); // epoch {epoch}").into_bytes()
    }

    /// Where its executions run.
    pub fn surroundings(&self) -> Vec<Component> {
        [("gateway", "writ-gateway-process 0.1.0"), ("kernel", "linux 6.12.0")]
            .map(|(name, value)| Component { name: Label::new(name).unwrap(), value: value.to_owned() })
            .to_vec()
    }

    /// The opening of facts.
    pub fn facts(&self) -> Opening {
        self.opening(CommitmentKind::Facts, br#"{"branch":"main","ticket":"open"}"#.to_vec())
    }

    /// The opening of a value, each time with another salt.
    pub fn opening(&self, kind: CommitmentKind, value: Vec<u8>) -> Opening {
        let label = format!("{} salt {}", self.origin, self.next());
        Opening { kind, salt: *digest(&label).as_bytes(), value }
    }

    /// Ten bytes that were not given before, for an id.
    pub(super) fn fresh(&self, label: &str) -> [u8; 10] {
        self.ten_bytes(&format!("{label} {}", self.next()))
    }

    /// The next number of a gateway's statements.
    pub(super) fn next_seq(&self, gateway: usize, epoch: u64) -> Positive {
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        let last = statements.entry((gateway, epoch)).or_default();
        *last += 1;
        Positive::new(*last).unwrap()
    }

    fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    fn ten_bytes(&self, label: &str) -> [u8; 10] {
        *digest(&format!("{} {label}", self.origin)).as_bytes().first_chunk().unwrap()
    }
}

/// What a draft says of its place in the chain, until it gets one.
pub(super) const NO_PLACE: Control = Genesis::CONTROL;

fn principal(kind: &str, id: &str, auth: &str, key: Option<&Secret>) -> Principal {
    Principal {
        id: Name::new(id).unwrap(),
        key: key.map(Secret::public),
        auth: Label::new(auth).unwrap(),
        kind: Name::new(kind).unwrap(),
    }
}
