//! Orders about values of the vault: what policies read of them, and that nothing is decided without it.

use super::fixture::*;
use crate::{Facts, Values, decide};
use writ_protocol::Code;
use writ_protocol::action::{Action, Command};
use writ_protocol::cbor::Encode;
use writ_protocol::entry::{Ascending, Erased};
use writ_tlog::sha256;

fn erase() -> Action {
    order(Command::Erase(Ascending::new([Erased { index: 7, commitment: sha256(b"value") }])))
}

fn values() -> Values {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    Values {
        kinds: texts(&["action", "request"]),
        count: 3,
        entries: texts(&["denial", "grant"]),
        principals: texts(&["Agent::builder"]),
    }
}

fn of(values: Option<Values>) -> Facts {
    Facts { values, gateway: None, surroundings: vec![], ..facts() }
}

#[test]
fn policies_read_kinds_entries_principals_and_how_many() {
    for (condition, holds) in [
        (r#"["action", "facts", "request"].containsAll(context.kinds)"#, true),
        (r#"["request"].containsAll(context.kinds)"#, false),
        (r#"context.entries.contains("grant") && !context.entries.contains("policy")"#, true),
        (r#"["Agent::builder"].containsAll(context.principals)"#, true),
        (r#"["User::ada"].containsAll(context.principals)"#, false),
        ("context.count == 3", true),
        ("context.count < 3", false),
        (r#"context.reason == "drill" && context.depth == 0"#, true),
    ] {
        let text = format!(
            r#"@id("c") permit (principal, action == Action::"erase", resource == Domain::"this") when {{ {condition} }};"#
        );
        let decision = decide(&policies(&text), &erase(), &of(Some(values())));
        if holds {
            permitted(decision);
        } else {
            denied(decision, Code::PolicyDenied);
        }
    }
}

#[test]
fn what_is_not_known_of_the_values_denies() {
    denied(decide(&policies(PERMIT_ALL), &erase(), &of(None)), Code::EvaluationError);
    let many = Values { count: u64::MAX, ..values() };
    denied(decide(&policies(PERMIT_ALL), &erase(), &of(Some(many))), Code::EvaluationError);
}

#[test]
fn facts_about_values_read_back_and_have_one_encoding() {
    let good = of(Some(values()));
    assert_eq!(Facts::decode(&good.to_cbor()).unwrap(), good);
    let spoil: [fn(&mut Values); 3] = [
        |values| values.kinds.reverse(),
        |values| values.entries.reverse(),
        |values| {
            values.principals = vec!["Agent::builder".to_owned(); 2];
        },
    ];
    for spoil in spoil {
        let mut values = values();
        spoil(&mut values);
        assert_eq!(Facts::decode(&of(Some(values)).to_cbor()).unwrap_err().code(), Code::Malformed);
    }
}

#[test]
fn fixtures_ask_to_erase_and_to_withdraw() {
    let policy = r#"
        @id("requests") permit (principal, action == Action::"erase", resource)
        when { ["request"].containsAll(context.kinds) && context.count == 1 };
        @id("own") permit (principal, action == Action::"withdraw", resource) when { context.requester == "Agent::builder" };
    "#;
    let fixtures = "
- { name: a request, principal: 'Agent::builder', order: erase, kinds: [request], entries: [grant], expect: permit, reasons: [requests] }
- { name: an action, principal: 'Agent::builder', order: erase, kinds: [action], expect: deny }
- { name: many, principal: 'Agent::builder', order: erase, kinds: [request], count: 2, expect: deny }
- { name: own, principal: 'Agent::builder', order: withdraw, requester: 'Agent::builder', expect: permit, reasons: [own] }
";
    let set = compile(&[("p.cedar", policy), ("tests/values.yaml", fixtures)]).unwrap();
    let failures: Vec<_> = set.test().unwrap().into_iter().filter_map(|one| one.failure).collect();
    assert_eq!(failures, []);
    for wrong in ["order: halt, kinds: [request]", "order: erase, kinds: request", "order: erase, target: writ"] {
        let fixtures = format!("- {{ name: wrong, principal: 'Agent::builder', {wrong}, expect: deny }}\n");
        let set = compile(&[("p.cedar", policy), ("tests/values.yaml", &fixtures)]).unwrap();
        assert!(set.test().is_err(), "{wrong}");
    }
}
