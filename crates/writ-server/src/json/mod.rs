//! JSON of which there is one reading: what two readers could take for two things is refused.

mod fields;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

pub use fields::Fields;
pub use reading::{open_json, strict_json};
pub(crate) use writing::write_json;

use std::collections::BTreeMap;

/// A JSON value. Numbers are whole, since the wire has no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number that fits in an `i64` or a `u64`.
    Whole(i128),
    /// Any other number, as it was written; only where these are read at all ([`open_json`]).
    Fraction(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Self>),
    /// An object; no name twice.
    Object(BTreeMap<String, Self>),
}

impl Json {
    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Whole(_) | Self::Fraction(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}
