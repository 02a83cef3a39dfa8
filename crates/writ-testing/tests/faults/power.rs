//! Power cuts under load.

use crate::rig::{MarkOn, Rig};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use writ_testing::fault_disk::PowerCut;
use writ_testing::load::Line;

const APPENDERS: usize = 8;
const AT_ONCE: Duration = Duration::ZERO;
/// Operations of the disk between two cuts, at most: a batch takes a few dozen.
const OPERATIONS_MAX: u64 = 400;
/// Every so often the store is not looked at after a cut, so that the next one may come while it recovers.
const LOOKED_AT_EACH: u64 = 3;

/// When the power goes.
enum Cut {
    /// In the middle of the nth operation.
    Inside(u64),
    /// When an appender has heard the nth answer.
    AfterAnswers(u64),
}

fn cut_power(mark: MarkOn, cuts: u64, how: impl Fn(u64) -> PowerCut) {
    let rig = Rig::new(mark, APPENDERS);
    for seed in 0..cuts {
        let cut = match seed % 4 {
            3 => Cut::AfterAnswers(1 + seed * 31 % 60),
            _ => Cut::Inside(1 + seed * 7919 % OPERATIONS_MAX),
        };
        run_until_cut(&rig, &cut, how(seed));
        rig.disk.restore();
        if let Some(disk) = &rig.mark_disk {
            disk.power_cut(how(seed));
            disk.restore();
        }
        if seed % LOOKED_AT_EACH != 2 {
            drop(rig.open().unwrap_or_else(|error| panic!("after cut {seed}: {error}")));
            rig.hold();
        }
    }
    rig.append(&rig.open().unwrap(), 2, |_| {}).unwrap();
    rig.audit();
    println!("{cuts} cuts with {mark:?}: {} acknowledged, none lost, of {} entries", rig.acknowledged(), rig.size());
}

fn run_until_cut(rig: &Rig, cut: &Cut, how: PowerCut) {
    let answers = AtomicU64::new(0);
    if let Cut::Inside(operation) = cut {
        rig.disk.power_cut_after(*operation, how);
    }
    // The cut may come while the ledger opens.
    let result = rig.open().and_then(|ledger| {
        rig.append(&ledger, u64::MAX, |line| {
            let answered = matches!(line, Line::Acknowledged(_));
            let count = answers.fetch_add(u64::from(answered), Ordering::Relaxed) + u64::from(answered);
            if answered && matches!(cut, Cut::AfterAnswers(at) if *at == count) {
                rig.disk.power_cut(how);
            }
        })
    });
    let error = result.expect_err("it goes on until the power is cut");
    assert!(rig.disk.wait_for_power_cut(AT_ONCE), "the power is on, but: {error}");
}

#[test]
fn a_power_cut_that_drops_everything_unsynced_loses_nothing_acknowledged() {
    cut_power(MarkOn::Safe, 30, |_| PowerCut::DropAll);
}

#[test]
fn a_power_cut_that_keeps_anything_unsynced_loses_nothing_acknowledged() {
    cut_power(MarkOn::Safe, 40, PowerCut::KeepRandomSectors);
}

/// The mark may be older afterwards; it never blocks, and it never forbids what is there.
#[test]
fn a_mark_on_the_disk_that_loses_power_never_blocks() {
    cut_power(MarkOn::Same, 15, |_| PowerCut::DropAll);
    cut_power(MarkOn::Same, 25, PowerCut::KeepRandomSectors);
    cut_power(MarkOn::Own, 15, PowerCut::KeepRandomSectors);
}
