//! The keys that issuers publish, as far as the node has fetched them. Whoever fetches is told here what is needed; nothing here reads a socket.
//!
//! Keys are good for a time, since an issuer that cannot be reached may have withdrawn them meanwhile (Invariant 2). However many tokens with
//! whatever key ids come in, an issuer is asked once in a while and not for each.

use crate::authority::Authority;
use crate::token::Token;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use writ_policy::{Issuer, IssuerKey, IssuerKeys, read_jwks};
use writ_protocol::{Code, Refusal};

/// After this, keys are fetched again when they are next needed.
pub const FRESH_MS: u64 = 10 * 60 * 1000;
/// After this, keys that could not be fetched again are good for nothing.
pub const KEPT_MS: u64 = 60 * 60 * 1000;
/// Between two attempts to fetch the keys of one address, whatever is asked for.
pub const ATTEMPTS_MS: u64 = 10 * 1000;

/// What was fetched, by address.
#[derive(Default)]
pub(crate) struct FetchedKeys(Mutex<BTreeMap<String, Fetched>>);

#[derive(Default)]
struct Fetched {
    keys: Vec<IssuerKey>,
    /// When they came; nothing if none ever did.
    at_ms: Option<u64>,
    attempted_ms: Option<u64>,
    /// Why the last attempt failed.
    fault: Option<String>,
}

impl Fetched {
    fn age_ms(&self, now_ms: u64) -> Option<u64> {
        // A clock that was set back makes keys old, not young.
        self.at_ms.map(|at_ms| now_ms.checked_sub(at_ms).unwrap_or(KEPT_MS))
    }

    fn is_wanted(&self, key_id: Option<&str>, now_ms: u64) -> bool {
        let rests =
            self.attempted_ms.and_then(|at_ms| now_ms.checked_sub(at_ms)).is_some_and(|since| since < ATTEMPTS_MS);
        let is_fresh = self.age_ms(now_ms).is_some_and(|age| age < FRESH_MS);
        let is_known = key_id.is_none() || self.keys.iter().any(|key| key.id.as_deref() == key_id);
        !(rests || is_fresh && is_known)
    }
}

impl Authority {
    /// The address from which keys must be fetched before this token can be judged; nothing where they are at hand, or it is too early to ask
    /// again.
    pub fn keys_wanted(&self, token: &str) -> Option<String> {
        let token = Token::read(token).ok()?;
        let active = self.policies.active();
        let IssuerKeys::At(place) = &active.set.principals().issuer(token.issuer())?.keys else { return None };
        let now_ms = self.now_ms();
        let all = self.issuer_keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_wanted = all.get(place).is_none_or(|fetched| fetched.is_wanted(token.key_id(), now_ms));
        is_wanted.then(|| place.clone())
    }

    /// What came of fetching. Keys that are sound replace all that were there; else those stay, for as long as they are good. The address is
    /// not asked again for a while, whatever came of it; until then, whoever needs the keys waits for whoever fetches them.
    pub fn keys_fetched(&self, place: &str, answer: Result<&[u8], String>) -> Result<usize, String> {
        let read = answer.and_then(read_jwks);
        let now_ms = self.now_ms();
        let active = self.policies.active();
        let is_named = |place: &str| {
            active.set.principals().issuers().any(|issuer| matches!(&issuer.keys, IssuerKeys::At(at) if at == place))
        };
        let mut all = self.issuer_keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What no issuer of the set in force has any more is forgotten.
        all.retain(|place, _| is_named(place));
        let fetched = all.entry(place.to_owned()).or_default();
        fetched.attempted_ms = Some(now_ms);
        match read {
            Ok(keys) => {
                let count = keys.len();
                (fetched.keys, fetched.at_ms, fetched.fault) = (keys, Some(now_ms), None);
                Ok(count)
            }
            Err(why) => {
                fetched.fault = Some(why.clone());
                Err(why)
            }
        }
    }

    /// Verifies a token of this issuer by its keys, and returns the subject.
    pub(crate) fn verified_subject(&self, token: &Token, issuer: &Issuer) -> Result<String, Refusal> {
        let now_ms = self.now_ms();
        let keys = self.keys_of_issuer(issuer, now_ms)?;
        token.verify(issuer, &keys, now_ms).map(str::to_owned)
    }

    fn keys_of_issuer<'i>(&self, issuer: &'i Issuer, now_ms: u64) -> Result<Cow<'i, [IssuerKey]>, Refusal> {
        let place = match &issuer.keys {
            IssuerKeys::Pinned(keys) => return Ok(Cow::Borrowed(keys)),
            IssuerKeys::At(place) => place,
        };
        let all = self.issuer_keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fetched = all.get(place);
        if let Some(fetched) = fetched.filter(|fetched| fetched.age_ms(now_ms).is_some_and(|age| age < KEPT_MS)) {
            return Ok(Cow::Owned(fetched.keys.clone()));
        }
        let why = fetched.and_then(|fetched| fetched.fault.as_deref()).unwrap_or("they were not fetched yet");
        let name = &issuer.name;
        Err(Refusal::new(
            Code::Unauthenticated,
            format!("the keys of {name} cannot be had, so its tokens show nobody: {why}"),
        ))
    }
}
