//! An index that left out one policy too many would permit what is forbidden. So each decision is compared with one over all policies.

use super::fixture::*;
use crate::decide::answer;
use crate::index::KEPT_MAX;
use crate::request::{Asked, Question};
use crate::{Decision, Facts, PolicySet, decide};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use writ_protocol::action::{Action, Command, Exec};

pub(super) const ENTITIES: &str = r#"[
    {"uid": {"type": "Group", "id": "all"}, "attrs": {}, "parents": []},
    {"uid": {"type": "Group", "id": "builders"}, "attrs": {}, "parents": [{"type": "Group", "id": "all"}]},
    {"uid": {"type": "Group", "id": "night"}, "attrs": {}, "parents": [{"type": "Group", "id": "builders"}]},
    {"uid": {"type": "Group", "id": "other"}, "attrs": {}, "parents": []},
    {"uid": {"type": "Agent", "id": "builder"}, "attrs": {}, "parents": [{"type": "Group", "id": "night"}]},
    {"uid": {"type": "Agent", "id": "loner"}, "attrs": {}, "parents": []},
    {"uid": {"type": "User", "id": "ada"}, "attrs": {}, "parents": [
        {"type": "Group", "id": "other"}, {"type": "Group", "id": "builders"}]},
    {"uid": {"type": "Workload", "id": "job"}, "attrs": {}, "parents": [{"type": "Group", "id": "other"}]}
]"#;

const PRINCIPALS: [(&str, &str); 4] = [("Agent", "builder"), ("Agent", "loner"), ("User", "ada"), ("Workload", "job")];
const PATHS: [&str; 3] = ["/usr/bin/cargo", "/usr/bin/dd", "/opt/tool"];

const PRINCIPAL_SCOPES: [&str; 12] = [
    "principal",
    "principal == Agent::\"builder\"",
    "principal == User::\"ada\"",
    "principal in Group::\"all\"",
    "principal in Group::\"builders\"",
    "principal in Group::\"night\"",
    "principal in Group::\"other\"",
    "principal in Agent::\"loner\"",
    "principal is Agent",
    "principal is Workload",
    "principal is User in Group::\"all\"",
    "principal is Agent in Group::\"other\"",
];
const ACTION_SCOPES: [&str; 6] = [
    "action",
    "action == Action::\"exec\"",
    "action in [Action::\"exec\"]",
    "action in [Action::\"exec\", Action::\"halt\"]",
    "action == Action::\"halt\"",
    "action in [Action::\"revoke\", Action::\"halt\"]",
];
const RESOURCE_SCOPES: [&str; 6] = [
    "resource",
    "resource == Executable::\"/usr/bin/cargo\"",
    "resource == Executable::\"/usr/bin/dd\"",
    "resource in Executable::\"/opt/tool\"",
    "resource is Executable",
    "resource is Domain",
];
/// Holds, does not, depends, and fails: on an overflow, and on a digest that is another one.
const CONDITIONS: [&str; 20] = [
    "context.path == \"/usr/bin/cargo\"",
    "context.path == \"/usr/bin/dd\" && context.depth + 9223372036854775807 > 0",
    "\"/opt/tool\" == context.path && (context.argc > 1 && context.auth == \"key\")",
    "(context.path == \"/opt/tool\" || context.depth > 0) && context.stdin == \"null\"",
    "context.depth + 9223372036854775807 > 0 && context.path == \"/usr/bin/cargo\"",
    "!(context.path == \"/usr/bin/cargo\")",
    "context.path == \"/usr/bin/cargo\" } unless { context.depth + 9223372036854775807 > 0",
    "context.depth + 9223372036854775807 > 0 } when { context.path == \"/usr/bin/cargo\"",
    "context.reason == \"because\" && context.now > datetime(\"2026-01-01\")",
    "context.auth == context.auth && context.path == context.path",
    "context has arg1 && context.arg1 like \"*x*\"",
    "if context has interpreter then context.interpreter.path like \"/usr/*\" else context.now > datetime(\"2026-01-01\")",
    "[context].contains(context)",
    "context[\"same_uid\"] || context.surroundings.contains(\"uid=other\")",
    "true",
    "false",
    "context.depth > 0",
    "context.auth == \"key\"",
    "context.depth + 9223372036854775807 > 0",
    "resource is Executable && resource has digest && resource.digest like \"*7*\"",
];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    permits: bool,
    scopes: [usize; 3],
    condition: usize,
}

fn written() -> impl Strategy<Value = Written> {
    let scopes = (0..PRINCIPAL_SCOPES.len(), 0..ACTION_SCOPES.len(), 0..RESOURCE_SCOPES.len());
    (any::<bool>(), scopes, 0..CONDITIONS.len()).prop_map(|(permits, (principal, action, resource), condition)| {
        Written { permits, scopes: [principal, action, resource], condition }
    })
}

