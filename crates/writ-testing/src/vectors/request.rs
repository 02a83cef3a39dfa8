//! What principals ask, and the surroundings that they state.

use super::BASE_MS;
use super::case::{Case, Maker, hex};
use super::mutation::{Structure, array, bytes, flipped, map, text};
use super::statement::{signatures, signed};
use crate::scenario::{Domain, ORIGIN, Secret, digest, envelope, payload_of, statement_message};
use serde_json::{Value as Json, json};
use writ_protocol::Code::{self, Malformed, SignatureInvalid, UnknownAuthority, UnsupportedVersion};
use writ_protocol::action::{Command, CommitmentKind, Opening};
use writ_protocol::cbor::Encode;
use writ_protocol::cbor::Value::{self, Null, Uint};
use writ_protocol::entry::{Admitted, Audience, EntryRef, PrincipalRef, Target};
use writ_protocol::statement::{Ask, Authorize, Claim, Request, RootCommand, Shadowing};
use writ_protocol::{Label, Name};
use writ_tlog::sha256;

pub(super) fn cases() -> Vec<Case> {
    let domain = Domain::new(BASE_MS);
    [
        requests(&domain),
        request_faults(&domain),
        order_faults(&domain),
        shadow_faults(&domain),
        envelope_faults(&domain),
        misplaced(&domain),
        surroundings(),
    ]
    .concat()
}

pub(super) fn input(domain: &Domain, signed: &[u8]) -> Json {
    let key = domain.alice_key().public();
    json!({ "hex": hex(signed), "origin": ORIGIN, "key": hex(key.as_bytes()) })
}

fn bare_input(payload: &[u8]) -> Json {
    json!({ "hex": hex(payload), "origin": ORIGIN })
}

/// The results for a request as it was received: commitments over the bytes, and the digest of an array that is encoded here.
pub(super) fn results(request: &Request, received: &[u8]) -> Json {
    let commitment = |kind, salt, value: &[u8]| {
        let opening = Opening { kind, salt, value: value.to_vec() };
        hex(opening.commitment().as_bytes())
    };
    let (kind, surroundings) = match &request.ask {
        Ask::Authorize(ask) => {
            let pairs = ask.surroundings.iter().map(|one| (one.name.as_str(), one.value.as_str()));
            ("authorize", Some(hex(sha256(&encoded(&pairs.collect::<Vec<_>>())).as_bytes())))
        }
        Ask::Order => ("order", None),
        Ask::Shadow(ask) => {
            let pairs = ask.surroundings.iter().map(|one| (one.name.as_str(), one.value.as_str()));
            ("shadow", Some(hex(sha256(&encoded(&pairs.collect::<Vec<_>>())).as_bytes())))
        }
    };
    json!({
        "kind": kind,
        "request": commitment(CommitmentKind::Request, request.salt, received),
        "action": commitment(CommitmentKind::Action, request.action_salt, &request.action),
        "surroundings": surroundings,
    })
}

