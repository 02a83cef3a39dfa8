use crate::answer::Answer;
use crate::caller::{Caller, Local};
use crate::decision::opening;
use crate::disclosure::EXPLAINED;
use crate::entities::recorded_entities;
use crate::error::AuthorityError;
use crate::issuer_keys::FetchedKeys;
use crate::lately::LatelyRefused;
use crate::policies::{ActiveSet, Policies, label};
use crate::rate::{Rate, Rates, Stated, Together};
use crate::tally::TurnedAway;
use crate::trees::{Governed, Trees};
use crate::verifier::Verifier;
use crate::waiting::KnownHolds;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use writ_ledger::{Draft, Kept, Ledger, LedgerError, Proposal, Published, Reader, Receipt, StoredEntry};
use writ_policy::{EntitySnapshot, GateResult, Gated, PolicyError, PolicySet, Semantics, Snapshot, gate_with};
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::{
    Activation, Ascending, AssertedPrincipal, Body, Enrolment, EntitiesRef, EntryRef, Gate, Gates, Genesis, Grant,
    Place, Positive, Principal, RequestRef, Target,
};
use writ_protocol::order::{ActiveEntities, ActivePolicy};
use writ_protocol::statement::{Claim, Signed};
use writ_protocol::{Code, Ed25519Key, ExecutionId, Label, Name, Refusal, RequestKey};
use writ_prover::{SolverCommand, SolverLimits, prove};
use writ_tlog::{LeafIndex, sha256};

/// How an authority runs.
pub struct Setting {
    /// Tells the time, in milliseconds since 1970.
    pub clock: Box<dyn Fn() -> u64 + Send + Sync>,
    /// How much a principal may ask, and how much a gateway may state.
    pub rate: Rate,
    /// How much all principals may ask together, if that is bounded: of orders as much again, so that nobody who only asks keeps out a halt, and
    /// of what gateways begin as well.
    pub rate_together: Option<Rate>,
    /// Who proves what a policy set can never do. It need not be there until a set is published, or has guardrails.
    pub solver: SolverCommand,
    /// By which semantics the sets decide that come into force: the newest, but where an older ledger is to be made for a test.
    pub semantics: Semantics,
}

/// Decides, and has it recorded. It owns the ledger; many threads may ask it.
pub struct Authority {
    pub(crate) ledger: Ledger,
    pub(crate) policies: Policies,
    pub(crate) trees: Trees,
    pub(crate) verifier: Verifier,
    pub(crate) rates: Rates,
    pub(crate) asked_together: Together,
    pub(crate) ordered_together: Together,
    stated: Stated,
    pub(crate) explained: Rates,
    pub(crate) lately: LatelyRefused,
    pub(crate) issuer_keys: FetchedKeys,
    pub(crate) known_holds: KnownHolds,
    turned_away: TurnedAway,
    pub(crate) reader: Mutex<Reader>,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    pub(crate) solver: SolverCommand,
    /// Where the ledger is kept: history is read there.
    pub(crate) store: PathBuf,
    pub(crate) semantics: Semantics,
}

/// An authority that could decide, but for the policy set that has to be recorded before it is in force.
pub struct Prepared {
    authority: Authority,
    activation: Option<Proposal>,
}

impl Prepared {
    /// Records it.
    pub fn begin(self) -> Result<Authority, AuthorityError> {
        if let Some(activation) = self.activation {
            self.authority.ledger.append(activation)?;
        }
        Ok(self.authority)
    }
}

impl From<Authority> for Prepared {
    /// One that has nothing to record.
    fn from(authority: Authority) -> Self {
        Self { authority, activation: None }
    }
}

impl Authority {
    /// Takes over a ledger, with the policy set that shall be in force: if it is another one than the control chain names, or decides by other
    /// semantics, it is put there.
    /// For a domain whose root has pinned policy authors, [`Authority::resume`] is the way.
    pub fn open(ledger: Ledger, store: &Path, snapshot: &Snapshot, setting: Setting) -> Result<Self, AuthorityError> {
        Self::prepare(ledger, store, snapshot, setting)?.begin()
    }

    /// The same, up to what is recorded.
    pub fn prepare(
        ledger: Ledger,
        store: &Path,
        snapshot: &Snapshot,
        setting: Setting,
    ) -> Result<Prepared, AuthorityError> {
        let sound = sound(&ledger, store, snapshot, &setting)?;
        Self::prepare_sound(ledger, store, (snapshot, sound), setting)
    }

