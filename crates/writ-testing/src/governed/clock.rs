use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use writ_enforcer::{BootTime, Moment};

/// Both clocks of a machine, moved by the test alone. Copies show the same time.
#[derive(Clone, Debug)]
pub struct TestClock {
    wall_ms: Arc<AtomicU64>,
    boot_ms: Arc<AtomicU64>,
}

impl TestClock {
    /// A machine that was started a minute before this time.
    pub fn at(wall_ms: u64) -> Self {
        Self { wall_ms: Arc::new(AtomicU64::new(wall_ms)), boot_ms: Arc::new(AtomicU64::new(60_000)) }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    /// Both clocks at once.
    pub fn moment(&self) -> Moment {
        Moment { wall_ms: self.now_ms(), boot: self.boot() }
    }

    /// Time since boot.
    pub fn boot(&self) -> BootTime {
        BootTime(self.boot_ms.load(Ordering::SeqCst))
    }

    /// Time passes.
    pub fn pass(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.boot_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock; no time passes.
    pub fn set(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}
