//! What is explained is what was decided: clauses taken together say what the engine says of their policy, and a change that is told is permitted.

use super::fixture::*;
use super::index::{ENTITIES, conditioned, questions};
use crate::explain::{Change, Depth, Edit, Explanation, Remedy, Role, Truth, Wanted, explain};
use crate::index::Selection;
use crate::request::{Asked, Question};
use crate::{Decision, Facts, PolicySet, decide};
use cedar_policy::{Authorizer, PolicyId};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::fmt::Write;
use std::sync::Arc;
use writ_protocol::action::{Action, Command, Stdin};

/// What the engine alone says of one policy.
fn of_engine(set: &PolicySet, action: &Action, facts: &Facts, id: &str) -> &'static str {
    let whole = set.index.whole();
    let mut alone = cedar_policy::PolicySet::new();
    alone.add(whole.engine.policy(&PolicyId::new(id)).unwrap().clone()).unwrap();
    let selection = Arc::new(Selection { engine: alone, ..whole });
    let question = Question::of(set, selection, action, facts, Asked::of(set, action, facts).unwrap()).unwrap();
    let response = Authorizer::new().is_authorized(&question.request, &question.selection.engine, &question.entities);
    match (response.diagnostics().errors().count(), response.diagnostics().reason().count()) {
        (1, _) => "error",
        (0, 1) => "holds",
        (0, 0) => "fails",
        found => panic!("{found:?}"),
    }
}

/// Everything that is told of one question is what deciding says.
fn agrees(set: &PolicySet, action: &Action, facts: &Facts, text: &str) -> Result<(), TestCaseError> {
    let depth = Depth { near_max: usize::MAX, judged_max: usize::MAX, tries_max: 200 };
    let told = explain(set, action, facts, depth);
    let decided = decide(set, action, facts);
    prop_assert_eq!(told.decision.encode(), decided.encode());
    let (reasons, failed) = match &decided {
        Decision::Permit(permit) => (permit.reasons.clone(), Vec::new()),
        Decision::Hold(hold) => (hold.reasons.clone(), Vec::new()),
        Decision::Deny(deny) => {
            (deny.reasons.clone(), deny.errors.iter().filter_map(|(policy, _)| policy.clone()).collect())
        }
    };
    let of = |role: Role| {
        let mut ids: Vec<_> =
            told.policies.iter().filter(|told| told.role == role).map(|told| told.id.clone()).collect();
        ids.sort();
        ids
    };
    prop_assert_eq!(of(Role::Determining), reasons, "{}", text);
    prop_assert_eq!(of(Role::Failed), failed, "{}", text);
    prop_assert_eq!(told.policies.len(), set.len(), "every scope covers everything here");
    for one in &told.policies {
        prop_assert_eq!(one.truth.as_str(), of_engine(set, action, facts, one.id.as_str()), "{}: {}", &one.id, text);
        if one.parts().iter().all(|part| !matches!(part.truth, Truth::Error(_))) {
            prop_assert_eq!(one.distance() == 0, one.truth == Truth::Holds, "{}", text);
        }
    }
    if let Some(Remedy::Changes(changes)) = &told.remedy {
        prop_assert!(matches!(decided, Decision::Deny(_)));
        for change in changes {
            prop_assert_eq!(&permitted_by(set, action, facts, change), &change.permits, "{}", text);
        }
    }
    Ok(())
}

fn permitted_by(set: &PolicySet, action: &Action, facts: &Facts, change: &Change) -> Vec<writ_protocol::Name> {
    let (mut action, mut facts) = (action.clone(), facts.clone());
    change.edits.iter().for_each(|edit| edit.apply(&mut action, &mut facts).unwrap());
    permitted(decide(set, &action, &facts)).reasons
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn clauses_taken_together_say_what_the_engine_says(policies in prop::collection::vec(conditioned(), 1..8)) {
        let mut text = String::new();
        for (number, policy) in policies.iter().enumerate() {
            writeln!(text, "@id(\"p{number}\") {policy}").unwrap();
        }
        let set = compile(&[("entities.json", ENTITIES), ("p.cedar", &text)]).unwrap();
        for (action, facts) in questions().into_iter().filter(|(action, _)| matches!(action, Action::Exec(_))) {
            agrees(&set, &action, &facts, &text)?;
        }
    }
}

