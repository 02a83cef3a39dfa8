use super::*;
use crate::naive::LEAVES;
use proptest::prelude::*;

const NOTE: &str = "log.example\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} a AAAAAAA=\n";
const HASH: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

fn proof(extra: Option<&[u8]>, index: u64, hashes: usize) -> TlogProof {
    TlogProof {
        extra: extra.map(<[u8]>::to_vec),
        index: LeafIndex::new(index),
        proof: InclusionProof::new(LEAVES[..hashes].to_vec()),
        checkpoint: NOTE.as_bytes().to_vec(),
    }
}

#[test]
fn a_file_is_laid_out_as_specified() {
    let first = LEAVES[0];
    let expected = format!("c2sp.org/tlog-proof@v1\nextra YWdl\nindex 73894\n{first}\n\n{NOTE}");
    assert_eq!(proof(Some(b"age"), 73_894, 1).encode(), expected.as_bytes());
    assert_eq!(proof(None, 0, 0).encode(), format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{NOTE}").as_bytes());
}

#[test]
fn empty_extra_data_has_no_line() {
    assert_eq!(proof(Some(b""), 3, 2).encode(), proof(None, 3, 2).encode());
}

#[test]
fn another_form_of_a_file_is_refused() {
    let cases = [
        ("".to_owned(), TlogProofError::NoCheckpoint),
        ("c2sp.org/tlog-proof@v1\nindex 0\n".to_owned(), TlogProofError::NoCheckpoint),
        (format!("c2sp.org/tlog-proof@v2\nindex 0\n\n{NOTE}"), TlogProofError::FirstLine),
        (format!(" c2sp.org/tlog-proof@v1\nindex 0\n\n{NOTE}"), TlogProofError::FirstLine),
        (format!("\nc2sp.org/tlog-proof@v1\nindex 0\n\n{NOTE}"), TlogProofError::FirstLine),
        (format!("c2sp.org/tlog-proof@v1\r\nindex 0\n\n{NOTE}"), TlogProofError::FirstLine),
        (format!("c2sp.org/tlog-proof@v1\n\nindex 0\n\n{NOTE}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\nextra \nindex 0\n\n{NOTE}"), TlogProofError::Extra),
        (format!("c2sp.org/tlog-proof@v1\nextra YWdl=\nindex 0\n\n{NOTE}"), TlogProofError::Extra),
        (format!("c2sp.org/tlog-proof@v1\nextra YQ\nindex 0\n\n{NOTE}"), TlogProofError::Extra),
        (format!("c2sp.org/tlog-proof@v1\nextra YWdl\nextra YWdl\nindex 0\n\n{NOTE}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\nextra YWdl\n\n{NOTE}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\n{HASH}\n\n{NOTE}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\nindex 00\n\n{NOTE}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\nindex  0\n\n{NOTE}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\nindex 18446744073709551616\n\n{NOTE}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\nindex 0\n{HASH}\nAAAA\n\n{NOTE}"), TlogProofError::Hash { line: 2 }),
        (format!("c2sp.org/tlog-proof@v1\nindex 0\n{HASH} \n\n{NOTE}"), TlogProofError::Hash { line: 1 }),
        ("c2sp.org/tlog-proof@v1\nindex 0\n\n".to_owned(), TlogProofError::Checkpoint(NoteError::NoSignatures)),
        (
            format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{NOTE}junk\n"),
            TlogProofError::Checkpoint(NoteError::LineForm { line: 2 }),
        ),
    ];
    for (file, error) in cases {
        assert_eq!(TlogProof::parse(file.as_bytes()), Err(error), "{file:?}");
    }
    let not_utf8 = [b"c2sp.org/tlog-proof@v1\nindex \xff\n\n", NOTE.as_bytes()].concat();
    assert_eq!(TlogProof::parse(&not_utf8), Err(TlogProofError::NotUtf8 { valid_up_to: 29 }));
}

/// A note may well have such a text; that it is no checkpoint is said when it is opened.
#[test]
fn a_second_blank_line_belongs_to_the_note() {
    let file = format!("c2sp.org/tlog-proof@v1\nindex 0\n\n\n{NOTE}");
    assert_eq!(TlogProof::parse(file.as_bytes()).unwrap().checkpoint, format!("\n{NOTE}").as_bytes());
}

#[test]
fn a_file_is_limited_in_hashes_extra_data_and_length() {
    let read = |proof: &TlogProof| TlogProof::parse(&proof.encode());
    let most = proof(Some(&vec![7; EXTRA_BYTES_MAX]), u64::MAX, PROOF_HASHES_MAX);
    assert_eq!(read(&most), Ok(most));
    let found = PROOF_HASHES_MAX + 1;
    assert_eq!(read(&proof(None, 0, found)), Err(TlogProofError::TooManyHashes { found }));
    let found = EXTRA_BYTES_MAX + 1;
    assert_eq!(read(&proof(Some(&vec![7; found]), 0, 0)), Err(TlogProofError::ExtraTooLong { found }));
    assert_eq!(TlogProof::parse(&vec![b'a'; TLOG_PROOF_BYTES_MAX]), Err(TlogProofError::NoCheckpoint));
    let found = TLOG_PROOF_BYTES_MAX + 1;
    assert_eq!(TlogProof::parse(&vec![b'a'; found]), Err(TlogProofError::TooLong { found }));
}

#[test]
fn the_longest_parts_fit_into_the_longest_file() {
    let line = "\u{2014} a AAAAAAA=\n";
    let text = "t".repeat(NOTE_BYTES_MAX - line.len() - 2);
    let longest = TlogProof {
        checkpoint: format!("{text}\n\n{line}").into_bytes(),
        ..proof(Some(&vec![7; EXTRA_BYTES_MAX]), u64::MAX, PROOF_HASHES_MAX)
    };
    assert_eq!((longest.checkpoint.len(), TLOG_PROOF_BYTES_MAX), (NOTE_BYTES_MAX, 353_624));
    assert_eq!(TlogProof::parse(&longest.encode()), Ok(longest));
}

proptest! {
    #[test]
    fn files_round_trip(extra in prop::option::of(prop::collection::vec(any::<u8>(), 1..90)), index: u64, hashes in 0..=PROOF_HASHES_MAX) {
        let proof = proof(extra.as_deref(), index, hashes);
        prop_assert_eq!(TlogProof::parse(&proof.encode()), Ok(proof));
    }

    #[test]
    fn any_bytes_are_judged_and_what_is_read_is_written_again(bytes: Vec<u8>, middle in "(\n|extra |index |YWdl|0|1){0,6}", tail: bool) {
        let note = if tail { NOTE } else { "" };
        let composed = format!("{FIRST_LINE}\n{middle}\n\n{note}");
        for file in [bytes.as_slice(), composed.as_bytes()] {
            if let Ok(proof) = TlogProof::parse(file) {
                prop_assert_eq!(proof.encode(), file);
            }
        }
    }
}
