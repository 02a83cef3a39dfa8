//! What an entry says of itself, for whoever records it.

use crate::domain::{Domain, NOW_MS, action, approver, entry_at, hash_at, ordered, principal};
use writ_protocol::action::{Action, Command, CommitmentKind, Opening, Order};
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{Body, Denial, Erased, Evidence, Grant, GrantFields, Positive, Seal, Target};
use writ_protocol::statement::RootCommand;
use writ_protocol::{Code, Entry, EntryType, Label};
use writ_tlog::{leaf_hash, sha256};

/// One of each type but genesis and tally; the decisions resolve a hold, as far as they can.
fn bodies(domain: &Domain) -> Vec<Body> {
    let hold = Some(entry_at(4));
    let evidence = || Evidence { statement: Bytes(b"statement".to_vec()) };
    let facts = Some(sha256(b"facts"));
    let (batch, first, count) = (1, 3, Positive::ONE);
    vec![
        domain.enrolment(1),
        domain.revocation(Target::Writ(hash_at(4))),
        domain.halt(),
        domain.root_order(&domain.root_statement(RootCommand::Halt(Label::new("drill").unwrap()))),
        domain.activation(1),
        Body::Entities(domain.entities(1)),
        Body::Grant(Grant::new(GrantFields { hold: hold.clone(), ..domain.terms() }).unwrap()),
        Body::Denial(Denial { facts, ..domain.denial(hold) }),
        Body::Hold(domain.hold(NOW_MS)),
        Body::Approval(domain.approval()),
        Body::Mandate(domain.mandate(|_| {})),
        Body::Shadow(domain.shadow()),
        Body::Advised(domain.advised()),
        Body::Spend(evidence()),
        Body::Start(evidence()),
        Body::Outcome(evidence()),
        Body::Report(evidence()),
        domain.erasure(Erased { index: 4, commitment: sha256(b"facts") }),
        Body::Seal(Seal { batch, count, first, control: domain.control.head(), time_ms: NOW_MS }),
    ]
}

#[test]
fn a_body_says_whose_it_is_and_what_it_holds() {
    use EntryType::*;
    let domain = Domain::new();
    for body in bodies(&domain) {
        let of = body.entry_type();
        let decision = matches!(of, Grant | Denial | Hold | Approval | Mandate | Shadow | Advised);
        assert_eq!(
            body.control().is_some(),
            matches!(of, Gateway | Revocation | Halt | RootOrder | Policy | Entities),
            "{of:?}"
        );
        let asked =
            decision && of != Advised || matches!(of, Gateway | Revocation | Halt | Policy | Entities | Erasure);
        let found = body.request().map(|request| request.digest);
        assert_eq!(found.is_some(), asked, "{of:?}");
        assert!(matches!(of, Approval | Mandate) || found.is_none_or(|digest| digest == sha256(b"request")), "{of:?}");
        let by = if matches!(of, Approval | Mandate) { approver() } else { principal() };
        assert_eq!(body.asked_by(), decision.then_some(by).as_ref(), "{of:?}");
        assert_eq!(body.resolves(), matches!(of, Grant | Denial).then(|| entry_at(4)).as_ref(), "{of:?}");
        // The ids of these bodies: one byte, repeated.
        let id = match of {
            Revocation => Some(3),
            Halt => Some(4),
            Entities => Some(5),
            Grant => Some(6),
            Denial => Some(7),
            Hold => Some(8),
            Approval => Some(2),
            Mandate => Some(5),
            Erasure => Some(9),
            Genesis | Gateway | RootOrder | Policy | Shadow | Advised | Tally | Spend | Start | Outcome | Report
            | Seal => None,
        };
        assert_eq!(body.own_id(), id.map(|byte| [byte; 16]), "{of:?}");
        let carries = matches!(of, RootOrder | Approval | Mandate | Spend | Start | Outcome | Report);
        assert_eq!(body.statement().is_some(), carries, "{of:?}");
        assert!(
            body.statement()
                .is_none_or(|statement| matches!(of, RootOrder | Approval | Mandate) || statement == b"statement"),
            "{of:?}"
        );
    }
}

