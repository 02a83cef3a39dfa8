//! Whoever edits the store, with the node stopped and every tool at hand but the ledger's keys, is found, and what was done is named
//! (Invariant 9). What cannot be found from the machine alone is here too, so that nobody believes otherwise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm,
    reason = "a test panics to fail"
)]

use rusqlite::{Connection, Params};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use writ_ledger::{Ledger, LedgerError, Options, Place, audit, audit::Finding};
use writ_protocol::{Body, Code, Entry, EntryType};
use writ_testing::load::{Line, append_all};
use writ_testing::scenario::{Domain, SecretPair, run_script};
use writ_tlog::{Checkpoint, Hash, NoteSigner, SigningKey, Tree, TreeSize, encode_tile, leaf_hash, sign_checkpoint};

const BASE_MS: u64 = 1_700_000_000_000;
/// Two full tiles and a partial one.
const ENTRIES_MIN: u64 = 690;
/// How much of it an older copy has.
const OLDER_MIN: u64 = 600;
const FULL: Range<u64> = 256..512;
const PARTIAL: Range<u64> = 512..ENTRIES_MIN;

/// A ledger of some 700 entries, built once.
struct Sample {
    domain: Domain,
    store: Vec<u8>,
    mark: Vec<u8>,
    older_store: Vec<u8>,
    older_mark: Vec<u8>,
    size: u64,
}

fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let (home, domain) = (Home::new(), Domain::new(BASE_MS));
        let place = home.place();
        Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()).unwrap();
        run_script(&open(&home, &domain), &domain);
        let mut story = 0;
        let mut grow = |until: u64| {
            let ledger = open(&home, &domain);
            let size = || ledger.published().checkpoint.checkpoint().size.get();
            while size() < until {
                append_all(&ledger, &domain, &[story], story + 1, &|_: Line| {}).unwrap();
                story += 1;
            }
            let grown = size();
            ledger.close().unwrap();
            (std::fs::read(&place.store).unwrap(), std::fs::read(&place.mark).unwrap(), grown)
        };
        let (older_store, older_mark, _) = grow(OLDER_MIN);
        let (store, mark, size) = grow(ENTRIES_MIN);
        Sample { domain, store, mark, older_store, older_mark, size }
    })
}

fn open(home: &Home, domain: &Domain) -> Ledger {
    Ledger::open(&home.place(), domain.ledger_signer(), Options::new(|| BASE_MS + 60_000)).unwrap()
}

