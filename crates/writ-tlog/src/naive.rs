//! RFC 6962 section 2.1 as it is written, recursive and slow: what the tests compare with.

use crate::hash::{Hash, empty_root, leaf_hash, node_hash};
use crate::position::TreeSize;
use crate::prove::Nodes;
use std::convert::Infallible;
use std::sync::LazyLock;

/// The leaves that all tests draw on.
pub(crate) static LEAVES: LazyLock<Vec<Hash>> =
    LazyLock::new(|| (0..70_000u32).map(|number| leaf_hash(&number.to_be_bytes())).collect());

/// The first leaves of [`LEAVES`].
pub(crate) fn leaves(size: u64) -> &'static [Hash] {
    &LEAVES[..usize::try_from(size).unwrap()]
}

/// Every complete subtree over [`LEAVES`], row by row.
pub(crate) struct Everything(Vec<Vec<Hash>>);

pub(crate) static EVERYTHING: LazyLock<Everything> = LazyLock::new(|| {
    let mut rows = vec![LEAVES.clone()];
    while let Some(row) = rows.last().filter(|row| row.len() > 1) {
        rows.push(row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect());
    }
    Everything(rows)
});

impl Nodes for Everything {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.0[usize::from(level)][usize::try_from(index).unwrap()])
    }
}

/// A storage that must not be needed.
pub(crate) struct Nothing;

impl Nodes for Nothing {
    type Error = (u8, u64);

    fn node(&self, level: u8, index: u64) -> Result<Hash, (u8, u64)> {
        Err((level, index))
    }
}

pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        leaves => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = match index.checked_sub(left.len()) {
        None => (path(index, left), root(right)),
        Some(index) => (path(index, right), root(left)),
    };
    path.push(sibling);
    path
}

pub(crate) fn consistency(old: usize, leaves: &[Hash]) -> Vec<Hash> {
    if old == 0 { Vec::new() } else { subproof(old, leaves, true) }
}

fn subproof(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = match old.checked_sub(left.len()) {
        None | Some(0) => (subproof(old, left, known), root(right)),
        Some(old) => (subproof(old, right, false), root(left)),
    };
    proof.push(sibling);
    proof
}

/// The largest power of two below a number.
fn split(number: usize) -> usize {
    number.next_power_of_two() / 2
}

/// Sizes where something changes: around powers of two and of tiles.
pub(crate) fn notable_sizes() -> impl Iterator<Item = TreeSize> {
    [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 65_279, 65_280, 65_535, 65_536, 65_537, 65_792, 66_000, 70_000]
        .into_iter()
        .map(TreeSize::new)
}
