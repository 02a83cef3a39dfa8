//! The fault disk tells the truth: it loses what was not synced and nothing else, and SQLite
//! behaves on it as it should, or demonstrably does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics to fail"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};
use writ_testing::fault_disk::{EntryDurability, Fault, FaultDisk, PowerCut, WriteFailure};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const O_DSYNC: i32 = 0o10000;
const AT_ONCE: Duration = Duration::ZERO;

/// A disk with directories of its own, which go with it.
struct Rig {
    disk: Option<FaultDisk>,
    root: PathBuf,
}

impl Rig {
    fn new() -> Self {
        Self::with(EntryDurability::DirectorySync)
    }

    fn with(entry_durability: EntryDurability) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("writ-fault-disk-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let (backing, mountpoint) = (root.join("backing"), root.join("disk"));
        let disk = FaultDisk::mount_with(&backing, &mountpoint, entry_durability);
        Self { disk: Some(disk), root }
    }

    fn disk(&self) -> &FaultDisk {
        self.disk.as_ref().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.disk().mountpoint().join(name)
    }

    /// A file that is there, with its name and content durable.
    fn durable_file(&self, name: &str, content: &[u8]) -> File {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.unwrap();
        file.sync_all().unwrap();
        self.sync_root();
        file
    }

    fn sync_root(&self) {
        sync(self.disk().mountpoint());
    }

    fn cycle_power(&self, how: PowerCut) {
        self.disk().power_cut(how);
        self.disk().restore();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.disk = None;
        fs::remove_dir_all(&self.root).unwrap();
    }
}

fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().expect("it should fail").raw_os_error()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_unsynced_write_is_lost_and_a_synced_one_stays() {
    let rig = Rig::new();
    let file = rig.durable_file("a", &[1; 10_000]);
    file.write_all_at(&[2; 100], 0).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(&[3; 100], 50).unwrap();
    file.write_all_at(&[3; 100], 20_000).unwrap();
    assert_eq!(fs::read(rig.path("a")).unwrap().len(), 20_100);
    rig.cycle_power(PowerCut::DropAll);
    let mut expected = vec![1; 10_000];
    expected[..100].fill(2);
    assert_eq!(fs::read(rig.path("a")).unwrap(), expected);
}

#[test]
fn an_unsynced_truncation_is_lost() {
    let rig = Rig::new();
    let file = rig.durable_file("a", &[1; 10_000]);
    file.set_len(10).unwrap();
    rig.cycle_power(PowerCut::DropAll);
    assert_eq!(fs::read(rig.path("a")).unwrap(), [1; 10_000]);
}

#[test]
fn a_write_through_dsync_stays() {
    let rig = Rig::new();
    rig.durable_file("a", b"");
    let mut options = OpenOptions::new();
    let file = options.write(true).custom_flags(O_DSYNC);
    file.open(rig.path("a")).unwrap().write_all(b"x").unwrap();
    rig.cycle_power(PowerCut::DropAll);
    assert_eq!(fs::read(rig.path("a")).unwrap(), b"x");
}

#[test]
fn a_created_file_is_lost_without_a_sync_of_its_directory() {
    let rig = Rig::new();
    fs::create_dir(rig.path("kept")).unwrap();
    fs::create_dir(rig.path("kept/lost")).unwrap();
    rig.sync_root();
    for name in ["lost", "kept/lost/in"] {
        fs::write(rig.path(name), b"x").unwrap();
        sync(&rig.path(name));
    }
    rig.cycle_power(PowerCut::DropAll);
    assert_eq!(names(rig.disk().mountpoint()), ["kept"]);
    assert_eq!(names(&rig.path("kept")), [""; 0]);
}

#[test]
fn a_synced_name_of_an_unsynced_file_is_empty() {
    let rig = Rig::new();
    fs::write(rig.path("a"), b"x").unwrap();
    rig.sync_root();
    rig.cycle_power(PowerCut::DropAll);
    assert_eq!(fs::read(rig.path("a")).unwrap(), b"");
}

#[test]
fn where_any_sync_commits_the_journal_a_synced_file_keeps_its_name() {
    let rig = Rig::with(EntryDurability::AnySync);
    fs::write(rig.path("a"), b"x").unwrap();
    sync(&rig.path("a"));
    fs::write(rig.path("b"), b"x").unwrap();
    rig.cycle_power(PowerCut::DropAll);
    assert_eq!(names(rig.disk().mountpoint()), ["a"]);
}

