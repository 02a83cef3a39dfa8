//! Two domains on one node, with members of the same names and the same keys, and callers who try to get in one what is the other's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test panics to fail, and looks at the entries and answers that it is about"
)]

#[path = "domains/outages.rs"]
mod outages;
#[path = "domains/pair.rs"]
mod pair;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "identity/site.rs"]
mod site;

use pair::{Pair, Side};
use serde_json::json;
use site::{Shown, self_signed};
use writ_client::blocking::Client;
use writ_client::{Answer, Asked, OrderAnswer, StateAnswer};
use writ_protocol::action::{Command, Held};
use writ_protocol::entry::{EntryRef, Positive, Target, Verdict};
use writ_protocol::statement::{Claim, Request};
use writ_protocol::{Body, Code, WritVerifier};
use writ_testing::governed::GovernedDomain;
use writ_tlog::Hash;

const BUILDER: &str = "spiffe://acme.example/builder";

#[track_caller]
fn permitted(answer: &Answer) -> u64 {
    let Answer::Permit(permit) = answer else { panic!("expected a permit: {answer:?}") };
    assert!(!permit.repeated);
    permit.index
}

#[track_caller]
fn refused(answer: &Answer) -> Code {
    match answer {
        Answer::Deny(denied) => denied.code,
        Answer::Refused(refused) => refused.code,
        other => panic!("expected a refusal: {other:?}"),
    }
}

/// The entry at an index of a side, as it is referred to.
fn reference(side: &Side, index: u64) -> EntryRef {
    let found = &side.domain.entered()[usize::try_from(index).unwrap()];
    EntryRef { entry: found.hash, index, ledger: side.domain.domain.origin().clone() }
}

#[test]
fn a_signed_request_of_one_domain_is_nothing_in_another() {
    let pair = Pair::new();
    let (of_a, of_b) = (pair.a.client(), pair.b.client());
    let request = pair.a.domain.asked_to_build();
    let signed = pair.a.signed("builder", &request);
    let size = pair.b.node.size();
    assert_eq!(refused(&of_b.authorize(&signed).unwrap()), Code::UnknownAuthority);
    // Nor as it is, on a connection or a local socket whose caller is known in both.
    let shown = self_signed(pair.home(), pair.a.domain.member("builder"));
    let bare = Asked::Bare(request.payload(pair.a.domain.domain.origin()));
    assert_eq!(refused(&pair.b.showing(&shown).authorize(&bare).unwrap()), Code::UnknownAuthority);
    assert_eq!(refused(&pair.b.local().authorize(&signed).unwrap()), Code::UnknownAuthority);
    let halt = Request { time_ms: pair.a.domain.clock.now_ms(), ..pair.a.domain.domain.asked_order(Command::Halt) };
    let halt = pair.a.domain.member("alice").sign(&halt, pair.a.domain.domain.origin());
    let OrderAnswer::Refused(answer) = of_b.order(&halt).unwrap() else { panic!("expected a refusal") };
    assert_eq!(answer.code, Code::UnknownAuthority);
    assert_eq!(pair.b.node.size(), size, "nobody known has asked");
    // In its own it counts, and there once.
    permitted(&of_a.authorize(&signed).unwrap());
    pair.end();
}

#[test]
fn what_a_connection_has_shown_counts_as_far_as_the_domain_knows_it() {
    // A knows the builder by a SPIFFE id and by a key; B knows it by its key alone.
    let pair = Pair::knowing(&[("builder", "spiffe", json!([BUILDER]))], &[]);
    let svid = pair.ca.signs(pair.home(), "svid", &[BUILDER], |_| {});
    let ask = |side: &Side, shown: &Shown| side.showing(shown).authorize(&side.bare()).unwrap();
    permitted(&ask(&pair.a, &svid));
    assert_eq!(refused(&ask(&pair.b, &svid)), Code::Unauthenticated);
    let own = self_signed(pair.home(), pair.a.domain.member("builder"));
    permitted(&ask(&pair.a, &own));
    permitted(&ask(&pair.b, &own));
    pair.end();
}

