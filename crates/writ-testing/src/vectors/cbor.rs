use super::case::{Case, Expect, Maker, hex};
use serde_json::{Value, json};

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("cbor", "cbor");
    integers(&mut maker);
    strings_and_simple(&mut maker);
    containers(&mut maker);
    floats(&mut maker);
    heads(&mut maker);
    truncated(&mut maker);
    faulty_content(&mut maker);
    faulty_keys(&mut maker);
    faulty_floats(&mut maker);
    depth(&mut maker);
    maker.done()
}

fn good(maker: &mut Maker, name: &str, about: &str, hex: &str, value: Value) {
    maker.accept(name, about, json!({ "hex": hex }), json!({ "value": value }));
}

fn bad(maker: &mut Maker, name: &str, about: &str, hex: &str, fault: &'static str) {
    maker.push(&format!("{fault}_{name}"), about, json!({ "hex": hex }), Expect::Fault(fault));
}

fn integers(maker: &mut Maker) {
    let unsigned = [
        ("00", "0"),
        ("01", "1"),
        ("17", "23"),
        ("1818", "24"),
        ("18ff", "255"),
        ("190100", "256"),
        ("19ffff", "65535"),
        ("1a00010000", "65536"),
        ("1affffffff", "4294967295"),
        ("1b0000000100000000", "4294967296"),
        ("1bffffffffffffffff", "18446744073709551615"),
    ];
    for (hex, value) in unsigned {
        good(
            maker,
            &format!("uint_{value}"),
            "An unsigned integer at an edge of a width.",
            hex,
            json!(["uint", value]),
        );
    }
    let negative = [
        ("20", "-1"),
        ("37", "-24"),
        ("3818", "-25"),
        ("38ff", "-256"),
        ("390100", "-257"),
        ("39ffff", "-65536"),
        ("3a00010000", "-65537"),
        ("3affffffff", "-4294967296"),
        ("3b0000000100000000", "-4294967297"),
        ("3b7fffffffffffffff", "-9223372036854775808"),
    ];
    for (hex, value) in negative {
        let name = format!("nint_{}", &value[1..]);
        good(maker, &name, "A negative integer at an edge of a width.", hex, json!(["nint", value]));
    }
    bad(maker, "just_below", "The first negative integer below -2^63.", "3b8000000000000000", "integer_range");
    bad(maker, "lowest", "The lowest negative integer of CBOR.", "3bffffffffffffffff", "integer_range");
    bad(maker, "in_array", "A negative integer below -2^63 in an array.", "813b8000000000000000", "integer_range");
}

fn strings_and_simple(maker: &mut Maker) {
    good(maker, "bytes_empty", "An empty byte string.", "40", json!(["bytes", ""]));
    good(maker, "bytes_not_utf8", "A byte string may hold anything.", "43ff00c0", json!(["bytes", "ff00c0"]));
    let long = "ab".repeat(24);
    good(maker, "bytes_24", "A byte string with a length of one byte.", &format!("5818{long}"), json!(["bytes", long]));
    let longer = "cd".repeat(256);
    good(
        maker,
        "bytes_256",
        "A byte string with a length of two bytes.",
        &format!("590100{longer}"),
        json!(["bytes", longer]),
    );
    good(maker, "text_empty", "An empty text string.", "60", json!(["text", ""]));
    good(maker, "text_ascii", "A text string.", "6477726974", json!(["text", "writ"]));
    good(maker, "text_zero", "A text string with a zero character.", "6100", json!(["text", "\u{0}"]));
    let many = "\u{fc}\u{20ac}\u{10ffff}";
    good(
        maker,
        "text_multibyte",
        "A text string with characters of two, three and four bytes, the highest included.",
        &format!("69{}", hex(many.as_bytes())),
        json!(["text", many]),
    );
    good(
        maker,
        "text_not_normalized",
        "Text is not normalized: a combining character stays.",
        "6365cc81",
        json!(["text", "e\u{301}"]),
    );
    good(maker, "false", "The simple value 20.", "f4", json!(["bool", false]));
    good(maker, "true", "The simple value 21.", "f5", json!(["bool", true]));
    good(maker, "null", "The simple value 22.", "f6", json!(["null"]));
}

