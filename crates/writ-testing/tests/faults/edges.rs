//! Each edge at which input or output fails, one at a time.

use crate::rig::{BASE_MS, Home, MarkOn, Rig, deny, now_ms, published};
use rusqlite::Connection;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use writ_ledger::{Ledger, LedgerError, Options, Place, Reader};
use writ_testing::fault_disk::{Fault, FaultDisk, PowerCut};
use writ_testing::load::Line;
use writ_testing::scenario::Domain;

const APPENDERS: usize = 8;

#[test]
fn on_a_full_disk_nothing_is_recorded_and_the_ledger_goes_on_once_there_is_space() {
    for after_bytes in [0, 4_000, 30_000, 100_000, 1_000_000] {
        let rig = Rig::new(MarkOn::Safe, APPENDERS);
        let ledger = rig.open().unwrap();
        rig.append(&ledger, 7, |_| {}).unwrap();
        rig.disk.fail(Fault::NoSpace { after_bytes });
        append_until_full(&rig, &ledger);
        // What is left may do for smaller batches. Once full, each attempt is refused alike, and leaves nothing.
        rig.disk.fail(Fault::NoSpace { after_bytes: 0 });
        let full = (0..1000).any(|_| deny(&ledger, &rig.domain).is_err());
        assert!(full, "the disk is never full");
        let before = published(&ledger);
        for _ in 0..3 {
            let error = deny(&ledger, &rig.domain).unwrap_err();
            assert!(matches!(&error, LedgerError::NotRecorded(why) if why.contains("full")), "{error}");
        }
        assert_eq!((published(&ledger), rig.size()), (before, before));
        rig.disk.heal();
        rig.append(&ledger, 2, |_| {}).unwrap();
        ledger.close().unwrap();
        rig.audit();
    }
}

/// The log is reused from its start after a checkpoint: that takes no space, so the disk is found full later, or in the checkpoint.
#[test]
fn a_full_disk_is_found_wherever_the_store_grows() {
    let rig = Rig::new(MarkOn::Safe, APPENDERS);
    let ledger = rig.open().unwrap();
    for mode in ["PASSIVE", "FULL", "RESTART", "TRUNCATE"].into_iter().cycle().take(8) {
        rig.append(&ledger, 4, |_| {}).unwrap();
        let checkpoint = || {
            let other = Connection::open(&rig.place.store).unwrap();
            other.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).is_ok()
        };
        assert!(checkpoint());
        rig.disk.fail(Fault::NoSpace { after_bytes: 0 });
        append_until_full(&rig, &ledger);
        // Whether the database file must grow for it depends on what was written.
        checkpoint();
        rig.hold();
        rig.disk.heal();
    }
    rig.append(&ledger, 2, |_| {}).unwrap();
    ledger.close().unwrap();
    rig.audit();
}

/// Whoever is told that nothing was recorded can rely on it, unless an earlier attempt had been.
fn append_until_full(rig: &Rig, ledger: &Ledger) {
    rig.hold();
    let failed = Mutex::new(Vec::new());
    let error = rig
        .append(ledger, u64::MAX, |line| {
            if let Line::Failed { asked, why, .. } = line
                && !rig.is_recorded(asked)
            {
                failed.lock().unwrap().push((asked.clone(), why.clone()));
            }
        })
        .unwrap_err();
    assert!(matches!(error, LedgerError::NotRecorded(_)), "{error}");
    rig.hold();
    for (asked, why) in failed.into_inner().unwrap() {
        assert!(!rig.is_recorded(&asked), "{asked} is recorded, and its asker was told: {why}");
    }
}

/// Whoever retries a failed sync believes a lie, so the node stops. What the sync was for is recorded or not; nobody was told.
#[test]
fn after_a_failed_sync_the_node_stops_and_a_new_one_goes_on() {
    for (nth, cut) in [(1, false), (1, true), (2, false), (3, true), (7, true)] {
        let rig = Rig::new(MarkOn::Safe, APPENDERS);
        let ledger = rig.open().unwrap();
        rig.append(&ledger, 1, |_| {}).unwrap();
        rig.disk.fail(Fault::SyncError { nth });
        stops(&rig, ledger);
        rig.disk.heal();
        if cut {
            rig.disk.power_cut(PowerCut::DropAll);
            rig.disk.restore();
        }
        goes_on(&rig);
    }
}

