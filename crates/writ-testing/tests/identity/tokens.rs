//! Tokens of OpenID Connect: what they show, and everything that they do not.

use crate::issuer::{Issuer, Key, body, posted};
use crate::site::{Plan, Shown, Site, self_signed};
use serde_json::{Value, json};
use writ_client::blocking::Client;
use writ_client::{Answer, Asked};
use writ_protocol::Code;
use writ_protocol::action::Command;
use writ_protocol::statement::Request;

const AUDIENCE: &str = "writ:acme";
const SUBJECT: &str = "repo:acme/site";

fn declared(issuer: &Issuer, algorithms: &[&str]) -> Value {
    json!([{ "issuer": issuer.name(), "audience": AUDIENCE, "algorithms": algorithms, "jwks": issuer.place() }])
}

fn plan(name: &str, issuers: Value) -> Plan {
    let identity = json!([{ "issuer": name, "subject": SUBJECT }]);
    Plan { known_by: vec![("builder", "oidc", identity)], issuers, ..Plan::default() }
}

/// An issuer with one key, and a node that knows it.
fn site(key: &Value, algorithms: &[&str]) -> (Issuer, Site) {
    let issuer = Issuer::start(std::slice::from_ref(key));
    let site = Site::new(&plan(&issuer.name(), declared(&issuer, algorithms)));
    (issuer, site)
}

fn now_s(site: &Site) -> u64 {
    site.domain.clock.now_ms() / 1000
}

fn claims(site: &Site, issuer: &str) -> Value {
    let now_s = now_s(site);
    json!({ "iss": issuer, "sub": SUBJECT, "aud": AUDIENCE, "iat": now_s, "exp": now_s + 300 })
}

fn with(mut value: Value, name: &str, other: Value) -> Value {
    if other.is_null() {
        value.as_object_mut().unwrap().remove(name);
    } else {
        value[name] = other;
    }
    value
}

fn bearing(site: &Site, token: &str) -> Client {
    Client::connect(&site.endpoint().with_token(token).unwrap()).unwrap()
}

#[test]
fn a_token_says_who_asks_and_stands_nowhere() {
    let key = Key::ec();
    let (issuer, site) = site(&key.jwk("k1", "ES256"), &["ES256"]);
    let token =
        key.token("ES256", &json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }), &claims(&site, &issuer.name()));
    let client = bearing(&site, &token);
    for _ in 0..3 {
        let grant = site.granted(&client);
        assert_eq!((grant.principal.id.as_str(), grant.principal.auth.as_str()), ("builder", "oidc"));
        assert_eq!(grant.principal.key, None);
    }
    assert_eq!(issuer.asked(), 1, "the keys are fetched once");
    // Over the local socket too: this process is no principal by its user, and is one by its token.
    let local = Client::connect(&site.local().with_token(&token).unwrap()).unwrap();
    assert_eq!(site.granted(&local).principal.auth.as_str(), "oidc");
    let signature = token.rsplit('.').next().unwrap();
    let store = site.domain.place.store.parent().unwrap();
    for file in std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(signature.len()).any(|window| window == signature.as_bytes());
        assert!(!found, "{} holds a token", file.display());
    }
    let (judgement, lines) = site.end();
    assert!(judgement.is_clean(), "{judgement:?}");
    assert!(lines.text().contains("/v1/authorize") && !lines.text().contains(signature), "a token is in no log");
}

#[test]
fn whoever_comes_while_the_keys_are_fetched_waits_for_them() {
    let key = Key::ec();
    let (issuer, site) = site(&key.jwk("k1", "ES256"), &["ES256"]);
    let token = key.token("ES256", &json!({ "alg": "ES256", "kid": "k1" }), &claims(&site, &issuer.name()));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let answer = bearing(&site, &token).authorize(&site.bare()).unwrap();
                assert!(matches!(answer, Answer::Permit(_)), "{answer:?}");
            });
        }
    });
    assert_eq!(issuer.asked(), 1);
    assert!(site.end().0.is_clean());
}

