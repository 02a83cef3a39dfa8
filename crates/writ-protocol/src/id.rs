use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use std::fmt;

/// Declares an id of its own type: 6 bytes of milliseconds, 10 random bytes, and the prefix of its text form.
macro_rules! typed_id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From the time and random bytes, both given: this crate has neither clock nor randomness.
            pub fn new(time_ms: u64, random: [u8; 10]) -> Self {
                Self(assemble(time_ms, random))
            }

            /// From its 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// From its text form, prefix included.
            pub fn parse(text: &str) -> Option<Self> {
                parse_hex(text.strip_prefix($prefix)?).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Encode for $name {
            fn encode(&self, writer: &mut Writer) {
                writer.bytes(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
                reader.fixed().map(Self)
            }
        }
    };
}

typed_id!(
    /// A grant.
    WritId, "writ_"
);
typed_id!(
    /// One governed run.
    ExecutionId, "exec_"
);
typed_id!(
    /// A hold.
    HoldId, "hold_"
);
typed_id!(
    /// A denial.
    DenialId, "deny_"
);
typed_id!(
    /// The key by which a repeated request is recognised.
    RequestKey, "req_"
);
typed_id!(
    /// An order: revocation, halt, erasure or root statement.
    OrderId, "ord_"
);
typed_id!(
    /// A domain.
    DomainId, "dom_"
);
typed_id!(
    /// A cluster.
    ClusterId, "clu_"
);

fn assemble(time_ms: u64, random: [u8; 10]) -> [u8; 16] {
    let [_, _, t0, t1, t2, t3, t4, t5] = time_ms.to_be_bytes();
    let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9] = random;
    [t0, t1, t2, t3, t4, t5, r0, r1, r2, r3, r4, r5, r6, r7, r8, r9]
}

fn parse_hex(text: &str) -> Option<[u8; 16]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
    <[u8; 16]>::try_from(bytes.collect::<Option<Vec<u8>>>()?).ok()
}
