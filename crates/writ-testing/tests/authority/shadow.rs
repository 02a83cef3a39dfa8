//! What policy would answer is recorded, and nothing comes of it: it lets nothing run, draws from nothing, and is judged by policy alone.

use crate::answers::{denied, permitted, shadowed, turned_away};
use serde_json::json;
use std::collections::BTreeMap;
use writ_authority::{
    Answer, Caller, LearnFrom, Outcome, Rate, Received, Shift, Snapshot, Verdict, backtest, learn, retell,
};
use writ_ledger::{Draft, Kept, Ledger, Options, Proposal, Reader};
use writ_protocol::action::{Command, CommitmentKind};
use writ_protocol::entry::{
    Ascending, AssertedPrincipal, EntryRef, Grant, GrantFields, Place, Positive, PrincipalRef, Shadow, ShadowFields,
    Target, Would,
};
use writ_protocol::statement::{Ask, Claim, Component, Ending, Request};
use writ_protocol::{Body, Code, Label, Name, WritId, WritVerifier};
use writ_testing::governed::{GovernedDomain, Members, PolicyFiles, wait};
use writ_testing::scenario::digest;
use writ_tlog::sha256;

/// A domain whose agents may build three times.
fn with_budget() -> GovernedDomain {
    let budget =
        r#"@id("three") @budget("3") permit (principal == Agent::"builder", action == Action::"exec", resource);"#;
    let members = Members::standard(4_000);
    let policies = PolicyFiles::standard(&members).with("budget.cedar", budget);
    GovernedDomain::with(members, &policies)
}

fn names(shadow: &Shadow) -> Vec<&str> {
    shadow.policy.reasons.as_slice().iter().map(Name::as_str).collect()
}

#[test]
fn what_policy_would_answer_is_recorded_with_its_reasons() {
    let mut domain = GovernedDomain::new();
    let build = domain.in_shadow(domain.asked_to_build());
    let (told, shadow) = shadowed(&domain, domain.shadows("builder", &build));
    assert_eq!((told.would, names(&shadow)), (Would::Permit, vec!["agents-build"]));
    assert!(told.why.is_none() && told.basis.is_none(), "{told:?}");
    let elsewhere = domain.in_shadow(domain.asked(&["/opt/x"]));
    let (told, shadow) = shadowed(&domain, domain.shadows("builder", &elsewhere));
    assert_eq!((told.would, names(&shadow)), (Would::PolicyDenied, vec![]));
    assert!(told.why.as_deref().unwrap().contains("no policy permits it"), "{told:?}");
    assert!(domain.authority().explain_shadow(&told).is_some());
    let disks = domain.in_shadow(domain.asked(&["/usr/bin/dd"]));
    let (told, shadow) = shadowed(&domain, domain.shadows("builder", &disks));
    assert_eq!((told.would, names(&shadow)), (Would::PolicyDenied, vec!["no-disks"]));
    assert_eq!(told.clauses[0].0.as_str(), "no-disks");
    let judged = domain.judged();
    assert!(judged.is_clean());
    assert_eq!(judged.replay.same, 3, "each was derived again");
}

#[test]
fn what_cannot_be_evaluated_and_what_is_not_the_pinned_program_would_be_refused_as_such() {
    let members = Members::standard(4_000);
    let overflow = r#"@id("overflow") forbid (principal, action == Action::"exec", resource)
when { context.argc + 9223372036854775807 > 0 };"#;
    let pin: String = sha256(b"another make").as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let uid = json!({ "type": "Executable", "id": "/usr/bin/make" });
    let entities = members.entities(&[json!({ "uid": uid, "attrs": { "digest": pin }, "parents": [] })]);
    let standard = PolicyFiles::standard(&members);
    for (policies, would) in [
        (standard.clone().with("overflow.cedar", overflow), Would::EvaluationError),
        (standard.with("entities.json", &entities), Would::IntegrityFailure),
    ] {
        let mut domain = GovernedDomain::with(Members::standard(4_000), &policies);
        let build = domain.in_shadow(domain.asked_to_build());
        let (told, _) = shadowed(&domain, domain.shadows("builder", &build));
        assert_eq!(told.would, would);
        assert!(domain.judged().is_clean());
    }
}

