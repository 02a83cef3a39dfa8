//! Bundles of what was held: approved, rejected, answered by who may not, and granted without enough of it.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker};
use super::message::signed_message;
use crate::scenario::{ApprovalDraft, Domain, GrantDraft, HoldDraft, Recorded, digest};
use writ_ledger::{Draft, Proposal};
use writ_protocol::Code::{
    self, ActionMismatch, ApprovalPending, ApprovalRejected, EvidenceIncomplete, EvidenceInvalid, Halted,
    LineageBroken, Malformed, PolicyMismatch, Replayed, Revoked, SignatureInvalid, UnknownAuthority,
};
use writ_protocol::action::{ActionKind, Command, CommitmentKind, Held};
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{
    ActionRef, Ascending, AssertedPrincipal, Cause, Denial, Need, Place, Positive, Principal, Target, Verdict,
};
use writ_protocol::statement::{Ask, Request};
use writ_protocol::{Label, Name};
use writ_tlog::Origin;

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    told(&mut maker);
    wrong_answers(&mut maker);
    wrong_holds(&mut maker);
    wrong_grants(&mut maker);
    maker.done()
}

/// A domain in which a deployment is held.
fn held(domain: &Domain, change: impl FnOnce(&mut HoldDraft)) -> (Story<'_>, Recorded) {
    let mut story = Story::new(domain);
    story.tell(domain.activate(1));
    let mut draft = domain.hold(&story.ledger.standing());
    change(&mut draft);
    let hold = story.tell(draft.proposal());
    story.openings.clear();
    (story, hold)
}

fn approve(story: &mut Story<'_>, hold: &Recorded, owners: &[usize]) {
    for owner in owners {
        story.tell(story.domain.answer(hold, *owner, Verdict::Approve).proposal());
    }
    story.openings.clear();
}

fn granted(story: &mut Story<'_>, hold: &Recorded, change: impl FnOnce(&mut GrantDraft)) -> u64 {
    let mut draft = story.domain.grant(&story.ledger.standing()).resolving(hold);
    change(&mut draft);
    story.tell(draft.proposal()).index.get()
}

fn told(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, hold) = held(&domain, |_| {});
    let one = story.tell(domain.answer(&hold, 1, Verdict::Approve).proposal()).index.get();
    let shown = Shown { openings: 2, ..nothing(one, "approval") };
    maker.accept("approval", "An approval, opened, with its hold.", story.input(&story.opened(one)), shown.to_value());
    story.openings.clear();
    let about = "A hold that one of two has approved.";
    let at = hold.index.get();
    maker.accept("hold_approved", about, story.input(&story.bundle(at)), nothing(at, "hold").to_value());
    approve(&mut story, &hold, &[2]);
    let grant = granted(&mut story, &hold, |_| {});
    let about = "A grant with the hold that it resolves and its approvals.";
    maker.accept("hold_granted", about, story.input(&story.bundle(grant)), nothing(grant, "grant").to_value());
    let (mut story, hold) = held(&domain, |_| {});
    let asked = domain.asked_order(Command::Answer(Verdict::Reject, hold.held()));
    let mut draft = domain.answer_asked(2, hold.held(), Verdict::Reject, &asked);
    draft.fields.statement = Bytes(signed_message(&domain, &domain.owner(2).1, &asked));
    draft.fields.request.digest = asked.opening(&draft.fields.statement.0).commitment();
    let no = story.tell(draft.proposal()).index.get();
    story.openings.clear();
    let about = "An answer that its approver has signed as an HTTP message.";
    maker.accept("approval_by_message", about, story.input(&story.bundle(no)), nothing(no, "approval").to_value());
    let (mut story, hold) = held(&domain, |_| {});
    approve(&mut story, &hold, &[1]);
    let no = story.tell(domain.answer(&hold, 1, Verdict::Reject).proposal()).index.get();
    let about = "Somebody who had approved says no after all.";
    maker.accept("hold_rejected", about, story.input(&story.bundle(no)), nothing(no, "approval").to_value());
    let denial = denied(&mut story, &hold);
    let about = "A denial of what was rejected.";
    maker.accept("hold_denied", about, story.input(&story.bundle(denial)), nothing(denial, "denial").to_value());
}

/// Refused for good, with the hold.
fn denied(story: &mut Story<'_>, hold: &Recorded) -> u64 {
    let draft = story.domain.denial(&story.ledger.standing());
    let denial = Denial {
        hold: Some(hold.entry_ref()),
        code: ApprovalRejected,
        action: ActionRef { kind: ActionKind::Exec, digest: hold.opening(CommitmentKind::Action).commitment() },
        facts: None,
        policy: None,
        ..draft.denial
    };
    story.tell(Proposal::new(Draft::Denial(denial))).index.get()
}

