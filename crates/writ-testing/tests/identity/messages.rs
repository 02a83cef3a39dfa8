//! Requests signed as HTTP messages (RFC 9421), written here by hand from the specification, as a caller without our code would.

use crate::issuer::posted_with;
use crate::site::{Plan, Site};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use writ_protocol::action::Command;
use writ_protocol::statement::Request;
use writ_protocol::{Body, Code, EntryType};
use writ_testing::scenario::Secret;
use writ_tlog::{Algorithm, sha256};

const PATH: &str = "/v1/authorize";
const LIST: &str = "(\"@method\" \"@path\" \"content-digest\" \"content-type\")";

/// A message, before it is sent.
struct Message {
    path: &'static str,
    body: Vec<u8>,
    input: String,
    headers: Vec<(&'static str, String)>,
}

impl Message {
    fn new(site: &Site, key: &Secret, request: &Request) -> Self {
        Self::made(site, key, request, PATH, &format!(";created={}", site.domain.clock.now_ms() / 1000))
    }

    fn made(site: &Site, key: &Secret, request: &Request, path: &'static str, parameters: &str) -> Self {
        let body = request.payload(site.domain.domain.origin());
        let input = format!("{LIST}{parameters};keyid=\"{}\"", key.public().fingerprint());
        let digest = format!("sha-256=:{}:", STANDARD.encode(sha256(&body).as_bytes()));
        let base = format!(
            "\"@method\": POST\n\"@path\": {path}\n\"content-digest\": {digest}\n\"content-type\": application/cbor\n\"@signature-params\": {input}"
        );
        let signature = format!("sig1=:{}:", STANDARD.encode(key.sign(base.as_bytes())));
        let headers = vec![
            ("Content-Type", "application/cbor".to_owned()),
            ("Content-Digest", digest),
            ("Signature-Input", format!("sig1={input}")),
            ("Signature", signature),
        ];
        Self { path, body, input, headers }
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.iter_mut().find(|(found, _)| *found == name).unwrap().1 = value.into();
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| *found != name);
        self
    }

    fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn send(&self, site: &Site) -> (u16, Value) {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        posted_with(&site.endpoint(), None, self.path, &headers, &self.body)
    }
}

fn key(site: &Site) -> &Secret {
    site.domain.member("builder").key()
}

fn message(site: &Site) -> Message {
    Message::new(site, key(site), &site.domain.asked_to_build())
}

#[test]
fn a_signed_message_is_a_signed_request_and_its_signature_stays() {
    let site = Site::new(&Plan::default());
    let sent = message(&site);
    let (status, answer) = sent.send(&site);
    assert_eq!((status, &answer["outcome"]), (200, &"permit".into()), "{answer}");
    let (status, again) = sent.send(&site);
    assert_eq!((status, &again["repeated"], &again["index"]), (200, &true.into(), &answer["index"]), "{again}");
    let entered = site.domain.entered();
    let granted = entered.iter().find_map(|one| if let Body::Grant(grant) = &one.body { Some(grant) } else { None });
    let granted = granted.unwrap();
    assert_eq!(granted.principal.auth.as_str(), "key");
    assert_eq!(granted.principal.key, Some(key(&site).public()));
    // The audit reads the message back from the vault and verifies it again.
    let (judgement, _) = site.end();
    assert!(judgement.is_clean(), "{judgement:?}");
}

#[test]
fn a_signed_message_gives_orders() {
    let site = Site::new(&Plan::default());
    let alice = site.domain.member("alice");
    let order = Request { time_ms: site.domain.clock.now_ms(), ..site.domain.domain.asked_order(Command::Halt) };
    let parameters = format!(";created={}", site.domain.clock.now_ms() / 1000);
    let sent = Message::made(&site, alice.key(), &order, "/v1/orders", &parameters);
    let (status, answer) = sent.send(&site);
    assert_eq!((status, &answer["outcome"]), (200, &"recorded".into()), "{answer}");
    assert!(site.domain.entered().iter().any(|one| one.body.entry_type() == EntryType::Halt));
    let (judgement, _) = site.end();
    assert!(judgement.is_clean(), "{judgement:?}");
}

