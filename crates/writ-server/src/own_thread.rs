//! The thread of one of several domains: what it decides, or waits for, holds up no other.

use crate::error::ServeError;
use crate::node::NodeLimits;
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// An event loop on a thread of its own, until this goes.
pub(crate) struct OwnThread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OwnThread {
    pub(crate) fn start(number: usize) -> Result<Self, ServeError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(ServeError::Start)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            // Ends when the other side goes, whether or not it says anything.
            runtime.block_on(stopped).ok();
            // What waits for a disk that hangs must not keep the process, and with it the other domains.
            runtime.shutdown_timeout(NodeLimits::STANDARD.drain_timeout);
        };
        let thread = thread::Builder::new().name(format!("domain-{number}")).spawn(run).map_err(ServeError::Start)?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        self.stop = None;
        // What it still holds of a ledger is given back when this returns.
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
