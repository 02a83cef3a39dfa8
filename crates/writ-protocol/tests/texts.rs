//! The texts by which people and other programs know things, and the lengths that a reader takes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use writ_protocol::action::{ACTION_BYTES_MAX, Action, CommitmentKind, Exec, ExecFields, Opening, Stdin, Variables};
use writ_protocol::bundle::{BUNDLE_BYTES_MAX, ProvedEntry};
use writ_protocol::entry::{Gate, Gates, Opinion, Verdict, Would};
use writ_protocol::order::ExecutionState;
use writ_protocol::scope::{Among, Beginning, Measured, Place, Places};
use writ_protocol::statement::{Ending, Signal};
use writ_protocol::{
    Bundle, Code, DomainId, Ed25519Key, ExecutionId, Fingerprint, Key, KeyPair, Label, Name, PinnedLedger, Refusal,
    TRUST_ROOT_BYTES_MAX, TrustRoot, WRIT_BYTES_MAX, WritVerifier,
};
use writ_tlog::{Algorithm, Hash, InclusionProof, LeafIndex, Origin, SigningKey, sha256};

/// Digits that are all different, so that none can stand in another's place.
const ID: &str = "exec_0123456789abcdeffedcba9876543210";

#[test]
fn an_id_has_one_text() {
    let id = ExecutionId::parse(ID).unwrap();
    assert_eq!((id.to_string(), format!("{id:?}")), (ID.to_owned(), ID.to_owned()));
    assert_eq!(id.as_bytes()[..3], [0x01, 0x23, 0x45]);
    assert_eq!(ExecutionId::from_bytes(*id.as_bytes()), id);
    for text in [
        "",
        "exec_",
        "0123456789abcdeffedcba9876543210",
        "writ_0123456789abcdeffedcba9876543210",
        "exec_0123456789ABCDEFFEDCBA9876543210",
        "exec_0123456789abcdeffedcba987654321",
        "exec_0123456789abcdeffedcba98765432",
        "exec_0123456789abcdeffedcba98765432100",
        "exec_0123456789abcdeffedcba9876543210ff",
        "exec_g123456789abcdeffedcba9876543210",
        "exec_/123456789abcdeffedcba9876543210",
        "exec_:123456789abcdeffedcba9876543210",
        "exec_`123456789abcdeffedcba9876543210",
    ] {
        assert_eq!(ExecutionId::parse(text), None, "{text:?}");
    }
}

#[test]
fn ids_are_ordered_by_their_time() {
    let id = ExecutionId::new(0x0001_0203_0405_0607, [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19]);
    assert_eq!(id.to_string(), "exec_02030405060710111213141516171819");
    assert!(ExecutionId::new(1, [0xff; 10]) < ExecutionId::new(2, [0; 10]));
}

#[test]
fn a_key_is_shown_by_its_fingerprint() {
    let key = Key::from(SigningKey::from_seed(Algorithm::Ed25519, &[1; 32]).verifying_key());
    let digits: String = sha256(key.as_bytes()).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let fingerprint = key.fingerprint();
    assert_eq!(fingerprint, Fingerprint(sha256(key.as_bytes())));
    assert_eq!(fingerprint.to_string(), format!("key_{digits}"));
    assert_eq!(format!("{fingerprint:?}"), fingerprint.to_string());
    assert_eq!(format!("{key:?}"), format!("Key({fingerprint})"));
    assert_eq!(Ed25519Key::new(key.clone()).unwrap().key(), &key);
}

#[test]
fn names_are_shown_as_they_are() {
    assert_eq!(Name::new("Agent::builder").unwrap().to_string(), "Agent::builder");
    assert_eq!(Label::new("drill").unwrap().to_string(), "drill");
}

#[test]
fn a_value_that_may_be_secret_is_not_shown() {
    let opening = Opening { kind: CommitmentKind::Text, salt: [7; 32], value: b"hunter2".to_vec() };
    assert_eq!(format!("{opening:?}"), "Opening(text, 7 bytes)");
}

