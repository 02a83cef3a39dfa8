//! Policy bundles, whole and with one fault each.

use super::BASE_MS;
use super::case::{Case, Maker, hex};
use super::mutation::{Structure, array, bytes, flipped, text};
use super::statement::{signatures, signed};
use crate::scenario::{Domain, ORIGIN, Secret, author, digest, envelope, payload_of, set_digest, set_files};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use writ_protocol::Code::{
    self, Expired, IntegrityFailure, Malformed, NotYetValid, PolicyMismatch, PolicyStale, SignatureInvalid,
    UnknownAuthority, UnsupportedVersion,
};
use writ_protocol::cbor::Value::{self, Null, Uint};
use writ_protocol::statement::ManifestFields;
use writ_protocol::{PolicyBundle, SetPath};

type Files = BTreeMap<SetPath, Vec<u8>>;

pub(super) fn cases() -> Vec<Case> {
    let domain = Domain::new(BASE_MS);
    let mut maker = Maker::new("policy-bundle", "policy-bundle");
    accepted(&domain, &mut maker);
    files(&domain, &mut maker);
    containers(&domain, &mut maker);
    manifests(&domain, &mut maker);
    signers(&domain, &mut maker);
    places(&domain, &mut maker);
    maker.done()
}

fn policy_files() -> Files {
    set_files(&[
        ("entities.json", b"[]\n"),
        ("floor.cedar", b"@id(\"nothing\") forbid (principal, action, resource);\n"),
        ("principals.json", b"[]\n"),
        ("tests/floor.yaml", b"[]\n"),
    ])
}

/// The set that is replaced: in force in epoch 4.
fn before() -> writ_tlog::Hash {
    digest("the set before")
}

fn manifest(domain: &Domain, files: &Files) -> ManifestFields {
    domain.manifest(5, set_digest(files), Some(before()), files)
}

fn bundle(domain: &Domain, files: &Files) -> Vec<u8> {
    PolicyBundle::assemble(&domain.sign_manifest(&manifest(domain, files), &[0, 1]), files)
}

/// With epoch 4 in force, two of three authors, at a time in the window.
fn input(domain: &Domain, bundle: &[u8]) -> Json {
    let keys: Vec<String> = (0..3).map(|number| hex(author(number).public().as_bytes())).collect();
    json!({
        "hex": hex(bundle),
        "origin": ORIGIN,
        "domain": hex(domain.id().as_bytes()),
        "authors": keys,
        "threshold": 2,
        "epoch": 4,
        "set": hex(before().as_bytes()),
        "now_ms": domain.now_ms().to_string(),
    })
}

fn told(epoch: u64, files: &Files) -> Json {
    let paths: Vec<&str> = files.keys().map(SetPath::as_str).collect();
    json!({ "epoch": epoch, "set": hex(set_digest(files).as_bytes()), "files": paths })
}

fn accepted(domain: &Domain, maker: &mut Maker) {
    let good = policy_files();
    maker.accept(
        "whole",
        "A set that two of three authors have signed.",
        input(domain, &bundle(domain, &good)),
        told(5, &good),
    );
    let all = PolicyBundle::assemble(&domain.sign_manifest(&manifest(domain, &good), &[0, 1, 2]), &good);
    maker.accept("all_authors", "More authors have signed than must.", input(domain, &all), told(5, &good));
    let first =
        ManifestFields { epoch: writ_protocol::entry::Positive::ONE, replaces: None, ..manifest(domain, &good) };
    let first = PolicyBundle::assemble(&domain.sign_manifest(&first, &[0, 2]), &good);
    let mut none = input(domain, &first);
    none["epoch"] = json!(0);
    maker.accept("first_epoch", "The first set of a domain replaces none.", none, told(1, &good));
    let wider = manifest(domain, &good);
    let accepts = ["entities", "policy:deploy"].map(|name| writ_protocol::Name::new(name).unwrap());
    let wider = ManifestFields { accepts: writ_protocol::entry::Ascending::new(accepts), ..wider };
    let wider = PolicyBundle::assemble(&domain.sign_manifest(&wider, &[0, 1]), &good);
    maker.accept("accepts", "Its authors accept that it is wider.", input(domain, &wider), told(5, &good));
    let deep = set_files(&[("a/b-c/d_e/f.g.cedar", b""), ("principals.json", b"[]")]);
    maker.accept(
        "path_deep",
        "A path of several parts, and an empty file.",
        input(domain, &bundle(domain, &deep)),
        told(5, &deep),
    );
    let many: Vec<String> = (0..256).map(|number| format!("p{number:03}.cedar")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|path| (path.as_str(), b"".as_slice())).collect();
    let many = set_files(&many);
    maker.accept("files_256", "As many files as there may be.", input(domain, &bundle(domain, &many)), told(5, &many));
}

