//! Where a grant comes from, and what is revoked with what it comes from.

use crate::domain::{
    Domain, GATEWAY, accepted, elsewhere, entry_at, hash_at, name, policy_set, principal, public, refused,
};
use writ_protocol::entry::{
    Ascending, AssertedPrincipal, Audience, Cause, EntryRef, Grant, GrantFields, Place, Target,
};
use writ_protocol::order::revoked;
use writ_protocol::{Body, Code, Key, Label};
use writ_tlog::LeafIndex;

fn caused(depth: u64, parent: EntryRef, origin: EntryRef) -> Cause {
    Cause { place: Place::Caused { depth, parent, origin }, mandate: None }
}

fn distant(index: u64) -> EntryRef {
    EntryRef { ledger: elsewhere(), ..entry_at(index) }
}

/// A grant of depth 0 at index 4, and one of depth 1 at index 5 that it caused.
fn family(domain: &mut Domain) {
    let terms = domain.terms();
    domain.granted(4, terms.clone());
    domain.granted(5, GrantFields { cause: caused(1, entry_at(4), entry_at(4)), ..terms });
}

#[track_caller]
fn caused_so(expected: Result<(), Code>, cause: Cause) {
    let change = |domain: &mut Domain, terms: &mut GrantFields| {
        family(domain);
        terms.cause = cause;
    };
    match expected {
        Ok(()) => accepted(change),
        Err(code) => refused(code, change),
    }
}

#[test]
fn a_cause_is_a_grant_of_one_depth_less_with_the_same_origin() {
    caused_so(Ok(()), caused(1, entry_at(4), entry_at(4)));
    caused_so(Ok(()), caused(2, entry_at(5), entry_at(4)));
    let broken = Err(Code::LineageBroken);
    // No grant stands at these.
    caused_so(broken, caused(1, entry_at(6), entry_at(6)));
    caused_so(
        broken,
        caused(1, EntryRef { entry: hash_at(6), ..entry_at(4) }, EntryRef { entry: hash_at(6), ..entry_at(4) }),
    );
    // The parent has another depth, or another origin.
    caused_so(broken, caused(1, entry_at(5), entry_at(5)));
    caused_so(broken, caused(2, entry_at(4), entry_at(5)));
    caused_so(broken, caused(2, entry_at(5), entry_at(3)));
    // Parent and origin are the same at depth 1, and only there.
    caused_so(broken, caused(1, entry_at(5), entry_at(4)));
    caused_so(broken, caused(2, entry_at(4), entry_at(4)));
    // Nothing is caused by what comes later.
    caused_so(broken, caused(1, entry_at(10), entry_at(10)));
    caused_so(broken, caused(2, entry_at(5), entry_at(10)));
    caused_so(broken, caused(2, distant(5), entry_at(11)));
    // No grant is deeper than the domain allows.
    caused_so(Err(Code::ScopeWidened), caused(3, entry_at(5), entry_at(4)));
}

#[test]
fn of_a_cause_in_another_ledger_the_origin_is_looked_at_if_it_is_here() {
    caused_so(Ok(()), caused(2, distant(900), distant(800)));
    caused_so(Ok(()), caused(1, distant(900), distant(900)));
    caused_so(Ok(()), caused(2, distant(900), entry_at(4)));
    caused_so(Err(Code::LineageBroken), caused(2, distant(900), entry_at(5)));
    caused_so(Err(Code::LineageBroken), caused(2, distant(900), entry_at(6)));
}

#[test]
fn what_is_caused_has_the_labels_of_its_parent_and_of_all_its_lineage() {
    let labels = |names: &[&str]| Ascending::new(names.iter().map(|name| Label::new(*name).unwrap()));
    let judged = |carried: &[&str], has: &[&str], cause: Cause| {
        let mut domain = Domain::new();
        let terms = domain.terms();
        domain.granted(4, terms.clone());
        let child = GrantFields { labels: labels(&["p"]), cause: caused(1, entry_at(4), entry_at(4)), ..terms.clone() };
        domain.granted(5, child);
        domain.known.labels.insert(entry_at(4).entry, labels(carried).as_slice().to_vec());
        let grant = Grant::new(GrantFields { labels: labels(has), cause, ..terms }).unwrap();
        domain.judge(Body::Grant(grant)).map(|_| ())
    };
    let grandchild = || caused(2, entry_at(5), entry_at(4));
    let missing = Err(Code::LabelsMissing);
    assert_eq!(judged(&["a", "b"], &["a", "b", "p"], grandchild()), Ok(()));
    assert_eq!(judged(&["a", "b"], &["a", "b", "c", "p"], grandchild()), Ok(()));
    assert_eq!(judged(&["a", "b"], &["a", "p"], grandchild()), missing);
    assert_eq!(judged(&["a"], &["p"], grandchild()), missing);
    // The parent has not begun, so its lineage does not carry it yet.
    assert_eq!(judged(&[], &["a"], grandchild()), missing);
    assert_eq!(judged(&[], &["p"], grandchild()), Ok(()));
    // An origin inherits by the decision of the authority, not by the order of the ledger.
    let origin = Cause { place: Place::Origin, mandate: None };
    assert_eq!(judged(&["a"], &[], origin), Ok(()));
}

