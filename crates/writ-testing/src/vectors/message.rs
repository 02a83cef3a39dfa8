//! Requests that are signed as HTTP messages.

use super::BASE_MS;
use super::case::{Case, Maker, hex};
use super::mutation::{Structure, array, bytes, flipped, text};
use super::request::{input, results};
use super::statement::signed;
use crate::scenario::{Domain, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use writ_protocol::Code::{Malformed, SignatureInvalid, UnknownAuthority, UnsupportedVersion};
use writ_protocol::action::Command;
use writ_protocol::cbor::Encode;
use writ_protocol::cbor::Value::{Null, Uint};
use writ_protocol::statement::Request;
use writ_tlog::sha256;

const ALL: [&str; 4] = ["@method", "@path", "content-digest", "content-type"];
const PATH: &str = "/v1/authorize";

pub(super) fn cases() -> Vec<Case> {
    let domain = Domain::new(BASE_MS);
    let mut maker = Maker::new("statement", "request");
    signed_messages(&mut maker, &domain);
    inputs(&mut maker, &domain);
    parts(&mut maker, &domain);
    signatures(&mut maker, &domain);
    maker.done()
}

/// What a signature covers, in this order, and with these parameters.
fn covering(components: &[&str], parameters: &str) -> String {
    let list = components.iter().map(|component| format!("\"{component}\"")).collect::<Vec<_>>().join(" ");
    format!("({list}){parameters}")
}

fn keyid(key: &Secret) -> String {
    format!(";keyid=\"{}\"", key.public().fingerprint())
}

fn usual(key: &Secret) -> String {
    covering(&ALL, &format!(";created=1700000000{}", keyid(key)))
}

/// The lines that are signed.
fn base(path: &str, input: &str, body: &[u8]) -> String {
    let digest = STANDARD.encode(sha256(body).as_bytes());
    let list = input.trim_start_matches('(').split(')').next().unwrap();
    let value = |component: &str| match component {
        "\"@method\"" => "POST".to_owned(),
        "\"@path\"" => path.to_owned(),
        "\"content-digest\"" => format!("sha-256=:{digest}:"),
        _ => "application/cbor".to_owned(),
    };
    let covered = list.split(' ').map(|component| format!("{component}: {}\n", value(component))).collect::<String>();
    format!("{covered}\"@signature-params\": {input}")
}

/// The parts of a message, in the order in which they are kept.
fn kept(path: &str, input: &str, signature: &[u8], body: &[u8]) -> Vec<u8> {
    let parts = [text("writ.http-request"), Uint(1), text(path), text(input), bytes(signature), bytes(body)];
    array(parts).to_cbor()
}

fn message(key: &Secret, path: &str, input: &str, request: &Request, domain: &Domain) -> Vec<u8> {
    let body = request.payload(domain.origin());
    kept(path, input, &key.sign(base(path, input, &body).as_bytes()), &body)
}

/// A message as callers of this project's own would make it; its parts can be kept for a ledger.
pub(super) fn signed_message(domain: &Domain, key: &Secret, request: &Request) -> Vec<u8> {
    message(key, PATH, &usual(key), request, domain)
}

fn signed_messages(maker: &mut Maker, domain: &Domain) {
    let key = domain.alice_key();
    let id = keyid(key);
    let authorize = || domain.asked();
    let order = || domain.asked_order(Command::Halt);
    let reversed: Vec<_> = ALL.iter().rev().copied().collect();
    let all = format!(";alg=\"ed25519\"{id};expires=1700000060;created=1700000000;nonce=\"a nonce, of any form\"");
    let longest = format!(";created=1700000000{id};nonce=\"{}\"", "n".repeat(1024 - 156));
    assert_eq!(covering(&ALL, &longest).len(), 1024);
    for (name, about, path, said, request) in [
        ("message_authorize", "A request for a writ as an HTTP message.", PATH, usual(key), authorize()),
        ("message_order", "An order as an HTTP message.", "/v1/orders", usual(key), order()),
        ("message_shadow", "A request in shadow.", "/v1/shadow", usual(key), domain.asked_in_shadow()),
        (
            "message_reversed",
            "What is covered stands in the signer's order.",
            PATH,
            covering(&reversed, &format!(";created=0{id}")),
            authorize(),
        ),
        ("message_parameters", "Every parameter, in the signer's order.", PATH, covering(&ALL, &all), authorize()),
        (
            "message_created_largest",
            "The largest integer of a structured field.",
            PATH,
            covering(&ALL, &format!(";created=999999999999999{id}")),
            authorize(),
        ),
        (
            "message_expires_at_once",
            "It expires in the second in which it was made.",
            PATH,
            covering(&ALL, &format!(";created=5;expires=5{id}")),
            authorize(),
        ),
        (
            "message_nonce_empty",
            "A nonce of no characters.",
            PATH,
            covering(&ALL, &format!(";created=5;nonce=\"\"{id}")),
            authorize(),
        ),
        ("message_input_longest", "An input of 1024 bytes.", PATH, covering(&ALL, &longest), authorize()),
        ("message_path_shortest", "The shortest path.", "/", usual(key), authorize()),
    ] {
        let made = message(key, path, &said, &request, domain);
        maker.accept(name, about, input(domain, &made), results(&request, &made));
    }
}

/// Inputs that nobody may have signed, signed all the same.
fn inputs(maker: &mut Maker, domain: &Domain) {
    let (key, request) = (domain.alice_key(), domain.asked());
    let id = keyid(key);
    let created = ";created=1700000000";
    let with = |parameters: String| covering(&ALL, &parameters);
    let three = |left_out: usize| {
        let mut components = ALL.to_vec();
        components.remove(left_out);
        covering(&components, &format!("{created}{id}"))
    };
    let more = |component: &str| covering(&[&ALL[..], &[component]].concat(), &format!("{created}{id}"));
    let upper = key.public().fingerprint().to_string().to_uppercase().replace("KEY_", "key_");
    let (bare, pem) = (id.replace("key_", ""), format!(";keyid=\"{}\"", STANDARD.encode(key.public().as_bytes())));
    let too_long = format!("{created}{id};nonce=\"{}\"", "n".repeat(1024 - 155));
    for (name, about, said) in [
        ("without_method", "The method is not covered.", three(0)),
        ("without_path", "The path is not covered.", three(1)),
        ("without_digest", "The body is not covered.", three(2)),
        ("without_type", "The type is not covered.", three(3)),
        ("authority", "More is covered.", more("@authority")),
        ("path_twice", "One component twice.", more("@path")),
        ("component_upper", "A component in upper case.", usual(key).replace("content-type", "Content-Type")),
        ("component_parameter", "A component with a parameter.", usual(key).replace("\"@path\"", "\"@path\";req")),
        ("component_bare", "A component without quotes.", usual(key).replace("\"@path\"", "@path")),
        ("two_spaces", "Two spaces between components.", usual(key).replace("\" \"", "\"  \"")),
        ("without_brackets", "No round brackets.", usual(key).replace(['(', ')'], "")),
        ("label", "With its label.", format!("sig={}", usual(key))),
        ("empty", "No input.", String::new()),
        ("without_created", "It does not say when it was made.", with(id.clone())),
        ("without_keyid", "It does not say by which key.", with(created.to_owned())),
        ("created_twice", "A parameter twice.", with(format!("{created}{created}{id}"))),
        ("created_text", "A time as text.", with(format!(";created=\"1700000000\"{id}"))),
        ("created_negative", "A time before 1970.", with(format!(";created=-1{id}"))),
        ("created_leading_zero", "A time with a leading zero.", with(format!(";created=01{id}"))),
        ("created_16_digits", "A time of 16 digits.", with(format!(";created=1000000000000000{id}"))),
        ("created_fraction", "A time with a fraction.", with(format!(";created=1700000000.5{id}"))),
        ("created_empty", "A time of no digits.", with(format!(";created={id}"))),
        ("expires_before_created", "It expires before it was made.", with(format!("{created};expires=1699999999{id}"))),
        ("expires_null", "A parameter without a value.", with(format!("{created};expires{id}"))),
        ("keyid_upper", "Hex in upper case.", with(format!("{created};keyid=\"{upper}\""))),
        ("keyid_without_prefix", "A fingerprint without its prefix.", with(format!("{created}{bare}"))),
        ("keyid_key", "The key itself.", with(format!("{created}{pem}"))),
        ("keyid_integer", "A key id that is an integer.", with(format!("{created};keyid=7"))),
        ("nonce_escape", "A nonce with an escape.", with(format!("{created}{id};nonce=\"a\\\"b\""))),
        ("nonce_not_ascii", "A nonce that is not ASCII.", with(format!("{created}{id};nonce=\"\u{e9}\""))),
        ("nonce_token", "A nonce that is a token.", with(format!("{created}{id};nonce=abc"))),
        ("nonce_open", "A text without an end.", with(format!("{created}{id};nonce=\"abc"))),
        ("alg_other", "Another algorithm than the key's.", with(format!("{created}{id};alg=\"hmac-sha256\""))),
        ("alg_integer", "An algorithm that is an integer.", with(format!("{created}{id};alg=1"))),
        ("tag", "A parameter that is not known.", with(format!("{created}{id};tag=\"writ\""))),
        ("space", "A space before a parameter.", with(format!("; created=1700000000{id}"))),
        ("second", "A second signature's input.", format!("{}, more=()", usual(key))),
        ("trailing", "Something follows.", format!("{};", usual(key))),
        ("too_long", "An input of 1025 bytes.", with(too_long)),
    ] {
        let made = message(key, PATH, &said, &request, domain);
        maker.refuse(&format!("message_input_{name}"), about, input(domain, &made), Malformed);
    }
}

fn parts(maker: &mut Maker, domain: &Domain) {
    let key = domain.alice_key();
    let request = domain.asked();
    let made = signed_message(domain, key, &request);
    let good = || Structure::of(&made);
    let (longest, too_long) = (format!("/{}", "p".repeat(255)), format!("/{}", "p".repeat(256)));
    let made_at = |path: &str| message(key, path, &usual(key), &request, domain);
    maker.accept(
        "message_path_longest",
        "A path of 256 bytes.",
        input(domain, &made_at(&longest)),
        results(&request, &made_at(&longest)),
    );
    for (name, about, path) in [
        ("empty", "No path.", ""),
        ("relative", "A path that does not begin at the root.", "v1/authorize"),
        ("space", "A path with a space.", "/v1/authorize "),
        ("line", "A path with a line of its own.", "/v1/authorize\n\"@path\": /v1/orders"),
        ("not_ascii", "A path that is not ASCII.", "/v1/\u{e9}"),
        ("too_long", "A path of 257 bytes.", too_long.as_str()),
    ] {
        maker.refuse(&format!("message_path_{name}"), about, input(domain, &made_at(path)), Malformed);
    }
    let payload = request.payload(domain.origin());
    for (name, about, changed, code) in [
        ("context", "Another context.", good().set("0", text("writ.http")), Malformed),
        ("version_2", "A version that this reader does not know.", good().set("1", Uint(2)), UnsupportedVersion),
        ("path_bytes", "A path as bytes.", good().set("2", bytes(PATH.as_bytes())), Malformed),
        ("input_null", "No input.", good().set("3", Null), Malformed),
        ("signature_short", "A signature of 63 bytes.", good().set("4", bytes(&[7; 63])), Malformed),
        ("signature_ml_dsa", "A signature of another algorithm.", good().set("4", bytes(&[7; 2420])), Malformed),
        (
            "body_not_wrapped",
            "The body is not wrapped as bytes.",
            good().set("5", Structure::of(&payload).get("")),
            Malformed,
        ),
        ("body_empty", "No body.", good().set("5", bytes(&[])), Malformed),
        ("body_signed", "A signed request as the body.", good().set("5", bytes(&signed(&payload, &[key]))), Malformed),
    ] {
        maker.refuse(&format!("message_{name}"), about, input(domain, &changed.bytes()), code);
    }
    let five = array([text("writ.http-request"), Uint(1), text(PATH), text(&usual(key)), bytes(&[7; 64])]).to_cbor();
    maker.refuse("message_five_elements", "No body.", input(domain, &five), Malformed);
    let trailing = [made.as_slice(), &[0]].concat();
    maker.refuse("message_trailing_byte", "A byte follows.", input(domain, &trailing), Malformed);
    let bare = serde_json::json!({ "hex": hex(&made), "origin": crate::scenario::ORIGIN });
    maker.refuse("message_for_bare", "A signed message where a bare request is expected.", bare, Malformed);
}

fn signatures(maker: &mut Maker, domain: &Domain) {
    let (key, other) = (domain.alice_key(), domain.holder());
    let request = domain.asked();
    let body = request.payload(domain.origin());
    let usual = usual(key);
    let signature = key.sign(base(PATH, &usual, &body).as_bytes());
    let later = Structure::of(&body).set("4/time_ms", Uint(1)).bytes();
    let get = base(PATH, &usual, &body).replace("POST", "GET");
    let json = base(PATH, &usual, &body).replace("application/cbor", "application/json");
    let with_newline = format!("{}\n", base(PATH, &usual, &body));
    let refused = [
        (
            "signature_flipped",
            "A bit of the signature is changed.",
            kept(PATH, &usual, &flipped(&signature, 10), &body),
        ),
        ("body_changed", "The body is changed after it was signed.", kept(PATH, &usual, &signature, &later)),
        ("path_changed", "Sent to another path.", kept("/v1/orders", &usual, &signature, &body)),
        (
            "created_changed",
            "The time is changed after it was signed.",
            kept(PATH, &usual.replace("1700000000", "1700000001"), &signature, &body),
        ),
        ("method_other", "Signed for another method.", kept(PATH, &usual, &key.sign(get.as_bytes()), &body)),
        ("type_other", "Signed for another type.", kept(PATH, &usual, &key.sign(json.as_bytes()), &body)),
        (
            "newline",
            "Signed with a line feed at the end.",
            kept(PATH, &usual, &key.sign(with_newline.as_bytes()), &body),
        ),
        ("body_signed_alone", "A signature over the body alone.", kept(PATH, &usual, &key.sign(&body), &body)),
        (
            "signed_by_other",
            "Another key has signed than the one that is named.",
            kept(PATH, &usual, &other.sign(base(PATH, &usual, &body).as_bytes()), &body),
        ),
    ];
    for (name, about, made) in refused {
        maker.refuse(&format!("message_{name}"), about, input(domain, &made), SignatureInvalid);
    }
    let made = signed_message(domain, other, &request);
    maker.refuse("message_key_other", "Signed by another key.", input(domain, &made), UnknownAuthority);
    let elsewhere = Structure::of(&body).set("3", text("writ.example/ledger/other")).bytes();
    let signature = key.sign(base(PATH, &usual, &elsewhere).as_bytes());
    let made = kept(PATH, &usual, &signature, &elsewhere);
    maker.refuse("message_origin_other", "A request to another ledger.", input(domain, &made), UnknownAuthority);
}
