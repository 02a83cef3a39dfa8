//! A governed command at a terminal is as any other: job control outside and inside, pagers and editors.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod governed;

use governed::{Site, err, out, users};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn a_terminal_is_used_as_without() {
    for site in users().into_iter().map(Site::new) {
        let mut command = site.bare(["python3", "-c", include_str!("governed/terminal.py")]);
        let output = command.args(site.prefix()).output().unwrap();
        assert_eq!(out(&output), "all went well\n", "{}", err(&output));
        assert_eq!(site.left(), vec![]);
    }
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
