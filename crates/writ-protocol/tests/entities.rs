//! Snapshots of entities: one root for one set of entities, whatever its history, and one encoding for each change.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics to fail")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_protocol::Code;
use writ_protocol::cbor::{Decode, Encode, Value};
use writ_protocol::entities::{
    ENTITY_BYTES_MAX, ENTITY_CHANGE_BYTES_MAX, EntityChange, EntityRecord, EntityTree, EntityUid, Keyed,
};
use writ_tlog::{Hash, leaf_hash, node_hash, sha256};

struct Leaf(Hash, Hash, u8);

impl Keyed for Leaf {
    fn key(&self) -> &Hash {
        &self.0
    }

    fn leaf(&self) -> &Hash {
        &self.1
    }
}

/// Few names, and keys that are alike in their first bits, so that values meet.
fn leaf(name: u8, value: u8) -> Arc<Leaf> {
    let mut key = *sha256(&[name]).as_bytes();
    key[..=usize::from(name % 4)].fill(0x55);
    Arc::new(Leaf(Hash::from_bytes(key), leaf_hash(&[name, value]), value))
}

/// The root as the specification says it, from all leaves.
fn root(leaves: &[&Leaf], depth: usize) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [one] => one.1,
        more => {
            let bit = |leaf: &Leaf| leaf.0.as_bytes()[depth / 8] >> (7 - depth % 8) & 1;
            let side = |wanted: u8| more.iter().copied().filter(|leaf| bit(leaf) == wanted).collect::<Vec<_>>();
            node_hash(&root(&side(0), depth + 1), &root(&side(1), depth + 1))
        }
    }
}

proptest! {
    #[test]
    fn a_tree_has_the_root_of_what_is_in_it_whatever_came_before(
        changes in prop::collection::vec((0u8..24, prop::option::of(0u8..4)), 0..80),
    ) {
        let (mut tree, mut expected) = (EntityTree::default(), BTreeMap::new());
        for (name, value) in changes {
            let before = (tree.clone(), tree.root());
            match value {
                Some(value) => {
                    tree = tree.with(leaf(name, value));
                    expected.insert(*leaf(name, value).key(), leaf(name, value));
                }
                None => {
                    tree = tree.without(leaf(name, 0).key());
                    expected.remove(leaf(name, 0).key());
                }
            }
            let leaves: Vec<&Leaf> = expected.values().map(|leaf| &**leaf).collect();
            prop_assert_eq!(tree.root(), root(&leaves, 0));
            prop_assert_eq!((tree.len(), tree.is_empty()), (expected.len(), expected.is_empty()));
            let found: Vec<(Hash, u8)> = tree.iter().map(|leaf| (leaf.0, leaf.2)).collect();
            prop_assert_eq!(found, expected.values().map(|leaf| (leaf.0, leaf.2)).collect::<Vec<_>>());
            for name in 0..24 {
                let key = *leaf(name, 0).key();
                prop_assert_eq!(tree.get(&key).map(|leaf| leaf.2), expected.get(&key).map(|leaf| leaf.2));
            }
            prop_assert_eq!(before.0.root(), before.1, "what was made before does not change");
        }
    }
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::new(kind, id).unwrap()
}

fn record(id: &str) -> EntityRecord {
    let attrs = vec![("b".to_owned(), Value::Nint(-1)), ("a".to_owned(), Value::Array(vec![Value::Bool(true)]))];
    EntityRecord::new(uid("User", id), vec![uid("Group", "b"), uid("Group", "a"), uid("Group", "b")], attrs, vec![])
        .unwrap()
}

#[test]
fn a_change_is_read_as_it_was_written() {
    let change =
        EntityChange::new([1; 32], Some(sha256(b"base")), vec![record("b"), record("a")], vec![uid("X::Y", "z")]);
    let change = change.unwrap();
    let bytes = change.encode().unwrap();
    let read = EntityChange::decode(&bytes).unwrap();
    assert_eq!(read.encode().unwrap(), bytes);
    assert_eq!(read.put[0].uid(), &uid("User", "a"));
    assert_eq!(read.put[0].parents(), [uid("Group", "a"), uid("Group", "b")]);
    assert_eq!(EntityRecord::from_cbor(&record("a").to_cbor()).unwrap().leaf(), record("a").leaf());
    // Without its salt nobody finds a snapshot from its root.
    let other = EntityChange { salt: [2; 32], ..change.clone() };
    assert_ne!(change.snapshot(&sha256(b"root")), other.snapshot(&sha256(b"root")));
}

