use super::*;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as BASE, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};
use proptest::prelude::*;

/// The group order, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn secret() -> Scalar {
    Scalar::from(0x1234_5678_9abc_def1_u64).invert()
}

fn nonce() -> Scalar {
    Scalar::from(0xfedc_ba98_7654_3211_u64).invert()
}

fn encoded(point: EdwardsPoint) -> [u8; 32] {
    point.compress().to_bytes()
}

fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &[r, a, message].concat());
    Scalar::from_bytes_mod_order_wide(digest.as_ref().try_into().unwrap())
}

/// `R ‖ S` with `S = r + k·a`, whatever `R` and `A` are said to be.
fn made(r_bytes: [u8; 32], r: Scalar, a_bytes: [u8; 32], a: Scalar, message: &[u8]) -> [u8; 64] {
    let s = r + challenge(&r_bytes, &a_bytes, message) * a;
    joined(r_bytes, s.to_bytes())
}

fn joined(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    [r, s].concat().try_into().unwrap()
}

/// A message for which the challenge is that number modulo eight.
fn message_with(r: &[u8; 32], a: &[u8; 32], remainder: u8) -> Vec<u8> {
    let mut messages = (0u32..).map(|number| number.to_be_bytes().to_vec());
    messages.find(|message| challenge(r, a, message).to_bytes()[0] % 8 == remainder).unwrap()
}

/// What the rule with the cofactor would say: the rule that is not ours.
fn cofactored(r: &[u8; 32], a: EdwardsPoint, message: &[u8], signature: &[u8; 64]) -> bool {
    let s = Scalar::from_canonical_bytes(signature[32..].try_into().unwrap()).unwrap();
    let r_point = curve25519_dalek::edwards::CompressedEdwardsY(*r).decompress().unwrap();
    (BASE * s - a * challenge(r, &encoded(a), message) - r_point).mul_by_cofactor() == EdwardsPoint::default()
}

fn verify(key: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), SignatureInvalid> {
    VerifyingKey::ed25519(key).unwrap().verify(message, signature)
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_first_case_of_rfc_8032_is_signed_and_verified() {
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let signature = hex(concat!(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555",
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ));
    let key = SigningKey::from_seed(Algorithm::Ed25519, &seed.try_into().unwrap());
    assert_eq!(key.verifying_key().as_bytes(), public);
    assert_eq!(key.sign(b""), signature);
    assert_eq!(key.verifying_key().verify(b"", &signature), Ok(()));
}

#[test]
fn a_signature_fits_its_key_and_message_only() {
    for algorithm in [Algorithm::Ed25519, Algorithm::MlDsa44] {
        let (key, other) = (SigningKey::from_seed(algorithm, &[1; 32]), SigningKey::from_seed(algorithm, &[2; 32]));
        let signature = key.sign(b"message");
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.verifying_key().verify(b"message", &signature), Ok(()));
        assert_eq!(key.verifying_key().verify(b"another", &signature), Err(SignatureInvalid));
        assert_eq!(other.verifying_key().verify(b"message", &signature), Err(SignatureInvalid));
        for bytes in [&signature[1..], &signature[..signature.len() - 1], &[signature.as_slice(), &[0]].concat(), &[]] {
            assert_eq!(key.verifying_key().verify(b"message", bytes), Err(SignatureInvalid), "{} bytes", bytes.len());
        }
    }
}

#[test]
fn a_seed_makes_one_key() {
    for algorithm in [Algorithm::Ed25519, Algorithm::MlDsa44] {
        let key = |seed| SigningKey::from_seed(algorithm, &[seed; 32]).verifying_key();
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
    }
}

#[test]
fn ml_dsa_signs_differently_each_time_and_ed25519_does_not() {
    let ml_dsa = SigningKey::from_seed(Algorithm::MlDsa44, &[1; 32]);
    assert_ne!(ml_dsa.sign(b"message"), ml_dsa.sign(b"message"));
    assert_eq!(ml_dsa.sign(b"message").len(), ML_DSA_44_SIGNATURE_BYTES);
    let ed25519 = SigningKey::from_seed(Algorithm::Ed25519, &[1; 32]);
    assert_eq!(ed25519.sign(b"message"), ed25519.sign(b"message"));
}

