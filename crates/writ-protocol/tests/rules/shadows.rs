//! What is asked of a shadow, and what is not.

use crate::domain::{Domain, elsewhere, entry_at, hash_at, label, policy_set, principal};
use writ_protocol::Code;
use writ_protocol::entry::{AssertedPrincipal, Body, Cause, Place, Shadow, ShadowFields, Target};
use writ_protocol::order::Accepted;

/// What comes of a shadow that is accepted as it is, once domain and shadow were changed.
fn judged(change: impl FnOnce(&mut Domain, &mut ShadowFields)) -> Result<Accepted, Code> {
    let mut domain = Domain::new();
    let mut fields = ShadowFields::clone(&domain.shadow());
    change(&mut domain, &mut fields);
    domain.judge(Body::Shadow(Shadow::new(fields).unwrap()))
}

fn caused(depth: u64, index: u64) -> Cause {
    Cause { place: Place::Caused { depth, parent: entry_at(index), origin: entry_at(index) }, mandate: None }
}

#[test]
fn a_shadow_names_the_state_the_set_and_the_lineage_it_stood_on() {
    assert_eq!(judged(|_, _| {}), Ok(Accepted::AsItStands));
    assert_eq!(judged(|_, shadow| shadow.as_of.size = 11), Err(Code::Malformed));
    assert_eq!(judged(|_, shadow| shadow.as_of.control = hash_at(9)), Err(Code::Malformed));
    assert_eq!(judged(|_, shadow| shadow.as_of.ledger = elsewhere()), Err(Code::Malformed));
    let in_force = |domain: &mut Domain, shadow: &mut ShadowFields| {
        domain.apply(3, domain.activation(1));
        shadow.as_of.control = domain.control.head().head;
    };
    assert_eq!(judged(in_force), Ok(Accepted::AsItStands));
    let other = |change: fn(&mut ShadowFields)| {
        judged(move |domain, shadow| {
            in_force(domain, shadow);
            change(shadow);
        })
    };
    assert_eq!(other(|shadow| shadow.policy.set = policy_set(2)), Err(Code::PolicyMismatch));
    assert_eq!(other(|shadow| shadow.policy.epoch = 2), Err(Code::PolicyMismatch));
    assert_eq!(other(|shadow| shadow.policy.semantics = label("another")), Err(Code::PolicyMismatch));
    assert_eq!(judged(|_, shadow| shadow.cause = caused(1, 4)), Err(Code::LineageBroken));
    let of_a_grant = |domain: &mut Domain, shadow: &mut ShadowFields| {
        domain.granted(4, domain.terms());
        shadow.cause = caused(1, 4);
    };
    assert_eq!(judged(of_a_grant), Ok(Accepted::AsItStands));
}

/// What would be refused by the ledger's order and not by policy is no part of what would have been decided.
#[test]
fn halts_revocations_and_limits_have_no_say_in_a_shadow() {
    let halted = |domain: &mut Domain, shadow: &mut ShadowFields| {
        domain.apply(3, domain.halt());
        shadow.as_of.control = domain.control.head().head;
    };
    assert_eq!(judged(halted), Ok(Accepted::AsItStands));
    let revoked = |domain: &mut Domain, shadow: &mut ShadowFields| {
        let asker = AssertedPrincipal { kind: principal().kind, id: principal().id };
        domain.apply(3, domain.revocation(Target::Principal(asker)));
        shadow.as_of.control = domain.control.head().head;
    };
    assert_eq!(judged(revoked), Ok(Accepted::AsItStands));
    let deep = |_: &mut Domain, shadow: &mut ShadowFields| {
        let (mut parent, mut origin) = (entry_at(4), entry_at(5));
        (parent.ledger, origin.ledger) = (elsewhere(), elsewhere());
        shadow.cause.place = Place::Caused { depth: 9, parent, origin };
    };
    assert_eq!(judged(deep), Ok(Accepted::AsItStands));
}
