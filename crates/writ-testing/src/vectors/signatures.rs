//! Keys, and signatures at the edges of the one verification rule.

use super::case::{Case, Maker, hex};
use super::mutation::flipped;
use crate::scenario::Secret;
use aws_lc_rs::digest::{SHA512, digest};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as BASE, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};
use ml_dsa::MlDsa44;
use serde_json::{Value, json};
use writ_protocol::Code::{self, Malformed, SignatureInvalid};
use writ_tlog::Algorithm;

const MESSAGE: &[u8] = b"what is signed";

/// The group order L, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(super) fn cases() -> Vec<Case> {
    [keys(), ed25519(), ed25519_keys(), ed25519_points(), ed25519_mixed_keys(), ml_dsa_44()].concat()
}

/// The y of each point of small order, and the names of the page.
fn small_order() -> Vec<(&'static str, [u8; 32])> {
    let mut found: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| unsigned(point.compress().to_bytes())).collect();
    found.sort();
    found.dedup();
    let names = ["y_0", "y_1", "order_8_a", "order_8_b", "y_minus_1"];
    let last = |y: &[u8; 32]| (y[31], y[0]);
    found.sort_by_key(last);
    names.into_iter().zip(found).collect()
}

fn unsigned(mut y: [u8; 32]) -> [u8; 32] {
    y[31] &= 0x7f;
    y
}

fn keys() -> Vec<Case> {
    let mut maker = Maker::new("ledger", "key");
    let pair = crate::scenario::SecretPair::new("vectors");
    let (ed25519, ml_dsa_44) = (pair.ed25519.public(), pair.ml_dsa_44.public());
    let fingerprint = |key: &writ_protocol::Key| json!({ "fingerprint": hex(key.fingerprint().0.as_bytes()) });
    for (name, about, key) in [
        ("key_ed25519", "An Ed25519 key.", &ed25519),
        ("key_ml_dsa_44", "An ML-DSA-44 key.", &ml_dsa_44),
        ("key_no_point", "A y that is on no point of the curve has the form of a key.", &tagged(number(2, 0))),
        ("key_largest_y", "The largest y below p - 1.", &tagged(number(0xeb, 0x7f))),
    ] {
        maker.accept(name, about, json!({ "hex": hex(key.as_bytes()) }), fingerprint(key));
    }
    let mut bad =
        |name: &str, about: &str, key: &[u8]| maker.refuse(name, about, json!({ "hex": hex(key) }), Malformed);
    for (name, y) in small_order() {
        for (suffix, sign) in [("", 0), ("_signed", 0x80)] {
            let mut key = [&[1], y.as_slice()].concat();
            key[32] |= sign;
            bad(&format!("key_small_order_{name}{suffix}"), "A point of small order, with either sign bit.", &key);
        }
    }
    for lowest in 0xed..=0xff {
        for (suffix, highest) in [("", 0x7f), ("_signed", 0xff)] {
            let key = [&[1], number(lowest, highest).as_slice()].concat();
            bad(&format!("key_y_p_plus_{}{suffix}", lowest - 0xed), "A y that is p or more.", &key);
        }
    }
    let raw = &ed25519.as_bytes()[1..];
    for (name, about, key) in [
        ("key_empty", "No bytes.", Vec::new()),
        ("key_tag_alone", "The algorithm alone.", vec![1]),
        ("key_ed25519_31", "An Ed25519 key of 31 bytes.", ed25519.as_bytes()[..32].to_vec()),
        ("key_ed25519_33", "An Ed25519 key of 33 bytes.", [ed25519.as_bytes(), &[0]].concat()),
        ("key_ml_dsa_1311", "An ML-DSA-44 key of 1311 bytes.", ml_dsa_44.as_bytes()[..1312].to_vec()),
        ("key_ml_dsa_1313", "An ML-DSA-44 key of 1313 bytes.", [ml_dsa_44.as_bytes(), &[0]].concat()),
        ("key_tag_0", "No algorithm.", [&[0], raw].concat()),
        ("key_tag_2", "The type of an Ed25519 cosignature in notes, which is no algorithm here.", [&[2], raw].concat()),
        ("key_tag_255", "An algorithm that there is not.", [&[0xff], raw].concat()),
        ("key_ed25519_as_ml_dsa", "An Ed25519 key below the other algorithm.", [&[6], raw].concat()),
        ("key_untagged", "A key without its algorithm.", raw.to_vec()),
    ] {
        bad(name, about, &key);
    }
    maker.done()
}