fn text(policies: &[Written]) -> String {
    let mut text = String::new();
    for (number, Written { permits, scopes: [principal, action, resource], condition }) in policies.iter().enumerate() {
        let effect = if *permits { "permit" } else { "forbid" };
        let scope = [PRINCIPAL_SCOPES[*principal], ACTION_SCOPES[*action], RESOURCE_SCOPES[*resource]].join(", ");
        writeln!(text, "@id(\"p{number}\") {effect} ({scope}) when {{ {} }};", CONDITIONS[*condition]).unwrap();
    }
    text
}

/// Whether a policy is valid by itself; each of the few thousand that there are is tried once.
fn is_valid(policy: &Written) -> bool {
    static TRIED: Mutex<BTreeMap<Written, bool>> = Mutex::new(BTreeMap::new());
    let mut tried = TRIED.lock().unwrap();
    *tried.entry(policy.clone()).or_insert_with(|| compiled(std::slice::from_ref(policy)).is_some())
}

/// The set, unless strict validation knows that one of its policies can never apply.
fn compiled(policies: &[Written]) -> Option<PolicySet> {
    compile(&[("entities.json", ENTITIES), ("p.cedar", &text(policies))]).ok()
}

pub(super) fn questions() -> Vec<(Action, Facts)> {
    let mut questions = Vec::new();
    for (kind, id) in PRINCIPALS {
        for depth in [0, 1] {
            let facts = Facts { principal: principal(kind, id), depth, ..facts() };
            for path in PATHS {
                let fields = writ_protocol::action::ExecFields { path: path.as_bytes().to_vec(), ..fields(&["x"]) };
                questions.push((Action::Exec(Exec::new(fields).unwrap()), facts.clone()));
            }
            questions.push((order(Command::Halt), Facts { depth: 0, gateway: None, ..facts }));
        }
    }
    questions
}

/// Over all policies, with everything in the context, and that compared with the schema.
pub(super) fn decide_over_all(set: &PolicySet, action: &Action, facts: &Facts) -> Decision {
    let asked = Asked::of(set, action, facts).unwrap();
    let whole = Arc::new(set.index.whole());
    let question = Question::of(set, whole, action, facts, asked).unwrap();
    match answer(set, &question, facts) {
        Ok(permit) => Decision::Permit(permit),
        Err(deny) => Decision::Deny(deny),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn what_the_index_leaves_out_changes_no_decision(policies in prop::collection::vec(written(), 1..24)) {
        // Policies that validation refuses are left out one by one, so that nearly every case is of use.
        let alone: Vec<_> = policies.into_iter().filter(is_valid).collect();
        let set = compiled(&alone).unwrap();
        for set in under_each(&set) {
            for (action, facts) in questions() {
                let decision = decide(&set, &action, &facts);
                prop_assert_eq!(decision.encode(), decide_over_all(&set, &action, &facts).encode(), "{}", text(&alone));
            }
        }
    }
}

/// What conditions are made of: comparisons that a selection is made by, others, and one that fails below an execution.
const ATOMS: [&str; 11] = [
    "context.path == \"/usr/bin/cargo\"",
    "\"/usr/bin/dd\" == context.path",
    "context.path == \"/opt/tool\"",
    "context.command == \"cargo x\"",
    "context.auth == \"key\"",
    "context.stdin == \"null\"",
    "context.cwd == context.path",
    "context.path like \"/usr/*\"",
    "context has arg1 && context.arg1 == \"x\"",
    "context.depth > 0",
    "context.depth + 9223372036854775807 > 0",
];

pub(super) fn condition() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(&ATOMS[..]).prop_map(|atom| format!("({atom})"));
    atom.prop_recursive(3, 8, 3, |part| {
        prop_oneof![
            4 => (part.clone(), part.clone()).prop_map(|(left, right)| format!("({left} && {right})")),
            2 => (part.clone(), part.clone()).prop_map(|(left, right)| format!("({left} || {right})")),
            1 => part.clone().prop_map(|part| format!("!({part})")),
            1 => (part.clone(), part.clone(), part)
                .prop_map(|(asked, then, other)| format!("(if {asked} then {then} else {other})")),
        ]
    })
}