/// What is recorded can be read again: else one request would keep replay from ever coming out right.
#[test]
fn surroundings_that_are_too_large_are_refused_before_anything_stands_on_them() {
    let mut domain = GovernedDomain::new();
    let large = |mut request: Request| {
        match &mut request.ask {
            Ask::Authorize(ask) => fill(&mut ask.surroundings),
            Ask::Shadow(ask) => fill(&mut ask.surroundings),
            Ask::Order => panic!("an order"),
        }
        request
    };
    let shadow = large(domain.in_shadow(domain.asked_to_build()));
    let (told, denial) = denied(&domain, domain.shadows("builder", &shadow), Code::Malformed);
    assert!(told.why.contains("65536 bytes") && denial.facts.is_none(), "{}", told.why);
    denied(&domain, domain.asks("builder", &large(domain.asked_to_build())), Code::Malformed);
    assert!(domain.judged().is_clean());
}

fn fill(surroundings: &mut Vec<Component>) {
    let last = surroundings.iter().map(|one| one.name.clone()).max();
    let name = Label::new("zz").unwrap();
    assert!(last.is_none_or(|last| last < name));
    surroundings.push(Component { name, value: "x".repeat(70_000) });
}

#[test]
fn the_same_question_has_one_answer_even_under_another_policy() {
    let domain = GovernedDomain::new();
    let build = domain.in_shadow(domain.asked_to_build());
    let (first, _) = shadowed(&domain, domain.shadows("builder", &build));
    let nothing = PolicyFiles::standard(&domain.members).with("standard.cedar", "");
    domain.authority().activate(&nothing.snapshot()).unwrap().unwrap();
    let (again, _) = shadowed(&domain, domain.shadows("builder", &build));
    assert!(again.receipt.repeated);
    assert_eq!((again.receipt.index, again.would), (first.receipt.index, Would::Permit));
    let anew = domain.in_shadow(domain.asked_to_build());
    let (now, shadow) = shadowed(&domain, domain.shadows("builder", &anew));
    assert_eq!((now.would, shadow.policy.epoch), (Would::PolicyDenied, 2));
}

#[test]
fn a_key_is_answered_once_whatever_is_asked_with_it() {
    let domain = GovernedDomain::new();
    let asked = domain.asked_to_build();
    shadowed(&domain, domain.shadows("builder", &domain.in_shadow(asked.clone())));
    // Not even as a denial: nothing else can be recorded under it.
    turned_away(&domain, || domain.asks("builder", &asked), Code::Replayed);
}

/// Signed for one purpose, a request is of no use for another: neither way, nor for orders.
#[test]
fn requests_of_one_kind_are_refused_where_another_is_asked_for() {
    let domain = GovernedDomain::new();
    let (build, origin) = (domain.asked_to_build(), domain.domain.origin());
    let member = domain.member("builder");
    let shadow = member.sign(&domain.in_shadow(build.clone()), origin);
    let authorize = member.sign(&build, origin);
    let order = domain.member("alice").sign(&domain.domain.asked_order(Command::Halt), origin);
    let authority = domain.authority();
    let remote = Caller::Remote;
    turned_away(&domain, || wait(authority.authorize(&remote, Received::Signed(&shadow))), Code::Malformed);
    turned_away(&domain, || wait(authority.order(&remote, Received::Signed(&shadow))), Code::Malformed);
    turned_away(&domain, || wait(authority.shadow(&remote, Received::Signed(&authorize))), Code::Malformed);
    turned_away(&domain, || wait(authority.shadow(&remote, Received::Signed(&order))), Code::Malformed);
    let order = domain.in_shadow(domain.domain.asked_order(Command::Halt));
    let order = member.sign(&order, origin);
    turned_away(&domain, || wait(authority.shadow(&remote, Received::Signed(&order))), Code::Malformed);
}

#[test]
fn strangers_and_whoever_says_they_are_somebody_else_are_refused_as_everywhere() {
    let domain = GovernedDomain::new();
    let build = || domain.in_shadow(domain.asked_to_build());
    let stranger = build().sign(domain.domain.origin(), domain.domain.holder().signing_key());
    let authority = domain.authority();
    turned_away(
        &domain,
        || wait(authority.shadow(&Caller::Remote, Received::Signed(&stranger))),
        Code::Unauthenticated,
    );
    let mut named = build();
    let alice = domain.member("alice").name().clone();
    named.principal = Some(PrincipalRef { kind: alice.kind, id: alice.id });
    denied(&domain, domain.shadows("builder", &named), Code::IdentityMismatch);
    let mut old = build();
    old.time_ms -= 120_000;
    turned_away(&domain, || domain.shadows("builder", &old), Code::Expired);
}

