use crate::hash::{Hash, empty_root, node_hash};
use crate::position::{LeafIndex, TreeSize};
use crate::prove::Nodes;
use crate::tile::{TILE_LEVELS, TILE_WIDTH, TileId, full};
use thiserror::Error;

/// The tree as its sequencer holds it: the right edge, with every node of the tiles not yet [trimmed](Tree::trim).
///
/// A push costs two hashes at most on average, a root and a proof of a fresh entry one lookup a level.
///
/// To build a batch that may come to nothing, push onto a clone and drop it, or keep it once the batch is durable:
/// after a trim a tree holds a few kilobytes a tile level, so that a clone is cheap and a rollback is no code at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// One row a binary level, from the leaves up.
    rows: Vec<Row>,
}

/// The complete subtrees of one binary level that are still held: all from `first` on.
///
/// `first` begins a tile, so it is even at every level inside one, and siblings are dropped together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    first: u64,
    nodes: Vec<Hash>,
}

impl Tree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self { size: 0, rows: Vec::new() }
    }

    /// Loads the right edge of a tree that is stored. Compare its root with a checkpoint before building on it.
    pub fn resume<N: Nodes>(size: TreeSize, nodes: &N) -> Result<Self, N::Error> {
        let size = size.get();
        let mut rows = Vec::new();
        for level in (0..64).step_by(usize::from(TILE_LEVELS)) {
            let count = size >> level;
            if count == 0 {
                break;
            }
            let first = count - count % u64::from(TILE_WIDTH);
            let held = (first..count).map(|index| nodes.node(level, index)).collect::<Result<_, _>>()?;
            let bottom = Row { first, nodes: held };
            rows.extend(std::iter::successors(Some(bottom), |row| Some(row.parents())).take(usize::from(TILE_LEVELS)));
        }
        // No row above the highest complete subtree: that one begins when it is pushed.
        rows.truncate((u64::BITS - size.leading_zeros()) as usize);
        Ok(Self { size, rows })
    }

    /// How many leaves it has.
    pub fn size(&self) -> TreeSize {
        TreeSize::new(self.size)
    }

    /// Its root.
    pub fn root(&self) -> Hash {
        // A set bit of the size is a complete subtree at the right edge: the last of its row.
        (0u8..64)
            .zip(&self.rows)
            .filter(|(level, _)| self.size >> level & 1 == 1)
            .filter_map(|(_, row)| row.nodes.last())
            .fold(None, |root, left| Some(root.map_or(*left, |right| node_hash(left, &right))))
            .unwrap_or_else(empty_root)
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) -> LeafIndex {
        let index = self.size;
        let mut complete = Some(leaf);
        for level in 0.. {
            let Some(node) = complete else { break };
            if self.rows.len() == level {
                self.rows.push(Row::default());
            }
            complete = self.rows.get_mut(level).and_then(|row| row.push(node));
        }
        self.size += 1;
        LeafIndex::new(index)
    }

    /// The tiles that are full and not yet trimmed, lowest level first.
    pub fn full_tiles(&self) -> Vec<(TileId, Vec<Hash>)> {
        self.tile_rows()
            .flat_map(|(level, row)| {
                let tiles = row.nodes.chunks_exact(usize::from(TILE_WIDTH));
                (row.first / u64::from(TILE_WIDTH)..)
                    .zip(tiles)
                    .map(move |(index, tile)| (full(level, index), tile.to_vec()))
            })
            .collect()
    }

    /// The partial tiles of the tree at its present size, lowest level first.
    pub fn partial_tiles(&self) -> Vec<(TileId, Vec<Hash>)> {
        self.tile_rows()
            .filter_map(|(level, row)| {
                let tile = row.nodes.chunks_exact(usize::from(TILE_WIDTH)).remainder();
                let width = u16::try_from(tile.len()).ok().filter(|width| *width > 0)?;
                let index = (self.size >> (level * TILE_LEVELS)) / u64::from(TILE_WIDTH);
                Some((TileId { level, index, width }, tile.to_vec()))
            })
            .collect()
    }

    /// Forgets the nodes of full tiles. Do it once they are stored, and after the proofs of the entries just pushed.
    pub fn trim(&mut self) {
        let full: Vec<_> = self.tile_rows().map(|(_, row)| row.nodes.len() / usize::from(TILE_WIDTH)).collect();
        for (rows, full) in self.rows.chunks_mut(usize::from(TILE_LEVELS)).zip(full) {
            for (above, row) in (0..TILE_LEVELS).zip(rows) {
                row.forget(full << (TILE_LEVELS - above));
            }
        }
    }

    /// The root of the complete subtree of `2^level` leaves at `index`, if it is still held.
    pub fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let row = self.rows.get(usize::from(level))?;
        let place = usize::try_from(index.checked_sub(row.first)?).ok()?;
        row.nodes.get(place).copied()
    }

    /// The rows that tiles are made of, with their tile level.
    fn tile_rows(&self) -> impl Iterator<Item = (u8, &Row)> {
        (0u8..).zip(self.rows.iter().step_by(usize::from(TILE_LEVELS)))
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Row {
    /// Appends a node; gives its parent when it completes a pair.
    fn push(&mut self, node: Hash) -> Option<Hash> {
        let left = self.nodes.last().filter(|_| self.nodes.len() % 2 == 1).copied();
        self.nodes.push(node);
        left.map(|left| node_hash(&left, &node))
    }

    /// The row above, as far as this one knows it.
    fn parents(&self) -> Self {
        let (pairs, _) = self.nodes.as_chunks();
        Self { first: self.first / 2, nodes: pairs.iter().map(|[left, right]| node_hash(left, right)).collect() }
    }

    fn forget(&mut self, count: usize) {
        self.first += self.nodes.drain(..count.min(self.nodes.len())).len() as u64;
    }
}

/// A node that a tree has trimmed, or never had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected a node that the tree still holds, found level {level}, index {index}")]
pub struct NodeNotHeld {
    /// The binary level asked for.
    pub level: u8,
    /// The index asked for.
    pub index: u64,
}

impl Nodes for Tree {
    type Error = NodeNotHeld;

    fn node(&self, level: u8, index: u64) -> Result<Hash, NodeNotHeld> {
        Tree::node(self, level, index).ok_or(NodeNotHeld { level, index })
    }
}

/// Nodes from a tree first, and from storage when it has trimmed them.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a, N> {
    tree: &'a Tree,
    stored: N,
}

impl<'a, N: Nodes> Overlay<'a, N> {
    /// Lays a tree over what is stored.
    pub fn new(tree: &'a Tree, stored: N) -> Self {
        Self { tree, stored }
    }
}

impl<N: Nodes> Nodes for Overlay<'_, N> {
    type Error = N::Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, N::Error> {
        self.tree.node(level, index).map_or_else(|| self.stored.node(level, index), Ok)
    }
}

#[cfg(test)]
mod tests;
