use super::fixture::*;
use crate::{PolicyError, PolicySet, Problem, Semantics, Snapshot, Tested};
use proptest::prelude::*;

const POLICIES: &str = r#"
@id("cargo") permit (principal in Group::"builders", action == Action::"exec", resource == Executable::"/usr/bin/cargo")
when { context.argc == 2 };
@id("weekdays") forbid (principal, action, resource) when { context.now.toDate() == datetime("2026-01-10") };
@id("no-preload") forbid (principal, action == Action::"exec", resource) when { context.variables.contains("LD_PRELOAD") };
@id("by-key") permit (principal == User::"ada", action in [Action::"halt", Action::"revoke"], resource)
when { context.auth == "key" && context.depth == 0 };
@id("enrols") permit (principal == User::"ada", action == Action::"enrol", resource)
when { context.gateway like "process/*" && ["process"].containsAll(context.groups) };
@id("overflow") forbid (principal == User::"ada", action == Action::"exec", resource)
when { context.argc + 9223372036854775807 == 0 };
"#;

fn tested(fixtures: &str) -> Result<Vec<Tested>, Vec<PolicyError>> {
    let snapshot = Snapshot::new(files(&[("p.cedar", POLICIES), ("tests/t.yaml", fixtures)])).unwrap();
    let set = PolicySet::compile(&snapshot, Semantics::CURRENT).unwrap();
    set.test()
}

/// The one fixture, with these lines after its name.
fn one(lines: &[&str]) -> Result<Tested, Vec<PolicyError>> {
    let fixture = lines.iter().fold("- name: one\n".to_owned(), |text, line| format!("{text}  {line}\n"));
    tested(&fixture).map(|mut tested| tested.pop().unwrap())
}

const RUN: [&str; 2] = ["principal: Agent::builder", "run: [/usr/bin/cargo, build]"];

#[test]
fn a_fixture_comes_out_as_the_request_would() {
    for (lines, found) in [
        (vec!["expect: permit", "reasons: [cargo]"], "permit by cargo"),
        (vec!["expect: permit"], "permit by cargo"),
        (vec!["expect: deny", "variables: [HOME, LD_PRELOAD]", "reasons: [no-preload]"], "policy_denied by no-preload"),
        (vec!["expect: deny", "at: 2026-01-10T23:59:59Z"], "policy_denied by weekdays"),
        (vec!["expect: permit", "at: 2026-01-11T00:00:00Z"], "permit by cargo"),
        (vec!["expect: deny", "path: /usr/local/bin/cargo", "reasons: []"], "policy_denied"),
        (
            vec!["expect: permit", "surroundings: {kernel: '6.12', uid: other}", "depth: 2", "gateway: g/1"],
            "permit by cargo",
        ),
    ] {
        let tested = one(&[RUN.as_slice(), &lines].concat()).unwrap();
        assert_eq!((tested.found.as_str(), tested.failure), (found, None), "{lines:?}");
    }
    let halt = ["principal: User::ada", "order: halt", "expect: permit", "reasons: [by-key]"];
    assert_eq!(one(&halt).unwrap().failure, None);
    let revoke = ["principal: User::ada", "order: revoke", "target: writ", "auth: peer", "expect: deny", "reasons: []"];
    assert_eq!(one(&revoke).unwrap().failure, None);
    let enrol = ["principal: User::ada", "order: enrol", "gateway: process/build-7", "expect: permit"];
    assert_eq!(one(&enrol).unwrap().failure, None);
    let all = ["groups: [process]", "asserts: [Agent::builder]", "renews: true"];
    assert_eq!(one(&[enrol.as_slice(), &all].concat()).unwrap().failure, None);
    let error = ["principal: User::ada", "run: [/usr/bin/cargo, build]", "expect: evaluation_error"];
    assert_eq!(one(&error).unwrap().failure, None);
}

#[test]
fn what_comes_out_otherwise_is_told_with_its_place() {
    for (lines, expected, found) in [
        (vec!["expect: deny"], "policy_denied", "permit by cargo"),
        (vec!["expect: permit", "reasons: [by-key]"], "permit by by-key", "permit by cargo"),
        (vec!["expect: permit", "reasons: [by-key, cargo]"], "permit by by-key, cargo", "permit by cargo"),
        (vec!["expect: permit", "variables: [LD_PRELOAD]"], "permit", "policy_denied by no-preload"),
        (vec!["expect: evaluation_error"], "evaluation_error", "permit by cargo"),
    ] {
        let tested = one(&[RUN.as_slice(), &lines].concat()).unwrap();
        let failure = tested.failure.unwrap();
        let (name, expected, found) = ("one".to_owned(), expected.to_owned(), found.to_owned());
        assert_eq!(failure.problem, Problem::FixtureFailed { name, expected, found }, "{lines:?}");
        assert_eq!((failure.file.as_str(), failure.line, failure.column), ("tests/t.yaml", 1, 3), "{lines:?}");
    }
}