    /// The same, for a node that follows a folder, with what was read there. Where that is of no use, what is in force stays, as the control chain
    /// names it, as it would if the node ran; why is told beside. A domain that never had a set is not taken over.
    pub fn prepare_followed(
        ledger: Ledger,
        store: &Path,
        read: Result<Snapshot, AuthorityError>,
        setting: Setting,
    ) -> Result<(Prepared, Option<AuthorityError>), AuthorityError> {
        let judged = read.and_then(|snapshot| {
            let sound = sound(&ledger, store, &snapshot, &setting)?;
            Ok((snapshot, sound))
        });
        match judged {
            Ok((snapshot, sound)) => Ok((Self::prepare_sound(ledger, store, (&snapshot, sound), setting)?, None)),
            Err(why) if ledger.published().control.policy().is_none() => Err(why),
            Err(why) => match Self::resume(ledger, store, setting) {
                Ok(authority) => Ok((authority.into(), Some(why))),
                // A sound folder would do.
                Err(_) => Err(why),
            },
        }
    }

    fn prepare_sound(
        ledger: Ledger,
        store: &Path,
        (snapshot, (set, gates)): (&Snapshot, (PolicySet, Gates)),
        setting: Setting,
    ) -> Result<Prepared, AuthorityError> {
        let control = ledger.published().control;
        let entities = control.entities().map(|active| active.entities.clone());
        let semantics = label(setting.semantics)?;
        let now_ms = (setting.clock)();
        let active = control.policy().cloned();
        let (epoch, activation) = match &active {
            Some(active) if active.set == *set.digest() && active.semantics == semantics => (active.epoch, None),
            found => {
                let epoch = following(found.as_ref());
                let held = Held { gates, epoch, entities: entities.clone() };
                (epoch, Some(activation(snapshot, &set, held, now_ms)?))
            }
        };
        let authority = Self::with(ledger, store, ActiveSet { set, epoch, entities }, now_ms, setting)?;
        Ok(Prepared { authority, activation })
    }

    /// Takes over a ledger and decides by the policy set that its control chain names, taken from the vault: what lies in any folder has no
    /// say in it, and neither has this release: it goes on by the semantics that the chain names, or does not start.
    pub fn resume(ledger: Ledger, store: &Path, setting: Setting) -> Result<Self, AuthorityError> {
        let control = ledger.published().control;
        let active = control.policy().cloned().ok_or(AuthorityError::NoSet)?;
        let set = recorded(&Reader::open(store)?, &active, control.entities())?;
        let now_ms = (setting.clock)();
        let entities = control.entities().map(|active| active.entities.clone());
        Self::with(ledger, store, ActiveSet { set, epoch: active.epoch, entities }, now_ms, setting)
    }

    fn with(
        ledger: Ledger,
        store: &Path,
        active: ActiveSet,
        now_ms: u64,
        setting: Setting,
    ) -> Result<Self, AuthorityError> {
        Ok(Self {
            policies: Policies::new(active),
            trees: Trees::default(),
            verifier: Verifier::start()?,
            rates: Rates::new(setting.rate),
            asked_together: Together::new(setting.rate_together, now_ms),
            ordered_together: Together::new(setting.rate_together, now_ms),
            stated: Stated::new(setting.rate, setting.rate_together, now_ms),
            explained: Rates::new(EXPLAINED),
            lately: LatelyRefused::default(),
            issuer_keys: FetchedKeys::default(),
            known_holds: KnownHolds::default(),
            turned_away: TurnedAway::since(now_ms),
            reader: Mutex::new(Reader::open(store)?),
            store: store.to_owned(),
            clock: setting.clock,
            solver: setting.solver,
            semantics: setting.semantics,
            ledger,
        })
    }

    /// Puts the policy set of a folder in force, if it is another one than is. One that does not pass the gates changes nothing, and where
    /// policy authors are pinned no folder does.
    pub fn activate(&self, snapshot: &Snapshot) -> Result<Option<Arc<ActiveSet>>, AuthorityError> {
        if snapshot.digest() == *self.policies.active().set.digest() {
            return Ok(None);
        }
        let active = self.policies.active();
        let (set, gates) = passed(snapshot, self.semantics, active.set.others(), &self.solver)?;
        let now_ms = self.now_ms();
        let replaced = self.policies.replace(set, active.entities.clone(), |set, epoch| {
            let held = Held { gates, epoch, entities: active.entities.clone() };
            self.ledger.append(activation(snapshot, set, held, now_ms)?)?;
            Ok::<(), AuthorityError>(())
        })?;
        Ok(Some(replaced))
    }

