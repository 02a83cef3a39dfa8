//! What policy would permit once enough have approved it waits, and goes on once, as what it was approved as (decision 0029).

use crate::answers::{denied, done, permitted};
use std::collections::BTreeMap;
use std::sync::Barrier;
use writ_authority::{Answer, Outcome, Waiting, retell};
use writ_ledger::{Held as Stored, Reader};
use writ_protocol::action::{Command, Enrolled, Held};
use writ_protocol::entry::{Ascending, Audience, Denial, EntryRef, Positive, Target, Verdict};
use writ_protocol::statement::{Component, Request};
use writ_protocol::{Body, Code, Ed25519Key, EntryType, Label, Name, RequestKey};
use writ_testing::governed::{GovernedDomain, Member, Members, PolicyFiles};
use writ_testing::scenario::{Secret, digest};
use writ_tlog::{Algorithm, LeafIndex};

const APPROVALS: &str = r#"
@id("agents-deploy") permit (principal in Group::"agents", action == Action::"exec", resource == Executable::"/usr/bin/deploy");
@id("two-operators") @approval("2 of operators") @approve_within("10m")
forbid (principal, action == Action::"exec", resource == Executable::"/usr/bin/deploy");
@id("operators-answer") permit (principal in Group::"operators", action in [Action::"approve", Action::"reject"], resource)
when { context.auth == "key" && context.groups.contains("operators") };
"#;
const TEN_MINUTES_MS: u64 = 600_000;

pub(crate) fn members() -> Members {
    let mut members = Members::standard(4_000);
    members.0.push(Member::new("User", "carol", &["operators"]));
    members.0.push(Member::new("Agent", "operator", &["operators", "agents"]));
    members
}

pub(crate) fn policies(members: &Members) -> PolicyFiles {
    PolicyFiles::standard(members).with("approvals.cedar", APPROVALS)
}

pub(crate) fn domain() -> GovernedDomain {
    let members = members();
    let policies = policies(&members);
    GovernedDomain::with(members, &policies)
}

pub(crate) fn deploy(domain: &GovernedDomain) -> Request {
    domain.asked(&["/usr/bin/deploy", "production"])
}

#[track_caller]
fn refused(domain: &GovernedDomain, answer: Answer, code: Code) -> Denial {
    denied(domain, answer, code).1
}

/// The hold that an answer tells of, as it is stored.
#[track_caller]
pub(crate) fn held(domain: &GovernedDomain, answer: Answer) -> (writ_authority::Held, Stored) {
    let Answer::Hold(told) = answer else { panic!("expected a hold, found {answer:?}") };
    let stored = stored(domain, told.receipt.index);
    assert_eq!(stored.entry, told.receipt.hash());
    (*told, stored)
}

fn stored(domain: &GovernedDomain, index: LeafIndex) -> Stored {
    Reader::open(&domain.place.store).unwrap().held(index).unwrap().unwrap()
}

fn reference(domain: &GovernedDomain, hold: &Stored) -> EntryRef {
    EntryRef { entry: hold.entry, index: hold.index.get(), ledger: domain.domain.origin().clone() }
}

pub(crate) fn answers(domain: &GovernedDomain, who: &str, hold: &Stored, verdict: Verdict) -> Answer {
    let held = Held { hold: reference(domain, hold), action: hold.waiting.hold.action.digest };
    domain.orders(who, Command::Answer(verdict, held))
}

#[track_caller]
pub(crate) fn approved(domain: &GovernedDomain, hold: &Stored, by: &[&str]) {
    for who in by {
        let answer = answers(domain, who, hold, Verdict::Approve);
        assert!(matches!(answer, Answer::Done(_)), "{who}: {answer:?}");
    }
}

/// The request to go on with: another one, for the same action with the same salt.
pub(crate) fn resumed(domain: &GovernedDomain, first: &Request, hold: &Stored) -> Request {
    let fresh = deploy(domain);
    let again = Request { action: first.action.clone(), action_salt: first.action_salt, ..fresh };
    GovernedDomain::changed(again, |ask| ask.hold = Some(reference(domain, hold)))
}

