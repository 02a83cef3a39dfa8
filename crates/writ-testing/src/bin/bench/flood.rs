//! What honest callers feel of a flood: p99 while so many bad requests a second arrive, beside p99 in quiet.
//!
//! The flood comes from loopback addresses of its own, as from several hosts. It is bounded: so many connections, each with one request under way at
//! most, and so many requests a second; what it really reached is told.

use super::domain::{Node, SLOTS, init};
use super::load::{complete, post};
use super::row::{Goal, ROUNDS, Row, median, percentile_ms, rehearsed};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::{Instant, sleep_until, timeout};
use writ_tlog::{Algorithm, SigningKey};

/// Bad requests a second.
const FLOOD_PER_SECOND: u32 = rehearsed(10_000, 1_000);
/// Where it comes from: so many addresses, each with so many connections; more together than a listener has.
const HOSTS: u8 = 8;
const CONNECTIONS_EACH: u32 = 48;
/// Honest callers, and how long each waits from one request to the next.
const CALLERS: u32 = 16;
const EVERY: Duration = Duration::from_millis(20);
/// One measurement.
const LASTS: Duration = Duration::from_millis(rehearsed(1500, 200));
/// Who has waited so long for an answer has none.
const NEVER: Duration = Duration::from_secs(10);

/// Bad requests.
#[derive(Clone, Copy)]
enum Bad {
    /// Over the network, with nothing that says who asks.
    Bare,
    /// In the name of a principal, with a signature that is not its own.
    Forged,
    /// Signed well, by a key that nobody has.
    Unknown,
    /// With a token of no issuer that is known.
    Token,
    /// No JSON.
    Garbage,
    /// A statement of a gateway that none has signed.
    Statement,
    /// A body that is announced as far too large.
    Oversize,
    /// Half a head, and then nothing.
    Silent,
}

impl Bad {
    const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Bare, "flood_p99_bare", "the same, requests without credentials"),
        (Self::Forged, "flood_p99_bad_signature", "the same, signatures that do not verify"),
        (Self::Unknown, "flood_p99_unknown", "the same, good signatures of unknown keys"),
        (Self::Token, "flood_p99_token", "the same, tokens of unknown issuers"),
        (Self::Garbage, "flood_p99_garbage", "the same, bodies that are no JSON"),
        (Self::Statement, "flood_p99_statement", "the same, statements that no gateway has signed"),
        (Self::Oversize, "flood_p99_oversize", "the same, bodies announced as 100 MB, each on a new connection"),
        (Self::Silent, "flood_p99_silent", "the same, connections that say half a head and wait"),
    ];

    fn bytes(self, node: &Node) -> Vec<u8> {
        let signed = |key: &SigningKey| node.ask().sign(&node.origin, key);
        let field = |name: &str, bytes: &[u8]| format!("{{\"{name}\":\"{}\"}}", STANDARD.encode(bytes)).into_bytes();
        match self {
            Self::Bare => node.bare(),
            Self::Forged => {
                let mut bytes = signed(&node.key());
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
                post("/v1/authorize", &field("signed", &bytes))
            }
            Self::Unknown => {
                let key = SigningKey::from_seed(Algorithm::Ed25519, &[9; 32]);
                post("/v1/authorize", &field("signed", &signed(&key)))
            }
            Self::Token => {
                let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
                let claims = r#"{"iss":"https://nobody.example","sub":"builder","aud":"writ","exp":4102444800}"#;
                let head = format!("Authorization: Bearer {}.{}.", part(r#"{"alg":"ES256"}"#), part(claims));
                let head = format!("{head}{}\r\nContent-Type", URL_SAFE_NO_PAD.encode([7; 64]));
                let text = String::from_utf8(node.bare()).unwrap();
                text.replacen("Content-Type", &head, 1).into_bytes()
            }
            Self::Garbage => post("/v1/authorize", &[b'#'; 1024]),
            Self::Statement => post("/v1/statements", &field("statement", &[0xa5; 256])),
            Self::Oversize => {
                let head = "POST /v1/authorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
                format!("{head}Content-Length: 100000000\r\n\r\n").into_bytes()
            }
            Self::Silent => b"POST /v1/authorize HTTP/1.1\r\nHost: loc".to_vec(),
        }
    }
}

/// The figure, with all kinds together, and one for each kind.
pub(crate) fn rows(home: &Path) -> Vec<Row> {
    let what = "p99 of 16 honest callers (local, network, a new connection each) while 10,000 bad requests/s of eight kinds arrive / in quiet";
    let mut all = Row::new("flood_p99", what, "ms", Goal::AtMost(3.0));
    let mut each = Bad::ALL.map(|(_, figure, what)| Row::new(figure, what, "ms", Goal::AtMost(3.0)));
    let dir = home.join("flood");
    init(&dir, 10, 10);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let node = Node::up_with(&dir, SLOTS, &["--listen", &format!("127.0.0.1:{port}")]);
    let mut reached: Vec<(&str, Vec<f64>)> = Vec::new();
    let mut told = |figure: &'static str, rate: f64| match reached.iter_mut().find(|(known, _)| *known == figure) {
        Some((_, rates)) => rates.push(rate),
        None => reached.push((figure, vec![rate])),
    };
    for turn in 0..=ROUNDS {
        let (quiet, _) = measured(&node, port, &[]);
        let kinds: Vec<Bad> = Bad::ALL.iter().map(|(bad, ..)| *bad).collect();
        let (flooded, rate) = measured(&node, port, &kinds);
        if turn > 0 {
            all.ours.push(percentile_ms(&flooded, 99));
            all.peer.push(percentile_ms(&quiet, 99));
            told("flood_p99", rate);
        }
        for ((bad, figure, _), row) in Bad::ALL.iter().zip(&mut each) {
            let (flooded, rate) = measured(&node, port, &[*bad]);
            if turn > 0 {
                row.ours.push(percentile_ms(&flooded, 99));
                row.peer.push(percentile_ms(&quiet, 99));
                told(figure, rate);
            }
        }
    }
    for (figure, rates) in reached {
        println!("  {figure}: {:.0} bad requests/s reached the node", median(&rates));
    }
    std::iter::once(all).chain(each).collect()
}

