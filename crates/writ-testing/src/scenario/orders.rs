use super::domain::{Domain, NO_PLACE, SEMANTICS, digest};
use super::recorded::Recorded;
use writ_ledger::{Draft, Proposal};
use writ_protocol::action::{ActionKind, Command, CommitmentKind, Enrolled, Opening};
use writ_protocol::entry::{
    ActionRef, Activation, Ascending, Count, Enrolment, Erased, Erasure, ErasureFields, Gates, Halt, OrderRef,
    Positive, Principal, Revocation, Tally, TallyFields, Target,
};
use writ_protocol::{Code, Ed25519Key, Label};
use writ_tlog::sha256;

impl Domain {
    /// Enrols a gateway (epoch 1) or renews it.
    pub fn enrolment(&self, gateway: usize, epoch: u64) -> Enrolment {
        Enrolment {
            by: self.alice(),
            key: Ed25519Key::new(self.gateway_key(gateway, epoch).public()).unwrap(),
            epoch: Positive::new(epoch).unwrap(),
            order: None,
            groups: Ascending::new([self.group()]),
            asserts: Ascending::new([self.builder_name()]),
            control: NO_PLACE,
            gateway: self.gateway_name(gateway),
            request: self.request(),
            time_ms: self.now_ms(),
        }
    }

    /// Enrols a gateway (epoch 1) or renews it, as a ledger takes it.
    pub fn enrol(&self, gateway: usize, epoch: u64) -> Proposal {
        Proposal::new(Draft::Gateway(self.enrolment(gateway, epoch)))
    }

    /// The same by order, with what opens the order and its facts.
    pub fn ordered_enrolment(&self, gateway: usize, epoch: u64) -> (Enrolment, Vec<Opening>) {
        let enrolment = self.enrolment(gateway, epoch);
        let Enrolment { key, epoch, groups, asserts, gateway, .. } = enrolment.clone();
        let enrolled = Enrolled { key, epoch, groups, asserts, gateway };
        let (action, facts) = (self.order(Command::Enrol(Box::new(enrolled))), self.facts());
        let order = OrderRef {
            id: self.order_id(),
            facts: facts.commitment(),
            action: ActionRef { kind: ActionKind::Order, digest: action.commitment() },
            policy: self.policy(),
            reason: Label::new("incident").unwrap(),
        };
        (Enrolment { order: Some(order), ..enrolment }, vec![action, facts])
    }

    /// In whose words a gateway asks: those of the builder, for whom it is enrolled.
    pub fn spoken_for(&self, gateway: usize, epoch: u64) -> Principal {
        let auth = Label::new(Principal::BY_GATEWAY).unwrap();
        Principal { auth, key: Some(self.gateway_key(gateway, epoch).public()), ..self.builder() }
    }

    /// Puts the policy set of an epoch in force, with what opens it.
    pub fn activation(&self, epoch: u64) -> (Activation, Opening) {
        let content = self.opening(CommitmentKind::Policy, self.policy_set(epoch));
        let activation = Activation {
            by: self.alice(),
            set: sha256(&content.value),
            epoch: Positive::new(epoch).unwrap(),
            gates: Gates::default(),
            report: None,
            content: content.commitment(),
            control: NO_PLACE,
            request: self.request(),
            time_ms: self.now_ms(),
            entities: None,
            manifest: None,
            semantics: Label::new(SEMANTICS).unwrap(),
        };
        (activation, content)
    }

    /// Puts the policy set of an epoch in force, as a ledger takes it.
    pub fn activate(&self, epoch: u64) -> Proposal {
        let (activation, content) = self.activation(epoch);
        Proposal::new(Draft::Policy(activation)).with_openings(vec![content])
    }

    /// Two strangers and a caller too many were turned away.
    pub fn strangers(&self) -> Tally {
        let count = |code, count| Count { code, count: Positive::new(count).unwrap() };
        let counts = vec![count(Code::RateLimited, 1), count(Code::Unauthenticated, 2)];
        Tally::new(TallyFields { counts, from_ms: self.base_ms(), time_ms: self.now_ms() }).unwrap()
    }

