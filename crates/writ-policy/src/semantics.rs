use crate::decision::DECISION_REASONS_MAX;
use std::fmt;

/// By which rules decisions are made: the engine and our wrapper of it, under one name that every decision records. A binary holds several,
/// so that what was decided under an older one is derived again exactly so (Invariant 4).
///
/// A change that could change any decision is another version here, with a file of decisions of its own in `vectors/`. What a version
/// decides is never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Semantics {
    /// A permit that more policies determine than a decision names is an evaluation error.
    Writ1,
    /// However many policies determine a permit, it is one, on the terms of them all; the decision names the first.
    Writ2,
}

impl Semantics {
    /// Every version that this binary can decide by, the oldest first.
    pub const ALL: &'static [Self] = &[Self::Writ1, Self::Writ2];

    /// What a set comes into force under.
    pub const CURRENT: Self = Self::Writ2;

    /// The name, a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writ1 => "cedar-4.14-writ-1",
            Self::Writ2 => "cedar-4.14-writ-2",
        }
    }

    /// The version of this name; nothing where this binary does not have it, and then nothing can be decided by it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == name)
    }

    /// How many policies may determine a permit; with more it is a denial. Nothing where their number makes no difference.
    pub const fn permits_max(self) -> Option<usize> {
        match self {
            Self::Writ1 => Some(DECISION_REASONS_MAX),
            Self::Writ2 => None,
        }
    }
}

impl fmt::Display for Semantics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
