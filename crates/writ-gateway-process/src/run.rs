//! `writ run`: one execution, from what a person typed to what it left behind.
//!
//! Measure, ask, verify, spend, record that it starts, let it go, wait, record how it ended. Each step needs the one before it; whatever fails
//! ends in a refusal and nothing runs. Beside the first of them, other processes bring the program to its first instruction and hold it there.

use crate::confinement::Confinement;
use crate::executable::{Executable, ExecutableError, Program};
use crate::hold::{OnHold, on_hold};
use crate::measure::measure;
use crate::node::{Refused, Voice, proved};
use crate::slot::{Slot, SlotError};
use crate::surroundings;
use crate::terminal::{Held, Inherited};
use crate::tree::{Plan, Poised, Preparing, Running, StartError, prepare};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use writ_client::blocking::Client;
use writ_client::{Answer, Asked, ClientError, Denial, Endpoint, GatewayPlace};
use writ_enforcer::{Admission, BootTime, ControlView, Enforcer, Moment, Own, Presented, Scene};
use writ_protocol::action::{Action, CommitmentKind, Opening};
use writ_protocol::entry::{Ascending, Audience, EntryRef, Positive, PrincipalRef};
use writ_protocol::statement::{Ask, Authorize, Claim, Component, Ending, Presentation, Request};
use writ_protocol::{Code, Ed25519Key, ExecutionId, Key, Label, Refusal, RequestKey, TrustRoot};
use writ_tlog::{Origin, SigningKey};

/// What is to be run, and on whose behalf.
pub struct Run {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// As whom; otherwise as whoever this process's user is.
    pub principal: Option<Signer>,
    /// A writ that was handed over; otherwise one is asked for.
    pub writ: Option<HandedOver>,
    /// The mandate that it runs under, unless it is that of what causes it.
    pub mandate: Option<EntryRef>,
    /// What it carries from its beginning, beside what policy says.
    pub labels: Vec<Label>,
    /// Where the node is.
    pub endpoint: Endpoint,
    /// What to believe.
    pub trust: TrustRoot,
    /// The ledger.
    pub origin: Origin,
    /// The folder with this machine's gateway slots.
    pub slots: PathBuf,
    /// Looks up what the execution must not see. Asked once there is a slot: whoever makes it more afterwards sees that the slot is in use.
    pub hidden: Box<dyn Fn() -> std::io::Result<Vec<PathBuf>>>,
    /// What it may see in there nevertheless.
    pub kept: Vec<PathBuf>,
    /// What is done where it is held.
    pub patience: Patience,
}

/// How long approvals are waited for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// Nothing where it is not waited at all.
    pub wait: Option<Duration>,
    /// Told once when the waiting begins.
    pub begin: Option<fn(&writ_client::Held)>,
}

/// A principal with its key.
pub struct Signer {
    /// Who.
    pub name: PrincipalRef,
    /// Their key.
    pub key: SigningKey,
}

/// A writ with what its holder needs to present it.
pub struct HandedOver {
    /// The writ.
    pub writ: Vec<u8>,
    /// The salt of its action digest.
    pub action_salt: [u8; 32],
    /// The key of its holder, if this process has it.
    pub holder: SigningKey,
}

/// What came of it.
#[derive(Debug)]
pub enum Ran {
    /// It ran, and ended so.
    Ended {
        /// Where its grant is recorded.
        grant: u64,
        /// How.
        ending: Ending,
        /// Where that is recorded; nowhere, if the ledger was gone by then.
        recorded: Result<u64, Refusal>,
    },
    /// It waits for approval, and nobody waits for that here any more.
    Held(Box<writ_client::Held>),
    /// The authority denied it.
    Denied(Box<Denial>),
    /// It was refused before or after the authority was asked.
    Refused(Refused),
    /// There is no such program.
    NotFound(Refused),
}