fn containers(maker: &mut Maker) {
    let one = json!(["uint", "1"]);
    good(maker, "array_empty", "An empty array.", "80", json!(["array", []]));
    good(
        maker,
        "array_mixed",
        "An array of different types.",
        "860120f4f6616140",
        json!(["array", [one, ["nint", "-1"], ["bool", false], ["null"], ["text", "a"], ["bytes", ""]]]),
    );
    let items: Vec<_> = (0..24).map(|_| one.clone()).collect();
    let hex = format!("9818{}", "01".repeat(24));
    good(maker, "array_24", "An array with a length of one byte.", &hex, json!(["array", items]));
    good(maker, "map_empty", "An empty map.", "a0", json!(["map", []]));
    good(maker, "map_one", "A map of one pair.", "a1616101", json!(["map", [[["text", "a"], one]]]));
    good(
        maker,
        "map_shorter_key_first",
        "A shorter key comes before a longer one, whatever their letters.",
        "a2617a0162616101",
        json!(["map", [[["text", "z"], one], [["text", "aa"], one]]]),
    );
    good(
        maker,
        "map_empty_key_first",
        "The empty key comes before every other.",
        "a26001616101",
        json!(["map", [[["text", ""], one], [["text", "a"], one]]]),
    );
    good(
        maker,
        "map_keys_by_bytes",
        "Keys of one length are in the order of their bytes, so capitals come first.",
        "a3614101615a01616101",
        json!(["map", [[["text", "A"], one], [["text", "Z"], one], [["text", "a"], one]]]),
    );
    good(
        maker,
        "map_keys_length_in_bytes",
        "The length of a key counts bytes, not characters.",
        "a2627a7a0162c3bc01",
        json!(["map", [[["text", "zz"], one], [["text", "\u{fc}"], one]]]),
    );
    good(
        maker,
        "map_same_key_in_another_map",
        "A key may stand again in a map within.",
        "a16161a1616101",
        json!(["map", [[["text", "a"], ["map", [[["text", "a"], one]]]]]]),
    );
}

fn floats(maker: &mut Maker) {
    let cases = [
        ("half", "f93e00", "3ff8000000000000", "1.5 in 16 bits."),
        ("half_negative", "f9be00", "bff8000000000000", "-1.5 in 16 bits."),
        ("half_smallest", "f90001", "3e70000000000000", "The smallest subnormal of 16 bits, 2^-24."),
        ("half_largest_subnormal", "f903ff", "3f0ff80000000000", "The largest subnormal of 16 bits."),
        ("half_smallest_normal", "f90400", "3f10000000000000", "The smallest normal of 16 bits, 2^-14."),
        ("half_odd_half", "f963ff", "408ffc0000000000", "1023.5, of every bit that 16 bits have."),
        ("single", "fa3dcccccd", "3fb99999a0000000", "The float nearest to 0.1 of 32 bits."),
        ("single_below_half", "fa33000000", "3e60000000000000", "2^-25 is too small for 16 bits."),
        ("single_smallest", "fa00000001", "36a0000000000000", "The smallest subnormal of 32 bits."),
        ("single_largest", "fa7f7fffff", "47efffffe0000000", "The largest float of 32 bits is above every integer."),
        ("single_2_to_64", "fa5f800000", "43f0000000000000", "2^64 is above the integers, so it is a float."),
        ("double", "fb3fb999999999999a", "3fb999999999999a", "The float nearest to 0.1 of 64 bits."),
        ("double_smallest", "fb0000000000000001", "0000000000000001", "The smallest subnormal of 64 bits."),
        ("double_largest", "fb7fefffffffffffff", "7fefffffffffffff", "The largest float of 64 bits."),
        ("double_below_integers", "fbc3e0000000000001", "c3e0000000000001", "The first float below -2^63."),
    ];
    for (name, hex, bits, about) in cases {
        good(maker, &format!("float_{name}"), about, hex, json!(["float", bits]));
    }
}