fn requests(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "request");
    let authorize = |change: fn(&mut Authorize, &Domain)| {
        let mut request = domain.asked();
        let Ask::Authorize(ask) = &mut request.ask else { panic!("asked for a writ") };
        change(ask, domain);
        request
    };
    let alice = PrincipalRef { kind: Name::new("User").unwrap(), id: Name::new("alice").unwrap() };
    for (name, about, request) in [
        ("request_authorize", "A request for a writ.", domain.asked()),
        (
            "request_authorize_admit",
            "A request for a writ that is spent at once.",
            authorize(|ask, domain| {
                ask.admit = Some(Admitted { nonce: sha256(b"nonce"), execution: domain.execution_id() });
            }),
        ),
        (
            "request_authorize_group",
            "A request for a writ for any gateway of a group.",
            authorize(|ask, domain| ask.audience = Audience::Group(domain.group())),
        ),
        (
            "request_authorize_nowhere",
            "A request that states no surroundings.",
            authorize(|ask, _| ask.surroundings.clear()),
        ),
        (
            "request_authorize_principal",
            "A request of a principal.",
            Request { principal: Some(alice), ..domain.asked() },
        ),
        ("request_resumed", "A request that goes on with what was held.", {
            let hold = EntryRef { entry: digest("hold"), index: 7, ledger: domain.origin().clone() };
            let Ask::Authorize(ask) = domain.asked().ask else { panic!("it asks for a writ") };
            Request { ask: Ask::Authorize(Authorize { hold: Some(hold), ..ask }), ..domain.asked() }
        }),
        ("request_mandated", "A request under a mandate.", {
            authorize(|ask, domain| {
                let ledger = domain.origin().clone();
                ask.mandate = Some(EntryRef { entry: digest("mandate"), index: 7, ledger });
            })
        }),
        ("request_shadow", "A request in shadow.", domain.asked_in_shadow()),
        ("request_shadow_mandated", "A request in shadow, under a mandate.", {
            let mandate = Some(EntryRef { entry: digest("mandate"), index: 7, ledger: domain.origin().clone() });
            let ask = Ask::Shadow(Shadowing { gateway: domain.group(), mandate, surroundings: Vec::new() });
            Request { ask, ..domain.asked_in_shadow() }
        }),
        ("request_shadow_nowhere", "A request in shadow that states no surroundings.", {
            let ask = Ask::Shadow(Shadowing { gateway: domain.group(), mandate: None, surroundings: Vec::new() });
            Request { ask, ..domain.asked_in_shadow() }
        }),
        ("request_order_halt", "A request to stop everything.", domain.asked_order(Command::Halt)),
        (
            "request_order_revoke",
            "A request to revoke a gateway.",
            domain.asked_order(Command::Revoke(Target::Gateway(domain.gateway_name(0)))),
        ),
    ] {
        let payload = request.payload(domain.origin());
        let signed = signed(&payload, &[domain.alice_key()]);
        maker.accept(name, about, input(domain, &signed), results(&request, &signed));
        let about = format!("{} Bare: its caller is known otherwise.", about);
        maker.accept(&format!("{name}_bare"), &about, bare_input(&payload), results(&request, &payload));
    }
    maker.done()
}

type Fault = (&'static str, &'static str, Structure, Code);

fn request_faults(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "request");
    let payload = domain.asked().payload(domain.origin());
    let good = || Structure::of(&payload);
    let mut faults = field_faults(domain, &good);
    faults.extend(action_faults(&good));
    faults.extend(surroundings_faults(&good));
    for field in ["key", "salt", "action", "action_salt", "time_ms", "holder", "audience", "surroundings"] {
        let about = format!("The field {field} is missing.");
        let changed = signed(&good().remove(&format!("4/{field}")).bytes(), &[domain.alice_key()]);
        maker.refuse(&format!("request_without_{field}"), &about, input(domain, &changed), Malformed);
    }
    for (name, about, changed, code) in faults {
        maker.refuse(name, about, input(domain, &signed(&changed.bytes(), &[domain.alice_key()])), code);
    }
    let trailing = [payload.as_slice(), &[0]].concat();
    maker.refuse("request_bare_trailing_byte", "A byte follows a bare request.", bare_input(&trailing), Malformed);
    maker.refuse(
        "request_bare_unknown_field",
        "A bare request with a field that the version does not have.",
        bare_input(&good().add("4", "uses", Uint(2)).bytes()),
        Malformed,
    );
    maker.refuse("request_bare_empty", "No bytes.", bare_input(&[]), Malformed);
    maker.done()
}

