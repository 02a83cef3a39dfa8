//! Inside a governed tree (Invariant 13): the caller is its execution, and gives no orders.

use crate::answers::{denied, permitted, turned_away};
use crate::running::Running;
use writ_authority::{Answer, Received};
use writ_protocol::entry::{Admitted, Place, Target};
use writ_protocol::statement::{Claim, Request};
use writ_protocol::{Code, action};
use writ_testing::governed::{GovernedDomain, Myself, wait};
use writ_tlog::sha256;

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
    assert_eq!(domain.authority().running(), 1, "process 1 governs nothing");
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
