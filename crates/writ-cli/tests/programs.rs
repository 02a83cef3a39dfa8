//! Programs that cannot be measured, or change after they were, and what they write.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value as Json;
use site::relay::{Moment, Relay};
use site::{REFUSED, Site, executions, refusal, stderr, stdout};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The request for a writ: the program is opened and hashed, and on its way to its first instruction or there.
const MEASURED: Moment = Moment::Asked(2);
/// The report that it starts: the program is held at its first instruction.
const POISED: Moment = Moment::Asked(3);

fn shell(script: &str, folder: &Path) {
    let done = Command::new("sh").args(["-c", script]).current_dir(folder).status().unwrap();
    assert!(done.success(), "{script}");
}

#[test]
fn what_an_ordinary_user_cannot_read_is_refused_on_the_record() {
    let mut site = Site::of_ordinary_user();
    site.permit_everything();
    site.start();
    let mark = site.text("mark");
    // The folder is closed to its owner too: an ordinary user is held to that.
    shell("cp /usr/bin/touch unread; mkdir closed; cp /usr/bin/touch closed/tool", site.home.path());
    for (name, mode) in [("unread", 0o111), ("closed", 0o000)] {
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (name, says) in [
        ("unread", "may be executed but not read, so it cannot be measured; give this user read permission"),
        ("closed/tool", "not executable: expected execute permission for this user"),
    ] {
        let ran = site.writ(&["--json", "run", "--", &site.text(name), &mark]);
        assert_eq!(ran.status.code(), Some(REFUSED), "{name}: {}", stderr(&ran));
        let refused = refusal(&ran);
        assert_eq!(refused["code"], "integrity_failure", "{name}");
        assert!(refused["why"].as_str().unwrap().contains(says), "{name}: {refused}");
        let index = refused["index"].as_u64().unwrap();
        let entry = site.entries().into_iter().find(|entry| entry["index"] == index).unwrap();
        assert_eq!((&entry["type"], &entry["body"]["statement"]["kind"]), (&"report".into(), &"refused".into()));
        assert!(!site.path("mark").exists(), "{name}");
    }
    // Neither the user nor the place was what stood in the way.
    fs::set_permissions(site.path("unread"), fs::Permissions::from_mode(0o555)).unwrap();
    let ran = site.run(&[&site.text("unread"), &mark]);
    assert_eq!((ran.status.code(), site.path("mark").exists()), (Some(0), true), "{}", stderr(&ran));
    fs::set_permissions(site.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    site.audit();
}

/// What is done to a program meanwhile, and what a person reads then, one of these; nothing where what was measured runs.
struct Change {
    moment: Moment,
    program: &'static str,
    script: &'static str,
    says: &'static [Option<&'static str>],
}

const fn change(
    moment: Moment,
    program: &'static str,
    script: &'static str,
    says: &'static [Option<&'static str>],
) -> Change {
    Change { moment, program, script, says }
}

const TOOL: Option<&str> = Some("not what was measured any more: the file was written to");
const SCRIPT: Option<&str> = Some("not what was measured any more: the script");
/// Its interpreter finds nothing to open, and says so.
const GONE: Option<&str> = Some("cannot open");
const TRACED: Option<&str> = Some("the execution was ended");
/// Whoever writes to it still has it open.
const WRITING: Option<&str> = Some("ETXTBSY");

const CHANGES: [Change; 15] = [
    // Nobody can write to it any more if it is there already.
    change(MEASURED, "tool", "printf x 2>&- >> tool || true", &[TOOL, WRITING, None]),
    change(MEASURED, "tool", "mv other tool", &[None]),
    change(MEASURED, "tool", "rm tool", &[None]),
    change(MEASURED, "tool", "chmod 000 tool", &[Some("EACCES"), None]),
    change(MEASURED, "script", "echo 'echo changed >> \"$1\"' >> script", &[SCRIPT, None]),
    change(MEASURED, "script", "mv other script", &[None, TRACED]),
    change(MEASURED, "script", "rm script", &[Some("the kernel refused"), GONE]),
    // The kernel lets nobody write to what is about to run, and a script runs from a copy of its own.
    change(POISED, "tool", "! printf x 2>&- >> tool", &[None]),
    change(POISED, "tool", "rm tool", &[None]),
    change(POISED, "script", "echo 'echo changed >> \"$1\"' >> script", &[None]),
    // What takes the copy's name away.
    change(POISED, "script", "mv other script", &[TRACED]),
    change(POISED, "script", "rm script", &[GONE]),
    change(POISED, "script", "rm script; mkfifo script", &[TRACED]),
    change(
        POISED,
        "script",
        "mkdir new; mv other new/script; cd ..; mv $OLDPWD aside; mv aside/new $OLDPWD",
        &[TRACED],
    ),
    change(POISED, "linked", "ln -sf other linked", &[TRACED]),
];

/// How an execution ends on the record: by itself, before it began, ended by its gateway.
#[derive(Default, Debug, PartialEq, Eq)]
struct Ends {
    exited: usize,
    unknown: usize,
    terminated: usize,
}