#[test]
fn what_is_no_fixture_is_refused_at_its_place() {
    for (text, line, what) in [
        ("", 1, "expected a document"),
        ("a: 1\n", 1, "expected a list"),
        ("- 1\n", 1, "expected a fixture"),
        ("- name: a\n  nmae: b\n", 2, "no such field"),
        ("- name: a\n  name: b\n", 2, "stands twice"),
        ("- principal: User::ada\n", 1, "no `name`"),
        ("- name: a\n  principal: User::ada\n  expect: permit\n", 1, "either `run` or `order`"),
        ("- name: a\n  run: [/x]\n  order: halt\n", 1, "either `run` or `order`"),
        ("- name: a\n  run: []\n", 2, "`run` is the list"),
        ("- name: a\n  run: [x]\n", 2, "absolute"),
        ("- name: a\n  run: [/x]\n  principal: Robot::r\n", 3, "`principal` is"),
        ("- name: a\n  run: [/x]\n  principal: User::ada\n", 1, "no `expect`"),
        ("- name: a\n  run: [/x]\n  principal: User::ada\n  expect: maybe\n", 4, "`expect` is"),
        (
            "- name: a\n  run: [/x]\n  principal: User::ada\n  expect: permit\n  at: 2026-02-30T00:00:00Z\n",
            5,
            "`at` is",
        ),
        ("- name: a\n  run: [/x]\n  principal: User::ada\n  expect: permit\n  depth: -1\n", 5, "`depth` is"),
        (
            "- name: a\n  run: [/x]\n  principal: User::ada\n  expect: permit\n  target: writ\n",
            5,
            "belongs to an order",
        ),
        ("- name: a\n  order: halt\n  principal: User::ada\n  expect: permit\n  stdin: tty\n", 5, "an order has none"),
        ("- name: a\n  order: revoke\n  principal: User::ada\n  expect: permit\n", 2, "has a `target`"),
        ("- name: a\n  order: enrol\n  principal: User::ada\n  expect: permit\n", 2, "has a `gateway`"),
        (
            "- name: a\n  order: halt\n  principal: User::ada\n  expect: deny\n  asserts: []\n",
            5,
            "only `order: enrol` has",
        ),
        ("- name: a\n  order: erase\n  principal: User::ada\n  expect: deny\n  groups: [a]\n", 5, "have groups"),
        ("- name: a\n  run: [/x]\n  principal: User::ada\n  expect: deny\n  renews: true\n", 5, "belongs to an order"),
        (
            "- name: a\n  order: enrol\n  gateway: g\n  principal: User::ada\n  expect: deny\n  asserts: [ada]\n",
            2,
            "`asserts` is",
        ),
        ("- name: a\n  order: pardon\n  principal: User::ada\n  expect: permit\n", 2, "`order` is"),
        ("- &x\n  name: a\n", 1, "anchors"),
        ("- name: !!str a\n", 1, "anchors"),
        ("- name: *x\n", 1, ""),
        ("[]\n---\n[]\n", 2, "one document"),
        ("- name: [a\n", 2, ""),
    ] {
        let findings = tested(text).unwrap_err();
        let [finding] = findings.as_slice() else { panic!("{text:?}: {findings:?}") };
        let Problem::FixtureForm(found) = &finding.problem else { panic!("{text:?}: {finding:?}") };
        assert!(found.contains(what), "{text:?}: {found}");
        assert_eq!(finding.line, line, "{text:?}: {finding}");
    }
    let twice = format!(
        "- name: a\n  {0}\n  {1}\n  expect: permit\n- name: a\n  {0}\n  {1}\n  expect: permit\n",
        RUN[0], RUN[1]
    );
    assert!(tested(&twice).unwrap_err()[0].to_string().contains("stands twice"));
    assert!(tested(&"[".repeat(64)).unwrap_err()[0].to_string().contains("deeper"));
    for deep in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000), "? ".repeat(100_000)] {
        assert!(tested(&deep).is_err(), "{}", &deep[..8]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Invariant 2: whatever a fixture's file holds, it is read or refused.
    #[test]
    fn any_text_is_read_or_refused(text in "[-a-z:\\[\\]{}&*!|>#\"' \n]{0,120}") {
        let read = tested(&text);
        prop_assert!(read.is_ok_and(|tested| tested.is_empty()) || tested(&text).is_err(), "no request in it");
    }

    #[test]
    fn a_moment_reads_back(ms in 0u64..253_402_300_800) {
        let ms = ms * 1_000;
        let text = crate::calendar::Moment::from_ms(ms).unwrap().full().replace(".000Z", "Z");
        prop_assert_eq!(crate::calendar::Moment::ms_of(&text), Some(ms));
    }
}