fn wrong_answers(maker: &mut Maker) {
    type Change = fn(&mut ApprovalDraft, &Domain);
    let changes: [(&str, &str, Code, Change); 9] = [
        ("late", "An approval of what has lapsed.", ApprovalRejected, |draft, domain| {
            draft.fields.time_ms = domain.now_ms() + 3_600_000_000;
        }),
        ("other_group", "It counts for a group that is not asked.", ApprovalRejected, |draft, _| {
            draft.fields.groups = Ascending::new(["auditors", "owners"].map(|group| Name::new(group).unwrap()));
        }),
        ("other_verdict", "A rejection was signed, and an approval recorded.", EvidenceInvalid, |draft, _| {
            draft.fields.verdict = Verdict::Reject;
        }),
        ("other_request", "The request is another one than was signed.", EvidenceInvalid, |draft, _| {
            draft.fields.request.digest = digest("request");
        }),
        ("other_order", "The action is another one than was signed.", EvidenceInvalid, |draft, _| {
            draft.fields.action.digest = digest("order");
        }),
        ("other_key", "Signed by another key than the entry names.", UnknownAuthority, |draft, domain| {
            draft.fields.by.key = domain.owner(2).0.key;
        }),
        ("signature", "One bit of the signature is wrong.", SignatureInvalid, |draft, _| {
            let last = draft.fields.statement.0.len() - 1;
            draft.fields.statement.0[last] ^= 1;
        }),
        ("other_set", "Decided under a policy set that is not in force.", PolicyMismatch, |draft, _| {
            draft.fields.policy.set = digest("another set");
        }),
        ("other_ledger", "The hold is of another ledger.", EvidenceInvalid, |draft, _| {
            draft.fields.hold.ledger = Origin::new("other.example").unwrap();
        }),
    ];
    for (name, about, code, change) in changes {
        let domain = Domain::new(BASE_MS);
        let (mut story, hold) = held(&domain, |_| {});
        let mut draft = domain.answer(&hold, 1, Verdict::Approve);
        change(&mut draft, &domain);
        let at = story.tell(draft.proposal()).index.get();
        maker.refuse(&format!("approval_{name}"), about, story.input(&story.bundle(at)), code);
    }
    whoever_may_not_answer(maker);
    what_is_not_open(maker);
    with_another_key(maker);
}

/// As `Agent::builder`, whose request is held, with a key of its own.
fn as_builder(draft: &mut ApprovalDraft, domain: &Domain) {
    draft.fields.by = Principal { key: draft.fields.by.key.clone(), ..domain.builder() };
}

fn whoever_may_not_answer(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, hold) = held(&domain, |_| {});
    let mut draft = domain.answer(&hold, 1, Verdict::Approve);
    as_builder(&mut draft, &domain);
    let at = story.tell(draft.proposal()).index.get();
    let about = "Whoever asked approves it themselves.";
    maker.refuse("approval_by_requester", about, story.input(&story.bundle(at)), ApprovalRejected);

    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    let mut cause = domain.grant(&story.ledger.standing());
    cause.fields.principal = domain.owner(1).0;
    let cause = story.leave_out(cause.proposal());
    let mut draft = domain.hold(&story.ledger.standing());
    let reference = cause.entry_ref();
    draft.fields.cause =
        Cause { place: Place::Caused { depth: 1, parent: reference.clone(), origin: reference }, mandate: None };
    let hold = story.tell(draft.proposal());
    let at = story.tell(domain.answer(&hold, 1, Verdict::Approve).proposal()).index.get();
    let about = "Approved by whoever has caused it, which this bundle does not show.";
    story.openings.clear();
    maker.accept("approval_cause_left_out", about, story.input(&story.bundle(at)), nothing(at, "approval").to_value());
    for (name, target) in [
        ("principal", Target::Principal(asserted(&domain.owner(1).0))),
        ("key", Target::Key(domain.owner(1).1.public().fingerprint())),
    ] {
        let (mut story, hold) = held(&domain, |_| {});
        story.tell(domain.revoke(target));
        let at = story.tell(domain.answer(&hold, 1, Verdict::Approve).proposal()).index.get();
        let about = format!("The {name} of whoever approves is revoked.");
        maker.refuse(&format!("approval_revoked_{name}"), &about, story.input(&story.bundle(at)), Revoked);
    }
}

fn asserted(principal: &Principal) -> AssertedPrincipal {
    AssertedPrincipal { kind: principal.kind.clone(), id: principal.id.clone() }
}