/// The grant of depth 2 that the family caused, changed so, and what revokes it.
fn revoked_by(targets: &[Target], change: impl FnOnce(&mut Domain, &mut GrantFields)) -> Option<u64> {
    let mut domain = Domain::new();
    family(&mut domain);
    let mut terms = domain.terms();
    terms.cause = caused(2, entry_at(5), entry_at(4));
    change(&mut domain, &mut terms);
    for (index, target) in (6..).zip(targets) {
        domain.apply(index, domain.revocation(target.clone()));
    }
    let Ok(found) = revoked(&domain.control, &domain.known, Some(&hash_at(9)), &Grant::new(terms).unwrap());
    found.map(LeafIndex::get)
}

fn lineage(of: EntryRef) -> Target {
    Target::Lineage { ledger: of.ledger, entry: of.entry }
}

#[test]
fn a_grant_is_revoked_with_each_thing_that_it_rests_on() {
    let asserted = |id| Target::Principal(AssertedPrincipal { kind: name("Agent"), id: name(id) });
    let key = |label| Target::Key(public(label).key().fingerprint());
    for target in [
        Target::Writ(hash_at(9)),
        lineage(entry_at(9)),
        asserted("builder"),
        key("builder"),
        key("holder"),
        Target::Policy(policy_set(1)),
        Target::Gateway(name(GATEWAY)),
        // Its parent and its origin.
        Target::Writ(hash_at(5)),
        Target::Writ(hash_at(4)),
        lineage(entry_at(5)),
        lineage(entry_at(4)),
    ] {
        assert_eq!(revoked_by(std::slice::from_ref(&target), |_, _| {}), Some(6), "{target:?}");
    }
    for target in [
        Target::Writ(hash_at(8)),
        lineage(entry_at(8)),
        lineage(distant(4)),
        lineage(distant(9)),
        asserted("another"),
        key("another"),
        Target::Policy(policy_set(2)),
        Target::Gateway(name("process/02")),
    ] {
        assert_eq!(revoked_by(std::slice::from_ref(&target), |_, _| {}), None, "{target:?}");
    }
}

#[test]
fn the_first_of_several_revocations_is_named() {
    let (own, parent) = (Target::Writ(hash_at(9)), Target::Writ(hash_at(5)));
    assert_eq!(revoked_by(&[own.clone(), parent.clone()], |_, _| {}), Some(6));
    assert_eq!(revoked_by(&[parent, own], |_, _| {}), Some(6));
    assert_eq!(revoked_by(&[], |_, _| {}), None);
}

#[test]
fn a_grant_is_revoked_with_what_its_ancestors_rest_on() {
    let another = Target::Key(public("another").key().fingerprint());
    let with_key = |index: u64| {
        revoked_by(std::slice::from_ref(&another), |domain, _| {
            let place = (LeafIndex::new(index), hash_at(index));
            let mut terms = GrantFields::clone(&domain.known.grants[&place]);
            terms.principal.key = Some(Key::clone(public("another").key()));
            domain.granted(index, terms);
        })
    };
    assert_eq!((with_key(4), with_key(5)), (Some(6), Some(6)));
}

#[test]
fn of_ancestors_in_another_ledger_only_an_origin_in_this_one_is_looked_at() {
    let another = [Target::Gateway(name("process/02"))];
    let through = |parent: EntryRef, origin: EntryRef| {
        revoked_by(&another, |domain, terms| {
            let audience =
                Audience::Gateway { gateway: name("process/02"), epoch: writ_protocol::entry::Positive::ONE };
            let first = GrantFields { audience, principal: principal(), ..domain.terms() };
            domain.granted(4, first.clone());
            domain.granted(5, first);
            terms.cause = caused(2, parent, origin);
        })
    };
    assert_eq!(through(distant(900), entry_at(4)), Some(6));
    // At the same index and hash, but of another ledger.
    assert_eq!(through(distant(5), distant(4)), None);
    let distant_writ = [Target::Writ(distant(900).entry), lineage(distant(800))];
    for target in distant_writ {
        let by = revoked_by(&[target], |_, terms| terms.cause = caused(2, distant(900), distant(800)));
        assert_eq!(by, Some(6));
    }
}
