//! Structures changed in one place, whatever the typed encoders would allow.

use writ_protocol::cbor::{Decode, Encode, Value};

/// An encoded structure, to be changed.
#[derive(Clone)]
pub(super) struct Structure(Value);

impl Structure {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Value::from_cbor(bytes).unwrap())
    }

    /// Sets what is at a path: keys and positions joined by `/`.
    pub(super) fn set(mut self, path: &str, value: Value) -> Self {
        *self.at(path) = value;
        self
    }

    /// Adds a field to the map at a path (or sets it).
    pub(super) fn add(mut self, path: &str, key: &str, value: Value) -> Self {
        match self.at(path) {
            Value::Map(pairs) => {
                pairs.retain(|(known, _)| known != key);
                pairs.push((key.to_owned(), value));
            }
            other => panic!("expected a map at {path}, found {other:?}"),
        }
        self
    }

    /// Removes the field or element at a path.
    pub(super) fn remove(mut self, path: &str) -> Self {
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        match self.at(parent) {
            Value::Map(pairs) => pairs.retain(|(key, _)| key != last),
            Value::Array(items) => {
                items.remove(last.parse().unwrap());
            }
            other => panic!("expected something with parts at {parent}, found {other:?}"),
        }
        self
    }

    /// Changes what is at a path.
    pub(super) fn change(mut self, path: &str, change: impl FnOnce(&mut Value)) -> Self {
        change(self.at(path));
        self
    }

    pub(super) fn get(&self, path: &str) -> Value {
        self.clone().at(path).clone()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.to_cbor()
    }

    fn at(&mut self, path: &str) -> &mut Value {
        path.split('/').filter(|part| !part.is_empty()).fold(&mut self.0, |value, part| match value {
            Value::Map(pairs) => {
                let found = pairs.iter_mut().find(|(key, _)| key == part);
                found.map(|(_, value)| value).unwrap_or_else(|| panic!("no field {part} on the way to {path}"))
            }
            Value::Array(items) => &mut items[part.parse::<usize>().unwrap()],
            other => panic!("nothing below {other:?} on the way to {path}"),
        })
    }
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

pub(super) fn array(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(items.into_iter().collect())
}

pub(super) fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The same bytes with the lowest bit of one of them changed.
pub(super) fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1;
    changed
}
