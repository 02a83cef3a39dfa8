//! Tokens of OpenID Connect: JSON Web Tokens (RFC 7519), signed, never encrypted. They say who asks, and nothing more.
//!
//! Pure: token, issuer, keys and time in, the subject out. Which algorithm verifies is a matter of the key (RFC 8725); a token whose head names another
//! one is refused, and what a head says of keys besides its `kid` is not looked at.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use writ_policy::{Issuer, IssuerKey, PublicNumbers, TokenAlgorithm, unambiguous};
use writ_protocol::{Code, Refusal};
use writ_tlog::VerifyingKey;

/// The longest token, in bytes: it must fit into the head of a request.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// So many keys are tried for a token that names none.
const TRIED_MAX: usize = 8;
/// How far an issuer's clock may be ahead. An end is an end.
const AHEAD_S: u64 = 30;

/// A token that was read. Nothing in it is believed yet.
pub struct Token {
    signed: String,
    signature: Vec<u8>,
    algorithm: String,
    key_id: Option<String>,
    issuer: String,
    subject: String,
    audience: Vec<String>,
    expires_s: u64,
    not_before_s: Option<u64>,
    issued_s: Option<u64>,
}

impl Token {
    /// Reads the compact form.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::malformed(format!("expected a token of at most {TOKEN_BYTES_MAX} bytes")));
        }
        let mut parts = text.split('.');
        let (Some(head), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::malformed("expected a signed token, three parts joined by dots"));
        };
        let signed = format!("{head}.{claims}");
        let (head, claims) = (object(head, "the token's head")?, object(claims, "the token's claims")?);
        if head.contains_key("crit") || head.contains_key("zip") {
            return Err(Refusal::malformed("expected a token's head without extensions that must be understood"));
        }
        if let Some(kind) = head.get("typ") {
            let kind = kind.as_str().unwrap_or_default().to_ascii_lowercase();
            let kind = kind.strip_prefix("application/").unwrap_or(&kind);
            // Others are for other purposes, such as ending a session.
            if !matches!(kind, "jwt" | "at+jwt") {
                return Err(Refusal::malformed("expected a token of the type JWT or at+jwt"));
            }
        }
        let signature =
            URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::malformed("a token's signature in base64url"))?;
        Ok(Self {
            signed,
            signature,
            algorithm: required(&head, "alg")?,
            key_id: optional(&head, "kid")?,
            issuer: required(&claims, "iss")?,
            subject: required(&claims, "sub")?,
            audience: audience(&claims)?,
            expires_s: seconds(&claims, "exp")?
                .ok_or_else(|| Refusal::malformed("expected `exp` among the token's claims"))?,
            not_before_s: seconds(&claims, "nbf")?,
            issued_s: seconds(&claims, "iat")?,
        })
    }

    /// Who says that it has made this token.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Which of its keys it is said to be signed with.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Holds it against its issuer, that issuer's keys, and the time. Returns the subject.
    pub fn verify(&self, issuer: &Issuer, keys: &[IssuerKey], now_ms: u64) -> Result<&str, Refusal> {
        if self.issuer != issuer.name {
            return Err(unknown(format!("the token is of {:?}, and the keys are of {}", self.issuer, issuer.name)));
        }
        let named = self.named(keys);
        let fits =
            |key: &&&IssuerKey| self.algorithm == key.algorithm.as_str() && issuer.algorithms.contains(&key.algorithm);
        let fitting: Vec<&&IssuerKey> = named.iter().filter(fits).collect();
        let Some(first) = named.first() else {
            return Err(match &self.key_id {
                Some(id) => unknown(format!("{} has no key {id:?}", issuer.name)),
                None => unknown(format!("the token does not say which key of {} it is signed with", issuer.name)),
            });
        };
        if fitting.is_empty() {
            return Err(invalid(format!(
                "the token says {:?}, its key is for {}, and {} signs with {}",
                self.algorithm,
                first.algorithm,
                issuer.name,
                issuer.algorithms.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ")
            )));
        }
        let verifies = |key: &&&IssuerKey| verified(key, self.signed.as_bytes(), &self.signature).is_ok();
        if !fitting.iter().take(TRIED_MAX).any(verifies) {
            return Err(invalid(format!(
                "the signature of the token does not verify under the key of {}",
                issuer.name
            )));
        }
        self.addressed(issuer)?;
        self.in_time(now_ms / 1000)?;
        Ok(&self.subject)
    }

    /// The key that the token names. Where it names none, the only one there is, or those that have no name either.
    fn named<'k>(&self, keys: &'k [IssuerKey]) -> Vec<&'k IssuerKey> {
        match (&self.key_id, keys) {
            (Some(_), _) => keys.iter().filter(|key| key.id == self.key_id).collect(),
            (None, [only]) => vec![only],
            (None, _) => keys.iter().filter(|key| key.id.is_none()).collect(),
        }
    }

    /// A token that is for others too could be sent here by one of them.
    fn addressed(&self, issuer: &Issuer) -> Result<(), Refusal> {
        if self.audience == [issuer.audience.as_str()] {
            return Ok(());
        }
        let why = format!("the token must be for {:?} alone; ask {} for one that is", issuer.audience, issuer.name);
        Err(Refusal::new(Code::WrongAudience, why))
    }

    fn in_time(&self, now_s: u64) -> Result<(), Refusal> {
        if now_s >= self.expires_s {
            let ago_s = now_s - self.expires_s;
            return Err(Refusal::new(Code::Expired, format!("the token expired {ago_s} s ago; ask for another one")));
        }
        let from_s = self.not_before_s.unwrap_or(0).max(self.issued_s.unwrap_or(0));
        if from_s > now_s.saturating_add(AHEAD_S) {
            let why = format!("the token is valid in {} s; see that the clocks agree", from_s - now_s);
            return Err(Refusal::new(Code::NotYetValid, why));
        }
        Ok(())
    }
}

