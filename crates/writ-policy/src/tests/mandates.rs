//! What policies see of a mandate, and of one that is given or handed on.

use super::fixture::*;
use crate::{Facts, Mandated, PolicySet, Semantics, Snapshot, decide};
use writ_protocol::Code;
use writ_protocol::action::{Action, Command, Given};
use writ_protocol::cbor::{Decode, Encode};
use writ_protocol::entry::{EntryRef, Positive, Window};
use writ_protocol::scope::{Among, File, Path, Program, Scope, ScopeFields};
use writ_tlog::{Origin, sha256};

const POLICY: &str = r#"
@id("acts") permit (principal, action == Action::"exec", resource)
when { context has mandate && context.mandate.by == "User::ada" && context.mandate.depth < 2 };
@id("not-through-eve") forbid (principal, action == Action::"exec", resource)
when { context has mandate && context.mandate.through.contains("User::eve") };
@id("gives") permit (principal, action == Action::"mandate", resource == Domain::"this")
when { context.to == "Agent::builder" && context has uses && context.uses < 10 && context has programs
  && ["/usr/bin/git", "/opt/"].containsAll(context.programs) && context.until < context.now.offset(duration("1d")) };
@id("hands-on") permit (principal, action == Action::"delegate", resource == Domain::"this")
when { context.mandate.by == "User::ada" && context.to != "Agent::eve" };
"#;

fn set() -> PolicySet {
    policies(POLICY)
}

fn under(by: &str, through: &[&str], depth: u64) -> Facts {
    let through = through.iter().map(|id| principal("User", id)).collect();
    let mandate = Mandated { entry: sha256(b"mandate"), by: principal("User", by), through, depth };
    Facts { mandate: Some(mandate), ..facts() }
}

fn given(change: impl FnOnce(&mut Given, &mut ScopeFields)) -> Action {
    let program = |file| Program { file, argv: None };
    let (git, opt) = (Path::new("/usr/bin/git").unwrap(), Path::new("/opt").unwrap());
    let mut fields = ScopeFields {
        uses: Positive::new(9),
        depth: None,
        window: Window::new(0, NOW_MS + 1000).unwrap(),
        folders: None,
        contents: None,
        gateways: None,
        programs: Some(Among::new([program(File::Exact(git)), program(File::Beneath(opt))]).unwrap()),
        surroundings: None,
    };
    let scope = Scope::new(fields.clone()).unwrap();
    let mut given = Given { to: principal("Agent", "builder"), scope, parent: None };
    change(&mut given, &mut fields);
    given.scope = Scope::new(fields).unwrap();
    order(Command::Mandate(Box::new(given)))
}

fn orders() -> Facts {
    Facts { gateway: None, ..facts() }
}

#[test]
fn policies_see_who_stands_behind_a_mandate() {
    let run = exec(&["cargo"]);
    assert_eq!(permitted(decide(&set(), &run, &under("ada", &[], 0))).reasons, [name("acts")]);
    permitted(decide(&set(), &run, &under("ada", &["bob"], 1)));
    for other in [facts(), under("bob", &[], 0), under("ada", &["bob"], 2), under("ada", &["eve"], 1)] {
        denied(decide(&set(), &run, &other), Code::PolicyDenied);
    }
}

#[test]
fn policies_see_what_a_mandate_is_for() {
    assert_eq!(permitted(decide(&set(), &given(|_, _| {}), &orders())).reasons, [name("gives")]);
    let others: [fn(&mut Given, &mut ScopeFields); 6] = [
        |given, _| given.to = principal("Agent", "eve"),
        |_, scope| scope.uses = Positive::new(10),
        |_, scope| scope.uses = None,
        |_, scope| scope.programs = None,
        |_, scope| {
            let file = File::Beneath(Path::new("/").unwrap());
            scope.programs = Some(Among::new([Program { file, argv: None }]).unwrap());
        },
        |_, scope| scope.window = Window::new(0, NOW_MS + 90_000_000).unwrap(),
    ];
    for (number, other) in others.into_iter().enumerate() {
        let denied_so = decide(&set(), &given(other), &orders());
        assert_eq!(denied(denied_so, Code::PolicyDenied).reasons, [], "{number}");
    }
}

