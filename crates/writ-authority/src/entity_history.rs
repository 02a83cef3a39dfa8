//! The entities of each decision that is derived again: every change is made again in the order of the ledger, and each decision gets the
//! snapshot that it names.

use crate::replay::{Run, Verdict};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use writ_ledger::Kept;
use writ_ledger::audit::Audited;
use writ_policy::{Changes, EntitySnapshot, PolicySet, Semantics};
use writ_protocol::entities::EntityChange;
use writ_protocol::entry::{Entities, Policy};
use writ_tlog::Hash;

/// Snapshots that are kept: a denial may stand a little after the change that ended what it was decided on. They share all that is the same.
const KNOWN_MAX: usize = 1_024;
/// Sets with their entities that are kept.
const MADE_MAX: usize = 16;

/// The entities as the entries up to here have made them.
#[derive(Default)]
pub(crate) struct EntityHistory {
    now: EntitySnapshot,
    /// Which it is; nothing before the first, and where what was erased keeps anybody from knowing.
    digest: Option<Hash>,
    known: VecDeque<(Hash, EntitySnapshot)>,
    made: RefCell<VecDeque<(Which, PolicySet)>>,
    erased: bool,
}

/// A set, by which semantics, and with which snapshot.
type Which = (Hash, Semantics, Option<Hash>);

impl EntityHistory {
    /// The entities as they are now, for a set that is compiled with them.
    pub(crate) fn now(&self) -> Option<&EntitySnapshot> {
        (!self.now.is_empty()).then_some(&self.now)
    }

    /// Whether something was erased of them.
    pub(crate) fn is_erased(&self) -> bool {
        self.erased
    }

    /// Takes in a change, or says what is wrong with it.
    pub(crate) fn enter(&mut self, entities: &Entities, values: &[(Hash, Kept)]) -> Result<(), String> {
        let change = match values.iter().find(|(held, _)| *held == entities.content) {
            Some((_, Kept::Value(opening))) => {
                EntityChange::decode(&opening.value).map_err(|refusal| format!("the change in the vault: {refusal}"))?
            }
            Some((_, Kept::Erased | Kept::Nothing)) => {
                (self.erased, self.digest) = (true, None);
                return Ok(());
            }
            None => return Err("the change in the vault is not the one of the entry".to_owned()),
        };
        let before = self.digest;
        self.now = self.now.with(&change).map_err(|problem| format!("the change in the vault: {problem}"))?;
        let is_it = change.snapshot(&self.now.root()) == entities.snapshot && self.now.len() as u64 == entities.count;
        self.digest = is_it.then_some(entities.snapshot);
        if !is_it {
            // What was erased may be missing here.
            return if self.erased {
                Ok(())
            } else {
                Err("the change does not make the snapshot of the entry".to_owned())
            };
        }
        let mut made = self.made.borrow_mut();
        // What was decided with the entities before decides with these now; only what changes is looked at.
        let follows = |(which, _): &&(Which, PolicySet)| (which.0, which.2) == (entities.policy.set, before);
        if (before.is_some() || !self.erased)
            && let Some(((set, semantics, _), compiled)) = made.iter().rev().find(follows)
        {
            let which = (*set, *semantics, self.digest);
            let changed = compiled.changed(&change);
            let changed = changed.map_err(|found| match found.first() {
                Some(first) => format!("the entities did not fit the set in force: {first}"),
                None => "the entities did not fit the set in force".to_owned(),
            })?;
            self.now = changed.others().cloned().unwrap_or_default();
            keep(&mut made, MADE_MAX, (which, changed));
        }
        keep(&mut self.known, KNOWN_MAX, (entities.snapshot, self.now.clone()));
        Ok(())
    }

    /// What a change does to the entities before it, if that can be told.
    pub(crate) fn changes(&self, entities: &Entities, set: &PolicySet, values: &[(Hash, Kept)]) -> Option<Changes> {
        let content = values.iter().find_map(|(held, kept)| match kept {
            Kept::Value(opening) if *held == entities.content => Some(&opening.value),
            Kept::Value(_) | Kept::Erased | Kept::Nothing => None,
        })?;
        set.changes(&EntityChange::decode(content).ok()?).ok()
    }

    /// The set that decided, with the entities that the decision names.
    pub(crate) fn with<'s>(&self, set: &'s PolicySet, policy: &Policy) -> Result<Cow<'s, PolicySet>, Verdict> {
        let named = policy.entities.as_ref().map(|named| named.snapshot);
        if named.is_none() && set.others().is_none() {
            return Ok(Cow::Borrowed(set));
        }
        let which = (policy.set, set.semantics(), named);
        let mut made = self.made.borrow_mut();
        if let Some((_, known)) = made.iter().find(|(one, _)| *one == which) {
            return Ok(Cow::Owned(known.clone()));
        }
        let snapshot = match named {
            None => EntitySnapshot::default(),
            Some(named) => match self.known.iter().rev().find(|(digest, _)| *digest == named) {
                Some((_, snapshot)) => snapshot.clone(),
                None if self.erased => return Err(Verdict::Erased("its entities are erased")),
                None => return Err(Verdict::differs("the entities that it names were not in force lately")),
            },
        };
        let with = set.with_entities(&snapshot).map_err(|found| {
            let first = found.first().map(ToString::to_string).unwrap_or_default();
            Verdict::Differs(format!("its entities do not fit its policy set: {first}"))
        })?;
        keep(&mut made, MADE_MAX, (which, with.clone()));
        Ok(Cow::Owned(with))
    }
}

impl Run {
    /// A change of entities was permitted for what it does, and makes the snapshot that it says.
    pub(crate) fn entities(&mut self, entities: &Entities, audited: &Audited) -> Result<(), Verdict> {
        let values = audited.values.as_slice();
        let judged = self.decided(&audited.body, audited).unwrap_or(Err(Verdict::BeforePolicy));
        let set = self.set(&entities.policy);
        let does = set.and_then(|set| self.entities.changes(entities, &set, values));
        self.entities.enter(entities, values).map_err(Verdict::Differs)?;
        let derived = judged?;
        if does.is_some() && does != derived.facts.changes {
            return Err(Verdict::differs("it changes something else than was decided on"));
        }
        Ok(())
    }

    /// Takes in a change of entities, of which nothing is asked here.
    pub(crate) fn entered(&mut self, entities: &Entities, values: &[(Hash, Kept)]) {
        // Where it is not as it was, the decisions that name it say so.
        self.entities.enter(entities, values).ok();
    }
}

/// The newest of so many.
fn keep<T>(kept: &mut VecDeque<T>, most: usize, one: T) {
    if kept.len() >= most {
        kept.pop_front();
    }
    kept.push_back(one);
}
