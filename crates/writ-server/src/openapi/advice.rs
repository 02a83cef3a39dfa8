//! The schemas of the AuthZEN Authorization API, which ignores what it does not know.

use super::{list, reference, text};
use serde_json::{Map, Value, json};

/// An object with at least the fields without a question mark.
fn open(about: &str, fields: &[(&str, Value)]) -> Value {
    let name = |field: &str| field.trim_end_matches('?').to_owned();
    let required: Vec<String> =
        fields.iter().filter(|(field, _)| !field.ends_with('?')).map(|(field, _)| name(field)).collect();
    let properties: Map<String, Value> = fields.iter().map(|(field, schema)| (name(field), schema.clone())).collect();
    json!({ "type": "object", "description": about, "properties": properties, "required": required })
}

fn members(about: &str) -> Value {
    json!({ "type": "object", "description": about })
}

fn parts(about: &str, [subject, action, resource]: [&str; 3], more: &[(&str, Value)]) -> Value {
    let mut fields = vec![
        (subject, reference("AdviceParty")),
        (action, reference("AdviceAction")),
        (resource, reference("AdviceParty")),
        ("context?", members("What else is said; what the action's context does not declare is passed over.")),
    ];
    fields.extend(more.iter().cloned());
    open(about, &fields)
}

fn page() -> Value {
    open(
        "Which part of the results.",
        &[
            ("token?", text("From the page before.")),
            (
                "limit?",
                json!({ "type": "integer", "minimum": 0, "description": "At most so many; 100 without it, 1000 in any case." }),
            ),
        ],
    )
}

fn options() -> Value {
    open(
        "How they are answered.",
        &[(
            "evaluations_semantic?",
            json!({ "enum": ["execute_all", "deny_on_first_deny", "permit_on_first_permit"] }),
        )],
    )
}

fn found() -> Value {
    open(
        "What was found: subjects and resources by type and id, actions by name.",
        &[
            (
                "page",
                open("Where it goes on.", &[("next_token", text("Empty at the end.")), ("count", reference("Index"))]),
            ),
            ("context", members("Where it is recorded.")),
            ("results", list(json!({ "type": "object" }))),
        ],
    )
}

pub(super) fn schemas() -> [(&'static str, Value); 9] {
    let several = [
        ("evaluations?", json!({ "type": "array", "items": { "type": "object" }, "maxItems": 256 })),
        ("options?", options()),
    ];
    [
        (
            "AdviceParty",
            open(
                "A subject or a resource; without an id where it is searched.",
                &[
                    ("type", text("Its type, as the policy set names it.")),
                    ("id?", text("Its id.")),
                    ("properties?", members("What is said of it.")),
                ],
            ),
        ),
        (
            "AdviceAction",
            open("An action.", &[("name", text("Its name.")), ("properties?", members("What is said of it."))]),
        ),
        ("Evaluation", parts("A question about somebody.", ["subject", "action", "resource"], &[])),
        ("Evaluations", parts("Defaults, and what differs from them.", ["subject?", "action?", "resource?"], &several)),
        (
            "AdviceSearch",
            parts("A question with one part open.", ["subject", "action?", "resource"], &[("page?", page())]),
        ),
        (
            "AdviceDecision",
            open(
                "The answer to one question.",
                &[
                    ("decision", json!({ "type": "boolean" })),
                    (
                        "context",
                        members("The index of its entry, the policies that decided it, and, where it is false, why."),
                    ),
                ],
            ),
        ),
        (
            "AdviceDecisions",
            open(
                "The answers in order; or the one decision, where no evaluations were asked.",
                &[("evaluations?", list(reference("AdviceDecision")))],
            ),
        ),
        ("AdviceFound", found()),
        (
            "AdviceConfiguration",
            open(
                "Where the operations are.",
                &[
                    ("policy_decision_point", text("The base address.")),
                    ("access_evaluation_endpoint", text("The address of one operation; the others likewise.")),
                ],
            ),
        ),
    ]
}
