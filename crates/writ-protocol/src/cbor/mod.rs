//! Deterministic CBOR (`spec/cbor.md`): one encoding for each value, refused otherwise.
//!
//! Reading takes two steps. [`check`] walks the bytes once and proves that they are the one encoding of one item; the typed
//! [`Reader`] then only has to compare shapes. Both are total: no input makes them panic or recurse beyond [`DEPTH_MAX`].

mod check;
mod read;
mod value;
mod write;

pub use check::{Fault, Faulty, check};
pub use read::{ARRAY_MAX, Bytes, Decode, MapReader, Reader, ShapeError};
pub use value::Value;
pub use write::{Encode, Writer};

/// Levels of arrays and maps a structure may have; the outermost is level 1.
pub const DEPTH_MAX: usize = 16;

/// A head: major type and its argument, already known to be in shortest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    major: u8,
    info: u8,
    argument: u64,
}

/// Declares a structure that is a CBOR map with text keys, with its encoder and decoder from one list of fields.
///
/// The list must be in canonical order (shorter keys first, then by bytes); a constant assertion holds it. `?` marks a field that may be absent.
macro_rules! record {
    ($(#[$meta:meta])* $vis:vis $name:ident { $($(#[$field_meta:meta])* $field:ident $(as $key:literal)? : $kind:tt $type:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name { $($(#[$field_meta])* $vis $field: $crate::cbor::record!(@type $kind $type)),+ }

        const _: () = assert!(
            $crate::cbor::canonical_order(&[$($crate::cbor::record!(@key $field $($key)?)),+]),
            concat!("fields of ", stringify!($name), " are not in canonical order")
        );

        impl $crate::cbor::Encode for $name {
            fn encode(&self, writer: &mut $crate::cbor::Writer) {
                let present = 0 $(+ $crate::cbor::record!(@count $kind self.$field))+;
                writer.map(present);
                $($crate::cbor::record!(@write $kind writer, $crate::cbor::record!(@key $field $($key)?), self.$field);)+
            }
        }

        impl $crate::cbor::Decode for $name {
            fn decode(reader: &mut $crate::cbor::Reader<'_>) -> Result<Self, $crate::cbor::ShapeError> {
                let mut map = reader.map()?;
                let value = Self { $($field: $crate::cbor::record!(@read $kind map, $crate::cbor::record!(@key $field $($key)?))),+ };
                map.end()?;
                Ok(value)
            }
        }
    };
    (@key $field:ident $key:literal) => { $key };
    (@key $field:ident) => { stringify!($field) };
    (@type ! $type:ty) => { $type };
    (@type ? $type:ty) => { Option<$type> };
    (@count ! $value:expr) => { 1 };
    (@count ? $value:expr) => { usize::from($value.is_some()) };
    (@write ! $writer:ident, $key:expr, $value:expr) => { $writer.field($key, &$value) };
    (@write ? $writer:ident, $key:expr, $value:expr) => { if let Some(value) = &$value { $writer.field($key, value) } };
    (@read ! $map:ident, $key:expr) => { $map.required($key)? };
    (@read ? $map:ident, $key:expr) => { $map.optional($key)? };
}
pub(crate) use record;

/// Whether map keys are in the order in which deterministic CBOR wants them.
pub(crate) const fn canonical_order(keys: &[&str]) -> bool {
    let mut rest = keys;
    while let [first, tail @ ..] = rest {
        if let [second, ..] = tail
            && !key_before(first.as_bytes(), second.as_bytes())
        {
            return false;
        }
        rest = tail;
    }
    true
}

const fn key_before(mut left: &[u8], mut right: &[u8]) -> bool {
    if left.len() != right.len() {
        return left.len() < right.len();
    }
    while let ([a, left_tail @ ..], [b, right_tail @ ..]) = (left, right) {
        if *a != *b {
            return *a < *b;
        }
        left = left_tail;
        right = right_tail;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::canonical_order;

    /// The compiler is asked this about every structure, so none that exists shows that it can say no.
    #[test]
    fn fields_are_in_order_when_each_key_is_shorter_or_lower_than_the_next() {
        for keys in [&[] as &[&str], &["a"], &["", "a"], &["a", "b", "aa"], &["ab", "ba"], &["aaa", "aab", "aba"]] {
            assert!(canonical_order(keys), "{keys:?}");
        }
        for keys in
            [&["a", "a"] as &[&str], &["b", "a"], &["aa", "b"], &["ba", "ab"], &["a", "c", "b"], &["aab", "aaa"]]
        {
            assert!(!canonical_order(keys), "{keys:?}");
        }
    }
}
