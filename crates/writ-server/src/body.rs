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

    /// A share that grows as long as all together hold no more; strangers are refused at half of it, so that they leave room for who is known.
    pub(crate) fn share(self: &Arc<Self>, is_stranger: bool) -> Share {
        let bytes_max = if is_stranger { self.bytes_max / 2 } else { self.bytes_max };
        Share { budget: self.clone(), bytes: 0, bytes_max }
    }
}

/// Bytes of the budget, given back when it goes.
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
    bytes_max: usize,
}

impl Share {
    fn grow(&mut self, more: usize) -> Result<(), Fault> {
        let held = self.budget.held.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        self.bytes = self.bytes.saturating_add(more);
        if held > self.bytes_max { Err(Fault::TooMuchAtOnce) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bodies that are not wanted are let pass up to here; what is longer ends with its connection.
const PASSED_BYTES_MAX: u64 = 64 * 1024;

/// Lets a short body pass that nobody reads.
pub(crate) async fn drained(mut body: Incoming, within: Duration) {
    if body.size_hint().upper().is_none_or(|bytes| bytes > PASSED_BYTES_MAX) {
        return;
    }
    let passed = async { while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {} };
    timeout(within, passed).await.ok();
}

/// The whole body, and its share of the budget, which is to be kept as long as the body.
pub(crate) async fn read_body(
    body: Incoming,
    bytes_max: usize,
    within: Duration,
    share: Share,
) -> Result<(Bytes, Share), Fault> {
    // Said before anything is sent: a client that waits for leave to send is spared the sending.
    let announced = body.size_hint().lower();
    if announced > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(Fault::BodyTooLarge { max: bytes_max });
    }
    match timeout(within, collect(body, bytes_max, share)).await {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_leave_half_of_the_room_to_who_is_known() {
        let budget = Budget::new(100);
        let (mut stranger, mut other, mut known) = (budget.share(true), budget.share(true), budget.share(false));
        assert!(stranger.grow(50).is_ok());
        assert!(other.grow(1).is_err());
        assert!(known.grow(49).is_ok());
        assert!(known.grow(1).is_err());
        drop((stranger, other));
        assert!(known.grow(1).is_ok());
    }
}