/// Runs it. Standard streams, terminal and signals are the program's.
///
/// Who waits for an approval keeps nothing meanwhile that others could need, neither a slot nor a program that is held. What was approved is then measured and
/// asked for anew: had it changed, it would be another action, and refused (Invariant 12).
pub fn run(run: Run) -> Ran {
    let Waits { run, held, on_hold, client } = match attempt(run, None) {
        Attempt::Over(ran) => return ran,
        Attempt::Waits(waits) => *waits,
    };
    let Patience { wait: Some(wait), begin } = run.patience else { return Ran::Held(held) };
    begin.inspect(|begin| begin(&held));
    match client.hold(held.index, wait) {
        Ok(found) if found.state == "pending" => return Ran::Held(held),
        // Whatever came of it, the node says it when it is asked once more.
        Ok(_) => drop(client),
        Err(error) => return Ran::Refused(Refused { refusal: error.refusal(), index: None }),
    }
    match attempt(run, Some(on_hold)) {
        Attempt::Over(ran) => ran,
        Attempt::Waits(waits) => Ran::Held(waits.held),
    }
}

/// What came of one way from the program to its end.
enum Attempt {
    Over(Ran),
    Waits(Box<Waits>),
}

/// What is kept while nobody has approved yet.
struct Waits {
    run: Run,
    held: Box<writ_client::Held>,
    on_hold: OnHold,
    client: Client,
}

fn attempt(run: Run, on_hold: Option<OnHold>) -> Attempt {
    let begun = match begin(&run) {
        Ok(begun) => begun,
        Err(refusal) => return Attempt::Over(Ran::Refused(Refused { refusal, index: None })),
    };
    let (voice, enforcer, brought) = begun;
    Gateway { run, voice, enforcer }.go(brought, on_hold)
}

type Brought = Result<(Measured, Result<Bringing, StartError>), Stop>;

fn begin(run: &Run) -> Result<(Voice, Enforcer, Brought), Refusal> {
    let slot = Slot::take(&run.slots).map_err(|error| slot_refusal(&error))?;
    // In this order: other processes bring the program to its first instruction while this one asks and measures.
    let found = Found::of(run);
    let client = Client::connect(&run.endpoint).map_err(|error| error.refusal())?;
    let place = client.ask_gateway(slot.name().as_str());
    let brought = found.and_then(|found| found.measured(run));
    let place = client.answer(place);
    let (slot, place) = usable(slot, place, run, &client)?;
    let begun = Voice::begin(slot, run.origin.clone(), &run.trust, client, place, wall_ms);
    let (voice, enforcer) = begun.map_err(|error| error.refusal())?;
    Ok((voice, enforcer, brought))
}

/// The slot that was taken, or the next one that the node lets say something. One that nobody has enrolled, or that is revoked, must not keep from
/// running what the others can run. Where there is none but a revoked one, it asks: the node says no, and records that it was asked.
fn usable(
    slot: Slot,
    place: Result<GatewayPlace, ClientError>,
    run: &Run,
    client: &Client,
) -> Result<(Slot, GatewayPlace), Refusal> {
    let (mut slot, mut place) = (slot, place);
    // As long as these are kept, nobody takes them again.
    let mut passed_over = Vec::new();
    loop {
        let (why, known) = match place {
            Ok(place) => match unusable(&slot, &place, run) {
                None => return Ok((slot, place)),
                Some(why) => (why, Some(place)),
            },
            Err(error) if error.refusal().code() == Code::MissingWrit => (error.refusal(), None),
            Err(error) => return Err(error.refusal()),
        };
        passed_over.push((slot, known));
        let next = match Slot::take(&run.slots) {
            Ok(next) => next,
            // The others are as good as ever, and in use.
            Err(SlotError::Busy(all)) if all > passed_over.len() => {
                return Err(slot_refusal(&SlotError::Busy(all - passed_over.len())));
            }
            Err(_) => {
                let revoked =
                    |(slot, known): (Slot, Option<GatewayPlace>)| Some((slot, known.filter(|it| it.is_revoked)?));
                return passed_over.into_iter().find_map(revoked).ok_or(why);
            }
        };
        place = client.gateway(next.name().as_str());
        slot = next;
    }
}

