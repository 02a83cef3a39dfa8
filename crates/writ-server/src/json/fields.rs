use super::Json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use writ_protocol::Refusal;

/// The fields of an object, taken out one by one. What is left at [`Fields::end`] is refused: a field that nobody read may have
/// been meant to narrow what is asked.
#[derive(Debug)]
#[must_use]
pub struct Fields(BTreeMap<String, Json>);

impl Fields {
    /// The fields of an object; any other value is refused.
    pub fn of(value: Json) -> Result<Self, Refusal> {
        match value {
            Json::Object(fields) => Ok(Self(fields)),
            other @ (Json::Null
            | Json::Boolean(_)
            | Json::Whole(_)
            | Json::Fraction(_)
            | Json::Text(_)
            | Json::Array(_)) => Err(Refusal::malformed(format!("expected a JSON object, found {}", other.kind()))),
        }
    }

    /// A string that must be there.
    pub fn required_str(&mut self, name: &str) -> Result<String, Refusal> {
        self.optional_str(name)?.ok_or_else(|| missing(name, "a string"))
    }

    /// A string that may be there.
    pub fn optional_str(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(
                other @ (Json::Null
                | Json::Boolean(_)
                | Json::Whole(_)
                | Json::Fraction(_)
                | Json::Array(_)
                | Json::Object(_)),
            ) => Err(other_kind(name, "a string", &other)),
        }
    }

    /// A number from 0 on that must be there.
    pub fn required_u64(&mut self, name: &str) -> Result<u64, Refusal> {
        self.optional_u64(name)?.ok_or_else(|| missing(name, "a number"))
    }

    /// A number from 0 on that may be there.
    pub fn optional_u64(&mut self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Json::Whole(number)) => match u64::try_from(number) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Refusal::malformed(format!("expected {name:?} from 0 on, found {number}"))),
            },
            Some(
                other @ (Json::Null
                | Json::Boolean(_)
                | Json::Fraction(_)
                | Json::Text(_)
                | Json::Array(_)
                | Json::Object(_)),
            ) => Err(other_kind(name, "a number", &other)),
        }
    }

    /// A boolean that may be there.
    pub fn optional_bool(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Json::Boolean(value)) => Ok(Some(value)),
            Some(
                other @ (Json::Null
                | Json::Whole(_)
                | Json::Fraction(_)
                | Json::Text(_)
                | Json::Array(_)
                | Json::Object(_)),
            ) => Err(other_kind(name, "a boolean", &other)),
        }
    }

    /// Bytes in canonical base64 with padding that must be there.
    pub fn required_bytes(&mut self, name: &str) -> Result<Vec<u8>, Refusal> {
        self.optional_bytes(name)?.ok_or_else(|| missing(name, "base64"))
    }

    /// Bytes in canonical base64 with padding that may be there.
    pub fn optional_bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(text) = self.optional_str(name)? else { return Ok(None) };
        // The engine refuses missing padding and bits that say nothing, so bytes have one text.
        match STANDARD.decode(&text) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => {
                Err(Refusal::malformed(format!("expected canonical base64 with padding in {name:?}: {error}")))
            }
        }
    }

    /// Any value that may be there.
    pub fn optional(&mut self, name: &str) -> Option<Json> {
        self.0.remove(name)
    }

    /// That nothing is left.
    pub fn end(self) -> Result<(), Refusal> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(Refusal::malformed(format!("found the unknown field {name:?}; leave it out"))),
        }
    }
}

fn missing(name: &str, kind: &str) -> Refusal {
    Refusal::malformed(format!("expected the field {name:?} with {kind}, found no such field"))
}

fn other_kind(name: &str, expected: &str, found: &Json) -> Refusal {
    Refusal::malformed(format!("expected {name:?} to be {expected}, found {}", found.kind()))
}
