//! Who is known by tokens and certificates, and what of it is refused.

use super::fixture::*;
use crate::{IssuerKeys, Problem, SpiffeId, TokenAlgorithm, read_jwks};

const ISSUERS: &str = r#"[
    {"issuer": "https://id.example", "audience": "writ:acme", "algorithms": ["ES256"], "jwks": "https://id.example/keys"}
]"#;
const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

fn ec(more: &str) -> String {
    format!(r#"{{"kty": "EC", "crv": "P-256", "x": "{EC_X}", "y": "{EC_Y}"{more}}}"#)
}

#[test]
fn a_principal_is_known_by_subjects_and_by_spiffe_ids() {
    let principals = r#"[{"principal": "Agent::builder",
        "oidc": [{"issuer": "https://id.example", "subject": "repo:acme/site"}, {"issuer": "https://id.example", "subject": "2"}],
        "spiffe": ["spiffe://acme.example/builder"]}]"#;
    let set = compile(&[("issuers.json", ISSUERS), ("principals.json", principals)]).unwrap();
    let (known, builder) = (set.principals(), principal("Agent", "builder"));
    assert_eq!(known.by_subject("https://id.example", "repo:acme/site"), Some(&builder));
    assert_eq!(known.by_subject("https://id.example", "repo:acme/sit"), None);
    assert_eq!(known.by_subject("https://id.example/", "2"), None);
    let id = SpiffeId::parse("spiffe://acme.example/builder").unwrap();
    assert_eq!(known.by_spiffe(&id), Some(&builder));
    assert_eq!((known.subjects_of(&builder).count(), known.spiffe_ids_of(&builder).count()), (2, 1));
    let issuer = known.issuer("https://id.example").unwrap();
    assert_eq!(issuer.keys, IssuerKeys::At("https://id.example/keys".to_owned()));
    // Who vouches for whom is part of who is who: another audience is another set of principals.
    let other = ISSUERS.replace("writ:acme", "writ:other");
    let other = compile(&[("issuers.json", &other), ("principals.json", principals)]).unwrap();
    assert!(!other.has_entities_of(&set) && set.has_entities_of(&set));
}

