use super::BASE_MS;
use super::case::{Case, Maker, hex};
use super::mutation::{Structure, array, bytes, flipped, map, text};
use crate::scenario::{Domain, ORIGIN, Secret, author, authors, digest, envelope, payload_of, statement_message};
use serde_json::{Value as Json, json};
use writ_protocol::Code::{self, Malformed, SignatureInvalid, UnknownAuthority, UnsupportedVersion};
use writ_protocol::cbor::Value::{self, Null, Uint};
use writ_protocol::entry::{Ascending, Positive, RootMembers};
use writ_protocol::statement::{Claim, Ending, RootCommand, Signal};
use writ_protocol::{ExecutionId, Label};
use writ_tlog::{Algorithm, Hash};

pub(super) fn cases() -> Vec<Case> {
    let domain = Domain::new(BASE_MS);
    [gateway(&domain), gateway_faults(&domain), root(&domain), root_faults(&domain)].concat()
}

/// Signs a payload with keys, in the order of their fingerprints.
pub(super) fn signed(payload: &[u8], secrets: &[&Secret]) -> Vec<u8> {
    let mut signatures = signatures(payload, secrets);
    signatures.sort();
    envelope(payload, &signatures)
}

pub(super) fn signatures(payload: &[u8], secrets: &[&Secret]) -> Vec<(Hash, Vec<u8>)> {
    let message = statement_message(payload);
    secrets.iter().map(|secret| (secret.public().fingerprint().0, secret.sign(&message))).collect()
}

fn claims() -> Vec<(&'static str, &'static str, Claim)> {
    let (writ, execution) = (digest("writ"), ExecutionId::new(BASE_MS, [1; 10]));
    let ended = |result| Claim::Ended { writ, execution, result };
    let spent = |index, usage| Claim::Spent { writ, index, execution, usage };
    let labelled = |labels: &[&str]| Claim::Labelled {
        writ,
        execution,
        labels: Ascending::new(labels.iter().map(|label| Label::new(*label).unwrap())),
    };
    let refused = |writ, action| Claim::Refused { code: Code::Revoked, writ, action };
    vec![
        ("spent", "spent", spent(7, Positive::ONE)),
        ("spent_largest", "spent", spent(u64::MAX, Positive::new(u64::MAX).unwrap())),
        (
            "started",
            "started",
            Claim::Started { writ, execution, action: digest("action"), surroundings: digest("surroundings") },
        ),
        ("ended_exited_0", "ended", ended(Ending::Exited(0))),
        ("ended_exited_255", "ended", ended(Ending::Exited(255))),
        ("ended_signaled_1", "ended", ended(Ending::Signaled(Signal::new(1).unwrap()))),
        ("ended_signaled_64", "ended", ended(Ending::Signaled(Signal::new(64).unwrap()))),
        ("ended_terminated", "ended", ended(Ending::Terminated(Code::ViewStale))),
        ("ended_unknown", "ended", ended(Ending::Unknown)),
        ("labelled", "labelled", labelled(&["secret-read"])),
        ("labelled_two", "labelled", labelled(&["secret-read", "untrusted"])),
        ("refused", "refused", refused(None, None)),
        ("refused_all", "refused", refused(Some(writ), Some(digest("action")))),
        ("heartbeat", "heartbeat", Claim::Heartbeat { size: 0, root: writ_tlog::empty_root() }),
    ]
}

fn gateway_input(domain: &Domain, statement: &[u8]) -> Json {
    let key = domain.gateway_key(0, 1).public();
    json!({ "hex": hex(statement), "origin": ORIGIN, "key": hex(key.as_bytes()) })
}

fn gateway(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "gateway");
    for (name, kind, claim) in claims() {
        let statement = domain.speaker(0, 1).statement(claim);
        let results = json!({ "kind": kind, "gateway": "gateway-1", "epoch": 1, "seq": statement.seq.get() });
        let signed = domain.speaker(0, 1).sign(&statement);
        maker.accept(name, &format!("A gateway's statement {kind}."), gateway_input(domain, &signed), results);
    }
    maker.done()
}

