//! Whether the entries are the ones that were signed, in their order, and where not.

use super::{Finding, StoredRow};
use crate::error::LedgerError;
use crate::store::{self, sql};
use rusqlite::{Connection, OptionalExtension};
use std::collections::VecDeque;
use writ_protocol::{Refusal, TrustRoot};
use writ_tlog::{
    Hash, LeafIndex, TILE_WIDTH, TileId, Tree, TreeSize, VerifiedCheckpoint, decode_tile, leaf_hash, tile_width,
};

/// How many entries since the last good checkpoint are searched for a swap or an insertion: comparing pairs is quadratic.
const SEARCH_MAX: usize = 600;
/// How many changed entries of one tile are named one by one.
const NAMED_MAX: usize = 16;

pub(super) struct History<'a> {
    connection: &'a Connection,
    trust: &'a TrustRoot,
    /// Sizes of the stored checkpoints not yet reached, ascending.
    checkpoints: VecDeque<TreeSize>,
    newest: Option<TreeSize>,
    verified: u64,
    tree: Tree,
    /// The tree at the last checkpoint whose root it had, and the leaves since.
    good: Tree,
    since: Vec<Hash>,
    /// Stored tiles that differ from the entries; which of the two is right shows at the next checkpoint.
    suspects: Vec<(TileId, Option<Vec<Hash>>)>,
    /// A checkpoint whose root the entries do not have, to be explained once the tile it ends in is full and one more leaf is at hand.
    unexplained: Option<(TreeSize, Hash)>,
    /// The last checkpoint that was reached, and the end of the last batch.
    reached: Option<TreeSize>,
    ended: Option<TreeSize>,
    /// The last checkpoint that was reached when it ended.
    checkpoint_before: Option<TreeSize>,
    /// After the first difference every later root differs too, which would say nothing new.
    lost: bool,
    gap: bool,
}

