//! What it costs to try a candidate policy set against history.

use super::domain::{CONNECTIONS, Node, init, writ};
use super::history;
use super::row::{Goal, Row, rate, rehearsed};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Entries of the history, seals left out. Of eleven, five are decisions.
const ENTRIES: u64 = rehearsed(400_000, 2_000);
const RUNS: usize = rehearsed(5, 1);

pub(crate) fn rows(home: &Path) -> Vec<Row> {
    let what = "decisions/s of `writ policy backtest`, the whole command: each one read, opened and decided again";
    let mut row = Row::new("backtest_rate", what, "/s", Goal::AtLeast(50_000.0));
    let dir = home.join("tried");
    init(&dir, 10, 10);
    let node = Node::up(&dir, CONNECTIONS);
    println!("  a node decides until there are {ENTRIES} entries");
    history::make(&node, ENTRIES);
    for _ in 0..RUNS {
        let begun = Instant::now();
        let mut tried = Command::new(writ());
        tried.args(["--json", "policy", "backtest", "--domain"]).arg(&dir).arg(dir.join("policy"));
        let tried = tried.output().unwrap();
        let elapsed = begun.elapsed();
        assert!(tried.status.success(), "{}", String::from_utf8_lossy(&tried.stderr));
        let report: Value = serde_json::from_slice(&tried.stdout).unwrap();
        let decided = report["decided"].as_u64().unwrap();
        assert!(report["verdict"] == "unchanged" && decided > ENTRIES / 3, "{report}");
        row.ours.push(rate(usize::try_from(decided).unwrap(), elapsed));
    }
    node.stop();
    vec![row]
}
