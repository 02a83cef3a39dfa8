//! One request and its answer, as those who answer see them.

use crate::body::Share;
use crate::json::{Fields, strict_json, write_json};
use crate::peer::Peer;
use crate::route::Route;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use writ_protocol::entry::{Opinion, Would};
use writ_protocol::{Code, Refusal};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// What nearly every answer fits into.
const JSON_ROOM_BYTES: usize = 8 * 1024;
const EVENTS: &str = "text/event-stream";

/// A request that came in whole.
pub struct Exchange {
    /// Counts the requests of this process; the log says it too.
    pub id: u64,
    /// Which operation it is.
    pub route: &'static Route,
    /// `GET` or `POST`; for a `HEAD` it is `GET`, and the body of the answer is left out.
    pub method: Method,
    /// The path as it was sent.
    pub path: String,
    /// What stands in the open parts of the path, in order.
    pub parameters: Vec<String>,
    /// What follows the path, without the question mark.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty for `GET`.
    pub body: Bytes,
    /// Who asks.
    pub peer: Arc<Peer>,
    #[expect(dead_code, reason = "kept so that the body counts as long as it is there")]
    pub(crate) share: Share,
}

impl Exchange {
    /// The fields of the JSON object in the body.
    pub fn fields(&self) -> Result<Fields, Refusal> {
        Fields::of(strict_json(&self.body)?)
    }

    /// The bearer token in the head, if there is one.
    pub(crate) fn bearer(&self) -> Result<Option<String>, Refusal> {
        let mut found = self.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), other) = (found.next(), found.next()) else { return Ok(None) };
        if other.is_some() {
            return Err(Refusal::malformed("expected one `Authorization`, found several"));
        }
        let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        // What was found is not told: it may be a secret that was meant for somebody else.
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || !token.bytes().all(plain) {
            return Err(Refusal::malformed("expected `Authorization: Bearer TOKEN`, found something else"));
        }
        Ok(Some(token.to_owned()))
    }

    /// The fields of the query.
    pub fn query(&self) -> Result<Query, Refusal> {
        Query::read(self.query.as_deref())
    }
}

/// The fields of a query, taken out one by one.
#[derive(Debug)]
#[must_use]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// `name=value`, joined by `&`; no escapes, no name twice.
    fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let mut fields = BTreeMap::new();
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-~:".contains(&byte));
        for field in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = field
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| Refusal::malformed(format!("expected name=value in the query, found {field:?}")))?;
            if !plain(name) || !plain(value) {
                return Err(Refusal::malformed(format!("expected a query without escapes, found {field:?}")));
            }
            if fields.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(Refusal::malformed(format!("expected {name:?} once in the query, found it twice")));
            }
        }
        Ok(Self(fields))
    }

    /// A number that may be there, in the one way of writing it.
    pub fn optional_u64(&mut self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        match text.parse::<u64>().ok().filter(|number| number.to_string() == text) {
            Some(number) => Ok(Some(number)),
            None => Err(Refusal::malformed(format!("expected a number for {name:?} in the query, found {text:?}"))),
        }
    }

    /// A number that must be there.
    pub fn required_u64(&mut self, name: &str) -> Result<u64, Refusal> {
        let missing = || Refusal::malformed(format!("expected {name:?} in the query, found no such field"));
        self.optional_u64(name)?.ok_or_else(missing)
    }

    /// Text that may be there.
    pub fn optional_str(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// That nothing is left.
    pub fn end(self) -> Result<(), Refusal> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                Err(Refusal::malformed(format!("found the unknown field {name:?} in the query; leave it out")))
            }
        }
    }
}

/// What is answered.
pub struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: ReplyBody,
    pub(crate) refused: Option<Refusal>,
    pub(crate) would: Option<Would>,
    pub(crate) advice: Vec<Opinion>,
    pub(crate) asker: Asker,
}

/// Who has asked, as far as it came out. It decides what may be tried next on the same connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asker {
    /// Anybody: nothing was asked for that takes knowing who asks.
    #[default]
    Anybody,
    /// Somebody who has just shown who they are.
    Known,
    /// Nobody who is known.
    Stranger,
}

pub(crate) enum ReplyBody {
    Whole(Bytes),
    Events(mpsc::Receiver<Bytes>),
}

