//! Bundles of ledgers that recorded a grant or an order against the rules of order.

use super::BASE_MS;
use super::bundle_story::Story;
use super::case::{Case, Maker};
use crate::scenario::{Domain, GrantDraft, SecretPair, digest};
use writ_ledger::{Draft, Proposal};
use writ_protocol::Code::{
    self, EvidenceInvalid, Halted, LineageBroken, Malformed, Replayed, Revoked, ScopeWidened, SignatureInvalid,
    UnknownAuthority, WrongAudience,
};
use writ_protocol::entry::{Enrolment, EntryRef, Place, Positive, Target, Window};
use writ_protocol::statement::{RootCommand, RootStatement};
use writ_protocol::{DomainId, Label, Name};
use writ_tlog::{Hash, Origin};

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    grants(&mut maker);
    granted_too_late(&mut maker);
    root_orders(&mut maker);
    control_orders(&mut maker);
    maker.done()
}

/// Grants that no ledger may take.
fn grants(maker: &mut Maker) {
    type Change = fn(&mut GrantDraft, &Domain);
    let changes: [(&str, &str, Code, Change); 12] = [
        ("window_too_long", "A window beyond the limit.", ScopeWidened, |draft, _| {
            let from_ms = draft.fields.window.from_ms();
            draft.fields.window = Window::new(from_ms, from_ms + 3_600_001).unwrap();
        }),
        ("freeze_too_late", "Frozen later than the limit.", ScopeWidened, |draft, _| {
            (draft.fields.lease.freeze_after_ms, draft.fields.lease.kill_after_ms) =
                (positive(60_001), positive(60_001));
        }),
        ("kill_too_late", "Killed later than the limit.", ScopeWidened, |draft, _| {
            draft.fields.lease.kill_after_ms = positive(120_001);
        }),
        ("too_deep", "A lineage deeper than the limit.", ScopeWidened, |draft, domain| {
            draft.fields.cause.place = caused(domain, 5, 7, 8);
        }),
        ("depth_1_other_origin", "At depth 1 parent and origin differ.", LineageBroken, |draft, domain| {
            draft.fields.cause.place = caused(domain, 1, 7, 8);
        }),
        ("depth_2_same_origin", "At depth 2 the parent is the origin.", LineageBroken, |draft, domain| {
            draft.fields.cause.place = caused(domain, 2, 7, 7);
        }),
        ("parent_not_a_grant", "The parent is the enrolment of a gateway.", LineageBroken, |draft, domain| {
            draft.fields.cause.place = caused(domain, 1, 2, 2);
        }),
        ("audience_not_enrolled", "For a gateway that is not enrolled.", UnknownAuthority, |draft, _| {
            *draft = draft.clone().to_gateway(Name::new("gateway-3").unwrap(), 1);
        }),
        ("audience_other_epoch", "For an epoch that is not the current one.", WrongAudience, |draft, domain| {
            *draft = draft.clone().to_gateway(domain.gateway_name(0), 2);
        }),
        ("as_of_future", "Decided on a state after its own index.", Malformed, |draft, _| {
            draft.fields.as_of.size += 1;
        }),
        ("as_of_other_control", "Decided on a control head that the ledger did not have.", Malformed, |draft, _| {
            draft.fields.as_of.control = digest("control");
        }),
        ("as_of_other_ledger", "Decided on the state of another ledger.", Malformed, |draft, _| {
            draft.fields.as_of.ledger = Origin::new("writ.example/ledger/other").unwrap();
        }),
    ];
    for (name, about, code, change) in changes {
        let domain = Domain::new(BASE_MS);
        let (story, grant) = Story::granted(&domain, |standing| {
            let mut draft = domain.grant(standing);
            change(&mut draft, &domain);
            draft.proposal()
        });
        maker.refuse(&format!("grant_{name}"), about, story.input(&story.bundle(grant.index.get())), code);
    }
}

fn granted_too_late(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    story.tell(domain.halt());
    let grant = story.tell(domain.grant(&story.ledger.standing()).proposal());
    maker.refuse("grant_halted", "Granted during a halt.", story.input(&story.bundle(grant.index.get())), Halted);
    for (name, target) in [
        ("principal", Target::Principal(domain.builder_name())),
        ("holder", Target::Key(domain.holder().public().fingerprint())),
        ("gateway", Target::Gateway(domain.gateway_name(0))),
    ] {
        let mut story = Story::new(&domain);
        story.tell(domain.revoke(target));
        let grant = story.tell(domain.grant(&story.ledger.standing()).proposal());
        let about = format!("Granted after the revocation of the {name}.");
        maker.refuse(&format!("grant_revoked_{name}"), &about, story.input(&story.bundle(grant.index.get())), Revoked);
    }
}

