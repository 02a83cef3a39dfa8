//! Bundles of ledgers with entities in force, and of ledgers that recorded them against the rules.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_orders::{Tell, told};
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker};
use crate::scenario::{Domain, digest};
use writ_ledger::{Draft, Proposal};
use writ_protocol::Code::{CommitmentMismatch, FactsChanged, Malformed, PolicyMismatch, Revoked};
use writ_protocol::action::{ActionKind, CommitmentKind};
use writ_protocol::entry::{Activation, Entities, EntitiesRef, Positive, Target};
use writ_tlog::sha256;

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    in_force(&mut maker);
    against(&mut maker);
    opened(&mut maker);
    maker.done()
}

fn in_force(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    story.leave_out(domain.activate(1));
    let changed = story.tell(domain.change_entities()).index.get();
    let shown = Shown { openings: 3, ..nothing(changed, "entities") };
    maker.accept("entities", "Entities, opened.", story.input(&story.opened(changed)), shown.to_value());
    let grant =
        story.tell(domain.grant(&story.ledger.standing()).with_entities(Some(domain.entities_ref())).proposal());
    let subject = grant.index.get();
    maker.accept(
        "entities_grant",
        "A grant that was decided with the entities in force.",
        story.input(&story.bundle(subject)),
        nothing(subject, "grant").to_value(),
    );
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    story.tell(domain.change_entities());
    let (again, _) = domain.activation(2);
    let again = Activation { entities: Some(domain.entities_ref()), ..again };
    let again = story.tell(Proposal::new(Draft::Policy(again))).index.get();
    maker.accept(
        "entities_policy",
        "A policy set that was compiled with the entities in force.",
        story.input(&story.bundle(again)),
        nothing(again, "policy").to_value(),
    );
}

fn second(domain: &Domain, spoil: impl FnOnce(&mut Entities)) -> Proposal {
    let (mut entities, _) = domain.entities();
    entities.policy = domain.policy_with_entities();
    entities.epoch = Positive::new(2).unwrap();
    spoil(&mut entities);
    Proposal::new(Draft::Entities(entities))
}

fn against(maker: &mut Maker) {
    let other = || Some(EntitiesRef { epoch: Positive::ONE, snapshot: digest("other entities") });
    let cases: [(&str, &str, writ_protocol::Code, Tell); 9] = [
        (
            "entities_grant_without",
            "A grant that names none of the entities in force.",
            PolicyMismatch,
            |story, domain| {
                story.tell(domain.change_entities());
                story.tell(domain.grant(&story.ledger.standing()).proposal());
            },
        ),
        ("entities_grant_early", "A grant with entities where none are in force.", PolicyMismatch, |story, domain| {
            let grant = domain.grant(&story.ledger.standing()).with_entities(Some(domain.entities_ref()));
            story.tell(grant.proposal());
        }),
        ("entities_halt_without", "A halt that was decided before the entities.", PolicyMismatch, |story, domain| {
            story.tell(domain.change_entities());
            story.tell(domain.halt());
        }),
        ("entities_epoch_again", "Entities of the epoch in force.", FactsChanged, |story, domain| {
            story.tell(domain.change_entities());
            story.tell(second(domain, |entities| entities.epoch = Positive::ONE));
        }),
        ("entities_epoch_gap", "Entities that leave an epoch out.", FactsChanged, |story, domain| {
            story.tell(domain.change_entities());
            story.tell(second(domain, |entities| entities.epoch = Positive::new(3).unwrap()));
        }),
        ("entities_before_others", "A change that was decided with no entities.", PolicyMismatch, |story, domain| {
            story.tell(domain.change_entities());
            story.tell(second(domain, |entities| entities.policy.entities = None));
        }),
        ("entities_of_exec", "Entities by an execution.", Malformed, |story, domain| {
            let (mut entities, _) = domain.entities();
            entities.action.kind = ActionKind::Exec;
            story.tell(Proposal::new(Draft::Entities(entities)));
        }),
        ("entities_by_revoked", "Entities by order of somebody who is revoked.", Revoked, |story, domain| {
            story.tell(domain.revoke(Target::Principal(domain.alice().asserted())));
            story.tell(domain.change_entities());
        }),
        (
            "entities_policy_without",
            "A policy set that was compiled without the entities.",
            FactsChanged,
            |story, domain| {
                story.tell(domain.change_entities());
                story.tell(domain.activate(1));
            },
        ),
    ];
    told(maker, &cases);
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    story.tell(domain.change_entities());
    let grant = story.tell(domain.grant(&story.ledger.standing()).with_entities(other()).proposal());
    maker.refuse(
        "entities_grant_other",
        "A grant with other entities than are in force.",
        story.input(&story.bundle(grant.index.get())),
        PolicyMismatch,
    );
}

/// Values that open a commitment, and are not what the entry says beside it.
fn opened(maker: &mut Maker) {
    for (name, about, spoil) in [
        (
            "entities_opening_other_change",
            "The content of an entities entry opens as another change than it names.",
            (|entities| entities.change = sha256(b"another")) as fn(&mut Entities),
        ),
        ("entities_opening_other_reason", "The order to change entities has another reason.", |entities| {
            entities.reason = writ_protocol::Label::new("another").unwrap();
        }),
    ] {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        let (mut entities, openings) = domain.entities();
        spoil(&mut entities);
        let openings: Vec<_> = openings
            .into_iter()
            .filter(|opening| (opening.kind == CommitmentKind::Entities) == name.ends_with("change"))
            .collect();
        let proposal = Proposal::new(Draft::Entities(entities)).with_openings(openings);
        let told = story.tell(proposal).index.get();
        maker.refuse(name, about, story.input(&story.opened(told)), CommitmentMismatch);
    }
}