impl<'a> History<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        trust: &'a TrustRoot,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, LedgerError> {
        let mut checkpoints = VecDeque::new();
        let mut query = connection.prepare("SELECT tile, size FROM checkpoint ORDER BY size")?;
        for row in query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))? {
            let (tile, stored) = row?;
            match u64::try_from(stored).map(TreeSize::new) {
                Ok(size) if store::tile_of(size) == tile => checkpoints.push_back(size),
                Ok(_) | Err(_) => findings.push(Finding::StoreDamaged(format!(
                    "a checkpoint of {stored} entries is kept as number {tile}, where none of that size belongs"
                ))),
            }
        }
        Ok(Self {
            connection,
            trust,
            newest: checkpoints.back().copied(),
            checkpoints,
            verified: 0,
            tree: Tree::new(),
            good: Tree::new(),
            since: Vec::new(),
            suspects: Vec::new(),
            unexplained: None,
            reached: None,
            ended: None,
            checkpoint_before: None,
            lost: false,
            gap: false,
        })
    }

    pub(super) fn read(&mut self, row: &StoredRow, findings: &mut Vec<Finding>) -> Result<(), LedgerError> {
        let expected = self.tree.size().get();
        if row.index.get() > expected && !self.gap {
            findings.push(Finding::EntryMissing { at: LeafIndex::new(expected), count: row.index.get() - expected });
            self.gap = true;
            self.lost = true;
        }
        if leaf_hash(&row.bytes) != row.hash {
            // The tree is built from the stored hashes, so that one changed entry is named alone.
            findings.push(Finding::EntryChanged(row.index));
        }
        self.tree.push(row.hash);
        self.since.push(row.hash);
        if self.unexplained.is_some_and(|(size, _)| self.tree.size() > end_of_tile(size)) {
            self.explain_what_differed(findings);
        }
        self.tiles()?;
        while self.checkpoints.front().is_some_and(|size| *size <= self.tree.size()) {
            let reached = self.checkpoints.pop_front();
            self.reached = reached;
            self.reach(reached.unwrap_or(self.tree.size()), findings)?;
        }
        Ok(())
    }

    /// A batch ends with the entry read last. The checkpoint of the batch before is superseded by this one's, unless that is of the
    /// next 256 entries: then it must have been kept.
    pub(super) fn batch_ended(&mut self, findings: &mut Vec<Finding>) {
        let size = self.tree.size();
        if let Some(before) = self.ended
            && tile_of(before) != tile_of(size)
            && self.checkpoint_before.is_none_or(|kept| kept != before)
        {
            findings.push(Finding::CheckpointMissing(before));
        }
        self.checkpoint_before = self.reached;
        self.ended = Some(size);
    }

    /// Returns how many checkpoints were verified.
    pub(super) fn finish(mut self, findings: &mut Vec<Finding>) -> Result<u64, LedgerError> {
        self.explain_what_differed(findings);
        let size = self.tree.size();
        match self.newest {
            Some(newest) if newest > size => {
                self.signature(newest, findings)?;
                if !self.gap {
                    let at = LeafIndex::new(self.good.size().get());
                    findings.push(Finding::EntryMissing { at, count: newest.get() - size.get() });
                }
            }
            Some(newest) if newest < size && !self.lost => self.beyond(newest, findings),
            Some(_) => {}
            None => findings.push(Finding::CheckpointMissing(size)),
        }
        self.tiles_too_many(findings)?;
        Ok(self.verified)
    }

    /// Entries after the newest checkpoint. A batch would have superseded a checkpoint of the same 256 entries, so what stands after one
    /// was never signed; whole batches after an earlier one have lost theirs.
    fn beyond(&self, newest: TreeSize, findings: &mut Vec<Finding>) {
        let size = self.tree.size();
        if self.ended == Some(size) && tile_of(newest) != tile_of(size) {
            findings.push(Finding::CheckpointMissing(size));
            return;
        }
        let inserted = (newest.get()..size.get()).take(NAMED_MAX);
        findings.extend(inserted.map(|index| Finding::EntryInserted(LeafIndex::new(index))));
    }

    /// Tiles that are not full yet have no business in the store.
    fn tiles_too_many(&self, findings: &mut Vec<Finding>) -> Result<(), LedgerError> {
        let mut query = self.connection.prepare("SELECT level, n FROM tile ORDER BY level, n")?;
        for row in query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))? {
            let (level, n) = row?;
            let (level, index) = (u8::try_from(level).unwrap_or(u8::MAX), u64::try_from(n).unwrap_or(u64::MAX));
            if !self.lost && tile_width(self.tree.size(), level, index) != Some(TILE_WIDTH) {
                findings.push(Finding::TileChanged { level, index });
            }
        }
        Ok(())
    }

    fn tiles(&mut self) -> Result<(), LedgerError> {
        if !self.tree.size().get().is_multiple_of(u64::from(TILE_WIDTH)) {
            return Ok(());
        }
        for (id, hashes) in self.tree.full_tiles() {
            let stored: Option<(Vec<u8>, Vec<u8>)> = self
                .connection
                .prepare_cached("SELECT root, hashes FROM tile WHERE level = ?1 AND n = ?2")?
                .query_row((i64::from(id.level), sql(id.index)), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (root, stored) = stored
                .map_or((None, None), |(root, bytes)| (Hash::from_slice(&root), decode_tile(&bytes, TILE_WIDTH).ok()));
            // The tile above is made of these roots.
            let expected = self.tree.node(8 * (id.level + 1), id.index);
            if stored.as_ref() != Some(&hashes) || root != expected {
                self.suspects.push((id, stored));
            }
        }
        self.tree.trim();
        Ok(())
    }

    fn reach(&mut self, size: TreeSize, findings: &mut Vec<Finding>) -> Result<(), LedgerError> {
        let Some(opened) = self.signature(size, findings)? else { return Ok(()) };
        if self.lost {
            return Ok(());
        }
        if size == self.tree.size() && self.tree.root() == opened.checkpoint().root {
            let wrong = self.suspects.drain(..).map(|(id, _)| id);
            findings.extend(wrong.map(|TileId { level, index, .. }| Finding::TileChanged { level, index }));
            self.good = self.tree.clone();
            self.since.clear();
        } else {
            self.lost = true;
            self.unexplained = Some((size, opened.checkpoint().root));
        }
        Ok(())
    }

    fn signature(
        &mut self,
        size: TreeSize,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<VerifiedCheckpoint>, LedgerError> {
        let note = store::checkpoint(self.connection, size)?.unwrap_or_default();
        let opened = self.trust.open_checkpoint(&note).and_then(|opened| match opened.checkpoint().size {
            found if found == size => Ok(opened),
            found => Err(Refusal::malformed(format_args!("it is a checkpoint of {found}"))),
        });
        match opened {
            Ok(opened) => {
                self.verified += 1;
                Ok(Some(opened))
            }
            Err(refusal) => {
                findings.push(Finding::CheckpointSignature { size, refusal });
                Ok(None)
            }
        }
    }

    /// Why the entries since the last good checkpoint do not have the signed root.
    fn explain_what_differed(&mut self, findings: &mut Vec<Finding>) {
        let Some((size, root)) = self.unexplained.take() else { return };
        let from = self.good.size();
        let wanted = usize::try_from(size.get() - from.get()).unwrap_or(usize::MAX);
        let signed = self.leaves_of_stored_tiles();
        let found = match signed.get(..wanted).filter(|leaves| self.root_with(leaves) == root) {
            Some(signed) => self.differences(signed),
            None if wanted <= SEARCH_MAX => self.search(wanted, &root),
            None => Vec::new(),
        };
        if found.is_empty() {
            findings.push(Finding::HistoryDiffers { from, until: size });
        }
        findings.extend(found);
    }

    /// The leaves since the last good checkpoint, as the stored tiles have them where they differ.
    fn leaves_of_stored_tiles(&self) -> Vec<Hash> {
        let mut leaves = self.since.clone();
        for (id, stored) in &self.suspects {
            let first = id.index.saturating_mul(u64::from(TILE_WIDTH));
            for (index, hash) in (first..).zip(stored.iter().flatten()) {
                let offset = index.checked_sub(self.good.size().get()).and_then(|offset| usize::try_from(offset).ok());
                if let (0, Some(place)) = (id.level, offset.and_then(|offset| leaves.get_mut(offset))) {
                    *place = *hash;
                }
            }
        }
        leaves
    }

    /// What was done to the signed leaves to get those that are stored.
    fn differences(&self, signed: &[Hash]) -> Vec<Finding> {
        let stored = self.since.get(..signed.len()).unwrap_or(&self.since);
        let differing: Vec<usize> =
            signed.iter().zip(stored).enumerate().filter(|(_, (a, b))| a != b).map(|(offset, _)| offset).collect();
        let Some(&first) = differing.first() else { return Vec::new() };
        let tail = |leaves: &[Hash], from: usize| leaves.get(from..).unwrap_or_default().to_vec();
        if let [a, b] = differing.as_slice()
            && signed.get(*a) == stored.get(*b)
            && signed.get(*b) == stored.get(*a)
        {
            return vec![Finding::EntriesSwapped(self.at(*a), self.at(*b))];
        }
        if tail(&self.since, first + 1).starts_with(&tail(signed, first)) {
            return vec![Finding::EntryInserted(self.at(first))];
        }
        if tail(signed, first + 1).starts_with(&tail(stored, first))
            || tail(stored, first).starts_with(&tail(signed, first + 1))
        {
            return vec![Finding::EntryMissing { at: self.at(first), count: 1 }];
        }
        differing.iter().take(NAMED_MAX).map(|offset| Finding::EntryChanged(self.at(*offset))).collect()
    }

    /// Without a tile to compare with: one swap or one insertion that gives the signed root.
    fn search(&self, wanted: usize, root: &Hash) -> Vec<Finding> {
        for inserted in 0..wanted {
            let mut leaves = self.since.clone();
            if inserted < leaves.len() {
                leaves.remove(inserted);
            }
            if leaves.get(..wanted).is_some_and(|leaves| self.root_with(leaves) == *root) {
                return vec![Finding::EntryInserted(self.at(inserted))];
            }
        }
        for a in 0..wanted {
            for b in a + 1..wanted {
                let mut leaves = self.since.get(..wanted).unwrap_or_default().to_vec();
                if b < leaves.len() {
                    leaves.swap(a, b);
                }
                if self.root_with(&leaves) == *root {
                    return vec![Finding::EntriesSwapped(self.at(a), self.at(b))];
                }
            }
        }
        Vec::new()
    }

    fn root_with(&self, leaves: &[Hash]) -> Hash {
        let mut tree = self.good.clone();
        for leaf in leaves {
            tree.push(*leaf);
        }
        tree.root()
    }

    fn at(&self, offset: usize) -> LeafIndex {
        LeafIndex::new(self.good.size().get() + offset as u64)
    }
}

fn tile_of(size: TreeSize) -> u64 {
    size.get() / u64::from(TILE_WIDTH)
}

fn end_of_tile(size: TreeSize) -> TreeSize {
    TreeSize::new(size.get().next_multiple_of(u64::from(TILE_WIDTH)))
}
