//! Bodies of evidence, erasures and seals.

use crate::cbor::{Bytes, Decode, Encode, Reader, ShapeError, Writer, record};
use crate::id::OrderId;
use crate::name::Label;
use crate::parts::{ActionRef, Ascending, Policy, Positive, Principal, RequestRef};
use std::collections::BTreeSet;
use writ_tlog::{Hash, LeafIndex, Origin};

record! {
    /// A statement by a gateway.
    pub Evidence {
        /// The signed statement, as it was signed.
        statement: ! Bytes,
    }
}

record! {
    /// Values were erased from the vault.
    pub ErasureFields {
        /// By whose order.
        by: ! Principal,
        /// Of this order.
        id: ! OrderId,
        /// Commitment to the facts that it was decided on.
        facts: ! Hash,
        /// The order itself.
        action: ! ActionRef,
        /// What was erased.
        erased: ! Ascending<Erased>,
        /// Under which policy.
        policy: ! Policy,
        /// Why.
        reason: ! Label,
        /// The request that led to it.
        request: ! RequestRef,
        /// When.
        time_ms: ! u64,
    }
}

/// A commitment in the entry at an index, whose value is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Erased {
    /// The index of the entry.
    pub index: u64,
    /// The commitment it holds.
    pub commitment: Hash,
}

impl Encode for Erased {
    fn encode(&self, writer: &mut Writer) {
        writer.array(2);
        writer.uint(self.index);
        self.commitment.encode(writer);
    }
}

impl Decode for Erased {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.tuple(2)?;
        Ok(Self { index: reader.uint()?, commitment: Hash::decode(reader)? })
    }
}

/// An erasure of at least one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure(ErasureFields);

impl Erasure {
    /// At least one commitment.
    pub fn new(fields: ErasureFields) -> Result<Self, ShapeError> {
        if fields.erased.as_slice().is_empty() {
            return Err(ShapeError::expected("at least one commitment"));
        }
        Ok(Self(fields))
    }

    /// The entries whose values are gone, ascending.
    pub fn entries(&self) -> BTreeSet<LeafIndex> {
        self.erased.as_slice().iter().map(|one| LeafIndex::new(one.index)).collect()
    }
}

impl std::ops::Deref for Erasure {
    type Target = ErasureFields;

    fn deref(&self) -> &ErasureFields {
        &self.0
    }
}

impl Encode for Erasure {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Erasure {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(ErasureFields::decode(reader)?)
    }
}

record! {
    /// The end of a batch.
    pub Seal {
        /// Number of the batch.
        batch: ! u64,
        /// Entries before the seal.
        count: ! Positive,
        /// Index of the first entry.
        first: ! u64,
        /// The control chain as this ledger knows it.
        control: ! ControlHead,
        /// When.
        time_ms: ! u64,
    }
}

record! {
    /// The end of a control chain.
    pub ControlHead {
        /// Its last `seq`.
        seq: ! u64,
        /// Entry hash of its last entry.
        head: ! Hash,
        /// The ledger that carries it.
        ledger: ! Origin,
    }
}
