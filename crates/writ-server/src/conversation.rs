//! One connection to a node, from its first byte to its last.

use crate::answer::answer;
use crate::api::advice::{is_of_protocol, status_of_protocol};
use crate::body::{Budget, drained, read_body};
use crate::content::Content;
use crate::crowd::{Guest, Seat};
use crate::domains::{Line, Met};
use crate::exchange::{Asker, Exchange, Reply, ReplyBody};
use crate::followers::{Follower, Followers};
use crate::host::{is_loopback, named_in};
use crate::log::{Level, Said};
use crate::node::Node;
use crate::openapi::openapi;
use crate::pace::{Alarm, Pace};
use crate::peer::{Crowd, Peer};
use crate::readers::Readers;
use crate::refusing::Fault;
use crate::route::{Route, find};
use crate::stall::Impatient;
use crate::strangers::Strangers;
use hyper::body::{Body, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use writ_protocol::Code;
use writ_protocol::entry::{Opinion, Would};
use writ_protocol::statement::REQUEST_CONTENT_TYPE;

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all conversations of a domain share at one listener.
#[derive(Clone)]
pub(crate) struct Conversations {
    pub(crate) node: Arc<Node>,
    /// None, where no ledger is behind it.
    pub(crate) readers: Option<Arc<Readers>>,
    pub(crate) budget: Arc<Budget>,
    /// Of the listener.
    pub(crate) strangers: Arc<Strangers>,
    pub(crate) followers: Arc<Followers>,
    pub(crate) requests: Arc<AtomicU64>,
    /// Closes when the node is told to stop.
    pub(crate) stopped: watch::Receiver<()>,
    /// Each answer that is being made holds one.
    pub(crate) under_way: mpsc::Sender<()>,
}

/// Answers until the client has gone, a limit is reached, or the node stops and the request under way is answered.
pub(crate) async fn converse<S>(stream: S, peer: Arc<Peer>, seat: &Seat, line: Line)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shared = line.front();
    let limits = shared.node.limits;
    let idle_timeout = match &*peer {
        Peer::Local { .. } => limits.local_idle_timeout,
        Peer::Remote { .. } => limits.remote_idle_timeout,
    };
    let (guest, crowd) = (seat.guest().clone(), seat.crowd());
    let pace = Pace::new(idle_timeout, limits.head_timeout, guest.clone());
    let mut alarm = Alarm::new(pace.clone());
    let stream = Impatient::paced(stream, limits.stall_timeout, pace.clone());
    let service = service_fn(|request: Request<Incoming>| {
        pace.answering();
        let turn = Turn::new(&request, peer.clone(), (crowd, guest.clone()), line.meet(&request, &guest));
        let pace = pace.clone();
        async move { Ok::<_, Infallible>(turn.respond(request).await.map(|content| content.telling(pace))) }
    });
    // Its own timer would end an idle local connection as soon as a slow head; ours tells them apart.
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut stopped = shared.stopped.clone();
    let mut stopping = pin!(stopped.changed());
    let mut leaving = pin!(seat.guest().told_to_leave());
    let mut told = false;
    // How a connection ended is the client's doing, and nothing to tell the operator: it could fill a disk.
    poll_fn(|cx| {
        if !told && stopping.as_mut().poll(cx).is_ready() {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        if connection.as_mut().poll(cx).is_ready() || leaving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        alarm.poll(cx)
    })
    .await;
}

/// One request.
struct Turn {
    id: u64,
    began: Instant,
    is_head: bool,
    is_api: bool,
    is_of_protocol: bool,
    /// By which whoever asks knows this request.
    named: Option<HeaderValue>,
    peer: Arc<Peer>,
    crowd: Crowd,
    guest: Arc<Guest>,
    /// Why it goes no further than to whoever answers for the node.
    misdirected: Option<Fault>,
    is_named: bool,
    shared: Arc<Conversations>,
}

/// Which route it was, what is answered, and why it was refused.
struct Outcome {
    route: &'static str,
    response: Response<Content>,
    refused: Option<(Code, String)>,
    would: Option<Would>,
    advice: Vec<Opinion>,
    asker: Asker,
    follower: Option<Follower>,
}

impl Outcome {
    fn of(route: &'static str, response: Response<Content>) -> Self {
        Self { route, response, refused: None, would: None, advice: Vec::new(), asker: Asker::Anybody, follower: None }
    }
}

impl Turn {
    fn new(request: &Request<Incoming>, peer: Arc<Peer>, (crowd, guest): (Crowd, Arc<Guest>), met: Met) -> Self {
        let Met { served: shared, fault: misdirected, is_named } = met;
        let path = request.uri().path();
        Self {
            id: shared.requests.fetch_add(1, Ordering::Relaxed),
            began: Instant::now(),
            is_head: *request.method() == Method::HEAD,
            is_api: path == "/v1" || path.starts_with("/v1/"),
            is_of_protocol: is_of_protocol(path),
            named: request.headers().get(REQUEST_ID).filter(|_| is_of_protocol(path)).cloned(),
            peer,
            crowd,
            guest,
            misdirected,
            is_named,
            shared,
        }
    }

    async fn respond(mut self, request: Request<Incoming>) -> Response<Content> {
        self.guest.has_asked();
        if let Err(fault) = self.may_ask(&request) {
            // What is short is let pass, so that whoever still sends it gets to read the answer.
            drained(request.into_body(), self.shared.node.limits.body_timeout).await;
            return self.turned_away(fault);
        }
        let misdirected = self.misdirected.take();
        let Outcome { route, mut response, refused, would, advice, asker, follower } =
            self.outcome(request, misdirected).await;
        self.remember(asker);
        let id = self.named.clone().unwrap_or_else(|| HeaderValue::from(self.id));
        response.headers_mut().insert(REQUEST_ID, id);
        self.record(route, response.status(), refused, would, &advice);
        *response.body_mut() = std::mem::replace(response.body_mut(), Content::none()).kept_by(follower);
        let sent = response.body().size_hint().exact().unwrap_or(0);
        self.shared.node.metrics.sent.add(0, sent);
        response
    }

    /// Whoever is not known tries so often, and everybody reads so often. Asked before anything of the request is read.
    fn may_ask(&self, request: &Request<Incoming>) -> Result<(), Fault> {
        let strangers = &self.shared.strangers;
        let reads = self.is_head || *request.method() == Method::GET;
        if !reads {
            let may = self.guest.is_known() || strangers.may_try(self.crowd);
            return if may { Ok(()) } else { Err(Fault::TriedTooOften) };
        }
        let is_watched = matches!(request.uri().path(), "/healthz" | "/readyz");
        if is_watched || strangers.may_read(self.crowd) { Ok(()) } else { Err(Fault::ReadTooOften) }
    }

    /// As many refusals as a flood has requests: each is counted, and none has a line in the log.
    fn turned_away(&self, fault: Fault) -> Response<Content> {
        let reply = self.refused(fault);
        let metrics = &self.shared.node.metrics;
        metrics.answered("", reply.status.as_u16(), self.began.elapsed());
        reply.refusal_code().into_iter().for_each(|code| metrics.refused(code));
        self.response(reply)
    }

    /// What the transport refuses. Nobody else has seen it, so it is counted here.
    fn refused(&self, fault: Fault) -> Reply {
        let counts = fault.is_turned_away();
        let reply = fault.into_reply();
        if let (true, Some(code)) = (counts, reply.refusal_code()) {
            (self.shared.node.turned_away)(code);
        }
        reply
    }

    /// What came out about who asks decides what may be asked next.
    fn remember(&self, asker: Asker) {
        match asker {
            Asker::Known => self.guest.set_known(true),
            Asker::Anybody => {}
            Asker::Stranger => {
                self.guest.set_known(false);
                if self.shared.strangers.failed(self.crowd) {
                    let peer = self.peer.to_string();
                    self.shared.node.log.line(Level::Warn, "strangers", &[("peer", Said::Text(&peer))]);
                }
                return;
            }
        }
        self.guest.was_useful();
    }

    async fn outcome(&self, request: Request<Incoming>, misdirected: Option<Fault>) -> Outcome {
        let path = request.uri().path();
        let own = match path {
            "/healthz" => Some("/healthz"),
            "/readyz" => Some("/readyz"),
            "/metrics" => Some("/metrics"),
            "/openapi.json" => Some("/openapi.json"),
            _ => None,
        };
        if let Some(route) = own {
            let reply = self.about_us(route, &request).unwrap_or_else(|fault| self.refused(fault));
            return self.outcome_of(route, reply);
        }
        if let Some(fault) = misdirected {
            return self.outcome_of("", self.refused(fault));
        }
        if let Some(readers) = &self.shared.readers
            && (path == "/checkpoint" || path.starts_with("/tile/"))
        {
            let route = if path == "/checkpoint" { "/checkpoint" } else { "/tile" };
            let report = |why: String| {
                self.shared.node.log.line(Level::Error, "ledger_unreadable", &[("why", Said::Text(&why))]);
            };
            let response = answer(&request, readers.clone(), &report).await;
            return Outcome::of(route, response);
        }
        if !self.may_name(&request) {
            return self.outcome_of("", self.refused(Fault::OtherHost));
        }
        let routes = self.shared.node.routes;
        let (route, parameters) = match find(routes, request.method(), path) {
            Ok((route, parameters)) => (route, parameters.into_iter().map(str::to_owned).collect()),
            Err(fault) => return self.outcome_of("", self.refused(fault)),
        };
        let mut follower = None;
        if route.is_followed {
            follower = self.shared.followers.one_more(self.crowd);
            if follower.is_none() {
                return self.outcome_of(route.pattern, self.refused(Fault::TooManyFollow));
            }
        }
        let reply = match self.read(route, parameters, request).await {
            Ok(exchange) => self.answer(exchange).await,
            Err(fault) => Err(fault),
        };
        let outcome = self.outcome_of(route.pattern, reply.unwrap_or_else(|fault| self.refused(fault)));
        Outcome { follower, ..outcome }
    }

    /// A page in a browser of this machine can let its own name lead here, and then ask as if it were us. The name gives it away.
    /// Over TLS the certificate already does, and no browser speaks to a local socket.
    /// Whoever has named a domain has given a name that is known here, and in clear nobody else's can be.
    fn may_name(&self, request: &Request<Incoming>) -> bool {
        match &*self.peer {
            Peer::Local { .. } | Peer::Remote { tls: true, .. } => true,
            Peer::Remote { tls: false, .. } => self.is_named || named_in(request).is_some_and(is_loopback),
        }
    }

    /// What operators and their tools ask.
    fn about_us(&self, route: &str, request: &Request<Incoming>) -> Result<Reply, Fault> {
        if *request.method() != Method::GET && !self.is_head {
            return Err(Fault::OtherMethod { allowed: "GET, HEAD".to_owned() });
        }
        if !request.body().is_end_stream() {
            return Err(Fault::BodyNotWanted);
        }
        let node = &self.shared.node;
        Ok(match route {
            "/metrics" => Reply::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", node.metrics.page()),
            "/readyz" => match (node.ready)().and_then(|()| (node.room)()) {
                Ok(()) => Reply::text(StatusCode::OK, "ready\n"),
                // Not counted among the refusals: nothing was asked for.
                Err(refusal) => Reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {refusal}\n")),
            },
            "/openapi.json" => Reply::json(StatusCode::OK, &openapi()),
            _ => Reply::text(StatusCode::OK, "alive\n"),
        })
    }

    async fn read(
        &self,
        route: &'static Route,
        parameters: Vec<String>,
        request: Request<Incoming>,
    ) -> Result<Exchange, Fault> {
        let limits = &self.shared.node.limits;
        let (head, body) = request.into_parts();
        if route.method == Method::GET && !body.is_end_stream() {
            return Err(Fault::BodyNotWanted);
        }
        // A page in a browser cannot send this type to us without asking first, and we never give it leave.
        let is_taken = |value: &HeaderValue| is_json(value) || route.takes_requests && value == REQUEST_CONTENT_TYPE;
        if route.method == Method::POST && !head.headers.get(CONTENT_TYPE).is_some_and(is_taken) {
            return Err(Fault::BodyNotJson);
        }
        let is_stranger = matches!(&*self.peer, Peer::Remote { .. }) && !self.guest.is_known();
        let share = self.shared.budget.share(is_stranger);
        let (body, share) = read_body(body, route.body_bytes_max, limits.body_timeout, share).await?;
        self.shared.node.metrics.received.add(0, u64::try_from(body.len()).unwrap_or(u64::MAX));
        Ok(Exchange {
            id: self.id,
            route,
            method: route.method.clone(),
            path: head.uri.path().to_owned(),
            parameters,
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
            body,
            peer: self.peer.clone(),
            share,
        })
    }

    /// In a task of its own: a client that leaves must not stop halfway what it asked for, and a panic must end in an answer.
    async fn answer(&self, exchange: Exchange) -> Result<Reply, Fault> {
        let answering = self.shared.node.handler.answer(exchange);
        let under_way = self.shared.under_way.clone();
        self.guest.set_busy(true);
        let answering = async move {
            let _under_way = under_way;
            answering.await
        };
        // Each of several domains answers on a thread of its own: what one decides, or waits for, holds up no other.
        let task = match &self.shared.node.answers_on {
            Some(own) => own.spawn(answering),
            None => tokio::spawn(answering),
        };
        let within = self.shared.node.limits.answer_timeout;
        match timeout(within, task).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(panicked)) => {
                let why = panicked.to_string();
                let fields = [("request", Said::Number(self.id)), ("why", Said::Text(&why))];
                self.shared.node.log.line(Level::Error, "handler_failed", &fields);
                Err(Fault::HandlerFailed)
            }
            Err(_) => Err(Fault::AnswerLate { within }),
        }
    }

    fn outcome_of(&self, route: &'static str, mut reply: Reply) -> Outcome {
        if self.is_of_protocol {
            reply.status = status_of_protocol(reply.status);
        }
        let refused = reply.refused.as_ref().map(|refusal| (refusal.code(), refusal.why().to_owned()));
        let (would, advice, asker) = (reply.would, std::mem::take(&mut reply.advice), reply.asker);
        Outcome { refused, would, advice, asker, ..Outcome::of(route, self.response(reply)) }
    }

    fn response(&self, reply: Reply) -> Response<Content> {
        // Whoever asked for a path that is none of the interface is a person, or looks like one.
        let plain = reply.is_json() && !self.is_api && reply.refusal_code().is_some();
        let (content_type, body) = match (&reply.refused, reply.body) {
            (Some(refusal), _) if plain => {
                ("text/plain; charset=utf-8", ReplyBody::Whole(format!("{}\n", refusal.why()).into()))
            }
            (_, body) => (reply.content_type, body),
        };
        let mut response = Response::new(Content::none());
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        for (name, value) in reply.headers {
            headers.insert(name, value);
        }
        let content = match body {
            ReplyBody::Whole(bytes) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                Content::whole(bytes)
            }
            ReplyBody::Events(events) => {
                Content::events(events, self.shared.stopped.clone(), self.shared.node.limits.alive_every)
            }
        };
        if !self.is_head {
            *response.body_mut() = content;
        }
        response
    }

    fn record(
        &self,
        route: &'static str,
        status: StatusCode,
        refused: Option<(Code, String)>,
        would: Option<Would>,
        advice: &[Opinion],
    ) {
        let (metrics, log) = (&self.shared.node.metrics, &self.shared.node.log);
        let took: Duration = self.began.elapsed();
        metrics.answered(route, status.as_u16(), took);
        let peer = self.peer.to_string();
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut fields = vec![
            ("request", Said::Number(self.id)),
            ("route", Said::Text(if route.is_empty() { "other" } else { route })),
            ("status", Said::Number(status.as_u16().into())),
            ("us", Said::Number(took_us)),
            ("peer", Said::Text(&peer)),
        ];
        if let Some((code, why)) = &refused {
            metrics.refused(*code);
            fields.extend([("code", Said::Text(code.as_str())), ("why", Said::Text(why))]);
        }
        if let Some(would) = would {
            metrics.shadowed(would);
            fields.push(("would", Said::Text(would.as_str())));
        }
        advice.iter().for_each(|opinion| metrics.advised(*opinion));
        if let [opinion] = advice {
            fields.push(("advised", Said::Text(opinion.as_str())));
        }
        log.line(Level::Info, "request", &fields);
    }
}

/// `application/json`, with or without saying that it is UTF-8.
fn is_json(value: &HeaderValue) -> bool {
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let (kind, parameter) = text.split_once(';').unwrap_or((&text, ""));
    kind.trim() == "application/json" && matches!(parameter.trim(), "" | "charset=utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_from_other_types() {
        for (text, is) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json;charset=utf-8", true),
            ("application/json; charset=latin1", false),
            ("application/jsonp", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(is_json(&HeaderValue::from_static(text)), is, "{text}");
        }
    }
}
