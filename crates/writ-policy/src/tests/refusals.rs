//! What does not compile, beside the rules of `semantics.rs`, and how it is told.

use super::fixture::*;
use crate::{Effect, PolicyError, Problem, Semantics};
use writ_protocol::{Ed25519Key, Key};

const KEY: &str = "01d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[test]
fn policies_that_cannot_be_told_apart_or_read_are_refused() {
    let scope = "permit (principal, action, resource)";
    let found = |text: String| problems(&[("p.cedar", &text)]);
    assert_eq!(found(format!("{scope};")), [Problem::IdMissing]);
    for id in ["", "a b", "é", &"x".repeat(129)] {
        assert_eq!(found(format!("@id(\"{id}\") {scope};")), [Problem::IdForm(id.to_owned())]);
    }
    assert_eq!(found(format!("@id {scope};")), [Problem::IdForm(String::new())]);
    for slot in ["principal == ?principal, action, resource", "principal, action, resource in ?resource"] {
        assert!(matches!(found(format!("@id(\"a\") permit ({slot});"))[..], [Problem::Template(_)]));
    }
    for text in ["@id(\"a\") permit (principal, action, resource)", "@id(\"a", "@id(\"a\") permit (", "}", ")"] {
        assert_eq!(found(text.to_owned()), [Problem::Unclosed], "{text}");
    }
    for text in [
        ";",
        "permit;",
        "@id(\"a\") allow (principal, action, resource);",
        "@id(\"a\") @id(\"b\") permit (principal, action, resource);",
    ] {
        assert!(matches!(found(text.to_owned())[..], [Problem::Syntax(_)]), "{text}");
    }
}

#[test]
fn all_findings_come_at_once_each_with_its_place() {
    let text = "@id(\"a\")\npermit (principal, action, resource)\nwhen { context.nothing };\n\n  permit (principal, action, resource);\n\
                @id(\"b\") forbid (principal in Group::\"x\", action, resource);";
    let found = compile(&[("p.cedar", text), ("entities.json", "[}"), ("principals.json", "{}")]).unwrap_err();
    let places: Vec<_> = found.iter().map(|found| (found.file.as_str(), found.line, found.column)).collect();
    assert!(places.contains(&("p.cedar", 5, 3)), "{found:#?}");
    assert!(places.contains(&("p.cedar", 3, 8)), "{found:#?}");
    assert!(places.contains(&("entities.json", 1, 2)), "{found:#?}");
    assert!(places.contains(&("principals.json", 1, 1)), "{found:#?}");
    assert!(found.is_sorted());
    for finding in found {
        assert!(finding.to_string().starts_with(&format!("{}:{}:{}: ", finding.file, finding.line, finding.column)));
        assert!(!finding.advice().is_empty() && !finding.to_string().contains('\n'));
    }
}

#[test]
fn what_is_not_utf8_is_refused() {
    for path in ["p.cedar", "schema.cedarschema", "entities.json", "principals.json"] {
        let mut given = files(&[]);
        given.insert(path.to_owned(), vec![0xff]);
        let found = crate::PolicySet::compile(&crate::Snapshot::new(given).unwrap(), Semantics::CURRENT).unwrap_err();
        assert_eq!(found, [PolicyError { file: path.to_owned(), line: 1, column: 1, problem: Problem::NotUtf8 }]);
    }
}

#[test]
fn a_domain_cannot_redefine_or_shadow_the_base_schema() {
    let refused = [
        "entity User;",
        "entity Executable { extra: String };",
        "action exec appliesTo { principal: [User], resource: Executable, context: {} };",
        "action \"halt\";",
        "type String = Long;",
        "namespace Here { entity User; }",
        "entity A; entity A;",
        "entity A { b: Missing };",
        "entity A",
    ];
    for schema in refused {
        let found = problems(&[("schema.cedarschema", schema)]);
        assert!(matches!(found[..], [Problem::Schema(_)]), "{schema}: {found:?}");
    }
}

