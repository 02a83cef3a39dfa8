//! One connection to a node: made, proved, asked once at a time.

use crate::endpoint::{Endpoint, Place, loopback};
use crate::error::ClientError;
use crate::tls;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream as Plain};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// The longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 64;

/// A connection that is ready to be asked.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Reads and writes; ends with this.
    driver: AbortHandle,
    /// The same socket, to see whether it is still open.
    probe: Plain,
}

/// What became of a request.
pub(crate) enum Sent {
    Answered(Response<Incoming>),
    /// No byte of it was sent.
    Unsent(hyper::Error),
    /// Some of it may have been.
    Failed(hyper::Error),
}

impl Connection {
    /// Connects, and makes sure that the other end may be believed to be the node, before anything is sent.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        known: Option<&[SocketAddr]>,
        within: Duration,
    ) -> Result<Self, ClientError> {
        match timeout(within, connect(endpoint, known)).await {
            Ok(connected) => connected,
            Err(_) => Err(ClientError::Late { place: endpoint.to_string(), what: "take the connection", within }),
        }
    }

    /// Whether it can be asked again. Closed, or with bytes that nobody asked for, it cannot.
    pub(crate) fn is_usable(&self) -> bool {
        let waiting = self.probe.peek(&mut [0]);
        let silent = waiting.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        silent && !self.sender.is_closed()
    }

    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Sent {
        if let Err(error) = self.sender.ready().await {
            return Sent::Unsent(error);
        }
        match self.sender.try_send_request(request).await {
            Ok(response) => Sent::Answered(response),
            Err(mut error) => match error.take_message() {
                Some(_) => Sent::Unsent(error.into_error()),
                None => Sent::Failed(error.into_error()),
            },
        }
    }

    async fn over<S>(stream: S, probe: OwnedFd, place: &str) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let made =
            Builder::new().max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await;
        let (sender, connection) =
            made.map_err(|error| ClientError::Closed { place: place.to_owned(), why: error.to_string() })?;
        let driver = tokio::spawn(async move {
            // What goes wrong is told to whoever waits for an answer.
            connection.await.ok();
        });
        Ok(Self { sender, driver: driver.abort_handle(), probe: Plain::from(probe) })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn connect(endpoint: &Endpoint, known: Option<&[SocketAddr]>) -> Result<Connection, ClientError> {
    let place = endpoint.to_string();
    let unreachable = |why| ClientError::Unreachable { place: place.clone(), why };
    match &endpoint.place {
        Place::Unix(path) => over_unix(path, endpoint, &place).await,
        Place::Http { addresses, .. } => {
            let (stream, probe) = tcp(addresses).await.map_err(unreachable)?;
            Connection::over(stream, probe, &place).await
        }
        Place::Https { host, port } => {
            let ca = endpoint.ca.as_deref().ok_or_else(|| ClientError::NoCa(place.clone()))?;
            let connector = tls::connector(ca, endpoint.certificate.as_ref())?;
            let untrusted = |why: String| ClientError::Untrusted { place: place.clone(), why };
            let name = ServerName::try_from(host.clone()).map_err(|error| untrusted(error.to_string()))?;
            let (stream, probe) = match known {
                Some(addresses) => tcp(addresses).await,
                None => tcp(&resolve(host, *port).await.map_err(unreachable)?).await,
            }
            .map_err(unreachable)?;
            let stream = connector.connect(name, stream).await.map_err(|error| untrusted(error.to_string()))?;
            Connection::over(stream, probe, &place).await
        }
    }
}

/// A socket that a process of another user has put there gets nothing, not even a request.
async fn over_unix(path: &Path, endpoint: &Endpoint, place: &str) -> Result<Connection, ClientError> {
    let unreachable = |why| ClientError::Unreachable { place: place.to_owned(), why };
    let stream = UnixStream::connect(path).await.map_err(unreachable)?;
    let found = stream.peer_cred().map_err(unreachable)?.uid();
    if !endpoint.owners.contains(&found) {
        return Err(ClientError::Impostor { place: place.to_owned(), expected: endpoint.owners.clone(), found });
    }
    let probe = stream.as_fd().try_clone_to_owned().map_err(unreachable)?;
    Connection::over(stream, probe, place).await
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match loopback(host, port) {
        Some(addresses) => Ok(addresses),
        None => Ok(lookup_host((host, port)).await?.collect()),
    }
}

async fn tcp(addresses: &[SocketAddr]) -> io::Result<(TcpStream, OwnedFd)> {
    let stream = TcpStream::connect(addresses).await?;
    stream.set_nodelay(true)?;
    let probe = stream.as_fd().try_clone_to_owned()?;
    Ok((stream, probe))
}