#[test]
fn a_refusal_tells_its_code_and_why() {
    let refusal = Refusal::new(Code::Halted, "the domain is halted by entry 7");
    assert_eq!((refusal.code(), refusal.why()), (Code::Halted, "the domain is halted by entry 7"));
    assert_eq!(refusal.to_string(), "halted: the domain is halted by entry 7");
    assert_eq!(Refusal::malformed("expected a map").to_string(), "malformed: expected a map");
    for code in Code::ALL {
        assert_eq!((Code::from_str_exact(code.as_str()), code.to_string()), (Some(*code), code.as_str().to_owned()));
    }
    assert_eq!(Code::from_str_exact("Halted"), None);
}

#[test]
fn how_far_an_execution_came_has_a_text() {
    let signal = Signal::new(9).unwrap();
    for (ending, text) in [
        (Ending::Exited(3), "exited:3"),
        (Ending::Signaled(signal), "signaled:9"),
        (Ending::Terminated(Code::Halted), "terminated:halted"),
        (Ending::Unknown, "unknown"),
    ] {
        assert_eq!(ending.to_string(), text);
        assert_eq!(ExecutionState::Ended(ending).as_str(), "ended");
    }
    assert_eq!((ExecutionState::Spent.as_str(), ExecutionState::Started.as_str()), ("spent", "started"));
    assert_eq!((Signal::new(0), Signal::new(64).map(Signal::get), Signal::new(65)), (None, Some(64), None));
}

/// An execution whose one argument fills it up to this many bytes.
fn action_of(length: usize) -> Action {
    let exec = |argument: usize| {
        let fields = ExecFields {
            cwd: b"/".to_vec(),
            argv: vec![vec![b'a'; argument]],
            path: b"/bin/sh".to_vec(),
            variables: Variables::new([]).unwrap(),
            stdin: Stdin::Null,
            executable: sha256(b"sh"),
            interpreter: None,
        };
        Action::Exec(Exec::new(fields).unwrap())
    };
    // The length of an argument has as many bytes from here on.
    let around = exec(0x10_0000).encode().unwrap().len() - 0x10_0000;
    exec(length - around)
}

#[test]
fn an_action_has_at_most_four_mebibytes() {
    assert_eq!(ACTION_BYTES_MAX, 4_194_304);
    let longest = action_of(ACTION_BYTES_MAX).encode().unwrap();
    assert_eq!(longest.len(), ACTION_BYTES_MAX);
    assert_eq!(Action::decode(&longest), Ok(action_of(ACTION_BYTES_MAX)));
    let refused = action_of(ACTION_BYTES_MAX + 1).encode().unwrap_err();
    assert_eq!(refused.why(), "an action has at most 4194304 bytes, this one has 4194305");
    assert_eq!(Action::decode(&[longest.as_slice(), b"\0"].concat()), Err(refused));
}

/// The length is looked at before anything else, so that nothing larger buys work.
#[test]
fn nothing_longer_than_its_limit_is_read() {
    let trust = || {
        let pinned = PinnedLedger::new(
            Origin::new("writ.example/ledger").unwrap(),
            Hash::from_bytes([0; 32]),
            KeyPair::new(
                Key::from(SigningKey::from_seed(Algorithm::Ed25519, &[1; 32]).verifying_key()),
                Key::from(SigningKey::from_seed(Algorithm::MlDsa44, &[1; 32]).verifying_key()),
            )
            .unwrap(),
        );
        TrustRoot::new(DomainId::from_bytes([0; 16]), pinned.unwrap())
    };
    let told = |bytes: &[u8]| {
        [
            (BUNDLE_BYTES_MAX, "a bundle has at most 67108864 bytes", Bundle::decode(bytes).unwrap_err()),
            (TRUST_ROOT_BYTES_MAX, "trust root: expected at most 65536 bytes", TrustRoot::parse(bytes).unwrap_err()),
            (WRIT_BYTES_MAX, "a writ has at most 524288 bytes", WritVerifier::new(trust()).verify(bytes).unwrap_err()),
        ]
    };
    for at in 0..3 {
        let (limit, why, _) = told(b"x")[at];
        let zeros = vec![0; limit + 1];
        let too_long = |bytes: &[u8]| told(bytes)[at].2.why().starts_with(why);
        assert!(!too_long(&zeros[..limit]) && too_long(&zeros), "{why}");
    }
}

