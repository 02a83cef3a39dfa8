//! Bytes as text, so that policies can compare what need not be UTF-8. Different bytes always give different text.

/// Bytes as text: `\` becomes `\\`; control characters and bytes that are not UTF-8 become `\xNN`, each byte for itself; all else stays.
///
/// Injective: read `\\` as `\`, `\xNN` as that byte and everything else as itself, and the bytes are back.
pub fn text_of_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() => hex_bytes(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => text.push(c),
            }
        }
        hex_bytes(&mut text, chunk.invalid());
    }
    text
}

/// Arguments as one line: each as text, quoted where it has other characters than `A-Z a-z 0-9 _ @ % + = : , . / -`, joined by single spaces.
///
/// Injective: quotes begin and end an argument's odd parts as a shell reads them, so the line splits in one way only.
pub fn command_text<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> String {
    let words: Vec<String> = arguments.into_iter().map(|argument| quoted(text_of_bytes(argument))).collect();
    words.join(" ")
}

fn quoted(text: String) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn hex_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push_str("\\x");
        text.push_str(&hex(&[*byte]));
    }
}

/// Bytes in hexadecimal, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Bytes from hexadecimal in lower case.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
