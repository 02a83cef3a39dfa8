//! What history says of a set that does not know somebody any more by what showed who they are.

use crate::issuer::Key;
use crate::site::{Plan, Site, files};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_authority::{History, LOOKED_BACK, PolicySet, Semantics, Shift};
use writ_client::blocking::Client;

const ISSUER: &str = "https://ci.example";

#[test]
fn whoever_a_set_would_not_know_any_more_counts_as_refused() {
    let key = Key::ec();
    let issuers = |audience: &str| json!([{ "issuer": ISSUER, "audience": audience, "algorithms": ["ES256"], "keys": [key.jwk("k1", "ES256")] }]);
    let oidc = ("builder", "oidc", json!([{ "issuer": ISSUER, "subject": "builder" }]));
    let spiffe = ("builder", "spiffe", json!(["spiffe://acme.example/builder"]));
    let plan = |known_by: &[&(&'static str, &'static str, Value)], audience: &str| {
        let known_by = known_by.iter().map(|one| (*one).clone()).collect();
        Plan { known_by, issuers: issuers(audience), ..Plan::default() }
    };
    let site = Site::new(&plan(&[&oidc, &spiffe], "writ:acme"));
    let claims =
        json!({ "iss": ISSUER, "sub": "builder", "aud": "writ:acme", "exp": site.domain.clock.now_ms() / 1000 + 60 });
    let token = key.token("ES256", &json!({ "alg": "ES256", "kid": "k1" }), &claims);
    site.granted(&Client::connect(&site.endpoint().with_token(&token).unwrap()).unwrap());
    site.granted(&site.client(&site.ca.signs(site.home(), "svid", &["spiffe://acme.example/builder"], |_| {})));
    let set =
        |plan: &Plan| PolicySet::compile(&files(&site.domain.members, plan).snapshot(), Semantics::CURRENT).unwrap();
    let in_force = set(&plan(&[&oidc, &spiffe], "writ:acme"));
    let found = |candidate: &Plan| {
        let store = &site.domain.place.store;
        History::ask(store, &set(candidate), &in_force, LOOKED_BACK).unwrap().found().counts.clone()
    };
    assert_eq!(found(&plan(&[&oidc, &spiffe], "writ:acme")), BTreeMap::new());
    for other in [plan(&[&oidc], "writ:acme"), plan(&[&spiffe], "writ:acme"), plan(&[&oidc, &spiffe], "writ:other")] {
        assert_eq!(found(&other), BTreeMap::from([(Shift::Denied, 1)]));
    }
    assert_eq!(found(&plan(&[], "writ:acme")), BTreeMap::from([(Shift::Denied, 2)]));
    assert!(site.end().0.is_clean());
}
