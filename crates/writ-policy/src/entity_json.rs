//! Entities in JSON, in the engine's form, and as records that are the same for every reader.

use crate::entity_problem::EntityProblem;
use crate::error::{PolicyError, Problem};
use crate::json;
use cedar_policy::{EntityId, EntityTypeName};
use serde_json::{Map, Number, Value};
use std::str::FromStr;
use writ_protocol::cbor;
use writ_protocol::entities::{EntityRecord, EntityUid};

/// Reads a JSON array of entities, as `entities.json` has them. `file` is what findings name.
pub fn read_entities(file: &str, bytes: &[u8]) -> Result<Vec<EntityRecord>, Vec<PolicyError>> {
    let Value::Array(items) = json::read(file, bytes).map_err(|error| vec![error])? else {
        return Err(vec![finding(file, 1, "an array of entities")]);
    };
    let (mut records, mut findings) = (Vec::with_capacity(items.len()), Vec::new());
    for (at, item) in items.into_iter().enumerate() {
        match record(item) {
            Ok(record) => records.push(record),
            Err(expected) => findings.push(finding(file, at + 1, &expected)),
        }
    }
    if findings.is_empty() { Ok(records) } else { Err(findings) }
}

fn finding(file: &str, item: usize, expected: &str) -> PolicyError {
    PolicyError::file(file, Problem::Entity(EntityProblem::Form { item, expected: expected.to_owned() }))
}

fn record(item: Value) -> Result<EntityRecord, String> {
    let Value::Object(mut fields) = item else { return Err("an object".to_owned()) };
    let uid = uid(fields.remove("uid").unwrap_or_default()).map_err(|why| format!("a `uid`: {why}"))?;
    let parents = match fields.remove("parents") {
        None => Vec::new(),
        Some(Value::Array(parents)) => parents
            .into_iter()
            .map(self::uid)
            .collect::<Result<_, _>>()
            .map_err(|why| format!("in `parents`: {why}"))?,
        Some(_) => return Err("`parents` as an array".to_owned()),
    };
    let attrs = pairs(fields.remove("attrs"), "attrs")?;
    let tags = pairs(fields.remove("tags"), "tags")?;
    if let Some(other) = fields.keys().next() {
        return Err(format!("no other fields than `uid`, `attrs`, `parents` and `tags`, found `{other}`"));
    }
    EntityRecord::new(uid, parents, attrs, tags).map_err(|error| error.to_string())
}

/// `{"type": "User", "id": "ada"}`, bare or as `__entity`.
fn uid(value: Value) -> Result<EntityUid, String> {
    let form = || "{\"type\": \"User\", \"id\": \"ada\"}".to_owned();
    let Value::Object(mut fields) = value else { return Err(form()) };
    if fields.len() == 1
        && let Some(inner) = fields.remove("__entity")
    {
        return uid(inner);
    }
    match (fields.remove("type"), fields.remove("id"), fields.is_empty()) {
        (Some(Value::String(kind)), Some(Value::String(id)), true) => {
            EntityUid::new(kind, id).map_err(|error| error.to_string())
        }
        (_, _, _) => Err(form()),
    }
}

fn pairs(value: Option<Value>, field: &str) -> Result<Vec<(String, cbor::Value)>, String> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Object(fields)) => {
            let mut pairs: Vec<(String, cbor::Value)> =
                fields.into_iter().map(|(key, value)| Ok((key, plain(value)?))).collect::<Result<_, String>>()?;
            pairs.sort_by(|(left, _), (right, _)| (left.len(), left).cmp(&(right.len(), right)));
            Ok(pairs)
        }
        Some(_) => Err(format!("`{field}` as an object")),
    }
}

fn plain(value: Value) -> Result<cbor::Value, String> {
    Ok(match value {
        Value::Bool(value) => cbor::Value::Bool(value),
        Value::String(text) => cbor::Value::Text(text),
        Value::Number(number) => integer(&number)?,
        Value::Array(items) => cbor::Value::Array(items.into_iter().map(plain).collect::<Result<_, _>>()?),
        Value::Object(_) => cbor::Value::Map(pairs(Some(value), "an attribute")?),
        Value::Null => return Err("values that are not `null`".to_owned()),
    })
}

fn integer(number: &Number) -> Result<cbor::Value, String> {
    let value = number.as_i64().ok_or_else(|| format!("integers of 64 bits, found {number}"))?;
    Ok(u64::try_from(value).map_or(cbor::Value::Nint(value), cbor::Value::Uint))
}

/// One entity in the engine's JSON.
pub fn entity_to_json(record: &EntityRecord) -> Value {
    let uid = |uid: &EntityUid| {
        let fields = [("type", uid.kind()), ("id", uid.id())];
        Value::Object(fields.map(|(key, text)| (key.to_owned(), text.into())).into_iter().collect())
    };
    let parents = record.parents().iter().map(uid).collect();
    let mut fields = Map::new();
    fields.insert("uid".to_owned(), uid(record.uid()));
    fields.insert("attrs".to_owned(), object(record.attrs()));
    fields.insert("parents".to_owned(), Value::Array(parents));
    if !record.tags().is_empty() {
        fields.insert("tags".to_owned(), object(record.tags()));
    }
    Value::Object(fields)
}

fn object(pairs: &[(String, cbor::Value)]) -> Value {
    Value::Object(pairs.iter().map(|(key, value)| (key.clone(), json_of(value))).collect())
}

fn json_of(value: &cbor::Value) -> Value {
    match value {
        cbor::Value::Uint(value) => (*value).into(),
        cbor::Value::Nint(value) => (*value).into(),
        cbor::Value::Text(text) => text.as_str().into(),
        cbor::Value::Bool(value) => (*value).into(),
        cbor::Value::Array(items) => Value::Array(items.iter().map(json_of).collect()),
        cbor::Value::Map(pairs) => object(pairs),
        // No record holds any of these.
        cbor::Value::Bytes(_) | cbor::Value::Null | cbor::Value::Float(_) => Value::Null,
    }
}

/// As the engine names it.
pub(crate) fn uid_of(uid: &EntityUid) -> Option<cedar_policy::EntityUid> {
    let kind = EntityTypeName::from_str(uid.kind()).ok()?;
    Some(cedar_policy::EntityUid::from_type_name_and_id(kind, EntityId::new(uid.id())))
}
