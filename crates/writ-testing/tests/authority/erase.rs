//! Erasing is an order: decided by policy from what the entries say, recorded, carried out once, and refused where something still rests on it.

use crate::answers::{denied, done, permitted, turned_away};
use writ_authority::{Caller, Outcome, Received, retell};
use writ_ledger::{Draft, Kept, Proposal, Reader, Receipt};
use writ_protocol::action::{Command, CommitmentKind};
use writ_protocol::entry::{Ascending, AssertedPrincipal, Erased, Erasure, ErasureFields, Grant, Target};
use writ_protocol::statement::{Claim, Ending, Request};
use writ_protocol::{Body, Code, ExecutionId};
use writ_testing::governed::{GovernedDomain, PolicyFiles, wait};
use writ_tlog::{Hash, LeafIndex};

const HOUR_MS: u64 = 3_600_000;

/// Bob may erase requests of agents, and what only they have asked for; alice may erase everything.
const BOB: &str = r#"
@id("bob-forgets-agents")
permit (principal == User::"bob", action == Action::"erase", resource)
when {
  context.auth == "key" && ["request"].containsAll(context.kinds) && ["grant", "denial"].containsAll(context.entries)
  && ["Agent::builder"].containsAll(context.principals) && context.count <= 2
};
"#;

fn domain() -> GovernedDomain {
    let members = GovernedDomain::members();
    let policies = PolicyFiles::standard(&members).with("bob.cedar", BOB);
    GovernedDomain::with(members, &policies)
}

fn values(body: &Body, index: LeafIndex, kinds: &[CommitmentKind]) -> Vec<Erased> {
    let held = body.commitments().into_iter().filter(|(kind, _)| kinds.contains(kind));
    held.map(|(_, commitment)| Erased { index: index.get(), commitment }).collect()
}

fn erase(values: &[Erased]) -> Command {
    Command::Erase(Ascending::new(values.iter().copied()))
}

fn kept(domain: &GovernedDomain, body: &Body, index: LeafIndex, of: CommitmentKind) -> Kept {
    let (_, commitment) = body.commitments().into_iter().find(|(kind, _)| *kind == of).unwrap();
    Reader::open(&domain.place.store).unwrap().kept(index, of, &commitment).unwrap()
}

/// A denial: nothing rests on what it says.
fn refused(domain: &GovernedDomain) -> (LeafIndex, Body) {
    let (told, denial) = denied(domain, domain.asks("builder", &domain.asked(&["/opt/x"])), Code::PolicyDenied);
    (told.receipt.index, Body::Denial(denial))
}

#[test]
fn what_is_erased_is_gone_and_recorded_with_the_decision() {
    let mut domain = domain();
    let (index, body) = refused(&domain);
    let both = values(&body, index, &[CommitmentKind::Action, CommitmentKind::Request]);
    assert_eq!(both.len(), 2);
    let receipt = done(&domain, domain.orders("alice", erase(&both)));
    let recorded = receipt.decode(domain.domain.origin()).unwrap().body;
    let Body::Erasure(erasure) = &recorded else { panic!("{recorded:?}") };
    assert_eq!((erasure.erased.as_slice(), erasure.by.id.as_str()), (&*both, "alice"));
    assert_eq!(erasure.policy.reasons.as_slice()[0].as_str(), "administrators-erase");
    for kind in [CommitmentKind::Action, CommitmentKind::Request] {
        assert_eq!(kept(&domain, &body, index, kind), Kept::Erased, "{kind:?}");
    }
    assert!(matches!(kept(&domain, &body, index, CommitmentKind::Facts), Kept::Value(_)), "nobody named it");
    let reader = Reader::open(&domain.place.store).unwrap();
    let told = retell(&reader, receipt.index).unwrap();
    assert!(matches!(told.outcome, Outcome::Same { .. }), "{:?}", told.outcome);
    assert!(told.explanation.is_some());
    let judgement = domain.judged();
    assert!(judgement.is_clean() && judgement.replay.same == 1 && judgement.replay.erased == 1, "{judgement:?}");
}

#[test]
fn the_same_request_erases_once_and_another_finds_nothing_to_erase() {
    let mut domain = domain();
    let (index, body) = refused(&domain);
    let command = || erase(&values(&body, index, &[CommitmentKind::Action, CommitmentKind::Request]));
    let request = Request { time_ms: domain.clock.now_ms(), ..domain.domain.asked_order(command()) };
    let signed = domain.member("alice").sign(&request, domain.domain.origin());
    let give = || wait(domain.authority().order(&Caller::Remote, Received::Signed(&signed)));
    let (first, again) = (done(&domain, give()), done(&domain, give()));
    assert_eq!((again.index, again.repeated), (first.index, true));
    let (told, _) = denied(&domain, domain.orders("alice", command()), Code::CommitmentMismatch);
    assert!(told.why.contains("was erased before"), "{}", told.why);
    // Its key for another order.
    let other = Request { key: request.key, time_ms: request.time_ms, ..domain.domain.asked_order(Command::Halt) };
    let signed = domain.member("alice").sign(&other, domain.domain.origin());
    turned_away(&domain, || wait(domain.authority().order(&Caller::Remote, Received::Signed(&signed))), Code::Replayed);
    assert!(domain.judged().is_clean());
}

