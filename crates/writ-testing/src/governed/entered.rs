use std::path::Path;
use writ_authority::{Replay, replay};
use writ_ledger::audit::Finding;
use writ_ledger::{Place, Reader};
use writ_protocol::{Body, TrustRoot};
use writ_tlog::{Hash, LeafIndex};

/// An entry that was read back.
#[derive(Clone, Debug)]
pub struct Entered {
    /// Where it stands.
    pub index: u64,
    /// Its entry hash.
    pub hash: Hash,
    /// What it says.
    pub body: Body,
}

/// Every entry of a store.
///
/// # Panics
/// If one cannot be read.
pub fn entered(store: &Path) -> Vec<Entered> {
    let reader = Reader::open(store).unwrap();
    let size = reader.view().unwrap().size().get();
    (0..size)
        .map(|index| {
            let stored = reader.entry(LeafIndex::new(index)).unwrap().unwrap();
            let body = stored.decode(reader.origin()).unwrap().body;
            Entered { index, hash: stored.hash, body }
        })
        .collect()
}

/// What audit and replay say of a store.
#[derive(Debug)]
pub struct Judgement {
    /// What the audit found.
    pub findings: Vec<Finding>,
    /// What came out when its decisions were derived again.
    pub replay: Replay,
}

impl Judgement {
    /// Whether there is nothing to be said against it.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.replay.different == 0 && self.replay.unknown_semantics == 0
    }
}

/// Audits a store and replays its decisions.
///
/// # Panics
/// If it cannot be read.
pub fn judged(place: &Place, trust: &TrustRoot) -> Judgement {
    let (report, replay) = replay(&place.store, Some(&place.mark), trust, &mut |_, _| {}).unwrap();
    Judgement { findings: report.findings, replay }
}