fn gateway_faults(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "gateway");
    let key = domain.gateway_key(0, 1);
    let claim = |wanted: &str| claims().into_iter().find(|(name, ..)| *name == wanted).unwrap().2;
    let (started, ended) = (claim("started"), claim("ended_exited_0"));
    let started = payload_of(&domain.speaker(0, 1).sign(&domain.speaker(0, 1).statement(started)));
    let ended = payload_of(&domain.speaker(0, 1).sign(&domain.speaker(0, 1).statement(ended)));
    let good = || Structure::of(&started);
    for (name, about, changed, code) in payload_faults(&good, &Structure::of(&ended)) {
        let statement = signed(&changed.bytes(), &[&key]);
        maker.refuse(name, about, gateway_input(domain, &statement), code);
    }
    let labelled = claim("labelled");
    let labelled = payload_of(&domain.speaker(0, 1).sign(&domain.speaker(0, 1).statement(labelled)));
    for (name, about, labels) in [
        ("labelled_nothing", "A report of no label.", array([])),
        ("labelled_unsorted", "Labels that do not ascend.", array(["b", "a"].map(text))),
        ("labelled_twice", "One label twice.", array(["a", "a"].map(text))),
    ] {
        let changed = Structure::of(&labelled).set("4/labels", labels);
        let statement = signed(&changed.bytes(), &[&key]);
        maker.refuse(name, about, gateway_input(domain, &statement), Malformed);
    }
    let statement = signed(&started, &[&key]);
    for (name, about, changed, code) in envelope_faults(domain, &started) {
        maker.refuse(name, about, gateway_input(domain, &changed), code);
    }
    let signature = key.sign(&started);
    let other_domain = envelope(&started, &[(key.public().fingerprint().0, signature)]);
    maker.refuse(
        "message_without_prefix",
        "A signature over the payload alone.",
        gateway_input(domain, &other_domain),
        SignatureInvalid,
    );
    let message = [b"writ.signed/v2\n".as_slice(), &started].concat();
    let prefixed = envelope(&started, &[(key.public().fingerprint().0, key.sign(&message))]);
    maker.refuse(
        "message_other_prefix",
        "A signature with the prefix of another version.",
        gateway_input(domain, &prefixed),
        SignatureInvalid,
    );
    let root = domain.sign_root(&domain.root_statement(halt()), &[&domain.root_keys()[0]]);
    let root = signed(&payload_of(&root), &[&key]);
    maker.refuse(
        "root_kind_for_gateway",
        "A root statement where a gateway's is expected.",
        gateway_input(domain, &root),
        Malformed,
    );
    let trailing = [statement, vec![0]].concat();
    maker.refuse("trailing_byte", "A byte follows.", gateway_input(domain, &trailing), Malformed);
    maker.done()
}

type Fault = (&'static str, &'static str, Structure, Code);

fn payload_faults(good: &dyn Fn() -> Structure, ended: &Structure) -> Vec<Fault> {
    let result = |name, about, value| (name, about, ended.clone().set("4/result", value), Malformed);
    let kind = |kind: &str| ("kind", text(kind));
    vec![
        ("payload_context", "The payload has the context of an entry.", good().set("0", text("writ.entry")), Malformed),
        ("kind_unknown", "A kind that this reader does not know.", good().set("1", text("paused")), UnsupportedVersion),
        (
            "payload_version_2",
            "A version that this reader does not know.",
            good().set("2", Uint(2)),
            UnsupportedVersion,
        ),
        (
            "origin_other",
            "A statement for another ledger.",
            good().set("3", text("writ.example/ledger/other")),
            UnknownAuthority,
        ),
        ("epoch_0", "There is no epoch 0.", good().set("4/epoch", Uint(0)), Malformed),
        ("seq_0", "Statements are counted from 1.", good().set("4/seq", Uint(0)), Malformed),
        ("gateway_not_name", "The gateway has no name.", good().set("4/gateway", text("")), Malformed),
        ("field_missing", "The surroundings are missing.", good().remove("4/surroundings"), Malformed),
        ("field_unknown", "A field that the version does not have.", good().add("4", "note", text("")), Malformed),
        ("action_short", "An action digest of 31 bytes.", good().set("4/action", bytes(&[1; 31])), Malformed),
        ("time_null", "The time is null.", good().set("4/time_ms", Null), Malformed),
        ("payload_body_array", "The body is an array.", good().set("4", array([])), Malformed),
        result("status_256", "A status above 255.", map([kind("exited"), ("status", Uint(256))])),
        result("signal_0", "There is no signal 0.", map([kind("signaled"), ("signal", Uint(0))])),
        result("signal_65", "There is no signal 65.", map([kind("signaled"), ("signal", Uint(65))])),
        result(
            "terminated_unknown_code",
            "A refusal code that there is not.",
            map([kind("terminated"), ("code", text("tired"))]),
        ),
        result("unknown_with_status", "An unknown end with a status.", map([kind("unknown"), ("status", Uint(0))])),
        result("result_kind_unknown", "An end that there is not.", map([kind("paused")])),
        result("exited_without_status", "An exit without a status.", map([kind("exited")])),
        result("status_negative", "A status below 0.", map([kind("exited"), ("status", Value::Nint(-1))])),
    ]
}

