use crate::sets::{DEPLOY, compiled, guarded, prover};
use writ_prover::Breach;

const NO_SHELL: &str =
    "@id(\"no-shell\") permit (principal, action == Action::\"exec\", resource) when { context.path == \"/bin/sh\" };";

fn breaches(policies: &str, guardrails: &str) -> Vec<Breach> {
    prover().breaches(&guarded(policies, guardrails).unwrap()).unwrap()
}

#[test]
fn a_set_that_stays_within_its_guardrails_is_proved_to() {
    assert_eq!(breaches(DEPLOY, NO_SHELL), []);
}

#[test]
fn a_permit_that_reaches_over_a_guardrail_is_named() {
    let tools = "@id(\"tools\") permit (principal == User::\"ada\", action == Action::\"exec\", resource) when { context.path like \"*/sh\" };";
    let found = breaches(&format!("{DEPLOY}{tools}"), NO_SHELL);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].guardrail.as_str(), found[0].permits.principal.as_str()), ("no-shell", "User::\"ada\""));
    assert_eq!(found[0].permits.policies, ["tools"]);
    assert_eq!(found[0].permits.context[0].value.as_deref(), Some("\"/bin/sh\""));
}

#[test]
fn a_forbid_in_the_set_holds_a_guardrail() {
    let policies = "@id(\"all\") permit (principal, action, resource);
        @id(\"shell\") forbid (principal, action == Action::\"exec\", resource) when { context.path like \"*/sh\" };";
    assert_eq!(breaches(policies, NO_SHELL), []);
}

#[test]
fn a_guardrail_that_can_fail_is_named() {
    let fails = "@id(\"sum\") permit (principal, action == Action::\"exec\", resource) when { context.argc + 9223372036854775807 > 3 };";
    let found = prover().never_errors(&guarded(DEPLOY, fails).unwrap()).unwrap();
    assert_eq!(found.iter().map(|one| one.policy.as_str()).collect::<Vec<_>>(), ["sum"]);
}

#[test]
fn what_guards_nothing_is_refused_when_the_set_is_compiled() {
    let deep = |open: &str, close: &str| {
        let condition = format!("{}context.same_uid{}", open.repeat(3_000), close.repeat(3_000));
        format!("@id(\"g\") permit (principal, action == Action::\"exec\", resource) when {{ {condition} }};")
    };
    let long = format!("@id(\"{}\") permit (principal, action, resource);", "x".repeat(120));
    for (text, why) in [
        ("permit (principal, action, resource);", "has no `@id`"),
        ("@id(\"a\") forbid (principal, action, resource);", "written as a permit"),
        (
            "@id(\"a\") permit (principal, action, resource); @id(\"a\") permit (principal, action, resource);",
            "belongs to",
        ),
        ("@id(\"a\") permit (principal == ?principal, action, resource);", "a template"),
        ("@id(\"a\") permit (principal, action, resource) when { context.nothing };", "nothing"),
        ("@id(\"a\") permit (principal, action", "not closed"),
        ("@id(\"a b\") permit (principal, action, resource);", "is not a name"),
        (&long, "is not a name"),
        ("@id(\"a\") @budgt(\"1\") permit (principal, action, resource);", "is not known"),
        ("@id(\"a\") permit (principal in Group::\"nobody\", action, resource);", "not in entities.json"),
        (
            "@id(\"a\") permit (principal, action == Action::\"exec\", resource == Executable::\"bin/a\");",
            "would match nothing",
        ),
        (
            "@id(\"a\") permit (principal, action == Action::\"exec\", resource) when { context.argc > 3 && false };",
            "false",
        ),
        (&deep("(", ")"), "nested deeper"),
        (&deep("if context.same_uid then true else ", ""), "nested deeper"),
        (&deep("!", ""), "operators"),
    ] {
        let findings = guarded(DEPLOY, text).unwrap_err();
        assert!(findings.iter().any(|one| one.to_string().contains(why)), "{why}: {findings:?}");
    }
}

#[test]
fn a_misspelt_folder_does_not_make_a_permit_of_a_prohibition() {
    for path in
        ["Guardrails/a.cedar", "guardrail/a.cedar", "x/guardrails/a.cedar", "guardrails.cedar", "GUARDRAIL.cedar"]
    {
        let findings = compiled(DEPLOY, &[(path, NO_SHELL)]).unwrap_err();
        assert!(findings.iter().any(|one| one.file == path), "{path}: {findings:?}");
    }
}
