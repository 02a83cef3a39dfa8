//! Inclusion and consistency proofs of any size and length.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_tlog::{ConsistencyProof, Hash, InclusionProof, LeafIndex, TreeSize, verify_consistency, verify_inclusion};

fuzz_target!(|data: &[u8]| {
    let Some((numbers, hashes)) = data.split_at_checked(16) else { return };
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let (a, b) = (number(&numbers[..8]), number(&numbers[8..]));
    let hashes: Vec<Hash> = hashes.chunks_exact(32).filter_map(Hash::from_slice).collect();
    let Some((root, hashes)) = hashes.split_first() else { return };
    let inclusion = InclusionProof::new(hashes.to_vec());
    let _ = verify_inclusion(root, LeafIndex::new(a), TreeSize::new(b), root, &inclusion);
    let consistency = ConsistencyProof::new(hashes.to_vec());
    let _ = verify_consistency(TreeSize::new(a), root, TreeSize::new(b), root, &consistency);
});
