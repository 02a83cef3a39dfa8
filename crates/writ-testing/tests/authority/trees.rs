//! Inside a governed tree (Invariant 13): the caller is its execution, and gives no orders.

use crate::answers::{denied, permitted, turned_away};
use crate::running::{Running, admitted};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use writ_authority::{Answer, BearerToken, Received};
use writ_protocol::entry::{Admitted, Place, Target};
use writ_protocol::statement::{Claim, Request};
use writ_protocol::{Code, action};
use writ_testing::governed::{GovernedDomain, Myself, PolicyFiles, wait};
use writ_testing::scenario::Secret;
use writ_tlog::{Algorithm, sha256};

#[test]
fn what_asks_inside_a_tree_is_its_execution_whatever_its_user() {
    let running = Running::begin();
    let (_, grant) = permitted(&running.domain, running.asks(&running.domain.asked_to_build()));
    assert_eq!((grant.principal.id.as_str(), grant.principal.auth.as_str()), ("builder", "execution"));
    let Place::Caused { depth, parent, origin } = &grant.cause.place else { panic!("it has a cause") };
    assert_eq!((*depth, parent.entry, origin), (1, running.writ.hash(), parent));
    running.clean();
}

#[test]
fn nothing_inside_a_tree_is_somebody_else_or_gives_orders() {
    let running = Running::begin();
    let domain = &running.domain;
    // With another's key, and with an administrator's.
    for member in ["tester", "alice"] {
        let signed = domain.member(member).sign(&domain.asked_to_build(), domain.domain.origin());
        denied(domain, running.sends(Received::Signed(&signed)), Code::IdentityMismatch);
    }
    let inside = Myself::process(running.tree.id());
    let caller = inside.as_user(domain.job_uid());
    let order = |_: ()| Request { time_ms: domain.clock.now_ms(), ..domain.domain.asked_order(action::Command::Halt) };
    let bare = order(()).payload(domain.domain.origin());
    let answer = wait(domain.authority().order(&caller, Received::Bare(&bare)));
    denied(domain, answer, Code::Unauthenticated);
    let stolen = domain.member("alice").sign(&order(()), domain.domain.origin());
    denied(domain, wait(domain.authority().order(&caller, Received::Signed(&stolen))), Code::IdentityMismatch);
    let own = domain.member("builder").sign(&order(()), domain.domain.origin());
    denied(domain, wait(domain.authority().order(&caller, Received::Signed(&own))), Code::Unauthenticated);
    // Nor does a bundle come from there, whoever has signed it.
    let publish = action::Command::Publish(sha256(b"bundle"));
    let publish = Request { time_ms: domain.clock.now_ms(), ..domain.domain.asked_order(publish) };
    let own = domain.member("builder").sign(&publish, domain.domain.origin());
    let answer = wait(domain.authority().publish(&caller, Received::Signed(&own), b"bundle"));
    let (_, denial) = denied(domain, answer, Code::Unauthenticated);
    assert!(denial.text.is_some(), "what was wrong is kept");
    assert_eq!(domain.authority().published().control.halted(), None);
    running.clean();
}

#[test]
fn a_token_inside_a_tree_makes_nobody_somebody_else_and_begins_no_lineage() {
    let running = Running::begin();
    let domain = &running.domain;
    let (issuer, key) = ("https://ci.example", Secret::new(Algorithm::Ed25519, "issuer"));
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": text(&key.public().as_bytes()[1..]) });
    let issuers = json!([{ "issuer": issuer, "audience": "writ:acme", "algorithms": ["EdDSA"], "keys": [jwk] }]);
    let mut principals: serde_json::Value = serde_json::from_str(&domain.members.principals()).unwrap();
    for item in principals.as_array_mut().unwrap() {
        let subject = item["principal"].clone();
        item["oidc"] = json!([{ "issuer": issuer, "subject": subject }]);
    }
    let policies = PolicyFiles::standard(&domain.members)
        .with("principals.json", &principals.to_string())
        .with("issuers.json", &issuers.to_string());
    domain.authority().activate(&policies.snapshot()).unwrap();
    let token = |subject: &str| {
        let claims =
            json!({ "iss": issuer, "sub": subject, "aud": "writ:acme", "exp": domain.clock.now_ms() / 1000 + 60 });
        let head = json!({ "alg": "EdDSA", "kid": "k1" });
        let signed = format!("{}.{}", text(head.to_string().as_bytes()), text(claims.to_string().as_bytes()));
        let signature = key.sign(signed.as_bytes());
        format!("{signed}.{}", text(&signature))
    };
    let sends = |subject: &str| {
        let bytes = domain.asked_to_build().payload(domain.domain.origin());
        let token = token(subject);
        running.sends(Received::WithToken(&bytes, BearerToken(&token)))
    };
    for other in ["Agent::tester", "User::alice"] {
        denied(domain, sends(other), Code::IdentityMismatch);
    }
    // Its own is known, and is caused by its execution all the same.
    let (_, grant) = permitted(domain, sends("Agent::builder"));
    assert_eq!((grant.principal.auth.as_str(), grant.cause.depth()), ("oidc", 1));
    running.clean();
}

