//! The policy set in force: what the control chain names, compiled.

use crate::error::AuthorityError;
use std::sync::{Arc, PoisonError, RwLock};
use writ_policy::{PolicySet, Semantics};
use writ_protocol::entry::{Ascending, Policy, Positive};
use writ_protocol::{Label, Name};

/// A policy set and the epoch in which it came into force.
#[derive(Debug)]
pub struct ActiveSet {
    /// The set.
    pub set: PolicySet,
    /// Its epoch.
    pub epoch: Positive,
}

impl ActiveSet {
    /// As a decision names it.
    pub(crate) fn decided_by(&self, reasons: Vec<Name>) -> Result<Policy, AuthorityError> {
        Ok(Policy {
            set: *self.set.digest(),
            epoch: self.epoch.get(),
            reasons: Ascending::new(reasons),
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

    /// Puts another set in force: `record` must have it recorded. Nothing is decided meanwhile, so nothing is decided twice.
    pub(crate) fn replace<E>(
        &self,
        set: PolicySet,
        record: impl FnOnce(&PolicySet, Positive) -> Result<(), E>,
    ) -> Result<Arc<ActiveSet>, E> {
        let mut active = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let epoch = Positive::new(active.epoch.get().saturating_add(1)).unwrap_or(Positive::ONE);
        record(&set, epoch)?;
        *active = Arc::new(ActiveSet { set, epoch });
        Ok(active.clone())
    }
}
