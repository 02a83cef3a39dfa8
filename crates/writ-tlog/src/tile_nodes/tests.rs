use super::*;
use crate::naive::{EVERYTHING, LEAVES, leaves, notable_sizes};
use crate::prove::{prove_consistency, prove_inclusion, root_at};
use crate::tile::full;
use crate::{LeafIndex, Tree};
use std::collections::BTreeMap;

/// The tiles of a tree, as a log would serve them.
struct Served(BTreeMap<TileId, Vec<Hash>>);

impl TileReader for &Served {
    type Error = TileId;

    fn tile(&self, id: TileId) -> Result<Vec<Hash>, TileId> {
        self.0.get(&id).cloned().ok_or(id)
    }
}

fn served(size: TreeSize) -> Served {
    let mut tree = Tree::new();
    leaves(size.get()).iter().for_each(|leaf| _ = tree.push(*leaf));
    Served(tree.full_tiles().into_iter().chain(tree.partial_tiles()).collect())
}

#[test]
fn tiles_give_every_root_proof_and_right_edge() {
    for size in notable_sizes() {
        let served = served(size);
        let nodes = TileNodes::new(&served, size);
        assert_eq!(root_at(size, &nodes), Ok(root_at(size, &*EVERYTHING).unwrap()), "size {size}");
        assert_eq!(Tree::resume(size, &nodes), Ok(Tree::resume(size, &*EVERYTHING).unwrap()), "size {size}");
        for number in (0..size.get()).step_by(1237) {
            let (index, old) = (LeafIndex::new(number), TreeSize::new(number));
            assert_eq!(prove_inclusion(index, size, &nodes).ok(), prove_inclusion(index, size, &*EVERYTHING).ok());
            assert_eq!(prove_consistency(old, size, &nodes).ok(), prove_consistency(old, size, &*EVERYTHING).ok());
        }
    }
}

#[test]
fn a_node_beyond_the_tree_is_not_in_it() {
    let size = TreeSize::new(300);
    let served = served(size);
    let nodes = TileNodes::new(&served, size);
    for (level, index) in [(0, 300), (2, 75), (8, 1), (9, 0), (0, u64::MAX), (63, 0), (64, 0), (255, u64::MAX)] {
        assert_eq!(nodes.node(level, index), Err(TileNodesError::NotInTree { level, index, size }));
    }
    assert_eq!(nodes.node(2, 74), Ok(crate::naive::root(&LEAVES[296..300])));
}

#[test]
fn a_missing_tile_is_an_error_of_the_reader() {
    let size = TreeSize::new(1000);
    let mut served = served(size);
    served.0.remove(&full(0, 1));
    assert_eq!(TileNodes::new(&served, size).node(3, 40), Err(TileNodesError::Read(full(0, 1))));
}

#[test]
fn a_tile_of_another_width_is_refused() {
    let size = TreeSize::new(1000);
    let mut served = served(size);
    served.0.insert(full(0, 1), LEAVES[..255].to_vec());
    let refused = TileNodes::new(&served, size).node(0, 256);
    assert_eq!(refused, Err(TileNodesError::Width { expected: 256, found: 255 }));
}
