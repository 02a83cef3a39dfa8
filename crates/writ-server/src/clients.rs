//! Certificates of clients: who is at the other end of a connection from the network.
//!
//! The handshake proves that a client has the key of the certificate that it sends. Whether somebody may be believed who signed that certificate is judged
//! again at the latest a second later and whenever a bundle has changed, so that a connection never outlives what it stands on.

use crate::error::ServeError;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use writ_authority::{Certificate, Shown, SpiffeId, is_trust_domain};
use writ_protocol::{Code, Refusal};

/// The longest chain that a client sends.
const CHAIN_MAX: usize = 8;
/// The largest bundle of a trust domain, in bytes.
const BUNDLE_BYTES_MAX: usize = 1024 * 1024;

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// It may: then it is known by it, else by what it signs.
    Asked,
    /// It must: without one that is good, there is no connection.
    Required,
}

/// Whose word is taken for who a client is.
pub struct ClientTrust {
    wanted: ClientCertificates,
    domains: Vec<TrustDomain>,
    provider: Arc<CryptoProvider>,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Counts the bundles that were put in place of others.
    generation: AtomicU64,
}

/// A trust domain, and the CAs that name its workloads: no others do.
struct TrustDomain {
    name: String,
    file: PathBuf,
    held: RwLock<Held>,
}