fn envelope_faults(domain: &Domain, payload: &[u8]) -> Vec<(&'static str, &'static str, Vec<u8>, Code)> {
    let (key, other) = (domain.gateway_key(0, 1), domain.gateway_key(1, 1));
    let good = Structure::of(&signed(payload, &[&key]));
    let signature = key.sign(&statement_message(payload));
    let by = key.public().fingerprint().0;
    let with = |signature: Vec<u8>| envelope(payload, &[(by, signature)]);
    let mut two = signatures(payload, &[&key, &other]);
    two.sort();
    let long = vec![1; 2420];
    vec![
        ("signature_flipped", "A bit of the signature is changed.", with(flipped(&signature, 10)), SignatureInvalid),
        (
            "payload_flipped",
            "A bit of the payload is changed after it was signed.",
            good.clone().set("2", bytes(&time_changed(payload))).bytes(),
            SignatureInvalid,
        ),
        (
            "signature_of_other_under_fingerprint",
            "The signature of another key below this one's fingerprint.",
            with(other.sign(&statement_message(payload))),
            SignatureInvalid,
        ),
        ("key_other", "Signed by another key.", signed(payload, &[&other]), UnknownAuthority),
        ("two_signatures", "A second signature beside the right one.", envelope(payload, &two), UnknownAuthority),
        ("no_signature", "No signature.", envelope(payload, &[]), Malformed),
        ("signature_63", "A signature of 63 bytes.", with(signature[..63].to_vec()), Malformed),
        ("signature_65", "A signature of 65 bytes.", with([signature.as_slice(), &[0]].concat()), Malformed),
        ("signature_2420", "A signature with the length of the other algorithm.", with(long), SignatureInvalid),
        ("envelope_context", "Another envelope.", good.clone().set("0", text("writ.statement")).bytes(), Malformed),
        ("envelope_version_2", "A newer envelope.", good.clone().set("1", Uint(2)).bytes(), UnsupportedVersion),
        (
            "payload_not_wrapped",
            "The payload is not wrapped as bytes.",
            good.clone().set("2", Structure::of(payload).get("")).bytes(),
            Malformed,
        ),
        ("payload_not_cbor", "The payload is no CBOR.", signed(b"spent", &[&key]), Malformed),
        ("fingerprint_31", "A fingerprint of 31 bytes.", good.clone().set("3/0/0", bytes(&[1; 31])).bytes(), Malformed),
        (
            "five_elements",
            "An array of five.",
            good.clone()
                .change("", |value| {
                    if let Value::Array(items) = value {
                        items.push(Null)
                    }
                })
                .bytes(),
            Malformed,
        ),
    ]
}

/// The same payload at another time: still well formed.
fn time_changed(payload: &[u8]) -> Vec<u8> {
    Structure::of(payload).set("4/time_ms", Uint(1)).bytes()
}

fn halt() -> RootCommand {
    RootCommand::Halt(Label::new("drill").unwrap())
}

pub(super) fn root_input(domain: &Domain, statement: &[u8]) -> Json {
    let members: Vec<_> =
        domain.root_keys().iter().map(|member| member.both().map(|key| hex(key.public().as_bytes()))).collect();
    json!({
        "hex": hex(statement),
        "origin": ORIGIN,
        "domain": hex(domain.id().as_bytes()),
        "threshold": 2,
        "members": members,
    })
}

