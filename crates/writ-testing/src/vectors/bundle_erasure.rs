//! Bundles of erasures, and of ledgers that recorded one against the rules.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker};
use crate::scenario::{Domain, digest};
use writ_ledger::{Draft, Proposal};
use writ_protocol::Code::{self, CommitmentMismatch, Malformed, PolicyMismatch, Revoked};
use writ_protocol::Label;
use writ_protocol::action::{ActionKind, CommitmentKind};
use writ_protocol::entry::{Ascending, Erased, Erasure, ErasureFields, Target};

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let erased = story.tell(erasing(&domain, |_| {})).index.get();
    let shown = Shown { openings: 2, ..nothing(erased, "erasure") };
    maker.accept("erasure", "An erasure, opened.", story.input(&story.opened(erased)), shown.to_value());
    against(&mut maker);
    opened(&mut maker);
    maker.done()
}

/// An erasure of a value of which no bundle can say whether it was there.
fn erasing(domain: &Domain, spoil: impl FnOnce(&mut ErasureFields)) -> Proposal {
    let (erasure, openings) = domain.erasing([one("facts")]);
    let mut fields = ErasureFields::clone(&erasure);
    spoil(&mut fields);
    Proposal::new(Draft::Erasure(Erasure::new(fields).unwrap())).with_openings(openings)
}

fn one(label: &str) -> Erased {
    Erased { index: 1, commitment: digest(label) }
}

/// What makes it another than it should be.
type Spoil = fn(&mut ErasureFields);

fn against(maker: &mut Maker) {
    type Before = fn(&mut Story<'_>, &Domain);
    let cases: [(&str, &str, Code, Before, Spoil); 3] = [
        (
            "erasure_of_exec",
            "An erasure by an execution.",
            Malformed,
            |_, _| {},
            |fields| {
                fields.action.kind = ActionKind::Exec;
            },
        ),
        (
            "erasure_by_revoked",
            "An erasure by order of somebody who is revoked.",
            Revoked,
            |story, domain| drop(story.tell(domain.revoke(Target::Principal(domain.alice().asserted())))),
            |_| {},
        ),
        (
            "erasure_before_entities",
            "An erasure that was decided before the entities.",
            PolicyMismatch,
            |story, domain| drop(story.tell(domain.change_entities())),
            |_| {},
        ),
    ];
    for (name, about, code, before, spoil) in cases {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        before(&mut story, &domain);
        let told = story.tell(erasing(&domain, spoil)).index.get();
        maker.refuse(name, about, story.input(&story.bundle(told)), code);
    }
}

/// An order that opens its commitment, and is not what was carried out.
fn opened(maker: &mut Maker) {
    let cases: [(&str, &str, Spoil); 2] = [
        ("erasure_opening_other_values", "The order is to erase other values.", |fields| {
            fields.erased = Ascending::new([one("action")]);
        }),
        ("erasure_opening_other_reason", "The order has another reason.", |fields| {
            fields.reason = Label::new("another").unwrap();
        }),
    ];
    for (name, about, spoil) in cases {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        let mut proposal = erasing(&domain, spoil);
        proposal.openings.retain(|opening| opening.kind == CommitmentKind::Action);
        let told = story.tell(proposal).index.get();
        maker.refuse(name, about, story.input(&story.opened(told)), CommitmentMismatch);
    }
}
