use super::check::{float_of, is_integer_in_range};
use super::{Decode, Encode, Head, Reader, ShapeError, Writer};

/// Any value of the subset, for tools that look at structures they do not know.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An unsigned integer.
    Uint(u64),
    /// A negative integer.
    Nint(i64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// A map, pairs in canonical order.
    Map(Vec<(String, Value)>),
    /// `false` or `true`.
    Bool(bool),
    /// `null`.
    Null,
    /// A float that no integer equals.
    Float(f64),
}

impl Value {
    /// A finite number as it is read again once it was written: an integer where one equals it. `None` for NaN and infinities.
    pub fn number(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        if !is_integer_in_range(value) {
            return Some(Self::Float(value));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was tested: both casts are exact"
        )]
        Some(if value < 0.0 { Self::Nint(value as i64) } else { Self::Uint(value as u64) })
    }
}

impl Decode for Value {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let expected = || ShapeError::expected("an item");
        let mut ahead = reader.clone();
        let head = ahead.head().ok_or_else(expected)?;
        let value = match head {
            Head { major: 0, argument, .. } => Self::Uint(argument),
            Head { major: 1, argument, .. } => Self::Nint(-1 - i64::try_from(argument).map_err(|_| expected())?),
            Head { major: 2, .. } => return reader.bytes().map(|bytes| Self::Bytes(bytes.to_vec())),
            Head { major: 3, .. } => return reader.text().map(|text| Self::Text(text.to_owned())),
            Head { major: 4, argument, .. } => {
                let items = (0..argument).map(|_| Self::decode(&mut ahead)).collect::<Result<_, _>>()?;
                Self::Array(items)
            }
            Head { major: 5, argument, .. } => {
                let pair = |_| Ok((ahead.text()?.to_owned(), Self::decode(&mut ahead)?));
                Self::Map((0..argument).map(pair).collect::<Result<_, ShapeError>>()?)
            }
            Head { major: 7, info: 20, .. } => Self::Bool(false),
            Head { major: 7, info: 21, .. } => Self::Bool(true),
            Head { major: 7, info: 22, .. } => Self::Null,
            Head { major: 7, info: 25..=27, .. } => Self::Float(float_of(head)),
            Head { .. } => return Err(expected()),
        };
        *reader = ahead;
        Ok(value)
    }
}

impl Encode for Value {
    /// Sorts maps by key, so any order of pairs gives the one encoding. A float that an integer equals is written as that integer; one that
    /// is not finite, which has no encoding, as `null`.
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Uint(value) => writer.uint(*value),
            Self::Nint(value) => writer.int(*value),
            Self::Bytes(value) => writer.bytes(value),
            Self::Text(value) => writer.text(value),
            Self::Array(items) => items.encode(writer),
            Self::Map(pairs) => {
                let mut pairs: Vec<_> = pairs.iter().collect();
                pairs.sort_by_key(|(key, _)| (key.len(), key.as_bytes()));
                writer.map(pairs.len());
                for (key, value) in pairs {
                    writer.field(key, value);
                }
            }
            Self::Bool(value) => writer.bool(*value),
            Self::Null => writer.null(),
            Self::Float(value) => match Self::number(*value) {
                Some(Self::Float(value)) => writer.float(value),
                Some(integer) => integer.encode(writer),
                None => writer.null(),
            },
        }
    }
}
