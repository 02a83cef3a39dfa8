use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use std::fmt;
use writ_tlog::Origin;

/// Declares a text newtype whose form is checked when it is made.
macro_rules! checked_text {
    ($(#[$meta:meta])* $name:ident, $expected:literal, $max:literal, $allowed:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text, if it has this form.
            pub fn new(text: impl Into<String>) -> Result<Self, ShapeError> {
                let text = text.into();
                let allowed: fn(u8) -> bool = $allowed;
                if (1..=$max).contains(&text.len()) && text.bytes().all(allowed) {
                    Ok(Self(text))
                } else {
                    Err(ShapeError::expected($expected))
                }
            }

            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Encode for $name {
            fn encode(&self, writer: &mut Writer) {
                writer.text(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
                Self::new(reader.text()?)
            }
        }
    };
}

checked_text!(
    /// The name of a principal, gateway, group or policy.
    Name,
    "a name: 1 to 128 characters from A-Z a-z 0-9 . _ - / : @",
    128,
    |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':' | b'@')
);

checked_text!(
    /// A word from a small vocabulary: a reason, a profile, a way of authentication.
    Label,
    "a label: 1 to 64 characters from a-z 0-9 . _ -",
    64,
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
);

impl Encode for Origin {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }
}

impl Decode for Origin {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(reader.text()?).map_err(|_| {
            ShapeError::expected("an origin: 1 to 255 bytes without white space, `+` or control characters")
        })
    }
}
