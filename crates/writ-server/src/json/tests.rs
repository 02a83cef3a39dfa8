use super::*;
use proptest::prelude::*;
use serde_json::Value;
use writ_protocol::Code;

fn refused(text: impl AsRef<[u8]>, part: &str) {
    let refusal = strict_json(text.as_ref()).unwrap_err();
    assert_eq!(refusal.code(), Code::Malformed);
    assert!(refusal.why().contains(part), "{part:?} is not in {:?}", refusal.why());
}

fn object(text: &str) -> Fields {
    Fields::of(strict_json(text.as_bytes()).unwrap()).unwrap()
}

#[test]
fn a_name_given_twice_is_refused_however_it_is_written() {
    refused(r#"{"a":1,"a":1}"#, "each name once, found '\"' at line 1 column 8");
    refused(r#"{"a":1,"\u0061":2}"#, "each name once");
    refused(r#"[{"b":{"a":1,"c":0,"a":1}}]"#, "each name once");
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    refused(b"{\"a\":\n \"\xff\"}", "expected UTF-8, found other bytes at line 2 column 3");
    refused(b"\"\xed\xa0\x80\"", "expected UTF-8");
}

#[test]
fn halves_of_surrogate_pairs_are_refused_and_whole_pairs_are_read() {
    for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800\ud800""#, r#""\udc00\ud800""#] {
        refused(text, "a whole surrogate pair");
    }
    refused(r#""\ud800\u00""#, "four hexadecimal digits");
    refused(r#""\u+123""#, "four hexadecimal digits");
    for (text, read) in [(r#""\ud83d\ude00""#, "\u{1f600}"), (r#""\uD800\uDC00""#, "\u{10000}")] {
        assert_eq!(strict_json(text.as_bytes()), Ok(Json::Text(read.to_owned())));
    }
    assert_eq!(strict_json(br#""\udbff\udfff""#), Ok(Json::Text("\u{10ffff}".to_owned())));
}

#[test]
fn nesting_ends_at_its_limit() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(strict_json(nested(32).as_bytes()).is_ok());
    refused(nested(33), "at most 32 arrays and objects within each other");
    refused("[".repeat(1_000_000), "at most 32");
    refused("{\"a\":".repeat(33), "at most 32");
}

#[test]
fn many_values_are_refused() {
    let array = |values: usize| format!("[{}0]", "0,".repeat(values - 1));
    assert!(strict_json(array(16_383).as_bytes()).is_ok());
    refused(array(16_384), "at most 16384 values");
}

#[test]
fn numbers_are_whole_and_fit_in_64_bits() {
    for (text, number) in [
        ("0", 0),
        ("-1", -1),
        ("18446744073709551615", i128::from(u64::MAX)),
        ("-9223372036854775808", i128::from(i64::MIN)),
    ] {
        assert_eq!(strict_json(text.as_bytes()), Ok(Json::Whole(number)));
    }
    for text in [
        "18446744073709551616",
        "-9223372036854775809",
        "1.0",
        "1e3",
        "1E3",
        "-0",
        "00",
        "01",
        "-01",
        "-",
        "1-",
        "1+1",
        "1.",
        "999999999999999999999999999999999999999999999",
    ] {
        refused(text, "a whole number of at most 64 bits");
    }
}

#[test]
fn what_is_no_json_is_refused_where_it_ends_to_be() {
    for (text, part) in [
        ("", "expected a JSON value, found the end at line 1 column 1"),
        ("{} x", "expected the end after one JSON value, found 'x' at line 1 column 4"),
        ("{}{}", "the end after one"),
        ("\u{feff}{}", "a JSON value"),
        ("{\"a\"\n1}", "a colon after a name, found '1' at line 2 column 1"),
        ("{a:1}", "a name in double quotes"),
        ("{\"a\":1,}", "a name in double quotes"),
        ("[1,]", "a JSON value"),
        ("[1 2]", "a comma or the end of the array"),
        ("{\"a\":1 \"b\":2}", "a comma or the end of the object"),
        ("\"é\u{1}\"", "control characters escaped, found '\\u{1}' at line 1 column 3"),
        ("\"a", "the closing quote"),
        ("\"\\x\"", "an escape that JSON knows"),
        ("nul", "a JSON value"),
        ("+1", "a JSON value"),
        ("NaN", "a JSON value"),
        ("'a'", "a JSON value"),
        ("/**/1", "a JSON value"),
    ] {
        refused(text, part);
    }
}

#[test]
fn fields_are_taken_by_kind_and_none_is_left_over() {
    let mut fields = object(r#"{"s":"x","n":7,"b":true,"y":"AAE=","more":[]}"#);
    assert_eq!(fields.required_str("s").unwrap(), "x");
    assert_eq!(fields.required_u64("n").unwrap(), 7);
    assert_eq!(fields.optional_bool("b").unwrap(), Some(true));
    assert_eq!(fields.required_bytes("y").unwrap(), [0, 1]);
    assert_eq!(fields.optional_str("none").unwrap(), None);
    assert_eq!(fields.optional("more"), Some(Json::Array(Vec::new())));
    fields.end().unwrap();
    let refusal = object(r#"{"scope":1}"#).end().unwrap_err();
    assert_eq!(refusal.why(), "found the unknown field \"scope\"; leave it out");
}

#[test]
fn fields_of_another_kind_are_refused() {
    assert!(Fields::of(Json::Array(Vec::new())).unwrap_err().why().contains("expected a JSON object, found an array"));
    let mut fields = object(r#"{"a":null,"b":-1,"c":"1","d":1}"#);
    let faults = [
        fields.optional_str("a").unwrap_err(),
        fields.required_u64("b").unwrap_err(),
        fields.optional_u64("c").unwrap_err(),
        fields.optional_bool("d").unwrap_err(),
        fields.required_str("e").unwrap_err(),
        fields.required_u64("e").unwrap_err(),
        fields.required_bytes("e").unwrap_err(),
    ];
    assert!(faults.iter().all(|refusal| refusal.code() == Code::Malformed), "{faults:?}");
}

#[test]
fn base64_has_one_form() {
    for text in ["AA", "AA=", "AB==", "AAE", "AA==\\n", " AA==", "AA-_", "A", "===="] {
        let refusal = object(&format!(r#"{{"b":"{text}"}}"#)).required_bytes("b").unwrap_err();
        assert!(refusal.why().contains("canonical base64"), "{text}: {refusal}");
    }
}

/// The same value, by another reader.
fn other(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Boolean(value) => Value::Bool(*value),
        Json::Whole(number) => {
            u64::try_from(*number).map_or_else(|_| i64::try_from(*number).unwrap().into(), Value::from)
        }
        Json::Fraction(written) => serde_json::from_str(written).unwrap(),
        Json::Text(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(other).collect()),
        Json::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), other(value))).collect())
        }
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Boolean),
        any::<i64>().prop_map(|number| Json::Whole(number.into())),
        any::<u64>().prop_map(|number| Json::Whole(number.into())),
        any::<String>().prop_map(Json::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            proptest::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Json::Object),
        ]
    })
}

proptest! {
    #[test]
    fn what_another_writer_writes_is_read_as_it_was(value in any_json()) {
        let written = serde_json::to_vec(&other(&value)).unwrap();
        prop_assert_eq!(strict_json(&written), Ok(value));
    }

    #[test]
    fn what_is_read_another_reader_reads_too(text in r#"[\[\]{}",:0-9a\\u\-. e]{0,24}"#) {
        if let Ok(value) = strict_json(text.as_bytes()) {
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), other(&value));
        }
    }

    #[test]
    fn any_bytes_end_in_a_value_or_a_refusal(bytes: Vec<u8>) {
        if let Err(refusal) = strict_json(&bytes) {
            prop_assert_eq!(refusal.code(), Code::Malformed);
        }
    }
}

#[test]
fn numbers_of_any_kind_are_read_where_they_may_be() {
    let read = |text: &str| open_json(text.as_bytes());
    for (text, whole) in [("7", 7), ("-7", -7), ("1.0", 1), ("1e3", 1_000), ("-0", 0), ("-0.0", 0), ("0.5e1", 5)] {
        assert_eq!(read(text), Ok(Json::Whole(whole)), "{text}");
    }
    for text in ["0.5", "-1.25", "1e-3", "1e300", "18446744073709551616", "3.141592653589793"] {
        assert_eq!(read(text), Ok(Json::Fraction(text.to_owned())), "{text}");
        assert!(strict_json(text.as_bytes()).is_err(), "{text}");
    }
    let long = "0.".to_owned() + &"1".repeat(63);
    for text in ["01", "1.", ".5", "1e", "1e+", "--1", "+1", "1.e3", "1e999", "0x1", "1.2.3", "NaN", &long] {
        assert!(read(text).is_err(), "{text}");
    }
}
