//! Bundles with policy sets, budgets, orders and tallies, and bundles of ledgers that recorded them against the rules.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_orders::{Tell, told};
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker};
use crate::scenario::{Domain, GrantDraft, author, digest};
use writ_ledger::{Draft, Proposal};
use writ_protocol::Code::{
    self, CommitmentMismatch, EvidenceInvalid, Expired, Malformed, NotYetValid, PolicyMismatch, PolicyStale, Revoked,
    SignatureInvalid, UnknownAuthority,
};
use writ_protocol::action::{ActionKind, Command, CommitmentKind};
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{Activation, Authors, Evidence, Positive, Target};
use writ_protocol::statement::{Ending, ManifestFields, RootCommand};
use writ_protocol::{Body, DomainId, Ed25519Key, Label};
use writ_tlog::sha256;

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    in_force(&mut maker);
    replaced(&mut maker);
    beside(&mut maker);
    grants_under_others(&mut maker);
    activations(&mut maker);
    opened_as_others(&mut maker);
    carried_out(&mut maker);
    signed(&mut maker);
    unsigned(&mut maker);
    maker.done()
}

fn in_force(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let policy = story.tell(domain.activate(1)).index.get();
    let shown = Shown { openings: 1, ..nothing(policy, "policy") };
    maker.accept("policy", "A policy set, opened.", story.input(&story.opened(policy)), shown.to_value());
    story.openings.clear();
    let grant = story.tell(domain.grant(&story.ledger.standing()).proposal());
    let execution = domain.execution_id();
    story.execute(&grant, execution, Ending::Exited(0));
    let ended = [(execution, "ended", Some("exited:0"))];
    let shown = Shown { executions: &ended, ..nothing(grant.index.get(), "grant") };
    maker.accept(
        "policy_in_force",
        "An execution granted under the policy set in force.",
        story.input(&story.bundle(grant.index.get())),
        shown.to_value(),
    );
}

fn replaced(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let second = sha256(&domain.policy_set(2));
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    story.tell(domain.activate(2));
    let grant = story.tell(domain.grant(&story.ledger.standing()).under(second, 2).proposal());
    let subject = grant.index.get();
    maker.accept(
        "policy_second",
        "A grant under the second policy set.",
        story.input(&story.bundle(subject)),
        nothing(subject, "grant").to_value(),
    );
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    let grant = story.tell(domain.grant(&story.ledger.standing()).proposal());
    story.tell(domain.activate(2));
    let (subject, execution) = (grant.index.get(), domain.execution_id());
    story.start(&grant, execution);
    let shown = Shown { executions: &[(execution, "started", None)], ..nothing(subject, "grant") };
    maker.accept(
        "policy_replaced_after_grant",
        "A writ is spent after its policy set was replaced.",
        story.input(&story.bundle(subject)),
        shown.to_value(),
    );
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    let (again, _) = domain.activation(2);
    let again = Activation { set: sha256(&domain.policy_set(1)), ..again };
    let again = story.tell(Proposal::new(Draft::Policy(again))).index.get();
    maker.accept(
        "policy_same_set_again",
        "One set is put in force again, in the next epoch.",
        story.input(&story.bundle(again)),
        nothing(again, "policy").to_value(),
    );
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    story.tell(domain.revoke(Target::Policy(sha256(&domain.policy_set(1)))));
    story.tell(domain.activate(2));
    let grant = story.tell(domain.grant(&story.ledger.standing()).under(second, 2).proposal());
    maker.accept(
        "policy_after_revocation",
        "A revoked policy set was replaced, and a grant stands under the new one.",
        story.input(&story.bundle(grant.index.get())),
        nothing(grant.index.get(), "grant").to_value(),
    );
}

