//! What an appender asks for: short stories, one after another, each step of which rests on what was recorded for those before.

use crate::scenario::{Domain, Recorded, Secret, Standing};
use writ_ledger::{Draft, Proposal};
use writ_protocol::action::{Command, CommitmentKind, Opening};
use writ_protocol::entry::{
    Ascending, Enrolment, EntryType, Erased, Erasure, ErasureFields, Positive, RequestRef, Target, Verdict, Window,
};
use writ_protocol::statement::{Claim, Ending, GatewayStatement};
use writ_protocol::{Code, DenialId, Ed25519Key, ExecutionId, HoldId, Name, OrderId, RequestKey, WritId};
use writ_tlog::{Algorithm, sha256};

/// The gateway is renewed this often: control entries are few, as in life.
pub const STORIES_OF_AN_EPOCH: u64 = 32;
const STORY_MS: u64 = 1_000;
const STEP_MS: u64 = 10;
const WINDOW_MS: u64 = 600_000;

/// One story of one appender. Two of the same numbers in the same domain are the same.
pub struct Story<'a> {
    domain: &'a Domain,
    appender: usize,
    number: u64,
}

#[derive(Clone, Copy)]
enum Step {
    Enrol,
    Grant,
    Admitted,
    Spend,
    Start,
    End,
    Terminated,
    Refused,
    Heartbeat,
    Denial,
    Erase,
    Hold,
    Approve(usize),
    Resolve,
    Revoke,
}

impl<'a> Story<'a> {
    /// A story: the first one enrols the appender's gateway.
    pub fn new(domain: &'a Domain, appender: usize, number: u64) -> Self {
        Self { domain, appender, number }
    }

    /// How many steps it has.
    pub fn steps(&self) -> usize {
        steps(self.number).len()
    }

    /// What to append for a step, after `before` was recorded for those before it.
    pub fn proposal(&self, step: usize, standing: &Standing, before: &[Recorded]) -> Proposal {
        let kind = steps(self.number)[step];
        let first = || before.first().expect("the first step is recorded");
        let writ = || before.iter().rfind(|entry| entry.entry_type() == EntryType::Grant).expect("it was granted");
        let draft = match kind {
            Step::Enrol => Draft::Gateway(self.enrolment()),
            Step::Grant | Step::Admitted | Step::Resolve => return self.grant(step, kind, standing, before),
            Step::Denial => return self.denial(step, standing),
            Step::Hold => return self.hold(step, standing),
            Step::Approve(owner) => return self.approval(step, owner, standing, first()),
            Step::Erase => return self.erasure(step, standing, first()),
            Step::Revoke => return self.revocation(step, standing, writ()),
            Step::Spend => self.statement(step, |execution| Claim::Spent {
                writ: writ().hash,
                index: writ().index.get(),
                execution,
                usage: Positive::ONE,
            }),
            Step::Start => self.statement(step, |execution| Claim::Started {
                writ: writ().hash,
                execution,
                action: writ().grant().action.digest,
                surroundings: writ().grant().surroundings.digest,
            }),
            Step::End => self.ended(step, writ(), Ending::Exited(0)),
            Step::Terminated => self.ended(step, writ(), Ending::Terminated(Code::Revoked)),
            Step::Refused => {
                self.statement(step, |_| Claim::Refused { code: Code::Revoked, writ: Some(writ().hash), action: None })
            }
            // What it has verified is what it began with, so that it says the same again.
            Step::Heartbeat => self.statement(step, |_| Claim::Heartbeat { size: 0, root: writ_tlog::empty_root() }),
        };
        Proposal::new(draft)
    }

    /// How what is asked for is recognised when it is asked for again: the request key, or the place of the statement.
    pub fn asked(&self, step: usize) -> String {
        match says(steps(self.number)[step]) {
            true => format!("{}/{}/{}", self.gateway(), self.epoch().get(), self.seq(step).get()),
            false => self.request(step).key.to_string(),
        }
    }

    fn enrolment(&self) -> Enrolment {
        Enrolment {
            gateway: self.gateway(),
            epoch: self.epoch(),
            key: Ed25519Key::new(self.key().public()).unwrap(),
            groups: Ascending::new([self.domain.group()]),
            request: self.request(0),
            time_ms: self.time_ms(0),
            ..self.domain.enrolment(0, 1)
        }
    }

