//! What the holder of a writ says to the gateway.

use super::BASE_MS;
use super::case::{Case, Maker, hex};
use super::mutation::{Structure, array, bytes, flipped, text};
use super::statement::{signatures, signed};
use crate::scenario::{Domain, ORIGIN, digest, envelope, payload_of, statement_message};
use serde_json::{Value as Json, json};
use writ_protocol::Code::{self, Malformed, SignatureInvalid, UnknownAuthority, UnsupportedVersion};
use writ_protocol::action::Command;
use writ_protocol::cbor::Value::{Null, Uint};
use writ_protocol::entry::Positive;
use writ_protocol::statement::Presentation;

pub(super) fn cases() -> Vec<Case> {
    let domain = Domain::new(BASE_MS);
    [presentations(&domain), payload_faults(&domain), envelope_faults(&domain)].concat()
}

fn presented(domain: &Domain) -> Presentation {
    Presentation {
        writ: digest("writ"),
        epoch: Positive::ONE,
        nonce: *digest("drawn by the gateway").as_bytes(),
        action: digest("action"),
        gateway: domain.gateway_name(0),
        time_ms: BASE_MS,
    }
}

/// A presentation, not signed.
pub(super) fn payload(domain: &Domain) -> Vec<u8> {
    payload_of(&presented(domain).sign(domain.origin(), domain.holder().signing_key()))
}

fn input(domain: &Domain, signed: &[u8]) -> Json {
    let key = domain.holder().public();
    json!({ "hex": hex(signed), "origin": ORIGIN, "key": hex(key.as_bytes()) })
}

fn presentations(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "presentation");
    let largest = Presentation { epoch: Positive::new(1 << 32).unwrap(), time_ms: u64::MAX, ..presented(domain) };
    for (name, about, presented) in [
        ("presented", "A holder presents a writ.", presented(domain)),
        ("presented_large", "A large epoch, and the last millisecond.", largest),
        ("presented_zero_nonce", "A nonce is any 32 bytes.", Presentation { nonce: [0; 32], ..presented(domain) }),
    ] {
        let statement = presented.sign(domain.origin(), domain.holder().signing_key());
        let results = json!({
            "writ": hex(presented.writ.as_bytes()),
            "gateway": presented.gateway.as_str(),
            "epoch": presented.epoch.get(),
            "nonce": hex(&presented.nonce),
            "action": hex(presented.action.as_bytes()),
        });
        maker.accept(name, about, input(domain, &statement), results);
    }
    maker.done()
}

fn payload_faults(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "presentation");
    let payload = payload(domain);
    let good = || Structure::of(&payload);
    let mut bad = |name: &str, about: &str, changed: Structure, code: Code| {
        maker.refuse(name, about, input(domain, &signed(&changed.bytes(), &[domain.holder()])), code);
    };
    bad("presented_context", "The context of an entry.", good().set("0", text("writ.entry")), Malformed);
    bad(
        "presented_kind_unknown",
        "A kind that this reader does not know.",
        good().set("1", text("shown")),
        UnsupportedVersion,
    );
    bad(
        "presented_version_2",
        "A version that this reader does not know.",
        good().set("2", Uint(2)),
        UnsupportedVersion,
    );
    bad(
        "presented_origin_other",
        "For another ledger.",
        good().set("3", text("writ.example/ledger/other")),
        UnknownAuthority,
    );
    bad("presented_epoch_0", "There is no epoch 0.", good().set("4/epoch", Uint(0)), Malformed);
    bad("presented_writ_short", "An entry hash of 31 bytes.", good().set("4/writ", bytes(&[1; 31])), Malformed);
    bad("presented_nonce_short", "A nonce of 31 bytes.", good().set("4/nonce", bytes(&[1; 31])), Malformed);
    bad("presented_nonce_long", "A nonce of 33 bytes.", good().set("4/nonce", bytes(&[1; 33])), Malformed);
    bad("presented_nonce_text", "A nonce as text.", good().set("4/nonce", text(&"n".repeat(32))), Malformed);
    bad("presented_action_short", "An action digest of 31 bytes.", good().set("4/action", bytes(&[1; 31])), Malformed);
    bad("presented_gateway_empty", "The gateway has no name.", good().set("4/gateway", text("")), Malformed);
    bad("presented_time_null", "The time is null.", good().set("4/time_ms", Null), Malformed);
    bad(
        "presented_unknown_field",
        "A field that the version does not have.",
        good().add("4", "use", Uint(1)),
        Malformed,
    );
    bad("presented_body_array", "The body is an array.", good().set("4", array([])), Malformed);
    for field in ["writ", "gateway", "epoch", "nonce", "action", "time_ms"] {
        let about = format!("The field {field} is missing.");
        bad(&format!("presented_without_{field}"), &about, good().remove(&format!("4/{field}")), Malformed);
    }
    let request = Structure::of(&domain.asked_order(Command::Halt).payload(domain.origin()));
    bad("presented_request_kind", "A request where a presentation is expected.", request, Malformed);
    let heartbeat = domain
        .speaker(0, 1)
        .statement(writ_protocol::statement::Claim::Heartbeat { size: 0, root: writ_tlog::empty_root() });
    let heartbeat = Structure::of(&payload_of(&domain.speaker(0, 1).sign(&heartbeat)));
    bad("presented_gateway_kind", "A gateway's statement where a presentation is expected.", heartbeat, Malformed);
    maker.done()
}

fn envelope_faults(domain: &Domain) -> Vec<Case> {
    let mut maker = Maker::new("statement", "presentation");
    let (key, other, payload) = (domain.holder(), domain.alice_key(), payload(domain));
    let signature = key.sign(&statement_message(&payload));
    let by = key.public().fingerprint().0;
    let mut two = signatures(&payload, &[key, other]);
    two.sort();
    let later = Structure::of(&payload).set("4/time_ms", Uint(1)).bytes();
    for (name, about, changed, code) in [
        (
            "presented_signature_flipped",
            "A bit of the signature is changed.",
            envelope(&payload, &[(by, flipped(&signature, 10))]),
            SignatureInvalid,
        ),
        (
            "presented_payload_changed",
            "The payload is changed after it was signed.",
            envelope(&later, &[(by, signature.clone())]),
            SignatureInvalid,
        ),
        (
            "presented_message_without_prefix",
            "A signature over the payload alone.",
            envelope(&payload, &[(by, key.sign(&payload))]),
            SignatureInvalid,
        ),
        ("presented_key_other", "Signed by whoever found the writ.", signed(&payload, &[other]), UnknownAuthority),
        (
            "presented_two_signatures",
            "A second signature beside the right one.",
            envelope(&payload, &two),
            UnknownAuthority,
        ),
        ("presented_no_signature", "No signature.", envelope(&payload, &[]), Malformed),
        ("presented_bare", "A presentation is always signed.", payload.clone(), Malformed),
    ] {
        maker.refuse(name, about, input(domain, &changed), code);
    }
    maker.done()
}