#[test]
fn every_algorithm_of_the_list_verifies_under_a_key_that_is_for_it() {
    let (ed, rsa, pss) = (Key::ed(), Key::rsa(), Key::rsa());
    let keys = [("ed", &ed, "EdDSA"), ("rsa", &rsa, "RS256"), ("pss", &pss, "PS256")];
    let issuer = Issuer::start(&keys.map(|(id, key, algorithm)| key.jwk(id, algorithm)));
    let site = Site::new(&plan(&issuer.name(), declared(&issuer, &["EdDSA", "RS256", "PS256"])));
    for (id, key, algorithm) in keys {
        let token = key.token(algorithm, &json!({ "alg": algorithm, "kid": id }), &claims(&site, &issuer.name()));
        assert_eq!(site.granted(&bearing(&site, &token)).principal.auth.as_str(), "oidc", "{algorithm}");
    }
    assert!(site.end().0.is_clean());
}

#[test]
fn tokens_that_are_stale_or_for_others_or_of_others_show_nobody() {
    let key = Key::ec();
    let (issuer, site) = site(&key.jwk("k1", "ES256"), &["ES256"]);
    let (name, head, now_s) = (issuer.name(), json!({ "alg": "ES256", "kid": "k1" }), now_s(&site));
    let good = claims(&site, &name);
    site.granted(&bearing(&site, &key.token("ES256", &head, &good)));
    let late = |by: u64| with(good.clone(), "nbf", json!(now_s + by));
    site.granted(&bearing(&site, &key.token("ES256", &head, &late(30))));
    for (claims, code) in [
        (with(good.clone(), "exp", json!(now_s)), Code::Expired),
        (with(good.clone(), "exp", json!(now_s - 1)), Code::Expired),
        (late(31), Code::NotYetValid),
        (with(good.clone(), "iat", json!(now_s + 31)), Code::NotYetValid),
        (with(good.clone(), "aud", json!("writ:other")), Code::WrongAudience),
        (with(good.clone(), "aud", json!([AUDIENCE, "writ:other"])), Code::WrongAudience),
        (with(good.clone(), "aud", json!([])), Code::WrongAudience),
        (with(good.clone(), "iss", json!("https://id.example")), Code::UnknownAuthority),
        (with(good.clone(), "iss", json!(format!("{name}/"))), Code::UnknownAuthority),
        (with(good.clone(), "sub", json!("repo:acme/other")), Code::Unauthenticated),
        (with(good.clone(), "exp", Value::Null), Code::Malformed),
        (with(good.clone(), "exp", json!("soon")), Code::Malformed),
        (with(good.clone(), "exp", json!(1.5)), Code::Malformed),
        (with(good.clone(), "sub", Value::Null), Code::Malformed),
        (with(good.clone(), "aud", Value::Null), Code::Malformed),
        (with(good.clone(), "iss", json!(1)), Code::Malformed),
    ] {
        site.turned_away(&bearing(&site, &key.token("ES256", &head, &claims)), code);
    }
    let time_passes = key.token("ES256", &head, &good);
    site.granted(&bearing(&site, &time_passes));
    site.domain.clock.pass(300_000);
    site.turned_away(&bearing(&site, &time_passes), Code::Expired);
    assert!(site.end().0.is_clean());
}

