use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// As [`base64`], at the end of a text.
pub(crate) fn push_base64(text: &mut String, bytes: &[u8]) {
    STANDARD.encode_string(bytes, text);
}

/// The inverse of [`base64`]: a text that it would not have written is refused.
///
/// Two texts for the same bytes would let a note or a key have two forms, and comparisons of text lie. This engine takes neither bits
/// after the last byte nor missing or needless padding, so there is no second text.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// As [`from_base64`], of 32 bytes.
pub(crate) fn from_base64_of_32(text: &str) -> Option<[u8; 32]> {
    // Room for what the longest text of this length may hold; of a longer one nothing is decoded.
    let mut bytes = [0; 33];
    let written = (text.len() == 44).then(|| STANDARD.decode_slice(text, &mut bytes).ok()).flatten()?;
    (written == 32).then(|| bytes.first_chunk().copied()).flatten()
}

/// A decimal number as it is written: digits only, no leading zero, within 64 bits.
pub(crate) fn from_decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    (digits && canonical).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::alphabet;
    use proptest::prelude::*;

    #[test]
    fn of_all_short_texts_only_the_canonical_are_read() {
        let signs: Vec<char> = alphabet::STANDARD.as_str().chars().chain("=\n -_".chars()).collect();
        let mut read = 0;
        for (a, b) in signs.iter().flat_map(|a| signs.iter().map(move |b| (*a, *b))) {
            for rest in ["", "=", "==", "===", "A", "A=", "A==", "B=", "E=", "A=A", "AA", "AAAA"] {
                let text = format!("{a}{b}{rest}");
                if let Some(bytes) = from_base64(&text) {
                    assert_eq!(base64(&bytes), text);
                    read += 1;
                }
            }
        }
        // Any first two with `A=`, `E=` and `AA`, and those whose second ends in four zeros with `==`.
        assert_eq!(read, 64 * 64 * 3 + 64 * 4);
    }

    #[test]
    fn only_canonical_decimals_are_read() {
        assert_eq!(from_decimal("0"), Some(0));
        assert_eq!(from_decimal("18446744073709551615"), Some(u64::MAX));
        for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "0x1", "18446744073709551616", "١"] {
            assert_eq!(from_decimal(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn base64_has_one_text_for_bytes(bytes: Vec<u8>, text in "[A-Za-z0-9+/=]{0,12}") {
            prop_assert_eq!(from_base64(&base64(&bytes)), Some(bytes));
            if let Some(read) = from_base64(&text) {
                prop_assert_eq!(base64(&read), text);
            }
        }

        #[test]
        fn decimals_round_trip(number: u64) {
            prop_assert_eq!(from_decimal(&number.to_string()), Some(number));
        }
    }
}
