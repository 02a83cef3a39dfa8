//! A thousand seeded schedules, each judged by its entries. `WRIT_SIM_SEED` runs one; `WRIT_SIM_N` sets how many.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a test panics to fail, prints its table, and looks at the entries that it is about"
)]

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use writ_ledger::Phase;
use writ_testing::simulation::{Outcome, Report, simulate};

#[path = "simulation/doctored.rs"]
mod doctored;

const SCHEDULES: u64 = 1_000;

#[test]
fn no_schedule_breaks_an_invariant() {
    if let Some(seed) = variable("WRIT_SIM_SEED") {
        let outcome = run(seed);
        println!("{}\nseed {seed}\n{}", outcome.trace.join("\n"), outcome.report);
        return;
    }
    let (started, schedules) = (Instant::now(), variable("WRIT_SIM_N").unwrap_or(SCHEDULES));
    let (next, mut report) = (AtomicU64::new(0), Report::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let runners: Vec<_> = (0..threads).map(|_| scope.spawn(|| run_until(&next, schedules))).collect();
        for runner in runners {
            report.add(&runner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    println!("{report}{:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(report.schedules, schedules);
    if schedules >= SCHEDULES {
        was_worth_it(&report);
    }
}

fn run_until(next: &AtomicU64, schedules: u64) -> Report {
    let mut report = Report::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= schedules {
            return report;
        }
        report.add(&run(seed).report);
    }
}

/// Every failure names its seed.
fn run(seed: u64) -> Outcome {
    catch_unwind(|| simulate(seed)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let why = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
        panic!("seed {seed}: {why}\nrun it alone with `make sim SEED={seed}`")
    })
}

/// Schedules in which nothing happens show nothing.
fn was_worth_it(report: &Report) {
    let Report { schedules, grants, effects, orders, repeated, .. } = report;
    let Report { shadows, holds, approved, withdrawn, spoken, mandates, labelled, .. } = report;
    for (what, count) in [("grants", grants), ("effects", effects), ("orders", orders), ("repeated", repeated)] {
        assert!(*count > *schedules, "too few {what}: {count} in {schedules} schedules");
    }
    for (what, count, of) in [
        ("in shadow", shadows, 4),
        ("holds", holds, 2),
        ("approved", approved, 20),
        ("taken back", withdrawn, 50),
        ("spoken for", spoken, 4),
        ("mandates", mandates, 2),
        ("labels", labelled, 2),
    ] {
        assert!(*count > schedules / of, "too few {what}: {count} in {schedules} schedules");
    }
    for phase in Phase::ALL {
        assert!(report.kills.contains_key(phase), "no node was killed in {}", phase.as_str());
        assert!(report.power_cuts.contains_key(phase), "no power was lost in {}", phase.as_str());
    }
    let steps =
        ["admitted", "asking", "idle", "labelling", "running", "spending", "started", "starting", "telling", "viewing"];
    for step in steps {
        assert!(report.gateways_killed.contains_key(step), "no gateway was killed while {step}");
    }
    let codes = [
        "action_mismatch",
        "approval_pending",
        "approval_rejected",
        "budget_exceeded",
        "clock_untrusted",
        "evaluation_error",
        "expired",
        "halted",
        "holder_proof_invalid",
        "identity_mismatch",
        "malformed",
        "policy_denied",
        "policy_stale",
        "rate_limited",
        "replayed",
        "revoked",
        "scope_widened",
        "uses_exhausted",
        "view_stale",
        "wrong_audience",
    ];
    for code in codes {
        assert!(report.refusals.contains_key(code), "nothing was refused as {code}");
    }
}

#[test]
fn a_seed_determines_its_schedule() {
    for seed in [0, 1, 7, 4_711] {
        let (one, other) = (run(seed), run(seed));
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_eq!(one.report, other.report, "seed {seed}");
        let types = |outcome: &Outcome| outcome.entries.iter().map(|one| one.body.entry_type()).collect::<Vec<_>>();
        assert_eq!(types(&one), types(&other), "seed {seed}");
    }
    assert_ne!(run(1).trace, run(2).trace);
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| value.parse().expect("a number"))
}
