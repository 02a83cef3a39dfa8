use writ_protocol::{Code, Refusal};

/// How far the clock of a gateway may be from authenticated time.
pub const CLOCK_TOLERANCE_MS: u64 = 5_000;

/// Milliseconds since boot, sleep included (`CLOCK_BOOTTIME`): it is never set, so ages are measured with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(pub u64);

impl BootTime {
    /// Milliseconds from `earlier` until this.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One moment on both clocks of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970, by a clock that can be set.
    pub wall_ms: u64,
    /// Milliseconds since boot.
    pub boot: BootTime,
}

impl Moment {
    /// The wall clock must agree with a time that the ledger has signed and that was true at some moment from `sent` until this one.
    pub(crate) fn agrees(self, signed_ms: u64, sent: BootTime) -> Result<(), Refusal> {
        let earliest = signed_ms.saturating_sub(CLOCK_TOLERANCE_MS);
        let latest = signed_ms.saturating_add(self.boot.since(sent)).saturating_add(CLOCK_TOLERANCE_MS);
        if (earliest..=latest).contains(&self.wall_ms) {
            return Ok(());
        }
        let (here, there) = (self.wall_ms, signed_ms);
        Err(Refusal::new(
            Code::ClockUntrusted,
            format!("this machine's clock says {here} ms, the ledger signed {there} ms just now; set the clock right"),
        ))
    }
}