/// What a bundle shows besides grants, and what it cannot decide.
fn beside(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let denial = story.tell(domain.denied_order(&story.ledger.standing()).proposal()).index.get();
    let shown = Shown { openings: 2, ..nothing(denial, "denial") };
    maker.accept(
        "denial_of_order",
        "The denial of an order, opened.",
        story.input(&story.opened(denial)),
        shown.to_value(),
    );
    let mut story = Story::new(&domain);
    let tally = story.tell(domain.tally()).index.get();
    maker.accept(
        "tally",
        "A count of strangers that were turned away.",
        story.input(&story.bundle(tally)),
        nothing(tally, "tally").to_value(),
    );
    let mut story = Story::new(&domain);
    story.leave_out(domain.grant(&story.ledger.standing()).drawing("calls", 1).proposal());
    let grant = story.tell(domain.grant(&story.ledger.standing()).drawing("calls", 1).proposal());
    maker.accept(
        "budget_not_at_hand",
        "What was drawn from a counter cannot be decided from a bundle.",
        story.input(&story.bundle(grant.index.get())),
        nothing(grant.index.get(), "grant").to_value(),
    );
    let mut story = Story::new(&domain);
    story.tell(domain.grant(&story.ledger.standing()).drawing("calls", 1).proposal());
    let grant = story.tell(domain.grant(&story.ledger.standing()).drawing("calls", 1).proposal());
    maker.refuse(
        "budget_of_another_grant",
        "A second grant is at hand; it does not belong here, and what it drew is not counted.",
        story.input(&story.bundle(grant.index.get())),
        EvidenceInvalid,
    );
}

fn grants_under_others(maker: &mut Maker) {
    type Change = fn(&mut GrantDraft, &Domain);
    let changes: [(&str, &str, u64, Change); 5] = [
        ("other_set", "Granted under a policy set that is not in force.", 1, |draft, _| {
            draft.fields.policy.set = digest("another set");
        }),
        ("other_epoch", "Granted under the set in force, in an epoch to come.", 1, |draft, _| {
            draft.fields.policy.epoch = 2;
        }),
        ("epoch_0", "Granted in an epoch before the first.", 1, |draft, _| draft.fields.policy.epoch = 0),
        ("other_semantics", "Granted by another engine.", 1, |draft, _| {
            draft.fields.policy.semantics = Label::new("cedar-4.15-writ-1").unwrap();
        }),
        ("replaced", "Granted under the policy set that was in force before.", 2, |draft, domain| {
            draft.fields.policy.set = sha256(&domain.policy_set(1));
        }),
    ];
    for (name, about, epochs, change) in changes {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        for epoch in 1..=epochs {
            story.tell(domain.activate(epoch));
        }
        let mut draft = domain.grant(&story.ledger.standing());
        change(&mut draft, &domain);
        let grant = story.tell(draft.proposal());
        let input = story.input(&story.bundle(grant.index.get()));
        maker.refuse(&format!("grant_policy_{name}"), about, input, PolicyMismatch);
    }
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    story.tell(domain.revoke(Target::Policy(sha256(&domain.policy_set(1)))));
    let grant = story.tell(domain.grant(&story.ledger.standing()).proposal());
    maker.refuse(
        "grant_revoked_policy",
        "Granted after the revocation of the policy set in force.",
        story.input(&story.bundle(grant.index.get())),
        Revoked,
    );
}

fn activations(maker: &mut Maker) {
    let cases: [(&str, &str, Code, Tell); 6] = [
        ("policy_first_epoch_2", "The first policy set, in epoch 2.", PolicyStale, |story, domain| {
            story.tell(domain.activate(2));
        }),
        ("policy_same_epoch", "A policy set in the epoch of that in force.", PolicyStale, |story, domain| {
            story.tell(domain.activate(1));
            story.tell(domain.activate(1));
        }),
        ("policy_epoch_back", "A policy set in an epoch before that in force.", PolicyStale, |story, domain| {
            story.tell(domain.activate(1));
            story.tell(domain.activate(2));
            story.tell(domain.activate(1));
        }),
        ("policy_epoch_left_out", "A policy set two epochs on.", PolicyStale, |story, domain| {
            story.tell(domain.activate(1));
            story.tell(domain.activate(3));
        }),
        ("policy_revoked_first", "The first policy set was revoked before.", Revoked, |story, domain| {
            story.tell(domain.revoke(Target::Policy(sha256(&domain.policy_set(1)))));
            story.tell(domain.activate(1));
        }),
        ("policy_revoked_again", "A revoked policy set comes back.", Revoked, |story, domain| {
            story.tell(domain.activate(1));
            story.tell(domain.revoke(Target::Policy(sha256(&domain.policy_set(1)))));
            let (activation, _) = domain.activation(2);
            let set = sha256(&domain.policy_set(1));
            story.tell(Proposal::new(Draft::Policy(Activation { set, ..activation })));
        }),
    ];
    told(maker, &cases);
    let requested: [(&str, &str, Code, Tell); 2] = [
        ("spend_of_request", "A spend that carries a request.", Malformed, |story, domain| {
            let request = domain.asked().sign(domain.origin(), domain.alice_key().signing_key());
            story.tell_body(Body::Spend(Evidence { statement: Bytes(request) }));
        }),
        ("root_order_of_request", "A root order that carries a request.", Malformed, |story, domain| {
            let request = domain.asked_order(Command::Halt).sign(domain.origin(), domain.alice_key().signing_key());
            story.tell(Proposal::new(Draft::RootOrder(request)));
        }),
    ];
    told(maker, &requested);
}

