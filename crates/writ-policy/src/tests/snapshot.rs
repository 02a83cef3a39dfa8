use super::fixture::*;
use crate::{PolicySet, Problem, SNAPSHOT_BYTES_MAX, Semantics, Snapshot};
use proptest::prelude::*;
use writ_protocol::Code;
use writ_protocol::cbor::Writer;
use writ_tlog::sha256;

fn refused(given: &[(&str, &str)]) -> Vec<Problem> {
    Snapshot::new(files(given)).unwrap_err().into_iter().map(|finding| finding.problem).collect()
}

#[test]
fn a_snapshot_reads_back_and_its_digest_is_that_of_its_bytes() {
    let snapshot = Snapshot::new(files(&[("a/b.cedar", PERMIT_ALL), ("schema.cedarschema", "")])).unwrap();
    let bytes = snapshot.encode();
    assert_eq!(Snapshot::decode(&bytes).unwrap(), snapshot);
    assert_eq!(snapshot.digest(), sha256(&bytes));
    assert_eq!(PolicySet::compile(&snapshot, Semantics::CURRENT).unwrap().digest(), &snapshot.digest());
    let other = Snapshot::new(files(&[("a/b.cedar", &format!("{PERMIT_ALL} "))])).unwrap();
    assert_ne!(other.digest(), snapshot.digest());
}

#[test]
fn odd_paths_are_refused() {
    let long = format!("{}.cedar", "a".repeat(250));
    let paths = [
        "",
        "/a.cedar",
        "a.cedar/",
        "../a.cedar",
        "a/../b.cedar",
        "a//b.cedar",
        "./a.cedar",
        ".a.cedar",
        ".cedar",
        "a b.cedar",
        "a\\b.cedar",
        "a\0.cedar",
        "é.cedar",
        "a:b.cedar",
        "#a.cedar",
        "C:/a.cedar",
        "a\n.cedar",
        &long,
    ];
    for path in paths {
        assert_eq!(refused(&[(path, "")]), [Problem::PathForm], "{path:?}");
    }
}

#[test]
fn files_that_a_folder_does_not_have_are_refused() {
    for path in [
        "README.txt",
        "sub/README.md",
        "tests/a.yml",
        "sub/tests/a.yaml",
        "a.cedar.bak",
        "schema.json",
        "sub/entities.json",
        "other.cedarschema",
        "sub/schema.cedarschema",
        "a.CEDAR",
    ] {
        assert_eq!(refused(&[(path, "")]), [Problem::UnknownFile], "{path:?}");
    }
    let findings = Snapshot::new([("a.cedar".to_owned(), Vec::new())].into()).unwrap_err();
    assert_eq!(findings[0].problem, Problem::FileMissing("principals.json"));
    assert!(findings[0].to_string().contains("add it"));
}

#[test]
fn too_much_is_refused() {
    let mut given = files(&[]);
    given.insert("a.cedar".to_owned(), vec![b' '; 100_000_000]);
    let findings = Snapshot::new(given).unwrap_err();
    assert!(matches!(findings[0].problem, Problem::TooManyBytes { .. }));
    assert!(findings[0].to_string().starts_with("expected at most"), "{}", findings[0]);
    let mut given = files(&[]);
    let used: usize = given.values().map(Vec::len).sum();
    given.insert("a.cedar".to_owned(), vec![b' '; SNAPSHOT_BYTES_MAX - used]);
    let largest = Snapshot::new(given.clone()).unwrap();
    assert_eq!(Snapshot::decode(&largest.encode()).unwrap(), largest);
    assert!(PolicySet::compile(&largest, Semantics::CURRENT).unwrap().is_empty());
    given.get_mut("a.cedar").unwrap().push(b' ');
    assert!(Snapshot::new(given).is_err());
    let many = (0..1_001).map(|n| (format!("{n}.cedar"), Vec::new())).collect();
    assert!(matches!(Snapshot::new(many).unwrap_err()[0].problem, Problem::TooManyFiles { .. }));
    assert_eq!(Snapshot::decode(&vec![0; 100_000_000]).unwrap_err().code(), Code::Malformed);
}

fn encoding(context: &str, version: u64, files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.array(3);
    writer.text(context);
    writer.uint(version);
    writer.array(files.len());
    for (path, text) in files {
        writer.array(2);
        writer.text(path);
        writer.bytes(text.as_bytes());
    }
    writer.into_bytes()
}

#[test]
fn only_the_one_encoding_is_read() {
    let good = [("a.cedar", ""), ("principals.json", "[]")];
    assert!(Snapshot::decode(&encoding("writ.policy", 1, &good)).is_ok());
    let refused = [
        encoding("writ.polic", 1, &good),
        encoding("writ.policy", 2, &good),
        encoding("writ.policy", 1, &[good[1], good[0]]),
        encoding("writ.policy", 1, &[good[0], good[0], good[1]]),
        encoding("writ.policy", 1, &good[..1]),
        encoding("writ.policy", 1, &[("../a.cedar", ""), good[1]]),
        [encoding("writ.policy", 1, &good).as_slice(), &[0]].concat(),
        vec![],
        vec![0x83],
        b"\x83\x6bwrit.policy\x01\x9b\x00\x00\x00\x00\xff\xff\xff\xff".to_vec(),
    ];
    for bytes in refused {
        assert_eq!(Snapshot::decode(&bytes).unwrap_err().code(), Code::Malformed, "{bytes:?}");
    }
}

/// Texts of the words and signs that policies are made of.
const NEARLY_CEDAR: &str = concat!(
    r#"(@id\("a"\) )?(permit|forbid|when|if|principal|action|resource|"#,
    r#"\(|\)|\{|\}|\[|\]|,|;|"|\\|//|\n|==|\?| ){0,40}"#
);

proptest! {
    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in any::<Vec<u8>>(), at in 0usize..200, with in any::<u8>()) {
        let mut near = Snapshot::new(files(&[("a.cedar", PERMIT_ALL)])).unwrap().encode();
        let length = near.len();
        near[at % length] = with;
        for bytes in [bytes, near] {
            if let Ok(snapshot) = Snapshot::decode(&bytes) {
                prop_assert_eq!(snapshot.encode(), bytes);
            }
        }
    }

    #[test]
    fn no_policy_text_makes_the_compiler_panic(text in NEARLY_CEDAR) {
        let snapshot = Snapshot::new(files(&[("a.cedar", &text), ("schema.cedarschema", &text)])).unwrap();
        if let Err(findings) = PolicySet::compile(&snapshot, Semantics::CURRENT) {
            prop_assert!(!findings.is_empty());
        }
    }
}
