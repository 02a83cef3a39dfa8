//! A gateway: what it has in memory, step by step. Whatever it has not had recorded dies with it.

use super::node::Node;
use super::world::{Handed, To, World};
use std::mem;
use writ_enforcer::{Admission, BootTime, ControlView, Enforcer, Examined, Identity, Own, Presented, Running, Scene};
use writ_ledger::{Disclosure, Receipt};
use writ_protocol::action::Action;
use writ_protocol::entry::{Ascending, Audience, Positive};
use writ_protocol::statement::{Ask, Authorize, Claim, Ending, GatewayStatement, Presentation, Request};
use writ_protocol::{Code, Label, Refusal};
use writ_tlog::{Hash, LeafIndex};

pub(super) struct Gateway {
    number: usize,
    epoch: u64,
    /// The number of its last statement, as far as it knows.
    seq: u64,
    enforcer: Option<Enforcer>,
    view: Option<ControlView>,
    job: Job,
}

/// What an execution may come to carry.
const LABELS: [&str; 2] = ["secret-read", "untrusted-input"];

/// Which use of which writ.
type Use = (Hash, u64);

enum Job {
    /// Not there: killed, or not begun.
    Down,
    Idle,
    /// Waits for the proof that its heartbeat is recorded.
    Viewing {
        view: Box<ControlView>,
        heartbeat: Vec<u8>,
        sent: BootTime,
    },
    /// Waits for a writ of its own.
    Asking {
        own: Own,
        signed: Vec<u8>,
        action: Box<Action>,
    },
    /// Waits for the proof that a use is spent.
    Spending {
        examined: Box<Examined>,
        statement: Vec<u8>,
        sent: BootTime,
    },
    Admitted(Box<Admission>),
    /// Waits until it is recorded what the execution carries.
    Labelling {
        admission: Box<Admission>,
        statement: Vec<u8>,
    },
    /// Waits for the proof that the start is recorded.
    Starting {
        running: Running,
        of: Use,
        statement: Vec<u8>,
    },
    Started {
        running: Running,
        of: Use,
    },
    Running(Running),
    /// Waits until its last word on something is recorded.
    Telling {
        statement: Vec<u8>,
    },
}

impl Job {
    const fn name(&self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Idle => "idle",
            Self::Viewing { .. } => "viewing",
            Self::Asking { .. } => "asking",
            Self::Spending { .. } => "spending",
            Self::Admitted(_) => "admitted",
            Self::Labelling { .. } => "labelling",
            Self::Starting { .. } => "starting",
            Self::Started { .. } => "started",
            Self::Running(_) => "running",
            Self::Telling { .. } => "telling",
        }
    }

    /// What it has said and not heard an answer to.
    fn in_flight(&self) -> Option<&[u8]> {
        match self {
            Self::Viewing { heartbeat: statement, .. }
            | Self::Spending { statement, .. }
            | Self::Labelling { statement, .. }
            | Self::Starting { statement, .. }
            | Self::Telling { statement } => Some(statement),
            Self::Down
            | Self::Idle
            | Self::Asking { .. }
            | Self::Admitted(_)
            | Self::Started { .. }
            | Self::Running(_) => None,
        }
    }
}

/// What became of a statement.
enum Heard {
    Recorded(Receipt),
    Refused(Refusal),
    /// The node fell meanwhile: nobody knows. The same bytes can be sent again.
    Nothing,
}

impl Gateway {
    pub(super) fn new(number: usize) -> Self {
        Self { number, epoch: 0, seq: 0, enforcer: None, view: None, job: Job::Down }
    }

    /// Its memory is lost; what it had said may still arrive.
    pub(super) fn kill(&mut self, world: &mut World) {
        *world.report.gateways_killed.entry(self.job.name()).or_default() += 1;
        if let Some(statement) = self.job.in_flight() {
            world.network.push((To::State, statement.to_vec()));
        }
        *self = Self::new(self.number);
    }

    pub(super) fn step(&mut self, world: &mut World) {
        world.note(format_args!("gateway {} {}", self.number, self.job.name()));
        self.job = match mem::replace(&mut self.job, Job::Idle) {
            Job::Down => self.restore(world),
            Job::Idle if world.chance.one_in(2) => self.ask(world),
            Job::Idle => self.examine(world),
            Job::Viewing { view, heartbeat, sent } => self.viewed(world, *view, heartbeat, sent),
            Job::Asking { own, signed, action } => self.asked(world, own, signed, action),
            Job::Spending { examined, statement, sent } => self.spent(world, examined, statement, sent),
            Job::Admitted(admission) if world.chance.one_in(4) => {
                let label = Label::new(LABELS[world.chance.place(LABELS.len())]).unwrap();
                let statement = self.sign(world, admission.labelled(Ascending::new([label])));
                Job::Labelling { admission, statement }
            }
            Job::Labelling { admission, statement } => match self.say(world, &statement) {
                Heard::Recorded(_) => {
                    world.report.labelled += 1;
                    Job::Admitted(admission)
                }
                Heard::Refused(refusal) => self.lost(world, &refusal),
                Heard::Nothing => Job::Labelling { admission, statement },
            },
            Job::Admitted(admission) => {
                let of = (*admission.writ().entry(), admission.usage().get());
                let (claim, running) = admission.start();
                Job::Starting { running, of, statement: self.sign(world, claim) }
            }
            Job::Starting { running, of, statement } => match self.say(world, &statement) {
                Heard::Recorded(_) => Job::Started { running, of },
                Heard::Refused(refusal) => self.lost(world, &refusal),
                Heard::Nothing => Job::Starting { running, of, statement },
            },
            Job::Started { running, of: (writ, usage) } => {
                world.effects.happen(writ, usage, running.execution());
                world.report.effects += 1;
                Job::Running(running)
            }
            Job::Running(running) => {
                let statement = self.sign(world, running.ended(Ending::Exited(0)));
                Job::Telling { statement }
            }
            Job::Telling { statement } => match self.say(world, &statement) {
                Heard::Recorded(_) => Job::Idle,
                Heard::Refused(refusal) => self.lost(world, &refusal),
                Heard::Nothing => Job::Telling { statement },
            },
        };
    }

