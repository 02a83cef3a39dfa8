use crate::sets::{DEPLOY, names, prover, set};

#[test]
fn what_cannot_fail_is_proved() {
    let policies = format!(
        r#"{DEPLOY}
        @id("guarded")
        forbid (principal, action == Action::"exec", resource) when {{ context has arg1 && context.arg1 == "--force" }};
        @id("small")
        forbid (principal, action == Action::"exec", resource) when {{ context.depth < 100 && context.depth + 1 > 9 }};"#
    );
    assert_eq!(prover().never_errors(&set(&policies)).unwrap(), []);
}

#[test]
fn a_sum_that_overflows_is_shown_with_the_number_that_does_it() {
    let policies = r#"
        @id("sum") forbid (principal, action == Action::"exec", resource) when { context.argc + 9223372036854775800 > 3 };
        @id("fine") permit (principal, action == Action::"exec", resource);"#;
    let found = prover().never_errors(&set(policies)).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let erring = &found[0];
    assert_eq!((erring.policy.as_str(), names(&erring.when)), ("sum", vec!["argc"]));
    assert!(erring.why.contains("overflow"), "{}", erring.why);
    let argc: i64 = erring.when.context[0].value.as_deref().unwrap().parse().unwrap();
    assert_eq!(argc.checked_add(9_223_372_036_854_775_800), None);
}

#[test]
fn each_policy_is_named_once_and_all_are() {
    let policies = r#"
        @id("difference") permit (principal, action, resource) when { context.depth - 9223372036854775807 < 3 };
        @id("product") forbid (principal, action == Action::"exec", resource) when { context.argc * 4 == context.depth };"#;
    let found = prover().never_errors(&set(policies)).unwrap();
    let mut named: Vec<&str> = found.iter().map(|erring| erring.policy.as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, ["difference", "product"]);
}