fn heads(maker: &mut Maker) {
    for (name, hex) in [
        ("uint_1", "1801"),
        ("uint_23_in_1", "1817"),
        ("uint_255_in_2", "1900ff"),
        ("uint_65535_in_4", "1a0000ffff"),
        ("uint_4294967295_in_8", "1b00000000ffffffff"),
        ("nint_24_in_1", "3817"),
        ("nint_256_in_2", "3900ff"),
        ("nint_65536_in_4", "3a0000ffff"),
        ("nint_4294967296_in_8", "3b00000000ffffffff"),
        ("bytes_length_in_1", "5801ff"),
        ("bytes_length_in_2", "590001ff"),
        ("bytes_length_in_4", "5a00000001ff"),
        ("bytes_length_in_8", "5b0000000000000001ff"),
        ("text_length_in_1", "780161"),
        ("text_length_in_2", "79000161"),
        ("text_length_in_4", "7a0000000161"),
        ("text_length_in_8", "7b000000000000000161"),
        ("array_length_in_1", "980100"),
        ("array_length_in_2", "99000100"),
        ("array_length_in_4", "9a0000000100"),
        ("array_length_in_8", "9b000000000000000100"),
        ("map_length_in_1", "b801616100"),
        ("map_length_in_2", "b90001616100"),
        ("map_length_in_4", "ba00000001616100"),
        ("map_length_in_8", "bb0000000000000001616100"),
        ("in_map_value", "a161611800"),
        ("in_map_key", "a178016100"),
        ("empty_bytes_in_1", "5800"),
    ] {
        bad(maker, name, "A head longer than it needs to be.", hex, "not_shortest");
    }
    for (name, hex) in [
        ("uint", "1f"),
        ("nint", "3f"),
        ("bytes", "5f41ffff"),
        ("text", "7f6161ff"),
        ("array", "9f01ff"),
        ("map", "bf616101ff"),
        ("break", "ff"),
        ("in_array", "819fff"),
    ] {
        bad(maker, name, "Additional information 31.", hex, "indefinite_length");
    }
    for (name, hex) in [
        ("uint_28", "1c"),
        ("uint_29", "1d"),
        ("uint_30", "1e"),
        ("nint", "3c"),
        ("bytes", "5d"),
        ("text", "7e"),
        ("array", "9c"),
        ("map", "bd"),
        ("simple", "fc"),
        ("as_key", "a11c00"),
    ] {
        bad(maker, name, "Additional information 28, 29 or 30.", hex, "reserved");
    }
}

fn truncated(maker: &mut Maker) {
    for (name, hex, about) in [
        ("empty", "", "No bytes at all."),
        ("head_1", "18", "A head without its byte."),
        ("head_2", "19ff", "A head with one of two bytes."),
        ("head_4", "1affffff", "A head with three of four bytes."),
        ("head_8", "1bffffffffffffff", "A head with seven of eight bytes."),
        ("float_half", "f93e", "A float of 16 bits with one byte."),
        ("float_single", "fa3dcccc", "A float of 32 bits with three bytes."),
        ("float_double", "fb3fb9999999999a", "A float of 64 bits with seven bytes."),
        ("bytes", "4261", "A byte string with one of two bytes."),
        ("text", "61", "A text string without its byte."),
        ("bytes_far", "5bffffffffffffffff", "A byte string longer than any memory."),
        ("array", "81", "An array without its element."),
        ("array_count", "830102", "An array of three with two bytes left."),
        ("array_far", "9bffffffffffffffff00", "An array of 2^64-1 elements."),
        ("array_before_content", "82ff", "The count exceeds the bytes left before the break code after it is read."),
        ("map", "a16161", "A map of one pair with two bytes left that are the key alone."),
        ("map_count", "a2616101", "A map of two pairs with three bytes left."),
        ("map_far", "bb800000000000000000", "A map of 2^63 pairs: twice that many bytes is beyond 64 bits."),
        ("within", "82018141", "An array whose second element is not complete."),
    ] {
        bad(maker, name, about, hex, "truncated");
    }
    for (name, hex) in [("uint", "0000"), ("array", "8000"), ("map", "a0a0"), ("break", "00ff"), ("text", "616161")] {
        bad(maker, name, "Bytes follow the item.", hex, "trailing_bytes");
    }
}

fn faulty_content(maker: &mut Maker) {
    for (name, hex, about) in [
        ("lone_byte", "61ff", "A byte that begins no character."),
        ("continuation", "6180", "A continuation byte alone."),
        ("cut_character", "61c3", "A character cut off."),
        ("bad_continuation", "62c328", "A character whose second byte continues nothing."),
        ("overlong", "62c080", "A zero character in two bytes."),
        ("surrogate", "63eda080", "Half of a surrogate pair."),
        ("above_unicode", "64f4908080", "A character above U+10FFFF."),
        ("key", "a161ff00", "A map key that is not UTF-8."),
    ] {
        bad(maker, name, about, hex, "invalid_utf8");
    }
    for (name, hex, about) in [
        ("time_text", "c06161", "A tagged text."),
        ("bignum", "c240", "A big number."),
        ("one_byte", "d81801", "A tag in one byte."),
        ("eight_bytes", "dbffffffffffffffff01", "The highest tag."),
        ("in_array", "81c001", "A tag in an array."),
        ("self_described", "d9d9f700", "The mark of CBOR itself."),
    ] {
        bad(maker, name, about, hex, "tag");
    }
    for (name, hex, about) in [
        ("undefined", "f7", "The simple value 23."),
        ("0", "e0", "The simple value 0."),
        ("19", "f3", "The simple value 19."),
        ("32", "f820", "The simple value 32."),
        ("false_in_two_bytes", "f814", "The simple value 20 in two bytes."),
        ("255", "f8ff", "The simple value 255."),
        ("in_map", "a16161f7", "The simple value 23 in a map."),
    ] {
        bad(maker, name, about, hex, "simple");
    }
}

