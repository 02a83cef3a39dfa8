//! What is done under a mandate stays within it, however it is asked for (decision 0034).

use crate::answers::{denied, done, permitted};
use crate::running::Running;
use std::sync::Barrier;
use writ_authority::{Answer, Outcome, retell};
use writ_ledger::Reader;
use writ_protocol::action::{Command, Given};
use writ_protocol::entry::{AssertedPrincipal, EntryRef, Positive, Target, Window, Would};
use writ_protocol::scope::{Among, File, Path, Program, Scope, ScopeFields};
use writ_protocol::statement::{Ask, Request};
use writ_protocol::{Body, Code, EntryType};
use writ_testing::governed::{GovernedDomain, Members, PolicyFiles};

const MANDATES: &str = r#"
@id("administrators-mandate") permit (principal in Group::"administrators", action == Action::"mandate", resource)
when { context.auth == "key" && context.until < context.now.offset(duration("2d")) };
@id("agents-delegate") permit (principal in Group::"agents", action == Action::"delegate", resource)
when { context.mandate.by == "User::alice" && context.mandate.depth < 3 };
@id("testers-act-under-mandates") forbid (principal == Agent::"tester", action == Action::"exec", resource)
unless { context has mandate && context.mandate.by == "User::alice" };
"#;
const HOUR_MS: u64 = 3_600_000;

fn domain() -> GovernedDomain {
    let members = Members::standard(4_000);
    let policies = PolicyFiles::standard(&members).with("mandates.cedar", MANDATES);
    GovernedDomain::with(members, &policies)
}

/// Programs in `/usr/bin` for an hour.
fn scope(domain: &GovernedDomain, change: impl FnOnce(&mut ScopeFields)) -> Scope {
    let now_ms = domain.clock.now_ms();
    let file = File::Beneath(Path::new("/usr/bin").unwrap());
    let mut fields = ScopeFields {
        uses: None,
        depth: None,
        window: Window::new(now_ms - 60_000, now_ms + HOUR_MS).unwrap(),
        folders: None,
        contents: None,
        gateways: None,
        programs: Some(Among::new([Program { file, argv: None }]).unwrap()),
        surroundings: None,
    };
    change(&mut fields);
    Scope::new(fields).unwrap()
}

fn only(path: &str) -> Option<Among<Program>> {
    let file = File::Exact(Path::new(path).unwrap());
    Some(Among::new([Program { file, argv: None }]).unwrap())
}

fn gives(domain: &GovernedDomain, by: &str, to: &str, scope: Scope, parent: Option<&EntryRef>) -> Answer {
    let to: AssertedPrincipal = domain.member(to).name().clone();
    domain.orders(by, Command::Mandate(Box::new(Given { to, scope, parent: parent.cloned() })))
}

#[track_caller]
fn mandate(domain: &GovernedDomain, by: &str, to: &str, scope: Scope, parent: Option<&EntryRef>) -> EntryRef {
    let receipt = done(domain, gives(domain, by, to, scope, parent));
    EntryRef { entry: receipt.hash(), index: receipt.index.get(), ledger: domain.domain.origin().clone() }
}

fn under(mandate: &EntryRef, request: Request) -> Request {
    GovernedDomain::changed(request, |ask| ask.mandate = Some(mandate.clone()))
}

#[track_caller]
fn clean(mut domain: GovernedDomain) {
    let judgement = domain.judged();
    assert!(judgement.is_clean(), "{judgement:?}");
}

#[test]
fn what_is_within_a_mandate_is_granted_under_it() {
    let domain = domain();
    let given = mandate(&domain, "alice", "builder", scope(&domain, |_| {}), None);
    let (receipt, grant) = permitted(&domain, domain.asks("builder", &under(&given, domain.asked_to_build())));
    assert_eq!(grant.cause.mandate.as_ref(), Some(&given));
    let reader = Reader::open(&domain.place.store).unwrap();
    for index in [receipt.index, writ_tlog::LeafIndex::new(given.index)] {
        let told = retell(&reader, index).unwrap();
        assert!(matches!(told.outcome, Outcome::Same { .. }), "{:?}", told.outcome);
    }
    clean(domain);
}

