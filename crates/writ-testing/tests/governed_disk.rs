//! A governed run on a disk that fills up, fails or goes read-only at each of its writes: it is refused and nothing runs, or it runs once.
//! Whoever was told of an entry finds it, and the domain goes on once the disk does (Invariants 2, 6 and 9).
//!
//! It runs the `writ` that `WRIT_BIN` names, or else the one beside the tests: `cargo build -p writ-cli` makes it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its counts"
)]

#[path = "governed_disk/site.rs"]
mod site;

use site::{Ran, Site, Writ};
use writ_testing::fault_disk::{Fault, WriteFailure};

/// Writes of a run, at least: three batches, each of some pages in the log, and of the mark.
const WRITES_MIN: u64 = 30;
/// Syncs of a run, at least: one for each batch.
const SYNCS_MIN: u64 = 3;

#[test]
fn a_disk_that_is_full_from_any_write_on_lets_nothing_run_unrecorded() {
    at_each(Writ::Own, WRITES_MIN, 1, |nth| Fault::FromWrite { nth, failure: WriteFailure::NoSpace });
}

/// From asking for the writ on, which is handed over then.
#[test]
fn a_disk_that_fails_from_any_write_on_lets_nothing_run_unrecorded() {
    at_each(Writ::HandedOver, 2 * WRITES_MIN, 5, |nth| Fault::FromWrite { nth, failure: WriteFailure::Error });
}

#[test]
fn a_disk_that_goes_read_only_at_any_write_lets_nothing_run_unrecorded() {
    at_each(Writ::Own, WRITES_MIN, 4, |nth| Fault::FromWrite { nth, failure: WriteFailure::ReadOnly });
}

#[test]
fn a_sync_that_fails_lets_nothing_run_unrecorded() {
    at_each(Writ::Own, SYNCS_MIN, 1, |nth| Fault::SyncError { nth });
    at_each(Writ::HandedOver, SYNCS_MIN + 2, 1, |nth| Fault::SyncError { nth });
}

/// One run for each `nth`, or for some of them where each costs another start of the node, until one goes through untouched.
fn at_each(writ: Writ, least: u64, step: usize, fault: impl Fn(u64) -> Fault) {
    let mut site = Site::new();
    let (mut refused, mut unended) = (0, 0);
    let untouched = (1..).step_by(step).find(|nth| {
        let before = site.failures();
        site.disk.fail(fault(*nth));
        let ran = site.attempt(writ);
        let was_touched = site.failures() > before;
        site.disk.heal();
        match ran {
            Ran::Whole => {}
            Ran::Unended => unended += 1,
            Ran::Refused => refused += 1,
        }
        assert!(was_touched || ran == Ran::Whole, "{nth}: {ran:?} on a sound disk");
        site.goes_on();
        !was_touched
    });
    let (restarted, told) = (site.restarted, site.told.len());
    println!("{refused} refused, {unended} without an end; {restarted} times a new node; told of {told} entries");
    assert!(untouched.unwrap() > least && refused > 0 && unended > 0, "{untouched:?}, {refused}, {unended}");
    assert!(told > refused, "{told} {refused}");
    site.audit();
}