    /// Who was turned away, as a ledger takes it.
    pub fn tally(&self) -> Proposal {
        Proposal::new(Draft::Tally(self.strangers()))
    }

    /// Revokes a target, with what opens the order and its facts.
    pub fn revocation(&self, target: Target) -> (Revocation, Vec<Opening>) {
        let (action, facts) = (self.order(Command::Revoke(target.clone())), self.facts());
        let revocation = Revocation {
            by: self.alice(),
            id: self.order_id(),
            facts: facts.commitment(),
            action: ActionRef { kind: ActionKind::Order, digest: action.commitment() },
            policy: self.policy(),
            reason: Label::new("incident").unwrap(),
            target,
            control: NO_PLACE,
            request: self.request(),
            time_ms: self.now_ms(),
        };
        (revocation, vec![action, facts])
    }

    /// Revokes a target, as a ledger takes it.
    pub fn revoke(&self, target: Target) -> Proposal {
        let (revocation, openings) = self.revocation(target);
        Proposal::new(Draft::Revocation(revocation)).with_openings(openings)
    }

    /// Every kind of target, around one grant.
    pub fn targets(&self, grant: &Recorded) -> Vec<Target> {
        vec![
            Target::Writ(grant.hash),
            Target::Key(self.holder().public().fingerprint()),
            Target::Principal(self.builder_name()),
            Target::Policy(grant.grant().policy.set),
            Target::Lineage { ledger: self.origin().clone(), entry: grant.hash },
            Target::Gateway(self.gateway_name(0)),
            Target::Mandate(digest("mandate")),
        ]
    }

    /// Everything stops, by order of alice, with what opens the order and its facts.
    pub fn halt_order(&self) -> (Halt, Vec<Opening>) {
        let (action, facts) = (self.order(Command::Halt), self.facts());
        let halt = Halt {
            by: self.alice(),
            id: self.order_id(),
            facts: facts.commitment(),
            action: ActionRef { kind: ActionKind::Order, digest: action.commitment() },
            policy: self.policy(),
            reason: Label::new("incident").unwrap(),
            control: NO_PLACE,
            request: self.request(),
            time_ms: self.now_ms(),
        };
        (halt, vec![action, facts])
    }

    /// Everything stops, as a ledger takes it.
    pub fn halt(&self) -> Proposal {
        let (halt, openings) = self.halt_order();
        Proposal::new(Draft::Halt(halt)).with_openings(openings)
    }

    /// Erases what opens one commitment of an entry, with what opens the order and its facts.
    pub fn erasure(&self, of: &Recorded, kind: CommitmentKind) -> (Erasure, Vec<Opening>) {
        self.erasing([Erased { index: of.index.get(), commitment: of.opening(kind).commitment() }])
    }

    /// Erases what opens these commitments, with what opens the order and its facts.
    pub fn erasing(&self, erased: impl IntoIterator<Item = Erased>) -> (Erasure, Vec<Opening>) {
        let erased = Ascending::new(erased);
        let (action, facts) = (self.order(Command::Erase(erased.clone())), self.facts());
        let fields = ErasureFields {
            by: self.alice(),
            id: self.order_id(),
            facts: facts.commitment(),
            action: ActionRef { kind: ActionKind::Order, digest: action.commitment() },
            erased,
            policy: self.policy(),
            reason: Label::new("incident").unwrap(),
            request: self.request(),
            time_ms: self.now_ms(),
        };
        (Erasure::new(fields).unwrap(), vec![action, facts])
    }

    /// Erases what opens one commitment of an entry, as a ledger takes it.
    pub fn erase(&self, of: &Recorded, kind: CommitmentKind) -> Proposal {
        let (erasure, openings) = self.erasure(of, kind);
        Proposal::new(Draft::Erasure(erasure)).with_openings(openings)
    }
}
