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
        let Value::Map(pairs) = self.at(path) else { panic!("expected a map at {path}") };
        pairs.retain(|(known, _)| known != key);
        pairs.push((key.to_owned(), value));
        self
    }

    /// Removes the field or element at a path.
    pub(super) fn remove(mut self, path: &str) -> Self {
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        let within = self.at(parent);
        if let Value::Map(pairs) = within {
            pairs.retain(|(key, _)| key != last);
        } else if let Value::Array(items) = within {
            items.remove(last.parse().unwrap());
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
        path.split('/').filter(|part| !part.is_empty()).fold(&mut self.0, |value, part| {
            part_of(value, part).unwrap_or_else(|| panic!("no {part} on the way to {path}"))
        })
    }
}

fn part_of<'v>(value: &'v mut Value, part: &str) -> Option<&'v mut Value> {
    if let Value::Map(pairs) = value {
        return pairs.iter_mut().find(|(key, _)| key == part).map(|(_, value)| value);
    }
    let Value::Array(items) = value else { return None };
    items.get_mut(part.parse::<usize>().ok()?)
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