/// y = lowest, 0 or 0xff between, highest: small numbers, and those just around p.
fn number(lowest: u8, highest: u8) -> [u8; 32] {
    let mut y = [if highest == 0 { 0 } else { 0xff }; 32];
    (y[0], y[31]) = (lowest, highest);
    y
}

fn tagged(key: [u8; 32]) -> writ_protocol::Key {
    writ_protocol::Key::from_bytes(&[&[1], key.as_slice()].concat()).unwrap()
}

fn input(key: &[u8], message: &[u8], signature: &[u8]) -> Value {
    json!({ "key": hex(key), "message": hex(message), "signature": hex(signature) })
}

fn secret() -> Scalar {
    Scalar::from_bytes_mod_order(*crate::scenario::digest("vectors secret").as_bytes())
}

fn nonce() -> Scalar {
    Scalar::from_bytes_mod_order(*crate::scenario::digest("vectors nonce").as_bytes())
}

fn encoded(point: EdwardsPoint) -> [u8; 32] {
    point.compress().to_bytes()
}

fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    let digest = digest(&SHA512, &[r, a, message].concat());
    Scalar::from_bytes_mod_order_wide(digest.as_ref().try_into().unwrap())
}

/// `R ‖ S` with `S = r + k·a`, whatever `R` and `A` are said to be.
fn made(r_bytes: [u8; 32], r: Scalar, a_bytes: [u8; 32], message: &[u8]) -> Vec<u8> {
    let s = r + challenge(&r_bytes, &a_bytes, message) * secret();
    [r_bytes, s.to_bytes()].concat()
}

/// A message for which the challenge is that number modulo eight.
fn message_with(r: &[u8; 32], a: &[u8; 32], remainder: u8) -> Vec<u8> {
    let mut messages = (0u32..).map(|number| number.to_be_bytes().to_vec());
    messages.find(|message| challenge(r, a, message).to_bytes()[0] % 8 == remainder).unwrap()
}

fn ed25519() -> Vec<Case> {
    let mut maker = Maker::new("ledger", "ed25519");
    let key = Secret::new(Algorithm::Ed25519, "vectors");
    let public = key.public().as_bytes()[1..].to_vec();
    let signature = key.sign(MESSAGE);
    maker.accept("ed25519_good", "A signature.", input(&public, MESSAGE, &signature), json!({}));
    maker.accept("ed25519_empty_message", "A signature over nothing.", input(&public, b"", &key.sign(b"")), json!({}));
    let mut bad = |name: &str, about: &str, message: &[u8], signature: &[u8]| {
        maker.refuse(name, about, input(&public, message, signature), SignatureInvalid);
    };
    bad("ed25519_message_changed", "Another message.", b"what is signed.", &signature);
    bad("ed25519_r_flipped", "A bit of R is changed.", MESSAGE, &flipped(&signature, 0));
    bad("ed25519_s_flipped", "A bit of S is changed.", MESSAGE, &flipped(&signature, 32));
    bad("ed25519_empty", "No signature.", MESSAGE, &[]);
    bad("ed25519_63", "63 bytes.", MESSAGE, &signature[..63]);
    bad("ed25519_65", "65 bytes.", MESSAGE, &[signature.as_slice(), &[0]].concat());
    bad("ed25519_zero", "64 zero bytes.", MESSAGE, &[0; 64]);
    let mut added = signature.clone();
    for multiple in 1..=7 {
        add_order(&mut added[32..]);
        let about = "S + nL is the same scalar, but not below L.";
        bad(&format!("ed25519_s_plus_{multiple}_l"), about, MESSAGE, &added);
    }
    bad("ed25519_s_is_l", "S is L.", MESSAGE, &[&signature[..32], &ORDER].concat());
    bad("ed25519_s_largest", "S of 32 bytes 0xff.", MESSAGE, &[&signature[..32], &[0xff; 32]].concat());
    maker.done()
}