pub(crate) fn waiting(domain: &GovernedDomain, hold: &Stored) -> Waiting {
    domain.authority().waiting(&stored(domain, hold.index))
}

#[test]
fn a_deployment_waits_for_two_and_then_goes_on_once() {
    let mut domain = domain();
    let asked = deploy(&domain);
    let (told, hold) = held(&domain, domain.asks("builder", &asked));
    let (name, needs) = (Name::new("operators").unwrap(), &hold.waiting.hold.needs);
    assert_eq!((needs.len(), &needs[0].group, needs[0].count.get()), (1, &name, 2));
    assert_eq!(hold.waiting.hold.until_ms, domain.clock.now_ms() + TEN_MINUTES_MS);
    assert_eq!((told.salt, told.approved), (asked.action_salt, false));
    assert_eq!(told.clauses[0].0.as_str(), "two-operators");
    approved(&domain, &hold, &["alice"]);
    assert_eq!(waiting(&domain, &hold), Waiting::Pending);
    let too_early = domain.asks("builder", &resumed(&domain, &asked, &hold));
    assert_eq!(refused(&domain, too_early, Code::ApprovalPending).hold, None, "the hold stays open");
    approved(&domain, &hold, &["carol"]);
    assert_eq!(waiting(&domain, &hold), Waiting::Approved);
    let again = resumed(&domain, &asked, &hold);
    let (receipt, grant) = permitted(&domain, domain.asks("builder", &again));
    assert_eq!(grant.hold, Some(reference(&domain, &hold)));
    assert_eq!(grant.action, hold.waiting.hold.action);
    assert_eq!(waiting(&domain, &hold), Waiting::Resolved(receipt.index));
    // The same request is the same grant, another one is approved anew.
    let (same, _) = permitted(&domain, domain.asks("builder", &again));
    assert!(same.repeated && same.index == receipt.index);
    refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::ApprovalRejected);
    let (_, another) = held(&domain, domain.asks("builder", &deploy(&domain)));
    assert_ne!(another.index, hold.index);
    let judged = domain.judged();
    assert!(judged.is_clean(), "{judged:?}");
    let reader = Reader::open(&domain.place.store).unwrap();
    let approvals = domain.entered().into_iter().filter(|one| matches!(one.body, Body::Approval(_)));
    let indices = approvals.map(|one| LeafIndex::new(one.index)).chain([hold.index, receipt.index]);
    for index in indices {
        let retold = retell(&reader, index).unwrap();
        assert!(matches!(retold.outcome, Outcome::Same { .. }), "{index}: {retold:?}");
    }
    let bundle = reader.bundle(receipt.index, &reader.view().unwrap(), writ_ledger::Disclosure::Values).unwrap();
    let story = writ_protocol::Bundle::verify(&bundle.encode(), &domain.domain.trust_root()).unwrap();
    let of = |kind: EntryType| story.entries.iter().filter(|one| one.entry.body.entry_type() == kind).count();
    assert_eq!((of(EntryType::Hold), of(EntryType::Approval)), (1, 2));
}

