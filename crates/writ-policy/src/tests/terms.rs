use super::fixture::*;
use crate::calendar::Moment;
use crate::{Budget, Caused, Facts, Problem, Semantics, Terms, decide};
use proptest::prelude::*;
use writ_protocol::entry::Positive;
use writ_protocol::{Code, Name};
use writ_tlog::Hash;

fn terms_of(text: &str, facts: &Facts) -> Terms {
    permitted(decide(&policies(text), &exec(&["cargo"]), facts)).terms
}

fn permit(id: &str, annotations: &str) -> String {
    format!(r#"@id("{id}") {annotations} permit (principal, action, resource);"#)
}

fn budget(counter: &str, limit: u64) -> Budget {
    Budget { counter: name(counter), limit: Positive::new(limit).unwrap() }
}

#[test]
fn a_permit_without_terms_has_the_defaults() {
    let terms = terms_of(PERMIT_ALL, &facts());
    let expected = Terms {
        window_ms: 60_000,
        freeze_after_ms: 10_000,
        kill_after_ms: 30_000,
        sandbox: None,
        budgets: vec![],
        labels: vec![],
    };
    assert_eq!(terms, expected);
}

#[test]
fn every_annotation_becomes_its_term() {
    let all = r#"@window("10m") @freeze_after("500ms") @kill_after("2s") @sandbox("strict") @budget("3") @label("b, a") @description("x")"#;
    let expected = Terms {
        window_ms: 600_000,
        freeze_after_ms: 500,
        kill_after_ms: 2_000,
        sandbox: Some(label("strict")),
        budgets: vec![budget("p:Agent/builder", 3)],
        labels: vec![label("a"), label("b")],
    };
    assert_eq!(terms_of(&permit("p", all), &facts()), expected);
    assert_eq!(terms_of(&permit("p", r#"@window("1h")"#), &facts()).window_ms, 3_600_000);
}

#[test]
fn several_permits_combine_by_the_strictest_of_each_term() {
    let one = permit("one", r#"@window("10m") @freeze_after("2s") @sandbox("strict") @budget("5") @label("b,a")"#);
    let two = permit("two", r#"@window("20m") @kill_after("20s") @budget("3") @label("b, c")"#);
    let expected = Terms {
        window_ms: 600_000,
        freeze_after_ms: 2_000,
        kill_after_ms: 20_000,
        sandbox: Some(label("strict")),
        budgets: vec![budget("one:Agent/builder", 5), budget("two:Agent/builder", 3)],
        labels: vec![label("a"), label("b"), label("c")],
    };
    assert_eq!(terms_of(&format!("{one}{two}"), &facts()), expected);
    assert_eq!(terms_of(&format!("{two}{one}"), &facts()), expected);
    let with_plain = terms_of(&format!("{one}{two}{}", permit("plain", "")), &facts());
    assert_eq!(with_plain.window_ms, 60_000, "the default is a term too");
}

#[test]
fn a_permit_that_does_not_apply_adds_no_terms() {
    let other = r#"@id("other") @window("1s") @budget("1") permit (principal is User, action, resource);"#;
    let terms = terms_of(&format!("{PERMIT_ALL}{other}"), &facts());
    assert_eq!((terms.window_ms, terms.budgets), (60_000, vec![]));
}

#[test]
fn different_sandboxes_cannot_be_combined() {
    let text = permit("a", r#"@sandbox("strict")"#) + &permit("b", r#"@sandbox("loose")"#);
    let deny = denied(decide(&policies(&text), &exec(&["cargo"]), &facts()), Code::EvaluationError);
    assert!(deny.errors[0].1.contains("sandbox"));
    let text = permit("a", r#"@sandbox("strict")"#) + &permit("b", r#"@sandbox("strict")"#);
    assert_eq!(terms_of(&text, &facts()).sandbox, Some(label("strict")));
}

#[test]
fn budgets_count_in_buckets_of_utc() {
    let cases = [
        ("10", "p:Agent/builder"),
        ("10 per minute", "p:Agent/builder:2026-11-21T08:05"),
        ("10 per hour", "p:Agent/builder:2026-11-21T08"),
        ("10 per day", "p:Agent/builder:2026-11-21"),
    ];
    for (value, counter) in cases {
        let terms = terms_of(&permit("p", &format!(r#"@budget("{value}")"#)), &facts());
        assert_eq!(terms.budgets, [budget(counter, 10)]);
    }
    let hourly = permit("p", r#"@budget("10 per hour")"#);
    let at = |ms| terms_of(&hourly, &Facts { now_ms: ms, ..facts() }).budgets;
    let hour_ms = 3_600_000;
    let start = NOW_MS - NOW_MS % hour_ms;
    assert_eq!(at(start), at(start + hour_ms - 1));
    assert_ne!(at(start), at(start - 1));
    assert_ne!(at(start), at(start + hour_ms));
}

#[test]
fn budgets_count_what_one_execution_has_caused_whoever_acts() {
    let caused = |parent, origin, by| Facts {
        depth: 2,
        caused: Some(Caused {
            parent: Hash::from_bytes([parent; 32]),
            origin: Hash::from_bytes([origin; 32]),
            by: principal("Agent", by),
        }),
        ..facts()
    };
    let counters = |value: &str, facts: &Facts| -> Vec<Name> {
        let terms = terms_of(&permit("p", &format!(r#"@budget("10 per {value}")"#)), facts);
        terms.budgets.into_iter().map(|budget| budget.counter).collect()
    };
    for value in ["origin", "parent"] {
        assert_eq!(counters(value, &facts()), [], "an origin is caused by nothing");
        let first = counters(value, &caused(1, 2, "builder"));
        assert_eq!(first.len(), 1);
        assert_eq!(counters(value, &caused(1, 2, "other")), first);
        assert_ne!(counters(value, &caused(3, 4, "builder")), first);
        let later = Facts { now_ms: NOW_MS + 86_400_000, ..caused(1, 2, "builder") };
        assert_eq!(counters(value, &later), first);
    }
    assert_eq!(counters("origin", &caused(1, 2, "builder")), counters("origin", &caused(9, 2, "builder")));
    assert_eq!(counters("parent", &caused(1, 2, "builder")), counters("parent", &caused(1, 9, "builder")));
    assert_eq!(counters("parent", &caused(1, 1, "builder"))[0], name(&format!("p:parent/{}", "01".repeat(32))));
    let nowhere = Facts { caused: None, ..caused(1, 2, "builder") };
    let text = permit("p", r#"@budget("10 per origin")"#);
    let deny = denied(decide(&policies(&text), &exec(&["cargo"]), &nowhere), Code::EvaluationError);
    assert!(deny.errors[0].1.contains("nothing says what caused"), "{deny:?}");
}

#[test]
fn counters_with_ambiguous_or_long_names_are_digests_and_differ() {
    let entities =
        |id: &str| format!(r#"[{{"uid": {{"type": "Agent", "id": "{id}"}}, "attrs": {{}}, "parents": []}}]"#);
    let counter = |policy: &str, id: &str| {
        let text = permit(policy, r#"@budget("1")"#);
        let set = compile(&[("p.cedar", &text), ("entities.json", &entities(id))]).unwrap();
        let facts = Facts { principal: principal("Agent", id), ..facts() };
        permitted(decide(&set, &exec(&["cargo"]), &facts)).terms.budgets[0].counter.clone()
    };
    let long = "x".repeat(128);
    let pairs = [("p", "y:Agent/x"), ("p:Agent/y", "x"), ("p", long.as_str()), (long.as_str(), "x"), (&long, &long)];
    let counters: std::collections::BTreeSet<_> = pairs.iter().map(|(policy, id)| counter(policy, id)).collect();
    assert_eq!(counters.len(), pairs.len());
    for counter in counters {
        assert!(counter.as_str().len() == 64 && counter.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

#[test]
fn annotations_of_another_form_are_refused() {
    let forms = [
        ("window", ""),
        ("window", "10"),
        ("window", "0s"),
        ("window", "010s"),
        ("window", "1.5s"),
        ("window", "-1s"),
        ("window", "1 s"),
        ("window", "1d"),
        ("window", "s"),
        ("window", "18446744073709551615h"),
        ("window", "99999999999999999999s"),
        ("window", "9223372036854775808ms"),
        ("freeze_after", "soon"),
        ("kill_after", "never"),
        ("sandbox", "Strict"),
        ("sandbox", ""),
        ("budget", "0"),
        ("budget", "-1"),
        ("budget", "10 per week"),
        ("budget", "10 per lineage"),
        ("label", ""),
        ("label", "Secret"),
        ("label", "a b"),
        ("label", "a,,b"),
        ("label", "a,a"),
        ("label", "a;b"),
        ("label", "a,\tb"),
        ("budget", "10 per"),
        ("budget", "10  per hour"),
        ("budget", "ten"),
    ];
    for (annotation, value) in forms {
        let found = problems(&[("p.cedar", &permit("p", &format!(r#"@{annotation}("{value}")"#)))]);
        assert!(matches!(found[..], [Problem::AnnotationForm { .. }]), "{annotation} {value}: {found:?}");
    }
    for annotation in ["budgt", "Window", "advice", "approvals"] {
        let found = problems(&[("p.cedar", &permit("p", &format!(r#"@{annotation}("1")"#)))]);
        assert_eq!(found, [Problem::AnnotationUnknown(annotation.to_owned())]);
    }
    for annotation in ["window", "freeze_after", "kill_after", "sandbox", "budget"] {
        let text = format!(r#"@id("p") @{annotation}("1") forbid (principal, action, resource);"#);
        assert_eq!(problems(&[("p.cedar", &text)]), [Problem::AnnotationOnForbid(annotation.to_owned())]);
    }
}

#[test]
fn nothing_is_killed_before_it_is_frozen() {
    for annotations in [r#"@kill_after("5s")"#, r#"@freeze_after("31s")"#] {
        let found = problems(&[("p.cedar", &permit("p", annotations))]);
        assert!(matches!(found[..], [Problem::KillBeforeFreeze { .. }]), "{annotations}");
    }
    terms_of(&permit("p", r#"@freeze_after("5s") @kill_after("5s")"#), &facts());
}

#[test]
fn more_permits_than_an_entry_records_are_an_error_under_the_first_version_alone() {
    let text = |count: usize| (0..count).map(|n| permit(&format!("p{n:03}"), "")).collect::<String>();
    for set in under_each(&policies(&text(256))) {
        assert_eq!(permitted(decide(&set, &exec(&["cargo"]), &facts())).reasons.len(), 256);
        assert!(!set.may_permit_too_often());
    }
    for set in under_each(&policies(&text(257))) {
        let decision = decide(&set, &exec(&["cargo"]), &facts());
        match set.semantics() {
            Semantics::Writ1 => {
                let deny = denied(decision, Code::EvaluationError);
                assert_eq!(deny.errors, [(None, "expected 1 to 256 determining permits, found 257".to_owned())]);
                assert!(set.may_permit_too_often());
            }
            Semantics::Writ2 => {
                let reasons = permitted(decision).reasons;
                assert_eq!((reasons.len(), reasons[0].as_str(), reasons[255].as_str()), (256, "p000", "p255"));
                assert!(!set.may_permit_too_often());
            }
        }
    }
}

#[test]
fn a_permit_that_the_decision_does_not_name_still_counts() {
    let many = (0..256).map(|n| permit(&format!("p{n:03}"), r#"@window("10m")"#)).collect::<String>();
    let last = permit("q", r#"@window("5s") @sandbox("quiet") @budget("3")"#);
    let terms = permitted(decide(&policies(&format!("{many}{last}")), &exec(&["cargo"]), &facts())).terms;
    assert_eq!((terms.window_ms, terms.sandbox, terms.budgets.len()), (5_000, Some(label("quiet")), 1));
    // Two that cannot be combined are an error, wherever they stand.
    let text = format!("{many}{last}{}", permit("r", r#"@sandbox("loud")"#));
    denied(decide(&policies(&text), &exec(&["cargo"]), &facts()), Code::EvaluationError);
}

#[test]
fn more_budgets_than_a_grant_can_draw_from_are_an_error() {
    let text = |count: usize| (0..count).map(|n| permit(&format!("p{n}"), r#"@budget("9")"#)).collect::<String>();
    let decide = |count| decide(&policies(&text(count)), &exec(&["cargo"]), &facts());
    assert_eq!(permitted(decide(crate::BUDGETS_MAX)).terms.budgets.len(), crate::BUDGETS_MAX);
    let deny = denied(decide(crate::BUDGETS_MAX + 1), Code::EvaluationError);
    assert_eq!(deny.errors, [(None, "expected at most 256 budgets that count one execution, found 257".to_owned())]);
}

#[test]
fn very_many_forbids_deny_as_one_does_and_the_first_are_named() {
    let forbids =
        (0..300).map(|n| format!("@id(\"f{n:03}\") forbid (principal, action, resource);")).collect::<String>();
    for set in under_each(&policies(&format!("{PERMIT_ALL}{forbids}"))) {
        let reasons = denied(decide(&set, &exec(&["cargo"]), &facts()), Code::PolicyDenied).reasons;
        assert_eq!((reasons.len(), reasons[255].as_str()), (256, "f255"));
    }
}

#[test]
fn moments_are_written_as_utc() {
    let cases = [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (NOW_MS, "2026-11-21T08:05:09.007Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ];
    for (ms, text) in cases {
        assert_eq!(Moment::from_ms(ms).unwrap().full(), text);
    }
    assert_eq!(Moment::from_ms(253_402_300_800_000), None);
}

proptest! {
    #[test]
    fn moments_ascend_as_text(left in 0u64..253_402_300_800_000, right in 0u64..253_402_300_800_000) {
        let text = |ms| Moment::from_ms(ms).unwrap().full();
        prop_assert_eq!(left.cmp(&right), text(left).cmp(&text(right)));
    }
}