pub(super) fn conditioned() -> impl Strategy<Value = String> {
    let clause = (prop::sample::select(&["when", "unless"][..]), condition())
        .prop_map(|(kind, condition)| format!("{kind} {{ {condition} }}"));
    let effect = prop::sample::select(&["permit", "forbid"][..]);
    (effect, prop::collection::vec(clause, 1..4)).prop_map(|(effect, clauses)| {
        format!("{effect} (principal, action == Action::\"exec\", resource) {};", clauses.join(" "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn conditions_of_any_form_are_decided_as_over_all_policies(policies in prop::collection::vec(conditioned(), 1..16)) {
        let mut text = String::new();
        for (number, policy) in policies.iter().enumerate() {
            writeln!(text, "@id(\"p{number}\") {policy}").unwrap();
        }
        let set = compile(&[("entities.json", ENTITIES), ("p.cedar", &text)]).unwrap();
        for (action, facts) in questions().into_iter().filter(|(action, _)| matches!(action, Action::Exec(_))) {
            let decision = decide(&set, &action, &facts);
            prop_assert_eq!(decision.encode(), decide_over_all(&set, &action, &facts).encode(), "{}", text);
        }
    }
}

/// Where the versions differ, the index must not hide it: permits that are selected by what they compare, and others, and forbids that fail.
#[test]
fn very_many_permits_are_decided_as_over_all_policies_by_every_version() {
    let scope = "principal, action == Action::\"exec\", resource";
    for count in [100, 127, 128, 129, 200] {
        let mut text = String::new();
        for number in 0..count {
            writeln!(text, "@id(\"p{number}\") permit ({scope}) when {{ context.path == \"/usr/bin/cargo\" }};")
                .unwrap();
            writeln!(text, "@id(\"q{number}\") permit (principal in Group::\"builders\", action, resource);").unwrap();
        }
        text.push_str("@id(\"f\") forbid (principal, action, resource) when { context.depth > 0 && context.depth + 9223372036854775807 > 0 };");
        let set = compile(&[("entities.json", ENTITIES), ("p.cedar", &text)]).unwrap();
        let permitted = under_each(&set).map(|set| {
            let each = questions().into_iter().map(|(action, facts)| {
                let decision = decide(&set, &action, &facts);
                assert_eq!(decision.encode(), decide_over_all(&set, &action, &facts).encode(), "{count}");
                matches!(decision, Decision::Permit(_))
            });
            each.filter(|is_permitted| *is_permitted).count()
        });
        let permitted: Vec<usize> = permitted.collect();
        assert_eq!(permitted[0] < permitted[1], count > 128, "{count}: {permitted:?}");
    }
}

#[test]
fn a_policy_that_begins_with_another_text_is_not_selected() {
    let mut text = String::new();
    for number in 0..1_000 {
        let digit = number % 10;
        let condition = match number % 4 {
            0 => format!("context.path == \"/opt/{digit}\" && context.argc <= {number}"),
            1 => format!("\"/opt/{digit}\" == context.path"),
            2 => format!("context.arg1 == \"{digit}\""),
            _ => format!("context.argc <= {number} && context.path == \"/opt/{digit}\""),
        };
        let scope = "principal, action == Action::\"exec\", resource";
        writeln!(text, "@id(\"p{number}\") permit ({scope}) when {{ context has arg1 }} when {{ {condition} }};")
            .unwrap();
        writeln!(text, "@id(\"q{number}\") permit ({scope}) when {{ {condition} }};").unwrap();
    }
    let text = text.replace("when { context.arg1 ==", "when { context has arg1 && context.arg1 ==");
    let set = policies(&text);
    let selected = |path: &str| {
        let fields = writ_protocol::action::ExecFields { path: path.as_bytes().to_vec(), ..fields(&["x"]) };
        Question::new(&set, &exec_of(fields), &facts()).unwrap().selection.engine.num_of_policies()
    };
    // Half of the policies that begin with the path are for a digit of their own, and whatever begins otherwise is always selected.
    let always = 1_000 + 250 + 250;
    assert_eq!(selected("/opt/0"), always + 50);
    assert_eq!(selected("/opt/1"), always + 50);
    assert_eq!(selected("/opt/none"), always);
}

#[test]
fn whoever_asks_for_many_things_fills_no_memory() {
    let scope = "principal, action == Action::\"exec\", resource";
    let mut text = String::new();
    for number in 0..200 {
        writeln!(text, "@id(\"p{number}\") permit ({scope}) when {{ context.path == \"/opt/{number}\" }};").unwrap();
        writeln!(text, "@id(\"q{number}\") forbid ({scope}) when {{ context.argc > {number} }};").unwrap();
    }
    let set = policies(&text);
    let mut most = 0;
    for number in 0..200 {
        let path = format!("/opt/{number}").into_bytes();
        let fields = writ_protocol::action::ExecFields { path, ..fields(&["x"]) };
        let question = Question::new(&set, &exec_of(fields), &facts()).unwrap();
        assert_eq!(question.selection.engine.num_of_policies(), 201);
        most = most.max(set.index.kept());
    }
    assert!((KEPT_MAX / 2..=KEPT_MAX).contains(&most), "{most}");
}

#[test]
fn only_what_can_apply_is_selected() {
    let mut text = String::new();
    for number in 0..1_000 {
        let digit = number % 10;
        writeln!(
            text,
            "@id(\"p{number}\") permit (principal, action == Action::\"exec\", resource == Executable::\"/opt/{digit}\");"
        )
        .unwrap();
    }
    let set = policies(&text);
    let fields = writ_protocol::action::ExecFields { path: b"/opt/3".to_vec(), ..fields(&["x"]) };
    let question = Question::new(&set, &exec_of(fields), &facts()).unwrap();
    assert_eq!(question.selection.engine.num_of_policies(), 100);
    let question = Question::new(&set, &exec(&["cargo"]), &facts()).unwrap();
    assert_eq!(question.selection.engine.num_of_policies(), 0);
}
