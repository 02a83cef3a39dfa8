//! Searches, page by page. A token says after which result the next page begins, and of which search it is.

use super::reading::{Object, Parts, object, other_kind};
use crate::json::Json;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_authority::Found;
use writ_protocol::Refusal;
use writ_protocol::action::{Action, Advice, AdviceFields, Asks, Page, QuestionText};
use writ_tlog::sha256;

/// A page has so many results where nobody says otherwise.
const LIMIT: u64 = 100;
/// And so many at most.
const LIMIT_MAX: u64 = 1_000;
/// So much of the digest of a search stands in its tokens.
const BOUND_BYTES: usize = 16;

/// A search, and the page of it that is wanted.
pub(super) struct Paged {
    pub(super) question: Advice,
    bound: Vec<u8>,
}

impl Paged {
    pub(super) fn read(body: &[u8], asks: Asks) -> Result<Self, Refusal> {
        let top = object(body)?;
        let (token, limit) = page(&top)?;
        // What the pages of one search have in common.
        let whole = Parts::read(&top)?.question(asks, Some(Page { after: None, limit: 0 }))?;
        let digest = sha256(&Action::Advice(whole.clone()).encode()?);
        let bound = digest.as_bytes().iter().copied().take(BOUND_BYTES).collect::<Vec<u8>>();
        let after = token.map(|token| after(&token, &bound)).transpose()?;
        let fields = AdviceFields { page: Some(Page { after, limit }), ..AdviceFields::clone(&whole) };
        Ok(Self { question: Advice::new(fields)?, bound })
    }

    /// The type of what is searched; actions have none.
    pub(super) fn kind(&self) -> Option<String> {
        let party = match self.question.asks {
            Asks::Subjects => &self.question.subject,
            Asks::Resources => &self.question.resource,
            Asks::Actions | Asks::Evaluation => return None,
        };
        Some(party.kind.as_str().to_owned())
    }

    pub(super) fn found(&self, kind: &Option<String>, found: Option<&Found>, context: Value) -> Value {
        let results = found.map(|found| found.results.as_slice()).unwrap_or_default();
        let result = |one: &QuestionText| match kind {
            Some(kind) => json!({ "type": kind, "id": one.as_str() }),
            None => json!({ "name": one.as_str() }),
        };
        let next = found.and_then(|found| found.next.as_ref());
        let next = next.map(|after| URL_SAFE_NO_PAD.encode([&self.bound, after.as_str().as_bytes()].concat()));
        json!({
            "page": { "next_token": next.unwrap_or_default(), "count": results.len() },
            "context": context,
            "results": results.iter().map(result).collect::<Vec<_>>(),
        })
    }
}

fn page(top: &Object) -> Result<(Option<String>, u64), Refusal> {
    let page = match top.get("page") {
        None => return Ok((None, LIMIT)),
        Some(Json::Object(page)) => page,
        Some(other) => return Err(other_kind("page", "an object", other)),
    };
    let limit = match page.get("limit") {
        None => LIMIT,
        Some(Json::Whole(limit)) => {
            let limit = u64::try_from(*limit);
            limit.map_err(|_| Refusal::malformed("expected a `limit` from 0 on"))?.min(LIMIT_MAX)
        }
        Some(other) => return Err(other_kind("limit", "a whole number", other)),
    };
    match page.get("token") {
        None => Ok((None, limit)),
        Some(Json::Text(token)) if token.is_empty() => Ok((None, limit)),
        Some(Json::Text(token)) => Ok((Some(token.clone()), limit)),
        Some(other) => Err(other_kind("token", "a string", other)),
    }
}

/// Where the page before ended, if that was one of this search.
fn after(token: &str, bound: &[u8]) -> Result<QuestionText, Refusal> {
    let other = || Refusal::malformed("the page token is not one of this search; begin it anew, without a token");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| other())?;
    let after = bytes.strip_prefix(bound).ok_or_else(other)?;
    let after = str::from_utf8(after).map_err(|_| other())?;
    QuestionText::new(after).map_err(|_| other())
}
