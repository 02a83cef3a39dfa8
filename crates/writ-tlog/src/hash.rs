use crate::encoding::{base64, from_base64_of_32};
use aws_lc_rs::digest::{Context, SHA256, digest};
use std::fmt;

const LEAF_PREFIX: u8 = 0x00;
const NODE_PREFIX: u8 = 0x01;

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From a slice, if that has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As standard base64 with padding: 44 characters.
    pub fn to_base64(&self) -> String {
        base64(&self.0)
    }

    /// From the one base64 text that [`Hash::to_base64`] gives.
    pub fn from_base64(text: &str) -> Option<Self> {
        from_base64_of_32(text).map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// SHA-256 of some bytes.
pub fn sha256(data: &[u8]) -> Hash {
    hash_of(digest(&SHA256, data).as_ref())
}

/// The hash of a leaf: the prefix keeps an entry from passing for an inner node.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[LEAF_PREFIX]);
    context.update(entry);
    hash_of(context.finish().as_ref())
}

/// The hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [NODE_PREFIX; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    sha256(&bytes)
}

/// The root of the tree without leaves.
pub fn empty_root() -> Hash {
    sha256(b"")
}

fn hash_of(digest: &[u8]) -> Hash {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest);
    Hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(format!("{:?}", empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(empty_root().to_string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn leaves_and_nodes_are_separate_domains() {
        let (left, right) = (sha256(b"left"), sha256(b"right"));
        let both = [left.as_bytes().as_slice(), right.as_bytes()].concat();
        assert_ne!(node_hash(&left, &right), leaf_hash(&both));
        assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
        assert_eq!(leaf_hash(b""), sha256(&[0]));
        assert_eq!(node_hash(&left, &right), sha256(&[&[1], both.as_slice()].concat()));
    }

    #[test]
    fn only_the_canonical_base64_is_read() {
        let hash = sha256(b"");
        assert_eq!(Hash::from_base64(&hash.to_base64()), Some(hash));
        let refused = [
            "",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", // without padding
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=", // bits set beyond the last byte
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=", // the URL alphabet
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA", // 33 bytes
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==", // 31 bytes
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
            " 7DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ];
        for text in refused {
            assert_eq!(Hash::from_base64(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_slice_of_another_length_is_no_hash() {
        assert_eq!(Hash::from_slice(&[7; 31]), None);
        assert_eq!(Hash::from_slice(&[7; 33]), None);
        assert_eq!(Hash::from_slice(&[7; 32]), Some(Hash::from_bytes([7; 32])));
    }
}
