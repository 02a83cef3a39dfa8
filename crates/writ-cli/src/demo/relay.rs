//! Somebody between gateway and node, who lets everything pass and picks one moment: when the answer to a request for a writ comes back.

use super::node::Node;
use crate::error::CliError;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What happens to that answer.
#[derive(Clone)]
pub(super) enum Moment {
    /// It is held back for so long.
    Held(Duration),
    /// The node is killed, and then the answer arrives.
    NodeKilled(Node),
}

/// A socket that looks like the node's.
pub(super) struct Relay {
    socket: PathBuf,
    ended: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Relay {
    pub(super) fn begin(socket: &Path, node: &Path, moment: Moment) -> Result<Self, CliError> {
        let listener = UnixListener::bind(socket).map_err(CliError::file(socket))?;
        let ended = Arc::new(AtomicBool::new(false));
        let (over, node) = (ended.clone(), node.to_owned());
        let listening = std::thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(client) = connection else { return };
                if over.load(Ordering::SeqCst) {
                    return;
                }
                // A node that is gone is a connection that closes: the gateway sees what it would see without us.
                let Ok(node) = UnixStream::connect(&node) else { continue };
                let moment = moment.clone();
                std::thread::spawn(move || relay(&client, &node, &moment));
            }
        });
        Ok(Self { socket: socket.to_owned(), ended, listening: Some(listening) })
    }

    /// As an option of the program.
    pub(super) fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Whoever waits for a connection gets one, and sees that it is over.
        let woken = UnixStream::connect(&self.socket).is_ok();
        if let Some(listening) = self.listening.take().filter(|_| woken) {
            listening.join().ok();
        }
    }
}

/// Both directions of one connection, until either side closes. HTTP/1.1 asks and answers in turn, so what comes back belongs to what was asked last.
fn relay(client: &UnixStream, node: &UnixStream, moment: &Moment) {
    let asked_for_writ = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pass(client, node, |bytes| {
                if bytes.starts_with(b"POST ") || bytes.starts_with(b"GET ") {
                    asked_for_writ.store(bytes.starts_with(b"POST /v1/authorize "), Ordering::SeqCst);
                }
            });
        });
        pass(node, client, |_| {
            if asked_for_writ.swap(false, Ordering::SeqCst) {
                match moment {
                    Moment::Held(time) => std::thread::sleep(*time),
                    Moment::NodeKilled(node) => node.kill(),
                }
            }
        });
    });
}

fn pass(mut from: &UnixStream, mut to: &UnixStream, mut seen: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let Some(bytes) = buffer.get(..length) else { break };
        seen(bytes);
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // The other direction ends too; one that is closed already is closed.
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
