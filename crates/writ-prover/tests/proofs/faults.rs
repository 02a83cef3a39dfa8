//! Solvers that are not there, lie, say nothing or end: nothing is proved by any of them.

use crate::sets::{DEPLOY, set};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use writ_prover::{Prover, SolverCommand, SolverLimits, Unproved};

const SOON: SolverLimits = SolverLimits { each: Duration::from_millis(200), whole: Duration::from_millis(400) };

/// A program that tells its version and then does this.
fn program(dir: &Path, then: &str) -> SolverCommand {
    let path = dir.join("solver");
    let text =
        format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'This is cvc5 version 1.4.2'; exit 0; fi\n{then}\n");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    SolverCommand::new(path)
}

/// What comes of asking it whether a wider set is wider.
fn asked(then: &str) -> Unproved {
    let dir = tempfile::tempdir().unwrap();
    let mut prover = Prover::new(program(dir.path(), then), SOON, |_| {}).unwrap();
    assert_eq!(prover.version(), "cvc5 1.4.2");
    let wider = DEPLOY.replace("<= 10", "<= 11");
    prover.widening(&set(&wider), &set(DEPLOY)).unwrap_err()
}

#[test]
fn a_solver_that_is_missing_is_named() {
    let error = Prover::new(SolverCommand::new("/nowhere/cvc5"), SOON, |_| {}).err().unwrap();
    assert!(matches!(error, Unproved::NoSolver { .. }) && error.to_string().contains("/nowhere/cvc5"), "{error}");
}

#[test]
fn what_does_not_say_its_version_is_no_solver() {
    for then in ["echo 1.4.2", "exit 1", "echo version"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("solver");
        fs::write(&path, format!("#!/bin/sh\n{then}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let error = Prover::new(SolverCommand::new(path), SOON, |_| {}).err().unwrap();
        assert!(matches!(error, Unproved::NoSolver { .. }), "{then}: {error}");
    }
}

#[test]
fn a_solver_that_does_not_end_when_it_is_asked_its_version_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("solver");
    // What it has started keeps the output open after it is ended.
    fs::write(&path, "#!/bin/sh\nsleep 60 &\nwait\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let begun = Instant::now();
    let error = SolverCommand::new(path).ready_within(Duration::from_millis(200)).unwrap_err();
    assert!(error.to_string().contains("does not say its version in time"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(50));
}

#[test]
fn a_solver_that_is_too_old_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("solver");
    for (version, is_old) in [
        ("1.2.9", true),
        ("1.3.0", true),
        ("0.9", true),
        ("git", true),
        ("1.3.1", false),
        ("1.10.0", false),
        ("2", false),
    ] {
        fs::write(&path, format!("#!/bin/sh\necho 'This is cvc5 version {version} [git]'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let found = Prover::new(SolverCommand::new(&path), SOON, |_| {});
        assert_eq!(matches!(&found, Err(Unproved::SolverOld { found, .. }) if *found == version), is_old, "{version}");
        assert_eq!(found.is_ok(), !is_old, "{version}");
    }
}

#[test]
fn a_solver_that_says_nothing_is_ended() {
    let begun = Instant::now();
    let error = asked("exec sleep 600");
    assert!(matches!(error, Unproved::Late), "{error}");
    // It was not waited for.
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_solver_that_reads_nothing_is_ended_too() {
    let error = asked("exec 0<&-; exec sleep 600");
    assert!(matches!(error, Unproved::Late | Unproved::Failed { .. }), "{error}");
}

#[test]
fn a_solver_that_takes_nothing_of_a_long_question_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut prover = Prover::new(program(dir.path(), "exec sleep 600"), SOON, |_| {}).unwrap();
    // More than a pipe holds.
    let paths: Vec<String> = (0..8_000).map(|number| format!("\"/usr/bin/tool-{number}\"")).collect();
    let new = DEPLOY.replace("context.argc <= 10", &format!("[{}].contains(context.cwd)", paths.join(", ")));
    let error = prover.widening(&set(&new), &set(DEPLOY)).unwrap_err();
    assert!(matches!(error, Unproved::Late | Unproved::Failed { .. }), "{error}");
}

#[test]
fn a_solver_that_gives_up_has_proved_nothing() {
    assert!(matches!(
        asked("while read -r line; do if [ \"$line\" = '(check-sat)' ]; then echo unknown; fi; done"),
        Unproved::Undecided { .. }
    ));
}

#[test]
fn a_solver_that_ends_or_talks_nonsense_has_failed() {
    for then in [
        "exit 0",
        "while read -r line; do if [ \"$line\" = '(check-sat)' ]; then exit 3; fi; done",
        "while read -r line; do if [ \"$line\" = '(check-sat)' ]; then echo perhaps; fi; done",
        "while read -r line; do if [ \"$line\" = '(check-sat)' ]; then echo '(error \"no\")'; fi; done",
        "while read -r line; do if [ \"$line\" = '(check-sat)' ]; then echo sat; elif [ \"$line\" = '(get-model)' ]; then echo nothing; fi; done",
        "while read -r line; do if [ \"$line\" = '(check-sat)' ]; then echo sat; elif [ \"$line\" = '(get-model)' ]; then printf '(\\n(define-fun x () Nonsense 1)\\n)\\n'; fi; done",
    ] {
        let error = asked(then);
        assert!(matches!(error, Unproved::Failed { .. }), "{then}: {error}");
    }
}

#[test]
fn a_request_that_the_engine_answers_otherwise_is_no_counterexample() {
    // A model that gives nothing a value: every default, and the policy does not permit that.
    let error = asked(
        "while read -r line; do if [ \"$line\" = '(check-sat)' ]; then echo sat; elif [ \"$line\" = '(get-model)' ]; then printf '(\\n)\\n'; fi; done",
    );
    assert!(matches!(error, Unproved::Refuted { .. } | Unproved::Failed { .. }), "{error}");
}
