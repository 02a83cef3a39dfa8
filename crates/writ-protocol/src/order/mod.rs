//! The rules of order (`spec/ledger.md`): what a ledger accepts, given everything before it.
//!
//! There is one implementation with three users: the sequencer (before it appends), the audit (from the entries alone) and the
//! verifier of bundles. They differ in where they look things up, which is all that [`Records`] says.

mod chain;
mod control;
mod revoked;
mod rules;

pub use chain::chain;
pub use control::{ActiveEntities, ActivePolicy, ControlState, GatewayRecord};
pub use revoked::{mandate_revoked, revoked};
pub use rules::{judge, judge_manifest};

use crate::entry::{Approval, AssertedPrincipal, Grant, Hold, Mandate, Positive, Verdict};
use crate::id::ExecutionId;
use crate::key::Fingerprint;
use crate::name::{Label, Name};
use crate::refusal::Refusal;
use crate::statement::{Ending, GatewayStatement, RootStatement};
use std::collections::BTreeSet;
use std::convert::Infallible;
use writ_tlog::{Hash, LeafIndex};

/// The answer of records that may not be complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It is there.
    Found(T),
    /// It is certain that there is none.
    Absent,
    /// These records cannot say: a bundle holds one story, not the ledger.
    Unknown,
}

/// What carries labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Everything that one grant of depth 0 has begun: its entry hash.
    Lineage(Hash),
    /// The lineages in which a principal has executions that have not ended.
    OpenWorkOf(AssertedPrincipal),
}

/// What was recorded before the entry that is judged.
pub trait Records {
    /// Why a look-up failed.
    type Error;

    /// The grant at this index, if it has this entry hash.
    fn grant(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<Grant>, Self::Error>;
    /// An execution.
    fn execution(&self, id: &ExecutionId) -> Result<Lookup<Execution>, Self::Error>;
    /// The execution for which this use of the grant at this index was spent.
    fn spent(&self, grant: LeafIndex, usage: Positive) -> Result<Lookup<ExecutionId>, Self::Error>;
    /// The hold at this index, if it has this entry hash and nothing has resolved it yet, with what was answered.
    fn open_hold(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<OpenHold>, Self::Error>;
    /// The mandate at this index, if it has this entry hash.
    fn mandate(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<Mandate>, Self::Error>;
    /// How much was drawn from a counter.
    fn drawn(&self, counter: &Name) -> Result<Lookup<u64>, Self::Error>;
    /// The labels that something carries, ascending.
    fn labels(&self, of: &Carrier) -> Result<Lookup<Vec<Label>>, Self::Error>;
    /// The last statement number of a gateway's epoch.
    fn last_seq(&self, gateway: &Name, epoch: Positive) -> Result<Lookup<u64>, Self::Error>;
    /// Whether an id, of any kind but request keys, was recorded before.
    fn id(&self, id: &[u8; 16]) -> Result<Lookup<()>, Self::Error>;
    /// Whether the entry at this index holds this commitment and no erasure has named it.
    fn commitment(&self, at: LeafIndex, commitment: &Hash) -> Result<Lookup<()>, Self::Error>;
}

/// Records that know nothing: with them only the control chain itself is judged.
#[derive(Clone, Copy, Debug)]
pub struct NoRecords;

impl Records for NoRecords {
    type Error = Infallible;

    fn grant(&self, _at: LeafIndex, _entry: &Hash) -> Result<Lookup<Grant>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn execution(&self, _id: &ExecutionId) -> Result<Lookup<Execution>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn spent(&self, _grant: LeafIndex, _usage: Positive) -> Result<Lookup<ExecutionId>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn open_hold(&self, _at: LeafIndex, _entry: &Hash) -> Result<Lookup<OpenHold>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn mandate(&self, _at: LeafIndex, _entry: &Hash) -> Result<Lookup<Mandate>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn drawn(&self, _counter: &Name) -> Result<Lookup<u64>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn labels(&self, _of: &Carrier) -> Result<Lookup<Vec<Label>>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn last_seq(&self, _gateway: &Name, _epoch: Positive) -> Result<Lookup<u64>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn id(&self, _id: &[u8; 16]) -> Result<Lookup<()>, Infallible> {
        Ok(Lookup::Unknown)
    }

    fn commitment(&self, _at: LeafIndex, _commitment: &Hash) -> Result<Lookup<()>, Infallible> {
        Ok(Lookup::Unknown)
    }
}

/// A hold that nothing has resolved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHold {
    /// What waits.
    pub hold: Hold,
    /// What was answered so far, in the order of the ledger.
    pub answers: Vec<HoldAnswer>,
}

impl OpenHold {
    /// Whether somebody has said no.
    pub fn is_rejected(&self) -> bool {
        self.answers.iter().any(|answer| answer.verdict == Verdict::Reject)
    }

    /// The first group that has not approved often enough, counting the approvers whose word still stands, each once.
    pub fn lacks(&self, stands: impl Fn(&HoldAnswer) -> bool) -> Option<&Name> {
        let approvers = |group: &Name| {
            let approves = |answer: &&HoldAnswer| {
                answer.verdict == Verdict::Approve && answer.groups.contains(group) && stands(answer)
            };
            let by: BTreeSet<_> = self.answers.iter().filter(approves).map(|answer| &answer.by).collect();
            u64::try_from(by.len()).unwrap_or(u64::MAX)
        };
        self.hold.needs.iter().find(|need| approvers(&need.group) < need.count.get()).map(|need| &need.group)
    }
}

/// One answer to a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldAnswer {
    /// Whose.
    pub by: AssertedPrincipal,
    /// By which key.
    pub key: Fingerprint,
    /// For which groups it counts.
    pub groups: Vec<Name>,
    /// Yes or no.
    pub verdict: Verdict,
}

impl HoldAnswer {
    /// What an entry says.
    pub fn of(approval: &Approval) -> Self {
        Self {
            by: approval.by.asserted(),
            key: approval.key().key().fingerprint(),
            groups: approval.groups.as_slice().to_vec(),
            verdict: approval.verdict,
        }
    }
}

/// One governed run, as far as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// Entry hash of its grant.
    pub writ: Hash,
    /// Index of its grant.
    pub grant: LeafIndex,
    /// The gateway that executes it.
    pub gateway: Name,
    /// How far it has come.
    pub state: ExecutionState,
}

/// How far an execution has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionState {
    /// Its use is consumed.
    Spent,
    /// It runs.
    Started,
    /// It is over.
    Ended(Ending),
}

impl ExecutionState {
    /// The stable string, without the result.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spent => "spent",
            Self::Started => "started",
            Self::Ended(_) => "ended",
        }
    }
}

/// What the rules found in an entry they accept, so that nobody has to read a statement twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Nothing more than its body says.
    AsItStands,
    /// A statement whose gateway signature verifies.
    Evidence(GatewayStatement),
    /// A statement that enough root members have signed.
    Root(RootStatement),
}

impl Accepted {
    /// The root's statement, if it is one.
    pub fn root(&self) -> Option<&RootStatement> {
        match self {
            Self::Root(statement) => Some(statement),
            Self::AsItStands | Self::Evidence(_) => None,
        }
    }
}

/// The entry is against the rules, or the records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OrderError<E> {
    /// Against the rules.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The look-up failed: nothing is known, so nothing is accepted (Invariant 2).
    #[error("the records could not be read")]
    Records(#[source] E),
}