fn verified(key: &IssuerKey, signed: &[u8], signature: &[u8]) -> Result<(), ()> {
    let outcome = match (key.algorithm, &key.numbers) {
        (TokenAlgorithm::Es256, PublicNumbers::Point(point)) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
        }
        (TokenAlgorithm::Es384, PublicNumbers::Point(point)) => {
            UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(signed, signature)
        }
        // By the one rule that all Ed25519 signatures are held to here.
        (TokenAlgorithm::EdDsa, PublicNumbers::Ed25519(key)) => {
            let key = VerifyingKey::ed25519(key).map_err(|_| ())?;
            return key.verify(signed, signature).map_err(|_| ());
        }
        (TokenAlgorithm::Rs256, PublicNumbers::Rsa { n, e }) => {
            RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
        }
        (TokenAlgorithm::Ps256, PublicNumbers::Rsa { n, e }) => {
            RsaPublicKeyComponents { n, e }.verify(&RSA_PSS_2048_8192_SHA256, signed, signature)
        }
        // A key that was read has the numbers of its algorithm.
        (
            TokenAlgorithm::Es256
            | TokenAlgorithm::Es384
            | TokenAlgorithm::EdDsa
            | TokenAlgorithm::Rs256
            | TokenAlgorithm::Ps256,
            PublicNumbers::Point(_) | PublicNumbers::Ed25519(_) | PublicNumbers::Rsa { .. },
        ) => return Err(()),
    };
    outcome.map_err(|_| ())
}

type Object = serde_json::Map<String, serde_json::Value>;

fn object(part: &str, what: &str) -> Result<Object, Refusal> {
    let bytes =
        URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::malformed(format!("expected {what} in base64url")))?;
    match unambiguous(&bytes) {
        Ok(serde_json::Value::Object(object)) => Ok(object),
        Ok(_) => Err(Refusal::malformed(format!("expected {what} as an object"))),
        Err(_) => Err(Refusal::malformed(format!("expected {what} as JSON without doubled names"))),
    }
}

fn optional(object: &Object, name: &str) -> Result<Option<String>, Refusal> {
    match object.get(name) {
        None => Ok(None),
        Some(serde_json::Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::malformed(format!("expected `{name}` of the token as text"))),
    }
}

fn required(object: &Object, name: &str) -> Result<String, Refusal> {
    optional(object, name)?.ok_or_else(|| Refusal::malformed(format!("expected `{name}` in the token")))
}

fn audience(claims: &Object) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::malformed("expected `aud` among the token's claims, text or an array of text");
    match claims.get("aud") {
        Some(serde_json::Value::String(one)) => Ok(vec![one.clone()]),
        Some(serde_json::Value::Array(several)) => {
            several.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) | None => Err(wrong()),
    }
}

fn seconds(claims: &Object, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_u64().ok_or_else(|| Refusal::malformed(format!("expected `{name}` in whole seconds")))?;
    Ok(Some(whole))
}

fn unknown(why: String) -> Refusal {
    Refusal::new(Code::UnknownAuthority, why)
}

fn invalid(why: String) -> Refusal {
    Refusal::new(Code::SignatureInvalid, why)
}
