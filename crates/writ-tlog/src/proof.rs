use crate::hash::{Hash, empty_root, node_hash};
use crate::position::{LeafIndex, TreeSize};
use thiserror::Error;

/// The siblings on the way from a leaf to the root (RFC 6962 section 2.1.1), the leaf's own first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof(Vec<Hash>);

impl InclusionProof {
    /// From its hashes; whether it proves anything is for [`verify_inclusion`] to say.
    pub fn new(hashes: Vec<Hash>) -> Self {
        Self(hashes)
    }

    /// Its hashes, from the leaf up.
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }
}

/// What shows that a tree begins with another one (RFC 6962 section 2.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof(Vec<Hash>);

impl ConsistencyProof {
    /// From its hashes; whether it proves anything is for [`verify_consistency`] to say.
    pub fn new(hashes: Vec<Hash>) -> Self {
        Self(hashes)
    }

    /// Its hashes, from the leaves up.
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The tree has no such leaf.
    #[error("expected an index below the tree size {size}, found {index}")]
    OutOfRange {
        /// The leaf said to be in the tree.
        index: LeafIndex,
        /// The size of the tree.
        size: TreeSize,
    },
    /// A tree does not grow out of a larger one.
    #[error("expected an old size of at most {new}, found {old}")]
    OldLargerThanNew {
        /// The size said to be older.
        old: TreeSize,
        /// The size said to be newer.
        new: TreeSize,
    },
    /// Fewer hashes than the sizes demand.
    #[error("expected a proof of {expected} hashes, found only {found}")]
    TooShort {
        /// How many the sizes demand.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// More hashes than the sizes demand.
    #[error("expected a proof of {expected} hashes, found {found}")]
    TooLong {
        /// How many the sizes demand.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The proof leads to another root than the (new) tree has.
    #[error("expected the root {expected}, the proof leads to {found}")]
    RootMismatch {
        /// The root of the tree.
        expected: Hash,
        /// Where the proof leads.
        found: Hash,
    },
    /// The proof leads to another root than the old tree has.
    #[error("expected the old root {expected}, the proof leads to {found}")]
    OldRootMismatch {
        /// The root of the old tree.
        expected: Hash,
        /// Where the proof leads.
        found: Hash,
    },
}

/// Verifies that a leaf with that hash is at `index` of the tree.
pub fn verify_inclusion(
    leaf: &Hash,
    index: LeafIndex,
    size: TreeSize,
    root: &Hash,
    proof: &InclusionProof,
) -> Result<(), ProofError> {
    if !size.contains(index) {
        return Err(ProofError::OutOfRange { index, size });
    }
    let path = Path::of_leaf(index, size);
    demand_length(proof.hashes(), path.clone().count())?;
    let found = path.zip(proof.hashes()).fold(*leaf, |node, (step, sibling)| step.join(&node, sibling));
    demand_root(root, found)
}

/// Verifies that the tree of size `new` begins with the tree of size `old`.
pub fn verify_consistency(
    old: TreeSize,
    old_root: &Hash,
    new: TreeSize,
    new_root: &Hash,
    proof: &ConsistencyProof,
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OldLargerThanNew { old, new });
    }
    if old.get() == 0 {
        demand_length(proof.hashes(), 0)?;
        demand_old_root(old_root, empty_root())?;
        return if new.get() == 0 { demand_root(new_root, empty_root()) } else { Ok(()) };
    }
    if old == new {
        demand_length(proof.hashes(), 0)?;
        return demand_root(new_root, *old_root);
    }
    let path = Path::of_right_edge(old, new);
    let seeded = usize::from(!old.get().is_power_of_two());
    demand_length(proof.hashes(), seeded + path.clone().count())?;
    let (seed, siblings) = proof.hashes().split_at(seeded);
    let seed = *seed.first().unwrap_or(old_root);
    // Whatever is to the right of the path came after the old tree.
    let (old_found, found) = path.zip(siblings).fold((seed, seed), |(old, new), (step, sibling)| {
        (if step.sibling_is_left { node_hash(sibling, &old) } else { old }, step.join(&new, sibling))
    });
    demand_old_root(old_root, old_found)?;
    demand_root(new_root, found)
}

/// Counted before anything is hashed: a hostile proof must not buy work with its length.
fn demand_length(proof: &[Hash], expected: usize) -> Result<(), ProofError> {
    let found = proof.len();
    match found.cmp(&expected) {
        std::cmp::Ordering::Less => Err(ProofError::TooShort { expected, found }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(ProofError::TooLong { expected, found }),
    }
}

fn demand_root(expected: &Hash, found: Hash) -> Result<(), ProofError> {
    if *expected == found { Ok(()) } else { Err(ProofError::RootMismatch { expected: *expected, found }) }
}

fn demand_old_root(expected: &Hash, found: Hash) -> Result<(), ProofError> {
    if *expected == found { Ok(()) } else { Err(ProofError::OldRootMismatch { expected: *expected, found }) }
}

/// The way from a subtree up to the root of a tree, as the siblings met on it.
#[derive(Clone)]
pub(crate) struct Path {
    level: u8,
    index: u64,
    last: u64,
}

/// One sibling on a [`Path`]: the subtree at `sibling` among those of `2^level` leaves.
pub(crate) struct Step {
    pub(crate) level: u8,
    pub(crate) sibling: u64,
    sibling_is_left: bool,
}

impl Path {
    /// From a leaf that the tree has.
    pub(crate) fn of_leaf(index: LeafIndex, size: TreeSize) -> Self {
        Self { level: 0, index: index.get(), last: size.get().saturating_sub(1) }
    }

    /// From the last complete subtree at the right edge of the old tree, which is not empty, up through the new one.
    pub(crate) fn of_right_edge(old: TreeSize, new: TreeSize) -> Self {
        let level = (0..63).find(|level| old.get() >> level & 1 == 1).unwrap_or(63);
        Self { level, index: old.get().saturating_sub(1) >> level, last: new.get().saturating_sub(1) >> level }
    }

    /// Where it begins.
    pub(crate) fn level(&self) -> u8 {
        self.level
    }

    /// Where it begins.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }
}

impl Iterator for Path {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        while self.last > 0 {
            let sibling = self.index ^ 1;
            let step = Step { level: self.level, sibling, sibling_is_left: sibling < self.index };
            let exists = sibling <= self.last;
            self.level += 1;
            self.index >>= 1;
            self.last >>= 1;
            if exists {
                return Some(step);
            }
        }
        None
    }
}

impl Step {
    fn join(&self, node: &Hash, sibling: &Hash) -> Hash {
        if self.sibling_is_left { node_hash(sibling, node) } else { node_hash(node, sibling) }
    }
}

#[cfg(test)]
mod tests;
