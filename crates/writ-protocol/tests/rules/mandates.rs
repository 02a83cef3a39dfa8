//! Mandates where everything that was recorded is known: how often one was used, and what above it is left.

use crate::domain::{Domain, NOW_MS, approver, elsewhere, entry_at, hash_at, origin, principal, scope};
use writ_protocol::Code;
use writ_protocol::entry::{
    Body, Cause, Denial, Draw, Draws, EntryRef, Grant, GrantFields, MANDATES_MAX, Mandate, Obligation, Place, Positive,
    Target, Window,
};
use writ_protocol::order::Accepted;
use writ_protocol::scope::{Scope, ScopeFields};
use writ_tlog::LeafIndex;

/// A domain with a mandate at index 5, for whoever asks.
fn mandated() -> Domain {
    let mut domain = Domain::new();
    record(&mut domain, 5, domain_mandate(None));
    domain
}

fn domain_mandate(parent: Option<EntryRef>) -> Mandate {
    Domain::new().mandate(|given| given.parent = parent)
}

fn record(domain: &mut Domain, index: u64, mandate: Mandate) {
    domain.known.mandates.insert((LeafIndex::new(index), hash_at(index)), mandate);
}

/// A grant under the mandate at an index, drawing from the counters of these.
fn under(domain: &Domain, index: u64, counted: &[u64]) -> GrantFields {
    let draw = |index: &u64| {
        let mandate = domain.known.mandates.get(&(LeafIndex::new(*index), hash_at(*index))).unwrap();
        let (counter, limit) = mandate.counter(&hash_at(*index)).unwrap().unwrap();
        Draw { limit, counter }
    };
    let mut draws: Vec<Draw> = counted.iter().map(draw).collect();
    draws.sort_by(|a, b| a.counter.cmp(&b.counter));
    let cause = Cause { place: Place::Origin, mandate: Some(entry_at(index)) };
    let obligations = Draws::new(draws).map(|draws| vec![Obligation::Budget(draws)]).unwrap_or_default();
    GrantFields { cause, obligations, uses: Positive::ONE, ..domain.terms() }
}

fn granted(domain: &Domain, terms: GrantFields) -> Result<Accepted, Code> {
    domain.judge(Body::Grant(Grant::new(terms).unwrap()))
}

#[test]
fn a_mandate_is_used_so_often_and_no_more() {
    let mut domain = mandated();
    let (counter, limit) = domain_mandate(None).counter(&hash_at(5)).unwrap().unwrap();
    for (drawn, expected) in [
        (0, Ok(Accepted::AsItStands)),
        (limit.get() - 1, Ok(Accepted::AsItStands)),
        (limit.get(), Err(Code::BudgetExceeded)),
    ] {
        domain.known.drawn.insert(counter.clone(), drawn);
        assert_eq!(granted(&domain, under(&domain, 5, &[5])), expected, "{drawn} were drawn");
    }
}

#[test]
fn what_was_handed_on_counts_above_too() {
    let mut domain = mandated();
    record(&mut domain, 6, domain_mandate(Some(entry_at(5))));
    assert_eq!(granted(&domain, under(&domain, 6, &[5, 6])), Ok(Accepted::AsItStands));
    for counted in [vec![], vec![5], vec![6]] {
        assert_eq!(granted(&domain, under(&domain, 6, &counted)), Err(Code::ScopeWidened), "{counted:?}");
    }
    let (above, limit) = domain_mandate(None).counter(&hash_at(5)).unwrap().unwrap();
    domain.known.drawn.insert(above, limit.get());
    assert_eq!(granted(&domain, under(&domain, 6, &[5, 6])), Err(Code::BudgetExceeded));
}

#[test]
fn what_is_caused_stays_under_the_mandate_or_one_below() {
    let mut domain = mandated();
    record(&mut domain, 6, domain_mandate(Some(entry_at(5))));
    record(&mut domain, 7, domain_mandate(None));
    let parent = under(&domain, 5, &[5]);
    domain.granted(8, parent);
    let caused = |mandate: Option<EntryRef>, terms: GrantFields| {
        let place = Place::Caused { depth: 1, parent: entry_at(8), origin: entry_at(8) };
        GrantFields { cause: Cause { place, mandate }, ..terms }
    };
    let same = caused(Some(entry_at(5)), under(&domain, 5, &[5]));
    let below = caused(Some(entry_at(6)), under(&domain, 6, &[5, 6]));
    let another = caused(Some(entry_at(7)), under(&domain, 7, &[7]));
    let none = caused(None, domain.terms());
    assert_eq!(granted(&domain, same), Ok(Accepted::AsItStands));
    assert_eq!(granted(&domain, below), Ok(Accepted::AsItStands));
    for outside in [another, none] {
        assert_eq!(granted(&domain, outside), Err(Code::ScopeWidened));
    }
}