#[test]
fn the_same_waits_once_and_whoever_asks_again_goes_on_with_it() {
    let domain = domain();
    let (_, hold) = held(&domain, domain.asks("builder", &deploy(&domain)));
    let size = domain.size();
    let afresh = deploy(&domain);
    let (told, same) = held(&domain, domain.asks("builder", &afresh));
    assert_eq!((same.index, told.approved, domain.size()), (hold.index, false, size));
    assert_ne!(told.salt, afresh.action_salt, "that of the first request");
    for (name, other) in [
        ("arguments", domain.asked(&["/usr/bin/deploy", "staging"])),
        ("surroundings", GovernedDomain::changed(deploy(&domain), |ask| ask.surroundings.truncate(1))),
    ] {
        let (_, found) = held(&domain, domain.asks("builder", &other));
        assert_ne!(found.index, hold.index, "{name}");
    }
    let (_, found) = held(&domain, domain.asks("tester", &deploy(&domain)));
    assert_ne!(found.index, hold.index, "another principal");
    // The other slot of the same machine is as good.
    let slot = GovernedDomain::changed(deploy(&domain), |ask| {
        let gateway = domain.domain.gateway_name(1);
        ask.audience = Audience::Gateway { gateway, epoch: Positive::ONE };
    });
    let (_, found) = held(&domain, domain.asks("builder", &slot));
    assert_eq!(found.index, hold.index);
    approved(&domain, &hold, &["alice", "bob"]);
    let (told, _) = held(&domain, domain.asks("builder", &deploy(&domain)));
    assert!(told.approved);
}

#[test]
fn what_was_approved_for_this_machine_is_not_approved_for_another() {
    let members = members();
    let enrolling = r#"@id("alice-enrols") permit (principal == User::"alice", action == Action::"enrol", resource);"#;
    let policies = policies(&members).with("enrolling.cedar", enrolling);
    let domain = GovernedDomain::with(members, &policies);
    let asked = deploy(&domain);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice", "bob"]);
    // In the same group, and enrolled by an order: it is elsewhere.
    let gateway = Name::new("process/elsewhere").unwrap();
    let enrolled = Enrolled {
        key: Ed25519Key::new(Secret::new(Algorithm::Ed25519, "elsewhere").public()).unwrap(),
        epoch: Positive::ONE,
        groups: Ascending::new([domain.domain.group()]),
        asserts: Ascending::new([]),
        gateway: gateway.clone(),
    };
    done(&domain, domain.orders("alice", Command::Enrol(Box::new(enrolled))));
    let elsewhere = GovernedDomain::changed(resumed(&domain, &asked, &hold), |ask| {
        ask.audience = Audience::Gateway { gateway: gateway.clone(), epoch: Positive::ONE };
    });
    refused(&domain, domain.asks("builder", &elsewhere), Code::SurroundingsMismatch);
    permitted(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)));
}

#[test]
fn what_was_approved_and_then_changed_is_not_approved() {
    let domain = domain();
    let asked = deploy(&domain);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice", "bob"]);
    let good = || resumed(&domain, &asked, &hold);
    let other = domain.asked(&["/usr/bin/deploy", "--all"]);
    for (name, code, request) in [
        ("another action", Code::ApprovalRejected, Request { action: other.action, ..good() }),
        ("another salt", Code::ApprovalRejected, Request { action_salt: other.action_salt, ..good() }),
        (
            "other surroundings",
            Code::SurroundingsMismatch,
            GovernedDomain::changed(good(), |ask| {
                ask.surroundings = vec![Component { name: Label::new("host").unwrap(), value: "other".to_owned() }];
            }),
        ),
        (
            "another hash",
            Code::ApprovalRejected,
            GovernedDomain::changed(good(), |ask| {
                ask.hold = Some(EntryRef { entry: digest("other"), ..reference(&domain, &hold) });
            }),
        ),
        (
            "another entry",
            Code::ApprovalRejected,
            GovernedDomain::changed(good(), |ask| {
                ask.hold = Some(EntryRef { index: 2, ..reference(&domain, &hold) });
            }),
        ),
        (
            "another ledger",
            Code::ApprovalRejected,
            GovernedDomain::changed(good(), |ask| {
                let ledger = writ_tlog::Origin::new("other.example").unwrap();
                ask.hold = Some(EntryRef { ledger, ..reference(&domain, &hold) });
            }),
        ),
    ] {
        let denial = refused(&domain, domain.asks("builder", &request), code);
        assert_eq!(denial.hold, None, "{name}");
    }
    refused(&domain, domain.asks("tester", &good()), Code::ApprovalRejected);
    assert_eq!(waiting(&domain, &hold), Waiting::Approved, "nothing of this has used it up");
    permitted(&domain, domain.asks("builder", &good()));
}

