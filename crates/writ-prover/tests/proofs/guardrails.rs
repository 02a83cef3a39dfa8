use crate::sets::{DEPLOY, prover, set};
use writ_prover::Guardrails;

const NO_SHELL: &str =
    "@id(\"no-shell\") permit (principal, action == Action::\"exec\", resource) when { context.path == \"/bin/sh\" };";

#[test]
fn a_set_that_stays_within_its_guardrails_is_proved_to() {
    let set = set(DEPLOY);
    let guardrails = Guardrails::parse(NO_SHELL, &set).unwrap();
    assert_eq!(prover().breaches(&set, &guardrails).unwrap(), []);
}

#[test]
fn a_permit_that_reaches_over_a_guardrail_is_named() {
    let set = set(&format!(
        "{DEPLOY} @id(\"tools\") permit (principal == User::\"ada\", action == Action::\"exec\", resource) when {{ context.path like \"*/sh\" }};"
    ));
    let guardrails = Guardrails::parse(NO_SHELL, &set).unwrap();
    let found = prover().breaches(&set, &guardrails).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].guardrail, "no-shell");
    assert_eq!(
        (found[0].permits.policies.as_slice(), found[0].permits.principal.as_str()),
        (&["tools".to_owned()][..], "User::\"ada\"")
    );
    assert_eq!(found[0].permits.context[0].value.as_deref(), Some("\"/bin/sh\""));
}

#[test]
fn a_forbid_in_the_set_holds_a_guardrail() {
    let set = set("@id(\"all\") permit (principal, action, resource);
        @id(\"shell\") forbid (principal, action == Action::\"exec\", resource) when { context.path like \"*/sh\" };");
    let guardrails = Guardrails::parse(NO_SHELL, &set).unwrap();
    assert_eq!(prover().breaches(&set, &guardrails).unwrap(), []);
}

#[test]
fn a_guardrail_that_is_not_sound_is_refused() {
    let set = set(DEPLOY);
    for (text, why) in [
        ("permit (principal, action, resource);", "has an @id"),
        ("@id(\"a\") forbid (principal, action, resource);", "written as a permit"),
        ("@id(\"a\") permit (principal, action, resource); @id(\"a\") permit (principal, action, resource);", "twice"),
        ("@id(\"a\") permit (principal == ?principal, action, resource);", "slots"),
        ("@id(\"a\") permit (principal, action, resource) when { context.nothing };", "nothing"),
        ("@id(\"a\") permit (principal, action", "unexpected"),
    ] {
        let error = Guardrails::parse(text, &set).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}
