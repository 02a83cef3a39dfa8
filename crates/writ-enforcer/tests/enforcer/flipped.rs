//! A single bit flipped anywhere in what is presented never admits.

use crate::play::{SENT, Way, admitted, good};
use writ_enforcer::{Enforcer, Own, Scene};

/// Each byte with one of its bits flipped: another one from byte to byte.
fn flips(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len()).map(|at| {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        (at, flipped)
    })
}

#[test]
fn a_flipped_bit_in_a_writ_admits_nothing() {
    admitted(Way::Own, good(Way::Own));
    let mut play = good(Way::Own);
    let index = play.granted();
    let writ = play.ledger.proved(index);
    let action = play.action();
    let mut enforcer = Enforcer::new(play.identity.clone(), play.trust.clone());
    let mut admit = |writ: &[u8]| {
        let own = Own::new(play.own_nonce, play.execution, play.action_salt, SENT);
        let scene = Scene { action: &action, surroundings: &play.surroundings, sandboxes: &play.sandboxes };
        enforcer.admit_own(own, writ, scene, play.now)
    };
    for (at, flipped) in flips(&writ) {
        assert!(admit(&flipped).is_err(), "byte {at} of {} was flipped, and the writ admitted", writ.len());
    }
    assert_eq!(admit(&writ).unwrap().usage().get(), 1, "refusals leave nothing behind that refuses the true one");
}

#[test]
fn a_flipped_bit_in_a_presentation_admits_nothing() {
    let mut play = good(Way::Handed);
    let index = play.granted();
    let entry = play.ledger.hash(index);
    let view = play.view();
    let writ = play.writ(index);
    let presentation = play.presentation(entry);
    for bit in 0..8 * presentation.len() {
        play.tamper_presentation = Box::new(move |signed| signed[bit / 8] ^= 1 << (bit % 8));
        assert!(play.examine(&writ, entry, &view).is_err(), "bit {bit} was flipped, and the presentation was taken");
    }
    play.tamper_presentation = Box::new(|_| {});
    assert_eq!(*play.examine(&writ, entry, &view).unwrap().writ().entry(), entry);
}

#[test]
fn a_flipped_bit_in_the_receipt_of_a_spend_admits_nothing() {
    let mut play = good(Way::Handed);
    let index = play.granted();
    let entry = play.ledger.hash(index);
    let view = play.view();
    let writ = play.writ(index);
    let examined = || play.examine(&writ, entry, &view).unwrap();
    let statement = play.say(examined().spend(play.execution));
    let mut ledger = play.ledger.clone();
    let at = ledger.spend(&statement);
    let receipt = ledger.proved(at);
    for (at, flipped) in flips(&receipt) {
        let admission = examined().spent(&statement, &flipped, SENT, play.now);
        assert!(admission.is_err(), "byte {at} of {} was flipped, and the receipt admitted", receipt.len());
    }
    assert_eq!(examined().spent(&statement, &receipt, SENT, play.now).unwrap().execution(), play.execution);
}

#[test]
fn a_flipped_bit_in_a_bundle_gives_no_view() {
    let play = good(Way::Handed);
    let bundle = play.ledger.bundle();
    writ_enforcer::ControlView::begin(play.trust.clone(), &bundle).unwrap();
    for (at, flipped) in flips(&bundle) {
        let view = writ_enforcer::ControlView::begin(play.trust.clone(), &flipped);
        assert!(view.is_err(), "byte {at} of {} was flipped, and the bundle gave a view", bundle.len());
    }
}
