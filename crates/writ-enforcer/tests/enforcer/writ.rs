//! Bytes that are no writ of this domain.

use crate::ledger::{Ledger, NOW_MS};
use crate::play::{BOTH, Play, Way, admit, assert_refused, good, refused};
use writ_protocol::cbor::{Decode, Encode, Value};
use writ_protocol::entry::{Body, Denial, Shadow, ShadowFields, Would};
use writ_protocol::{Code, DenialId, WRIT_BYTES_MAX};
use writ_tlog::{Hash, TlogProof, leaf_hash, sign_checkpoint};

fn tampered(code: Code, tamper: impl Fn(&mut Vec<u8>) + Copy + 'static) {
    for way in BOTH {
        refused(way, code, |play| play.tamper_writ = Box::new(tamper));
    }
}

/// The proof with another of its parts changed.
fn with(change: impl Fn(&mut TlogProof) + Copy + 'static) -> impl Fn(&mut Vec<u8>) + Copy + 'static {
    move |writ| {
        let mut proof = TlogProof::parse(writ).unwrap();
        change(&mut proof);
        *writ = proof.encode();
    }
}

#[test]
fn no_writ_admits_nothing() {
    tampered(Code::MissingWrit, Vec::clear);
}

#[test]
fn bytes_that_are_not_a_writ_admit_nothing() {
    tampered(Code::Malformed, |writ| *writ = b"let me in".to_vec());
    tampered(Code::Malformed, |writ| writ.truncate(writ.len() / 2));
    tampered(Code::Malformed, |writ| writ.resize(WRIT_BYTES_MAX + 1, b'A'));
    tampered(Code::Malformed, with(|proof| proof.extra = None));
}

/// An entry that a ledger has really logged and signed, but whose bytes no reader of this version knows.
#[test]
fn a_logged_entry_of_another_version_admits_nothing() {
    for way in BOTH {
        let play = good(way);
        let ledger = play.ledger.clone();
        refused(way, Code::UnsupportedVersion, |play| {
            play.tamper_writ = Box::new(move |writ| {
                let entry = TlogProof::parse(writ).unwrap().extra.unwrap();
                let Value::Array(mut parts) = Value::from_cbor(&entry).unwrap() else { panic!("an entry is an array") };
                parts[2] = Value::Uint(2);
                *writ = ledger.clone().logged_raw(Value::Array(parts).to_cbor());
            });
        });
    }
}

#[test]
fn a_writ_of_another_ledger_admits_nothing() {
    for way in BOTH {
        refused(way, Code::UnknownAuthority, |play| play.trust = Ledger::new("other.example/ledger").trust());
    }
}

#[test]
fn a_checkpoint_that_the_pinned_keys_did_not_sign_admits_nothing() {
    tampered(Code::SignatureInvalid, with(|proof| flip_in_last_line(&mut proof.checkpoint)));
    // Signed by one of the two keys only.
    tampered(
        Code::SignatureInvalid,
        with(|proof| {
            let checkpoint = Ledger::new(crate::play::ORIGIN);
            let mut signers = checkpoint.signers();
            signers.truncate(1);
            let text = String::from_utf8(proof.checkpoint.clone()).unwrap();
            let body = writ_tlog::Checkpoint::parse(&text[..=text.find("\n\n").unwrap()]).unwrap();
            proof.checkpoint = sign_checkpoint(&body, &signers);
        }),
    );
}

fn flip_in_last_line(note: &mut [u8]) {
    let at = note.len() - 100;
    note[at] = if note[at] == b'A' { b'B' } else { b'A' };
}

#[test]
fn a_proof_that_does_not_lead_to_the_root_admits_nothing() {
    let changed = |proof: &mut TlogProof| {
        let mut hashes = proof.proof.hashes().to_vec();
        hashes[0] = Hash::from_bytes([0; 32]);
        proof.proof = writ_tlog::InclusionProof::new(hashes);
    };
    tampered(Code::ProofInvalid, with(changed));
    tampered(Code::ProofInvalid, with(|proof| proof.index = writ_tlog::LeafIndex::new(proof.index.get() - 1)));
    // The grant itself is changed: its hash is not the one that was logged.
    tampered(
        Code::ProofInvalid,
        with(|proof| {
            let entry = proof.extra.as_mut().unwrap();
            let last = entry.len() - 1;
            entry[last] ^= 1;
            assert_ne!(leaf_hash(entry), leaf_hash(&[]));
        }),
    );
}

/// A denial is proved as well as a grant is. It is no writ.
#[test]
fn a_denial_is_not_a_writ() {
    for way in BOTH {
        let mut play = good(way);
        let terms = play.terms.clone();
        let denial = Denial {
            id: DenialId::new(NOW_MS, [5; 10]),
            code: Code::PolicyDenied,
            hold: None,
            text: None,
            as_of: terms.as_of,
            cause: terms.cause,
            facts: None,
            action: terms.action,
            policy: Some(terms.policy),
            request: terms.request,
            time_ms: NOW_MS,
            principal: terms.principal,
        };
        let at = play.ledger.append(Body::Denial(denial));
        let denial = play.ledger.proved(at);
        play.tamper_writ = Box::new(move |writ| writ.clone_from(&denial));
        assert_refused(Code::NotAWrit, admit(way, play));
    }
}

/// What would have been permitted is proved as well. It permits nothing.
#[test]
fn a_shadow_is_not_a_writ() {
    for way in BOTH {
        let mut play = good(way);
        let terms = play.terms.clone();
        let shadow = ShadowFields {
            as_of: terms.as_of,
            cause: terms.cause,
            facts: terms.facts,
            would: Would::Permit,
            action: terms.action,
            policy: terms.policy,
            request: terms.request,
            time_ms: NOW_MS,
            principal: terms.principal,
        };
        let at = play.ledger.append(Body::Shadow(Shadow::new(shadow).unwrap()));
        let shadow = play.ledger.proved(at);
        play.tamper_writ = Box::new(move |writ| writ.clone_from(&shadow));
        assert_refused(Code::NotAWrit, admit(way, play));
    }
}

#[test]
fn no_other_kind_of_entry_is_a_writ() {
    let ledger = Ledger::new(crate::play::ORIGIN);
    for index in 0..ledger.size() {
        let proved = ledger.proved(index);
        let mut play = Play::of(ledger.clone());
        play.tamper_writ = Box::new(move |writ| writ.clone_from(&proved));
        assert_refused(Code::NotAWrit, admit(Way::Handed, play));
    }
}
