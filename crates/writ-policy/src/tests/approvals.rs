//! A forbid that approvals lift has an action wait where nothing else stands in its way, and nothing besides.

use super::fixture::*;
use crate::{Answered, Decision, Depth, Facts, Hold, PolicySet, Problem, decide, explain};
use proptest::prelude::*;
use writ_protocol::Code;
use writ_protocol::action::{Action, Command, Held};
use writ_protocol::entry::{AssertedPrincipal, EntryRef, Need, Positive, Verdict};
use writ_tlog::{Origin, sha256};

const PEOPLE: &str = r#"[
  { "uid": { "type": "Group", "id": "staff" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "Group", "id": "owners" }, "attrs": {}, "parents": [{ "type": "Group", "id": "staff" }] },
  { "uid": { "type": "Group", "id": "security" }, "attrs": {}, "parents": [{ "type": "Group", "id": "staff" }] },
  { "uid": { "type": "Agent", "id": "builder" }, "attrs": {}, "parents": [{ "type": "Group", "id": "owners" }] },
  { "uid": { "type": "User", "id": "ada" }, "attrs": {}, "parents": [{ "type": "Group", "id": "owners" }] },
  { "uid": { "type": "User", "id": "bob" }, "attrs": {}, "parents": [{ "type": "Group", "id": "owners" }, { "type": "Group", "id": "security" }] },
  { "uid": { "type": "User", "id": "eve" }, "attrs": {}, "parents": [] }
]"#;

