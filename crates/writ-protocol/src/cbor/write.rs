use super::check::float_head;

/// What has exactly one deterministic encoding.
pub trait Encode {
    /// Appends the encoding.
    fn encode(&self, writer: &mut Writer);

    /// The encoding alone.
    fn to_cbor(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.encode(&mut writer);
        writer.into_bytes()
    }
}

/// What nearly everything that is written fits into.
const ROOM_BYTES: usize = 1024;

/// Writes shortest heads; the caller keeps map keys in order (the `record!` macro and [`super::Value`] do).
pub struct Writer {
    bytes: Vec<u8>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { bytes: Vec::with_capacity(ROOM_BYTES) }
    }
}

impl Writer {
    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// An unsigned integer.
    pub fn uint(&mut self, value: u64) {
        self.head(0, value);
    }

    /// A signed integer.
    pub fn int(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(0, value),
            Err(_) => self.head(1, (-1 - value).cast_unsigned()),
        }
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        self.head(2, value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// A text string.
    pub fn text(&mut self, value: &str) {
        self.head(3, value.len() as u64);
        self.bytes.extend_from_slice(value.as_bytes());
    }

    /// The head of an array; `length` items must follow.
    pub fn array(&mut self, length: usize) {
        self.head(4, length as u64);
    }

    /// The head of a map; `length` pairs must follow, keys in order.
    pub fn map(&mut self, length: usize) {
        self.head(5, length as u64);
    }

    /// One pair of a map.
    pub fn field(&mut self, key: &str, value: &(impl Encode + ?Sized)) {
        self.text(key);
        value.encode(self);
    }

    /// `false` or `true`.
    pub fn bool(&mut self, value: bool) {
        self.head(7, if value { 21 } else { 20 });
    }

    /// `null`.
    pub fn null(&mut self) {
        self.head(7, 22);
    }

    /// A finite float that no integer equals, in as few bytes as hold it.
    pub(super) fn float(&mut self, value: f64) {
        let head = float_head(value);
        self.bytes.push(0xe0 | head.info);
        let width = 1usize << (head.info - 24);
        let be = head.argument.to_be_bytes();
        self.bytes.extend_from_slice(be.get(8 - width..).unwrap_or_default());
    }

    fn head(&mut self, major: u8, argument: u64) {
        let major = major << 5;
        let be = argument.to_be_bytes();
        let (info, width) = match argument {
            0..=23 => {
                self.bytes.push(major | be[7]);
                return;
            }
            24..=0xff => (24, 1),
            0x100..=0xffff => (25, 2),
            0x1_0000..=0xffff_ffff => (26, 4),
            _ => (27, 8),
        };
        self.bytes.push(major | info);
        self.bytes.extend_from_slice(be.get(8 - width..).unwrap_or_default());
    }
}

impl Encode for u64 {
    fn encode(&self, writer: &mut Writer) {
        writer.uint(*self);
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(self);
    }
}

impl Encode for str {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self);
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, writer: &mut Writer) {
        self.as_slice().encode(writer);
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, writer: &mut Writer) {
        writer.array(self.len());
        for item in self {
            item.encode(writer);
        }
    }
}
