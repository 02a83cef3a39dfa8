use super::{digest_of, error, folder, forbid, history, in_force, publish_accepting, signed_site};
use crate::site::{Site, json, stderr, stdout};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use writ_client::blocking::Client;
use writ_client::{Endpoint, OrderAnswer};
use writ_protocol::action::{Action, Command, Order};
use writ_protocol::entry::{Ascending, Positive};
use writ_protocol::statement::{Ask, Manifest, ManifestFields, Request, Signed};
use writ_protocol::{Code, Label, PolicyBundle, RequestKey, SetPath, TrustRoot, encode_policy_set};
use writ_tlog::{Algorithm, Hash, Origin, SigningKey, sha256};

type Files = BTreeMap<SetPath, Vec<u8>>;

fn seed(site: &Site, file: &str) -> SigningKey {
    let text = fs::read_to_string(site.path(file)).unwrap();
    let digits = text.trim().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
    SigningKey::from_seed(Algorithm::Ed25519, &bytes.try_into().unwrap())
}

fn origin() -> Origin {
    Origin::new("acme.example/ledger").unwrap()
}

fn now_ms() -> u64 {
    u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Hands bytes in as ada, past everything that the command would look at before.
fn hand_in(site: &Site, bundle: &[u8]) -> OrderAnswer {
    let order = Order { command: Command::Publish(sha256(bundle)), reason: Label::new("test").unwrap() };
    hand_in_for(site, bundle, Action::Order(order))
}

fn hand_in_for(site: &Site, bundle: &[u8], action: Action) -> OrderAnswer {
    let random = |about: &[u8]| *sha256(&[about, &now_ms().to_be_bytes(), bundle].concat()).as_bytes();
    let request = Request {
        key: RequestKey::new(now_ms(), random(b"key")[..10].try_into().unwrap()),
        salt: random(b"salt"),
        time_ms: now_ms(),
        principal: None,
        action_salt: random(b"action"),
        action: action.encode().unwrap(),
        ask: Ask::Order,
    };
    let signed = request.sign(&origin(), &seed(site, "acme/keys/principals/User/ada.seed"));
    let endpoint = Endpoint::unix(&site.path("acme/run/node.sock"));
    Client::connect(&endpoint).unwrap().publish(&signed, bundle).unwrap()
}

fn denied(answer: OrderAnswer) -> (Code, String) {
    match answer {
        OrderAnswer::Deny(denial) => (denial.code, denial.why),
        other @ (OrderAnswer::Recorded(_) | OrderAnswer::Refused(_)) => panic!("expected a denial, found {other:?}"),
    }
}

fn files(site: &Site, folder: &str) -> Files {
    let read = fs::read_dir(site.path(folder)).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (SetPath::new(entry.file_name().to_str().unwrap()).unwrap(), fs::read(entry.path()).unwrap())
    });
    read.collect()
}

fn digest(files: &Files) -> Hash {
    sha256(&encode_policy_set(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))))
}

fn hash(text: &str) -> Hash {
    let bytes: Vec<u8> = text
        .as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect();
    Hash::from_slice(&bytes).unwrap()
}

/// What its authors say of files, for the epoch after that in force.
fn manifest(site: &Site, files: &Files) -> ManifestFields {
    let (epoch, set) = in_force(site);
    let trust = TrustRoot::parse(&fs::read(site.path("acme/trust-root")).unwrap()).unwrap();
    ManifestFields {
        set: digest(files),
        epoch: Positive::new(epoch + 1).unwrap(),
        files: Manifest::list(files),
        domain: trust.domain(),
        accepts: Ascending::new([]),
        from_ms: now_ms() - 60_000,
        time_ms: now_ms(),
        replaces: Some(hash(&set)),
        until_ms: now_ms() + 600_000,
    }
}

fn sign(site: &Site, fields: ManifestFields, authors: &[&str]) -> Vec<u8> {
    let keys: Vec<SigningKey> = authors.iter().map(|file| seed(site, file)).collect();
    Manifest::new(fields).unwrap().sign(&origin(), &keys.iter().collect::<Vec<_>>())
}

const TWO: [&str; 2] = ["a1.seed", "a3.seed"];

