//! Gateways are enrolled by order, and an enrolled one asks in the name of whom it is enrolled for.

use crate::answers::{denied, done, permitted, shadowed, turned_away};
use std::sync::Arc;
use writ_authority::{Answer, Caller, Outcome, Rate, Received, retell};
use writ_ledger::Reader;
use writ_protocol::action::{Command, Enrolled};
use writ_protocol::entry::{Ascending, AssertedPrincipal, Audience, Positive, PrincipalRef, Target};
use writ_protocol::statement::{Ask, Claim, Ending, GatewayStatement, Request};
use writ_protocol::{Body, Code, Ed25519Key, Name};
use writ_testing::governed::{GovernedDomain, Myself, PolicyFiles, wait};
use writ_testing::scenario::Secret;
use writ_tlog::Algorithm;

/// Alice enrols what is called a build machine and speaks for agents; nobody but she renews one.
const ENROLLING: &str = r#"
@id("alice-enrols")
permit (principal == User::"alice", action == Action::"enrol", resource)
when {
  context.auth == "key" && context.gateway like "process/*" && ["process", "builders"].containsAll(context.groups)
  && ["Agent::builder", "Agent::tester"].containsAll(context.asserts)
};

@id("bob-enrols-new-ones")
permit (principal == User::"bob", action == Action::"enrol", resource)
when { context.auth == "key" && !context.renews && context.asserts.isEmpty() };
"#;

fn policies() -> PolicyFiles {
    PolicyFiles::standard(&GovernedDomain::members()).with("enrolling.cedar", ENROLLING)
}

fn domain() -> GovernedDomain {
    GovernedDomain::with(GovernedDomain::members(), &policies())
}

/// Where nobody may ask often.
fn slow() -> GovernedDomain {
    let mut domain = domain();
    domain.rate = Rate::of(20);
    domain.open(&policies());
    domain
}

