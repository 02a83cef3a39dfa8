//! The world of one schedule, and who moves next.

use super::chance::Chance;
use super::effects::Effects;
use super::gateway::Gateway;
use super::history::breaches;
use super::holding::{DEPLOY, Waiting};
use super::mandated::Mandates;
use super::mandating::Mandated;
use super::node::Node;
use super::report::Report;
use super::speaking::SPEAKER;
use crate::governed::{Entered, Member, Members, PolicyFiles, TestClock, entered, judged, wait};
use crate::scenario::Domain;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use writ_authority::{Answer, Caller, Received, Snapshot};
use writ_ledger::Receipt;
use writ_protocol::action::Opening;
use writ_protocol::entry::{Audience, EntryRef, Positive};
use writ_protocol::statement::{Ask, Authorize, Request, Shadowing};
use writ_protocol::{Body, Ed25519Key, Refusal};
use writ_tlog::{Hash, Origin};

const BASE_MS: u64 = 1_795_248_000_000;
/// Moves of one schedule.
const STEPS: u64 = 66;
const AGENTS: [&str; 5] = ["ann", "ben", "cleo", "dan", "eve"];
/// One schedule in so many runs on a disk that loses its power; others are killed.
const POWER_EACH: u64 = 20;

/// What a schedule came to.
pub struct Outcome {
    /// Counts.
    pub report: Report,
    /// Each move and each answer, in order.
    pub trace: Vec<String>,
    /// The ledger.
    pub origin: Origin,
    /// All of it.
    pub entries: Vec<Entered>,
    /// What was done to the world.
    pub effects: Effects,
    /// Hashes by index of what somebody has heard an answer for.
    pub acknowledged: BTreeMap<u64, Hash>,
}

/// Runs the schedule of a seed, and judges what it leaves.
///
/// # Panics
/// If an invariant is broken.
pub fn simulate(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.finish()
}

/// To whom bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum To {
    Authorize,
    Order,
    Shadow,
    State,
}

/// A writ that goes from hand to hand.
#[derive(Clone)]
pub(super) struct Handed {
    pub(super) writ: Vec<u8>,
    pub(super) hash: Hash,
    pub(super) action: Opening,
}

pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) clock: TestClock,
    pub(super) domain: Domain,
    pub(super) members: Members,
    pub(super) agents: Vec<String>,
    pub(super) policies: Vec<Snapshot>,
    /// The policy set that a node finds when it starts.
    pub(super) folder: usize,
    pub(super) node: Node,
    pub(super) gateways: Vec<Gateway>,
    pub(super) writs: Vec<Handed>,
    /// What was asked for and waits, or has waited, for approval.
    pub(super) waiting: Vec<Waiting>,
    /// The actions that nobody may do unapproved, by what the ledger knows of them.
    pub(super) deployments: BTreeSet<Hash>,
    /// Under what somebody acts, or says so.
    pub(super) mandates: Vec<Mandated>,
    /// The programs that were asked for, by what the ledger knows of them.
    programs: BTreeMap<Hash, &'static str>,
    /// What was sent once, and may arrive again.
    pub(super) network: Vec<(To, Vec<u8>)>,
    pub(super) effects: Effects,
    pub(super) report: Report,
    /// The latest that the clock has ever shown.
    latest_ms: u64,
    /// The actions that were asked for, by the request.
    asked: BTreeMap<Vec<u8>, Opening>,
    /// The first recorded answer to each message: it stays the answer.
    answers: BTreeMap<(To, Vec<u8>), Hash>,
    trace: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut members = Members::standard(4_000);
        members.0.push(Member::new("User", "carol", &["operators"]));
        members.0.push(Member::new("Agent", AGENTS[0], &["agents", "operators"]));
        members.0.extend(AGENTS[1..].iter().map(|id| Member::new("Agent", id, &["agents"])));
        let policies = policies(&members);
        let (domain, clock) = (Domain::new(BASE_MS), TestClock::at(BASE_MS + 1_000));
        let mut world = Self {
            chance: Chance::new(seed),
            node: Node::new(&domain, &clock, seed.is_multiple_of(POWER_EACH)),
            clock,
            domain,
            members,
            agents: AGENTS.map(str::to_owned).to_vec(),
            policies,
            folder: 0,
            gateways: Vec::new(),
            writs: Vec::new(),
            waiting: Vec::new(),
            deployments: BTreeSet::new(),
            mandates: Vec::new(),
            programs: BTreeMap::new(),
            network: Vec::new(),
            effects: Effects::default(),
            report: Report { schedules: 1, ..Report::default() },
            latest_ms: BASE_MS,
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            trace: Vec::new(),
        };
        world.begin();
        for number in 0..2 {
            let key = Ed25519Key::new(world.domain.gateway_key(number, 1).public()).unwrap();
            let (name, group) = (world.domain.gateway_name(number), world.domain.group());
            let receipt = world.node.authority().enrol(&name, key, vec![group]).unwrap();
            world.node.acknowledge(&receipt, &mut world.report);
            world.gateways.push(Gateway::new(number));
        }
        while world.node.authority().published().control.gateway(&world.domain.gateway_name(SPEAKER)).is_none() {
            world.enrol_by("alice");
        }
        world.gateways.push(Gateway::new(SPEAKER));
        world
    }

    fn step(&mut self) {
        self.pass_time();
        if self.chance.one_in(18) {
            self.node.arm(&mut self.chance);
        }
        let (what, act): (_, fn(&mut Self)) = match self.chance.below(100) {
            0..=9 => ("somebody asks", Self::ask),
            10..=12 => ("a gateway speaks", Self::speak),
            13..=65 => ("a gateway moves", Self::move_gateway),
            66..=74 => ("a hold", Self::hold),
            75..=77 => ("a mandate", Self::give_a_mandate),
            78..=81 => ("a gateway is killed", Self::kill_gateway),
            82..=87 => ("something arrives late", Self::arrive),
            88..=91 => ("a revocation", Self::revoke),
            92 => ("a halt", Self::halt),
            93 | 94 => ("the root", Self::resume),
            95 | 96 => ("a policy set", Self::edit_policy),
            97 if self.chance.one_in(2) => ("an enrolment", Self::enrol),
            97 => ("a renewal", Self::renew),
            98 => ("strangers are counted", Self::count),
            _ => ("the node falls", Self::strike),
        };
        self.note(format_args!("{what} at {}", self.clock.now_ms()));
        act(self);
        if self.node.authority().published().control.halted().is_some() && self.chance.one_in(3) {
            self.resume();
        }
    }

    /// Mostly it passes; now and then somebody sets the clock.
    fn pass_time(&mut self) {
        self.clock.pass(self.chance.below(60));
        let now_ms = self.clock.now_ms();
        match self.chance.below(80) {
            0 => self.clock.set(now_ms - self.chance.below(20_000)),
            1 => self.clock.set(now_ms + self.chance.below(90_000)),
            // A machine that sleeps.
            2 => self.clock.pass(self.chance.below(40_000)),
            // Somebody sets a clock right that is behind.
            3..=12 => self.clock.set(now_ms.max(self.latest_ms)),
            _ => {}
        }
        self.latest_ms = self.latest_ms.max(self.clock.now_ms());
    }

    /// An agent asks for a writ to hand over.
    fn ask(&mut self) {
        let opening = self.action();
        let audience = match self.chance.below(3) {
            0 => Audience::Group(self.domain.group()),
            at => {
                let gateway = self.domain.gateway_name(usize::try_from(at - 1).unwrap());
                let control = self.node.authority().published().control;
                let epoch = control.gateway(&gateway).unwrap().epoch;
                // Sometimes an epoch that is over, or not begun.
                let epoch = if self.chance.one_in(10) { Positive::new(epoch.get() + 1).unwrap() } else { epoch };
                Audience::Gateway { gateway, epoch }
            }
        };
        let agent = self.agent();
        let mandate = self.under(&agent);
        if self.chance.one_in(8) {
            let request = self.asked_for(&opening, audience, None, None);
            let ask = Shadowing { gateway: self.domain.group(), mandate, surroundings: self.domain.surroundings() };
            return self.ask_for(To::Shadow, &agent, &Request { ask: Ask::Shadow(ask), ..request });
        }
        let request = self.asked_for(&opening, audience, None, mandate);
        self.ask_for(To::Authorize, &agent, &request);
    }

    /// The mandate that somebody acts under, if any.
    pub(super) fn under(&mut self, agent: &str) -> Option<EntryRef> {
        if self.chance.one_in(2) { self.a_mandate(Some(agent)).map(|given| given.mandate) } else { None }
    }

    /// A request for a writ to hand over.
    pub(super) fn asked_for(
        &self,
        opening: &Opening,
        audience: Audience,
        hold: Option<EntryRef>,
        mandate: Option<EntryRef>,
    ) -> Request {
        let ask = Authorize {
            mandate,
            hold,
            admit: None,
            holder: self.domain.holder_key(),
            audience,
            surroundings: self.domain.surroundings(),
        };
        Request {
            time_ms: self.clock.now_ms(),
            action: opening.value.clone(),
            action_salt: opening.salt,
            ask: Ask::Authorize(ask),
            ..self.domain.asked()
        }
    }

    fn ask_for(&mut self, to: To, agent: &str, request: &Request) {
        let signed = self.sign_as(agent, request);
        if self.send(to, &signed).is_none() || self.chance.one_in(4) {
            self.network.push((to, signed));
        }
    }

    pub(super) fn agent(&mut self) -> String {
        self.agents[self.chance.place(self.agents.len())].clone()
    }

    /// Signed by one of the members; what it opens is remembered.
    pub(super) fn sign_as(&mut self, who: &str, request: &Request) -> Vec<u8> {
        let signed = self.members.named(who).sign(request, self.domain.origin());
        self.remember(&signed, request);
        signed
    }

    /// What a request opens.
    pub(super) fn remember(&mut self, signed: &[u8], request: &Request) {
        let (_, opening) = request.action().unwrap();
        self.asked.insert(signed.to_vec(), opening);
    }

    /// What somebody wants to run; some of it is forbidden.
    pub(super) fn action(&mut self) -> Opening {
        let program = match self.chance.below(8) {
            0 => "/usr/bin/dd",
            1 | 2 => "/usr/bin/cc",
            _ => "/usr/bin/make",
        };
        let opening = self.domain.action(&[program]);
        self.programs.insert(opening.commitment(), program);
        opening
    }

    /// A writ that somebody has in their hands, mostly a new one.
    pub(super) fn handed(&mut self) -> Handed {
        let all = self.writs.len();
        let among = if self.chance.one_in(4) { all } else { all.min(3) };
        self.writs[all - 1 - self.chance.place(among)].clone()
    }

    fn move_gateway(&mut self) {
        self.with_gateway(Gateway::step);
    }

    fn kill_gateway(&mut self) {
        self.with_gateway(Gateway::kill);
    }

    fn with_gateway(&mut self, act: impl FnOnce(&mut Gateway, &mut Self)) {
        let number = self.chance.place(self.gateways.len());
        let mut gateway = std::mem::replace(&mut self.gateways[number], Gateway::new(number));
        act(&mut gateway, self);
        self.gateways[number] = gateway;
    }

    /// What was sent before arrives again, or for the first time.
    fn arrive(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let (to, bytes) = self.network[self.chance.place(self.network.len())].clone();
        self.note(format_args!("again {to:?}"));
        match to {
            To::Authorize | To::Order | To::Shadow => drop(self.send(to, &bytes)),
            To::State => drop(self.state(&bytes)),
        }
    }

    fn count(&mut self) {
        let strangers = self.chance.below(4);
        for _ in 0..strangers {
            self.send(To::Authorize, b"no request");
        }
        let counted = wait(self.node.authority().record_turned_away());
        if self.fell(|| {}) {
            return;
        }
        match counted {
            Ok(Some(receipt)) => self.node.acknowledge(&receipt, &mut self.report),
            Ok(None) => {}
            Err(refusal) => self.report.refused(refusal.code()),
        }
    }

    fn strike(&mut self) {
        self.node.strike_idle(&mut self.chance);
        assert!(self.fell(|| {}), "the node was struck");
    }

    /// Sends a request. Nothing comes back when the node fell meanwhile.
    pub(super) fn send(&mut self, to: To, signed: &[u8]) -> Option<Answer> {
        let (authority, received) = (self.node.authority(), Received::Signed(signed));
        let answer = match to {
            To::Authorize => wait(authority.authorize(&Caller::Remote, received)),
            To::Shadow => wait(authority.shadow(&Caller::Remote, received)),
            To::Order | To::State => wait(authority.order(&Caller::Remote, received)),
        };
        if self.fell(|| {}) {
            return None;
        }
        match &answer {
            Answer::Permit(receipt) => {
                self.heard(to, signed, receipt);
                self.report.grants += u64::from(!receipt.repeated);
                self.note(format_args!("permit {}", receipt.index));
                let (writ, hash) = (receipt.to_writ(), receipt.hash());
                let action = self.asked[signed].clone();
                self.writs.push(Handed { writ, hash, action });
            }
            Answer::Hold(held) => {
                self.heard(to, signed, &held.receipt);
                self.note(format_args!("held {}", held.receipt.index));
            }
            Answer::Done(receipt) => {
                self.heard(to, signed, receipt);
                self.report.orders += u64::from(!receipt.repeated);
                self.note(format_args!("done {}", receipt.index));
            }
            Answer::Deny(denied) => {
                self.heard(to, signed, &denied.receipt);
                self.report.refused(denied.code);
                self.note(format_args!("{} {}", denied.code, denied.receipt.index));
            }
            Answer::Shadow(shadowed) => {
                self.heard(to, signed, &shadowed.receipt);
                self.report.shadows += u64::from(!shadowed.receipt.repeated);
                self.note(format_args!("would {} {}", shadowed.would.as_str(), shadowed.receipt.index));
            }
            Answer::TurnedAway(refusal) => {
                self.report.refused(refusal.code());
                self.note(format_args!("turned away {}", refusal.code()));
            }
        }
        Some(answer)
    }

    /// Sends a gateway's statement.
    pub(super) fn state(&mut self, statement: &[u8]) -> Option<Result<Receipt, Refusal>> {
        let answer = wait(self.node.authority().state(&Caller::Remote, statement, None));
        if self.fell(|| {}) {
            return None;
        }
        match &answer {
            Ok(receipt) => {
                self.heard(To::State, statement, receipt);
                self.note(format_args!("recorded {}", receipt.index));
            }
            Err(refusal) => {
                self.report.refused(refusal.code());
                self.note(format_args!("not recorded: {}", refusal.code()));
            }
        }
        Some(answer)
    }

    fn heard(&mut self, to: To, sent: &[u8], receipt: &Receipt) {
        self.node.acknowledge(receipt, &mut self.report);
        let first = *self.answers.entry((to, sent.to_vec())).or_insert(receipt.hash());
        assert_eq!(first, receipt.hash(), "{to:?} was answered with another entry before {}", receipt.index);
    }

    /// Whether the node was struck; then it is started again with what is left, once `bury` has let go of it.
    pub(super) fn fell(&mut self, bury: impl FnOnce()) -> bool {
        bury();
        let fell = self.node.fall(&mut self.report);
        if fell {
            self.note(format_args!("the node fell"));
            self.begin();
        }
        fell
    }

    /// Starts the node with the policy folder as it is.
    pub(super) fn begin(&mut self) {
        self.folder = self.node.start(&self.domain, &self.policies, self.folder);
    }

    pub(super) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.push(what.to_string());
    }

    fn finish(mut self) -> Outcome {
        self.node.stop();
        let entries = entered(&self.node.place().store);
        self.report.entries = entries.len() as u64;
        let origin = self.domain.origin().clone();
        let acknowledged = std::mem::take(&mut self.node.acknowledged);
        let found = breaches(&origin, &entries, &self.effects, &acknowledged);
        assert!(found.is_empty(), "{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        for entered in &entries {
            if let Body::Grant(grant) = &entered.body
                && self.deployments.contains(&grant.action.digest)
            {
                assert!(grant.hold.is_some(), "grant {} is of what must be approved", entered.index);
            }
        }
        let (mandates, programs) = (Mandates::of(&entries), &self.programs);
        for entered in &entries {
            if let Body::Grant(grant) = &entered.body {
                let wide = programs.get(&grant.action.digest).and_then(|program| mandates.widened(grant, program));
                assert_eq!(wide, None, "grant {} is of a program that its mandate has not", entered.index);
            }
        }
        let judgement = judged(self.node.place(), &self.domain.trust_root());
        assert!(judgement.is_clean(), "{judgement:?}");
        let Self { report, trace, effects, .. } = self;
        Outcome { report, trace, origin, entries, effects, acknowledged }
    }
}

