//! What is told of decisions: by the node to whoever was refused, by a reader to whoever has the store, and of a candidate set by history.

use crate::answers::{denied, done};
use crate::replay::{Decided, recorded};
use std::sync::Mutex;
use writ_authority::{
    Backtest, Explanation, Outcome, Recorded, Remedy, RetellError, Role, Shift, Truth, Verdict, backtest, retell,
};
use writ_ledger::Reader;
use writ_protocol::Code;
use writ_protocol::action::CommitmentKind;
use writ_testing::governed::{GovernedDomain, Members, PolicyFiles};
use writ_tlog::LeafIndex;

/// Beside what agents may do: something for them that hangs on what the domain knows, and something for others.
const MORE: &str = r#"
@id("agents-release")
permit (principal in Group::"agents", action == Action::"exec", resource == Executable::"/opt/release")
when { context has arg1 && context.arg1 == "--dry" && resource has digest };

@id("agents-odd")
forbid (principal in Group::"agents", action == Action::"exec", resource) when { context has arg2 };

@id("administrators-release")
permit (principal in Group::"administrators", action == Action::"exec", resource == Executable::"/opt/release");
"#;

fn domain() -> GovernedDomain {
    let members = Members::standard(0);
    let policies = PolicyFiles::standard(&members).with("more.cedar", MORE);
    GovernedDomain::with(members, &policies)
}

fn ids(told: &Explanation) -> Vec<(&str, Role)> {
    told.policies.iter().map(|told| (told.id.as_str(), told.role)).collect()
}

#[test]
fn a_refused_caller_is_told_of_its_own_request_and_of_nobody_elses() {
    let domain = domain();
    let asked = domain.asked(&["/opt/release", "--now"]);
    let (refused, _) = denied(&domain, domain.asks("builder", &asked), Code::PolicyDenied);
    let told = domain.authority().explain(&refused).unwrap();
    // Not the forbid that does not apply, and not what administrators may do.
    assert_eq!(ids(&told), [("agents-build", Role::Near), ("agents-release", Role::Near)]);
    assert_eq!((told.elsewhere, told.near_more, told.missed.len()), (0, 0, 0));
    let mut values = Vec::new();
    for part in told.policies.iter().flat_map(|told| told.parts()) {
        values.extend(part.reads.iter().map(|read| (read.attribute.clone(), read.value.clone())));
    }
    let value = |name: &str| values.iter().find(|(found, _)| found == name).unwrap().1.clone();
    assert_eq!(value("context.arg1").as_deref(), Some("\"--now\""));
    assert_eq!(value("resource.digest"), None, "what an entity holds is not the caller's");
    let Some(Remedy::Changes(changes)) = &told.remedy else { panic!("{told:?}") };
    assert_eq!(changes[0].edits[0].to_string(), "argument 1 is \"--dry\"");
    // What was promised is granted.
    crate::answers::permitted(&domain, domain.asks("builder", &domain.asked(&["/opt/release", "--dry"])));

    // A refusal that was given before is not decided again, and one that policy did not make has nothing to explain.
    let (again, _) = denied(&domain, domain.asks("builder", &asked), Code::PolicyDenied);
    assert!(again.receipt.repeated && domain.authority().explain(&again).is_none());
}

#[test]
fn whoever_is_refused_all_the_time_is_told_why_only_so_often_and_refused_all_the_same() {
    let domain = domain();
    let refused = |member: &str| {
        let asked = domain.asked(&["/opt/release", "--now"]);
        denied(&domain, domain.asks(member, &asked), Code::PolicyDenied).0
    };
    let told = (0..60).filter(|_| domain.authority().explain(&refused("builder")).is_some()).count();
    assert_eq!(told, 40);
    assert!(domain.authority().explain(&refused("tester")).is_some(), "nobody pays for another");
    domain.clock.pass(1_000);
    let told = (0..20).filter(|_| domain.authority().explain(&refused("builder")).is_some()).count();
    assert_eq!(told, 10);
}

#[test]
fn a_decision_is_told_again_byte_for_byte_by_whoever_has_the_store() {
    let mut decided = Decided::new();
    let entered = decided.domain.entered();
    let index = |kind: &str| {
        let found = entered.iter().find(|entry| entry.body.entry_type().as_str() == kind).unwrap();
        LeafIndex::new(found.index)
    };
    let reader = Reader::open(&decided.domain.place.store).unwrap();
    let grant = retell(&reader, index("grant")).unwrap();
    assert!(matches!(grant.outcome, Outcome::Same { bytes } if bytes > 400), "{grant:?}");
    assert_eq!(ids(grant.explanation.as_ref().unwrap())[0], ("agents-build", Role::Determining));
    let denial = retell(&reader, index("denial")).unwrap();
    assert_eq!((denial.recorded, denial.policy.is_some()), (Recorded::Deny(Code::PolicyDenied), true));
    assert!(matches!(denial.outcome, Outcome::Same { .. }), "{denial:?}");
    let near = &denial.explanation.as_ref().unwrap().policies[0];
    assert_eq!((near.id.as_str(), &near.truth), ("agents-build", &Truth::Fails));
    let none = retell(&reader, LeafIndex::new(0)).unwrap_err();
    assert!(matches!(none, RetellError::NoDecision { .. }), "{none}");
    drop(reader);

    // What the recorded policy does not decide does not become right by being told.
    let doctored = [decided.denial(|denial| denial.code = Code::BudgetExceeded), decided.hold()];
    let before = decided.domain.size();
    decided.domain.slips_in(doctored);
    let reader = Reader::open(&decided.domain.place.store).unwrap();
    let told = retell(&reader, LeafIndex::new(before)).unwrap();
    assert_eq!(told.outcome, Outcome::Differs("recorded is budget_exceeded, derived is policy_denied".to_owned()));
    assert!(told.explanation.is_none());
    let told = retell(&reader, LeafIndex::new(before + 2)).unwrap();
    assert_eq!(told.outcome, Outcome::Differs("recorded is a hold, derived is a permit".to_owned()));
}

