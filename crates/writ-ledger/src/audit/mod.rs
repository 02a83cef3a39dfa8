//! The audit: reads a whole store and believes nothing in it but what the trust root pins. It changes nothing and needs no node.
//!
//! Hashes, tiles, roots and signatures are compared first ([`history`]), then every entry is judged again by the rules of order and every
//! projection rebuilt from the entries alone ([`meaning`]), then the vault and the mark are held against them.

mod finding;
mod history;
mod meaning;

pub use finding::Finding;

use crate::error::LedgerError;
use crate::mark::{Mark, MarkFile};
use crate::place::require_store;
use crate::schema;
use crate::store::{StoredNodes, unsql};
use crate::vault::Kept;
use rusqlite::Connection;
use std::path::Path;
use writ_protocol::{Body, PinnedLedger, TrustRoot};
use writ_tlog::{Hash, LeafIndex, Origin, TreeSize, leaf_hash, root_at};

/// What an audit found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The ledger.
    pub origin: Origin,
    /// Entries read.
    pub entries: u64,
    /// Checkpoints whose signatures were verified.
    pub checkpoints: u64,
    /// Values in the vault that open their commitments.
    pub values: u64,
    /// Everything that is not as it must be; empty for a good ledger.
    pub findings: Vec<Finding>,
}

/// An entry that was audited, with what stands behind it.
#[derive(Clone, Debug)]
pub struct Audited {
    /// Its index.
    pub index: LeafIndex,
    /// What it says.
    pub body: Body,
    /// What the vault holds for each of its commitments. A value opens its commitment, or it is a finding and not here.
    pub values: Vec<(Hash, Kept)>,
    /// The entries whose values it erases, if it is an erasure.
    pub named: Vec<(LeafIndex, Body)>,
}

/// Audits the store at `store` against the pins, and against the mark if its path is given. `progress` is told how many of how many entries are read.
pub fn audit(
    store: &Path,
    mark: Option<&Path>,
    trust: &TrustRoot,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, LedgerError> {
    audit_each(store, mark, trust, progress, &mut drop)
}

/// Audits as [`audit`] does, and gives every entry that can be read to `next`, in order. Nothing that `next` makes of them may be believed
/// before the audit has ended, and ended without a finding.
pub fn audit_each(
    store: &Path,
    mark: Option<&Path>,
    trust: &TrustRoot,
    progress: &mut dyn FnMut(u64, u64),
    next: &mut dyn FnMut(Audited),
) -> Result<Report, LedgerError> {
    require_store(store)?;
    let connection = schema::open_reader(store)?;
    let origin =
        Origin::new(schema::identify(&connection)?).map_err(|error| LedgerError::inconsistent(error.to_string()))?;
    let Some(pinned) = trust.ledger(&origin) else {
        let pinned = trust.ledgers().first().map_or_else(String::new, |ledger| ledger.origin().to_string());
        return Err(LedgerError::OtherLedger { found: origin.to_string(), expected: pinned });
    };
    // The mark before the store: a node that goes on writing meanwhile moves the store first.
    let marked = mark.map(MarkFile::peek);
    // One read transaction, for the same reason.
    connection.execute_batch("BEGIN")?;
    let (mut findings, mut report) = std::thread::scope(|scope| {
        // SQLite reads the whole file for that, and need not be waited for.
        let damaged = scope.spawn(|| damage(store));
        let read = read_all(&connection, trust, pinned, progress, next);
        let damaged = damaged.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, LedgerError>((damaged?, read?))
    })?;
    findings.append(&mut report.findings);
    if let Some(marked) = marked {
        hold_against_mark(&connection, TreeSize::new(report.entries), marked, &mut findings)?;
    }
    report.findings = findings;
    Ok(report)
}

/// Everything but the mark.
fn read_all(
    connection: &Connection,
    trust: &TrustRoot,
    pinned: &PinnedLedger,
    progress: &mut dyn FnMut(u64, u64),
    next: &mut dyn FnMut(Audited),
) -> Result<Report, LedgerError> {
    let (origin, mut findings) = (pinned.origin(), Vec::new());
    let mut report = Report { origin: origin.clone(), entries: 0, checkpoints: 0, values: 0, findings: Vec::new() };
    let mut history = history::History::new(connection, trust, &mut findings)?;
    let mut meaning = meaning::Meaning::new(connection, origin, pinned)?;
    let total = count(connection)?;
    let mut query = connection.prepare("SELECT idx, hash, bytes FROM entry ORDER BY idx")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let Some(one) = stored_row(row, &mut findings)? else { continue };
        history.read(&one, &mut findings)?;
        if let Some(audited) = meaning.read(&one, &mut findings)? {
            next(audited);
        }
        if meaning.ends_batch(one.index) {
            history.batch_ended(&mut findings);
        }
        report.entries += 1;
        if report.entries.is_multiple_of(PROGRESS_EVERY) {
            progress(report.entries, total);
        }
    }
    progress(report.entries, total);
    report.checkpoints = history.finish(&mut findings)?;
    report.values = meaning.finish(&mut findings)?;
    report.findings = findings;
    Ok(report)
}

const PROGRESS_EVERY: u64 = 1024;

/// An entry as it stands in the store, nothing believed.
struct StoredRow {
    index: LeafIndex,
    hash: Hash,
    bytes: Vec<u8>,
}

/// A row that no ledger writes is a finding, and no reason to stop reading.
fn stored_row(row: &rusqlite::Row<'_>, findings: &mut Vec<Finding>) -> Result<Option<StoredRow>, LedgerError> {
    let index: i64 = row.get(0)?;
    let Ok(place) = u64::try_from(index) else {
        findings.push(Finding::StoreDamaged(format!("there is an entry at index {index}")));
        return Ok(None);
    };
    let (index, bytes) = (LeafIndex::new(place), row.get::<_, Vec<u8>>(2)?);
    let hash = Hash::from_slice(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?).unwrap_or_else(|| {
        findings.push(Finding::EntryChanged(index));
        leaf_hash(&bytes)
    });
    Ok(Some(StoredRow { index, hash, bytes }))
}

fn count(connection: &Connection) -> Result<u64, LedgerError> {
    unsql(connection.query_row("SELECT count(*) FROM entry", [], |row| row.get(0))?)
}

fn damage(store: &Path) -> Result<Vec<Finding>, LedgerError> {
    let lines = schema::open_reader(store)?
        .prepare("PRAGMA integrity_check(10)")?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").map(Finding::StoreDamaged).collect())
}

fn hold_against_mark(
    connection: &Connection,
    size: TreeSize,
    mark: Result<Mark, LedgerError>,
    findings: &mut Vec<Finding>,
) -> Result<(), LedgerError> {
    let mark = match mark {
        Ok(mark) => mark,
        Err(error) => {
            findings.push(Finding::MarkUnreadable(error.to_string()));
            return Ok(());
        }
    };
    if mark.size > size {
        findings.push(Finding::OlderThanMark { store: size, mark: mark.size });
        return Ok(());
    }
    // Tiles that were changed have been found already; a root that cannot be computed is not the root that was published.
    match root_at(mark.size, &StoredNodes::new(connection, size)) {
        Ok(root) if root == mark.root => Ok(()),
        Ok(_) | Err(LedgerError::Inconsistent(_)) => {
            findings.push(Finding::ForkedFromMark(mark.size));
            Ok(())
        }
        Err(error) => Err(error),
    }
}