#[test]
fn debug_shows_no_secret() {
    let seed = [0xab; 32];
    for algorithm in [Algorithm::Ed25519, Algorithm::MlDsa44] {
        let shown = format!("{:?}", SigningKey::from_seed(algorithm, &seed));
        assert!(!shown.contains("abab") && !shown.contains("171, 171"), "{shown}");
        assert!(shown.starts_with(&format!("SigningKey of VerifyingKey({algorithm}, ")), "{shown}");
    }
}

#[test]
fn a_refused_key_is_told_by_the_name_of_its_algorithm() {
    let told =
        [VerifyingKey::ed25519(b""), VerifyingKey::ml_dsa_44(b"")].map(|refused| refused.unwrap_err().to_string());
    assert_eq!(told[0], "expected an Ed25519 public key of 32 bytes, found 0");
    assert_eq!(told[1], "expected an ML-DSA-44 public key of 1312 bytes, found 0");
}

#[test]
fn a_key_of_another_length_is_refused() {
    for found in [0, 31, 33, 44, 1312] {
        let refused = VerifyingKey::ed25519(&vec![9; found]).unwrap_err();
        assert_eq!(refused, KeyError::Length { algorithm: Algorithm::Ed25519, expected: 32, found });
    }
    for found in [0, 32, 1311, 1313] {
        let refused = VerifyingKey::ml_dsa_44(&vec![9; found]).unwrap_err();
        assert_eq!(refused, KeyError::Length { algorithm: Algorithm::MlDsa44, expected: 1312, found });
    }
}

/// The library would take it; a second form of a key has no place in a format where keys are compared as bytes.
#[test]
fn the_der_form_of_a_key_is_refused() {
    let raw = SigningKey::from_seed(Algorithm::Ed25519, &[1; 32]).verifying_key();
    let der = [&hex("302a300506032b6570032100"), raw.as_bytes()].concat();
    assert!(ParsedPublicKey::new(&ED25519, &der).is_ok());
    assert!(matches!(VerifyingKey::ed25519(&der), Err(KeyError::Length { found: 44, .. })));
}

#[test]
fn every_point_of_small_order_is_refused_as_a_key() {
    for point in EIGHT_TORSION {
        assert_eq!(VerifyingKey::ed25519(&encoded(point)).unwrap_err(), KeyError::SmallOrder);
    }
}

#[test]
fn small_order_is_refused_with_either_sign() {
    for y in SMALL_ORDER_Y {
        for sign in [0, SIGN_BIT] {
            let mut bytes = y;
            bytes[31] |= sign;
            assert_eq!(VerifyingKey::ed25519(&bytes).unwrap_err(), KeyError::SmallOrder, "{bytes:02x?}");
        }
    }
}

#[test]
fn every_y_that_is_not_reduced_is_refused() {
    for lowest in 0xed..=0xff {
        for highest in [0x7f, 0xff] {
            let bytes = y_of(lowest, 0xff, highest);
            assert_eq!(VerifyingKey::ed25519(&bytes).unwrap_err(), KeyError::NotCanonical, "{bytes:02x?}");
        }
    }
    // The largest y below p that is not p − 1 is fine.
    assert!(VerifyingKey::ed25519(&y_of(0xeb, 0xff, 0x7f)).is_ok());
}

#[test]
fn nothing_verifies_under_what_is_no_point() {
    // y = 2 is on no point of the curve.
    let key = y_of(2, 0, 0);
    assert!(curve25519_dalek::edwards::CompressedEdwardsY(key).decompress().is_none());
    for r in [encoded(BASE * nonce()), encoded(EdwardsPoint::default())] {
        assert_eq!(verify(&key, b"message", &made(r, nonce(), key, secret(), b"message")), Err(SignatureInvalid));
        assert_eq!(verify(&key, b"message", &joined(r, [0; 32])), Err(SignatureInvalid));
    }
}

