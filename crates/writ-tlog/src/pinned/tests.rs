use super::*;
use crate::note::{NOTE_BYTES_MAX, NoteError, write_note};
use crate::{NoteSigner, SigningKey, TreeSize, leaf_hash, sign_checkpoint};
use proptest::prelude::*;
use std::sync::LazyLock;

const LOG: &str = "log.example/writ";

fn origin(name: &str) -> Origin {
    Origin::new(name).unwrap()
}

fn signer(name: &str, algorithm: Algorithm, seed: u8) -> NoteSigner {
    NoteSigner::new(KeyName::new(name).unwrap(), SigningKey::from_seed(algorithm, &[seed; 32]))
}

/// The two keys of the log, Ed25519 first.
fn signers() -> [NoteSigner; 2] {
    [signer(LOG, Algorithm::Ed25519, 1), signer(LOG, Algorithm::MlDsa44, 2)]
}

fn verifiers(signers: &[NoteSigner]) -> Vec<NoteVerifier> {
    signers.iter().map(|signer| signer.verifier().clone()).collect()
}

fn pinned() -> PinnedKeys {
    PinnedKeys::new(origin(LOG), verifiers(&signers())).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: origin(LOG), size: TreeSize::new(42), root: leaf_hash(b"root") }
}

static NOTE: LazyLock<Vec<u8>> = LazyLock::new(|| sign_checkpoint(&checkpoint(), &signers()));

/// The note with its signature lines done over.
fn with_lines<'a>(change: impl FnOnce(&mut Vec<NoteSignature<'a>>)) -> Vec<u8> {
    let note = Note::parse(&NOTE).unwrap();
    let mut lines = note.signatures().to_vec();
    change(&mut lines);
    write_note(note.text(), &lines)
}

fn duplicate(key: &NoteSigner, found: usize) -> CheckpointError {
    let key = key.verifier();
    CheckpointError::DuplicateSignature { algorithm: key.key().algorithm(), key_id: key.key_id(), found }
}

fn missing(key: &NoteSigner) -> CheckpointError {
    let key = key.verifier();
    CheckpointError::MissingSignature { algorithm: key.key().algorithm(), key_id: key.key_id() }
}

fn invalid(key: &NoteSigner) -> CheckpointError {
    let key = key.verifier();
    CheckpointError::SignatureInvalid { algorithm: key.key().algorithm(), key_id: key.key_id() }
}

#[test]
fn a_checkpoint_signed_by_every_pinned_key_opens() {
    let opened = pinned().open(&NOTE).unwrap();
    assert_eq!(opened.checkpoint(), &checkpoint());
    assert_eq!(opened.note_bytes(), *NOTE);
    assert!(opened.is_same_note(&NOTE));
    assert!(!opened.is_same_note(&NOTE[1..]));
}

#[test]
fn the_order_of_lines_does_not_matter() {
    assert!(pinned().open(&with_lines(|lines| lines.reverse())).is_ok());
}

#[test]
fn more_than_two_keys_can_be_pinned_and_all_must_sign() {
    let [ed25519, ml_dsa] = signers();
    let all = [ed25519, ml_dsa, signer(LOG, Algorithm::Ed25519, 3)];
    let pinned = PinnedKeys::new(origin(LOG), verifiers(&all)).unwrap();
    assert!(pinned.open(&sign_checkpoint(&checkpoint(), &all)).is_ok());
    assert_eq!(pinned.open(&NOTE), Err(missing(&all[2])));
}

#[test]
fn lines_of_unknown_keys_are_ignored() {
    let line = |name, key_id| NoteSignature { name, key_id, bytes: vec![9] };
    let id = signers()[0].verifier().key_id();
    let note = with_lines(|lines| {
        lines.insert(0, line("witness.example", 7));
        lines.extend([line("witness.example", 7), line(LOG, id ^ 1), line("other.example", id)]);
    });
    assert!(pinned().open(&note).is_ok());
}

#[test]
fn a_pinned_key_without_a_line_is_named() {
    for (place, key) in signers().iter().enumerate() {
        assert_eq!(pinned().open(&with_lines(|lines| _ = lines.remove(place))), Err(missing(key)));
        assert_eq!(pinned().open(&with_lines(|lines| lines[place].name = "other.example")), Err(missing(key)));
        assert_eq!(pinned().open(&with_lines(|lines| lines[place].key_id ^= 1)), Err(missing(key)));
    }
}

