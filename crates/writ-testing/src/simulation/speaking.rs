//! A gateway that is enrolled by order, and asks in the names of agents: of those for whom it is enrolled, and of others.

use super::world::{To, World};
use writ_authority::Answer;
use writ_protocol::Ed25519Key;
use writ_protocol::action::{Command, Enrolled};
use writ_protocol::entry::{Ascending, Audience, Positive, PrincipalRef};
use writ_protocol::statement::Request;

/// The gateway that speaks for others.
pub(super) const SPEAKER: usize = 2;

impl World {
    /// Somebody enrols it, or renews it for others: by an order that sometimes comes too late, or from who may not.
    pub(super) fn enrol(&mut self) {
        let by = if self.chance.one_in(6) { "bob" } else { "alice" };
        self.enrol_by(by);
    }

    pub(super) fn enrol_by(&mut self, by: &str) {
        let gateway = self.domain.gateway_name(SPEAKER);
        let control = self.node.authority().published().control;
        let current = control.gateway(&gateway).map_or(0, |known| known.epoch.get());
        let epoch = if self.chance.one_in(8) { current.max(1) } else { current + 1 };
        // Now and then the key of another gateway.
        let key = if self.chance.one_in(10) {
            self.domain.gateway_key(0, 1)
        } else {
            self.domain.gateway_key(SPEAKER, epoch)
        };
        let named = (0..3).map(|_| self.agent()).collect::<Vec<_>>();
        let command = Command::Enrol(Box::new(Enrolled {
            key: Ed25519Key::new(key.public()).unwrap(),
            epoch: Positive::new(epoch).unwrap(),
            groups: Ascending::new([self.domain.group()]),
            asserts: Ascending::new(named.iter().map(|id| self.members.named(id).name().clone())),
            gateway,
        }));
        let request = Request { time_ms: self.clock.now_ms(), ..self.domain.asked_order(command) };
        let signed = self.members.named(by).sign(&request, self.domain.origin());
        if self.send(To::Order, &signed).is_none() || self.chance.one_in(4) {
            self.network.push((To::Order, signed));
        }
    }

    /// It asks for an agent, mostly by its key of now and for what it executes itself.
    pub(super) fn speak(&mut self) {
        let gateway = self.domain.gateway_name(SPEAKER);
        let control = self.node.authority().published().control;
        let Some(known) = control.gateway(&gateway) else { return self.enrol() };
        let epoch = known.epoch;
        let agent = match known.asserts.len() {
            0 => self.agent(),
            _ if self.chance.one_in(8) => self.agent(),
            many => known.asserts[self.chance.place(many)].id.to_string(),
        };
        let audience = match self.chance.below(12) {
            0 => Audience::Group(self.domain.group()),
            1 => Audience::Gateway { gateway: self.domain.gateway_name(0), epoch: Positive::ONE },
            _ => Audience::Gateway { gateway, epoch },
        };
        let opening = self.action();
        let mandate = self.under(&agent);
        let name = self.members.named(&agent).name();
        let principal = Some(PrincipalRef { kind: name.kind.clone(), id: name.id.clone() });
        let request = Request { principal, ..self.asked_for(&opening, audience, None, mandate) };
        let with = if self.chance.one_in(12) { 1 } else { epoch.get() };
        let key = self.domain.gateway_key(SPEAKER, with);
        let signed = request.sign(self.domain.origin(), key.signing_key());
        self.remember(&signed, &request);
        let answer = self.send(To::Authorize, &signed);
        if answer.is_none() || self.chance.one_in(4) {
            self.network.push((To::Authorize, signed));
        }
        if let Some(Answer::Permit(receipt)) = &answer {
            self.report.spoken += u64::from(!receipt.repeated);
        }
    }
}