fn positive(value: u64) -> Positive {
    Positive::new(value).unwrap()
}

/// Caused by a grant of this ledger that no bundle here holds.
pub(super) fn caused(domain: &Domain, depth: u64, parent: u8, origin: u8) -> Place {
    let reference = |byte: u8| EntryRef {
        entry: Hash::from_bytes([byte; 32]),
        index: byte.into(),
        ledger: domain.origin().clone(),
    };
    Place::Caused { depth, parent: reference(parent), origin: reference(origin) }
}

pub(super) type Tell = fn(&mut Story<'_>, &Domain);

fn root_orders(maker: &mut Maker) {
    let cases: [(&str, &str, Code, Tell); 5] = [
        ("order_resume_not_halted", "The root resumes what is not halted.", EvidenceInvalid, |story, domain| {
            story.tell(domain.root_resume());
        }),
        ("order_below_threshold", "A root order that too few have signed.", SignatureInvalid, |story, domain| {
            story.tell(signed(domain, &drill(domain), &domain.root_keys()[..1]));
        }),
        ("order_other_domain", "A root order for another domain.", UnknownAuthority, |story, domain| {
            let other = RootStatement { domain: DomainId::from_bytes([9; 16]), ..drill(domain) };
            story.tell(signed(domain, &other, &domain.root_keys()[..2]));
        }),
        ("order_other_members", "A root order by members of another domain.", UnknownAuthority, |story, domain| {
            let other = Domain::at("writ.example/ledger/other", BASE_MS);
            story.tell(signed(domain, &drill(domain), &other.root_keys()[..2]));
        }),
        ("order_twice", "One root statement twice.", Replayed, |story, domain| {
            let halt = drill(domain);
            story.tell(signed(domain, &halt, &domain.root_keys()[..2]));
            story.tell(signed(domain, &halt, &domain.root_keys()[..2]));
        }),
    ];
    told(maker, &cases);
}

fn drill(domain: &Domain) -> RootStatement {
    domain.root_statement(RootCommand::Halt(Label::new("drill").unwrap()))
}

fn signed(domain: &Domain, statement: &RootStatement, members: &[SecretPair]) -> Proposal {
    let members: Vec<&SecretPair> = members.iter().collect();
    Proposal::new(Draft::RootOrder(domain.sign_root(statement, &members)))
}

fn control_orders(maker: &mut Maker) {
    let cases: [(&str, &str, Code, Tell); 4] = [
        ("gateway_first_epoch_2", "A gateway enrolled in epoch 2.", WrongAudience, |story, domain| {
            let enrolment = Enrolment { gateway: Name::new("gateway-3").unwrap(), ..domain.enrolment(0, 2) };
            story.tell(Proposal::new(Draft::Gateway(enrolment)));
        }),
        ("gateway_same_epoch", "A gateway enrolled again in its epoch.", WrongAudience, |story, domain| {
            story.tell(domain.enrol(0, 1));
        }),
        ("gateway_revoked", "A gateway enrolled again after its revocation.", Revoked, |story, domain| {
            story.tell(domain.revoke(Target::Gateway(domain.gateway_name(0))));
            story.tell(domain.enrol(0, 2));
        }),
        ("order_id_twice", "Two revocations of one id.", Replayed, |story, domain| {
            let (revocation, _) = domain.revocation(Target::Writ(digest("writ")));
            story.tell(Proposal::new(Draft::Revocation(revocation.clone())));
            story.tell(Proposal::new(Draft::Revocation(revocation)));
        }),
    ];
    told(maker, &cases);
}

/// Bundles about the enrolment of the first gateway, with something after it that the ledger must not have taken.
pub(super) fn told(maker: &mut Maker, cases: &[(&str, &str, Code, Tell)]) {
    for (name, about, code, tell) in cases {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        tell(&mut story, &domain);
        maker.refuse(name, about, story.input(&story.bundle(2)), *code);
    }
}
