//! Connections that show who is at their other end.

use crate::site::{Ca, Plan, Site, self_signed};
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, date_time_ymd};
use writ_client::blocking::Client;
use writ_client::{Answer, Asked, OrderAnswer};
use writ_protocol::Code;
use writ_protocol::action::Command;
use writ_protocol::entry::PrincipalRef;
use writ_protocol::statement::Request;
use writ_server::ClientCertificates;
use writ_testing::governed::Member;

const BUILDER: &str = "spiffe://acme.example/builder";
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

#[test]
fn a_connection_that_has_shown_a_key_carries_many_requests() {
    let site = Site::new(&Plan::default());
    let builder = site.domain.member("builder");
    let client = site.client(&self_signed(site.home(), builder));
    for _ in 0..3 {
        let grant = site.granted(&client);
        assert_eq!((grant.principal.id.as_str(), grant.principal.auth.as_str()), ("builder", "key-connection"));
        assert_eq!(grant.principal.key.as_ref(), Some(builder.public().key()), "a revocation of the key must find it");
    }
    // What it signs itself counts more than what its connection has shown.
    let request = site.domain.asked_to_build();
    let signed = Asked::Signed(builder.sign(&request, site.domain.domain.origin()));
    assert!(matches!(client.authorize(&signed).unwrap(), Answer::Permit(_)));
    assert!(site.end().0.is_clean());
}

#[test]
fn a_workload_is_known_by_its_spiffe_id() {
    let site = Site::new(&Plan::default());
    let shown = site.ca.signs(site.home(), "builder-svid", &[BUILDER], |_| {});
    let client = site.client(&shown);
    for _ in 0..3 {
        let grant = site.granted(&client);
        assert_eq!((grant.principal.id.as_str(), grant.principal.auth.as_str()), ("builder", "spiffe"));
        assert_eq!(grant.principal.key, None);
    }
    // Nobody asks in another name, whatever shows who they are.
    let alice = site.domain.member("alice").name();
    let as_alice = PrincipalRef { kind: alice.kind.clone(), id: alice.id.clone() };
    let request = Request { principal: Some(as_alice), ..site.domain.asked_to_build() };
    let Answer::Deny(denied) = client.authorize(&site.bare_of(&request)).unwrap() else { panic!("expected a denial") };
    assert_eq!(denied.code, Code::IdentityMismatch);
    assert!(site.end().0.is_clean());
}

