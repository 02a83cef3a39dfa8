//! A domain at one moment: its control state, everything that was recorded, and parts of entries that fit it.

use crate::known::Known;
use writ_protocol::action::{Action, ActionKind, Command, Given, Held, Order};
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{
    ActionRef, Activation, Advised, AdvisedFields, Approval, ApprovalFields, AsOf, Ascending, AssertedPrincipal,
    Audience, Body, Cause, Denial, Enrolment, Entities, EntitiesRef, EntryRef, Erased, Erasure, ErasureFields, Gates,
    Genesis, Grant, GrantFields, Halt, Hold, HoldFields, Lease, Level, Limits, Mandate, MandateFields, Need, Opinion,
    Place, Policy, Positive, Principal, PrincipalRef, RequestRef, Revocation, RootMembers, RootOrder, Scope, Shadow,
    ShadowFields, Surroundings, Target, Verdict, Window, Would,
};
use writ_protocol::order::{Accepted, ControlState, OrderError, judge};
use writ_protocol::scope::ScopeFields;
use writ_protocol::statement::{Ask, Request, RootCommand, RootStatement};
use writ_protocol::{
    ClusterId, Code, DenialId, DomainId, Ed25519Key, Entry, HoldId, Key, KeyPair, Label, Name, OrderId, RequestKey,
    WritId,
};
use writ_tlog::{Algorithm, Hash, LeafIndex, Origin, SigningKey, sha256};

pub(crate) const NOW_MS: u64 = 1_700_000_000_000;
pub(crate) const WINDOW_MS: u64 = 60_000;
pub(crate) const GATEWAY: &str = "process/01";

pub(crate) struct Domain {
    pub(crate) control: ControlState,
    pub(crate) known: Known,
    /// The index of the entry that is judged.
    pub(crate) at: LeafIndex,
}

pub(crate) fn key(algorithm: Algorithm, label: &str) -> SigningKey {
    SigningKey::from_seed(algorithm, sha256(label.as_bytes()).as_bytes())
}

pub(crate) fn public(label: &str) -> Ed25519Key {
    Ed25519Key::new(Key::from(key(Algorithm::Ed25519, label).verifying_key())).unwrap()
}

