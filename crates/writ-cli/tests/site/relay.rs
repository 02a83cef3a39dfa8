//! Somebody between gateway and node, who passes everything on and does something at one moment.
//!
//! To the node it is the relay that asks. So the number of the watcher is left out of what is passed on: the watcher is no child of the
//! relay, and which processes belong to an execution is not what is tested with it.

use super::PATIENCE;
use serde_json::Value as Json;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// When something is done. Requests are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Never.
    Never,
    /// The request is there, and the node has not seen it.
    Asked(usize),
    /// The node has answered, and nobody will get the answer.
    Answered(usize),
    /// The node has answered; the answer is passed on, as the last one of its connection.
    Told(usize),
}

type Deed = Box<dyn FnOnce() + Send>;

/// A socket that looks like the node's.
pub(crate) struct Relay {
    /// Where it is reached.
    pub(crate) socket: PathBuf,
    /// The same socket, whatever is put in the place of the other name.
    own: PathBuf,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

struct Shared {
    node: PathBuf,
    moment: Moment,
    deed: Mutex<Option<Deed>>,
    asked: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl Relay {
    pub(crate) fn begin(folder: &Path, node: &Path, moment: Moment, deed: impl FnOnce() + Send + 'static) -> Self {
        let (socket, own) = (folder.join("relay.sock"), folder.join("relay.own"));
        for name in [&socket, &own] {
            fs::remove_file(name).ok();
        }
        let listener = UnixListener::bind(&own).unwrap();
        fs::hard_link(&own, &socket).unwrap();
        let deed: Mutex<Option<Deed>> = Mutex::new(Some(Box::new(deed)));
        let (asked, over) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { node: node.to_owned(), moment, deed, asked, over });
        let serving = shared.clone();
        let listening = std::thread::spawn(move || serving.listen(&listener));
        Self { socket, own, shared, listening }
    }

    /// As an option of the program.
    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Waits until the node has answered whatever was passed on, and tells what was asked.
    pub(crate) fn end(self) -> Vec<String> {
        self.shared.over.store(true, Ordering::SeqCst);
        // Whoever waits for a connection gets one, and sees that it is over.
        UnixStream::connect(&self.own).unwrap();
        self.listening.join().unwrap();
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Shared {
    fn listen(&self, listener: &UnixListener) {
        std::thread::scope(|scope| {
            for connection in listener.incoming() {
                if self.over.load(Ordering::SeqCst) {
                    return;
                }
                let connection = connection.unwrap();
                scope.spawn(move || self.serve(&connection));
            }
        });
    }

    /// Until the client leaves, or its answer cannot be had any more: then it sees a connection that closes, as it would without us.
    fn serve(&self, client: &UnixStream) {
        let mut reader = BufReader::new(client);
        while let Some(request) = Message::read(&mut reader) {
            let number = {
                let mut asked = self.asked.lock().unwrap();
                asked.push(request.head[..request.head.find(" HTTP/").unwrap()].to_owned());
                asked.len()
            };
            self.at(Moment::Asked(number));
            let Some(mut answer) = self.ask(request.without_watcher()) else { return };
            if self.at(Moment::Answered(number)) {
                return;
            }
            let is_last = self.at(Moment::Told(number));
            if is_last {
                answer.head = answer.head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            }
            if answer.write(client).is_none() || is_last {
                return;
            }
        }
    }

    /// Whether it is the moment.
    fn at(&self, moment: Moment) -> bool {
        let is_now = self.moment == moment;
        if is_now {
            let deed = self.deed.lock().unwrap().take().unwrap();
            deed();
        }
        is_now
    }

    fn ask(&self, request: Message) -> Option<Message> {
        let node = UnixStream::connect(&self.node).ok()?;
        node.set_read_timeout(Some(PATIENCE)).unwrap();
        request.write(&node)?;
        Message::read(&mut BufReader::new(&node))
    }
}

/// One request or answer of HTTP/1.1.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    /// `None` when there is none any more.
    fn read(from: &mut impl BufRead) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if from.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let headers = head.to_ascii_lowercase();
        assert!(!headers.contains("\r\ntransfer-encoding:"), "{head}");
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length:"));
        let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
        from.read_exact(&mut body).ok()?;
        Some(Self { head, body })
    }

    fn write(&self, mut to: &UnixStream) -> Option<()> {
        to.write_all(self.head.as_bytes()).ok()?;
        to.write_all(&self.body).ok()
    }

    fn without_watcher(self) -> Self {
        if !self.head.starts_with("POST /v1/statements ") {
            return self;
        }
        let mut statement: Json = serde_json::from_slice(&self.body).unwrap();
        statement.as_object_mut().unwrap().remove("watcher");
        let body = statement.to_string().into_bytes();
        let others = self.head.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
        let head = others.collect::<Vec<_>>().join("\r\n");
        Self { head: head.replacen("\r\n", &format!("\r\ncontent-length: {}\r\n", body.len()), 1), body }
    }
}
