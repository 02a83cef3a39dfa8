//! Holds are resolved once, by what they were made for; erasures and ids name what is there and what is new.

use crate::domain::{Domain, NOW_MS, accepted, alice, elsewhere, entry_at, hash_at, name, refused};
use writ_protocol::entry::{Body, Erased, GrantFields, Hold, HoldFields};
use writ_protocol::order::Accepted;
use writ_protocol::statement::RootCommand;
use writ_protocol::{Code, Label};
use writ_tlog::{LeafIndex, sha256};

/// A hold at index 4 that is open until then, and a grant that resolves it.
fn held(domain: &mut Domain, terms: &mut GrantFields, until_ms: u64, change: impl FnOnce(&mut HoldFields)) {
    let mut fields = HoldFields::clone(&domain.hold(until_ms));
    change(&mut fields);
    domain.known.holds.insert((LeafIndex::new(4), hash_at(4)), Hold::new(fields).unwrap());
    terms.hold = Some(entry_at(4));
}

#[test]
fn a_grant_resolves_an_open_hold_of_the_same_principal_and_action_before_it_lapses() {
    accepted(|domain, terms| held(domain, terms, NOW_MS + 1, |_| {}));
    // How the principal showed who it is may differ; who it is may not.
    accepted(|domain, terms| held(domain, terms, NOW_MS + 1, |hold| hold.principal.key = None));
    for change in [
        |hold: &mut HoldFields| hold.principal.id = name("another"),
        |hold: &mut HoldFields| hold.principal.kind = name("User"),
        |hold: &mut HoldFields| hold.principal = alice(),
        |hold: &mut HoldFields| hold.action.digest = sha256(b"another"),
    ] {
        refused(Code::ApprovalRejected, |domain, terms| held(domain, terms, NOW_MS + 1, change));
    }
    refused(Code::ApprovalRejected, |domain, terms| held(domain, terms, NOW_MS, |_| {}));
    refused(Code::ApprovalRejected, |_, terms| terms.hold = Some(entry_at(4)));
    refused(Code::ApprovalRejected, |domain, terms| {
        held(domain, terms, NOW_MS + 1, |_| {});
        terms.hold = terms.hold.take().map(|hold| writ_protocol::entry::EntryRef { ledger: elsewhere(), ..hold });
    });
}

#[test]
fn a_denial_resolves_a_hold_even_when_it_has_lapsed() {
    let mut domain = Domain::new();
    let denial = |domain: &Domain| domain.judge(Body::Denial(domain.denial(Some(entry_at(4)))));
    assert_eq!(denial(&domain), Err(Code::ApprovalRejected));
    held(&mut domain, &mut Domain::new().terms(), NOW_MS, |_| {});
    assert_eq!(denial(&domain), Ok(Accepted::AsItStands));
    let mut other = Domain::new();
    held(&mut other, &mut Domain::new().terms(), NOW_MS, |hold| hold.principal = alice());
    assert_eq!(denial(&other), Err(Code::ApprovalRejected));
}

#[test]
fn an_erasure_names_what_is_there() {
    let mut domain = Domain::new();
    let erased = Erased { index: 4, commitment: sha256(b"facts") };
    assert_eq!(domain.judge(domain.erasure(erased)), Err(Code::CommitmentMismatch));
    domain.known.commitments.insert((LeafIndex::new(4), sha256(b"facts")));
    assert_eq!(domain.judge(domain.erasure(erased)), Ok(Accepted::AsItStands));
    assert_eq!(domain.judge(domain.erasure(Erased { index: 5, ..erased })), Err(Code::CommitmentMismatch));
}

#[test]
fn an_id_is_recorded_once() {
    let mut domain = Domain::new();
    domain.known.commitments.insert((LeafIndex::new(4), sha256(b"facts")));
    let statement = domain.root_statement(RootCommand::Halt(Label::new("drill").unwrap()));
    let bodies = [
        domain.revocation(writ_protocol::entry::Target::Writ(hash_at(4))),
        domain.halt(),
        domain.root_order(&statement),
        Body::Denial(domain.denial(None)),
        Body::Hold(domain.hold(NOW_MS)),
        domain.erasure(Erased { index: 4, commitment: sha256(b"facts") }),
    ];
    for body in &bodies {
        assert!(domain.judge(body.clone()).is_ok(), "{body:?}");
    }
    // The ids of these bodies: one byte, repeated.
    domain.known.ids.extend((3..10).map(|byte| [byte; 16]));
    for body in bodies {
        assert_eq!(domain.judge(body.clone()), Err(Code::Replayed), "{body:?}");
    }
}
