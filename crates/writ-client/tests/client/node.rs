//! Something that answers like a node, or not: it says exactly the bytes it is given.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;
use writ_client::Endpoint;

pub(crate) trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A request that came in, with its connection's number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) connection: usize,
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

/// What is done for one request.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Says these bytes, and waits for the next request.
    Say(Vec<u8>),
    /// Says these bytes, and closes.
    SayAndClose(Vec<u8>),
    /// Says these bytes, and nothing more until the client goes.
    SayAndHang(Vec<u8>),
    /// Says these bytes over and over until the client goes.
    SayForEver(Vec<u8>),
}

pub(crate) struct FakeNode {
    pub(crate) endpoint: Endpoint,
    pub(crate) requests: Receiver<Request>,
    pub(crate) folder: tempfile::TempDir,
}

/// For each connection in turn, what is said to its requests; after the last, it closes.
pub(crate) fn local(script: Vec<Vec<Step>>) -> FakeNode {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (told, requests) = channel();
    spawn(move || {
        for (connection, steps) in script.into_iter().enumerate() {
            let stream = listener.accept().unwrap().0;
            let told = told.clone();
            spawn(move || talk(Box::new(stream), connection, steps, &told));
        }
    });
    FakeNode { endpoint: Endpoint::unix(&path), requests, folder }
}

pub(crate) fn remote(script: Vec<Vec<Step>>) -> FakeNode {
    let (listener, address) = listen();
    let (told, requests) = channel();
    spawn(move || {
        for (connection, steps) in script.into_iter().enumerate() {
            let stream = listener.accept().unwrap().0;
            let told = told.clone();
            spawn(move || talk(Box::new(stream), connection, steps, &told));
        }
    });
    let endpoint = Endpoint::parse(&format!("http://{address}")).unwrap();
    FakeNode { endpoint, requests, folder: tempfile::tempdir().unwrap() }
}

/// Over TLS, as `localhost`, with a certificate that is its own CA, in `ca.pem`.
pub(crate) fn secret(script: Vec<Vec<Step>>) -> FakeNode {
    let (listener, address) = listen();
    let (told, requests) = channel();
    let folder = tempfile::tempdir().unwrap();
    let config = Arc::new(certified(&folder.path().join("ca.pem")));
    spawn(move || {
        for (connection, steps) in script.into_iter().enumerate() {
            let stream = listener.accept().unwrap().0;
            let tls = rustls::ServerConnection::new(config.clone()).unwrap();
            let told = told.clone();
            spawn(move || talk(Box::new(rustls::StreamOwned::new(tls, stream)), connection, steps, &told));
        }
    });
    let endpoint = Endpoint::parse(&format!("https://localhost:{}", address.port())).unwrap();
    FakeNode { endpoint, requests, folder }
}

pub(crate) fn certified(ca: &Path) -> rustls::ServerConfig {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(ca, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    // As a node does: bytes that come by themselves are a reason not to use a connection again.
    config.send_tls13_tickets = 0;
    config
}

impl FakeNode {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn talk(stream: Box<dyn Stream>, connection: usize, steps: Vec<Step>, told: &Sender<Request>) {
    let mut stream = BufReader::new(stream);
    for step in steps {
        let Some(request) = hear(&mut stream, connection) else { return };
        told.send(request).ok();
        let out = stream.get_mut();
        match step {
            Step::Say(bytes) => out.write_all(&bytes).and_then(|()| out.flush()).unwrap_or(()),
            Step::SayAndClose(bytes) => {
                out.write_all(&bytes).and_then(|()| out.flush()).ok();
                return;
            }
            Step::SayAndHang(bytes) => {
                out.write_all(&bytes).and_then(|()| out.flush()).ok();
                stream.read_to_end(&mut Vec::new()).ok();
                return;
            }
            Step::SayForEver(bytes) => {
                while out.write_all(&bytes).and_then(|()| out.flush()).is_ok() {}
                return;
            }
        }
    }
}

fn hear(stream: &mut BufReader<Box<dyn Stream>>, connection: usize) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        if header.trim_end().is_empty() {
            break;
        }
        headers.push(header.trim_end().to_ascii_lowercase());
    }
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(Request { connection, line: line.trim_end().to_owned(), headers, body: String::from_utf8(body).unwrap() })
}

/// An answer with a length.
pub(crate) fn answer(status: u16, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n");
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