/// Files that are not those of the manifest.
fn files(domain: &Domain, maker: &mut Maker) {
    let good = policy_files();
    let signed = domain.sign_manifest(&manifest(domain, &good), &[0, 1]);
    let mut bad = |name: &str, about: &str, change: &dyn Fn(&mut Files)| {
        let mut changed = good.clone();
        change(&mut changed);
        maker.refuse(name, about, input(domain, &PolicyBundle::assemble(&signed, &changed)), IntegrityFailure);
    };
    let path = |path: &str| SetPath::new(path).unwrap();
    bad("file_extra", "A file that the manifest does not list.", &|files| {
        drop(files.insert(path("more.cedar"), Vec::new()))
    });
    bad("file_extra_last", "A file after all that the manifest lists.", &|files| {
        drop(files.insert(path("z.cedar"), Vec::new()))
    });
    bad("file_missing", "A file that the manifest lists is not there.", &|files| {
        drop(files.remove(&path("floor.cedar")))
    });
    bad("file_missing_last", "The last file is not there.", &|files| drop(files.remove(&path("tests/floor.yaml"))));
    bad("file_changed", "A byte of a file is changed.", &|files| {
        let changed = flipped(&files[&path("floor.cedar")], 8);
        files.insert(path("floor.cedar"), changed);
    });
    bad("file_longer", "A file has a byte more.", &|files| files.get_mut(&path("entities.json")).unwrap().push(b'\n'));
    bad("file_renamed", "A file has another name.", &|files| {
        let bytes = files.remove(&path("floor.cedar")).unwrap();
        files.insert(path("forbid.cedar"), bytes);
    });
    let other = ManifestFields { set: digest("another set"), ..manifest(domain, &good) };
    let other = PolicyBundle::assemble(&domain.sign_manifest(&other, &[0, 1]), &good);
    maker.refuse(
        "set_other",
        "The digest of the set is not that of its files.",
        input(domain, &other),
        IntegrityFailure,
    );
}