#[track_caller]
fn told(set: &PolicySet, action: &Action, facts: &Facts) -> Explanation {
    explain(set, action, facts, Depth::FULL)
}

#[track_caller]
fn changes(set: &PolicySet, action: &Action, facts: &Facts) -> Vec<Edit> {
    match told(set, action, facts).remedy {
        Some(Remedy::Changes(changes)) => {
            for change in &changes {
                assert_eq!(permitted_by(set, action, facts, change), change.permits);
            }
            changes.into_iter().next().unwrap().edits
        }
        other => panic!("expected a change, found {other:?}"),
    }
}

const BUILD: &str = r#"@id("build")
@description("builders (all of them) build")
permit (principal in Group::"builders", action == Action::"exec", resource == Executable::"/usr/bin/cargo")
when { context has arg1 && // what is asked
       ["build", "test"].contains(context.arg1) }
unless { context.depth > 3 || !(context.cwd like "/work*") };
"#;

#[test]
fn clauses_are_told_as_they_were_written_with_line_truth_and_values() {
    let set = policies(BUILD);
    let told = told(&set, &exec(&["cargo", "publish"]), &facts());
    let [build] = told.policies.as_slice() else { panic!("{told:?}") };
    assert_eq!((build.role, &build.truth), (Role::Near, &Truth::Fails));
    assert_eq!(build.scope[2], "resource == Executable::\"/usr/bin/cargo\"");
    let parts: Vec<_> = build
        .parts()
        .into_iter()
        .map(|part| {
            let reads = part.reads.iter().map(|read| format!("{}={:?}", read.attribute, read.value.as_deref()));
            (part.text.as_str(), part.line, part.truth.as_str(), part.reached, reads.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let arg1 = "context.arg1=Some(\"\\\"publish\\\"\")".to_owned();
    assert_eq!(
        parts,
        [
            ("context has arg1", 4, "holds", true, arg1.clone()),
            ("[\"build\", \"test\"].contains(context.arg1)", 5, "fails", true, arg1),
            ("context.depth > 3", 6, "fails", false, "context.depth=Some(\"0\")".to_owned()),
            ("context.cwd like \"/work*\"", 6, "holds", false, "context.cwd=Some(\"\\\"/work\\\"\")".to_owned()),
        ]
    );
    let [when, unless] = build.conditions.as_slice() else { panic!("{build:?}") };
    assert_eq!((when.unless, when.reached, &when.truth), (false, true, &Truth::Fails));
    assert_eq!((unless.unless, unless.reached, &unless.truth), (true, false, &Truth::Fails));
}

#[test]
fn the_smallest_change_is_one_that_is_permitted() {
    let set = policies(BUILD);
    let argument = |text: &str| Edit::Argument(1, Wanted::Value(text.to_owned()));
    assert_eq!(changes(&set, &exec(&["cargo", "publish"]), &facts()), [argument("build")]);
    // Both clauses are mended by one argument.
    assert_eq!(changes(&set, &exec(&["cargo"]), &facts()), [argument("build")]);
    let deep = Facts { depth: 5, ..facts() };
    assert_eq!(changes(&set, &exec(&["cargo", "test"]), &deep), [Edit::Depth(0)]);
    assert_eq!(changes(&set, &exec(&["cargo", "publish"]), &deep), [argument("build"), Edit::Depth(0)]);
}

#[test]
fn each_attribute_that_an_asker_can_change_is_changed() {
    let cases: [(&str, Edit); 13] = [
        (r#"context.argv.contains("--locked")"#, Edit::AddArgument("--locked".to_owned())),
        (r#"!context.argv.contains("y")"#, Edit::DropArgument("y".to_owned())),
        (r#"context.argc <= 2"#, Edit::ArgumentsFrom(Reverse(2))),
        (r#"context.command == "cargo build""#, Edit::Command("cargo build".to_owned())),
        (r#"context.variables.contains("CI")"#, Edit::AddVariable("CI".to_owned())),
        (r#"!context.variables.containsAny(["HOME", "X"])"#, Edit::DropVariables(vec!["HOME".into(), "X".into()])),
        (r#"context.cwd == "/srv""#, Edit::Cwd(Wanted::Value("/srv".to_owned()))),
        (
            r#"context.cwd like "/srv/*""#,
            Edit::Cwd(Wanted::Like { pattern: "/srv/*".to_owned(), example: "/srv/x".to_owned() }),
        ),
        (r#"context.stdin == "pipe""#, Edit::Stdin("pipe".to_owned())),
        (r#"context.auth == "peer""#, Edit::Auth("peer".to_owned())),
        ("context.depth == 2", Edit::Depth(2)),
        ("context.same_uid", Edit::SameUid(true)),
        (r#"context.now >= datetime("2026-11-23T06:00:00Z")"#, Edit::Now(1_795_413_600_000)),
    ];
    for (condition, expected) in cases {
        let text =
            format!("@id(\"p\") permit (principal, action == Action::\"exec\", resource) when {{ {condition} }};");
        let set = policies(&text);
        assert_eq!(changes(&set, &exec(&["cargo", "x", "y"]), &facts()), [expected], "{condition}");
    }
    let set = policies(
        r#"@id("p") permit (principal, action == Action::"halt", resource) when { context.reason == "drill" };"#,
    );
    let halt = Action::Order(writ_protocol::action::Order { command: Command::Halt, reason: label("because") });
    assert_eq!(changes(&set, &halt, &facts()), [Edit::Reason("drill".to_owned())]);
}

#[test]
fn what_a_forbid_stands_on_is_changed_too_and_what_nobody_can_change_is_said() {
    let forbid = r#"@id("no-preload") forbid (principal, action, resource)
        when { context has variables && context.variables.containsAny(["LD_PRELOAD", "LD_AUDIT"]) };"#;
    let set = policies(&format!(
        "{PERMIT_ALL}\n{}",
        forbid.replace("action, resource", "action == Action::\"exec\", resource")
    ));
    let mut asked = fields(&["cargo"]);
    asked.variables = variables(&["HOME", "LD_AUDIT"]);
    let names = vec!["LD_PRELOAD".to_owned(), "LD_AUDIT".to_owned()];
    assert_eq!(changes(&set, &exec_of(asked.clone()), &facts()), [Edit::DropVariables(names)]);
    let explained = told(&set, &exec_of(asked), &facts());
    let roles: Vec<_> = explained.policies.iter().map(|told| (told.id.as_str(), told.role)).collect();
    assert_eq!(roles, [("no-preload", Role::Determining), ("all", Role::Overruled)]);

    let set = policies(&format!("{PERMIT_ALL}\n@id(\"never\") forbid (principal, action, resource);"));
    let silent = told(&set, &exec(&["cargo"]), &facts()).remedy;
    assert_eq!(silent, Some(Remedy::NotFound { tried: 0, forbids: vec![name("never")] }));

    let other =
        r#"@id("other") permit (principal, action == Action::"exec", resource == Executable::"/usr/bin/make");"#;
    let explained = told(&policies(other), &exec(&["cargo"]), &facts());
    assert_eq!(explained.remedy, Some(Remedy::NoScope));
    assert_eq!((explained.elsewhere, explained.missed.len()), (1, 1));
    assert_eq!(explained.missed[0].part, "resource == Executable::\"/usr/bin/make\"");

    let failing = "@id(\"bad\") forbid (principal, action, resource) when { context.depth + 9223372036854775807 > 0 };";
    let set = policies(&format!("{PERMIT_ALL}\n{failing}"));
    let deep = Facts { depth: 1, ..facts() };
    let explained = told(&set, &exec(&["cargo"]), &deep);
    assert_eq!(explained.policies[0].role, Role::Failed);
    assert!(matches!(&explained.policies[0].truth, Truth::Error(why) if why.contains("overflow")), "{explained:?}");
    assert!(matches!(explained.remedy, Some(Remedy::Fails { .. })), "{:?}", explained.remedy);
    assert_eq!(
        told(&set, &exec(&["cargo"]), &facts()).remedy,
        Some(Remedy::NotFound { tried: 0, forbids: vec![name("bad")] })
    );

    let stranger = Facts { principal: principal("Agent", "nobody"), ..facts() };
    let explained = told(&set, &exec(&["cargo"]), &stranger);
    assert_eq!((explained.policies.len(), explained.remedy), (0, Some(Remedy::Obstructed)));
}

#[test]
fn a_permit_is_explained_without_a_remedy_and_the_nearest_come_first() {
    let mut text = PERMIT_ALL.to_owned();
    for number in 0..40 {
        let more = " && context.depth == 9".repeat(number % 4);
        writeln!(
            text,
            "@id(\"f{number:02}\") forbid (principal, action, resource) when {{ context.auth == \"peer\"{more} }};"
        )
        .unwrap();
    }
    let explained = told(&policies(&text), &exec(&["cargo"]), &facts());
    assert_eq!(explained.remedy, None);
    let ids: Vec<_> = explained.policies.iter().map(|told| told.id.as_str()).collect();
    assert_eq!(ids.len(), 1 + Depth::FULL.near_max);
    assert_eq!((ids[0], ids[1], ids[2], ids[11]), ("all", "f00", "f04", "f01"));
    assert_eq!(explained.near_more, 40 - Depth::FULL.near_max);
}

proptest! {
    #[test]
    fn a_moment_that_a_policy_writes_is_read_as_the_engine_reads_it(ms in 0u64..253_402_300_800_000) {
        use crate::calendar::{Moment, ms_of_text};
        let moment = Moment::from_ms(ms).unwrap();
        prop_assert_eq!(ms_of_text(&moment.full()), Some(ms));
        prop_assert_eq!(ms_of_text(&moment.day()), Some(ms - ms % 86_400_000));
        prop_assert_eq!(ms_of_text(&format!("{}:00Z", moment.minute())), Some(ms - ms % 60_000));
    }
}

#[test]
fn what_is_no_moment_is_none() {
    for text in
        ["", "2026", "2026-13-01", "2026-02-30", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00+0100", "99999-01-01"]
    {
        assert_eq!(crate::calendar::ms_of_text(text), None, "{text}");
    }
}

#[test]
fn an_edit_that_cannot_be_made_is_none() {
    let (mut action, mut facts) = (exec(&["cargo"]), facts());
    for edit in [
        Edit::Argument(2, Wanted::Value("x".to_owned())),
        Edit::Argument(1, Wanted::Value("a\\b".to_owned())),
        Edit::Cwd(Wanted::Value("relative".to_owned())),
        Edit::Stdin("telepathy".to_owned()),
        Edit::Command("cargo  build".to_owned()),
        Edit::AddVariable("A=B".to_owned()),
        Edit::Reason("because".to_owned()),
        Edit::Auth("No Label".to_owned()),
    ] {
        assert_eq!(edit.apply(&mut action, &mut facts), None, "{edit}");
    }
    assert_eq!(action, exec(&["cargo"]));
    Edit::Stdin("socket".to_owned()).apply(&mut action, &mut facts).unwrap();
    assert!(matches!(&action, Action::Exec(exec) if exec.stdin == Stdin::Socket));
}

#[test]
fn of_a_large_set_the_members_that_the_clause_names_are_told() {
    let set = policies(&format!(
        "{PERMIT_ALL} @id(\"no\") forbid (principal, action == Action::\"exec\", resource) when {{ context.variables.containsAny([\"B\", \"H\", \"Z\"]) }};"
    ));
    let mut asked = fields(&["cargo"]);
    asked.variables = variables(&["A", "B", "C", "D", "E", "F", "G", "H"]);
    let explained = told(&set, &exec_of(asked), &facts());
    let read = explained.policies[0].parts()[0].reads[0].clone();
    assert_eq!(read.value.as_deref(), Some("[\"B\", \"H\"] of those named here, 8 members in all"));
}