#[test]
fn identities_of_two_or_of_nobody_are_refused() {
    let found = |text: &str| problems(&[("issuers.json", ISSUERS), ("principals.json", text)]);
    let one = |fields: &str| found(&format!(r#"[{{"principal": "Agent::builder", {fields}}}]"#));
    let subject = r#""oidc": [{"issuer": "https://id.example", "subject": "1"}]"#;
    let spiffe = r#""spiffe": ["spiffe://acme.example/a"]"#;
    for shared in [subject, spiffe] {
        let two = format!(r#"[{{"principal": "Agent::builder", {shared}}}, {{"principal": "User::ada", {shared}}}]"#);
        assert!(matches!(found(&two)[..], [Problem::IdentityShared { .. }]), "{:?}", found(&two));
    }
    let elsewhere = r#""oidc": [{"issuer": "https://id.example/", "subject": "1"}]"#;
    assert!(matches!(one(elsewhere)[..], [Problem::IssuerMissing { .. }]));
    for fields in
        [r#""oidc": [{"issuer": "https://id.example", "subject": ""}]"#, r#""spiffe": ["spiffe://acme.example"]"#]
    {
        assert!(matches!(one(fields)[..], [Problem::IdentityForm { .. }]), "{fields}: {:?}", one(fields));
    }
    for fields in [
        r#""oidc": [{"issuer": "https://id.example"}]"#,
        r#""oidc": [{"issuer": "https://id.example", "subject": 1}]"#,
        r#""oidc": [{"issuer": "https://id.example", "subject": "1", "email": "x"}]"#,
        r#""oidc": ["1"]"#,
        r#""spiffe": [1]"#,
        r#""spiffe": "spiffe://acme.example/a""#,
    ] {
        assert!(matches!(one(fields)[..], [Problem::PrincipalForm { item: 1, .. }]), "{fields}: {:?}", one(fields));
    }
}

#[test]
fn issuers_without_audience_algorithms_or_one_source_of_keys_are_refused() {
    let good = |field: &str, value: &str| {
        let fields = [
            ("issuer", r#""https://id.example""#),
            ("audience", r#""writ:acme""#),
            ("algorithms", r#"["ES256"]"#),
            ("jwks", r#""https://id.example/keys""#),
        ];
        let fields = fields.iter().map(|(name, text)| (*name, if *name == field { value } else { text }));
        let fields = fields.filter(|(_, text)| !text.is_empty()).map(|(name, text)| format!("\"{name}\": {text}"));
        format!("[{{{}}}]", fields.collect::<Vec<_>>().join(", "))
    };
    compile(&[("issuers.json", &good("", ""))]).unwrap();
    let pinned = |keys: &str| good("jwks", "").replace("}]", &format!(r#", "keys": {keys}}}]"#));
    compile(&[("issuers.json", &pinned(&format!("[{}]", ec(""))))]).unwrap();
    let rsa_key = r#"{"kty": "oct", "k": "AAAA"}"#;
    for text in [
        "{}".to_owned(),
        "[1]".to_owned(),
        good("issuer", ""),
        good("issuer", r#""id.example""#),
        good("issuer", r#""http://id.example""#),
        good("audience", ""),
        good("audience", r#""""#),
        good("audience", r#"["a"]"#),
        good("algorithms", ""),
        good("algorithms", "[]"),
        good("algorithms", r#"["none"]"#),
        good("algorithms", r#"["HS256"]"#),
        good("algorithms", r#"["es256"]"#),
        good("jwks", ""),
        good("jwks", r#""http://id.example/keys""#),
        good("", "").replace("}]", r#", "keys": []}]"#),
        good("", "").replace("}]", r#", "more": 1}]"#),
        pinned("[]"),
        pinned(&format!("[{rsa_key}]")),
        pinned(&format!(r#"[{0}, {0}]"#, ec(r#", "kid": "a""#))),
        pinned(&format!("[{}]", ec(r#", "alg": "RS256""#))),
        pinned(&format!("[{}]", ec(r#", "d": "AAAA""#))),
        format!("[{0}, {0}]", good("", "").trim_matches(['[', ']'])),
    ] {
        let found = problems(&[("issuers.json", &text)]);
        assert!(matches!(found[..], [Problem::IssuerForm { .. }]), "{text}: {found:?}");
    }
    let other = good("algorithms", r#"["EdDSA"]"#)
        .replace(r#""jwks": "https://id.example/keys""#, &format!(r#""keys": [{}]"#, ec("")));
    assert!(matches!(problems(&[("issuers.json", &other)])[..], [Problem::IssuerForm { .. }]), "{other}");
}

#[test]
fn each_published_key_is_for_one_algorithm_and_what_verifies_nothing_is_left_out() {
    let read = |keys: &[&str]| read_jwks(format!(r#"{{"keys": [{}]}}"#, keys.join(", ")).as_bytes());
    let modulus = format!("{}A", "_".repeat(341));
    let rsa = |more: &str| format!(r#"{{"kty": "RSA", "n": "{modulus}", "e": "AQAB"{more}}}"#);
    let found = read(&[
        &ec(r#", "kid": "a", "use": "sig", "alg": "ES256""#),
        &rsa(r#", "kid": "b""#),
        &rsa(r#", "kid": "c", "alg": "PS256""#),
        r#"{"kty": "OKP", "crv": "Ed25519", "kid": "d", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    ]);
    let found: Vec<_> = found.unwrap().into_iter().map(|key| (key.id.unwrap(), key.algorithm)).collect();
    let expected = [
        ("a", TokenAlgorithm::Es256),
        ("b", TokenAlgorithm::Rs256),
        ("c", TokenAlgorithm::Ps256),
        ("d", TokenAlgorithm::EdDsa),
    ];
    assert_eq!(found, expected.map(|(id, algorithm)| (id.to_owned(), algorithm)));
    let short = modulus.replace('_', "").len() + 100;
    for useless in [
        ec(r#", "use": "enc""#),
        ec(r#", "key_ops": ["sign"]"#),
        ec(r#", "alg": "HS256""#),
        ec(r#", "alg": "none""#),
        ec(r#", "alg": "ES384""#),
        ec(r#", "kid": """#),
        ec(r#", "kid": 1"#),
        ec("").replace("P-256", "P-521"),
        ec("").replace(EC_X, "AAAA"),
        rsa(r#", "alg": "RS512""#),
        rsa(r#", "d": "AQAB""#),
        rsa("").replace(&modulus, &"_".repeat(short)),
        rsa("").replace("AQAB", "AAAB"),
        r#"{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}"#.to_owned(),
        format!(r#"{{"kty": "OKP", "crv": "Ed25519", "x": "{}"}}"#, "A".repeat(43)),
        "{}".to_owned(),
    ] {
        assert_eq!(read(&[&useless]), Ok(vec![]), "{useless}");
    }
    // Without ids, a token is held against each that fits.
    assert_eq!(read(&[&ec(""), &rsa("")]).unwrap().len(), 2);
    // One id for two keys, a doubled name, and what is no key set at all: nobody guesses.
    assert!(read(&[&ec(r#", "kid": "a""#), &rsa(r#", "kid": "a""#)]).is_err());
    for text in ["", "[]", "{}", r#"{"keys": {}}"#, r#"{"keys": [1]}"#, r#"{"keys": [], "keys": []}"#] {
        assert!(read_jwks(text.as_bytes()).is_err(), "{text}");
    }
    assert!(read(&vec!["{}"; 65]).is_err());
    assert!(read_jwks(&vec![b' '; crate::JWKS_BYTES_MAX + 1]).is_err());
}
