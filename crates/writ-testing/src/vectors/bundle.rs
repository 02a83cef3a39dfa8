//! Bundles that are accepted.

use super::BASE_MS;
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker};
use crate::scenario::{Domain, SecretPair};
use writ_protocol::Code;
use writ_protocol::entry::Target;
use writ_protocol::statement::{Ending, RootCommand};
use writ_tlog::Hash;

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    executions(&mut maker);
    states(&mut maker);
    decisions(&mut maker);
    admitted(&mut maker);
    revocations(&mut maker);
    halts(&mut maker);
    gateways(&mut maker);
    windows(&mut maker);
    others(&mut maker);
    maker.done()
}

pub(super) fn nothing(subject: u64, entry_type: &str) -> Shown<'_> {
    Shown { subject, entry_type, executions: &[], revoked_at: None, halted_at: None, openings: 0 }
}

fn executions(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).proposal());
    let execution = domain.execution_id();
    story.execute(&grant, execution, Ending::Exited(0));
    let ended = [(execution, "ended", Some("exited:0"))];
    let shown = Shown { executions: &ended, openings: 2, ..nothing(grant.index.get(), "grant") };
    maker.accept(
        "execution",
        "A whole execution, with its action and its facts opened.",
        story.input(&story.opened(grant.index.get())),
        shown.to_value(),
    );
    let shown = Shown { executions: &ended, ..nothing(grant.index.get(), "grant") };
    maker.accept(
        "execution_unopened",
        "A whole execution, with nothing opened.",
        story.input(&story.bundle(grant.index.get())),
        shown.to_value(),
    );
    for (name, entry_type, at) in [("spend", "spend", 3), ("start", "start", 4), ("outcome", "outcome", 5)] {
        let subject = story.mine[at];
        let shown = Shown { executions: &ended, ..nothing(subject, entry_type) };
        let about = format!("A whole execution, about its {name}.");
        maker.accept(&format!("execution_about_{name}"), &about, story.input(&story.bundle(subject)), shown.to_value());
    }
    let mut opening = story.opened(grant.index.get());
    opening.openings.remove(0);
    let shown = Shown { executions: &ended, openings: 1, ..nothing(grant.index.get(), "grant") };
    maker.accept(
        "execution_facts_opened",
        "A whole execution, with its facts opened.",
        story.input(&opening),
        shown.to_value(),
    );
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).uses(2).proposal());
    let (first, second) = (domain.execution_id(), domain.execution_id());
    story.execute(&grant, first, Ending::Exited(3));
    let speaker = domain.speaker(0, 1);
    story.tell(speaker.spent_use(&grant, second, 2));
    story.tell(speaker.started(&grant, second));
    let shown = [(first, "ended", Some("exited:3")), (second, "started", None)];
    let shown = Shown { executions: &shown, ..nothing(grant.index.get(), "grant") };
    maker.accept(
        "execution_two_uses",
        "Two executions of one grant.",
        story.input(&story.bundle(grant.index.get())),
        shown.to_value(),
    );
}

fn states(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).proposal());
    let subject = grant.index.get();
    let shown = nothing(subject, "grant");
    maker.accept("granted", "A grant that nobody used.", story.input(&story.bundle(subject)), shown.to_value());
    let execution = domain.execution_id();
    story.tell(domain.speaker(0, 1).spent(&grant, execution));
    let shown = Shown { executions: &[(execution, "spent", None)], ..nothing(subject, "grant") };
    maker.accept(
        "spent",
        "An execution that did not start yet.",
        story.input(&story.bundle(subject)),
        shown.to_value(),
    );
    let mine = story.mine.len();
    story.tell(domain.speaker(0, 1).ended(&grant, execution, Ending::Unknown));
    let shown = Shown { executions: &[(execution, "ended", Some("unknown"))], ..nothing(subject, "grant") };
    maker.accept(
        "unknown_after_spend",
        "A gateway was lost after the spend: it is not known what ran.",
        story.input(&story.bundle(subject)),
        shown.to_value(),
    );
    assert_eq!(story.mine.len(), mine + 1);
}

