//! Bundles with advice, and bundles of ledgers that took an advice for what it is not.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_orders::caused;
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker};
use crate::scenario::{AdvisedDraft, Domain, digest, question};
use writ_protocol::Code::{
    self, EvidenceInvalid, Halted, LineageBroken, Malformed, MissingWrit, PolicyMismatch, Revoked,
};
use writ_protocol::action::Command;
use writ_protocol::entry::{Opinion, Place, Target};
use writ_tlog::{Origin, sha256};

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    told(&mut maker);
    stood_against(&mut maker);
    refused(&mut maker);
    opened(&mut maker);
    taken_for_a_grant(&mut maker);
    maker.done()
}

fn told(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    for (name, about, decision) in [
        ("advised", "Somebody may.", Opinion::Permit),
        ("advised_searched", "A search.", Opinion::Searched),
        ("advised_hold", "Somebody may, once others have approved.", Opinion::Hold),
        ("advised_denied", "Somebody may not.", Opinion::PolicyDenied),
        ("advised_not_evaluated", "Nobody could tell.", Opinion::EvaluationError),
    ] {
        let mut story = Story::new(&domain);
        story.tell(domain.activate(1));
        story.openings.clear();
        let advised = story.tell(domain.advised(&story.ledger.standing(), decision).proposal()).index.get();
        let shown = Shown { openings: 2, ..nothing(advised, "advised") };
        maker.accept(name, about, story.input(&story.opened(advised)), shown.to_value());
    }
}

type Against = fn(&Domain) -> writ_ledger::Proposal;

/// What lets somebody through, after what forbids it; and what does not.
fn stood_against(maker: &mut Maker) {
    let against: [(&str, Code, Against); 4] = [
        ("halted", Halted, |domain| domain.halt()),
        ("asker_revoked", Revoked, |domain| domain.revoke(Target::Principal(domain.builder_name()))),
        ("subject_revoked", Revoked, |domain| domain.revoke(Target::Principal(question(false).principal().unwrap()))),
        ("set_revoked", Revoked, |domain| domain.revoke(Target::Policy(sha256(&domain.policy_set(1))))),
    ];
    for (name, code, against) in against {
        for (decision, accepted) in
            [(Opinion::Permit, false), (Opinion::Hold, true), (Opinion::Halted, true), (Opinion::Revoked, true)]
        {
            let domain = Domain::new(BASE_MS);
            let mut story = Story::new(&domain);
            story.tell(domain.activate(1));
            let stood = story.tell(against(&domain)).index.get();
            let advised = story.tell(domain.advised(&story.ledger.standing(), decision).proposal()).index.get();
            let input = story.input(&story.bundle(advised));
            let name = format!("advised_{}_{name}", decision.as_str());
            if accepted {
                let shown = Shown { halted_at: (code == Halted).then_some(stood), ..nothing(advised, "advised") };
                maker.accept(&name, "An answer on which nobody acts.", input, shown.to_value());
            } else {
                maker.refuse(&name, "Somebody is let through against what was recorded before.", input, code);
            }
        }
    }
}

fn refused(maker: &mut Maker) {
    type Change = fn(&mut AdvisedDraft, &Domain);
    let changes: [(&str, &str, Code, Change); 6] = [
        ("as_of_future", "An advice of a state after its own index.", Malformed, |draft, _| {
            draft.fields.as_of.size += 1;
        }),
        ("as_of_other_ledger", "An advice of the state of another ledger.", Malformed, |draft, _| {
            draft.fields.as_of.ledger = Origin::new("writ.example/ledger/other").unwrap();
        }),
        ("parent_not_a_grant", "The parent is the enrolment of a gateway.", LineageBroken, |draft, domain| {
            draft.fields.cause.place = caused(domain, 1, 2, 2);
        }),
        ("depth_1_other_origin", "At depth 1 parent and origin differ.", LineageBroken, |draft, domain| {
            draft.fields.cause.place = caused(domain, 1, 7, 8);
        }),
        ("other_set", "An advice under a set that is not in force.", PolicyMismatch, |draft, _| {
            draft.fields.policy.set = digest("another set");
        }),
        ("other_epoch", "An advice under an epoch to come.", PolicyMismatch, |draft, _| draft.fields.policy.epoch = 2),
    ];
    for (name, about, code, change) in changes {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        story.tell(domain.activate(1));
        let mut draft = domain.advised(&story.ledger.standing(), Opinion::PolicyDenied);
        change(&mut draft, &domain);
        let advised = story.tell(draft.proposal());
        maker.refuse(&format!("advised_{name}"), about, story.input(&story.bundle(advised.index.get())), code);
    }
}

