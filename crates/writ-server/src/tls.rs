use crate::clients::{ClientCertificate, ClientTrust};
use crate::error::ServeError;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// How a node proves on the network that it is itself.
#[derive(Clone)]
pub struct TlsConfig {
    config: Arc<ServerConfig>,
    clients: Option<Arc<ClientTrust>>,
}

impl TlsConfig {
    /// Reads a certificate chain and its private key from PEM files.
    pub fn from_pem_files(certificates: &Path, key: &Path) -> Result<Self, ServeError> {
        Self::read(certificates, key, None)
    }

    /// The same, and asks clients for certificates too.
    pub fn with_clients(certificates: &Path, key: &Path, clients: Arc<ClientTrust>) -> Result<Self, ServeError> {
        Self::read(certificates, key, Some(clients))
    }

    fn read(certificates: &Path, key: &Path, clients: Option<Arc<ClientTrust>>) -> Result<Self, ServeError> {
        let chain = CertificateDer::pem_file_iter(certificates).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|why| fault(certificates, CHAIN, &why))?;
        if chain.is_empty() {
            return Err(fault(certificates, CHAIN, &"no certificate is in it"));
        }
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|why| fault(key, "a private key", &why))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .and_then(|builder| {
                let builder = match &clients {
                    Some(clients) => builder.with_client_cert_verifier(clients.verifier()),
                    None => builder.with_no_client_auth(),
                };
                builder.with_single_cert(chain, key_der)
            })
            .map_err(ServeError::Tls)?;
        // Connections are kept, so nothing is won by resuming one, and no state of old ones is worth stealing.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), clients })
    }

    /// Whose word is taken for who clients are.
    pub(crate) fn clients(&self) -> Option<&Arc<ClientTrust>> {
        self.clients.as_ref()
    }

    /// What the client of a finished handshake has sent.
    pub(crate) fn certificate(&self, connection: &ServerConnection) -> Option<ClientCertificate> {
        let chain = connection.peer_certificates()?;
        Some(ClientCertificate::new(chain, self.clients.clone()?))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }
}

const CHAIN: &str = "a certificate chain";

fn fault(file: &Path, expected: &'static str, why: &dyn std::fmt::Display) -> ServeError {
    ServeError::TlsFile { file: file.to_owned(), expected, why: why.to_string() }
}

/// What is recorded of a connection today must not be readable by a quantum computer later, so the hybrid exchange comes first.
pub(crate) fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    CryptoProvider { kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1], ..aws_lc_rs::default_provider() }
}