#[test]
fn one_request_key_in_two_domains_is_two_requests() {
    let pair = Pair::new();
    let of_a = pair.a.domain.asked_to_build();
    let of_b = Request { key: of_a.key, salt: of_a.salt, ..pair.b.domain.asked_to_build() };
    permitted(&pair.a.client().authorize(&pair.a.signed("builder", &of_a)).unwrap());
    permitted(&pair.b.client().authorize(&pair.b.signed("builder", &of_b)).unwrap());
    pair.end();
}

#[test]
fn a_writ_of_one_domain_starts_nothing_in_another() {
    let pair = Pair::new();
    let Answer::Permit(permit) =
        pair.a.client().authorize(&pair.a.signed("builder", &pair.a.domain.asked_to_build())).unwrap()
    else {
        panic!("expected a permit")
    };
    // As a gateway of B sees it, and as its ledger does.
    let in_b = WritVerifier::new(pair.b.domain.domain.trust_root()).verify_logged(permit.writ.as_bytes());
    assert_eq!(in_b.unwrap_err().code(), Code::UnknownAuthority);
    assert!(WritVerifier::new(pair.a.domain.domain.trust_root()).verify_logged(permit.writ.as_bytes()).is_ok());
    let (writ, index) = (reference(&pair.a, permit.index).entry, permit.index);
    let execution = pair.a.domain.domain.execution_id();
    let spent = || Claim::Spent { writ, index, execution, usage: Positive::ONE };
    let size = pair.b.node.size();
    for statement in [pair.b.domain.statement(0, spent()), pair.a.domain.statement(0, spent())] {
        let answer = pair.b.client().state(&statement, None).unwrap();
        assert!(matches!(answer, StateAnswer::Refused(_)), "{answer:?}");
    }
    assert_eq!(pair.b.node.size(), size);
    // It is not spent by that.
    let answer = pair.a.client().state(&pair.a.domain.statement(0, spent()), None).unwrap();
    assert!(matches!(answer, StateAnswer::Recorded(_)), "{answer:?}");
    pair.end();
}

#[test]
fn entries_of_one_domain_are_named_in_vain_in_another() {
    let pair = Pair::new();
    let (of_a, of_b) = (pair.a.client(), pair.b.client());
    let deploy = pair.a.domain.asked(&["/usr/bin/deploy", "production"]);
    let Answer::Hold(held) = of_a.authorize(&pair.a.signed("builder", &deploy)).unwrap() else { panic!("no hold") };
    let hold = reference(&pair.a, held.index);
    let Body::Hold(body) = pair.a.domain.entered()[usize::try_from(held.index).unwrap()].body.clone() else { panic!() };
    let answer = || Command::Answer(Verdict::Approve, Held { hold: hold.clone(), action: body.action.digest });
    assert!(!matches!(pair.b.ordered("bob", answer()), OrderAnswer::Recorded(_)), "A's hold is none of B's");
    let going_on =
        GovernedDomain::changed(pair.b.domain.asked(&["/usr/bin/make"]), |ask| ask.hold = Some(hold.clone()));
    assert_eq!(refused(&of_b.authorize(&pair.b.signed("builder", &going_on)).unwrap()), Code::ApprovalRejected);
    // A mandate of A.
    let given = pair::anything(&pair.a, pair.a.domain.member("builder").name());
    let mandate = reference(&pair.a, pair.a.orders("alice", given));
    let under =
        |side: &Side| GovernedDomain::changed(side.domain.asked_to_build(), |ask| ask.mandate = Some(mandate.clone()));
    permitted(&of_a.authorize(&pair.a.signed("builder", &under(&pair.a))).unwrap());
    assert_eq!(refused(&of_b.authorize(&pair.b.signed("builder", &under(&pair.b))).unwrap()), Code::LineageBroken);
    // To revoke in B what is A's takes nothing from A.
    let granted = permitted(&of_a.authorize(&pair.a.signed("builder", &pair.a.domain.asked_to_build())).unwrap());
    let writ = reference(&pair.a, granted);
    pair.b.ordered("alice", Command::Revoke(Target::Writ(writ.entry)));
    pair.b.ordered("alice", Command::Revoke(Target::Mandate(mandate.entry)));
    let spent = Claim::Spent {
        writ: writ.entry,
        index: writ.index,
        execution: pair.a.domain.domain.execution_id(),
        usage: Positive::ONE,
    };
    let stated = of_a.state(&pair.a.domain.statement(0, spent), None).unwrap();
    assert!(matches!(stated, StateAnswer::Recorded(_)), "{stated:?}");
    permitted(&of_a.authorize(&pair.a.signed("builder", &under(&pair.a))).unwrap());
    pair.end();
}

