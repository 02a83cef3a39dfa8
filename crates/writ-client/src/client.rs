//! What a node can be asked.

use crate::answer::{Answer, HoldState, OrderAnswer, Refused, ShadowAnswer, StateAnswer};
use crate::connection::{Connection, Sent};
use crate::control::ControlPage;
use crate::endpoint::Endpoint;
use crate::error::ClientError;
use crate::feed::Feed;
use crate::fields::{Fields, to_base64};
use crate::gateway::GatewayPlace;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use writ_protocol::ExecutionId;

pub(crate) const JSON: &str = "application/json";
/// What a node takes in one request.
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Statements and orders.
const SMALL_REQUEST_BYTES_MAX: usize = 64 * 1024;
/// A writ, a denial with its policies, a status.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// All entities of a domain.
const ENTITIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// A bundle with the whole control chain, in base64.
const CONTROL_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Connections that wait for a next request.
const KEPT_MAX: usize = 4;

/// How long is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, with its handshake.
    pub connect: Duration,
    /// For one request, from connecting to the last byte of its answer.
    pub request: Duration,
    /// For the next byte of a feed; the node sends one every fifteen seconds.
    pub silence: Duration,
}

impl Timeouts {
    /// For a node that is not far.
    pub const STANDARD: Self =
        Self { connect: Duration::from_secs(2), request: Duration::from_secs(30), silence: Duration::from_secs(45) };
}

/// A request for a writ, as bytes of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Not signed: the node knows by the local socket who asks.
    Bare(Vec<u8>),
    /// Signed by the principal.
    Signed(Vec<u8>),
}

/// A node that can be asked, by several at once.
pub struct Client {
    endpoint: Endpoint,
    timeouts: Timeouts,
    /// Addresses that were looked up before; nothing where a look-up is to be made each time.
    known: Option<Vec<SocketAddr>>,
    kept: Mutex<Vec<Connection>>,
}

impl Asked {
    fn body(&self) -> Value {
        let (name, bytes) = match self {
            Self::Bare(bytes) => ("request", bytes),
            Self::Signed(bytes) => ("signed", bytes),
        };
        json!({ name: to_base64(bytes), "explain": true })
    }
}

/// One answer, whole.
struct Whole {
    status: u16,
    body: Bytes,
}