/// Why the node would believe nothing that this slot says.
fn unusable(slot: &Slot, place: &GatewayPlace, run: &Run) -> Option<Refusal> {
    let name = slot.name();
    if place.is_revoked {
        return Some(Refusal::new(Code::Revoked, format!("gateway `{name}` is revoked")));
    }
    if place.key != Key::from(slot.key().verifying_key()).fingerprint().to_string() {
        let why = format!("gateway `{name}` is enrolled with another key than this machine has");
        return Some(Refusal::new(Code::UnknownAuthority, why));
    }
    if place.by_order && run.endpoint.is_socket() {
        let why =
            format!("gateway `{name}` is of another machine than the node; here, `writ up --slots` makes gateways");
        return Some(Refusal::new(Code::UnknownAuthority, why));
    }
    None
}

fn slot_refusal(error: &SlotError) -> Refusal {
    let code = match error {
        SlotError::Folder { .. } | SlotError::Unusable { .. } => Code::UnknownAuthority,
        SlotError::Busy(_) => Code::RateLimited,
    };
    Refusal::new(code, error.to_string())
}

struct Gateway {
    run: Run,
    voice: Voice,
    enforcer: Enforcer,
}

/// A program that was found and is on its way to its first instruction. Why it cannot get there is told after the node's answer: first comes
/// whether it may.
struct Found {
    program: Program,
    variables: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    preparing: Result<Bringing, StartError>,
}

/// On its way, and what it is to find there.
struct Bringing {
    preparing: Preparing,
    inherited: Inherited,
}

/// What was measured, as it will be asked for and compared.
struct Measured {
    executable: Executable,
    action: Action,
    surroundings: Vec<Component>,
}

impl Found {
    fn of(run: &Run) -> Result<Self, Stop> {
        let program = run.argv.first().ok_or_else(|| Refusal::malformed("expected a program to run"))?;
        let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let path = variables.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let program = Program::find(program, path).map_err(|error| stop_at(&error))?;
        let cwd = std::env::current_dir().map_err(|error| {
            Refusal::new(Code::IntegrityFailure, format!("the working folder cannot be read: {error}"))
        })?;
        let preparing = Bringing::begin(run, &program, &variables, &cwd);
        Ok(Self { program, variables, cwd, preparing })
    }

    fn measured(self, run: &Run) -> Result<(Measured, Result<Bringing, StartError>), Stop> {
        let executable = self.program.measured().map_err(|error| stop_at(&error))?;
        let exec = measure(&executable, &run.argv, &self.variables, self.cwd.as_os_str())?;
        let surroundings = surroundings::measure(&run.slots)?;
        Ok((Measured { executable, action: Action::Exec(exec), surroundings }, self.preparing))
    }
}

impl Bringing {
    fn begin(run: &Run, program: &Program, variables: &[(OsString, OsString)], cwd: &Path) -> Result<Self, StartError> {
        let inherited = Inherited::take()?;
        let hidden = (run.hidden)().map_err(StartError::NotHidden)?;
        let confinement = Confinement::new(&hidden, &run.kept)?;
        let plan = Plan { program, argv: &run.argv, variables, cwd, confinement: &confinement };
        Ok(Self { preparing: prepare(&plan, &inherited)?, inherited })
    }
}

/// What came of asking.
enum Asking {
    Admitted(Box<Admission>),
    Held(Box<writ_client::Held>),
}

/// How a way to an admission can end.
enum Stop {
    Held(Box<writ_client::Held>),
    /// Nobody has approved it yet.
    Waits(Box<writ_client::Held>, OnHold),
    Denied(Box<Denial>),
    Refused(Refusal),
    /// Refused when a use was spent already, or may have been: the node's word for it is bad, or did not come.
    Spent(Refusal),
    NotFound(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        Self::Refused(error.refusal())
    }
}