/// Values that open a commitment, and are not what the entry says beside it.
fn opened_as_others(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let (activation, content) = domain.activation(1);
    let other = Activation { set: digest("another set"), ..activation };
    let proposal = Proposal::new(Draft::Policy(other)).with_openings(vec![content]);
    let policy = story.tell(proposal).index.get();
    maker.refuse(
        "opening_other_policy_set",
        "The content of a policy entry opens as another set than it names.",
        story.input(&story.opened(policy)),
        CommitmentMismatch,
    );
    let mut story = Story::new(&domain);
    let mut denied = domain.denied_order(&story.ledger.standing());
    denied.denial.action.kind = ActionKind::Exec;
    let denial = story.tell(denied.proposal()).index.get();
    maker.refuse(
        "opening_order_for_exec",
        "An action named an execution opens as an order.",
        story.input(&story.opened(denial)),
        CommitmentMismatch,
    );
    let mut story = Story::new(&domain);
    let mut denied = domain.denial(&story.ledger.standing());
    denied.denial.action.kind = ActionKind::Order;
    let denial = story.tell(denied.proposal()).index.get();
    maker.refuse(
        "opening_exec_for_order",
        "An action named an order opens as an execution.",
        story.input(&story.opened(denial)),
        CommitmentMismatch,
    );
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    let grant = story.tell(domain.grant(&story.ledger.standing()).proposal()).index.get();
    maker.refuse(
        "opening_policy_for_grant",
        "A grant's bundle opens the policy set, which is another entry's.",
        story.input(&story.opened(grant)),
        CommitmentMismatch,
    );
    let mut story = Story::new(&domain);
    let (activation, mut content) = domain.activation(1);
    content.kind = CommitmentKind::Text;
    let activation = Activation { content: content.commitment(), ..activation };
    let proposal = Proposal::new(Draft::Policy(activation)).with_openings(vec![content]);
    let policy = story.tell(proposal).index.get();
    maker.refuse(
        "opening_policy_as_text",
        "The content of a policy entry is committed to as text.",
        story.input(&story.opened(policy)),
        CommitmentMismatch,
    );
}

/// Orders that were carried out: decided by the set in force, and what opens them is what was done.
fn carried_out(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let gateway = || Target::Gateway(domain.gateway_name(0));
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    story.openings.clear();
    let revocation = story.tell(domain.revoke(gateway())).index.get();
    let shown = Shown { openings: 2, ..nothing(revocation, "revocation") };
    maker.accept(
        "revocation_opened",
        "A revocation, with the order and the facts it was decided on.",
        story.input(&story.opened(revocation)),
        shown.to_value(),
    );
    story.openings.clear();
    let halt = story.tell(domain.halt()).index.get();
    let shown = Shown { openings: 2, halted_at: Some(halt), ..nothing(halt, "halt") };
    maker.accept(
        "halt_opened",
        "A halt, with the order and the facts it was decided on.",
        story.input(&story.opened(halt)),
        shown.to_value(),
    );
    opened_as_other_orders(maker);
    decided_otherwise(maker);
}