#[test]
fn no_token_chooses_how_it_is_verified() {
    let (key, rsa) = (Key::ec(), Key::rsa());
    let issuer = Issuer::start(&[key.jwk("k1", "ES256"), rsa.jwk("r1", "PS256"), Key::ed().jwk("e1", "EdDSA")]);
    let site = Site::new(&plan(&issuer.name(), declared(&issuer, &["ES256", "PS256"])));
    let (name, text) = (issuer.name(), |value: &Value| base64_url(value.to_string().as_bytes()));
    let good = claims(&site, &name);
    let head = |algorithm: &str, id: &str| json!({ "alg": algorithm, "kid": id });
    let unsigned = |head: &Value, signature: &[u8]| format!("{}.{}.{}", text(head), text(&good), base64_url(signature));
    // Signed with the published key as if it were a secret.
    let shared = {
        let secret = key.jwk("k1", "ES256").to_string();
        let signed = format!("{}.{}", text(&head("HS256", "k1")), text(&good));
        let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        format!("{signed}.{}", base64_url(aws_lc_rs::hmac::sign(&hmac, signed.as_bytes()).as_ref()))
    };
    let mut flipped = key.token("ES256", &head("ES256", "k1"), &good).into_bytes();
    let last = flipped.len() - 10;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let own = json!({ "alg": "ES256", "kid": "k1", "jwk": Key::ec().jwk("k1", "ES256") });
    for (what, token, code) in [
        ("none", unsigned(&head("none", "k1"), b""), Code::SignatureInvalid),
        ("None", unsigned(&head("NONE", "k1"), b""), Code::SignatureInvalid),
        ("empty", unsigned(&head("ES256", "k1"), b""), Code::SignatureInvalid),
        ("shared secret", shared, Code::SignatureInvalid),
        ("flipped", String::from_utf8(flipped).unwrap(), Code::SignatureInvalid),
        ("another's key", Key::ec().token("ES256", &head("ES256", "k1"), &good), Code::SignatureInvalid),
        ("a key in the head", Key::ec().token("ES256", &own, &good), Code::SignatureInvalid),
        ("padding of the token's choice", rsa.token("RS256", &head("RS256", "r1"), &good), Code::SignatureInvalid),
        ("the key of another algorithm", key.token("ES256", &head("ES256", "r1"), &good), Code::SignatureInvalid),
        ("an algorithm that is not listed", unsigned(&head("EdDSA", "e1"), &[0; 64]), Code::SignatureInvalid),
        ("no key id among several", key.token("ES256", &json!({ "alg": "ES256" }), &good), Code::UnknownAuthority),
        ("a key that is not there", key.token("ES256", &head("ES256", "k2"), &good), Code::UnknownAuthority),
        (
            "what must be understood",
            key.token("ES256", &json!({ "alg": "ES256", "kid": "k1", "crit": ["b64"] }), &good),
            Code::Malformed,
        ),
        (
            "another type",
            key.token("ES256", &json!({ "alg": "ES256", "kid": "k1", "typ": "logout+jwt" }), &good),
            Code::Malformed,
        ),
        (
            "two names",
            format!("{}.{}.AAAA", base64_url(br#"{"alg":"ES256","alg":"none"}"#), text(&good)),
            Code::Malformed,
        ),
        ("five parts", "a.b.c.d.e".to_owned(), Code::Malformed),
        ("one part", "notatokenatall".to_owned(), Code::Malformed),
    ] {
        let why = site.turned_away(&bearing(&site, &token), code);
        assert!(!why.contains(&token), "{what}: a refusal shows no token");
    }
    site.granted(&bearing(&site, &key.token("ES256", &head("ES256", "k1"), &good)));
    assert!(site.end().0.is_clean());
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn keys_that_rotate_are_fetched_once_and_not_for_each_token() {
    let (first, second) = (Key::ec(), Key::ec());
    let (issuer, site) = site(&first.jwk("k1", "ES256"), &["ES256"]);
    let token = |key: &Key, id: &str| {
        let claims = with(claims(&site, &issuer.name()), "exp", json!(now_s(&site) + 30 * 24 * 3600));
        bearing(&site, &key.token("ES256", &json!({ "alg": "ES256", "kid": id }), &claims))
    };
    site.granted(&token(&first, "k1"));
    // Another key is signed with before the issuer was asked again: it is not known, and asking waits.
    issuer.publishes(&[first.jwk("k1", "ES256"), second.jwk("k2", "ES256")]);
    for _ in 0..20 {
        site.turned_away(&token(&second, "k2"), Code::UnknownAuthority);
        site.turned_away(&token(&second, "k3"), Code::UnknownAuthority);
    }
    assert_eq!(issuer.asked(), 1);
    site.domain.clock.pass(writ_authority::ATTEMPTS_MS);
    site.granted(&token(&second, "k2"));
    site.granted(&token(&first, "k1"));
    assert_eq!(issuer.asked(), 2);
    // A key that was withdrawn is good until the keys are fetched again, and no longer.
    issuer.publishes(&[second.jwk("k2", "ES256")]);
    site.domain.clock.pass(writ_authority::FRESH_MS - 1);
    site.granted(&token(&first, "k1"));
    site.domain.clock.pass(1);
    site.turned_away(&token(&first, "k1"), Code::UnknownAuthority);
    site.granted(&token(&second, "k2"));
    assert_eq!(issuer.asked(), 3);
    assert!(site.end().0.is_clean());
}

#[test]
fn an_issuer_that_is_away_vouches_for_an_hour_and_then_for_nobody() {
    let key = Key::ec();
    let (issuer, site) = site(&key.jwk("k1", "ES256"), &["ES256"]);
    let token = || {
        let claims = with(claims(&site, &issuer.name()), "exp", json!(now_s(&site) + 7200));
        bearing(&site, &key.token("ES256", &json!({ "alg": "ES256", "kid": "k1" }), &claims))
    };
    issuer.answers("503 Service Unavailable", "");
    let why = site.turned_away(&token(), Code::Unauthenticated);
    assert!(why.contains("503"), "{why}");
    site.domain.clock.pass(writ_authority::ATTEMPTS_MS);
    issuer.publishes(&[key.jwk("k1", "ES256")]);
    site.granted(&token());
    for (status, text) in
        [("302 Found", ""), ("200 OK", "{}"), ("200 OK", r#"{"keys":[],"keys":[]}"#), ("404 Not Found", "")]
    {
        issuer.answers(status, text);
        site.domain.clock.pass(writ_authority::FRESH_MS);
        site.granted(&token());
    }
    site.domain.clock.pass(writ_authority::KEPT_MS - 4 * writ_authority::FRESH_MS - 1);
    site.granted(&token());
    site.domain.clock.pass(writ_authority::ATTEMPTS_MS);
    site.turned_away(&token(), Code::Unauthenticated);
    assert!(site.end().0.is_clean());
}

#[test]
fn keys_come_over_tls_from_whom_the_ca_names() {
    let key = Key::ec();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let shown = Shown { certificate: folder.path().join("issuer.pem"), key: folder.path().join("issuer.key") };
    std::fs::write(&shown.certificate, made.cert.pem()).unwrap();
    std::fs::write(&shown.key, made.signing_key.serialize_pem()).unwrap();
    let issuer = Issuer::over_tls(&[key.jwk("k1", "ES256")], &shown);
    let name = format!("https://localhost:{}", issuer.port);
    let declared =
        json!([{ "issuer": name, "audience": AUDIENCE, "algorithms": ["ES256"], "jwks": format!("{name}/keys") }]);
    for (ca, trusted) in [(Some(shown.certificate.clone()), true), (None, false)] {
        let site = Site::new(&Plan { issuer_ca: ca, ..plan(&name, declared.clone()) });
        let client =
            bearing(&site, &key.token("ES256", &json!({ "alg": "ES256", "kid": "k1" }), &claims(&site, &name)));
        if trusted {
            site.granted(&client);
        } else {
            site.turned_away(&client, Code::Unauthenticated);
        }
        assert!(site.end().0.is_clean());
    }
}

#[test]
fn pinned_keys_need_no_issuer_that_answers() {
    let key = Key::ec();
    let name = "https://ci.example";
    let declared =
        json!([{ "issuer": name, "audience": AUDIENCE, "algorithms": ["ES256"], "keys": [key.jwk("k1", "ES256")] }]);
    let site = Site::new(&plan(name, declared));
    let token = |key: &Key| key.token("ES256", &json!({ "alg": "ES256", "kid": "k1" }), &claims(&site, name));
    site.granted(&bearing(&site, &token(&key)));
    site.turned_away(&bearing(&site, &token(&Key::ec())), Code::SignatureInvalid);
    // A set without the issuer ends it at once.
    site.knows(&Plan { known_by: Vec::new(), ..Plan::default() });
    site.turned_away(&bearing(&site, &token(&key)), Code::UnknownAuthority);
    assert!(site.end().0.is_clean());
}

#[test]
fn a_token_gives_no_orders_and_comes_alone() {
    let key = Key::ec();
    let issuer = Issuer::start(&[key.jwk("k1", "ES256")]);
    let identity = json!([{ "issuer": issuer.name(), "subject": SUBJECT }]);
    let known_by = vec![("alice", "oidc", identity)];
    let site = Site::new(&Plan { known_by, issuers: declared(&issuer, &["ES256"]), ..Plan::default() });
    let token = key.token("ES256", &json!({ "alg": "ES256", "kid": "k1" }), &claims(&site, &issuer.name()));
    let bearer = format!("Bearer {token}");
    let origin = site.domain.domain.origin().clone();
    let order = || Request { time_ms: site.domain.clock.now_ms(), ..site.domain.domain.asked_order(Command::Halt) };
    let bare = body("request", &order().payload(&origin));
    let (status, answer) = posted(&site.endpoint(), None, "/v1/orders", Some(&[&bearer]), &bare);
    assert_eq!((status, answer["code"].as_str()), (403, Some("unauthenticated")), "{answer}");
    // Two proofs, two tokens, another scheme: nobody guesses.
    let signed = body("signed", &site.domain.member("alice").sign(&order(), &origin));
    for (body, heads) in [
        (&signed, vec![bearer.as_str()]),
        (&bare, vec![&bearer, &bearer]),
        (&bare, vec!["Basic YTpi"]),
        (&bare, vec!["Bearer"]),
    ] {
        let (status, answer) = posted(&site.endpoint(), None, "/v1/orders", Some(&heads), body);
        assert_eq!((status, answer["code"].as_str()), (400, Some("malformed")), "{answer}");
    }
    // What was asked in shadow is recorded by whom the token says, too.
    let shadow = site.domain.in_shadow(site.domain.asked_to_build());
    let shadow = body("request", &shadow.payload(&origin));
    let (status, answer) = posted(&site.endpoint(), None, "/v1/shadow", Some(&[&bearer]), &shadow);
    assert_eq!((status, answer["outcome"].as_str()), (200, Some("shadow")), "{answer}");
    assert!(site.end().0.is_clean());
}

#[test]
fn a_stolen_request_is_answered_to_nobody_else() {
    let key = Key::ec();
    let issuer = Issuer::start(&[key.jwk("k1", "ES256")]);
    let identity = |subject: &str| json!([{ "issuer": issuer.name(), "subject": subject }]);
    let known_by = vec![("builder", "oidc", identity(SUBJECT)), ("tester", "oidc", identity("tester"))];
    let site = Site::new(&Plan { known_by, issuers: declared(&issuer, &["ES256"]), ..Plan::default() });
    let token = |subject: &str| {
        let claims = with(claims(&site, &issuer.name()), "sub", json!(subject));
        bearing(&site, &key.token("ES256", &json!({ "alg": "ES256", "kid": "k1" }), &claims))
    };
    let asked = site.bare();
    let first = token(SUBJECT).authorize(&asked).unwrap();
    let Answer::Permit(first) = first else { panic!("{first:?}") };
    // The same again, from the same: the same answer, and no second one.
    let Answer::Permit(again) = token(SUBJECT).authorize(&asked).unwrap() else { panic!("expected the same answer") };
    assert_eq!((first.index, again.index, again.repeated), (first.index, first.index, true));
    let stolen = token("tester").authorize(&asked).unwrap();
    let Answer::Refused(refused) = stolen else { panic!("{stolen:?}") };
    assert_eq!(refused.code, Code::Replayed, "{}", refused.why);
    assert!(site.end().0.is_clean());
}

#[test]
fn a_token_on_the_connection_of_somebody_else_is_nobodys() {
    let key = Key::ec();
    let (issuer, site) = site(&key.jwk("k1", "ES256"), &["ES256"]);
    let token = key.token("ES256", &json!({ "alg": "ES256", "kid": "k1" }), &claims(&site, &issuer.name()));
    let with = |member: &str| {
        let shown = self_signed(site.home(), site.domain.member(member));
        let endpoint = site.endpoint().with_certificate(&shown.certificate, &shown.key);
        Client::connect(&endpoint.with_token(&token).unwrap()).unwrap()
    };
    assert_eq!(site.granted(&with("builder")).principal.auth.as_str(), "oidc");
    let size = site.node.size();
    let answer = with("tester").authorize(&site.bare()).unwrap();
    let Answer::Deny(denied) = answer else { panic!("expected a denial: {answer:?}") };
    assert_eq!(denied.code, Code::IdentityMismatch, "{}", denied.why);
    assert!(site.node.size() > size, "it is on the record");
    // A signature on the request itself may come through somebody's connection.
    let signed = site.domain.member("builder").sign(&site.domain.asked_to_build(), site.domain.domain.origin());
    let shown = self_signed(site.home(), site.domain.member("tester"));
    let answer = site.client(&shown).authorize(&Asked::Signed(signed)).unwrap();
    assert!(matches!(answer, Answer::Permit(_)), "{answer:?}");
    assert!(site.end().0.is_clean());
}

#[test]
fn keys_without_an_id_are_tried_each() {
    let nameless = |key: &Key| with(key.jwk("", "ES256"), "kid", Value::Null);
    let (first, second, third) = (Key::ec(), Key::ec(), Key::ec());
    let issuer = Issuer::start(&[nameless(&first), nameless(&second), third.jwk("k3", "ES256")]);
    let site = Site::new(&plan(&issuer.name(), declared(&issuer, &["ES256"])));
    let claims = claims(&site, &issuer.name());
    let bare = |key: &Key| bearing(&site, &key.token("ES256", &json!({ "alg": "ES256" }), &claims));
    site.granted(&bare(&first));
    site.granted(&bare(&second));
    site.granted(&bearing(&site, &third.token("ES256", &json!({ "alg": "ES256", "kid": "k3" }), &claims)));
    // One that has an id verifies what names it, and nobody else's key anything.
    site.turned_away(&bare(&third), Code::SignatureInvalid);
    site.turned_away(&bare(&Key::ec()), Code::SignatureInvalid);
    assert!(site.end().0.is_clean());
}

#[test]
fn nobody_waits_for_an_issuer_but_whoever_needs_its_keys() {
    let key = Key::ec();
    let (issuer, site) = site(&key.jwk("k1", "ES256"), &["ES256"]);
    let token = key.token("ES256", &json!({ "alg": "ES256", "kid": "k1" }), &claims(&site, &issuer.name()));
    // Answered beside the event loop, one at a time: just these must not queue behind the issuer.
    let large = "x".repeat(100_000);
    let large = || site.domain.asked(&["/usr/bin/make", &large]);
    let thinks = issuer.thinks.clone();
    let thinking = thinks.lock().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| bearing(&site, &token).authorize(&site.bare_of(&large())).unwrap());
        while issuer.asked() == 0 {
            std::thread::yield_now();
        }
        let signed = site.domain.member("builder").sign(&large(), site.domain.domain.origin());
        let answer = Client::connect(&site.endpoint()).unwrap().authorize(&Asked::Signed(signed)).unwrap();
        assert!(matches!(answer, Answer::Permit(_) | Answer::Deny(_)), "{answer:?}");
        assert!(!waiting.is_finished(), "the issuer has not answered yet");
        drop(thinking);
        let answer = waiting.join().unwrap();
        assert!(matches!(answer, Answer::Permit(_) | Answer::Deny(_)), "{answer:?}");
    });
    assert!(site.end().0.is_clean());
}
