//! Entities beside those of the policy set: changed by order alone, whole or not at all, and every decision names those it was made with.

use crate::answers::{denied, done, permitted, turned_away};
use serde_json::{Value, json};
use writ_authority::{Answer, Authority, AuthorityError, Caller, Received, entities_in_force, read_entities};
use writ_ledger::{Draft, Proposal, Reader, Receipt};
use writ_protocol::Code;
use writ_protocol::action::Command;
use writ_protocol::entities::{EntityChange, EntityRecord, EntityUid};
use writ_protocol::entry::{Body, Entities, Target};
use writ_protocol::statement::Request;
use writ_testing::governed::{GovernedDomain, Member, Members, Myself, PolicyFiles, wait};
use writ_tlog::{Hash, LeafIndex, sha256};

/// Alice may change who is a user and where, but for the administrators; bob may approve nothing.
const POLICY: &str = r#"
@id("alice-joins")
permit (principal == User::"alice", action == Action::"entities", resource) when { context.auth == "key" };

@id("not-administrators")
forbid (principal, action == Action::"entities", resource) when { context.groups.contains("Group::administrators") };
"#;

/// The standard domain, in which the tester is known and has no entity yet.
fn begun() -> GovernedDomain {
    let members = GovernedDomain::members();
    let policies = files(&members);
    GovernedDomain::with(members, &policies)
}

fn files(members: &Members) -> PolicyFiles {
    PolicyFiles::standard(members).with("joins.cedar", POLICY)
}

fn entity(kind: &str, id: &str, groups: &[&str]) -> Value {
    let parents: Vec<Value> = groups.iter().map(|id| json!({ "type": "Group", "id": id })).collect();
    json!({ "uid": { "type": kind, "id": id }, "attrs": {}, "parents": parents })
}

fn records(entities: &[Value]) -> Vec<EntityRecord> {
    read_entities("", json!(entities).to_string().as_bytes()).unwrap()
}

fn change(base: Option<Hash>, put: &[Value], removed: &[(&str, &str)]) -> EntityChange {
    let removed = removed.iter().map(|(kind, id)| EntityUid::new(*kind, *id).unwrap()).collect();
    EntityChange::new([3; 32], base, records(put), removed).unwrap()
}

fn request(domain: &GovernedDomain, bytes: &[u8]) -> Request {
    let asked = domain.domain.asked_order(Command::Entities(sha256(bytes)));
    Request { time_ms: domain.clock.now_ms(), ..asked }
}

fn changes(domain: &GovernedDomain, member: &str, change: &EntityChange) -> Answer {
    let bytes = change.encode().unwrap();
    let signed = domain.member(member).sign(&request(domain, &bytes), domain.domain.origin());
    wait(domain.authority().change_entities(&Caller::Remote, Received::Signed(&signed), &bytes))
}

#[track_caller]
fn changed(domain: &GovernedDomain, put: &[Value], removed: &[(&str, &str)]) -> (Receipt, Entities) {
    let receipt = done(domain, changes(domain, "alice", &change(None, put, removed)));
    match receipt.decode(domain.domain.origin()).unwrap().body {
        Body::Entities(entities) => (receipt, entities),
        other => panic!("expected entities, found {other:?}"),
    }
}

fn in_force(domain: &GovernedDomain) -> Option<Hash> {
    domain.authority().policy().entities.as_ref().map(|entities| entities.snapshot)
}