    /// Enrols a gateway of this machine, or renews it with another key. For the operator who holds the ledger, never for a caller: those order it.
    pub fn enrol(&self, gateway: &Name, key: Ed25519Key, groups: Vec<Name>) -> Result<Receipt, AuthorityError> {
        let known = self.ledger.published().control.gateway(gateway).map_or(1, |known| known.epoch.get() + 1);
        let now_ms = self.now_ms();
        let enrolment = Enrolment {
            by: node()?,
            key,
            epoch: Positive::new(known).unwrap_or(Positive::ONE),
            order: None,
            groups: Ascending::new(groups),
            asserts: Ascending::new([]),
            control: Genesis::CONTROL,
            gateway: gateway.clone(),
            request: own_request(now_ms, gateway.as_str().as_bytes())?,
            time_ms: now_ms,
        };
        Ok(self.ledger.append(Proposal::new(Draft::Gateway(enrolment)))?)
    }

    /// Records what a gateway says. A `started` that names its watcher makes what descends from it known as that execution.
    pub async fn state(&self, caller: &Caller<'_>, statement: &[u8], watcher: Option<u32>) -> Result<Receipt, Refusal> {
        let claims = Signed::decode(statement).and_then(|signed| signed.gateway_claims(self.ledger.origin()));
        if let Ok(claims) = &claims {
            if let (Caller::Local(local), Some(_)) = (caller, watcher) {
                self.may_begin_trees(local, &claims.gateway)?;
            }
            self.stated.judge(claims, self.now_ms())?;
        }
        let receipt = self.record(Proposal::new(Draft::Statement(statement.to_vec()))).await;
        let receipt = receipt.map_err(|error| error.refusal())?;
        let claims = claims?;
        if receipt.repeated {
            return Ok(receipt);
        }
        self.stated.charge(&claims, statement.len(), self.now_ms());
        if let (Claim::Started { execution, .. }, Caller::Local(local), Some(watcher)) = (claims.claim, caller, watcher)
        {
            self.begin_tree(local, watcher, execution)?;
        }
        Ok(receipt)
    }

    /// What descends from a watcher is taken for its execution. So one is named by the slots of this machine alone, which whoever starts the node
    /// has made, and by nothing that is governed itself.
    fn may_begin_trees(&self, caller: &Local<'_>, gateway: &Name) -> Result<(), Refusal> {
        if self.trees.of(caller)?.is_some() {
            return Err(Refusal::new(Code::LineageBroken, "nothing inside a governed execution starts another"));
        }
        let control = self.ledger.published().control;
        if control.gateway(gateway).is_some_and(|known| known.by_order) {
            let why = format!(
                "gateway `{gateway}` is of another machine; on the node's own, `writ up --slots` makes gateways"
            );
            return Err(Refusal::new(Code::UnknownAuthority, why));
        }
        Ok(())
    }

    fn begin_tree(&self, gateway: &Local<'_>, watcher: u32, execution: ExecutionId) -> Result<(), Refusal> {
        let unknown = || Refusal::new(Code::LineageBroken, format!("{execution} is not recorded"));
        let found = self.reader().execution(&execution).map_err(|error| error.refusal())?.ok_or_else(unknown)?;
        let (stored, grant) = self.granted_at(found.grant)?.ok_or_else(unknown)?;
        let parent = EntryRef { entry: stored.hash, index: stored.index.get(), ledger: self.ledger.origin().clone() };
        let principal = AssertedPrincipal { kind: grant.principal.kind.clone(), id: grant.principal.id.clone() };
        let (depth, origin, by) = match &grant.cause.place {
            Place::Origin => (0, parent.clone(), principal.clone()),
            Place::Caused { depth, origin, .. } => {
                let (_, first) = self.granted_at(LeafIndex::new(origin.index))?.ok_or_else(unknown)?;
                let Principal { kind, id, .. } = first.principal.clone();
                (*depth, origin.clone(), AssertedPrincipal { kind, id })
            }
        };
        let mandate = grant.cause.mandate.clone();
        self.trees.begin(gateway, watcher, Governed { execution, parent, origin, by, depth, mandate, principal })
    }