#[test]
fn a_signature_made_by_the_equation_verifies() {
    let (r, a) = (encoded(BASE * nonce()), encoded(BASE * secret()));
    assert_eq!(verify(&a, b"message", &made(r, nonce(), a, secret(), b"message")), Ok(()));
}

#[test]
fn an_s_that_is_not_below_the_order_is_refused() {
    let key = SigningKey::from_seed(Algorithm::Ed25519, &[1; 32]);
    let mut signature = key.sign(b"message");
    for multiple in 1..=8 {
        let mut carry = 0;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(key.verifying_key().verify(b"message", &signature), Err(SignatureInvalid), "S + {multiple}L");
    }
}

#[test]
fn an_r_is_compared_as_bytes() {
    let a = encoded(BASE * secret());
    // The neutral element in its form, and in the two that decode to it in lenient implementations.
    let canonical = y_of(1, 0, 0);
    let (unreduced, negative_zero) = (y_of(0xee, 0xff, 0x7f), y_of(1, 0, SIGN_BIT));
    assert_eq!(verify(&a, b"message", &made(canonical, Scalar::ZERO, a, secret(), b"message")), Ok(()));
    for r in [unreduced, negative_zero, y_of(0xee, 0xff, 0xff)] {
        let refused = verify(&a, b"message", &made(r, Scalar::ZERO, a, secret(), b"message"));
        assert_eq!(refused, Err(SignatureInvalid), "{r:02x?}");
    }
}

/// A key `aB + T` has an honest equation but for `kT`: without the cofactor it holds only when `kT` is neutral.
#[test]
fn a_key_of_mixed_order_verifies_without_the_cofactor_only() {
    let point = BASE * secret() + EIGHT_TORSION[1];
    let (r, a) = (encoded(BASE * nonce()), encoded(point));
    for remainder in 0..8 {
        let message = message_with(&r, &a, remainder);
        let signature = made(r, nonce(), a, secret(), &message);
        let expected = if remainder == 0 { Ok(()) } else { Err(SignatureInvalid) };
        assert_eq!(verify(&a, &message, &signature), expected, "k = {remainder} mod 8");
        assert!(cofactored(&r, point, &message, &signature), "k = {remainder} mod 8");
    }
}

#[test]
fn an_r_of_mixed_order_is_refused() {
    let point = BASE * secret();
    let (r, a) = (encoded(BASE * nonce() + EIGHT_TORSION[1]), encoded(point));
    let signature = made(r, nonce(), a, secret(), b"message");
    assert_eq!(verify(&a, b"message", &signature), Err(SignatureInvalid));
    assert!(cofactored(&r, point, b"message", &signature));
}

/// With torsion in both, the equation without the cofactor holds when `R`'s is that of `−kA`: then it is a signature.
#[test]
fn torsion_that_cancels_out_is_accepted() {
    let point = BASE * secret() + EIGHT_TORSION[1];
    let (r, a) = (encoded(BASE * nonce() + EIGHT_TORSION[1]), encoded(point));
    for remainder in 0..8 {
        let message = message_with(&r, &a, remainder);
        let expected = if remainder == 7 { Ok(()) } else { Err(SignatureInvalid) };
        assert_eq!(verify(&a, &message, &made(r, nonce(), a, secret(), &message)), expected, "k = {remainder} mod 8");
    }
}

/// Why keys of small order are refused where they are read: the library alone lets one signature fit every message.
#[test]
fn the_library_alone_would_take_a_key_of_small_order() {
    let neutral = encoded(EdwardsPoint::default());
    let signature = joined(encoded(BASE * nonce()), nonce().to_bytes());
    let key = ParsedPublicKey::new(&ED25519, neutral).unwrap();
    for message in [b"one".as_slice(), b"two"] {
        assert!(key.verify_sig(message, &signature).is_ok());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_judged_as_key_and_signature(bytes: [u8; 32], message: Vec<u8>, r: [u8; 32], s: [u8; 32]) {
        if let Ok(key) = VerifyingKey::ed25519(&bytes) {
            prop_assert_eq!(key.verify(&message, &joined(r, s)), Err(SignatureInvalid));
        }
    }
}
