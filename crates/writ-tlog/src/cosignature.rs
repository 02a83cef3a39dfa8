//! The type 0x06 signature of C2SP tlog-cosignature, as far as a log signs its own tree with it.

use crate::checkpoint::Checkpoint;
use crate::verifier_key::KeyName;

const LABEL: &[u8] = b"subtree/v1\n\0";
/// A log states nothing about when it signed; zero says so. And the tree begins at its first leaf.
const ZERO: [u8; 8] = [0; 8];

/// The message that an ML-DSA-44 key signs for the whole tree of a checkpoint.
pub(crate) fn message(cosigner: &KeyName, checkpoint: &Checkpoint) -> Vec<u8> {
    [
        LABEL,
        &cosigner.counted(),
        &ZERO,
        &checkpoint.origin.key_name().counted(),
        &ZERO,
        &checkpoint.size.get().to_be_bytes(),
        checkpoint.root.as_bytes(),
    ]
    .concat()
}

/// What stands in the note: the time, then the signature.
pub(crate) fn timestamped(signature: &[u8]) -> Vec<u8> {
    [&ZERO, signature].concat()
}

/// The inverse of [`timestamped`]: another time than zero is not what was signed.
pub(crate) fn signature_in(timestamped: &[u8]) -> Option<&[u8]> {
    timestamped.strip_prefix(&ZERO)
}
