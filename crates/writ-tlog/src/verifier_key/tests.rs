use super::*;
use crate::SigningKey;
use proptest::prelude::*;

/// The example of C2SP signed-note.
const EXAMPLE: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

fn verifier(name: &str, algorithm: Algorithm) -> NoteVerifier {
    NoteVerifier::new(KeyName::new(name).unwrap(), SigningKey::from_seed(algorithm, &[7; 32]).verifying_key())
}

/// The text of a verifier key over any material, with the right id.
fn vkey(name: &str, material: &[u8]) -> String {
    let id = key_id(&KeyName::new(name).unwrap(), material);
    format!("{name}+{id:08x}+{}", base64(material))
}

#[test]
fn the_example_of_the_specification_is_read_and_written() {
    let verifier = NoteVerifier::from_vkey(EXAMPLE).unwrap();
    assert_eq!(verifier.name().as_str(), "example.com/foo");
    assert_eq!(verifier.key_id(), 0x530d_903a);
    assert_eq!(verifier.key().algorithm(), Algorithm::Ed25519);
    assert_eq!(verifier.to_vkey(), EXAMPLE);
}

#[test]
fn keys_of_both_algorithms_round_trip() {
    for algorithm in [Algorithm::Ed25519, Algorithm::MlDsa44] {
        let long = "n".repeat(NAME_BYTES_MAX);
        for name in ["log.example/writ", "é", &long] {
            let verifier = verifier(name, algorithm);
            assert_eq!(NoteVerifier::from_vkey(&verifier.to_vkey()), Ok(verifier));
        }
    }
}

#[test]
fn one_key_has_different_ids_under_different_names() {
    let id = |name| verifier(name, Algorithm::Ed25519).key_id();
    assert_ne!(id("log.example/a"), id("log.example/b"));
}

#[test]
fn names_that_read_in_two_ways_are_refused() {
    assert_eq!(KeyName::new(""), Err(NameError::Empty));
    assert_eq!(KeyName::new("n".repeat(256)), Err(NameError::TooLong { found: 256 }));
    for found in [' ', '\n', '\t', '+', '\0', '\u{7f}', '\u{85}', '\u{a0}', '\u{2003}', '\u{2028}', '\u{3000}'] {
        assert_eq!(KeyName::new(format!("a{found}b")), Err(NameError::Character { found }));
    }
    assert_eq!(KeyName::new("example.com/ö-1").unwrap().to_string(), "example.com/ö-1");
}

#[test]
fn a_counted_name_begins_with_its_length_in_bytes() {
    assert_eq!(KeyName::new("é").unwrap().counted(), [2, 0xc3, 0xa9]);
    assert_eq!(KeyName::new("n".repeat(255)).unwrap().counted()[..2], [255, b'n']);
}

#[test]
fn another_form_of_a_verifier_key_is_refused() {
    let key = "AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let id = |found: &str| KeyError::KeyIdForm { found: found.to_owned() };
    let cases = [
        ("", KeyError::VerifierKeyParts { found: 1 }),
        ("example.com/foo+530d903a", KeyError::VerifierKeyParts { found: 2 }),
        (&format!("+530d903a+{key}"), KeyError::Name(NameError::Empty)),
        (&format!("example.com foo+530d903a+{key}"), KeyError::Name(NameError::Character { found: ' ' })),
        (&format!("example.com/foo+530D903A+{key}"), id("530D903A")),
        (&format!("example.com/foo+0530d903a+{key}"), id("0530d903a")),
        (&format!("example.com/foo+30d903a+{key}"), id("30d903a")),
        (&format!("example.com/foo++530d903a+{key}"), id("")),
        (&format!("example.com/foo+0x530d90+{key}"), id("0x530d90")),
        (&format!("example.com/foo+530d903a+{key}="), KeyError::KeyForm),
        (&format!("example.com/foo+530d903a+{key}\n"), KeyError::KeyForm),
        ("example.com/foo+530d903a+", KeyError::KeyForm),
    ];
    for (vkey, error) in cases {
        assert_eq!(NoteVerifier::from_vkey(vkey), Err(error), "{vkey}");
    }
    let expected = VERIFIER_KEY_BYTES_MAX;
    let refused = NoteVerifier::from_vkey(&"a".repeat(expected));
    assert_eq!(refused, Err(KeyError::VerifierKeyParts { found: 1 }));
    let refused = NoteVerifier::from_vkey(&"a".repeat(expected + 1));
    assert_eq!(refused, Err(KeyError::VerifierKeyTooLong { expected, found: expected + 1 }));
}

#[test]
fn an_id_of_another_name_or_key_is_refused() {
    let refused = NoteVerifier::from_vkey(&EXAMPLE.replace("/foo", "/fop"));
    assert!(matches!(refused, Err(KeyError::KeyIdMismatch { found: 0x530d_903a, .. })), "{refused:?}");
    let refused = NoteVerifier::from_vkey(&EXAMPLE.replace("530d903a", "530d903b"));
    assert_eq!(refused, Err(KeyError::KeyIdMismatch { expected: 0x530d_903a, found: 0x530d_903b }));
}

#[test]
fn types_that_are_not_verified_here_are_refused() {
    for found in [0x00, 0x02, 0x03, 0x04, 0x05, 0x07, 0xff] {
        let refused = NoteVerifier::from_vkey(&vkey("log.example", &[&[found], [9; 32].as_slice()].concat()));
        assert_eq!(refused, Err(KeyError::UnknownType { found }));
    }
}

#[test]
fn the_rule_for_keys_holds_in_verifier_keys() {
    let refused = |material: &[u8]| NoteVerifier::from_vkey(&vkey("log.example", material)).unwrap_err();
    assert_eq!(refused(&[&[1], [0; 32].as_slice()].concat()), KeyError::SmallOrder);
    assert_eq!(refused(&[&[1], [0xff; 32].as_slice()].concat()), KeyError::NotCanonical);
    assert!(matches!(refused(&[&[6], [9; 32].as_slice()].concat()), KeyError::Length { expected: 1312, .. }));
    assert!(matches!(refused(&[&[1], [9; 31].as_slice()].concat()), KeyError::Length { expected: 32, .. }));
}

proptest! {
    #[test]
    fn any_text_is_judged_and_what_is_read_is_written_again(vkey in ".{0,40}|[a-z]{1,3}\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]{44}") {
        if let Ok(verifier) = NoteVerifier::from_vkey(&vkey) {
            prop_assert_eq!(verifier.to_vkey(), vkey);
        }
    }
}
