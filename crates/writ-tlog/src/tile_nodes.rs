use crate::hash::Hash;
use crate::position::TreeSize;
use crate::prove::Nodes;
use crate::tile::{TILE_LEVELS, TileId, node_from_tile, tile_width};
use std::cell::RefCell;
use thiserror::Error;

/// Where tiles come from: a directory, an object store, a server.
pub trait TileReader {
    /// Why a tile cannot be had.
    type Error;

    /// The hashes of that tile.
    fn tile(&self, id: TileId) -> Result<Vec<Hash>, Self::Error>;
}

/// The nodes of a tree of some size, out of its tiles.
///
/// It trusts the reader: recompute a root from what it gives and compare that with a checkpoint.
#[derive(Clone, Debug)]
pub struct TileNodes<R> {
    reader: R,
    size: TreeSize,
    /// The last tile read: a proof needs up to eight nodes of each, one after the other.
    last: RefCell<Option<(TileId, Vec<Hash>)>>,
}

/// Why a node could not be had from tiles.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TileNodesError<E> {
    /// The tile could not be read.
    #[error("a tile could not be read")]
    Read(#[source] E),
    /// The tree of that size has no such node.
    #[error("expected a node of the tree of size {size}, found level {level}, index {index}")]
    NotInTree {
        /// The binary level asked for.
        level: u8,
        /// The index asked for.
        index: u64,
        /// The size of the tree.
        size: TreeSize,
    },
    /// The reader gave another tile than it was asked for.
    #[error("expected a tile of {expected} hashes, found {found}")]
    Width {
        /// The width of the tile asked for.
        expected: u16,
        /// How many hashes came.
        found: usize,
    },
}

impl<R: TileReader> TileNodes<R> {
    /// The nodes of the tree of that size.
    pub fn new(reader: R, size: TreeSize) -> Self {
        Self { reader, size, last: RefCell::new(None) }
    }

    fn read(&self, id: TileId) -> Result<Vec<Hash>, TileNodesError<R::Error>> {
        let tile = self.reader.tile(id).map_err(TileNodesError::Read)?;
        match tile.len() == usize::from(id.width) {
            true => Ok(tile),
            false => Err(TileNodesError::Width { expected: id.width, found: tile.len() }),
        }
    }
}

impl<R: TileReader> Nodes for TileNodes<R> {
    type Error = TileNodesError<R::Error>;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let absent = || TileNodesError::NotInTree { level, index, size: self.size };
        let (tile_level, height) = (level / TILE_LEVELS, level % TILE_LEVELS);
        // Each row of a tile has half the nodes of the one below, 256 at its bottom.
        let row = TILE_LEVELS - height;
        let (tile_index, within) = (index >> row, index & ((1 << row) - 1));
        let width = tile_width(self.size, tile_level, tile_index).ok_or_else(absent)?;
        let id = TileId { level: tile_level, index: tile_index, width };
        let mut last = self.last.borrow_mut();
        if let Some((_, tile)) = last.as_ref().filter(|(held, _)| *held == id) {
            return node_from_tile(tile, height, within).ok_or_else(absent);
        }
        let tile = self.read(id)?;
        let node = node_from_tile(&tile, height, within).ok_or_else(absent);
        *last = Some((id, tile));
        node
    }
}

#[cfg(test)]
mod tests;
