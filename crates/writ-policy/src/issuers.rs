//! `issuers.json`: whose tokens say who asks, and by which keys. A part of who is who, so it is governed as the rest of the set is.

use crate::error::{PolicyError, Problem};
use crate::json;
use crate::jwks::{IssuerKey, TokenAlgorithm, read_pinned};
use crate::snapshot::{ISSUERS, Snapshot};
use core::net::IpAddr;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How many issuers a set may have.
const ISSUERS_MAX: usize = 64;
/// The longest name of an issuer, an audience or a place, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// Somebody whose tokens say who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What its tokens call it, exactly (`iss`).
    pub name: String,
    /// For whom a token must be (`aud`): us.
    pub audience: String,
    /// By which algorithms its tokens may be signed; a key is for one of them.
    pub algorithms: BTreeSet<TokenAlgorithm>,
    /// Its keys.
    pub keys: IssuerKeys,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKeys {
    /// In the set: they change as the set does.
    Pinned(Vec<IssuerKey>),
    /// Published by the issuer at this address, and replaced by it when it likes.
    At(String),
}

/// Reads `issuers.json`, if it is there.
pub(crate) fn compile(snapshot: &Snapshot) -> Result<BTreeMap<String, Issuer>, Vec<PolicyError>> {
    let Some(bytes) = snapshot.file(ISSUERS) else { return Ok(BTreeMap::new()) };
    let finding = |problem| PolicyError::file(ISSUERS, problem);
    let value = json::read(ISSUERS, bytes).map_err(|error| vec![error])?;
    let form = |item, expected: String| finding(Problem::IssuerForm { item, expected });
    let Value::Array(items) = value else { return Err(vec![form(1, "an array of issuers".to_owned())]) };
    if items.len() > ISSUERS_MAX {
        return Err(vec![form(ISSUERS_MAX + 1, format!("at most {ISSUERS_MAX} issuers"))]);
    }
    let (mut issuers, mut findings) = (BTreeMap::new(), Vec::new());
    for (at, item) in items.iter().enumerate() {
        match read_issuer(item) {
            Ok(issuer) if issuers.contains_key(&issuer.name) => {
                findings.push(form(at + 1, format!("each issuer once, and {} stands before", issuer.name)));
            }
            Ok(issuer) => {
                issuers.insert(issuer.name.clone(), issuer);
            }
            Err(expected) => findings.push(form(at + 1, expected)),
        }
    }
    if findings.is_empty() { Ok(issuers) } else { Err(findings) }
}

fn read_issuer(item: &Value) -> Result<Issuer, String> {
    const FIELDS: [&str; 5] = ["issuer", "audience", "algorithms", "jwks", "keys"];
    let item = item.as_object().ok_or("an object")?;
    if item.keys().any(|key| !FIELDS.contains(&key.as_str())) {
        return Err("no other fields than `issuer`, `audience`, `algorithms`, and `jwks` or `keys`".to_owned());
    }
    let name = text(item, "issuer")?;
    if !is_place(&name) {
        return Err("an `issuer` that begins with https://, or with http:// and a loopback address".to_owned());
    }
    let keys = match (item.get("jwks"), item.get("keys")) {
        (Some(_), None) => {
            let place = text(item, "jwks")?;
            if !is_place(&place) {
                return Err("a `jwks` that begins with https://, or with http:// and a loopback address".to_owned());
            }
            IssuerKeys::At(place)
        }
        (None, Some(keys)) => {
            let keys = keys.as_array().ok_or("`keys` as an array of JSON Web Keys")?;
            IssuerKeys::Pinned(read_pinned(keys).map_err(|why| format!("`keys` that are of use: {why}"))?)
        }
        (Some(_), Some(_)) | (None, None) => return Err("either `jwks`, an address, or `keys`".to_owned()),
    };
    let algorithms = algorithms(item)?;
    if let IssuerKeys::Pinned(pinned) = &keys
        && let Some(other) = pinned.iter().find(|key| !algorithms.contains(&key.algorithm))
    {
        return Err(format!("`keys` for the `algorithms` alone, and one is for {}", other.algorithm));
    }
    Ok(Issuer { name, audience: text(item, "audience")?, algorithms, keys })
}

fn algorithms(item: &Map<String, Value>) -> Result<BTreeSet<TokenAlgorithm>, String> {
    let expected = || {
        let known = TokenAlgorithm::ALL.map(TokenAlgorithm::as_str).join(", ");
        format!("`algorithms`, at least one of {known}")
    };
    let named =
        item.get("algorithms").and_then(Value::as_array).filter(|named| !named.is_empty()).ok_or_else(expected)?;
    named.iter().map(|name| name.as_str().and_then(TokenAlgorithm::parse).ok_or_else(expected)).collect()
}

fn text(item: &Map<String, Value>, field: &str) -> Result<String, String> {
    let text = item.get(field).and_then(Value::as_str).unwrap_or_default();
    if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("`{field}` as text of 1 to {NAME_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}

/// Whether somebody may be asked or told there: over TLS, or in clear on this machine. What comes in clear comes from whoever is on the way, unless it
/// never leaves the machine.
pub fn is_place(text: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#')
    };
    if !text.bytes().all(plain) {
        return false;
    }
    let host_of = |rest: &str| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default().to_owned();
        Some(authority).filter(|authority| !authority.is_empty() && !authority.contains('@'))
    };
    if let Some(rest) = text.strip_prefix("https://") {
        return host_of(rest).is_some();
    }
    let Some(authority) = text.strip_prefix("http://").and_then(host_of) else { return false };
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_never_leave_the_machine() {
        for place in
            ["https://id.example", "https://id.example:8443/keys?v=1", "http://127.0.0.1:9/keys", "http://[::1]:9/keys"]
        {
            assert!(is_place(place), "{place}");
        }
        for place in [
            "",
            "id.example",
            "http://id.example/keys",
            "http://localhost/keys",
            "http://127.0.0.1@id.example/keys",
            "http://127.0.0.1.id.example/keys",
            "https://",
            "https:///keys",
            "https://user@id.example/",
            "https://id.example/ keys",
            "https://id.example/#keys",
            "file:///keys",
        ] {
            assert!(!is_place(place), "{place}");
        }
    }
}
