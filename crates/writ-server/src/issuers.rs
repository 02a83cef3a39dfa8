//! Fetching the keys of token issuers, when a token comes that needs them.

use crate::authority_node::AuthorityNode;
use crate::error::ServeError;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use writ_authority::JWKS_BYTES_MAX;

/// How long an issuer may take for its keys, in all. Whoever sent the token waits meanwhile.
const FETCHED_WITHIN: Duration = Duration::from_secs(5);
/// Where systems keep the CAs that they believe.
const SYSTEM_CAS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Asks issuers for their keys. By default, it knows them by the CAs of the system.
#[derive(Default)]
pub struct KeyFetcher {
    ca: Option<PathBuf>,
    /// One at a time for each address: who waits for its turn finds what the one before has fetched.
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl KeyFetcher {
    /// Knows issuers by the CAs in this PEM file, or by those of the system.
    pub fn new(ca: Option<PathBuf>) -> Result<Self, ServeError> {
        if let Some(ca) = &ca {
            connector(ca)?;
        }
        Ok(Self { ca, turns: Mutex::default() })
    }

    /// Only addresses that a policy set names come here, so there are few.
    fn turn_at(&self, place: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(place.to_owned()).or_default().clone()
    }

    async fn fetch(&self, place: &str) -> Result<Bytes, String> {
        let late = || format!("no answer came within {} s", FETCHED_WITHIN.as_secs());
        timeout(FETCHED_WITHIN, self.fetched(place)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn fetched(&self, place: &str) -> Result<Bytes, String> {
        let uri: Uri = place.parse().map_err(|_| "its address is none".to_owned())?;
        let authority = uri.authority().ok_or("its address names no host")?.clone();
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let is_plain = uri.scheme_str() == Some("http");
        let port = authority.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let reached = |error: std::io::Error| format!("{host}:{port} cannot be reached: {error}");
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(reached)?;
        if is_plain {
            return asked(stream, &uri, authority.as_str()).await;
        }
        let ca = match &self.ca {
            Some(ca) => ca.clone(),
            None => system_ca().ok_or("this system has no CAs; name some with --issuer-ca")?,
        };
        let connector = connector(&ca).map_err(|error| error.to_string())?;
        let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
        let stream = connector.connect(name, stream).await;
        let stream = stream.map_err(|error| format!("{host} has not shown that it is itself: {error}"))?;
        asked(stream, &uri, authority.as_str()).await
    }
}

async fn asked<S>(stream: S, uri: &Uri, authority: &str) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| format!("it does not speak HTTP: {error}"))?;
    // Ends with the answer, or when this is no longer waited for.
    let driving = tokio::spawn(async move {
        connection.await.ok();
    });
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder().uri(path).header(HOST, authority).header(ACCEPT, "application/json");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| format!("it gave no answer: {error}"))?;
        // Whoever answers with another place is not followed there: the set names one.
        if response.status() != StatusCode::OK {
            return Err(format!("it answered {}", response.status()));
        }
        let body = Limited::new(response.into_body(), JWKS_BYTES_MAX).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| format!("its answer is not whole: {error}"))
    };
    let answer = answer.await;
    driving.abort();
    answer
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

impl AuthorityNode {
    /// Fetches what is needed to judge this token, if it is time to. What comes of it the authority knows; whoever asks is refused by that.
    pub(crate) async fn fetch_keys_for(&self, token: &str) {
        let Some(place) = self.authority().keys_wanted(token) else { return };
        let turn = self.fetcher().turn_at(&place);
        let _turn = turn.lock().await;
        // Whoever had the turn before may have fetched them.
        let Some(place) = self.authority().keys_wanted(token) else { return };
        let answer = self.fetcher().fetch(&place).await;
        // A refusal says why there are no keys, to whoever asks and to the log.
        self.authority().keys_fetched(&place, answer.as_deref().map_err(Clone::clone)).ok();
    }
}
