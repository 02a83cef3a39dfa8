//! What a grant may not exceed, and what it stands on.

use crate::domain::{
    Domain, NOW_MS, WINDOW_MS, accepted, elsewhere, hash_at, label, name, origin, policy_set, positive, refused,
};
use crate::known::Unreadable;
use writ_protocol::entry::{Admitted, Audience, Body, Draw, Draws, Grant, Obligation, Positive, Window};
use writ_protocol::order::{Accepted, Execution, ExecutionState, OrderError, judge};
use writ_protocol::{Code, Entry, ExecutionId};
use writ_tlog::{LeafIndex, sha256};

const EXECUTION: ExecutionId = ExecutionId::from_bytes([1; 16]);

#[test]
fn a_grant_may_reach_each_limit_of_the_domain_and_exceed_none() {
    accepted(|_, _| {});
    refused(Code::ScopeWidened, |_, terms| terms.window = Window::new(NOW_MS, NOW_MS + WINDOW_MS + 1).unwrap());
    refused(Code::ScopeWidened, |_, terms| terms.lease.kill_after_ms = positive(30_001));
    refused(Code::ScopeWidened, |_, terms| terms.lease.freeze_after_ms = positive(10_001));
    accepted(|_, terms| terms.window = Window::new(NOW_MS, NOW_MS + 1).unwrap());
    accepted(|_, terms| terms.lease.kill_after_ms = positive(10_000));
    accepted(|_, terms| terms.lease.freeze_after_ms = Positive::ONE);
}

#[test]
fn a_grant_stands_under_the_policy_set_in_force() {
    refused(Code::PolicyMismatch, |_, terms| terms.policy.set = policy_set(2));
    refused(Code::PolicyMismatch, |_, terms| terms.policy.epoch = 2);
    refused(Code::PolicyMismatch, |_, terms| terms.policy.semantics = label("other"));
    accepted(|domain, terms| {
        domain.apply(3, domain.activation(2));
        (terms.policy.set, terms.policy.epoch) = (policy_set(2), 2);
        terms.as_of.control = hash_at(3);
    });
    accepted(|domain, terms| {
        *domain = Domain::of(origin());
        domain.apply(1, domain.enrolment(1));
        terms.as_of.control = hash_at(1);
        terms.policy.epoch = 7;
    });
}

#[test]
fn a_grant_is_for_a_gateway_in_its_current_epoch() {
    let gateway = |gateway: &str, epoch| Audience::Gateway { gateway: name(gateway), epoch: positive(epoch) };
    refused(Code::UnknownAuthority, |_, terms| terms.audience = gateway("process/02", 1));
    refused(Code::WrongAudience, |_, terms| terms.audience = gateway("process/01", 2));
    refused(Code::WrongAudience, |domain, terms| {
        domain.apply(3, domain.enrolment(2));
        terms.as_of.control = hash_at(3);
    });
    accepted(|_, terms| terms.audience = Audience::Group(name("nobody-yet")));
}

#[test]
fn a_grant_names_a_state_that_this_ledger_had() {
    refused(Code::Malformed, |_, terms| terms.as_of.ledger = elsewhere());
    refused(Code::Malformed, |_, terms| terms.as_of.size = 11);
    refused(Code::Malformed, |_, terms| terms.as_of.control = hash_at(1));
    refused(Code::Malformed, |_, terms| terms.as_of.size = 2);
    refused(Code::Malformed, |_, terms| terms.as_of.size = 0);
    accepted(|_, terms| terms.as_of.size = 3);
    accepted(|_, terms| (terms.as_of.size, terms.as_of.control) = (2, hash_at(1)));
    accepted(|_, terms| (terms.as_of.size, terms.as_of.control) = (1, hash_at(0)));
    // The control chain is in another ledger: only its reader can tell.
    let mut domain = Domain::of(elsewhere());
    domain.apply(1, domain.enrolment(1));
    let mut terms = domain.terms();
    (terms.as_of.ledger, terms.as_of.size) = (elsewhere(), 1_000);
    assert_eq!(domain.judge(Body::Grant(Grant::new(terms.clone()).unwrap())), Ok(Accepted::AsItStands));
    terms.as_of.ledger = origin();
    assert_eq!(domain.judge(Body::Grant(Grant::new(terms).unwrap())), Err(Code::Malformed));
}

#[test]
fn no_counter_passes_its_limit() {
    let draws = |limits: [(&str, u64); 2]| {
        let draws = limits.map(|(counter, limit)| Draw { limit: positive(limit), counter: name(counter) });
        vec![Obligation::Budget(Draws::new(draws.into()).unwrap())]
    };
    for (calls, starts, expected) in [
        (None, None, Ok(Accepted::AsItStands)),
        (Some(2), Some(0), Ok(Accepted::AsItStands)),
        (Some(3), None, Err(Code::BudgetExceeded)),
        (Some(4), None, Err(Code::BudgetExceeded)),
        (None, Some(1), Err(Code::BudgetExceeded)),
    ] {
        let mut domain = Domain::new();
        domain.known.drawn.extend(calls.map(|drawn| (name("calls"), drawn)));
        domain.known.drawn.extend(starts.map(|drawn| (name("starts"), drawn)));
        let mut terms = domain.terms();
        terms.obligations = draws([("calls", 3), ("starts", 1)]);
        assert_eq!(domain.judge(Body::Grant(Grant::new(terms).unwrap())), expected, "{calls:?} {starts:?}");
    }
}

#[test]
fn a_grant_that_begins_its_execution_is_within_its_window_and_begins_a_new_one() {
    let admitted = Some(Admitted { nonce: sha256(b"nonce"), execution: EXECUTION });
    let begin = move |terms: &mut writ_protocol::entry::GrantFields, time_ms| {
        (terms.admitted, terms.uses, terms.time_ms) = (admitted.clone(), Positive::ONE, time_ms);
    };
    accepted(|_, terms| begin(terms, NOW_MS));
    accepted(|_, terms| begin(terms, NOW_MS + WINDOW_MS - 1));
    refused(Code::NotYetValid, |_, terms| begin(terms, NOW_MS - 1));
    refused(Code::Expired, |_, terms| begin(terms, NOW_MS + WINDOW_MS));
    refused(Code::Replayed, |domain, terms| {
        begin(terms, NOW_MS);
        let (writ, grant, gateway) = (hash_at(4), LeafIndex::new(4), name("process/01"));
        let execution = Execution { id: EXECUTION, writ, grant, gateway, state: ExecutionState::Spent };
        domain.known.executions.insert(EXECUTION, execution);
    });
    // One that begins nothing may be granted before its window.
    accepted(|_, terms| terms.time_ms = NOW_MS - 1);
}

#[test]
fn nothing_is_granted_during_a_halt_or_under_an_id_that_was_recorded() {
    refused(Code::Halted, |domain, _| domain.apply(3, domain.halt()));
    refused(Code::Replayed, |domain, terms| {
        domain.known.ids.insert(*terms.id.as_bytes());
    });
}

#[test]
fn records_that_cannot_be_read_accept_nothing() {
    let domain = Domain::new();
    let grant = domain.terms();
    let bodies = [
        Body::Grant(Grant::new(grant).unwrap()),
        Body::Denial(domain.denial(None)),
        Body::Hold(domain.hold(NOW_MS)),
        domain.halt(),
    ];
    for body in bodies {
        let entry = Entry { origin: origin(), body };
        let judged = judge(&domain.control, &Unreadable, domain.at, &entry);
        assert!(matches!(judged, Err(OrderError::Records("id"))), "{judged:?}");
    }
}