impl Gateway {
    fn go(mut self, brought: Brought, on_hold: Option<OnHold>) -> Attempt {
        let admitted = brought.and_then(|(measured, bringing)| {
            let admission = self.admitted(&measured, on_hold)?;
            Ok((measured, bringing, admission))
        });
        Attempt::Over(match admitted {
            Err(Stop::Waits(held, on_hold)) => {
                let Self { run, voice, .. } = self;
                return Attempt::Waits(Box::new(Waits { run, held, on_hold, client: voice.into_client() }));
            }
            Ok((measured, bringing, admission)) => self.execute(&measured, bringing, admission),
            Err(Stop::Held(held)) => Ran::Held(held),
            Err(Stop::Denied(deny)) => Ran::Denied(deny),
            Err(Stop::Refused(refusal)) => Ran::Refused(self.refuse(refusal)),
            Err(Stop::Spent(refusal)) => Ran::Refused(self.refuse_and_close(refusal)),
            Err(Stop::NotFound(refusal)) => Ran::NotFound(self.refuse(refusal)),
        })
    }

    /// What the gateway itself refuses is recorded as its report; what the node has refused is counted there already.
    fn refuse(&mut self, refusal: Refusal) -> Refused {
        let writ = self.presented();
        self.voice.refuse(refusal, writ, None)
    }

    /// Refuses, and closes the execution that was spent for it: no later run has to guess what became of what never ran.
    fn refuse_and_close(&mut self, refusal: Refusal) -> Refused {
        let writ = self.presented();
        self.voice.refuse_and_close(refusal, writ)
    }

    fn presented(&self) -> Option<writ_tlog::Hash> {
        self.run.writ.as_ref().map(|handed| writ_tlog::sha256(&handed.writ))
    }

    fn admitted(&mut self, measured: &Measured, on_hold: Option<OnHold>) -> Result<Admission, Stop> {
        let Some(handed) = self.run.writ.take() else { return self.ask(measured, on_hold) };
        let admission = self.present(measured, &handed);
        self.run.writ = Some(handed);
        admission
    }

    /// Asks for a writ that is spent by its own entry, for this process alone. What is held and approved is asked for once more.
    fn ask(&mut self, measured: &Measured, on_hold: Option<OnHold>) -> Result<Admission, Stop> {
        let goes_on = on_hold.is_some();
        let held = match self.ask_about(measured, on_hold)? {
            Asking::Admitted(admission) => return Ok(*admission),
            Asking::Held(held) if goes_on => return Err(Stop::Held(held)),
            Asking::Held(held) => held,
        };
        let on_hold = self::on_hold(&self.run.trust, &measured.action.encode()?, &held)?;
        if !held.approved {
            return Err(Stop::Waits(held, on_hold));
        }
        match self.ask_about(measured, Some(on_hold))? {
            Asking::Admitted(admission) => Ok(*admission),
            Asking::Held(held) => Err(Stop::Held(held)),
        }
    }

    fn ask_about(&mut self, measured: &Measured, on_hold: Option<OnHold>) -> Result<Asking, Stop> {
        let identity = self.voice.identity();
        let execution = ExecutionId::new(wall_ms(), random()?);
        let (hold, action_salt) = match on_hold {
            Some(OnHold { hold, action_salt }) => (Some(hold), action_salt),
            None => (None, random()?),
        };
        let own = Own::new(random()?, execution, action_salt, boot_time()?);
        let request = Request {
            key: RequestKey::new(wall_ms(), random()?),
            salt: random()?,
            time_ms: wall_ms(),
            principal: self.run.principal.as_ref().map(|signer| signer.name.clone()),
            action_salt,
            action: measured.action.encode()?,
            ask: Ask::Authorize(Authorize {
                hold,
                admit: Some(own.admitted()),
                holder: public(self.voice.slot().key())?,
                audience: Audience::Gateway { gateway: identity.gateway, epoch: identity.epoch },
                mandate: self.run.mandate.clone(),
                surroundings: measured.surroundings.clone(),
            }),
        };
        let asked = match &self.run.principal {
            Some(signer) => Asked::Signed(request.sign(&self.run.origin, &signer.key)),
            None => Asked::Bare(request.payload(&self.run.origin)),
        };
        match self.voice.client().authorize(&asked).map_err(|error| Stop::Spent(error.refusal()))? {
            Answer::Permit(permit) => {
                let admission =
                    moment().and_then(|now| self.enforcer.admit_own(own, permit.writ.as_bytes(), scene(measured), now));
                admission.map(|admission| Asking::Admitted(Box::new(admission))).map_err(Stop::Spent)
            }
            Answer::Hold(held) => Ok(Asking::Held(Box::new(held))),
            Answer::Deny(denial) => Err(Stop::Denied(Box::new(denial))),
            Answer::Refused(refused) => Err(ClientError::Refused(refused).into()),
        }
    }

