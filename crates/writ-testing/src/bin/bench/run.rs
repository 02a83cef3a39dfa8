//! How long it takes to run a program that does nothing, governed and in a sandbox that only hides.

use super::domain::{Node, writ};
use super::row::{Goal, ROUNDS, Row};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Runs in each round.
const RUNS: usize = 20;

/// From the start of `writ run` to its end: asked, granted, spent, started, ended, each in the ledger; beside bubblewrap with the same namespaces.
pub(crate) fn rows(home: &Path) -> Vec<Row> {
    let what = "`writ run` of a static program that does nothing / bubblewrap, median";
    let mut row = Row::new("run_start", what, "ms", Goal::AtMost(1.0));
    let program = does_nothing(home);
    let node = Node::start(&home.join("run"), 10, 10);
    let ours = || {
        let mut command = Command::new(writ());
        command.args(["run", "--domain"]).arg(&node.dir).arg("--").arg(&program);
        command
    };
    let peer = || {
        let mut command = Command::new("bwrap");
        command.args(["--dev-bind", "/", "/", "--die-with-parent", "--tmpfs"]).arg(&node.dir).arg(&program);
        command
    };
    for turn in 0..=ROUNDS {
        let (theirs, ours) = (median_ms(peer), median_ms(ours));
        if turn > 0 {
            row.ours.push(ours);
            row.peer.push(theirs);
        }
    }
    vec![row]
}

fn median_ms(command: impl Fn() -> Command) -> f64 {
    let mut took: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            let output = command().stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

fn does_nothing(home: &Path) -> PathBuf {
    let (source, program) = (home.join("does-nothing.c"), home.join("does-nothing"));
    std::fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let made = Command::new("cc").args(["-static", "-O1", "-o"]).arg(&program).arg(&source).status().unwrap();
    assert!(made.success());
    program
}