fn key(epoch: u64) -> Secret {
    Secret::new(Algorithm::Ed25519, &format!("build machine in epoch {epoch}"))
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn agent(id: &str) -> AssertedPrincipal {
    AssertedPrincipal { kind: name("Agent"), id: name(id) }
}

fn build_machine(epoch: u64, speaks_for: &[&str]) -> Enrolled {
    Enrolled {
        key: Ed25519Key::new(key(epoch).public()).unwrap(),
        epoch: Positive::new(epoch).unwrap(),
        groups: Ascending::new([name("process")]),
        asserts: Ascending::new(speaks_for.iter().map(|id| agent(id))),
        gateway: name("process/build-7"),
    }
}

fn enrol(enrolled: Enrolled) -> Command {
    Command::Enrol(Box::new(enrolled))
}

/// A build that the machine asks for in somebody's name, to execute it itself.
fn asked_for(domain: &GovernedDomain, id: Option<&str>, epoch: u64) -> Request {
    let (gateway, epoch) = (name("process/build-7"), Positive::new(epoch).unwrap());
    let request =
        GovernedDomain::changed(domain.asked_to_build(), |ask| ask.audience = Audience::Gateway { gateway, epoch });
    Request { principal: id.map(|id| PrincipalRef { kind: name("Agent"), id: name(id) }), ..request }
}

fn speaks(domain: &GovernedDomain, request: &Request, epoch: u64) -> Answer {
    let signed = request.sign(domain.domain.origin(), key(epoch).signing_key());
    domain.sent(&signed)
}

/// What the machine says in its first epoch.
fn said(domain: &GovernedDomain, seq: u64, claim: Claim) -> Vec<u8> {
    let (gateway, seq) = (name("process/build-7"), Positive::new(seq).unwrap());
    let statement = GatewayStatement { gateway, epoch: Positive::ONE, seq, time_ms: domain.clock.now_ms(), claim };
    statement.sign(domain.domain.origin(), key(1).signing_key())
}

#[test]
fn a_gateway_is_enrolled_by_order_with_what_it_was_decided_on() {
    let mut domain = domain();
    let receipt = done(&domain, domain.orders("alice", enrol(build_machine(1, &["builder"]))));
    let recorded = receipt.decode(domain.domain.origin()).unwrap().body;
    let Body::Gateway(enrolment) = &recorded else { panic!("{recorded:?}") };
    assert_eq!((enrolment.gateway.as_str(), enrolment.by.id.as_str()), ("process/build-7", "alice"));
    let order = enrolment.order.as_ref().unwrap();
    assert_eq!(order.policy.reasons.as_slice()[0].as_str(), "alice-enrols");
    let reader = Reader::open(&domain.place.store).unwrap();
    let told = retell(&reader, receipt.index).unwrap();
    assert!(matches!(told.outcome, Outcome::Same { .. }), "{:?}", told.outcome);
    // It executes, and what it says of that is recorded.
    let asked = GovernedDomain::changed(domain.asked_to_build(), |ask| ask.audience = Audience::Group(name("process")));
    let (writ, grant) = permitted(&domain, domain.asks("builder", &asked));
    let execution = domain.domain.execution_id();
    let says = |seq, claim| wait(domain.authority().state(&Caller::Remote, &said(&domain, seq, claim), None)).unwrap();
    let (hash, index, usage) = (writ.hash(), writ.index.get(), Positive::ONE);
    says(1, Claim::Spent { writ: hash, index, execution, usage });
    let (action, surroundings) = (grant.action.digest, grant.surroundings.digest);
    says(2, Claim::Started { writ: hash, execution, action, surroundings });
    says(3, Claim::Ended { writ: hash, execution, result: Ending::Exited(0) });
    let judgement = domain.judged();
    assert!(judgement.is_clean() && judgement.replay.same == 2, "{judgement:?}");
}

#[test]
fn policy_says_who_enrols_which_gateway_for_what() {
    let mut domain = domain();
    let named = |gateway: &str| Enrolled { gateway: name(gateway), ..build_machine(1, &[]) };
    let more = |groups: &[&str]| Enrolled {
        groups: Ascending::new(groups.iter().map(|group| name(group))),
        ..build_machine(1, &["builder"])
    };
    for (who, order) in [
        ("builder", build_machine(1, &[])),
        ("alice", named("mcp/tools")),
        ("alice", more(&["process", "production"])),
        ("bob", build_machine(1, &["builder"])),
    ] {
        denied(&domain, domain.orders(who, enrol(order)), Code::PolicyDenied);
    }
    let key = Ed25519Key::new(key(2).public()).unwrap();
    done(&domain, domain.orders("bob", enrol(Enrolled { key, ..named("mcp/tools") })));
    done(&domain, domain.orders("alice", enrol(build_machine(1, &[]))));
    assert!(domain.judged().is_clean());
}

#[test]
fn epochs_follow_one_another_and_a_key_is_of_one_gateway() {
    let mut domain = domain();
    let refused = |order: Enrolled, code| drop(denied(&domain, domain.orders("alice", enrol(order)), code));
    refused(build_machine(2, &[]), Code::WrongAudience);
    done(&domain, domain.orders("alice", enrol(build_machine(1, &["builder"]))));
    refused(build_machine(1, &[]), Code::WrongAudience);
    refused(Enrolled { gateway: name("process/build-8"), ..build_machine(1, &[]) }, Code::IdentityMismatch);
    let of_slot = domain.gateway_key(0, 1);
    refused(Enrolled { key: of_slot, ..build_machine(2, &[]) }, Code::IdentityMismatch);
    // Bob may enrol new ones, and this is none.
    denied(&domain, domain.orders("bob", enrol(build_machine(2, &[]))), Code::PolicyDenied);
    let request = asked_for(&domain, Some("builder"), 1);
    done(&domain, domain.orders("alice", enrol(build_machine(2, &["builder"]))));
    // What the ended epoch would have asked is nobody's word any more.
    turned_away(&domain, || speaks(&domain, &request, 1), Code::Unauthenticated);
    permitted(&domain, speaks(&domain, &asked_for(&domain, Some("builder"), 2), 2));
    domain.revoke(Target::Key(key(3).public().fingerprint()));
    refused(build_machine(3, &[]), Code::Revoked);
    domain.revoke(Target::Gateway(name("process/build-7")));
    refused(Enrolled { key: Ed25519Key::new(key(4).public()).unwrap(), ..build_machine(3, &[]) }, Code::Revoked);
    assert!(domain.judged().is_clean());
}

#[test]
fn a_gateway_asks_in_the_name_of_whom_it_is_enrolled_for_and_of_nobody_else() {
    let mut domain = domain();
    done(&domain, domain.orders("alice", enrol(build_machine(1, &["builder"]))));
    let (_, grant) = permitted(&domain, speaks(&domain, &asked_for(&domain, Some("builder"), 1), 1));
    assert_eq!((grant.principal.auth.as_str(), grant.principal.id.as_str()), ("gateway", "builder"));
    assert_eq!(grant.principal.key, Some(key(1).public()), "so that its revocation ends what it got");
    for id in [Some("tester"), Some("nobody"), None] {
        let request = asked_for(&domain, id, 1);
        let (told, denial) = denied(&domain, speaks(&domain, &request, 1), Code::IdentityMismatch);
        assert_eq!((denial.principal.kind.as_str(), denial.principal.id.as_str()), ("Gateway", "process/build-7"));
        assert!(told.why.contains("process/build-7"), "{}", told.why);
    }
    let (_, shadow) = shadowed(&domain, {
        let request = domain.in_shadow(asked_for(&domain, Some("builder"), 1));
        let signed = request.sign(domain.domain.origin(), key(1).signing_key());
        wait(domain.authority().shadow(&Caller::Remote, Received::Signed(&signed)))
    });
    assert_eq!(shadow.principal.auth.as_str(), "gateway");
    let judgement = domain.judged();
    assert!(judgement.is_clean(), "{judgement:?}");
}

#[test]
fn what_a_gateway_asks_for_in_anothers_name_it_executes_itself() {
    let mut domain = domain();
    done(&domain, domain.orders("alice", enrol(build_machine(1, &["builder"]))));
    for audience in [
        Audience::Group(name("process")),
        Audience::Gateway { gateway: domain.domain.gateway_name(0), epoch: Positive::ONE },
    ] {
        let mut request = asked_for(&domain, Some("builder"), 1);
        let Ask::Authorize(ask) = &mut request.ask else { panic!("it asks for a writ") };
        ask.audience = audience;
        let (_, denial) = denied(&domain, speaks(&domain, &request, 1), Code::WrongAudience);
        assert_eq!(denial.principal.id.as_str(), "builder");
    }
    assert!(domain.judged().is_clean());
}

#[test]
fn a_gateway_gives_no_orders_in_anybodys_name() {
    let mut domain = domain();
    done(&domain, domain.orders("alice", enrol(build_machine(1, &["builder"]))));
    let mut order = domain.domain.asked_order(Command::Halt);
    order.time_ms = domain.clock.now_ms();
    order.principal = Some(PrincipalRef { kind: name("Agent"), id: name("builder") });
    let signed = order.sign(domain.domain.origin(), key(1).signing_key());
    let answer = wait(domain.authority().order(&Caller::Remote, Received::Signed(&signed)));
    denied(&domain, answer, Code::Unauthenticated);
    assert!(domain.authority().published().control.halted().is_none());
    assert!(domain.judged().is_clean());
}

#[test]
fn a_revoked_gateway_speaks_for_nobody_and_takes_nothing_of_anybodys_rate() {
    for target in [Target::Gateway(name("process/build-7")), Target::Key(key(1).public().fingerprint())] {
        let mut domain = slow();
        done(&domain, domain.orders("alice", enrol(build_machine(1, &["builder"]))));
        permitted(&domain, speaks(&domain, &asked_for(&domain, Some("builder"), 1), 1));
        domain.revoke(target);
        let mut recorded = 0;
        let refused = loop {
            match speaks(&domain, &asked_for(&domain, Some("builder"), 1), 1) {
                Answer::Deny(denied) => {
                    assert_eq!(denied.code, Code::Revoked);
                    let body = denied.receipt.decode(domain.domain.origin()).unwrap().body;
                    let Body::Denial(denial) = body else { panic!("{body:?}") };
                    let by = (denial.principal.kind.as_str(), denial.principal.id.as_str());
                    assert_eq!(by, ("Gateway", "process/build-7"), "nobody else has asked");
                    recorded += 1;
                }
                Answer::TurnedAway(refusal) => break refusal,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((refused.code(), recorded > 1), (Code::RateLimited, true), "it has a rate, and it is its own");
        permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
        assert!(domain.judged().is_clean());
    }
}

#[test]
fn whoever_asks_too_much_through_a_gateway_wears_out_the_gateway_too() {
    let domain = slow();
    done(&domain, domain.orders("alice", enrol(build_machine(1, &["builder", "tester"]))));
    let until_refused = |id: &str| loop {
        if let Answer::TurnedAway(refusal) = speaks(&domain, &asked_for(&domain, Some(id), 1), 1) {
            assert_eq!(refusal.code(), Code::RateLimited);
            return;
        }
    };
    until_refused("builder");
    permitted(&domain, speaks(&domain, &asked_for(&domain, Some("tester"), 1), 1));
    // What is refused to builder so counts for whoever asks it.
    for _ in 0..200 {
        until_refused("builder");
    }
    let refused = speaks(&domain, &asked_for(&domain, Some("tester"), 1), 1);
    assert!(matches!(refused, Answer::TurnedAway(refusal) if refusal.code() == Code::RateLimited));
    permitted(&domain, domain.asks("tester", &domain.asked_to_build()));
}

#[test]
fn no_gateway_is_enrolled_to_name_a_gateway() {
    let domain = domain();
    let itself = AssertedPrincipal { kind: name("Gateway"), id: name("process/01") };
    let order = Enrolled { asserts: Ascending::new([itself]), ..build_machine(1, &[]) };
    let members = GovernedDomain::members();
    let everything = r#"@id("all") permit (principal, action == Action::"enrol", resource);"#;
    let open = GovernedDomain::with(members, &PolicyFiles::standard(&domain.members).with("all.cedar", everything));
    denied(&open, open.orders("alice", enrol(order)), Code::Malformed);
}

/// Whoever is taken for an execution is it, whatever they show: that is for the slots of the node's own machine to say.
#[test]
fn a_gateway_of_another_machine_begins_no_tree_here() {
    let mut domain = domain();
    done(&domain, domain.orders("alice", enrol(build_machine(1, &[]))));
    let asked = GovernedDomain::changed(domain.asked_to_build(), |ask| ask.audience = Audience::Group(name("process")));
    let (writ, grant) = permitted(&domain, domain.asks("builder", &asked));
    let execution = domain.domain.execution_id();
    let (hash, index, usage) = (writ.hash(), writ.index.get(), Positive::ONE);
    let spent = said(&domain, 1, Claim::Spent { writ: hash, index, execution, usage });
    wait(domain.authority().state(&Caller::Remote, &spent, None)).unwrap();
    let (action, surroundings) = (grant.action.digest, grant.surroundings.digest);
    let started = said(&domain, 2, Claim::Started { writ: hash, execution, action, surroundings });
    let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let (myself, before) = (Myself::now(), domain.size());
    let caller = myself.as_user(domain.job_uid());
    let refused = wait(domain.authority().state(&caller, &started, Some(child.id()))).unwrap_err();
    assert_eq!((refused.code(), domain.size()), (Code::UnknownAuthority, before), "nothing is recorded of it");
    assert_eq!(domain.authority().trees(), 0);
    // Elsewhere it starts as ever.
    wait(domain.authority().state(&Caller::Remote, &started, None)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(domain.judged().is_clean());
}

/// Whose words a process of this machine brings is not whom it descends from, so whatever is under way in that name may have asked.
#[test]
fn what_a_local_gateway_asks_carries_the_labels_of_whom_it_names() {
    let members = GovernedDomain::members();
    let policies = PolicyFiles::standard(&members).with("enrolling.cedar", ENROLLING).with(
        "secrets.cedar",
        r#"@id("secrets") @label("secret-read") permit (principal in Group::"agents", action == Action::"exec", resource)
           when { context.path == "/opt/secrets" };"#,
    );
    let domain = GovernedDomain::with(members, &policies);
    done(&domain, domain.orders("alice", enrol(build_machine(1, &["builder"]))));
    let (writ, grant) = permitted(&domain, domain.asks("builder", &domain.asked(&["/opt/secrets"])));
    let execution = domain.domain.execution_id();
    let (hash, index, usage) = (writ.hash(), writ.index.get(), Positive::ONE);
    domain.states(0, Claim::Spent { writ: hash, index, execution, usage }).unwrap();
    let (action, surroundings) = (grant.action.digest, grant.surroundings.digest);
    domain.states(0, Claim::Started { writ: hash, execution, action, surroundings }).unwrap();
    let myself = Myself::now();
    let request = asked_for(&domain, Some("builder"), 1);
    let signed = request.sign(domain.domain.origin(), key(1).signing_key());
    let answer = wait(domain.authority().authorize(&myself.as_user(domain.job_uid()), Received::Signed(&signed)));
    let (_, grant) = permitted(&domain, answer);
    let labels: Vec<&str> = grant.labels.as_slice().iter().map(|label| label.as_str()).collect();
    assert_eq!(labels, ["secret-read"]);
}

/// Many at once: one of the orders about an epoch is carried out, and the others hear that it has gone by.
#[test]
fn of_orders_that_race_for_an_epoch_one_is_carried_out() {
    let domain = Arc::new(domain());
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let racing: Vec<_> = (0..8)
            .map(|number| {
                let domain = Arc::clone(&domain);
                let key = Secret::new(Algorithm::Ed25519, &format!("racing {number}"));
                let enrolled = Enrolled { key: Ed25519Key::new(key.public()).unwrap(), ..build_machine(1, &[]) };
                scope.spawn(move || domain.orders("alice", enrol(enrolled)))
            })
            .collect();
        racing.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Done(_))).count(), 1);
    for answer in answers.into_iter().filter(|answer| !matches!(answer, Answer::Done(_))) {
        denied(&domain, answer, Code::WrongAudience);
    }
}
