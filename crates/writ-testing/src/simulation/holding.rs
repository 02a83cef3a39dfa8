//! Those who wait for approval, and those who are asked for it.

use super::world::{To, World};
use writ_authority::Answer;
use writ_protocol::action::{Command, Held, Opening};
use writ_protocol::entry::{Audience, EntryRef, Verdict};
use writ_protocol::statement::Request;

/// What waits, and who for.
#[derive(Clone)]
pub(super) struct Waiting {
    asker: String,
    opening: Opening,
    hold: EntryRef,
}

const OPERATORS: [&str; 3] = ["alice", "bob", "carol"];
/// An agent that is an operator too, and one that is not.
const AGENTS: [&str; 2] = ["ann", "ben"];
/// What two operators must approve.
pub(super) const DEPLOY: &str = "/usr/bin/deploy";

impl World {
    /// Somebody asks for what must be approved, answers it, or comes back for it.
    pub(super) fn hold(&mut self) {
        match self.chance.below(8) {
            _ if self.waiting.is_empty() => self.ask_to_deploy(),
            0 => self.ask_to_deploy(),
            1..=4 => self.answer_a_hold(),
            5 if self.chance.one_in(3) => self.take_back(),
            _ => self.come_back(),
        }
    }

    fn ask_to_deploy(&mut self) {
        let opening = self.domain.action(&[DEPLOY]);
        let request = self.deployment(&opening, None);
        // One of the agents is an operator too: it is often the asker, so that it answers what it has asked.
        let asker = if self.chance.one_in(2) { "ann".to_owned() } else { self.agent() };
        let signed = self.sign_as(&asker, &request);
        match self.send(To::Authorize, &signed) {
            Some(Answer::Hold(held)) => {
                let ledger = self.domain.origin().clone();
                let hold = EntryRef { ledger, index: held.receipt.index.get(), entry: held.receipt.hash() };
                self.report.holds += 1;
                self.waiting.push(Waiting { asker, opening, hold });
            }
            Some(_) => {}
            None => self.network.push((To::Authorize, signed)),
        }
    }

    fn answer_a_hold(&mut self) {
        let waiting = self.latest();
        let verdict = if self.chance.one_in(16) { Verdict::Reject } else { Verdict::Approve };
        let other = self.domain.action(&[DEPLOY, "elsewhere"]);
        let action = if self.chance.one_in(16) { &other } else { &waiting.opening }.commitment();
        let command = Command::Answer(verdict, Held { hold: waiting.hold, action });
        let request = Request { time_ms: self.clock.now_ms(), ..self.domain.asked_order(command) };
        let among: &[&str] = if self.chance.one_in(6) { &AGENTS } else { &OPERATORS };
        let by = among[self.chance.place(among.len())];
        let signed = self.members.named(by).sign(&request, self.domain.origin());
        if self.send(To::Order, &signed).is_none() || self.chance.one_in(4) {
            self.network.push((To::Order, signed));
        }
    }

    /// Whoever waits takes it back; sometimes it is somebody else who says so.
    fn take_back(&mut self) {
        let waiting = self.latest();
        let by = if self.chance.one_in(4) { self.agent() } else { waiting.asker.clone() };
        let command =
            Command::Answer(Verdict::Withdraw, Held { hold: waiting.hold, action: waiting.opening.commitment() });
        let request = Request { time_ms: self.clock.now_ms(), ..self.domain.asked_order(command) };
        let signed = self.members.named(&by).sign(&request, self.domain.origin());
        let answer = self.send(To::Order, &signed);
        if answer.is_none() || self.chance.one_in(4) {
            self.network.push((To::Order, signed));
        }
        if let Some(Answer::Done(receipt)) = &answer {
            self.report.withdrawn += u64::from(!receipt.repeated);
        }
    }

    /// Whoever waits asks again; sometimes for something else, and sometimes it is somebody else.
    fn come_back(&mut self) {
        let waiting = self.latest();
        let other = self.domain.action(&[DEPLOY, "elsewhere"]);
        let opening = if self.chance.one_in(10) { &other } else { &waiting.opening };
        let asker = if self.chance.one_in(10) { self.agent() } else { waiting.asker.clone() };
        let request = self.deployment(opening, Some(waiting.hold.clone()));
        let signed = self.sign_as(&asker, &request);
        let answer = self.send(To::Authorize, &signed);
        if answer.is_none() || self.chance.one_in(4) {
            self.network.push((To::Authorize, signed));
        }
        if let Some(Answer::Permit(receipt)) = &answer {
            self.report.approved += u64::from(!receipt.repeated);
        }
    }

    fn deployment(&mut self, opening: &Opening, hold: Option<EntryRef>) -> Request {
        self.deployments.insert(opening.commitment());
        self.asked_for(opening, Audience::Group(self.domain.group()), hold, None)
    }

    /// Mostly the last one, so that some are answered often enough.
    fn latest(&mut self) -> Waiting {
        let all = self.waiting.len();
        let at = if self.chance.one_in(6) { self.chance.place(all) } else { all - 1 };
        self.waiting[at].clone()
    }
}
