//! A governed command at a terminal is as any other: job control outside and inside, pagers and editors.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod governed;

use governed::{Site, err, out, users};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;

#[test]
fn a_terminal_is_used_as_without() {
    for site in users().into_iter().map(Site::new) {
        let mut command = site.bare(["python3", "-c", include_str!("governed/terminal.py")]);
        let output = command.args(site.prefix()).output().unwrap();
        assert_eq!(out(&output), "all went well\n", "{}", err(&output));
        assert_eq!(site.left(), vec![]);
    }
}

/// Stopped, continued, in the background, in a pipeline, with a shell inside or without a terminal: what a person sees is the same.
#[test]
fn job_control_shows_what_it_shows_without() {
    for site in users().into_iter().map(Site::new) {
        let seen = |prefix: &[PathBuf]| {
            let mut command = site.bare(["python3", "-c", include_str!("governed/jobs.py")]);
            let output = command.args(prefix).env("CONFINED_ALIKE", "1").output().unwrap();
            assert!(output.status.success(), "{}{}", out(&output), err(&output));
            assert_eq!(site.left(), vec![]);
            out(&output)
        };
        let (without, with) = (seen(&["env".into(), "--".into()]), seen(&site.prefix()));
        let (with, without) = (scenes(&with), scenes(&without));
        assert_eq!(with.len(), without.len());
        for (with, without) in with.iter().zip(&without) {
            assert_eq!(with, without);
        }
    }
}

/// The lines of each scene, sorted: when a shell tells of a job in the background, and how often, is its own matter.
fn scenes(seen: &str) -> Vec<Vec<&str>> {
    seen.split("== ")
        .map(|scene| {
            let mut lines: Vec<&str> = scene.lines().collect();
            lines.sort_unstable();
            lines.dedup_by(|line, before| line == before && line.starts_with('['));
            lines
        })
        .collect()
}

#[test]
fn the_test_itself_passes_without_a_gateway() {
    for site in users().into_iter().map(Site::new) {
        let mut command = site.bare(["python3", "-c", include_str!("governed/terminal.py"), "env", "--"]);
        let output = command.output().unwrap();
        // Without a gateway, what a killed shell has started goes on.
        site.left().into_iter().for_each(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap());
        assert_eq!(out(&output), "all went well\n", "{}", err(&output));
    }
}
