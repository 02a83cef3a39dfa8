//! Changes of entities one after another, whole and with one fault each.

use super::case::{Case, Maker, hex};
use super::mutation::{array, text};
use crate::scenario::{entities_root, person};
use serde_json::{Value as Json, json};
use writ_protocol::Code::{FactsChanged, Malformed, UnsupportedVersion};
use writ_protocol::cbor::Value::{self, Bool, Map, Nint, Null, Text, Uint};
use writ_protocol::cbor::{Decode, Encode};
use writ_protocol::entities::{EntityChange, EntityRecord, EntityUid};
use writ_tlog::{Hash, sha256};

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("entities", "entities");
    accepted(&mut maker);
    bases(&mut maker);
    faults(&mut maker);
    entity_faults(&mut maker);
    maker.done()
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::new(kind, id).unwrap()
}

fn change(base: Option<Hash>, put: &[EntityRecord], removed: &[EntityUid]) -> EntityChange {
    EntityChange::new([5; 32], base, put.to_vec(), removed.to_vec()).unwrap()
}

fn input(changes: &[EntityChange]) -> Json {
    json!({ "changes": changes.iter().map(|one| hex(&one.encode().unwrap())).collect::<Vec<_>>() })
}

fn told(change: &EntityChange, entities: &[EntityRecord]) -> Json {
    let root = entities_root(entities);
    json!({
        "root": hex(root.as_bytes()),
        "snapshot": hex(change.snapshot(&root).as_bytes()),
        "count": entities.len(),
    })
}

fn people(count: usize) -> Vec<EntityRecord> {
    (0..count).map(|at| person(&format!("person-{at}"), &[("level", Uint(at as u64))])).collect()
}

fn accepted(maker: &mut Maker) {
    let nothing = change(None, &[], &[]);
    let results = json!({ "snapshots": [told(&nothing, &[])] });
    maker.accept("nothing", "A change of nothing, where there is nothing.", input(&[nothing]), results);
    for count in [1, 2, 3, 40] {
        let all = people(count);
        let whole = change(None, &all, &[]);
        let results = json!({ "snapshots": [told(&whole, &all)] });
        let about = format!("Entities in one change: {count}.");
        maker.accept(&format!("added_{count}"), &about, input(&[whole]), results);
    }
    let all = people(3);
    let [first, second, third] = [&all[0], &all[1], &all[2]];
    let steps = [
        (change(None, std::slice::from_ref(first), &[]), vec![first.clone()]),
        (change(None, &[second.clone(), third.clone()], &[]), all.clone()),
        (change(None, std::slice::from_ref(second), &[first.uid().clone()]), vec![second.clone(), third.clone()]),
        (change(None, &[], &[second.uid().clone(), third.uid().clone()]), vec![]),
    ];
    let (changes, results): (Vec<_>, Vec<_>) =
        steps.into_iter().map(|(change, left)| (change.clone(), told(&change, &left))).unzip();
    maker.accept("one_by_one", "Added, put again, removed.", input(&changes), json!({ "snapshots": results }));
    let values = [
        ("text", Text("é\u{10ffff}".to_owned())),
        ("least", Nint(i64::MIN)),
        ("most", Uint(i64::MAX.unsigned_abs())),
        ("flag", Bool(false)),
        ("list", Value::Array(vec![Uint(2), Uint(1), Uint(2)])),
        ("record", Map(vec![("inner".to_owned(), Map(vec![]))])),
    ];
    let record = person("ada", &values);
    let tags = vec![("site".to_owned(), Text("north".to_owned()))];
    let tagged = EntityRecord::new(uid("Acme::Team", "a b/c"), vec![uid("B", "z"), uid("A", "zz")], vec![], tags);
    let every = vec![record, tagged.unwrap()];
    let whole = change(None, &every, &[]);
    let results = json!({ "snapshots": [told(&whole, &every)] });
    maker.accept("every_value", "Every kind of value, tags, and parents of other types.", input(&[whole]), results);
}

fn bases(maker: &mut Maker) {
    let all = people(2);
    let first = change(Some(sha256(&[])), &all[..1], &[]);
    let digest = first.snapshot(&entities_root(&all[..1]));
    let second = change(Some(digest), &all[1..], &[]);
    let results = json!({ "snapshots": [told(&first, &all[..1]), told(&second, &all)] });
    maker.accept(
        "based",
        "Each is a change of what the one before has made.",
        input(&[first.clone(), second]),
        results,
    );
    for (name, about, base) in [
        ("base_other", "A change of another snapshot.", sha256(b"another")),
        ("base_nothing", "A change of nothing, where there is something.", sha256(&[])),
        ("base_root", "A change that names the root and not the snapshot.", entities_root(&all[..1])),
    ] {
        let second = change(Some(base), &all[1..], &[]);
        maker.refuse(name, about, input(&[first.clone(), second]), FactsChanged);
    }
}

/// A change with something else in the place of its parts.
fn spoilt(spoil: impl FnOnce(&mut Vec<(String, Value)>)) -> Vec<u8> {
    let good = change(None, &people(2), &[uid("User", "gone"), uid("User", "lost")]);
    let Value::Array(mut parts) = Value::from_cbor(&good.encode().unwrap()).unwrap() else { return Vec::new() };
    if let Some(Map(fields)) = parts.last_mut() {
        spoil(fields);
    }
    Value::Array(parts).to_cbor()
}