    /// Presents a writ that somebody handed over: view, presentation, spend, each verified.
    fn present(&mut self, measured: &Measured, handed: &HandedOver) -> Result<Admission, Stop> {
        let view = self.view()?;
        let identity = self.voice.identity();
        let nonce = random()?;
        let writ = writ_protocol::WritVerifier::new(self.run.trust.clone()).verify(&handed.writ)?;
        let opening =
            Opening { kind: CommitmentKind::Action, salt: handed.action_salt, value: measured.action.encode()? };
        let presentation = Presentation {
            writ: *writ.entry(),
            epoch: identity.epoch,
            nonce,
            action: opening.commitment(),
            gateway: identity.gateway,
            time_ms: wall_ms(),
        };
        let presented = Presented {
            writ: &handed.writ,
            action_salt: &handed.action_salt,
            presentation: &presentation.sign(&self.run.origin, &handed.holder),
            nonce,
        };
        let examined = self.enforcer.examine(presented, &view, scene(measured), Positive::ONE, moment()?)?;
        let statement = self.voice.sign(examined.spend(ExecutionId::new(wall_ms(), random()?)));
        let sent = boot_time()?;
        let recorded = self.voice.record(&statement, None).map_err(|error| {
            let refused = matches!(error, ClientError::Refused(_));
            if refused { Stop::Refused(error.refusal()) } else { Stop::Spent(error.refusal()) }
        })?;
        let admission = moment().and_then(|now| examined.spent(&statement, recorded.proof.as_bytes(), sent, now));
        admission.map_err(Stop::Spent)
    }

    /// A view of the control chain, and a heartbeat that shows how old it is.
    fn view(&mut self) -> Result<ControlView, Stop> {
        let first = self.voice.client().control(None)?;
        let mut view = ControlView::begin(self.run.trust.clone(), &first.bundle)?;
        let sent = boot_time()?;
        let heartbeat = self.voice.sign(Claim::from(&view));
        let recorded = self.voice.record(&heartbeat, None)?;
        let newer = self.voice.client().control(Some(first.size))?;
        view.advance(&newer.bundle, &newer.consistency)?;
        view.confirm(&heartbeat, recorded.proof.as_bytes(), sent)?;
        Ok(view)
    }

    fn execute(mut self, measured: &Measured, bringing: Result<Bringing, StartError>, admission: Admission) -> Ran {
        let held = bringing.and_then(|Bringing { preparing, inherited }| Ok((preparing, Held::take(inherited)?)));
        match held {
            Ok((preparing, held)) => self.start(preparing, &held, measured, admission),
            Err(error) => self.not_brought(&error, admission),
        }
    }

    /// Nothing runs, though it might have: the execution that was granted is closed.
    fn not_brought(&mut self, error: &StartError, admission: Admission) -> Ran {
        let refused = self.refuse(error.refusal());
        self.voice.say(admission.abandon(), None).ok();
        Ran::Refused(refused)
    }