/// A directory that goes with its owner.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("writ-tampering-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn place(&self) -> Place {
        Place::new(self.0.join("ledger.db"), self.0.join("mark"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A copy of the sample, to be edited.
struct Edited {
    home: Home,
    store: Connection,
    sample: &'static Sample,
}

impl Edited {
    fn new() -> Self {
        let (home, sample) = (Home::new(), sample());
        std::fs::write(home.place().store, &sample.store).unwrap();
        std::fs::write(home.place().mark, &sample.mark).unwrap();
        let store = Connection::open(home.place().store).unwrap();
        Self { home, store, sample }
    }

    fn run(&self, statement: &str, params: impl Params) {
        assert_ne!(self.store.execute(statement, params).unwrap(), 0, "nothing was edited by: {statement}");
    }

    fn number(&self, query: &str) -> u64 {
        self.store.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap() as u64
    }

    fn bytes(&self, index: u64) -> Vec<u8> {
        self.store.query_row("SELECT bytes FROM entry WHERE idx = ?1", [index as i64], |row| row.get(0)).unwrap()
    }

    fn body(&self, index: u64) -> Body {
        Entry::decode(&self.bytes(index), self.sample.domain.origin()).unwrap().body
    }

    /// The first entry of a type in a range.
    fn find(&self, within: Range<u64>, entry_type: EntryType) -> u64 {
        within.into_iter().find(|index| self.body(*index).entry_type() == entry_type).unwrap()
    }

    /// A denial in a range as a liar would have it: well-formed, with another reason.
    fn lie(&self, within: Range<u64>) -> (u64, Vec<u8>) {
        let at = self.find(within, EntryType::Denial);
        let Body::Denial(mut denial) = self.body(at) else { panic!("it is a denial") };
        denial.code = Code::Halted;
        let entry = Entry { origin: self.sample.domain.origin().clone(), body: Body::Denial(denial) };
        (at, entry.encode().unwrap())
    }

    fn put(&self, index: u64, bytes: &[u8]) {
        let hash = leaf_hash(bytes);
        let params = (index as i64, hash.as_bytes(), bytes);
        self.run("INSERT OR REPLACE INTO entry (idx, hash, bytes) VALUES (?1, ?2, ?3)", params);
    }

    fn swap(&self, a: u64, b: u64) {
        let (first, second) = (self.bytes(a), self.bytes(b));
        self.put(a, &second);
        self.put(b, &first);
    }

    /// Moves every entry from `from` on by one.
    fn shift(&self, from: u64, by: i64) {
        self.run("UPDATE entry SET idx = -idx - 1000000 WHERE idx >= ?1", [from as i64]);
        self.run("UPDATE entry SET idx = -(idx + 1000000) + ?1 WHERE idx < 0", [by]);
    }

    fn hashes(&self, within: Range<u64>) -> Vec<Hash> {
        within.map(|index| leaf_hash(&self.bytes(index))).collect()
    }

    /// Makes a full tile of level 0 what the entries say now.
    fn recompute_tile(&self, n: u64) {
        let hashes = self.hashes(256 * n..256 * (n + 1));
        let mut tree = Tree::new();
        hashes.iter().for_each(|hash| {
            tree.push(*hash);
        });
        let root = tree.root();
        let params = (root.as_bytes(), encode_tile(&hashes), n as i64);
        self.run("UPDATE tile SET root = ?1, hashes = ?2 WHERE level = 0 AND n = ?3", params);
    }

    /// Signs the checkpoint of a size again, over what the entries say now.
    fn resign(&self, size: u64, keys: &SecretPair) {
        let origin = self.sample.domain.origin().clone();
        let mut tree = Tree::new();
        self.hashes(0..size).into_iter().for_each(|hash| {
            tree.push(hash);
        });
        let signers = keys.both().map(|secret| {
            let key = SigningKey::from_seed(secret.signing_key().algorithm(), secret.seed());
            NoteSigner::new(origin.key_name().clone(), key)
        });
        let note = sign_checkpoint(&Checkpoint { origin, size: TreeSize::new(size), root: tree.root() }, &signers);
        self.run("UPDATE checkpoint SET note = ?1 WHERE size = ?2", (note, size as i64));
    }

    /// Sizes of the checkpoints that are kept, ascending.
    fn checkpoints(&self) -> Vec<u64> {
        let mut query = self.store.prepare("SELECT size FROM checkpoint ORDER BY size").unwrap();
        query.query_map([], |row| Ok(row.get::<_, i64>(0)? as u64)).unwrap().map(Result::unwrap).collect()
    }

    fn report(self) -> Result<audit::Report, LedgerError> {
        let Self { home, store, sample } = self;
        store.close().unwrap();
        let place = home.place();
        audit::audit(&place.store, Some(&place.mark), &sample.domain.trust_root(), &mut |_, _| {})
    }
}

/// A finding with its place, as the tables below expect it.
fn label(finding: &Finding) -> String {
    let name = finding.name();
    match finding {
        Finding::EntryChanged(at)
        | Finding::EntryInserted(at)
        | Finding::AgainstRules { at, .. }
        | Finding::VaultChanged(at)
        | Finding::VaultMissing(at)
        | Finding::VaultNotErased(at) => format!("{name} {at}"),
        Finding::EntryMissing { at, count } => format!("{name} {at} {count}"),
        Finding::EntriesSwapped(a, b) => format!("{name} {a} {b}"),
        Finding::HistoryDiffers { from, until } => format!("{name} {from} {until}"),
        Finding::CheckpointMissing(size)
        | Finding::CheckpointSignature { size, .. }
        | Finding::ForkedFromMark(size)
        | Finding::OlderThanMark { store: size, .. } => format!("{name} {size}"),
        Finding::TileChanged { level, index } => format!("{name} {level} {index}"),
        Finding::ProjectionChanged { table, .. } => format!("{name} {table}"),
        _ => name.to_owned(),
    }
}

/// What was done, how, and what the audit must say of it.
type Case = (&'static str, fn(&Edited) -> Vec<String>);

fn check(cases: &[Case]) {
    let unnamed: Vec<String> = cases.iter().filter_map(|(what, edit)| unnamed(what, *edit)).collect();
    assert!(unnamed.is_empty(), "not named:\n{}", unnamed.join("\n"));
}

fn unnamed(what: &str, edit: fn(&Edited) -> Vec<String>) -> Option<String> {
    let edited = Edited::new();
    let expected = edit(&edited);
    assert!(!expected.is_empty(), "{what}: nothing is expected");
    let found: Vec<String> = match edited.report() {
        Ok(report) => report.findings.iter().map(label).collect(),
        Err(error) => return Some(format!("{what}: expected {expected:?}, but the audit fails: {error}")),
    };
    let named = expected.iter().all(|finding| found.contains(finding));
    (!named).then(|| format!("{what}: expected {expected:?}, found {found:?}"))
}

#[test]
fn an_untouched_copy_has_no_findings() {
    let report = Edited::new().report().unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.entries, sample().size);
    assert!(report.entries >= ENTRIES_MIN && report.checkpoints == 3, "{report:?}");
}

#[test]
fn changed_entries_are_named() {
    check(&[
        ("bytes of an entry in a full tile changed", |store| {
            let (at, bytes) = store.lie(FULL);
            store.run("UPDATE entry SET bytes = ?1 WHERE idx = ?2", (bytes, at as i64));
            vec![format!("entry_changed {at}")]
        }),
        ("bytes of an entry in the partial tile changed", |store| {
            let (at, bytes) = store.lie(PARTIAL);
            store.run("UPDATE entry SET bytes = ?1 WHERE idx = ?2", (bytes, at as i64));
            vec![format!("entry_changed {at}")]
        }),
        ("one byte of an entry flipped", |store| {
            let mut bytes = store.bytes(400);
            bytes[20] ^= 1;
            store.run("UPDATE entry SET bytes = ?1 WHERE idx = 400", [bytes]);
            vec!["entry_changed 400".to_owned()]
        }),
        ("an entry in a full tile changed with its hash", |store| {
            let (at, bytes) = store.lie(FULL);
            store.put(at, &bytes);
            vec![format!("entry_changed {at}")]
        }),
        ("an entry in the partial tile changed with its hash", |store| {
            let (at, bytes) = store.lie(PARTIAL);
            store.put(at, &bytes);
            let [.., before, last] = store.checkpoints()[..] else { panic!("there are three checkpoints") };
            vec![format!("history_differs {before} {last}"), format!("forked_from_mark {last}")]
        }),
        ("an entry in a full tile changed with its hash and its tile", |store| {
            let (at, bytes) = store.lie(FULL);
            store.put(at, &bytes);
            store.recompute_tile(1);
            let next = store.checkpoints().into_iter().find(|size| *size > at).unwrap();
            let before = store.checkpoints().into_iter().rfind(|size| *size <= at).unwrap();
            vec![format!("history_differs {before} {next}"), format!("forked_from_mark {}", store.sample.size)]
        }),
        ("the hash of an entry changed", |store| {
            store.run("UPDATE entry SET hash = randomblob(32) WHERE idx = 300", []);
            vec!["entry_changed 300".to_owned()]
        }),
        ("the hash of an entry cut", |store| {
            store.run("UPDATE entry SET hash = substr(hash, 2) WHERE idx = 300", []);
            vec!["entry_changed 300".to_owned()]
        }),
        ("genesis changed with its hash", |store| {
            let Body::Genesis(mut genesis) = store.body(0) else { panic!("it is genesis") };
            genesis.limits.depth_max += 1;
            let entry = Entry { origin: store.sample.domain.origin().clone(), body: Body::Genesis(genesis) };
            store.put(0, &entry.encode().unwrap());
            vec!["other_genesis".to_owned(), "entry_changed 0".to_owned()]
        }),
        ("genesis of another domain in front of a whole ledger of its own, with the same keys", |store| {
            let (home, other) = (Home::new(), Domain::new(BASE_MS + 1));
            Ledger::create(&home.place(), &other.genesis(), &other.ledger_signer()).unwrap();
            std::fs::copy(home.place().store, store.home.place().store).unwrap();
            std::fs::copy(home.place().mark, store.home.place().mark).unwrap();
            vec!["other_genesis".to_owned()]
        }),
    ]);
}

#[test]
fn entries_that_are_missing_moved_or_too_many_are_named() {
    check(&[
        ("the last entry dropped", |store| {
            let before = store.checkpoints()[1];
            store.run("DELETE FROM entry WHERE idx = ?1", [store.sample.size as i64 - 1]);
            vec![format!("entry_missing {before} 1")]
        }),
        ("the last batch dropped with its checkpoint, the one before put back", |store| {
            let last = store.sample.size;
            store.run("DELETE FROM entry WHERE idx >= ?1", [last as i64 - 2]);
            store.run("UPDATE checkpoint SET size = size - 2 WHERE size = ?1", [last as i64]);
            store.resign(last - 2, store.sample.domain.ledger_keys());
            vec![format!("older_than_mark {}", last - 2)]
        }),
        ("an entry dropped, leaving a gap", |store| {
            store.run("DELETE FROM entry WHERE idx = 300", []);
            vec!["entry_missing 300 1".to_owned()]
        }),
        ("many entries dropped, leaving a gap", |store| {
            store.run("DELETE FROM entry WHERE idx BETWEEN 520 AND 530", []);
            vec!["entry_missing 520 11".to_owned()]
        }),
        ("an entry of a full tile dropped, all later ones renumbered", |store| {
            store.run("DELETE FROM entry WHERE idx = 300", []);
            store.shift(301, -1);
            vec!["entry_missing 300 1".to_owned()]
        }),
        ("an entry of the partial tile dropped, all later ones renumbered", |store| {
            let before = store.checkpoints()[1];
            store.run("DELETE FROM entry WHERE idx = 600", []);
            store.shift(601, -1);
            vec![format!("entry_missing {before} 1")]
        }),
        ("two entries of a full tile swapped", |store| {
            store.swap(270, 300);
            vec!["entries_swapped 270 300".to_owned()]
        }),
        ("two entries of the partial tile swapped", |store| {
            store.swap(540, 544);
            vec!["entries_swapped 540 544".to_owned()]
        }),
        ("two entries of different tiles swapped", |store| {
            store.swap(300, 600);
            vec!["entry_changed 300".to_owned()]
        }),
        ("an entry inserted at the end", |store| {
            let (_, bytes) = store.lie(FULL);
            store.put(store.sample.size, &bytes);
            vec![format!("entry_inserted {}", store.sample.size)]
        }),
        ("an entry inserted into a full tile, all later ones renumbered", |store| {
            let (_, bytes) = store.lie(FULL);
            store.shift(300, 1);
            store.put(300, &bytes);
            vec!["entry_inserted 300".to_owned()]
        }),
        ("an entry inserted into the partial tile, all later ones renumbered", |store| {
            let (_, bytes) = store.lie(FULL);
            store.shift(600, 1);
            store.put(600, &bytes);
            vec!["entry_inserted 600".to_owned()]
        }),
        ("an entry inserted before the first index", |store| {
            let (_, bytes) = store.lie(FULL);
            let hash = leaf_hash(&bytes);
            store.run("INSERT INTO entry (idx, hash, bytes) VALUES (-1, ?1, ?2)", (hash.as_bytes(), bytes));
            vec!["store_damaged".to_owned()]
        }),
    ]);
}

#[test]
fn other_signatures_are_named() {
    check(&[
        ("the newest checkpoint signed with other keys", |store| {
            store.resign(store.sample.size, &thief());
            vec![format!("checkpoint_signature {}", store.sample.size)]
        }),
        ("an earlier checkpoint signed with other keys", |store| {
            let first = store.checkpoints()[0];
            store.resign(first, &thief());
            vec![format!("checkpoint_signature {first}")]
        }),
        ("the tail rewritten consistently, signed with other keys", |store| {
            let (at, bytes) = store.lie(PARTIAL);
            store.put(at, &bytes);
            store.resign(store.sample.size, &thief());
            let size = store.sample.size;
            vec![format!("checkpoint_signature {size}"), format!("forked_from_mark {size}")]
        }),
        ("everything from a full tile on rewritten consistently, signed with other keys", |store| {
            let (at, bytes) = store.lie(FULL);
            store.put(at, &bytes);
            store.recompute_tile(1);
            let [_, second, last] = store.checkpoints()[..] else { panic!("there are three checkpoints") };
            [second, last].iter().for_each(|size| store.resign(*size, &thief()));
            [second, last].map(|size| format!("checkpoint_signature {size}")).to_vec()
        }),
        ("the tail rewritten consistently, signed with the ledger's own stolen keys", |store| {
            let (at, bytes) = store.lie(PARTIAL);
            store.put(at, &bytes);
            store.resign(store.sample.size, store.sample.domain.ledger_keys());
            vec![format!("forked_from_mark {}", store.sample.size)]
        }),
        ("a checkpoint cut", |store| {
            let size = store.sample.size;
            store.run("UPDATE checkpoint SET note = substr(note, 1, 3000) WHERE size = ?1", [size as i64]);
            vec![format!("checkpoint_signature {size}")]
        }),
        ("the checkpoint of one size in the place of another", |store| {
            let (from, to) = (store.checkpoints()[0], store.checkpoints()[1]);
            let note = "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = ?1) WHERE size = ?2";
            store.run(note, (from as i64, to as i64));
            vec![format!("checkpoint_signature {to}")]
        }),
    ]);
}

fn thief() -> SecretPair {
    SecretPair::new("thief")
}

#[test]
fn changed_tiles_and_checkpoints_are_named() {
    check(&[
        ("a hash in a tile changed", |store| {
            store.run(
                "UPDATE tile SET hashes = CAST(randomblob(32) || substr(hashes, 33) AS BLOB) WHERE level = 0 AND n = 1",
                [],
            );
            vec!["tile_changed 0 1".to_owned()]
        }),
        ("the root of a tile changed", |store| {
            store.run("UPDATE tile SET root = randomblob(32) WHERE level = 0 AND n = 0", []);
            vec!["tile_changed 0 0".to_owned()]
        }),
        ("a tile removed", |store| {
            store.run("DELETE FROM tile WHERE n = 0", []);
            vec!["tile_changed 0 0".to_owned()]
        }),
        ("a tile added", |store| {
            store.run("INSERT INTO tile (level, n, root, hashes) SELECT 0, 2, root, hashes FROM tile WHERE n = 1", []);
            vec!["tile_changed 0 2".to_owned()]
        }),
        ("the newest checkpoint deleted", |store| {
            store.run("DELETE FROM checkpoint WHERE size = ?1", [store.sample.size as i64]);
            vec![format!("checkpoint_missing {}", store.sample.size)]
        }),
        ("an earlier checkpoint deleted", |store| {
            let first = store.checkpoints()[0];
            store.run("DELETE FROM checkpoint WHERE size = ?1", [first as i64]);
            vec![format!("checkpoint_missing {first}")]
        }),
        ("the newest checkpoint kept twice, once where none belongs", |store| {
            store.store.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
            let again = "INSERT INTO checkpoint SELECT 9999, size, note FROM checkpoint WHERE size = ?1";
            store.run(again, [store.sample.size as i64]);
            vec!["store_damaged".to_owned()]
        }),
        ("an earlier checkpoint in the place of the newest one", |store| {
            let [first, .., last] = store.checkpoints()[..] else { panic!("there are three checkpoints") };
            store.store.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
            let older = "(SELECT size, note FROM checkpoint WHERE size = ?1)";
            store.run(
                &format!("UPDATE checkpoint SET (size, note) = {older} WHERE size = ?2"),
                [first, last].map(|it| it as i64),
            );
            vec!["store_damaged".to_owned(), format!("checkpoint_missing {last}")]
        }),
        ("all checkpoints deleted", |store| {
            store.run("DELETE FROM checkpoint", []);
            vec![format!("checkpoint_missing {}", store.sample.size)]
        }),
    ]);
}

/// Table, a changed row, a row added, a row removed.
const PROJECTIONS: [(&str, [&str; 3]); 13] = [
    (
        "control",
        [
            "UPDATE control SET idx = idx + 1 WHERE seq = 3",
            "INSERT INTO control SELECT max(seq) + 1, max(idx) + 1 FROM control",
            "DELETE FROM control WHERE seq = 3",
        ],
    ),
    (
        "request",
        [
            "UPDATE request SET digest = randomblob(32) WHERE idx = (SELECT max(idx) FROM request)",
            "INSERT INTO request VALUES (randomblob(16), randomblob(32), 9)",
            "DELETE FROM request WHERE idx = (SELECT max(idx) FROM request)",
        ],
    ),
    (
        "used_id",
        [
            "UPDATE used_id SET idx = idx + 1 WHERE idx = (SELECT max(idx) FROM used_id)",
            "INSERT INTO used_id VALUES (randomblob(16), 9)",
            "DELETE FROM used_id WHERE idx = (SELECT min(idx) FROM used_id)",
        ],
    ),
    (
        "execution",
        [
            "UPDATE execution SET state = 'started', result = NULL, ended_idx = NULL
         WHERE id = (SELECT min(id) FROM execution WHERE state = 'ended')",
            "INSERT INTO execution VALUES (randomblob(16), 5, 1, 'gateway-1', 'spent', NULL, 7, NULL, NULL, randomblob(32), 'Agent', 'builder', 0)",
            "DELETE FROM execution WHERE id = (SELECT min(id) FROM execution)",
        ],
    ),
    (
        "label",
        [
            "UPDATE label SET label = 'other' WHERE label = 'secret-read'",
            "INSERT INTO label VALUES (randomblob(32), 'secret-read', 9)",
            "DELETE FROM label WHERE label = 'secret-read'",
        ],
    ),
    (
        "labelled",
        [
            "INSERT INTO labelled VALUES (5, 9)",
            "INSERT INTO labelled SELECT grant_idx, begun_idx FROM execution",
            "INSERT INTO labelled SELECT idx, idx FROM entry",
        ],
    ),
    (
        "caused",
        ["UPDATE caused SET parent_idx = parent_idx + 1", "INSERT INTO caused VALUES (5, 9)", "DELETE FROM caused"],
    ),
    (
        "spent",
        [
            "UPDATE spent SET execution = randomblob(16) WHERE grant_idx = (SELECT max(grant_idx) FROM spent)",
            "INSERT INTO spent VALUES (5, 77, randomblob(16))",
            "DELETE FROM spent WHERE grant_idx = (SELECT max(grant_idx) FROM spent)",
        ],
    ),
    (
        "budget",
        [
            "UPDATE budget SET drawn = 0 WHERE counter = 'calls/builder'",
            "INSERT INTO budget VALUES ('calls/nobody', 1)",
            "DELETE FROM budget WHERE counter = 'calls/builder'",
        ],
    ),
    (
        "hold",
        [
            "UPDATE hold SET resolved_idx = NULL WHERE idx = (SELECT min(idx) FROM hold)",
            "INSERT INTO hold VALUES (9, 'Agent::builder', 1, NULL)",
            "UPDATE hold SET until_ms = until_ms + 1",
        ],
    ),
    (
        "approval",
        [
            "UPDATE approval SET hold_idx = hold_idx + 1",
            "INSERT INTO approval VALUES (9, 9)",
            "DELETE FROM approval WHERE idx = (SELECT min(idx) FROM approval)",
        ],
    ),
    (
        "statement",
        [
            "UPDATE statement SET idx = idx + 1 WHERE idx = (SELECT max(idx) FROM statement)",
            "INSERT INTO statement VALUES ('gateway-9', 1, 1, 9)",
            "DELETE FROM statement WHERE idx = (SELECT max(idx) FROM statement)",
        ],
    ),
    (
        "erased",
        [
            "UPDATE erased SET by_idx = by_idx + 1 WHERE idx = (SELECT max(idx) FROM erased)",
            "INSERT INTO erased VALUES (9, randomblob(32), 10)",
            "DELETE FROM erased WHERE idx = (SELECT max(idx) FROM erased)",
        ],
    ),
];

#[test]
fn changed_projections_are_named() {
    let mut unnamed = Vec::new();
    for (table, edits) in PROJECTIONS {
        for edit in edits {
            let store = Edited::new();
            store.run(edit, []);
            let found: Vec<String> = match store.report() {
                Ok(report) => report.findings.iter().map(label).collect(),
                Err(error) => vec![format!("the audit fails: {error}")],
            };
            if !found.contains(&format!("projection_changed {table}")) {
                unnamed.push(format!("{edit}: found {found:?}"));
            }
        }
    }
    assert!(unnamed.is_empty(), "not named:\n{}", unnamed.join("\n"));
}

#[test]
fn a_changed_vault_is_named() {
    check(&[
        ("a value changed", |store| {
            let at = store.find(FULL, EntryType::Grant);
            store.run(
                "UPDATE vault SET action = CAST(substr(action, 1, 32) || x'00' AS BLOB) WHERE idx = ?1",
                [at as i64],
            );
            vec![format!("vault_changed {at}")]
        }),
        ("a salt changed", |store| {
            let at = store.find(PARTIAL, EntryType::Grant);
            store.run(
                "UPDATE vault SET facts = CAST(randomblob(32) || substr(facts, 33) AS BLOB) WHERE idx = ?1",
                [at as i64],
            );
            vec![format!("vault_changed {at}")]
        }),
        ("a kind changed", |store| {
            let at = store.find(PARTIAL, EntryType::Grant);
            store.run("UPDATE vault SET action = facts, facts = action WHERE idx = ?1", [at as i64]);
            vec![format!("vault_changed {at}")]
        }),
        ("a value without the whole of its salt", |store| {
            let at = store.find(FULL, EntryType::Grant);
            store.run("UPDATE vault SET action = substr(action, 1, 31) WHERE idx = ?1", [at as i64]);
            vec![format!("vault_changed {at}")]
        }),
        ("a value removed", |store| {
            let at = store.find(FULL, EntryType::Grant);
            store.run("UPDATE vault SET facts = NULL WHERE idx = ?1", [at as i64]);
            vec![format!("vault_missing {at}")]
        }),
        ("a value erased without an erasure", |store| {
            let at = store.find(FULL, EntryType::Grant);
            store.run("UPDATE vault SET facts = x'' WHERE idx = ?1", [at as i64]);
            vec![format!("vault_missing {at}")]
        }),
        ("a value erased without an erasure, which the projection claims", |store| {
            let at = store.find(FULL, EntryType::Grant);
            store.run("UPDATE vault SET facts = x'' WHERE idx = ?1", [at as i64]);
            let Body::Grant(grant) = store.body(at) else { panic!("entry {at} is a grant") };
            let claim = "INSERT INTO erased (idx, commitment, by_idx) VALUES (?1, ?2, ?1 + 1)";
            store.run(claim, (at as i64, grant.facts.as_bytes()));
            vec!["projection_changed erased".to_owned()]
        }),
        ("an erased value put back", |store| {
            let at = store.number("SELECT max(idx) FROM erased");
            let back = "UPDATE vault SET facts = zeroblob(33) WHERE idx = ?1";
            store.run(back, [at as i64]);
            vec![format!("vault_not_erased {at}")]
        }),
        ("a value that nothing commits to", |store| {
            let at = store.find(FULL, EntryType::Grant);
            store.run("UPDATE vault SET text = zeroblob(33) WHERE idx = ?1", [at as i64]);
            vec![format!("vault_changed {at}")]
        }),
        ("a row without values where the next entry will be", |store| {
            store.store.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
            let next = store.sample.size;
            store.run("INSERT INTO vault (idx) VALUES (?1)", [next as i64]);
            vec![format!("vault_changed {next}")]
        }),
        ("a request emptied without an erasure", |store| {
            let at = store.find(FULL, EntryType::Grant);
            store.run("UPDATE vault SET request = x'' WHERE idx = ?1", [at as i64]);
            vec![format!("vault_missing {at}")]
        }),
        ("values of no entry", |store| {
            store.run("INSERT INTO vault (idx, text) VALUES (100000, zeroblob(33))", []);
            vec!["vault_changed 100000".to_owned()]
        }),
        ("all values of an entry removed", |store| {
            let at = store.find(FULL, EntryType::Grant);
            store.run("DELETE FROM vault WHERE idx = ?1", [at as i64]);
            vec![format!("vault_missing {at}"), format!("vault_missing {at}")]
        }),
    ]);
}

#[test]
fn a_changed_mark_and_an_older_store_are_named() {
    check(&[
        ("the store replaced by an older copy", |store| {
            std::fs::write(store.home.place().store, &store.sample.older_store).unwrap();
            let older = Connection::open(store.home.place().store).unwrap();
            let size: i64 = older.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
            vec![format!("older_than_mark {size}")]
        }),
        ("the mark removed", |store| {
            std::fs::remove_file(store.home.place().mark).unwrap();
            vec!["mark_unreadable".to_owned()]
        }),
        ("the mark damaged", |store| {
            std::fs::write(store.home.place().mark, [b' '; 512]).unwrap();
            vec!["mark_unreadable".to_owned()]
        }),
        ("the mark of another history", |store| {
            let (home, other) = (Home::new(), Domain::new(BASE_MS + 1));
            Ledger::create(&home.place(), &other.genesis(), &other.ledger_signer()).unwrap();
            std::fs::copy(home.place().mark, store.home.place().mark).unwrap();
            vec!["forked_from_mark 2".to_owned()]
        }),
    ]);
}

#[test]
fn a_store_of_another_ledger_is_not_audited_as_this_one() {
    let store = Edited::new();
    store.run("UPDATE ledger SET origin = 'writ.example/ledger/other'", []);
    let report = store.report();
    assert!(matches!(report, Err(LedgerError::OtherLedger { .. })), "{report:?}");
}

/// Whoever rolls back store and mark together leaves a state that once was true. No memory of this machine tells it from the newest:
/// a witness, or the checkpoint that a gateway keeps, does.
#[test]
fn store_and_mark_rolled_back_together_are_not_found_and_the_decision_says_so() {
    let store = Edited::new();
    std::fs::write(store.home.place().store, &store.sample.older_store).unwrap();
    std::fs::write(store.home.place().mark, &store.sample.older_mark).unwrap();
    assert_eq!(store.report().unwrap().findings, []);
    let decision = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/decisions/0009-high-water-mark.md");
    assert!(std::fs::read_to_string(decision).unwrap().contains("rolled back together"));
}