#[test]
fn to_hand_on_is_decided_on_what_is_handed_on() {
    let ledger = Origin::new("writ.example/ledger").unwrap();
    let parent = EntryRef { entry: sha256(b"mandate"), index: 3, ledger };
    let on = given(|given, _| given.parent = Some(parent));
    let order = |mandate: Facts| Facts { gateway: None, ..mandate };
    assert_eq!(permitted(decide(&set(), &on, &order(under("ada", &[], 0)))).reasons, [name("hands-on")]);
    denied(decide(&set(), &on, &order(under("bob", &[], 0))), Code::PolicyDenied);
    // What is not known of it is not guessed.
    denied(decide(&set(), &on, &orders()), Code::EvaluationError);
}

#[test]
fn facts_with_a_mandate_are_read_as_they_were_written() {
    for facts in [under("ada", &[], 0), under("ada", &["bob", "eve"], 2)] {
        assert_eq!(Facts::from_cbor(&facts.to_cbor()).unwrap(), facts);
    }
    let unsorted = Facts {
        mandate: Some(Mandated {
            through: vec![principal("User", "b"), principal("User", "a")],
            ..under("ada", &[], 2).mandate.unwrap()
        }),
        ..facts()
    };
    assert!(Facts::from_cbor(&unsorted.to_cbor()).is_err());
}

#[test]
fn fixtures_are_under_mandates_and_give_them() {
    let fixtures = r"
- name: under
  principal: Agent::builder
  run: [/usr/bin/cargo]
  mandate: User::ada
  expect: permit
  reasons: [acts]
- name: through
  principal: Agent::builder
  run: [/usr/bin/cargo]
  mandate: {by: User::ada, through: [User::eve]}
  expect: deny
  reasons: [not-through-eve]
- name: deep
  principal: Agent::builder
  run: [/usr/bin/cargo]
  mandate: {by: User::ada, depth: '2'}
  expect: deny
  reasons: []
- name: none
  principal: Agent::builder
  run: [/usr/bin/cargo]
  expect: deny
  reasons: []
- name: give
  principal: User::ada
  order: mandate
  to: Agent::builder
  uses: 3
  programs: [/usr/bin/git, /opt/]
  expect: permit
  reasons: [gives]
- name: long
  principal: User::ada
  order: mandate
  to: Agent::builder
  uses: 3
  programs: [/opt/]
  until: 2026-02-01T00:00:00Z
  expect: deny
- name: on
  principal: Agent::builder
  order: delegate
  to: Agent::tester
  mandate: User::ada
  expect: permit
  reasons: [hands-on]
";
    let snapshot = Snapshot::new(files(&[("p.cedar", POLICY), ("tests/t.yaml", fixtures)])).unwrap();
    let set = PolicySet::compile(&snapshot, Semantics::CURRENT).unwrap();
    let tested = set.test().unwrap();
    assert_eq!(tested.len(), 7);
    for one in tested {
        assert_eq!(one.failure, None, "{}", one.found);
    }
}

#[test]
fn a_fixture_of_a_mandate_that_is_none_is_refused() {
    for lines in [
        "order: mandate\n  expect: deny",
        "order: delegate\n  to: Agent::tester\n  expect: deny",
        "order: mandate\n  to: Agent::tester\n  uses: 0\n  expect: deny",
        "order: mandate\n  to: Agent::tester\n  programs: [git]\n  expect: deny",
        "order: mandate\n  to: Agent::tester\n  target: writ\n  expect: deny",
        "run: [/usr/bin/cargo]\n  mandate: ada\n  expect: deny",
        "run: [/usr/bin/cargo]\n  mandate: {by: User::ada, scope: all}\n  expect: deny",
    ] {
        let fixtures = format!("- name: one\n  principal: User::ada\n  {lines}\n");
        let snapshot = Snapshot::new(files(&[("p.cedar", POLICY), ("tests/t.yaml", &fixtures)])).unwrap();
        let set = PolicySet::compile(&snapshot, Semantics::CURRENT).unwrap();
        assert!(set.test().is_err(), "{lines}");
    }
}
