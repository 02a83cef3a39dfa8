//! Roots, proofs and tiles against two other implementations: ct-merkle, and Cloudflare's tlog_tiles.
#![expect(clippy::unwrap_used, reason = "tests may panic: that is how they fail")]

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use std::collections::BTreeMap;
use tlog_tiles::{HashReader, Tile, TileHashReader};
use writ_tlog::{
    ConsistencyProof, Hash, InclusionProof, LeafIndex, Resource, TileId, TileNodes, TileReader, Tree, TreeSize,
    encode_tile, leaf_hash, prove_consistency, prove_inclusion, tile_width, verify_consistency, verify_inclusion,
};

const SMALL: u64 = 100;
const LARGE: u64 = 66_000;

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

fn tree(size: u64) -> Tree {
    let mut tree = Tree::new();
    (0..size).for_each(|index| _ = tree.push(leaf_hash(&entry(index))));
    tree
}

fn theirs(hash: &Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*hash.as_bytes())
}

fn all_theirs(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
    hashes.iter().map(theirs).collect()
}

fn all_ours(hashes: &[tlog_tiles::Hash]) -> Vec<Hash> {
    hashes.iter().map(|hash| Hash::from_bytes(hash.0)).collect()
}

fn split(hashes: &[u8]) -> Vec<Hash> {
    hashes.chunks(32).map(|hash| Hash::from_slice(hash).unwrap()).collect()
}

#[test]
fn ct_merkle_has_our_roots_and_proofs() {
    let (mut ours, mut other) = (Tree::new(), MemoryBackedTree::<Sha256, _>::new());
    assert_eq!(ours.root().as_bytes().as_slice(), other.root().as_bytes().as_slice());
    for number in 0..SMALL {
        ours.push(leaf_hash(&entry(number)));
        other.push(entry(number));
        let (size, root, their_root) = (ours.size(), ours.root(), other.root());
        assert_eq!(root.as_bytes().as_slice(), their_root.as_bytes().as_slice(), "size {size}");
        for index in (0..size.get()).map(LeafIndex::new) {
            let proof = prove_inclusion(index, size, &ours).unwrap();
            let their_proof = other.prove_inclusion(usize::try_from(index.get()).unwrap());
            assert_eq!(proof.hashes(), split(their_proof.as_bytes()), "{index} of {size}");
            assert!(their_root.verify_inclusion(&entry(index.get()), index.get(), &their_proof).is_ok());
        }
        for old in 1..size.get() {
            let proof = prove_consistency(TreeSize::new(old), size, &ours).unwrap();
            let their_proof = other.prove_consistency(usize::try_from(size.get() - old).unwrap());
            assert_eq!(proof.hashes(), split(their_proof.as_bytes()), "{old} to {size}");
        }
    }
}

/// Their view of our nodes.
struct Nodes<'a>(&'a Tree);

impl HashReader for Nodes<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let places = indexes.iter().map(|index| tlog_tiles::split_stored_hash_index(*index));
        places
            .map(|(level, index)| {
                self.0.node(level, index).map(|hash| theirs(&hash)).ok_or(tlog_tiles::Error::IndexesNotInTree)
            })
            .collect()
    }
}

#[test]
fn tlog_tiles_makes_and_takes_our_inclusion_proofs() {
    let full = tree(LARGE);
    for size in [1, 2, 3, 100, 255, 256, 257, 65_535, 65_536, 65_537, LARGE].map(TreeSize::new) {
        let root = writ_tlog::root_at(size, &full).unwrap();
        assert_eq!(tlog_tiles::tree_hash(size.get(), &Nodes(&full)).unwrap(), theirs(&root));
        for number in (0..size.get()).step_by(769).chain([size.get() - 1]) {
            let (index, leaf) = (LeafIndex::new(number), leaf_hash(&entry(number)));
            let proof = prove_inclusion(index, size, &full).unwrap();
            let their_proof = tlog_tiles::prove_record(size.get(), number, &Nodes(&full)).unwrap();
            assert_eq!(all_theirs(proof.hashes()), their_proof, "{index} of {size}");
            assert!(tlog_tiles::check_record(&their_proof, size.get(), theirs(&root), number, theirs(&leaf)).is_ok());
            let proof = InclusionProof::new(all_ours(&their_proof));
            assert_eq!(verify_inclusion(&leaf, index, size, &root, &proof), Ok(()));
        }
    }
}

#[test]
fn tlog_tiles_makes_and_takes_our_consistency_proofs() {
    let full = tree(LARGE);
    for new in [1, 2, 3, 100, 256, 257, 65_536, 65_537, LARGE].map(TreeSize::new) {
        let new_root = writ_tlog::root_at(new, &full).unwrap();
        for old in (1..=new.get()).step_by(771).chain([new.get()]).map(TreeSize::new) {
            let old_root = writ_tlog::root_at(old, &full).unwrap();
            let proof = prove_consistency(old, new, &full).unwrap();
            let their_proof = tlog_tiles::prove_tree(new.get(), old.get(), &Nodes(&full)).unwrap();
            assert_eq!(all_theirs(proof.hashes()), their_proof, "{old} to {new}");
            let judged =
                tlog_tiles::check_tree(&their_proof, new.get(), theirs(&new_root), old.get(), theirs(&old_root));
            assert!(judged.is_ok());
            let proof = ConsistencyProof::new(all_ours(&their_proof));
            assert_eq!(verify_consistency(old, &old_root, new, &new_root, &proof), Ok(()));
        }
    }
}

