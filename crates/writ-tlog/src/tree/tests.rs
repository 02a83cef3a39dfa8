use super::*;
use crate::naive::{self, EVERYTHING, LEAVES, Nothing, leaves, notable_sizes};
use crate::prove::{prove_consistency, prove_inclusion, root_at};
use crate::{verify_consistency, verify_inclusion};
use proptest::prelude::*;

fn pushed(size: u64) -> Tree {
    let mut tree = Tree::new();
    leaves(size).iter().for_each(|leaf| _ = tree.push(*leaf));
    tree
}

#[test]
fn the_root_is_that_of_the_definition_after_every_push() {
    let mut tree = Tree::new();
    assert_eq!(tree.root(), empty_root());
    for (index, leaf) in (0u64..).zip(leaves(600)) {
        assert_eq!(tree.push(*leaf), LeafIndex::new(index));
        assert_eq!(tree.size(), TreeSize::new(index + 1));
        assert_eq!(tree.root(), naive::root(leaves(index + 1)));
    }
}

#[test]
fn trimming_at_any_time_changes_no_root() {
    let (mut kept, mut trimmed) = (Tree::new(), Tree::new());
    for (index, leaf) in (0u64..).zip(LEAVES.iter()) {
        kept.push(*leaf);
        trimmed.push(*leaf);
        if index % 97 == 0 || index % 256 == 255 {
            trimmed.trim();
        }
        assert_eq!(kept.root(), trimmed.root(), "after leaf {index}");
    }
    trimmed.trim();
    kept.trim();
    assert_eq!(kept, trimmed);
}

#[test]
fn a_resumed_tree_is_the_trimmed_one() {
    for size in notable_sizes() {
        let mut tree = pushed(size.get());
        tree.trim();
        assert_eq!(Tree::resume(size, &*EVERYTHING), Ok(tree), "size {size}");
    }
}

#[test]
fn a_resumed_tree_grows_like_any_other() {
    for size in [0u64, 1, 255, 256, 511, 65_535, 65_536] {
        let mut tree = Tree::resume(TreeSize::new(size), &*EVERYTHING).unwrap();
        leaves(size + 600)[usize::try_from(size).unwrap()..].iter().for_each(|leaf| _ = tree.push(*leaf));
        assert_eq!(tree.root(), naive::root(leaves(size + 600)), "from {size}");
    }
}

#[test]
fn resuming_fails_when_the_right_edge_cannot_be_read() {
    assert_eq!(Tree::resume(TreeSize::new(257), &Nothing), Err((0, 256)));
}

#[test]
fn a_batch_on_a_clone_comes_to_nothing_when_dropped() {
    let tree = pushed(300);
    let before = tree.clone();
    let mut batch = tree.clone();
    batch.push(LEAVES[0]);
    batch.trim();
    drop(batch);
    assert_eq!(tree, before);
}

#[test]
fn full_tiles_are_reported_until_they_are_trimmed() {
    let mut tree = pushed(70_000);
    let tiles = tree.full_tiles();
    let ids: Vec<_> = tiles.iter().map(|(id, _)| *id).collect();
    let expected: Vec<_> = (0..273).map(|index| full(0, index)).chain([full(1, 0)]).collect();
    assert_eq!(ids, expected);
    for (id, tile) in &tiles {
        assert_eq!(tile.len(), 256);
        let first = naive::root(leaves(1 << (8 * id.level)));
        assert_eq!(tile[0] == first, id.index == 0);
    }
    tree.trim();
    assert_eq!(tree.full_tiles(), []);
}

#[test]
fn partial_tiles_are_the_remainders() {
    let mut tree = pushed(70_000);
    let ids =
        |tree: &Tree| tree.partial_tiles().iter().map(|(id, _)| (id.level, id.index, id.width)).collect::<Vec<_>>();
    assert_eq!(ids(&tree), [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
    let before = tree.partial_tiles();
    tree.trim();
    assert_eq!(tree.partial_tiles(), before);
    assert_eq!(before[0].1, LEAVES[273 * 256..]);
    assert_eq!(ids(&pushed(256)), [(1, 0, 1)]);
    assert_eq!(ids(&Tree::new()), []);
}

#[test]
fn tiles_are_the_same_however_often_it_is_trimmed() {
    let (mut tree, mut tiles) = (Tree::new(), Vec::new());
    for batch in LEAVES.chunks(777) {
        batch.iter().for_each(|leaf| _ = tree.push(*leaf));
        tiles.extend(tree.full_tiles());
        tree.trim();
    }
    tiles.sort_unstable();
    assert_eq!(tiles, pushed(70_000).full_tiles());
}

#[test]
fn a_trimmed_tree_holds_little() {
    let mut tree = pushed(70_000);
    tree.trim();
    let held: usize = tree.rows.iter().map(|row| row.nodes.len()).sum();
    assert!(held < 3 * 512, "{held} nodes");
}

#[test]
fn proofs_of_fresh_entries_need_no_storage() {
    let mut tree = pushed(69_000);
    tree.trim();
    let fresh = tree.size();
    LEAVES[69_000..].iter().for_each(|leaf| _ = tree.push(*leaf));
    let (size, root) = (tree.size(), tree.root());
    for index in (fresh.get()..size.get()).map(LeafIndex::new) {
        let proof = prove_inclusion(index, size, &tree).unwrap();
        let leaf = LEAVES[usize::try_from(index.get()).unwrap()];
        assert_eq!(verify_inclusion(&leaf, index, size, &root, &proof), Ok(()));
    }
    let proof = prove_consistency(fresh, size, &tree).unwrap();
    assert_eq!(verify_consistency(fresh, &naive::root(leaves(69_000)), size, &root, &proof), Ok(()));
}

#[test]
fn what_a_tree_has_trimmed_comes_from_storage() {
    let mut tree = pushed(1000);
    tree.trim();
    let (size, index) = (tree.size(), LeafIndex::new(3));
    assert_eq!(Tree::node(&tree, 0, 2), None);
    assert_eq!(Nodes::node(&tree, 0, 2), Err(NodeNotHeld { level: 0, index: 2 }));
    assert_eq!(Tree::node(&tree, 9, 5), None);
    let proof = prove_inclusion(index, size, &Overlay::new(&tree, &*EVERYTHING)).unwrap();
    assert_eq!(verify_inclusion(&LEAVES[3], index, size, &tree.root(), &proof), Ok(()));
    assert!(prove_inclusion(index, size, &Overlay::new(&tree, Nothing)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn roots_of_large_trees_are_those_of_the_definition(size in 0u64..70_000) {
        let root = naive::root(leaves(size));
        let size = TreeSize::new(size);
        prop_assert_eq!(root_at(size, &*EVERYTHING).unwrap(), root);
        prop_assert_eq!(Tree::resume(size, &*EVERYTHING).unwrap().root(), root);
    }

    #[test]
    fn batches_of_any_length_make_the_same_tree(batches in prop::collection::vec(0u64..700, 1..12), trim: u16) {
        let (mut tree, mut at) = (Tree::new(), 0);
        for (number, batch) in batches.into_iter().enumerate() {
            LEAVES[at..][..usize::try_from(batch).unwrap()].iter().for_each(|leaf| _ = tree.push(*leaf));
            at += usize::try_from(batch).unwrap();
            if trim >> number & 1 == 1 {
                tree.trim();
            }
        }
        prop_assert_eq!(tree.root(), naive::root(&LEAVES[..at]));
        tree.trim();
        prop_assert_eq!(Tree::resume(tree.size(), &*EVERYTHING), Ok(tree));
    }
}
