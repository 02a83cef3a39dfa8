//! Entities follow one another without a gap, under the set in force, and whatever is decided names those in force.

use crate::domain::{Domain, accepted, alice, policy, policy_set, positive, refused};
use writ_protocol::Code;
use writ_protocol::entry::{Body, EntitiesRef, GrantFields, Policy, Target};
use writ_protocol::order::Accepted;
use writ_tlog::sha256;

/// With entities in force, of epoch 1.
fn begun(domain: &mut Domain) {
    let body = Body::Entities(domain.entities(1));
    assert_eq!(domain.judge(body.clone()), Ok(Accepted::AsItStands));
    domain.apply(7, body);
}

fn named(domain: &Domain, terms: &mut GrantFields, change: impl FnOnce(&mut Option<EntitiesRef>)) {
    let mut entities = domain.in_force();
    change(&mut entities);
    terms.as_of.control = domain.control.head().head;
    terms.policy.entities = entities;
}

#[test]
fn each_snapshot_follows_the_one_in_force() {
    let mut domain = Domain::new();
    for epoch in [2, 3] {
        assert_eq!(domain.judge(Body::Entities(domain.entities(epoch))), Err(Code::FactsChanged));
    }
    begun(&mut domain);
    let active = domain.control.entities().unwrap();
    assert_eq!((active.at.get(), active.changes.len(), active.entities.epoch.get()), (7, 1, 1));
    for epoch in [1, 3] {
        assert_eq!(domain.judge(Body::Entities(domain.entities(epoch))), Err(Code::FactsChanged));
    }
    // Decided with other entities than are in force, or with none.
    let other = EntitiesRef { epoch: positive(1), snapshot: sha256(b"other") };
    for entities in [None, Some(other)] {
        let mut body = domain.entities(2);
        body.policy.entities = entities;
        assert_eq!(domain.judge(Body::Entities(body)), Err(Code::PolicyMismatch));
    }
    assert_eq!(domain.judge(Body::Entities(domain.entities(2))), Ok(Accepted::AsItStands));
}

#[test]
fn an_order_to_change_them_is_held_to_what_every_order_is() {
    let mut domain = Domain::new();
    let mut exec = domain.entities(1);
    exec.action = crate::domain::action();
    assert_eq!(domain.judge(Body::Entities(exec)), Err(Code::Malformed));
    let activation = domain.activation(1);
    domain.apply(5, activation);
    let mut other = domain.entities(1);
    other.policy.set = policy_set(2);
    assert_eq!(domain.judge(Body::Entities(other)), Err(Code::PolicyMismatch));
    let revocation = domain.revocation(Target::Principal(alice().asserted()));
    domain.apply(6, revocation);
    assert_eq!(domain.judge(Body::Entities(domain.entities(1))), Err(Code::Revoked));
}

#[test]
fn whatever_is_decided_names_the_entities_in_force() {
    accepted(|domain, terms| {
        begun(domain);
        named(domain, terms, |_| {});
    });
    // Where there are none, none are named.
    refused(Code::PolicyMismatch, |_, terms| {
        terms.policy.entities = Some(EntitiesRef { epoch: positive(1), snapshot: sha256(b"any") });
    });
    for change in [
        |entities: &mut Option<EntitiesRef>| *entities = None,
        |entities: &mut Option<EntitiesRef>| entities.as_mut().unwrap().epoch = positive(2),
        |entities: &mut Option<EntitiesRef>| entities.as_mut().unwrap().snapshot = sha256(b"rolled back"),
    ] {
        refused(Code::PolicyMismatch, |domain, terms| {
            begun(domain);
            named(domain, terms, change);
        });
    }
    let mut domain = Domain::new();
    begun(&mut domain);
    for body in [domain.revocation(Target::Policy(policy_set(9))), domain.halt(), Body::Shadow(domain.shadow())] {
        assert_eq!(domain.judge(body), Err(Code::PolicyMismatch));
    }
    assert_eq!(policy(), Policy { entities: None, ..policy() });
}

#[test]
fn a_set_comes_into_force_with_the_entities_it_was_compiled_with() {
    let mut domain = Domain::new();
    begun(&mut domain);
    let with = |entities| {
        let Body::Policy(mut activation) = domain.activation(2) else { panic!("an activation") };
        activation.entities = entities;
        domain.judge(Body::Policy(activation))
    };
    assert_eq!(with(None), Err(Code::FactsChanged));
    assert_eq!(with(Some(EntitiesRef { epoch: positive(2), snapshot: sha256(b"x") })), Err(Code::FactsChanged));
    assert_eq!(with(domain.in_force()), Ok(Accepted::AsItStands));
}
