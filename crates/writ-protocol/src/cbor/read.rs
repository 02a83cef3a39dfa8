use super::check::{Faulty, check, read_head};
use super::{Head, Writer};
use std::borrow::Cow;

/// The bytes are deterministic CBOR but not the structure that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Not even CBOR.
    #[error(transparent)]
    Cbor(#[from] Faulty),
    /// Another type, length or value.
    #[error("expected {0}")]
    Expected(Cow<'static, str>),
    /// A field of a map is not as expected.
    #[error("field `{field}`: {source}")]
    Field {
        /// Its key.
        field: &'static str,
        /// What is wrong with it.
        source: Box<ShapeError>,
    },
    /// A field is not there.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A map has a field that its version does not know.
    #[error("an unknown field follows; this version has none such")]
    Unknown,
}

impl ShapeError {
    /// `expected` followed by what should have been there.
    pub fn expected(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Expected(what.into())
    }
}

/// What can be read from deterministic CBOR.
pub trait Decode: Sized {
    /// Reads one item of this type.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError>;

    /// Reads `bytes`, which must hold exactly this.
    fn from_cbor(bytes: &[u8]) -> Result<Self, ShapeError> {
        let mut reader = Reader::checked(bytes)?;
        Self::decode(&mut reader)
    }
}

/// A cursor over bytes that [`check`] has passed: it compares shapes and never meets an encoding fault.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks the whole input, then reads it.
    pub fn checked(bytes: &'a [u8]) -> Result<Self, Faulty> {
        check(bytes)?;
        Ok(Self { rest: bytes })
    }

    /// An unsigned integer.
    pub fn uint(&mut self) -> Result<u64, ShapeError> {
        match self.head() {
            Some(Head { major: 0, argument, .. }) => Ok(argument),
            _ => Err(ShapeError::expected("an unsigned integer")),
        }
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], ShapeError> {
        match self.head() {
            Some(Head { major: 2, argument, .. }) => self.take(argument),
            _ => Err(ShapeError::expected("a byte string")),
        }
    }

    /// A byte string of a given length.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ShapeError> {
        let bytes = self.bytes()?;
        <[u8; N]>::try_from(bytes).map_err(|_| ShapeError::expected(format!("{N} bytes, found {}", bytes.len())))
    }

    /// A text string.
    pub fn text(&mut self) -> Result<&'a str, ShapeError> {
        let expected = || ShapeError::expected("a text string");
        match self.head() {
            Some(Head { major: 3, argument, .. }) => std::str::from_utf8(self.take(argument)?).map_err(|_| expected()),
            _ => Err(expected()),
        }
    }

    /// The head of an array: how many items follow.
    pub fn array(&mut self) -> Result<u64, ShapeError> {
        match self.head() {
            Some(Head { major: 4, argument, .. }) => Ok(argument),
            _ => Err(ShapeError::expected("an array")),
        }
    }

    /// An array of exactly `length` items.
    pub fn tuple(&mut self, length: u64) -> Result<(), ShapeError> {
        match self.array()? {
            found if found == length => Ok(()),
            found => Err(ShapeError::expected(format!("an array of {length}, found {found}"))),
        }
    }

    /// A map, to be read field by field in canonical order.
    pub fn map(&mut self) -> Result<MapReader<'_, 'a>, ShapeError> {
        match self.head() {
            Some(Head { major: 5, argument, .. }) => Ok(MapReader { left: argument, reader: self }),
            _ => Err(ShapeError::expected("a map")),
        }
    }

    /// The text value of field `key` of the map that comes next, without moving.
    pub fn peek_field(&self, key: &str) -> Result<&'a str, ShapeError> {
        let mut ahead = self.clone();
        let pairs = match ahead.head() {
            Some(Head { major: 5, argument, .. }) => argument,
            _ => return Err(ShapeError::expected("a map")),
        };
        for _ in 0..pairs {
            if ahead.text()? == key {
                return ahead.text();
            }
            ahead.skip()?;
        }
        Err(ShapeError::expected(format!("a map with the field `{key}`")))
    }

    fn skip(&mut self) -> Result<(), ShapeError> {
        let mut pending = 1u64;
        while pending > 0 {
            pending -= 1;
            let Some(head) = self.head() else {
                return Err(ShapeError::expected("an item"));
            };
            match head.major {
                2 | 3 => {
                    self.take(head.argument)?;
                }
                4 => pending = pending.saturating_add(head.argument),
                5 => pending = pending.saturating_add(head.argument.saturating_mul(2)),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn head(&mut self) -> Option<Head> {
        let (head, length) = read_head(self.rest).ok()?;
        self.rest = self.rest.get(length..)?;
        Some(head)
    }

    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], ShapeError> {
        let ended = || ShapeError::expected("more bytes");
        let length = usize::try_from(length).map_err(|_| ended())?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(ended)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Reads the fields of one map in canonical order.
pub struct MapReader<'r, 'a> {
    left: u64,
    reader: &'r mut Reader<'a>,
}

impl MapReader<'_, '_> {
    /// A field that must be there.
    pub fn required<T: Decode>(&mut self, key: &'static str) -> Result<T, ShapeError> {
        self.optional(key)?.ok_or(ShapeError::Missing(key))
    }

    /// A field that may be absent.
    pub fn optional<T: Decode>(&mut self, key: &'static str) -> Result<Option<T>, ShapeError> {
        if !self.next_is(key) {
            return Ok(None);
        }
        let value =
            T::decode(self.reader).map_err(|source| ShapeError::Field { field: key, source: Box::new(source) })?;
        Ok(Some(value))
    }

    /// A field that must have one value.
    pub fn constant(&mut self, key: &'static str, value: &'static str) -> Result<(), ShapeError> {
        if !self.next_is(key) {
            return Err(ShapeError::Missing(key));
        }
        match self.reader.text()? {
            found if found == value => Ok(()),
            _ => Err(ShapeError::Field { field: key, source: Box::new(ShapeError::expected(format!("`{value}`"))) }),
        }
    }

    /// No field may be left.
    pub fn end(self) -> Result<(), ShapeError> {
        if self.left == 0 { Ok(()) } else { Err(ShapeError::Unknown) }
    }

    fn next_is(&mut self, key: &str) -> bool {
        if self.left == 0 {
            return false;
        }
        let Some(rest) = after_text(self.reader.rest, key) else { return false };
        self.reader.rest = rest;
        self.left -= 1;
        true
    }
}

/// What follows, if the next item is this text.
fn after_text<'a>(bytes: &'a [u8], text: &str) -> Option<&'a [u8]> {
    let (head, length) = read_head(bytes).ok()?;
    if head.major != 3 || head.argument != text.len() as u64 {
        return None;
    }
    bytes.get(length..)?.strip_prefix(text.as_bytes())
}

impl Decode for u64 {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.uint()
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.fixed()
    }
}

/// Arrays of structures are bounded, so that no small input makes a large allocation.
pub const ARRAY_MAX: u64 = 256;

impl<T: Decode> Decode for Vec<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let length = reader.array()?;
        if length > ARRAY_MAX {
            return Err(ShapeError::expected(format!("at most {ARRAY_MAX} elements, found {length}")));
        }
        (0..length).map(|_| T::decode(reader)).collect()
    }
}

/// Bytes kept as they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Decode for Bytes {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.bytes().map(|bytes| Self(bytes.to_vec()))
    }
}

impl super::Encode for Bytes {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.0);
    }
}
