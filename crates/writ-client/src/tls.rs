use crate::error::ClientError;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// Trusts the CAs in this file and nobody else: not those of the machine, any of which could answer for the node.
pub(crate) fn connector(ca: &Path) -> Result<TlsConnector, ClientError> {
    let fault = |why: &dyn std::fmt::Display| ClientError::Ca { file: ca.to_owned(), why: why.to_string() };
    let certificates = CertificateDer::pem_file_iter(ca).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = RootCertStore::empty();
    for certificate in certificates.map_err(|why| fault(&why))? {
        roots.add(certificate).map_err(|why| fault(&why))?;
    }
    if roots.is_empty() {
        return Err(fault(&"no certificate is in it"));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|why| fault(&why))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The hybrid key exchange first: what is recorded of a connection must not be readable by a quantum computer later.
fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    CryptoProvider { kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1], ..aws_lc_rs::default_provider() }
}