fn root(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "root");
    let other = Domain::at("writ.example/ledger/other", BASE_MS);
    let [first, second, third] = domain.root_keys() else { panic!("three root members") };
    let label = || Label::new("drill").unwrap();
    let members = RootMembers::new(1, vec![first.key_pair(), other.root_keys()[0].key_pair()]).unwrap();
    for (kind, order) in [
        ("halt", RootCommand::Halt(label())),
        ("resume", RootCommand::Resume(label())),
        ("ledger-keys", RootCommand::LedgerKeys(other.ledger_keys().key_pair())),
        ("root-keys", RootCommand::RootKeys(members)),
        ("policy-authors", RootCommand::PolicyAuthors(authors(2))),
    ] {
        let signed = domain.sign_root(&domain.root_statement(order), &[first, second]);
        let name = format!("root_{}", kind.replace('-', "_"));
        maker.accept(&name, &format!("A root statement {kind}."), root_input(domain, &signed), json!({ "kind": kind }));
    }
    let all = domain.sign_root(&domain.root_statement(halt()), &[first, second, third]);
    maker.accept(
        "root_all_members",
        "More members have signed than must.",
        root_input(domain, &all),
        json!({ "kind": "halt" }),
    );
    let last = domain.sign_root(&domain.root_statement(halt()), &[second, third]);
    maker.accept("root_other_members", "Any two members.", root_input(domain, &last), json!({ "kind": "halt" }));
    maker.done()
}

fn root_faults(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "root");
    let [first, second, third] = domain.root_keys() else { panic!("three root members") };
    let stranger = Secret::new(Algorithm::Ed25519, "stranger");
    let payload = payload_of(&domain.sign_root(&domain.root_statement(halt()), &[]));
    let secrets = |pairs: &[&'_ crate::scenario::SecretPair]| -> Vec<(Hash, Vec<u8>)> {
        let mut made = pairs.iter().flat_map(|pair| signatures(&payload, &pair.both())).collect::<Vec<_>>();
        made.sort();
        made
    };
    let two = secrets(&[first, second]);
    let without = |key: &Secret| {
        let mut half = secrets(&[first, second]);
        half.retain(|(by, _)| *by != key.public().fingerprint().0);
        half
    };
    let mut bad = |name: &str, about: &str, signatures: &[(Hash, Vec<u8>)], code: Code| {
        maker.refuse(name, about, root_input(domain, &envelope(&payload, signatures)), code);
    };
    bad("root_below_threshold", "One member has signed, two must.", &secrets(&[first]), SignatureInvalid);
    bad(
        "root_half_pair_ml_dsa",
        "A member has signed with its ML-DSA-44 key only.",
        &without(&second.ed25519),
        SignatureInvalid,
    );
    bad(
        "root_half_pair_ed25519",
        "A member has signed with its Ed25519 key only.",
        &without(&second.ml_dsa_44),
        SignatureInvalid,
    );
    let mut beside = secrets(&[first, second]);
    beside.extend(signatures(&payload, &[&third.ed25519]));
    beside.sort();
    bad("root_half_pair_beside_enough", "Half a pair beside enough whole ones.", &beside, SignatureInvalid);
    let mut strange = secrets(&[first, second]);
    strange.extend(signatures(&payload, &[&stranger]));
    strange.sort();
    bad("root_unknown_signer", "A signature by a key that no member holds.", &strange, UnknownAuthority);
    let mut unsorted = two.clone();
    unsorted.swap(0, 1);
    bad("root_unsorted", "Signatures that do not ascend.", &unsorted, Malformed);
    let mut twice = two.clone();
    twice.insert(1, two[0].clone());
    bad("root_signature_twice", "One signature twice.", &twice, Malformed);
    for (name, about, key) in [
        ("root_flipped_ed25519", "A bit of an Ed25519 signature is changed.", &second.ed25519),
        ("root_flipped_ml_dsa", "A bit of an ML-DSA-44 signature is changed.", &second.ml_dsa_44),
    ] {
        let mut changed = two.clone();
        let signature = changed.iter_mut().find(|(by, _)| *by == key.public().fingerprint().0).unwrap();
        signature.1 = flipped(&signature.1, 20);
        bad(name, about, &changed, SignatureInvalid);
    }
    let many: Vec<_> = (0..33u8).map(|byte| (Hash::from_bytes([byte; 32]), vec![0; 64])).collect();
    bad("root_33_signatures", "More signatures than there may be.", &many, Malformed);
    root_payload_faults(domain, &payload, &mut maker);
    root_authors_faults(domain, &payload, &mut maker);
    maker.done()
}

