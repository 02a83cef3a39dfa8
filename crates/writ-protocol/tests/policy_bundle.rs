//! Policy bundles: which file is wrong, and how much there may be.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use writ_protocol::cbor::{Decode, Value};
use writ_protocol::entry::{Ascending, Positive};
use writ_protocol::statement::{
    ListedFile, MANIFEST_BYTES_MAX, Manifest, ManifestFields, Signed, SignedMessage, SignedRequest, Validity,
};
use writ_protocol::{
    Code, DomainId, POLICY_BUNDLE_BYTES_MAX, POLICY_SET_BYTES_MAX, PolicyBundle, SetPath, encode_policy_set,
    holds_files,
};
use writ_tlog::{Algorithm, Origin, SigningKey, sha256};

type Files = BTreeMap<SetPath, Vec<u8>>;
type Found = [(&'static str, &'static [u8])];

fn origin() -> Origin {
    Origin::new("writ.example/ledger").unwrap()
}

fn files(all: &[(&str, &[u8])]) -> Files {
    all.iter().map(|(path, bytes)| (SetPath::new(path).unwrap(), bytes.to_vec())).collect()
}

fn manifest(files: &Files) -> Manifest {
    let set = encode_policy_set(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
    let fields = ManifestFields {
        set: sha256(&set),
        epoch: Positive::ONE,
        files: Manifest::list(files),
        domain: DomainId::from_bytes([1; 16]),
        accepts: Ascending::new([]),
        from_ms: 1,
        time_ms: 1,
        replaces: None,
        until_ms: 2,
    };
    Manifest::new(fields).unwrap()
}

fn bundle(files: &Files) -> Vec<u8> {
    let key = SigningKey::from_seed(Algorithm::Ed25519, &[1; 32]);
    PolicyBundle::assemble(&manifest(files).sign(&origin(), &[&key]), files)
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let signed = manifest(&files(&[("a", b"same"), ("c", b"same")]));
    let held = |found: &Found| match holds_files(&signed, found.iter().copied()) {
        Ok(()) => "nothing".to_owned(),
        Err(refusal) => {
            assert_eq!(refusal.code(), Code::IntegrityFailure);
            refusal.why().to_owned()
        }
    };
    let cases: [(&Found, &str); 8] = [
        (&[("a", b"same"), ("c", b"same")], "nothing"),
        (&[("a", b"same"), ("c", b"some")], "policy bundle: the file `c` is not the one that was signed"),
        (&[("a", b"same"), ("c", b"longer")], "policy bundle: the file `c` is not the one that was signed"),
        (&[("a", b"same")], "policy bundle: the file `c` is missing"),
        (&[("c", b"same")], "policy bundle: the file `a` is missing"),
        (&[("a", b"same"), ("b", b"same"), ("c", b"same")], "policy bundle: the manifest does not list the file `b`"),
        (&[("a", b"same"), ("d", b"same")], "policy bundle: the file `c` is missing"),
        (&[("a", b"same"), ("c", b"same"), ("d", b"")], "policy bundle: the manifest does not list the file `d`"),
    ];
    for (found, expected) in cases {
        assert_eq!(held(found), expected, "{found:?}");
    }
}

#[test]
fn a_set_and_a_bundle_have_a_largest_size() {
    assert_eq!((POLICY_SET_BYTES_MAX, POLICY_BUNDLE_BYTES_MAX), (4_063_232, 4_325_376));
    let of = |length: usize| files(&[("a", &vec![7; length / 2]), ("b", &vec![7; length - length / 2])]);
    let largest = of(POLICY_SET_BYTES_MAX);
    let read = PolicyBundle::decode(&bundle(&largest), &origin()).unwrap();
    assert_eq!((read.files(), read.manifest()), (&largest, &manifest(&largest)));
    let larger = PolicyBundle::decode(&bundle(&of(POLICY_SET_BYTES_MAX + 1)), &origin()).unwrap_err();
    let far_larger = PolicyBundle::decode(&bundle(&of(POLICY_SET_BYTES_MAX + 100)), &origin()).unwrap_err();
    for refusal in [larger, far_larger] {
        assert!(refusal.why().contains("bytes of files"), "{refusal}");
    }
    let why = |length: usize| PolicyBundle::origin(&vec![0; length]).unwrap_err().why().to_owned();
    assert!(!why(POLICY_BUNDLE_BYTES_MAX).contains("a policy bundle has at most"));
    for more in [1, 2] {
        assert!(why(POLICY_BUNDLE_BYTES_MAX + more).contains("a policy bundle has at most 4325376 bytes"));
    }
}

#[test]
fn a_path_is_shown_as_it_is() {
    assert_eq!(SetPath::new("agents/build.cedar").unwrap().to_string(), "agents/build.cedar");
}

/// A manifest of so many files, whose paths take so many bytes more than 200 each in all.
fn listing(count: usize, more: usize) -> Manifest {
    let listed = |number: usize| {
        let length = 200 + more.saturating_sub(number * 50).min(50);
        let path = SetPath::new(&format!("f{number:03}{}", "x".repeat(length - 4))).unwrap();
        ListedFile { path, length: 1, digest: sha256(b"x") }
    };
    let fields = ManifestFields {
        files: (0..count).map(listed).collect(),
        ..ManifestFields::clone(&manifest(&files(&[("a", b"")])))
    };
    Manifest::new(fields).unwrap()
}

#[test]
fn a_manifest_has_a_largest_size() {
    let length = |manifest: &Manifest| manifest.payload(&origin()).len();
    let count = (1..).find(|count| length(&listing(count + 1, 0)) > MANIFEST_BYTES_MAX).unwrap();
    let more = MANIFEST_BYTES_MAX - length(&listing(count, 0));
    let key = SigningKey::from_seed(Algorithm::Ed25519, &[1; 32]);
    let claimed = |manifest: &Manifest| {
        let signed = manifest.sign(&origin(), &[&key]);
        Signed::decode(&signed).unwrap().manifest_claims(&origin()).map_err(|refusal| refusal.code())
    };
    let largest = listing(count, more);
    assert_eq!(length(&largest), MANIFEST_BYTES_MAX);
    assert_eq!(claimed(&largest), Ok(largest.clone()));
    for longer in [listing(count, more + 1), listing(count + 1, 0)] {
        assert_eq!(claimed(&longer), Err(Code::Malformed));
    }
}

/// What is kept of a message that was signed by the published standard is what its vectors have.
#[test]
fn a_signed_message_is_kept_in_its_parts() {
    let vector = include_str!("../../../vectors/statement/message_authorize.json");
    let digits = vector.split('"').find(|text| text.len() > 500).unwrap().as_bytes();
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    let (pairs, _) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect();
    let Value::Array(parts) = Value::from_cbor(&bytes).unwrap() else { panic!("a message has parts") };
    let [_, _, Value::Text(path), Value::Text(input), Value::Bytes(signature), Value::Bytes(body)] = parts.as_slice()
    else {
        panic!("a path, the input of the signature, the signature, a body")
    };
    assert_eq!(SignedMessage::keep(path, input, signature, body), bytes);
    let validity = Validity { created_s: 1_700_000_000, expires_s: None };
    assert_eq!(SignedRequest::decode(&bytes).unwrap().validity(), Some(validity));
}

#[test]
fn authors_sign_one_after_another_and_each_once() {
    let keys = [1, 2].map(|seed| SigningKey::from_seed(Algorithm::Ed25519, &[seed; 32]));
    let manifest = manifest(&files(&[("a", b"")]));
    let both = manifest.sign(&origin(), &[&keys[0], &keys[1]]);
    let one = manifest.sign(&origin(), &[&keys[0]]);
    assert_eq!(Signed::decode(&one).unwrap().signed_too(&keys[1]), both);
    assert_eq!(Signed::decode(&both).unwrap().signed_too(&keys[0]), both, "once more is no more");
    let signers = |signed: &[u8]| Signed::decode(signed).unwrap().signers().count();
    assert_eq!((signers(&one), signers(&both)), (1, 2));
}