#[test]
fn a_rename_or_removal_is_undone_without_a_sync_of_its_directory() {
    let rig = Rig::new();
    rig.durable_file("target", b"old");
    rig.durable_file("removed", b"x");
    rig.durable_file("new", b"new");
    fs::rename(rig.path("new"), rig.path("target")).unwrap();
    fs::remove_file(rig.path("removed")).unwrap();
    assert_eq!(names(rig.disk().mountpoint()), ["target"]);
    rig.cycle_power(PowerCut::DropAll);
    assert_eq!(names(rig.disk().mountpoint()), ["new", "removed", "target"]);
    assert_eq!(fs::read(rig.path("target")).unwrap(), b"old");

    fs::rename(rig.path("new"), rig.path("target")).unwrap();
    rig.sync_root();
    rig.cycle_power(PowerCut::DropAll);
    assert_eq!(names(rig.disk().mountpoint()), ["removed", "target"]);
    assert_eq!(fs::read(rig.path("target")).unwrap(), b"new");
}

#[test]
fn a_move_between_directories_is_durable_whole() {
    let rig = Rig::new();
    fs::create_dir(rig.path("from")).unwrap();
    fs::create_dir(rig.path("to")).unwrap();
    rig.sync_root();
    fs::write(rig.path("from/a"), b"x").unwrap();
    fs::write(rig.path("to/other"), b"x").unwrap();
    fs::rename(rig.path("from/a"), rig.path("to/a")).unwrap();
    fs::write(rig.path("from/later"), b"x").unwrap();
    sync(&rig.path("to"));
    rig.cycle_power(PowerCut::DropAll);
    assert_eq!(names(&rig.path("to")), ["a", "other"]);
    assert_eq!(names(&rig.path("from")), [""; 0]);
}

#[test]
fn a_random_cut_depends_on_its_seed_alone_and_keeps_what_was_synced() {
    let survivors = |seed| {
        let rig = Rig::new();
        let file = rig.durable_file("a", &[1; 64 * 4096]);
        file.write_all_at(&[2; 16 * 4096], 0).unwrap();
        for number in 0..10 {
            fs::write(rig.path(&format!("new-{number}")), b"x").unwrap();
        }
        rig.cycle_power(PowerCut::KeepRandomSectors(seed));
        (fs::read(rig.path("a")).unwrap(), names(rig.disk().mountpoint()))
    };
    let results: Vec<_> = (0..8).map(survivors).collect();
    for (content, names) in &results {
        assert_eq!(content[16 * 4096..], [1; 48 * 4096]);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    }
    assert_eq!(survivors(3), results[3]);
    assert!(results.iter().any(|result| result.0 != results[0].0));
    assert!(results.iter().any(|result| result.1 != results[0].1));
}

#[test]
fn after_a_cut_open_files_fail_even_where_pages_were_cached() {
    let rig = Rig::new();
    let file = rig.durable_file("a", &[1; 8192]);
    let mut page = [0; 4096];
    file.read_exact_at(&mut page, 0).unwrap();
    rig.disk().power_cut(PowerCut::DropAll);
    let fails = || {
        assert_eq!(errno(file.read_at(&mut [0; 10], 0)), Some(EIO));
        assert_eq!(errno(file.write_at(&[0; 10], 0)), Some(EIO));
        assert_eq!(errno(file.sync_all()), Some(EIO));
        assert_eq!(errno(file.metadata()), Some(EIO));
    };
    fails();
    assert_eq!(errno(File::open(rig.path("a"))), Some(EIO));
    assert_eq!(errno(fs::write(rig.path("b"), b"x")), Some(EIO));
    rig.disk().restore();
    fails();
    assert_eq!(fs::read(rig.path("a")).unwrap(), [1; 8192]);
}

#[test]
fn an_armed_cut_comes_at_its_operation() {
    let rig = Rig::new();
    let file = rig.durable_file("a", b"");
    rig.disk().power_cut_after(3, PowerCut::DropAll);
    assert!(!rig.disk().wait_for_power_cut(AT_ONCE));
    file.write_all_at(b"x", 0).unwrap();
    file.sync_all().unwrap();
    assert_eq!(errno(file.write_at(b"y", 0)), Some(EIO));
    assert!(rig.disk().wait_for_power_cut(AT_ONCE));
    rig.disk().restore();
    assert_eq!(fs::read(rig.path("a")).unwrap(), b"x");
}

