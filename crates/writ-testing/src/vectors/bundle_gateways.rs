//! Bundles of gateways: enrolled by order, and asking in somebody's name.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_orders::{Tell, told};
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker};
use super::statement::signed;
use crate::scenario::{Domain, GrantDraft, digest};
use writ_ledger::{Draft, Proposal};
use writ_protocol::Code::{
    CommitmentMismatch, IdentityMismatch, Malformed, PolicyMismatch, Replayed, Revoked, UnknownAuthority, WrongAudience,
};
use writ_protocol::action::{ActionKind, CommitmentKind};
use writ_protocol::entry::{
    Activation, Ascending, AssertedPrincipal, Enrolment, Opinion, OrderRef, Positive, Principal, PrincipalRef,
    Revocation, Target, Would,
};
use writ_protocol::{Code, Ed25519Key, Label, Name};

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    accepted(&mut maker);
    against(&mut maker);
    opened(&mut maker);
    spoken(&mut maker);
    granted(&mut maker);
    asked(&mut maker);
    maker.done()
}

/// The second gateway is renewed by order.
fn renewing(domain: &Domain, spoil: impl FnOnce(&mut Enrolment)) -> Proposal {
    let (mut enrolment, openings) = domain.ordered_enrolment(1, 2);
    spoil(&mut enrolment);
    Proposal::new(Draft::Gateway(enrolment)).with_openings(openings)
}

fn order(enrolment: &mut Enrolment) -> &mut OrderRef {
    enrolment.order.as_mut().unwrap()
}

fn accepted(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let at = story.tell(renewing(&domain, |_| {})).index.get();
    let shown = Shown { openings: 2, ..nothing(at, "gateway") };
    let about = "A gateway that is renewed by order, opened.";
    maker.accept("gateway_ordered", about, story.input(&story.opened(at)), shown.to_value());

    let (input, at) = asked_by(&Domain::new(BASE_MS), |_| {}, |draft| draft);
    let about = "A grant that a gateway has asked for, in the name of whom it is enrolled for.";
    maker.accept("spoken_for", about, input, Shown { openings: 3, ..nothing(at, "grant") }.to_value());

    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let mut draft = domain.denial(&story.ledger.standing());
    draft.denial.principal = Principal {
        id: domain.gateway_name(0),
        kind: Name::new(Principal::GATEWAY).unwrap(),
        ..domain.spoken_for(0, 1)
    };
    let at = story.tell(draft.proposal()).index.get();
    let about = "A gateway that was refused, and is named itself.";
    maker.accept("spoken_denied", about, story.input(&story.bundle(at)), nothing(at, "denial").to_value());
}

fn against(maker: &mut Maker) {
    let cases: [(&str, &str, Code, Tell); 9] = [
        ("gateway_for_gateway", "Enrolled to ask for another gateway.", Malformed, |story, domain| {
            let (kind, id) = (Name::new(Principal::GATEWAY).unwrap(), domain.gateway_name(0));
            let asserts = Ascending::new([AssertedPrincipal { kind, id }]);
            story.tell(renewing(domain, |one| one.asserts = asserts));
        }),
        (
            "gateway_by_gateway",
            "Enrolled without an order, by a gateway in somebody's name.",
            IdentityMismatch,
            |story, domain| {
                let by = domain.spoken_for(0, 1);
                story.tell(Proposal::new(Draft::Gateway(Enrolment { by, ..domain.enrolment(1, 2) })));
            },
        ),
        (
            "policy_by_gateway",
            "A policy set that a gateway has put in force in somebody's name.",
            IdentityMismatch,
            |story, domain| {
                let (activation, content) = domain.activation(1);
                let activation = Activation { by: domain.spoken_for(0, 1), ..activation };
                story.tell(Proposal::new(Draft::Policy(activation)).with_openings(vec![content]));
            },
        ),
        ("gateway_order_of_exec", "Enrolled by an execution.", Malformed, |story, domain| {
            story.tell(renewing(domain, |one| order(one).action.kind = ActionKind::Exec));
        }),
        ("gateway_order_by_revoked", "Enrolled by order of somebody who is revoked.", Revoked, |story, domain| {
            story.tell(domain.revoke(Target::Principal(domain.alice().asserted())));
            story.tell(renewing(domain, |_| {}));
        }),
        ("gateway_order_before_entities", "Decided before the entities.", PolicyMismatch, |story, domain| {
            story.tell(domain.change_entities());
            story.tell(renewing(domain, |_| {}));
        }),
        ("gateway_order_id_twice", "Two orders of one id.", Replayed, |story, domain| {
            let (first, _) = domain.ordered_enrolment(1, 2);
            let again = Enrolment { epoch: Positive::new(3).unwrap(), ..first.clone() };
            story.tell(Proposal::new(Draft::Gateway(first)));
            story.tell(Proposal::new(Draft::Gateway(again)));
        }),
        ("gateway_key_of_other", "The key of another gateway.", IdentityMismatch, |story, domain| {
            let key = domain.enrolment(0, 1).key;
            story.tell(Proposal::new(Draft::Gateway(Enrolment { key, ..domain.enrolment(1, 2) })));
        }),
        ("gateway_key_revoked", "A key that is revoked.", Revoked, |story, domain| {
            story.tell(domain.revoke(Target::Key(domain.gateway_key(1, 2).public().fingerprint())));
            story.tell(domain.enrol(1, 2));
        }),
    ];
    told(maker, &cases);
}