#[test]
fn what_is_left_of_an_execution_that_has_ended_gets_nothing() {
    let running = Running::begin();
    running.ended();
    denied(&running.domain, running.asks(&running.domain.asked_to_build()), Code::LineageBroken);
    running.clean();
}

#[test]
fn a_lineage_that_is_revoked_causes_nothing_more() {
    type Revoked = fn(&Running) -> Target;
    let lineage: Revoked =
        |running| Target::Lineage { ledger: running.domain.domain.origin().clone(), entry: running.writ.hash() };
    for target in [lineage, |running| Target::Writ(running.writ.hash())] {
        let running = Running::begin();
        permitted(&running.domain, running.asks(&running.domain.asked_to_build()));
        running.domain.revoke(target(&running));
        denied(&running.domain, running.asks(&running.domain.asked_to_build()), Code::Revoked);
        running.clean();
    }
}

/// A slot's key that somebody has got hold of inside makes nobody there somebody else.
#[test]
fn nothing_inside_a_tree_names_a_watcher() {
    let running = Running::begin();
    let domain = &running.domain;
    let (execution, asked) = admitted(domain, "/usr/bin/make");
    let (writ, grant) = permitted(domain, domain.asks("tester", &asked));
    let (action, surroundings) = (grant.action.digest, grant.surroundings.digest);
    let statement = domain.statement(0, Claim::Started { writ: writ.hash(), execution, action, surroundings });
    let (inside, before) = (Myself::process(running.tree.id()), domain.size());
    let caller = inside.as_user(domain.job_uid());
    let refused = wait(domain.authority().state(&caller, &statement, Some(running.tree.id()))).unwrap_err();
    assert_eq!((refused.code(), domain.size()), (Code::LineageBroken, before), "nothing is recorded of it");
    let (_, grant) = permitted(domain, running.asks(&domain.asked_to_build()));
    assert_eq!(grant.principal.id.as_str(), "builder");
    running.clean();
}

#[test]
fn a_watcher_that_is_no_child_of_the_gateway_begins_no_tree() {
    let running = Running::begin();
    let domain = &running.domain;
    let execution = domain.domain.execution_id();
    let asked = GovernedDomain::changed(domain.asked_to_build(), |ask| {
        ask.admit = Some(Admitted { nonce: sha256(b"nonce"), execution });
    });
    let (writ, grant) = permitted(domain, domain.asks("tester", &asked));
    let started = Claim::Started {
        writ: writ.hash(),
        execution,
        action: grant.action.digest,
        surroundings: grant.surroundings.digest,
    };
    let statement = domain.statement(0, started);
    let gateway = Myself::now();
    let refused = wait(domain.authority().state(&gateway.as_user(0), &statement, Some(1))).unwrap_err();
    assert_eq!(refused.code(), Code::LineageBroken);
    assert_eq!(domain.authority().trees(), 1, "process 1 governs nothing");
    // What is gone asks nothing.
    let gone = Myself::process(running.tree.id());
    let Answer::Permit(_) = running.asks(&domain.asked_to_build()) else { panic!("it lives") };
    let mut running = running;
    running.tree.kill().unwrap();
    running.tree.wait().unwrap();
    let bytes = running.domain.asked_to_build().payload(running.domain.domain.origin());
    let caller = gone.as_user(running.domain.job_uid());
    let ask = || wait(running.domain.authority().authorize(&caller, Received::Bare(&bytes)));
    turned_away(&running.domain, ask, Code::Unauthenticated);
    running.clean();
}
