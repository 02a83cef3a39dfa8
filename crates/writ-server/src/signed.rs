//! Requests that come as HTTP messages signed by RFC 9421: from the headers to what is kept and verified.

use crate::exchange::Exchange;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use writ_protocol::Refusal;
use writ_protocol::statement::{REQUEST_CONTENT_TYPE, SignedMessage, content_digest};

const SIGNATURE_INPUT: &str = "signature-input";
const SIGNATURE: &str = "signature";
const CONTENT_DIGEST: &str = "content-digest";

impl Exchange {
    /// Whether the body is the request itself, and not JSON around it.
    pub(crate) fn is_request(&self) -> bool {
        self.headers.get(CONTENT_TYPE).is_some_and(|value| value == REQUEST_CONTENT_TYPE)
    }

    /// The parts of the message that its signature covers, if it has one.
    pub(crate) fn signed_message(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let input = only(&self.headers, SIGNATURE_INPUT)?;
        let (Some(input), Some(signature)) = (input, only(&self.headers, SIGNATURE)?) else {
            return match input {
                None if !self.headers.contains_key(SIGNATURE) => Ok(None),
                _ => Err(Refusal::malformed("expected `Signature-Input` and `Signature` together")),
            };
        };
        if only(&self.headers, CONTENT_TYPE.as_str())? != Some(REQUEST_CONTENT_TYPE) {
            let why = format_args!("expected the request itself, as {REQUEST_CONTENT_TYPE}, in a signed message");
            return Err(Refusal::malformed(why));
        }
        if self.query.is_some() {
            return Err(Refusal::malformed(
                "expected no query in a signed message, whose signature would not cover it",
            ));
        }
        if only(&self.headers, CONTENT_DIGEST)? != Some(content_digest(&self.body).as_str()) {
            return Err(Refusal::malformed("expected the `Content-Digest` of the body, as `sha-256=:BASE64:`"));
        }
        let (input, signature) = one_signature(input, signature).ok_or_else(|| {
            Refusal::malformed("expected one signature, under the same label in `Signature-Input` and `Signature`")
        })?;
        Ok(Some(SignedMessage::keep(&self.path, input, &signature, &self.body)))
    }
}

/// A header that may be there once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    let mut found = headers.get_all(name).iter();
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text =
                value.to_str().map_err(|_| Refusal::malformed(format_args!("expected plain text in `{name}`")))?;
            Ok(Some(text.trim_matches([' ', '\t'])))
        }
        (Some(_), Some(_)) => Err(Refusal::malformed(format_args!("expected one `{name}`, found several"))),
    }
}

/// What stands under the one label, in both headers: the input, and the bytes of the signature.
fn one_signature<'h>(input: &'h str, signature: &str) -> Option<(&'h str, Vec<u8>)> {
    let ((label, input), (same, encoded)) = (input.split_once('=')?, signature.split_once('=')?);
    let is_label = !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte));
    if !is_label || label != same {
        return None;
    }
    let bytes = STANDARD.decode(encoded.strip_prefix(':')?.strip_suffix(':')?).ok()?;
    Some((input, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_stands_under_one_label() {
        let input = "sig=(\"@path\");created=1";
        assert_eq!(one_signature(input, "sig=:AAEC:"), Some(("(\"@path\");created=1", vec![0, 1, 2])));
        for (input, signature) in [
            (input, "other=:AAEC:"),
            (input, "sig=AAEC"),
            (input, "sig=:AAEC"),
            (input, "sig=:AAE:"),
            (input, "sig=:AAEC:, more=:AAEC:"),
            ("=()", "=:AAEC:"),
            ("Sig=()", "Sig=:AAEC:"),
            ("sig", "sig"),
        ] {
            assert_eq!(one_signature(input, signature), None, "{input} {signature}");
        }
    }
}
