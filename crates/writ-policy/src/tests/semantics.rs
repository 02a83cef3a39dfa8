//! One test for each way in which the engine would answer Allow, or vary, in silence.

use super::fixture::*;
use crate::{PolicySet, Problem, Semantics, Snapshot, decide};
use writ_protocol::{Code, Label};

/// Passes strict validation, and overflows for every request.
const OVERFLOWING: &str = r#"@id("overflow") forbid (principal, action == Action::"exec", resource) when { context.argc + 9223372036854775807 > 0 };"#;

#[test]
fn semantics_are_named_by_labels_of_their_own_and_what_is_not_known_is_none() {
    for semantics in Semantics::ALL {
        assert_eq!(Label::new(semantics.as_str()).unwrap().as_str(), semantics.to_string());
        assert_eq!(Semantics::parse(semantics.as_str()), Some(*semantics));
    }
    assert!(Semantics::ALL.is_sorted());
    assert_eq!(Semantics::ALL.last(), Some(&Semantics::CURRENT));
    for unknown in ["", "cedar-4.14-writ-3", "cedar-4.14-writ-", "CEDAR-4.14-WRIT-1", "cedar-4.14-writ-1 "] {
        assert_eq!(Semantics::parse(unknown), None, "{unknown}");
    }
}

#[test]
fn a_set_has_one_digest_whatever_it_decides_by() {
    let snapshot = Snapshot::new(files(&[("p.cedar", PERMIT_ALL)])).unwrap();
    for semantics in Semantics::ALL {
        let set = PolicySet::compile(&snapshot, *semantics).unwrap();
        assert_eq!((set.semantics(), *set.digest()), (*semantics, snapshot.digest()));
    }
}

#[test]
fn nothing_is_permitted_without_a_permit() {
    let deny = denied(decide(&policies(""), &exec(&["cargo"]), &facts()), Code::PolicyDenied);
    assert!(deny.reasons.is_empty() && deny.errors.is_empty());
}