fn with_another_key(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, hold) = held(&domain, |_| {});
    approve(&mut story, &hold, &[1]);
    let mut draft = domain.answer(&hold, 2, Verdict::Approve);
    draft.fields.by = Principal { key: draft.fields.by.key.clone(), ..domain.owner(1).0 };
    let at = story.tell(draft.proposal()).index.get();
    let about = "One owner approves again, with another key.";
    maker.accept("approval_by_another_key", about, story.input(&story.bundle(at)), nothing(at, "approval").to_value());
    let grant = granted(&mut story, &hold, |_| {});
    let about = "One owner with two keys is not two.";
    maker.refuse("grant_one_with_two_keys", about, story.input(&story.bundle(grant)), ApprovalPending);
}

fn what_is_not_open(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, hold) = held(&domain, |_| {});
    approve(&mut story, &hold, &[1, 1]);
    let last = story.ledger.size() - 2;
    let about = "One owner approves twice.";
    maker.refuse("approval_twice", about, story.input(&story.bundle(last)), Replayed);

    let (mut story, hold) = held(&domain, |_| {});
    story.tell(domain.answer(&hold, 1, Verdict::Reject).proposal());
    let at = story.tell(domain.answer(&hold, 2, Verdict::Approve).proposal()).index.get();
    let about = "An approval of what was rejected.";
    maker.refuse("approval_after_rejection", about, story.input(&story.bundle(at)), ApprovalRejected);

    let (mut story, hold) = held(&domain, |_| {});
    denied(&mut story, &hold);
    let at = story.tell(domain.answer(&hold, 2, Verdict::Approve).proposal()).index.get();
    let about = "An approval of what was denied.";
    maker.refuse("approval_after_denial", about, story.input(&story.bundle(at)), ApprovalRejected);

    let (mut story, hold) = held(&domain, |_| {});
    let other = Held { hold: hold.entry_ref(), action: digest("another action") };
    let at = story.tell(domain.answer_with(1, other, Verdict::Approve).proposal()).index.get();
    let about = "An approval of another action than the one that is held.";
    maker.refuse("approval_other_action", about, story.input(&story.bundle(at)), ActionMismatch);

    let (mut story, hold) = held(&domain, |_| {});
    let action = hold.opening(CommitmentKind::Action).commitment();
    let mut reference = hold.entry_ref();
    reference.entry = digest("another entry");
    let at = story.tell(domain.answer_with(1, Held { hold: reference, action }, Verdict::Approve).proposal());
    let about = "An approval of a hold with another hash.";
    maker.refuse("approval_other_hold", about, story.input(&story.bundle(at.index.get())), ApprovalRejected);

    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    let hold = story.leave_out(domain.hold(&story.ledger.standing()).proposal());
    let at = story.tell(domain.answer(&hold, 1, Verdict::Approve).proposal()).index.get();
    let about = "An approval whose hold is not in the bundle.";
    maker.refuse("approval_without_hold", about, story.input(&story.bundle(at)), EvidenceIncomplete);

    let (mut story, hold) = held(&domain, |_| {});
    let mut draft = domain.answer(&hold, 1, Verdict::Approve);
    let halt = domain.asked_order(Command::Halt);
    draft.fields.statement = Bytes(halt.sign(domain.origin(), domain.owner(1).1.signing_key()));
    let at = story.tell(draft.proposal()).index.get();
    let about = "What was signed is an order to halt.";
    maker.refuse("approval_of_halt", about, story.input(&story.bundle(at)), EvidenceInvalid);

    let (mut story, hold) = held(&domain, |_| {});
    let mut draft = domain.answer(&hold, 1, Verdict::Approve);
    // With the same action, even.
    let Ask::Authorize(ask) = domain.asked().ask else { panic!("it asks for a writ") };
    let action = draft.openings[0].clone();
    let asked = Request { ask: Ask::Authorize(ask), action: action.value, action_salt: action.salt, ..domain.asked() };
    draft.fields.statement = Bytes(asked.sign(domain.origin(), domain.owner(1).1.signing_key()));
    let at = story.tell(draft.proposal()).index.get();
    let about = "What was signed is a request for a writ.";
    maker.refuse("approval_of_request", about, story.input(&story.bundle(at)), Malformed);
}