#[test]
fn whoever_joins_a_group_can_what_it_can_from_that_entry_on_and_no_longer_once_removed() {
    // The agent is known by its key, and what it is a member of is nobody's word yet.
    let mut members = GovernedDomain::members();
    members.0.push(Member::new("Agent", "newcomer", &[]));
    let policies = files(&members).with("groups.cedar", "");
    let domain = GovernedDomain::with(members, &policies.with(
        "builders.cedar",
        r#"@id("crews-build") permit (principal in Group::"agents", action == Action::"exec", resource == Executable::"/opt/crew");"#,
    ));
    let mut domain = domain;
    let asked = |domain: &GovernedDomain| domain.asks("builder", &domain.asked(&["/opt/crew"]));
    let (_, before) = permitted(&domain, asked(&domain));
    assert_eq!(before.policy.entities, None);
    let (receipt, entities) =
        changed(&domain, &[entity("Group", "crew", &["agents"]), entity("User", "carol", &["crew"])], &[]);
    assert_eq!((entities.epoch.get(), entities.count, entities.policy.entities), (1, 2, None));
    assert_eq!(in_force(&domain), Some(entities.snapshot));
    let (_, grant) = permitted(&domain, asked(&domain));
    assert_eq!(grant.policy.entities.as_ref(), Some(&domain.authority().policy().entities.clone().unwrap()));
    let (_, second) = changed(&domain, &[], &[("User", "carol"), ("Group", "crew")]);
    assert_eq!((second.epoch.get(), second.count), (2, 0));
    assert_eq!(second.policy.entities.unwrap().snapshot, entities.snapshot);
    let (_, denial) = denied(&domain, domain.asks("builder", &domain.asked(&["/opt/x"])), Code::PolicyDenied);
    assert_eq!(denial.policy.unwrap().entities.unwrap().snapshot, second.snapshot);
    assert!(receipt.index.get() > 0);
    let judgement = domain.judged();
    assert!(judgement.is_clean() && judgement.replay.same == 5, "{judgement:?}");
}

#[test]
fn nobody_changes_anything_until_a_policy_permits_it() {
    let mut domain = GovernedDomain::new();
    let join = change(None, &[entity("User", "carol", &["operators"])], &[]);
    for member in ["alice", "bob", "builder"] {
        denied(&domain, changes(&domain, member, &join), Code::PolicyDenied);
    }
    assert_eq!(in_force(&domain), None);
    assert!(domain.judged().is_clean());
}

#[test]
fn a_group_that_policy_keeps_is_kept_by_any_way_into_it() {
    let mut domain = begun();
    for put in [
        vec![entity("User", "eve", &["administrators"])],
        vec![entity("Group", "innocent", &["administrators"])],
        vec![entity("Group", "innocent", &["administrators"]), entity("User", "eve", &["innocent"])],
    ] {
        let (told, _) = denied(&domain, changes(&domain, "alice", &change(None, &put, &[])), Code::PolicyDenied);
        assert!(told.clauses.iter().any(|(id, _)| id.as_str() == "not-administrators"));
    }
    // What is the set's own does not become a member by being said again.
    let again = change(None, &[entity("Group", "operators", &["agents"])], &[]);
    let (told, denial) = denied(&domain, changes(&domain, "alice", &again), Code::GateFailed);
    assert!(told.why.contains("belongs to the policy set") && denial.text.is_some(), "{}", told.why);
    assert!(domain.judged().is_clean());
}

#[test]
fn what_does_not_fit_is_refused_with_its_name_and_changes_nothing() {
    let mut domain = begun();
    changed(&domain, &[entity("Group", "a", &[]), entity("User", "carol", &["a"])], &[]);
    let before = in_force(&domain);
    for (put, removed, said) in [
        (vec![entity("Group", "b", &["c"]), entity("Group", "c", &["b"])], vec![], "goes round in a circle"),
        (vec![entity("Group", "b", &["nobody"])], vec![], "Group::\"nobody\""),
        (vec![], vec![("Group", "a")], "User::\"carol\""),
        (vec![], vec![("User", "nobody")], "cannot be removed"),
        (vec![entity("Starship", "x", &[])], vec![], "Starship"),
    ] {
        let answer = changes(&domain, "alice", &change(None, &put, &removed));
        let (told, _) = denied(&domain, answer, Code::GateFailed);
        assert!(told.why.contains(said), "{}", told.why);
        assert_eq!(in_force(&domain), before);
    }
    // Somebody who may not change anything learns nothing of what is there.
    for id in ["carol", "nobody"] {
        let (told, _) =
            denied(&domain, changes(&domain, "bob", &change(None, &[], &[("User", id)])), Code::PolicyDenied);
        assert!(!told.why.contains("cannot be removed"));
    }
    assert!(domain.judged().is_clean());
}

#[test]
fn a_change_of_what_is_no_longer_there_is_refused() {
    let mut domain = begun();
    let nothing = sha256(&[]);
    let carol = [entity("User", "carol", &[])];
    let other = change(Some(sha256(b"other")), &carol, &[]);
    denied(&domain, changes(&domain, "alice", &other), Code::FactsChanged);
    done(&domain, changes(&domain, "alice", &change(Some(nothing), &carol, &[])));
    let seen = in_force(&domain).unwrap();
    changed(&domain, &[entity("User", "dave", &[])], &[]);
    // Both had looked at the same; the second would undo what the first has done.
    let late = change(Some(seen), &[], &[("User", "carol")]);
    denied(&domain, changes(&domain, "alice", &late), Code::FactsChanged);
    let now = change(in_force(&domain), &[], &[("User", "carol")]);
    done(&domain, changes(&domain, "alice", &now));
    assert!(domain.judged().is_clean());
}