/// What is opened is the question that was answered.
fn opened(maker: &mut Maker) {
    type Change = fn(&mut AdvisedDraft, &Domain);
    let changes: [(&str, &str, Change); 4] = [
        ("searched", "A permit with a search opened as its question.", |draft, domain| {
            reopened(draft, domain, true);
            draft.fields.subject = None;
        }),
        ("evaluated", "A search with one question opened.", |draft, domain| {
            reopened(draft, domain, false);
            (draft.fields.decision, draft.fields.found) = (Opinion::Searched, Some(2));
        }),
        ("other_subject", "A question about somebody else than the entry says.", |draft, domain| {
            draft.fields.subject.as_mut().unwrap().id = domain.builder_name().id;
        }),
        ("no_subject", "A question about a principal whom the entry does not name.", |draft, _| {
            draft.fields.subject = None;
        }),
    ];
    for (name, about, change) in changes {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        let mut draft = domain.advised(&story.ledger.standing(), Opinion::Permit);
        change(&mut draft, &domain);
        story.openings.clear();
        let advised = story.tell(draft.proposal()).index.get();
        let input = story.input(&story.opened(advised));
        maker.refuse(&format!("advised_opened_{name}"), about, input, Code::CommitmentMismatch);
    }
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let advised = story.tell(domain.advised(&story.ledger.standing(), Opinion::Permit).proposal());
    story.openings = vec![domain.order(Command::Halt)];
    let input = story.input(&story.opened(advised.index.get()));
    maker.refuse("advised_opened_as_order", "An advice with an order opened.", input, Code::CommitmentMismatch);
}

fn reopened(draft: &mut AdvisedDraft, domain: &Domain, searches: bool) {
    let action = domain.question(question(searches));
    draft.fields.action.digest = action.commitment();
    draft.openings[0] = action;
}

/// Whatever names an advice as if it were a grant.
fn taken_for_a_grant(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let advised = story.tell(domain.advised(&story.ledger.standing(), Opinion::Permit).proposal());
    let spend = story.tell(domain.speaker(0, 1).spent(&advised, domain.execution_id())).index.get();
    let about = "A spend of what was never granted: somebody was advised of it.";
    maker.refuse("advised_spent", about, story.input(&story.bundle(spend)), MissingWrit);
    let mut story = Story::new(&domain);
    let advised = story.tell(domain.advised(&story.ledger.standing(), Opinion::Permit).proposal());
    let mut caused_by = domain.grant(&story.ledger.standing());
    let reference = advised.entry_ref();
    caused_by.fields.cause.place = Place::Caused { depth: 1, parent: reference.clone(), origin: reference };
    let grant = story.tell(caused_by.proposal()).index.get();
    let about = "A grant caused by an advice, which ran nothing.";
    maker.refuse("advised_as_parent", about, story.input(&story.bundle(grant)), LineageBroken);
    let mut story = Story::new(&domain);
    let grant = story.tell(domain.grant(&story.ledger.standing()).proposal());
    story.start(&grant, domain.execution_id());
    let advised = story.tell(domain.advised(&story.ledger.standing(), Opinion::Permit).proposal()).index.get();
    let about = "An advice with an execution beside it, which is not its own.";
    maker.refuse("advised_with_execution", about, story.input(&story.bundle(advised)), EvidenceInvalid);
}
