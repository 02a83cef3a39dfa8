use super::case::{Case, Maker, hex};
use crate::scenario::digest;
use serde_json::{Value, json};
use writ_protocol::Code::ProofInvalid;
use writ_tlog::{
    Hash, LeafIndex, Tree, TreeSize, empty_root, leaf_hash, node_hash, prove_consistency, prove_inclusion, root_at,
};

pub(super) fn cases() -> Vec<Case> {
    [inclusion(), inclusion_faults(), consistency(), consistency_faults()].concat()
}

fn leaf(number: u64) -> Hash {
    leaf_hash(&number.to_be_bytes())
}

fn tree(size: u64) -> Tree {
    let mut tree = Tree::new();
    for number in 0..size {
        tree.push(leaf(number));
    }
    tree
}

fn hashes(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| hex(hash.as_bytes())).collect()
}

struct Inclusion {
    leaf: Hash,
    index: u64,
    size: u64,
    root: Hash,
    proof: Vec<Hash>,
}

impl Inclusion {
    fn new(index: u64, size: u64) -> Self {
        let tree = tree(size);
        let proof = prove_inclusion(LeafIndex::new(index), TreeSize::new(size), &tree).unwrap();
        Self { leaf: leaf(index), index, size, root: tree.root(), proof: proof.hashes().to_vec() }
    }

    fn input(&self) -> Value {
        json!({
            "leaf": hex(self.leaf.as_bytes()),
            "index": self.index.to_string(),
            "size": self.size.to_string(),
            "root": hex(self.root.as_bytes()),
            "proof": hashes(&self.proof),
        })
    }
}

fn inclusion() -> Vec<Case> {
    let mut maker = Maker::new("ledger", "inclusion");
    for (index, size) in [
        (0, 1),
        (0, 2),
        (1, 2),
        (0, 3),
        (2, 3),
        (3, 4),
        (4, 5),
        (6, 7),
        (5, 8),
        (8, 9),
        (255, 256),
        (256, 257),
        (100, 300),
    ] {
        let about = format!("Entry {index} of {size}.");
        maker.accept(&format!("inclusion_{index}_of_{size}"), &about, Inclusion::new(index, size).input(), json!({}));
    }
    let siblings: Vec<Hash> = (0..63).map(|level| digest(&format!("sibling {level}"))).collect();
    let first = siblings.iter().fold(leaf(0), |node, sibling| node_hash(&node, sibling));
    let last = siblings.iter().fold(leaf(0), |node, sibling| node_hash(sibling, &node));
    for (name, index, root) in [("first", 0, first), ("last", (1 << 63) - 1, last)] {
        let far = Inclusion { leaf: leaf(0), index, size: 1 << 63, root, proof: siblings.clone() };
        let about = format!("The {name} entry of 2^63, with 63 hashes.");
        maker.accept(&format!("inclusion_{name}_of_2_to_63"), &about, far.input(), json!({}));
    }
    maker.done()
}

fn inclusion_faults() -> Vec<Case> {
    let mut maker = Maker::new("ledger", "inclusion");
    let good = || Inclusion::new(4, 7);
    let mut bad = |name: &str, about: &str, changed: Inclusion| {
        maker.refuse(&format!("inclusion_{name}"), about, changed.input(), ProofInvalid)
    };
    let mut shorter = good();
    shorter.proof.pop();
    bad("too_short", "A hash is missing.", shorter);
    bad("empty", "No hash at all.", Inclusion { proof: Vec::new(), ..good() });
    let mut longer = good();
    longer.proof.push(digest("more"));
    bad("too_long", "A hash too many.", longer);
    let mut longer = good();
    longer.root = node_hash(&longer.root, &digest("more"));
    longer.proof.push(digest("more"));
    bad("too_long_for_another_root", "A hash too many, which leads to the root that is claimed.", longer);
    bad(
        "other_size",
        "The proof is for another size with another number of hashes.",
        Inclusion { size: 4, index: 3, ..good() },
    );
    bad(
        "other_size_same_length",
        "Another size that demands as many hashes: the root is not that tree's.",
        Inclusion { root: tree(6).root(), size: 6, ..good() },
    );
    bad("other_index", "Another index.", Inclusion { index: 5, ..good() });
    bad("index_is_size", "An index that is the size.", Inclusion { index: 7, ..good() });
    bad("index_above_size", "An index beyond the tree.", Inclusion { index: 8, ..good() });
    bad("index_largest", "The largest index.", Inclusion { index: u64::MAX, ..good() });
    bad(
        "size_0",
        "The tree without entries has none.",
        Inclusion { leaf: leaf(0), index: 0, size: 0, root: empty_root(), proof: Vec::new() },
    );
    bad("other_leaf", "Another entry.", Inclusion { leaf: leaf(5), ..good() });
    bad("other_root", "Another root.", Inclusion { root: tree(8).root(), ..good() });
    let mut flipped = good();
    let mut bytes = *flipped.proof[1].as_bytes();
    bytes[31] ^= 1;
    flipped.proof[1] = Hash::from_bytes(bytes);
    bad("flipped", "A bit of a hash is changed.", flipped);
    let mut swapped = good();
    swapped.proof.swap(0, 1);
    bad("swapped", "Two hashes in the wrong order.", swapped);
    maker.done()
}