/// As above, but a reader keeps the store open, so that the log outlives the node; then the power goes. What the sync failed to write
/// must not lie beneath what is acknowledged later.
#[test]
fn nothing_is_built_on_what_a_failed_sync_left_behind() {
    for nth in 1..=3 {
        let rig = Rig::new(MarkOn::Safe, APPENDERS);
        let ledger = rig.open().unwrap();
        rig.append(&ledger, 1, |_| {}).unwrap();
        let reader = Reader::open(&rig.place.store).unwrap();
        reader.view().unwrap();
        rig.disk.fail(Fault::SyncError { nth });
        stops(&rig, ledger);
        rig.disk.heal();
        let ledger = rig.open().unwrap();
        rig.append(&ledger, 2, |_| {}).unwrap();
        rig.disk.power_cut(PowerCut::DropAll);
        drop((ledger, reader));
        rig.disk.restore();
        goes_on(&rig);
    }
}

/// As above, but the process is gone at once, so that nothing tidies the log up and the next node recovers from it.
#[test]
fn nothing_is_built_on_what_a_failed_sync_of_a_dead_process_left_behind() {
    let mut stopped = 0;
    for nth in 1..=8 {
        let rig = Rig::new(MarkOn::Safe, APPENDERS);
        rig.append(&rig.open().unwrap(), 1, |_| {}).unwrap();
        rig.disk.fail(Fault::SyncError { nth });
        stopped += u64::from(run_elsewhere(&rig, 4) == Some(1));
        rig.disk.heal();
        let ledger = rig.open().unwrap();
        rig.append(&ledger, 2, |_| {}).unwrap();
        rig.disk.power_cut(PowerCut::DropAll);
        drop(ledger);
        rig.disk.restore();
        goes_on(&rig);
    }
    assert!(stopped >= 3, "only {stopped} of the syncs that failed were noticed under load");
}

