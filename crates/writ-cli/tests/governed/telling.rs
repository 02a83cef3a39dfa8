//! What `writ run` says when it does not run, or in JSON when it does.

use super::site::{Site, json, stderr, stdout};
use serde_json::Value as Json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The user and group that own nothing.
const NOBODY: u32 = 65_534;

#[test]
fn options_are_not_taken_for_the_command() {
    let site = Site::up();
    let before = site.status()["size"].clone();
    for arguments in
        [&["run", "--verbose", "--", "ls"][..], &["run", "-x", "ls"], &["authorize", "-o", "w", "-x", "ls"]]
    {
        let wrong = site.writ(arguments);
        assert_eq!(wrong.status.code(), Some(2), "{arguments:?}: {}", stderr(&wrong));
        let wrong = site.writ(&[&["--json"], arguments].concat());
        let error: Json = serde_json::from_str(stderr(&wrong).trim()).unwrap();
        assert!(error["exit"] == 2 && error["error"].as_str().unwrap().contains("unexpected argument"), "{error}");
    }
    assert_eq!(site.status()["size"], before);
    // Behind the command, and behind `--`, they are the command's.
    assert_eq!(stdout(&site.writ(&["run", "printf", "%s", "--json"])), "--json");
    assert_eq!(site.refusal(&["--", "--odd"])["code"], "integrity_failure");
}

#[test]
fn a_run_tells_programs_where_its_grant_and_its_end_are() {
    let site = Site::up();
    let ran = site.writ(&["--json", "run", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((ran.status.code(), stdout(&ran).as_str()), (Some(3), "out\n"));
    let lines = stderr(&ran);
    let told: Json = serde_json::from_str(lines.strip_prefix("err\n").unwrap()).unwrap();
    assert_eq!((&told["outcome"], &told["ended"]), (&Json::from("ran"), &Json::from("exited:3")));
    for (index, kind) in [("grant", "grant"), ("index", "outcome")] {
        assert_eq!(json(&site.writ(&["--json", "log", "show", &told[index].to_string()]))["type"], kind, "{told}");
    }
}

#[test]
fn each_refusal_says_what_to_do_next() {
    let mut site = Site::up();
    let writ = site.text("w");
    json(&site.writ(&["--json", "authorize", "-o", &writ, "--", "true"]));
    assert_eq!(site.writ(&["run", "--writ", &writ, "--", "true"]).status.code(), Some(0));
    let replayed = site.writ(&["run", "--writ", &writ, "--", "true"]);
    let said = stderr(&replayed);
    assert_eq!(said.matches("replayed").count(), 1, "{said}");
    let denied = stderr(&site.writ(&["run", "--as", "Agent::builder", "--", "touch", "x"]));
    let here = fs::canonicalize(site.home.path()).unwrap();
    assert!(denied.contains(&format!("Agent::builder, running /usr/bin/touch in {}", here.display())), "{denied}");
    assert!(denied.contains("  policy  none of those in ") && denied.contains("acme/policy"), "{denied}");
    let refused: [&[&str]; 4] = [
        &["--as", "Agent::builder", "--", "touch", "x"],
        &["--writ", &writ, "--", "true"],
        &["--as", "Agent::nobody", "--", "true"],
        &["--", "no-such-program"],
    ];
    let says_next = |site: &Site, arguments: &[&str]| {
        let told = stderr(&site.writ(&[&["run"], arguments].concat()));
        assert_eq!(told.lines().filter(|line| line.starts_with("  next    ")).count(), 1, "{told}");
        assert!(site.refusal(arguments)["next"].is_string(), "{arguments:?}");
    };
    refused.iter().for_each(|arguments| says_next(&site, arguments));
    site.kill_node();
    says_next(&site, &["--", "true"]);
}

#[test]
fn what_run_cannot_do_itself_ends_with_a_code_of_its_own() {
    let site = Site::new();
    let missing = site.writ(&["--json", "run", "--writ", "no-such-file", "--", "true"]);
    assert_eq!(missing.status.code(), Some(125), "{}", stderr(&missing));
    assert_eq!(serde_json::from_str::<Json>(stderr(&missing).trim()).unwrap()["exit"], 125);
}

#[test]
fn the_domain_of_another_user_is_called_that() {
    let site = Site::new();
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Only root can be somebody else.
        return;
    }
    let binary = site.path("writ");
    fs::copy(env!("CARGO_BIN_EXE_writ"), &binary).unwrap();
    fs::set_permissions(site.home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let owned = site.path("acme/run");
    std::os::unix::fs::chown(&owned, Some(NOBODY), Some(NOBODY)).unwrap();
    let started = site.writ(&["up"]);
    assert_eq!(started.status.code(), Some(3), "{}", stderr(&started));
    let told = stderr(&started);
    assert!(told.contains("it belongs to nobody") && told.contains("work as that user"), "{told}");
    for command in [&["status"][..], &["run", "--", "true"], &["doctor"], &["log", "tail"]] {
        let mut nobody = Command::new(&binary);
        nobody.args(command).uid(NOBODY).gid(NOBODY).env_clear().current_dir("/").env("HOME", "/");
        let said = nobody.env("WRIT_DOMAIN", site.path("acme")).output().unwrap();
        assert_eq!(said.status.code(), Some(if command[0] == "run" { 125 } else { 3 }), "{}", stderr(&said));
        assert!(stderr(&said).contains("permission denied: the domain belongs to root"), "{}", stderr(&said));
    }
}

#[test]
fn an_interrupted_demonstration_leaves_nothing() {
    let temporary = tempfile::TempDir::new().unwrap();
    for after in [300, 1500] {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_writ"));
        let demo = demo.arg("demo").env("TMPDIR", temporary.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let demo = demo.stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        assert!(Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap().success());
        let begun = Instant::now();
        let ended = demo.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130), "{}", stderr(&ended));
        assert!(begun.elapsed() < Duration::from_secs(30) && !stdout(&ended).contains("WRONG"), "{}", stdout(&ended));
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    }
    // A reader that goes away ends it too.
    let demo = "\"$0\" demo | head -n 5";
    let mut head = Command::new("sh");
    head.args(["-c", demo, env!("CARGO_BIN_EXE_writ")]).env("TMPDIR", temporary.path());
    let head = head.stdin(Stdio::null()).output().unwrap();
    assert_eq!((head.status.code(), stderr(&head).as_str()), (Some(0), ""));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    // Every node of the demonstration is a child that names the folder.
    let left = fs::read_dir("/proc").unwrap().filter_map(|one| fs::read(one.ok()?.path().join("environ")).ok());
    let folder = temporary.path().as_os_str().as_encoded_bytes();
    assert!(!left.into_iter().any(|text| text.windows(folder.len()).any(|window| window == folder)));
}

#[test]
fn a_socket_whose_path_is_too_long_is_refused_before_anything_is_recorded() {
    let site = Site::new();
    let before = stdout(&site.writ(&["log", "tail", "--seals"]));
    let long = site.text(&"x".repeat(100));
    let refused = site.writ(&["up", "--socket", &long]);
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(2), ""), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--socket"), "{}", stderr(&refused));
    assert_eq!(stdout(&site.writ(&["log", "tail", "--seals"])), before);
}
