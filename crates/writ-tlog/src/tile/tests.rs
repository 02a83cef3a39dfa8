use super::*;
use crate::naive::{self, LEAVES};
use proptest::prelude::*;

fn tile(level: u8, index: u64, width: u16) -> Resource {
    Resource::Tile(TileId { level, index, width })
}

#[test]
fn paths_are_those_of_the_specification() {
    let cases = [
        (Resource::Checkpoint, "checkpoint"),
        (tile(0, 0, 256), "tile/0/000"),
        (tile(0, 273, 112), "tile/0/273.p/112"),
        (tile(63, 999, 1), "tile/63/999.p/1"),
        (tile(1, 1000, 255), "tile/1/x001/000.p/255"),
        (tile(4, 1_234_067, 256), "tile/4/x001/x234/067"),
        (tile(0, u64::MAX, 256), "tile/0/x018/x446/x744/x073/x709/x551/615"),
        (Resource::Entries { index: 1_000_000, width: 256 }, "tile/entries/x001/x000/000"),
        (Resource::Entries { index: 67, width: 12 }, "tile/entries/067.p/12"),
    ];
    for (resource, path) in cases {
        assert_eq!(resource.path(), path);
        assert_eq!(Resource::parse(path), Ok(resource), "{path}");
    }
}

#[test]
fn another_form_of_a_path_is_refused() {
    let index = |found: &str| TileError::Index { found: found.to_owned() };
    let width = |found: &str| TileError::Width { found: found.to_owned() };
    let level = |found: &str| TileError::Level { found: found.to_owned() };
    let unknown = |found: &str| TileError::UnknownResource { found: found.to_owned() };
    let cases = [
        ("", unknown("")),
        ("/checkpoint", unknown("/checkpoint")),
        ("checkpoint/", unknown("checkpoint/")),
        ("tile/0", unknown("tile/0")),
        ("tile//0/000", index("0/000")),
        ("tile//000", level("")),
        ("tile/00/000", level("00")),
        ("tile/64/000", level("64")),
        ("tile/-1/000", level("-1")),
        ("tile/data/000", level("data")),
        ("tile/0/", index("")),
        ("tile/0/0", index("0")),
        ("tile/0/0000", index("0000")),
        ("tile/0/x000", index("x000")),
        ("tile/0/x000/067", index("x000/067")),
        ("tile/0/001/067", index("001/067")),
        ("tile/0/x001/x067", index("x001/x067")),
        ("tile/0/X001/067", index("X001/067")),
        ("tile/0/x+01/067", index("x+01/067")),
        ("tile/0/../000", index("../000")),
        ("tile/0/x018/x446/x744/x073/x709/x551/616", index("x018/x446/x744/x073/x709/x551/616")),
        ("tile/0/000.p/0", width("0")),
        ("tile/0/000.p/256", width("256")),
        ("tile/0/000.p/01", width("01")),
        ("tile/0/000.p/", width("")),
        ("tile/0/000.p/1/", width("1/")),
        ("tile/0/000.p/1.p/1", width("1.p/1")),
        ("tile/0/000.p/65537", width("65537")),
        ("tile/entries/0", index("0")),
        ("tile/entries/000.p/256", width("256")),
    ];
    for (path, error) in cases {
        assert_eq!(Resource::parse(path), Err(error), "{path}");
    }
    let longest = "x".repeat(64);
    assert_eq!(Resource::parse(&longest), Err(unknown(&longest)));
    assert_eq!(Resource::parse(&"x".repeat(65)), Err(TileError::PathTooLong { found: 65 }));
}

#[test]
fn widths_are_those_of_the_specification() {
    let width = |size, level, index| tile_width(TreeSize::new(size), level, index);
    assert_eq!([width(70_000, 0, 272), width(70_000, 0, 273), width(70_000, 0, 274)], [Some(256), Some(112), None]);
    assert_eq!([width(70_000, 1, 0), width(70_000, 1, 1), width(70_000, 1, 2)], [Some(256), Some(17), None]);
    assert_eq!([width(70_000, 2, 0), width(70_000, 2, 1), width(70_000, 3, 0)], [Some(1), None, None]);
    assert_eq!([width(256, 0, 0), width(256, 0, 1), width(256, 1, 0)], [Some(256), None, Some(1)]);
    assert_eq!([width(0, 0, 0), width(u64::MAX, 0, u64::MAX), width(u64::MAX, 255, 0)], [None; 3]);
    assert_eq!(width(u64::MAX, 7, 0), Some(255));
}

