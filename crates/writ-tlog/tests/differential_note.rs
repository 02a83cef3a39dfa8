//! Notes, keys and checkpoints against Cloudflare's signed_note and tlog_tiles.
#![expect(clippy::unwrap_used, reason = "tests may panic: that is how they fail")]

use signed_note::{NoteError, Signer, StandardSigner, StandardVerifier, VerifierList};
use writ_tlog::{
    Algorithm, Checkpoint, KeyName, Note, NoteSigner, NoteVerifier, Origin, SigningKey, TreeSize, leaf_hash,
    sign_checkpoint,
};

const LOG: &str = "log.example/writ";
const ED25519_SEED: [u8; 32] = [1; 32];

fn signer(algorithm: Algorithm, seed: [u8; 32]) -> NoteSigner {
    NoteSigner::new(KeyName::new(LOG).unwrap(), SigningKey::from_seed(algorithm, &seed))
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: Origin::new(LOG).unwrap(), size: TreeSize::new(20_852_163), root: leaf_hash(b"root") }
}

fn signed() -> Vec<u8> {
    sign_checkpoint(&checkpoint(), &[signer(Algorithm::Ed25519, ED25519_SEED), signer(Algorithm::MlDsa44, [2; 32])])
}

/// Their form of our Ed25519 key, private part included.
fn their_signer() -> StandardSigner {
    let key_id = signer(Algorithm::Ed25519, ED25519_SEED).verifier().key_id();
    let seed = [[1].as_slice(), &ED25519_SEED].concat();
    StandardSigner::new(&format!("PRIVATE+KEY+{LOG}+{key_id:08x}+{}", base64(&seed))).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn their_verifiers(vkey: &str) -> VerifierList {
    VerifierList::new(vec![Box::new(StandardVerifier::new(vkey).unwrap())])
}

#[test]
fn they_open_what_we_sign() {
    let (note, key) = (signed(), signer(Algorithm::Ed25519, ED25519_SEED));
    let theirs = signed_note::Note::from_bytes(&note).unwrap();
    assert_eq!(theirs.text(), checkpoint().body().as_bytes());
    assert_eq!(theirs.to_bytes(), note);
    let (verified, unknown) = theirs.verify(&their_verifiers(&key.verifier().to_vkey())).unwrap();
    assert_eq!(
        verified.iter().map(|line| (line.name(), line.id())).collect::<Vec<_>>(),
        [(LOG, key.verifier().key_id())]
    );
    assert_eq!(unknown.iter().map(|line| line.signature().len()).collect::<Vec<_>>(), [8 + 2420]);
}

#[test]
fn they_refuse_what_we_refuse() {
    let mut note = signed();
    note[LOG.len() + 1] ^= 1;
    let vkey = signer(Algorithm::Ed25519, ED25519_SEED).verifier().to_vkey();
    let refused = signed_note::Note::from_bytes(&note).unwrap().verify(&their_verifiers(&vkey));
    assert!(matches!(refused, Err(NoteError::InvalidSignature { .. })));
}

#[test]
fn we_read_and_verify_what_they_sign() {
    for text in ["This is an example message.\n", "one\n\ntwo\n", &checkpoint().body()] {
        let mut theirs = signed_note::Note::new(text.as_bytes(), &[]).unwrap();
        theirs.add_sigs(&[&their_signer()]).unwrap();
        let bytes = theirs.to_bytes();
        let ours = Note::parse(&bytes).unwrap();
        assert_eq!(ours.text(), text);
        assert_eq!(ours.to_bytes(), bytes);
        let key = signer(Algorithm::Ed25519, ED25519_SEED).verifier().clone();
        let [line] = ours.signatures() else { panic!("one signature") };
        assert_eq!((line.name, line.key_id), (LOG, key.key_id()));
        assert_eq!(key.key().verify(text.as_bytes(), &line.bytes), Ok(()));
    }
}

#[test]
fn both_make_the_same_ed25519_signature() {
    let text = checkpoint().body();
    let ours = signed();
    let ours = Note::parse(&ours).unwrap();
    assert_eq!(ours.signatures()[0].bytes, their_signer().sign(text.as_bytes()).unwrap());
}

#[test]
fn keys_have_the_same_id_and_text() {
    for seed in 0..20 {
        let ours = signer(Algorithm::Ed25519, [seed; 32]).verifier().clone();
        let material = [[1].as_slice(), ours.key().as_bytes()].concat();
        assert_eq!(signed_note::key_id(LOG, &material), ours.key_id());
        let vkey = ours.to_vkey();
        assert!(StandardVerifier::new(&vkey).is_ok());
        assert_eq!(NoteVerifier::from_vkey(&vkey), Ok(ours));
    }
}

#[test]
fn a_checkpoint_has_the_same_text() {
    let ours = checkpoint();
    let theirs = tlog_tiles::Checkpoint::from_bytes(ours.body().as_bytes()).unwrap();
    assert_eq!((theirs.origin(), theirs.size()), (LOG, ours.size.get()));
    assert_eq!(theirs.hash().0, *ours.root.as_bytes());
    assert_eq!(Checkpoint::parse(&String::from_utf8(theirs.to_bytes()).unwrap()), Ok(ours));
}

/// What they refuse as a note we refuse too; where we are stricter the case is not among these.
#[test]
fn malformed_notes_are_refused_by_both() {
    let line = "\u{2014} a AAAAAAA=\n";
    let cases = [
        ("".to_owned(), false),
        ("text\n".to_owned(), false),
        ("text\n\n".to_owned(), false),
        (format!("text\n{line}"), false),
        (format!("text\n\n{line}"), true),
        (format!("text\n\n\n{line}"), true),
        (format!("text\n\n{line}\n"), false),
        (format!("text\n\n{line}junk"), false),
        (format!("te\rxt\n\n{line}"), false),
        (format!("text\n\n{line}{line}"), true),
        (format!("text\n\n{}", line.replace('a', "a+b")), false),
        (format!("text\n\n{}", line.replace('a', "a\u{a0}b")), false),
        (format!("text\n\n{}", line.replace('=', "")), false),
        (format!("text\n\n{}", line.repeat(100)), true),
        (format!("text\n\n{}", line.repeat(101)), false),
    ];
    for (note, expected) in cases {
        assert_eq!(Note::parse(note.as_bytes()).is_ok(), expected, "ours: {note:?}");
        assert_eq!(signed_note::Note::from_bytes(note.as_bytes()).is_ok(), expected, "theirs: {note:?}");
    }
}
