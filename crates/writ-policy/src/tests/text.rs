use crate::text::{from_hex, hex};
use crate::{command_text, text_of_bytes};
use proptest::prelude::*;

/// Reads text back, written by the rule and not from the code under test.
fn bytes_of_text(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        if let Some(tail) = rest.strip_prefix("\\\\") {
            bytes.push(b'\\');
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&tail[..2], 16).unwrap());
            rest = &tail[2..];
        } else {
            assert!(c != '\\' && !c.is_control());
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[c.len_utf8()..];
        }
    }
    bytes
}

/// Splits a line as a shell does, quotes only.
fn arguments_of_command(line: &str) -> Vec<String> {
    let mut arguments = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in line.chars() {
        let last = arguments.last_mut().unwrap();
        match c {
            c if escaped => {
                last.push(c);
                escaped = false;
            }
            '\'' => quoted = !quoted,
            '\\' if !quoted => escaped = true,
            ' ' if !quoted => arguments.push(String::new()),
            c => last.push(c),
        }
    }
    assert!(!quoted && !escaped);
    arguments
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        ".*".prop_map(String::into_bytes),
        proptest::collection::vec(proptest::sample::select(b"\\x0a1f' \"\n\xc3\xa9\xff\xc2\x85".to_vec()), 0..12),
    ]
}

proptest! {
    #[test]
    fn text_gives_its_bytes_back(bytes in bytes()) {
        let text = text_of_bytes(&bytes);
        prop_assert!(!text.chars().any(char::is_control));
        prop_assert_eq!(bytes_of_text(&text), bytes);
    }

    #[test]
    fn a_command_gives_its_arguments_back(arguments in proptest::collection::vec(bytes(), 1..6)) {
        let line = command_text(arguments.iter().map(Vec::as_slice));
        let found: Vec<Vec<u8>> = arguments_of_command(&line).iter().map(|text| bytes_of_text(text)).collect();
        prop_assert_eq!(found, arguments);
    }

    #[test]
    fn hexadecimal_gives_its_bytes_back(bytes in any::<Vec<u8>>()) {
        prop_assert_eq!(from_hex(&hex(&bytes)), Some(bytes));
    }
}

#[test]
fn what_looks_alike_stays_apart() {
    let cases: [(&[u8], &str); 8] = [
        (b"", ""),
        (b"plain text", "plain text"),
        (b"\\", "\\\\"),
        (b"\\x0a", "\\\\x0a"),
        (b"\n", "\\x0a"),
        ("é".as_bytes(), "é"),
        (b"\xc3", "\\xc3"),
        (b"\xc2\x85\x7f", "\\xc2\\x85\\x7f"),
    ];
    for (bytes, text) in cases {
        assert_eq!(text_of_bytes(bytes), text);
    }
    let command = |arguments: &[&str]| command_text(arguments.iter().map(|argument| argument.as_bytes()));
    assert_eq!(command(&["rm", "-rf", "my files"]), "rm -rf 'my files'");
    assert_eq!(command(&["a", ""]), "a ''");
    assert_eq!(command(&["it's"]), r"'it'\''s'");
    assert_eq!(command(&["a\\b", "$x", "é"]), r"'a\\b' '$x' 'é'");
}

#[test]
fn only_lower_case_pairs_are_hexadecimal() {
    for text in ["0", "0G", "AB", "é0", " 00", "0x"] {
        assert_eq!(from_hex(text), None, "{text}");
    }
}
