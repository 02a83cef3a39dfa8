//! Reading the body of a request: whole, bounded, and soon.

use crate::refusing::Fault;
use hyper::body::{Body, Bytes, Incoming};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// What all bodies together may hold. Without it, a few hundred clients with large bodies could take all memory.
pub(crate) struct Budget {
    bytes_max: usize,
    held: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, held: AtomicUsize::new(0) })
    }
}

/// Bytes of the budget, given back when it goes.
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    fn of(budget: &Arc<Budget>) -> Self {
        Self { budget: budget.clone(), bytes: 0 }
    }

    fn grow(&mut self, more: usize) -> Result<(), Fault> {
        let held = self.budget.held.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        self.bytes = self.bytes.saturating_add(more);
        if held > self.budget.bytes_max { Err(Fault::TooMuchAtOnce) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The whole body, and its share of the budget, which is to be kept as long as the body.
pub(crate) async fn read_body(
    body: Incoming,
    bytes_max: usize,
    within: Duration,
    budget: &Arc<Budget>,
) -> Result<(Bytes, Share), Fault> {
    // Said before anything is sent: a client that waits for leave to send is spared the sending.
    let announced = body.size_hint().lower();
    if announced > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(Fault::BodyTooLarge { max: bytes_max });
    }
    match timeout(within, collect(body, bytes_max, Share::of(budget))).await {
        Ok(read) => read,
        Err(_) => Err(Fault::BodyLate { within }),
    }
}

async fn collect(mut body: Incoming, bytes_max: usize, mut share: Share) -> Result<(Bytes, Share), Fault> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Fault::BodyBroken)?;
        // Trailers say nothing that we read.
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len().saturating_add(data.len()) > bytes_max {
            return Err(Fault::BodyTooLarge { max: bytes_max });
        }
        share.grow(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.into(), share))
}
