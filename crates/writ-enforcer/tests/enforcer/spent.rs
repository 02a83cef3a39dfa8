//! From an examined writ to an admission: the receipt of this very spend, in time.

use crate::ledger::{Ledger, NOW_MS, gateway_key, name, positive};
use crate::play::{FREEZE_MS, Handed, SENT, WINDOW_MS, Way, assert_refused, good};
use writ_enforcer::{Admission, BootTime};
use writ_protocol::entry::Window;
use writ_protocol::statement::{Claim, Ending, GatewayStatement};
use writ_protocol::{Code, ExecutionId, Refusal};
use writ_tlog::{Hash, sha256};

fn handed() -> Handed {
    good(Way::Handed).hand_over().unwrap()
}

/// The spend that should be made is recorded, and another pair of statement and receipt is used.
fn instead(code: Code, used: impl FnOnce(&mut Handed, Vec<u8>, Vec<u8>) -> (Vec<u8>, Vec<u8>)) {
    assert_eq!(handed().spend().unwrap().usage().get(), 1);
    let mut handed = handed();
    let statement = handed.play.say(handed.examined.spend(handed.play.execution));
    let at = handed.play.ledger.spend(&statement);
    let receipt = handed.play.ledger.proved(at);
    let (statement, receipt) = used(&mut handed, statement, receipt);
    assert_refused(code, handed.examined.spent(&statement, &receipt, SENT, handed.play.now));
}

/// Another claim is recorded as a spend, and its own receipt is used.
fn claimed(change: impl FnOnce(&mut Handed, Claim) -> Vec<u8>) {
    instead(Code::ProofInvalid, |handed, _, _| {
        let statement = change(handed, handed.examined.spend(handed.play.execution));
        let at = handed.play.ledger.spend(&statement);
        (statement, handed.play.ledger.proved(at))
    });
}

#[test]
fn without_a_receipt_a_spend_admits_nothing() {
    instead(Code::MissingWrit, |_, statement, _| (statement, Vec::new()));
    instead(Code::Malformed, |_, statement, _| (statement, b"recorded".to_vec()));
}

#[test]
fn the_writ_itself_is_no_receipt_of_its_spend() {
    instead(Code::ProofInvalid, |handed, statement, _| {
        let index = handed.examined.writ().index().get();
        (statement, handed.play.ledger.proved(index))
    });
}

#[test]
fn a_spend_of_another_writ_or_use_admits_nothing() {
    let other = Hash::from_bytes([1; 32]);
    claimed(|handed, claim| {
        let Claim::Spent { index, execution, usage, .. } = claim else { panic!("{claim:?}") };
        handed.play.say(Claim::Spent { writ: other, index, execution, usage })
    });
    claimed(|handed, claim| {
        let Claim::Spent { writ, index, execution, .. } = claim else { panic!("{claim:?}") };
        handed.play.say(Claim::Spent { writ, index, execution, usage: positive(2) })
    });
}

/// Two gateways of a group, or two epochs of one: the use belongs to who has spent it.
#[test]
fn a_spend_by_another_gateway_or_epoch_admits_nothing() {
    for (gateway, epoch) in [("process/02", 1), ("process/01", 2)] {
        claimed(|handed, claim| {
            let statement = GatewayStatement {
                gateway: name(gateway),
                epoch: positive(epoch),
                seq: positive(1),
                time_ms: NOW_MS,
                claim,
            };
            let key = crate::ledger::ed25519(&gateway_key(gateway, epoch));
            statement.sign(handed.play.ledger.origin(), &key)
        });
    }
}

#[test]
fn the_receipt_of_another_spend_admits_nothing() {
    instead(Code::ProofInvalid, |handed, statement, _| {
        let other = handed.play.say(handed.examined.spend(ExecutionId::new(NOW_MS, [8; 10])));
        let at = handed.play.ledger.spend(&other);
        (statement, handed.play.ledger.proved(at))
    });
}

#[test]
fn the_receipt_of_another_kind_of_statement_admits_nothing() {
    claimed(|handed, _| {
        let writ = *handed.examined.writ().entry();
        handed.play.say(Claim::Ended { writ, execution: handed.play.execution, result: Ending::Unknown })
    });
    // The same statement, but recorded as a report.
    instead(Code::ProofInvalid, |handed, statement, _| {
        let at = handed.play.ledger.report(&statement);
        (statement, handed.play.ledger.proved(at))
    });
}

#[test]
fn a_receipt_of_another_ledger_admits_nothing() {
    instead(Code::UnknownAuthority, |_, statement, _| {
        let mut other = Ledger::new("other.example/ledger");
        let at = other.spend(&statement);
        (statement, other.proved(at))
    });
}

/// The spend is recorded and its receipt arrives at another moment.
fn arriving(window_ms: u64, change: impl FnOnce(&mut writ_enforcer::Moment)) -> Result<Admission, Refusal> {
    let mut play = good(Way::Handed);
    play.terms.window = Window::new(NOW_MS, NOW_MS + window_ms).unwrap();
    let mut handed = play.hand_over().unwrap();
    change(&mut handed.play.now);
    handed.spend()
}

/// What speaks against the writ may have been recorded since the spend.
#[test]
fn a_receipt_that_was_held_back_admits_nothing() {
    assert_refused(Code::ViewStale, arriving(WINDOW_MS, |now| now.boot = BootTime(SENT.0 + FREEZE_MS + 1)));
    assert_eq!(arriving(WINDOW_MS, |now| now.boot = BootTime(SENT.0 + FREEZE_MS)).unwrap().usage().get(), 1);
}

#[test]
fn a_receipt_after_the_window_admits_nothing() {
    assert_refused(Code::Expired, arriving(1_000, |now| now.wall_ms = NOW_MS + 1_000));
    assert_eq!(arriving(1_000, |now| now.wall_ms = NOW_MS + 999).unwrap().usage().get(), 1);
}

#[test]
fn an_admission_says_what_was_measured() {
    let play = good(Way::Handed);
    let (action, surroundings) = (play.terms.action.digest, play.terms.surroundings.digest);
    let admission = play.admit_handed().unwrap();
    let (entry, execution) = (*admission.writ().entry(), admission.execution());
    let (started, running) = admission.start();
    assert_eq!(started, Claim::Started { writ: entry, execution, action, surroundings });
    let ended = running.terminated(Code::Revoked);
    assert_eq!(ended, Claim::Ended { writ: entry, execution, result: Ending::Terminated(Code::Revoked) });
    assert_ne!(entry, sha256(b""));
}

/// A gateway that was stopped between its start and the release does not know what was recorded meanwhile.
#[test]
fn what_was_held_for_too_long_after_its_start_is_not_let_go() {
    for way in crate::play::BOTH {
        let (_, running) = crate::play::admit(way, good(way)).unwrap().start();
        assert!(running.in_time(SENT, SENT).is_ok());
        assert!(running.in_time(SENT, BootTime(SENT.0 + FREEZE_MS)).is_ok());
        let late = running.in_time(SENT, BootTime(SENT.0 + FREEZE_MS + 1)).unwrap_err();
        assert_eq!(late.code(), Code::ViewStale);
        assert!(late.why().contains(&format!("{} ms have passed", FREEZE_MS + 1)), "{}", late.why());
    }
}

#[test]
fn an_admission_that_is_given_up_ends_as_unknown() {
    let admission = good(Way::Own).admit_own().unwrap();
    let (writ, execution) = (*admission.writ().entry(), admission.execution());
    assert_eq!(admission.abandon(), Claim::Ended { writ, execution, result: Ending::Unknown });
}