#[test]
fn what_was_changed_on_the_way_is_nobodys() {
    let site = Site::new(&Plan::default());
    let size = site.node.size();
    let other = site.domain.asked_to_build().payload(site.domain.domain.origin());
    let other_digest = format!("sha-256=:{}:", STANDARD.encode(sha256(&other).as_bytes()));
    let later = |message: Message| {
        let input = message.input.replace(";created=", ";created=1");
        message.with("Signature-Input", format!("sig1={input}"))
    };
    let flipped = |message: Message| message.with("Signature", format!("sig1=:{}:", STANDARD.encode([7; 64])));
    let body = |message: Message| Message { body: other.clone(), ..message };
    let both = |message: Message| Message { body: other.clone(), ..message }.with("Content-Digest", &*other_digest);
    let stranger = Message::new(&site, &Secret::new(Algorithm::Ed25519, "a stranger"), &site.domain.asked_to_build());
    let two = message(&site);
    let twice = two.headers.iter().find(|(name, _)| *name == "Signature").unwrap().1.clone();
    for (what, sent, code) in [
        ("another signature", flipped(message(&site)), Code::SignatureInvalid),
        ("another time", later(message(&site)), Code::SignatureInvalid),
        ("another body under its own digest", both(message(&site)), Code::SignatureInvalid),
        ("another body", body(message(&site)), Code::Malformed),
        ("another path", Message { path: "/v1/shadow", ..message(&site) }, Code::SignatureInvalid),
        ("a key that nobody has", stranger, Code::Unauthenticated),
        ("a query", Message { path: "/v1/authorize?x=1", ..message(&site) }, Code::Malformed),
        ("no signature", message(&site).without("Signature"), Code::Malformed),
        ("no input", message(&site).without("Signature-Input"), Code::Malformed),
        ("no digest", message(&site).without("Content-Digest"), Code::Malformed),
        ("another digest", message(&site).with("Content-Digest", "sha-512=:AAAA:"), Code::Malformed),
        ("another label", message(&site).with("Signature", "sig2=:AAAA:"), Code::Malformed),
        ("two signatures", two.and("Signature", &twice), Code::Malformed),
        ("a token beside it", message(&site).and("Authorization", "Bearer abc"), Code::Malformed),
        ("two types", message(&site).and("Content-Type", "text/plain"), Code::Malformed),
        ("JSON", message(&site).with("Content-Type", "application/json"), Code::Malformed),
        ("neither", message(&site).without("Signature").without("Signature-Input"), Code::Unauthenticated),
    ] {
        let (status, answer) = sent.send(&site);
        assert_eq!(answer["code"], code.as_str(), "{what}: {status} {answer}");
        assert_eq!(site.node.size(), size, "{what}: nobody known has asked");
    }
    assert!(site.end().0.is_clean());
}

#[test]
fn a_signed_message_counts_for_a_moment() {
    let site = Site::new(&Plan::default());
    let now_s = site.domain.clock.now_ms() / 1000;
    let sent = |parameters: &str| {
        let request = site.domain.asked_to_build();
        Message::made(&site, key(&site), &request, PATH, parameters).send(&site).1["code"].clone()
    };
    assert_eq!(sent(&format!(";created={}", now_s - 62)), Code::Expired.as_str());
    assert_eq!(sent(&format!(";created={};expires={}", now_s - 30, now_s - 5)), Code::Expired.as_str());
    assert_eq!(sent(&format!(";created={}", now_s + 62)), Code::NotYetValid.as_str());
    assert_eq!(sent(&format!(";created={};expires={}", now_s - 30, now_s + 30)), Value::Null, "a permit has no code");
    assert!(site.end().0.is_clean());
}