#[test]
fn a_type_with_a_builtin_name_does_not_change_the_base_schema() {
    for schema in ["entity String;", "entity datetime;", "type datetime = String;", "entity Long; entity Bool;"] {
        match compile(&[("schema.cedarschema", schema), ("p.cedar", PERMIT_ALL)]) {
            Ok(set) => _ = permitted(crate::decide(&set, &exec(&["cargo"]), &facts())),
            Err(found) => assert!(matches!(found[0].problem, Problem::Schema(_)), "{schema}: {found:?}"),
        }
    }
}

#[test]
fn entities_that_do_not_fit_are_refused() {
    let entity =
        |uid: &str, attrs: &str, parents: &str| format!(r#"{{"uid": {uid}, "attrs": {attrs}, "parents": {parents}}}"#);
    let group = |id: &str, parent: &str| {
        entity(
            &format!(r#"{{"type": "Group", "id": "{id}"}}"#),
            "{}",
            &format!(r#"[{{"type": "Group", "id": "{parent}"}}]"#),
        )
    };
    let ada = r#"{"type": "User", "id": "ada"}"#;
    let cases = [
        format!("[{}]", entity(ada, r#"{"admin": true}"#, "[]")),
        format!("[{}]", entity(r#"{"type": "Robot", "id": "r"}"#, "{}", "[]")),
        format!("[{}]", entity(ada, "{}", &format!("[{ada}]"))),
        format!("[{0},{1}]", entity(ada, "{}", "[]"), entity(ada, "{}", r#"[{"type": "Group", "id": "g"}]"#)),
        format!("[{},{}]", group("a", "b"), group("b", "a")),
        format!("[{}]", group("a", "a")),
        format!("[{},{},{}]", group("a", "b"), group("b", "c"), group("c", "a")),
        format!("[{}]", entity(r#"{"type": "Executable", "id": "/x"}"#, r#"{"digest": 1}"#, "[]")),
        "{}".to_owned(),
    ];
    for text in cases {
        let found = problems(&[("entities.json", &text)]);
        assert!(matches!(found[..], [Problem::Entities(_)]), "{text}: {found:?}");
    }
    for digest in ["", "ab", &"A".repeat(64), &"g".repeat(64)] {
        let text = format!(
            "[{}]",
            entity(r#"{"type": "Executable", "id": "/x"}"#, &format!(r#"{{"digest": "{digest}"}}"#), "[]")
        );
        assert!(matches!(problems(&[("entities.json", &text)])[..], [Problem::DigestForm(_)]), "{digest}");
    }
    let relative = format!("[{}]", entity(r#"{"type": "Executable", "id": "x"}"#, "{}", "[]"));
    assert!(matches!(problems(&[("entities.json", &relative)])[..], [Problem::ExecutablePath(_)]));
}

#[test]
fn principals_are_found_by_their_keys_and_uids() {
    let text = format!(
        r#"[{{"principal": "Agent::builder", "keys": ["{KEY}"], "uids": [1000, 0]}}, {{"principal": "User::ada"}}]"#
    );
    let set = compile(&[("principals.json", &text)]).unwrap();
    let key = Key::from_bytes(&crate::text::from_hex(KEY).unwrap()).unwrap();
    let builder = principal("Agent", "builder");
    assert_eq!(set.principal_by_key(&key.fingerprint()), Some(&builder));
    assert_eq!((set.principal_by_uid(1000), set.principal_by_uid(0)), (Some(&builder), Some(&builder)));
    assert_eq!(set.principal_by_uid(1), None);
    assert_eq!(set.keys_of(&builder), [Ed25519Key::new(key).unwrap()]);
    assert!(set.keys_of(&principal("User", "ada")).is_empty());
    assert_eq!(set.principals().iter().count(), 2);
}

#[test]
fn principals_that_are_not_one_each_are_refused() {
    let found = |text: &str| problems(&[("principals.json", text)]);
    let forms = [
        "{}",
        "[1]",
        "[{}]",
        r#"[{"principal": 1}]"#,
        r#"[{"principal": "builder"}]"#,
        r#"[{"principal": "Group::all"}]"#,
        r#"[{"principal": "Agent::a b"}]"#,
        r#"[{"principal": "Agent::builder", "key": []}]"#,
        r#"[{"principal": "Agent::builder", "keys": "x"}]"#,
        r#"[{"principal": "Agent::builder", "keys": [1]}]"#,
        r#"[{"principal": "Agent::builder", "uids": ["1"]}]"#,
        r#"[{"principal": "Agent::builder", "uids": [-1]}]"#,
        r#"[{"principal": "Agent::builder", "uids": [4294967296]}]"#,
        r#"[{"principal": "Agent::builder", "uids": [1.0]}]"#,
    ];
    for text in forms {
        assert!(matches!(found(text)[..], [Problem::PrincipalForm { item: 1, .. }]), "{text}: {:?}", found(text));
    }
    let two = |one: &str, other: &str| {
        format!(r#"[{{"principal": "Agent::builder", {one}}}, {{"principal": "User::ada", {other}}}]"#)
    };
    let key = format!(r#""keys": ["{KEY}"]"#);
    assert!(matches!(found(&two(&key, &key))[..], [Problem::KeyShared { .. }]));
    assert!(matches!(found(&two(r#""uids": [7]"#, r#""uids": [7]"#))[..], [Problem::UidShared { uid: 7, .. }]));
    let nobody = r#"[{"principal": "Agent::nobody"}]"#;
    assert_eq!(found(nobody), [Problem::PrincipalMissing("Agent::nobody".to_owned())]);
    let twice = r#"[{"principal": "User::ada"}, {"principal": "User::ada"}]"#;
    assert_eq!(found(twice), [Problem::PrincipalRepeated("User::ada".to_owned())]);
    let post_quantum = format!("06{}", "00".repeat(1312));
    for key in [
        "",
        "01",
        &KEY[2..],
        &KEY.to_uppercase().replace("01D", "01d")[..],
        &format!("{KEY}00"),
        &post_quantum,
        &format!("01{}", "00".repeat(32)),
    ] {
        let text = format!(r#"[{{"principal": "User::ada", "keys": ["{key}"]}}]"#);
        assert!(matches!(found(&text)[..], [Problem::KeyForm { .. }]), "{key}: {:?}", found(&text));
    }
}

#[test]
fn odd_conditions_are_warnings() {
    let set = policies(r#"@id("a") forbid (principal, action == Action::"exec", resource) when { false };"#);
    assert!(
        matches!(set.warnings(), [PolicyError { line: 1, problem: Problem::Suspicious(_), .. }]),
        "{:?}",
        set.warnings()
    );
    let alike =
        r#"@id("a") permit (principal, action == Action::"exec", resource) when { context.path == "/bin/с\u{61}t" };"#;
    assert!(matches!(policies(alike).warnings(), [PolicyError { problem: Problem::Suspicious(_), .. }]));
    assert!(policies(PERMIT_ALL).warnings().is_empty());
}

#[test]
fn a_sandbox_profile_that_no_gateway_has_is_a_warning() {
    let text = "\n@id(\"a\")\n@sandbox(\"strict\")\npermit (principal, action == Action::\"exec\", resource);";
    let [warning] = &policies(text).warnings().to_vec()[..] else { panic!("expected one warning") };
    assert_eq!((warning.line, &warning.problem), (2, &Problem::SandboxUnknown("strict".to_owned())));
}

#[test]
fn a_clause_is_the_policy_as_written() {
    let set = policies(
        "// first\n\n@id(\"a\")\nforbid (principal, action, resource); // after\n@id(\"b\") permit (principal, action, resource);",
    );
    let clause = set.clause(&name("a")).unwrap();
    assert_eq!((clause.file.as_str(), clause.line, clause.effect), ("p.cedar", 3, Effect::Forbid));
    assert_eq!(clause.text, "@id(\"a\")\nforbid (principal, action, resource);");
    assert_eq!(set.clause(&name("b")).unwrap().effect, Effect::Permit);
    assert_eq!(set.clause(&name("c")), None);
    assert_eq!((set.len(), set.is_empty(), set.ids().count()), (2, false, 2));
}