fn decisions(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let denial = story.tell(domain.denial(&story.ledger.standing()).proposal());
    let shown = Shown { openings: 2, ..nothing(denial.index.get(), "denial") };
    maker.accept("denial", "A denial, opened.", story.input(&story.opened(denial.index.get())), shown.to_value());
    let mut story = Story::new(&domain);
    let hold = story.tell(domain.hold(&story.ledger.standing()).proposal());
    let shown = Shown { openings: 2, ..nothing(hold.index.get(), "hold") };
    maker.accept("hold", "A hold, opened.", story.input(&story.opened(hold.index.get())), shown.to_value());
    let enrolment = Story::new(&domain);
    let shown = nothing(2, "gateway");
    maker.accept(
        "gateway",
        "A bundle about the enrolment of a gateway.",
        enrolment.input(&enrolment.bundle(2)),
        shown.to_value(),
    );
    let shown = nothing(0, "genesis");
    maker.accept("genesis", "A bundle about genesis.", enrolment.input(&enrolment.bundle(0)), shown.to_value());
}

fn admitted(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let execution = domain.execution_id();
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).admitted(execution).proposal());
    let subject = grant.index.get();
    let shown = Shown { executions: &[(execution, "spent", None)], ..nothing(subject, "grant") };
    maker.accept(
        "admitted",
        "A grant admitted at once is spent by itself.",
        story.input(&story.bundle(subject)),
        shown.to_value(),
    );
    story.tell(domain.speaker(0, 1).started(&grant, execution));
    story.tell(domain.speaker(0, 1).ended(&grant, execution, Ending::Exited(1)));
    let shown = Shown { executions: &[(execution, "ended", Some("exited:1"))], ..nothing(subject, "grant") };
    maker.accept(
        "admitted_execution",
        "A grant admitted at once, to its end.",
        story.input(&story.bundle(subject)),
        shown.to_value(),
    );
}

fn revocations(maker: &mut Maker) {
    let names = ["writ", "key", "principal", "policy", "lineage", "gateway"];
    for (number, name) in names.into_iter().enumerate() {
        let domain = Domain::new(BASE_MS);
        let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).proposal());
        let execution = domain.execution_id();
        story.start(&grant, execution);
        let target = domain.targets(&grant)[number].clone();
        let revoked = story.tell(domain.revoke(target));
        story.tell(domain.speaker(0, 1).ended(&grant, execution, Ending::Terminated(Code::Revoked)));
        let executions = [(execution, "ended", Some("terminated:revoked"))];
        let shown = Shown {
            executions: &executions,
            revoked_at: Some(revoked.index.get()),
            ..nothing(grant.index.get(), "grant")
        };
        let about = format!("An execution terminated after the revocation of its {name}.");
        maker.accept(
            &format!("revoked_{name}"),
            &about,
            story.input(&story.bundle(grant.index.get())),
            shown.to_value(),
        );
    }
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).proposal());
    story.tell(domain.revoke(Target::Writ(Hash::from_bytes([9; 32]))));
    let shown = nothing(grant.index.get(), "grant");
    maker.accept(
        "revoked_other",
        "The revocation of another writ.",
        story.input(&story.bundle(grant.index.get())),
        shown.to_value(),
    );
    let first = story.tell(domain.revoke(Target::Policy(grant.grant().policy.set)));
    story.tell(domain.revoke(Target::Writ(grant.hash)));
    let shown = Shown { revoked_at: Some(first.index.get()), ..nothing(grant.index.get(), "grant") };
    maker.accept(
        "revoked_twice",
        "The first of two revocations is the one that is told.",
        story.input(&story.bundle(grant.index.get())),
        shown.to_value(),
    );
    caused(maker);
}

/// The parent is not in the bundle: its lineage and its writ are known from the child.
fn caused(maker: &mut Maker) {
    for (name, lineage) in [("writ", false), ("lineage", true)] {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        let parent = story.leave_out(domain.grant(&story.ledger.standing()).proposal());
        let grant = story.tell(domain.grant(&story.ledger.standing()).caused_by(&parent).proposal());
        if !lineage {
            let shown = nothing(grant.index.get(), "grant");
            maker.accept(
                "caused",
                "A grant caused by another that is not in the bundle.",
                story.input(&story.bundle(grant.index.get())),
                shown.to_value(),
            );
        }
        let target = if lineage {
            Target::Lineage { ledger: domain.origin().clone(), entry: parent.hash }
        } else {
            Target::Writ(parent.hash)
        };
        let revoked = story.tell(domain.revoke(target));
        let shown = Shown { revoked_at: Some(revoked.index.get()), ..nothing(grant.index.get(), "grant") };
        let about = format!("A grant whose parent's {name} is revoked.");
        maker.accept(
            &format!("revoked_parent_{name}"),
            &about,
            story.input(&story.bundle(grant.index.get())),
            shown.to_value(),
        );
    }
}

