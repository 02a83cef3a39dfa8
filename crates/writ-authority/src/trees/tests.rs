use super::{Descent, Governed, Trees, parse_stat, stat};
use crate::caller::Local;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use writ_protocol::entry::{AssertedPrincipal, EntryRef};
use writ_protocol::{Code, ExecutionId, Name};
use writ_tlog::{Hash, Origin};

fn governed() -> Governed {
    let grant = EntryRef { entry: Hash::from_bytes([7; 32]), index: 3, ledger: Origin::new("test/ledger").unwrap() };
    Governed {
        execution: ExecutionId::from_bytes([1; 16]),
        parent: grant.clone(),
        origin: grant,
        by: AssertedPrincipal { kind: Name::new("Agent").unwrap(), id: Name::new("builder").unwrap() },
        depth: 0,
        mandate: None,
        principal: AssertedPrincipal { kind: Name::new("Agent").unwrap(), id: Name::new("builder").unwrap() },
    }
}

fn pidfd(pid: u32) -> OwnedFd {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap()
}

fn local(pid: u32) -> Local<'static> {
    let pidfd: &'static OwnedFd = Box::leak(Box::new(pidfd(pid)));
    Local { uid: 0, pid, pidfd: Some(pidfd.as_fd()), descent: Box::leak(Box::default()) }
}

/// Waits for its standard input, and for nothing else.
fn waiting(script: &str) -> Child {
    Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
    line.trim().to_owned()
}

#[test]
fn the_name_of_a_process_may_hold_brackets() {
    let text = "42 (a) b) S 7 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 12345 1 1";
    let found = parse_stat(text).unwrap();
    assert_eq!((found.parent, found.started), (7, 12345));
    assert!(parse_stat("42 (a) Z 7 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 12345 1 1").is_none());
    assert!(parse_stat("").is_none());
}

#[test]
fn what_descends_from_a_watcher_is_its_execution_and_others_are_not() {
    let trees = Trees::default();
    let mut watcher = waiting("sh -c 'echo $$; read x'; true");
    let grandchild: u32 = first_line(&mut watcher).parse().unwrap();
    let outsider = waiting("read x");
    trees.begin(&local(std::process::id()), watcher.id(), governed()).unwrap();
    assert_eq!(trees.of(&local(grandchild)).unwrap(), Some(governed()));
    assert_eq!(trees.of(&local(watcher.id())).unwrap(), Some(governed()));
    assert_eq!(trees.of(&local(outsider.id())).unwrap(), None);
    assert_eq!(trees.of(&local(std::process::id())).unwrap(), None);
    assert_eq!(trees.count(), 1);
    for mut child in [watcher, outsider] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    assert_eq!(trees.count(), 0);
}

#[test]
fn only_a_child_of_the_gateway_can_be_its_watcher() {
    let trees = Trees::default();
    let mut outsider = waiting("sh -c 'echo $$; read x'; true");
    let stranger: u32 = first_line(&mut outsider).parse().unwrap();
    let refusal = trees.begin(&local(std::process::id()), stranger, governed()).unwrap_err();
    assert_eq!(refusal.code(), Code::LineageBroken);
    assert_eq!(trees.count(), 0);
    drop(outsider.stdin.take());
    outsider.wait().unwrap();
}

#[test]
fn a_caller_that_is_gone_is_nobody() {
    let trees = Trees::default();
    let mut child = waiting("read x");
    let caller = local(child.id());
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(trees.of(&caller).unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn without_a_handle_on_the_process_the_caller_is_nobody() {
    let caller = Local { uid: 0, pid: std::process::id(), pidfd: None, descent: &Descent::default() };
    assert_eq!(Trees::default().of(&caller).unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn another_mount_namespace_without_a_known_execution_is_nobody() {
    let mut child = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", "echo ready; read x"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(first_line(&mut child), "ready");
    let trees = Trees::default();
    assert!(stat(child.id()).is_some());
    assert_eq!(trees.of(&local(child.id())).unwrap_err().code(), Code::Unauthenticated);
    trees.begin(&local(std::process::id()), child.id(), governed()).unwrap();
    assert_eq!(trees.of(&local(child.id())).unwrap(), Some(governed()));
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn what_was_found_out_about_a_connection_holds_until_another_tree_begins() {
    let trees = Trees::default();
    let mut watcher = waiting("sh -c 'echo $$; read x'; true");
    let grandchild: u32 = first_line(&mut watcher).parse().unwrap();
    // A connection from before its tree was told of.
    let caller = local(grandchild);
    assert_eq!(trees.of(&caller).unwrap(), None);
    trees.begin(&local(std::process::id()), watcher.id(), governed()).unwrap();
    assert_eq!(trees.of(&caller).unwrap(), Some(governed()));
    assert_eq!(trees.of(&caller).unwrap(), Some(governed()));
    drop(watcher.stdin.take());
    watcher.wait().unwrap();
    // The process is gone; whoever holds its connection now is not it.
    assert_eq!(trees.of(&caller).unwrap_err().code(), Code::Unauthenticated);
}
