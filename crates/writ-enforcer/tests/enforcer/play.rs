//! One execution that is admitted, in parts that a test can spoil one at a time.

use crate::ledger::{GATEWAY, Ledger, NOW_MS, ed25519, gateway_key, label, name, policy_set, positive, public};
use writ_enforcer::{Admission, BootTime, ControlView, Enforcer, Examined, Identity, Moment, Own, Presented, Scene};
use writ_protocol::action::{Action, ActionKind, CommitmentKind, Exec, ExecFields, Opening, Stdin, Variables};
use writ_protocol::entry::{
    ActionRef, Admitted, AsOf, Ascending, Audience, Cause, Grant, GrantFields, Lease, Level, Obligation, Place, Policy,
    Positive, Principal, Scope, Surroundings, Window,
};
use writ_protocol::statement::{Claim, Component, GatewayStatement, Presentation, surroundings_digest};
use writ_protocol::{Code, ExecutionId, Refusal, TrustRoot, WritId};
use writ_tlog::{Hash, sha256};

/// The ledger of the domain.
pub(crate) const ORIGIN: &str = "writ.example/ledger";
/// When the gateway sends what it sends, since boot.
pub(crate) const SENT: BootTime = BootTime(5_000_000);
/// For how long the answer to it, and a view, are of use.
pub(crate) const FREEZE_MS: u64 = 10_000;
/// How long the window is.
pub(crate) const WINDOW_MS: u64 = 60_000;
const SALT: [u8; 32] = [7; 32];
const NONCE: [u8; 32] = [9; 32];

/// What somebody else does to the bytes on their way.
pub(crate) type Tamper = Box<dyn Fn(&mut Vec<u8>)>;
/// What happens in the ledger once the writ, whose entry hash this is, is granted.
pub(crate) type Meanwhile = Box<dyn Fn(&mut Ledger, Hash)>;
/// Another presentation than the one that was asked for.
pub(crate) type Misstatement = Box<dyn Fn(&mut Presentation)>;

/// Every part is as it should be, until a test changes one.
pub(crate) struct Play {
    pub(crate) ledger: Ledger,
    pub(crate) trust: TrustRoot,
    pub(crate) identity: Identity,
    /// What is granted.
    pub(crate) terms: GrantFields,
    /// What is about to run.
    pub(crate) exec: ExecFields,
    pub(crate) surroundings: Vec<Component>,
    pub(crate) sandboxes: Vec<&'static str>,
    pub(crate) action_salt: [u8; 32],
    pub(crate) execution: ExecutionId,
    /// What the process that uses its own grant has in memory.
    pub(crate) own_nonce: [u8; 32],
    /// What the gateway has drawn for a presentation.
    pub(crate) drawn: [u8; 32],
    /// Whose key signs the presentation.
    pub(crate) holder: &'static str,
    pub(crate) usage: Positive,
    pub(crate) now: Moment,
    pub(crate) tamper_writ: Tamper,
    pub(crate) tamper_presentation: Tamper,
    pub(crate) misstate: Misstatement,
    pub(crate) meanwhile: Meanwhile,
}

/// What the enforcer has examined, with the ledger that can record the spend.
pub(crate) struct Handed {
    pub(crate) play: Play,
    pub(crate) examined: Examined,
}

impl Play {
    pub(crate) fn new() -> Self {
        Self::of(Ledger::new(ORIGIN))
    }

    pub(crate) fn of(mut ledger: Ledger) -> Self {
        let exec = make();
        let terms = terms(&mut ledger, &exec);
        Self {
            trust: ledger.trust(),
            identity: Identity { origin: ledger.origin().clone(), gateway: name(GATEWAY), epoch: Positive::ONE },
            terms,
            exec,
            surroundings: surroundings(),
            sandboxes: vec!["strict"],
            action_salt: SALT,
            execution: ExecutionId::new(NOW_MS, [1; 10]),
            own_nonce: NONCE,
            drawn: [3; 32],
            holder: "holder",
            usage: Positive::ONE,
            now: Moment { wall_ms: NOW_MS + 100, boot: BootTime(SENT.0 + 100) },
            tamper_writ: Box::new(|_| {}),
            tamper_presentation: Box::new(|_| {}),
            misstate: Box::new(|_| {}),
            meanwhile: Box::new(|_, _| {}),
            ledger,
        }
    }

    fn enforcer(&self) -> Enforcer {
        Enforcer::new(self.identity.clone(), self.trust.clone())
    }

