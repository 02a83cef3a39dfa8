//! Asking others over HTTP: issuers for their keys, and whoever is told of holds. One connection for each question, over TLS but for a loopback address, and
//! never to where an answer leads.

use crate::error::ServeError;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where systems keep the CAs that they believe.
const SYSTEM_CAS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What is sent.
pub(crate) struct Message {
    pub(crate) method: Method,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// Whom it believes that others are who they say.
#[derive(Default)]
pub(crate) struct Outgoing {
    ca: Option<PathBuf>,
}

impl Outgoing {
    /// The CAs in this PEM file, or those of the system.
    pub(crate) fn new(ca: Option<PathBuf>) -> Result<Self, ServeError> {
        if let Some(ca) = &ca {
            connector(ca)?;
        }
        Ok(Self { ca })
    }

    /// Sends it there, and returns the body of an answer that is a success and has so many bytes at most.
    pub(crate) async fn send(&self, place: &str, message: Message, answer_max: usize) -> Result<Bytes, String> {
        let uri: Uri = place.parse().map_err(|_| "its address is none".to_owned())?;
        let authority = uri.authority().ok_or("its address names no host")?.clone();
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let is_plain = uri.scheme_str() == Some("http");
        let port = authority.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let reached = |error: std::io::Error| format!("{host}:{port} cannot be reached: {error}");
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(reached)?;
        if is_plain {
            return sent(stream, &uri, authority.as_str(), message, answer_max).await;
        }
        let ca = match &self.ca {
            Some(ca) => ca.clone(),
            None => system_ca().ok_or("this system has no CAs; name some in a file")?,
        };
        let connector = connector(&ca).map_err(|error| error.to_string())?;
        let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
        let stream = connector.connect(name, stream).await;
        let stream = stream.map_err(|error| format!("{host} has not shown that it is itself: {error}"))?;
        sent(stream, &uri, authority.as_str(), message, answer_max).await
    }
}

async fn sent<S>(stream: S, uri: &Uri, authority: &str, message: Message, answer_max: usize) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| format!("it does not speak HTTP: {error}"))?;
    // Ends with the answer, or when this is no longer waited for.
    let driving = Driving(tokio::spawn(async move {
        connection.await.ok();
    }));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(message.method).uri(path).header(HOST, authority);
    for (name, value) in message.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(message.body)).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| format!("it gave no answer: {error}"))?;
    // Whoever answers with another place is not followed there: whoever set this up named one.
    if !response.status().is_success() {
        return Err(format!("it answered {}", response.status()));
    }
    let body = Limited::new(response.into_body(), answer_max).collect().await;
    drop(driving);
    body.map(|body| body.to_bytes()).map_err(|error| format!("its answer is not whole: {error}"))
}

struct Driving(tokio::task::JoinHandle<()>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn system_ca() -> Option<PathBuf> {
    SYSTEM_CAS.iter().map(PathBuf::from).find(|path| path.exists())
}

fn connector(ca: &Path) -> Result<TlsConnector, ServeError> {
    let fault = |why: String| ServeError::TlsFile { file: ca.to_owned(), expected: "certificates of CAs", why };
    let certificates = CertificateDer::pem_file_iter(ca).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = RootCertStore::empty();
    // A system's own list may have some that this library does not take.
    roots.add_parsable_certificates(certificates.map_err(|why| fault(why.to_string()))?);
    if roots.is_empty() {
        return Err(fault("no certificate is in it".to_owned()));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(crate::tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(ServeError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