#[test]
fn what_stands_twice_or_out_of_order_is_refused() {
    for (put, removed) in [
        (vec![record("a"), record("a")], vec![]),
        (vec![], vec![uid("User", "a"), uid("User", "a")]),
        (vec![record("a")], vec![uid("User", "a")]),
    ] {
        assert!(EntityChange::new([1; 32], None, put, removed).is_err());
    }
    let good = EntityChange::new([1; 32], None, vec![record("a"), record("b")], vec![]).unwrap();
    let mut swapped = good.clone();
    swapped.put.reverse();
    assert_eq!(EntityChange::decode(&swapped.encode().unwrap()).unwrap_err().code(), Code::Malformed);
}

#[test]
fn what_is_no_change_of_this_version_is_refused() {
    let good = EntityChange::new([1; 32], None, vec![], vec![]).unwrap().encode().unwrap();
    assert!(EntityChange::decode(&good).is_ok());
    let mut newer = good.clone();
    let at = 2 + "writ.entities".len();
    assert_eq!(newer[at], 1);
    newer[at] = 2;
    assert_eq!(EntityChange::decode(&newer).unwrap_err().code(), Code::UnsupportedVersion);
    for length in 0..good.len() {
        assert_eq!(EntityChange::decode(&good[..length]).unwrap_err().code(), Code::Malformed);
    }
}

#[test]
fn entities_and_changes_have_a_largest_size() {
    let attrs = |length: usize| vec![("a".to_owned(), Value::Text("x".repeat(length)))];
    assert!(EntityRecord::new(uid("User", "a"), vec![], attrs(ENTITY_BYTES_MAX - 64), vec![]).is_ok());
    assert!(EntityRecord::new(uid("User", "a"), vec![], attrs(ENTITY_BYTES_MAX), vec![]).is_err());
    let large = |length: usize, id: usize| {
        EntityRecord::new(uid("User", &id.to_string()), vec![], attrs(length), vec![]).unwrap()
    };
    let change = |last: usize| {
        let put = (0..70).map(|id| large(if id == 0 { last } else { 60_000 }, id)).collect();
        EntityChange::new([1; 32], None, put, vec![]).unwrap()
    };
    // These lengths are written with as many bytes, so the whole is longer by just their difference.
    assert_eq!(ENTITY_CHANGE_BYTES_MAX, 4 << 20);
    let shortest = change(1_000).encode().unwrap().len();
    let longest = 1_000 + ENTITY_CHANGE_BYTES_MAX - shortest;
    let largest = change(longest).encode().unwrap();
    assert_eq!(largest.len(), ENTITY_CHANGE_BYTES_MAX);
    assert_eq!(EntityChange::decode(&largest).unwrap(), change(longest));
    assert_eq!(change(longest + 1).encode().unwrap_err().code(), Code::Malformed);
    // Well formed, and too long all the same.
    let Value::Array(mut parts) = Value::from_cbor(&largest).unwrap() else { panic!() };
    let Some(Value::Map(fields)) = parts.last_mut() else { panic!() };
    let removed = fields.iter_mut().find(|(name, _)| name == "removed").unwrap();
    removed.1 = Value::Array(vec![Value::from_cbor(&uid("User", "gone").to_cbor()).unwrap()]);
    let longer = Value::Array(parts).to_cbor();
    assert!(longer.len() > ENTITY_CHANGE_BYTES_MAX + 1);
    assert_eq!(EntityChange::decode(&longer).unwrap_err().code(), Code::Malformed);
}

#[test]
fn an_entity_tells_its_parts() {
    let uid = uid("Shop::User", "it's \"ada\"");
    assert_eq!((uid.kind(), uid.id()), ("Shop::User", "it's \"ada\""));
    assert_eq!(uid.to_string(), "Shop::User::\"it\\'s \\\"ada\\\"\"");
    let (attrs, tags) = (vec![("a".to_owned(), Value::Bool(true))], vec![("t".to_owned(), Value::Uint(1))]);
    let record = EntityRecord::new(uid.clone(), vec![], attrs.clone(), tags.clone()).unwrap();
    assert_eq!((record.uid(), record.attrs(), record.tags()), (&uid, attrs.as_slice(), tags.as_slice()));
}

#[test]
fn values_that_the_engine_does_not_have_are_refused() {
    let whole = |value| EntityRecord::new(uid("User", "a"), vec![], vec![("a".to_owned(), value)], vec![]).is_ok();
    assert!(whole(Value::Uint(i64::MAX.unsigned_abs())));
    for value in [
        Value::Null,
        Value::Float(0.5),
        Value::Bytes(vec![1]),
        Value::Uint(1 << 63),
        Value::Array(vec![Value::Map(vec![("x".to_owned(), Value::Null)])]),
    ] {
        assert!(!whole(value.clone()), "{value:?}");
    }
    for (kind, id) in [("", "a"), ("1x", "a"), ("A::", "a"), ("A b", "a"), ("User", ""), ("User", "a\nb")] {
        assert!(EntityUid::new(kind, id).is_err(), "{kind} {id}");
    }
}