fn add_order(s: &mut [u8]) {
    let mut carry = 0;
    for (byte, order) in s.iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
}

/// Points with a part of small order: where verification with the cofactor would accept, and ours must not.
fn ed25519_points() -> Vec<Case> {
    let mut maker = Maker::new("ledger", "ed25519");
    let (r, a) = (BASE * nonce(), BASE * secret());
    let torsion = EIGHT_TORSION[1];
    let key = encoded(a);
    maker.accept(
        "ed25519_by_equation",
        "A signature made by the equation.",
        input(&key, MESSAGE, &made(encoded(r), nonce(), key, MESSAGE)),
        json!({}),
    );
    let identity = encoded(EdwardsPoint::default());
    maker.accept(
        "ed25519_r_identity",
        "R is the neutral element: of small order, but what the equation gives.",
        input(&key, MESSAGE, &made(identity, Scalar::ZERO, key, MESSAGE)),
        json!({}),
    );
    let not_canonical = number(0xee, 0x7f);
    maker.refuse(
        "ed25519_r_not_canonical",
        "R is the neutral element with y = p + 1: the equation gives other bytes.",
        input(&key, MESSAGE, &made(not_canonical, Scalar::ZERO, key, MESSAGE)),
        SignatureInvalid,
    );
    let mut signed_zero = identity;
    signed_zero[31] |= 0x80;
    maker.refuse(
        "ed25519_r_negative_zero",
        "R is the neutral element with the sign bit: the equation gives other bytes.",
        input(&key, MESSAGE, &made(signed_zero, Scalar::ZERO, key, MESSAGE)),
        SignatureInvalid,
    );
    let small = encoded(torsion);
    maker.refuse(
        "ed25519_r_small_order",
        "R is of order 8; with the cofactor it would verify.",
        input(&key, MESSAGE, &made(small, Scalar::ZERO, key, MESSAGE)),
        SignatureInvalid,
    );
    let mixed_r = encoded(r + torsion);
    maker.refuse(
        "ed25519_r_mixed_order",
        "R has a part of order 8; with the cofactor it would verify.",
        input(&key, MESSAGE, &made(mixed_r, nonce(), key, MESSAGE)),
        SignatureInvalid,
    );
    maker.done()
}

fn ed25519_mixed_keys() -> Vec<Case> {
    let mut maker = Maker::new("ledger", "ed25519");
    let (r, a) = (BASE * nonce(), BASE * secret());
    let (key, torsion) = (encoded(a), EIGHT_TORSION[1]);
    let mixed_key = encoded(a + torsion);
    let refused = message_with(&encoded(r), &mixed_key, 1);
    maker.refuse(
        "ed25519_key_mixed_order",
        "The key has a part of order 8 that k does not cancel; with the cofactor it would verify.",
        input(&mixed_key, &refused, &made(encoded(r), nonce(), mixed_key, &refused)),
        SignatureInvalid,
    );
    let cancelled = message_with(&encoded(r), &mixed_key, 0);
    maker.accept(
        "ed25519_key_mixed_order_cancelled",
        "The key has a part of order 8, and k is a multiple of 8: the equation holds.",
        input(&mixed_key, &cancelled, &made(encoded(r), nonce(), mixed_key, &cancelled)),
        json!({}),
    );
    let both = encoded(r - torsion);
    let message = message_with(&both, &mixed_key, 1);
    maker.accept(
        "ed25519_both_mixed_order",
        "The parts of order 8 of key and R cancel each other.",
        input(&mixed_key, &message, &made(both, nonce(), mixed_key, &message)),
        json!({}),
    );
    let no_point = number(2, 0);
    maker.refuse(
        "ed25519_key_no_point",
        "Nothing verifies under what is no point of the curve.",
        input(&no_point, MESSAGE, &made(encoded(r), nonce(), no_point, MESSAGE)),
        SignatureInvalid,
    );
    let no_point_r = number(2, 0);
    maker.refuse(
        "ed25519_r_no_point",
        "R is no point of the curve.",
        input(&key, MESSAGE, &made(no_point_r, nonce(), key, MESSAGE)),
        SignatureInvalid,
    );
    maker.done()
}