/// The container itself.
fn containers(domain: &Domain, maker: &mut Maker) {
    let good = || Structure::of(&bundle(domain, &policy_files()));
    let file = |path: Value| array([path, bytes(b"")]);
    let mut bad = |name: &str, about: &str, changed: Structure, code: Code| {
        maker.refuse(name, about, input(domain, &changed.bytes()), code);
    };
    bad("context", "Another structure.", good().set("0", text("writ.bundle")), Malformed);
    bad("version_2", "A newer bundle.", good().set("1", Uint(2)), UnsupportedVersion);
    bad("version_text", "A version as text.", good().set("1", text("1")), Malformed);
    bad("manifest_text", "A manifest as text.", good().set("2", text("")), Malformed);
    bad("manifest_empty", "No manifest.", good().set("2", bytes(b"")), Malformed);
    bad("files_map", "Files as a map.", good().set("3", Value::Map(Vec::new())), Malformed);
    bad("files_none", "No files.", good().set("3", array([])), Malformed);
    bad(
        "files_257",
        "More files than there may be.",
        good().set("3", array((0..257).map(|number| file(text(&format!("{number:03}.cedar")))))),
        Malformed,
    );
    bad(
        "files_twice",
        "One path twice.",
        good().set("3", array([file(text("a.cedar")), file(text("a.cedar"))])),
        Malformed,
    );
    bad(
        "files_descending",
        "Paths that do not ascend.",
        good().set("3", array([file(text("b.cedar")), file(text("a.cedar"))])),
        Malformed,
    );
    bad(
        "file_three",
        "A file of three elements.",
        good().set("3/0", array([text("a.cedar"), bytes(b""), Null])),
        Malformed,
    );
    bad("file_content_text", "A file's bytes as text.", good().set("3/0/1", text("")), Malformed);
    for (name, path) in [
        ("path_up", "../a.cedar"),
        ("path_up_within", "a/../../b.cedar"),
        ("path_here", "./a.cedar"),
        ("path_absolute", "/a.cedar"),
        ("path_empty", ""),
        ("path_empty_part", "a//b.cedar"),
        ("path_slash_at_end", "a/"),
        ("path_hidden", ".git/a.cedar"),
        ("path_backslash", "a\\b.cedar"),
        ("path_space", "a b.cedar"),
        ("path_zero_byte", "a\0.cedar"),
        ("path_newline", "a.cedar\n"),
        ("path_not_ascii", "\u{e4}.cedar"),
        ("path_drive", "C:a.cedar"),
    ] {
        bad(name, "A path that a set may not have.", good().set("3/0/0", text(path)), Malformed);
    }
    bad("path_256", "A path of 256 bytes.", good().set("3/0/0", text(&"a".repeat(256))), Malformed);
    bad("path_bytes", "A path as bytes.", good().set("3/0/0", bytes(b"a.cedar")), Malformed);
    let trailing = [bundle(domain, &policy_files()), vec![0]].concat();
    maker.refuse("trailing_byte", "A byte follows.", input(domain, &trailing), Malformed);
    maker.refuse("empty", "No bytes.", input(domain, b""), Malformed);
}

/// What the manifest says, signed as it is.
fn manifests(domain: &Domain, maker: &mut Maker) {
    let good = policy_files();
    let payload = payload_of(&domain.sign_manifest(&manifest(domain, &good), &[0, 1]));
    let structure = || Structure::of(&payload);
    let (first, second) = (author(0), author(1));
    let mut bad = |name: &str, about: &str, changed: Structure, code: Code| {
        let manifest = signed(&changed.bytes(), &[&first, &second]);
        maker.refuse(name, about, input(domain, &PolicyBundle::assemble(&manifest, &good)), code);
    };
    bad(
        "manifest_kind",
        "A root statement where a manifest is expected.",
        structure().set("1", text("halt")),
        Malformed,
    );
    bad(
        "manifest_kind_unknown",
        "A kind that this reader does not know.",
        structure().set("1", text("policy")),
        UnsupportedVersion,
    );
    bad("manifest_version_2", "A newer manifest.", structure().set("2", Uint(2)), UnsupportedVersion);
    bad(
        "manifest_other_ledger",
        "A manifest for another ledger.",
        structure().set("3", text("writ.example/ledger/other")),
        UnknownAuthority,
    );
    bad(
        "manifest_other_domain",
        "A manifest for another domain.",
        structure().set("4/domain", bytes(&[9; 16])),
        UnknownAuthority,
    );
    let mut lists = |name: &str, about: &str, changed: Structure, code: Code| {
        bad(&format!("manifest_{name}"), about, changed, code);
    };
    listed(&structure, &mut lists);
}

/// What a manifest says of its files, and of its place.
fn listed(structure: &dyn Fn() -> Structure, bad: &mut dyn FnMut(&str, &str, Structure, Code)) {
    bad("unknown_field", "A field that there is not.", structure().add("4", "force", Uint(1)), Malformed);
    bad("without_files", "No list of files.", structure().remove("4/files"), Malformed);
    bad("files_none", "An empty list of files.", structure().set("4/files", array([])), Malformed);
    bad("file_two", "A listed file without its digest.", structure().remove("4/files/0/2"), Malformed);
    bad("path_up", "A listed path that leads out.", structure().set("4/files/0/0", text("../a.cedar")), Malformed);
    bad("length_wrong", "A length that is not the file's.", structure().set("4/files/0/1", Uint(7)), IntegrityFailure);
    bad(
        "digest_wrong",
        "A digest that is not the file's.",
        structure().set("4/files/0/2", bytes(&[7; 32])),
        IntegrityFailure,
    );
    bad(
        "accepts_unordered",
        "What is accepted does not ascend.",
        structure().set("4/accepts", Value::Array(vec![text("policy:b"), text("policy:a")])),
        Malformed,
    );
    bad("epoch_0", "Epoch 0.", structure().set("4/epoch", Uint(0)).remove("4/replaces"), Malformed);
    bad("first_replaces", "Epoch 1 that replaces a set.", structure().set("4/epoch", Uint(1)), Malformed);
    bad("replaces_none", "A later epoch that replaces none.", structure().remove("4/replaces"), Malformed);
    bad(
        "window_empty",
        "A window that ends as it begins.",
        structure().set("4/until_ms", Uint(5)).set("4/from_ms", Uint(5)),
        Malformed,
    );
    let twice = structure().change("4/files", |files| {
        if let Value::Array(items) = files {
            items.insert(0, items[0].clone())
        }
    });
    bad("file_twice", "A listed path twice.", twice, Malformed);
}