struct Consistency {
    old_size: u64,
    old_root: Hash,
    size: u64,
    root: Hash,
    proof: Vec<Hash>,
}

impl Consistency {
    fn new(old: u64, new: u64) -> Self {
        let tree = tree(new);
        let proof = prove_consistency(TreeSize::new(old), TreeSize::new(new), &tree).unwrap();
        let old_root = root_at(TreeSize::new(old), &tree).unwrap();
        Self { old_size: old, old_root, size: new, root: tree.root(), proof: proof.hashes().to_vec() }
    }

    fn input(&self) -> Value {
        json!({
            "old_size": self.old_size.to_string(),
            "old_root": hex(self.old_root.as_bytes()),
            "size": self.size.to_string(),
            "root": hex(self.root.as_bytes()),
            "proof": hashes(&self.proof),
        })
    }
}

fn consistency() -> Vec<Case> {
    let mut maker = Maker::new("ledger", "consistency");
    for (old, new) in [
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 3),
        (3, 4),
        (3, 7),
        (4, 7),
        (4, 8),
        (6, 8),
        (7, 8),
        (8, 9),
        (7, 7),
        (255, 256),
        (256, 257),
        (100, 300),
    ] {
        let about = format!("From size {old} to {new}.");
        maker.accept(&format!("consistency_{old}_to_{new}"), &about, Consistency::new(old, new).input(), json!({}));
    }
    let from_nothing =
        Consistency { old_size: 0, old_root: empty_root(), size: 7, root: tree(7).root(), proof: Vec::new() };
    maker.accept("consistency_0_to_7", "From nothing, with an empty proof.", from_nothing.input(), json!({}));
    let nothing = Consistency { size: 0, root: empty_root(), ..from_nothing };
    maker.accept("consistency_0_to_0", "Nothing stays nothing.", nothing.input(), json!({}));
    maker.done()
}

fn consistency_faults() -> Vec<Case> {
    let mut maker = Maker::new("ledger", "consistency");
    let good = || Consistency::new(6, 8);
    let mut bad = |name: &str, about: &str, changed: Consistency| {
        maker.refuse(&format!("consistency_{name}"), about, changed.input(), ProofInvalid)
    };
    let mut shorter = good();
    shorter.proof.pop();
    bad("too_short", "A hash is missing.", shorter);
    let mut longer = good();
    longer.proof.push(digest("more"));
    bad("too_long", "A hash too many.", longer);
    bad("empty", "No hash at all.", Consistency { proof: Vec::new(), ..good() });
    bad(
        "old_larger",
        "The old tree is larger.",
        Consistency { old_size: 8, old_root: good().root, size: 6, root: good().old_root, proof: good().proof },
    );
    bad("other_old_root", "Another old root.", Consistency { old_root: tree(5).root(), ..good() });
    bad("other_root", "Another root.", Consistency { root: tree(9).root(), ..good() });
    bad(
        "other_old_size",
        "Another old size that demands another number of hashes.",
        Consistency { old_size: 4, ..good() },
    );
    bad(
        "other_old_size_same_length",
        "Another old size that demands as many hashes.",
        Consistency { old_size: 6, old_root: tree(7).root(), ..good() },
    );
    bad("other_size", "Another size that demands another number of hashes.", Consistency { size: 9, ..good() });
    let mut flipped = good();
    let mut bytes = *flipped.proof[0].as_bytes();
    bytes[0] ^= 1;
    flipped.proof[0] = Hash::from_bytes(bytes);
    bad("flipped", "A bit of a hash is changed.", flipped);
    let same = Consistency::new(7, 7);
    bad(
        "same_size_with_proof",
        "Between equal sizes the proof is empty.",
        Consistency { proof: vec![digest("more")], ..Consistency::new(7, 7) },
    );
    bad("same_size_other_root", "Two roots of one size.", Consistency { root: tree(8).root(), ..same });
    let nothing =
        || Consistency { old_size: 0, old_root: empty_root(), size: 7, root: tree(7).root(), proof: Vec::new() };
    bad(
        "from_0_with_proof",
        "From nothing the proof is empty.",
        Consistency { proof: vec![digest("more")], ..nothing() },
    );
    bad(
        "from_0_other_old_root",
        "The tree of no entries has one root.",
        Consistency { old_root: tree(1).root(), ..nothing() },
    );
    bad("0_to_0_other_root", "Nothing has one root.", Consistency { size: 0, root: tree(1).root(), ..nothing() });
    let forked = Consistency::new(6, 8);
    let mut other = Tree::new();
    (0..8).for_each(|number| {
        other.push(leaf(if number == 5 { 99 } else { number }));
    });
    let proof = prove_consistency(TreeSize::new(6), TreeSize::new(8), &other).unwrap().hashes().to_vec();
    bad("forked", "A tree in which an old entry was replaced.", Consistency { root: other.root(), proof, ..forked });
    maker.done()
}