#[test]
fn certificates_that_break_a_rule_show_nobody() {
    let site = Site::new(&Plan::default());
    let (ca, home) = (&site.ca, site.home());
    let stranger = Ca::new();
    let cases = [
        ("forged", stranger.signs(home, "forged", &[BUILDER], |_| {}), Code::Unauthenticated),
        ("unknown", ca.signs(home, "unknown", &["spiffe://acme.example/other"], |_| {}), Code::Unauthenticated),
        ("domain", ca.signs(home, "domain", &["spiffe://other.example/builder"], |_| {}), Code::Unauthenticated),
        ("two", ca.signs(home, "two", &[BUILDER, "spiffe://acme.example/b"], |_| {}), Code::Unauthenticated),
        ("web", ca.signs(home, "web", &["https://acme.example/builder"], |_| {}), Code::Unauthenticated),
        ("none", ca.signs(home, "none", &[], |_| {}), Code::Unauthenticated),
        (
            "ca",
            ca.signs(home, "ca", &[BUILDER], |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            Code::Unauthenticated,
        ),
        (
            "signs",
            ca.signs(home, "signs", &[BUILDER], |params| params.key_usages.push(KeyUsagePurpose::CrlSign)),
            Code::Unauthenticated,
        ),
        ("unused", ca.signs(home, "unused", &[BUILDER], |params| params.key_usages.clear()), Code::Unauthenticated),
        (
            "server",
            ca.signs(home, "server", &[BUILDER], |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
            Code::Unauthenticated,
        ),
        (
            "old",
            ca.signs(home, "old", &[BUILDER], |params| params.not_after = date_time_ymd(2026, 11, 2)),
            Code::Expired,
        ),
        (
            "early",
            ca.signs(home, "early", &[BUILDER], |params| params.not_before = date_time_ymd(2026, 11, 30)),
            Code::NotYetValid,
        ),
    ];
    for (name, shown, code) in &cases {
        let why = site.turned_away(&site.client(shown), *code);
        assert!(!why.is_empty(), "{name}");
    }
    let nobody = self_signed(home, &Member::new("Agent", "nobody", &[]));
    site.turned_away(&site.client(&nobody), Code::Unauthenticated);
    // Who shows nothing is as before: known by a signature, or nobody.
    let client = Client::connect(&site.endpoint()).unwrap();
    site.turned_away(&client, Code::Unauthenticated);
    let signed = site.domain.member("builder").sign(&site.domain.asked_to_build(), site.domain.domain.origin());
    assert!(matches!(client.authorize(&Asked::Signed(signed)).unwrap(), Answer::Permit(_)));
    assert!(site.end().0.is_clean());
}

#[test]
fn a_connection_does_not_outlive_what_it_stands_on() {
    let site = Site::new(&Plan::default());
    let client = site.client(&site.ca.signs(site.home(), "svid", &[BUILDER], |_| {}));
    site.granted(&client);
    // The trust domain changes its CA: beside the old one first, then instead of it.
    let (bundle, next) = (site.home().join("bundle.pem"), Ca::new());
    let replaced = |text: &str| {
        let aside = site.home().join("bundle.new");
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(&aside, &bundle).unwrap();
        site.trust.follow();
    };
    replaced(&(site.ca.pem() + &next.pem()));
    site.granted(&client);
    let renewed = site.client(&next.signs(site.home(), "renewed", &[BUILDER], |_| {}));
    site.granted(&renewed);
    replaced(&next.pem());
    site.turned_away(&client, Code::Unauthenticated);
    site.granted(&renewed);
    // A bundle that cannot be read replaces nothing, and says so.
    for text in ["", "no certificate"] {
        std::fs::write(&bundle, text).unwrap();
        assert!(site.trust.follow().iter().any(|(domain, changed)| domain == "acme.example" && changed.is_err()));
        site.granted(&renewed);
    }
    // Its document ends while the connection is open.
    site.domain.clock.pass(30 * DAY_MS);
    site.turned_away(&renewed, Code::Expired);
    assert!(site.end().0.is_clean());
}

#[test]
fn another_policy_set_holds_for_the_very_next_request_of_an_open_connection() {
    let site = Site::new(&Plan::default());
    let client = site.client(&site.ca.signs(site.home(), "svid", &[BUILDER], |_| {}));
    assert_eq!(site.granted(&client).principal.id.as_str(), "builder");
    let renamed = Plan { known_by: vec![("tester", "spiffe", serde_json::json!([BUILDER]))], ..Plan::default() };
    site.knows(&renamed);
    assert_eq!(site.granted(&client).principal.id.as_str(), "tester");
    site.knows(&Plan { known_by: Vec::new(), ..Plan::default() });
    site.turned_away(&client, Code::Unauthenticated);
    assert!(site.end().0.is_clean());
}

#[test]
fn a_connection_gives_no_orders() {
    let known_by = vec![("alice", "spiffe", serde_json::json!(["spiffe://acme.example/alice"]))];
    let site = Site::new(&Plan { known_by, ..Plan::default() });
    let shown = [
        self_signed(site.home(), site.domain.member("alice")),
        site.ca.signs(site.home(), "alice-svid", &["spiffe://acme.example/alice"], |_| {}),
    ];
    for shown in shown {
        let request = Request { time_ms: site.domain.clock.now_ms(), ..site.domain.domain.asked_order(Command::Halt) };
        let body = crate::issuer::body("request", &request.payload(site.domain.domain.origin()));
        let answered = crate::issuer::posted(&site.endpoint(), Some(&shown), "/v1/orders", None, &body);
        assert_eq!((answered.0, answered.1["code"].as_str()), (403, Some("unauthenticated")), "{}", answered.1);
        // With the same key, signed, it is done.
    }
    let request = Request { time_ms: site.domain.clock.now_ms(), ..site.domain.domain.asked_order(Command::Halt) };
    let signed = site.domain.member("alice").sign(&request, site.domain.domain.origin());
    let client = Client::connect(&site.endpoint()).unwrap();
    assert!(matches!(client.order(&signed).unwrap(), OrderAnswer::Recorded(_)));
    assert!(site.end().0.is_clean());
}

#[test]
fn where_certificates_are_required_nobody_else_gets_a_connection() {
    let site = Site::new(&Plan { wanted: ClientCertificates::Required, ..Plan::default() });
    site.granted(&site.client(&site.ca.signs(site.home(), "svid", &[BUILDER], |_| {})));
    site.granted(&site.client(&self_signed(site.home(), site.domain.member("builder"))));
    let forged = Ca::new().signs(site.home(), "forged", &[BUILDER], |_| {});
    let size = site.node.size();
    let with = |shown: &crate::site::Shown| site.endpoint().with_certificate(&shown.certificate, &shown.key);
    for endpoint in [site.endpoint(), with(&forged)] {
        // In TLS 1.3 the client learns of it with its first request.
        let asked = Client::connect(&endpoint).and_then(|client| client.authorize(&site.bare()));
        let error = asked.expect_err("no connection");
        assert!(matches!(error.code(), Code::AuthorityUnreachable | Code::UnknownAuthority), "{error}");
    }
    assert_eq!(site.node.size(), size);
    // Others come in by the local socket as ever.
    assert!(Client::connect(&site.local()).unwrap().status().is_ok());
    assert!(site.end().0.is_clean());
}
