use std::sync::Arc;
use writ_protocol::Entry;
use writ_tlog::{Hash, InclusionProof, LeafIndex, Origin, TreeSize, VerifiedCheckpoint, encode_tlog_proof, leaf_hash};

/// An entry that is durable, with its proof. It is what the ledger answers, for a new entry and for one that was there before.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Its index.
    pub index: LeafIndex,
    /// Its bytes.
    pub entry: Arc<[u8]>,
    /// Its inclusion in the checkpoint.
    pub proof: InclusionProof,
    /// The checkpoint, signed with every key of the ledger.
    pub checkpoint: Arc<VerifiedCheckpoint>,
    /// Whether the same request had been answered before, and this is that answer.
    pub repeated: bool,
}

impl Receipt {
    /// Its entry hash.
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.entry)
    }

    /// The tree it is proved in.
    pub fn size(&self) -> TreeSize {
        self.checkpoint.checkpoint().size
    }

    /// As a `tlog-proof` with the entry in it: if the entry is a grant, this is the writ.
    pub fn to_writ(&self) -> Vec<u8> {
        encode_tlog_proof(&self.entry, self.index, &self.proof, self.checkpoint.note_bytes())
    }

    /// What the entry says.
    pub fn decode(&self, origin: &Origin) -> Result<Entry, writ_protocol::Refusal> {
        Entry::decode(&self.entry, origin)
    }
}
