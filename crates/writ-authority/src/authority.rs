use crate::answer::Answer;
use crate::caller::{Caller, Local};
use crate::decision::opening;
use crate::disclosure::EXPLAINED;
use crate::error::AuthorityError;
use crate::policies::{ActiveSet, Policies, semantics};
use crate::rate::{Rate, Rates};
use crate::tally::TurnedAway;
use crate::trees::{Governed, Trees};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use writ_ledger::{Draft, Ledger, LedgerError, Proposal, Published, Reader, Receipt};
use writ_policy::PolicySet;
use writ_policy::Snapshot;
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::{
    Activation, Ascending, AssertedPrincipal, Body, Enrolment, EntryRef, Genesis, Place, Positive, Principal,
    RequestRef,
};
use writ_protocol::statement::{Claim, Signed};
use writ_protocol::{Code, Ed25519Key, ExecutionId, Label, Name, Refusal, RequestKey};
use writ_tlog::sha256;

/// How an authority runs.
pub struct Setting {
    /// Tells the time, in milliseconds since 1970.
    pub clock: Box<dyn Fn() -> u64 + Send + Sync>,
    /// How much a principal may ask.
    pub rate: Rate,
}

/// Decides, and has it recorded. It owns the ledger; many threads may ask it.
pub struct Authority {
    pub(crate) ledger: Ledger,
    pub(crate) policies: Policies,
    pub(crate) trees: Trees,
    pub(crate) rates: Rates,
    pub(crate) explained: Rates,
    turned_away: TurnedAway,
    reader: Mutex<Reader>,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Authority {
    /// Takes over a ledger, with the policy set that shall be in force: if it is another one than the control chain names, it is put there.
    pub fn open(ledger: Ledger, store: &Path, snapshot: &Snapshot, setting: Setting) -> Result<Self, AuthorityError> {
        let set = PolicySet::compile(snapshot).map_err(AuthorityError::Policy)?;
        let published = ledger.published();
        let semantics = semantics()?;
        let now_ms = (setting.clock)();
        let epoch = match published.control.policy() {
            Some(active) if active.set == *set.digest() && active.semantics == semantics => active.epoch,
            found => {
                let epoch = found.map_or(1, |active| active.epoch.get().saturating_add(1));
                let epoch = Positive::new(epoch).unwrap_or(Positive::ONE);
                ledger.append(activation(snapshot, &set, epoch, now_ms)?)?;
                epoch
            }
        };
        Ok(Self {
            policies: Policies::new(ActiveSet { set, epoch }),
            trees: Trees::default(),
            rates: Rates::new(setting.rate),
            explained: Rates::new(EXPLAINED),
            turned_away: TurnedAway::since(now_ms),
            reader: Mutex::new(Reader::open(store)?),
            clock: setting.clock,
            ledger,
        })
    }

    /// Puts a policy set in force, if it is another one than is. A set that does not compile changes nothing.
    pub fn activate(&self, snapshot: &Snapshot) -> Result<Option<Arc<ActiveSet>>, AuthorityError> {
        if snapshot.digest() == *self.policies.active().set.digest() {
            return Ok(None);
        }
        let set = PolicySet::compile(snapshot).map_err(AuthorityError::Policy)?;
        let now_ms = self.now_ms();
        let replaced = self.policies.replace(set, |set, epoch| {
            self.ledger.append(activation(snapshot, set, epoch, now_ms)?)?;
            Ok::<(), AuthorityError>(())
        })?;
        Ok(Some(replaced))
    }

    /// Enrols a gateway, or renews it with another key. For the operator who holds the ledger, never for a caller.
    pub fn enrol(&self, gateway: &Name, key: Ed25519Key, groups: Vec<Name>) -> Result<Receipt, AuthorityError> {
        let known = self.ledger.published().control.gateway(gateway).map_or(1, |known| known.epoch.get() + 1);
        let now_ms = self.now_ms();
        let enrolment = Enrolment {
            by: node()?,
            key,
            epoch: Positive::new(known).unwrap_or(Positive::ONE),
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
        let receipt = self.record(Proposal::new(Draft::Statement(statement.to_vec()))).await;
        let receipt = receipt.map_err(|error| error.refusal())?;
        let claim = Signed::decode(statement)?.gateway_claims(self.ledger.origin())?.claim;
        if let (Claim::Started { execution, .. }, Caller::Local(local), Some(watcher)) = (claim, caller, watcher)
            && !receipt.repeated
        {
            self.begin_tree(local, watcher, execution)?;
        }
        Ok(receipt)
    }

    fn begin_tree(&self, gateway: &Local<'_>, watcher: u32, execution: ExecutionId) -> Result<(), Refusal> {
        let unknown = || Refusal::new(Code::LineageBroken, format!("{execution} is not recorded"));
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let found = reader.execution(&execution).map_err(|error| error.refusal())?.ok_or_else(unknown)?;
        let stored = reader.entry(found.grant).map_err(|error| error.refusal())?.ok_or_else(unknown)?;
        drop(reader);
        let Body::Grant(grant) = stored.decode(self.ledger.origin()).map_err(|error| error.refusal())?.body else {
            return Err(unknown());
        };
        let parent = EntryRef { entry: stored.hash, index: stored.index.get(), ledger: self.ledger.origin().clone() };
        let (depth, origin) = match &grant.cause.place {
            Place::Origin => (0, parent.clone()),
            Place::Caused { depth, origin, .. } => (*depth, origin.clone()),
        };
        let principal = AssertedPrincipal { kind: grant.principal.kind.clone(), id: grant.principal.id.clone() };
        self.trees.begin(gateway, watcher, Governed { execution, parent, origin, depth, principal })
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
        self.turned_away.count(refusal.code());
        Answer::TurnedAway(refusal)
    }

    /// The newest durable state of the ledger.
    pub fn published(&self) -> Published {
        self.ledger.published()
    }

    /// The policy set in force.
    pub fn policy(&self) -> Arc<ActiveSet> {
        self.policies.active()
    }

    /// How many executions run on this machine under its gateways.
    pub fn running(&self) -> usize {
        self.trees.count()
    }

    /// Whether it can still record.
    pub fn ready(&self) -> Result<(), LedgerError> {
        self.ledger.is_running()
    }

    /// Finishes what is queued and gives the store back.
    pub fn close(self) -> Result<(), LedgerError> {
        self.ledger.close()
    }

    pub(crate) fn now_ms(&self) -> u64 {
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

fn activation(snapshot: &Snapshot, set: &PolicySet, epoch: Positive, time_ms: u64) -> Result<Proposal, AuthorityError> {
    let content = opening(CommitmentKind::Policy, snapshot.encode())?;
    let activation = Activation {
        by: node()?,
        set: *set.digest(),
        epoch,
        content: content.commitment(),
        control: Genesis::CONTROL,
        request: own_request(time_ms, set.digest().as_bytes())?,
        time_ms,
        semantics: semantics()?,
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
            Self::File { .. } | Self::Policy(_) | Self::Chance => Refusal::new(Code::Internal, self.to_string()),
        }
    }
}