fn set(text: &str) -> PolicySet {
    let files = [("p.cedar", text), ("entities.json", PEOPLE), ("principals.json", "[]")];
    compile(&files).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

/// A permit of all executions, and a forbid of all of them with these annotations.
fn lifted(annotations: &str) -> PolicySet {
    set(&format!(
        r#"@id("p") permit (principal, action == Action::"exec", resource);
@id("f") {annotations} forbid (principal, action == Action::"exec", resource) // why
;"#
    ))
}

fn found(text: &str) -> Vec<Problem> {
    problems(&[("p.cedar", text), ("entities.json", PEOPLE), ("principals.json", "[]")])
}

fn run() -> Action {
    exec(&["/usr/bin/deploy"])
}

fn approved(by: &[&str]) -> Facts {
    let mut approvals: Vec<AssertedPrincipal> = by.iter().map(|id| principal("User", id)).collect();
    approvals.sort();
    Facts { approvals, ..facts() }
}

fn needs(needs: &[(u64, &str)]) -> Vec<Need> {
    needs.iter().map(|(count, group)| Need { count: Positive::new(*count).unwrap(), group: name(group) }).collect()
}

#[track_caller]
fn held(set: &PolicySet, facts: &Facts) -> Hold {
    match decide(set, &run(), facts) {
        Decision::Hold(hold) => hold,
        found @ (Decision::Permit(_) | Decision::Deny(_)) => panic!("expected a hold, found {found:?}"),
    }
}

#[test]
fn what_approvals_would_lift_waits_for_them_and_is_permitted_with_them() {
    let two = lifted(r#"@approval("2 of owners, security") @approve_within("5m")"#);
    let hold = held(&two, &facts());
    assert_eq!((hold.needs, hold.within_ms), (needs(&[(2, "owners"), (1, "security")]), 300_000));
    assert_eq!(hold.reasons, [name("f")]);
    held(&two, &approved(&["ada"]));
    held(&two, &approved(&["eve"]));
    // Whoever is in both groups counts in both.
    assert_eq!(permitted(decide(&two, &run(), &approved(&["ada", "bob"]))).reasons, [name("p")]);
    assert_eq!(held(&lifted(r#"@approval("owners")"#), &facts()).within_ms, 3_600_000, "an hour, if nothing is said");
    // Members of a group within a group are members.
    permitted(decide(&lifted(r#"@approval("2 of staff")"#), &run(), &approved(&["ada", "bob"])));
}

#[test]
fn nobody_approves_their_own() {
    let one = lifted(r#"@approval("owners")"#);
    let own = Facts { approvals: vec![facts().principal], ..facts() };
    held(&one, &own);
    permitted(decide(&one, &run(), &approved(&["ada"])));
    held(&one, &Facts { principal: principal("User", "ada"), ..approved(&["ada"]) });
}

#[test]
fn what_nothing_lifts_or_nothing_permits_is_denied() {
    let with = |more: &str| {
        set(&format!(
            r#"@id("p") permit (principal, action == Action::"exec", resource) when {{ context.argc < 3 }};
@id("f") @approval("owners") forbid (principal, action == Action::"exec", resource);
{more}"#
        ))
    };
    let facts = facts();
    held(&with(""), &facts);
    let deny = denied(decide(&with(""), &exec(&["a", "b", "c"]), &facts), Code::PolicyDenied);
    assert_eq!(deny.reasons, [name("f")], "nothing would permit it");
    let never = with(r#"@id("never") forbid (principal, action == Action::"exec", resource);"#);
    let deny = denied(decide(&never, &run(), &facts), Code::PolicyDenied);
    assert_eq!(deny.reasons, [name("f"), name("never")]);
    denied(decide(&never, &run(), &approved(&["ada"])), Code::PolicyDenied);
    // One that looks at approvals itself, and forbids with them.
    let contrary = r#"@id("contrary") forbid (principal, action == Action::"exec", resource) when { context.approvals.contains("1 of owners") };"#;
    denied(decide(&with(contrary), &run(), &facts), Code::PolicyDenied);
}

#[test]
fn several_forbids_are_lifted_together() {
    let both = set(r#"@id("p") permit (principal, action == Action::"exec", resource);
@id("a") @approval("owners") @approve_within("10m") forbid (principal, action == Action::"exec", resource);
@id("b") @approval("2 of owners, security") @approve_within("2h") forbid (principal, action == Action::"exec", resource);"#);
    let hold = held(&both, &facts());
    assert_eq!((hold.needs, hold.within_ms), (needs(&[(2, "owners"), (1, "security")]), 600_000));
    assert_eq!(hold.reasons, [name("a"), name("b")]);
    // What is lifted already is not asked again.
    let hold = held(&both, &approved(&["ada"]));
    assert_eq!(hold.reasons, [name("b")]);
}

#[test]
fn an_evaluation_that_fails_denies_whoever_has_approved() {
    let failing = set(r#"@id("p") permit (principal, action == Action::"exec", resource);
@id("f") @approval("owners") forbid (principal, action == Action::"exec", resource) when { context.argc + 9223372036854775807 > 0 };"#);
    denied(decide(&failing, &run(), &facts()), Code::EvaluationError);
    denied(decide(&failing, &run(), &approved(&["ada", "bob"])), Code::EvaluationError);
    // What would fail once somebody approves does not wait for that.
    let hidden = set(r#"@id("p") permit (principal, action == Action::"exec", resource);
@id("f") @approval("owners") forbid (principal, action == Action::"exec", resource);
@id("g") forbid (principal, action == Action::"exec", resource) when { context.approvals.contains("1 of owners") && context.argc + 9223372036854775807 > 0 };"#);
    denied(decide(&hidden, &run(), &facts()), Code::PolicyDenied);
    denied(decide(&hidden, &run(), &approved(&["ada"])), Code::EvaluationError);
}

#[test]
fn orders_do_not_wait() {
    let all = set(r#"@id("p") permit (principal, action, resource);
@id("f") @approval("owners") forbid (principal, action, resource);"#);
    held(&all, &facts());
    let orders = Facts { gateway: None, ..facts() };
    denied(decide(&all, &order(Command::Halt), &orders), Code::PolicyDenied);
    denied(decide(&all, &order(Command::Halt), &Facts { gateway: None, ..approved(&["ada"]) }), Code::PolicyDenied);
}

#[test]
fn answers_are_orders_about_who_waits_and_who_is_asked() {
    let answers = set(r#"@id("a") permit (principal in Group::"owners", action == Action::"approve", resource)
when { context.groups.contains("owners") && context.requester == "Agent::builder" && context.auth == "key" };"#);
    let hold = EntryRef { entry: sha256(b"hold"), index: 4, ledger: Origin::new("writ.example").unwrap() };
    let answer = |verdict| order(Command::Answer(verdict, Held { hold: hold.clone(), action: sha256(b"action") }));
    let about = |groups: &[&str], requester: AssertedPrincipal| Facts {
        principal: principal("User", "ada"),
        gateway: None,
        answers: Some(Answered { groups: groups.iter().map(|one| name(one)).collect(), requester }),
        ..facts()
    };
    let builder = || principal("Agent", "builder");
    permitted(decide(&answers, &answer(Verdict::Approve), &about(&["owners"], builder())));
    denied(decide(&answers, &answer(Verdict::Reject), &about(&["owners"], builder())), Code::PolicyDenied);
    denied(decide(&answers, &answer(Verdict::Approve), &about(&["security"], builder())), Code::PolicyDenied);
    let other = about(&["owners"], principal("User", "bob"));
    denied(decide(&answers, &answer(Verdict::Approve), &other), Code::PolicyDenied);
    let nothing = Facts { answers: None, ..about(&[], builder()) };
    denied(decide(&answers, &answer(Verdict::Approve), &nothing), Code::EvaluationError);
}

#[test]
fn annotations_that_ask_nobody_or_stand_elsewhere_are_refused() {
    let forbid = |annotations: &str| {
        found(&format!(r#"@id("f") {annotations} forbid (principal, action == Action::"exec", resource);"#))
    };
    lifted(r#"@approval("owners")"#);
    lifted(r#"@approval("16 of owners ,1 of security")"#);
    for value in [
        "",
        " ",
        "of owners",
        "0 of owners",
        "17 of owners",
        "01 of owners",
        "two of owners",
        "2 owners",
        "owners, owners",
        "owners,",
        "owners;security",
        "1 of 1 of owners",
        "-1 of owners",
        "owners\\nsecurity",
    ] {
        let found = forbid(&format!(r#"@approval("{value}")"#));
        assert!(matches!(found[..], [Problem::AnnotationForm { .. }]), "{value}: {found:?}");
    }
    assert!(matches!(forbid(r#"@approval("owner")"#)[..], [Problem::LiteralMissing(_)]), "a misspelt group");
    assert!(matches!(forbid(r#"@approve_within("5m")"#)[..], [Problem::WithinWithoutApproval]));
    assert!(matches!(forbid(r#"@approval("owners") @approve_within("soon")"#)[..], [Problem::AnnotationForm { .. }]));
    for annotation in ["approval", "approve_within"] {
        let text = format!(r#"@id("p") @{annotation}("1h") permit (principal, action == Action::"exec", resource);"#);
        assert!(matches!(found(&text)[..], [Problem::AnnotationOnPermit(_)]), "{annotation}");
    }
}

#[test]
fn an_explanation_tells_what_the_engine_was_asked() {
    let set = lifted(r#"@approval("owners")"#);
    let held = explain(&set, &run(), &facts(), Depth::FULL);
    assert_eq!(held.policies[0].truth.as_str(), "holds");
    let permitted = explain(&set, &run(), &approved(&["ada"]), Depth::FULL);
    let forbid = permitted.policies.iter().find(|told| told.id == name("f")).unwrap();
    assert_eq!(forbid.truth.as_str(), "fails", "it is lifted");
    assert!(!forbid.clause.text.contains("approvals"), "as it was written");
}

proptest! {
    /// Whoever approves besides takes nothing back: with more approvals what was permitted stays so, and nothing is asked that was not before.
    #[test]
    fn more_approvals_never_ask_for_more(some in 0u8..16, more in 0u8..16, count in 1u64..4) {
        let set = lifted(&format!(r#"@approval("{count} of owners, security")"#));
        let people = ["ada", "bob", "eve", "builder"];
        let of = |bits: u8| people.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, id)| *id).collect::<Vec<_>>();
        let (few, many) = (decide(&set, &run(), &approved(&of(some))), decide(&set, &run(), &approved(&of(some | more))));
        let owners = ["ada", "bob"].iter().filter(|id| of(some).contains(id)).count() as u64;
        let enough = owners >= count && of(some).contains(&"bob");
        prop_assert_eq!(matches!(few, Decision::Permit(_)), enough);
        prop_assert!(!enough || matches!(many, Decision::Permit(_)));
        prop_assert!(!matches!(few, Decision::Deny(_)) && !matches!(many, Decision::Deny(_)));
    }
}
