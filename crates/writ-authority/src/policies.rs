//! The policy set in force: what the control chain names, compiled.

use crate::error::AuthorityError;
use std::sync::{Arc, PoisonError, RwLock};
use writ_ledger::Receipt;
use writ_policy::{PolicySet, Semantics};
use writ_protocol::entry::{Ascending, EntitiesRef, Policy, Positive};
use writ_protocol::{Code, Label, Name, Refusal};

/// A policy set and the epoch in which it came into force.
#[derive(Debug)]
pub struct ActiveSet {
    /// The set.
    pub set: PolicySet,
    /// Its epoch.
    pub epoch: Positive,
    /// The entities that it decides with beside its own, as entries name them.
    pub entities: Option<EntitiesRef>,
}

impl ActiveSet {
    /// As a decision names it.
    pub(crate) fn decided_by(&self, reasons: Vec<Name>) -> Result<Policy, AuthorityError> {
        Ok(Policy {
            set: *self.set.digest(),
            epoch: self.epoch.get(),
            reasons: Ascending::new(reasons),
            entities: self.entities.clone(),
            semantics: label(self.set.semantics())?,
        })
    }
}

/// As entries name them.
pub(crate) fn label(semantics: Semantics) -> Result<Label, AuthorityError> {
    Label::new(semantics.as_str()).map_err(|error| AuthorityError::Refused(error.into()))
}

/// Whatever decides takes the set that is in force at that moment, and keeps it to the end of that decision.
#[derive(Debug)]
pub(crate) struct Policies(RwLock<Arc<ActiveSet>>);

impl Policies {
    pub(crate) fn new(active: ActiveSet) -> Self {
        Self(RwLock::new(Arc::new(active)))
    }

    pub(crate) fn active(&self) -> Arc<ActiveSet> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another set in force that was compiled with these entities: `record` must have it recorded. Nothing is decided meanwhile, so
    /// nothing is decided twice.
    pub(crate) fn replace<E: From<Refusal>>(
        &self,
        set: PolicySet,
        entities: Option<EntitiesRef>,
        record: impl FnOnce(&PolicySet, Positive) -> Result<(), E>,
    ) -> Result<Arc<ActiveSet>, E> {
        let mut active = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if active.entities != entities {
            return Err(
                Refusal::new(Code::FactsChanged, "the entities have changed while the set was looked at").into()
            );
        }
        let epoch = Positive::new(active.epoch.get().saturating_add(1)).unwrap_or(Positive::ONE);
        record(&set, epoch)?;
        *active = Arc::new(ActiveSet { set, epoch, entities });
        Ok(active.clone())
    }

    /// Puts other entities in force under the same set, which `set` is with them; nothing, where what was decided on is not in force any more.
    /// A request that is answered again changes nothing again.
    pub(crate) fn change<E>(
        &self,
        decided_on: &Arc<ActiveSet>,
        set: PolicySet,
        entities: EntitiesRef,
        record: impl FnOnce() -> Result<Receipt, E>,
    ) -> Result<Option<Receipt>, E> {
        let mut active = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&active, decided_on) {
            return Ok(None);
        }
        let recorded = record()?;
        if !recorded.repeated {
            *active = Arc::new(ActiveSet { set, epoch: decided_on.epoch, entities: Some(entities) });
        }
        Ok(Some(recorded))
    }
}