#[test]
fn a_tile_gives_the_nodes_it_determines() {
    let tile = &LEAVES[..200];
    for height in 0..8 {
        let leaves = 1usize << height;
        for index in 0..256 >> height {
            let expected = tile.get(index * leaves..(index + 1) * leaves).map(naive::root);
            assert_eq!(node_from_tile(tile, height, u64::try_from(index).unwrap()), expected, "{height} {index}");
        }
    }
    assert_eq!(node_from_tile(&LEAVES[..256], 8, 0), None);
    assert_eq!(node_from_tile(tile, 0, u64::MAX), None);
    assert_eq!(node_from_tile(tile, 7, u64::MAX), None);
    assert_eq!(node_from_tile(tile, 255, 0), None);
}

#[test]
fn a_tile_has_the_length_of_its_width() {
    let bytes = encode_tile(&LEAVES[..3]);
    assert_eq!(decode_tile(&bytes, 3), Ok(LEAVES[..3].to_vec()));
    for (bytes, width) in [(&bytes[..], 2), (&bytes, 4), (&bytes[..95], 3), (&[], 1)] {
        let expected = usize::from(width) * 32;
        assert_eq!(decode_tile(bytes, width), Err(TileError::TileLength { expected, found: bytes.len() }));
    }
}

#[test]
fn a_bundle_has_exactly_its_entries() {
    let bundle = encode_bundle([b"one".as_slice(), b"", b"three"]).unwrap();
    assert_eq!(bundle, b"\x00\x03one\x00\x00\x00\x05three");
    assert_eq!(decode_bundle(&bundle, 3), Ok(vec![b"one".as_slice(), b"", b"three"]));
    assert_eq!(decode_bundle(&bundle, 2), Err(TileError::BundleTooLong { found: 7 }));
    assert_eq!(decode_bundle(&bundle, 4), Err(TileError::BundleTruncated { expected: 4, found: 3 }));
    assert_eq!(decode_bundle(&bundle[..13], 3), Err(TileError::BundleTruncated { expected: 3, found: 2 }));
    assert_eq!(decode_bundle(&bundle[..8], 3), Err(TileError::BundleTruncated { expected: 3, found: 2 }));
}

#[test]
fn the_longest_entry_fits_and_no_longer_one() {
    let longest = vec![7; ENTRY_BYTES_MAX];
    let bundle = encode_bundle([&longest]).unwrap();
    assert_eq!(decode_bundle(&bundle, 1), Ok(vec![longest.as_slice()]));
    let longer = vec![7; ENTRY_BYTES_MAX + 1];
    let refused = encode_bundle([b"".as_slice(), &longer]);
    assert_eq!(refused, Err(TileError::EntryTooLong { place: 1, found: 65_536 }));
}

proptest! {
    #[test]
    fn a_path_is_the_only_one(level in 0u8..64, index: u64, digits in 0u32..64, width in 1u16..=256) {
        let index = index >> digits;
        for resource in [tile(level, index, width), Resource::Entries { index, width }] {
            prop_assert_eq!(Resource::parse(&resource.path()), Ok(resource));
        }
    }

    #[test]
    fn a_path_that_is_read_is_written_again(path in "(tile/)?([0-9]{1,2}|entries)/(x?[0-9]{3}/){0,3}[0-9]{3}(\\.p/[0-9]{1,3})?") {
        if let Ok(resource) = Resource::parse(&path) {
            prop_assert_eq!(resource.path(), path);
        }
    }

    #[test]
    fn any_text_is_judged_as_a_path(path: String) {
        _ = Resource::parse(&path);
    }

    #[test]
    fn bundles_round_trip(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..256)) {
        let bundle = encode_bundle(&entries).unwrap();
        let width = u16::try_from(entries.len()).unwrap();
        prop_assert_eq!(decode_bundle(&bundle, width).unwrap(), entries);
    }

    #[test]
    fn a_bundle_that_is_read_is_written_again(bytes in prop::collection::vec(0u8..4, 0..40), width in 0u16..12) {
        if let Ok(entries) = decode_bundle(&bytes, width) {
            prop_assert_eq!(encode_bundle(entries).unwrap(), bytes);
        }
    }
}
