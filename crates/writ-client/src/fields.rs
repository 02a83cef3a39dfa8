//! Taking answers apart. Fields that are not known are left alone, so that a newer node may say more; those that are needed must be
//! there and have their kind.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use writ_protocol::Code;

pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let value = serde_json::from_slice(bytes).map_err(|error| format!("expected JSON: {error}"))?;
        Self::of(value)
    }

    pub(crate) fn of(value: Value) -> Result<Self, String> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err("expected a JSON object, found another value".to_owned())
            }
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String, String> {
        self.optional_text(name)?.ok_or_else(|| missing(name, "a string"))
    }

    pub(crate) fn optional_text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(missing(name, "a string"))
            }
        }
    }

    pub(crate) fn optional_value(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<u64, String> {
        self.0.remove(name).and_then(|value| value.as_u64()).ok_or_else(|| missing(name, "a number from 0 on"))
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Result<bool, String> {
        self.0.remove(name).and_then(|value| value.as_bool()).ok_or_else(|| missing(name, "a boolean"))
    }

    pub(crate) fn bytes(&mut self, name: &str) -> Result<Vec<u8>, String> {
        from_base64(&self.text(name)?).ok_or_else(|| missing(name, "canonical base64"))
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Value>, String> {
        match self.0.remove(name) {
            Some(Value::Array(items)) => Ok(items),
            None | Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                Err(missing(name, "an array"))
            }
        }
    }

    /// A code that we do not know says that the node is newer; what it means we cannot know.
    pub(crate) fn code(&mut self) -> Result<Code, String> {
        Code::from_str_exact(&self.text("code")?).ok_or_else(|| missing("code", "a refusal code"))
    }

    pub(crate) fn outcome(&mut self, expected: &str) -> Result<(), String> {
        let found = self.text("outcome")?;
        if found == expected { Ok(()) } else { Err(format!("expected the outcome {expected:?}, found {found:?}")) }
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

fn missing(name: &str, kind: &str) -> String {
    format!("expected {name:?} with {kind}, found none such")
}

pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    // The engine refuses missing padding and bits that say nothing, so bytes have one text.
    STANDARD.decode(text).ok()
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
