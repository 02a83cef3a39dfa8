use super::domain::{Domain, NO_PLACE};
use super::recorded::Recorded;
use writ_ledger::{Draft, Proposal};
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::{Ascending, Enrolment, Erased, Erasure, ErasureFields, Halt, Positive, Revocation, Target};
use writ_protocol::{Ed25519Key, Label};

impl Domain {
    /// Enrols a gateway (epoch 1) or renews it.
    pub fn enrolment(&self, gateway: usize, epoch: u64) -> Enrolment {
        Enrolment {
            by: self.alice(),
            key: Ed25519Key::new(self.gateway_key(gateway, epoch).public()).unwrap(),
            epoch: Positive::new(epoch).unwrap(),
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

    /// Revokes a target.
    pub fn revocation(&self, target: Target) -> Revocation {
        Revocation {
            by: self.alice(),
            id: self.order_id(),
            reason: Label::new("compromised").unwrap(),
            target,
            control: NO_PLACE,
            request: self.request(),
            time_ms: self.now_ms(),
        }
    }

    /// Revokes a target, as a ledger takes it.
    pub fn revoke(&self, target: Target) -> Proposal {
        Proposal::new(Draft::Revocation(self.revocation(target)))
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
        ]
    }

    /// Everything stops, by order of alice.
    pub fn halt_order(&self) -> Halt {
        Halt {
            by: self.alice(),
            id: self.order_id(),
            reason: Label::new("incident").unwrap(),
            control: NO_PLACE,
            request: self.request(),
            time_ms: self.now_ms(),
        }
    }

    /// Everything stops, as a ledger takes it.
    pub fn halt(&self) -> Proposal {
        Proposal::new(Draft::Halt(self.halt_order()))
    }

    /// Erases what opens one commitment of an entry.
    pub fn erasure(&self, of: &Recorded, kind: CommitmentKind) -> Erasure {
        let erased = Erased { index: of.index.get(), commitment: of.opening(kind).commitment() };
        let fields = ErasureFields {
            by: self.alice(),
            id: self.order_id(),
            erased: Ascending::new([erased]),
            reason: Label::new("retention").unwrap(),
            request: self.request(),
            time_ms: self.now_ms(),
        };
        Erasure::new(fields).unwrap()
    }

    /// Erases what opens one commitment of an entry, as a ledger takes it.
    pub fn erase(&self, of: &Recorded, kind: CommitmentKind) -> Proposal {
        Proposal::new(Draft::Erasure(self.erasure(of, kind)))
    }
}
