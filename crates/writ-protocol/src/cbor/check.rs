use super::{DEPTH_MAX, Head};

/// Why bytes are not deterministic CBOR. The names are those of `spec/cbor.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The input ends before the item does.
    Truncated,
    /// Bytes follow the item.
    TrailingBytes,
    /// An integer, length or float could have been shorter.
    NotShortest,
    /// Indefinite length.
    IndefiniteLength,
    /// Additional information 28 to 30.
    Reserved,
    /// A negative integer below −2^63.
    IntegerRange,
    /// A text string is not UTF-8.
    InvalidUtf8,
    /// A map key is not a text string.
    KeyNotText,
    /// A map key is lower than the one before it.
    UnsortedKeys,
    /// A map key equals the one before it.
    DuplicateKey,
    /// A tag.
    Tag,
    /// A simple value that is not false, true or null.
    Simple,
    /// NaN or an infinity.
    NonFiniteFloat,
    /// A float that is an integer.
    ReducibleFloat,
    /// Nested deeper than [`DEPTH_MAX`].
    TooDeep,
}

impl Fault {
    /// The stable name in `spec/cbor.md`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing_bytes",
            Self::NotShortest => "not_shortest",
            Self::IndefiniteLength => "indefinite_length",
            Self::Reserved => "reserved",
            Self::IntegerRange => "integer_range",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::KeyNotText => "key_not_text",
            Self::UnsortedKeys => "unsorted_keys",
            Self::DuplicateKey => "duplicate_key",
            Self::Tag => "tag",
            Self::Simple => "simple",
            Self::NonFiniteFloat => "non_finite_float",
            Self::ReducibleFloat => "reducible_float",
            Self::TooDeep => "too_deep",
        }
    }
}

/// The first fault met, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not deterministic CBOR: {} at byte {offset}", fault.as_str())]
pub struct Faulty {
    /// What is wrong.
    pub fault: Fault,
    /// Offset of the item whose head or content is at fault.
    pub offset: usize,
}

/// Proves that `bytes` is the one deterministic encoding of exactly one item.
pub fn check(bytes: &[u8]) -> Result<(), Faulty> {
    let mut cursor = Cursor { bytes, at: 0 };
    cursor.item(0)?;
    if cursor.at < bytes.len() {
        return Err(Faulty { fault: Fault::TrailingBytes, offset: cursor.at });
    }
    Ok(())
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn item(&mut self, depth: usize) -> Result<(), Faulty> {
        let offset = self.at;
        let faulty = |fault| Faulty { fault, offset };
        let head = self.head()?;
        match head.major {
            0 => Ok(()),
            1 if head.argument > i64::MAX.cast_unsigned() => Err(faulty(Fault::IntegerRange)),
            1 => Ok(()),
            2 => self.take(head.argument, offset).map(|_| ()),
            3 => {
                let text = self.take(head.argument, offset)?;
                if is_text(text) { Ok(()) } else { Err(faulty(Fault::InvalidUtf8)) }
            }
            4 => {
                self.room_for(head.argument, 1, offset)?;
                let inner = deeper(depth, offset)?;
                for _ in 0..head.argument {
                    self.item(inner)?;
                }
                Ok(())
            }
            5 => {
                self.room_for(head.argument, 2, offset)?;
                let inner = deeper(depth, offset)?;
                self.pairs(head.argument, inner)
            }
            6 => Err(faulty(Fault::Tag)),
            _ => simple_or_float(head).map_err(faulty),
        }
    }

    fn pairs(&mut self, count: u64, depth: usize) -> Result<(), Faulty> {
        let mut previous: Option<&[u8]> = None;
        for _ in 0..count {
            let offset = self.at;
            let faulty = |fault| Faulty { fault, offset };
            // The head of the key is judged as any head is, before its type.
            let head = self.head()?;
            if head.major != 3 {
                return Err(faulty(Fault::KeyNotText));
            }
            let text = self.take(head.argument, offset)?;
            if !is_text(text) {
                return Err(faulty(Fault::InvalidUtf8));
            }
            let key = self.bytes.get(offset..self.at).unwrap_or_default();
            if let Some(previous) = previous {
                match previous.cmp(key) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => return Err(faulty(Fault::DuplicateKey)),
                    std::cmp::Ordering::Greater => return Err(faulty(Fault::UnsortedKeys)),
                }
            }
            previous = Some(key);
            self.item(depth)?;
        }
        Ok(())
    }

    fn head(&mut self) -> Result<Head, Faulty> {
        let (head, length) = read_head(self.bytes.get(self.at..).unwrap_or_default())
            .map_err(|fault| Faulty { fault, offset: self.at })?;
        self.at += length;
        Ok(head)
    }

    fn take(&mut self, length: u64, offset: usize) -> Result<&'a [u8], Faulty> {
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| self.at.checked_add(length))
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or(Faulty { fault: Fault::Truncated, offset })?;
        self.at += taken.len();
        Ok(taken)
    }

    /// A declared count that cannot fit is refused at its head, so that no count makes us loop or allocate.
    fn room_for(&self, count: u64, bytes_each: u64, offset: usize) -> Result<(), Faulty> {
        let left = (self.bytes.len() - self.at) as u64;
        match count.checked_mul(bytes_each) {
            Some(least) if least <= left => Ok(()),
            _ => Err(Faulty { fault: Fault::Truncated, offset }),
        }
    }
}

