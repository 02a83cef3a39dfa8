//! Whoever asked takes back what waits, and nobody else: then nobody approves it, and its place is free.

use crate::answers::denied;
use crate::holds::{answers, approved, deploy, domain, held, members, policies, resumed, waiting};
use writ_authority::{Answer, Outcome, Waiting, retell};
use writ_ledger::Reader;
use writ_protocol::entry::Verdict;
use writ_protocol::{Body, Code};
use writ_testing::governed::{GovernedDomain, PolicyFiles};

const WITHDRAWS: &str = "@id(\"all-withdraw\") permit (principal, action == Action::\"withdraw\", resource) when { context.auth == \"key\" };";

fn withdrawing() -> GovernedDomain {
    let members = members();
    let policies = policies(&members).with("withdraw.cedar", WITHDRAWS);
    GovernedDomain::with(members, &policies)
}

#[track_caller]
fn rejected(domain: &GovernedDomain, answer: Answer) -> String {
    denied(domain, answer, Code::ApprovalRejected).0.why
}

#[test]
fn what_is_withdrawn_is_over_and_nobody_approves_it() {
    let mut domain = withdrawing();
    let asked = deploy(&domain);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice", "bob"]);
    let Answer::Done(receipt) = answers(&domain, "builder", &hold, Verdict::Withdraw) else { panic!("it is not done") };
    assert_eq!(waiting(&domain, &hold), Waiting::Resolved(receipt.index));
    let Body::Approval(taken) = receipt.decode(domain.domain.origin()).unwrap().body else { panic!("an approval") };
    assert_eq!((taken.verdict, taken.groups.as_slice().len()), (Verdict::Withdraw, 0));
    assert!(rejected(&domain, answers(&domain, "carol", &hold, Verdict::Approve)).contains("no such open hold"));
    assert!(rejected(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold))).contains("was resolved"));
    rejected(&domain, answers(&domain, "builder", &hold, Verdict::Withdraw));
    // The request itself has the answer that it had, and says no more that it waits.
    let Answer::Hold(told) = domain.asks("builder", &asked) else { panic!("it is answered as before") };
    assert!(told.receipt.index == hold.index && told.why.contains("withdrawn"), "{}", told.why);
    // The same can be asked again, and waits anew.
    let (_, next) = held(&domain, domain.asks("builder", &deploy(&domain)));
    assert_ne!(next.index, hold.index);
    let reader = Reader::open(&domain.place.store).unwrap();
    let told = retell(&reader, receipt.index).unwrap();
    assert!(matches!(told.outcome, Outcome::Same { .. }), "{told:?}");
    let bundle = reader.bundle(receipt.index, &reader.view().unwrap(), writ_ledger::Disclosure::Values).unwrap();
    writ_protocol::Bundle::verify(&bundle.encode(), &domain.domain.trust_root()).unwrap();
    drop(reader);
    let judged = domain.judged();
    assert!(judged.is_clean(), "{judged:?}");
}

#[test]
fn nobody_else_withdraws_and_a_no_stands() {
    let domain = withdrawing();
    let (_, hold) = held(&domain, domain.asks("builder", &deploy(&domain)));
    for who in ["alice", "bob", "tester"] {
        assert!(rejected(&domain, answers(&domain, who, &hold, Verdict::Withdraw)).contains("only whoever asked"));
    }
    assert_eq!(waiting(&domain, &hold), Waiting::Pending);
    assert!(matches!(answers(&domain, "carol", &hold, Verdict::Reject), Answer::Done(_)));
    assert!(rejected(&domain, answers(&domain, "builder", &hold, Verdict::Withdraw)).contains("has rejected it"));
    assert_eq!(waiting(&domain, &hold), Waiting::Rejected);
}

#[test]
fn withdrawing_is_an_order_that_policy_permits_or_not() {
    let domain = domain();
    let (_, hold) = held(&domain, domain.asks("builder", &deploy(&domain)));
    denied(&domain, answers(&domain, "builder", &hold, Verdict::Withdraw), Code::PolicyDenied);
    assert_eq!(waiting(&domain, &hold), Waiting::Pending);
}

#[test]
fn its_place_among_those_that_wait_is_free() {
    let members = members();
    let policies: PolicyFiles = policies(&members).with("withdraw.cedar", WITHDRAWS);
    let domain = GovernedDomain::with(members, &policies);
    let ask = |number: usize| domain.asked(&["/usr/bin/deploy", &number.to_string()]);
    let (_, first) = held(&domain, domain.asks("builder", &ask(0)));
    for number in 1..64 {
        held(&domain, domain.asks("builder", &ask(number)));
    }
    denied(&domain, domain.asks("builder", &ask(64)), Code::RateLimited);
    assert!(matches!(answers(&domain, "builder", &first, Verdict::Withdraw), Answer::Done(_)));
    held(&domain, domain.asks("builder", &ask(64)));
}
