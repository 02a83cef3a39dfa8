//! What a request inherits: the labels of what it descends from, and who stands at the beginning.
//!
//! Labels belong to lineages: whatever one execution has learnt, those it was caused by and those it causes may know (decision 0032).

use crate::authority::Authority;
use crate::error::AuthorityError;
use crate::recognise::Asker;
use crate::trees::Governed;
use writ_ledger::{LedgerError, Recheck};
use writ_policy::{Caused, LABELS_MAX};
use writ_protocol::entry::Ascending;
use writ_protocol::order::{Carrier, ControlState, ExecutionState, Lookup, Records};
use writ_protocol::{Code, Label, Refusal};

/// What a request has from where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Inherited {
    /// Ascending, each once.
    pub(crate) labels: Vec<Label>,
    /// What caused it.
    pub(crate) caused: Option<Caused>,
}

impl Authority {
    /// What is inherited by whatever this asker asks for, as of now: it is asked again when the decision is sequenced (Invariant 5).
    pub(crate) fn inherited(&self, asker: &Asker) -> Result<Inherited, AuthorityError> {
        let labels = match &asker.inherits {
            Some(carrier) => self.reader().labels(carrier)?,
            None => Vec::new(),
        };
        Ok(Inherited { labels, caused: asker.governed.as_ref().map(Governed::cause) })
    }
}

impl Governed {
    fn cause(&self) -> Caused {
        Caused { parent: self.parent.entry, origin: self.origin.entry, by: self.by.clone() }
    }
}

/// What an execution is granted with: what it inherits, and what policy says it will learn.
pub(crate) fn carried(inherited: &[Label], added: &[Label]) -> Result<Ascending<Label>, Refusal> {
    let carried = Ascending::new(inherited.iter().chain(added).cloned());
    let found = carried.as_slice().len();
    if found <= LABELS_MAX {
        return Ok(carried);
    }
    let why = format!("it would carry {found} labels, and no entry records more than {LABELS_MAX}");
    Err(Refusal::new(Code::LabelsMissing, why))
}

/// What a decision reads besides what the rules of order hold by themselves: that the execution which asks is still running, and that
/// nothing has gained labels that it would have inherited.
pub(crate) struct LineageRead {
    governed: Option<Governed>,
    inherits: Option<Carrier>,
    labels: Vec<Label>,
}

impl LineageRead {
    pub(crate) fn new(asker: &Asker, labels: Vec<Label>) -> Self {
        Self { governed: asker.governed.clone(), inherits: asker.inherits.clone(), labels }
    }
}

impl Recheck for LineageRead {
    fn recheck(
        &self,
        _state: &ControlState,
        records: &dyn Records<Error = LedgerError>,
    ) -> Result<Result<(), Refusal>, LedgerError> {
        if let Some(governed) = &self.governed
            && let Err(broken) = still_runs(governed, records)?
        {
            return Ok(Err(broken));
        }
        let Some(carrier) = &self.inherits else { return Ok(Ok(())) };
        match records.labels(carrier)? {
            Lookup::Found(labels) if labels == self.labels => Ok(Ok(())),
            Lookup::Found(_) | Lookup::Absent | Lookup::Unknown => Ok(Err(Refusal::new(
                Code::FactsChanged,
                "the labels that it inherits have changed since the decision; decide again",
            ))),
        }
    }
}

fn still_runs(
    governed: &Governed,
    records: &dyn Records<Error = LedgerError>,
) -> Result<Result<(), Refusal>, LedgerError> {
    let broken = |why: &str| {
        let execution = governed.execution;
        Ok(Err(Refusal::new(Code::LineageBroken, format!("{execution}, which asks, {why}"))))
    };
    match records.execution(&governed.execution)? {
        Lookup::Found(found) => match found.state {
            ExecutionState::Started => Ok(Ok(())),
            ExecutionState::Spent => broken("was never started"),
            ExecutionState::Ended(_) => broken("has ended"),
        },
        Lookup::Absent | Lookup::Unknown => broken("is not recorded"),
    }
}
