//! JSON without doubled keys: readers differ in which of two they see, and the engine takes the last.

use crate::error::{PolicyError, Problem};
use serde_json::Value;
use std::collections::BTreeSet;

/// Reads a JSON file.
pub(crate) fn read(file: &str, bytes: &[u8]) -> Result<Value, PolicyError> {
    let text = std::str::from_utf8(bytes).map_err(|_| PolicyError::file(file, Problem::NotUtf8))?;
    // The reader's own limit of 128 levels bounds the recursion.
    let value = serde_json::from_str(text).map_err(|error| PolicyError {
        file: file.to_owned(),
        line: error.line().max(1),
        column: error.column().max(1),
        problem: Problem::Json(error.to_string()),
    })?;
    match repeated_key(text) {
        None => Ok(value),
        Some((offset, key)) => Err(PolicyError::at(file, text, offset, Problem::KeyRepeated(key))),
    }
}

/// Reads JSON that somebody else has made, such as the claims of a token: one value, and no key twice in one object.
pub fn unambiguous(bytes: &[u8]) -> Result<Value, String> {
    read("", bytes).map_err(|error| error.problem.to_string())
}

/// The first key that stands twice in one object of well-formed JSON, and where. Keys are compared as what they mean, escapes undone.
fn repeated_key(text: &str) -> Option<(usize, String)> {
    // One set for each open object, `None` for each open array.
    let mut open: Vec<Option<BTreeSet<String>>> = Vec::new();
    let mut key_may_follow = false;
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'{' => {
                open.push(Some(BTreeSet::new()));
                key_may_follow = true;
            }
            b'[' => open.push(None),
            b'}' | b']' => {
                open.pop();
            }
            b',' => key_may_follow = matches!(open.last(), Some(Some(_))),
            b'"' => {
                let length = string_length(text, at);
                if key_may_follow && let Some(Some(keys)) = open.last_mut() {
                    let raw = text.get(at..at + length).unwrap_or_default();
                    let key = serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned());
                    if !keys.insert(key.clone()) {
                        return Some((at, key));
                    }
                }
                key_may_follow = false;
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Length of the string that begins at `start`, quotes included.
fn string_length(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (offset, byte) in text.bytes().skip(start).enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return offset + 1,
            _ => {}
        }
    }
    text.len() - start
}