/// What was measured ran, or nothing did and a person is told why. Says how it ended.
fn judge(ran: &Output, mark: &Path, says: &[Option<&str>], context: &str, ends: &mut Ends) {
    let what = format!("{context}: {}", stderr(ran));
    match ran.status.code() {
        Some(0) => {
            assert!(says.contains(&None), "{what}");
            let told: Json = serde_json::from_str(&stderr(ran)).unwrap();
            assert_eq!(told["outcome"], "ran", "{what}");
            assert_eq!(fs::read_to_string(mark).unwrap(), "ran\n", "{what}");
            ends.exited += 1;
        }
        Some(2) => {
            assert!(says.contains(&GONE) && executions(mark) == 0, "{what}");
            ends.exited += 1;
        }
        status => {
            assert_eq!((status, executions(mark)), (Some(REFUSED), 0), "{what}");
            let refused = refusal(ran);
            assert!(refused["code"] == "integrity_failure" && refused["index"].is_u64(), "{what}");
            let why = refused["why"].as_str().unwrap();
            assert!(says.iter().flatten().any(|says| why.contains(says)), "{what}");
            let began = TRACED.is_some_and(|says| why.contains(says));
            if began { ends.terminated += 1 } else { ends.unknown += 1 }
        }
    }
}

#[test]
fn a_program_that_changes_after_it_was_measured_runs_as_measured_or_not_at_all() {
    let mut site = Site::new();
    site.permit_everything();
    site.start();
    let mut ends = Ends::default();
    for (number, Change { moment, program, script, says }) in CHANGES.into_iter().enumerate() {
        let context = format!("{number}: {program}: {script}");
        let mark = site.path(&format!("mark-{number}"));
        let folder = site.path(&format!("folder-{number}"));
        fs::create_dir(&folder).unwrap();
        shell(
            "cp /bin/sh tool; printf '#!/bin/sh\necho ran >> \"$1\"\n' > script; printf '#!/bin/sh\necho other >> \"$2\"\n' > other
             chmod 755 tool script other; ln -s script linked",
            &folder,
        );
        let path = folder.join(program);
        let place = folder.clone();
        let node = site.path("acme/run/node.sock");
        let relay = Relay::begin(site.home.path(), &node, moment, move || shell(script, &place));
        let (path, told) = (path.to_str().unwrap(), mark.to_str().unwrap());
        let command = match program {
            "tool" => vec![path, "-c", "echo ran >> \"$0\"", told],
            _ => vec![path, told],
        };
        let ran = site.writ(&[&["--json", "run", "--node", &relay.address(), "--"], &command[..]].concat());
        relay.end();
        judge(&ran, &mark, says, &context, &mut ends);
    }
    // What was not started has no end that anybody knows; what was ended before its first instruction was ended for that.
    let count = |kind: &str| site.endings().iter().filter(|ending| ending["kind"] == kind).count();
    let recorded = Ends { exited: count("exited"), unknown: count("unknown"), terminated: count("terminated") };
    assert_eq!(recorded, ends);
    site.audit();
}

const BLOCK_BYTES: usize = 64 << 20;
const BLOCKS: usize = 16;
/// Far less than a block: nothing on the way keeps what goes by.
const MEMORY_KB_MAX: u64 = 48 << 10;

#[test]
fn a_gigabyte_goes_through_a_pipe_unchanged_and_through_nobodys_memory() {
    let mut site = Site::up();
    // No two words of it are the same, so nothing can be lost, doubled or moved unnoticed.
    let block: Vec<u8> = (0..BLOCK_BYTES as u64 / 8).flat_map(u64::to_le_bytes).collect();
    fs::write(site.path("block"), &block).unwrap();
    let mut expected = Context::new(&SHA256);
    (0..BLOCKS).for_each(|_| expected.update(&block));
    drop(block);
    let script = format!("for i in $(seq {BLOCKS}); do cat block; done; read -r end; exit 5");
    let mut running = site.command(&["run", "--", "sh", "-c", &script]);
    let mut running = running.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut found, mut count) = (Context::new(&SHA256), 0);
    let mut buffer = vec![0; 1 << 20];
    let mut output = running.stdout.take().unwrap();
    while count < BLOCK_BYTES * BLOCKS {
        let read = output.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "only {count} bytes came");
        found.update(&buffer[..read]);
        count += read;
    }
    let watched = below(running.id());
    assert!(!watched.is_empty(), "no watcher");
    for pid in watched.into_iter().chain([running.id()]) {
        let peak = peak_kb(pid);
        assert!(peak > 0 && peak < MEMORY_KB_MAX, "process {pid} took {peak} kB");
    }
    running.stdin.take().unwrap().write_all(b"end\n").unwrap();
    assert_eq!(output.read(&mut buffer).unwrap(), 0, "more came than was written");
    let ended = running.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), stderr(&ended).as_str(), stdout(&ended).as_str()), (Some(5), "", ""));
    assert_eq!((count, found.finish().as_ref()), (BLOCK_BYTES * BLOCKS, expected.finish().as_ref()));
    site.audit();
}

/// The children of a process: of a gateway, its watcher.
fn below(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// The most memory that a process ever had.
fn peak_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}