fn wrong_holds(maker: &mut Maker) {
    type Change = fn(&mut HoldDraft);
    let changes: [(&str, &str, Code, Change); 4] = [
        ("as_of_future", "A hold on a state after its own index.", Malformed, |draft| draft.fields.as_of.size += 1),
        ("other_set", "A hold under a policy set that is not in force.", PolicyMismatch, |draft| {
            draft.fields.policy.set = digest("another set");
        }),
        ("other_semantics", "A hold by another engine.", PolicyMismatch, |draft| {
            draft.fields.policy.semantics = Label::new("cedar-4.15-writ-1").unwrap();
        }),
        ("depth_1_other_origin", "At depth 1 parent and origin differ.", LineageBroken, |draft| {
            let at = |index| writ_protocol::entry::EntryRef {
                entry: digest("parent"),
                index,
                ledger: draft.fields.as_of.ledger.clone(),
            };
            draft.fields.cause.place = Place::Caused { depth: 1, parent: at(1), origin: at(2) };
        }),
    ];
    for (name, about, code, change) in changes {
        let domain = Domain::new(BASE_MS);
        let (story, hold) = held(&domain, change);
        maker.refuse(&format!("hold_{name}"), about, story.input(&story.bundle(hold.index.get())), code);
    }
    let domain = Domain::new(BASE_MS);
    for (name, code, before) in [
        ("halted", Halted, domain.halt()),
        ("revoked", Revoked, domain.revoke(Target::Principal(domain.builder_name()))),
    ] {
        let mut story = Story::new(&domain);
        story.tell(domain.activate(1));
        story.tell(before);
        let hold = story.tell(domain.hold(&story.ledger.standing()).proposal()).index.get();
        let about = format!("A hold while the domain or who asks is {name}.");
        maker.refuse(&format!("hold_{name}"), &about, story.input(&story.bundle(hold)), code);
    }
}

fn wrong_grants(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut refuse = |name: &str, about: &str, code: Code, tell: &dyn Fn(&mut Story<'_>, &Recorded) -> u64| {
        let (mut story, hold) = held(&domain, |_| {});
        let at = tell(&mut story, &hold);
        maker.refuse(&format!("grant_{name}"), about, story.input(&story.bundle(at)), code);
    };
    refuse("not_approved", "A grant of what nobody has approved.", ApprovalPending, &|story, hold| {
        granted(story, hold, |_| {})
    });
    refuse("approved_once", "A grant of what one of two has approved.", ApprovalPending, &|story, hold| {
        approve(story, hold, &[1]);
        granted(story, hold, |_| {})
    });
    refuse("approved_and_rejected", "Two have approved, and a third says no.", ApprovalRejected, &|story, hold| {
        approve(story, hold, &[1, 2]);
        story.tell(domain.answer(hold, 3, Verdict::Reject).proposal());
        granted(story, hold, |_| {})
    });
    refuse("approver_revoked", "One of two approvers is revoked meanwhile.", ApprovalPending, &|story, hold| {
        approve(story, hold, &[1, 2]);
        story.tell(domain.revoke(Target::Principal(asserted(&domain.owner(2).0))));
        granted(story, hold, |_| {})
    });
    refuse("approver_key_revoked", "The key of an approver is revoked meanwhile.", ApprovalPending, &|story, hold| {
        approve(story, hold, &[1, 2]);
        story.tell(domain.revoke(Target::Key(domain.owner(2).1.public().fingerprint())));
        granted(story, hold, |_| {})
    });
    refuse("held_too_long", "A grant of what has lapsed.", ApprovalRejected, &|story, hold| {
        approve(story, hold, &[1, 2]);
        granted(story, hold, |draft| draft.fields.time_ms += 3_600_000_000)
    });
    refuse("held_for_another", "A grant to somebody else than waited.", ApprovalRejected, &|story, hold| {
        approve(story, hold, &[1, 2]);
        granted(story, hold, |draft| draft.fields.principal = domain.alice())
    });
    refuse("held_as_another", "A grant of another action than was held.", ApprovalRejected, &|story, hold| {
        approve(story, hold, &[1, 2]);
        granted(story, hold, |draft| draft.fields.action.digest = digest("another action"))
    });
    refuse("held_elsewhere", "A grant under something that is no mandate.", LineageBroken, &|story, hold| {
        approve(story, hold, &[1, 2]);
        granted(story, hold, |draft| draft.fields.cause.mandate = Some(hold.entry_ref()))
    });
    let about = "A hold is granted twice.";
    refuse("hold_twice", about, ApprovalRejected, &|story, hold| {
        approve(story, hold, &[1, 2]);
        granted(story, hold, |_| {});
        story.openings.clear();
        granted(story, hold, |_| {})
    });
    let (mut story, hold) = held(&domain, |draft| {
        let need = |group: &str| Need { group: Name::new(group).unwrap(), count: Positive::ONE };
        draft.fields.needs = vec![need("auditors"), need("owners")];
    });
    approve(&mut story, &hold, &[1, 2]);
    let at = granted(&mut story, &hold, |_| {});
    let about = "One of two groups has approved.";
    maker.refuse("grant_one_group", about, story.input(&story.bundle(at)), ApprovalPending);

    let mut story = Story::new(&domain);
    story.tell(domain.activate(1));
    let hold = story.leave_out(domain.hold(&story.ledger.standing()).proposal());
    let at = granted(&mut story, &hold, |_| {});
    let about = "A grant whose hold is not in the bundle.";
    maker.refuse("grant_without_hold", about, story.input(&story.bundle(at)), EvidenceIncomplete);
}
