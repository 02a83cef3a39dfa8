//! Those who change what holds for everybody: the revoker, the halter, the root, the policy editor and the operator.

use super::world::{To, World};
use writ_authority::AuthorityError;
use writ_ledger::LedgerError;
use writ_protocol::action::Command;
use writ_protocol::entry::Target;
use writ_protocol::statement::{Request, RootCommand};
use writ_protocol::{Code, Ed25519Key, Label};

impl World {
    pub(super) fn revoke(&mut self) {
        let target = self.target();
        self.order(Command::Revoke(target));
    }

    /// Mostly single writs: a domain in which all is revoked does nothing more.
    fn target(&mut self) -> Target {
        let agent = self.agent();
        match self.chance.below(20) {
            0 => Target::Gateway(self.domain.gateway_name(1 + self.chance.place(2))),
            8..=11 if !self.mandates.is_empty() => {
                let place = self.chance.place(self.mandates.len());
                Target::Mandate(self.mandates[place].mandate.entry)
            }
            1 | 2 => Target::Policy(self.policies[self.chance.place(self.policies.len())].digest()),
            3..=5 => Target::Principal(self.members.named(&agent).name().clone()),
            6 | 7 => Target::Key(self.members.named(&agent).key().public().fingerprint()),
            other => {
                if self.writs.is_empty() {
                    return Target::Principal(self.members.named(&agent).name().clone());
                }
                let writ = self.writs[self.chance.place(self.writs.len())].hash;
                match other % 2 {
                    0 => Target::Writ(writ),
                    _ => Target::Lineage { ledger: self.domain.origin().clone(), entry: writ },
                }
            }
        }
    }

    pub(super) fn halt(&mut self) {
        self.order(Command::Halt);
    }

    /// Mostly by who may, sometimes by who may not.
    fn order(&mut self, command: Command) {
        let by = if self.chance.one_in(5) { "bob" } else { "alice" };
        let request = Request { time_ms: self.clock.now_ms(), ..self.domain.asked_order(command) };
        let signed = self.members.named(by).sign(&request, self.domain.origin());
        // An order whose answer was lost is given again, with the same bytes.
        if self.send(To::Order, &signed).is_none() || self.chance.one_in(4) {
            self.network.push((To::Order, signed));
        }
    }

    /// The root ends a halt, with the node stopped: only who holds the ledger takes its orders.
    pub(super) fn resume(&mut self) {
        if self.node.authority().published().control.halted().is_none() {
            return;
        }
        let proposal = self.domain.root_order(RootCommand::Resume(Label::new("resolved").unwrap()));
        self.node.stop();
        let ledger = self.node.ledger(&self.domain).unwrap();
        let resumed = ledger.append(proposal);
        if self.fell(|| drop(ledger)) {
            return;
        }
        match resumed {
            Ok(receipt) => {
                self.node.acknowledge(&receipt, &mut self.report);
                self.report.orders += 1;
            }
            Err(LedgerError::Refused(refusal)) => self.report.refused(refusal.code()),
            Err(error) => panic!("the root is not obeyed: {error}"),
        }
        self.begin();
    }

    pub(super) fn edit_policy(&mut self) {
        let next = self.chance.place(self.policies.len());
        let activated = self.node.authority().activate(&self.policies[next]);
        let revoked = self.node.authority().published().control.revoked(&Target::Policy(self.policies[next].digest()));
        // The folder has what was edited last, unless the node has refused it.
        let fell = {
            if revoked.is_none() {
                self.folder = next;
            }
            self.fell(|| {})
        };
        match activated {
            _ if fell => {}
            Ok(active) => self.report.orders += u64::from(active.is_some()),
            Err(AuthorityError::Ledger(LedgerError::Refused(refusal))) => {
                let known = matches!(refusal.code(), Code::Revoked | Code::ClockUntrusted);
                assert!(known, "{refusal}");
                self.report.refused(refusal.code());
            }
            Err(error) => panic!("the policy set is not put in force: {error}"),
        }
    }

    /// The operator enrols a gateway anew, as after a loss of its key: a new epoch.
    pub(super) fn renew(&mut self) {
        let number = self.chance.place(self.gateways.len());
        let name = self.domain.gateway_name(number);
        let control = self.node.authority().published().control;
        let epoch = control.gateway(&name).map_or(1, |known| known.epoch.get() + 1);
        let key = Ed25519Key::new(self.domain.gateway_key(number, epoch).public()).unwrap();
        let renewed = self.node.authority().enrol(&name, key, vec![self.domain.group()]);
        if self.fell(|| {}) {
            return;
        }
        match renewed {
            Ok(receipt) => {
                self.node.acknowledge(&receipt, &mut self.report);
                self.report.orders += 1;
            }
            Err(AuthorityError::Ledger(LedgerError::Refused(refusal))) => self.report.refused(refusal.code()),
            Err(error) => panic!("the gateway is not enrolled: {error}"),
        }
    }
}