#[test]
fn nobody_answers_but_whoever_is_asked_and_each_once() {
    let domain = domain();
    let (_, hold) = held(&domain, domain.asks("operator", &deploy(&domain)));
    refused(&domain, answers(&domain, "operator", &hold, Verdict::Approve), Code::ApprovalRejected);
    refused(&domain, answers(&domain, "operator", &hold, Verdict::Reject), Code::ApprovalRejected);
    refused(&domain, answers(&domain, "tester", &hold, Verdict::Approve), Code::ApprovalRejected);
    approved(&domain, &hold, &["alice"]);
    refused(&domain, answers(&domain, "alice", &hold, Verdict::Approve), Code::Replayed);
    let spoilt = |change: fn(&mut Held)| {
        let mut held = Held { hold: reference(&domain, &hold), action: hold.waiting.hold.action.digest };
        change(&mut held);
        domain.orders("bob", Command::Answer(Verdict::Approve, held))
    };
    refused(&domain, spoilt(|held| held.action = digest("other")), Code::ActionMismatch);
    refused(&domain, spoilt(|held| held.hold.entry = digest("other")), Code::ApprovalRejected);
    refused(&domain, spoilt(|held| held.hold.index = 2), Code::ApprovalRejected);
    refused(&domain, spoilt(|held| held.hold.index = u64::MAX), Code::ApprovalRejected);
    assert_eq!(waiting(&domain, &hold), Waiting::Pending);
    approved(&domain, &hold, &["bob"]);
    assert_eq!(waiting(&domain, &hold), Waiting::Approved);
}

#[test]
fn answering_is_an_order_that_policy_permits_or_not() {
    let members = members();
    let nobody = APPROVALS.replace("context.auth == \"key\" &&", "context.requester == \"Agent::tester\" &&");
    let policies = PolicyFiles::standard(&members).with("approvals.cedar", &nobody);
    let domain = GovernedDomain::with(members, &policies);
    let (_, hold) = held(&domain, domain.asks("builder", &deploy(&domain)));
    refused(&domain, answers(&domain, "alice", &hold, Verdict::Approve), Code::PolicyDenied);
    let (_, hold) = held(&domain, domain.asks("tester", &deploy(&domain)));
    approved(&domain, &hold, &["alice"]);
}

#[test]
fn one_no_is_enough_and_is_not_asked_around() {
    let mut domain = domain();
    let asked = deploy(&domain);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice", "bob"]);
    let no = answers(&domain, "carol", &hold, Verdict::Reject);
    assert!(matches!(no, Answer::Done(_)), "{no:?}");
    assert_eq!(waiting(&domain, &hold), Waiting::Rejected);
    refused(&domain, answers(&domain, "carol", &hold, Verdict::Approve), Code::ApprovalRejected);
    // To ask afresh is no way round it while it would still be open.
    refused(&domain, domain.asks("builder", &deploy(&domain)), Code::ApprovalRejected);
    // Nor is it to go on with it: that would end it, and with it the no.
    let not = refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::ApprovalRejected);
    assert_eq!((not.hold, waiting(&domain, &hold)), (None, Waiting::Rejected));
    refused(&domain, domain.asks("builder", &deploy(&domain)), Code::ApprovalRejected);
    domain.clock.pass(TEN_MINUTES_MS);
    let over = refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::ApprovalRejected);
    assert_eq!(over.hold, Some(reference(&domain, &hold)));
    assert!(matches!(waiting(&domain, &hold), Waiting::Resolved(_)));
    let (_, another) = held(&domain, domain.asks("builder", &deploy(&domain)));
    assert_ne!(another.index, hold.index);
    assert!(domain.judged().is_clean());
}

