//! What is asked, and what is answered: the part of the server that knows `tlog-tiles`.

use crate::content::Content;
use crate::readers::Readers;
use hyper::body::{Body, Bytes};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use std::sync::Arc;
use writ_tlog::{Resource, TileError};

const TEXT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";

/// The next checkpoint has the same name.
const ASK_AGAIN: &str = "no-cache";
/// What is in the published tree stays as it is.
const KEEP: &str = "max-age=31536000, immutable";
/// What is not there may come.
const FORGET: &str = "no-store";

/// Every answer there is.
#[derive(Debug)]
pub(crate) enum Answer {
    Found { resource: Resource, bytes: Vec<u8> },
    NotPublished(Resource),
    NoResource(TileError),
    Query,
    OtherMethod,
    WithBody,
    StoreFailed,
}

/// Answers a request. What the operator must know, and the client must not, goes to `report`.
pub(crate) async fn answer<B: Body>(
    request: &Request<B>,
    readers: Arc<Readers>,
    report: &(dyn Fn(String) + Send + Sync),
) -> Response<Content> {
    let answer = match asked(request) {
        Ok(resource) => match readers.resource(resource).await {
            Ok(Some(bytes)) => Answer::Found { resource, bytes },
            Ok(None) => Answer::NotPublished(resource),
            Err(error) => {
                report(format!("{resource} could not be served: {error}"));
                Answer::StoreFailed
            }
        },
        Err(refusal) => refusal,
    };
    answer.into_response(request.method())
}

/// A resource has one name: no query, no escapes, no detours. Any other would fill caches with copies.
fn asked<B: Body>(request: &Request<B>) -> Result<Resource, Answer> {
    if *request.method() != Method::GET && *request.method() != Method::HEAD {
        return Err(Answer::OtherMethod);
    }
    if !request.body().is_end_stream() {
        return Err(Answer::WithBody);
    }
    if request.uri().query().is_some() {
        return Err(Answer::Query);
    }
    let path = request.uri().path();
    Resource::parse(path.strip_prefix('/').unwrap_or(path)).map_err(Answer::NoResource)
}

impl Answer {
    fn status(&self) -> StatusCode {
        match self {
            Self::Found { .. } => StatusCode::OK,
            Self::NotPublished(_) => StatusCode::NOT_FOUND,
            Self::NoResource(_) | Self::Query => StatusCode::BAD_REQUEST,
            Self::OtherMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::WithBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::StoreFailed => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn content_type(&self) -> &'static str {
        match self {
            Self::Found { resource: Resource::Tile(_) | Resource::Entries { .. }, .. } => BINARY,
            Self::Found { resource: Resource::Checkpoint, .. }
            | Self::NotPublished(_)
            | Self::NoResource(_)
            | Self::Query
            | Self::OtherMethod
            | Self::WithBody
            | Self::StoreFailed => TEXT,
        }
    }

    fn caching(&self) -> &'static str {
        match self {
            Self::Found { resource: Resource::Checkpoint, .. } => ASK_AGAIN,
            Self::Found { resource: Resource::Tile(_) | Resource::Entries { .. }, .. } => KEEP,
            Self::NotPublished(_)
            | Self::NoResource(_)
            | Self::Query
            | Self::OtherMethod
            | Self::WithBody
            | Self::StoreFailed => FORGET,
        }
    }

    fn into_content(self) -> Vec<u8> {
        let line = match self {
            Self::Found { bytes, .. } => return bytes,
            Self::NotPublished(resource) => format!("the published tree does not have {resource}\n"),
            Self::NoResource(error) => format!("{error}\n"),
            Self::Query => "expected a path without a query\n".to_owned(),
            Self::OtherMethod => "expected GET or HEAD: a ledger is only read here\n".to_owned(),
            Self::WithBody => "expected a request without a body\n".to_owned(),
            Self::StoreFailed => "the ledger cannot be read now; try again later\n".to_owned(),
        };
        line.into_bytes()
    }

    fn into_response(self, method: &Method) -> Response<Content> {
        let mut response = Response::new(Content::none());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.caching()));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self {
            Self::OtherMethod => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            // Whatever follows is the body that nobody reads, not a next request.
            Self::WithBody => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Found { .. } | Self::NotPublished(_) | Self::NoResource(_) | Self::Query | Self::StoreFailed => {}
        }
        let content = Bytes::from(self.into_content());
        headers.insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
        if *method != Method::HEAD {
            *response.body_mut() = Content::whole(content);
        }
        response
    }
}
