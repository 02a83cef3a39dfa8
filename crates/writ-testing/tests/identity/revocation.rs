//! A revocation holds for the very next decision, however it was shown who asks, and however many ask at once.

use crate::issuer::{Issuer, Key};
use crate::site::{Plan, Site, self_signed};
use serde_json::{Value, json};
use std::sync::Barrier;
use writ_client::blocking::Client;
use writ_client::{Answer, Endpoint};
use writ_protocol::action::Command;
use writ_protocol::entry::Target;
use writ_protocol::statement::Request;
use writ_protocol::{Body, Code};

fn revoke(site: &Site, target: Target) {
    let request =
        Request { time_ms: site.domain.clock.now_ms(), ..site.domain.domain.asked_order(Command::Revoke(target)) };
    let signed = site.domain.member("alice").sign(&request, site.domain.domain.origin());
    let answer = Client::connect(&site.endpoint()).unwrap().order(&signed).unwrap();
    assert!(matches!(answer, writ_client::OrderAnswer::Recorded(_)), "{answer:?}");
}

/// Everybody asks again and again until they are refused; meanwhile it is revoked. Nobody who was refused is permitted afterwards.
fn race(site: &Site, endpoints: &[Endpoint], target: Target) {
    let together = Barrier::new(endpoints.len() + 1);
    std::thread::scope(|scope| {
        for endpoint in endpoints {
            let together = &together;
            scope.spawn(move || {
                let client = Client::connect(endpoint).unwrap();
                let first = client.authorize(&site.bare());
                // Whatever came of it, the others are not kept waiting.
                together.wait();
                assert!(matches!(first, Ok(Answer::Permit(_))), "{first:?}");
                let mut refusals = 0;
                while refusals < 3 {
                    match client.authorize(&site.bare()).unwrap() {
                        Answer::Permit(permit) => assert_eq!(refusals, 0, "entry {} after a refusal", permit.index),
                        Answer::Deny(denied) => {
                            assert_eq!(denied.code, Code::Revoked, "{}", denied.why);
                            refusals += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
        together.wait();
        revoke(site, target);
    });
}

/// In ledger order, nothing is granted to this principal after its revocation, and something was before.
fn judged(site: Site, id: &str, auths: &[&str]) {
    let (mut revoked, mut before) = (false, Vec::new());
    for entered in site.domain.entered() {
        match entered.body {
            Body::Revocation(_) => revoked = true,
            Body::Grant(grant) if grant.principal.id.as_str() == id => {
                assert!(!revoked, "entry {} grants what is revoked", entered.index);
                before.push(grant.principal.auth.as_str().to_owned());
            }
            _ => {}
        }
    }
    for auth in auths {
        assert!(revoked && before.iter().any(|found| found == auth), "nobody was known by {auth}");
    }
    assert!(site.end().0.is_clean());
}

#[test]
fn no_permit_follows_the_revocation_of_a_principal_however_it_is_known() {
    let key = Key::ec();
    let issuer = Issuer::start(&[key.jwk("k1", "ES256")]);
    let identity = json!([{ "issuer": issuer.name(), "subject": "builder" }]);
    let spiffe: Value = json!(["spiffe://acme.example/builder"]);
    let issuers =
        json!([{ "issuer": issuer.name(), "audience": "writ:acme", "algorithms": ["ES256"], "jwks": issuer.place() }]);
    let known_by = vec![("builder", "oidc", identity), ("builder", "spiffe", spiffe)];
    let site = Site::new(&Plan { known_by, issuers, ..Plan::default() });
    let now_s = site.domain.clock.now_ms() / 1000;
    let claims = json!({ "iss": issuer.name(), "sub": "builder", "aud": "writ:acme", "exp": now_s + 300 });
    let token = key.token("ES256", &json!({ "alg": "ES256", "kid": "k1" }), &claims);
    let svid = site.ca.signs(site.home(), "svid", &["spiffe://acme.example/builder"], |_| {});
    let own = self_signed(site.home(), site.domain.member("builder"));
    let endpoints = [
        site.endpoint().with_token(&token).unwrap(),
        site.endpoint().with_certificate(&svid.certificate, &svid.key),
        site.endpoint().with_certificate(&own.certificate, &own.key),
    ];
    let endpoints: Vec<Endpoint> = endpoints.iter().cycle().take(6).cloned().collect();
    let target = Target::Principal(site.domain.member("builder").name().clone());
    race(&site, &endpoints, target);
    judged(site, "builder", &["oidc", "spiffe", "key-connection"]);
}

#[test]
fn no_permit_follows_the_revocation_of_a_key_on_the_connections_that_have_shown_it() {
    let site = Site::new(&Plan::default());
    let own = self_signed(site.home(), site.domain.member("builder"));
    let endpoint = site.endpoint().with_certificate(&own.certificate, &own.key);
    let target = Target::Key(site.domain.member("builder").public().key().fingerprint());
    race(&site, &vec![endpoint; 4], target);
    // Whoever is known by something else is not concerned by the key.
    let svid = site.ca.signs(site.home(), "svid", &["spiffe://acme.example/builder"], |_| {});
    let answer = site.client(&svid).authorize(&site.bare()).unwrap();
    assert!(matches!(answer, Answer::Permit(_)), "{answer:?}");
    let grants = site.domain.entered().into_iter().filter_map(|one| match one.body {
        Body::Grant(grant) => Some(grant.principal.auth.as_str().to_owned()),
        _ => None,
    });
    let grants: Vec<String> = grants.collect();
    assert_eq!(grants.last().map(String::as_str), Some("spiffe"));
    assert!(site.end().0.is_clean());
}

#[test]
fn no_permit_follows_the_revocation_of_the_policy_set_or_a_halt() {
    let site = Site::new(&Plan::default());
    let own = self_signed(site.home(), site.domain.member("builder"));
    let endpoint = site.endpoint().with_certificate(&own.certificate, &own.key);
    let set = *site.node.policy().set.digest();
    race(&site, &vec![endpoint; 3], Target::Policy(set));
    judged(site, "builder", &["key-connection"]);
}