#[test]
fn what_nobody_approves_in_time_lapses() {
    let mut domain = domain();
    let asked = deploy(&domain);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice"]);
    domain.clock.pass(TEN_MINUTES_MS);
    assert_eq!(waiting(&domain, &hold), Waiting::Lapsed);
    refused(&domain, answers(&domain, "bob", &hold, Verdict::Approve), Code::ApprovalRejected);
    let (_, another) = held(&domain, domain.asks("builder", &deploy(&domain)));
    assert_ne!(another.index, hold.index);
    let over = refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::ApprovalRejected);
    assert_eq!(over.hold, Some(reference(&domain, &hold)));
    assert!(domain.judged().is_clean());
}

#[test]
fn approved_and_not_used_in_time_lapses_too() {
    let domain = domain();
    let asked = deploy(&domain);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice", "bob"]);
    domain.clock.pass(TEN_MINUTES_MS);
    refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::ApprovalRejected);
}

#[test]
fn whoever_has_left_or_is_revoked_has_approved_nothing() {
    let domain = domain();
    for target in [
        Target::Principal(domain.member("bob").name().clone()),
        Target::Key(domain.member("carol").public().key().fingerprint()),
    ] {
        let who = if matches!(target, Target::Principal(_)) { "bob" } else { "carol" };
        let byte = if who == "bob" { 1 } else { 2 };
        let asked = domain.asked(&["/usr/bin/deploy", who]);
        let asked = Request { key: RequestKey::from_bytes([byte; 16]), ..asked };
        let (_, hold) = held(&domain, domain.asks("builder", &asked));
        approved(&domain, &hold, &["alice", who]);
        domain.revoke(target);
        assert_eq!(waiting(&domain, &hold), Waiting::Pending);
        refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::ApprovalPending);
        refused(&domain, answers(&domain, who, &hold, Verdict::Reject), Code::Revoked);
        let no = answers(&domain, "alice", &hold, Verdict::Reject);
        assert!(matches!(no, Answer::Done(_)), "{no:?}");
        refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::ApprovalRejected);
    }
}

#[test]
fn a_removed_member_no_longer_counts_and_another_policy_asks_anew() {
    let mut domain = domain();
    let asked = deploy(&domain);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice", "bob"]);
    let mut fewer = members();
    fewer.0.retain(|member| member.name().id.as_str() != "bob");
    fewer.0.push(Member::new("User", "bob", &[]));
    let changed = policies(&fewer);
    domain.authority().activate(&changed.snapshot()).unwrap().unwrap();
    assert_eq!(waiting(&domain, &hold), Waiting::Pending);
    refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::ApprovalPending);
    approved(&domain, &hold, &["carol"]);
    assert_eq!(waiting(&domain, &hold), Waiting::Approved);
    // Three are asked now: what two have approved is not enough.
    let three = policies(&fewer).with("approvals.cedar", &APPROVALS.replace("2 of operators", "3 of operators"));
    domain.authority().activate(&three.snapshot()).unwrap().unwrap();
    let denial = refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::ApprovalPending);
    assert!(denial.policy.is_some());
    // That one is at its end: whoever asks afresh waits for three, and not for ever with what is of no use.
    assert_eq!(denial.hold, Some(reference(&domain, &hold)));
    let (told, another) = held(&domain, domain.asks("builder", &deploy(&domain)));
    assert_ne!(another.index, hold.index);
    assert_eq!((told.needs[0].count.get(), told.approved), (3, false));
    // Fewer are asked again, and it is approved.
    domain.authority().activate(&changed.snapshot()).unwrap().unwrap();
    let asked = domain.asked(&["/usr/bin/deploy", "staging"]);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice", "carol"]);
    // A policy that forbids it whoever approves ends it.
    let never =
        policies(&fewer).with("never.cedar", r#"@id("never") forbid (principal, action == Action::"exec", resource);"#);
    domain.authority().activate(&never.snapshot()).unwrap().unwrap();
    let over = refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::PolicyDenied);
    assert_eq!(over.hold, Some(reference(&domain, &hold)));
    let judged = domain.judged();
    assert!(judged.is_clean(), "{judged:?}");
}

