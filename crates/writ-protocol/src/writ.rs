//! A writ: a grant with its proof (`spec/writ.md`).

use crate::entry::{Body, Entry, Grant};
use crate::refusal::{Code, Refusal};
use crate::trust_root::TrustRoot;
use crate::verified::Verified;
use writ_tlog::{AroundCheckpoint, Hash, LeafIndex, TreeSize, VerifiedCheckpoint, leaf_hash, verify_inclusion};

/// A presented writ is at most this long.
pub const WRIT_BYTES_MAX: usize = 524_288;

/// A grant, and where it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writ {
    grant: Grant,
    entry: Hash,
    index: LeafIndex,
    size: TreeSize,
}

impl Writ {
    /// What was granted.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The entry hash, by which everything refers to it.
    pub fn entry(&self) -> &Hash {
        &self.entry
    }

    /// Its index.
    pub fn index(&self) -> LeafIndex {
        self.index
    }

    /// The size of the tree it was proved in: it vouches for nothing later.
    pub fn size(&self) -> TreeSize {
        self.size
    }
}

/// An entry, and where it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// What it says.
    pub entry: Entry,
    /// Its entry hash.
    pub hash: Hash,
    /// Its index.
    pub index: LeafIndex,
    /// The size of the tree it was proved in.
    pub size: TreeSize,
}

/// Verifies writs against one trust root. It remembers the last checkpoint, so that further writs under it cost no signature.
#[derive(Debug)]
pub struct WritVerifier {
    trust: TrustRoot,
    last: Option<VerifiedCheckpoint>,
}

impl WritVerifier {
    /// With these pins.
    pub fn new(trust: TrustRoot) -> Self {
        Self { trust, last: None }
    }

    /// Verifies that an entry was logged, whatever it says: what a node answers besides writs.
    pub fn verify_logged(&mut self, presented: &[u8]) -> Result<Verified<Logged>, Refusal> {
        self.logged(presented).map(Verified::attest)
    }

    /// Verifies a presented writ, in the order of `spec/writ.md`. What comes out was granted and logged; whether it may be used is for the enforcer.
    pub fn verify(&mut self, presented: &[u8]) -> Result<Verified<Writ>, Refusal> {
        let Logged { entry: found, hash, index, size } = self.logged(presented)?;
        let found_type = found.body.entry_type();
        match found.body {
            Body::Grant(grant) => Ok(Verified::attest(Writ { grant, entry: hash, index, size })),
            Body::Genesis(_)
            | Body::Gateway(_)
            | Body::Revocation(_)
            | Body::Halt(_)
            | Body::RootOrder(_)
            | Body::Denial(_)
            | Body::Policy(_)
            | Body::Entities(_)
            | Body::Hold(_)
            | Body::Approval(_)
            | Body::Mandate(_)
            | Body::Shadow(_)
            | Body::Advised(_)
            | Body::Tally(_)
            | Body::Spend(_)
            | Body::Start(_)
            | Body::Outcome(_)
            | Body::Report(_)
            | Body::Erasure(_)
            | Body::Seal(_) => Err(Refusal::new(
                Code::NotAWrit,
                format!("the proved entry is a `{}`, only a `grant` is a writ", found_type.as_str()),
            )),
        }
    }

    fn logged(&mut self, presented: &[u8]) -> Result<Logged, Refusal> {
        let (entry, proof) = parse(presented)?;
        let checkpoint = self.open_checkpoint(proof.checkpoint)?;
        let hash = leaf_hash(&entry);
        let head = checkpoint.checkpoint();
        verify_inclusion(&hash, proof.index, head.size, &head.root, &proof.proof)
            .map_err(|error| Refusal::new(Code::ProofInvalid, error.to_string()))?;
        let entry = Entry::decode(&entry, &head.origin)?;
        Ok(Logged { entry, hash, index: proof.index, size: head.size })
    }

    fn open_checkpoint(&mut self, note: &[u8]) -> Result<&VerifiedCheckpoint, Refusal> {
        let known = self.last.take().filter(|last| last.is_same_note(note));
        let checkpoint = match known {
            Some(checkpoint) => checkpoint,
            None => self.trust.open_checkpoint(note)?,
        };
        Ok(self.last.insert(checkpoint))
    }
}

fn parse(presented: &[u8]) -> Result<(Vec<u8>, AroundCheckpoint<'_>), Refusal> {
    if presented.is_empty() {
        return Err(Refusal::new(Code::MissingWrit, "no writ was presented"));
    }
    if presented.len() > WRIT_BYTES_MAX {
        return Err(Refusal::malformed(format_args!(
            "a writ has at most {WRIT_BYTES_MAX} bytes, this one has {}",
            presented.len()
        )));
    }
    let mut proof = AroundCheckpoint::parse(presented).map_err(Refusal::malformed)?;
    match proof.extra.take() {
        Some(entry) => Ok((entry, proof)),
        None => Err(Refusal::malformed("expected an `extra` line with the entry")),
    }
}
