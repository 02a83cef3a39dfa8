use super::Json;
use std::collections::BTreeMap;
use writ_protocol::Refusal;

/// Arrays and objects within each other.
const DEPTH_MAX: u32 = 32;
/// Values in all. Without it, eight megabytes of `[[],[],…]` would fill many times that much memory.
const VALUES_MAX: u32 = 16_384;
/// Digits and sign of the longest number that fits.
const NUMBER_BYTES_MAX: usize = 20;
/// Characters of the longest other number.
const FRACTION_BYTES_MAX: usize = 64;

/// Reads the one JSON value that these bytes are.
///
/// Refuses what readers disagree on: names given twice, text that is not UTF-8, halves of surrogate pairs, numbers with a fraction
/// or beyond 64 bits, anything after the value; and what is made to exhaust a reader.
pub fn strict_json(bytes: &[u8]) -> Result<Json, Refusal> {
    read(bytes, Numbers::Whole)
}

/// As [`strict_json`], and with numbers of any kind: for protocols of others, whose values are passed on and not computed with.
pub fn open_json(bytes: &[u8]) -> Result<Json, Refusal> {
    read(bytes, Numbers::Any)
}

/// Which numbers there may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Whole,
    Any,
}

fn read(bytes: &[u8], numbers: Numbers) -> Result<Json, Refusal> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let place = Place::of(bytes, error.valid_up_to());
            return Err(Refusal::malformed(format!("expected UTF-8, found other bytes at {place}")));
        }
    };
    let mut cursor = Cursor { text, at: 0, depth: 0, values: 0, numbers };
    cursor.skip_space();
    let value = cursor.value()?;
    cursor.skip_space();
    match cursor.peek() {
        None => Ok(value),
        Some(_) => Err(cursor.fault("the end after one JSON value")),
    }
}

/// Whether it is a number as JSON writes them, of a length that nobody needs more of.
fn is_number(written: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match written.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (written, None),
    };
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    written.len() <= FRACTION_BYTES_MAX
        && digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

/// Line and column, both from 1; the column counts characters.
struct Place {
    line: usize,
    column: usize,
}

impl Place {
    fn of(bytes: &[u8], at: usize) -> Self {
        let before = bytes.get(..at).unwrap_or(bytes);
        let line = before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline.saturating_add(1));
        // Bytes that continue a character have the form 10xxxxxx.
        let characters = before.iter().skip(start).filter(|byte| **byte & 0xc0 != 0x80).count();
        Self { line, column: characters.saturating_add(1) }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    values: u32,
    numbers: Numbers,
}

