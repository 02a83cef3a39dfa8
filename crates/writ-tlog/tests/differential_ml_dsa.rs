//! ML-DSA-44 against RustCrypto's ml-dsa, and the cosignature of a checkpoint made and checked with it.
#![expect(clippy::unwrap_used, reason = "tests may panic: that is how they fail")]

use ml_dsa::{MlDsa44, Signature, SigningKey as TheirKey};
use writ_tlog::{
    Algorithm, Checkpoint, KeyName, Note, NoteSigner, NoteVerifier, Origin, SignatureInvalid, SigningKey, TreeSize,
    VerifyingKey, leaf_hash, sign_checkpoint,
};

const LOG: &str = "log.example/writ";

fn seeds() -> impl Iterator<Item = [u8; 32]> {
    (0..8u8).map(|number| std::array::from_fn(|place| number.wrapping_mul(31) ^ u8::try_from(place).unwrap()))
}

fn their_key(seed: [u8; 32]) -> TheirKey<MlDsa44> {
    TheirKey::from_seed(&seed.into())
}

fn they_verify(key: &TheirKey<MlDsa44>, message: &[u8], signature: &[u8]) -> bool {
    let signature = Signature::<MlDsa44>::try_from(signature);
    signature.is_ok_and(|signature| key.expanded_key().verifying_key().verify_with_context(message, &[], &signature))
}

#[test]
fn a_seed_makes_the_same_key() {
    for seed in seeds() {
        let ours = SigningKey::from_seed(Algorithm::MlDsa44, &seed).verifying_key();
        assert_eq!(ours.as_bytes(), their_key(seed).expanded_key().verifying_key().encode().as_slice());
    }
}

#[test]
fn we_verify_what_they_sign_with_an_empty_context_only() {
    for (seed, message) in seeds().zip([b"".as_slice(), b"message", &[7; 5000]].into_iter().cycle()) {
        let theirs = their_key(seed);
        let key = VerifyingKey::ml_dsa_44(&theirs.expanded_key().verifying_key().encode()).unwrap();
        let signature = theirs.expanded_key().sign_deterministic(message, &[]).unwrap().encode();
        assert_eq!(key.verify(message, &signature), Ok(()));
        let in_context = theirs.expanded_key().sign_deterministic(message, b"context").unwrap().encode();
        assert_eq!(key.verify(message, &in_context), Err(SignatureInvalid));
    }
}

#[test]
fn they_verify_what_we_sign() {
    for seed in seeds() {
        let signature = SigningKey::from_seed(Algorithm::MlDsa44, &seed).sign(b"message");
        assert!(they_verify(&their_key(seed), b"message", &signature));
        assert!(!they_verify(&their_key(seed), b"another", &signature));
    }
}

#[test]
fn both_refuse_a_signature_with_any_byte_changed() {
    let seed = [3; 32];
    let (ours, theirs) = (SigningKey::from_seed(Algorithm::MlDsa44, &seed), their_key(seed));
    let signature = ours.sign(b"message");
    // The last 84 bytes are the hint, whose form has rules of its own.
    for at in (0..signature.len()).step_by(61).chain(signature.len() - 84..signature.len()) {
        let mut changed = signature.clone();
        changed[at] ^= 1;
        assert_eq!(ours.verifying_key().verify(b"message", &changed), Err(SignatureInvalid), "byte {at}");
        assert!(!they_verify(&theirs, b"message", &changed), "byte {at}");
    }
}

/// The message of tlog-cosignature, written down once more from its specification.
fn cosigned(name: &str, checkpoint: &Checkpoint) -> Vec<u8> {
    let mut message = b"subtree/v1\n\0".to_vec();
    message.push(u8::try_from(name.len()).unwrap());
    message.extend_from_slice(name.as_bytes());
    message.extend_from_slice(&0u64.to_be_bytes());
    message.push(u8::try_from(checkpoint.origin.as_str().len()).unwrap());
    message.extend_from_slice(checkpoint.origin.as_str().as_bytes());
    message.extend_from_slice(&0u64.to_be_bytes());
    message.extend_from_slice(&checkpoint.size.get().to_be_bytes());
    message.extend_from_slice(checkpoint.root.as_bytes());
    message
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: Origin::new(LOG).unwrap(), size: TreeSize::new(70_000), root: leaf_hash(b"root") }
}

#[test]
fn they_verify_the_cosignature_in_our_note() {
    let signer = |algorithm, seed| NoteSigner::new(KeyName::new(LOG).unwrap(), SigningKey::from_seed(algorithm, &seed));
    let note =
        sign_checkpoint(&checkpoint(), &[signer(Algorithm::Ed25519, [1; 32]), signer(Algorithm::MlDsa44, [2; 32])]);
    let note = Note::parse(&note).unwrap();
    let (time, signature) = note.signatures()[1].bytes.split_at(8);
    assert_eq!(time, [0; 8]);
    assert!(they_verify(&their_key([2; 32]), &cosigned(LOG, &checkpoint()), signature));
}

#[test]
fn we_open_a_note_with_their_cosignature() {
    let name = || KeyName::new(LOG).unwrap();
    let ed25519 = NoteSigner::new(name(), SigningKey::from_seed(Algorithm::Ed25519, &[1; 32]));
    let theirs = their_key([2; 32]);
    let public = VerifyingKey::ml_dsa_44(&theirs.expanded_key().verifying_key().encode()).unwrap();
    let ml_dsa = NoteVerifier::new(name(), public);
    let signature = theirs.expanded_key().sign_deterministic(&cosigned(LOG, &checkpoint()), &[]).unwrap().encode();
    let line = [ml_dsa.key_id().to_be_bytes().as_slice(), &[0; 8], &signature].concat();
    let mut note = sign_checkpoint(&checkpoint(), std::slice::from_ref(&ed25519));
    note.extend_from_slice(format!("\u{2014} {LOG} {}\n", base64(&line)).as_bytes());
    let pinned = writ_tlog::PinnedKeys::new(checkpoint().origin, vec![ed25519.verifier().clone(), ml_dsa]).unwrap();
    assert_eq!(pinned.open(&note).unwrap().checkpoint(), &checkpoint());
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
