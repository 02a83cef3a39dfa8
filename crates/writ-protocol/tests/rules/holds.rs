//! Holds are resolved once, by what they were made for; erasures and ids name what is there and what is new.

use crate::domain::{
    Domain, NOW_MS, accepted, alice, approver, elsewhere, entry_at, hash_at, name, positive, principal, public, refused,
};
use writ_protocol::entry::{
    ApprovalFields, Ascending, AssertedPrincipal, Body, Erased, GrantFields, Hold, HoldFields, Need, Place, Principal,
    Target, Verdict,
};
use writ_protocol::order::{Accepted, HoldAnswer, OpenHold};
use writ_protocol::statement::RootCommand;
use writ_protocol::{Code, Key, Label};
use writ_tlog::{LeafIndex, sha256};

/// A hold at index 4 that is open until then, and a grant that resolves it.
fn held(domain: &mut Domain, terms: &mut GrantFields, until_ms: u64, change: impl FnOnce(&mut HoldFields)) {
    let mut fields = HoldFields::clone(&domain.hold(until_ms));
    change(&mut fields);
    let answers = vec![HoldAnswer::of(&domain.approval())];
    let open = OpenHold { hold: Hold::new(fields).unwrap(), answers };
    domain.known.holds.insert((LeafIndex::new(4), hash_at(4)), open);
    terms.hold = Some(entry_at(4));
}

fn open(domain: &mut Domain) -> &mut OpenHold {
    domain.known.holds.get_mut(&(LeafIndex::new(4), hash_at(4))).unwrap()
}

