//! The server under test, and a client that says exactly the bytes it is given.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use writ_server::{Limits, ServeError, serve_log_within};

/// Longer than anything takes: what is still waited for then does not come.
pub(crate) const NEVER: Duration = Duration::from_secs(30);
/// Long enough for a client that behaves.
pub(crate) const SHORT: Duration = Duration::from_secs(1);
/// Longer than a client waits, so that a server that should have closed and waits for its limit is found out.
const LONGER: Duration = Duration::from_secs(300);
/// None of its limits is reached by a test that does not mean to.
pub(crate) const PATIENT: Limits =
    Limits { connections_max: 256, head_timeout: LONGER, stall_timeout: LONGER, drain_timeout: LONGER };

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    /// What the operator is told.
    pub(crate) reports: Receiver<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

pub(crate) fn serve(store: &Path, limits: Limits) -> Served {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let (stop, stopped) = oneshot::channel();
    let (report, reports) = channel();
    let store = store.to_owned();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let stopped = async { stopped.await.unwrap_or(()) };
            serve_log_within(limits, listener, &store, stopped, move |line| report.send(line).unwrap_or(())).await
        })
    };
    Served { address, reports, stop: Some(stop), thread: Some(std::thread::spawn(run)) }
}

impl Served {
    pub(crate) fn connect(&self) -> Wire {
        Wire::to(self.address).unwrap()
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, method: &str, target: &str) -> Reply {
        self.connect().ask(method, target)
    }

    pub(crate) fn get(&self, target: &str) -> Reply {
        self.ask("GET", target)
    }

    /// Tells the server to stop, and does not wait for it.
    pub(crate) fn tell_to_stop(&mut self) {
        self.stop = None;
    }

    /// How the server ended.
    pub(crate) fn end(mut self) -> Result<(), ServeError> {
        self.tell_to_stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.tell_to_stop();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// A connection.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    pub(crate) fn to(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(NEVER))?;
        stream.set_write_timeout(Some(NEVER))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn ask(&mut self, method: &str, target: &str) -> Reply {
        self.say(&format!("{method} {target} HTTP/1.1\r\nHost: ledger\r\n\r\n"));
        self.hear(method)
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.try_say(text).unwrap();
    }

    pub(crate) fn try_say(&mut self, text: &str) -> std::io::Result<()> {
        self.0.get_mut().write_all(text.as_bytes())
    }

    /// The answer to a request with that method.
    pub(crate) fn hear(&mut self, method: &str) -> Reply {
        let line = self.line();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status line: {line:?}")).parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        if method != "HEAD" {
            let length = reply.header("content-length").unwrap_or("0").parse().unwrap();
            reply.body.resize(length, 0);
            self.0.read_exact(&mut reply.body).unwrap();
        }
        reply
    }

    /// Whether there is something to hear now.
    pub(crate) fn has_answer(&mut self) -> bool {
        self.0.get_ref().set_nonblocking(true).unwrap();
        let seen = self.0.fill_buf().map(<[u8]>::len);
        self.0.get_ref().set_nonblocking(false).unwrap();
        match seen {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Everything until the server closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => rest,
            // It closed while bytes of ours were under way.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => rest,
            Err(error) => panic!("the server did not close: {error}"),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// That this is a refusal: its status, one line of text, and nothing for caches.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16) {
        let text = String::from_utf8(self.body.clone()).unwrap();
        assert_eq!(self.status, status, "{text}");
        assert!(text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
        assert_eq!(self.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }
}
