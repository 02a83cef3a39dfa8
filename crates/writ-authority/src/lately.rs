//! Bundles that a gate has lately refused. Whoever is known may hand a bundle in, and its authors' signatures are good until it expires: without
//! this, one that does not pass would keep the node compiling and proving for as long as somebody likes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use writ_tlog::Hash;

/// For so long the same bundle gets the same answer.
pub(crate) const REFUSED_FOR_MS: u64 = 30_000;
/// So many are remembered, the newest.
const REMEMBERED_MAX: usize = 16;

/// Those bundles.
#[derive(Debug, Default)]
pub(crate) struct LatelyRefused(Mutex<VecDeque<Refused>>);

/// What was found of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Digest of the bundle.
    pub(crate) bundle: Hash,
    /// Which set was in force.
    pub(crate) in_force: Hash,
    /// When.
    pub(crate) at_ms: u64,
    /// What whoever handed it in was told.
    pub(crate) why: String,
    /// What was kept.
    pub(crate) report: String,
}

impl LatelyRefused {
    /// What was found of this bundle lately, under the set in force.
    pub(crate) fn of(&self, bundle: &Hash, in_force: &Hash, now_ms: u64) -> Option<Refused> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |one: &&Refused| {
            one.bundle == *bundle && one.in_force == *in_force && now_ms.abs_diff(one.at_ms) < REFUSED_FOR_MS
        };
        remembered.iter().find(lately).cloned()
    }

    pub(crate) fn remember(&self, refused: Refused) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|one| one.bundle != refused.bundle);
        remembered.push_front(refused);
        remembered.truncate(REMEMBERED_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::{LatelyRefused, REFUSED_FOR_MS, REMEMBERED_MAX, Refused};
    use writ_tlog::{Hash, sha256};

    fn refused(bundle: Hash) -> Refused {
        let (why, report) = ("a gate".to_owned(), "all gates".to_owned());
        Refused { bundle, in_force: sha256(b"set"), at_ms: 1_000, why, report }
    }

    #[test]
    fn a_bundle_is_remembered_for_a_while_and_under_one_set() {
        let lately = LatelyRefused::default();
        let (bundle, set) = (sha256(b"bundle"), sha256(b"set"));
        lately.remember(refused(bundle));
        assert_eq!(lately.of(&bundle, &set, 1_000 + REFUSED_FOR_MS - 1), Some(refused(bundle)));
        for (bundle, set, now_ms) in
            [(bundle, set, 1_000 + REFUSED_FOR_MS), (bundle, sha256(b"other"), 1_000), (sha256(b"other"), set, 1_000)]
        {
            assert_eq!(lately.of(&bundle, &set, now_ms), None);
        }
    }

    #[test]
    fn only_the_newest_are_remembered_each_once() {
        let lately = LatelyRefused::default();
        let bundles: Vec<Hash> = (0..REMEMBERED_MAX + 1).map(|number| sha256(&number.to_be_bytes())).collect();
        for bundle in bundles.iter().chain(bundles.iter().skip(1)) {
            lately.remember(refused(*bundle));
        }
        let known = bundles.iter().filter(|bundle| lately.of(bundle, &sha256(b"set"), 1_000).is_some());
        assert_eq!(known.count(), REMEMBERED_MAX);
        assert_eq!(lately.of(&bundles[0], &sha256(b"set"), 1_000), None);
    }
}
