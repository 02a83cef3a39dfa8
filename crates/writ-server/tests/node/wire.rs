//! A node under test, and clients that say exactly the bytes they are given.

use crate::ledger::Kept;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use writ_protocol::{Code, Refusal};
use writ_server::{
    Asker, Exchange, Handler, Listeners, Log, LogFormat, Node, NodeLimits, Peer, Rate, Reply, Route, ServeError,
    StatusCode, TlsConfig, event, serve_node,
};

/// Longer than anything takes: what is still waited for then does not come.
pub(crate) const NEVER: Duration = Duration::from_secs(30);
/// Long enough for a client that behaves.
pub(crate) const SHORT: Duration = Duration::from_millis(500);
const LONGER: Duration = Duration::from_secs(300);
const ANY: Rate = Rate { per_second: 1_000_000, burst: 1_000_000 };
/// None of its limits is reached by a test that does not mean to.
pub(crate) const PATIENT: NodeLimits = NodeLimits {
    connections_max: 256,
    connections_each_max: 256,
    tries_each: ANY,
    tries_all: ANY,
    reads_each: ANY,
    followers_max: 256,
    followers_each_max: 256,
    head_timeout: LONGER,
    body_timeout: LONGER,
    bodies_bytes_max: 1 << 30,
    answer_timeout: LONGER,
    stall_timeout: LONGER,
    local_idle_timeout: LONGER,
    remote_idle_timeout: LONGER,
    alive_every: LONGER,
    drain_timeout: LONGER,
};

pub(crate) const ROUTES: &[Route] = &[
    Route::post("/v1/echo"),
    Route::post_up_to(8 * 1024 * 1024, "/v1/large"),
    Route::post("/v1/gate"),
    Route::post("/v1/panic"),
    Route::post("/v1/refuse"),
    Route::get("/v1/peer"),
    Route::post("/v1/known"),
    Route::post("/v1/stranger"),
    Route::follow("/v1/feed"),
    Route::get("/v1/gateways/{*name}"),
    Route::get("/page"),
];

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) socket: PathBuf,
    /// Says each time that somebody stands before the gate.
    pub(crate) at_gate: Receiver<()>,
    pub(crate) gate: Arc<Semaphore>,
    /// Says each time that the gate was passed, whether or not anybody is left to hear.
    pub(crate) passed: Receiver<()>,
    /// Sends events into every feed; gone when the test drops it.
    pub(crate) feeds: Receiver<mpsc::Sender<hyper::body::Bytes>>,
    pub(crate) lines: Lines,
    /// What was counted for the record.
    pub(crate) turned_away: Arc<Mutex<Vec<Code>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    _folder: tempfile::TempDir,
}

/// What the node logged.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Answering {
    at_gate: Sender<()>,
    gate: Arc<Semaphore>,
    passed: Sender<()>,
    feeds: Sender<mpsc::Sender<hyper::body::Bytes>>,
}

impl Answering {
    async fn answer(self: Arc<Self>, exchange: Exchange) -> Reply {
        match exchange.route.pattern {
            "/v1/echo" => match exchange.fields() {
                Ok(_) => Reply::bytes(StatusCode::OK, "application/json", exchange.body),
                Err(refusal) => Reply::refusal(StatusCode::BAD_REQUEST, &refusal, None),
            },
            "/v1/large" => Reply::text(StatusCode::OK, exchange.body.len().to_string()),
            "/v1/gate" => {
                self.at_gate.send(()).unwrap();
                self.gate.acquire().await.unwrap().forget();
                self.passed.send(()).ok();
                Reply::text(StatusCode::OK, "passed")
            }
            "/v1/panic" => panic!("on purpose"),
            "/v1/refuse" => {
                let refusal = Refusal::new(Code::Halted, "everything\u{1b}[2K stands still");
                Reply::refusal(StatusCode::FORBIDDEN, &refusal, Some("wait"))
            }
            "/v1/known" => Reply::text(StatusCode::OK, "known").to(Asker::Known),
            "/v1/stranger" => {
                let refusal = Refusal::new(Code::Unauthenticated, "nobody knows you");
                Reply::refusal(StatusCode::UNAUTHORIZED, &refusal, None).to(Asker::Stranger)
            }
            "/v1/peer" => Reply::text(StatusCode::OK, described(&exchange.peer)),
            "/v1/feed" => {
                let (sender, events) = mpsc::channel(64);
                sender.send(event("control", "{}")).await.unwrap();
                self.feeds.send(sender).unwrap();
                Reply::events(events)
            }
            "/v1/gateways/{*name}" => Reply::text(StatusCode::OK, exchange.parameters.join("|")),
            _ => Reply::text(StatusCode::OK, "a page\n"),
        }
    }
}

fn described(peer: &Peer) -> String {
    match peer {
        Peer::Local { uid, gid, pid, pidfd, .. } => format!("local {uid} {gid} {pid:?} {}", pidfd.is_some()),
        Peer::Remote { tls, .. } => format!("remote tls={tls}"),
    }
}

