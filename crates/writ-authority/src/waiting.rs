//! What open holds are of, so that the same is found without reading what each of them stood on: that may be megabytes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use writ_policy::Facts;
use writ_protocol::cbor::Encode;
use writ_protocol::entry::{AssertedPrincipal, Cause};
use writ_tlog::{Hash, LeafIndex, sha256};

/// More holds than can be open; what is forgotten is read again.
const KNOWN_MAX: usize = 8192;

/// What is asked by whom, from where and in what surroundings, in short. It never leaves the process: it is not salted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked(Hash);

impl Asked {
    pub(crate) fn of(who: &AssertedPrincipal, cause: &Cause, action: &[u8], facts: &Facts) -> Self {
        let mut text = Vec::new();
        let mut put = |part: &[u8]| {
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part);
        };
        put(who.kind.as_str().as_bytes());
        put(who.id.as_str().as_bytes());
        put(&cause.to_cbor());
        put(sha256(action).as_bytes());
        for (label, value) in &facts.surroundings {
            put(label.as_str().as_bytes());
            put(value.as_bytes());
        }
        Self(sha256(&text))
    }
}

/// What is known of open holds, and what is just being recorded as one.
#[derive(Default)]
pub(crate) struct KnownHolds(Mutex<Known>);

#[derive(Default)]
struct Known {
    asked: BTreeMap<LeafIndex, Asked>,
    being_held: BTreeMap<Asked, AssertedPrincipal>,
}

impl KnownHolds {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn asked(&self, hold: LeafIndex) -> Option<Asked> {
        self.known().asked.get(&hold).copied()
    }

    pub(crate) fn learn(&self, hold: LeafIndex, asked: Asked) {
        let mut known = self.known();
        if known.asked.len() >= KNOWN_MAX {
            known.asked.clear();
        }
        known.asked.insert(hold, asked);
    }

    /// From here on until it is dropped, nobody else makes a hold of the same; nothing while somebody does.
    pub(crate) fn begin(&self, asked: Asked, who: &AssertedPrincipal) -> Option<BeingHeld<'_>> {
        let mut known = self.known();
        if known.being_held.contains_key(&asked) {
            return None;
        }
        let of_the_same = known.being_held.values().filter(|other| *other == who).count();
        known.being_held.insert(asked, who.clone());
        Some(BeingHeld { known: self, asked, of_the_same })
    }
}

/// Something is just being recorded as a hold.
pub(crate) struct BeingHeld<'a> {
    known: &'a KnownHolds,
    asked: Asked,
    /// How many others of this principal are.
    pub(crate) of_the_same: usize,
}

impl Drop for BeingHeld<'_> {
    fn drop(&mut self) {
        self.known.known().being_held.remove(&self.asked);
    }
}
