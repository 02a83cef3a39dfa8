use crate::hash::{Hash, empty_root, node_hash};
use crate::position::{LeafIndex, TreeSize};
use crate::proof::{ConsistencyProof, InclusionProof, Path};
use thiserror::Error;

/// Where the nodes of a tree come from.
pub trait Nodes {
    /// Why a node cannot be had.
    type Error;

    /// The root of the complete subtree of `2^level` leaves that begins at leaf `index * 2^level`.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

impl<N: Nodes + ?Sized> Nodes for &N {
    type Error = N::Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, N::Error> {
        (**self).node(level, index)
    }
}

/// Why a proof cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProveError<E> {
    /// The tree has no such leaf.
    #[error("expected an index below the tree size {size}, found {index}")]
    OutOfRange {
        /// The leaf asked for.
        index: LeafIndex,
        /// The tree asked for.
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
    /// A node that the proof needs could not be had.
    #[error("a node that the proof needs could not be read")]
    Nodes(#[source] E),
}

/// Proves that a leaf is in the tree of that size.
pub fn prove_inclusion<N: Nodes>(
    index: LeafIndex,
    size: TreeSize,
    nodes: &N,
) -> Result<InclusionProof, ProveError<N::Error>> {
    if !size.contains(index) {
        return Err(ProveError::OutOfRange { index, size });
    }
    Path::of_leaf(index, size)
        .map(|step| sibling(step.level, step.sibling, size, nodes))
        .collect::<Result<_, _>>()
        .map(InclusionProof::new)
        .map_err(ProveError::Nodes)
}

/// Proves that the tree of size `new` begins with the tree of size `old`.
///
/// Every tree begins with the empty one, and with itself: those proofs are empty.
pub fn prove_consistency<N: Nodes>(
    old: TreeSize,
    new: TreeSize,
    nodes: &N,
) -> Result<ConsistencyProof, ProveError<N::Error>> {
    if old > new {
        return Err(ProveError::OldLargerThanNew { old, new });
    }
    if old == new || old.get() == 0 {
        return Ok(ConsistencyProof::new(Vec::new()));
    }
    let path = Path::of_right_edge(old, new);
    // When the old tree is one complete subtree, the verifier has its root already.
    let seed = (!old.get().is_power_of_two()).then(|| nodes.node(path.level(), path.index()));
    seed.into_iter()
        .chain(path.map(|step| sibling(step.level, step.sibling, new, nodes)))
        .collect::<Result<_, _>>()
        .map(ConsistencyProof::new)
        .map_err(ProveError::Nodes)
}

/// The root of the tree of that size.
pub fn root_at<N: Nodes>(size: TreeSize, nodes: &N) -> Result<Hash, N::Error> {
    Ok(right_edge(size.get(), size, nodes)?.unwrap_or_else(empty_root))
}

/// A subtree of the tree of that size: complete, or else the one at its right edge.
fn sibling<N: Nodes>(level: u8, index: u64, size: TreeSize, nodes: &N) -> Result<Hash, N::Error> {
    let complete = size.get() >> level;
    if index >= complete {
        let below = size.get() & ((1 << level) - 1);
        if let Some(hash) = right_edge(below, size, nodes)? {
            return Ok(hash);
        }
    }
    nodes.node(level, index)
}

/// The root over the last `leaves` leaves, a remainder of `size` modulo a power of two: one complete subtree for each bit.
fn right_edge<N: Nodes>(leaves: u64, size: TreeSize, nodes: &N) -> Result<Option<Hash>, N::Error> {
    let mut root = None;
    for level in (0..64).filter(|level| leaves >> level & 1 == 1) {
        let left = nodes.node(level, (size.get() >> level) - 1)?;
        root = Some(root.map_or(left, |right| node_hash(&left, &right)));
    }
    Ok(root)
}
