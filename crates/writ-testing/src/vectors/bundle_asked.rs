//! Bundles with the request opened: who asked, and whether it is this that they asked for.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker};
use super::message::signed_message;
use super::statement::signed;
use crate::scenario::{Domain, GrantDraft};
use writ_protocol::Code::{CommitmentMismatch, Malformed, SignatureInvalid, UnknownAuthority};
use writ_protocol::action::Command;
use writ_protocol::entry::{Admitted, Principal};
use writ_protocol::statement::{Ask, Authorize, Component, Request};
use writ_protocol::{Code, Label};
use writ_tlog::sha256;

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    answered(&mut maker);
    not_signed_so(&mut maker);
    not_asked(&mut maker);
    maker.done()
}

/// A grant that says it answers this; whether it does is for the reader of its bundle.
fn told(
    domain: &Domain,
    request: &Request,
    received: &[u8],
    asker: Principal,
    change: impl FnOnce(GrantDraft) -> GrantDraft,
) -> (serde_json::Value, u64) {
    let (story, grant) = Story::granted(domain, |standing| {
        change(domain.grant(standing).answering(request, received, asker)).proposal()
    });
    let at = grant.index.get();
    (story.input(&story.opened(at)), at)
}

fn by_signature(domain: &Domain, request: &Request) -> Vec<u8> {
    signed(&request.payload(domain.origin()), &[domain.alice_key()])
}

fn authorizing(domain: &Domain, change: impl FnOnce(&mut Authorize)) -> Request {
    let mut request = domain.asked();
    let Ask::Authorize(ask) = &mut request.ask else { panic!("it asks for a writ") };
    change(ask);
    request
}

fn answered(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let request = domain.asked();
    let (statement, message) = (by_signature(&domain, &request), signed_message(&domain, domain.alice_key(), &request));
    let bare = request.payload(domain.origin());
    for (name, about, received, asker) in [
        ("asked_signed", "A grant with the request that its principal has signed.", &statement, domain.alice()),
        ("asked_by_message", "A grant with the request, signed as an HTTP message.", &message, domain.alice()),
        ("asked_bare", "A grant with the request of somebody who was known otherwise.", &bare, domain.builder()),
    ] {
        let (input, at) = told(&domain, &request, received, asker, |draft| draft);
        maker.accept(name, about, input, Shown { openings: 3, ..nothing(at, "grant") }.to_value());
    }
    let execution = domain.execution_id();
    let admit = Admitted { nonce: sha256(b"nonce"), execution };
    let request = authorizing(&domain, |ask| ask.admit = Some(admit));
    let received = by_signature(&domain, &request);
    let (input, at) = told(&domain, &request, &received, domain.alice(), |draft| draft.admitted(execution));
    let spent = [(execution, "spent", None)];
    let shown = Shown { openings: 3, executions: &spent, ..nothing(at, "grant") };
    maker.accept("asked_admitted", "Asked for, and granted, with its use spent.", input, shown.to_value());
}

fn not_signed_so(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let request = domain.asked();
    let bare = request.payload(domain.origin());
    let (statement, other) = (by_signature(&domain, &request), signed(&bare, &[domain.holder()]));
    let by_other = signed_message(&domain, domain.holder(), &request);
    let mut unsigned = statement.clone();
    *unsigned.last_mut().unwrap() ^= 1;
    let nameless = Principal { key: None, ..domain.alice() };
    for (name, about, received, asker, code) in [
        (
            "asked_by_no_key_bare",
            "By a key that is not named, and nobody has signed it.",
            &bare,
            nameless.clone(),
            UnknownAuthority,
        ),
        ("asked_by_no_key", "Signed by a key that the entry does not name.", &statement, nameless, UnknownAuthority),
        ("asked_signature", "The principal has not signed it.", &unsigned, domain.alice(), SignatureInvalid),
        ("asked_by_other_key", "Another key has signed it.", &other, domain.alice(), UnknownAuthority),
        ("asked_by_other_message", "Another key has signed the message.", &by_other, domain.alice(), UnknownAuthority),
        ("asked_unsigned", "By a key, and nobody has signed it.", &bare, domain.alice(), Malformed),
        (
            "asked_signed_for_bare",
            "Signed, where the entry knows of no signature.",
            &statement,
            domain.builder(),
            Malformed,
        ),
    ] {
        let (input, _) = told(&domain, &request, received, asker, |draft| draft);
        maker.refuse(name, about, input, code);
    }
}

fn not_asked(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let asked = domain.asked();
    let signed_by_alice = |request: &Request| by_signature(&domain, request);
    // What the grant says it answers, and what was signed.
    let mut refused = |name: &str, about: &str, said: &Request, request: &Request, code: Code| {
        let (input, _) = told(&domain, said, &signed_by_alice(request), domain.alice(), |draft| draft);
        maker.refuse(name, about, input, code);
    };
    let other = Request { key: domain.asked().key, ..asked.clone() };
    refused("asked_other_key", "Another request than the entry names.", &asked, &other, CommitmentMismatch);
    let other = Request { salt: [9; 32], ..asked.clone() };
    refused("asked_other_salt", "A request with another salt than its opening.", &asked, &other, CommitmentMismatch);
    let other = Request { action: domain.action(&["/usr/bin/make", "clean"]).value, ..asked.clone() };
    refused("asked_other_action", "Another action was asked for.", &asked, &other, CommitmentMismatch);
    let other = Request { action_salt: [9; 32], ..asked.clone() };
    refused("asked_other_action_salt", "The action with another salt.", &asked, &other, CommitmentMismatch);
    let Request { ask: Ask::Shadow(shadow), .. } = domain.asked_in_shadow() else { panic!("it asks in shadow") };
    let other = Request { ask: Ask::Shadow(shadow), ..asked.clone() };
    refused("asked_in_shadow", "Only in shadow was it asked for.", &asked, &other, CommitmentMismatch);
    let order = domain.asked_order(Command::Halt);
    let other = Request { action: order.action, action_salt: order.action_salt, ask: Ask::Order, ..asked.clone() };
    refused("asked_as_order", "An order, where an execution was granted.", &asked, &other, CommitmentMismatch);
    let with = |change: fn(&mut Authorize, &Domain)| {
        let Ask::Authorize(mut ask) = asked.ask.clone() else { panic!("it asks for a writ") };
        change(&mut ask, &domain);
        Request { ask: Ask::Authorize(ask), ..asked.clone() }
    };
    type Change = fn(&mut Authorize, &Domain);
    let changed: [(&str, &str, Change); 4] = [
        ("holder", "For another holder.", |ask, domain| {
            ask.holder = writ_protocol::Ed25519Key::new(domain.alice_key().public()).unwrap();
        }),
        ("audience", "For another audience.", |ask, domain| {
            ask.audience = writ_protocol::entry::Audience::Group(domain.group());
        }),
        ("admit", "To be spent at once.", |ask, domain| {
            ask.admit = Some(Admitted { nonce: sha256(b"nonce"), execution: domain.execution_id() });
        }),
        ("surroundings", "For other surroundings.", |ask, _| {
            ask.surroundings.push(Component { name: Label::new("zone").unwrap(), value: String::new() });
        }),
    ];
    for (name, about, change) in changed {
        refused(&format!("asked_other_{name}"), about, &asked, &with(change), CommitmentMismatch);
    }
}
