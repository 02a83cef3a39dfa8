use std::path::PathBuf;
use writ_protocol::Refusal;
use writ_tlog::{LeafIndex, TreeSize};

/// Why the ledger does not do what it was asked. Each message says what to do next, since a person will read it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A proposal is against the rules; nothing was recorded for it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A batch could not be made durable; nothing of it was acknowledged or published.
    #[error("the ledger could not record: {0}; nothing of this batch was acknowledged")]
    NotRecorded(String),
    /// The sequencer has stopped.
    #[error("the ledger has stopped recording: {0}; mend the cause and start again")]
    Stopped(String),
    /// Something is there where a new store was to be made.
    #[error("{} exists already; choose an empty place for a new ledger", .0.display())]
    Exists(PathBuf),
    /// There is no store.
    #[error("there is no ledger at {}; `writ init` makes one", .0.display())]
    NoStore(PathBuf),
    /// There is no such entry.
    #[error("there is no entry {0}")]
    NoEntry(LeafIndex),
    /// Another process holds the store.
    #[error("the ledger at {} is in use by another node; stop that one first", .0.display())]
    Locked(PathBuf),
    /// The store was taken over while this node was running.
    #[error("another node has taken over this store (generation {found}, ours is {ours}); this node stops")]
    Fenced {
        /// The generation in the store.
        found: i64,
        /// The generation this node began with.
        ours: i64,
    },
    /// SQLite or the file system failed.
    #[error("the store cannot be read or written: {0}")]
    Store(#[from] rusqlite::Error),
    /// A file beside the store failed.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The store contradicts itself.
    #[error("the store does not agree with itself: {0}; restore it from a good copy, then run `writ audit`")]
    Inconsistent(String),
    /// The store is of another ledger.
    #[error("the store is of the ledger `{found}`, expected `{expected}`")]
    OtherLedger {
        /// In the store.
        found: String,
        /// Asked for.
        expected: String,
    },
    /// The store has a layout this release does not know.
    #[error("the store has layout {found}, this release knows {known}; use the release that wrote it")]
    Layout {
        /// In the store.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The keys given are not those that must sign now.
    #[error(
        "the signing keys given are not the ledger's current keys; use those that genesis or the last key order names"
    )]
    WrongKeys,
    /// The mark is gone.
    #[error(
        "the high-water mark {} is missing, so nobody can tell whether this store is older than what was published; \
         restore the mark, or, if you know that the store is the newest, accept it with `writ log accept-mark`",
        .0.display()
    )]
    MarkMissing(PathBuf),
    /// The mark cannot be read.
    #[error("the high-water mark {} is damaged; restore it, or accept the store with `writ log accept-mark`", .0.display())]
    MarkDamaged(PathBuf),
    /// The store is behind the mark: an older copy was put in its place.
    #[error("the store has {store} entries, but {mark} were published: it is an older copy; restore the newest store")]
    OlderThanMark {
        /// Entries in the store.
        store: TreeSize,
        /// Entries at the mark.
        mark: TreeSize,
    },
    /// The store has another history than was published.
    #[error("the store's history up to {0} is not the one that was published; do not use it")]
    ForkedFromMark(TreeSize),
}

impl LedgerError {
    /// The refusal that a caller gets: whatever is not a refusal by a rule means that nothing can be recorded (Invariant 2).
    pub fn refusal(&self) -> Refusal {
        if let Self::Refused(refusal) = self {
            return refusal.clone();
        }
        Refusal::new(writ_protocol::Code::LedgerUnavailable, self.to_string())
    }

    pub(crate) fn file(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn inconsistent(what: impl Into<String>) -> Self {
        Self::Inconsistent(what.into())
    }
}