pub(crate) fn serve(kept: &Kept, limits: NodeLimits) -> Served {
    serve_with(kept, limits, None)
}

pub(crate) fn serve_with(kept: &Kept, limits: NodeLimits, tls: Option<TlsConfig>) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("node.sock");
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = channel();
    let (at_gate, gate_told) = channel();
    let (passed, passed_told) = channel();
    let (feeds, feeds_told) = channel();
    let gate = Arc::new(Semaphore::new(0));
    let lines = Lines::default();
    let turned_away: Arc<Mutex<Vec<Code>>> = Arc::default();
    let counting = turned_away.clone();
    let answering = Arc::new(Answering { at_gate, gate: gate.clone(), passed, feeds });
    let node = Node {
        store: kept.store().to_owned(),
        routes: ROUTES,
        handler: Handler::new(move |exchange| answering.clone().answer(exchange)),
        ready: Box::new(|| Err(Refusal::new(Code::LedgerUnavailable, "not yet"))),
        room: Box::new(|| Ok(())),
        turned_away: Box::new(move |code| counting.lock().unwrap().push(code)),
        metrics: Arc::new(Node::metrics(ROUTES)),
        log: Log::new(LogFormat::Json, lines.clone()).unwrap(),
        limits,
        answers_on: None,
    };
    let path = socket.clone();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listeners = Listeners::new().with_unix(&path, 0o666).await?;
            let listeners = listeners.with_tcp("127.0.0.1:0".parse().unwrap(), tls).await?;
            tell.send(listeners.tcp_address().unwrap()).unwrap();
            serve_node(listeners, node, async { stopped.await.unwrap_or(()) }).await
        })
    };
    let thread = std::thread::spawn(run);
    let address = told.recv().unwrap();
    Served {
        address,
        socket,
        at_gate: gate_told,
        gate,
        passed: passed_told,
        feeds: feeds_told,
        lines,
        turned_away,
        stop: Some(stop),
        thread: Some(thread),
        _folder: folder,
    }
}

impl Served {
    pub(crate) fn local(&self) -> Wire {
        Wire::local(&self.socket).unwrap()
    }

    pub(crate) fn remote(&self) -> Wire {
        Wire::remote(self.address).unwrap()
    }

    pub(crate) fn tell_to_stop(&mut self) {
        self.stop = None;
    }

    pub(crate) fn end(mut self) -> Result<(), ServeError> {
        self.tell_to_stop();
        self.thread.take().unwrap().join().unwrap()
    }

    /// How often a code was counted for the record.
    pub(crate) fn turned_away(&self, code: Code) -> usize {
        self.turned_away.lock().unwrap().iter().filter(|found| **found == code).count()
    }

    /// The value of one line of the metrics.
    pub(crate) fn counted(&self, series: &str) -> u64 {
        let page = self.local().ask("GET", "/metrics").text();
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {page}")).parse().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.tell_to_stop();
        self.gate.close();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

pub(crate) trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A connection.
pub(crate) struct Wire(BufReader<Box<dyn Stream>>);

impl Wire {
    pub(crate) fn local(socket: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(NEVER))?;
        stream.set_write_timeout(Some(NEVER))?;
        Ok(Self::over(stream))
    }

    pub(crate) fn remote(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self::over(plain(address)?))
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self(BufReader::new(Box::new(stream)))
    }

    pub(crate) fn ask(&mut self, method: &str, target: &str) -> Heard {
        self.say(&format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        self.hear(method)
    }

    pub(crate) fn post(&mut self, target: &str, body: &str) -> Heard {
        self.begin_post(target, body.len());
        self.say(body);
        self.hear("POST")
    }

    /// A head that announces so many bytes of JSON.
    pub(crate) fn begin_post(&mut self, target: &str, length: usize) {
        let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
        self.say(&format!("{head}Content-Length: {length}\r\n\r\n"));
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.try_say(text).unwrap();
    }

    pub(crate) fn try_say(&mut self, text: &str) -> std::io::Result<()> {
        let stream = self.0.get_mut();
        stream.write_all(text.as_bytes())?;
        stream.flush()
    }

    /// The answer to a request with that method. Of a stream, the head only.
    pub(crate) fn hear(&mut self, method: &str) -> Heard {
        let line = self.line();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status line: {line:?}")).parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut heard = Heard { status, headers, body: Vec::new() };
        if method != "HEAD" {
            let length = heard.header("content-length").unwrap_or("0").parse().unwrap();
            heard.body.resize(length, 0);
            self.0.read_exact(&mut heard.body).unwrap();
        }
        heard
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Everything until the node closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => rest,
            // It closed while bytes of ours were under way.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => rest,
            Err(error) => panic!("the node did not close: {error}"),
        }
    }
}

pub(crate) fn plain(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(NEVER))?;
    stream.set_write_timeout(Some(NEVER))?;
    Ok(stream)
}

#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// That this is a refusal of the interface.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let value: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(value["outcome"], "refused");
        assert_eq!(value["code"], code);
        assert!(value["why"].as_str().is_some_and(|why| !why.is_empty()));
    }
}