impl Cursor<'_> {
    fn value(&mut self) -> Result<Json, Refusal> {
        self.values = self.values.saturating_add(1);
        if self.values > VALUES_MAX {
            return Err(self.fault(&format!("at most {VALUES_MAX} values")));
        }
        match self.peek() {
            Some(b'{') => self.within(Self::object),
            Some(b'[') => self.within(Self::array),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Boolean(true)),
            Some(b'f') => self.word("false", Json::Boolean(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) | None => Err(self.fault("a JSON value")),
        }
    }

    fn within(&mut self, read: fn(&mut Self) -> Result<Json, Refusal>) -> Result<Json, Refusal> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEPTH_MAX {
            return Err(self.fault(&format!("at most {DEPTH_MAX} arrays and objects within each other")));
        }
        self.skip(1);
        self.skip_space();
        let value = read(self)?;
        self.depth = self.depth.saturating_sub(1);
        Ok(value)
    }

    fn object(&mut self) -> Result<Json, Refusal> {
        let mut fields = BTreeMap::new();
        if self.take(b'}') {
            return Ok(Json::Object(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault("a name in double quotes"));
            }
            let start = self.at;
            let name = self.string()?;
            if fields.contains_key(&name) {
                self.at = start;
                return Err(self.fault("each name once"));
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(self.fault("a colon after a name"));
            }
            self.skip_space();
            let value = self.value()?;
            fields.insert(name, value);
            self.skip_space();
            if self.take(b'}') {
                return Ok(Json::Object(fields));
            }
            if !self.take(b',') {
                return Err(self.fault("a comma or the end of the object"));
            }
            self.skip_space();
        }
    }

    fn array(&mut self) -> Result<Json, Refusal> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err(self.fault("a comma or the end of the array"));
            }
            self.skip_space();
        }
    }

    fn string(&mut self) -> Result<String, Refusal> {
        self.skip(1);
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.skip(plain);
            match self.peek() {
                Some(b'"') => {
                    self.skip(1);
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.fault("control characters escaped")),
                None => return Err(self.fault("the closing quote of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Refusal> {
        self.skip(1);
        let escaped = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            Some(_) | None => return Err(self.fault("an escape that JSON knows")),
        };
        self.skip(1);
        Ok(escaped)
    }

    fn unicode(&mut self) -> Result<char, Refusal> {
        let first = self.four_digits()?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        let paired = (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u");
        if paired {
            self.skip(1);
            let second = self.four_digits()?;
            if (0xdc00..0xe000).contains(&second) {
                let point = (((first & 0x3ff) << 10) | (second & 0x3ff)).saturating_add(0x1_0000);
                if let Some(character) = char::from_u32(point) {
                    return Ok(character);
                }
            }
        }
        Err(self.fault("a whole surrogate pair"))
    }

    /// Stands on the `u`, and goes behind the digits.
    fn four_digits(&mut self) -> Result<u32, Refusal> {
        self.skip(1);
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(unit) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return Err(self.fault("four hexadecimal digits"));
        };
        self.skip(4);
        Ok(unit)
    }

    fn number(&mut self) -> Result<Json, Refusal> {
        let rest = self.rest();
        let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let written = rest.get(..length).unwrap_or_default();
        let fits = |number: &i128| i128::from(i64::MIN) <= *number && *number <= i128::from(u64::MAX);
        let number = Some(written).filter(|written| written.len() <= NUMBER_BYTES_MAX);
        // Written again it must be the same: no leading zero, no minus zero.
        let number = number.and_then(|written| written.parse::<i128>().ok()).filter(fits);
        match number.filter(|number| number.to_string() == written) {
            Some(number) => {
                self.skip(length);
                Ok(Json::Whole(number))
            }
            None if self.numbers == Numbers::Any => self.fraction(length),
            None => Err(self.fault("a whole number of at most 64 bits")),
        }
    }

    /// A number that is not whole, or written as if it were not: what is whole after all is read as that.
    fn fraction(&mut self, length: usize) -> Result<Json, Refusal> {
        let written = self.rest().get(..length).unwrap_or_default();
        let number = Some(written).filter(|written| is_number(written)).and_then(|written| written.parse::<f64>().ok());
        let Some(number) = number.filter(|number| number.is_finite()) else {
            return Err(self.fault("a number"));
        };
        // Only what a double holds exactly can be told to be whole.
        let whole = format!("{number:.0}").parse::<i128>().ok().filter(|whole| whole.unsigned_abs() < 1 << 53);
        let value = match whole.filter(|_| number.fract() == 0.0) {
            Some(whole) => Json::Whole(whole),
            None => Json::Fraction(written.to_owned()),
        };
        self.skip(length);
        Ok(value)
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, Refusal> {
        if !self.rest().starts_with(word) {
            return Err(self.fault("a JSON value"));
        }
        self.skip(word.len());
        Ok(value)
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.skip(1);
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.skip(1);
        }
        found
    }

    fn fault(&self, expected: &str) -> Refusal {
        let place = Place::of(self.text.as_bytes(), self.at);
        let found = match self.rest().chars().next() {
            Some(character) => format!("{character:?}"),
            None => "the end".to_owned(),
        };
        Refusal::malformed(format!("expected {expected}, found {found} at {place}"))
    }
}