    fn grant(&self, step: usize, kind: Step, standing: &Standing, before: &[Recorded]) -> Proposal {
        let mut draft = self.domain.grant(standing).to_gateway(self.gateway(), self.epoch().get());
        draft = draft.drawing("calls/load", u64::MAX);
        let time_ms = self.time_ms(step);
        draft.fields.id = WritId::new(time_ms, self.ten_bytes("writ"));
        draft.fields.request = self.request(step);
        draft.fields.time_ms = time_ms;
        draft.fields.window = Window::new(time_ms, time_ms + WINDOW_MS).unwrap();
        let [action, facts] = self.openings(&mut draft.openings);
        draft.fields.action.digest = action;
        draft.fields.facts = facts;
        match (kind, before.first()) {
            (Step::Admitted, _) => draft = draft.admitted(self.execution()),
            (Step::Resolve, Some(hold)) => draft.fields.hold = Some(hold.entry_ref()),
            _ => {}
        }
        draft.proposal()
    }

    fn denial(&self, step: usize, standing: &Standing) -> Proposal {
        let mut draft = self.domain.denial(standing);
        draft.denial.id = DenialId::new(self.time_ms(step), self.ten_bytes("denial"));
        draft.denial.request = self.request(step);
        draft.denial.time_ms = self.time_ms(step);
        let [action, facts] = self.openings(&mut draft.openings);
        draft.denial.action.digest = action;
        draft.denial.facts = Some(facts);
        draft.proposal()
    }

    fn hold(&self, step: usize, standing: &Standing) -> Proposal {
        let mut draft = self.domain.hold(standing);
        draft.fields.id = HoldId::new(self.time_ms(step), self.ten_bytes("hold"));
        draft.fields.request = self.request(step);
        draft.fields.time_ms = self.time_ms(step);
        draft.fields.until_ms = self.time_ms(step) + WINDOW_MS;
        let [action, facts] = self.openings(&mut draft.openings);
        draft.fields.action.digest = action;
        draft.fields.facts = facts;
        draft.proposal()
    }

    fn approval(&self, step: usize, owner: usize, standing: &Standing, hold: &Recorded) -> Proposal {
        let salt = |of: &str| *sha256(self.label(&format!("{of} {step}")).as_bytes()).as_bytes();
        let held = hold.held();
        let mut asked = self.domain.asked_order(Command::Answer(Verdict::Approve, held.clone()));
        asked.key = self.request(step).key;
        asked.time_ms = self.time_ms(step);
        asked.salt = salt("request");
        asked.action_salt = salt("action");
        let mut draft = self.domain.answer_asked(owner, held, Verdict::Approve, &asked);
        let facts = draft.openings.iter_mut().find(|opening| opening.kind == CommitmentKind::Facts).unwrap();
        facts.salt = salt("facts");
        draft.fields.facts = facts.commitment();
        draft.fields.policy.entities.clone_from(&standing.entities);
        draft.fields.id = OrderId::new(self.time_ms(step), self.ten_bytes(&format!("approval {step}")));
        draft.fields.time_ms = self.time_ms(step);
        draft.proposal()
    }

    fn erasure(&self, step: usize, standing: &Standing, of: &Recorded) -> Proposal {
        let facts = of.body.commitments().into_iter().find(|(kind, _)| *kind == CommitmentKind::Facts);
        let (_, commitment) = facts.expect("a denial commits to its facts");
        let (erasure, mut openings) = self.domain.erasing([Erased { index: of.index.get(), commitment }]);
        let mut fields = ErasureFields::clone(&erasure);
        fields.id = OrderId::new(self.time_ms(step), self.ten_bytes("erasure"));
        fields.request = self.request(step);
        fields.time_ms = self.time_ms(step);
        fields.policy.entities.clone_from(&standing.entities);
        self.salt(&mut openings);
        let commitment = |kind| openings.iter().find(|opening| opening.kind == kind).unwrap().commitment();
        fields.action.digest = commitment(CommitmentKind::Action);
        fields.facts = commitment(CommitmentKind::Facts);
        Proposal::new(Draft::Erasure(Erasure::new(fields).unwrap())).with_openings(openings)
    }

    fn revocation(&self, step: usize, standing: &Standing, of: &Recorded) -> Proposal {
        let (mut revocation, mut openings) = self.domain.revocation(Target::Writ(of.hash));
        revocation.id = OrderId::new(self.time_ms(step), self.ten_bytes("revocation"));
        revocation.request = self.request(step);
        revocation.time_ms = self.time_ms(step);
        revocation.policy.entities.clone_from(&standing.entities);
        self.salt(&mut openings);
        let commitment = |kind| openings.iter().find(|opening| opening.kind == kind).unwrap().commitment();
        revocation.action.digest = commitment(CommitmentKind::Action);
        revocation.facts = commitment(CommitmentKind::Facts);
        Proposal::new(Draft::Revocation(revocation)).with_openings(openings)
    }