fn ed25519_keys() -> Vec<Case> {
    let mut maker = Maker::new("ledger", "ed25519");
    let key = Secret::new(Algorithm::Ed25519, "vectors");
    let (public, signature) = (key.public().as_bytes()[1..].to_vec(), key.sign(MESSAGE));
    let mut bad = |name: &str, about: &str, key: &[u8], signature: &[u8], code: Code| {
        maker.refuse(name, about, input(key, MESSAGE, signature), code);
    };
    bad(
        "ed25519_other_key",
        "Another key.",
        &Secret::new(Algorithm::Ed25519, "other").public().as_bytes()[1..],
        &signature,
        SignatureInvalid,
    );
    bad("ed25519_key_31", "A key of 31 bytes.", &public[..31], &signature, Malformed);
    bad("ed25519_key_not_canonical", "A key that is not reduced.", &number(0xff, 0x7f), &signature, Malformed);
    let mut negated = public.clone();
    negated[31] ^= 0x80;
    bad("ed25519_key_negated", "The key with the other sign.", &negated, &signature, SignatureInvalid);
    // With S = 0 and R = the identity the equation holds for such keys and many messages.
    let all_messages = [encoded(EdwardsPoint::default()), [0; 32]].concat();
    bad(
        "ed25519_key_identity",
        "A key under which one signature would fit every message.",
        &encoded(EdwardsPoint::default()),
        &all_messages,
        Malformed,
    );
    bad("ed25519_key_small_order", "A key of order 8.", &encoded(EIGHT_TORSION[1]), &all_messages, Malformed);
    maker.done()
}

fn ml_dsa_44() -> Vec<Case> {
    let mut maker = Maker::new("ledger", "ml-dsa-44");
    let key = Secret::new(Algorithm::MlDsa44, "vectors");
    let public = key.public().as_bytes()[1..].to_vec();
    let signature = key.sign(MESSAGE);
    maker.accept("ml_dsa_44_good", "A signature.", input(&public, MESSAGE, &signature), json!({}));
    maker.accept(
        "ml_dsa_44_empty_message",
        "A signature over nothing.",
        input(&public, b"", &key.sign(b"")),
        json!({}),
    );
    let mut bad = |name: &str, about: &str, key: &[u8], message: &[u8], signature: &[u8], code: Code| {
        maker.refuse(name, about, input(key, message, signature), code);
    };
    bad("ml_dsa_44_message_changed", "Another message.", &public, b"what is signed.", &signature, SignatureInvalid);
    for at in [0, 32, 1200, 2419] {
        let about = format!("A bit of byte {at} is changed.");
        bad(&format!("ml_dsa_44_flipped_{at}"), &about, &public, MESSAGE, &flipped(&signature, at), SignatureInvalid);
    }
    bad("ml_dsa_44_2419", "2419 bytes.", &public, MESSAGE, &signature[..2419], SignatureInvalid);
    bad("ml_dsa_44_2421", "2421 bytes.", &public, MESSAGE, &[signature.as_slice(), &[0]].concat(), SignatureInvalid);
    bad("ml_dsa_44_zero", "2420 zero bytes.", &public, MESSAGE, &[0; 2420], SignatureInvalid);
    bad("ml_dsa_44_key_1311", "A key of 1311 bytes.", &public[..1311], MESSAGE, &signature, Malformed);
    let other = Secret::new(Algorithm::MlDsa44, "other");
    bad("ml_dsa_44_other_key", "Another key.", &other.public().as_bytes()[1..], MESSAGE, &signature, SignatureInvalid);
    let theirs = ml_dsa::SigningKey::<MlDsa44>::from_seed(&(*key.seed()).into());
    let in_context = theirs.expanded_key().sign_deterministic(MESSAGE, b"context").unwrap().encode();
    bad("ml_dsa_44_context", "A signature with a context string.", &public, MESSAGE, &in_context, SignatureInvalid);
    maker.done()
}