    /// Before its first instruction, so that nothing it causes is decided without.
    fn label(&mut self, admission: &Admission) -> Result<(), Refusal> {
        if self.run.labels.is_empty() {
            return Ok(());
        }
        let statement = self.voice.sign(admission.labelled(Ascending::new(self.run.labels.iter().cloned())));
        let recorded = self.voice.record(&statement, None).map_err(|error| error.refusal())?;
        proved(&mut self.enforcer, &statement, &recorded)
    }

    fn start(&mut self, preparing: Preparing, held: &Held, measured: &Measured, admission: Admission) -> Ran {
        let grant = admission.writ().index().get();
        let poised = match preparing.poised(held, &measured.executable) {
            Ok(poised) => poised,
            Err(error) => return self.not_brought(&error, admission),
        };
        if let Err(refusal) = self.label(&admission) {
            drop(poised);
            return Ran::Refused(self.refuse_and_close(refusal));
        }
        let (claim, begun) = admission.start();
        let statement = self.voice.sign(claim);
        let sent = boot_time();
        let started = self.voice.record(&statement, Some(poised.watcher_pid())).map_err(|error| error.refusal());
        if let Err(refusal) = started.and_then(|recorded| proved(&mut self.enforcer, &statement, &recorded)) {
            // Dropping what is poised ends it before its first instruction. Whether the start is in the ledger only the node knows.
            drop(poised);
            return Ran::Refused(self.refuse_and_close(refusal));
        }
        let running = match sent.and_then(|sent| release(poised, &begun, sent)) {
            Ok(running) => running,
            Err(refusal) => {
                let refused = self.refuse(refusal);
                self.voice.say(begun.terminated(refused.refusal.code()), None).ok();
                return Ran::Refused(refused);
            }
        };
        let ended = match running.wait() {
            Ok(ended) => ended,
            Err(error) => {
                self.voice.say(begun.terminated(error.ending()), None).ok();
                return Ran::Refused(self.refuse(error.refusal()));
            }
        };
        let ending = ended.ending();
        let recorded = self.voice.say(begun.ended(ending), None);
        let recorded = recorded.map(|recorded| recorded.index).map_err(|error| error.refusal());
        // The watcher has said that its tree is gone, and has ended meanwhile. What it has left all the same must not go unsaid.
        if let Err(error) = ended.gone() {
            return Ran::Refused(self.refuse(error.refusal()));
        }
        Ran::Ended { grant, ending, recorded }
    }
}

/// Lets go what is held, unless this process was itself stopped for too long since it sent the start.
fn release<'held>(
    poised: Poised<'held>,
    begun: &writ_enforcer::Running,
    sent: BootTime,
) -> Result<Running<'held>, Refusal> {
    begun.in_time(sent, boot_time()?)?;
    poised.release().map_err(|error| error.refusal())
}

fn stop_at(error: &ExecutableError) -> Stop {
    match error.exit_status() {
        127 => Stop::NotFound(error.refusal()),
        _ => Stop::Refused(error.refusal()),
    }
}

fn scene(measured: &Measured) -> Scene<'_> {
    Scene { action: &measured.action, surroundings: &measured.surroundings, sandboxes: &[] }
}

fn public(key: &SigningKey) -> Result<Ed25519Key, Refusal> {
    Ok(Ed25519Key::new(Key::from(key.verifying_key()))?)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Refusal::new(Code::Internal, "the system gives no randomness"))?;
    Ok(bytes)
}

fn moment() -> Result<Moment, Refusal> {
    Ok(Moment { wall_ms: wall_ms(), boot: boot_time()? })
}

pub(crate) fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A clock that cannot be read would make everything look fresh, so it is a refusal.
fn boot_time() -> Result<BootTime, Refusal> {
    let untrusted =
        || Refusal::new(Code::ClockUntrusted, "the time since boot cannot be read, so nothing shows what is fresh");
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_err(|_| untrusted())?;
    let ms = now.tv_sec().saturating_mul(1000).saturating_add(now.tv_nsec() / 1_000_000);
    u64::try_from(ms).map(BootTime).map_err(|_| untrusted())
}