#[test]
fn a_pinned_key_with_two_lines_is_named_whether_they_verify_or_not() {
    for (place, key) in signers().iter().enumerate() {
        let same = with_lines(|lines| lines.push(lines[place].clone()));
        assert_eq!(pinned().open(&same), Err(duplicate(key, 2)));
        let other = with_lines(|lines| lines.insert(0, NoteSignature { bytes: vec![1], ..lines[place].clone() }));
        assert_eq!(pinned().open(&other), Err(duplicate(key, 2)));
    }
}

#[test]
fn a_line_that_does_not_verify_is_named() {
    for (place, key) in signers().iter().enumerate() {
        let length = Note::parse(&NOTE).unwrap().signatures()[place].bytes.len();
        for at in [0, 8, length - 1] {
            assert_eq!(pinned().open(&with_lines(|lines| lines[place].bytes[at] ^= 1)), Err(invalid(key)), "byte {at}");
        }
        let shorter = with_lines(|lines| lines[place].bytes.truncate(length - 1));
        assert_eq!(pinned().open(&shorter), Err(invalid(key)));
        assert_eq!(pinned().open(&with_lines(|lines| lines[place].bytes.push(0))), Err(invalid(key)));
        assert_eq!(pinned().open(&with_lines(|lines| lines[place].bytes = vec![0])), Err(invalid(key)));
    }
}

#[test]
fn signatures_of_another_checkpoint_do_not_verify() {
    let other = Checkpoint { size: TreeSize::new(43), ..checkpoint() };
    let root = Checkpoint { root: leaf_hash(b"other"), ..checkpoint() };
    for other in [other, root] {
        for (place, key) in signers().iter().enumerate() {
            let theirs = sign_checkpoint(&other, &signers());
            let theirs = Note::parse(&theirs).unwrap();
            let note = with_lines(|lines| lines[place].bytes = theirs.signatures()[place].bytes.clone());
            assert_eq!(pinned().open(&note), Err(invalid(key)));
        }
    }
}

/// A time is signed when there is one; we sign none, and so a line with one is not a line of ours.
#[test]
fn a_line_with_a_time_does_not_verify() {
    let [_, ml_dsa] = signers();
    let key = SigningKey::from_seed(Algorithm::MlDsa44, &[2; 32]);
    let mut message = cosignature::message(ml_dsa.verifier().name(), &checkpoint());
    let time = 12 + 1 + LOG.len() + 7;
    assert!(key.verifying_key().verify(&message, &Note::parse(&NOTE).unwrap().signatures()[1].bytes[8..]).is_ok());
    message[time] = 1;
    let timed = [[0, 0, 0, 0, 0, 0, 0, 1].as_slice(), &key.sign(&message)].concat();
    assert_eq!(pinned().open(&with_lines(|lines| lines[1].bytes = timed)), Err(invalid(&ml_dsa)));
}

/// Each algorithm signs its own message: the note's text under ML-DSA-44 is no signature, nor the other way round.
#[test]
fn the_message_is_that_of_the_algorithm() {
    let [ed25519, ml_dsa] = signers();
    let text = checkpoint().body();
    let over_text = SigningKey::from_seed(Algorithm::MlDsa44, &[2; 32]).sign(text.as_bytes());
    let note = with_lines(|lines| lines[1].bytes = cosignature::timestamped(&over_text));
    assert_eq!(pinned().open(&note), Err(invalid(&ml_dsa)));
    let message = cosignature::message(ed25519.verifier().name(), &checkpoint());
    let over_message = SigningKey::from_seed(Algorithm::Ed25519, &[1; 32]).sign(&message);
    assert_eq!(pinned().open(&with_lines(|lines| lines[0].bytes = over_message)), Err(invalid(&ed25519)));
}

#[test]
fn the_cosigned_message_is_laid_out_as_specified() {
    let message = cosignature::message(&KeyName::new("ab").unwrap(), &checkpoint());
    let (name, root) = (LOG.as_bytes(), checkpoint().root);
    let expected = [
        b"subtree/v1\n\0\x02ab".as_slice(),
        &[0; 8],
        &[u8::try_from(name.len()).unwrap()],
        name,
        &[0; 8],
        &[0, 0, 0, 0, 0, 0, 0, 42],
        root.as_bytes(),
    ];
    assert_eq!(message, expected.concat());
}

