//! Bundles of ledgers in which executions carry labels, by the rules of order and against them.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker};
use crate::scenario::Domain;
use writ_protocol::Code::{EvidenceIncomplete, EvidenceInvalid, LabelsMissing, LineageBroken, UnknownAuthority};
use writ_protocol::statement::Ending;

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    gained(&mut maker);
    said_wrongly(&mut maker);
    inherited(&mut maker);
    maker.done()
}

fn gained(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).labelled(&["a"]).proposal());
    let (execution, speaker) = (domain.execution_id(), domain.speaker(0, 1));
    story.tell(speaker.spent(&grant, execution));
    story.tell(speaker.labelled(&grant, execution, &["b"]));
    story.tell(speaker.started(&grant, execution));
    let report = story.tell(speaker.labelled(&grant, execution, &["b", "c"])).index.get();
    let running = [(execution, "started", None)];
    let subject = grant.index.get();
    for (name, about, subject, entry_type) in [
        ("labels_gained", "An execution that gained labels before it started and after.", subject, "grant"),
        ("labels_gained_about_report", "An execution that gained labels, about the report of them.", report, "report"),
    ] {
        let shown = Shown { executions: &running, ..nothing(subject, entry_type) };
        maker.accept(name, about, story.input(&story.bundle(subject)), shown.to_value());
    }
}

fn said_wrongly(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let granted = || Story::granted(&domain, |standing| domain.grant(standing).proposal());
    let execution = domain.execution_id();
    let (mut story, grant) = granted();
    story.tell(domain.speaker(0, 1).labelled(&grant, execution, &["a"]));
    let about = "Labels of an execution whose spend is not there.";
    maker.refuse("labelled_without_spend", about, story.input(&story.bundle(grant.index.get())), EvidenceIncomplete);
    let (mut story, grant) = granted();
    story.execute(&grant, execution, Ending::Exited(0));
    story.tell(domain.speaker(0, 1).labelled(&grant, execution, &["a"]));
    let about = "Labels of an execution that has ended.";
    maker.refuse("labelled_after_end", about, story.input(&story.bundle(grant.index.get())), LineageBroken);
    let (mut story, grant) = granted();
    story.start(&grant, execution);
    story.tell(domain.speaker(1, 1).labelled(&grant, execution, &["a"]));
    let about = "Labels said by another gateway than executes.";
    maker.refuse("labelled_by_other_gateway", about, story.input(&story.bundle(grant.index.get())), LineageBroken);
    let (mut story, grant) = granted();
    story.start(&grant, execution);
    story.tell(domain.speaker(0, 2).labelled(&grant, execution, &["a"]));
    let about = "Labels said in an epoch that is not enrolled.";
    maker.refuse("labelled_unknown_epoch", about, story.input(&story.bundle(grant.index.get())), UnknownAuthority);
}

/// A bundle is about one writ, and is judged in order: what is against the rules is found before what does not belong.
fn inherited(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    for (name, about, labels, code) in [
        ("child_without_label", "A child without a label of its parent.", ["b"].as_slice(), LabelsMissing),
        (
            "child_with_labels",
            "A child with all labels of its parent; but a bundle has one writ.",
            &["a", "b"],
            EvidenceInvalid,
        ),
    ] {
        let (mut story, parent) =
            Story::granted(&domain, |standing| domain.grant(standing).labelled(&["a"]).proposal());
        let draft = domain.grant(&story.ledger.standing()).caused_by(&parent).labelled(labels);
        let child = story.tell(draft.proposal()).index.get();
        maker.refuse(name, about, story.input(&story.bundle(child)), code);
    }
}