impl Client {
    /// Connects, and waits no longer than the endpoint says.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, ClientError> {
        Self::connect_within(endpoint, endpoint.timeouts).await
    }

    /// Connects.
    pub async fn connect_within(endpoint: &Endpoint, timeouts: Timeouts) -> Result<Self, ClientError> {
        Self::connect_to(endpoint, None, timeouts).await
    }

    pub(crate) async fn connect_to(
        endpoint: &Endpoint,
        known: Option<Vec<SocketAddr>>,
        timeouts: Timeouts,
    ) -> Result<Self, ClientError> {
        let client = Self { endpoint: endpoint.clone(), timeouts, known, kept: Mutex::new(Vec::new()) };
        let first = client.open().await?;
        client.keep(first);
        Ok(client)
    }

    /// Where the node is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks for a writ.
    pub async fn authorize(&self, asked: &Asked) -> Result<Answer, ClientError> {
        let whole = self.post("/v1/authorize", &asked.body(), REQUEST_BYTES_MAX).await?;
        self.read(Answer::read(whole.status, &whole.body))
    }

    /// The holds that are open, as the node tells them.
    pub async fn holds(&self) -> Result<Value, ClientError> {
        let mut all = Vec::new();
        let mut from = 0;
        loop {
            let body = self.get_found(&format!("/v1/holds?from={from}"), ANSWER_BYTES_MAX).await?;
            let mut page = self.read(Fields::read(&body)).map(Fields::into_value)?;
            if let Some(Value::Array(holds)) = page.get_mut("holds").map(Value::take) {
                all.extend(holds);
            }
            match page.get("next").and_then(Value::as_u64) {
                // A page that leads back would lead on for ever.
                Some(next) if next > from => from = next,
                Some(_) | None => return Ok(serde_json::json!({ "holds": all })),
            }
        }
    }

    /// How far a hold has come, once it is no longer pending, or after `patience`.
    pub async fn hold(&self, index: u64, patience: Duration) -> Result<HoldState, ClientError> {
        let until = Instant::now().checked_add(patience);
        loop {
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            // No longer than an answer may take.
            let wait = left.min(self.timeouts.request / 2);
            let path = format!("/v1/holds/{index}?wait_ms={}", wait.as_millis());
            let body = self.get_found(&path, ANSWER_BYTES_MAX).await?;
            let found = self.read(HoldState::read(&body))?;
            if found.state != "pending" || wait == left {
                return Ok(found);
            }
        }
    }

    /// The mandates that have not ended, as the node tells them.
    pub async fn mandates(&self) -> Result<Value, ClientError> {
        let body = self.get_found("/v1/mandates", ANSWER_BYTES_MAX).await?;
        self.read(Fields::read(&body)).map(Fields::into_value)
    }

    /// One mandate, as the node tells it.
    pub async fn mandate(&self, index: u64) -> Result<Value, ClientError> {
        let body = self.get_found(&format!("/v1/mandates/{index}"), ANSWER_BYTES_MAX).await?;
        self.read(Fields::read(&body)).map(Fields::into_value)
    }

    /// Asks what policy would answer.
    pub async fn shadow(&self, asked: &Asked) -> Result<ShadowAnswer, ClientError> {
        let whole = self.post("/v1/shadow", &asked.body(), REQUEST_BYTES_MAX).await?;
        self.read(ShadowAnswer::read(whole.status, &whole.body))
    }

    /// Sends a signed order.
    pub async fn order(&self, signed: &[u8]) -> Result<OrderAnswer, ClientError> {
        let body = json!({ "signed": to_base64(signed), "explain": true });
        let whole = self.post("/v1/orders", &body, SMALL_REQUEST_BYTES_MAX).await?;
        self.read(OrderAnswer::read(whole.status, &whole.body))
    }

    /// Sends a policy bundle with the signed order to publish it.
    pub async fn publish(&self, signed: &[u8], bundle: &[u8]) -> Result<OrderAnswer, ClientError> {
        let body = json!({ "signed": to_base64(signed), "bundle": to_base64(bundle) });
        let whole = self.post("/v1/policies", &body, REQUEST_BYTES_MAX).await?;
        self.read(OrderAnswer::read(whole.status, &whole.body))
    }

    /// Sends a change of entities with the signed order to make it.
    pub async fn change_entities(&self, signed: &[u8], change: &[u8]) -> Result<OrderAnswer, ClientError> {
        let body = json!({ "signed": to_base64(signed), "change": to_base64(change) });
        let whole = self.post("/v1/entities", &body, REQUEST_BYTES_MAX).await?;
        self.read(OrderAnswer::read(whole.status, &whole.body))
    }

    /// The entities in force, as the node tells them.
    pub async fn entities(&self) -> Result<Value, ClientError> {
        let body = self.get_found("/v1/entities/snapshot", ENTITIES_BYTES_MAX).await?;
        self.read(Fields::read(&body)).map(Fields::into_value)
    }

    /// Sends a gateway's statement, and who watches over the execution that it is about.
    pub async fn state(&self, statement: &[u8], watcher: Option<u32>) -> Result<StateAnswer, ClientError> {
        let mut body = Map::from_iter([("statement".to_owned(), Value::from(to_base64(statement)))]);
        body.extend(watcher.map(|pid| ("watcher".to_owned(), pid.into())));
        let whole = self.post("/v1/statements", &body.into(), SMALL_REQUEST_BYTES_MAX).await?;
        self.read(StateAnswer::read(whole.status, &whole.body))
    }

    /// Asks for the control chain, and for how the tree grew from the one of `from` entries.
    pub async fn control(&self, from: Option<u64>) -> Result<ControlPage, ClientError> {
        let query = from.map(|from| format!("?from={from}")).unwrap_or_default();
        let body = self.get_found(&format!("/v1/control{query}"), CONTROL_BYTES_MAX).await?;
        self.read(ControlPage::read(&body))
    }

    /// Follows the control chain from a tree of `from` entries on, on a connection of its own.
    pub async fn feed(&self, from: u64) -> Result<Feed, ClientError> {
        let request = self.request(Method::GET, &format!("/v1/feed?from={from}"), Bytes::new())?;
        let place = self.endpoint.to_string();
        let opening = async {
            let mut connection = self.open().await?;
            let response = match connection.ask(request).await {
                Sent::Answered(response) => response,
                Sent::Unsent(error) | Sent::Failed(error) => return Err(self.closed(&error)),
            };
            if response.status().as_u16() == 200 {
                return Feed::begin(connection, response, place.clone(), self.timeouts.silence);
            }
            let whole = self.whole(response, ANSWER_BYTES_MAX).await?;
            Err(self.refused(&whole))
        };
        self.in_time(opening).await
    }

    /// The node's status, as it tells it.
    pub async fn status(&self) -> Result<Value, ClientError> {
        let body = self.get_found("/v1/status", ANSWER_BYTES_MAX).await?;
        self.read(Fields::read(&body)).map(Fields::into_value)
    }

    /// What the node knows of a gateway.
    pub async fn gateway(&self, name: &str) -> Result<GatewayPlace, ClientError> {
        let body = self.get_found(&format!("/v1/gateways/{name}"), ANSWER_BYTES_MAX).await?;
        self.read(GatewayPlace::read(&body))
    }

    /// The evidence bundle of an entry, with the values that may be shown if `disclose`.
    pub async fn bundle(&self, index: u64, disclose: bool) -> Result<Bytes, ClientError> {
        let query = if disclose { "?disclose=1" } else { "" };
        self.get_found(&format!("/v1/entries/{index}/bundle{query}"), writ_protocol::bundle::BUNDLE_BYTES_MAX).await
    }

    /// Where an execution comes from, what it has caused and what it carries, as the node tells it.
    pub async fn lineage(&self, execution: &ExecutionId) -> Result<Value, ClientError> {
        let path = format!("/v1/executions/{execution}/lineage");
        let body = self.get_found(&path, writ_protocol::bundle::BUNDLE_BYTES_MAX).await?;
        self.read(Fields::read(&body)).map(Fields::into_value)
    }

    /// A page for people or their tools, such as `/healthz`, with its status.
    pub async fn text(&self, path: &str) -> Result<(u16, String), ClientError> {
        let whole = self.get(path, ANSWER_BYTES_MAX).await?;
        let text = String::from_utf8(whole.body.into()).map_err(|error| self.garbled(error))?;
        Ok((whole.status, text))
    }

    async fn get_found(&self, path: &str, bytes_max: usize) -> Result<Bytes, ClientError> {
        let whole = self.get(path, bytes_max).await?;
        if whole.status == 200 { Ok(whole.body) } else { Err(self.refused(&whole)) }
    }

    async fn get(&self, path: &str, bytes_max: usize) -> Result<Whole, ClientError> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        self.in_time(self.exchange(request, bytes_max)).await
    }

    async fn post(&self, path: &str, body: &Value, request_bytes_max: usize) -> Result<Whole, ClientError> {
        let body = Bytes::from(body.to_string());
        if body.len() > request_bytes_max {
            return Err(ClientError::AskedTooMuch { what: "a request", max: request_bytes_max, found: body.len() });
        }
        let mut request = self.request(Method::POST, path, body)?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        self.in_time(self.exchange(request, ANSWER_BYTES_MAX)).await
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
        let fault = |why: String| ClientError::Garbled { place: path.to_owned(), why };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.endpoint.authority())
            .header(ACCEPT, "*/*")
            .body(Full::new(body))
            .map_err(|error| fault(error.to_string()))?;
        if let Some(token) = &self.endpoint.token {
            request.headers_mut().insert(AUTHORIZATION, token.0.clone());
        }
        Ok(request)
    }

    async fn in_time<T>(&self, asking: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let within = self.timeouts.request;
        match timeout(within, asking).await {
            Ok(answered) => answered,
            Err(_) => Err(ClientError::Late { place: self.endpoint.to_string(), what: "answer", within }),
        }
    }

    /// Asks once. Only a kept connection that closed before a byte was sent leads to another, since then nobody has been asked yet.
    async fn exchange(&self, request: Request<Full<Bytes>>, bytes_max: usize) -> Result<Whole, ClientError> {
        if let Some(mut kept) = self.take_kept() {
            match kept.ask(request.clone()).await {
                Sent::Answered(response) => return self.finish(kept, response, bytes_max).await,
                Sent::Unsent(_) => {}
                Sent::Failed(error) => return Err(self.closed(&error)),
            }
        }
        let mut fresh = self.open().await?;
        match fresh.ask(request).await {
            Sent::Answered(response) => self.finish(fresh, response, bytes_max).await,
            Sent::Unsent(error) | Sent::Failed(error) => Err(self.closed(&error)),
        }
    }

    async fn finish(
        &self,
        connection: Connection,
        response: Response<Incoming>,
        bytes_max: usize,
    ) -> Result<Whole, ClientError> {
        let whole = self.whole(response, bytes_max).await?;
        self.keep(connection);
        Ok(whole)
    }

    async fn whole(&self, response: Response<Incoming>, bytes_max: usize) -> Result<Whole, ClientError> {
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.closed(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len().saturating_add(data.len()) > bytes_max {
                return Err(ClientError::TooLarge { place: self.endpoint.to_string(), max: bytes_max });
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Whole { status: head.status.as_u16(), body: bytes.into() })
    }

    async fn open(&self) -> Result<Connection, ClientError> {
        Connection::open(&self.endpoint, self.known.as_deref(), self.timeouts.connect).await
    }

    fn take_kept(&self) -> Option<Connection> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = kept.pop() {
            if connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(connection);
        }
    }

    fn read<T>(&self, read: Result<T, String>) -> Result<T, ClientError> {
        read.map_err(|why| self.garbled(why))
    }

    fn refused(&self, whole: &Whole) -> ClientError {
        match Refused::read(whole.status, &whole.body) {
            Ok(refused) => ClientError::Refused(refused),
            Err(why) => self.garbled(why),
        }
    }

    fn garbled(&self, why: impl std::fmt::Display) -> ClientError {
        ClientError::garbled(&self.endpoint.to_string(), why)
    }

    fn closed(&self, error: &hyper::Error) -> ClientError {
        let place = self.endpoint.to_string();
        if error.is_parse() && place.starts_with("http://") {
            return ClientError::garbled(&place, format!("{error} (one with TLS answers so: say https, with --ca)"));
        }
        if error.is_parse() {
            return ClientError::garbled(&place, error);
        }
        ClientError::Closed { place, why: error.to_string() }
    }
}
