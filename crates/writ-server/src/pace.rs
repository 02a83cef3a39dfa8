//! How fast a client must be: not slow with a request that it has begun, not silent for ever between two.

use crate::crowd::Guest;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Where a connection stands.
pub(crate) struct Pace {
    idle_timeout: Duration,
    head_timeout: Duration,
    guest: Arc<Guest>,
    phase: Mutex<Phase>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Between requests.
    Idle { until: Instant },
    /// Some of a head has come.
    Head { until: Instant },
    /// The rest is timed by whoever reads the body and makes the answer.
    Answering,
}

impl Pace {
    pub(crate) fn new(idle_timeout: Duration, head_timeout: Duration, guest: Arc<Guest>) -> Arc<Self> {
        let phase = Phase::Idle { until: Instant::now() + idle_timeout };
        Arc::new(Self { idle_timeout, head_timeout, guest, phase: Mutex::new(phase) })
    }

    /// The head of a request is there.
    pub(crate) fn answering(&self) {
        self.set(Phase::Answering);
    }

    /// The answer is on its way.
    pub(crate) fn answered(&self) {
        self.guest.set_busy(false);
        self.set(Phase::Idle { until: Instant::now() + self.idle_timeout });
    }

    /// Some bytes came. More of them do not buy time.
    pub(crate) fn received(&self) {
        self.guest.has_spoken();
        if let Phase::Idle { .. } = self.phase() {
            self.set(Phase::Head { until: Instant::now() + self.head_timeout });
        }
    }

    /// Some bytes went: what is left of the last answer, which may take longer than a client may be silent.
    pub(crate) fn wrote(&self) {
        if let Phase::Idle { .. } = self.phase() {
            self.answered();
        }
    }

    fn until(&self) -> Option<Instant> {
        match self.phase() {
            Phase::Idle { until } | Phase::Head { until } => Some(until),
            Phase::Answering => None,
        }
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}

/// Ready once the client is slower than its pace.
pub(crate) struct Alarm {
    pace: Arc<Pace>,
    rings: Pin<Box<Sleep>>,
}

impl Alarm {
    pub(crate) fn new(pace: Arc<Pace>) -> Self {
        Self { pace, rings: Box::pin(sleep_until(Instant::now())) }
    }

    /// To be asked after each time that the connection was polled, since that is when its phase changes.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.pace.until() else { return Poll::Pending };
        if self.rings.deadline() != until {
            self.rings.as_mut().reset(until);
        }
        self.rings.as_mut().poll(cx)
    }
}
