use super::*;
use crate::NoteVerifier;
use proptest::prelude::*;

/// The examples of C2SP signed-note.
const EXAMPLE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const POEM: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n\u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

fn parse(note: &str) -> Result<Note<'_>, NoteError> {
    Note::parse(note.as_bytes())
}

#[test]
fn the_example_of_the_specification_verifies() {
    let (note, key) = (parse(EXAMPLE).unwrap(), NoteVerifier::from_vkey(EXAMPLE_KEY).unwrap());
    assert_eq!(note.text(), "This is an example message.\n");
    let [signature] = note.signatures() else { panic!("one signature") };
    assert_eq!((signature.name, signature.key_id), (key.name().as_str(), key.key_id()));
    assert_eq!(key.key().verify(note.text().as_bytes(), &signature.bytes), Ok(()));
    assert_eq!(note.to_bytes(), EXAMPLE.as_bytes());
}

#[test]
fn a_text_may_have_blank_lines() {
    let note = parse(POEM).unwrap();
    assert!(note.text().ends_with("sole:\n\ned è subito sera.\n"));
    assert_eq!(note.signatures()[0].name, "quasimodo.example/salvatore");
    assert_eq!(note.signatures()[0].bytes.len(), 64);
}

#[test]
fn another_form_of_a_note_is_refused() {
    let name = |line, source| NoteError::Name { line, source };
    let cases = [
        ("", NoteError::NoSignatures),
        ("text\n", NoteError::NoSignatures),
        ("text\n\n", NoteError::NoSignatures),
        ("\u{2014} a AAAAAAA=\n", NoteError::NoSignatures),
        ("\n\u{2014} a AAAAAAA=\n", NoteError::NoSignatures),
        ("text\n\u{2014} a AAAAAAA=\n", NoteError::NoSignatures),
        ("text\n\n\u{2014} a AAAAAAA=\n\n", NoteError::NoSignatures),
        ("text\n\n\u{2014} a AAAAAAA=", NoteError::Unterminated),
        ("text\r\n\n\u{2014} a AAAAAAA=\n", NoteError::ControlCharacter { found: '\r' }),
        ("te\txt\n\n\u{2014} a AAAAAAA=\n", NoteError::ControlCharacter { found: '\t' }),
        ("te\0xt\n\n\u{2014} a AAAAAAA=\n", NoteError::ControlCharacter { found: '\0' }),
        ("text\n\nnot a line\n", NoteError::LineForm { line: 1 }),
        ("text\n\n- a AAAAAAA=\n", NoteError::LineForm { line: 1 }),
        ("text\n\n\u{2014}a AAAAAAA=\n", NoteError::LineForm { line: 1 }),
        ("text\n\n\u{2014} a\n", NoteError::LineForm { line: 1 }),
        (" text\n\n\u{2014} a AAAAAAA=\njunk\n", NoteError::LineForm { line: 2 }),
        ("text\n\n\u{2014}  AAAAAAA=\n", name(1, NameError::Empty)),
        ("text\n\n\u{2014} a+b AAAAAAA=\n", name(1, NameError::Character { found: '+' })),
        ("text\n\n\u{2014} a\u{a0}b AAAAAAA=\n", name(1, NameError::Character { found: '\u{a0}' })),
        ("text\n\n\u{2014} a AAAAAAA= \n", NoteError::Base64 { line: 1 }),
        ("text\n\n\u{2014} a  AAAAAAA=\n", NoteError::Base64 { line: 1 }),
        ("text\n\n\u{2014} a AAAAAAA\n", NoteError::Base64 { line: 1 }),
        ("text\n\n\u{2014} a AAAAAAB=\n", NoteError::Base64 { line: 1 }),
        ("text\n\n\u{2014} a AAAAAAA=\n\u{2014} a AAAA-AA=\n", NoteError::Base64 { line: 2 }),
        ("text\n\n\u{2014} a \n", NoteError::SignatureTooShort { line: 1, found: 0 }),
        ("text\n\n\u{2014} a AAAAAA==\n", NoteError::SignatureTooShort { line: 1, found: 4 }),
    ];
    for (note, error) in cases {
        assert_eq!(parse(note), Err(error), "{note:?}");
    }
    assert_eq!(Note::parse(b"te\xffxt\n\n"), Err(NoteError::NotUtf8 { valid_up_to: 2 }));
    assert!(parse("text\n\n\u{2014} a AAAAAAA=\n").is_ok());
}

#[test]
fn a_note_is_limited_in_length_and_lines() {
    let line = "\u{2014} a AAAAAAA=\n";
    let lines = |count| format!("text\n\n{}", line.repeat(count));
    assert_eq!(parse(&lines(NOTE_SIGNATURES_MAX)).unwrap().signatures().len(), NOTE_SIGNATURES_MAX);
    let found = NOTE_SIGNATURES_MAX + 1;
    assert_eq!(parse(&lines(found)), Err(NoteError::TooManySignatures { found }));

    let of_length = |length: usize| format!("{}\n\n{line}", "t".repeat(length - line.len() - 2));
    assert!(parse(&of_length(NOTE_BYTES_MAX)).is_ok());
    let found = NOTE_BYTES_MAX + 1;
    assert_eq!(parse(&of_length(found)), Err(NoteError::TooLong { found }));
}

fn name() -> impl Strategy<Value = String> {
    "[^\\p{Z}\\p{C}+]{1,20}"
}

proptest! {
    #[test]
    fn notes_round_trip(
        text in "([^\\p{C}]{0,20}\n){1,4}",
        signers in prop::collection::vec((name(), any::<u32>(), prop::collection::vec(any::<u8>(), 1..80)), 1..5),
    ) {
        let signatures: Vec<_> =
            signers.iter().map(|(name, key_id, bytes)| NoteSignature { name, key_id: *key_id, bytes: bytes.clone() }).collect();
        let note = write_note(&text, &signatures);
        let parsed = Note::parse(&note).unwrap();
        prop_assert_eq!(parsed.text(), text);
        prop_assert_eq!(parsed.signatures(), signatures);
        prop_assert_eq!(parsed.to_bytes(), note);
    }

    #[test]
    fn any_bytes_are_judged_and_what_is_read_is_written_again(
        bytes: Vec<u8>, text in "(\n|\u{2014} |a |AAAAAAA=|AAAA|\u{2014} a AAAAAAA=\n){0,8}",
    ) {
        for note in [bytes.as_slice(), text.as_bytes()] {
            if let Ok(parsed) = Note::parse(note) {
                prop_assert_eq!(parsed.to_bytes(), note);
            }
        }
    }
}