/// Policy sets that come and go: with budgets small and smaller, with one program less, and one that cannot be evaluated.
fn policies(members: &Members) -> Vec<Snapshot> {
    let budget = |id: &str, limit: &str| {
        format!(
            r#"@id("{id}") @budget("{limit}") permit (principal in Group::"agents", action == Action::"exec", resource);"#
        )
    };
    let no_cc = r#"@id("no-cc") forbid (principal, action == Action::"exec", resource) when { context.path == "/usr/bin/cc" };"#;
    let broken = r#"@id("broken") forbid (principal, action == Action::"exec", resource)
        when { context.path == "/usr/bin/cc" && context.argc + 9223372036854775807 > 0 };"#;
    let two = format!(
        r#"@id("two-operators") @approval("2 of operators") @approve_within("2m")
        forbid (principal, action == Action::"exec", resource == Executable::"{DEPLOY}");
        @id("operators-answer")
        permit (principal in Group::"operators", action in [Action::"approve", Action::"reject"], resource)
        when {{ context.auth == "key" && context.groups.contains("operators") }};
        @id("agents-withdraw") permit (principal in Group::"agents", action == Action::"withdraw", resource);
        @id("administrators-enrol") permit (principal in Group::"administrators", action == Action::"enrol", resource);"#
    );
    let mandates = r#"
        @id("administrators-mandate") permit (principal in Group::"administrators", action == Action::"mandate", resource)
        when { context.auth == "key" };
        @id("agents-delegate") permit (principal in Group::"agents", action == Action::"delegate", resource)
        when { context.mandate.depth < 4 };"#;
    let standard = PolicyFiles::standard(members).with("approvals.cedar", &two).with("mandates.cedar", mandates);
    let sets = [
        standard.clone().with("more.cedar", &budget("few", "9")),
        standard.clone().with("more.cedar", &budget("few", "4")),
        standard.clone().with("more.cedar", &format!("{}\n{no_cc}", budget("each-minute", "5 per minute"))),
        standard.with("more.cedar", &format!("{}\n{broken}", budget("few", "12"))),
    ];
    sets.iter().map(PolicyFiles::snapshot).collect()
}