#[test]
fn a_principal_that_asks_too_much_is_turned_away() {
    let mut domain = GovernedDomain::new();
    domain.rate = Rate { per_second: 1, burst: 2 };
    let policies = PolicyFiles::standard(&domain.members);
    domain.open(&policies);
    for _ in 0..2 {
        let build = domain.in_shadow(domain.asked_to_build());
        shadowed(&domain, domain.shadows("builder", &build));
    }
    let build = domain.in_shadow(domain.asked_to_build());
    turned_away(&domain, || domain.shadows("builder", &build), Code::RateLimited);
}

#[test]
fn it_draws_from_no_counter_and_is_told_of_no_limit() {
    let domain = with_budget();
    for _ in 0..5 {
        let build = domain.in_shadow(domain.asked_to_build());
        let (told, _) = shadowed(&domain, domain.shadows("builder", &build));
        assert_eq!(told.would, Would::Permit);
    }
    for _ in 0..3 {
        permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    }
    denied(&domain, domain.asks("builder", &domain.asked_to_build()), Code::BudgetExceeded);
    // What is used up is the ledger's order, and not policy.
    let build = domain.in_shadow(domain.asked_to_build());
    let (told, _) = shadowed(&domain, domain.shadows("builder", &build));
    assert_eq!(told.would, Would::Permit);
}

/// Halts and revocations stop what would run; what policy says is what it says.
#[test]
fn under_a_halt_and_after_a_revocation_it_is_recorded_and_permits_nothing() {
    let mut domain = GovernedDomain::new();
    let builder = AssertedPrincipal { kind: Name::new("Agent").unwrap(), id: Name::new("builder").unwrap() };
    domain.revoke(Target::Principal(builder));
    assert!(matches!(domain.orders("alice", Command::Halt), Answer::Done(_)));
    let build = domain.in_shadow(domain.asked_to_build());
    let (told, _) = shadowed(&domain, domain.shadows("builder", &build));
    assert_eq!(told.would, Would::Permit);
    denied(&domain, domain.asks("builder", &domain.asked_to_build()), Code::Halted);
    assert!(domain.judged().is_clean());
}

#[test]
fn its_proof_is_no_writ_and_nothing_is_spent_or_caused_by_it() {
    let mut domain = GovernedDomain::new();
    let build = domain.in_shadow(domain.asked_to_build());
    let (told, _) = shadowed(&domain, domain.shadows("builder", &build));
    let presented = told.receipt.to_writ();
    let refused = WritVerifier::new(domain.domain.trust_root()).verify(&presented).unwrap_err();
    assert_eq!(refused.code(), Code::NotAWrit);
    let (writ, index) = (told.receipt.hash(), told.receipt.index.get());
    let execution = domain.domain.execution_id();
    let usage = Positive::ONE;
    let spent = domain.states(0, Claim::Spent { writ, index, execution, usage }).unwrap_err();
    assert_eq!(spent.code(), Code::MissingWrit);
    let (action, surroundings) = (digest("action"), digest("surroundings"));
    let started = domain.states(0, Claim::Started { writ, execution, action, surroundings }).unwrap_err();
    assert_eq!(started.code(), Code::LineageBroken);
    let ended = domain.states(0, Claim::Ended { writ, execution, result: Ending::Exited(0) }).unwrap_err();
    assert_eq!(ended.code(), Code::LineageBroken);
    // As its cause, or as the hold that it resolves, a grant cannot name it either.
    let (_, grant) = permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    let reference = EntryRef { entry: writ, index, ledger: domain.domain.origin().clone() };
    let name = |change: &dyn Fn(&mut GrantFields)| {
        let mut fields = GrantFields::clone(&grant);
        fields.id = WritId::new(fields.time_ms, [7; 10]);
        fields.request = domain.domain.request();
        change(&mut fields);
        Grant::new(fields).unwrap()
    };
    let caused = name(&|fields| {
        fields.cause.place = Place::Caused { depth: 1, parent: reference.clone(), origin: reference.clone() };
    });
    let resolving = name(&|fields| fields.hold = Some(reference.clone()));
    domain.close();
    let clock = domain.clock.clone();
    let options = Options::new(move || clock.now_ms());
    let ledger = Ledger::open(&domain.place, domain.domain.ledger_signer(), options).unwrap();
    for (grant, code) in [(caused, Code::LineageBroken), (resolving, Code::ApprovalRejected)] {
        let refused = ledger.append(Proposal::new(Draft::Grant(grant))).unwrap_err();
        assert_eq!(refused.refusal().code(), code);
    }
    ledger.close().unwrap();
}