fn signers(domain: &Domain, maker: &mut Maker) {
    let good = policy_files();
    let payload = payload_of(&domain.sign_manifest(&manifest(domain, &good), &[0]));
    let stranger = Secret::new(writ_tlog::Algorithm::Ed25519, "stranger");
    let (first, second) = (author(0), author(1));
    let mut bad = |name: &str, about: &str, manifest: Vec<u8>, code: Code| {
        maker.refuse(name, about, input(domain, &PolicyBundle::assemble(&manifest, &good)), code);
    };
    bad("signed_by_one", "One author has signed, two must.", signed(&payload, &[&first]), SignatureInvalid);
    bad("signed_by_stranger", "One author and a stranger.", signed(&payload, &[&first, &stranger]), UnknownAuthority);
    bad(
        "signed_by_stranger_too",
        "Two authors and a stranger.",
        signed(&payload, &[&first, &second, &stranger]),
        UnknownAuthority,
    );
    let mut made = signatures(&payload, &[&first, &second]);
    made.sort();
    let mut flip = made.clone();
    flip[1].1 = flipped(&flip[1].1, 20);
    bad("signature_flipped", "A bit of a signature is changed.", envelope(&payload, &flip), SignatureInvalid);
    let mut twice = made.clone();
    twice.insert(1, made[0].clone());
    bad("signature_twice", "One signature twice.", envelope(&payload, &twice), Malformed);
    bad("signature_none", "No signature.", envelope(&payload, &[]), Malformed);
    let other = Structure::of(&payload).set("4/time_ms", Uint(1)).bytes();
    bad("signature_of_other", "Signatures over another manifest.", envelope(&other, &made), SignatureInvalid);
}

/// Where and when it may come into force.
fn places(domain: &Domain, maker: &mut Maker) {
    let good = policy_files();
    let whole = bundle(domain, &good);
    let mut bad = |name: &str, about: &str, field: &str, value: Json, code: Code| {
        let mut given = input(domain, &whole);
        given[field] = value;
        maker.refuse(name, about, given, code);
    };
    bad("epoch_again", "The epoch is in force already.", "epoch", json!(5), PolicyStale);
    bad("epoch_before", "An epoch before that in force.", "epoch", json!(9), PolicyStale);
    bad("epoch_left_out", "Two epochs on.", "epoch", json!(3), PolicyStale);
    bad(
        "replaces_other",
        "It replaces another set than that in force.",
        "set",
        json!(hex(digest("other").as_bytes())),
        PolicyMismatch,
    );
    let made = manifest(domain, &good);
    bad(
        "before_window",
        "A millisecond before its window.",
        "now_ms",
        json!((made.from_ms - 1).to_string()),
        NotYetValid,
    );
    bad(
        "after_window",
        "The millisecond in which its window ends.",
        "now_ms",
        json!(made.until_ms.to_string()),
        Expired,
    );
    let mut first = input(domain, &whole);
    first["now_ms"] = json!(made.from_ms.to_string());
    maker.accept("window_first", "The first millisecond of its window.", first, told(5, &good));
    let mut last = input(domain, &whole);
    last["now_ms"] = json!((made.until_ms - 1).to_string());
    maker.accept("window_last", "The last millisecond of its window.", last, told(5, &good));
}
