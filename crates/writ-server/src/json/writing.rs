use serde_json::Value;

/// So many bytes of a text are looked at together: most have nothing to escape, and proofs are long.
const TOGETHER_BYTES: usize = 32;

/// Writes a JSON value as `serde_json` does, which looks at each byte of a text by itself.
pub(crate) fn write_json(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_json(item, out);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            out.push(b'{');
            for (at, (name, value)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(name, out);
                out.push(b':');
                write_json(value, out);
            }
            out.push(b'}');
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((plain, byte, more)) = until_escaped(rest) {
        out.extend_from_slice(plain);
        write_escaped(byte, out);
        rest = more;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// What stands before the first byte that must be escaped, that byte, and what follows; nothing, if there is none.
fn until_escaped(bytes: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let (together, _) = bytes.as_chunks::<TOGETHER_BYTES>();
    // Without leaving early, so that the compiler looks at all of them at once.
    let has_any = |chunk: &[u8; TOGETHER_BYTES]| chunk.iter().fold(false, |found, byte| found | is_escaped(*byte));
    let plain = together.iter().take_while(|chunk| !has_any(chunk)).count() * TOGETHER_BYTES;
    let at = plain + bytes.get(plain..)?.iter().position(|byte| is_escaped(*byte))?;
    let (before, from) = bytes.split_at_checked(at)?;
    let (byte, after) = from.split_first()?;
    Some((before, *byte, after))
}

const fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn write_escaped(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_written_as_everybody_writes_it() {
        let every_byte = (0..=0x24f).filter_map(char::from_u32).collect::<String>();
        let mut values = vec![
            json!(null),
            json!([true, false, 0, u64::MAX, i64::MIN, 0.5, [], {}, [[1], {"a": {}}]]),
            json!({ "": "", "a\"\n": 1, "writ": "c2sp.org/tlog-proof@v1\nextra AAAA\n— name 𝄞\n", "é": every_byte }),
        ];
        // What must be escaped, at every place of what is looked at together.
        for length in 0..=2 * TOGETHER_BYTES + 1 {
            values.push(json!("a".repeat(length)));
            for at in 0..length {
                values.push(json!(format!("{}\n{}", "é".repeat(at), "\u{1}\"\\".repeat(length - at))));
            }
        }
        for value in values {
            let mut out = Vec::new();
            write_json(&value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
