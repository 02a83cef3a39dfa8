//! Transparency log formats: RFC 6962 trees, C2SP tiles, signed notes, checkpoints and proofs.
//!
//! For whoever keeps a log (a tree that grows, the tiles it fills, checkpoints it signs) and for whoever
//! verifies one (proofs, notes opened with pinned keys). It must never know what an entry means, and never
//! do input or output, read a clock or draw randomness: keys come from seeds that the caller gives.
//!
//! What was checked is a type: [`VerifiedCheckpoint`] comes out of [`PinnedKeys::open`] and nowhere else.
#![forbid(unsafe_code)]

mod checkpoint;
mod cosignature;
mod encoding;
mod hash;
mod key;
#[cfg(test)]
mod naive;
mod note;
mod pinned;
mod position;
mod proof;
mod prove;
mod signer;
mod tile;
mod tile_nodes;
mod tlog_proof;
mod tree;
mod verifier_key;

pub use checkpoint::{Checkpoint, CheckpointError, Origin};
pub use hash::{Hash, empty_root, leaf_hash, node_hash, sha256};
pub use key::{Algorithm, KeyError, SignatureInvalid, SigningKey, VerifyingKey};
pub use note::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, Note, NoteError, NoteSignature};
pub use pinned::{PinError, PinnedKeys, VerifiedCheckpoint};
pub use position::{LeafIndex, TreeSize};
pub use proof::{ConsistencyProof, InclusionProof, ProofError, verify_consistency, verify_inclusion};
pub use prove::{Nodes, ProveError, prove_consistency, prove_inclusion, root_at};
pub use signer::{NoteSigner, sign_checkpoint};
pub use tile::{
    ENTRY_BYTES_MAX, Resource, TILE_WIDTH, TileError, TileId, decode_bundle, decode_tile, encode_bundle, encode_tile,
    node_from_tile, tile_width,
};
pub use tile_nodes::{TileNodes, TileNodesError, TileReader};
pub use tlog_proof::{
    AroundCheckpoint, EXTRA_BYTES_MAX, PROOF_HASHES_MAX, TLOG_PROOF_BYTES_MAX, TlogProof, TlogProofError,
    encode_tlog_proof,
};
pub use tree::{NodeNotHeld, Overlay, Tree};
pub use verifier_key::{KeyName, NameError, NoteVerifier};