#[test]
fn a_full_disk_refuses_growth_only() {
    let rig = Rig::new();
    let file = rig.durable_file("a", &[1; 8192]);
    rig.disk().fail(Fault::NoSpace { after_bytes: 1000 });
    file.write_all_at(&[2; 1000], 8192).unwrap();
    assert_eq!(errno(file.write_at(&[2; 1], 9192)), Some(ENOSPC));
    assert_eq!(errno(file.set_len(10_000)), Some(ENOSPC));
    assert_eq!(errno(File::create(rig.path("b"))), Some(ENOSPC));
    file.write_all_at(&[3; 8192], 0).unwrap();
    file.sync_all().unwrap();
    assert_eq!(file.metadata().unwrap().len(), 9192);
    rig.disk().heal();
    file.write_all_at(&[2; 1], 9192).unwrap();
}

#[test]
fn a_failed_sync_is_not_made_good_by_a_retry() {
    let rig = Rig::new();
    let file = rig.durable_file("a", b"old");
    rig.disk().fail(Fault::SyncError { nth: 2 });
    file.sync_all().unwrap();
    file.write_all_at(b"new", 0).unwrap();
    assert_eq!(errno(file.sync_all()), Some(EIO));
    file.sync_all().unwrap();
    assert_eq!(fs::read(rig.path("a")).unwrap(), b"new");
    rig.cycle_power(PowerCut::DropAll);
    assert_eq!(fs::read(rig.path("a")).unwrap(), b"old");
}

#[test]
fn a_read_only_or_failing_disk_refuses_writes_and_still_reads() {
    let rig = Rig::new();
    let file = rig.durable_file("a", b"old");
    rig.disk().fail(Fault::WriteError);
    assert_eq!(errno(file.write_at(b"new", 0)), Some(EIO));
    assert_eq!(errno(file.set_len(0)), Some(EIO));
    assert_eq!(fs::read(rig.path("a")).unwrap(), b"old");
    rig.disk().heal();
    file.write_all_at(b"new", 0).unwrap();

    rig.disk().fail(Fault::ReadOnly);
    assert_eq!(errno(file.write_at(b"bad", 0)), Some(EROFS));
    assert_eq!(errno(file.sync_all()), Some(EROFS));
    assert_eq!(errno(File::create(rig.path("b"))), Some(EROFS));
    assert_eq!(errno(fs::remove_file(rig.path("a"))), Some(EROFS));
    let (a, b) = (rig.path("a"), rig.path("b"));
    assert_eq!(errno(fs::rename(a, b)), Some(EROFS));
    assert_eq!(fs::read(rig.path("a")).unwrap(), b"new");
    rig.disk().heal();
    file.sync_all().unwrap();
}

#[test]
fn a_disk_fails_from_the_chosen_write_on() {
    for (failure, expected) in
        [(WriteFailure::NoSpace, ENOSPC), (WriteFailure::Error, EIO), (WriteFailure::ReadOnly, EROFS)]
    {
        let rig = Rig::new();
        let file = rig.durable_file("a", b"old");
        let before = rig.disk().counters().failed;
        rig.disk().fail(Fault::FromWrite { nth: 2, failure });
        file.write_all_at(b"new", 0).unwrap();
        assert_eq!(rig.disk().counters().failed, before);
        for _ in 0..2 {
            assert_eq!(errno(file.write_at(b"bad", 0)), Some(expected));
        }
        assert_eq!(errno(file.set_len(0)), Some(expected));
        assert_eq!(rig.disk().counters().failed, before + 3);
        assert_eq!(fs::read(rig.path("a")).unwrap(), b"new");
        rig.disk().heal();
        file.write_all_at(b"new", 0).unwrap();
        file.sync_all().unwrap();
    }
}

#[test]
fn counters_count_storage() {
    let rig = Rig::new();
    let file = rig.durable_file("a", b"");
    let before = rig.disk().counters();
    file.write_all_at(&[1; 100], 0).unwrap();
    file.write_all_at(&[1; 50], 0).unwrap();
    file.sync_data().unwrap();
    rig.sync_root();
    let after = rig.disk().counters();
    assert_eq!(after.writes - before.writes, 2);
    assert_eq!(after.bytes - before.bytes, 150);
    assert_eq!(after.syncs - before.syncs, 1);
    assert_eq!(after.directory_syncs - before.directory_syncs, 1);
}

#[test]
fn an_orderly_unmount_leaves_everything_in_the_backing_directory() {
    let mut rig = Rig::new();
    let (backing, mountpoint) = (rig.root.join("backing"), rig.root.join("disk"));
    fs::create_dir(rig.path("d")).unwrap();
    fs::write(rig.path("d/a"), b"x").unwrap();
    rig.disk.take().unwrap().unmount().unwrap();
    assert_eq!(fs::read(backing.join("d/a")).unwrap(), b"x");
    assert_eq!(names(&mountpoint), [""; 0]);

    rig.disk = Some(FaultDisk::mount(&backing, &mountpoint));
    fs::rename(rig.path("d/a"), rig.path("b")).unwrap();
    let medium = rig.root.join("medium");
    rig.disk().save_durable(&medium).unwrap();
    assert_eq!(fs::read(medium.join("d/a")).unwrap(), b"x");
    rig.disk.take().unwrap().unmount().unwrap();
    assert_eq!(names(&backing), ["b", "d"]);
    assert_eq!(names(&backing.join("d")), [""; 0]);
}