    /// Finds out where it stands, and closes what an earlier life has left open: nobody knows what it ran.
    fn restore(&mut self, world: &mut World) -> Job {
        let name = world.domain.gateway_name(self.number);
        let control = world.node.authority().published().control;
        let epoch = control.gateway(&name).unwrap().epoch;
        let (last_seq, open) = {
            let reader = world.node.reader();
            (reader.last_seq(&name, epoch).unwrap(), reader.open_executions(&name).unwrap())
        };
        (self.epoch, self.seq) = (epoch.get(), last_seq);
        let identity = Identity { origin: world.domain.origin().clone(), gateway: name, epoch };
        self.enforcer = Some(Enforcer::new(identity, world.domain.trust_root()));
        for left in open {
            let claim = Claim::Ended { writ: left.writ, execution: left.id, result: Ending::Unknown };
            let statement = self.sign(world, claim);
            match self.say(world, &statement) {
                Heard::Recorded(_) => {}
                Heard::Refused(_) | Heard::Nothing => return Job::Down,
            }
        }
        Job::Idle
    }

    /// Something it did not do stands under its name, or it may not go on: it begins anew.
    fn lost(&mut self, world: &mut World, refusal: &Refusal) -> Job {
        world.note(format_args!("gateway {} begins anew: {}", self.number, refusal.code()));
        *self = Self::new(self.number);
        Job::Down
    }

    fn ask(&mut self, world: &mut World) -> Job {
        let opening = world.action();
        let identity = self.enforcer().identity().clone();
        let sent = world.clock.boot();
        let own = Own::new(world.chance.bytes(), world.domain.execution_id(), opening.salt, sent);
        let agent = world.agent();
        let ask = Authorize {
            mandate: world.under(&agent),
            hold: None,
            admit: Some(own.admitted()),
            holder: world.domain.holder_key(),
            audience: Audience::Gateway { gateway: identity.gateway, epoch: identity.epoch },
            surroundings: world.domain.surroundings(),
        };
        let action = Action::decode(&opening.value).unwrap();
        let request = Request {
            time_ms: world.clock.now_ms(),
            action: opening.value,
            action_salt: opening.salt,
            ask: Ask::Authorize(ask),
            ..world.domain.asked()
        };
        let signed = world.sign_as(&agent, &request);
        Job::Asking { own, signed, action: Box::new(action) }
    }

    fn asked(&mut self, world: &mut World, own: Own, signed: Vec<u8>, action: Box<Action>) -> Job {
        let Some(answer) = world.send(To::Authorize, &signed) else { return Job::Asking { own, signed, action } };
        let writ_authority::Answer::Permit(receipt) = answer else { return Job::Idle };
        let surroundings = world.domain.surroundings();
        let scene = Scene { action: &action, surroundings: &surroundings, sandboxes: &[] };
        match self.enforcer().admit_own(own, &receipt.to_writ(), scene, world.clock.moment()) {
            Ok(admission) => Job::Admitted(Box::new(admission)),
            Err(refusal) => self.refuse(world, refusal.code()),
        }
    }

    /// A writ that was handed over, or stolen, or presented before.
    fn examine(&mut self, world: &mut World) -> Job {
        if world.writs.is_empty() {
            return Job::Idle;
        }
        let view = match self.view.take() {
            Some(view) if !world.chance.one_in(3) => view,
            Some(_) | None => return self.look(world),
        };
        let handed = world.handed();
        let presentation = self.presentation(world, &handed);
        // Some who present a writ have stolen it, want to use it again, or to run something else.
        let attack = world.chance.below(24);
        let thief = world.domain.gateway_key(self.number, self.epoch);
        let holder = if attack == 0 { &thief } else { world.domain.holder() };
        let usage = Positive::new(if attack == 1 { 2 } else { 1 }).unwrap();
        let other = world.domain.action(&["/usr/bin/sh"]);
        let action = Action::decode(if attack == 2 { &other.value } else { &handed.action.value }).unwrap();
        let presented = Presented {
            writ: &handed.writ,
            action_salt: &handed.action.salt,
            presentation: &presentation.sign(world.domain.origin(), holder.signing_key()),
            nonce: presentation.nonce,
        };
        let surroundings = world.domain.surroundings();
        let scene = Scene { action: &action, surroundings: &surroundings, sandboxes: &[] };
        let examined = self.enforcer().examine(presented, &view, scene, usage, world.clock.moment());
        assert!(attack > 2 || examined.is_err(), "attack {attack} on writ {} was let through", handed.hash);
        self.view = Some(view);
        match examined {
            Ok(examined) => {
                let statement = self.sign(world, examined.spend(world.domain.execution_id()));
                Job::Spending { examined: Box::new(examined), statement, sent: world.clock.boot() }
            }
            Err(refusal) => self.refuse(world, refusal.code()),
        }
    }

