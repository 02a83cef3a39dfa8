//! What the transport refuses by itself, before anybody looks at what is asked.

use crate::exchange::{Asker, Reply};
use hyper::StatusCode;
use hyper::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER};
use std::borrow::Cow;
use std::time::Duration;
use writ_protocol::{Code, Refusal};

/// Why a request goes no further.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    OtherHost,
    /// Nothing that is asked for by that name, or by another than its connection has asked for before.
    NoSuchDomain,
    /// The domain has as many connections as it may, of callers who are known.
    TooManyConnected,
    NoSuchPath,
    OtherMethod {
        allowed: String,
    },
    BodyNotWanted,
    BodyTooLarge {
        max: usize,
    },
    BodyNotJson,
    BodyLate {
        within: Duration,
    },
    BodyBroken,
    TooMuchAtOnce,
    /// Whoever comes from there has tried in vain too often.
    TriedTooOften,
    ReadTooOften,
    TooManyFollow,
    AnswerLate {
        within: Duration,
    },
    HandlerFailed,
}

impl Fault {
    fn status(&self) -> StatusCode {
        match self {
            Self::OtherHost | Self::NoSuchDomain => StatusCode::MISDIRECTED_REQUEST,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::OtherMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyNotWanted | Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyNotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyLate { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::TooMuchAtOnce | Self::TooManyConnected => StatusCode::SERVICE_UNAVAILABLE,
            Self::TriedTooOften | Self::ReadTooOften | Self::TooManyFollow => StatusCode::TOO_MANY_REQUESTS,
            Self::AnswerLate { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::HandlerFailed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn refusal(&self) -> (Refusal, &'static str) {
        let (code, why, next): (Code, Cow<'static, str>, &'static str) = match self {
            Self::OtherHost => (
                Code::Malformed,
                "expected localhost or a loopback address as host, found another".into(),
                "ask for this machine by its loopback address",
            ),
            Self::NoSuchDomain => (
                Code::Malformed,
                "nothing is served by this name on this connection".into(),
                "ask by the name of a domain, each on a connection of its own",
            ),
            Self::TooManyConnected => {
                (Code::RateLimited, "as many are connected as may be".into(), "come again in a second")
            }
            Self::NoSuchPath => {
                (Code::Malformed, "there is no such path".into(), "see the list of operations in the documentation")
            }
            Self::OtherMethod { allowed } => (
                Code::Malformed,
                format!("expected {allowed}, found another method").into(),
                "use a method that is allowed",
            ),
            Self::BodyNotWanted => (Code::Malformed, "expected a request without a body".into(), "leave the body out"),
            Self::BodyTooLarge { max } => (
                Code::Malformed,
                format!("expected a body of at most {max} bytes, found more").into(),
                "ask for less at once",
            ),
            Self::BodyNotJson => (
                Code::Malformed,
                "expected the content type application/json, found another".into(),
                "send JSON, and say so; a request as it is, where one is asked for, is application/cbor",
            ),
            Self::BodyLate { within } => (
                Code::Malformed,
                format!("expected the whole body within {} seconds", within.as_secs()).into(),
                "send the body at once",
            ),
            Self::BodyBroken => (Code::Malformed, "the body ended before its end".into(), "send the whole body"),
            Self::TooMuchAtOnce => (
                Code::RateLimited,
                "as many bytes of requests are being read as there may be".into(),
                "come again in a second",
            ),
            Self::TriedTooOften => (
                Code::RateLimited,
                "too many from where you are have asked without being known; whoever is known on a connection goes on"
                    .into(),
                "come again in a second, with what shows who you are",
            ),
            Self::ReadTooOften => {
                (Code::RateLimited, "too much is being read from where you are".into(), "come again in a second")
            }
            Self::TooManyFollow => (
                Code::RateLimited,
                "as many follow or wait already as may".into(),
                "ask now and then instead of waiting, or come again later",
            ),
            Self::AnswerLate { within } => (
                Code::AuthorityUnreachable,
                format!("there was no answer within {} seconds", within.as_secs()).into(),
                "ask again with the same request key to learn what became of it",
            ),
            Self::HandlerFailed => {
                (Code::Internal, "the request could not be answered".into(), "tell the operator; the log has more")
            }
        };
        (Refusal::new(code, why), next)
    }

    /// Whose doing it is: what is ours, or is refused before anybody has tried anything, is held against nobody.
    fn asker(&self) -> Asker {
        match self {
            Self::OtherHost
            | Self::NoSuchDomain
            | Self::NoSuchPath
            | Self::OtherMethod { .. }
            | Self::BodyNotWanted
            | Self::BodyTooLarge { .. }
            | Self::BodyNotJson
            | Self::BodyLate { .. }
            | Self::BodyBroken => Asker::Stranger,
            Self::TooMuchAtOnce
            | Self::TooManyConnected
            | Self::TriedTooOften
            | Self::ReadTooOften
            | Self::TooManyFollow
            | Self::AnswerLate { .. }
            | Self::HandlerFailed => Asker::Anybody,
        }
    }

    /// Whether it counts among those that nobody known has got. What is ours does not: something may have been recorded of it.
    pub(crate) fn is_turned_away(&self) -> bool {
        !matches!(self, Self::AnswerLate { .. } | Self::HandlerFailed)
    }

    /// The answer. When some of the request was not read, nothing more can be read from the connection.
    pub(crate) fn into_reply(self) -> Reply {
        let (refusal, next) = self.refusal();
        let reply = Reply::refusal(self.status(), &refusal, Some(next)).to(self.asker());
        match self {
            Self::OtherMethod { allowed } => match HeaderValue::try_from(allowed) {
                Ok(allowed) => reply.with_header(ALLOW, allowed),
                Err(_) => reply,
            },
            Self::TooMuchAtOnce | Self::TooManyConnected => reply
                .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
                .with_header(CONNECTION, HeaderValue::from_static("close")),
            Self::OtherHost
            | Self::NoSuchDomain
            | Self::BodyNotWanted
            | Self::BodyTooLarge { .. }
            | Self::BodyNotJson
            | Self::BodyLate { .. }
            | Self::BodyBroken => reply.with_header(CONNECTION, HeaderValue::from_static("close")),
            Self::TriedTooOften | Self::ReadTooOften | Self::TooManyFollow => {
                reply.with_header(RETRY_AFTER, HeaderValue::from_static("1"))
            }
            Self::NoSuchPath | Self::AnswerLate { .. } | Self::HandlerFailed => reply,
        }
    }
}
