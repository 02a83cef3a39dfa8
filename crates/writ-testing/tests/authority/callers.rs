//! Who asks, and how often.

use crate::answers::{denied, permitted, turned_away};
use writ_authority::{Answer, Caller, Descent, Local, Rate, Received};
use writ_protocol::Code;
use writ_protocol::statement::Request;
use writ_testing::governed::{GovernedDomain, Member, Myself, PolicyFiles, wait};

#[test]
fn whoever_is_not_known_is_turned_away_and_counted() {
    let domain = GovernedDomain::new();
    let request = domain.asked_to_build();
    let bare = request.payload(domain.domain.origin());
    let stranger = Member::new("Agent", "stranger", &[]);
    let forged = stranger.sign(&request, domain.domain.origin());
    turned_away(&domain, || domain.sent(&forged), Code::Unauthenticated);
    let nobody = domain.job_uid() + 1;
    turned_away(&domain, || domain.asks_as_user(nobody, &request), Code::Unauthenticated);
    let over_the_network = || wait(domain.authority().authorize(&Caller::Remote, Received::Bare(&bare)));
    turned_away(&domain, over_the_network, Code::Unauthenticated);
    let unseen = Caller::Local(Local {
        uid: domain.job_uid(),
        pid: std::process::id(),
        pidfd: None,
        descent: &Descent::default(),
    });
    turned_away(&domain, || wait(domain.authority().authorize(&unseen, Received::Bare(&bare))), Code::Unauthenticated);
    // The number of another process does not make it that process.
    let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let pidfd = Myself::now();
    let Caller::Local(mine) = pidfd.as_user(domain.job_uid()) else { panic!("a local caller") };
    let borrowed = Caller::Local(Local { pid: other.id(), ..mine });
    turned_away(
        &domain,
        || wait(domain.authority().authorize(&borrowed, Received::Bare(&bare))),
        Code::Unauthenticated,
    );
    other.kill().unwrap();
    other.wait().unwrap();
    permitted(&domain, domain.asks_as_user(domain.job_uid(), &request));
}

#[test]
fn a_signature_that_does_not_verify_is_turned_away() {
    let domain = GovernedDomain::new();
    let good = domain.member("builder").sign(&domain.asked_to_build(), domain.domain.origin());
    let mut last_flipped = good.clone();
    *last_flipped.last_mut().unwrap() ^= 1;
    turned_away(&domain, || domain.sent(&last_flipped), Code::SignatureInvalid);
    let other_ledger = writ_tlog::Origin::new("writ.example/ledger/other").unwrap();
    let elsewhere = domain.member("builder").sign(&domain.asked_to_build(), &other_ledger);
    turned_away(&domain, || domain.sent(&elsewhere), Code::UnknownAuthority);
    permitted(&domain, domain.sent(&good));
}

#[test]
fn what_is_no_request_is_turned_away() {
    let domain = GovernedDomain::new();
    turned_away(&domain, || domain.sent(b"no cbor"), Code::Malformed);
    turned_away(&domain, || domain.sent(&[]), Code::Malformed);
    let bare = domain.asked_to_build().payload(domain.domain.origin());
    turned_away(&domain, || domain.sent(&bare), Code::Malformed);
    let signed = domain.member("job").sign(&domain.asked_to_build(), domain.domain.origin());
    let as_bare = || {
        let myself = Myself::now();
        wait(domain.authority().authorize(&myself.as_user(domain.job_uid()), Received::Bare(&signed)))
    };
    turned_away(&domain, as_bare, Code::Malformed);
    let cut = &signed[..signed.len() - 1];
    turned_away(&domain, || domain.sent(cut), Code::Malformed);
}

#[test]
fn a_signed_request_is_of_use_for_a_minute_around_its_time() {
    let domain = GovernedDomain::new();
    let now_ms = domain.clock.now_ms();
    let at = |time_ms| {
        let request = Request { time_ms, ..domain.asked_to_build() };
        domain.member("builder").sign(&request, domain.domain.origin())
    };
    let (old, early) = (at(now_ms - 60_001), at(now_ms + 60_001));
    turned_away(&domain, || domain.sent(&old), Code::Expired);
    turned_away(&domain, || domain.sent(&early), Code::NotYetValid);
    permitted(&domain, domain.sent(&at(now_ms - 60_000)));
    permitted(&domain, domain.sent(&at(now_ms + 60_000)));
}

