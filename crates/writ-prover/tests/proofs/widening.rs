use crate::sets::{DEPLOY, names, prover, set, solver, with_schema};
use std::cell::Cell;
use writ_prover::{Prover, SolverLimits, Unproved, Widening};

fn widening(new: &str, old: &str) -> Vec<Widening> {
    prover().widening(&set(new), &set(old)).unwrap()
}

/// By whom, and what forbade it.
fn who(found: &[Widening]) -> Vec<(Vec<&str>, Vec<&str>)> {
    let texts: fn(&[String]) -> Vec<&str> = |all| all.iter().map(String::as_str).collect();
    found.iter().map(|one| (texts(&one.permits.policies), texts(&one.forbidden_by))).collect()
}

#[test]
fn the_same_is_no_wider() {
    assert_eq!(widening(DEPLOY, DEPLOY), []);
}

#[test]
fn what_says_less_is_no_wider() {
    for (what, new) in [
        ("nothing permitted", "@id(\"quarantine\") forbid (principal in Group::\"quarantined\", action, resource);".to_owned()),
        ("a smaller number", DEPLOY.replace("<= 10", "<= 9")),
        ("one more condition", DEPLOY.replace("&& context.argv", "&& context.depth == 0 && context.argv")),
        ("one more forbid", format!("{DEPLOY} @id(\"none\") forbid (principal, action, resource);")),
        ("another name", DEPLOY.replace("@id(\"deploy\")", "@id(\"ship\")")),
        ("turned round", DEPLOY.replace(
            "context.path == \"/usr/bin/deploy\" && context.argc <= 10",
            "context.argc <= 10 && context.path == \"/usr/bin/deploy\"",
        )),
        ("a permit within another", format!(
            "{DEPLOY} @id(\"again\") permit (principal in Group::\"operators\", action == Action::\"exec\", resource)
             when {{ context.path == \"/usr/bin/deploy\" && context.argc == 3 && context.argv.contains(\"staging\") }};"
        )),
        ("cut in two", DEPLOY.replace("context.argc <= 10", "context.argc <= 5") + "
             @id(\"rest\") permit (principal in Group::\"operators\", action == Action::\"exec\", resource)
             when { context.path == \"/usr/bin/deploy\" && context.argc > 5 && context.argc <= 10 && context.argv.contains(\"staging\") };"),
        ("a permit that a new forbid takes back", format!(
            "{DEPLOY} @id(\"all\") permit (principal, action == Action::\"halt\", resource);
             @id(\"none\") forbid (principal, action == Action::\"halt\", resource);"
        )),
    ] {
        assert_eq!(widening(&new, DEPLOY), [], "{what}");
    }
}

#[test]
fn a_pattern_for_a_path_is_wider() {
    let new = DEPLOY.replace("context.path == \"/usr/bin/deploy\"", "context.path like \"/usr/bin/*\"");
    let found = widening(&new, DEPLOY);
    assert_eq!(who(&found), vec![(vec!["deploy"], vec![]); 1]);
    for one in &found {
        assert_eq!(names(&one.permits), ["argc", "argv", "path"]);
        let path = one.permits.context[2].value.as_deref().unwrap();
        assert!(path.starts_with("\"/usr/bin/") && path != "\"/usr/bin/deploy\"", "{path}");
        assert_eq!(one.permits.groups, ["Group::\"operators\""]);
        assert!(one.permits.to_string().contains("may exec some Executable"), "{}", one.permits);
    }
}

#[test]
fn a_forbid_that_is_gone_or_smaller_is_named() {
    let without = DEPLOY.split("@id(\"quarantine\")").next().unwrap();
    let found = widening(without, DEPLOY);
    assert_eq!(who(&found), vec![(vec!["deploy"], vec!["quarantine"]); 1]);
    let smaller = DEPLOY.replace(
        "(principal in Group::\"quarantined\", action, resource)",
        "(principal in Group::\"quarantined\", action, resource) when { context.depth > 0 }",
    );
    assert_eq!(who(&widening(&smaller, DEPLOY)), vec![(vec!["deploy"], vec!["quarantine"]); 1]);
}

#[test]
fn what_is_permitted_for_one_more_principal_or_action_is_wider() {
    let ada =
        format!("{DEPLOY} @id(\"ada\") permit (principal == User::\"ada\", action == Action::\"halt\", resource);");
    let found = widening(&ada, DEPLOY);
    assert_eq!(who(&found), vec![(vec!["ada"], vec![])]);
    assert_eq!(found[0].permits.principal, "User::\"ada\"");
    assert_eq!((found[0].permits.action.as_str(), found[0].permits.context.len()), ("halt", 0));
}

#[test]
fn an_action_that_only_the_new_schema_has_is_wider_where_it_is_permitted() {
    let schema = "action ship appliesTo { principal: [Agent], resource: Executable, context: {} };";
    let permit = format!("{DEPLOY} @id(\"ship\") permit (principal, action == Action::\"ship\", resource);");
    let found = prover().widening(&with_schema(&permit, Some(schema)), &set(DEPLOY)).unwrap();
    assert_eq!(who(&found), vec![(vec!["ship"], vec![])]);
    let found = prover().widening(&with_schema(DEPLOY, Some(schema)), &set(DEPLOY)).unwrap();
    assert_eq!(found, []);
}

#[test]
fn a_set_in_force_that_does_not_fit_the_new_schema_cannot_be_compared() {
    let schema = "action ship appliesTo { principal: [Agent], resource: Executable, context: { to: String } };";
    let other = "action ship appliesTo { principal: [Agent], resource: Executable, context: { to: Long } };";
    let old = with_schema(
        "@id(\"a\") permit (principal, action == Action::\"ship\", resource) when { context.to == \"port\" };",
        Some(schema),
    );
    let new = with_schema(
        "@id(\"a\") permit (principal, action == Action::\"ship\", resource) when { context.to == 7 };",
        Some(other),
    );
    let error = prover().widening(&new, &old).unwrap_err();
    assert!(matches!(error, Unproved::OtherSchema { .. }), "{error}");
}

#[test]
fn of_a_thousand_policies_only_what_changed_is_asked_about() {
    let thousand = |changed: Option<usize>| {
        let each = (0..1_000).map(|number| {
            let most = if changed == Some(number) { number + 5 } else { number };
            let effect = if number % 2 == 0 { "permit" } else { "forbid" };
            format!(
                "@id(\"p{number}\") {effect} (principal in Group::\"operators\", action == Action::\"exec\", resource)
                 when {{ context.path == \"/usr/bin/tool-{number}\" && context.argc <= {most} }};\n"
            )
        });
        set(&each.collect::<String>())
    };
    let asked = Cell::new(0);
    let mut prover = Prover::new(solver(), SolverLimits::STANDARD, |step| {
        assert!(step.done <= step.of);
        asked.set(asked.get() + 1);
    })
    .unwrap();
    let (old, new) = (thousand(None), thousand(Some(500)));
    let found = prover.widening(&new, &old).unwrap();
    assert_eq!(who(&found), vec![(vec!["p500"], vec![]); 1]);
    // One policy, and thirty-six kinds of requests: three kinds of principals, twelve actions.
    assert_eq!(asked.get(), 36);
    assert_eq!(prover.widening(&old, &new).unwrap(), []);
}
