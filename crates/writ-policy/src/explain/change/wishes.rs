//! Which edits a clause suggests: each comparison with something that is written in the policy, either way round.

use super::super::reads::path;
use super::edit::{Edit, Wanted};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Positions of arguments that policies can name.
const ARGUMENTS: [(&str, usize); 3] = [("context.arg1", 1), ("context.arg2", 2), ("context.arg3", 3)];

/// Adds the edits that an expression suggests.
pub(super) fn of(value: &Value, edits: &mut BTreeSet<Edit>) {
    match value {
        Value::Object(fields) => {
            for (operator, operand) in fields {
                of_operator(operator, operand, edits);
                of(operand, edits);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| of(item, edits)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    if path(value).as_deref() == Some("context.same_uid") {
        edits.extend([Edit::SameUid(false), Edit::SameUid(true)]);
    }
}

fn of_operator(operator: &str, operand: &Value, edits: &mut BTreeSet<Edit>) {
    let (left, right) = (operand.get("left"), operand.get("right"));
    match (operator, left, right) {
        ("==" | "!=" | "<" | "<=" | ">" | ">=", Some(left), Some(right)) => {
            compared(left, right, edits);
            compared(right, left, edits);
        }
        ("contains" | "containsAny" | "containsAll", Some(left), Some(right)) => contained(left, right, edits),
        ("like", Some(left), _) => {
            if let (Some(attribute), Some(pattern)) = (path(left), operand.get("pattern")) {
                alike(&attribute, pattern, edits);
            }
        }
        ("has", Some(left), _) => {
            let attribute = path(left).zip(operand.get("attr").and_then(Value::as_str));
            let named = attribute.map(|(left, attribute)| format!("{left}.{attribute}"));
            if let Some((_, at)) = ARGUMENTS.iter().find(|(name, _)| Some(*name) == named.as_deref()) {
                edits.insert(Edit::ArgumentsFrom(Reverse(*at)));
                edits.insert(Edit::Argument(*at, anything()));
            }
        }
        (_, _, _) => {}
    }
}

fn anything() -> Wanted {
    Wanted::Like { pattern: "*".to_owned(), example: "x".to_owned() }
}

/// An attribute compared with what is written.
fn compared(attribute: &Value, written: &Value, edits: &mut BTreeSet<Edit>) {
    let Some(attribute) = path(attribute) else { return };
    if let Some(text) = text(written) {
        edits.extend(set(&attribute, Wanted::Value(text.to_owned())));
        if let Some((_, at)) = ARGUMENTS.iter().find(|(name, _)| *name == attribute) {
            edits.insert(Edit::ArgumentsFrom(Reverse(*at)));
        }
    }
    if let Some(number) = number(written) {
        for near in [number.saturating_sub(1), number, number.saturating_add(1)] {
            match attribute.as_str() {
                "context.argc" => edits.extend(usize::try_from(near).ok().map(|at| Edit::ArgumentsFrom(Reverse(at)))),
                "context.depth" => edits.extend([Edit::Depth(near), Edit::Depth(0)]),
                _ => {}
            }
        }
    }
    if let (Some(ms), "context.now") = (moment(written), attribute.as_str()) {
        edits.extend([ms.saturating_sub(1), ms, ms.saturating_add(1)].map(Edit::Now));
    }
}

/// A set that contains: one that is written contains an attribute, or an attribute that is a set contains what is written.
fn contained(left: &Value, right: &Value, edits: &mut BTreeSet<Edit>) {
    if let (Some(texts), Some(attribute)) = (texts(left), path(right)) {
        edits.extend(texts.iter().filter_map(|text| set(&attribute, Wanted::Value((*text).to_owned()))));
    }
    let Some(attribute) = path(left) else { return };
    let texts = texts(right).or_else(|| Some(vec![text(right)?])).unwrap_or_default();
    let owned = || texts.iter().map(|text| (*text).to_owned());
    match attribute.as_str() {
        "context.argv" => {
            edits.extend(owned().map(Edit::AddArgument));
            edits.extend(owned().map(Edit::DropArgument));
        }
        "context.variables" => {
            edits.extend(owned().map(Edit::AddVariable));
            edits.insert(Edit::DropVariables(owned().collect()));
        }
        _ => {}
    }
}

fn alike(attribute: &str, pattern: &Value, edits: &mut BTreeSet<Edit>) {
    let (mut written, mut example) = (String::new(), String::new());
    for element in pattern.as_array().into_iter().flatten() {
        match element.get("Literal").and_then(Value::as_str) {
            Some(literal) => {
                written.push_str(&literal.replace('*', "\\*"));
                example.push_str(literal);
            }
            None => {
                written.push('*');
                example.push('x');
            }
        }
    }
    edits.extend(set(attribute, Wanted::Like { pattern: written, example }));
}

fn set(attribute: &str, wanted: Wanted) -> Option<Edit> {
    if let Some((_, at)) = ARGUMENTS.iter().find(|(name, _)| *name == attribute) {
        return Some(Edit::Argument(*at, wanted));
    }
    match (attribute, wanted) {
        ("context.cwd", wanted) => Some(Edit::Cwd(wanted)),
        ("context.command", Wanted::Value(text)) => Some(Edit::Command(text)),
        ("context.stdin", Wanted::Value(text)) => Some(Edit::Stdin(text)),
        ("context.auth", Wanted::Value(text)) => Some(Edit::Auth(text)),
        ("context.reason", Wanted::Value(text)) => Some(Edit::Reason(text)),
        (_, _) => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    value.get("Value")?.as_str()
}

fn number(value: &Value) -> Option<u64> {
    value.get("Value")?.as_u64()
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    value.get("Set")?.as_array()?.iter().map(text).collect()
}

/// The milliseconds of a `datetime("…")` that is written.
fn moment(value: &Value) -> Option<u64> {
    let written = text(value.get("datetime")?.as_array()?.first()?)?;
    crate::calendar::ms_of_text(written)
}
