use super::*;
use crate::naive::{self, EVERYTHING, LEAVES, leaves};
use crate::prove::{ProveError, prove_consistency, prove_inclusion, root_at};
use proptest::prelude::*;

const EXHAUSTIVE: u64 = 131;

fn leaf(index: u64) -> Hash {
    LEAVES[usize::try_from(index).unwrap()]
}

fn root(size: u64) -> Hash {
    root_at(TreeSize::new(size), &*EVERYTHING).unwrap()
}

fn inclusion(index: u64, size: u64) -> InclusionProof {
    prove_inclusion(LeafIndex::new(index), TreeSize::new(size), &*EVERYTHING).unwrap()
}

fn consistency(old: u64, new: u64) -> ConsistencyProof {
    prove_consistency(TreeSize::new(old), TreeSize::new(new), &*EVERYTHING).unwrap()
}

fn check_inclusion(leaf: Hash, index: u64, size: u64, root: Hash, proof: &InclusionProof) -> Result<(), ProofError> {
    verify_inclusion(&leaf, LeafIndex::new(index), TreeSize::new(size), &root, proof)
}

fn check_consistency(
    (old, old_root): (u64, Hash),
    (new, new_root): (u64, Hash),
    proof: &ConsistencyProof,
) -> Result<(), ProofError> {
    verify_consistency(TreeSize::new(old), &old_root, TreeSize::new(new), &new_root, proof)
}

#[test]
fn inclusion_proofs_are_those_of_the_definition_and_verify() {
    for size in 1..EXHAUSTIVE {
        let root = naive::root(leaves(size));
        for index in 0..size {
            let proof = inclusion(index, size);
            assert_eq!(proof.hashes(), naive::path(usize::try_from(index).unwrap(), leaves(size)), "{index} of {size}");
            assert_eq!(check_inclusion(leaf(index), index, size, root, &proof), Ok(()), "{index} of {size}");
        }
    }
}

#[test]
fn consistency_proofs_are_those_of_the_definition_and_verify() {
    for new in 0..EXHAUSTIVE {
        for old in 0..=new {
            let proof = consistency(old, new);
            assert_eq!(
                proof.hashes(),
                naive::consistency(usize::try_from(old).unwrap(), leaves(new)),
                "{old} to {new}"
            );
            assert_eq!(check_consistency((old, root(old)), (new, root(new)), &proof), Ok(()), "{old} to {new}");
        }
    }
}

#[test]
fn an_inclusion_proof_shows_no_other_leaf_or_index() {
    for size in 2..EXHAUSTIVE {
        for index in 0..size {
            let (other, proof) = ((index + 1) % size, inclusion(index, size));
            assert!(check_inclusion(leaf(other), index, size, root(size), &proof).is_err(), "{index} of {size}");
            assert!(check_inclusion(leaf(index), other, size, root(size), &proof).is_err(), "{index} of {size}");
        }
    }
}

#[test]
fn a_proof_of_another_size_is_refused() {
    for size in 1..EXHAUSTIVE {
        for index in 0..size {
            let proof = inclusion(index, size);
            assert!(
                check_inclusion(leaf(index), index, size + 1, root(size + 1), &proof).is_err(),
                "{index} of {size}"
            );
            assert!(check_inclusion(leaf(index), index, size, root(size + 1), &proof).is_err(), "{index} of {size}");
        }
    }
    for (old, new) in (2..EXHAUSTIVE).flat_map(|new| (1..new).map(move |old| (old, new))) {
        let proof = consistency(old, new);
        assert!(check_consistency((old, root(old)), (new + 1, root(new + 1)), &proof).is_err(), "{old} to {new}");
        if old > 1 {
            assert!(check_consistency((old - 1, root(old - 1)), (new, root(new)), &proof).is_err(), "{old} to {new}");
        }
    }
}

#[test]
fn a_length_is_refused_by_name() {
    let mut hashes = inclusion(5, 11).hashes().to_vec();
    let check = |hashes: &[Hash]| check_inclusion(leaf(5), 5, 11, root(11), &InclusionProof::new(hashes.to_vec()));
    assert_eq!(check(&hashes[..3]), Err(ProofError::TooShort { expected: 4, found: 3 }));
    hashes.push(leaf(0));
    assert_eq!(check(&hashes), Err(ProofError::TooLong { expected: 4, found: 5 }));
    assert_eq!(check(&[]), Err(ProofError::TooShort { expected: 4, found: 0 }));

    let mut hashes = consistency(6, 11).hashes().to_vec();
    let check =
        |hashes: &[Hash]| check_consistency((6, root(6)), (11, root(11)), &ConsistencyProof::new(hashes.to_vec()));
    let expected = hashes.len();
    assert_eq!(check(&hashes[1..]), Err(ProofError::TooShort { expected, found: expected - 1 }));
    hashes.push(leaf(0));
    assert_eq!(check(&hashes), Err(ProofError::TooLong { expected, found: expected + 1 }));
}

#[test]
fn trivial_consistency_proofs_are_empty_and_still_judged() {
    let (empty, one) = (ConsistencyProof::new(vec![]), ConsistencyProof::new(vec![leaf(0)]));
    assert_eq!(check_consistency((0, empty_root()), (7, root(7)), &empty), Ok(()));
    assert_eq!(check_consistency((7, root(7)), (7, root(7)), &empty), Ok(()));
    assert_eq!(check_consistency((0, empty_root()), (0, empty_root()), &empty), Ok(()));
    for sizes in [(0, 7), (7, 7), (0, 0)] {
        let (old, new) = (root(sizes.0), root(sizes.1));
        let found = check_consistency((sizes.0, old), (sizes.1, new), &one);
        assert_eq!(found, Err(ProofError::TooLong { expected: 0, found: 1 }), "{sizes:?}");
    }
    assert_eq!(
        check_consistency((0, root(1)), (7, root(7)), &empty),
        Err(ProofError::OldRootMismatch { expected: root(1), found: empty_root() })
    );
    assert_eq!(
        check_consistency((0, empty_root()), (0, root(1)), &empty),
        Err(ProofError::RootMismatch { expected: root(1), found: empty_root() })
    );
    assert_eq!(
        check_consistency((7, root(7)), (7, root(6)), &empty),
        Err(ProofError::RootMismatch { expected: root(6), found: root(7) })
    );
}

