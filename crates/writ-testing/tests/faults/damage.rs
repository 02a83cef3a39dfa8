//! Stores and marks that are not what they were: gone, foreign, cut, flipped, old. Refused with a reason or read rightly: never a
//! wrong answer, never a panic, and nothing is written into what is refused.

use crate::rig::{BASE_MS, Home, now_ms};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;
use writ_ledger::{Ledger, LedgerError, Options, Place, Reader, audit::audit};
use writ_testing::load::{Line, append_all};
use writ_testing::scenario::{Domain, run_script};
use writ_tlog::{LeafIndex, Resource, TileId};

/// How many single bits are flipped, each in a store of its own; `WRIT_FAULTS_FLIPS` sets another number.
const FLIPS: u64 = 150;
const ENTRIES_MIN: u64 = 300;

/// A ledger with a full tile, as the bytes of its store and mark, and what it rightly answers.
struct Sample {
    domain: Domain,
    store: Vec<u8>,
    mark: Vec<u8>,
    older_store: Vec<u8>,
    entries: Vec<Vec<u8>>,
    rows: BTreeSet<String>,
}

fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let (home, domain) = (Home::new(), Domain::new(BASE_MS));
        let place = home.place();
        let open = || Ledger::open(&place, domain.ledger_signer(), Options::new(now_ms)).unwrap();
        let bytes = |path: &Path| std::fs::read(path).unwrap();
        Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()).unwrap();
        run_script(&open(), &domain);
        let older_store = bytes(&place.store);
        let ledger = open();
        let mut story = 0;
        while ledger.published().checkpoint.checkpoint().size.get() < ENTRIES_MIN {
            append_all(&ledger, &domain, &[story], story + 1, &|_: Line| {}).unwrap();
            story += 1;
        }
        ledger.close().unwrap();
        let entries = all_entries(&place.store).unwrap();
        let rows = all_rows(&place.store);
        Sample { domain, store: bytes(&place.store), mark: bytes(&place.mark), older_store, entries, rows }
    })
}

fn copy() -> (Home, Place) {
    let home = Home::new();
    let place = home.place();
    std::fs::write(&place.store, &sample().store).unwrap();
    std::fs::write(&place.mark, &sample().mark).unwrap();
    (home, place)
}

fn open(place: &Place) -> Result<Ledger, LedgerError> {
    Ledger::open(place, sample().domain.ledger_signer(), Options::new(now_ms))
}

fn all_entries(store: &Path) -> Result<Vec<Vec<u8>>, LedgerError> {
    let reader = Reader::open(store)?;
    let size = reader.view()?.size().get();
    (0..size).map(|at| Ok(reader.entry(LeafIndex::new(at))?.map(|stored| stored.bytes).unwrap_or_default())).collect()
}

/// Every row of every table that carries meaning. Each node that starts raises the generation in `ledger`.
fn all_rows(store: &Path) -> BTreeSet<String> {
    const TABLES: &str = "entry tile checkpoint vault control request used_id execution label labelled caused spent budget hold approval statement erased";
    let connection = Connection::open(store).unwrap();
    let mut found = BTreeSet::new();
    for table in TABLES.split(' ') {
        let mut query = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = query.column_count();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<_> = (0..columns).map(|column| row.get_ref(column).unwrap()).collect();
            found.insert(format!("{table} {values:?}"));
        }
    }
    found
}

