//! SPIFFE ids: names of workloads, as certificates carry them. One name has one spelling, so that comparing bytes compares names.

use std::fmt;

/// The longest id, in bytes; the specification lets nobody send longer ones.
const BYTES_MAX: usize = 2048;
/// The longest trust domain, in bytes.
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// The name of a workload: `spiffe://trust-domain/path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpiffeId {
    text: String,
    trust_domain_end: usize,
}

impl SpiffeId {
    const SCHEME: &'static str = "spiffe://";

    /// Reads the id of a workload, or says what was expected. A trust domain by itself names none.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > BYTES_MAX {
            return Err("a SPIFFE id of at most 2048 bytes");
        }
        let rest = text.strip_prefix(Self::SCHEME).ok_or("a SPIFFE id that begins with spiffe://")?;
        let (domain, path) = rest.split_once('/').ok_or("a SPIFFE id with a path, which names the workload")?;
        if !is_trust_domain(domain) {
            return Err("a trust domain of a-z 0-9 . _ -, 255 bytes at most");
        }
        let is_segment = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
        };
        if !path.split('/').all(is_segment) {
            return Err("a path of segments of A-Z a-z 0-9 . _ -, none of them empty, `.` or `..`");
        }
        Ok(Self { text: text.to_owned(), trust_domain_end: Self::SCHEME.len() + domain.len() })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whose word it is.
    pub fn trust_domain(&self) -> &str {
        self.text.get(Self::SCHEME.len()..self.trust_domain_end).unwrap_or_default()
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether this can be the name of a trust domain.
pub fn is_trust_domain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= TRUST_DOMAIN_BYTES_MAX && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = SpiffeId::parse("spiffe://acme.example/build/runner-1.A_b").unwrap();
        assert_eq!((id.trust_domain(), id.as_str()), ("acme.example", "spiffe://acme.example/build/runner-1.A_b"));
        let long = format!("spiffe://acme.example/{}", "a".repeat(BYTES_MAX));
        let long_domain = format!("spiffe://{}/a", "a".repeat(TRUST_DOMAIN_BYTES_MAX + 1));
        for text in [
            "",
            "spiffe://",
            "spiffe://acme.example",
            "spiffe://acme.example/",
            "spiffe://acme.example/a/",
            "spiffe://acme.example//a",
            "spiffe://acme.example/a/../b",
            "spiffe://acme.example/./a",
            "spiffe://acme.example/a%62",
            "spiffe://acme.example/a?b",
            "spiffe://acme.example/a#b",
            "spiffe://Acme.example/a",
            "spiffe://acme.example:1/a",
            "spiffe://user@acme.example/a",
            "SPIFFE://acme.example/a",
            "https://acme.example/a",
            "spiffe:///a",
            "spiffe://acme.example/ä",
            &long,
            &long_domain,
        ] {
            assert!(SpiffeId::parse(text).is_err(), "{text:?}");
        }
    }
}