#[test]
fn a_policy_that_needs_fewer_approvals_does_not_use_one_hold_twice() {
    let mut domain = domain();
    let asked = deploy(&domain);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice"]);
    let one = policies(&members()).with("approvals.cedar", &APPROVALS.replace("2 of operators", "1 of operators"));
    domain.authority().activate(&one.snapshot()).unwrap().unwrap();
    refused(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)), Code::ApprovalPending);
    assert!(domain.judged().is_clean());
}

#[test]
fn of_many_who_ask_the_same_at_once_all_wait_with_one_hold() {
    let mut domain = domain();
    let together = Barrier::new(12);
    let holds: Vec<LeafIndex> = std::thread::scope(|scope| {
        let ask = || {
            let request = deploy(&domain);
            together.wait();
            domain.asks("builder", &request)
        };
        let askers: Vec<_> = (0..12).map(|_| scope.spawn(ask)).collect();
        let answers = askers.into_iter().map(|asker| asker.join().unwrap());
        let index = |answer| match answer {
            Answer::Hold(told) => Some(told.receipt.index),
            // Just while the first one was being recorded.
            Answer::Deny(denied) if [Code::FactsChanged, Code::RateLimited].contains(&denied.code) => None,
            other => panic!("{other:?}"),
        };
        answers.filter_map(index).collect()
    });
    assert!(!holds.is_empty() && holds.iter().all(|index| *index == holds[0]), "{holds:?}");
    assert!(domain.judged().is_clean());
}

#[test]
fn of_many_who_go_on_at_once_one_does() {
    let mut domain = domain();
    let asked = deploy(&domain);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice", "bob"]);
    let together = Barrier::new(16);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = || {
            let request = resumed(&domain, &asked, &hold);
            together.wait();
            domain.asks("builder", &request)
        };
        let askers: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    let mut counts = BTreeMap::new();
    for answer in &answers {
        let what = match answer {
            Answer::Permit(_) => "permit",
            Answer::Deny(denied) => denied.code.as_str(),
            other => panic!("{other:?}"),
        };
        *counts.entry(what).or_insert(0) += 1;
    }
    assert_eq!(counts, BTreeMap::from([("permit", 1), ("approval_rejected", 15)]));
    assert!(domain.judged().is_clean());
}

#[test]
fn a_revocation_that_races_the_grant_comes_before_it_or_after() {
    const ROUNDS: usize = 12;
    let mut members = members();
    members.0.extend((0..ROUNDS).map(|round| {
        Member::new(
            "User",
            ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11"][round],
            &["operators"],
        )
    }));
    let policies = policies(&members);
    let mut domain = GovernedDomain::with(members, &policies);
    for round in 0..ROUNDS {
        let who = format!("r{round}");
        let asked = domain.asked(&["/usr/bin/deploy", &who]);
        let (_, hold) = held(&domain, domain.asks("builder", &asked));
        approved(&domain, &hold, &["alice", &who]);
        let again = resumed(&domain, &asked, &hold);
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                together.wait();
                domain.revoke(Target::Principal(domain.member(&who).name().clone()));
            });
            together.wait();
            let answer = domain.asks("builder", &again);
            assert!(matches!(answer, Answer::Permit(_) | Answer::Deny(_)), "{answer:?}");
        });
    }
    // The rules of order hold it; the audit derives them again.
    let judged = domain.judged();
    assert!(judged.is_clean(), "{judged:?}");
}

#[test]
fn a_principal_has_so_many_holds_open_and_no_more() {
    let domain = domain();
    for number in 0..64 {
        held(&domain, domain.asks("builder", &domain.asked(&["/usr/bin/deploy", &number.to_string()])));
    }
    let more = || domain.asked(&["/usr/bin/deploy", "more"]);
    refused(&domain, domain.asks("builder", &more()), Code::RateLimited);
    held(&domain, domain.asks("tester", &more()));
    // What lapses makes room.
    domain.clock.pass(TEN_MINUTES_MS);
    held(&domain, domain.asks("builder", &more()));
}

