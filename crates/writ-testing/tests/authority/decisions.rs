//! What a known principal is refused, and why.

use crate::answers::{denied, permitted, turned_away};
use serde_json::json;
use writ_protocol::entry::{AssertedPrincipal, Audience, Positive, Target};
use writ_protocol::statement::{Claim, Ending, RootCommand};
use writ_protocol::{Code, Label, Name};
use writ_testing::governed::{GovernedDomain, Members, PolicyFiles, wait};
use writ_tlog::{Hash, sha256};

const OVERFLOWING: &str = r#"@id("overflow") forbid (principal, action == Action::"exec", resource)
when { context.argc + 9223372036854775807 > 0 };"#;

fn with(path: &str, text: &str) -> GovernedDomain {
    let members = Members::standard(4_000);
    let policies = PolicyFiles::standard(&members).with(path, text);
    GovernedDomain::with(members, &policies)
}

#[test]
fn what_no_policy_permits_is_denied() {
    let mut domain = GovernedDomain::new();
    let (told, denial) = denied(&domain, domain.asks("builder", &domain.asked(&["/opt/x"])), Code::PolicyDenied);
    assert!(told.clauses.is_empty());
    let policy = denial.policy.unwrap();
    assert_eq!((policy.reasons.as_slice(), policy.epoch), (&[][..], 1));
    assert!(denial.facts.is_some(), "what it was decided on is recorded too");
    // A member that no permit names.
    denied(&domain, domain.asks("bob", &domain.asked_to_build()), Code::PolicyDenied);
    assert!(domain.judged().is_clean());
}

