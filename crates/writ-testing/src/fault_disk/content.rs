//! The content of one file: what reads see, and how to get back to what is durable.

use std::collections::BTreeMap;
use std::ops::Range;

use super::fault::Chance;

/// The smallest unit that a disk writes whole.
const SECTOR_BYTES: usize = 512;
/// How many sectors a disk with 4096-byte sectors writes together.
const SECTORS_PER_BLOCK: usize = 8;
/// How many contents of an unsynced sector are remembered besides the present one.
const VERSIONS_MAX: usize = 4;

/// Invariant: `bytes` with the first version of each pending sector put back, cut to
/// `durable_len`, is the durable content. So a sync costs as much as there is to sync.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    durable_len: usize,
    pending: BTreeMap<usize, Pending>,
}

/// A sector that changed since the last sync.
#[derive(Clone, Debug)]
struct Pending {
    /// What it held before, oldest first: the first is what is durable.
    versions: Vec<Vec<u8>>,
    /// A sync of it failed. It counts as clean: no sync writes it until it is written again.
    given_up: bool,
}

impl Content {
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self { durable_len: bytes.len(), bytes, pending: BTreeMap::new() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn read(&self, offset: usize, size: usize) -> &[u8] {
        let end = offset.saturating_add(size).min(self.len());
        self.bytes.get(offset..end).unwrap_or_default()
    }

    pub(super) fn write(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        self.remember(offset..end);
        if end > self.len() {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(data);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.remember(len..self.len());
        self.bytes.resize(len, 0);
    }

    /// Whether there is something that the next sync would make durable.
    pub(super) fn is_dirty(&self) -> bool {
        self.durable_len != self.len() || self.pending.values().any(|sector| !sector.given_up)
    }

    pub(super) fn sync(&mut self) {
        self.pending.retain(|_, sector| sector.given_up);
        self.durable_len = self.len();
    }

    pub(super) fn fail_sync(&mut self) {
        for sector in self.pending.values_mut() {
            sector.given_up = true;
        }
    }

    /// Leaves what survives: without chance the durable content alone.
    pub(super) fn cut_power(&mut self, chance: Option<&mut Chance>) {
        let volatile_len = self.len();
        self.bytes.resize(volatile_len.max(self.durable_len), 0);
        let pending = std::mem::take(&mut self.pending);
        let len = match chance {
            None => {
                for (sector, before) in pending {
                    self.put_back(sector, &before.versions[0]);
                }
                self.durable_len
            }
            Some(chance) => {
                let kept_end = self.put_back_some(&pending, volatile_len, chance).min(volatile_len);
                self.surviving_len(volatile_len, kept_end, chance)
            }
        };
        self.bytes.truncate(len);
        self.durable_len = len;
    }

    fn remember(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        for sector in range.start / SECTOR_BYTES..=(range.end - 1) / SECTOR_BYTES {
            let before = self.read(sector * SECTOR_BYTES, SECTOR_BYTES).to_vec();
            let pending =
                self.pending.entry(sector).or_insert_with(|| Pending { versions: Vec::new(), given_up: false });
            pending.given_up = false;
            if pending.versions.len() < VERSIONS_MAX {
                pending.versions.push(before);
            }
        }
    }

    /// Decides sector by sector, or block by block, and returns the end of the last one that
    /// did not go back to what was durable.
    fn put_back_some(&mut self, pending: &BTreeMap<usize, Pending>, volatile_len: usize, chance: &mut Chance) -> usize {
        let together = if chance.coin() { 1 } else { SECTORS_PER_BLOCK };
        // Some cuts come just before the disk was done, others just after it began.
        let kept_of_eight = [1, 4, 7][usize::try_from(chance.below(3)).unwrap_or(0)];
        let mut kept_end = 0;
        let mut decided = None;
        let mut choice = Choice::Last;
        for (&sector, before) in pending {
            if decided != Some(sector / together) {
                decided = Some(sector / together);
                choice =
                    if chance.below(8) < kept_of_eight { Choice::Last } else { Choice::Earlier(chance.below(1 << 16)) };
            }
            if sector * SECTOR_BYTES >= volatile_len {
                // It was cut off, which is a change of the size alone: with the size that it had, its content is back.
                self.put_back(sector, &before.versions[0]);
                continue;
            }
            match choice {
                Choice::Last => kept_end = (sector + 1) * SECTOR_BYTES,
                Choice::Earlier(draw) => {
                    let version = draw % before.versions.len() as u64;
                    let version = usize::try_from(version).unwrap_or(0);
                    self.put_back(sector, &before.versions[version]);
                    if version > 0 {
                        kept_end = (sector + 1) * SECTOR_BYTES;
                    }
                }
            }
        }
        kept_end
    }

    fn put_back(&mut self, sector: usize, before: &[u8]) {
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.len());
        let Some(target) = self.bytes.get_mut(start..end) else {
            return;
        };
        target.fill(0);
        let held = before.len().min(target.len());
        target[..held].copy_from_slice(&before[..held]);
    }

    fn surviving_len(&self, volatile_len: usize, kept_end: usize, chance: &mut Chance) -> usize {
        if chance.coin() {
            return volatile_len;
        }
        if volatile_len > self.durable_len {
            // A sector beyond the old end is on the disk only with a size that covers it.
            return self.durable_len.max(kept_end);
        }
        self.durable_len
    }
}

#[derive(Clone, Copy)]
enum Choice {
    Last,
    Earlier(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survivors(content: &Content) -> Vec<u8> {
        let mut cut = content.clone();
        cut.cut_power(None);
        cut.bytes
    }

    #[test]
    fn what_is_not_synced_goes_back() {
        let mut content = Content::durable(vec![1; 2000]);
        content.write(100, &[2; 600]);
        content.write(100, &[3; 3000]);
        assert_eq!(content.len(), 3100);
        assert_eq!(survivors(&content), vec![1; 2000]);
        content.set_len(10);
        content.set_len(5000);
        assert_eq!(survivors(&content), vec![1; 2000]);
        let held = content.bytes.clone();
        content.sync();
        assert_eq!(survivors(&content), held);
    }

    /// A model with two whole copies agrees with the sectors that are put back.
    #[test]
    fn agrees_with_two_copies() {
        let mut chance = Chance::seeded(7);
        let mut content = Content::default();
        let (mut volatile, mut durable) = (Vec::new(), Vec::new());
        for round in 0..3000_u64 {
            let at = usize::try_from(chance.below(6000)).unwrap();
            match chance.below(10) {
                0 => {
                    content.sync();
                    durable.clone_from(&volatile);
                }
                1 => {
                    content.set_len(at);
                    volatile.resize(at, 0);
                }
                2 => {
                    content.cut_power(None);
                    volatile.clone_from(&durable);
                }
                _ => {
                    let data = vec![round.to_le_bytes()[0]; usize::try_from(chance.below(1500)).unwrap()];
                    content.write(at, &data);
                    volatile.resize(volatile.len().max(at + data.len()), 0);
                    volatile[at..at + data.len()].copy_from_slice(&data);
                }
            }
            assert_eq!(content.bytes, volatile, "round {round}");
            assert_eq!(survivors(&content), durable, "round {round}");
        }
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_the_next() {
        let mut content = Content::durable(vec![1; 1024]);
        content.write(0, &[2; 512]);
        content.fail_sync();
        content.sync();
        assert_eq!(content.bytes[0], 2, "reads see it");
        assert_eq!(survivors(&content), vec![1; 1024]);
        content.write(0, &[3; 512]);
        content.sync();
        assert_eq!(survivors(&content)[0], 3, "written again, it is synced");
    }

    #[test]
    fn a_truncation_survives_whole_or_not_at_all() {
        let mut seen = [false, false];
        for seed in 0..64 {
            let mut content = Content::durable(vec![1; 8 * 4096]);
            content.set_len(0);
            content.cut_power(Some(&mut Chance::seeded(seed)));
            assert!(content.bytes.iter().all(|byte| *byte == 1), "seed {seed}: a sector that nobody wrote");
            assert!(matches!(content.len(), 0 | 32_768), "seed {seed}: {} bytes", content.len());
            seen[usize::from(content.len() == 0)] = true;
        }
        assert_eq!(seen, [true, true]);
    }

    #[test]
    fn a_random_cut_keeps_old_or_new_sectors_and_nothing_else() {
        let (mut some_old, mut some_new) = (false, false);
        for seed in 0..64 {
            let mut content = Content::durable(vec![1; 8 * 4096]);
            content.write(0, &vec![2; 8 * 4096]);
            content.cut_power(Some(&mut Chance::seeded(seed)));
            for sector in content.bytes.chunks(SECTOR_BYTES) {
                assert!(sector.iter().all(|&byte| byte == sector[0]), "torn sector");
                match sector[0] {
                    1 => some_old = true,
                    2 => some_new = true,
                    other => panic!("byte {other} was never written"),
                }
            }
        }
        assert!(some_old && some_new);
    }
}