/// Over everything that was decided, with how far it said it was at the end.
fn tried(domain: &GovernedDomain, policies: &PolicyFiles) -> Backtest {
    let last = Mutex::new((0, 0));
    let progress = |done, total| {
        let mut last = last.lock().unwrap();
        *last = (last.0.max(done), total);
    };
    let tried = backtest(&domain.place.store, &policies.snapshot(), &progress).unwrap();
    assert_eq!(*last.lock().unwrap(), (tried.entries, tried.entries));
    tried
}

#[test]
fn history_says_whom_a_candidate_would_answer_otherwise() {
    let members = Members::standard(0);
    let standard = PolicyFiles::standard(&members);
    let domain = GovernedDomain::with(members, &standard);
    for _ in 0..3 {
        crate::answers::permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    }
    denied(&domain, domain.asks("builder", &domain.asked(&["/opt/x"])), Code::PolicyDenied);
    denied(&domain, domain.asks("builder", &domain.asked(&["/usr/bin/dd"])), Code::PolicyDenied);
    let same = tried(&domain, &standard);
    assert_eq!((same.verdict(), same.decided, same.same, same.undecided), (Verdict::Unchanged, 5, 5, 0));
    assert_eq!(same.changed, []);

    let candidate = standard.clone().with(
        "standard.cedar",
        r#"@id("agents-x")
        permit (principal in Group::"agents", action == Action::"exec", resource == Executable::"/opt/x");
        @id("no-disks-at-all")
        forbid (principal, action == Action::"exec", resource) when { context.path == "/usr/bin/dd" };"#,
    );
    let other = tried(&domain, &candidate);
    assert_eq!((other.verdict(), other.decided, other.same), (Verdict::Changes, 5, 0));
    let told: Vec<_> = other
        .changed
        .iter()
        .map(|group| (group.shift, group.principal.as_str(), group.resource.as_str(), group.count))
        .collect();
    let path = &other.changed[1].resource;
    assert_eq!(
        told,
        [
            (Shift::Permitted, "Agent::builder", "/opt/x", 1),
            (Shift::Denied, "Agent::builder", path.as_str(), 3),
            (Shift::Reasons, "Agent::builder", "/usr/bin/dd", 1),
        ]
    );
    let denied = &other.changed[1];
    let came = |came: &writ_authority::Came| (came.outcome, came.reasons.iter().map(|one| one.to_string()).collect());
    assert_eq!(came(&denied.was), (Recorded::Permit, vec!["agents-build".to_owned()]));
    assert_eq!(came(&denied.would), (Recorded::Deny(Code::PolicyDenied), Vec::new()));
    assert_eq!((denied.examples.len(), denied.examples.last()), (3, Some(&denied.last)));
    assert!(denied.examples.is_sorted());

    // Other terms for the same answer are no other answer, and are told.
    let text = r#"@id("agents-build") @window("5s")
        permit (principal in Group::"agents", action == Action::"exec", resource) when { context.path like "/usr/bin/*" };
        @id("no-disks")
        forbid (principal, action == Action::"exec", resource) when { context.path == "/usr/bin/dd" };"#;
    let shorter = tried(&domain, &standard.with("standard.cedar", text));
    assert_eq!((shorter.verdict(), shorter.count(Shift::Terms), shorter.same), (Verdict::Unchanged, 3, 2));
}

#[test]
fn what_cannot_be_decided_again_is_undecided_and_does_not_pass() {
    let decided = Decided::new();
    let members = Members::standard(0);
    let standard = PolicyFiles::standard(&members);
    assert_eq!(tried(&decided.domain, &standard).decided, 2);
    let of: Vec<_> = decided.domain.entered().iter().filter_map(|entry| recorded(&decided, entry)).collect();
    let grant = of.iter().find(|one| one.entry_type().as_str() == "grant").unwrap();
    decided.domain.clock.pass(3_600_000);
    let facts = grant.opening(CommitmentKind::Facts).commitment();
    done(&decided.domain, decided.domain.erases(grant.index.get(), facts));
    let after = tried(&decided.domain, &standard);
    assert_eq!((after.verdict(), after.decided, after.undecided), (Verdict::Undecided, 2, 1));
    let named = &after.not_decided[0];
    assert_eq!((named.index, named.what.as_str()), (grant.index.get(), "its facts are erased"));
    let reader = Reader::open(&decided.domain.place.store).unwrap();
    let told = retell(&reader, grant.index).unwrap();
    assert_eq!(told.outcome, Outcome::Erased("its facts are erased"));
    assert!(told.explanation.is_none() && told.action.is_some());
}

#[test]
fn a_candidate_that_does_not_compile_and_a_store_that_is_not_there_are_errors() {
    let decided = Decided::new();
    let standard = PolicyFiles::standard(&Members::standard(0));
    let broken = standard.clone().with("standard.cedar", "permit").snapshot();
    assert!(backtest(&decided.domain.place.store, &broken, &|_, _| {}).is_err());
    let nowhere = decided.domain.home().join("nowhere.db");
    assert!(backtest(&nowhere, &standard.snapshot(), &|_, _| {}).is_err());
}
