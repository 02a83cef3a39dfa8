//! Orders: authorized like any action, by a key, from outside.

use crate::answers::{denied, done, turned_away};
use writ_authority::{Caller, Received};
use writ_protocol::Code;
use writ_protocol::action::Command;
use writ_protocol::entry::Target;
use writ_protocol::statement::Request;
use writ_testing::governed::{GovernedDomain, Myself, wait};

#[test]
fn a_user_of_this_machine_gives_no_orders() {
    let mut domain = GovernedDomain::new();
    let request = Request { time_ms: domain.clock.now_ms(), ..domain.domain.asked_order(Command::Halt) };
    let bare = request.payload(domain.domain.origin());
    let caller = Myself::now();
    let answer = wait(domain.authority().order(&caller.as_user(domain.job_uid()), Received::Bare(&bare)));
    let (_, denial) = denied(&domain, answer, Code::Unauthenticated);
    assert_eq!((denial.principal.id.as_str(), denial.principal.auth.as_str()), ("job", "peer"));
    assert_eq!(domain.authority().published().control.halted(), None);
    assert!(domain.judged().is_clean());
}

#[test]
fn an_order_that_policy_does_not_permit_is_not_done() {
    let mut domain = GovernedDomain::new();
    let tester = || Target::Principal(domain.member("tester").name().clone());
    let (_, denial) = denied(&domain, domain.orders("bob", Command::Revoke(tester())), Code::PolicyDenied);
    assert_eq!(denial.action.kind.as_str(), "order");
    denied(&domain, domain.orders("builder", Command::Halt), Code::PolicyDenied);
    let control = domain.authority().published().control;
    assert_eq!((control.revoked(&tester()), control.halted()), (None, None));
    assert!(domain.judged().is_clean());
}

#[test]
fn an_order_is_done_once_however_often_it_is_sent() {
    let mut domain = GovernedDomain::new();
    let target = Target::Principal(domain.member("tester").name().clone());
    let request =
        Request { time_ms: domain.clock.now_ms(), ..domain.domain.asked_order(Command::Revoke(target.clone())) };
    let signed = domain.member("alice").sign(&request, domain.domain.origin());
    let give = || wait(domain.authority().order(&Caller::Remote, Received::Signed(&signed)));
    let first = done(&domain, give());
    let again = done(&domain, give());
    assert_eq!((again.index, again.repeated), (first.index, true));
    assert_eq!(domain.authority().published().control.revoked(&target), Some(first.index));
    // Its key with another order.
    let other = Request { key: request.key, time_ms: request.time_ms, ..domain.domain.asked_order(Command::Halt) };
    let signed = domain.member("alice").sign(&other, domain.domain.origin());
    let give = || wait(domain.authority().order(&Caller::Remote, Received::Signed(&signed)));
    turned_away(&domain, give, Code::Replayed);
    assert!(domain.judged().is_clean());
}

#[test]
fn a_request_for_a_writ_is_no_order() {
    let domain = GovernedDomain::new();
    let signed = domain.member("alice").sign(&domain.asked_to_build(), domain.domain.origin());
    let give = || wait(domain.authority().order(&Caller::Remote, Received::Signed(&signed)));
    turned_away(&domain, give, Code::Malformed);
    let execution = domain.domain.action(&["/usr/bin/make"]);
    let as_order = Request {
        time_ms: domain.clock.now_ms(),
        action: execution.value,
        action_salt: execution.salt,
        ..domain.domain.asked_order(Command::Halt)
    };
    let signed = domain.member("alice").sign(&as_order, domain.domain.origin());
    let give = || wait(domain.authority().order(&Caller::Remote, Received::Signed(&signed)));
    turned_away(&domain, give, Code::Malformed);
}

#[test]
fn an_order_that_nobody_known_has_signed_is_turned_away() {
    let domain = GovernedDomain::new();
    let request = Request { time_ms: domain.clock.now_ms(), ..domain.domain.asked_order(Command::Halt) };
    let stranger = writ_testing::governed::Member::new("User", "mallory", &["administrators"]);
    let forged = stranger.sign(&request, domain.domain.origin());
    let give = || wait(domain.authority().order(&Caller::Remote, Received::Signed(&forged)));
    turned_away(&domain, give, Code::Unauthenticated);
    let mut late = domain.member("alice").sign(&request, domain.domain.origin());
    domain.clock.pass(60_001);
    let give = || wait(domain.authority().order(&Caller::Remote, Received::Signed(&late)));
    turned_away(&domain, give, Code::Expired);
    *late.last_mut().unwrap() ^= 1;
    let give = || wait(domain.authority().order(&Caller::Remote, Received::Signed(&late)));
    turned_away(&domain, give, Code::SignatureInvalid);
    assert_eq!(domain.authority().published().control.halted(), None);
}
