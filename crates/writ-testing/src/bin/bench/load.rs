//! A load generator for both sides: connections that are kept, each with one request under way, every answer read to its end and judged.

use super::row::percentile_ms;
use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// Where a server listens.
pub(crate) enum Place {
    Local(PathBuf),
    /// A port of this machine.
    Loopback(u16),
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl Place {
    async fn connect(&self) -> Box<dyn Stream> {
        match self {
            Self::Local(socket) => Box::new(UnixStream::connect(socket).await.unwrap()),
            Self::Loopback(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port)).await.unwrap();
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
        }
    }
}

/// What came of a round.
pub(crate) struct Round {
    pub(crate) elapsed: Duration,
    /// Of each request, ascending.
    pub(crate) latencies: Vec<Duration>,
}

impl Round {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        percentile_ms(&self.latencies, percent)
    }
}

/// A complete request over HTTP/1.1.
pub(crate) fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// Sends each request once over so many connections, and has each answer's body judged.
pub(crate) fn round(place: &Place, connections: usize, requests: Vec<Vec<u8>>, judge: fn(&[u8]) -> bool) -> Round {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (requests, next) = (Rc::new(requests), Rc::new(Cell::new(0)));
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(place.connect().await);
        }
        let begun = Instant::now();
        let tasks: Vec<_> = opened
            .into_iter()
            .map(|stream| tokio::task::spawn_local(converse(stream, requests.clone(), next.clone(), judge)))
            .collect();
        let mut latencies = Vec::with_capacity(requests.len());
        for task in tasks {
            latencies.extend(task.await.unwrap());
        }
        let elapsed = begun.elapsed();
        latencies.sort_unstable();
        Round { elapsed, latencies }
    })
}

async fn converse(
    mut stream: Box<dyn Stream>,
    requests: Rc<Vec<Vec<u8>>>,
    next: Rc<Cell<usize>>,
    judge: fn(&[u8]) -> bool,
) -> Vec<Duration> {
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut latencies = Vec::new();
    while let Some(request) = requests.get(next.replace(next.get() + 1)) {
        let begun = Instant::now();
        stream.write_all(request).await.unwrap();
        buffer.clear();
        let end = loop {
            assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0, "the server hung up");
            if let Some(end) = complete(&buffer) {
                break end;
            }
        };
        latencies.push(begun.elapsed());
        let body = &buffer[end.body..];
        assert!(end.status == 200 && judge(body), "{}", String::from_utf8_lossy(&buffer));
    }
    latencies
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    body: usize,
}

/// Where the body begins, once all of it is there.
pub(crate) fn complete(buffer: &[u8]) -> Option<Answer> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&buffer[..head]).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let length = length.expect("an answer says how long it is");
    (buffer.len() >= head + 4 + length).then_some(Answer { status, body: head + 4 })
}