    pub(crate) fn action(&self) -> Action {
        Action::Exec(Exec::new(self.exec.clone()).unwrap())
    }

    fn scene<'a>(&'a self, action: &'a Action) -> Scene<'a> {
        Scene { action, surroundings: &self.surroundings, sandboxes: &self.sandboxes }
    }

    /// Logs the grant. Returns its index.
    pub(crate) fn granted(&mut self) -> u64 {
        self.ledger.grant(Grant::new(self.terms.clone()).unwrap())
    }

    /// Writ bytes as they arrive.
    pub(crate) fn writ(&self, index: u64) -> Vec<u8> {
        let mut writ = self.ledger.proved(index);
        (self.tamper_writ)(&mut writ);
        writ
    }

    /// The gateway asks for its own immediate use.
    pub(crate) fn admit_own(mut self) -> Result<Admission, Refusal> {
        let index = self.granted();
        let writ = self.writ(index);
        let own = Own::new(self.own_nonce, self.execution, self.action_salt, SENT);
        let action = self.action();
        self.enforcer().admit_own(own, &writ, self.scene(&action), self.now)
    }

    /// Somebody presents a writ: the whole way.
    pub(crate) fn admit_handed(self) -> Result<Admission, Refusal> {
        self.hand_over()?.spend()
    }

    /// Somebody presents a writ, as far as it can go without a spend.
    pub(crate) fn hand_over(mut self) -> Result<Handed, Refusal> {
        let index = self.granted();
        let entry = self.ledger.hash(index);
        (self.meanwhile)(&mut self.ledger, entry);
        let view = self.view();
        let writ = self.writ(index);
        let examined = self.examine(&writ, entry, &view)?;
        Ok(Handed { play: self, examined })
    }

    /// Presents a writ under a view.
    pub(crate) fn examine(&self, writ: &[u8], entry: Hash, view: &ControlView) -> Result<Examined, Refusal> {
        let presentation = self.presentation(entry);
        let presented =
            Presented { writ, action_salt: &self.action_salt, presentation: &presentation, nonce: self.drawn };
        let action = self.action();
        self.enforcer().examine(presented, view, self.scene(&action), self.usage, self.now)
    }

    /// What the holder signs.
    pub(crate) fn presentation(&self, writ: Hash) -> Vec<u8> {
        let opening = Opening { kind: CommitmentKind::Action, salt: SALT, value: self.action().encode().unwrap() };
        let mut presentation = Presentation {
            writ,
            epoch: self.identity.epoch,
            nonce: self.drawn,
            action: opening.commitment(),
            gateway: self.identity.gateway.clone(),
            time_ms: NOW_MS,
        };
        (self.misstate)(&mut presentation);
        let mut signed = presentation.sign(self.ledger.origin(), &ed25519(self.holder));
        (self.tamper_presentation)(&mut signed);
        signed
    }

    /// What the gateway says.
    pub(crate) fn say(&self, claim: Claim) -> Vec<u8> {
        let Identity { origin, gateway, epoch } = &self.identity;
        let statement =
            GatewayStatement { gateway: gateway.clone(), epoch: *epoch, seq: Positive::ONE, time_ms: NOW_MS, claim };
        statement.sign(origin, &ed25519(&gateway_key(gateway.as_str(), epoch.get())))
    }

    /// A view that a heartbeat, sent at [`SENT`], has confirmed.
    pub(crate) fn view(&mut self) -> ControlView {
        let (mut view, heartbeat, receipt) = self.view_to_confirm();
        view.confirm(&heartbeat, &receipt, SENT).unwrap();
        view
    }

    /// A view as it is before anything confirms it, and the heartbeat with its receipt.
    pub(crate) fn view_to_confirm(&mut self) -> (ControlView, Vec<u8>, Vec<u8>) {
        let mut view = ControlView::begin(self.ledger.trust(), &self.ledger.bundle()).unwrap();
        let heartbeat = self.say(Claim::from(&view));
        let at = self.ledger.report(&heartbeat);
        self.follow(&mut view).unwrap();
        (view, heartbeat, self.ledger.proved(at))
    }

    /// Brings a view up to the ledger as it is now.
    pub(crate) fn follow(&self, view: &mut ControlView) -> Result<(), Refusal> {
        view.advance(&self.ledger.bundle(), &self.ledger.consistency(view.size().get()))
    }
}