    fn granted_at(&self, at: LeafIndex) -> Result<Option<(StoredEntry, Grant)>, Refusal> {
        let stored = self.reader().entry(at).map_err(|error| error.refusal())?;
        let Some(stored) = stored else { return Ok(None) };
        let body = stored.decode(self.ledger.origin()).map_err(|error| error.refusal())?.body;
        Ok(if let Body::Grant(grant) = body { Some((stored, grant)) } else { None })
    }

    pub(crate) fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records how many strangers were turned away since the last time, if any were.
    pub async fn record_turned_away(&self) -> Result<Option<Receipt>, Refusal> {
        let Some(tally) = self.turned_away.take(self.now_ms()) else { return Ok(None) };
        match self.record(Proposal::new(Draft::Tally(tally.clone()))).await {
            Ok(receipt) => Ok(Some(receipt)),
            Err(error) => {
                self.turned_away.put_back(&tally);
                Err(error.refusal())
            }
        }
    }

    /// Counts a caller that the node turns away itself.
    pub fn turn_away(&self, refusal: Refusal) -> Answer {
        self.count_turned_away(refusal.code());
        Answer::TurnedAway(refusal)
    }

    /// Counts a refusal that nobody known has got.
    pub fn count_turned_away(&self, code: Code) {
        self.turned_away.count(code);
    }

    /// The newest durable state of the ledger.
    pub fn published(&self) -> Published {
        self.ledger.published()
    }

    /// The policy set in force.
    pub fn policy(&self) -> Arc<ActiveSet> {
        self.policies.active()
    }

    /// How many executions have begun and not ended on the record, under whatever gateway, since before this start too.
    pub fn running(&self) -> Result<u64, LedgerError> {
        self.reader().unended_count()
    }

    /// How many trees of processes are known here: those of executions whose start was recorded since this start.
    pub fn trees(&self) -> usize {
        self.trees.count()
    }

    /// Who proves what a set can never do.
    pub fn solver(&self) -> &SolverCommand {
        &self.solver
    }

    /// Whether it can still record.
    pub fn ready(&self) -> Result<(), LedgerError> {
        self.ledger.is_running()
    }

    /// Finishes what is queued and gives the store back.
    pub fn close(self) -> Result<(), LedgerError> {
        self.ledger.close()
    }

    /// The time, as decisions have it.
    pub fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    pub(crate) async fn record(&self, proposal: Proposal) -> Result<Receipt, LedgerError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.ledger.submit(proposal, move |result| {
            // Whoever asked may have gone; the entry stands.
            answer.send(result).ok();
        })?;
        match answered.await {
            Ok(result) => result,
            Err(_) => Err(LedgerError::Stopped("it ended while this was waiting".to_owned())),
        }
    }
}

fn following(active: Option<&ActivePolicy>) -> Positive {
    let epoch = active.map_or(1, |active| active.epoch.get().saturating_add(1));
    Positive::new(epoch).unwrap_or(Positive::ONE)
}

/// The set that an entry of the control chain has put in force, to decide by the semantics that the entry names.
pub(crate) fn recorded(
    reader: &Reader,
    active: &ActivePolicy,
    entities: Option<&ActiveEntities>,
) -> Result<PolicySet, AuthorityError> {
    let (epoch, at) = (active.epoch.get(), active.at.get());
    let semantics = Semantics::parse(active.semantics.as_str());
    let found = || active.semantics.clone();
    let semantics = semantics.ok_or_else(|| AuthorityError::SemanticsUnknown { epoch, at, found: found() })?;
    let missing = || AuthorityError::SetMissing { epoch, at };
    let unread = |why: String| AuthorityError::SetUnread { epoch, at, why };
    let stored = reader.entry(active.at)?.ok_or_else(missing)?;
    let Body::Policy(activation) = stored.decode(reader.origin())?.body else { return Err(missing()) };
    let others = recorded_entities(reader, entities)?;
    match reader.kept(active.at, CommitmentKind::Policy, &activation.content)? {
        Kept::Value(opening) if sha256(&opening.value) == active.set => {
            let snapshot = Snapshot::decode(&opening.value).map_err(|refusal| unread(refusal.to_string()))?;
            let first = |found: Vec<PolicyError>| found.first().map(ToString::to_string).unwrap_or_default();
            PolicySet::compile_with(&snapshot, semantics, others.as_ref()).map_err(|found| unread(first(found)))
        }
        Kept::Value(_) | Kept::Erased | Kept::Nothing => Err(missing()),
    }
}