/// What a case expects of the refusal.
type Expected = fn(&LedgerError) -> bool;
type Case = (&'static str, fn(&Place), Expected);

fn run(place: &Place, statement: &str) {
    Connection::open(&place.store).unwrap().execute_batch(statement).unwrap();
}

const REFUSED: [Case; 17] = [
    (
        "the store is missing",
        |place| std::fs::remove_file(&place.store).unwrap(),
        |error| matches!(error, LedgerError::NoStore(_)),
    ),
    (
        "the store is a directory",
        |place| {
            std::fs::remove_file(&place.store).unwrap();
            std::fs::create_dir(&place.store).unwrap();
        },
        |error| matches!(error, LedgerError::NoStore(_)),
    ),
    (
        "the store has no bytes",
        |place| std::fs::write(&place.store, b"").unwrap(),
        |error| matches!(error, LedgerError::Inconsistent(_)),
    ),
    (
        "the store is text",
        |place| std::fs::write(&place.store, "not a database\n".repeat(1000)).unwrap(),
        |error| matches!(error, LedgerError::Store(_)),
    ),
    (
        "the store is a database of another program",
        |place| {
            std::fs::remove_file(&place.store).unwrap();
            run(place, "CREATE TABLE note (text TEXT); INSERT INTO note VALUES ('mine')");
        },
        |error| matches!(error, LedgerError::Inconsistent(_)),
    ),
    (
        "the store has another application id",
        |place| run(place, "PRAGMA application_id = 7"),
        |error| matches!(error, LedgerError::Inconsistent(_)),
    ),
    (
        "the store has a later layout",
        |place| run(place, "PRAGMA user_version = 6"),
        |error| matches!(error, LedgerError::Layout { found: 6, known: 5 }),
    ),
    (
        "the store has no table of entries",
        |place| run(place, "DROP TABLE entry"),
        |error| matches!(error, LedgerError::Inconsistent(what) if what.contains("`entry` is missing")),
    ),
    (
        "the store has no entries",
        |place| run(place, "DELETE FROM entry"),
        |error| matches!(error, LedgerError::Inconsistent(_)),
    ),
    (
        "the store has no checkpoint",
        |place| run(place, "DELETE FROM checkpoint"),
        |error| matches!(error, LedgerError::Inconsistent(_)),
    ),
    (
        "the control chain lacks its end",
        |place| run(place, "DELETE FROM control WHERE seq = (SELECT max(seq) FROM control)"),
        |error| matches!(error, LedgerError::Inconsistent(_)),
    ),
    (
        "the store is an older copy",
        |place| std::fs::write(&place.store, &sample().older_store).unwrap(),
        |error| matches!(error, LedgerError::OlderThanMark { .. }),
    ),
    (
        "the mark is missing",
        |place| std::fs::remove_file(&place.mark).unwrap(),
        |error| matches!(error, LedgerError::MarkMissing(_)),
    ),
    (
        "the mark has no bytes",
        |place| std::fs::write(&place.mark, b"").unwrap(),
        |error| matches!(error, LedgerError::MarkDamaged(_)),
    ),
    (
        "the mark is damaged in both slots",
        |place| {
            let mut bytes = sample().mark.clone();
            bytes[20] ^= 1;
            bytes[276] ^= 1;
            std::fs::write(&place.mark, bytes).unwrap();
        },
        |error| matches!(error, LedgerError::MarkDamaged(_)),
    ),
    (
        "the mark is a directory",
        |place| {
            std::fs::remove_file(&place.mark).unwrap();
            std::fs::create_dir(&place.mark).unwrap();
        },
        |error| matches!(error, LedgerError::File { .. }),
    ),
    (
        "the mark is of another history",
        |place| {
            let (home, other) = (Home::new(), Domain::new(BASE_MS + 1));
            Ledger::create(&home.place(), &other.genesis(), &other.ledger_signer()).unwrap();
            std::fs::copy(home.place().mark, &place.mark).unwrap();
        },
        |error| matches!(error, LedgerError::ForkedFromMark(_)),
    ),
];

#[test]
fn a_store_or_mark_that_is_not_what_it_was_is_refused_and_not_touched() {
    for (what, spoil, expected) in REFUSED {
        let (_home, place) = copy();
        spoil(&place);
        let before = contents(&place);
        let error = open(&place).map(drop).expect_err(what);
        assert!(expected(&error), "{what}: {error:?}");
        assert_eq!(contents(&place), before, "{what}: something was written");
    }
}

/// Nothing but the lock may appear, nothing may change.
fn contents(place: &Place) -> BTreeMap<String, Option<Vec<u8>>> {
    let directory = std::fs::read_dir(place.store.parent().unwrap()).unwrap().map(Result::unwrap);
    directory
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).ok()))
        .filter(|(name, _)| !name.ends_with(".lock"))
        .collect()
}

#[test]
fn one_damaged_slot_of_the_mark_leaves_the_other() {
    for byte in [20, 276] {
        let (_home, place) = copy();
        let mut bytes = sample().mark.clone();
        bytes[byte] ^= 1;
        std::fs::write(&place.mark, bytes).unwrap();
        open(&place).unwrap().close().unwrap();
    }
}