#[test]
fn a_test_that_panics_with_open_files_leaves_no_mount() {
    let mut left = None;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let rig = Rig::new();
        left = Some((rig.root.clone(), rig.durable_file("a", b"x")));
        panic!("as a failing test would");
    }));
    assert!(panicked.is_err());
    let (root, file) = left.unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(root.to_str().unwrap()));
    assert!(!root.exists());
    assert_eq!(errno(file.sync_all()), Some(EIO));
}

/// How a connection is set up: the same schema each time, whatever survived.
#[derive(Clone, Copy)]
struct Setup {
    synchronous: &'static str,
    locking_mode: &'static str,
}

const FULL: Setup = Setup { synchronous: "FULL", locking_mode: "NORMAL" };

const FULL_EXCLUSIVE: Setup = Setup { synchronous: "FULL", locking_mode: "EXCLUSIVE" };

impl Setup {
    fn open(self, path: &Path) -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.execute_batch(&format!(
            "PRAGMA locking_mode = {};
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = {};
             PRAGMA wal_autocheckpoint = 25;
             CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, body BLOB NOT NULL);",
            self.locking_mode, self.synchronous
        ))?;
        Ok(connection)
    }
}

const BATCH: u32 = 3;

fn body(id: u32) -> Vec<u8> {
    [id.to_le_bytes()[0]].repeat(100 + id as usize * 37 % 3000)
}

fn insert_batch(connection: &mut Connection, first: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for id in first..first + BATCH {
        transaction.execute("INSERT INTO entry VALUES (?1, ?2)", params![id, body(id)])?;
    }
    transaction.commit()
}

/// Adds batches until the disk fails, telling of each that was acknowledged.
fn insert_until_failure(setup: Setup, path: &Path, mut acknowledge: impl FnMut(u32)) -> rusqlite::Error {
    let mut run = || {
        let mut connection = setup.open(path)?;
        let mut count = connection.query_row("SELECT count(*) FROM entry", (), |row| row.get(0))?;
        acknowledge(count);
        loop {
            insert_batch(&mut connection, count)?;
            count += BATCH;
            acknowledge(count);
        }
    };
    let result: rusqlite::Result<()> = run();
    result.expect_err("it goes on until it fails")
}

/// What is wrong with a database in which `acknowledged` entries should be.
fn flaw(setup: Setup, path: &Path, acknowledged: u32) -> Option<String> {
    let entries = || {
        let connection = setup.open(path)?;
        let check: String = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
        let mut select = connection.prepare("SELECT id, body FROM entry ORDER BY id")?;
        let rows = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows: Vec<(u32, Vec<u8>)> = rows.collect::<rusqlite::Result<_>>()?;
        Ok::<_, rusqlite::Error>((check, rows))
    };
    let (check, rows) = match entries() {
        Ok(entries) => entries,
        Err(error) => return Some(format!("not readable: {error}")),
    };
    let count = u32::try_from(rows.len()).unwrap();
    let ids_and_bodies_match = (0..).zip(&rows).all(|(id, row)| *row == (id, body(id)));
    if check != "ok" {
        Some(check)
    } else if count < acknowledged {
        Some(format!("{count} of {acknowledged} entries"))
    } else if count % BATCH != 0 || !ids_and_bodies_match {
        Some("entries that were never committed".into())
    } else {
        None
    }
}

/// Writes through power cuts, and returns the first flaw. Every third time the database is not
/// looked at, so that the next cut may come while it recovers.
fn flaw_after_cuts(setup: Setup, cuts: u64, random: bool) -> Option<String> {
    let rig = Rig::new();
    let path = rig.path("ledger.db");
    let mut acknowledged = 0;
    for seed in 0..cuts {
        let how = if random { PowerCut::KeepRandomSectors(seed) } else { PowerCut::DropAll };
        let operations = 1 + seed * 7919 % 150;
        rig.disk().power_cut_after(operations, how);
        let mut lost = None;
        let error = insert_until_failure(setup, &path, |count| {
            if count < acknowledged {
                lost = Some(format!("{count} of {acknowledged} entries"));
            }
            acknowledged = count;
        });
        if !rig.disk().wait_for_power_cut(AT_ONCE) {
            return Some(format!("after cut {seed}: {error}"));
        }
        rig.disk().restore();
        if seed % 3 != 2 {
            lost = lost.or_else(|| flaw(setup, &path, acknowledged));
        }
        if let Some(flaw) = lost {
            return Some(format!("cut {seed}: {flaw}"));
        }
    }
    None
}

