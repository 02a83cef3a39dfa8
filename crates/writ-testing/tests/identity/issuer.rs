//! An issuer of tokens: real keys, real signatures, and its key set over HTTP on a loopback address.

use crate::site::Shown;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use writ_client::Endpoint;

pub(crate) enum Key {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    pub(crate) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// As the issuer publishes it.
    pub(crate) fn jwk(&self, id: &str, algorithm: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": algorithm, "x": text(&point[1..33]), "y": text(&point[33..]) })
            }
            Self::Ed(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "use": "sig", "alg": algorithm, "x": text(key.public_key().as_ref()) })
            }
            Self::Rsa(key) => {
                // A sequence of two numbers, the first with a zero before it: 256 bytes, then 65537.
                let der = key.public_key().as_ref();
                let (n, e) = (&der[9..265], &der[267..]);
                json!({ "kty": "RSA", "kid": id, "use": "sig", "alg": algorithm, "n": text(n), "e": text(e) })
            }
        }
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let padding: &dyn aws_lc_rs::signature::RsaEncoding =
                    if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token with this head and these claims, signed as `algorithm` says, whatever the head says.
    pub(crate) fn token(&self, algorithm: &str, head: &Value, claims: &Value) -> String {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(head), text(claims));
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Serves its key set until it is dropped.
pub(crate) struct Issuer {
    pub(crate) port: u16,
    pub(crate) asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<String>>,
    /// Held by a test for as long as the issuer is to think.
    pub(crate) thinks: Arc<Mutex<()>>,
    ended: Arc<AtomicBool>,
}

impl Issuer {
    pub(crate) fn start(keys: &[Value]) -> Self {
        Self::serving(keys, None)
    }

    /// Over TLS, with this certificate.
    pub(crate) fn over_tls(keys: &[Value], shown: &Shown) -> Self {
        let chain = CertificateDer::pem_file_iter(&shown.certificate).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(&shown.key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::serving(keys, Some(Arc::new(config)))
    }

    fn serving(keys: &[Value], tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thinks: Arc<Mutex<()>> = Arc::default();
        let issuer =
            Self { port, asked: asked.clone(), answer: Arc::default(), thinks: thinks.clone(), ended: ended.clone() };
        issuer.publishes(keys);
        let answer = issuer.answer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                asked.fetch_add(1, Ordering::SeqCst);
                drop(thinks.lock().unwrap());
                let text = answer.lock().unwrap().clone();
                let stream = stream.unwrap();
                match &tls {
                    None => answered(stream, &text),
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                        answered(rustls::StreamOwned::new(connection, stream), &text);
                    }
                }
            }
        });
        issuer
    }

    pub(crate) fn publishes(&self, keys: &[Value]) {
        self.answers("200 OK", &json!({ "keys": keys }).to_string());
    }

    pub(crate) fn answers(&self, status: &str, body: &str) {
        let length = body.len();
        *self.answer.lock().unwrap() =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
    }

    pub(crate) fn name(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn place(&self) -> String {
        format!("{}/keys", self.name())
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

fn answered(mut stream: impl Read + Write, text: &str) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            // A client that does not trust us ends the handshake.
            Ok(_) | Err(_) => return,
        }
    }
    assert!(head.starts_with(b"GET /keys HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&head));
    stream.write_all(text.as_bytes()).ok();
    stream.flush().ok();
}

/// A JSON body with one field of bytes.
pub(crate) fn body(field: &str, bytes: &[u8]) -> String {
    json!({ field: STANDARD.encode(bytes) }).to_string()
}

/// Posts JSON, with an authorization or several.
pub(crate) fn posted(
    endpoint: &Endpoint,
    shown: Option<&Shown>,
    path: &str,
    authorization: Option<&[&str]>,
    body: &str,
) -> (u16, Value) {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(authorization.unwrap_or_default().iter().map(|value| ("Authorization", *value)));
    posted_with(endpoint, shown, path, &headers, body.as_bytes())
}

/// Posts exactly these bytes with this head, over TLS, and returns status and JSON.
pub(crate) fn posted_with(
    endpoint: &Endpoint,
    shown: Option<&Shown>,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, Value) {
    let shown_text = endpoint.to_string();
    let port: u16 = shown_text.rsplit(':').next().unwrap().parse().unwrap();
    let ca = endpoint.ca().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let chain = CertificateDer::pem_file_iter(&shown.certificate).unwrap().collect::<Result<Vec<_>, _>>();
            builder.with_client_auth_cert(chain.unwrap(), PrivateKeyDer::from_pem_file(&shown.key).unwrap()).unwrap()
        }
    };
    let connection = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, stream);
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream.flush().unwrap();
    let mut reader = BufReader::new(stream);
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap();
        }
        if let Some(found) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = found.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut content = vec![0; length];
    reader.read_exact(&mut content).unwrap();
    (status, serde_json::from_slice(&content).unwrap())
}
