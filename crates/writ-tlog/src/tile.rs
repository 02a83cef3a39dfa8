use crate::encoding::from_decimal;
use crate::hash::{Hash, node_hash};
use crate::position::TreeSize;
use std::fmt::{self, Write};
use thiserror::Error;

/// How many hashes a full tile has.
pub const TILE_WIDTH: u16 = 256;
/// The longest entry that a bundle can hold: its length is written in two bytes.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// How many binary levels one tile level stands for.
pub(crate) const TILE_LEVELS: u8 = 8;
const HASH_BYTES: usize = 32;
const LEVEL_MAX: u64 = 63;
/// Longer than the path of any tile whose index has 64 bits.
const PATH_BYTES_MAX: usize = 64;

/// One tile: `width` hashes, each the root of a complete subtree of `256^level` leaves, from `index * 256` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// The tile level, 0 to 63.
    pub level: u8,
    /// The place of the tile in its level.
    pub index: u64,
    /// How many hashes it has, 1 to 256.
    pub width: u16,
}

/// What a tiled log serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// The latest checkpoint.
    Checkpoint,
    /// A tile of hashes.
    Tile(TileId),
    /// A bundle of entries.
    Entries {
        /// The place of the bundle, that of the level 0 tile of its leaves.
        index: u64,
        /// How many entries it has, 1 to 256.
        width: u16,
    },
}

/// Why something is no tile, no bundle, or no path to one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TileError {
    /// A path longer than any of ours.
    #[error("expected a path of at most {PATH_BYTES_MAX} bytes, found {found}")]
    PathTooLong {
        /// How long it is.
        found: usize,
    },
    /// A path that leads to nothing a log serves.
    #[error("expected `checkpoint`, `tile/…` or `tile/entries/…`, found {found:?}")]
    UnknownResource {
        /// The path.
        found: String,
    },
    /// A tile level that is no number from 0 to 63.
    #[error("expected a tile level from 0 to 63, found {found:?}")]
    Level {
        /// What stands in its place.
        found: String,
    },
    /// An index not written in groups of three digits, in its shortest form.
    #[error("expected an index in groups of three digits, found {found:?}")]
    Index {
        /// What stands in its place.
        found: String,
    },
    /// A width that is no number from 1 to 255.
    #[error("expected a width from 1 to 255, found {found:?}")]
    Width {
        /// What stands in its place.
        found: String,
    },
    /// A tile of another length than its width demands.
    #[error("expected a tile of {expected} bytes, found {found}")]
    TileLength {
        /// The bytes its width demands.
        expected: usize,
        /// The bytes there are.
        found: usize,
    },
    /// An entry that no bundle can hold.
    #[error("expected entries of at most {ENTRY_BYTES_MAX} bytes, found {found} at place {place}")]
    EntryTooLong {
        /// Its place in the bundle.
        place: usize,
        /// Its length.
        found: usize,
    },
    /// A bundle that ends within an entry, or before its last.
    #[error("expected a bundle of {expected} entries, found its end after {found}")]
    BundleTruncated {
        /// How many its width demands.
        expected: u16,
        /// How many are complete.
        found: usize,
    },
    /// A bundle with bytes after its last entry.
    #[error("expected the end of the bundle after its last entry, found {found} more bytes")]
    BundleTooLong {
        /// How many bytes follow.
        found: usize,
    },
}

impl Resource {
    /// Its path below the prefix of the log.
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// The inverse of [`Resource::path`]: a path that it would not have written is refused.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        if path.len() > PATH_BYTES_MAX {
            return Err(TileError::PathTooLong { found: path.len() });
        }
        if path == "checkpoint" {
            return Ok(Self::Checkpoint);
        }
        let unknown = || TileError::UnknownResource { found: path.to_owned() };
        let (level, place) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or_else(unknown)?;
        let (index, width) = parse_place(place)?;
        match level {
            "entries" => Ok(Self::Entries { index, width }),
            level => {
                let found = || TileError::Level { found: level.to_owned() };
                let level = from_decimal(level).filter(|level| *level <= LEVEL_MAX).ok_or_else(found)?;
                Ok(Self::Tile(TileId { level: u8::try_from(level).map_err(|_| found())?, index, width }))
            }
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Tile(TileId { level, index, width }) => {
                write!(f, "tile/{level}/")?;
                write_place(f, *index, *width)
            }
            Self::Entries { index, width } => {
                f.write_str("tile/entries/")?;
                write_place(f, *index, *width)
            }
        }
    }
}

