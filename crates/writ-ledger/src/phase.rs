/// Told of each phase as it begins, on the sequencer's thread.
pub type Observer = dyn Fn(Phase) + Send;

/// The steps of a batch, in order. A crash test kills the process in each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Waiting for proposals.
    Idle = 0,
    /// Read sets are asked again, rules are judged, entries and projections are written into the open transaction.
    Write = 1,
    /// The seal is written, the root computed.
    Seal = 2,
    /// The checkpoint is signed.
    Sign = 3,
    /// The transaction is made durable.
    Commit = 4,
    /// The mark is moved.
    Mark = 5,
    /// The new head is published and answers go out.
    Publish = 6,
}

impl Phase {
    /// Every phase.
    pub const ALL: &'static [Self] =
        &[Self::Idle, Self::Write, Self::Seal, Self::Sign, Self::Commit, Self::Mark, Self::Publish];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Write => "write",
            Self::Seal => "seal",
            Self::Sign => "sign",
            Self::Commit => "commit",
            Self::Mark => "mark",
            Self::Publish => "publish",
        }
    }
}