#[test]
fn either_wrong_root_of_a_consistency_proof_is_named() {
    let proof = consistency(6, 11);
    assert_eq!(
        check_consistency((6, root(5)), (11, root(11)), &proof),
        Err(ProofError::OldRootMismatch { expected: root(5), found: root(6) })
    );
    assert_eq!(
        check_consistency((6, root(6)), (11, root(10)), &proof),
        Err(ProofError::RootMismatch { expected: root(10), found: root(11) })
    );
}

#[test]
fn what_is_not_in_a_tree_is_out_of_range() {
    let proof = InclusionProof::new(vec![]);
    for (index, size) in [(0, 0), (1, 1), (9, 7), (u64::MAX, u64::MAX)] {
        let (at, of) = (LeafIndex::new(index), TreeSize::new(size));
        let refused = check_inclusion(leaf(0), index, size, leaf(0), &proof);
        assert_eq!(refused, Err(ProofError::OutOfRange { index: at, size: of }));
        assert_eq!(prove_inclusion(at, of, &*EVERYTHING), Err(ProveError::OutOfRange { index: at, size: of }));
    }
    let (old, new) = (TreeSize::new(8), TreeSize::new(7));
    let refused = check_consistency((8, root(8)), (7, root(7)), &consistency(7, 7));
    assert_eq!(refused, Err(ProofError::OldLargerThanNew { old, new }));
    assert_eq!(prove_consistency(old, new, &*EVERYTHING), Err(ProveError::OldLargerThanNew { old, new }));
}

#[test]
fn the_largest_sizes_are_judged_without_overflow() {
    let (last, size) = (u64::MAX - 1, u64::MAX);
    for (index, expected) in [(0, 64), (last, 63), (1 << 63, 64)] {
        let refused = check_inclusion(leaf(0), index, size, leaf(0), &InclusionProof::new(vec![]));
        assert_eq!(refused, Err(ProofError::TooShort { expected, found: 0 }), "{index}");
        let proof = InclusionProof::new(vec![leaf(1); expected]);
        assert!(matches!(check_inclusion(leaf(0), index, size, leaf(0), &proof), Err(ProofError::RootMismatch { .. })));
    }
    for old in [1, 1 << 63, last] {
        let refused = check_consistency((old, leaf(0)), (size, leaf(0)), &ConsistencyProof::new(vec![]));
        assert!(matches!(refused, Err(ProofError::TooShort { .. })), "{old}");
    }
}

/// One thing done to a list of hashes that makes it another list.
fn tampered(hashes: &[Hash], at: usize, bit: u8, kind: u8) -> Vec<Hash> {
    let mut hashes = hashes.to_vec();
    match kind % 5 {
        0 => hashes.push(LEAVES[0]),
        _ if hashes.is_empty() => hashes.insert(0, LEAVES[0]),
        1 => _ = hashes.remove(at % hashes.len()),
        2 => hashes.insert(at % hashes.len(), LEAVES[0]),
        3 if hashes.len() > 1 => {
            let from = at % (hashes.len() - 1);
            hashes.swap(from, from + 1);
        }
        _ => {
            let place = at % hashes.len();
            let mut bytes = *hashes[place].as_bytes();
            bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
            hashes[place] = Hash::from_bytes(bytes);
        }
    }
    hashes
}

proptest! {
    #[test]
    fn proofs_in_large_trees_verify_and_tampered_ones_do_not(
        (size, index) in (1u64..=70_000).prop_flat_map(|size| (Just(size), 0..size)), at: usize, bit: u8, kind: u8,
    ) {
        let proof = inclusion(index, size);
        prop_assert_eq!(check_inclusion(leaf(index), index, size, root(size), &proof), Ok(()));
        let tampered = InclusionProof::new(tampered(proof.hashes(), at, bit, kind));
        prop_assert!(check_inclusion(leaf(index), index, size, root(size), &tampered).is_err());
    }

    #[test]
    fn consistency_of_large_trees_verifies_and_tampered_proofs_do_not(
        (new, old) in (1u64..=70_000).prop_flat_map(|new| (Just(new), 1..=new)), at: usize, bit: u8, kind: u8,
    ) {
        let proof = consistency(old, new);
        prop_assert_eq!(check_consistency((old, root(old)), (new, root(new)), &proof), Ok(()));
        let tampered = ConsistencyProof::new(tampered(proof.hashes(), at, bit, kind));
        prop_assert!(check_consistency((old, root(old)), (new, root(new)), &tampered).is_err());
    }

    #[test]
    fn any_numbers_and_hashes_are_judged(index: u64, size: u64, hashes in 0usize..70) {
        let (at, of) = (LeafIndex::new(index), TreeSize::new(size));
        let hashes = vec![LEAVES[0]; hashes];
        prop_assert!(size == 1 || verify_inclusion(&LEAVES[1], at, of, &LEAVES[2], &InclusionProof::new(hashes.clone())).is_err());
        let (old, proof) = (TreeSize::new(index), ConsistencyProof::new(hashes));
        prop_assert!(index == 0 || verify_consistency(old, &LEAVES[1], of, &LEAVES[2], &proof).is_err());
    }
}
