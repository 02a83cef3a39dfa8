//! What is asked of an advice: others act on it.

use crate::domain::{Domain, elsewhere, entry_at, name, policy_set, principal};
use writ_protocol::Code;
use writ_protocol::action::ActionKind;
use writ_protocol::entry::{Advised, AdvisedFields, AssertedPrincipal, Body, Cause, Grant, Opinion, Place, Target};
use writ_protocol::order::Accepted;

/// What comes of an advice that is accepted as it is, once domain and advice were changed.
fn judged(change: impl FnOnce(&mut Domain, &mut AdvisedFields)) -> Result<Accepted, Code> {
    let mut domain = Domain::new();
    let mut fields = AdvisedFields::clone(&domain.advised());
    change(&mut domain, &mut fields);
    domain.judge(Body::Advised(Advised::new(fields).unwrap()))
}

fn answering(decision: Opinion, change: impl FnOnce(&mut Domain)) -> Result<Accepted, Code> {
    judged(|domain, advised| {
        change(domain);
        advised.as_of.control = domain.control.head().head;
        advised.decision = decision;
        advised.found = (decision == Opinion::Searched).then_some(1);
    })
}

#[test]
fn an_advice_names_the_state_the_set_and_the_lineage_it_stood_on() {
    assert_eq!(judged(|_, _| {}), Ok(Accepted::AsItStands));
    assert_eq!(judged(|_, advised| advised.as_of.size = 11), Err(Code::Malformed));
    assert_eq!(judged(|_, advised| advised.as_of.ledger = elsewhere()), Err(Code::Malformed));
    let other_set = |domain: &mut Domain, advised: &mut AdvisedFields| {
        domain.apply(3, domain.activation(1));
        advised.as_of.control = domain.control.head().head;
        advised.policy.set = policy_set(2);
    };
    assert_eq!(judged(other_set), Err(Code::PolicyMismatch));
    let place = Place::Caused { depth: 1, parent: entry_at(4), origin: entry_at(4) };
    assert_eq!(judged(|_, advised| advised.cause = Cause { place, mandate: None }), Err(Code::LineageBroken));
}

/// Invariant 5: nobody is let through against what was recorded before; that they are not, may always be said.
#[test]
fn what_lets_somebody_through_stands_against_no_halt_and_no_revocation() {
    type Against = fn(&mut Domain);
    let against: [(Code, Against); 4] = [
        (Code::Halted, |domain| domain.apply(3, domain.halt())),
        (Code::Revoked, |domain| {
            let asker = AssertedPrincipal { kind: principal().kind, id: principal().id };
            domain.apply(3, domain.revocation(Target::Principal(asker)));
        }),
        (Code::Revoked, |domain| {
            let subject = AssertedPrincipal { kind: name("User"), id: name("ada") };
            domain.apply(3, domain.revocation(Target::Principal(subject)));
        }),
        (Code::Revoked, |domain| {
            let set = domain.advised().policy.set;
            domain.apply(3, domain.revocation(Target::Policy(set)));
        }),
    ];
    for (code, change) in against {
        for decision in Opinion::ALL {
            let expected = if decision.lets_through() { Err(code) } else { Ok(Accepted::AsItStands) };
            assert_eq!(answering(decision, change), expected, "{decision:?}");
        }
    }
}

#[test]
fn a_question_is_never_granted_or_held() {
    let domain = Domain::new();
    let mut terms = domain.terms();
    terms.action.kind = ActionKind::Advice;
    assert!(Grant::new(terms).is_err());
    let mut fields = AdvisedFields::clone(&domain.advised());
    fields.action.kind = ActionKind::Exec;
    assert!(Advised::new(fields).is_err());
}
