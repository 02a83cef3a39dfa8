//! Bundles with shadows, and bundles of ledgers that took a shadow for what it is not.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_orders::caused;
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker};
use crate::scenario::{Domain, ShadowDraft, digest};
use writ_protocol::Code::{self, EvidenceInvalid, LineageBroken, Malformed, MissingWrit, PolicyMismatch};
use writ_protocol::Label;
use writ_protocol::action::Command;
use writ_protocol::entry::{Place, Target, Would};
use writ_tlog::{Origin, sha256};

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    told(&mut maker);
    refused(&mut maker);
    taken_for_a_grant(&mut maker);
    maker.done()
}

fn told(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    story.openings.clear();
    let shadow = story.tell(domain.shadow(&story.ledger.standing(), Would::Permit).proposal()).index.get();
    let shown = Shown { openings: 2, ..nothing(shadow, "shadow") };
    maker.accept(
        "shadow",
        "What would have been permitted, opened.",
        story.input(&story.opened(shadow)),
        shown.to_value(),
    );
    for (name, about, would) in [
        ("shadow_denied", "What would have been refused.", Would::PolicyDenied),
        (
            "shadow_not_evaluated",
            "What would have been refused, since a policy could not be evaluated.",
            Would::EvaluationError,
        ),
        (
            "shadow_other_program",
            "What would have been refused, since the program is another one.",
            Would::IntegrityFailure,
        ),
    ] {
        let mut story = Story::new(&domain);
        let shadow = story.tell(domain.shadow(&story.ledger.standing(), would).proposal()).index.get();
        maker.accept(name, about, story.input(&story.bundle(shadow)), nothing(shadow, "shadow").to_value());
    }
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    story.tell(domain.revoke(Target::Principal(domain.builder_name())));
    story.tell(domain.revoke(Target::Policy(sha256(&domain.policy_set(1)))));
    let halt = story.tell(domain.halt()).index.get();
    let shadow = story.tell(domain.shadow(&story.ledger.standing(), Would::Permit).proposal()).index.get();
    let shown = Shown { halted_at: Some(halt), ..nothing(shadow, "shadow") };
    maker.accept(
        "shadow_halted_and_revoked",
        "What policy would have answered, while the domain was halted and its asker and set were revoked.",
        story.input(&story.bundle(shadow)),
        shown.to_value(),
    );
    let mut story = Story::new(&domain);
    let mut draft = domain.shadow(&story.ledger.standing(), Would::Permit);
    draft.fields.cause.place = caused(&domain, 9, 1, 2);
    draft.fields.cause.place = at_depth(draft.fields.cause.place);
    let shadow = story.tell(draft.proposal()).index.get();
    maker.accept(
        "shadow_too_deep",
        "What policy would have answered in a lineage deeper than grants may be.",
        story.input(&story.bundle(shadow)),
        nothing(shadow, "shadow").to_value(),
    );
}

/// With ancestors in another ledger, which nobody here can look at.
fn at_depth(place: Place) -> Place {
    let Place::Caused { depth, mut parent, mut origin } = place else { return place };
    parent.ledger = Origin::new("other.example").unwrap();
    origin.ledger = parent.ledger.clone();
    Place::Caused { depth, parent, origin }
}

fn refused(maker: &mut Maker) {
    type Change = fn(&mut ShadowDraft, &Domain);
    let changes: [(&str, &str, Code, Change); 8] = [
        ("as_of_future", "A shadow of a state after its own index.", Malformed, |draft, _| {
            draft.fields.as_of.size += 1;
        }),
        ("as_of_other_control", "A shadow of a control head that the ledger did not have.", Malformed, |draft, _| {
            draft.fields.as_of.control = digest("control");
        }),
        ("as_of_other_ledger", "A shadow of the state of another ledger.", Malformed, |draft, _| {
            draft.fields.as_of.ledger = Origin::new("writ.example/ledger/other").unwrap();
        }),
        ("depth_1_other_origin", "At depth 1 parent and origin differ.", LineageBroken, |draft, domain| {
            draft.fields.cause.place = caused(domain, 1, 7, 8);
        }),
        ("parent_not_a_grant", "The parent is the enrolment of a gateway.", LineageBroken, |draft, domain| {
            draft.fields.cause.place = caused(domain, 1, 2, 2);
        }),
        ("other_set", "A shadow under a policy set that is not in force.", PolicyMismatch, |draft, _| {
            draft.fields.policy.set = digest("another set");
        }),
        ("other_epoch", "A shadow under an epoch to come.", PolicyMismatch, |draft, _| draft.fields.policy.epoch = 2),
        ("other_semantics", "A shadow by another engine.", PolicyMismatch, |draft, _| {
            draft.fields.policy.semantics = Label::new("cedar-4.15-writ-1").unwrap();
        }),
    ];
    for (name, about, code, change) in changes {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        story.tell(domain.activate(1));
        let mut draft = domain.shadow(&story.ledger.standing(), Would::Permit);
        change(&mut draft, &domain);
        let shadow = story.tell(draft.proposal());
        maker.refuse(&format!("shadow_{name}"), about, story.input(&story.bundle(shadow.index.get())), code);
    }
}

/// Whatever names a shadow as if it were a grant.
fn taken_for_a_grant(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let shadow = story.tell(domain.shadow(&story.ledger.standing(), Would::Permit).proposal());
    let spend = story.tell(domain.speaker(0, 1).spent(&shadow, domain.execution_id())).index.get();
    let about = "A spend of what was never granted: it would have been permitted.";
    maker.refuse("shadow_spent", about, story.input(&story.bundle(spend)), MissingWrit);
    let mut story = Story::new(&domain);
    let shadow = story.tell(domain.shadow(&story.ledger.standing(), Would::Permit).proposal());
    let mut caused_by = domain.grant(&story.ledger.standing());
    let reference = shadow.entry_ref();
    caused_by.fields.cause.place = Place::Caused { depth: 1, parent: reference.clone(), origin: reference };
    let grant = story.tell(caused_by.proposal()).index.get();
    let about = "A grant caused by what would have been permitted, and never ran.";
    maker.refuse("shadow_as_parent", about, story.input(&story.bundle(grant)), LineageBroken);
    let mut story = Story::new(&domain);
    let grant = story.tell(domain.grant(&story.ledger.standing()).proposal());
    story.start(&grant, domain.execution_id());
    let shadow = story.tell(domain.shadow(&story.ledger.standing(), Would::Permit).proposal()).index.get();
    let about = "A shadow with an execution beside it, which is not its own.";
    maker.refuse("shadow_with_execution", about, story.input(&story.bundle(shadow)), EvidenceInvalid);
    let mut story = Story::new(&domain);
    let shadow = story.tell(domain.shadow(&story.ledger.standing(), Would::Permit).proposal());
    story.openings = vec![domain.order(Command::Halt)];
    let about = "A shadow with an order opened as its action.";
    let input = story.input(&story.opened(shadow.index.get()));
    maker.refuse("shadow_opened_as_order", about, input, Code::CommitmentMismatch);
}