/// Latencies of honest callers, ascending, while these arrive, and how many a second did.
fn measured(node: &Node, port: u16, kinds: &[Bad]) -> (Vec<Duration>, f64) {
    let requests: Vec<Vec<u8>> = kinds.iter().map(|bad| bad.bytes(node)).collect();
    let (tell, told) = channel();
    let (stop, stopped) = channel::<()>();
    let flood = std::thread::spawn(move || flooded(port, &requests, &tell, &stopped));
    // Every connection of the flood has been tried once.
    told.recv().unwrap();
    let latencies = honest(node, port);
    drop(stop);
    (latencies, flood.join().unwrap())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Sends until it is told to stop. Returns how many requests a second it was.
fn flooded(
    port: u16,
    requests: &[Vec<u8>],
    tell: &std::sync::mpsc::Sender<()>,
    stopped: &std::sync::mpsc::Receiver<()>,
) -> f64 {
    let connections = u32::from(HOSTS) * CONNECTIONS_EACH;
    let every = Duration::from_secs(1) * connections / FLOOD_PER_SECOND;
    runtime().block_on(async {
        let local = tokio::task::LocalSet::new();
        let sent = Rc::new(Cell::new(0_u64));
        let begun = Instant::now();
        for number in 0..connections {
            let Some(request) = requests.get(number as usize % requests.len().max(1)).cloned() else { break };
            let host = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(number % u32::from(HOSTS)).unwrap());
            let first = begun + every * number / connections;
            local.spawn_local(floods(host, port, request, (first, every), sent.clone()));
        }
        let ended = async {
            sleep_until(begun + every * 2).await;
            tell.send(()).unwrap();
            let counted = (sent.get(), Instant::now());
            while !matches!(stopped.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected)) {
                sleep_until(Instant::now() + Duration::from_millis(5)).await;
            }
            (sent.get() - counted.0) as f64 / counted.1.elapsed().as_secs_f64()
        };
        local.run_until(ended).await
    })
}