    fn ended(&self, step: usize, of: &Recorded, result: Ending) -> Draft {
        self.statement(step, |execution| Claim::Ended { writ: of.hash, execution, result })
    }

    fn statement(&self, step: usize, claim: impl FnOnce(ExecutionId) -> Claim) -> Draft {
        let statement = GatewayStatement {
            gateway: self.gateway(),
            epoch: self.epoch(),
            seq: self.seq(step),
            time_ms: self.time_ms(step),
            claim: claim(self.execution()),
        };
        Draft::Statement(statement.sign(self.domain.origin(), self.key().signing_key()))
    }

    /// The same action and facts with the same salts for every step of the story.
    fn openings(&self, openings: &mut [Opening]) -> [writ_tlog::Hash; 2] {
        self.salt(openings);
        let action = self.domain.action(&["/usr/bin/make", "load"]).value;
        [CommitmentKind::Action, CommitmentKind::Facts].map(|kind| {
            let opening = openings.iter_mut().find(|opening| opening.kind == kind).unwrap();
            if kind == CommitmentKind::Action {
                opening.value.clone_from(&action);
            }
            opening.commitment()
        })
    }

    fn salt(&self, openings: &mut [Opening]) {
        for opening in openings.iter_mut() {
            opening.salt = *sha256(self.label(opening.kind.as_str()).as_bytes()).as_bytes();
        }
    }

    fn gateway(&self) -> Name {
        Name::new(format!("load-{}", self.appender)).unwrap()
    }

    fn epoch(&self) -> Positive {
        Positive::new(1 + self.number / STORIES_OF_AN_EPOCH).unwrap()
    }

    fn key(&self) -> Secret {
        Secret::new(Algorithm::Ed25519, &format!("{} epoch {}", self.gateway(), self.epoch().get()))
    }

    /// The number of the statement in its epoch.
    fn seq(&self, step: usize) -> Positive {
        let first = self.number - self.number % STORIES_OF_AN_EPOCH;
        let statements = |steps: &[Step]| steps.iter().filter(|step| says(**step)).count();
        let before: usize = (first..self.number).map(|number| statements(steps(number))).sum();
        Positive::new((before + statements(&steps(self.number)[..=step])) as u64).unwrap()
    }

    fn execution(&self) -> ExecutionId {
        ExecutionId::new(self.time_ms(0), self.ten_bytes("execution"))
    }

    fn request(&self, step: usize) -> RequestRef {
        let key = RequestKey::new(self.time_ms(step), self.ten_bytes(&format!("request {step}")));
        RequestRef { key, digest: sha256(key.as_bytes()) }
    }

    fn time_ms(&self, step: usize) -> u64 {
        self.domain.base_ms() + self.number * STORY_MS + step as u64 * STEP_MS
    }

    fn ten_bytes(&self, label: &str) -> [u8; 10] {
        *sha256(self.label(label).as_bytes()).as_bytes().first_chunk().unwrap()
    }

    fn label(&self, of: &str) -> String {
        format!("load {} story {} {of}", self.appender, self.number)
    }
}

fn steps(number: u64) -> &'static [Step] {
    use Step::*;
    match (number % STORIES_OF_AN_EPOCH, number % 8) {
        (0, _) => &[Enrol],
        (7, _) => &[Grant, Spend, Start, Revoke, Terminated, Refused],
        (_, 0 | 5) => &[Admitted, Start, End],
        (_, 2) => &[Denial],
        (_, 4) => &[Hold, Approve(1), Approve(2), Resolve, Spend, Heartbeat],
        (_, 6) => &[Denial, Erase],
        _ => &[Grant, Spend, Start, End],
    }
}

/// Whether the gateway says it, under a number of its own.
fn says(step: Step) -> bool {
    match step {
        Step::Spend | Step::Start | Step::End | Step::Terminated | Step::Refused | Step::Heartbeat => true,
        Step::Enrol
        | Step::Grant
        | Step::Admitted
        | Step::Denial
        | Step::Erase
        | Step::Hold
        | Step::Approve(_)
        | Step::Resolve
        | Step::Revoke => false,
    }
}