impl Reply {
    /// Any bytes.
    pub fn bytes(status: StatusCode, content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: ReplyBody::Whole(bytes.into()),
            refused: None,
            would: None,
            advice: Vec::new(),
            asker: Asker::Anybody,
        }
    }

    /// JSON.
    pub fn json(status: StatusCode, value: &Value) -> Self {
        let mut text = Vec::with_capacity(JSON_ROOM_BYTES);
        write_json(value, &mut text);
        Self::bytes(status, JSON, text)
    }

    /// Text for a person.
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::bytes(status, TEXT, text.into())
    }

    /// A refusal that made no entry. It is counted and logged by its code.
    pub fn refusal(status: StatusCode, refusal: &Refusal, next: Option<&str>) -> Self {
        let mut value = json!({ "outcome": "refused", "code": refusal.code().as_str(), "why": refusal.why() });
        if let (Some(fields), Some(next)) = (value.as_object_mut(), next) {
            fields.insert("next".to_owned(), next.into());
        }
        Self::json(status, &value).counted_as(refusal.clone())
    }

    /// Server-sent events, each made by [`event`], until the sender is gone. The sender sees by `closed` that nobody listens.
    pub fn events(events: mpsc::Receiver<Bytes>) -> Self {
        let body = ReplyBody::Events(events);
        Self { body, ..Self::bytes(StatusCode::OK, EVENTS, Bytes::new()) }
    }

    /// Counts and logs this answer as a refusal.
    #[must_use]
    pub fn counted_as(mut self, refusal: Refusal) -> Self {
        self.refused = Some(refusal);
        self
    }

    /// Counts and logs this answer as what would have been answered.
    #[must_use]
    pub fn counted_as_shadow(mut self, would: Would) -> Self {
        self.would = Some(would);
        self
    }

    /// Counts and logs these advices.
    #[must_use]
    pub(crate) fn counted_as_advice(mut self, advice: impl IntoIterator<Item = Opinion>) -> Self {
        self.advice = advice.into_iter().collect();
        self
    }

    /// Says who has asked.
    #[must_use]
    pub fn to(mut self, asker: Asker) -> Self {
        self.asker = asker;
        self
    }

    /// With one header more.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn is_json(&self) -> bool {
        self.content_type == JSON
    }

    pub(crate) fn refusal_code(&self) -> Option<Code> {
        self.refused.as_ref().map(Refusal::code)
    }
}

/// One server-sent event, as bytes for [`Reply::events`].
pub fn event(name: &str, data: &str) -> Bytes {
    let mut text = String::with_capacity(name.len().saturating_add(data.len()).saturating_add(24));
    text.push_str("event: ");
    // A line break in a name would begin another field.
    text.extend(name.chars().filter(|character| !matches!(character, '\r' | '\n')));
    for line in data.split(['\r', '\n']) {
        text.push_str("\ndata: ");
        text.push_str(line);
    }
    text.push_str("\n\n");
    text.into()
}

type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Whoever answers. What has begun goes on to its end when the client leaves; it is not cancelled halfway.
#[derive(Clone)]
pub struct Handler(Arc<dyn Fn(Exchange) -> Answer + Send + Sync>);

impl Handler {
    /// Answers by this function.
    pub fn new<F, A>(answer: F) -> Self
    where
        F: Fn(Exchange) -> A + Send + Sync + 'static,
        A: Future<Output = Reply> + Send + 'static,
    {
        Self(Arc::new(move |exchange| Box::pin(answer(exchange))))
    }

    pub(crate) fn answer(&self, exchange: Exchange) -> Answer {
        (self.0)(exchange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_one_reading() {
        let mut query = Query::read(Some("from=7&disclose=1")).unwrap();
        assert_eq!(query.required_u64("from").unwrap(), 7);
        assert_eq!(query.optional_str("disclose").as_deref(), Some("1"));
        assert_eq!(query.optional_u64("none").unwrap(), None);
        query.end().unwrap();
        Query::read(None).unwrap().end().unwrap();
        for text in ["", "from", "=1", "from=1&from=1", "from=1&", "a=%31", "a=1+1", "a=b=c", "&"] {
            assert_eq!(Query::read(Some(text)).unwrap_err().code(), Code::Malformed, "{text:?}");
        }
        for text in ["from=", "from=01", "from=-1", "from=1x", "from=18446744073709551616", "other=1"] {
            assert!(Query::read(Some(text)).unwrap().required_u64("from").is_err(), "{text:?}");
        }
        assert!(Query::read(Some("other=1")).unwrap().end().is_err());
    }

    #[test]
    fn an_event_cannot_become_two() {
        assert_eq!(event("control", "{}"), "event: control\ndata: {}\n\n");
        assert_eq!(event("a\nb\r", "1\n\nevent: c"), "event: ab\ndata: 1\ndata: \ndata: event: c\n\n");
    }
}