/// What makes it another than it should be.
type Spoil = fn(&mut Enrolment);

/// An order that opens its commitment, and is not what was carried out.
fn opened(maker: &mut Maker) {
    let cases: [(&str, &str, Spoil); 4] = [
        ("key", "The order is about another key.", |one| {
            one.key = Ed25519Key::new(Domain::new(BASE_MS).gateway_key(1, 9).public()).unwrap();
        }),
        ("groups", "The order is for fewer groups.", |one| {
            let more = Name::new("more").unwrap();
            one.groups = Ascending::new(one.groups.as_slice().iter().cloned().chain([more]));
        }),
        ("asserts", "The order is for somebody else.", |one| {
            let (kind, id) = (Name::new("User").unwrap(), Name::new("alice").unwrap());
            one.asserts = Ascending::new([AssertedPrincipal { kind, id }]);
        }),
        ("reason", "The order has another reason.", |one| order(one).reason = Label::new("another").unwrap()),
    ];
    for (name, about, spoil) in cases {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        let mut proposal = renewing(&domain, spoil);
        proposal.openings.retain(|opening| opening.kind == CommitmentKind::Action);
        let at = story.tell(proposal).index.get();
        let name = format!("gateway_opening_other_{name}");
        maker.refuse(&name, about, story.input(&story.opened(at)), CommitmentMismatch);
    }
}

fn tester(by: Principal) -> Principal {
    Principal { id: Name::new("tester").unwrap(), ..by }
}

/// Entries other than grants that a ledger must not have taken from a gateway.
fn spoken(maker: &mut Maker) {
    let cases: [(&str, &str, Code, Tell); 7] = [
        ("spoken_denial_other", "A denial to another gateway than has asked.", IdentityMismatch, |story, domain| {
            let mut draft = domain.denial(&story.ledger.standing());
            let (id, kind) = (domain.gateway_name(1), Name::new(Principal::GATEWAY).unwrap());
            draft.denial.principal = Principal { id, kind, ..domain.spoken_for(0, 1) };
            story.tell(draft.proposal());
        }),
        ("spoken_order_of_exec", "By a gateway, and no order.", Malformed, |story, domain| {
            let (mut revocation, _) = domain.revocation(Target::Writ(digest("writ")));
            revocation.action.kind = ActionKind::Exec;
            story.tell(Proposal::new(Draft::Revocation(Revocation { by: domain.spoken_for(0, 1), ..revocation })));
        }),
        ("spoken_hold", "A hold for whom the gateway is not enrolled.", IdentityMismatch, |story, domain| {
            let mut draft = domain.hold(&story.ledger.standing());
            draft.fields.principal = tester(domain.spoken_for(0, 1));
            story.tell(draft.proposal());
        }),
        ("spoken_shadow", "A shadow for whom the gateway is not enrolled.", IdentityMismatch, |story, domain| {
            let mut draft = domain.shadow(&story.ledger.standing(), Would::Permit);
            draft.fields.principal = tester(domain.spoken_for(0, 1));
            story.tell(draft.proposal());
        }),
        ("spoken_advised", "Advice to whom the gateway is not enrolled for.", IdentityMismatch, |story, domain| {
            let mut draft = domain.advised(&story.ledger.standing(), Opinion::Permit);
            draft.fields.principal = tester(domain.spoken_for(0, 1));
            story.tell(draft.proposal());
        }),
        ("spoken_denial", "A denial to a gateway whose key is no gateway's.", UnknownAuthority, |story, domain| {
            let mut draft = domain.denial(&story.ledger.standing());
            draft.denial.principal = domain.spoken_for(0, 9);
            story.tell(draft.proposal());
        }),
        (
            "spoken_order",
            "A revocation that a gateway orders in somebody's name.",
            IdentityMismatch,
            |story, domain| {
                let (revocation, _) = domain.revocation(Target::Writ(digest("writ")));
                story.tell(Proposal::new(Draft::Revocation(Revocation { by: domain.spoken_for(0, 1), ..revocation })));
            },
        ),
    ];
    told(maker, &cases);
}