    fn presentation(&mut self, world: &mut World, handed: &Handed) -> Presentation {
        let identity = self.enforcer().identity().clone();
        Presentation {
            writ: handed.hash,
            epoch: identity.epoch,
            nonce: world.chance.bytes(),
            action: handed.action.commitment(),
            gateway: identity.gateway,
            time_ms: world.clock.now_ms(),
        }
    }

    fn spent(&mut self, world: &mut World, examined: Box<Examined>, statement: Vec<u8>, sent: BootTime) -> Job {
        match self.say(world, &statement) {
            Heard::Recorded(receipt) => {
                match examined.spent(&statement, &receipt.to_writ(), sent, world.clock.moment()) {
                    Ok(admission) => Job::Admitted(Box::new(admission)),
                    Err(refusal) => {
                        // The use is spent, and starts nothing: a new beginning closes it as unknown.
                        let in_time = matches!(refusal.code(), Code::ViewStale | Code::Expired | Code::NotYetValid);
                        assert!(in_time, "a spend that was recorded is not believed: {refusal}");
                        world.report.refused(refusal.code());
                        self.lost(world, &refusal)
                    }
                }
            }
            // The number of the statement was taken by another one, or the use was.
            Heard::Refused(refusal) => self.lost(world, &refusal),
            Heard::Nothing => Job::Spending { examined, statement, sent },
        }
    }

    fn look(&mut self, world: &mut World) -> Job {
        let bundle = control(&world.node);
        match ControlView::begin(world.domain.trust_root(), &bundle) {
            Ok(view) => {
                let heartbeat = self.sign(world, Claim::from(&view));
                Job::Viewing { view: Box::new(view), heartbeat, sent: world.clock.boot() }
            }
            Err(refusal) => panic!("the node's own bundle is not believed: {refusal}"),
        }
    }

    fn viewed(&mut self, world: &mut World, mut view: ControlView, heartbeat: Vec<u8>, sent: BootTime) -> Job {
        let receipt = match self.say(world, &heartbeat) {
            Heard::Recorded(receipt) => receipt,
            Heard::Refused(refusal) => return self.lost(world, &refusal),
            Heard::Nothing => return Job::Viewing { view: Box::new(view), heartbeat, sent },
        };
        let consistency = {
            let reader = world.node.reader();
            reader.consistency(view.size(), &reader.view().unwrap()).unwrap()
        };
        view.advance(&control(&world.node), &consistency).unwrap();
        view.confirm(&heartbeat, &receipt.to_writ(), sent).unwrap();
        self.view = Some(view);
        Job::Idle
    }

    fn refuse(&mut self, world: &mut World, code: Code) -> Job {
        world.report.refused(code);
        world.note(format_args!("gateway {} refuses: {code}", self.number));
        let claim = Claim::Refused { code, writ: None, action: None };
        Job::Telling { statement: self.sign(world, claim) }
    }

    fn enforcer(&mut self) -> &mut Enforcer {
        self.enforcer.as_mut().expect("a gateway that is up has one")
    }

    /// The next statement. Until it is recorded its number stays the same.
    fn sign(&self, world: &World, claim: Claim) -> Vec<u8> {
        let statement = GatewayStatement {
            gateway: world.domain.gateway_name(self.number),
            epoch: Positive::new(self.epoch).unwrap(),
            seq: Positive::new(self.seq + 1).unwrap(),
            time_ms: world.clock.now_ms(),
            claim,
        };
        let key = world.domain.gateway_key(self.number, self.epoch);
        statement.sign(world.domain.origin(), key.signing_key())
    }

    fn say(&mut self, world: &mut World, statement: &[u8]) -> Heard {
        if world.chance.one_in(4) {
            world.network.push((To::State, statement.to_vec()));
        }
        match world.state(statement) {
            None => Heard::Nothing,
            Some(Ok(receipt)) => {
                self.seq += 1;
                Heard::Recorded(receipt)
            }
            Some(Err(refusal)) => Heard::Refused(refusal),
        }
    }
}

/// The bundle of genesis: the control chain as it is now.
fn control(node: &Node) -> Vec<u8> {
    let reader = node.reader();
    let view = reader.view().unwrap();
    reader.bundle(LeafIndex::new(0), &view, Disclosure::Nothing).unwrap().encode()
}