/// One connection of the flood, made anew whenever it is closed: a request at each turn, and what comes back is read and forgotten.
async fn floods(host: Ipv4Addr, port: u16, request: Vec<u8>, (first, every): (Instant, Duration), sent: Rc<Cell<u64>>) {
    let mut stream = None;
    let mut turn = first;
    let is_silent = !request.windows(4).any(|four| four == b"\r\n\r\n");
    let mut buffer = vec![0; 16 * 1024];
    loop {
        sleep_until(turn).await;
        // Turns that were missed are lost: the flood is bounded.
        turn = (turn + every).max(Instant::now());
        // A silent one holds what it has, and comes once more.
        if is_silent {
            stream = None;
        }
        if stream.is_none() {
            stream = from(host, port).await;
        }
        sent.set(sent.get() + 1);
        let Some(open) = &mut stream else { continue };
        let heard = async {
            open.write_all(&request).await.ok()?;
            if is_silent {
                return Some(0);
            }
            open.read(&mut buffer).await.ok().filter(|read| *read > 0)
        };
        let read = timeout(NEVER, heard).await.ok().flatten();
        let is_kept = read.is_some_and(|read| !says_close(&buffer[..read]));
        if !is_kept {
            stream = None;
        }
    }
}

fn says_close(answer: &[u8]) -> bool {
    answer.windows(17).any(|found| found.eq_ignore_ascii_case(b"connection: close"))
}

/// A connection from this address of the machine, which leaves nothing behind when it ends.
async fn from(host: Ipv4Addr, port: u16) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(IpAddr::V4(host), 0)).ok()?;
    socket.set_zero_linger().ok()?;
    let stream = timeout(NEVER, socket.connect(SocketAddr::from(([127, 0, 0, 1], port)))).await.ok()?.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Callers that ask at fixed times, whether or not an answer is late: a third over the local socket, a third signed over the network, and a third signed
/// on a new connection each time. Every request must be permitted.
fn honest(node: &Node, port: u16) -> Vec<Duration> {
    let turns = u32::try_from(LASTS.as_millis() / EVERY.as_millis()).unwrap();
    let runtime = runtime();
    let mut latencies = runtime.block_on(async {
        let local = tokio::task::LocalSet::new();
        let begun = Instant::now() + Duration::from_millis(50);
        let tasks: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let requests = (0..turns).map(|_| if caller % 3 == 0 { node.bare() } else { node.signed() });
                let (requests, socket) = (requests.collect::<Vec<_>>(), node.socket());
                let first = begun + EVERY * caller / CALLERS;
                local.spawn_local(async move {
                    if caller % 3 == 0 {
                        asks(UnixStream::connect(socket).await.unwrap(), requests, first).await
                    } else if caller % 3 == 1 {
                        asks(connected(port).await, requests, first).await
                    } else {
                        let mut latencies = Vec::new();
                        for (turn, request) in (0..).zip(requests) {
                            let due = first + EVERY * turn;
                            sleep_until(due).await;
                            asks(connected(port).await, vec![request], due).await;
                            latencies.push(due.elapsed());
                        }
                        latencies
                    }
                })
            })
            .collect();
        let all = async {
            let mut latencies = Vec::new();
            for task in tasks {
                latencies.extend(task.await.unwrap());
            }
            latencies
        };
        local.run_until(all).await
    });
    latencies.sort_unstable();
    latencies
}

async fn connected(port: u16) -> TcpStream {
    let stream = timeout(NEVER, TcpStream::connect(("127.0.0.1", port))).await.expect("a connection").unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// From the moment that each request was due to its whole answer.
async fn asks(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    requests: Vec<Vec<u8>>,
    first: Instant,
) -> Vec<Duration> {
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut latencies = Vec::new();
    for (turn, request) in (0..).zip(requests) {
        let due = first + EVERY * turn;
        sleep_until(due).await;
        stream.write_all(&request).await.unwrap();
        buffer.clear();
        let answer = loop {
            let read = timeout(NEVER, stream.read_buf(&mut buffer)).await.expect("an answer").unwrap();
            assert_ne!(read, 0, "the node hung up on an honest caller");
            if let Some(answer) = complete(&buffer) {
                break answer;
            }
        };
        latencies.push(due.elapsed());
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&buffer));
    }
    latencies
}