/// The request holds the action with its salt: an erasure that left it there would say what is not so.
#[test]
fn an_action_is_not_erased_while_its_request_holds_it() {
    let domain = domain();
    let (index, body) = refused(&domain);
    let only = |kind| erase(&values(&body, index, &[kind]));
    let (told, _) = denied(&domain, domain.orders("alice", only(CommitmentKind::Action)), Code::StillNeeded);
    assert!(told.why.contains("--kind request"), "{}", told.why);
    done(&domain, domain.orders("alice", only(CommitmentKind::Request)));
    done(&domain, domain.orders("alice", only(CommitmentKind::Action)));
}

#[test]
fn policy_says_who_erases_what_of_whom() {
    let mut domain = domain();
    let (index, body) = refused(&domain);
    let of = |kind| values(&body, index, &[kind]);
    denied(&domain, domain.orders("builder", erase(&of(CommitmentKind::Request))), Code::PolicyDenied);
    denied(&domain, domain.orders("bob", erase(&of(CommitmentKind::Action))), Code::PolicyDenied);
    let mine = domain.orders("bob", erase(&of(CommitmentKind::Action)));
    let (told, _) = denied(&domain, mine, Code::PolicyDenied);
    let own =
        values(&Body::Denial(denied_by(&domain, told.receipt.index)), told.receipt.index, &[CommitmentKind::Request]);
    denied(&domain, domain.orders("bob", erase(&own)), Code::PolicyDenied);
    done(&domain, domain.orders("bob", erase(&of(CommitmentKind::Request))));
    assert_eq!(kept(&domain, &body, index, CommitmentKind::Request), Kept::Erased);
    assert!(domain.judged().is_clean());
}

fn denied_by(domain: &GovernedDomain, index: LeafIndex) -> writ_protocol::entry::Denial {
    let found = domain.entered().into_iter().find(|one| one.index == index.get()).unwrap();
    let Body::Denial(denial) = found.body else { panic!("a denial") };
    denial
}

#[test]
fn what_is_not_there_is_not_erased() {
    let domain = domain();
    let (index, _) = refused(&domain);
    let nowhere = [
        Erased { index: index.get(), commitment: Hash::from_bytes([7; 32]) },
        Erased { index: 4_000, commitment: Hash::from_bytes([7; 32]) },
        Erased { index: u64::MAX, commitment: Hash::from_bytes([7; 32]) },
    ];
    for one in nowhere {
        denied(&domain, domain.orders("alice", erase(&[one])), Code::CommitmentMismatch);
    }
    // The set of a policy folder was put in force by nobody's request: the entry names one, and the vault never had it.
    let entered = domain.entered();
    let set = entered.iter().find(|one| matches!(one.body, Body::Policy(_))).unwrap();
    let request = values(&set.body, LeafIndex::new(set.index), &[CommitmentKind::Request]);
    let (told, _) = denied(&domain, domain.orders("alice", erase(&request)), Code::CommitmentMismatch);
    assert!(told.why.contains("never had"), "{}", told.why);
}

#[test]
fn what_can_still_be_executed_or_runs_is_needed() {
    let mut domain = domain();
    let (receipt, grant) = permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    let (index, writ) = (receipt.index, receipt.hash());
    let body = Body::Grant(grant.clone());
    let command = || erase(&values(&body, index, &[CommitmentKind::Action, CommitmentKind::Request]));
    let still = || denied(&domain, domain.orders("alice", command()), Code::StillNeeded).0.why;
    assert!(still().contains("can still be executed"));
    let execution = ExecutionId::new(domain.clock.now_ms(), [9; 10]);
    let usage = grant.uses;
    domain.states(0, Claim::Spent { writ, index: index.get(), execution, usage }).unwrap();
    assert!(still().contains("has not ended"));
    domain.clock.pass(HOUR_MS);
    assert!(still().contains("has not ended"), "however long it takes");
    domain.states(0, Claim::Ended { writ, execution, result: Ending::Unknown }).unwrap();
    done(&domain, domain.orders("alice", command()));
    assert!(domain.judged().is_clean());
}

#[test]
fn a_writ_that_nobody_has_used_is_needed_until_its_window_ends() {
    let domain = domain();
    let (receipt, grant) = permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    let command = || erase(&values(&Body::Grant(grant.clone()), receipt.index, &[CommitmentKind::Facts]));
    domain.clock.pass(grant.window.until_ms() - domain.clock.now_ms() - 1);
    denied(&domain, domain.orders("alice", command()), Code::StillNeeded);
    domain.clock.pass(1);
    done(&domain, domain.orders("alice", command()));
}