/// Orders that open as another than the entry tells.
fn opened_as_other_orders(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let gateway = || Target::Gateway(domain.gateway_name(0));
    let others = [
        (
            "opening_other_target",
            "A revocation opens as the order to revoke something else.",
            Command::Revoke(Target::Writ(digest("writ"))),
        ),
        ("opening_halt_for_revocation", "A revocation opens as the order to halt.", Command::Halt),
    ];
    for (name, about, command) in others {
        let mut story = Story::new(&domain);
        let (mut revocation, mut openings) = domain.revocation(gateway());
        openings[0] = domain.order(command);
        revocation.action.digest = openings[0].commitment();
        let revocation = story.tell(Proposal::new(Draft::Revocation(revocation)).with_openings(openings)).index.get();
        maker.refuse(name, about, story.input(&story.opened(revocation)), CommitmentMismatch);
    }
    let mut story = Story::new(&domain);
    let (mut halt, openings) = domain.halt_order();
    halt.reason = Label::new("drill").unwrap();
    let halt = story.tell(Proposal::new(Draft::Halt(halt)).with_openings(openings)).index.get();
    maker.refuse(
        "opening_other_reason",
        "A halt opens as the order to halt for another reason.",
        story.input(&story.opened(halt)),
        CommitmentMismatch,
    );
}

/// Orders that the set in force has not decided, or that are none.
fn decided_otherwise(maker: &mut Maker) {
    let cases: [(&str, &str, Code, Tell); 4] = [
        (
            "revocation_policy_other",
            "A revocation decided by a set that was replaced.",
            PolicyMismatch,
            |story, domain| {
                story.tell(domain.activate(1));
                story.tell(domain.activate(2));
                story.tell(domain.revoke(Target::Gateway(domain.gateway_name(0))));
            },
        ),
        (
            "halt_policy_other",
            "A halt decided in another epoch than that in force.",
            PolicyMismatch,
            |story, domain| {
                story.tell(domain.activate(1));
                let (mut halt, _) = domain.halt_order();
                halt.policy.epoch = 2;
                story.tell(Proposal::new(Draft::Halt(halt)));
            },
        ),
        ("revocation_of_exec", "A revocation whose action is an execution.", Malformed, |story, domain| {
            let (mut revocation, _) = domain.revocation(Target::Gateway(domain.gateway_name(0)));
            revocation.action.kind = ActionKind::Exec;
            story.tell(Proposal::new(Draft::Revocation(revocation)));
        }),
        ("halt_of_exec", "A halt whose action is an execution.", Malformed, |story, domain| {
            let (mut halt, _) = domain.halt_order();
            halt.action.kind = ActionKind::Exec;
            story.tell(Proposal::new(Draft::Halt(halt)));
        }),
    ];
    told(maker, &cases);
}

/// Policy sets that their authors have signed, as a ledger with pinned authors takes them.
fn signed(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    story.tell(domain.pin_authors());
    story.openings.clear();
    let manifest = domain.sign_manifest(&domain.manifest_of(2), &[0, 2]);
    let policy = story.tell(domain.activate_signed(2, &manifest)).index.get();
    let shown = Shown { openings: 2, ..nothing(policy, "policy") };
    maker.accept("policy_signed", "A set signed by its authors.", story.input(&story.opened(policy)), shown.to_value());
    let mut story = Story::new(&domain);
    story.tell(domain.pin_authors());
    let manifest = domain.sign_manifest(&domain.manifest_of(1), &[0, 1, 2]);
    let policy = story.tell(domain.activate_signed(1, &manifest)).index.get();
    let input = story.input(&story.bundle(policy));
    maker.accept(
        "policy_signed_first",
        "The first set of a domain is signed.",
        input,
        nothing(policy, "policy").to_value(),
    );
}

/// The set in force is put in force again under other semantics, without its authors.
fn other_semantics(story: &mut Story<'_>, domain: &Domain) {
    story.tell(domain.activate(1));
    story.tell(domain.pin_authors());
    let (again, _) = domain.activation(2);
    let semantics = Label::new("another-release").unwrap();
    let again = Activation { set: sha256(&domain.policy_set(1)), semantics, ..again };
    story.tell(Proposal::new(Draft::Policy(again)));
}