#[test]
fn the_same_request_has_one_answer_and_its_key_no_second_use() {
    let mut domain = GovernedDomain::new();
    let request = domain.asked_to_build();
    let first = permitted(&domain, domain.asks("builder", &request)).0;
    assert!(!first.repeated);
    let again = permitted(&domain, domain.asks("builder", &request)).0;
    assert!(again.repeated);
    assert_eq!((again.index, again.hash()), (first.index, first.hash()));
    // The key of a request that was answered, on another request.
    let other = Request { key: request.key, ..domain.asked(&["/usr/bin/make", "install"]) };
    turned_away(&domain, || domain.asks("builder", &other), Code::Replayed);
    // The same words in another's mouth are another request.
    turned_away(&domain, || domain.asks("tester", &request), Code::Replayed);

    let forbidden = domain.asked(&["/usr/bin/dd"]);
    let first = denied(&domain, domain.asks("builder", &forbidden), Code::PolicyDenied).0;
    let again = denied(&domain, domain.asks("builder", &forbidden), Code::PolicyDenied).0;
    assert_eq!((again.receipt.index, again.receipt.repeated), (first.receipt.index, true));
    // Also after the node was started anew.
    let policies = PolicyFiles::standard(&domain.members);
    domain.open(&policies);
    let again = denied(&domain, domain.asks("builder", &forbidden), Code::PolicyDenied).0;
    assert_eq!((again.receipt.index, again.receipt.repeated), (first.receipt.index, true));
    assert!(domain.judged().is_clean());
}

#[test]
fn nobody_asks_in_another_name() {
    let mut domain = GovernedDomain::new();
    let as_alice = Request { principal: Some(name_of(&domain, "alice")), ..domain.asked_to_build() };
    let (_, denial) = denied(&domain, domain.asks_as_user(domain.job_uid(), &as_alice), Code::IdentityMismatch);
    assert_eq!(denial.principal.id.as_str(), "job", "the denial names who asked, and not whom they named");
    let as_alice = Request { principal: Some(name_of(&domain, "alice")), ..domain.asked_to_build() };
    let (_, denial) = denied(&domain, domain.asks("builder", &as_alice), Code::IdentityMismatch);
    assert_eq!((denial.principal.id.as_str(), denial.policy), ("builder", None));
    let as_itself = Request { principal: Some(name_of(&domain, "builder")), ..domain.asked_to_build() };
    permitted(&domain, domain.asks("builder", &as_itself));
    assert!(domain.judged().is_clean());
}

#[test]
fn a_gateway_of_the_nodes_own_machine_asks_in_nobodys_name() {
    let mut domain = GovernedDomain::new();
    for principal in [None, Some(name_of(&domain, "builder")), Some(name_of(&domain, "alice"))] {
        let request = Request { principal, ..domain.asked_to_build() };
        let gateway = domain.domain.gateway_key(0, 1);
        let signed = request.sign(domain.domain.origin(), gateway.signing_key());
        let (_, denial) = denied(&domain, domain.sent(&signed), Code::IdentityMismatch);
        assert_eq!((denial.principal.kind.as_str(), denial.principal.id.as_str()), ("Gateway", "gateway-1"));
    }
    let record = domain.authority().published().control.gateway(&domain.domain.gateway_name(0)).cloned().unwrap();
    assert!(record.asserts.is_empty(), "a node enrols gateways that assert nobody");
    assert!(domain.judged().is_clean());
}

fn name_of(domain: &GovernedDomain, id: &str) -> writ_protocol::entry::PrincipalRef {
    let name = domain.member(id).name();
    writ_protocol::entry::PrincipalRef { kind: name.kind.clone(), id: name.id.clone() }
}

#[test]
fn who_asks_too_often_is_turned_away_until_time_has_passed() {
    let mut domain = GovernedDomain::new();
    domain.rate = Rate { per_second: 1, burst: 2 };
    let policies = PolicyFiles::standard(&domain.members);
    domain.open(&policies);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    denied(&domain, domain.asks("builder", &domain.asked(&["/usr/bin/dd"])), Code::PolicyDenied);
    turned_away(&domain, || domain.asks("builder", &domain.asked_to_build()), Code::RateLimited);
    // Others are not kept waiting, and orders count like requests.
    permitted(&domain, domain.asks("tester", &domain.asked_to_build()));
    let halt = || domain.orders("builder", writ_protocol::action::Command::Halt);
    turned_away(&domain, halt, Code::RateLimited);
    domain.clock.pass(1_000);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
}

#[test]
fn a_flood_of_strangers_is_one_entry() {
    let domain = GovernedDomain::new();
    let stranger = Member::new("Agent", "stranger", &[]);
    let before = domain.size();
    for _ in 0..500 {
        let forged = stranger.sign(&domain.asked_to_build(), domain.domain.origin());
        assert!(matches!(domain.sent(&forged), Answer::TurnedAway(_)));
        assert!(matches!(domain.sent(b"x"), Answer::TurnedAway(_)));
    }
    assert_eq!(domain.size(), before);
    let receipt = wait(domain.authority().record_turned_away()).unwrap().unwrap();
    let writ_protocol::Body::Tally(tally) = &domain.entered()[usize::try_from(receipt.index.get()).unwrap()].body
    else {
        panic!("expected a tally")
    };
    let counts: Vec<_> = tally.counts.iter().map(|one| (one.code, one.count.get())).collect();
    assert_eq!(counts, [(Code::Malformed, 500), (Code::Unauthenticated, 500)]);
    assert!(wait(domain.authority().record_turned_away()).unwrap().is_none(), "it is recorded once");
}
