//! What the transport refuses by itself, before anybody looks at what is asked.

use crate::exchange::Reply;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER};
use std::time::Duration;
use writ_protocol::{Code, Refusal};

/// Why a request goes no further.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    OtherHost,
    NoSuchPath,
    OtherMethod { allowed: String },
    BodyNotWanted,
    BodyTooLarge { max: usize },
    BodyNotJson,
    BodyLate { within: Duration },
    BodyBroken,
    TooMuchAtOnce,
    AnswerLate { within: Duration },
    HandlerFailed,
}

impl Fault {
    fn status(&self) -> StatusCode {
        match self {
            Self::OtherHost => StatusCode::MISDIRECTED_REQUEST,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::OtherMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyNotWanted | Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyNotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyLate { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::TooMuchAtOnce => StatusCode::SERVICE_UNAVAILABLE,
            Self::AnswerLate { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::HandlerFailed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn refusal(&self) -> (Refusal, &'static str) {
        let (code, why, next) = match self {
            Self::OtherHost => (
                Code::Malformed,
                "expected localhost or a loopback address as host, found another".to_owned(),
                "ask for this machine by its loopback address",
            ),
            Self::NoSuchPath => {
                (Code::Malformed, "there is no such path".to_owned(), "see the list of operations in the documentation")
            }
            Self::OtherMethod { allowed } => {
                (Code::Malformed, format!("expected {allowed}, found another method"), "use a method that is allowed")
            }
            Self::BodyNotWanted => {
                (Code::Malformed, "expected a request without a body".to_owned(), "leave the body out")
            }
            Self::BodyTooLarge { max } => {
                (Code::Malformed, format!("expected a body of at most {max} bytes, found more"), "ask for less at once")
            }
            Self::BodyNotJson => (
                Code::Malformed,
                "expected the content type application/json, found another".to_owned(),
                "send JSON, and say so",
            ),
            Self::BodyLate { within } => (
                Code::Malformed,
                format!("expected the whole body within {} seconds", within.as_secs()),
                "send the body at once",
            ),
            Self::BodyBroken => (Code::Malformed, "the body ended before its end".to_owned(), "send the whole body"),
            Self::TooMuchAtOnce => (
                Code::RateLimited,
                "as many bytes of requests are being read as there may be".to_owned(),
                "come again in a second",
            ),
            Self::AnswerLate { within } => (
                Code::AuthorityUnreachable,
                format!("there was no answer within {} seconds", within.as_secs()),
                "ask again with the same request key to learn what became of it",
            ),
            Self::HandlerFailed => {
                (Code::Internal, "the request could not be answered".to_owned(), "tell the operator; the log has more")
            }
        };
        (Refusal::new(code, why), next)
    }

    /// The answer. When some of the request was not read, nothing more can be read from the connection.
    pub(crate) fn into_reply(self) -> Reply {
        let (refusal, next) = self.refusal();
        let reply = Reply::refusal(self.status(), &refusal, Some(next));
        match self {
            Self::OtherMethod { allowed } => match HeaderValue::try_from(allowed) {
                Ok(allowed) => reply.with_header(ALLOW, allowed),
                Err(_) => reply,
            },
            Self::TooMuchAtOnce => reply
                .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
                .with_header(CONNECTION, HeaderValue::from_static("close")),
            Self::OtherHost
            | Self::BodyNotWanted
            | Self::BodyTooLarge { .. }
            | Self::BodyNotJson
            | Self::BodyLate { .. }
            | Self::BodyBroken => reply.with_header(CONNECTION, HeaderValue::from_static("close")),
            Self::NoSuchPath | Self::AnswerLate { .. } | Self::HandlerFailed => reply,
        }
    }
}