/// As [`passed`], with the entities that the ledger has, and not revoked: that it was in force before would be no reason.
fn sound(
    ledger: &Ledger,
    store: &Path,
    snapshot: &Snapshot,
    setting: &Setting,
) -> Result<(PolicySet, Gates), AuthorityError> {
    let control = ledger.published().control;
    let others = recorded_entities(&Reader::open(store)?, control.entities())?;
    let (set, gates) = passed(snapshot, setting.semantics, others.as_ref(), &setting.solver)?;
    let is_in_force = control.policy().is_some_and(|active| active.set == *set.digest());
    match control.revoked(&Target::Policy(*set.digest())) {
        Some(at) if !is_in_force => {
            // As the ledger itself would say it.
            let refusal = Refusal::new(Code::Revoked, format!("this policy set is revoked by entry {at}"));
            Err(LedgerError::Refused(refusal).into())
        }
        Some(_) | None => Ok((set, gates)),
    }
}

/// The set of a folder that has passed every gate, and what the ledger says of that. Proofs are for sets that somebody signs; but a
/// guardrail that stands in a folder is kept there too.
fn passed(
    snapshot: &Snapshot,
    semantics: Semantics,
    others: Option<&EntitySnapshot>,
    solver: &SolverCommand,
) -> Result<(PolicySet, Gates), AuthorityError> {
    let mut gated = gate_with(snapshot, semantics, others);
    if snapshot.guardrail_files().next().is_some() {
        prove(solver, SolverLimits::STANDARD, &mut gated, None, |_| {});
    }
    let gates = gates_of(&gated)?;
    Ok((gated.into_set().map_err(AuthorityError::Policy)?, gates))
}

/// The gates that were passed, as an entry names them.
pub(crate) fn gates_of(gated: &Gated) -> Result<Gates, AuthorityError> {
    let passed = gated.results.iter().filter_map(|(gate, result)| match result {
        GateResult::Passed(passed) => Some((gate, *passed)),
        GateResult::Failed(_) | GateResult::NotReached => None,
    });
    let gates = passed.map(|(gate, passed)| Label::new(gate.as_str()).map(|gate| Gate { gate, passed }));
    let gates = gates.collect::<Result<Vec<_>, _>>().and_then(Gates::new);
    gates.map_err(|error| AuthorityError::Refused(error.into()))
}

/// With what a set comes into force, and when.
struct Held {
    gates: Gates,
    epoch: Positive,
    entities: Option<EntitiesRef>,
}

fn activation(snapshot: &Snapshot, set: &PolicySet, held: Held, time_ms: u64) -> Result<Proposal, AuthorityError> {
    let Held { gates, epoch, entities } = held;
    let content = opening(CommitmentKind::Policy, snapshot.encode())?;
    let activation = Activation {
        by: node()?,
        set: *set.digest(),
        epoch,
        gates,
        // Nobody accepts anything of a folder, and what it has passed is what `gates` says.
        report: None,
        content: content.commitment(),
        control: Genesis::CONTROL,
        request: own_request(time_ms, set.digest().as_bytes())?,
        time_ms,
        entities,
        manifest: None,
        semantics: label(set.semantics())?,
    };
    Ok(Proposal::new(Draft::Policy(activation)).with_openings(vec![content]))
}

/// What the operator of the node does by starting it: they hold the ledger's keys.
fn node() -> Result<Principal, AuthorityError> {
    let principal = || {
        Ok(Principal { id: Name::new("node")?, key: None, auth: Label::new("operator")?, kind: Name::new("Workload")? })
    };
    principal().map_err(|error: writ_protocol::cbor::ShapeError| AuthorityError::Refused(error.into()))
}

fn own_request(time_ms: u64, about: &[u8]) -> Result<RequestRef, AuthorityError> {
    Ok(RequestRef { key: RequestKey::new(time_ms, random()?), digest: sha256(about) })
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], AuthorityError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthorityError::Chance)?;
    Ok(bytes)
}

impl AuthorityError {
    /// As a caller is told.
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::Ledger(error) => error.refusal(),
            Self::Refused(refusal) => refusal.clone(),
            Self::File { .. }
            | Self::Policy(_)
            | Self::Chance
            | Self::NoSet
            | Self::SetMissing { .. }
            | Self::EntitiesMissing { .. }
            | Self::SetUnread { .. }
            | Self::SemanticsUnknown { .. } => Refusal::new(Code::Internal, self.to_string()),
        }
    }
}
