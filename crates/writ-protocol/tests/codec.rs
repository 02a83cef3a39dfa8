//! Laws of the deterministic encoding: one encoding for each value, and nothing else is read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use proptest::prelude::*;
use writ_protocol::action::Members;
use writ_protocol::cbor::{ARRAY_MAX, Decode, Encode, Fault, Reader, Value, check};

/// Any value of the subset, maps without repeated keys.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Value::Uint),
        (i64::MIN..0).prop_map(Value::Nint),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        ".{0,40}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        float().prop_map(Value::Float),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            proptest::collection::btree_map(".{0,12}", inner, 0..8).prop_map(|pairs| {
                let mut pairs: Vec<_> = pairs.into_iter().collect();
                pairs.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
                Value::Map(pairs)
            }),
        ]
    })
}

/// Floats that no integer equals, many of them exact in 16 or 32 bits.
fn float() -> impl Strategy<Value = f64> {
    let any_width = prop_oneof![
        any::<f64>(),
        any::<f32>().prop_map(f64::from),
        (-4096i32..4096, -24i32..1).prop_map(|(mantissa, exponent)| f64::from(mantissa) * 2f64.powi(exponent)),
    ];
    any_width.prop_filter("no integer and finite", |number| {
        let reducible = number.trunc() == *number && (-9.3e18..1.85e19).contains(number);
        number.is_finite() && !reducible
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_value_is_read_as_it_was_written(value in value()) {
        let bytes = value.to_cbor();
        prop_assert_eq!(check(&bytes), Ok(()));
        prop_assert_eq!(Value::from_cbor(&bytes).unwrap(), value);
    }

    #[test]
    fn any_finite_number_is_read_as_it_was_taken(number in prop_oneof![any::<f64>(), any::<i64>().prop_map(|it| it as f64)]) {
        let taken = Value::number(number);
        prop_assert_eq!(taken.is_some(), number.is_finite());
        prop_assert_eq!(taken.as_ref().map(|taken| Value::from_cbor(&taken.to_cbor()).unwrap()), taken);
    }

    #[test]
    fn what_is_read_has_no_second_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = Value::from_cbor(&bytes) {
            prop_assert_eq!(value.to_cbor(), bytes);
        }
    }

    #[test]
    fn one_changed_bit_is_another_value_or_none(value in value(), place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let bytes = value.to_cbor();
        let mut changed = bytes.clone();
        changed[place.index(bytes.len())] ^= 1 << bit;
        if let Ok(other) = Value::from_cbor(&changed) {
            prop_assert_eq!(other.to_cbor(), changed);
            prop_assert_ne!(other, value);
        }
    }

    #[test]
    fn every_beginning_is_truncated_and_every_addition_is_trailing(value in value(), extra in any::<u8>()) {
        let bytes = value.to_cbor();
        for end in 0..bytes.len() {
            prop_assert_eq!(check(&bytes[..end]).unwrap_err().fault, Fault::Truncated);
        }
        let mut longer = bytes;
        longer.push(extra);
        prop_assert_eq!(check(&longer).unwrap_err().fault, Fault::TrailingBytes);
    }

    #[test]
    fn pairs_are_written_in_canonical_order_whatever_their_order(
        pairs in proptest::collection::btree_map("[a-z]{0,4}", any::<u64>(), 0..8)
    ) {
        let forward: Vec<_> = pairs.into_iter().map(|(key, number)| (key, Value::Uint(number))).collect();
        let backward: Vec<_> = forward.iter().rev().cloned().collect();
        let bytes = Value::Map(forward).to_cbor();
        prop_assert_eq!(check(&bytes), Ok(()));
        prop_assert_eq!(bytes, Value::Map(backward).to_cbor());
    }
}

proptest! {
    #[test]
    fn a_field_is_found_behind_any_other(values in proptest::collection::vec(value(), 0..4)) {
        let others = (0..values.len()).map(|at| at.to_string()).zip(values);
        let map = Value::Map(others.chain([("kind".to_owned(), Value::Text("found".to_owned()))]).collect()).to_cbor();
        let reader = Reader::checked(&map).unwrap();
        prop_assert_eq!(reader.peek_field("kind").unwrap(), "found");
        prop_assert!(reader.peek_field("king").is_err());
    }
}

#[test]
fn a_number_takes_the_shortest_form_that_holds_it() {
    for (number, expected) in [
        (0.0, "00"),
        (-0.0, "00"),
        (-1.0, "20"),
        (1.5, "f93e00"),
        (-0.5, "f9b800"),
        (5.960_464_477_539_063e-8, "f90001"),
        (6.097_555_160_522_461e-5, "f903ff"),
        (65_504.5, "fa477fe080"),
        (1.1, "fb3ff199999999999a"),
        (1.8e19, "1bf9ccd8a1c5080000"),
        (1.9e19, "fb43f07ad8f556c6c0"),
        (-9.3e18, "fbc3e02207973f6440"),
    ] {
        let bytes = Value::Float(number).to_cbor();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(check(&bytes), Ok(()), "{number}");
        assert_eq!(hex, expected, "{number}");
        match Value::from_cbor(&bytes).unwrap() {
            Value::Float(read) => assert_eq!(read.to_bits(), number.to_bits()),
            Value::Uint(read) => assert_eq!(read as f64, number),
            Value::Nint(read) => assert_eq!(read as f64, number),
            other @ (Value::Bytes(_)
            | Value::Text(_)
            | Value::Array(_)
            | Value::Map(_)
            | Value::Bool(_)
            | Value::Null) => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_array_of_a_structure_is_limited() {
    for (length, read) in [(0, true), (ARRAY_MAX, true), (ARRAY_MAX + 1, false), (ARRAY_MAX + 2, false)] {
        let array: Vec<u64> = (0..length).collect();
        assert_eq!(Vec::<u64>::from_cbor(&array.to_cbor()).ok(), read.then_some(array), "{length}");
    }
}

#[test]
fn a_bomb_costs_nothing() {
    // Each head declares what cannot follow it.
    for head in ["9bffffffffffffffff", "bbffffffffffffffff", "5bffffffffffffffff", "9a7fffffff", "ba7fffffff"] {
        let bytes: Vec<u8> =
            (0..head.len()).step_by(2).map(|at| u8::from_str_radix(&head[at..at + 2], 16).unwrap()).collect();
        assert_eq!(check(&bytes).unwrap_err().fault, Fault::Truncated, "{head}");
    }
    assert_eq!(check(&[0x81; 100_000]).unwrap_err().fault, Fault::TooDeep);
}

#[test]
fn a_key_that_goes_on_is_another_key() {
    let bytes = b"\xa1\x64keys\x01";
    let mut reader = Reader::checked(bytes).unwrap();
    let mut map = reader.map().unwrap();
    assert_eq!(map.optional::<u64>("key"), Ok(None));
    assert_eq!(map.optional::<u64>("keys"), Ok(Some(1)));
    map.end().unwrap();
}

/// Whoever holds a whole number as a float and writes it would read an integer, and what was judged would not be what was recorded.
#[test]
fn a_whole_number_is_an_integer_and_members_hold_no_float_that_is_one() {
    let members = |value| Members::new(vec![("n".to_owned(), Value::Array(vec![value]))]);
    let whole = [
        (0.0, Value::Uint(0)),
        (-0.0, Value::Uint(0)),
        (-1.0, Value::Nint(-1)),
        (555_555_555_555_555_550.5, Value::Uint(555_555_555_555_555_520)),
        (-9_223_372_036_854_775_808.0, Value::Nint(i64::MIN)),
        (18_446_744_073_709_549_568.0, Value::Uint(18_446_744_073_709_549_568)),
    ];
    for (number, integer) in whole {
        assert_eq!(Value::number(number), Some(integer.clone()), "{number}");
        assert!(members(integer).is_ok());
        assert!(members(Value::Float(number)).is_err(), "{number}");
    }
    for number in [0.5, 1e20, -1e19, 18_446_744_073_709_551_616.0, f64::MIN_POSITIVE] {
        assert_eq!(Value::number(number), Some(Value::Float(number)));
        assert!(members(Value::Float(number)).is_ok(), "{number}");
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Value::number(number), None);
        assert!(members(Value::Float(number)).is_err());
    }
}

#[test]
fn members_are_found_by_name_and_stand_in_the_one_order() {
    let named = |name: &str, value| (name.to_owned(), Value::Uint(value));
    let members = Members::new(vec![named("longer", 1), named("b", 2), named("a", 3)]).unwrap();
    let order: Vec<_> = members.iter().map(|(name, value)| (name, value.clone())).collect();
    assert_eq!(order, [("a", Value::Uint(3)), ("b", Value::Uint(2)), ("longer", Value::Uint(1))]);
    assert_eq!((members.get("b"), members.get("c")), (Some(&Value::Uint(2)), None));
}