/// A tampered proof is refused by both, or by neither.
#[test]
fn both_refuse_the_same_proofs() {
    let (full, size) = (tree(SMALL), TreeSize::new(SMALL));
    let root = full.root();
    for number in 0..SMALL {
        let (index, leaf) = (LeafIndex::new(number), leaf_hash(&entry(number)));
        let honest = prove_inclusion(index, size, &full).unwrap().hashes().to_vec();
        let mut swapped = honest.clone();
        swapped.reverse();
        for hashes in [honest[1..].to_vec(), [honest.clone(), vec![leaf]].concat(), swapped, vec![], honest] {
            for claimed in [index, LeafIndex::new(number ^ 1), LeafIndex::new(number + 1)] {
                let judged =
                    tlog_tiles::check_record(&all_theirs(&hashes), SMALL, theirs(&root), claimed.get(), theirs(&leaf));
                let ours = verify_inclusion(&leaf, claimed, size, &root, &InclusionProof::new(hashes.clone()));
                assert_eq!(ours.is_ok(), judged.is_ok(), "{number} as {claimed}");
            }
        }
    }
}

/// Their tiles carry their height in the path, and call entries data.
fn their_path(tile: &Tile) -> String {
    tile.path().replacen("tile/8/", "tile/", 1).replacen("tile/data/", "tile/entries/", 1)
}

#[test]
fn paths_of_tiles_are_the_same() {
    for index in [0, 1, 66, 999, 1000, 1_234_067, 999_999_999, 1_000_000_000, u64::MAX >> 8] {
        for width in [1u16, 12, 255, 256] {
            for level in [0, 1, 7, 63] {
                let path = Resource::Tile(TileId { level, index, width }).path();
                assert_eq!(path, their_path(&Tile::new(8, level, index, u32::from(width), false)));
            }
            let path = Resource::Entries { index, width }.path();
            assert_eq!(path, their_path(&Tile::new(8, 0, index, u32::from(width), true)));
        }
    }
}

/// The tiles that a log has served up to some size.
struct Served(BTreeMap<(u8, u64), Vec<Hash>>);

fn served(tree: &Tree) -> Served {
    let tiles = tree.full_tiles().into_iter().chain(tree.partial_tiles());
    Served(tiles.map(|(id, hashes)| ((id.level, id.index), hashes)).collect())
}

impl tlog_tiles::TileReader for Served {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &Tile| {
            let hashes = self.0.get(&(tile.level(), tile.level_index())).ok_or(tlog_tiles::Error::InvalidTile)?;
            let width = usize::try_from(tile.width()).unwrap();
            hashes.get(..width).map(encode_tile).ok_or(tlog_tiles::Error::InvalidTile)
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

impl TileReader for &Served {
    type Error = TileId;

    fn tile(&self, id: TileId) -> Result<Vec<Hash>, TileId> {
        self.0
            .get(&(id.level, id.index))
            .and_then(|hashes| hashes.get(..usize::from(id.width)))
            .map(<[_]>::to_vec)
            .ok_or(id)
    }
}

/// Their reader authenticates every tile against the root: what it gives out, it has proved.
#[test]
fn their_reader_proves_out_of_our_tiles() {
    for size in [1, 255, 256, 257, 65_536, 65_537, LARGE].map(TreeSize::new) {
        let tree = tree(size.get());
        let (root, served) = (tree.root(), served(&tree));
        let reader = TileHashReader::new(size.get(), theirs(&root), &served);
        let nodes = TileNodes::new(&served, size);
        for number in (0..size.get()).step_by(7919) {
            let their_proof = tlog_tiles::prove_record(size.get(), number, &reader).unwrap();
            let proof = prove_inclusion(LeafIndex::new(number), size, &nodes).unwrap();
            assert_eq!(all_theirs(proof.hashes()), their_proof, "{number} of {size}");
        }
    }
}

#[test]
fn the_tiles_of_a_size_are_the_same() {
    for (old, new) in [(0, 1), (0, 256), (0, LARGE), (300, 301), (256, 70_000), (70_000, 70_500), (65_535, 65_536)] {
        for tile in Tile::new_tiles(8, old, new) {
            let width = tile_width(TreeSize::new(new), tile.level(), tile.level_index());
            assert_eq!(width.map(u32::from), Some(tile.width()), "{}", tile.path());
        }
    }
    let tree = tree(LARGE);
    let mut ours: Vec<_> =
        tree.full_tiles().into_iter().chain(tree.partial_tiles()).map(|(id, _)| Resource::Tile(id).path()).collect();
    let mut other: Vec<_> = Tile::new_tiles(8, 0, LARGE).iter().map(their_path).collect();
    ours.sort();
    other.sort();
    assert_eq!(ours, other);
}