/// The same, with something else in its first entity.
fn spoilt_entity(spoil: impl FnOnce(&mut Vec<(String, Value)>)) -> Vec<u8> {
    spoilt(|fields| {
        let put = fields.iter_mut().find(|(key, _)| key == "put");
        if let Some((_, Value::Array(put))) = put
            && let Some(Map(entity)) = put.first_mut()
        {
            spoil(entity);
        }
    })
}

fn set(fields: &mut Vec<(String, Value)>, key: &str, value: Value) {
    fields.retain(|(known, _)| known != key);
    fields.push((key.to_owned(), value));
}

fn faults(maker: &mut Maker) {
    let reversed = |key: &'static str| {
        spoilt(move |fields| {
            let found = fields.iter_mut().find(|(known, _)| known == key);
            if let Some((_, Value::Array(items))) = found {
                items.reverse();
            }
        })
    };
    let pair = |kind: &str, id: &str| array(vec![text(kind), text(id)]);
    let removed = |items: Vec<Value>| spoilt(|fields| set(fields, "removed", array(items)));
    let head = |context: &str, version| {
        let body = Map(vec![
            ("put".to_owned(), array(vec![])),
            ("salt".to_owned(), Value::Bytes(vec![5; 32])),
            ("removed".to_owned(), array(vec![])),
        ]);
        array(vec![text(context), version, body]).to_cbor()
    };
    for (name, about, bytes, code) in [
        ("context", "Another context.", head("writ.entity", Uint(1)), Malformed),
        ("version", "A version that nobody knows.", head("writ.entities", Uint(2)), UnsupportedVersion),
        ("version_text", "A version that is text.", head("writ.entities", text("1")), Malformed),
        ("put_order", "Entities that are not ascending.", reversed("put"), Malformed),
        ("removed_order", "Removed uids that are not ascending.", reversed("removed"), Malformed),
        (
            "removed_twice",
            "A uid that is removed twice.",
            removed(vec![pair("User", "x"), pair("User", "x")]),
            Malformed,
        ),
        ("put_and_removed", "An entity that is put and removed.", removed(vec![pair("User", "person-1")]), Malformed),
        (
            "salt_short",
            "A salt of 31 bytes.",
            spoilt(|fields| set(fields, "salt", Value::Bytes(vec![5; 31]))),
            Malformed,
        ),
        ("base_null", "A base that is null.", spoilt(|fields| set(fields, "base", Null)), Malformed),
        ("unknown_field", "A field that no change has.", spoilt(|fields| set(fields, "why", text("x"))), Malformed),
        ("no_salt", "A change without salt.", spoilt(|fields| fields.retain(|(key, _)| key != "salt")), Malformed),
    ] {
        maker.refuse(name, about, json!({ "changes": [hex(&bytes)] }), code);
    }
}

/// The same in one entity.
fn entity_faults(maker: &mut Maker) {
    let pair = |kind: &str, id: &str| array(vec![text(kind), text(id)]);
    let attrs = |value| spoilt_entity(|entity| set(entity, "attrs", Map(vec![("a".to_owned(), value)])));
    let attr_of = |key: &'static str, value| spoilt_entity(|entity| set(entity, key, value));
    for (name, about, bytes) in [
        ("attr_null", "An attribute that is null.", attrs(Null)),
        ("attr_bytes", "An attribute of bytes.", attrs(Value::Bytes(vec![1]))),
        ("attr_float", "An attribute that is a float.", attrs(Value::Float(0.5))),
        ("attr_large", "An attribute beyond 63 bits.", attrs(Uint(1 << 63))),
        ("attr_inner", "A null deep in an attribute.", attrs(array(vec![Map(vec![("x".to_owned(), Null)])]))),
        ("attrs_list", "Attributes that are no map.", attr_of("attrs", array(vec![]))),
        ("tags_empty", "Tags that are empty.", attr_of("tags", Map(vec![]))),
        ("type_empty", "A type that is empty.", attr_of("type", text(""))),
        ("type_digit", "A type that begins with a digit.", attr_of("type", text("1User"))),
        ("type_end", "A type that ends with `::`.", attr_of("type", text("User::"))),
        ("type_long", "A type of 256 bytes.", attr_of("type", text(&"a".repeat(256)))),
        ("id_empty", "An id that is empty.", attr_of("id", text(""))),
        ("id_control", "An id with a line feed.", attr_of("id", text("a\nb"))),
        ("id_c1", "An id with a control character beyond ASCII.", attr_of("id", text("a\u{85}b"))),
        ("id_long", "An id of 4097 bytes.", attr_of("id", text(&"a".repeat(4_097)))),
        ("entity_long", "An entity of more than 65,535 bytes.", attrs(text(&"a".repeat(65_535)))),
        (
            "parents_order",
            "Parents that are not ascending.",
            attr_of("parents", array(vec![pair("B", "a"), pair("A", "a")])),
        ),
        (
            "parents_twice",
            "A parent that stands twice.",
            attr_of("parents", array(vec![pair("A", "a"), pair("A", "a")])),
        ),
    ] {
        maker.refuse(name, about, json!({ "changes": [hex(&bytes)] }), Malformed);
    }
}