struct Held {
    text: Vec<u8>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientTrust {
    /// Believes the CAs in these PEM files, each about the workloads of its trust domain. The clock tells milliseconds since 1970.
    pub fn new(
        wanted: ClientCertificates,
        bundles: impl IntoIterator<Item = (String, PathBuf)>,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<Self, ServeError> {
        let provider = Arc::new(crate::tls::provider());
        let mut domains: Vec<TrustDomain> = Vec::new();
        for (name, file) in bundles {
            if !is_trust_domain(&name) || domains.iter().any(|other| other.name == name) {
                return Err(ServeError::TrustDomain(name));
            }
            let held = RwLock::new(Held::read(&file, &provider)?);
            domains.push(TrustDomain { name, file, held });
        }
        Ok(Self { wanted, domains, provider, clock: Box::new(clock), generation: AtomicU64::new(0) })
    }

    /// Reads the bundles again. One that has changed and is sound replaces the one before; else that one stays. Says what was replaced, and what
    /// could not be.
    pub fn follow(&self) -> Vec<(String, Result<(), ServeError>)> {
        let each = self.domains.iter().filter_map(|domain| {
            let changed = match Held::read(&domain.file, &self.provider) {
                Ok(found) if found.text == domain.held().text => None,
                Ok(found) => {
                    *domain.held.write().unwrap_or_else(PoisonError::into_inner) = found;
                    self.generation.fetch_add(1, Ordering::SeqCst);
                    Some(Ok(()))
                }
                Err(error) => Some(Err(error)),
            };
            changed.map(|changed| (domain.name.clone(), changed))
        });
        each.collect()
    }

    pub(crate) fn verifier(self: &Arc<Self>) -> Arc<dyn ClientCertVerifier> {
        Arc::new(Possession { algorithms: self.provider.signature_verification_algorithms, trust: self.clone() })
    }

    fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// Who holds the key of the first certificate, by the word of those who signed it.
    fn judge(&self, chain: &[CertificateDer<'_>], now_ms: u64) -> Result<Shown, Refusal> {
        let (leaf, others) = chain.split_first().ok_or_else(|| unknown("it sent no certificate"))?;
        match Certificate::read(leaf)? {
            Certificate::Key(key) => Ok(Shown::Key(key)),
            Certificate::Spiffe(id) => {
                self.vouched(&id, leaf, others, now_ms)?;
                Ok(Shown::Spiffe(id))
            }
        }
    }

    fn vouched(
        &self,
        id: &SpiffeId,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let named = self.domains.iter().find(|domain| domain.name == id.trust_domain());
        let domain =
            named.ok_or_else(|| unknown(format!("nobody is trusted to name workloads of {}", id.trust_domain())))?;
        let verifier = domain.held().verifier.clone();
        let now = UnixTime::since_unix_epoch(Duration::from_millis(now_ms));
        let verified = verifier.verify_client_cert(leaf, others, now);
        let Err(error) = verified else { return Ok(()) };
        let Error::InvalidCertificate(fault) = &error else { return Err(unsigned(id, &error)) };
        if matches!(fault, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
            let why = format!("the certificate of {id} has expired; ask for another one");
            return Err(Refusal::new(Code::Expired, why));
        }
        if matches!(fault, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) {
            let why = format!("the certificate of {id} is not valid yet; see that the clocks agree");
            return Err(Refusal::new(Code::NotYetValid, why));
        }
        Err(unsigned(id, &error))
    }
}

fn unsigned(id: &SpiffeId, error: &Error) -> Refusal {
    unknown(format!("the certificate of {id} is signed by none of the CAs of its trust domain: {error}"))
}

impl TrustDomain {
    fn held(&self) -> std::sync::RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn read(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, ServeError> {
        let fault = |why: String| ServeError::TlsFile { file: file.to_owned(), expected: "certificates of CAs", why };
        let text = std::fs::read(file).map_err(|why| fault(why.to_string()))?;
        if text.len() > BUNDLE_BYTES_MAX {
            return Err(fault(format!("it has more than {BUNDLE_BYTES_MAX} bytes")));
        }
        let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        let mut roots = RootCertStore::empty();
        for certificate in certificates.map_err(|why| fault(why.to_string()))? {
            roots.add(certificate).map_err(|why| fault(why.to_string()))?;
        }
        if roots.is_empty() {
            return Err(fault("no certificate is in it".to_owned()));
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        Ok(Self { text, verifier: verifier.map_err(|why| fault(why.to_string()))? })
    }
}

fn unknown(why: impl fmt::Display) -> Refusal {
    Refusal::new(Code::Unauthenticated, format!("the client's certificate shows nobody: {why}"))
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domains: Vec<&str> = self.domains.iter().map(|domain| domain.name.as_str()).collect();
        write!(f, "ClientTrust({:?}, {domains:?})", self.wanted)
    }
}

/// What a client has sent, and who it is by that.
#[derive(Debug)]
pub struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    trust: Arc<ClientTrust>,
    judged: Mutex<Option<Judged>>,
}

#[derive(Clone, Debug)]
struct Judged {
    generation: u64,
    at_s: u64,
    shown: Shown,
}

impl ClientCertificate {
    pub(crate) fn new(chain: &[CertificateDer<'_>], trust: Arc<ClientTrust>) -> Self {
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        Self { chain, trust, judged: Mutex::new(None) }
    }

    /// Who the client is now. Made once a second at most, and anew with each bundle.
    pub(crate) fn shown(&self) -> Shown {
        let now_ms = self.trust.now_ms();
        let (generation, at_s) = (self.trust.generation.load(Ordering::SeqCst), now_ms / 1000);
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = judged.as_ref().filter(|known| (known.generation, known.at_s) == (generation, at_s)) {
            return known.shown.clone();
        }
        let shown = self.trust.judge(&self.chain, now_ms).unwrap_or_else(Shown::Nothing);
        *judged = Some(Judged { generation, at_s, shown: shown.clone() });
        shown
    }
}

/// Sees in the handshake that the client has the key of its certificate. Where certificates are required, one that shows nobody gets no connection.
#[derive(Debug)]
struct Possession {
    algorithms: WebPkiSupportedAlgorithms,
    trust: Arc<ClientTrust>,
}

impl ClientCertVerifier for Possession {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.trust.wanted == ClientCertificates::Required
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if others.len() >= CHAIN_MAX {
            return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
        }
        if self.client_auth_mandatory() {
            let chain: Vec<_> = std::iter::once(leaf).chain(others).cloned().collect();
            let judged = self.trust.judge(&chain, self.trust.now_ms());
            judged.map_err(|_| Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