#[test]
fn so_many_wait_in_all_and_no_more() {
    let mut members = members();
    let crowd: Vec<String> = (0..64).map(|number| format!("agent-{number}")).collect();
    members.0.extend(crowd.iter().map(|id| Member::new("Agent", id, &["agents"])));
    let policies = policies(&members);
    let mut domain = GovernedDomain::with(members, &policies);
    std::thread::scope(|scope| {
        for who in &crowd {
            let domain = &domain;
            scope.spawn(move || {
                for number in 0..64 {
                    let asked = domain.asked(&["/usr/bin/deploy", &format!("{who} {number}")]);
                    let answer = domain.asks(who, &asked);
                    assert!(matches!(answer, Answer::Hold(_)), "{answer:?}");
                }
            });
        }
    });
    let one_more = domain.asks("builder", &deploy(&domain));
    refused(&domain, one_more, Code::RateLimited);
    // When they have lapsed, there is room again.
    domain.clock.pass(TEN_MINUTES_MS);
    held(&domain, domain.asks("builder", &deploy(&domain)));
    assert!(domain.judged().is_clean());
}

#[test]
fn nothing_is_held_for_a_gateway_that_could_not_run_it() {
    let mut domain = domain();
    let gateway = domain.domain.gateway_name(0);
    let (two, other) = (Positive::new(2).unwrap(), Name::new("process/99").unwrap());
    for (audience, code) in [
        (Audience::Gateway { gateway: other, epoch: Positive::ONE }, Code::UnknownAuthority),
        (Audience::Gateway { gateway, epoch: two }, Code::WrongAudience),
    ] {
        let asked = GovernedDomain::changed(deploy(&domain), |ask| ask.audience = audience);
        refused(&domain, domain.asks("builder", &asked), code);
    }
    assert!(Reader::open(&domain.place.store).unwrap().open_holds(domain.clock.now_ms(), None, 1).unwrap().is_empty());
    assert!(domain.judged().is_clean());
}

#[test]
fn what_waits_is_known_after_a_restart() {
    let mut domain = domain();
    let asked = deploy(&domain);
    let (_, hold) = held(&domain, domain.asks("builder", &asked));
    approved(&domain, &hold, &["alice"]);
    let same = policies(&members());
    domain.open(&same);
    approved(&domain, &hold, &["bob"]);
    domain.open(&same);
    permitted(&domain, domain.asks("builder", &resumed(&domain, &asked, &hold)));
}

#[test]
fn in_shadow_it_would_be_held_and_nothing_waits() {
    let domain = domain();
    let request = domain.in_shadow(deploy(&domain));
    let Answer::Shadow(told) = domain.shadows("builder", &request) else { panic!("expected a shadow") };
    assert_eq!(told.would.as_str(), "hold");
    assert!(told.why.as_deref().unwrap().contains("2 of operators"));
    let reader = Reader::open(&domain.place.store).unwrap();
    assert!(reader.open_holds(domain.clock.now_ms(), None, 10).unwrap().is_empty());
}

#[test]
fn what_waits_for_approval_is_not_erased() {
    let mut domain = domain();
    let (_, hold) = held(&domain, domain.asks("builder", &deploy(&domain)));
    let action = hold.waiting.hold.action.digest;
    let (told, _) = denied(&domain, domain.erases(hold.index.get(), action), Code::StillNeeded);
    assert!(told.why.contains("it is open"), "{}", told.why);
    domain.clock.pass(TEN_MINUTES_MS);
    assert!(matches!(domain.erases(hold.index.get(), action), Answer::Done(_)), "nobody can approve it any more");
    assert!(domain.judged().is_clean());
}
