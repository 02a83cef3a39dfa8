//! An explanation as JSON: what a refused caller is answered, and what `writ replay --json` prints. One shape for both.

use serde_json::{Value, json};
use writ_authority::{Condition, Effect, Explanation, Node, Part, Remedy, Told, Truth};
use writ_protocol::Name;

/// An explanation as JSON. Names are only ever added to it.
pub fn explanation_json(told: &Explanation) -> Value {
    let missed = told.missed.iter().map(
        |missed| json!({ "id": missed.id.as_str(), "file": missed.file, "line": missed.line, "part": missed.part }),
    );
    json!({
        "policies": told.policies.iter().map(policy).collect::<Vec<_>>(),
        "near_more": told.near_more,
        "elsewhere": told.elsewhere,
        "missed": missed.collect::<Vec<_>>(),
        "remedy": told.remedy.as_ref().map(remedy),
    })
}

fn policy(told: &Told) -> Value {
    let effect = match told.clause.effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    };
    json!({
        "id": told.id.as_str(),
        "file": told.clause.file,
        "line": told.clause.line,
        "effect": effect,
        "role": told.role.as_str(),
        "truth": told.truth.as_str(),
        "error": error(&told.truth),
        "scope": told.scope,
        "conditions": told.conditions.iter().map(condition).collect::<Vec<_>>(),
    })
}

fn condition(condition: &Condition) -> Value {
    json!({
        "kind": if condition.unless { "unless" } else { "when" },
        "truth": condition.truth.as_str(),
        "reached": condition.reached,
        "clauses": node(&condition.tree),
    })
}

fn node(tree: &Node) -> Value {
    let each = |nodes: &[Node]| nodes.iter().map(node).collect::<Vec<_>>();
    match tree {
        Node::All(nodes) => json!({ "all": each(nodes) }),
        Node::Any(nodes) => json!({ "any": each(nodes) }),
        Node::Not(inner) => json!({ "not": node(inner) }),
        Node::One(part) => clause(part),
    }
}

fn clause(part: &Part) -> Value {
    let reads = part.reads.iter().map(|read| json!({ "attribute": read.attribute, "value": read.value }));
    json!({
        "clause": part.text,
        "line": part.line,
        "truth": part.truth.as_str(),
        "error": error(&part.truth),
        "reached": part.reached,
        "reads": reads.collect::<Vec<_>>(),
    })
}

fn error(truth: &Truth) -> Option<&str> {
    match truth {
        Truth::Holds | Truth::Fails => None,
        Truth::Error(why) => Some(why),
    }
}

fn remedy(remedy: &Remedy) -> Value {
    let names = |names: &[Name]| names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
    match remedy {
        Remedy::Changes(changes) => {
            let changes = changes.iter().map(|change| {
                let edits = change.edits.iter();
                let edits = edits.map(|edit| json!({ "attribute": edit.attribute(), "change": edit.to_string() }));
                json!({ "edits": edits.collect::<Vec<_>>(), "permits": names(&change.permits) })
            });
            json!({ "kind": "changes", "changes": changes.collect::<Vec<_>>() })
        }
        Remedy::NoScope => json!({ "kind": "no_scope" }),
        Remedy::NotFound { tried, forbids } => {
            json!({ "kind": "not_found", "tried": tried, "forbids": names(forbids) })
        }
        Remedy::Fails { tried } => json!({ "kind": "fails", "tried": tried }),
        Remedy::Obstructed => json!({ "kind": "obstructed" }),
    }
}
