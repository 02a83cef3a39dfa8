//! One connection, from its first byte to its last.

use crate::answer::answer;
use crate::limits::Limits;
use crate::readers::Readers;
use crate::stall::Impatient;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// The longest head of a request, in bytes: the names of resources are short.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) readers: Arc<Readers>,
    pub(crate) report: Box<dyn Fn(String) + Send + Sync>,
    pub(crate) limits: Limits,
}

/// Answers until the client has gone, a limit is reached, or `stop` closes and the request under way is answered.
pub(crate) async fn converse(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<()>) {
    // Answers are written whole. A socket that refuses this is already gone.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let limits = shared.limits;
    let service = service_fn(|request: Request<Incoming>| {
        let shared = shared.clone();
        async move {
            let response = answer(&request, shared.readers.clone(), &*shared.report).await;
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Impatient::new(stream, limits.stall_timeout)), service);
    let mut connection = pin!(connection);
    let mut stopping = pin!(stop.changed());
    let mut told = false;
    // How a connection ended is the client's doing, and nothing to tell the operator: it could fill a disk.
    poll_fn(|cx| {
        if !told && stopping.as_mut().poll(cx).is_ready() {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    })
    .await
    .ok();
}
