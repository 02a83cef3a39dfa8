use crate::fields::{Fields, from_base64};
use serde_json::Value;
use writ_tlog::{ConsistencyProof, Hash};

/// Hashes in one consistency proof.
const PROOF_HASHES_MAX: usize = 128;

/// The control chain as a node shows it. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPage {
    /// The size of the tree, as the node says it.
    pub size: u64,
    /// The evidence bundle of genesis: it holds the whole control chain and the seal that closes this tree.
    pub bundle: Vec<u8>,
    /// How the tree grew from the one that was asked about.
    pub consistency: ConsistencyProof,
}

impl ControlPage {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut fields = Fields::read(bytes)?;
        let (size, bundle) = (fields.number("size")?, fields.bytes("bundle")?);
        let hashes = fields.array("consistency")?;
        if hashes.len() > PROOF_HASHES_MAX {
            return Err(format!("expected at most {PROOF_HASHES_MAX} hashes in a proof, found {}", hashes.len()));
        }
        let hash = |value: &Value| value.as_str().and_then(from_base64).and_then(|bytes| Hash::from_slice(&bytes));
        let hashes = hashes.iter().map(hash).collect::<Option<Vec<_>>>();
        let hashes = hashes.ok_or("expected hashes of 32 bytes in base64 in a proof")?;
        Ok(Self { size, bundle, consistency: ConsistencyProof::new(hashes) })
    }
}