/// As [`held`], for an hour, with the hold changed after that.
fn changed(domain: &mut Domain, terms: &mut GrantFields, change: impl FnOnce(&mut OpenHold)) {
    held(domain, terms, NOW_MS + 3_600_000, |_| {});
    change(open(domain));
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
fn a_grant_takes_the_approvals_that_the_hold_needs() {
    let answer = |id: &str, group: &str, verdict| HoldAnswer {
        by: AssertedPrincipal { kind: name("User"), id: name(id) },
        key: public(id).key().fingerprint(),
        groups: vec![name(group)],
        verdict,
    };
    let need = |group: &str, count| Need { count: positive(count), group: name(group) };
    accepted(|domain, terms| changed(domain, terms, |_| {}));
    let needs = |hold: &mut OpenHold, needs: Vec<Need>| {
        hold.hold = Hold::new(HoldFields { needs, ..HoldFields::clone(&hold.hold) }).unwrap();
    };
    accepted(|domain, terms| {
        changed(domain, terms, |hold| {
            needs(hold, vec![need("auditors", 1), need("owners", 2)]);
            hold.answers.push(answer("another", "owners", Verdict::Approve));
            hold.answers.push(answer("auditor", "auditors", Verdict::Approve));
        });
    });
    // One principal counts once in a group, and in each of theirs.
    accepted(|domain, terms| {
        changed(domain, terms, |hold| {
            needs(hold, vec![need("auditors", 1), need("owners", 1)]);
            hold.answers[0].groups = vec![name("auditors"), name("owners")];
        });
    });
    type Change = fn(&mut OpenHold);
    let missing: [Change; 3] = [
        |hold| hold.answers.clear(),
        |hold| hold.answers[0].groups = vec![name("others")],
        |hold| {
            hold.answers.push(hold.answers[0].clone());
            let fields = HoldFields::clone(&hold.hold);
            hold.hold =
                Hold::new(HoldFields { needs: vec![Need { count: positive(2), group: name("owners") }], ..fields })
                    .unwrap();
        },
    ];
    for change in missing {
        refused(Code::ApprovalPending, |domain, terms| changed(domain, terms, change));
    }
    refused(Code::ApprovalRejected, |domain, terms| {
        changed(domain, terms, |hold| hold.answers.push(answer("another", "owners", Verdict::Reject)));
    });
    refused(Code::ApprovalRejected, |domain, terms| {
        changed(domain, terms, |hold| {
            let mut fields = HoldFields::clone(&hold.hold);
            fields.cause.mandate = Some(entry_at(5));
            hold.hold = Hold::new(fields).unwrap();
        });
    });
    // Whoever is not trusted any more has approved nothing.
    for target in [Target::Principal(approver().asserted()), Target::Key(public("owner").key().fingerprint())] {
        refused(Code::ApprovalPending, |domain, terms| {
            changed(domain, terms, |_| {});
            domain.apply(3, domain.revocation(target.clone()));
            terms.as_of.control = domain.control.head().head;
        });
    }
}

/// What the rules say of an answer to a hold that is open for an hour.
fn answered(
    change_hold: impl FnOnce(&mut OpenHold),
    change: impl FnOnce(&mut ApprovalFields),
) -> Result<Accepted, Code> {
    let mut domain = Domain::new();
    changed(&mut domain, &mut Domain::new().terms(), change_hold);
    open(&mut domain).answers.retain(|answer| answer.by != approver().asserted());
    domain.judge(Body::Approval(domain.answer(Verdict::Approve, change)))
}

#[test]
fn an_answer_is_what_its_principal_has_signed_about_what_is_open() {
    assert_eq!(answered(|_| {}, |_| {}), Ok(Accepted::AsItStands));
    type Change = fn(&mut ApprovalFields);
    let changes: [(Code, Change); 7] = [
        (Code::EvidenceInvalid, |fields| fields.verdict = Verdict::Reject),
        (Code::EvidenceInvalid, |fields| fields.hold = entry_at(5)),
        (Code::EvidenceInvalid, |fields| fields.request.digest = sha256(b"another")),
        (Code::EvidenceInvalid, |fields| fields.action.digest = sha256(b"another")),
        (Code::UnknownAuthority, |fields| fields.by.key = Some(Key::clone(public("another").key()))),
        (Code::PolicyMismatch, |fields| fields.policy.epoch = 2),
        (Code::ApprovalRejected, |fields| fields.groups = Ascending::new([name("others"), name("owners")])),
    ];
    for (code, change) in changes {
        assert_eq!(answered(|_| {}, change), Err(code));
    }
    assert_eq!(answered(|_| {}, |fields| fields.time_ms = NOW_MS + 3_600_000), Err(Code::ApprovalRejected));
    let domain = Domain::new();
    assert_eq!(domain.judge(Body::Approval(domain.approval())), Err(Code::ApprovalRejected), "there is no hold");
}

#[test]
fn nobody_answers_what_they_have_asked_or_caused_and_nobody_twice() {
    let by = |change: fn(&mut HoldFields)| {
        answered(
            |open| {
                let mut fields = HoldFields::clone(&open.hold);
                change(&mut fields);
                open.hold = Hold::new(fields).unwrap();
            },
            |_| {},
        )
    };
    assert_eq!(by(|hold| hold.principal = approver()), Err(Code::ApprovalRejected));
    // However they have shown who they are.
    assert_eq!(by(|hold| hold.principal = Principal { key: None, ..approver() }), Err(Code::ApprovalRejected));
    assert_eq!(by(|hold| hold.action.digest = sha256(b"another")), Err(Code::ActionMismatch));
    let caused_by = |first: Principal, depth| {
        let mut domain = Domain::new();
        changed(&mut domain, &mut Domain::new().terms(), |_| {});
        for step in 0..depth {
            let mut terms = domain.terms();
            terms.cause.place = place(step);
            terms.principal = if step == 0 { first.clone() } else { terms.principal };
            domain.granted(5 + step, terms);
        }
        let mut fields = HoldFields::clone(&open(&mut domain).hold);
        fields.cause.place = place(depth);
        open(&mut domain).hold = Hold::new(fields).unwrap();
        open(&mut domain).answers.clear();
        domain.judge(Body::Approval(domain.approval()))
    };
    for depth in 1..=3 {
        // The owner began it, others went on.
        assert_eq!(caused_by(approver(), depth), Err(Code::ApprovalRejected), "{depth}");
        assert_eq!(caused_by(principal(), depth), Ok(Accepted::AsItStands), "{depth}");
    }
    let again = |answer: fn(&mut HoldAnswer)| {
        let mut domain = Domain::new();
        changed(&mut domain, &mut Domain::new().terms(), |open| answer(&mut open.answers[0]));
        domain.judge(Body::Approval(domain.approval()))
    };
    assert_eq!(again(|_| {}), Err(Code::Replayed));
    assert_eq!(again(|answer| answer.verdict = Verdict::Reject), Err(Code::ApprovalRejected));
    // With another key, the word of which stands where the first is revoked, or under another name, it is another answer.
    assert_eq!(again(|answer| answer.key = public("another").key().fingerprint()), Ok(Accepted::AsItStands));
    assert_eq!(again(|answer| answer.by.id = name("another")), Ok(Accepted::AsItStands));
    // So many and no more, but for a no.
    let crowded = |answers: usize, verdict| {
        let mut domain = Domain::new();
        changed(&mut domain, &mut Domain::new().terms(), |open| {
            open.answers[0].by.id = name("another");
            open.answers = vec![open.answers[0].clone(); answers];
        });
        let answer = domain.answer(verdict, |_| {});
        domain.judge(Body::Approval(answer))
    };
    assert_eq!(crowded(255, Verdict::Approve), Ok(Accepted::AsItStands));
    assert_eq!(crowded(256, Verdict::Approve), Err(Code::ApprovalRejected));
    assert_eq!(crowded(256, Verdict::Reject), Ok(Accepted::AsItStands));
    // Whoever has approved may still say no.
    let mut domain = Domain::new();
    changed(&mut domain, &mut Domain::new().terms(), |_| {});
    assert_eq!(domain.judge(Body::Approval(domain.answer(Verdict::Reject, |_| {}))), Ok(Accepted::AsItStands));
}

/// Caused by the grant at index 4 + `depth`, in a lineage that began at index 5.
fn place(depth: u64) -> Place {
    if depth == 0 { Place::Origin } else { Place::Caused { depth, parent: entry_at(4 + depth), origin: entry_at(5) } }
}

#[test]
fn whoever_is_revoked_gives_no_orders_and_has_nothing_wait() {
    for target in [Target::Principal(approver().asserted()), Target::Key(public("owner").key().fingerprint())] {
        let mut domain = Domain::new();
        changed(&mut domain, &mut Domain::new().terms(), |open| open.answers.clear());
        domain.apply(3, domain.revocation(target));
        assert_eq!(domain.judge(Body::Approval(domain.approval())), Err(Code::Revoked));
    }
    let mut domain = Domain::new();
    domain.apply(3, domain.revocation(Target::Principal(alice().asserted())));
    assert_eq!(domain.judge(domain.halt()), Err(Code::Revoked));
    assert_eq!(domain.judge(domain.revocation(Target::Policy(sha256(b"set")))), Err(Code::Revoked));
    let mut domain = Domain::new();
    assert_eq!(domain.judge(Body::Hold(domain.hold(NOW_MS))), Ok(Accepted::AsItStands));
    domain.apply(3, domain.revocation(Target::Principal(principal().asserted())));
    assert_eq!(domain.judge(Body::Hold(domain.hold(NOW_MS))), Err(Code::Revoked));
    let mut domain = Domain::new();
    domain.apply(3, domain.halt());
    assert_eq!(domain.judge(Body::Hold(domain.hold(NOW_MS))), Err(Code::Halted));
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
    let Body::Erasure(erasure) = domain.erasure(erased) else { panic!() };
    assert!(erasure.entries().into_iter().eq([LeafIndex::new(4)]));
}

#[test]
fn an_id_is_recorded_once() {
    let mut domain = Domain::new();
    domain.known.commitments.insert((LeafIndex::new(4), sha256(b"facts")));
    let statement = domain.root_statement(RootCommand::Halt(Label::new("drill").unwrap()));
    let bodies = [
        domain.revocation(Target::Writ(hash_at(4))),
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