#[test]
fn a_shadow_that_policy_does_not_say_is_found_by_replay() {
    let mut domain = GovernedDomain::new();
    let build = domain.in_shadow(domain.asked_to_build());
    let (told, shadow) = shadowed(&domain, domain.shadows("builder", &build));
    let reader = Reader::open(&domain.place.store).unwrap();
    let openings: Vec<_> = Body::Shadow(shadow.clone())
        .commitments()
        .into_iter()
        .filter_map(|(kind, commitment)| match reader.kept(told.receipt.index, kind, &commitment).unwrap() {
            Kept::Value(opening) if kind != CommitmentKind::Request => Some(opening),
            _ => None,
        })
        .collect();
    let changed = |change: &dyn Fn(&mut ShadowFields)| {
        let mut fields = ShadowFields::clone(&shadow);
        fields.request = domain.domain.request();
        change(&mut fields);
        let draft = Draft::Shadow(Shadow::new(fields).unwrap());
        Proposal::new(draft).with_openings(openings.clone())
    };
    let proposals = [
        changed(&|fields| fields.would = Would::PolicyDenied),
        changed(&|fields| fields.policy.reasons = Ascending::new([])),
    ];
    domain.slips_in(proposals);
    let judged = domain.judged();
    let what: Vec<&str> = judged.replay.findings.iter().map(|found| found.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "recorded is what would be policy_denied, derived is permit",
            "recorded policies are [], derived are [agents-build]"
        ]
    );
}

#[test]
fn one_is_told_again_byte_for_byte_and_explained() {
    let mut domain = GovernedDomain::new();
    let elsewhere = domain.in_shadow(domain.asked(&["/opt/x"]));
    let (told, _) = shadowed(&domain, domain.shadows("builder", &elsewhere));
    domain.close();
    let retold = retell(&Reader::open(&domain.place.store).unwrap(), told.receipt.index).unwrap();
    assert!(retold.shadow);
    assert_eq!(retold.recorded.as_str(), "policy_denied");
    assert!(matches!(retold.outcome, Outcome::Same { .. }), "{retold:?}");
    assert!(retold.explanation.is_some());
}

/// From a set that permits no execution to one that permits what ran, without anything having been enforced.
#[test]
fn a_set_is_learnt_from_shadows_and_never_from_what_was_forbidden() {
    let members = Members::standard(4_000);
    let nothing = r#"@id("no-disks")
forbid (principal, action == Action::"exec", resource) when { context.path == "/usr/bin/dd" };
"#;
    let policies = PolicyFiles::standard(&members).with("standard.cedar", nothing);
    let mut domain = GovernedDomain::with(members, &policies);
    for command in [["/usr/bin/make", "test"], ["/usr/bin/make", "lint"], ["/usr/bin/dd", "if=x"]] {
        let asked = domain.in_shadow(domain.asked(&command));
        shadowed(&domain, domain.shadows("builder", &asked));
    }
    domain.close();
    let (store, quiet) = (domain.place.store.clone(), |_, _| {});
    let active: Snapshot = policies.snapshot();
    assert_eq!(learn(&store, &active, LearnFrom::default(), &quiet).unwrap().seen, 0, "nothing was granted");
    let from = LearnFrom { shadow: true, refusals: false };
    let learned = learn(&store, &active, from, &quiet).unwrap();
    assert_eq!((learned.seen, learned.shadow, learned.proposal.policies), (2, 2, 1));
    let text = &learned.proposal.text;
    assert!(text.contains("// Seen 2 times in shadow, entries"), "{text}");
    assert!(text.contains("once in shadow, entry"), "{text}");
    assert!(!text.contains("dd"), "{text}");
    assert_eq!(learned.tried.count(Shift::Permitted), 2);
    let groups: BTreeMap<bool, u64> = learned.tried.changed.iter().map(|one| (one.shadow, one.count)).collect();
    assert!(!groups.contains_key(&false), "{groups:?}");
    assert_eq!(learned.tried.shadow, 3);
    // In force, the same questions come out as what was learnt.
    let same = backtest(&store, &active, &quiet).unwrap();
    assert_eq!((same.verdict(), same.shadow, same.same), (Verdict::Unchanged, 3, 3));
    let learned_files = learned.candidate.files().iter();
    let learned_set = learned_files.fold(PolicyFiles::standard(&domain.members), |files, (path, content)| {
        files.with(path, std::str::from_utf8(content).unwrap())
    });
    domain.open(&learned_set);
    let (_, grant) = permitted(&domain, domain.asks("builder", &domain.asked(&["/usr/bin/make", "test"])));
    assert_eq!(grant.policy.reasons.as_slice()[0].as_str(), "learned/1");
    denied(&domain, domain.asks("builder", &domain.asked(&["/usr/bin/make", "install"])), Code::PolicyDenied);
}