#[test]
fn a_permit_permits_and_a_forbid_wins() {
    let permit = permitted(decide(&policies(PERMIT_ALL), &exec(&["cargo"]), &facts()));
    assert_eq!(permit.reasons, [name("all")]);
    let set = policies(&format!(r#"{PERMIT_ALL} @id("never") forbid (principal, action, resource);"#));
    let deny = denied(decide(&set, &exec(&["cargo"]), &facts()), Code::PolicyDenied);
    assert_eq!(deny.reasons, [name("never")]);
}

#[test]
fn a_forbid_that_fails_denies_though_the_engine_allows() {
    let set = policies(&format!("{PERMIT_ALL} {OVERFLOWING}"));
    let question = crate::request::Question::new(&set, &exec(&["cargo"]), &facts()).unwrap();
    let response = cedar_policy::Authorizer::new().is_authorized(
        &question.request,
        &question.selection.engine,
        &question.entities,
    );
    assert_eq!(response.decision(), cedar_policy::Decision::Allow, "the pitfall is gone: read the engine's notes");
    let deny = denied(decide(&set, &exec(&["cargo"]), &facts()), Code::EvaluationError);
    assert!(deny.reasons.is_empty());
    assert_eq!(deny.errors.len(), 1);
    assert_eq!(deny.errors[0].0, Some(name("overflow")));
}

#[test]
fn an_error_beside_a_forbid_is_an_error_and_names_the_forbid() {
    let set = policies(&format!(r#"{PERMIT_ALL} {OVERFLOWING} @id("never") forbid (principal, action, resource);"#));
    let deny = denied(decide(&set, &exec(&["cargo"]), &facts()), Code::EvaluationError);
    assert_eq!(deny.reasons, [name("never")]);
}

#[test]
fn a_permit_that_fails_denies_though_another_permits() {
    let failing = OVERFLOWING.replace("forbid", "permit");
    denied(decide(&policies(&format!("{PERMIT_ALL} {failing}")), &exec(&["cargo"]), &facts()), Code::EvaluationError);
}

#[test]
fn an_optional_attribute_must_be_asked_for_first() {
    let text = r#"@id("a") forbid (principal, action == Action::"exec", resource) when { context.arg1 == "x" };"#;
    assert!(matches!(problems(&[("p.cedar", text)])[..], [Problem::Invalid(_)]));
}

#[test]
fn a_missing_parent_is_refused_and_no_forbid_falls_silent() {
    let orphan =
        r#"[{"uid": {"type": "Agent", "id": "builder"}, "attrs": {}, "parents": [{"type": "Group", "id": "team"}]}]"#;
    assert!(matches!(
        &problems(&[("entities.json", orphan)])[..],
        [Problem::ParentMissing { entity, parent }] if entity.contains("builder") && parent.contains("team")
    ));
}

#[test]
fn a_group_that_no_entity_declares_is_refused_in_a_policy() {
    let text = r#"@id("a") forbid (principal in Group::"bilders", action, resource);"#;
    assert!(
        matches!(&problems(&[("p.cedar", text)])[..], [Problem::LiteralMissing(found)] if found.contains("bilders"))
    );
    let text = r#"@id("a") forbid (principal, action, resource) when { [User::"eve"].contains(User::"ada") };"#;
    assert!(matches!(&problems(&[("p.cedar", text)])[..], [Problem::LiteralMissing(found)] if found.contains("eve")));
}

#[test]
fn a_resource_that_no_request_has_is_refused_in_a_policy() {
    for resource in [r#"Executable::"cargo""#, r#"Domain::"production""#] {
        let text = format!(r#"@id("a") forbid (principal, action, resource == {resource});"#);
        assert!(matches!(problems(&[("p.cedar", &text)])[..], [Problem::LiteralImpossible(_)]), "{resource}");
    }
    policies(r#"@id("a") forbid (principal, action, resource == Executable::"/bin/x");"#);
    policies(r#"@id("a") forbid (principal, action, resource == Domain::"this");"#);
}

#[test]
fn ancestors_count_through_all_levels() {
    let forbid = r#"@id("f") forbid (principal in Group::"all", action, resource);"#;
    let set = policies(&format!("{PERMIT_ALL} {forbid}"));
    denied(decide(&set, &exec(&["cargo"]), &facts()), Code::PolicyDenied);
    let mut ada = facts();
    ada.principal = principal("User", "ada");
    permitted(decide(&set, &exec(&["cargo"]), &ada));
}

#[test]
fn an_id_stands_once_in_all_files() {
    let found = compile(&[("a.cedar", PERMIT_ALL), ("b.cedar", &format!("\n{PERMIT_ALL}"))]).unwrap_err();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].file.as_str(), found[0].line), ("b.cedar", 2));
    assert_eq!(found[0].problem, Problem::IdRepeated { id: "all".to_owned(), first: "a.cedar:1".to_owned() });
    assert!(matches!(problems(&[("a.cedar", &PERMIT_ALL.repeat(2))])[..], [Problem::IdRepeated { .. }]));
}

#[test]
fn ids_are_those_of_the_annotations_and_not_positions() {
    let set = policies(
        r#"@id("policy1") permit (principal, action, resource); @id("policy0") forbid (principal is User, action, resource);"#,
    );
    assert_eq!(permitted(decide(&set, &exec(&["cargo"]), &facts())).reasons, [name("policy1")]);
}

#[test]
fn a_decision_is_the_same_in_every_run_and_order() {
    let policy = |n: usize| format!("@id(\"p{n:02}\") @budget(\"{}\") permit (principal, action, resource);\n", n + 1);
    let forwards: String = (0..40).map(policy).collect();
    let backwards: String = (0..40).rev().map(policy).collect();
    let expected = decide(&policies(&forwards), &exec(&["cargo"]), &facts());
    let reasons = permitted(expected.clone()).reasons;
    assert_eq!(reasons.len(), 40);
    assert!(reasons.is_sorted());
    for run in 0..100 {
        let text = if run % 2 == 0 { &forwards } else { &backwards };
        assert_eq!(decide(&policies(text), &exec(&["cargo"]), &facts()).encode(), expected.encode(), "run {run}");
    }
}

#[test]
fn a_denial_is_the_same_in_every_run() {
    let overflow = |n: usize| OVERFLOWING.replace("\"overflow\"", &format!("\"overflow-{n:02}\""));
    let text: String = (0..20).map(overflow).collect();
    let first = decide(&policies(&text), &exec(&["cargo"]), &facts());
    let errors = denied(first.clone(), Code::EvaluationError).errors;
    assert!(errors.len() == 20 && errors.is_sorted());
    for _ in 0..20 {
        assert_eq!(decide(&policies(&text), &exec(&["cargo"]), &facts()).encode(), first.encode());
    }
}

#[test]
fn files_may_be_given_in_any_order() {
    let given = [("a.cedar", r#"@id("a") permit (principal, action, resource);"#), ("b.cedar", PERMIT_ALL)];
    let one = Snapshot::new(files(&given)).unwrap();
    let other = Snapshot::new(files(&[given[1], given[0]])).unwrap();
    assert_eq!(one.digest(), other.digest());
    let decide =
        |snapshot| decide(&PolicySet::compile(snapshot, Semantics::CURRENT).unwrap(), &exec(&["cargo"]), &facts());
    assert_eq!(decide(&one).encode(), decide(&other).encode());
}

#[test]
fn doubled_json_keys_are_refused_also_when_written_differently() {
    let cases = [
        r#"[{"uid": {"type": "User", "id": "ada", "id": "eve"}, "attrs": {}, "parents": []}]"#,
        r#"[{"uid": {"type": "User", "id": "ada", "\u0069d": "eve"}, "attrs": {}, "parents": []}]"#,
        r#"[{"attrs": {}, "uid": {"type": "User", "id": "ada"}, "parents": [{"a": 1}], "attrs": {}}]"#,
    ];
    for text in cases {
        assert!(matches!(problems(&[("entities.json", text)])[..], [Problem::KeyRepeated(_)]), "{text}");
        let found = problems(&[("principals.json", text)]);
        assert!(matches!(found[..], [Problem::KeyRepeated(_)]), "{text}: {found:?}");
    }
    let text = r#"[{"uid": {"type": "User", "id": "a"}, "attrs": {}, "parents": []}, {"uid": {"type": "User", "id": "uid"}, "attrs": {}, "parents": []}]"#;
    compile(&[("entities.json", text)]).unwrap();
}

#[test]
fn what_json_numbers_cannot_say_exactly_is_refused() {
    let schema = "entity Host { size: Long };";
    let with = |size: &str| {
        format!(r#"[{{"uid": {{"type": "Host", "id": "h"}}, "attrs": {{"size": {size}}}, "parents": []}}]"#)
    };
    compile(&[("schema.cedarschema", schema), ("entities.json", &with("9223372036854775807"))]).unwrap();
    for size in ["1.5", "null", "9223372036854775808", "1e3", "1.0"] {
        let found = problems(&[("schema.cedarschema", schema), ("entities.json", &with(size))]);
        assert!(matches!(found[..], [Problem::Entities(_)]), "{size}: {found:?}");
    }
}

/// On a small stack, since the limits must hold in any thread.
fn on_a_small_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(run).unwrap().join().unwrap()
}

#[test]
fn deep_nesting_is_refused_before_the_engine_sees_it() {
    let with = |condition: String| {
        format!(r#"@id("a") permit (principal, action == Action::"exec", resource) when {{ {condition} }};"#)
    };
    let brackets = move |depth: usize| with(format!("{}true{}", "(".repeat(depth), ")".repeat(depth)));
    let ifs = move |depth: usize| with(format!("{}true", "if context.same_uid then true else ".repeat(depth)));
    let chain = move |length: usize| with(format!("context.same_uid{}", " || context.same_uid".repeat(length)));
    on_a_small_stack(move || {
        for depth in [200, 100_000] {
            assert!(matches!(problems(&[("p.cedar", &brackets(depth))])[..], [Problem::TooDeep(64)]));
            assert!(matches!(problems(&[("p.cedar", &ifs(depth))])[..], [Problem::TooDeep(64)]));
        }
        assert!(matches!(problems(&[("p.cedar", &chain(50_000))])[..], [Problem::TooLong(_)]));
        let dots = with(format!("context{}", ".a".repeat(50_000)));
        assert!(matches!(problems(&[("p.cedar", &dots)])[..], [Problem::TooLong(_)]));
        // What the limits let through, the engine decides on that stack.
        let sum = with(format!("0{} > 0", " + context.argc".repeat(190)));
        let mixed = with(format!("{}context.same_uid{}", "(context.same_uid || ".repeat(60), ")".repeat(60)));
        let clauses = format!(
            r#"@id("a") permit (principal, action == Action::"exec", resource) {};"#,
            "when { context.same_uid } ".repeat(120)
        );
        for text in [brackets(60), ifs(60), chain(190), sum, mixed, clauses] {
            let mut same_uid = facts();
            same_uid.surroundings.clear();
            permitted(decide(&policies(&text), &exec(&["cargo"]), &same_uid));
        }
        let deep_json = |depth: usize| {
            let value = format!("{}1{}", r#"{"a":["#.repeat(depth), "]}".repeat(depth));
            format!(r#"[{{"uid": {{"type": "Host", "id": "h"}}, "attrs": {{"a": {value}}}, "parents": []}}]"#)
        };
        let host = ("schema.cedarschema", "entity Host { a?: Long };");
        assert!(matches!(problems(&[host, ("entities.json", &deep_json(60))])[..], [Problem::Entities(_)]));
        let schema = format!("entity Host {{ a: {}Long{} }};", "Set<".repeat(5_000), ">".repeat(5_000));
        assert!(matches!(problems(&[("schema.cedarschema", &schema)])[..], [Problem::TooDeep(64)]));
        let json = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(problems(&[("entities.json", &json)])[..], [Problem::Json(_)]));
    });
}

#[test]
fn comments_and_strings_hide_nothing() {
    let text = "// a comment; with { brackets\n@id(\"a\") @description(\"; } // no comment \\\" still text\")\r\n\
                permit (principal, action, resource); // trailing\r@id(\"b\") forbid (principal, action, resource);";
    let set = policies(text);
    assert_eq!(set.len(), 2);
    assert_eq!(set.clause(&name("a")).unwrap().line, 2);
    denied(decide(&set, &exec(&["cargo"]), &facts()), Code::PolicyDenied);
}