#[test]
fn what_is_outside_of_it_is_refused_whatever_policy_permits() {
    let domain = domain();
    let given =
        mandate(&domain, "alice", "builder", scope(&domain, |scope| scope.programs = only("/usr/bin/git")), None);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    let (_, denial) =
        denied(&domain, domain.asks("builder", &under(&given, domain.asked_to_build())), Code::ScopeWidened);
    assert_eq!(denial.cause.mandate.as_ref(), Some(&given));
    // What policy forbids it forbids as before.
    let disk = domain.asked(&["/usr/bin/dd"]);
    denied(&domain, domain.asks("builder", &under(&given, disk)), Code::PolicyDenied);
    clean(domain);
}

#[test]
fn a_mandate_is_for_whom_it_names_and_for_its_time() {
    let domain = domain();
    let given = mandate(&domain, "alice", "builder", scope(&domain, |_| {}), None);
    denied(&domain, domain.asks("tester", &under(&given, domain.asked_to_build())), Code::IdentityMismatch);
    let nothing = EntryRef { index: 1, ..given.clone() };
    let (_, denial) =
        denied(&domain, domain.asks("builder", &under(&nothing, domain.asked_to_build())), Code::LineageBroken);
    assert_eq!(denial.cause.mandate, None);
    domain.clock.pass(HOUR_MS);
    denied(&domain, domain.asks("builder", &under(&given, domain.asked_to_build())), Code::Expired);
    let later = scope(&domain, |scope| {
        let now_ms = domain.clock.now_ms();
        scope.window = Window::new(now_ms + 60_000, now_ms + HOUR_MS).unwrap();
    });
    let later = mandate(&domain, "alice", "builder", later, None);
    denied(&domain, domain.asks("builder", &under(&later, domain.asked_to_build())), Code::NotYetValid);
    clean(domain);
}

#[test]
fn a_writ_ends_no_later_than_its_mandate() {
    let domain = domain();
    let until_ms = domain.clock.now_ms() + 5_000;
    let short = scope(&domain, |scope| scope.window = Window::new(scope.window.from_ms(), until_ms).unwrap());
    let given = mandate(&domain, "alice", "builder", short, None);
    let (_, grant) = permitted(&domain, domain.asks("builder", &under(&given, domain.asked_to_build())));
    assert_eq!(grant.window.until_ms(), until_ms);
    clean(domain);
}

#[test]
fn a_mandate_is_used_so_often_however_many_ask_at_once() {
    let domain = domain();
    let given = mandate(&domain, "alice", "builder", scope(&domain, |scope| scope.uses = Positive::new(3)), None);
    let below =
        mandate(&domain, "builder", "tester", scope(&domain, |scope| scope.uses = Positive::new(3)), Some(&given));
    let start = Barrier::new(8);
    let permits = std::thread::scope(|threads| {
        let ask = |number: u64| {
            let (domain, start) = (&domain, &start);
            let (who, named) = if number.is_multiple_of(2) { ("builder", &given) } else { ("tester", &below) };
            let request = under(named, domain.asked_to_build());
            threads.spawn(move || {
                start.wait();
                domain.asks(who, &request)
            })
        };
        let asked: Vec<_> = (0..8).map(ask).collect();
        let answers = asked.into_iter().map(|asked| asked.join().unwrap());
        answers.filter(|answer| matches!(answer, Answer::Permit(_))).count()
    });
    assert_eq!(permits, 3);
    denied(&domain, domain.asks("builder", &under(&given, domain.asked_to_build())), Code::BudgetExceeded);
    clean(domain);
}

#[test]
fn what_is_handed_on_is_narrower_and_handed_on_by_whom_it_is_for() {
    let domain = domain();
    let open = || scope(&domain, |_| {});
    let given = mandate(&domain, "alice", "builder", scope(&domain, |scope| scope.uses = Positive::new(2)), None);
    denied(&domain, gives(&domain, "builder", "tester", open(), Some(&given)), Code::ScopeWidened);
    denied(&domain, gives(&domain, "tester", "tester", open(), Some(&given)), Code::IdentityMismatch);
    denied(&domain, gives(&domain, "builder", "tester", open(), None), Code::PolicyDenied);
    let nothing = EntryRef { index: 1, ..given.clone() };
    denied(&domain, gives(&domain, "builder", "tester", open(), Some(&nothing)), Code::LineageBroken);
    let narrow = scope(&domain, |scope| (scope.uses, scope.programs) = (Positive::new(1), only("/usr/bin/make")));
    let below = mandate(&domain, "builder", "tester", narrow, Some(&given));
    // Its policy asks for a mandate that Alice stands behind.
    denied(&domain, domain.asks("tester", &domain.asked_to_build()), Code::PolicyDenied);
    permitted(&domain, domain.asks("tester", &under(&below, domain.asked_to_build())));
    denied(&domain, domain.asks("tester", &under(&below, domain.asked(&["/usr/bin/ls"]))), Code::ScopeWidened);
    denied(&domain, domain.asks("tester", &under(&below, domain.asked_to_build())), Code::BudgetExceeded);
    clean(domain);
}