#[test]
fn a_signed_set_comes_into_force_and_no_folder_changes_it() {
    let mut site = signed_site();
    assert_eq!(in_force(&site).0, 1);
    let added = site.writ(&["key", "new", "--principal", "Agent::scout", "--group", "agents", "--add"]);
    assert!(stdout(&added).contains("its authors publish them with the set"), "{}", stdout(&added));
    folder(&site, "next", &forbid("deploy"));
    let published = json(&publish_accepting(&site, "next", "entities"));
    let next = digest_of(&site, &site.path("next"));
    assert_eq!((published["epoch"].as_u64(), published["set"].as_str()), (Some(2), Some(next.as_str())));
    assert_eq!(in_force(&site), (2, next.clone()));
    assert_eq!(site.run(&["/usr/bin/echo", "deploy"]).status.code(), Some(126));
    assert_eq!(site.run(&["/usr/bin/echo", "hello"]).status.code(), Some(0));
    // The folder may say what it likes, or not be there at all.
    site.permit_everything();
    site.kill_node();
    site.start();
    assert_eq!(in_force(&site), (2, next.clone()));
    fs::remove_dir_all(site.path("acme/policy")).unwrap();
    site.kill_node();
    site.start();
    assert_eq!(in_force(&site), (2, next.clone()));
    assert_eq!(site.run(&["/usr/bin/echo", "deploy"]).status.code(), Some(126));
    let grant: serde_json::Value = serde_json::from_str(&site.newest("grant")).unwrap();
    assert_eq!(grant["body"]["policy"]["epoch"], 2, "a decision names the epoch that it was made in");
    let history = history(&site);
    let second = &history["epochs"][1];
    assert_eq!((second["epoch"].as_u64(), second["set"].as_str()), (Some(2), Some(next.as_str())));
    assert_eq!(second["signers"].as_array().unwrap().len(), 2);
    assert_eq!(second["by"], "User::ada");
    let gates: Vec<&str> =
        second["gates"].as_array().unwrap().iter().map(|one| one["gate"].as_str().unwrap()).collect();
    assert_eq!(
        gates,
        [
            "files",
            "syntax",
            "ids",
            "entities",
            "validation",
            "level",
            "fixtures",
            "never_errors",
            "guardrails",
            "no_wider",
            "backtest",
        ]
    );
    site.audit();
}