/// Another process appends so many stories; says with which status it ended.
fn run_elsewhere(rig: &Rig, more: u64) -> Option<i32> {
    let stories = rig.stories();
    let until = stories.iter().max().unwrap() + more;
    let from: Vec<String> = stories.iter().map(u64::to_string).collect();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ledger-load"))
        .arg("--store")
        .arg(&rig.place.store)
        .arg("--mark")
        .arg(&rig.place.mark)
        .args(["--base-ms", &BASE_MS.to_string(), "--from", &from.join(","), "--until", &until.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        rig.hear(line.unwrap().parse().unwrap());
    }
    child.wait().unwrap().code()
}

#[test]
fn after_a_failed_write_the_node_stops_and_a_new_one_goes_on() {
    for fault in [Fault::WriteError, Fault::ReadOnly] {
        let rig = Rig::new(MarkOn::Safe, APPENDERS);
        let ledger = rig.open().unwrap();
        rig.append(&ledger, 1, |_| {}).unwrap();
        let before = published(&ledger);
        rig.disk.fail(fault);
        stops(&rig, ledger);
        rig.disk.heal();
        assert_eq!(rig.size(), before, "{fault:?}");
        goes_on(&rig);
    }
}

#[test]
fn a_read_only_store_is_refused_with_its_reason_and_stays_as_it_is() {
    let rig = Rig::new(MarkOn::Safe, APPENDERS);
    rig.append(&rig.open().unwrap(), 1, |_| {}).unwrap();
    let before = std::fs::read(&rig.place.store).unwrap();
    rig.disk.fail(Fault::ReadOnly);
    let error = rig.open().map(drop).unwrap_err();
    assert!(error.to_string().to_lowercase().contains("read-only"), "{error}");
    rig.disk.heal();
    assert_eq!(std::fs::read(&rig.place.store).unwrap(), before);
    goes_on(&rig);
}

/// The mark takes its whole space when it is made, so a full disk cannot stop it.
#[test]
fn a_full_disk_of_the_mark_does_not_matter() {
    let rig = Rig::new(MarkOn::Own, APPENDERS);
    let ledger = rig.open().unwrap();
    rig.mark_disk.as_ref().unwrap().fail(Fault::NoSpace { after_bytes: 0 });
    rig.append(&ledger, 2, |_| {}).unwrap();
    ledger.close().unwrap();
    rig.audit();
}

/// The mark is written after the commit: what was asked is recorded, nobody is told, and whoever asks again gets it.
#[test]
fn when_the_mark_cannot_be_written_the_node_stops_before_it_answers() {
    for fault in [Fault::WriteError, Fault::ReadOnly] {
        let rig = Rig::new(MarkOn::Own, APPENDERS);
        let mark_disk = rig.mark_disk.as_ref().unwrap();
        let ledger = rig.open().unwrap();
        rig.append(&ledger, 1, |_| {}).unwrap();
        mark_disk.fail(fault);
        stops(&rig, ledger);
        // While the disk is read-only no node begins; a disk that fails each write is found with the first.
        if fault == Fault::ReadOnly {
            assert!(matches!(rig.open(), Err(LedgerError::File { .. })));
        }
        mark_disk.heal();
        goes_on(&rig);
    }
}

#[test]
fn a_store_kept_busy_by_another_program_is_waited_for_and_then_nothing_is_recorded() {
    let rig = Rig::new(MarkOn::Safe, 1);
    let ledger = rig.open().unwrap();
    deny(&ledger, &rig.domain).unwrap();
    let before = published(&ledger);
    let other = Connection::open(&rig.place.store).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = deny(&ledger, &rig.domain).unwrap_err();
    assert!(matches!(&error, LedgerError::NotRecorded(why) if why.contains("locked")), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!((published(&ledger), rig.size()), (before, before));
    deny(&ledger, &rig.domain).unwrap();
    ledger.close().unwrap();
    rig.audit();
}

#[test]
fn a_ledger_is_made_whole_or_not_at_all() {
    let syncs = (1..=12).map(|nth| Fault::SyncError { nth });
    let spaces = (0..20).map(|step| Fault::NoSpace { after_bytes: step * 5_000 });
    let mut made = [0, 0];
    for fault in [Fault::ReadOnly, Fault::WriteError].into_iter().chain(syncs).chain(spaces) {
        let (home, domain) = (Home::new(), Domain::new(BASE_MS));
        let disk = FaultDisk::mount(&home.path("backing"), &home.path("disk"));
        let place = Place::new(disk.mountpoint().join("ledger.db"), disk.mountpoint().join("mark"));
        disk.fail(fault);
        let result = Ledger::create(&place, &domain.genesis(), &domain.ledger_signer());
        disk.heal();
        disk.power_cut(PowerCut::DropAll);
        disk.restore();
        let opened = Ledger::open(&place, domain.ledger_signer(), Options::new(now_ms));
        made[usize::from(result.is_ok())] += 1;
        match result {
            Ok(_) => opened.and_then(Ledger::close).unwrap_or_else(|error| panic!("{fault:?}: {error}")),
            Err(LedgerError::Store(_) | LedgerError::File { .. }) => assert!(opened.is_err(), "{fault:?}"),
            Err(other) => panic!("{fault:?}: {other}"),
        }
    }
    assert!(made.iter().all(|count| *count > 3), "{made:?} not made and made");
}

/// Asks until the node stops: whoever waits is told `NotRecorded`, whoever comes later `Stopped`, and so is the owner.
fn stops(rig: &Rig, ledger: Ledger) {
    let error = rig.append(&ledger, u64::MAX, |_| {}).unwrap_err();
    assert!(matches!(error, LedgerError::NotRecorded(_) | LedgerError::Stopped(_)), "{error}");
    // Known by the time that anybody is told.
    assert!(matches!(ledger.is_running(), Err(LedgerError::Stopped(_))));
    let error = deny(&ledger, &rig.domain).unwrap_err();
    assert!(matches!(error, LedgerError::Stopped(_)), "{error}");
    let why = ledger.close().unwrap_err();
    assert!(matches!(why, LedgerError::Store(_) | LedgerError::File { .. }), "{why}");
}

/// Another node opens the store, everything acknowledged is there, and it records again.
fn goes_on(rig: &Rig) {
    let ledger = rig.open().unwrap();
    rig.hold();
    rig.append(&ledger, 2, |_| {}).unwrap();
    ledger.close().unwrap();
    rig.audit();
}