/// An entry of another ledger may have index and hash of one here: what that is under says nothing.
#[test]
fn what_another_ledger_has_caused_leaves_no_mandate_of_this_one() {
    let mut domain = mandated();
    let parent = under(&domain, 5, &[5]);
    domain.granted(8, parent);
    let caused = |ledger| {
        let place = Place::Caused { depth: 2, parent: EntryRef { ledger, ..entry_at(9) }, origin: entry_at(8) };
        GrantFields { cause: Cause { place, mandate: None }, ..domain.terms() }
    };
    let between = GrantFields {
        cause: Cause {
            place: Place::Caused { depth: 1, parent: entry_at(8), origin: entry_at(8) },
            mandate: Some(entry_at(5)),
        },
        ..under(&domain, 5, &[5])
    };
    let (here, there) = (caused(origin()), caused(elsewhere()));
    domain.granted(9, between);
    assert_eq!(granted(&domain, here), Err(Code::ScopeWidened));
    assert_eq!(granted(&domain, there), Ok(Accepted::AsItStands));
}

#[test]
fn a_grant_begins_and_ends_within_its_mandate() {
    let (from, until) = (NOW_MS - 10, NOW_MS + 10);
    let mut domain = Domain::new();
    let window = Window::new(from, until).unwrap();
    let within = Scope::new(ScopeFields { window, ..ScopeFields::clone(&scope()) }).unwrap();
    record(&mut domain, 5, Domain::new().mandate(|given| given.scope = within));
    let lasting = |from, until| {
        let window = Window::new(from, until).unwrap();
        granted(&domain, GrantFields { window, ..under(&domain, 5, &[5]) })
    };
    assert_eq!(lasting(from, until), Ok(Accepted::AsItStands));
    assert_eq!(lasting(from + 1, until - 1), Ok(Accepted::AsItStands));
    assert_eq!(lasting(from - 1, until), Err(Code::ScopeWidened));
    assert_eq!(lasting(from, until + 1), Err(Code::ScopeWidened));
}

#[test]
fn a_denial_names_a_mandate_that_is_there() {
    let domain = mandated();
    let denial = |index| {
        let cause = Cause { place: Place::Origin, mandate: Some(entry_at(index)) };
        domain.judge(Body::Denial(Denial { cause, ..domain.denial(None) }))
    };
    assert_eq!(denial(5), Ok(Accepted::AsItStands));
    assert_eq!(denial(6), Err(Code::LineageBroken));
}

/// Whoever lost trust hands nothing on, and nothing of theirs is used.
#[test]
fn what_a_mandate_rests_on_is_revoked_with_it() {
    let key = domain_mandate(None).key().key().fingerprint();
    for target in [
        Target::Mandate(hash_at(5)),
        Target::Principal(approver().asserted()),
        Target::Key(key),
        Target::Principal(principal().asserted()),
    ] {
        let mut domain = mandated();
        let revocation = domain.revocation(target.clone());
        domain.apply(9, revocation);
        assert_eq!(granted(&domain, under(&domain, 5, &[5])), Err(Code::Revoked), "{target:?}");
    }
}

#[test]
fn a_chain_has_an_end() {
    let mut domain = mandated();
    let to_owner = |parent| Domain::new().mandate(|given| (given.to, given.parent) = (approver().asserted(), parent));
    record(&mut domain, 100, to_owner(None));
    let longest = 100 + u64::try_from(MANDATES_MAX).unwrap() - 1;
    for index in 101..=longest {
        let mandate = to_owner(Some(entry_at(index - 1)));
        assert_eq!(domain.judge(Body::Mandate(mandate.clone())), Ok(Accepted::AsItStands), "{index}");
        record(&mut domain, index, mandate);
    }
    let one_more = to_owner(Some(entry_at(longest)));
    assert_eq!(domain.judge(Body::Mandate(one_more.clone())), Err(Code::ScopeWidened));
    // A ledger that has taken a longer one all the same has no such mandate; the longest is there, and for somebody else.
    record(&mut domain, longest + 1, one_more);
    for (index, expected) in [(longest, Code::IdentityMismatch), (longest + 1, Code::LineageBroken)] {
        assert_eq!(granted(&domain, under(&domain, index, &[])), Err(expected), "{index}");
    }
    assert_eq!(scope().uses, domain_mandate(None).scope.uses);
}
