//! Orders: authorized like any action, by a key, from outside.

use crate::answers::{denied, done, turned_away};
use writ_authority::{Caller, Outcome, Received, Recorded, retell};
use writ_ledger::{Draft, Kept, Proposal, Reader};
use writ_protocol::action::{Action, Command, CommitmentKind};
use writ_protocol::entry::{Ascending, Revocation, Target};
use writ_protocol::statement::Request;
use writ_protocol::{Body, Code, Name};
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
fn an_order_that_was_carried_out_is_derived_and_told_again() {
    let mut domain = GovernedDomain::new();
    let target = || Target::Principal(domain.member("tester").name().clone());
    let revoked = done(&domain, domain.orders("alice", Command::Revoke(target())));
    let halted = done(&domain, domain.orders("alice", Command::Halt));
    let reader = Reader::open(&domain.place.store).unwrap();
    for (receipt, command) in [(&revoked, Command::Revoke(target())), (&halted, Command::Halt)] {
        let retold = retell(&reader, receipt.index).unwrap();
        assert_eq!((retold.recorded, retold.principal.id.as_str()), (Recorded::Permit, "alice"));
        assert!(matches!(retold.outcome, Outcome::Same { .. }), "{retold:?}");
        assert!(matches!(retold.action, Some(Action::Order(order)) if order.command == command));
        assert_eq!(retold.policy.unwrap().reasons.as_slice()[0].as_str(), "administrators-stop-things");
        assert!(retold.explanation.is_some());
    }
    let judgement = domain.judged();
    assert!(judgement.is_clean());
    assert_eq!((judgement.replay.same, judgement.replay.different), (2, 0));
}

#[test]
fn an_order_that_policy_would_not_have_permitted_is_found_by_a_replay() {
    let mut domain = GovernedDomain::new();
    let target = Target::Principal(domain.member("tester").name().clone());
    let done = done(&domain, domain.orders("alice", Command::Revoke(target)));
    let Body::Revocation(honest) = done.decode(domain.domain.origin()).unwrap().body else { panic!("a revocation") };
    let reader = Reader::open(&domain.place.store).unwrap();
    let kept = |kind, commitment| match reader.kept(done.index, kind, commitment).unwrap() {
        Kept::Value(opening) => opening,
        other => panic!("{other:?}"),
    };
    let openings = [kept(CommitmentKind::Action, &honest.action.digest), kept(CommitmentKind::Facts, &honest.facts)];
    let again = |change: &dyn Fn(&mut Revocation)| {
        let (id, request) = (domain.domain.order_id(), domain.domain.request());
        let mut doctored = Revocation { id, request, ..honest.clone() };
        change(&mut doctored);
        Proposal::new(Draft::Revocation(doctored)).with_openings(openings.clone())
    };
    let doctored = [
        again(&|order| order.by.id = Name::new("bob").unwrap()),
        again(&|order| order.time_ms += 1),
        again(&|order| order.policy.reasons = Ascending::new([])),
    ];
    domain.slips_in(doctored);
    let judgement = domain.judged();
    assert_eq!(judgement.findings, [], "it is as it was signed: nobody but a replay finds this");
    let found: Vec<&str> = judgement.replay.findings.iter().map(|one| one.what.as_str()).collect();
    let facts = "the facts are of another principal, time or lineage";
    assert_eq!(found, [facts, facts, "recorded policies are [], derived are [administrators-stop-things]"]);
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
