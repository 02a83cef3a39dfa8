//! A writ that somebody hands over: only its holder, for this gateway, this action and this moment.

use crate::ledger::{OTHER_GATEWAY, name, positive};
use crate::play::{Way, admit, assert_refused, good, refused};
use writ_protocol::Code;
use writ_protocol::entry::Admitted;
use writ_protocol::statement::Presentation;
use writ_tlog::sha256;

fn misstated(change: fn(&mut Presentation)) {
    refused(Way::Handed, Code::HolderProofInvalid, |play| play.misstate = Box::new(change));
}

#[test]
fn a_stolen_writ_without_the_holders_key_admits_nothing() {
    refused(Way::Handed, Code::HolderProofInvalid, |play| play.holder = "thief");
}

#[test]
fn a_presentation_whose_signature_does_not_verify_admits_nothing() {
    refused(Way::Handed, Code::HolderProofInvalid, |play| {
        play.tamper_presentation = Box::new(|signed| *signed.last_mut().unwrap() ^= 1);
    });
    refused(Way::Handed, Code::HolderProofInvalid, |play| play.tamper_presentation = Box::new(Vec::clear));
}

/// A presentation that was overheard is for a nonce that no gateway draws again.
#[test]
fn a_presentation_for_another_nonce_admits_nothing() {
    misstated(|said| said.nonce[31] ^= 1);
}

#[test]
fn a_presentation_to_another_gateway_or_epoch_admits_nothing() {
    misstated(|said| said.gateway = name(OTHER_GATEWAY));
    misstated(|said| said.epoch = positive(2));
}

#[test]
fn a_presentation_of_another_writ_or_action_admits_nothing() {
    misstated(|said| said.writ = sha256(b"another writ"));
    misstated(|said| said.action = sha256(b"another action"));
}

#[test]
fn what_a_gateway_or_a_principal_has_signed_is_no_presentation() {
    let mut play = good(Way::Handed);
    // The key is the holder's, the statement is not a presentation.
    let heartbeat = writ_protocol::statement::GatewayStatement {
        gateway: play.identity.gateway.clone(),
        epoch: play.identity.epoch,
        seq: positive(1),
        time_ms: crate::ledger::NOW_MS,
        claim: writ_protocol::statement::Claim::Heartbeat { size: 0, root: sha256(b"") },
    };
    let signed = heartbeat.sign(play.ledger.origin(), &crate::ledger::ed25519("holder"));
    play.tamper_presentation = Box::new(move |said| said.clone_from(&signed));
    assert_refused(Code::HolderProofInvalid, admit(Way::Handed, play));
}

/// Its one use went to the process that asked.
#[test]
fn a_grant_that_admitted_its_asker_is_replayed_when_it_is_presented() {
    refused(Way::Handed, Code::Replayed, |play| {
        play.terms.admitted = Some(Admitted { nonce: sha256(b"somebody's"), execution: play.execution });
    });
}

#[test]
fn a_use_beyond_the_last_is_exhausted() {
    refused(Way::Handed, Code::UsesExhausted, |play| play.usage = positive(2));
    refused(Way::Handed, Code::UsesExhausted, |play| {
        play.terms.uses = positive(3);
        play.usage = positive(4);
    });
    let mut third = good(Way::Handed);
    third.terms.uses = positive(3);
    third.usage = positive(3);
    assert_eq!(admit(Way::Handed, third).unwrap().usage(), positive(3));
}