fn halts(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).proposal());
    let (execution, subject) = (domain.execution_id(), grant.index.get());
    story.start(&grant, execution);
    let halt = story.tell(domain.halt());
    story.tell(domain.speaker(0, 1).ended(&grant, execution, Ending::Terminated(Code::Halted)));
    let executions = [(execution, "ended", Some("terminated:halted"))];
    let shown = Shown { executions: &executions, halted_at: Some(halt.index.get()), ..nothing(subject, "grant") };
    maker.accept(
        "halted",
        "An execution terminated after a halt.",
        story.input(&story.bundle(subject)),
        shown.to_value(),
    );
    story.tell(domain.root_halt());
    maker.accept(
        "halted_twice",
        "The first of two halts is the one that is told.",
        story.input(&story.bundle(subject)),
        shown.to_value(),
    );
    story.tell(domain.root_resume());
    let shown = Shown { executions: &executions, ..nothing(subject, "grant") };
    maker.accept("resumed", "A halt that the root has ended.", story.input(&story.bundle(subject)), shown.to_value());
}

fn gateways(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).proposal());
    let (execution, subject) = (domain.execution_id(), grant.index.get());
    story.start(&grant, execution);
    story.tell(domain.enrol(0, 2));
    story.tell(domain.speaker(0, 1).ended(&grant, execution, Ending::Exited(0)));
    let executions = [(execution, "ended", Some("exited:0"))];
    let shown = Shown { executions: &executions, ..nothing(subject, "grant") };
    maker.accept(
        "late_outcome",
        "An outcome of an epoch that has ended meanwhile.",
        story.input(&story.bundle(subject)),
        shown.to_value(),
    );
    let (mut story, grant) =
        Story::granted(&domain, |standing| domain.grant(standing).to_group(domain.group()).proposal());
    let execution = domain.execution_id();
    story.tell(domain.speaker(1, 1).spent(&grant, execution));
    let shown = Shown { executions: &[(execution, "spent", None)], ..nothing(grant.index.get(), "grant") };
    maker.accept(
        "group",
        "A grant for a group, spent by one of its gateways.",
        story.input(&story.bundle(grant.index.get())),
        shown.to_value(),
    );
}

fn windows(maker: &mut Maker) {
    for (name, about, last) in [
        ("window_first", "Spent in the first millisecond of the window.", false),
        ("window_last", "Spent in the last millisecond of the window.", true),
    ] {
        let domain = Domain::new(BASE_MS);
        let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).proposal());
        let execution = domain.execution_id();
        let window = grant.grant().window;
        let time_ms = if last { window.until_ms() - 1 } else { window.from_ms() };
        story.tell(super::bundle_steps::spent_at(&domain, &grant, execution, time_ms));
        let shown = Shown { executions: &[(execution, "spent", None)], ..nothing(grant.index.get(), "grant") };
        maker.accept(name, about, story.input(&story.bundle(grant.index.get())), shown.to_value());
    }
}

fn others(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).proposal());
    let subject = grant.index.get();
    story.tell(domain.speaker(0, 1).heartbeat(&story.ledger.standing()));
    story.tell(domain.erase(&grant, writ_protocol::action::CommitmentKind::Facts));
    let mut bundle = story.bundle(subject);
    bundle.entries.insert(1, story.proved(1));
    let shown = nothing(subject, "grant");
    maker.accept("other_entries", "A report, an erasure and a seal besides.", story.input(&bundle), shown.to_value());
    let other = Domain::at("writ.example/ledger/other", BASE_MS);
    let order = RootCommand::RootKeys(other.root_members());
    let mut story = Story::new(&domain);
    let renewed = story.tell(domain.root_order(order));
    let statement = domain.root_statement(RootCommand::Halt(writ_protocol::Label::new("drill").unwrap()));
    let members: Vec<&SecretPair> = other.root_keys().iter().take(2).collect();
    let halt = domain.sign_root(&statement, &members);
    let halted = story.tell(writ_ledger::Proposal::new(writ_ledger::Draft::RootOrder(halt)));
    let shown = Shown { halted_at: Some(halted.index.get()), ..nothing(renewed.index.get(), "root-order") };
    maker.accept(
        "root_keys",
        "Root members are replaced, and the new ones halt the domain.",
        story.input(&story.bundle(renewed.index.get())),
        shown.to_value(),
    );
}