/// Nearly all text is short and ASCII, which is told faster.
fn is_text(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

fn deeper(depth: usize, offset: usize) -> Result<usize, Faulty> {
    if depth >= DEPTH_MAX { Err(Faulty { fault: Fault::TooDeep, offset }) } else { Ok(depth + 1) }
}

/// Reads one head in shortest form. For floats (major 7, info 25 to 27) `argument` holds the bits.
pub(super) fn read_head(bytes: &[u8]) -> Result<(Head, usize), Fault> {
    let (&initial, rest) = bytes.split_first().ok_or(Fault::Truncated)?;
    let (major, info) = (initial >> 5, initial & 0x1f);
    let (argument, length) = match info {
        0..=23 => (u64::from(info), 1),
        24 => (u64::from(u8::from_be_bytes(fixed(rest)?)), 2),
        25 => (u64::from(u16::from_be_bytes(fixed(rest)?)), 3),
        26 => (u64::from(u32::from_be_bytes(fixed(rest)?)), 5),
        27 => (u64::from_be_bytes(fixed(rest)?), 9),
        28..=30 => return Err(Fault::Reserved),
        _ => return Err(Fault::IndefiniteLength),
    };
    let shortest = match info {
        24 => argument >= 24,
        25 => argument > u64::from(u8::MAX),
        26 => argument > u64::from(u16::MAX),
        27 => argument > u64::from(u32::MAX),
        _ => true,
    };
    if major != 7 && !shortest {
        return Err(Fault::NotShortest);
    }
    Ok((Head { major, info, argument }, length))
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes.first_chunk().copied().ok_or(Fault::Truncated)
}

fn simple_or_float(head: Head) -> Result<(), Fault> {
    let value = match head.info {
        20..=22 => return Ok(()),
        25..=27 => float_of(head),
        _ => return Err(Fault::Simple),
    };
    if !value.is_finite() {
        return Err(Fault::NonFiniteFloat);
    }
    if is_integer_in_range(value) {
        return Err(Fault::ReducibleFloat);
    }
    if float_head(value).info != head.info {
        return Err(Fault::NotShortest);
    }
    Ok(())
}

/// The value of a float head of any width.
pub(super) fn float_of(head: Head) -> f64 {
    // The bits of a 16- or 32-bit float fill the low bytes of the argument.
    let bytes = head.argument.to_be_bytes();
    match head.info {
        25 => half_to_double(u16::from_be_bytes([bytes[6], bytes[7]])),
        26 => f64::from(f32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])),
        _ => f64::from_bits(head.argument),
    }
}

/// Whether an integer of the allowed range has this value; −0.0 counts, since 0 will do.
pub(super) fn is_integer_in_range(value: f64) -> bool {
    const LOWEST: f64 = -9_223_372_036_854_775_808.0; // −2^63
    const ABOVE: f64 = 18_446_744_073_709_551_616.0; // 2^64
    value.trunc() == value && (LOWEST..ABOVE).contains(&value)
}

/// The shortest head that holds `value` exactly.
pub(super) fn float_head(value: f64) -> Head {
    let half = candidate_half(value).filter(|half| half_to_double(*half).to_bits() == value.to_bits());
    if let Some(half) = half {
        return Head { major: 7, info: 25, argument: u64::from(half) };
    }
    #[expect(clippy::cast_possible_truncation, reason = "the result is compared with the value before it is used")]
    let single = value as f32;
    if f64::from(single).to_bits() == value.to_bits() {
        return Head { major: 7, info: 26, argument: u64::from(single.to_bits()) };
    }
    Head { major: 7, info: 27, argument: value.to_bits() }
}

/// The one half-precision pattern that could equal `value`, if any: found by arithmetic on the bits and compared by the caller.
fn candidate_half(value: f64) -> Option<u16> {
    let bits = value.to_bits();
    let sign = u16::from(value.is_sign_negative()) << 15;
    let exponent = i32::try_from((bits >> 52) & 0x7ff).ok()? - 1023;
    let mantissa = bits & ((1 << 52) - 1);
    let magnitude = match exponent {
        -14..=15 => {
            let exponent = u16::try_from(exponent + 15).ok()?;
            (exponent << 10) | u16::try_from(mantissa >> 42).ok()?
        }
        -24..=-15 => {
            let significand = mantissa | (1 << 52);
            u16::try_from(significand >> (42 + (-14 - exponent))).ok()?
        }
        _ => return None,
    };
    Some(sign | magnitude)
}

fn half_to_double(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let mantissa = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 => f64::NAN, // or an infinity: none of them is written
        _ => (1024.0 + mantissa) * 2f64.powi(exponent - 25),
    };
    sign * magnitude
}