fn root_authors_faults(domain: &Domain, payload: &[u8], maker: &mut Maker) {
    let [first, second, _] = domain.root_keys() else { panic!("three root members") };
    let keys: Vec<&Secret> = [first, second].into_iter().flat_map(|pair| pair.both()).collect();
    let good = Structure::of(payload).remove("4/reason").set("1", text("policy-authors"));
    let key = || bytes(author(0).public().as_bytes());
    let ml_dsa = || bytes(first.ml_dsa_44.public().as_bytes());
    let pinned = |threshold, keys: Value| good.clone().add("4", "threshold", Uint(threshold)).add("4", "keys", keys);
    for (name, about, changed, code) in [
        ("root_authors_none", "No policy authors.", pinned(1, array([])), Malformed),
        ("root_authors_threshold_0", "A threshold of 0.", pinned(0, array([key()])), Malformed),
        ("root_authors_threshold_2_of_1", "A threshold above the authors.", pinned(2, array([key()])), Malformed),
        ("root_authors_twice", "One author twice.", pinned(1, array([key(), key()])), Malformed),
        ("root_authors_ml_dsa", "An author with an ML-DSA-44 key.", pinned(1, array([ml_dsa()])), Malformed),
    ] {
        maker.refuse(name, about, root_input(domain, &signed(&changed.bytes(), &keys)), code);
    }
}

fn root_payload_faults(domain: &Domain, payload: &[u8], maker: &mut Maker) {
    let [first, second, _] = domain.root_keys() else { panic!("three root members") };
    let keys: Vec<&Secret> = [first, second].into_iter().flat_map(|pair| pair.both()).collect();
    let good = || Structure::of(payload);
    let pair = |pair: &crate::scenario::SecretPair| array(pair.both().map(|key| bytes(key.public().as_bytes())));
    let swapped = array([bytes(first.ml_dsa_44.public().as_bytes()), bytes(first.ed25519.public().as_bytes())]);
    let kind = |kind: &str| good().remove("4/reason").set("1", text(kind));
    let members = |threshold, members: Value| {
        kind("root-keys").add("4", "threshold", Uint(threshold)).add("4", "members", members)
    };
    for (name, about, changed, code) in [
        (
            "root_other_domain",
            "A statement for another domain.",
            good().set("4/domain", bytes(&[9; 16])),
            UnknownAuthority,
        ),
        (
            "root_other_origin",
            "A statement for another ledger.",
            good().set("3", text("writ.example/ledger/other")),
            UnknownAuthority,
        ),
        (
            "root_kind_unknown",
            "A kind that this reader does not know.",
            good().set("1", text("pardon")),
            UnsupportedVersion,
        ),
        ("root_version_2", "A version that this reader does not know.", good().set("2", Uint(2)), UnsupportedVersion),
        (
            "root_field_unknown",
            "A field that the version does not have.",
            good().add("4", "until_ms", Uint(1)),
            Malformed,
        ),
        ("root_without_reason", "No reason.", good().remove("4/reason"), Malformed),
        ("root_id_short", "An id of 15 bytes.", good().set("4/id", bytes(&[1; 15])), Malformed),
        (
            "root_ledger_keys_swapped",
            "The ML-DSA-44 key stands first.",
            kind("ledger-keys").add("4", "keys", swapped),
            Malformed,
        ),
        (
            "root_ledger_keys_one",
            "One key.",
            kind("ledger-keys").add("4", "keys", array([bytes(first.ed25519.public().as_bytes())])),
            Malformed,
        ),
        ("root_keys_threshold_2_of_1", "A threshold above the members.", members(2, array([pair(first)])), Malformed),
        ("root_keys_threshold_0", "A threshold of 0.", members(0, array([pair(first)])), Malformed),
        ("root_keys_member_twice", "One member twice.", members(1, array([pair(first), pair(first)])), Malformed),
    ] {
        maker.refuse(name, about, root_input(domain, &signed(&changed.bytes(), &keys)), code);
    }
    let heartbeat = domain.speaker(0, 1).statement(Claim::Heartbeat { size: 2, root: digest("root") });
    let heartbeat = signed(&payload_of(&domain.speaker(0, 1).sign(&heartbeat)), &keys);
    maker.refuse(
        "gateway_kind_for_root",
        "A gateway's statement where the root's is expected.",
        root_input(domain, &heartbeat),
        Malformed,
    );
}