#[test]
fn what_is_read_by_one_name_has_nothing_of_the_other_domain() {
    let pair = Pair::new();
    let of_a = pair.a.client();
    let deploy = pair.a.domain.asked(&["/usr/bin/deploy", "a-secret-of-a"]);
    assert!(matches!(of_a.authorize(&pair.a.signed("builder", &deploy)).unwrap(), Answer::Hold(_)));
    for _ in 0..4 {
        permitted(&of_a.authorize(&pair.a.signed("builder", &pair.a.domain.asked_to_build())).unwrap());
    }
    let last = pair.a.node.size() - 1;
    let paths = [
        "/checkpoint".to_owned(),
        "/tile/0/000.p/2".to_owned(),
        format!("/tile/entries/000.p/{}", pair.a.node.size()),
        "/v1/status".to_owned(),
        "/v1/control".to_owned(),
        "/v1/holds".to_owned(),
        "/v1/mandates".to_owned(),
        "/metrics".to_owned(),
        format!("/v1/holds/{last}"),
        format!("/v1/entries/{last}"),
        format!("/v1/entries/{last}/bundle"),
    ];
    let hashes: Vec<Hash> = pair.a.domain.entered().iter().map(|one| one.hash).collect();
    for host in ["b", "the local socket of b", "no domain"] {
        for path in &paths {
            let (status, body) = match host {
                "b" => pair.b.asked(path),
                "no domain" => pair.asked("localhost", path),
                _ => pair.b.asked_locally(path),
            };
            if path.contains(&last.to_string()) {
                assert_ne!(status, 200, "{host} {path}: B has no such entry");
            }
            for found in [b"writ.example/a".as_slice(), b"a-secret-of-a"] {
                assert!(!body.windows(found.len()).any(|window| window == found), "{host} {path}");
            }
            for hash in &hashes {
                assert!(!body.windows(32).any(|window| window == hash.as_bytes()), "{host} {path}");
            }
        }
    }
    // What A's own name tells of it is there, so that the above looks for something.
    let (_, checkpoint) = pair.a.asked("/checkpoint");
    assert!(checkpoint.starts_with(b"writ.example/a"), "{}", String::from_utf8_lossy(&checkpoint));
    pair.end();
}

#[test]
fn a_halt_or_a_revocation_in_one_domain_stops_nothing_in_another() {
    let pair = Pair::new();
    let builder = pair.a.domain.member("builder").name().clone();
    pair.a.orders("alice", Command::Revoke(Target::Principal(builder)));
    let ask = |side: &Side, client: &Client| {
        client.authorize(&side.signed("builder", &side.domain.asked_to_build())).unwrap()
    };
    let (of_a, of_b) = (pair.a.client(), pair.b.client());
    assert_eq!(refused(&ask(&pair.a, &of_a)), Code::Revoked);
    permitted(&ask(&pair.b, &of_b));
    pair.a.orders("alice", Command::Halt);
    let tester = pair.a.signed("tester", &pair.a.domain.asked_to_build());
    assert_eq!(refused(&of_a.authorize(&tester).unwrap()), Code::Halted);
    permitted(&ask(&pair.b, &of_b));
    assert_eq!(of_b.status().unwrap()["halted_at"], json!(null));
    pair.end();
}