#[test]
fn to_revoke_one_revokes_all_below() {
    type Of<'a> = dyn Fn(&EntryRef, &EntryRef) -> Target + 'a;
    let builder = domain().member("builder").name().clone();
    let cases: [&Of<'_>; 4] = [
        &|first, _| Target::Mandate(first.entry),
        &|_, second| Target::Mandate(second.entry),
        &|_, _| Target::Principal(builder.clone()),
        &|_, _| Target::Key(domain().member("builder").public().key().fingerprint()),
    ];
    for target in cases {
        let domain = domain();
        let first = mandate(&domain, "alice", "builder", scope(&domain, |_| {}), None);
        let second = mandate(&domain, "builder", "tester", scope(&domain, |_| {}), Some(&first));
        permitted(&domain, domain.asks("tester", &under(&second, domain.asked_to_build())));
        domain.revoke(target(&first, &second));
        denied(&domain, domain.asks("tester", &under(&second, domain.asked_to_build())), Code::Revoked);
        clean(domain);
    }
}

#[test]
fn what_an_execution_under_a_mandate_causes_cannot_leave_it() {
    let domain = domain();
    let own = mandate(&domain, "alice", "builder", scope(&domain, |scope| scope.uses = Positive::new(9)), None);
    let running = Running::under(domain, &own);
    let domain = &running.domain;
    let inside = |request: Request| running.asks(&request);
    // Nothing is named, and it stays under the mandate all the same.
    let (_, grant) = permitted(domain, inside(domain.asked_to_build()));
    assert_eq!((grant.cause.depth(), grant.cause.mandate.as_ref()), (1, Some(&own)));
    // Policy permits this elsewhere, the mandate does not.
    denied(domain, inside(domain.asked(&["/opt/tool"])), Code::PolicyDenied);
    let wider = mandate(domain, "alice", "builder", scope(domain, |_| {}), None);
    denied(domain, inside(under(&wider, domain.asked_to_build())), Code::ScopeWidened);
    let below = scope(domain, |scope| (scope.uses, scope.programs) = (Positive::new(1), only("/usr/bin/git")));
    let below = mandate(domain, "builder", "builder", below, Some(&own));
    denied(domain, inside(under(&below, domain.asked_to_build())), Code::ScopeWidened);
    permitted(domain, inside(under(&below, domain.asked(&["/usr/bin/git"]))));
    running.clean();
}

#[test]
fn in_shadow_a_mandate_says_what_it_would_refuse() {
    let domain = domain();
    let given =
        mandate(&domain, "alice", "builder", scope(&domain, |scope| scope.programs = only("/usr/bin/git")), None);
    let asks = |who: &str, arguments: &[&str]| {
        let request = domain.in_shadow(domain.asked(arguments));
        let Ask::Shadow(mut ask) = request.ask.clone() else { panic!("in shadow") };
        ask.mandate = Some(given.clone());
        domain.shadows(who, &Request { ask: Ask::Shadow(ask), ..request })
    };
    for (program, expected) in
        [("/usr/bin/git", Would::Permit), ("/usr/bin/make", Would::ScopeWidened), ("/usr/bin/dd", Would::PolicyDenied)]
    {
        let Answer::Shadow(told) = asks("builder", &[program]) else { panic!("an answer in shadow") };
        assert_eq!(told.would, expected, "{program}");
    }
    let shadows = domain.entered().into_iter().filter(|one| one.body.entry_type() == EntryType::Shadow);
    assert!(
        shadows
            .map(|one| one.body)
            .all(|body| matches!(&body, Body::Shadow(shadow) if shadow.cause.mandate.as_ref() == Some(&given)))
    );
    // Under a mandate that is for another nothing is tried, and policy, which would refuse it too, is not why.
    let (_, denial) = denied(&domain, asks("tester", &["/usr/bin/dd"]), Code::IdentityMismatch);
    assert_eq!(denial.policy, None);
    clean(domain);
}