#[test]
fn what_a_policy_forbids_is_denied_with_the_clause() {
    let domain = GovernedDomain::new();
    let (told, denial) = denied(&domain, domain.asks("builder", &domain.asked(&["/usr/bin/dd"])), Code::PolicyDenied);
    let reason = Name::new("no-disks").unwrap();
    assert_eq!(denial.policy.unwrap().reasons.as_slice(), std::slice::from_ref(&reason));
    let (name, clause) = &told.clauses[0];
    assert_eq!((name, clause.file.as_str()), (&reason, "standard.cedar"));
    assert!(clause.text.starts_with("@id(\"no-disks\")\nforbid"), "{}", clause.text);
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies() {
    let mut domain = with("overflow.cedar", OVERFLOWING);
    let (told, _) = denied(&domain, domain.asks("builder", &domain.asked_to_build()), Code::EvaluationError);
    assert!(told.why.contains("overflow"), "{}", told.why);
    assert!(domain.judged().is_clean());
}

#[test]
fn an_executable_that_is_not_the_pinned_one_is_denied() {
    let members = Members::standard(4_000);
    let pin = |digest: &Hash| {
        let digest: String = digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let uid = json!({ "type": "Executable", "id": "/usr/bin/make" });
        members.entities(&[json!({ "uid": uid, "attrs": { "digest": digest }, "parents": [] })])
    };
    let wrong = PolicyFiles::standard(&members).with("entities.json", &pin(&sha256(b"another make")));
    let right =
        PolicyFiles::standard(&members).with("entities.json", &pin(&writ_testing::scenario::digest("/usr/bin/make")));
    let mut domain = GovernedDomain::with(Members::standard(4_000), &wrong);
    let (_, denial) = denied(&domain, domain.asks("builder", &domain.asked_to_build()), Code::IntegrityFailure);
    assert!(denial.policy.unwrap().reasons.as_slice().is_empty());
    domain.authority().activate(&right.snapshot()).unwrap().unwrap();
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    assert!(domain.judged().is_clean());
}

#[test]
fn a_budget_that_is_drawn_denies() {
    let budget =
        r#"@id("three") @budget("3") permit (principal == Agent::"builder", action == Action::"exec", resource);"#;
    let mut domain = with("budget.cedar", budget);
    for _ in 0..3 {
        let (_, grant) = permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
        assert_eq!(grant.draws()[0].limit.get(), 3);
    }
    let (_, denial) = denied(&domain, domain.asks("builder", &domain.asked_to_build()), Code::BudgetExceeded);
    assert_eq!(denial.policy.unwrap().reasons.as_slice().len(), 0);
    // A counter belongs to a principal.
    permitted(&domain, domain.asks("tester", &domain.asked_to_build()));
    assert!(domain.judged().is_clean());
}

#[test]
fn a_gateway_that_is_not_enrolled_gets_no_writ() {
    let domain = GovernedDomain::new();
    let gateway = |name: &str, epoch| Audience::Gateway {
        gateway: Name::new(name).unwrap(),
        epoch: Positive::new(epoch).unwrap(),
    };
    let asked = |audience| GovernedDomain::changed(domain.asked_to_build(), |ask| ask.audience = audience);
    denied(&domain, domain.asks("builder", &asked(gateway("gateway-9", 1))), Code::UnknownAuthority);
    denied(&domain, domain.asks("builder", &asked(gateway("gateway-1", 2))), Code::WrongAudience);
    domain.authority().enrol(&domain.domain.gateway_name(0), domain.gateway_key(0, 2), vec![]).unwrap();
    denied(&domain, domain.asks("builder", &asked(gateway("gateway-1", 1))), Code::WrongAudience);
    permitted(&domain, domain.asks("builder", &asked(gateway("gateway-1", 2))));
}

#[test]
fn an_order_is_no_execution() {
    let domain = GovernedDomain::new();
    let order = domain.domain.order(writ_protocol::action::Command::Halt);
    let request =
        writ_protocol::statement::Request { action: order.value, action_salt: order.salt, ..domain.asked_to_build() };
    denied(&domain, domain.asks("alice", &request), Code::Malformed);
    assert_eq!(domain.authority().published().control.halted(), None);
    // And an order that is sent to where writs are asked for is not done.
    let order = writ_protocol::statement::Request {
        time_ms: domain.clock.now_ms(),
        ..domain.domain.asked_order(writ_protocol::action::Command::Halt)
    };
    turned_away(&domain, || domain.asks("alice", &order), Code::Malformed);
    assert_eq!(domain.authority().published().control.halted(), None);
}

#[test]
fn an_execution_id_is_used_once() {
    let mut domain = GovernedDomain::new();
    let execution = domain.domain.execution_id();
    let admit = |nonce: u8| Some(writ_protocol::entry::Admitted { nonce: sha256(&[nonce]), execution });
    let asked = |nonce| GovernedDomain::changed(domain.asked_to_build(), |ask| ask.admit = admit(nonce));
    permitted(&domain, domain.asks("builder", &asked(1)));
    denied(&domain, domain.asks("builder", &asked(2)), Code::Replayed);
    assert!(domain.judged().is_clean());
}

#[test]
fn what_is_revoked_gets_no_writ() {
    type Revoked = fn(&GovernedDomain) -> Target;
    let principal: Revoked = |domain| Target::Principal(domain.member("builder").name().clone());
    let cases: [(&str, Revoked, bool); 5] = [
        ("principal", principal, true),
        ("key", |domain| Target::Key(domain.member("builder").key().public().fingerprint()), true),
        ("holder key", |domain| Target::Key(domain.domain.holder().public().fingerprint()), false),
        ("policy", |domain| Target::Policy(*domain.authority().policy().set.digest()), false),
        ("gateway", |domain| Target::Gateway(domain.domain.gateway_name(0)), false),
    ];
    for (what, target, others_go_on) in cases {
        let mut domain = GovernedDomain::new();
        permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
        domain.revoke(target(&domain));
        let (told, denial) = denied(&domain, domain.asks("builder", &domain.asked_to_build()), Code::Revoked);
        assert!(told.why.contains("revoked by entry"), "{what}: {}", told.why);
        assert!(denial.policy.is_some(), "{what}: policy permitted it, the order of the ledger did not");
        if others_go_on {
            permitted(&domain, domain.asks("tester", &domain.asked_to_build()));
        } else {
            denied(&domain, domain.asks("tester", &domain.asked_to_build()), Code::Revoked);
        }
        assert!(domain.judged().is_clean(), "{what}");
    }
}

#[test]
fn a_writ_that_is_revoked_by_itself_or_its_lineage_is_not_spent() {
    type Revoked = fn(&GovernedDomain, Hash) -> Target;
    let lineage: Revoked = |domain, entry| Target::Lineage { ledger: domain.domain.origin().clone(), entry };
    let cases: [(&str, Revoked); 2] = [("writ", |_, writ| Target::Writ(writ)), ("lineage", lineage)];
    for (what, target) in cases {
        let mut domain = GovernedDomain::new();
        let (receipt, _) = permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
        let (other, _) = permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
        domain.revoke(target(&domain, receipt.hash()));
        let spend = |receipt: &writ_ledger::Receipt| Claim::Spent {
            writ: receipt.hash(),
            index: receipt.index.get(),
            execution: domain.domain.execution_id(),
            usage: Positive::ONE,
        };
        let before = domain.size();
        assert_eq!(domain.states(0, spend(&receipt)).unwrap_err().code(), Code::Revoked, "{what}");
        assert_eq!(domain.size(), before);
        domain.states(0, spend(&other)).unwrap();
        assert!(domain.judged().is_clean(), "{what}");
    }
}

#[test]
fn statements_that_do_not_fit_are_refused_and_leave_nothing() {
    let mut domain = GovernedDomain::new();
    let (receipt, grant) = permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    let execution = domain.domain.execution_id();
    let spent = Claim::Spent { writ: receipt.hash(), index: receipt.index.get(), execution, usage: Positive::ONE };
    let started = Claim::Started {
        writ: receipt.hash(),
        execution,
        action: grant.action.digest,
        surroundings: grant.surroundings.digest,
    };
    let ended = |result| Claim::Ended { writ: receipt.hash(), execution, result };
    let refused = |gateway, claim: &Claim, code| {
        let before = domain.size();
        assert_eq!(domain.states(gateway, claim.clone()).unwrap_err().code(), code, "{claim:?}");
        assert_eq!(domain.size(), before);
    };
    refused(0, &started, Code::LineageBroken);
    refused(1, &spent, Code::WrongAudience);
    let statement = domain.statement(0, spent.clone());
    let first = wait(domain.authority().state(&writ_authority::Caller::Remote, &statement, None)).unwrap();
    let again = wait(domain.authority().state(&writ_authority::Caller::Remote, &statement, None)).unwrap();
    assert_eq!((first.index, first.repeated, again.repeated), (again.index, false, true));
    refused(0, &spent, Code::Replayed);
    refused(0, &ended(Ending::Exited(0)), Code::LineageBroken);
    refused(1, &started, Code::LineageBroken);
    domain.states(0, started.clone()).unwrap();
    refused(0, &started, Code::Replayed);
    domain.states(0, ended(Ending::Exited(0))).unwrap();
    refused(0, &ended(Ending::Exited(0)), Code::Replayed);
    assert!(domain.judged().is_clean());
}

#[test]
fn nothing_is_granted_while_the_domain_is_halted() {
    let mut domain = GovernedDomain::new();
    let (receipt, _) = permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    crate::answers::done(&domain, domain.orders("alice", writ_protocol::action::Command::Halt));
    denied(&domain, domain.asks("builder", &domain.asked_to_build()), Code::Halted);
    let execution = domain.domain.execution_id();
    let spent = Claim::Spent { writ: receipt.hash(), index: receipt.index.get(), execution, usage: Positive::ONE };
    assert_eq!(domain.states(0, spent.clone()).unwrap_err().code(), Code::Halted);
    // Revoking is still possible; only the root ends a halt.
    domain.revoke(Target::Principal(AssertedPrincipal { ..domain.member("tester").name().clone() }));
    let policies = PolicyFiles::standard(&domain.members);
    domain.root_orders(RootCommand::Resume(Label::new("resolved").unwrap()), &policies).unwrap();
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    domain.states(0, spent).unwrap();
    domain.root_orders(RootCommand::Halt(Label::new("drill").unwrap()), &policies).unwrap();
    denied(&domain, domain.asks("builder", &domain.asked_to_build()), Code::Halted);
    assert!(domain.judged().is_clean());
}

#[test]
fn nothing_is_recorded_under_a_clock_that_was_set_back() {
    let mut domain = GovernedDomain::new();
    domain.clock.pass(60_000);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    let right_ms = domain.clock.now_ms();
    domain.clock.set(right_ms - 5_001);
    let before = domain.size();
    let answer = domain.asks("builder", &domain.asked_to_build());
    assert!(matches!(&answer, writ_authority::Answer::TurnedAway(refusal) if refusal.code() == Code::ClockUntrusted));
    let denied_anyway = domain.asks("builder", &domain.asked(&["/usr/bin/dd"]));
    assert!(
        matches!(denied_anyway, writ_authority::Answer::TurnedAway(refusal) if refusal.code() == Code::ClockUntrusted)
    );
    let order = domain.orders("alice", writ_protocol::action::Command::Halt);
    assert!(matches!(order, writ_authority::Answer::TurnedAway(refusal) if refusal.code() == Code::ClockUntrusted));
    assert_eq!(wait(domain.authority().record_turned_away()).unwrap_err().code(), Code::ClockUntrusted);
    assert_eq!(domain.size(), before);
    // Once it is right again, what was counted meanwhile is recorded.
    domain.clock.set(right_ms);
    let receipt = wait(domain.authority().record_turned_away()).unwrap().unwrap();
    let writ_protocol::Body::Tally(tally) = &domain.entered()[usize::try_from(receipt.index.get()).unwrap()].body
    else {
        panic!("expected a tally")
    };
    let counts: Vec<_> = tally.counts.iter().map(|one| (one.code, one.count.get())).collect();
    assert_eq!(counts, [(Code::ClockUntrusted, 3)]);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    // A little behind is what clocks are.
    domain.clock.set(right_ms - 5_000);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    assert!(domain.judged().is_clean());
}

#[test]
fn nothing_is_permitted_by_a_node_that_cannot_record() {
    let domain = GovernedDomain::new();
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    domain.authority().ready().unwrap();
    // Another node takes the store over, on a file system whose locks failed.
    let store = rusqlite::Connection::open(&domain.place.store).unwrap();
    store.execute("UPDATE ledger SET generation = generation + 1", []).unwrap();
    let before = domain.entered().len();
    for _ in 0..2 {
        let answer = domain.asks("builder", &domain.asked_to_build());
        let writ_authority::Answer::TurnedAway(refusal) = answer else { panic!("{answer:?}") };
        assert_eq!(refusal.code(), Code::LedgerUnavailable);
    }
    let order = domain.orders("alice", writ_protocol::action::Command::Halt);
    assert!(matches!(order, writ_authority::Answer::TurnedAway(refusal) if refusal.code() == Code::LedgerUnavailable));
    let heartbeat = Claim::Heartbeat { size: 2, root: sha256(b"any") };
    assert_eq!(domain.states(0, heartbeat).unwrap_err().code(), Code::LedgerUnavailable);
    assert_eq!(wait(domain.authority().record_turned_away()).unwrap_err().code(), Code::LedgerUnavailable);
    domain.authority().ready().unwrap_err();
    assert_eq!(domain.entered().len(), before);
}