#[test]
fn a_bundle_has_at_most_4096_openings() {
    let read = |openings: usize| {
        let opening = Opening { kind: CommitmentKind::Text, salt: [7; 32], value: Vec::new() };
        let entry = ProvedEntry { index: LeafIndex::new(0), bytes: Vec::new(), proof: InclusionProof::new(Vec::new()) };
        let bundle = Bundle {
            checkpoint: Vec::new(),
            entries: vec![entry],
            openings: vec![opening; openings],
            subject: LeafIndex::new(0),
        };
        Bundle::decode(&bundle.encode()).map(|read| read == bundle).map_err(|refusal| refusal.code())
    };
    for openings in [0, 1, 4_095, 4_096] {
        assert_eq!(read(openings), Ok(true), "{openings}");
    }
    assert_eq!((read(4_097), read(5_000)), (Err(Code::Malformed), Err(Code::Malformed)));
}

#[test]
fn a_commitment_kind_has_one_text() {
    for text in ["action", "facts", "request", "policy", "text", "output"] {
        assert_eq!(CommitmentKind::from_str_exact(text).map(CommitmentKind::as_str), Some(text));
    }
    assert_eq!(CommitmentKind::from_str_exact("secret"), None);
}

#[test]
fn an_answer_to_a_hold_has_a_word_for_what_it_did() {
    let done = [Verdict::Approve, Verdict::Reject, Verdict::Withdraw].map(Verdict::done);
    assert_eq!(done, ["approved", "rejected", "withdrawn"]);
}

#[test]
fn an_opinion_refuses_with_its_own_code_or_not_at_all() {
    for opinion in Opinion::ALL {
        match opinion.refusal() {
            Some(code) => assert_eq!((Opinion::refuse(code), opinion.as_str()), (Some(opinion), code.as_str())),
            None => assert!([Opinion::Permit, Opinion::Hold, Opinion::Searched].contains(&opinion), "{opinion:?}"),
        }
    }
    assert_eq!(Opinion::refuse(Code::BudgetExceeded), None);
}

#[test]
fn what_would_have_been_refused_has_the_code_it_would_have_had() {
    for would in Would::ALL {
        match would.refusal() {
            Some(code) => assert_eq!((Would::refuse(code), would.as_str()), (Some(would), code.as_str())),
            None => assert!([Would::Permit, Would::Hold].contains(&would), "{would:?}"),
        }
    }
    assert_eq!(Would::refuse(Code::RateLimited), None);
}

#[test]
fn gates_stand_in_the_order_in_which_they_were_passed() {
    let gate = |name: &str| Gate { gate: Label::new(name).unwrap(), passed: 1 };
    let gates = Gates::new(vec![gate("tests"), gate("history")]).unwrap();
    assert_eq!(gates.as_slice(), [gate("tests"), gate("history")]);
    assert!(Gates::new(vec![gate("tests"), gate("history"), gate("tests")]).is_err());
}

#[test]
fn the_beginning_of_an_argv_is_at_least_the_program() {
    let argv = vec![b"git".to_vec(), b"push".to_vec()];
    assert_eq!(Beginning::new(argv.clone()).unwrap().as_slice(), argv);
    for wrong in [vec![], vec![b"git\0".to_vec()]] {
        assert!(Beginning::new(wrong).is_err());
    }
}

#[test]
fn places_stand_in_order_each_once() {
    let place = |name: &str| Place {
        name: Label::new(name).unwrap(),
        values: Among::new([Measured("build-7".to_owned())]).unwrap(),
    };
    let places = vec![place("host"), place("user")];
    assert_eq!(Places::new(places.clone()).unwrap().as_slice(), places);
    for wrong in [vec![], vec![place("user"), place("host")], vec![place("host"), place("host")]] {
        assert!(Places::new(wrong).is_err());
    }
}