/// What such a ledger does not take.
fn unsigned(maker: &mut Maker) {
    let cases: [(&str, &str, Code, Tell); 13] = [
        ("policy_unsigned", "A set without signatures.", SignatureInvalid, |story, domain| {
            story.tell(domain.activate(1));
            story.tell(domain.pin_authors());
            story.tell(domain.activate(2));
        }),
        ("policy_unsigned_same", "The set in force again, without signatures.", SignatureInvalid, |story, domain| {
            story.tell(domain.activate(1));
            story.tell(domain.pin_authors());
            let (again, _) = domain.activation(2);
            let again = Activation { set: sha256(&domain.policy_set(1)), ..again };
            story.tell(Proposal::new(Draft::Policy(again)));
        }),
        ("policy_unsigned_semantics", "The same under other semantics.", SignatureInvalid, other_semantics),
        ("policy_signed_unpinned", "A signed set where no authors are pinned.", UnknownAuthority, |story, domain| {
            let manifest = domain.sign_manifest(&domain.manifest_of(1), &[0, 1]);
            story.tell(domain.activate_signed(1, &manifest));
        }),
        ("policy_signed_by_one", "One author has signed, two must.", SignatureInvalid, |story, domain| {
            publish(story, domain, &domain.manifest_of(2), &[1]);
        }),
        ("policy_signed_other_epoch", "The manifest is for the epoch after.", PolicyStale, |story, domain| {
            let fields = domain.manifest_of(2);
            publish(story, domain, &ManifestFields { epoch: Positive::new(3).unwrap(), ..fields }, &[0, 1]);
        }),
        ("policy_signed_other_before", "It replaces another set.", PolicyMismatch, |story, domain| {
            let fields = domain.manifest_of(2);
            publish(story, domain, &ManifestFields { replaces: Some(digest("other")), ..fields }, &[0, 1]);
        }),
        ("policy_signed_other_set", "The manifest is of another set.", PolicyMismatch, |story, domain| {
            let fields = domain.manifest_of(2);
            publish(story, domain, &ManifestFields { set: digest("other"), ..fields }, &[0, 1]);
        }),
        ("policy_signed_late", "The manifest's window has ended.", Expired, |story, domain| {
            let fields = domain.manifest_of(2);
            publish(story, domain, &ManifestFields { until_ms: fields.from_ms + 1, ..fields }, &[0, 1]);
        }),
        ("policy_signed_early", "The manifest's window has not begun.", NotYetValid, |story, domain| {
            let fields = domain.manifest_of(2);
            publish(story, domain, &ManifestFields { from_ms: fields.until_ms - 1, ..fields }, &[0, 1]);
        }),
        ("policy_signed_other_domain", "The manifest is for another domain.", UnknownAuthority, |story, domain| {
            let fields = domain.manifest_of(2);
            publish(story, domain, &ManifestFields { domain: DomainId::from_bytes([9; 16]), ..fields }, &[0, 1]);
        }),
        ("policy_author_revoked", "The key of an author is revoked.", Revoked, |story, domain| {
            story.tell(domain.activate(1));
            story.tell(domain.pin_authors());
            story.tell(domain.revoke(Target::Key(author(1).public().fingerprint())));
            let manifest = domain.sign_manifest(&domain.manifest_of(2), &[0, 1]);
            story.tell(domain.activate_signed(2, &manifest));
        }),
        ("policy_authors_replaced", "The root has pinned other authors.", UnknownAuthority, |story, domain| {
            story.tell(domain.activate(1));
            story.tell(domain.pin_authors());
            let key = Ed25519Key::new(author(7).public()).unwrap();
            story.tell(domain.root_order(RootCommand::PolicyAuthors(Authors::new(1, vec![key]).unwrap())));
            let manifest = domain.sign_manifest(&domain.manifest_of(2), &[0, 1]);
            story.tell(domain.activate_signed(2, &manifest));
        }),
    ];
    told(maker, &cases);
}

fn publish(story: &mut Story<'_>, domain: &Domain, manifest: &ManifestFields, signers: &[usize]) {
    story.tell(domain.activate(1));
    story.tell(domain.pin_authors());
    let manifest = domain.sign_manifest(manifest, signers);
    story.tell(domain.activate_signed(2, &manifest));
}