pub(crate) fn pair(label: &str) -> KeyPair {
    let [ed25519, ml_dsa_44] =
        [Algorithm::Ed25519, Algorithm::MlDsa44].map(|of| Key::from(key(of, label).verifying_key()));
    KeyPair::new(ed25519, ml_dsa_44).unwrap()
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

pub(crate) fn origin() -> Origin {
    Origin::new("writ.example/ledger").unwrap()
}

pub(crate) fn elsewhere() -> Origin {
    Origin::new("writ.example/other").unwrap()
}

/// The hash of the entry at an index of this ledger.
pub(crate) fn hash_at(index: u64) -> Hash {
    sha256(format!("entry {index}").as_bytes())
}

pub(crate) fn entry_at(index: u64) -> EntryRef {
    EntryRef { entry: hash_at(index), index, ledger: origin() }
}

pub(crate) fn policy_set(epoch: u64) -> Hash {
    sha256(format!("policy set {epoch}").as_bytes())
}

fn request() -> RequestRef {
    RequestRef { key: RequestKey::from_bytes([1; 16]), digest: sha256(b"request") }
}

/// From before anything to after everything, for three executions.
pub(crate) fn scope() -> writ_protocol::scope::Scope {
    let window = Window::new(0, NOW_MS * 2).unwrap();
    writ_protocol::scope::Scope::new(ScopeFields {
        uses: Positive::new(3),
        depth: None,
        window,
        folders: None,
        contents: None,
        gateways: None,
        programs: None,
        surroundings: None,
    })
    .unwrap()
}

pub(crate) fn alice() -> Principal {
    Principal { id: name("alice"), key: None, auth: label("peer"), kind: name("User") }
}

impl Domain {
    /// A gateway is enrolled at index 1, a policy set is in force since index 2, and ten entries are recorded.
    pub(crate) fn new() -> Self {
        let mut domain = Self::of(origin());
        domain.apply(1, domain.enrolment(1));
        domain.apply(2, domain.activation(1));
        domain
    }

    /// Only genesis is recorded.
    pub(crate) fn of(home: Origin) -> Self {
        let genesis = Genesis {
            domain: DomainId::from_bytes([1; 16]),
            cluster: ClusterId::from_bytes([2; 16]),
            home,
            keys: pair("ledger"),
            root: RootMembers::new(1, vec![pair("root")]).unwrap(),
            limits: Limits {
                depth_max: 2,
                kill_ms_max: positive(30_000),
                freeze_ms_max: positive(10_000),
                window_ms_max: positive(WINDOW_MS),
            },
            time_ms: NOW_MS,
        };
        let control = ControlState::begin(origin(), genesis, hash_at(0));
        Self { control, known: Known::default(), at: LeafIndex::new(10) }
    }

    /// What the rules say of an entry that comes next.
    pub(crate) fn judge(&self, body: Body) -> Result<Accepted, Code> {
        match judge(&self.control, &self.known, self.at, &Entry { origin: origin(), body }) {
            Ok(accepted) => Ok(accepted),
            Err(OrderError::Refused(refusal)) => Err(refusal.code()),
            Err(OrderError::Records(never)) => match never {},
        }
    }

    /// Takes in a control entry without judging it.
    pub(crate) fn apply(&mut self, at: u64, body: Body) {
        self.control.apply(LeafIndex::new(at), hash_at(at), &body, None);
    }

    pub(crate) fn obey(&mut self, at: u64, order: RootCommand) {
        let statement = self.root_statement(order);
        let body = self.root_order(&statement);
        self.control.apply(LeafIndex::new(at), hash_at(at), &body, Some(&statement));
    }

    pub(crate) fn enrolment(&self, epoch: u64) -> Body {
        Body::Gateway(Enrolment {
            by: alice(),
            key: public(&format!("gateway in epoch {epoch}")),
            epoch: positive(epoch),
            order: None,
            groups: Ascending::new([name("builders")]),
            asserts: Ascending::new([AssertedPrincipal { kind: name("Agent"), id: name("builder") }]),
            control: self.control.next(),
            gateway: name(GATEWAY),
            request: request(),
            time_ms: NOW_MS,
        })
    }

    pub(crate) fn activation(&self, epoch: u64) -> Body {
        Body::Policy(Activation {
            by: alice(),
            set: policy_set(epoch),
            epoch: positive(epoch),
            gates: Gates::default(),
            report: None,
            content: sha256(b"content"),
            control: self.control.next(),
            request: request(),
            time_ms: NOW_MS,
            entities: None,
            manifest: None,
            semantics: label("cedar"),
        })
    }

    pub(crate) fn entities(&self, epoch: u64) -> Entities {
        Entities {
            by: alice(),
            id: OrderId::from_bytes([5; 16]),
            count: 3,
            epoch: positive(epoch),
            facts: sha256(b"facts"),
            action: ordered(),
            change: sha256(b"change"),
            policy: Policy { entities: self.in_force(), ..policy() },
            reason: label("joined"),
            content: sha256(b"content"),
            control: self.control.next(),
            request: request(),
            time_ms: NOW_MS,
            snapshot: sha256(&epoch.to_be_bytes()),
        }
    }

    /// The entities in force, as decisions name them.
    pub(crate) fn in_force(&self) -> Option<EntitiesRef> {
        self.control.entities().map(|active| active.entities.clone())
    }

    pub(crate) fn revocation(&self, target: Target) -> Body {
        Body::Revocation(Revocation {
            by: alice(),
            id: OrderId::from_bytes([3; 16]),
            facts: sha256(b"facts"),
            action: ordered(),
            policy: policy(),
            reason: label("lost"),
            target,
            control: self.control.next(),
            request: request(),
            time_ms: NOW_MS,
        })
    }

    pub(crate) fn halt(&self) -> Body {
        Body::Halt(Halt {
            by: alice(),
            id: OrderId::from_bytes([4; 16]),
            facts: sha256(b"facts"),
            action: ordered(),
            policy: policy(),
            reason: label("incident"),
            control: self.control.next(),
            request: request(),
            time_ms: NOW_MS,
        })
    }

    pub(crate) fn root_statement(&self, order: RootCommand) -> RootStatement {
        RootStatement { domain: self.control.domain(), id: OrderId::from_bytes([5; 16]), time_ms: NOW_MS, order }
    }

    /// With the signatures of the one root member.
    pub(crate) fn root_order(&self, statement: &RootStatement) -> Body {
        let keys = [Algorithm::Ed25519, Algorithm::MlDsa44].map(|algorithm| key(algorithm, "root"));
        let statement = Bytes(statement.sign(&origin(), &[[&keys[0], &keys[1]]]));
        Body::RootOrder(RootOrder { control: self.control.next(), statement })
    }

    /// A grant that is accepted.
    pub(crate) fn terms(&self) -> GrantFields {
        GrantFields {
            id: WritId::from_bytes([6; 16]),
            hold: None,
            uses: positive(2),
            as_of: AsOf { size: 10, ledger: origin(), control: self.control.head().head },
            cause: Cause { place: Place::Origin, mandate: None },
            facts: sha256(b"facts"),
            lease: Lease { kill_after_ms: positive(30_000), freeze_after_ms: positive(10_000) },
            scope: Scope::One,
            action: action(),
            holder: public("holder"),
            labels: Ascending::new([]),
            policy: policy(),
            window: Window::new(NOW_MS, NOW_MS + WINDOW_MS).unwrap(),
            request: request(),
            time_ms: NOW_MS,
            admitted: None,
            audience: Audience::Gateway { gateway: name(GATEWAY), epoch: Positive::ONE },
            principal: principal(),
            obligations: vec![],
            surroundings: Surroundings {
                level: Level::Claimed,
                digest: sha256(b"surroundings"),
                components: Ascending::new([label("host")]),
            },
        }
    }

    /// A denial that is accepted.
    pub(crate) fn denial(&self, hold: Option<EntryRef>) -> Denial {
        let GrantFields { as_of, cause, action, request, time_ms, principal, .. } = self.terms();
        let id = DenialId::from_bytes([7; 16]);
        Denial {
            id,
            code: Code::PolicyDenied,
            hold,
            text: None,
            as_of,
            cause,
            facts: None,
            action,
            policy: None,
            request,
            time_ms,
            principal,
        }
    }

    /// A hold that is accepted, and open until the window of the grant above begins to close.
    pub(crate) fn hold(&self, until_ms: u64) -> Hold {
        let GrantFields { as_of, cause, facts, action, policy, request, time_ms, principal, .. } = self.terms();
        let (id, needs) = (HoldId::from_bytes([8; 16]), vec![Need { count: Positive::ONE, group: name("owners") }]);
        let fields =
            HoldFields { id, as_of, cause, facts, needs, action, policy, request, time_ms, until_ms, principal };
        Hold::new(fields).unwrap()
    }

    /// An approval of the hold at index 4, by one of its owners: accepted while that is open.
    pub(crate) fn approval(&self) -> Approval {
        self.answer(Verdict::Approve, |_| {})
    }

    /// What an owner has signed about the hold at index 4, with an entry that says something else.
    pub(crate) fn answer(&self, verdict: Verdict, change: impl FnOnce(&mut ApprovalFields)) -> Approval {
        let held = Held { hold: entry_at(4), action: action().digest };
        let order = Action::Order(Order { command: Command::Answer(verdict, held), reason: label("seen") });
        let request = Request {
            key: RequestKey::from_bytes([1; 16]),
            salt: [2; 32],
            time_ms: NOW_MS,
            principal: None,
            action_salt: [3; 32],
            action: order.encode().unwrap(),
            ask: Ask::Order,
        };
        let signed = request.sign(&origin(), &key(Algorithm::Ed25519, "owner"));
        let mut fields = ApprovalFields {
            by: approver(),
            id: OrderId::from_bytes([2; 16]),
            hold: entry_at(4),
            facts: sha256(b"facts"),
            action: ActionRef { kind: ActionKind::Order, digest: request.action().unwrap().1.commitment() },
            groups: Ascending::new([name("owners")]),
            policy: policy(),
            request: RequestRef { key: request.key, digest: request.opening(&signed).commitment() },
            time_ms: NOW_MS,
            verdict,
            statement: Bytes(signed),
        };
        change(&mut fields);
        Approval::new(fields).unwrap()
    }

    /// A mandate that an owner has signed for whoever asks, as they signed it; with what is to be otherwise before.
    pub(crate) fn mandate(&self, change: impl FnOnce(&mut Given)) -> Mandate {
        let mut given = Given { to: principal().asserted(), scope: scope(), parent: None };
        change(&mut given);
        let Given { to, scope, parent } = given.clone();
        let order = Action::Order(Order { command: Command::Mandate(Box::new(given)), reason: label("work") });
        let request = Request {
            key: RequestKey::from_bytes([1; 16]),
            salt: [2; 32],
            time_ms: NOW_MS,
            principal: None,
            action_salt: [3; 32],
            action: order.encode().unwrap(),
            ask: Ask::Order,
        };
        let signed = request.sign(&origin(), &key(Algorithm::Ed25519, "owner"));
        Mandate::new(MandateFields {
            by: approver(),
            id: OrderId::from_bytes([5; 16]),
            to,
            facts: sha256(b"facts"),
            scope,
            action: ActionRef { kind: ActionKind::Order, digest: request.action().unwrap().1.commitment() },
            parent,
            policy: policy(),
            request: RequestRef { key: request.key, digest: request.opening(&signed).commitment() },
            time_ms: NOW_MS,
            statement: Bytes(signed),
        })
        .unwrap()
    }

    /// An advice that is accepted.
    pub(crate) fn advised(&self) -> Advised {
        let ShadowFields { as_of, cause, facts, policy, time_ms, principal, .. } = ShadowFields::clone(&self.shadow());
        let action = ActionRef { kind: ActionKind::Advice, ..action() };
        let subject = Some(PrincipalRef { id: name("ada"), kind: name("User") });
        let decision = Opinion::Permit;
        let fields =
            AdvisedFields { as_of, cause, facts, found: None, action, policy, subject, time_ms, decision, principal };
        Advised::new(fields).unwrap()
    }

    /// A shadow that is accepted.
    pub(crate) fn shadow(&self) -> Shadow {
        let GrantFields { as_of, cause, facts, action, policy, request, time_ms, principal, .. } = self.terms();
        let would = Would::Permit;
        Shadow::new(ShadowFields { as_of, cause, facts, would, action, policy, request, time_ms, principal }).unwrap()
    }

    pub(crate) fn erasure(&self, erased: Erased) -> Body {
        let fields = ErasureFields {
            by: alice(),
            id: OrderId::from_bytes([9; 16]),
            facts: sha256(b"facts"),
            action: ordered(),
            erased: Ascending::new([erased]),
            policy: policy(),
            reason: label("asked"),
            request: request(),
            time_ms: NOW_MS,
        };
        Body::Erasure(Erasure::new(fields).unwrap())
    }

    /// Records a grant at an index, as if it had been accepted.
    pub(crate) fn granted(&mut self, index: u64, terms: GrantFields) {
        self.known.grants.insert((LeafIndex::new(index), hash_at(index)), Grant::new(terms).unwrap());
    }
}

pub(crate) fn action() -> ActionRef {
    ActionRef { kind: ActionKind::Exec, digest: sha256(b"action") }
}

pub(crate) fn principal() -> Principal {
    Principal {
        id: name("builder"),
        key: Some(Key::clone(public("builder").key())),
        auth: label("key"),
        kind: name("Agent"),
    }
}

/// One of the owners.
pub(crate) fn approver() -> Principal {
    Principal { id: name("owner"), key: Some(Key::clone(public("owner").key())), ..alice() }
}

pub(crate) fn ordered() -> ActionRef {
    ActionRef { kind: ActionKind::Order, digest: sha256(b"order") }
}

pub(crate) fn policy() -> Policy {
    Policy {
        set: policy_set(1),
        epoch: 1,
        reasons: Ascending::new([name("may-build")]),
        entities: None,
        semantics: label("cedar"),
    }
}

/// The grant is accepted as it is, and refused with this code once it is spoilt.
#[track_caller]
pub(crate) fn refused(code: Code, spoil: impl FnOnce(&mut Domain, &mut GrantFields)) {
    let mut domain = Domain::new();
    let mut terms = domain.terms();
    spoil(&mut domain, &mut terms);
    assert_eq!(domain.judge(Body::Grant(Grant::new(terms).unwrap())), Err(code));
}

/// The grant is accepted, changed so.
#[track_caller]
pub(crate) fn accepted(change: impl FnOnce(&mut Domain, &mut GrantFields)) {
    let mut domain = Domain::new();
    let mut terms = domain.terms();
    change(&mut domain, &mut terms);
    assert_eq!(domain.judge(Body::Grant(Grant::new(terms).unwrap())), Ok(Accepted::AsItStands));
}
