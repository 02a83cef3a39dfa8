use std::fmt;
use writ_protocol::Refusal;
use writ_tlog::{LeafIndex, TreeSize};

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// SQLite finds the file damaged.
    StoreDamaged(String),
    /// Genesis is not the one that is pinned.
    OtherGenesis,
    /// An entry is not what was signed at its index.
    EntryChanged(LeafIndex),
    /// Entries are missing.
    EntryMissing {
        /// Where the first one is missing, as far as that can be told.
        at: LeafIndex,
        /// How many.
        count: u64,
    },
    /// Two entries stand in each other's place.
    EntriesSwapped(LeafIndex, LeafIndex),
    /// An entry stands where none was signed.
    EntryInserted(LeafIndex),
    /// Somewhere in a range the history is not what was signed.
    HistoryDiffers {
        /// Up to here it is.
        from: TreeSize,
        /// The next checkpoint, which it does not reach.
        until: TreeSize,
    },
    /// There is no checkpoint for what is stored.
    CheckpointMissing(TreeSize),
    /// A checkpoint is not signed by all keys that must sign it.
    CheckpointSignature {
        /// Of which size.
        size: TreeSize,
        /// What is wrong.
        refusal: Refusal,
    },
    /// A stored tile is not made of the entries.
    TileChanged {
        /// Its level.
        level: u8,
        /// Its number in the level.
        index: u64,
    },
    /// An entry stands against the rules of order, or has no known form.
    AgainstRules {
        /// Where.
        at: LeafIndex,
        /// Which rule.
        refusal: Refusal,
    },
    /// A projection does not say what the entries say.
    ProjectionChanged {
        /// Its table.
        table: &'static str,
        /// The row.
        row: String,
    },
    /// A value in the vault is not what its entry commits to.
    VaultChanged(LeafIndex),
    /// The request in the vault is not what its entry answers, or not signed by whom the entry names.
    RequestDiffers {
        /// Which entry.
        at: LeafIndex,
        /// What is wrong.
        refusal: Refusal,
    },
    /// A value is gone without an erasure.
    VaultMissing(LeafIndex),
    /// A value is there although its erasure is recorded.
    VaultNotErased(LeafIndex),
    /// The mark is missing or damaged.
    MarkUnreadable(String),
    /// The store is older than what was published.
    OlderThanMark {
        /// Entries in the store.
        store: TreeSize,
        /// Entries published.
        mark: TreeSize,
    },
    /// The history up to the mark is not the one published.
    ForkedFromMark(TreeSize),
}

impl Finding {
    /// The stable name of its kind.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StoreDamaged(_) => "store_damaged",
            Self::OtherGenesis => "other_genesis",
            Self::EntryChanged(_) => "entry_changed",
            Self::EntryMissing { .. } => "entry_missing",
            Self::EntriesSwapped(..) => "entries_swapped",
            Self::EntryInserted(_) => "entry_inserted",
            Self::HistoryDiffers { .. } => "history_differs",
            Self::CheckpointMissing(_) => "checkpoint_missing",
            Self::CheckpointSignature { .. } => "checkpoint_signature",
            Self::TileChanged { .. } => "tile_changed",
            Self::AgainstRules { .. } => "against_rules",
            Self::ProjectionChanged { .. } => "projection_changed",
            Self::VaultChanged(_) => "vault_changed",
            Self::RequestDiffers { .. } => "request_differs",
            Self::VaultMissing(_) => "vault_missing",
            Self::VaultNotErased(_) => "vault_not_erased",
            Self::MarkUnreadable(_) => "mark_unreadable",
            Self::OlderThanMark { .. } => "older_than_mark",
            Self::ForkedFromMark(_) => "forked_from_mark",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoreDamaged(what) => write!(f, "the database file is damaged: {what}"),
            Self::OtherGenesis => f.write_str("genesis is not the one that the trust root pins"),
            Self::EntryChanged(at) => write!(f, "entry {at} is not what was signed at this index"),
            Self::EntryMissing { at, count: 1 } => write!(f, "an entry is missing at or after index {at}"),
            Self::EntryMissing { at, count } => write!(f, "{count} entries are missing at or after index {at}"),
            Self::EntriesSwapped(a, b) => write!(f, "entries {a} and {b} stand in each other's place"),
            Self::EntryInserted(at) => write!(f, "entry {at} was never signed there: it was inserted"),
            Self::HistoryDiffers { from, until } => {
                write!(
                    f,
                    "the entries after {from} do not lead to the tree of {until} that was signed: one of them was changed"
                )
            }
            Self::CheckpointMissing(size) => write!(f, "there is no checkpoint for the {size} entries that are stored"),
            Self::CheckpointSignature { size, refusal } => {
                write!(f, "the checkpoint of {size} is not signed by the keys that must sign it: {refusal}")
            }
            Self::TileChanged { level, index } => write!(f, "tile {index} of level {level} is not made of the entries"),
            Self::AgainstRules { at, refusal } => write!(f, "entry {at} is against the rules: {refusal}"),
            Self::ProjectionChanged { table, row } => {
                write!(f, "the projection `{table}` does not say what the entries say: {row}")
            }
            Self::VaultChanged(at) => write!(f, "a value in the vault is not what entry {at} commits to"),
            Self::RequestDiffers { at, refusal } => {
                write!(f, "the request in the vault is not what entry {at} answers: {refusal}")
            }
            Self::VaultMissing(at) => write!(f, "a value that entry {at} commits to is gone, and no erasure says so"),
            Self::VaultNotErased(at) => {
                write!(f, "a value of entry {at} is still in the vault although its erasure is recorded")
            }
            Self::MarkUnreadable(why) => write!(f, "the high-water mark cannot be read: {why}"),
            Self::OlderThanMark { store, mark } => {
                write!(f, "the store has {store} entries, but {mark} were published: it is an older copy")
            }
            Self::ForkedFromMark(size) => write!(f, "the history up to {size} is not the one that was published"),
        }
    }
}