/// A revocation is for good, and a start under what is revoked is refused: then nothing of it begins any more.
#[test]
fn what_was_revoked_before_it_began_is_not_needed() {
    let mut domain = domain();
    let granted = || permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    let order = |grant: &Grant, index| {
        let held = values(&Body::Grant(grant.clone()), index, &[CommitmentKind::Action, CommitmentKind::Request]);
        domain.orders("alice", erase(&held))
    };
    let (unused, grant) = granted();
    denied(&domain, order(&grant, unused.index), Code::StillNeeded);
    domain.revoke(Target::Writ(unused.hash()));
    done(&domain, order(&grant, unused.index));
    // Spent, and not begun.
    let (spent, of_spent) = granted();
    let begun = |writ: &Receipt, grant: &Grant, number| {
        let execution = ExecutionId::new(domain.clock.now_ms(), [number; 10]);
        let (index, usage) = (writ.index.get(), grant.uses);
        domain.states(0, Claim::Spent { writ: writ.hash(), index, execution, usage }).unwrap();
        let (action, surroundings) = (grant.action.digest, grant.surroundings.digest);
        let start = Claim::Started { writ: writ.hash(), execution, action, surroundings };
        (execution, start)
    };
    let (_, start) = begun(&spent, &of_spent, 1);
    denied(&domain, order(&of_spent, spent.index), Code::StillNeeded);
    // One that runs counts, whatever is revoked.
    let (running, of_running) = granted();
    let (execution, started) = begun(&running, &of_running, 2);
    domain.states(0, started).unwrap();
    let builder = AssertedPrincipal { kind: grant.principal.kind.clone(), id: grant.principal.id.clone() };
    domain.revoke(Target::Principal(builder));
    done(&domain, order(&of_spent, spent.index));
    assert_eq!(domain.states(0, start).unwrap_err().code(), Code::Revoked, "it cannot begin any more");
    denied(&domain, order(&of_running, running.index), Code::StillNeeded);
    domain.states(0, Claim::Ended { writ: running.hash(), execution, result: Ending::Exited(0) }).unwrap();
    done(&domain, order(&of_running, running.index));
    assert!(domain.judged().is_clean());
}

#[test]
fn the_set_in_force_is_needed_and_one_that_was_in_force_is_not() {
    let mut domain = domain();
    let first = domain.entered().into_iter().find(|one| matches!(one.body, Body::Policy(_))).unwrap();
    let command = || erase(&values(&first.body, LeafIndex::new(first.index), &[CommitmentKind::Policy]));
    let (told, _) = denied(&domain, domain.orders("alice", command()), Code::StillNeeded);
    assert!(told.why.contains("publish another set first"), "{}", told.why);
    let next = PolicyFiles::standard(&domain.members);
    domain.authority().activate(&next.snapshot()).unwrap().unwrap();
    done(&domain, domain.orders("alice", command()));
    // The node starts from the set in force, and replays what it can.
    domain.open(&next);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    assert!(domain.judged().is_clean());
}

#[test]
fn an_erasure_that_was_decided_on_other_values_is_found_by_a_replay() {
    let mut domain = domain();
    let (index, body) = refused(&domain);
    let receipt = done(&domain, domain.orders("alice", erase(&values(&body, index, &[CommitmentKind::Request]))));
    let Body::Erasure(honest) = receipt.decode(domain.domain.origin()).unwrap().body else { panic!("an erasure") };
    let reader = Reader::open(&domain.place.store).unwrap();
    let held = [(CommitmentKind::Facts, honest.facts)].map(|(kind, commitment)| {
        let Kept::Value(opening) = reader.kept(receipt.index, kind, &commitment).unwrap() else { panic!("{kind:?}") };
        opening
    });
    drop(reader);
    // Decided for a request, and what is erased is an action.
    let others = values(&body, index, &[CommitmentKind::Action]);
    let (doctored, mut openings) = domain.domain.erasing(others);
    openings.retain(|opening| opening.kind == CommitmentKind::Action);
    openings.extend(held);
    let fields = ErasureFields {
        facts: honest.facts,
        by: honest.by.clone(),
        policy: honest.policy.clone(),
        time_ms: honest.time_ms,
        ..ErasureFields::clone(&doctored)
    };
    let doctored = Erasure::new(fields).unwrap();
    domain.slips_in([Proposal::new(Draft::Erasure(doctored)).with_openings(openings)]);
    let judgement = domain.judged();
    assert_eq!(judgement.findings, [], "it is as it was signed: nobody but a replay finds this");
    let found: Vec<&str> = judgement.replay.findings.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(found, ["it was decided on other values than it names"]);
}
