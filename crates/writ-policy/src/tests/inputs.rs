//! What reaches the engine from an action and its facts.

use super::fixture::*;
use crate::{Decision, Facts, Problem, decide};
use writ_protocol::Code;
use writ_protocol::action::{Command, ExecFields, Stdin};
use writ_protocol::entry::Target;
use writ_tlog::sha256;

#[test]
fn every_attribute_of_an_exec_has_its_value() {
    let action = exec(&["cargo", "build", "a b", "it's"]);
    let digest = format!("{:?}", sha256(b"cargo"));
    let conditions = [
        r#"context.now == datetime("2026-11-21T08:05:09.007Z")"#.to_owned(),
        r#"context.auth == "key""#.to_owned(),
        r#"context.argv == ["cargo", "build", "a b", "it's"]"#.to_owned(),
        "context.argc == 4".to_owned(),
        r#"context.command == "cargo build 'a b' 'it'\\''s'""#.to_owned(),
        r#"context has arg1 && context.arg1 == "build""#.to_owned(),
        r#"context has arg2 && context.arg2 == "a b""#.to_owned(),
        r#"context has arg3 && context.arg3 == "it's""#.to_owned(),
        r#"context.cwd == "/work""#.to_owned(),
        r#"context.path == "/usr/bin/cargo""#.to_owned(),
        format!(r#"context.executable == "{digest}""#),
        format!(r#"resource has digest && resource.digest == "{digest}""#),
        r#"resource == Executable::"/usr/bin/cargo""#.to_owned(),
        "!(context has interpreter)".to_owned(),
        r#"context.variables == ["HOME", "PATH"]"#.to_owned(),
        r#"context.stdin == "null""#.to_owned(),
        "context.depth == 0".to_owned(),
        r#"context.surroundings == ["kernel=6.12", "uid=other"]"#.to_owned(),
        "!context.same_uid".to_owned(),
        r#"context.gateway == "gateway/one""#.to_owned(),
    ];
    for condition in conditions {
        assert!(holds(&condition, &action, &facts()), "{condition}");
        assert!(!holds(&format!("!({condition})"), &action, &facts()), "not {condition}");
    }
    assert!(!holds("context has arg1", &exec(&["cargo"]), &facts()));
    let piped = exec_of(ExecFields { stdin: Stdin::Pipe, ..fields(&["cargo"]) });
    assert!(holds(r#"context.stdin == "pipe""#, &piped, &facts()));
    let digest = format!("{:?}", sha256(b"sh"));
    let interpreter =
        format!(r#"context has interpreter && context.interpreter == {{path: "/bin/sh", digest: "{digest}"}}"#);
    assert!(holds(&interpreter, &script("/srv/x", "/bin/sh"), &facts()));
}

#[test]
fn the_same_uid_is_assumed_where_it_was_not_measured() {
    let mut facts = facts();
    for (surroundings, same) in [
        (vec![], true),
        (vec![(label("kernel"), "6.12".to_owned())], true),
        (vec![(label("uid"), "same".to_owned())], true),
        (vec![(label("uid"), "other".to_owned())], false),
    ] {
        facts.surroundings = surroundings;
        assert_eq!(holds("context.same_uid", &exec(&["cargo"]), &facts), same, "{:?}", facts.surroundings);
    }
}

#[test]
fn orders_have_their_own_actions_and_context() {
    let set = policies(
        r#"@id("revoke") permit (principal, action == Action::"revoke", resource == Domain::"this")
               when { context.target == "gateway" && context.reason == "drill" && context.auth == "key" && context.depth == 0 };
           @id("halt") permit (principal, action == Action::"halt", resource)
               when { context.reason == "drill" && context.now > datetime("2026-01-01") };"#,
    );
    let revoke = |target| order(Command::Revoke(target));
    let permit = permitted(decide(&set, &revoke(Target::Gateway(name("g"))), &facts()));
    assert_eq!(permit.reasons, [name("revoke")]);
    denied(decide(&set, &revoke(Target::Writ(sha256(b"writ"))), &facts()), Code::PolicyDenied);
    assert_eq!(permitted(decide(&set, &order(Command::Halt), &facts())).reasons, [name("halt")]);
    denied(decide(&set, &exec(&["cargo"]), &facts()), Code::PolicyDenied);
}

#[test]
fn what_cannot_be_asked_exactly_is_an_error() {
    let set = policies(PERMIT_ALL);
    type Change = fn(&mut Facts);
    let broken: [(&str, Change); 7] = [
        ("an unknown principal", |facts| facts.principal.id = name("nobody")),
        ("a type that cannot act", |facts| facts.principal = principal("Group", "all")),
        ("a type with another name", |facts| facts.principal.kind = name("no/type")),
        ("no gateway", |facts| facts.gateway = None),
        ("a depth beyond i64", |facts| facts.depth = 1 << 63),
        ("a time after the year 9999", |facts| facts.now_ms = 253_402_300_800_000),
        ("surroundings out of order", |facts| facts.surroundings.reverse()),
    ];
    permitted(decide(&set, &exec(&["cargo"]), &facts()));
    for (what, change) in broken {
        let mut facts = facts();
        change(&mut facts);
        let deny = denied(decide(&set, &exec(&["cargo"]), &facts), Code::EvaluationError);
        assert!(deny.reasons.is_empty() && deny.errors.len() == 1 && deny.errors[0].0.is_none(), "{what}");
    }
    let mut doubled = facts();
    doubled.surroundings = vec![(label("uid"), "other".to_owned()), (label("uid"), "same".to_owned())];
    denied(decide(&set, &exec(&["cargo"]), &doubled), Code::EvaluationError);
    let mut last = facts();
    last.now_ms = 253_402_300_799_999;
    permitted(decide(&set, &exec(&["cargo"]), &last));
}

fn with_pins(pins: &str) -> crate::PolicySet {
    let entities = ENTITIES.trim_end().trim_end_matches(']').to_owned() + "," + pins + "]";
    compile(&[("p.cedar", PERMIT_ALL), ("entities.json", &entities)]).unwrap_or_else(|found| panic!("{found:#?}"))
}

fn pin(path: &str, digest: &str) -> String {
    format!(r#"{{"uid": {{"type": "Executable", "id": "{path}"}}, "attrs": {{"digest": "{digest}"}}, "parents": []}}"#)
}

#[test]
fn a_pinned_executable_must_be_the_one_measured() {
    let measured = format!("{:?}", sha256(b"cargo"));
    let other = format!("{:?}", sha256(b"other"));
    permitted(decide(&with_pins(&pin("/usr/bin/cargo", &measured)), &exec(&["cargo"]), &facts()));
    permitted(decide(&with_pins(&pin("/usr/bin/rustc", &other)), &exec(&["cargo"]), &facts()));
    let deny =
        denied(decide(&with_pins(&pin("/usr/bin/cargo", &other)), &exec(&["cargo"]), &facts()), Code::IntegrityFailure);
    assert!(deny.errors[0].1.contains(&measured) && deny.errors[0].1.contains(&other));
}

#[test]
fn a_pinned_interpreter_must_be_the_one_measured() {
    let (measured, other) = (format!("{:?}", sha256(b"sh")), format!("{:?}", sha256(b"other")));
    let action = script("/srv/x", "/bin/sh");
    permitted(decide(&with_pins(&pin("/bin/sh", &measured)), &action, &facts()));
    denied(decide(&with_pins(&pin("/bin/sh", &other)), &action, &facts()), Code::IntegrityFailure);
}

#[test]
fn an_executable_declared_without_a_digest_has_the_measured_one() {
    let declared = r#"{"uid": {"type": "Executable", "id": "/usr/bin/cargo"}, "attrs": {}, "parents": []}"#;
    let entities = ENTITIES.trim_end().trim_end_matches(']').to_owned() + "," + declared + "]";
    let digest = format!("{:?}", sha256(b"cargo"));
    let text = format!(
        r#"{PERMIT_ALL} @id("f") forbid (principal, action == Action::"exec", resource) when {{ resource has digest && resource.digest == "{digest}" }};"#
    );
    let set = compile(&[("p.cedar", &text), ("entities.json", &entities)]).unwrap();
    let deny = denied(decide(&set, &exec(&["cargo"]), &facts()), Code::PolicyDenied);
    assert_eq!(deny.reasons, [name("f")]);
}

#[test]
fn odd_bytes_reach_policies_as_text() {
    let odd =
        ExecFields { argv: vec![b"x".to_vec(), b"\xff\\\n".to_vec()], path: b"/bin/\xfe\"".to_vec(), ..fields(&["x"]) };
    let action = exec_of(odd);
    assert!(holds(r#"context has arg1 && context.arg1 == "\\xff\\\\\\x0a""#, &action, &facts()));
    assert!(holds(r#"resource == Executable::"/bin/\\xfe\"""#, &action, &facts()));
}

#[test]
fn a_domain_can_add_types_and_a_missing_entity_is_never_read_in_silence() {
    let schema = "entity Host { peer: Host };";
    let host = |peer: &str| {
        format!(
            r#"[{{"uid": {{"type": "Host", "id": "a"}}, "attrs": {{"peer": {{"type": "Host", "id": "{peer}"}}}}, "parents": []}}]"#
        )
    };
    compile(&[("schema.cedarschema", schema), ("entities.json", &host("a"))]).unwrap();
    assert!(matches!(
        problems(&[("schema.cedarschema", schema), ("entities.json", &host("b"))])[..],
        [Problem::ReferenceMissing { .. }]
    ));
    // The one entity that may be named without being there: reading its attribute is an error, and denies.
    let schema = "entity Tool { file: Executable };";
    let entities = ENTITIES.trim_end().trim_end_matches(']').to_owned()
        + r#",{"uid": {"type": "Tool", "id": "t"}, "attrs": {"file": {"type": "Executable", "id": "/x"}}, "parents": []}]"#;
    let text =
        format!(r#"{PERMIT_ALL} @id("f") forbid (principal, action, resource) when {{ Tool::"t".file == resource }};"#);
    let set = compile(&[("schema.cedarschema", schema), ("entities.json", &entities), ("p.cedar", &text)]);
    assert!(matches!(decide(&set.unwrap(), &exec(&["cargo"]), &facts()), Decision::Permit(_)));
}

#[test]
fn the_measured_digest_is_there_however_a_policy_reads_it() {
    let digest = format!("{:?}", sha256(b"cargo"));
    let conditions = [
        format!(r#"resource has digest && resource.digest == "{digest}""#),
        format!(r#"resource has "digest" && resource["digest"] == "{digest}""#),
        format!(r#"resource has "\u{{64}}igest" && resource["\u{{64}}igest"] == "{digest}""#),
        "if resource has digest then true else false".to_owned(),
    ];
    for condition in conditions {
        assert!(holds(&condition, &exec(&["cargo"]), &facts()), "{condition}");
    }
    assert!(!policies(PERMIT_ALL).index.whole().reads_digest);
}