fn faulty_keys(maker: &mut Maker) {
    for (name, hex) in
        [("uint", "a10001"), ("nint", "a12001"), ("bytes", "a1416101"), ("null", "a1f601"), ("array", "a18001")]
    {
        bad(maker, name, "A map key that is not text.", hex, "key_not_text");
    }
    bad(maker, "second", "The second key of a map is not text.", "a26161010001", "key_not_text");
    for (name, hex, about) in [
        ("same_length", "a2616201616101", "Keys of one length in the wrong order."),
        ("longer_first", "a262616101617a01", "A longer key before a shorter one, as an alphabet would have it."),
        ("empty_last", "a26161016001", "The empty key after another."),
        ("third", "a3616101616301616201", "The third key is lower than the second."),
        ("nested", "81a2616201616101", "A map in an array with keys in the wrong order."),
    ] {
        bad(maker, name, about, hex, "unsorted_keys");
    }
    for (name, hex, about) in [
        ("adjacent", "a2616101616102", "One key twice."),
        ("same_value", "a2616101616101", "One key twice with one value."),
        ("empty", "a260016001", "The empty key twice."),
        ("before_its_value", "a261610161611c", "The key is judged before its value, whose head is reserved."),
    ] {
        bad(maker, name, about, hex, "duplicate_key");
    }
}

fn faulty_floats(maker: &mut Maker) {
    for (name, hex) in [
        ("nan_half", "f97e00"),
        ("nan_single", "fa7fc00000"),
        ("nan_double", "fb7ff8000000000000"),
        ("nan_payload", "fb7ff0000000000001"),
        ("nan_negative", "f9fe00"),
        ("infinity_half", "f97c00"),
        ("infinity_single", "fa7f800000"),
        ("infinity_double", "fb7ff0000000000000"),
        ("minus_infinity_half", "f9fc00"),
        ("minus_infinity_double", "fbfff0000000000000"),
    ] {
        bad(maker, name, "NaN or an infinity, at whatever width.", hex, "non_finite_float");
    }
    for (name, hex) in [
        ("zero", "f90000"),
        ("minus_zero_half", "f98000"),
        ("minus_zero_single", "fa80000000"),
        ("minus_zero_double", "fb8000000000000000"),
        ("one_half", "f93c00"),
        ("one_single", "fa3f800000"),
        ("one_double", "fb3ff0000000000000"),
        ("minus_one", "f9bc00"),
        ("largest_half", "f97bff"),
        ("2_to_63", "fa5f000000"),
        ("minus_2_to_63", "fadf000000"),
        ("below_2_to_64", "fb43efffffffffffff"),
    ] {
        bad(maker, name, "A float that equals an integer of the range.", hex, "reducible_float");
    }
    for (name, hex) in [
        ("float_half_in_single", "fa3fc00000"),
        ("float_half_in_double", "fb3ff8000000000000"),
        ("float_subnormal_half_in_single", "fa33800000"),
        ("float_single_in_double", "fb3fb99999a0000000"),
        ("float_2_to_64_in_double", "fb43f0000000000000"),
        ("float_subnormal_single_in_double", "fb36a0000000000000"),
    ] {
        bad(maker, name, "A float in more bits than it needs.", hex, "not_shortest");
    }
}

fn depth(maker: &mut Maker) {
    let nested = |levels: usize| format!("{}80", "81".repeat(levels - 1));
    let value = (1..16).fold(json!(["array", []]), |inner, _| json!(["array", [inner]]));
    good(maker, "depth_16", "Sixteen levels of arrays.", &nested(16), value);
    bad(maker, "arrays", "Seventeen levels of arrays.", &nested(17), "too_deep");
    bad(maker, "far", "A thousand levels of arrays.", &nested(1000), "too_deep");
    let maps = |levels: usize| format!("{}a0", "a16161".repeat(levels - 1));
    let value = (1..16).fold(json!(["map", []]), |inner, _| json!(["map", [[["text", "a"], inner]]]));
    good(maker, "depth_16_maps", "Sixteen levels of maps.", &maps(16), value);
    bad(maker, "maps", "Seventeen levels of maps.", &maps(17), "too_deep");
    let scalar = format!("{}00", "81".repeat(16));
    let value = (0..16).fold(json!(["uint", "0"]), |inner, _| json!(["array", [inner]]));
    good(maker, "depth_16_with_scalar", "A number within sixteen arrays is no level of its own.", &scalar, value);
}
