use crate::error::ClientError;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// Trusts the CAs in this file and nobody else: not those of the machine, any of which could answer for the node.
pub(crate) fn connector(ca: &Path, certificate: Option<&(PathBuf, PathBuf)>) -> Result<TlsConnector, ClientError> {
    let fault = |why: &dyn std::fmt::Display| ClientError::Ca { file: ca.to_owned(), why: why.to_string() };
    let certificates = CertificateDer::pem_file_iter(ca).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = RootCertStore::empty();
    for certificate in certificates.map_err(|why| fault(&why))? {
        roots.add(certificate).map_err(|why| fault(&why))?;
    }
    if roots.is_empty() {
        return Err(fault(&"no certificate is in it"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|why| fault(&why))?
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some((file, key_file)) => {
            let (chain, key) = shown(file, key_file)?;
            builder.with_client_auth_cert(chain, key).map_err(|why| unfit(key_file, KEY, &why))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

const KEY: &str = "the private key of the certificate";

fn shown(file: &Path, key_file: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ClientError> {
    let expected = "a certificate and those between it and its CA";
    let chain = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|why| unfit(file, expected, &why))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|why| unfit(key_file, KEY, &why))?;
    Ok((chain, key))
}

fn unfit(file: &Path, expected: &'static str, why: &dyn std::fmt::Display) -> ClientError {
    ClientError::Certificate { file: file.to_owned(), expected, why: why.to_string() }
}

/// The hybrid key exchange first: what is recorded of a connection must not be readable by a quantum computer later.
fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    CryptoProvider { kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1], ..aws_lc_rs::default_provider() }
}
