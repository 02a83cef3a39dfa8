use crate::approval::Approvals;
use crate::clause::{Clause, Effect};
use crate::compile;
use crate::declared::Declared;
use crate::entities::Uids;
use crate::entity_change::Required;
use crate::entity_snapshot::EntitySnapshot;
use crate::error::PolicyError;
use crate::fixture::{Tested, test};
use crate::index::{Index, Reads};
use crate::principals::Principals;
use crate::semantics::Semantics;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::terms::PermitTerms;
use cedar_policy::{EntityUid, Policy, Schema};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::{Ed25519Key, Fingerprint, Name};
use writ_tlog::Hash;

/// A snapshot that was compiled, and by which semantics it decides: every policy has an id of its own, fits the schema, and names only what is there.
#[derive(Clone)]
pub struct PolicySet {
    pub(crate) index: Arc<Index>,
    pub(crate) uids: Uids,
    pub(crate) store: Store,
    /// What the domain's own schema declares.
    pub(crate) declared: Arc<Declared>,
    /// The entities that it names.
    pub(crate) required: Arc<[Required]>,
    pub(crate) policies: Arc<BTreeMap<Name, Compiled>>,
    pub(crate) principals: Arc<Principals>,
    /// What the domain adds to the base schema, as it was written.
    pub(crate) own_schema: Vec<u8>,
    /// What must never be permitted, ascending by id.
    pub(crate) guardrails: Arc<[(Policy, Clause)]>,
    /// Its files with fixtures.
    pub(crate) fixtures: Arc<[(String, Vec<u8>)]>,
    pub(crate) digest: Hash,
    pub(crate) semantics: Semantics,
    pub(crate) warnings: Arc<[PolicyError]>,
}

/// What is kept of one policy beside the engine's form of it.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(crate) clause: Clause,
    pub(crate) terms: PermitTerms,
    pub(crate) approvals: Option<Approvals>,
}

impl Compiled {
    /// The policy as the engine has it.
    pub(crate) fn as_evaluated(&self) -> Cow<'_, Clause> {
        match &self.approvals {
            None => Cow::Borrowed(&self.clause),
            Some(approvals) => Cow::Owned(Clause { text: approvals.lift(&self.clause.text), ..self.clause.clone() }),
        }
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicySet({:?}, {} policies, {})", self.digest, self.policies.len(), self.semantics)
    }
}

impl PolicySet {
    /// Compiles a snapshot, to decide by these semantics, or says everything that is wrong with it, ascending by file and line.
    pub fn compile(snapshot: &Snapshot, semantics: Semantics) -> Result<Self, Vec<PolicyError>> {
        compile::compile(snapshot, semantics, None)
    }

    /// The same, to decide with these entities beside its own: what it names may be there.
    pub fn compile_with(
        snapshot: &Snapshot,
        semantics: Semantics,
        others: Option<&EntitySnapshot>,
    ) -> Result<Self, Vec<PolicyError>> {
        compile::compile(snapshot, semantics, others)
    }

    /// Tests every fixture that it came with, or says which cannot be read.
    pub fn test(&self) -> Result<Vec<Tested>, Vec<PolicyError>> {
        test(self)
    }

    /// By which semantics it decides.
    pub fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// Whether it may deny what its policies permit, since too many of them do.
    pub fn may_permit_too_often(&self) -> bool {
        let permits = self.policies.values().filter(|one| one.clause.effect == Effect::Permit).count();
        self.semantics.permits_max().is_some_and(|most| permits > most)
    }

    /// The engine's form of its schema and of its policies, for a prover; decisions are made by [`crate::decide`] alone.
    pub fn engine(&self) -> (&Schema, impl Iterator<Item = &Policy>) {
        (self.store.schema(), self.index.policies().map(|(policy, _)| policy))
    }

    /// Its guardrails, ascending by id: permits of what must never be permitted. They take no part in decisions, and are for a prover.
    pub fn guardrails(&self) -> &[(Policy, Clause)] {
        &self.guardrails
    }

    /// Which attributes of the context these policies read, ascending; `None` where any of them may read all.
    pub fn reads(&self, ids: &BTreeSet<&str>) -> Option<BTreeSet<&str>> {
        let mut read = BTreeSet::new();
        for (policy, reads) in self.index.policies() {
            if ids.contains(AsRef::<str>::as_ref(policy.id())) {
                match reads {
                    Reads::Only(attributes) => read.extend(attributes.iter().map(String::as_str)),
                    Reads::All => return None,
                }
            }
        }
        Some(read)
    }

    /// The digest of the snapshot it was compiled from.
    pub fn digest(&self) -> &Hash {
        &self.digest
    }

    /// How many policies it has.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether it has none, and so denies everything.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// What looks odd but was not refused, ascending: a condition that is never true, letters that look like others.
    pub fn warnings(&self) -> &[PolicyError] {
        &self.warnings
    }

    /// A policy as it was written.
    pub fn clause(&self, id: &Name) -> Option<&Clause> {
        self.policies.get(id).map(|compiled| &compiled.clause)
    }

    /// The ids of all policies, ascending.
    pub fn ids(&self) -> impl Iterator<Item = &Name> {
        self.policies.keys()
    }

    /// The permits of executions alone, and those that permit something else besides; both ascending.
    pub fn permits_of_executions(&self) -> (Vec<Name>, Vec<Name>) {
        let (mut alone, mut wider) = (Vec::new(), Vec::new());
        for (id, uids) in self.index.permitted_actions() {
            let Ok(id) = Name::new(id) else { continue };
            match uids.as_deref() {
                Some([only]) if *only == self.uids.exec => alone.push(id),
                Some(uids) if !uids.contains(&self.uids.exec) && !self.has_exec_below(uids) => {}
                Some(_) | None => wider.push(id),
            }
        }
        alone.sort();
        wider.sort();
        (alone, wider)
    }

    fn has_exec_below(&self, groups: &[EntityUid]) -> bool {
        groups.iter().any(|group| self.store.own().is_ancestor_of(group, &self.uids.exec))
    }

    /// Who proves to be whom.
    pub fn principals(&self) -> &Principals {
        &self.principals
    }

    /// Whose key it is.
    pub fn principal_by_key(&self, key: &Fingerprint) -> Option<&AssertedPrincipal> {
        self.principals.by_key(key)
    }

    /// Whose uid it is.
    pub fn principal_by_uid(&self, uid: u32) -> Option<&AssertedPrincipal> {
        self.principals.by_uid(uid)
    }

    /// The keys of a principal.
    pub fn keys_of(&self, principal: &AssertedPrincipal) -> &[Ed25519Key] {
        self.principals.keys_of(principal)
    }
}