#[test]
fn what_is_wrong_with_a_bundle_is_refused_recorded_and_without_effect() {
    let mut site = signed_site();
    folder(&site, "next", &forbid("deploy"));
    let files = files(&site, "next");
    let before = in_force(&site);
    let good = || manifest(&site, &files);
    let path = |path: &str| SetPath::new(path).unwrap();
    let whole = PolicyBundle::assemble(&sign(&site, good(), &TWO), &files);
    let with = |fields: ManifestFields, authors: &[&str]| PolicyBundle::assemble(&sign(&site, fields, authors), &files);
    let changed = |change: &dyn Fn(&mut Files)| {
        let mut other = files.clone();
        change(&mut other);
        PolicyBundle::assemble(&sign(&site, good(), &TWO), &other)
    };
    // A path is bytes of the bundle: one that leads out has the length of one that does not.
    let hostile = |wanted: &str| {
        let mut bytes = whole.clone();
        let place = bytes.windows(10).rposition(|found| found == b"more.cedar").unwrap();
        bytes[place..place + 10].copy_from_slice(wanted.as_bytes());
        bytes
    };
    let stranger = "acme/keys/principals/Agent/builder.seed";
    let cases: Vec<(&str, Vec<u8>, Code)> = vec![
        ("nothing", Vec::new(), Code::Malformed),
        ("noise", b"not a bundle".to_vec(), Code::Malformed),
        ("a byte more", [whole.clone(), vec![0]].concat(), Code::Malformed),
        ("cut off", whole[..whole.len() - 1].to_vec(), Code::Malformed),
        ("too long", [whole.clone(), vec![0; 5 * 1024 * 1024]].concat(), Code::Malformed),
        ("a path that leads out", hostile("../a.cedar"), Code::Malformed),
        ("an absolute path", hostile("/tmp/cedar"), Code::Malformed),
        ("a hidden path", hostile(".bashrc.rc"), Code::Malformed),
        (
            "an extra file",
            changed(&|files| drop(files.insert(path("extra.cedar"), Vec::new()))),
            Code::IntegrityFailure,
        ),
        ("a missing file", changed(&|files| drop(files.remove(&path("more.cedar")))), Code::IntegrityFailure),
        (
            "a changed file",
            changed(&|files| files.get_mut(&path("more.cedar")).unwrap()[5] ^= 1),
            Code::IntegrityFailure,
        ),
        (
            "an old epoch",
            with(ManifestFields { epoch: Positive::ONE, replaces: None, ..good() }, &TWO),
            Code::PolicyStale,
        ),
        (
            "an epoch too far",
            with(ManifestFields { epoch: Positive::new(3).unwrap(), ..good() }, &TWO),
            Code::PolicyStale,
        ),
        (
            "another set before",
            with(ManifestFields { replaces: Some(sha256(b"other")), ..good() }, &TWO),
            Code::PolicyMismatch,
        ),
        ("expired", with(ManifestFields { until_ms: now_ms() - 1, ..good() }, &TWO), Code::Expired),
        ("not yet valid", with(ManifestFields { from_ms: now_ms() + 300_000, ..good() }, &TWO), Code::NotYetValid),
        ("one author", with(good(), &["a2.seed"]), Code::SignatureInvalid),
        ("a stranger", with(good(), &["a2.seed", stranger]), Code::UnknownAuthority),
        (
            "another domain",
            with(ManifestFields { domain: writ_protocol::DomainId::from_bytes([7; 16]), ..good() }, &TWO),
            Code::UnknownAuthority,
        ),
    ];
    for (what, bundle, code) in &cases {
        assert_eq!(denied(hand_in(&site, bundle)).0, *code, "{what}");
        assert_eq!(in_force(&site), before, "{what}");
    }
    let halt = Action::Order(Order { command: Command::Halt, reason: Label::new("test").unwrap() });
    assert_eq!(denied(hand_in_for(&site, &whole, halt)).0, Code::Malformed);
    let other = Order { command: Command::Publish(sha256(b"other")), reason: Label::new("test").unwrap() };
    assert_eq!(denied(hand_in_for(&site, &whole, Action::Order(other))).0, Code::IntegrityFailure);
    let told = history(&site);
    let codes: Vec<&str> =
        told["refused"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    let expected: Vec<&str> =
        cases.iter().map(|(_, _, code)| code.as_str()).chain(["malformed", "integrity_failure"]).collect();
    assert_eq!(codes, expected, "each refusal is an entry that says why");
    assert_eq!(told["epochs"].as_array().unwrap().len(), 1);
    oversized(&site);
    assert_eq!(in_force(&site), before);
    assert!(matches!(hand_in(&site, &whole), OrderAnswer::Recorded(_)), "the bundle itself is good");
    assert_eq!(denied(hand_in(&site, &whole)).0, Code::PolicyStale, "and good once");
    site.audit();
}

/// A hundred megabytes are refused by their length, before they are read.
fn oversized(site: &Site) {
    let mut stream = UnixStream::connect(site.path("acme/run/node.sock")).unwrap();
    let head = "POST /v1/policies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    let large = site.path("large.writ-policy");
    fs::File::create(&large).unwrap().set_len(100 * 1024 * 1024).unwrap();
    let refused = error(&site.writ(&["--json", "policy", "publish", "large.writ-policy"]));
    assert_eq!(refused["code"], "malformed", "{refused}");
}

#[test]
fn a_set_that_fails_a_gate_is_refused_with_what_the_gate_found() {
    let mut site = signed_site();
    let before = in_force(&site);
    folder(&site, "next", &forbid("deploy"));
    let good = files(&site, "next");
    let path = |path: &str| SetPath::new(path).unwrap();
    let wrong = "- name: ada deploys\n  principal: User::ada\n  run: [/usr/bin/echo, deploy]\n  expect: permit\n";
    let cases: [(&str, &str, &str); 5] = [
        ("tests/wrong.yaml", wrong, "`ada deploys`: expected permit, found policy_denied by deploy"),
        ("tests/broken.yaml", "- name: [", "tests/broken.yaml"),
        ("more.cedar", "permit (principal, action, resource);", "the policy has no `@id`"),
        ("principals.json", "{}", "principals.json"),
        ("run.sh", "exit", "none of the files"),
    ];
    for (file, content, what) in cases {
        let mut other = good.clone();
        other.insert(path(file), content.as_bytes().to_vec());
        let bundle = PolicyBundle::assemble(&sign(&site, manifest(&site, &other), &TWO), &other);
        let (code, why) = denied(hand_in(&site, &bundle));
        assert_eq!(code, Code::GateFailed, "{file}");
        assert!(why.contains(what), "{file}: {why}");
        assert_eq!(in_force(&site), before, "{file}");
    }
    let told = history(&site);
    let first = told["refused"][0]["why"].as_str().unwrap();
    assert!(first.contains("validation: passed, ") && first.contains("fixtures: failed"), "{first}");
    // Nobody is asked to sign what would be refused.
    fs::create_dir(site.path("next/tests")).unwrap();
    fs::write(site.path("next/tests/wrong.yaml"), wrong).unwrap();
    let sign = site.writ(&["policy", "sign", "next", "-o", "next.writ-policy", "--author", "a1.seed"]);
    assert_eq!(sign.status.code(), Some(1));
    fs::remove_dir_all(site.path("next/tests")).unwrap();
    json(&site.writ(&["--json", "policy", "sign", "next", "-o", "sound.writ-policy", "--author", "a1.seed"]));
    let checked = json(&site.writ(&["--json", "policy", "check", "sound.writ-policy"]));
    assert_eq!(checked["digest"], digest_of(&site, &site.path("next")), "an author looks at a bundle before signing");
    assert!(stderr(&sign).contains("was not signed") && !site.path("next.writ-policy").exists(), "{}", stderr(&sign));
    site.audit();
}

#[test]
fn without_an_answer_nobody_says_that_it_is_refused() {
    let site = signed_site();
    folder(&site, "next", &forbid("nothing"));
    let mute = site.path("mute.sock");
    let _listener = UnixListener::bind(&mute).unwrap();
    let node = format!("unix:{}", mute.display());
    let sign = ["policy", "sign", "next", "-o", "next.b", "--author", "a1.seed", "--author", "a2.seed"];
    assert_eq!(site.writ(&sign).status.code(), Some(0));
    let sent = ["policy", "publish", "next.b", "--timeout", "1", "--node", &node];
    let told = site.writ(&sent);
    assert_eq!(told.status.code(), Some(3));
    assert!(stderr(&told).contains("it is not known whether the set came into force"), "{}", stderr(&told));
}

#[test]
fn an_authors_revoked_key_signs_nothing_any_more() {
    let mut site = signed_site();
    let before = in_force(&site);
    folder(&site, "next", &forbid("deploy"));
    let files = files(&site, "next");
    let bundle = PolicyBundle::assemble(&sign(&site, manifest(&site, &files), &TWO), &files);
    let signers = Signed::decode(PolicyBundle::decode(&bundle, &origin()).unwrap().signed())
        .unwrap()
        .signers()
        .collect::<Vec<_>>();
    let revoked = site.writ(&["revoke", "--fingerprint", &signers[0].to_string()]);
    assert_eq!(revoked.status.code(), Some(0), "{}", stderr(&revoked));
    assert_eq!(denied(hand_in(&site, &bundle)).0, Code::Revoked);
    assert_eq!(in_force(&site), before);
    site.audit();
}

#[test]
fn where_no_authors_are_pinned_the_folder_is_followed_and_no_bundle_taken() {
    let mut site = Site::up();
    json(&site.writ(&["--json", "policy", "author", "a1.seed"]));
    folder(&site, "next", &forbid("deploy"));
    let before = in_force(&site);
    let refused = error(&site.writ(&["--json", "policy", "publish", "next", "--author", "a1.seed"]));
    assert_eq!(refused["code"], "unknown_authority", "{refused}");
    assert_eq!(in_force(&site), before);
    site.permit_everything();
    crate::site::wait("the node to take the folder", || in_force(&site).0 == 2);
    let signers = &history(&site)["epochs"][1]["signers"];
    assert!(signers.is_null(), "{signers}");
    // A fixture that fails keeps a folder out too.
    fs::create_dir(site.path("acme/policy/tests")).unwrap();
    let fixture = "- name: nothing\n  principal: User::ada\n  run: [/x]\n  expect: deny\n";
    fs::write(site.path("acme/policy/tests/t.yaml"), fixture).unwrap();
    crate::site::wait("the node to refuse it", || !site.status()["policy_refused"].is_null());
    assert_eq!(in_force(&site).0, 2);
    site.audit();
}