/// How wide that tile is in a tree of that size; `None` when it would be empty, for such a tile does not exist.
pub fn tile_width(size: TreeSize, level: u8, index: u64) -> Option<u16> {
    let hashes = size.get().checked_shr(u32::from(level) * u32::from(TILE_LEVELS)).unwrap_or(0);
    let held = hashes.checked_sub(index.checked_mul(u64::from(TILE_WIDTH))?)?;
    u16::try_from(held.min(u64::from(TILE_WIDTH))).ok().filter(|width| *width > 0)
}

/// The bytes of a tile.
pub fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(Hash::as_bytes).copied().collect()
}

/// The hashes of a tile of that width.
pub fn decode_tile(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let expected = usize::from(width) * HASH_BYTES;
    match bytes.as_chunks() {
        (hashes, []) if bytes.len() == expected => Ok(hashes.iter().copied().map(Hash::from_bytes).collect()),
        _ => Err(TileError::TileLength { expected, found: bytes.len() }),
    }
}

/// The node at `index` of the row `height` levels (0 to 7) above the hashes of a tile, if the tile determines it.
pub fn node_from_tile(tile: &[Hash], height: u8, index: u64) -> Option<Hash> {
    let leaves = 1usize.checked_shl(u32::from(height)).filter(|_| height < TILE_LEVELS)?;
    let start = usize::try_from(index).ok()?.checked_mul(leaves)?;
    complete_root(tile.get(start..start.checked_add(leaves)?)?)
}

/// A bundle of entries, each after its length.
pub fn encode_bundle<E: AsRef<[u8]>>(entries: impl IntoIterator<Item = E>) -> Result<Vec<u8>, TileError> {
    let mut bundle = Vec::new();
    for (place, entry) in entries.into_iter().enumerate() {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong { place, found: entry.len() })?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a bundle of that width.
pub fn decode_bundle(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut rest = bundle;
    let mut entries = Vec::new();
    for place in 0..usize::from(width) {
        let truncated = TileError::BundleTruncated { expected: width, found: place };
        let Some((entry, after)) = split_entry(rest) else { return Err(truncated) };
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(TileError::BundleTooLong { found: rest.len() }) }
}

/// The id of a full tile.
pub(crate) fn full(level: u8, index: u64) -> TileId {
    TileId { level, index, width: TILE_WIDTH }
}

fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The root over a power of two of hashes; the depth is that of a tile, eight at most.
fn complete_root(hashes: &[Hash]) -> Option<Hash> {
    match hashes {
        [] => None,
        [hash] => Some(*hash),
        hashes => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            Some(node_hash(&complete_root(left)?, &complete_root(right)?))
        }
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    write_index(f, index)?;
    if width == TILE_WIDTH { Ok(()) } else { write!(f, ".p/{width}") }
}

fn write_index(to: &mut impl Write, index: u64) -> fmt::Result {
    let groups = std::iter::successors(Some(index / 1000), |rest| Some(rest / 1000)).take_while(|rest| *rest > 0);
    let groups: Vec<_> = groups.collect();
    groups.iter().rev().try_for_each(|group| write!(to, "x{:03}/", group % 1000))?;
    write!(to, "{:03}", index % 1000)
}

fn parse_place(place: &str) -> Result<(u64, u16), TileError> {
    match place.split_once(".p/") {
        None => Ok((parse_index(place)?, TILE_WIDTH)),
        Some((index, width)) => {
            let found = || TileError::Width { found: width.to_owned() };
            let narrow = from_decimal(width).and_then(|width| u16::try_from(width).ok());
            let narrow = narrow.filter(|width| (1..TILE_WIDTH).contains(width)).ok_or_else(found)?;
            Ok((parse_index(index)?, narrow))
        }
    }
}

fn parse_index(text: &str) -> Result<u64, TileError> {
    let found = || TileError::Index { found: text.to_owned() };
    let mut index = 0u64;
    for group in text.split('/') {
        let digits: u64 = group.strip_prefix('x').unwrap_or(group).parse().map_err(|_| found())?;
        index = index.checked_mul(1000).and_then(|index| index.checked_add(digits)).ok_or_else(found)?;
    }
    // How many digits a group has, which groups begin with an `x`, and that none is idle in front, is said once, by how an index is written.
    let mut written = String::new();
    write_index(&mut written, index).ok().filter(|()| written == text).map(|()| index).ok_or_else(found)
}

#[cfg(test)]
mod tests;