#[test]
fn an_order_and_its_change_belong_together_and_to_a_key() {
    let mut domain = begun();
    let bytes = change(None, &[entity("User", "carol", &[])], &[]).encode().unwrap();
    let origin = domain.domain.origin();
    let hand_in = |received: Received<'_>, bytes: &[u8]| {
        wait(domain.authority().change_entities(&Caller::Remote, received, bytes))
    };
    let signed = |bytes: &[u8]| domain.member("alice").sign(&request(&domain, bytes), origin);
    let order = signed(&bytes);
    denied(&domain, hand_in(Received::Signed(&order), b"another change"), Code::IntegrityFailure);
    let garbled = signed(b"garbled");
    denied(&domain, hand_in(Received::Signed(&garbled), b"garbled"), Code::Malformed);
    let halt = Request { time_ms: domain.clock.now_ms(), ..domain.domain.asked_order(Command::Halt) };
    let halt = domain.member("alice").sign(&halt, origin);
    denied(&domain, hand_in(Received::Signed(&halt), &bytes), Code::Malformed);
    let bare = request(&domain, &bytes).payload(origin);
    turned_away(&domain, || hand_in(Received::Bare(&bare), &bytes), Code::Unauthenticated);
    let myself = Myself::now();
    let job = myself.as_user(domain.job_uid());
    let bare = request(&domain, &bytes).payload(origin);
    let answer = wait(domain.authority().change_entities(&job, Received::Bare(&bare), &bytes));
    denied(&domain, answer, Code::Unauthenticated);
    // Without the change it is no order that can be carried out.
    denied(&domain, domain.orders("alice", Command::Entities(sha256(&bytes))), Code::Malformed);
    let order = signed(&bytes);
    let first = done(&domain, hand_in(Received::Signed(&order), &bytes));
    let again = hand_in(Received::Signed(&order), &bytes);
    assert!(matches!(&again, Answer::Done(receipt) if receipt.repeated && receipt.index == first.index), "{again:?}");
    domain.revoke(Target::Principal(domain.member("alice").name().clone()));
    let order = signed(&bytes);
    denied(&domain, hand_in(Received::Signed(&order), &bytes), Code::Revoked);
    assert!(domain.judged().is_clean());
}

#[test]
fn a_node_takes_up_the_entities_where_they_were_and_every_decision_is_derived_with_its_own() {
    let mut domain = begun();
    for number in 0..20 {
        changed(&domain, &[entity("User", &format!("u{number}"), &["operators"])], &[]);
        permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    }
    let before = in_force(&domain);
    let policies = files(&domain.members);
    domain.open(&policies);
    assert_eq!(in_force(&domain), before);
    assert_eq!(domain.authority().policy().set.others().unwrap().len(), 20);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    // Another set comes into force beside them, and must fit them.
    let names = r#"@id("late") forbid (principal == User::"u3", action, resource);"#;
    domain.authority().activate(&policies.clone().with("late.cedar", names).snapshot()).unwrap().unwrap();
    let answer = changes(&domain, "alice", &change(None, &[], &[("User", "u3")]));
    let (told, _) = denied(&domain, answer, Code::GateFailed);
    assert!(told.why.contains("User::\"u3\""), "{}", told.why);
    let missing = names.replace("u3", "u99");
    let refused = domain.authority().activate(&policies.clone().with("late.cedar", &missing).snapshot());
    assert!(matches!(refused, Err(AuthorityError::Policy(_))), "{refused:?}");
    let own = domain.members.entities(&[entity("User", "u5", &[])]);
    let refused = domain.authority().activate(&policies.with("entities.json", &own).snapshot());
    assert!(matches!(refused, Err(AuthorityError::Policy(_))), "{refused:?}");
    let judgement = domain.judged();
    assert!(judgement.is_clean() && judgement.replay.same == 42, "{judgement:?}");
    let reader = Reader::open(&domain.place.store).unwrap();
    assert_eq!(entities_in_force(&reader).unwrap().len(), 20);
    for at in domain.entered() {
        if matches!(at.body, Body::Grant(_) | Body::Entities(_)) {
            let told = writ_authority::retell(&reader, LeafIndex::new(at.index)).unwrap();
            assert!(matches!(told.outcome, writ_authority::Outcome::Same { .. }), "{:?}", told.outcome);
        }
    }
}

