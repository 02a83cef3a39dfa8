//! What an answer must have left in the ledger.

use writ_authority::{Answer, Denied, Shadowed};
use writ_ledger::Receipt;
use writ_protocol::entry::{Denial, Grant, Shadow};
use writ_protocol::{Body, Code, WritVerifier};
use writ_testing::governed::{GovernedDomain, wait};

/// A permit, proved and readable at its index.
#[track_caller]
pub(crate) fn permitted(domain: &GovernedDomain, answer: Answer) -> (Receipt, Grant) {
    let receipt = match answer {
        Answer::Permit(receipt) => receipt,
        other => panic!("expected a permit, found {other:?}"),
    };
    match proved(domain, &receipt) {
        Body::Grant(grant) => (receipt, grant),
        other => panic!("expected a grant, found {other:?}"),
    }
}

/// An order that was done.
#[track_caller]
pub(crate) fn done(domain: &GovernedDomain, answer: Answer) -> Receipt {
    let receipt = match answer {
        Answer::Done(receipt) => receipt,
        other => panic!("expected an order that is done, found {other:?}"),
    };
    proved(domain, &receipt);
    receipt
}

/// A refusal that is recorded with this code, proved and readable at its index.
#[track_caller]
pub(crate) fn denied(domain: &GovernedDomain, answer: Answer, code: Code) -> (Denied, Denial) {
    let denied = match answer {
        Answer::Deny(denied) => *denied,
        other => panic!("expected {code}, found {other:?}"),
    };
    assert_eq!(denied.code, code, "{}", denied.why);
    match proved(domain, &denied.receipt) {
        Body::Denial(denial) => {
            assert_eq!(denial.code, code);
            (denied, denial)
        }
        other => panic!("expected a denial, found {other:?}"),
    }
}

/// What policy would have answered, proved and readable at its index.
#[track_caller]
pub(crate) fn shadowed(domain: &GovernedDomain, answer: Answer) -> (Shadowed, Shadow) {
    let told = match answer {
        Answer::Shadow(told) => *told,
        other => panic!("expected a shadow, found {other:?}"),
    };
    match proved(domain, &told.receipt) {
        Body::Shadow(shadow) => {
            assert_eq!(shadow.would, told.would);
            (told, shadow)
        }
        other => panic!("expected a shadow, found {other:?}"),
    }
}

/// A refusal of somebody unknown, or of what nobody could record: no entry of its own, but it is counted.
#[track_caller]
pub(crate) fn turned_away(domain: &GovernedDomain, ask: impl FnOnce() -> Answer, code: Code) {
    wait(domain.authority().record_turned_away()).unwrap();
    let before = domain.size();
    match ask() {
        Answer::TurnedAway(refusal) => assert_eq!(refusal.code(), code, "{refusal}"),
        other => panic!("expected {code}, found {other:?}"),
    }
    assert_eq!(domain.size(), before, "a stranger has filled the ledger");
    let receipt = wait(domain.authority().record_turned_away()).unwrap().expect("it was counted");
    let Body::Tally(tally) = proved(domain, &receipt) else { panic!("expected a tally") };
    let counts: Vec<_> = tally.counts.iter().map(|one| (one.code, one.count.get())).collect();
    assert_eq!(counts, [(code, 1)]);
}

#[track_caller]
fn proved(domain: &GovernedDomain, receipt: &Receipt) -> Body {
    let mut verifier = WritVerifier::new(domain.domain.trust_root());
    let logged = verifier.verify_logged(&receipt.to_writ()).unwrap();
    let stored = &domain.entered()[usize::try_from(receipt.index.get()).unwrap()];
    assert_eq!((logged.index, logged.hash), (receipt.index, stored.hash));
    assert_eq!(logged.entry.body, stored.body);
    stored.body.clone()
}