impl Handed {
    /// Has the spend recorded, and uses the receipt.
    pub(crate) fn spend(mut self) -> Result<Admission, Refusal> {
        let statement = self.play.say(self.examined.spend(self.play.execution));
        let at = self.play.ledger.spend(&statement);
        let receipt = self.play.ledger.proved(at);
        self.examined.spent(&statement, &receipt, SENT, self.play.now)
    }
}

/// Both ways to an admission, and how the same play fails in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Own,
    Handed,
}

pub(crate) const BOTH: [Way; 2] = [Way::Own, Way::Handed];

/// The play as it is admitted on this way.
pub(crate) fn good(way: Way) -> Play {
    let mut play = Play::new();
    if way == Way::Own {
        play.terms.admitted = Some(Admitted { nonce: sha256(&NONCE), execution: play.execution });
    }
    play
}

pub(crate) fn admit(way: Way, play: Play) -> Result<Admission, Refusal> {
    match way {
        Way::Own => play.admit_own(),
        Way::Handed => play.admit_handed(),
    }
}

/// The play is admitted as it is, and refused with this code once it is spoilt.
#[track_caller]
pub(crate) fn refused(way: Way, code: Code, spoil: impl FnOnce(&mut Play)) {
    admitted(way, good(way));
    let mut play = good(way);
    spoil(&mut play);
    assert_refused(code, admit(way, play));
}

/// The play is admitted, for the execution that it is about.
#[track_caller]
pub(crate) fn admitted(way: Way, play: Play) {
    let execution = play.execution;
    let admission = admit(way, play).unwrap_or_else(|refusal| panic!("{way:?}: {refusal}"));
    assert_eq!((admission.execution(), admission.usage()), (execution, Positive::ONE));
}

#[track_caller]
pub(crate) fn assert_refused<T>(code: Code, result: Result<T, Refusal>) {
    match result {
        Err(refusal) => assert_eq!(refusal.code(), code, "{refusal}"),
        Ok(_) => panic!("expected {code}, and nothing was refused"),
    }
}

fn make() -> ExecFields {
    ExecFields {
        cwd: b"/srv/build".to_vec(),
        argv: vec![b"make".to_vec(), b"test".to_vec()],
        path: b"/usr/bin/make".to_vec(),
        variables: Variables::new([(b"LANG".as_slice(), b"C".as_slice())]).unwrap(),
        stdin: Stdin::Null,
        executable: sha256(b"make"),
        interpreter: None,
    }
}

fn surroundings() -> Vec<Component> {
    [("boot", "b1"), ("gateway", "g1"), ("host", "h1"), ("kernel", "k1")]
        .map(|(name, value)| Component { name: label(name), value: value.to_owned() })
        .into()
}

fn terms(ledger: &mut Ledger, exec: &ExecFields) -> GrantFields {
    let (size, control) = ledger.standing();
    let value = Action::Exec(Exec::new(exec.clone()).unwrap()).encode().unwrap();
    let action = Opening { kind: CommitmentKind::Action, salt: SALT, value };
    GrantFields {
        id: WritId::new(NOW_MS, [2; 10]),
        hold: None,
        uses: Positive::ONE,
        as_of: AsOf { size, ledger: ledger.origin().clone(), control },
        cause: Cause { place: Place::Origin, mandate: None },
        facts: sha256(b"facts"),
        lease: Lease { kill_after_ms: positive(3 * FREEZE_MS), freeze_after_ms: positive(FREEZE_MS) },
        scope: Scope::One,
        action: ActionRef { kind: ActionKind::Exec, digest: action.commitment() },
        holder: public("holder"),
        labels: Ascending::new([]),
        policy: Policy {
            set: policy_set(1),
            epoch: 1,
            reasons: Ascending::new([name("builders-may-build")]),
            entities: None,
            semantics: label("cedar"),
        },
        window: Window::new(NOW_MS, NOW_MS + WINDOW_MS).unwrap(),
        request: ledger.request(),
        time_ms: NOW_MS,
        admitted: None,
        audience: Audience::Gateway { gateway: name(GATEWAY), epoch: Positive::ONE },
        principal: Principal { id: name("builder"), key: None, auth: label("asserted"), kind: name("Agent") },
        obligations: vec![Obligation::Sandbox(label("strict"))],
        surroundings: Surroundings {
            level: Level::Claimed,
            digest: surroundings_digest(&surroundings()).unwrap(),
            components: Ascending::new(surroundings().into_iter().map(|component| component.name)),
        },
    }
}