#[test]
fn the_checkpoint_of_another_log_is_refused() {
    let signed = sign_checkpoint(&Checkpoint { origin: origin("other.example"), ..checkpoint() }, &signers());
    let wrong = CheckpointError::WrongOrigin { expected: origin(LOG), found: origin("other.example") };
    assert_eq!(pinned().open(&signed), Err(wrong));
}

#[test]
fn extension_lines_are_refused_even_when_signed() {
    let text = format!("{}extension\n", checkpoint().body());
    let [ed25519, ml_dsa] = signers();
    let key = SigningKey::from_seed(Algorithm::Ed25519, &[1; 32]);
    let line = |signer: &NoteSigner, bytes| NoteSignature { name: LOG, key_id: signer.verifier().key_id(), bytes };
    let ml_dsa_line = Note::parse(&NOTE).unwrap().signatures()[1].bytes.clone();
    let note = write_note(&text, &[line(&ed25519, key.sign(text.as_bytes())), line(&ml_dsa, ml_dsa_line)]);
    assert_eq!(pinned().open(&note), Err(CheckpointError::ExtensionLines { found: 1 }));
}

#[test]
fn form_is_judged_before_origin_and_origin_before_signatures() {
    let pinned = pinned();
    assert_eq!(pinned.open(b"text\n"), Err(CheckpointError::Note(NoteError::NoSignatures)));
    let found = NOTE_BYTES_MAX + 1;
    assert_eq!(pinned.open(&vec![b'a'; found]), Err(CheckpointError::Note(NoteError::TooLong { found })));
    let line = "\u{2014} a AAAAAAA=\n";
    assert_eq!(pinned.open(format!("other.example\n01\nAAAA\n\n{line}").as_bytes()), Err(CheckpointError::Size));
    let root = checkpoint().root;
    let refused = pinned.open(format!("other.example\n1\n{root}\n\n{line}").as_bytes());
    assert!(matches!(refused, Err(CheckpointError::WrongOrigin { .. })));
    let refused = pinned.open(format!("{LOG}\n1\n{root}\n\n{line}").as_bytes());
    assert_eq!(refused, Err(missing(&signers()[0])));
}

#[test]
fn keys_that_cannot_be_pinned_together_are_refused() {
    let [ed25519, ml_dsa] = verifiers(&signers()).try_into().unwrap();
    let stranger = signer("other.example", Algorithm::Ed25519, 1).verifier().clone();
    let cases = [
        (vec![], PinError::Empty { origin: origin(LOG) }),
        (vec![ed25519.clone()], PinError::MissingAlgorithm { algorithm: Algorithm::MlDsa44 }),
        (vec![ml_dsa.clone()], PinError::MissingAlgorithm { algorithm: Algorithm::Ed25519 }),
        (vec![ed25519.clone(), ml_dsa.clone(), ed25519.clone()], PinError::Duplicate { key_id: ed25519.key_id() }),
        (
            vec![ed25519.clone(), ml_dsa.clone(), stranger.clone()],
            PinError::WrongName { expected: ed25519.name().clone(), found: stranger.name().clone() },
        ),
    ];
    for (keys, error) in cases {
        assert_eq!(PinnedKeys::new(origin(LOG), keys), Err(error));
    }
    let keys = vec![ed25519, ml_dsa];
    let pinned = PinnedKeys::new(origin(LOG), keys.clone()).unwrap();
    assert_eq!((pinned.origin(), pinned.keys()), (&origin(LOG), keys.as_slice()));
}

proptest! {
    #[test]
    fn any_size_and_root_signed_opens(size: u64, seed: u64) {
        let checkpoint = Checkpoint { size: TreeSize::new(size), root: leaf_hash(&seed.to_be_bytes()), ..checkpoint() };
        let opened = pinned().open(&sign_checkpoint(&checkpoint, &signers())).unwrap();
        prop_assert_eq!(opened.checkpoint(), &checkpoint);
    }

    #[test]
    fn a_note_with_any_bit_flipped_is_refused(place: prop::sample::Index, bit in 0u8..8) {
        let mut note = NOTE.clone();
        note[place.index(NOTE.len())] ^= 1 << bit;
        prop_assert!(pinned().open(&note).is_err());
    }

    #[test]
    fn any_bytes_are_judged(note: Vec<u8>) {
        prop_assert!(pinned().open(&note).is_err());
    }
}
