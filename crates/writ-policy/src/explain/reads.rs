//! Which attributes a clause reads, and what stands in them.

use super::Read;
use super::judge::Judge;
use crate::compile::short;
use cedar_policy::{EvalResult, Policy};
use serde_json::Value;
use std::collections::BTreeSet;

/// The engine's JSON of an expression.
pub(super) fn json(text: &str) -> Option<Value> {
    let policy = Policy::parse(None, format!("permit (principal, action, resource) when {{ {text}\n}};")).ok()?;
    policy.to_json().ok()?.get_mut("conditions")?.get_mut(0)?.get_mut("body").map(Value::take)
}

/// What a clause reads, ascending, each once.
pub(super) fn reads(text: &str, judge: &Judge<'_>) -> Vec<Read> {
    let (mut named, json) = (BTreeSet::new(), json(text).unwrap_or_default());
    walk(&json, &mut named);
    named.into_iter().map(|attribute| Read { value: value(&attribute, &json, judge), attribute }).collect()
}

fn walk(value: &Value, named: &mut BTreeSet<String>) {
    if let Some(path) = path(value) {
        // The whole context would say nothing; what is read of it stands elsewhere in the clause.
        if path != "context" {
            named.insert(path);
        }
        return;
    }
    match value {
        Value::Object(fields) => match fields.get("has") {
            Some(has) => match (has.get("left").and_then(path), has.get("attr").and_then(Value::as_str)) {
                (Some(left), Some(attribute)) => {
                    named.insert(format!("{left}{}", step(attribute)));
                }
                (_, _) => walk(has, named),
            },
            None => fields.values().for_each(|value| walk(value, named)),
        },
        Value::Array(items) => items.iter().for_each(|item| walk(item, named)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A variable, or an attribute below one.
pub(super) fn path(value: &Value) -> Option<String> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    if let Some(variable) = fields.get("Var") {
        return variable.as_str().map(str::to_owned);
    }
    let access = fields.get(".")?;
    Some(format!("{}{}", path(access.get("left")?)?, step(access.get("attr")?.as_str()?)))
}

fn step(attribute: &str) -> String {
    let plain = attribute.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let begins = attribute.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if plain && begins { format!(".{attribute}") } else { format!("[\"{}\"]", attribute.escape_debug()) }
}

/// Sets of more members than this are told by those that the clause names.
const MEMBERS_MAX: usize = 6;

fn value(attribute: &str, clause: &Value, judge: &Judge<'_>) -> Option<String> {
    if attribute == "context.now" {
        return Some(judge.question.now.full());
    }
    let found = judge.value(attribute).ok()?;
    let shown = match (&found, attribute) {
        (EvalResult::EntityUid(uid), "principal") => match judge.groups().as_slice() {
            [] => format!("{uid}, in no group"),
            groups => format!("{uid}, in {}", groups.join(", ")),
        },
        (EvalResult::Set(set), _) if set.len() > MEMBERS_MAX => {
            let mut written = BTreeSet::new();
            texts(clause, &mut written);
            let named: Vec<String> =
                set.iter().filter(|one| is_one_of(one, &written)).map(ToString::to_string).collect();
            format!("[{}] of those named here, {} members in all", named.join(", "), set.len())
        }
        (_, _) => found.to_string(),
    };
    let cut = short(&shown);
    Some(if cut.len() < shown.len() { format!("{cut}…") } else { cut })
}

/// The texts that a clause writes out.
fn texts<'a>(value: &'a Value, written: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            written.extend(fields.get("Value").and_then(Value::as_str));
            fields.values().for_each(|value| texts(value, written));
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, written)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_one_of(value: &EvalResult, written: &BTreeSet<&str>) -> bool {
    matches!(value, EvalResult::String(text) if written.contains(text.as_str()))
}