#[test]
fn a_body_tells_what_it_commits_to() {
    let request = (CommitmentKind::Request, sha256(b"request"));
    let (action, facts) = ((CommitmentKind::Action, action().digest), (CommitmentKind::Facts, sha256(b"facts")));
    for body in bodies(&Domain::new()) {
        let expected = match body.entry_type() {
            EntryType::Grant | EntryType::Denial | EntryType::Hold | EntryType::Shadow => vec![action, facts, request],
            EntryType::Advised => vec![action, facts],
            EntryType::Policy => vec![(CommitmentKind::Policy, sha256(b"content")), request],
            // Its request and order are those that were signed.
            EntryType::Approval => {
                let Body::Approval(approval) = &body else { panic!("an approval") };
                let signed = (CommitmentKind::Request, approval.request.digest);
                vec![(CommitmentKind::Action, approval.action.digest), facts, signed]
            }
            EntryType::Mandate => {
                let Body::Mandate(mandate) = &body else { panic!("a mandate") };
                let signed = (CommitmentKind::Request, mandate.request.digest);
                vec![(CommitmentKind::Action, mandate.action.digest), facts, signed]
            }
            EntryType::Revocation | EntryType::Halt | EntryType::Erasure => {
                vec![(CommitmentKind::Action, ordered().digest), facts, request]
            }
            EntryType::Entities => {
                let content = (CommitmentKind::Entities, sha256(b"content"));
                vec![(CommitmentKind::Action, ordered().digest), facts, content, request]
            }
            EntryType::Gateway => vec![request],
            EntryType::Genesis
            | EntryType::RootOrder
            | EntryType::Tally
            | EntryType::Spend
            | EntryType::Start
            | EntryType::Outcome
            | EntryType::Report
            | EntryType::Seal => vec![],
        };
        assert_eq!(body.commitments(), expected, "{:?}", body.entry_type());
    }
}

#[test]
fn an_opened_policy_set_is_the_one_that_the_entry_names() {
    let domain = Domain::new();
    let Body::Policy(mut activation) = domain.activation(1) else { return };
    activation.set = sha256(b"policies");
    let opening = |value: &[u8]| Opening { kind: CommitmentKind::Policy, salt: [1; 32], value: value.to_vec() };
    let body = Body::Policy(activation);
    assert_eq!(body.judge_opened(&opening(b"policies")), Ok(()));
    for (body, value) in [(&body, b"others".as_slice()), (&domain.halt(), b"policies")] {
        assert_eq!(body.judge_opened(&opening(value)).unwrap_err().code(), Code::CommitmentMismatch);
    }
}

#[test]
fn an_opened_change_is_the_one_that_the_entry_names() {
    let domain = Domain::new();
    let body = Body::Entities(domain.entities(1));
    let opening = |value: &[u8]| Opening { kind: CommitmentKind::Entities, salt: [1; 32], value: value.to_vec() };
    assert_eq!(body.judge_opened(&opening(b"change")), Ok(()));
    for (body, value) in [(&body, b"others".as_slice()), (&domain.halt(), b"change")] {
        assert_eq!(body.judge_opened(&opening(value)).unwrap_err().code(), Code::CommitmentMismatch);
    }
    let order = |change: &[u8], reason: &str| Opening {
        kind: CommitmentKind::Action,
        salt: [1; 32],
        value: Action::Order(Order { command: Command::Entities(sha256(change)), reason: Label::new(reason).unwrap() })
            .encode()
            .unwrap(),
    };
    assert_eq!(body.judge_opened(&order(b"change", "joined")), Ok(()));
    for other in [order(b"others", "joined"), order(b"change", "left")] {
        assert_eq!(body.judge_opened(&other).unwrap_err().code(), Code::CommitmentMismatch);
    }
}

#[test]
fn the_hash_of_an_entry_is_that_of_its_leaf() {
    assert_eq!(Entry::hash(b"entry"), leaf_hash(b"entry"));
}