fn opened(domain: &mut GovernedDomain) -> Result<(), AuthorityError> {
    let reader = Reader::open(&domain.place.store).unwrap();
    entities_in_force(&reader).map(drop)
}

#[test]
fn what_was_said_again_since_may_be_erased_and_what_the_entities_rest_on_is_missed() {
    let mut domain = begun();
    let (first, change) = changed(&domain, &[entity("User", "carol", &["operators"])], &[]);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    changed(&domain, &[entity("User", "dave", &[])], &[("User", "carol")]);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    // Nothing of carol is left but in what is erased now.
    done(&domain, domain.erases(first.index.get(), change.content));
    opened(&mut domain).unwrap();
    let policies = files(&domain.members);
    domain.open(&policies);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    let judgement = domain.judged();
    assert!(judgement.is_clean(), "{judgement:?}");
    assert!(judgement.replay.erased >= 1, "what was decided with what is erased is named: {judgement:?}");
    domain.open(&policies);
    let (last, change) = changed(&domain, &[entity("User", "erin", &[])], &[]);
    denied(&domain, domain.erases(last.index.get(), change.content), Code::StillNeeded);
    domain.slips_in_erasure(last.index.get(), change.content);
    let refused = opened(&mut domain);
    assert!(matches!(refused, Err(AuthorityError::EntitiesMissing { epoch: 3, .. })), "{refused:?}");
}

#[test]
fn a_ledger_that_records_another_snapshot_than_the_change_makes_is_found() {
    let mut domain = begun();
    let (_, entities) = changed(&domain, &[entity("User", "carol", &["operators"])], &[]);
    let reader = Reader::open(&domain.place.store).unwrap();
    let last = domain.entered().into_iter().rfind(|one| matches!(one.body, Body::Entities(_))).unwrap();
    let openings: Vec<_> = last
        .body
        .commitments()
        .into_iter()
        .filter_map(|(kind, commitment)| match reader.kept(LeafIndex::new(last.index), kind, &commitment).unwrap() {
            writ_ledger::Kept::Value(opening) => Some(opening),
            _ => None,
        })
        .filter(|opening| opening.kind != writ_protocol::action::CommitmentKind::Request)
        .collect();
    drop(reader);
    let doctored = Entities {
        id: domain.domain.order_id(),
        request: domain.domain.request(),
        epoch: writ_protocol::entry::Positive::new(2).unwrap(),
        policy: writ_protocol::entry::Policy { entities: Some(entities.reference()), ..entities.policy.clone() },
        snapshot: sha256(b"rolled back"),
        ..entities
    };
    domain.slips_in([Proposal::new(Draft::Entities(doctored)).with_openings(openings)]);
    let judgement = domain.judged();
    assert_eq!(judgement.findings, []);
    assert!(!judgement.replay.findings.is_empty(), "{judgement:?}");
    let refused = opened(&mut domain);
    assert!(matches!(refused, Err(AuthorityError::EntitiesMissing { .. })), "{refused:?}");
}

#[test]
fn changes_and_decisions_at_once_are_sequenced_with_what_they_were_made_with() {
    let mut domain = begun();
    std::thread::scope(|scope| {
        let domain = &domain;
        for worker in 0..3 {
            scope.spawn(move || {
                for number in 0..8 {
                    let id = format!("w{worker}-{number}");
                    changed(domain, &[entity("User", &id, &["operators"])], &[]);
                }
            });
            scope.spawn(move || {
                for _ in 0..12 {
                    permitted(domain, domain.asks("builder", &domain.asked_to_build()));
                }
            });
        }
    });
    let authority: &Authority = domain.authority();
    assert_eq!(authority.policy().set.others().unwrap().len(), 24);
    assert_eq!(authority.policy().entities.as_ref().unwrap().epoch.get(), 24);
    let judgement = domain.judged();
    assert!(judgement.is_clean() && judgement.replay.same == 60, "{judgement:?}");
}