/// One field with another value.
fn field_faults(domain: &Domain, good: &dyn Fn() -> Structure) -> Vec<Fault> {
    let ml_dsa_44 = domain.ledger_keys().ml_dsa_44.public();
    let admit = || map([("execution", bytes(&[3; 16])), ("nonce", bytes(&[4; 32]))]);
    let malformed = |name, about, changed| (name, about, changed, Malformed);
    vec![
        malformed("request_context", "The context of an entry.", good().set("0", text("writ.entry"))),
        (
            "request_kind_unknown",
            "A kind that this reader does not know.",
            good().set("1", text("delegate")),
            UnsupportedVersion,
        ),
        (
            "request_version_2",
            "A version that this reader does not know.",
            good().set("2", Uint(2)),
            UnsupportedVersion,
        ),
        (
            "request_origin_other",
            "A request to another ledger.",
            good().set("3", text("writ.example/ledger/other")),
            UnknownAuthority,
        ),
        malformed("request_unknown_field", "A field that the version does not have.", good().add("4", "uses", Uint(2))),
        malformed("request_key_short", "A request key of 15 bytes.", good().set("4/key", bytes(&[1; 15]))),
        malformed("request_salt_short", "A salt of 31 bytes.", good().set("4/salt", bytes(&[1; 31]))),
        malformed("request_action_salt_long", "A salt of 33 bytes.", good().set("4/action_salt", bytes(&[1; 33]))),
        malformed("request_time_null", "The time is null.", good().set("4/time_ms", Null)),
        malformed(
            "request_holder_ml_dsa",
            "A holder signs with Ed25519.",
            good().set("4/holder", bytes(ml_dsa_44.as_bytes())),
        ),
        malformed("request_audience_empty", "For nobody.", good().set("4/audience", map([]))),
        malformed("request_audience_epoch_0", "For a gateway in epoch 0.", good().set("4/audience/epoch", Uint(0))),
        malformed(
            "request_admit_group",
            "To be spent at once, for any gateway of a group.",
            good().set("4/audience", map([("group", text("builders"))])).add("4", "admit", admit()),
        ),
        malformed(
            "request_admit_without_nonce",
            "To be spent at once, for whoever asks.",
            good().add("4", "admit", map([("execution", bytes(&[3; 16]))])),
        ),
        malformed("request_admit_null", "An optional field is absent, never null.", good().add("4", "admit", Null)),
        malformed(
            "request_principal_auth",
            "A principal that says how it was authenticated.",
            good().add("4", "principal", map([("type", text("User")), ("id", text("a")), ("auth", text("key"))])),
        ),
        malformed(
            "request_principal_without_type",
            "A principal of no type.",
            good().add("4", "principal", map([("id", text("a"))])),
        ),
    ]
}

/// The action within is judged as on its own page.
fn action_faults(good: &dyn Fn() -> Structure) -> Vec<Fault> {
    let Value::Bytes(action) = good().get("4/action") else { panic!("an action is bytes") };
    let action = || Structure::of(&action);
    let with = |changed: Structure| good().set("4/action", bytes(&changed.bytes()));
    vec![
        ("request_action_empty", "An action of no bytes.", good().set("4/action", bytes(&[])), Malformed),
        (
            "request_action_not_wrapped",
            "The action is not wrapped as bytes.",
            good().set("4/action", action().get("")),
            Malformed,
        ),
        (
            "request_action_relative_cwd",
            "An action with a relative working directory.",
            with(action().set("3/cwd", bytes(b"srv"))),
            Malformed,
        ),
        (
            "request_action_kind_unknown",
            "An action of a kind that this reader does not know.",
            with(action().set("1", text("tool"))),
            UnsupportedVersion,
        ),
    ]
}

fn surroundings_faults(good: &dyn Fn() -> Structure) -> Vec<Fault> {
    let with = |pairs: Vec<Value>| good().set("4/surroundings", array(pairs));
    let pair = |label: &str, value: &str| array([text(label), text(value)]);
    let many = (0..257).map(|number| pair(&format!("c{number:03}"), ""));
    let malformed = |name, about, changed| (name, about, changed, Malformed);
    vec![
        malformed(
            "request_surroundings_unsorted",
            "Components that do not ascend.",
            with(vec![pair("b", ""), pair("a", "")]),
        ),
        malformed("request_surroundings_twice", "One component twice.", with(vec![pair("a", "1"), pair("a", "2")])),
        malformed("request_surroundings_not_label", "A component that is no label.", with(vec![pair("Kernel", "")])),
        malformed(
            "request_surroundings_bytes",
            "A component measured as bytes.",
            with(vec![array([text("a"), bytes(b"1")])]),
        ),
        malformed("request_surroundings_one", "A component without a value.", with(vec![array([text("a")])])),
        malformed("request_surroundings_map", "A map, not an array.", good().set("4/surroundings", map([]))),
        malformed("request_surroundings_257", "More elements than an array may have.", with(many.collect())),
    ]
}

fn order_faults(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "request");
    let payload = domain.asked_order(Command::Halt).payload(domain.origin());
    let good = || Structure::of(&payload);
    let exec = Structure::of(&domain.asked().payload(domain.origin())).get("4/action");
    let holder = bytes(domain.holder().public().as_bytes());
    let mut bad = |name: &str, about: &str, changed: Structure, code| {
        maker.refuse(name, about, input(domain, &signed(&changed.bytes(), &[domain.alice_key()])), code);
    };
    bad("request_order_exec", "An order whose action is an execution.", good().set("4/action", exec), Malformed);
    bad("request_order_holder", "An order for a holder.", good().add("4", "holder", holder), Malformed);
    bad(
        "request_order_surroundings",
        "An order with surroundings.",
        good().add("4", "surroundings", array([])),
        Malformed,
    );
    bad(
        "request_order_version_2",
        "A version that this reader does not know.",
        good().set("2", Uint(2)),
        UnsupportedVersion,
    );
    for field in ["key", "salt", "action", "action_salt", "time_ms"] {
        let about = format!("The field {field} is missing.");
        bad(&format!("request_order_without_{field}"), &about, good().remove(&format!("4/{field}")), Malformed);
    }
    maker.done()
}