/// Grants that a ledger must not have taken from a gateway.
fn granted(maker: &mut Maker) {
    type Change = fn(&mut Story<'_>, &Domain, &mut GrantDraft);
    let cases: [(&str, &str, Code, Change); 6] = [
        ("for_another", "For somebody for whom the gateway is not enrolled.", IdentityMismatch, |_, domain, draft| {
            draft.fields.principal = tester(domain.spoken_for(0, 1));
        }),
        ("by_no_gateway", "By a key that is no gateway's.", UnknownAuthority, |_, domain, draft| {
            draft.fields.principal = domain.spoken_for(0, 9);
        }),
        ("by_no_key", "By a gateway, and nobody says which.", UnknownAuthority, |_, _, draft| {
            draft.fields.principal.key = None;
        }),
        ("in_ended_epoch", "By a key of an epoch that has ended.", UnknownAuthority, |story, domain, draft| {
            story.tell(domain.enrol(0, 2));
            let renewed = domain.grant(&story.ledger.standing()).to_gateway(domain.gateway_name(0), 2);
            let principal = draft.fields.principal.clone();
            *draft = renewed;
            draft.fields.principal = principal;
        }),
        ("to_group", "For any gateway of a group.", WrongAudience, |_, domain, draft| {
            *draft = draft.clone().to_group(domain.group());
        }),
        ("to_another", "For another gateway than asks.", WrongAudience, |_, domain, draft| {
            *draft = draft.clone().to_gateway(domain.gateway_name(1), 1);
        }),
    ];
    for (name, about, code, change) in cases {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        let mut draft = domain.grant(&story.ledger.standing());
        draft.fields.principal = domain.spoken_for(0, 1);
        change(&mut story, &domain, &mut draft);
        let at = story.tell(draft.proposal()).index.get();
        maker.refuse(&format!("spoken_{name}"), about, story.input(&story.bundle(at)), code);
    }
}

/// A grant that answers what a gateway has signed, with the request opened.
fn asked_by(
    domain: &Domain,
    name: impl FnOnce(&mut Option<PrincipalRef>),
    change: impl FnOnce(GrantDraft) -> GrantDraft,
) -> (serde_json::Value, u64) {
    let mut request = domain.asked();
    let AssertedPrincipal { kind, id } = domain.builder_name();
    request.principal = Some(PrincipalRef { kind, id });
    name(&mut request.principal);
    let received = signed(&request.payload(domain.origin()), &[&domain.gateway_key(0, 1)]);
    let (story, grant) = Story::granted(domain, |standing| {
        let draft = domain.grant(standing).answering(&request, &received, domain.spoken_for(0, 1));
        change(draft).proposal()
    });
    let at = grant.index.get();
    (story.input(&story.opened(at)), at)
}

fn asked(maker: &mut Maker) {
    type Named = fn(&mut Option<PrincipalRef>);
    let cases: [(&str, &str, Named); 2] = [
        ("spoken_for_nobody", "The gateway has not said for whom it asks.", |named| *named = None),
        ("spoken_for_other", "The gateway has asked for somebody else.", |named| {
            named.as_mut().unwrap().id = Name::new("tester").unwrap();
        }),
    ];
    for (name, about, change) in cases {
        let (input, _) = asked_by(&Domain::new(BASE_MS), change, |draft| draft);
        maker.refuse(name, about, input, CommitmentMismatch);
    }
}
