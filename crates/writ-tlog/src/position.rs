use std::fmt;

/// The place of a leaf in the tree, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeafIndex(u64);

impl LeafIndex {
    /// The leaf at this index.
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// The index as a number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many leaves a tree has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeSize(u64);

impl TreeSize {
    /// A tree of this many leaves.
    pub const fn new(size: u64) -> Self {
        Self(size)
    }

    /// The size as a number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether a tree of this size has that leaf.
    pub const fn contains(self, index: LeafIndex) -> bool {
        index.0 < self.0
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_contains_the_leaves_below_its_size() {
        assert!(TreeSize::new(3).contains(LeafIndex::new(2)));
        assert!(!TreeSize::new(3).contains(LeafIndex::new(3)));
        assert!(!TreeSize::new(0).contains(LeafIndex::new(0)));
    }
}