#[test]
fn a_lost_mark_is_replaced_only_by_somebody_who_says_so() {
    let (_home, place) = copy();
    std::fs::remove_file(&place.mark).unwrap();
    assert!(matches!(open(&place), Err(LedgerError::MarkMissing(_))));
    Ledger::accept_mark(&place).unwrap();
    open(&place).unwrap().close().unwrap();
}

#[test]
fn a_store_cut_short_is_refused_or_named() {
    let whole = sample().store.len();
    let cuts = [1, 15, 16, 99, 100, 512, 4095, 4096, 4097, whole / 3, whole / 2, whole - 4096, whole - 1];
    let seen: Vec<Seen> = cuts.into_iter().map(|length| look_at(|store| store.truncate(length))).collect();
    println!("{} cuts: {}", cuts.len(), counted(&seen));
}

#[test]
fn a_flipped_bit_is_refused_or_named_or_harmless() {
    let bits = sample().store.len() as u64 * 8;
    let mut at = 0x9e37_79b9_7f4a_7c15_u64;
    let mut seen = Vec::new();
    let flips = std::env::var("WRIT_FAULTS_FLIPS").map_or(FLIPS, |flips| flips.parse().unwrap());
    for _ in 0..flips {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = (at >> 16) % bits;
        seen.push(look_at(|store| store[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8)));
    }
    // The header and the first pages carry the most meaning.
    for bit in (0..100 * 8).step_by(17).chain((4096 * 8..4296 * 8).step_by(61)) {
        seen.push(look_at(|store| store[bit / 8] ^= 1 << (bit % 8)));
    }
    println!("{} flips: {}", seen.len(), counted(&seen));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// The node does not start, and an audit finds something or cannot read the store either.
    RefusedAtOpening,
    /// The node starts; an audit names the damage, or cannot read the store.
    NamedByAudit,
    /// Everything is as it was.
    Harmless,
}

/// Looks at a damaged copy in every way there is. Whatever is answered must be what was recorded.
fn look_at(damage: impl Fn(&mut Vec<u8>)) -> Seen {
    let (_home, place) = copy();
    let mut bytes = sample().store.clone();
    damage(&mut bytes);
    std::fs::write(&place.store, &bytes).unwrap();
    read_rightly_or_not_at_all(&place.store);
    let report = audit(&place.store, Some(&place.mark), &sample().domain.trust_root(), &mut |_, _| {});
    let named = report.as_ref().map_or(true, |report| !report.findings.is_empty());
    let opened = open(&place).and_then(Ledger::close);
    if let Err(error) = opened {
        assert!(!error.to_string().is_empty());
        return Seen::RefusedAtOpening;
    }
    if named {
        return Seen::NamedByAudit;
    }
    let rows = all_rows(&place.store);
    let differing: Vec<_> = rows.symmetric_difference(&sample().rows).collect();
    assert!(differing.is_empty(), "an audit finds nothing wrong with {differing:?}");
    assert_eq!(all_entries(&place.store).unwrap(), sample().entries);
    Seen::Harmless
}

fn read_rightly_or_not_at_all(store: &Path) {
    let Ok(reader) = Reader::open(store) else { return };
    for (at, recorded) in (0..).zip(&sample().entries) {
        if let Ok(Some(found)) = reader.entry(LeafIndex::new(at)) {
            assert_eq!(found.bytes, *recorded, "entry {at}");
        }
    }
    if let Ok(view) = reader.view() {
        for at in (0..view.size().get()).step_by(7) {
            // A proof that does not prove is no wrong answer to whoever verifies, and everybody does.
            drop(reader.receipt(LeafIndex::new(at), &view));
        }
    }
    let tile = TileId { level: 0, index: 0, width: 256 };
    drop(reader.resource(&Resource::Tile(tile)));
}

fn counted(seen: &[Seen]) -> String {
    let count = |wanted: Seen| seen.iter().filter(|seen| **seen == wanted).count();
    let [refused, named, harmless] = [Seen::RefusedAtOpening, Seen::NamedByAudit, Seen::Harmless].map(count);
    format!("{refused} refused when the node starts, {named} named by the audit, {harmless} harmless")
}
