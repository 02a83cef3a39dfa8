use crate::followers::Follower;
use crate::pace::Pace;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep};

/// A line that says nothing, so that a client sees that we are there and we that it is.
const ALIVE: &[u8] = b": alive\n\n";

/// The body of an answer.
pub(crate) struct Content {
    part: Part,
    answering: Option<Answering>,
    /// A place among those who follow, kept as long as this.
    _follower: Option<Follower>,
}

enum Part {
    Nothing,
    Whole(Bytes),
    Events(Box<Events>),
}

/// Events as they come, until there are no more or the server stops.
struct Events {
    chunks: mpsc::Receiver<Bytes>,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    alive: Pin<Box<Sleep>>,
    alive_every: Duration,
}

/// Once the body is gone, the connection waits for the next request.
struct Answering(Arc<Pace>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered();
    }
}

impl Content {
    pub(crate) fn none() -> Self {
        Self { part: Part::Nothing, answering: None, _follower: None }
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { part: Part::Whole(bytes), answering: None, _follower: None }
    }

    pub(crate) fn events(chunks: mpsc::Receiver<Bytes>, mut stop: watch::Receiver<()>, alive_every: Duration) -> Self {
        let stop = Box::pin(async move {
            // Nobody ever sends: it changes by being closed.
            stop.changed().await.ok();
        });
        let events = Events { chunks, stop, alive: Box::pin(sleep(alive_every)), alive_every };
        Self { part: Part::Events(Box::new(events)), answering: None, _follower: None }
    }

    /// Has a place among those who follow.
    pub(crate) fn kept_by(self, follower: Option<Follower>) -> Self {
        Self { _follower: follower, ..self }
    }

    /// Says when it is gone.
    pub(crate) fn telling(mut self, pace: Arc<Pace>) -> Self {
        self.answering = Some(Answering(pace));
        self
    }
}

impl Events {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(chunk) = self.chunks.poll_recv(cx) {
            self.alive.as_mut().reset(Instant::now() + self.alive_every);
            return Poll::Ready(chunk);
        }
        if self.alive.as_mut().poll(cx).is_ready() {
            self.alive.as_mut().reset(Instant::now() + self.alive_every);
            return Poll::Ready(Some(Bytes::from_static(ALIVE)));
        }
        Poll::Pending
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let chunk = match &mut this.part {
            Part::Nothing => Poll::Ready(None),
            Part::Whole(bytes) => Poll::Ready(Some(std::mem::take(bytes))),
            Part::Events(events) => events.poll(cx),
        };
        let ended = matches!(this.part, Part::Whole(_)) || matches!(chunk, Poll::Ready(None));
        if ended {
            this.part = Part::Nothing;
        }
        chunk.map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.part, Part::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.part {
            Part::Nothing => SizeHint::with_exact(0),
            Part::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Part::Events(_) => SizeHint::default(),
        }
    }
}