#[test]
fn sqlite_with_full_sync_survives_power_cuts() {
    assert_eq!(flaw_after_cuts(FULL, 30, true), None);
    assert_eq!(flaw_after_cuts(FULL, 10, false), None);
}

#[test]
fn sqlite_with_full_sync_in_exclusive_mode_survives_power_cuts() {
    assert_eq!(flaw_after_cuts(FULL_EXCLUSIVE, 30, true), None);
    assert_eq!(flaw_after_cuts(FULL_EXCLUSIVE, 10, false), None);
}

/// So the tests above can fail: without a sync of each commit, commits are lost.
#[test]
fn sqlite_with_less_sync_does_not_survive_power_cuts() {
    for synchronous in ["OFF", "NORMAL"] {
        for locking_mode in ["NORMAL", "EXCLUSIVE"] {
            let setup = Setup { synchronous, locking_mode };
            assert!(flaw_after_cuts(setup, 30, true).is_some());
            assert!(flaw_after_cuts(setup, 30, false).is_some());
        }
    }
}

#[test]
fn sqlite_connections_share_memory_on_the_disk() {
    let rig = Rig::new();
    let path = rig.path("ledger.db");
    let (mut one, other) = (FULL.open(&path).unwrap(), FULL.open(&path).unwrap());
    for round in 0..20 {
        insert_batch(&mut one, round * BATCH).unwrap();
        let seen = other.query_row("SELECT count(*) FROM entry", (), |row| row.get(0));
        assert_eq!(seen, Ok((round + 1) * BATCH));
    }
    assert!(rig.path("ledger.db-shm").exists());
}

#[test]
fn sqlite_reports_a_failing_disk_and_keeps_what_it_acknowledged() {
    let faults = [
        (Fault::NoSpace { after_bytes: 50_000 }, ErrorCode::DiskFull),
        (Fault::SyncError { nth: 5 }, ErrorCode::SystemIoFailure),
        (Fault::ReadOnly, ErrorCode::SystemIoFailure),
        (Fault::WriteError, ErrorCode::SystemIoFailure),
    ];
    for setup in [FULL, FULL_EXCLUSIVE] {
        for (fault, expected) in faults {
            let rig = Rig::new();
            let path = rig.path("ledger.db");
            let mut acknowledged = 0;
            let error = insert_until_failure(setup, &path, |count| {
                acknowledged = count;
                if count == 10 * BATCH {
                    rig.disk().fail(fault);
                }
            });
            assert_eq!(error.sqlite_error_code(), Some(expected), "{fault:?}");
            rig.disk().heal();
            rig.cycle_power(PowerCut::DropAll);
            assert_eq!(flaw(setup, &path, acknowledged), None, "{fault:?}");
        }
    }
}

const CHILD_PATH: &str = "WRIT_FAULT_DISK_CHILD_PATH";

/// The child of the test below; called without it, it has nothing to do.
#[test]
fn child_that_inserts_until_failure() {
    let Some(path) = std::env::var_os(CHILD_PATH) else {
        return;
    };
    insert_until_failure(FULL, Path::new(&path), |count| {
        let mut out = io::stdout().lock();
        writeln!(out, "\nacknowledged {count}").unwrap();
        out.flush().unwrap();
    });
}

#[test]
fn another_process_on_the_disk_loses_nothing_acknowledged() {
    let rig = Rig::new();
    let path = rig.path("ledger.db");
    let mut acknowledged = 0;
    for round in 1..=6_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_inserts_until_failure", "--exact", "--nocapture"])
            .env(CHILD_PATH, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stop = acknowledged + round * 5 * BATCH;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some(count) = line.strip_prefix("acknowledged ") else {
                continue;
            };
            let count: u32 = count.parse().unwrap();
            assert!(count >= acknowledged, "round {round}: {count}");
            acknowledged = count;
            if count >= stop {
                rig.disk().power_cut(PowerCut::KeepRandomSectors(round.into()));
            }
        }
        assert!(child.wait().unwrap().success(), "round {round}");
        rig.disk().restore();
        assert_eq!(flaw(FULL, &path, acknowledged), None, "round {round}");
    }
}