fn shadow_faults(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "request");
    let payload = domain.asked_in_shadow().payload(domain.origin());
    let good = || Structure::of(&payload);
    let order = Structure::of(&domain.asked_order(Command::Halt).payload(domain.origin())).get("4/action");
    let holder = || bytes(domain.holder().public().as_bytes());
    let mut bad = |name: &str, about: &str, changed: Structure, code| {
        maker.refuse(name, about, input(domain, &signed(&changed.bytes(), &[domain.alice_key()])), code);
    };
    let gateway = || map([("gateway", text("gateway-1")), ("epoch", Uint(1))]);
    let pair = |label: &str| array([text(label), text("")]);
    let admit = map([("execution", bytes(&[3; 16])), ("nonce", bytes(&[4; 32]))]);
    for (name, about, changed) in [
        ("request_shadow_order", "A request in shadow whose action is an order.", good().set("4/action", order)),
        ("request_shadow_holder", "A request in shadow for a holder.", good().add("4", "holder", holder())),
        ("request_shadow_admit", "A request in shadow that spends.", good().add("4", "admit", admit)),
        ("request_shadow_audience", "A request in shadow for an audience.", good().add("4", "audience", gateway())),
        ("request_shadow_gateway_map", "A gateway with its epoch.", good().set("4/gateway", gateway())),
        ("request_shadow_gateway_empty", "A gateway of no name.", good().set("4/gateway", text(""))),
        (
            "request_shadow_unsorted",
            "Components that do not ascend.",
            good().set("4/surroundings", array([pair("b"), pair("a")])),
        ),
        ("request_shadow_as_authorize", "Said to be a request for a writ.", good().set("1", text("authorize"))),
    ] {
        bad(name, about, changed, Malformed);
    }
    let authorize = Structure::of(&domain.asked().payload(domain.origin()));
    let about = "A request for a writ, said to be in shadow.";
    bad("request_authorize_as_shadow", about, authorize.set("1", text("shadow")), Malformed);
    bad(
        "request_shadow_version_2",
        "A version that this reader does not know.",
        good().set("2", Uint(2)),
        UnsupportedVersion,
    );
    for field in ["key", "salt", "action", "gateway", "action_salt", "time_ms", "surroundings"] {
        let about = format!("The field {field} is missing.");
        bad(&format!("request_shadow_without_{field}"), &about, good().remove(&format!("4/{field}")), Malformed);
    }
    maker.done()
}

fn envelope_faults(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "request");
    let (key, other) = (domain.alice_key(), domain.holder());
    let payload = domain.asked().payload(domain.origin());
    let good = signed(&payload, &[key]);
    let signature = key.sign(&statement_message(&payload));
    let by = key.public().fingerprint().0;
    let mut two = signatures(&payload, &[key, other]);
    two.sort();
    let later = Structure::of(&payload).set("4/time_ms", Uint(1)).bytes();
    let mut bad = |name: &str, about: &str, changed: &[u8], code| {
        maker.refuse(name, about, input(domain, changed), code);
    };
    bad(
        "request_signature_flipped",
        "A bit of the signature is changed.",
        &envelope(&payload, &[(by, flipped(&signature, 10))]),
        SignatureInvalid,
    );
    bad(
        "request_payload_changed",
        "The payload is changed after it was signed.",
        &Structure::of(&good).set("2", bytes(&later)).bytes(),
        SignatureInvalid,
    );
    bad("request_key_other", "Signed by another key.", &signed(&payload, &[other]), UnknownAuthority);
    bad(
        "request_two_signatures",
        "A second signature beside the right one.",
        &envelope(&payload, &two),
        UnknownAuthority,
    );
    bad("request_no_signature", "No signature.", &envelope(&payload, &[]), Malformed);
    bad(
        "request_message_without_prefix",
        "A signature over the payload alone.",
        &envelope(&payload, &[(by, key.sign(&payload))]),
        SignatureInvalid,
    );
    bad("request_bare_for_signed", "A bare request where a signed one is expected.", &payload, Malformed);
    maker.refuse(
        "request_signed_for_bare",
        "A signed request where a bare one is expected.",
        bare_input(&good),
        Malformed,
    );
    maker.done()
}

