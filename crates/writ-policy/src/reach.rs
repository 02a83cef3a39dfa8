//! What policies can look at beyond principal, action and resource, told from how they are written: how many references they follow one after
//! another, and which entities that they name they look into. It is never less than what the engine reads; where it is more, more is
//! handed to the engine than it needs.

use cedar_policy::{EntityUid, Policy};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What a set's policies can look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// How many references are followed one after another, the first from principal, resource or a named entity.
    pub(crate) steps: usize,
    /// Entities that policies name and look into.
    pub(crate) named: BTreeSet<EntityUid>,
}

/// More than any policy follows: for one that cannot be read, everything that can be reached is handed over.
const EVERY_STEP: usize = usize::MAX;

impl Reach {
    /// Of all of these policies.
    pub(crate) fn of<'p>(policies: impl Iterator<Item = &'p Policy>) -> Self {
        let mut reach = Self::default();
        for policy in policies {
            match policy.to_json() {
                Ok(json) => {
                    let conditions = json.get("conditions").cloned().unwrap_or_default();
                    reach.steps = reach.steps.max(reach.steps_of(&conditions, false));
                }
                Err(_) => {
                    reach.steps = EVERY_STEP;
                    reach.named.extend(policy.entity_literals());
                }
            }
        }
        reach
    }

    /// How many entities are looked into one after another to find this value; `looked_into` says whether the value itself is.
    fn steps_of(&mut self, value: &Value, looked_into: bool) -> usize {
        match value {
            Value::Object(fields) => fields
                .iter()
                .map(|(operator, operand)| match operator.as_str() {
                    "Value" => {
                        if looked_into {
                            self.names(operand);
                        }
                        0
                    }
                    // Its fields are called as somebody likes.
                    "Record" => {
                        let fields = operand.as_object().into_iter().flat_map(Map::values);
                        fields.map(|field| self.steps_of(field, looked_into)).max().unwrap_or(0)
                    }
                    // The context has no entities in it.
                    "." | "has" if is_of_context(operand) => 0,
                    "." | "has" => 1 + self.steps_in(operand, &["left"]),
                    "in" | "is" | "hasTag" | "getTag" => 1 + self.steps_in(operand, &["left"]),
                    _ => self.steps_of(operand, looked_into),
                })
                .max()
                .unwrap_or(0),
            Value::Array(items) => items.iter().map(|item| self.steps_of(item, looked_into)).max().unwrap_or(0),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    /// Of an operation that looks into these operands.
    fn steps_in(&mut self, operands: &Value, into: &[&str]) -> usize {
        let Some(operands) = operands.as_object() else { return 0 };
        let each = operands.iter().map(|(name, operand)| self.steps_of(operand, into.contains(&name.as_str())));
        each.max().unwrap_or(0)
    }

    fn names(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => match fields.get("__entity") {
                Some(uid) => self.named.extend(EntityUid::from_json(uid.clone())),
                None => fields.values().for_each(|value| self.names(value)),
            },
            Value::Array(items) => items.iter().for_each(|item| self.names(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Whether what is read is the context, or something in it.
fn is_of_context(operand: &Value) -> bool {
    let Some(left) = operand.get("left") else { return false };
    match (left.get("Var"), left.get(".")) {
        (Some(variable), _) => variable == "context",
        (None, Some(inner)) => is_of_context(inner),
        (None, None) => false,
    }
}
