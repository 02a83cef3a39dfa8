use super::{payload, sign};
use crate::cbor::{Decode, Reader, ShapeError, record};
use crate::name::Name;
use crate::parts::Positive;
use writ_tlog::{Hash, Origin, SigningKey};

record! {
    /// What the holder of a writ says to the gateway that is to execute it: without it, a stolen writ is of no use.
    pub Presentation {
        /// Entry hash of the grant.
        writ: ! Hash,
        /// The gateway's instance epoch.
        epoch: ! Positive,
        /// What the gateway has just drawn.
        nonce: ! [u8; 32],
        /// The digest of what is to run.
        action: ! Hash,
        /// The gateway.
        gateway: ! Name,
        /// When.
        time_ms: ! u64,
    }
}

impl Presentation {
    /// Signs it for the ledger `origin`.
    pub fn sign(&self, origin: &Origin, holder: &SigningKey) -> Vec<u8> {
        sign(payload("presented", origin, self), &[holder])
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::decode(reader)
    }
}