/// Statements of other sections, each well-formed and signed by the right key.
fn misplaced(domain: &Domain) -> Vec<Case> {
    let key = domain.alice_key();
    let gateway = domain.gateway_key(0, 1);
    let heartbeat = domain.speaker(0, 1).statement(Claim::Heartbeat { size: 0, root: writ_tlog::empty_root() });
    let heartbeat = payload_of(&domain.speaker(0, 1).sign(&heartbeat));
    let halt = domain.root_statement(RootCommand::Halt(Label::new("drill").unwrap()));
    let halt = payload_of(&domain.sign_root(&halt, &[]));
    let request = domain.asked_order(Command::Halt).payload(domain.origin());
    let mut maker = Maker::new("statement", "request");
    for (name, about, payload) in [
        ("request_gateway_kind", "A gateway's statement where a request is expected.", heartbeat),
        ("request_root_kind", "A root statement where a request is expected.", halt),
        ("request_presented_kind", "A presentation where a request is expected.", super::presentation::payload(domain)),
    ] {
        maker.refuse(name, about, input(domain, &signed(&payload, &[key])), Malformed);
        maker.refuse(&format!("{name}_bare"), about, bare_input(&payload), Malformed);
    }
    let mut cases = maker.done();
    let mut maker = Maker::new("statement", "gateway");
    let key = gateway.public();
    for (name, about, payload) in [
        ("request_kind_for_gateway", "A request where a gateway's statement is expected.", request.clone()),
        (
            "presented_kind_for_gateway",
            "A presentation where a gateway's statement is expected.",
            super::presentation::payload(domain),
        ),
    ] {
        let statement = signed(&payload, &[&gateway]);
        let input = json!({ "hex": hex(&statement), "origin": ORIGIN, "key": hex(key.as_bytes()) });
        maker.refuse(name, about, input, Malformed);
    }
    cases.extend(maker.done());
    let mut maker = Maker::new("statement", "root");
    let keys: Vec<&Secret> = domain.root_keys().iter().take(2).flat_map(|pair| pair.both()).collect();
    let input = super::statement::root_input(domain, &signed(&request, &keys));
    maker.refuse("request_kind_for_root", "A request where a root statement is expected.", input, Malformed);
    cases.extend(maker.done());
    cases
}

/// The array of components, encoded.
fn encoded(pairs: &[(&str, &str)]) -> Vec<u8> {
    array(pairs.iter().map(|(label, value)| array([text(label), text(value)]))).to_cbor()
}

fn surroundings() -> Vec<Case> {
    let mut maker = Maker::new("statement", "surroundings");
    let longest = "l".repeat(64);
    for (name, about, pairs) in [
        ("surroundings_none", "No component.", vec![]),
        ("surroundings_one", "One component.", vec![("kernel", "linux 6.12.0")]),
        ("surroundings_ascending", "Labels ascend by their bytes, not by their length.", vec![("aa", "1"), ("b", "2")]),
        ("surroundings_empty_value", "A component of which nothing is known.", vec![("kernel", "")]),
        ("surroundings_any_text", "A value is any text.", vec![("host", "b\u{fc}ro \u{1f512}\n\0")]),
        ("surroundings_longest_label", "The longest label.", vec![(longest.as_str(), "1")]),
    ] {
        let digest = hex(sha256(&encoded(&pairs)).as_bytes());
        maker.accept(name, about, json!({ "components": pairs }), json!({ "digest": digest }));
    }
    for (name, about, pairs) in [
        ("surroundings_unsorted", "Components that do not ascend.", vec![("b", "1"), ("a", "2")]),
        ("surroundings_by_length", "Components that ascend by length first.", vec![("b", "1"), ("aa", "2")]),
        ("surroundings_twice", "One component twice.", vec![("a", "1"), ("a", "1")]),
        ("surroundings_label_capital", "A component that is no label.", vec![("Kernel", "1")]),
        ("surroundings_label_empty", "A component of no name.", vec![("", "1")]),
    ] {
        maker.refuse(name, about, json!({ "components": pairs }), Malformed);
    }
    maker.done()
}
