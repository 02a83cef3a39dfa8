//! Governed executions as a person meets them: a real domain, a real node, the program itself.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "governed/ceremony.rs"]
mod ceremony;
#[path = "governed/erase.rs"]
mod erase;
#[path = "governed/explained.rs"]
mod explained;
#[path = "governed/gateways.rs"]
mod gateways;
#[path = "governed/holds.rs"]
mod holds;
#[path = "governed/lineage.rs"]
mod lineage;
#[path = "governed/orders.rs"]
mod orders;
#[path = "governed/principals.rs"]
mod principals;
#[path = "governed/replayed.rs"]
mod replayed;
#[path = "governed/shadow.rs"]
mod shadow;
mod site;
#[path = "governed/story.rs"]
mod story;
#[path = "governed/tail.rs"]
mod tail;
#[path = "governed/telling.rs"]
mod telling;
#[path = "governed/trouble.rs"]
mod trouble;
#[path = "governed/unended.rs"]
mod unended;

use serde_json::Value as Json;
use site::{NOBODY, NOT_FOUND, REFUSED, Site, json, needs_root, refusal, stderr, stdout, wait};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[test]
fn the_demonstration_shows_every_refusal_and_leaves_nothing_behind() {
    let temporary = TempDir::new().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_writ"));
    let demo = demo.args(["demo", "--json"]).env("TMPDIR", temporary.path()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(demo.status.code(), Some(0), "{}{}", stdout(&demo), stderr(&demo));
    let mut rows: Vec<Json> = stdout(&demo).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = rows.pop().unwrap();
    assert_eq!((&last["ok"], &last["lines"]), (&Json::from(true), &Json::from(rows.len())));
    for (row, number) in rows.iter().zip(1..) {
        assert_eq!((row["number"].as_u64(), &row["ok"]), (Some(number), &Json::from(true)), "{row}");
    }
    let refused: Vec<&Json> = rows.iter().filter(|row| row["expected"] != "done").collect();
    assert!(refused.iter().all(|row| row["mark"] == false && row["code"] == row["expected"]), "{refused:?}");
    assert!(refused.iter().all(|row| row["index"].is_u64() != row["no_entry"].is_string()), "{refused:?}");
    let mut counts = BTreeMap::<&str, usize>::new();
    for row in &refused {
        *counts.entry(row["code"].as_str().unwrap_or("barred")).or_default() += 1;
    }
    let expected = [
        ("action_mismatch", 3),
        ("authority_unreachable", 2),
        ("barred", 3),
        ("budget_exceeded", 1),
        ("evaluation_error", 1),
        ("expired", 1),
        ("halted", 2),
        ("holder_proof_invalid", 1),
        ("identity_mismatch", 4),
        ("integrity_failure", 1),
        ("lineage_broken", 2),
        ("missing_writ", 1),
        ("policy_denied", 4),
        ("policy_stale", 1),
        ("proof_invalid", 1),
        ("replayed", 1),
        ("revoked", 2),
        ("signature_invalid", 1),
        ("surroundings_mismatch", 1),
        ("unauthenticated", 4),
        ("unknown_authority", 2),
        ("view_stale", 1),
        ("wrong_audience", 2),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn a_demonstration_is_kept_where_it_is_told_and_takes_the_place_of_nothing() {
    let home = TempDir::new().unwrap();
    let demo = |dir: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
        command.args(["demo", "--keep", "--dir"]).arg(dir).stdin(Stdio::null()).output().unwrap()
    };
    let there = demo(home.path());
    assert_eq!(there.status.code(), Some(3), "{}", stderr(&there));
    let odd = demo(&home.path().join("with space"));
    assert_eq!(odd.status.code(), Some(2), "{}", stderr(&odd));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_run_ends_as_its_command_does() {
    let site = Site::up();
    let mark = site.text("mark");
    let ran = site.run(&["sh", "-c", "echo out; echo err >&2; touch \"$0\"", &mark]);
    assert_eq!((ran.status.code(), stdout(&ran).as_str(), stderr(&ran).as_str()), (Some(0), "out\n", "err\n"));
    assert!(site.path("mark").is_file());
    for status in [1, 7, 255] {
        assert_eq!(site.run(&["sh", "-c", &format!("exit {status}")]).status.code(), Some(status));
    }
    let killed = site.run(&["sh", "-c", "kill -KILL $$"]);
    assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
    // A real-time signal, which has no name.
    let killed = site.run(&["sh", "-c", "kill -40 $$"]);
    assert_eq!(killed.status.signal(), Some(40), "{killed:?}");
    let outcome = site.newest("outcome");
    assert!(outcome.contains("signaled") && outcome.contains("40"), "{outcome}");
    let missing = site.run(&["no-such-program"]);
    assert_eq!(missing.status.code(), Some(NOT_FOUND));
    assert!(stderr(&missing).starts_with("writ: there is no such program: no-such-program\n"), "{}", stderr(&missing));
    assert!(stderr(&missing).contains("integrity_failure"), "{}", stderr(&missing));
    let types = site.types();
    let count = |wanted: &str| types.iter().filter(|one| *one == wanted).count();
    assert_eq!((count("grant"), count("start"), count("outcome"), count("report")), (6, 6, 6, 1), "{types:?}");
}

#[test]
fn a_refused_run_says_which_policy_where_it_is_recorded_and_what_to_do() {
    let site = Site::up();
    let mark = site.text("mark");
    let mut forbidden = site.command(&["run", "--", "touch", &mark]);
    let forbidden = forbidden.env("LD_LIBRARY_PATH", "/nowhere").output().unwrap();
    assert_eq!((forbidden.status.code(), stdout(&forbidden).as_str()), (Some(REFUSED), ""));
    let said = stderr(&forbidden);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("writ: refused touch ") && lines[0].contains("policy_denied"), "{said}");
    assert!(said.contains("  policy  no-preloaded-code (starter.cedar:"), "{said}");
    assert!(said.contains("yes    context.variables.containsAny("), "{said}");
    assert!(said.contains("  change  "), "{said}");
    let entry = lines.iter().find_map(|line| line.strip_prefix("  entry   ")).unwrap();
    assert!(lines.iter().any(|line| line.starts_with("  next    ")), "{said}");
    let shown = json(&site.writ(&["--json", "log", "show", entry]));
    assert_eq!(shown["type"], "denial");
    assert!(!site.path("mark").exists());
    let agent = site.refusal(&["--as", "Agent::builder", "--", "touch", &mark]);
    assert_eq!((agent["code"].as_str(), agent["outcome"].as_str()), (Some("policy_denied"), Some("deny")));
    assert!(!site.path("mark").exists());
}

#[test]
fn without_a_node_that_answers_nothing_runs() {
    let mut site = Site::new();
    let mark = site.text("mark");
    let never_started = site.refusal(&["--", "touch", &mark]);
    assert_eq!(never_started["code"], "unknown_authority", "{never_started}");
    site.start();
    site.signal_node("-STOP");
    let begun = Instant::now();
    let silent = site.refusal(&["--timeout", "1", "--", "touch", &mark]);
    assert_eq!((silent["code"].as_str(), &silent["index"]), (Some("authority_unreachable"), &Json::Null), "{silent}");
    assert!(silent["why"].as_str().unwrap().contains("within 1s"), "{silent}");
    assert!(begun.elapsed() < Duration::from_secs(25));
    site.signal_node("-CONT");
    assert_eq!(site.run(&["touch", &mark]).status.code(), Some(0));
    fs::remove_file(&mark).unwrap();
    site.kill_node();
    let gone = site.refusal(&["--", "touch", &mark]);
    assert_eq!((gone["code"].as_str(), &gone["index"]), (Some("authority_unreachable"), &Json::Null), "{gone}");
    assert!(!site.path("mark").exists());
    site.start();
    assert_eq!(site.run(&["touch", &mark]).status.code(), Some(0));
}

#[test]
fn a_node_that_is_lost_while_a_command_runs_is_told_of_at_its_end() {
    let mut site = Site::up();
    let mark = site.text("mark");
    let mut running = site.command(&["run", "--", "sh", "-c", "touch \"$0\"; read -r end; exit 5", &mark]);
    let mut running = running.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait("the command to run", || site.path("mark").exists());
    site.kill_node();
    running.stdin.take().unwrap().write_all(b"end\n").unwrap();
    let ended = running.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(5));
    assert!(stderr(&ended).contains("its end could not be recorded"), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("the next run records `unknown`"), "{}", stderr(&ended));
    // Whoever uses the slot next closes what was left open, and the ledger is whole.
    site.start();
    assert_eq!(site.run(&["true"]).status.code(), Some(0));
    let types = site.types();
    assert_eq!(types.iter().filter(|one| *one == "outcome").count(), 2, "{types:?}");
    site.kill_node();
    assert_eq!(site.writ(&["audit", "--replay"]).status.code(), Some(0));
}

#[test]
fn a_socket_of_another_user_is_not_believed() {
    needs_root();
    let site = Site::up();
    // Nobody runs a sound node of its own, in reach of everybody.
    let home = TempDir::new().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let binary = home.path().join("writ");
    fs::copy(env!("CARGO_BIN_EXE_writ"), &binary).unwrap();
    let nobody = |arguments: &[&str]| {
        let mut command = Command::new(&binary);
        command.args(arguments).uid(NOBODY).gid(NOBODY).current_dir(home.path()).env_clear();
        command.env("HOME", home.path()).env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        command
    };
    let made = nobody(&["init", "theirs", "--origin", "acme.example/ledger"]).output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let told = home.path().join("up.out");
    let mut up = nobody(&["--json", "up", "--domain", "theirs"]);
    let log = fs::File::create(home.path().join("up.err")).unwrap();
    let mut up = up.stdout(fs::File::create(&told).unwrap()).stderr(log).spawn().unwrap();
    wait("nobody's node to listen", || fs::read_to_string(&told).unwrap().contains('\n'));
    let mark = site.text("mark");
    let node = format!("unix:{}", home.path().join("theirs/run/node.sock").display());
    let refused = site.refusal(&["--node", &node, "--", "touch", &mark]);
    up.kill().unwrap();
    up.wait().unwrap();
    assert_eq!((refused["code"].as_str(), &refused["index"]), (Some("unknown_authority"), &Json::Null), "{refused}");
    assert!(refused["why"].as_str().unwrap().contains("65534"), "{refused}");
    assert!(!site.path("mark").exists());
}

#[test]
fn arguments_arrive_byte_for_byte() {
    let site = Site::up();
    let odd = OsString::from_vec(b"\xff\xfe a\nb \x1b[31m".to_vec());
    let arguments: Vec<OsString> =
        ["run", "--", "printf", "%s"].map(OsString::from).into_iter().chain([odd.clone()]).collect();
    let ran = site.writ(&arguments);
    assert_eq!((ran.status.code(), ran.stdout), (Some(0), odd.into_vec()), "{}", String::from_utf8_lossy(&ran.stderr));
    // Nearly two megabytes, as many as the kernel takes with a stack of the usual size.
    let long: Vec<OsString> = (0..15).map(|_| OsString::from("x".repeat(130_000))).collect();
    let arguments: Vec<OsString> = ["run", "--", "true"].map(OsString::from).into_iter().chain(long).collect();
    let ran = site.writ(&arguments);
    assert_eq!((ran.status.code(), stderr(&ran).as_str()), (Some(0), ""));
}

#[test]
fn what_is_no_program_is_refused_on_the_record_and_hangs_nothing() {
    let site = Site::up();
    let made = Command::new("mkfifo").arg(site.path("fifo")).status().unwrap();
    assert!(made.success());
    fs::create_dir(site.path("folder")).unwrap();
    fs::write(site.path("plain"), "#!/bin/sh\n").unwrap();
    fs::write(site.path("nested"), format!("#!{}\n", site.text("script"))).unwrap();
    fs::write(site.path("script"), "#!/bin/sh\n").unwrap();
    for name in ["nested", "script", "fifo"] {
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (name, status, says) in [
        ("fifo", REFUSED, "FIFO"),
        ("folder", REFUSED, "is a directory"),
        ("plain", REFUSED, "not executable"),
        ("nested", REFUSED, "is itself a script"),
        ("missing", NOT_FOUND, "not found"),
        ("plain/below", NOT_FOUND, "not found"),
    ] {
        let ran = site.writ(&["--json", "run", "--", &site.text(name)]);
        assert_eq!(ran.status.code(), Some(status), "{name}: {}", stderr(&ran));
        let refused = refusal(&ran);
        assert_eq!(refused["code"], "integrity_failure", "{name}");
        assert!(refused["index"].is_u64() && refused["why"].as_str().unwrap().contains(says), "{name}: {refused}");
    }
}

#[test]
fn a_script_that_is_replaced_before_it_is_opened_is_ended_on_the_record() {
    let mut site = Site::new();
    let permits = "@id(\"builds\")\n@window(\"1m\")\npermit (principal, action == Action::\"exec\", resource) when { context.path like \"*/build.sh\" };\n";
    fs::write(site.path("acme/policy/builds.cedar"), permits).unwrap();
    site.start();
    let script = |name: &str, text: &str| {
        fs::write(site.path(name), text).unwrap();
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    fs::write(site.path("interpreter.sh"), ": > \"$2\"; read -r go; . \"$1\"\n").unwrap();
    script("build.sh", &format!("#!/bin/sh {}\necho measured\n", site.text("interpreter.sh")));
    script("evil.sh", "#!/bin/sh\necho evil\n");
    let mark = site.text("mark");
    let mut running = site.command(&["run", "--", "./build.sh", &mark]);
    let mut running = running.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait("the interpreter to run", || site.path("mark").exists());
    // This process is in another mount namespace than what is governed.
    fs::rename(site.path("evil.sh"), site.path("build.sh")).unwrap();
    running.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let ended = running.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), stdout(&ended).as_str()), (Some(REFUSED), ""), "{ended:?}");
    let said = stderr(&ended);
    assert!(said.contains("integrity_failure") && said.contains("in place of the script"), "{said}");
    assert!(said.contains("find out who writes to the folders"), "{said}");
    let outcome = site.newest("outcome");
    assert!(outcome.contains("terminated") && outcome.contains("integrity_failure"), "{outcome}");
}

#[test]
fn a_broken_policy_folder_changes_nothing_until_it_is_whole_again() {
    let site = Site::up();
    let (folder, aside) = (site.path("acme/policy"), site.path("aside"));
    let broken = folder.join("broken.cedar");
    let refused = || site.status()["policy_refused"].as_str().map(str::to_owned);
    let still = || {
        assert_eq!(site.run(&["true"]).status.code(), Some(0));
        assert_eq!(site.status()["policy"]["epoch"], 1);
    };
    fs::write(&broken, "permit (principal").unwrap();
    wait("the node to see that it is broken", || refused().is_some_and(|why| why.contains("broken.cedar")));
    let told = stdout(&site.writ(&["status"]));
    assert!(told.contains("not taken") && told.contains("broken.cedar"), "{told}");
    still();
    fs::rename(&folder, &aside).unwrap();
    wait("the node to see that it is gone", || refused().is_some_and(|why| !why.contains("broken.cedar")));
    still();
    fs::rename(&aside, &folder).unwrap();
    let sound = "@id(\"nothing\")\nforbid (principal, action == Action::\"exec\", resource);\n";
    fs::write(&broken, sound).unwrap();
    wait("the new policy to be in force", || site.status()["policy"]["epoch"] == 2);
    assert_eq!(refused(), None);
    assert_eq!(site.refusal(&["--", "true"])["code"], "policy_denied");
}

#[test]
fn a_governed_command_cannot_run_another() {
    let site = Site::up();
    let mark = site.text("mark");
    let nested = site.run(&["sh", "-c", "\"$0\" run -- touch \"$1\"", env!("CARGO_BIN_EXE_writ"), &mark]);
    assert_eq!(nested.status.code(), Some(REFUSED), "{}", stderr(&nested));
    assert!(stderr(&nested).contains("outside governed executions"), "{}", stderr(&nested));
    assert!(!site.path("mark").exists());
}

#[test]
fn a_writ_that_was_handed_over_is_good_once() {
    let site = Site::up();
    let (mark, writ) = (site.text("mark"), site.text("touch.writ"));
    let granted = json(&site.writ(&["--json", "authorize", "-o", &writ, "--", "touch", &mark]));
    assert_eq!(granted["outcome"], "permit");
    assert!(!site.path("mark").exists());
    for file in [&writ, &format!("{writ}.key")] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = site.writ(&["authorize", "-o", &writ, "--", "touch", &mark]);
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
    let presented = ["--writ", &writ, "--", "touch", &mark];
    assert_eq!(site.writ(&[&["run"], &presented[..]].concat()).status.code(), Some(0));
    fs::remove_file(&mark).unwrap();
    for _ in 0..2 {
        let refused = site.refusal(&presented);
        assert!(refused["code"] == "replayed" && refused["index"].is_u64(), "{refused}");
    }
    assert!(!site.path("mark").exists());
    let verified = json(&site.writ(&["--json", "verify", &writ, "--trust", &site.text("acme/trust-root")]));
    assert_eq!(verified["index"], granted["index"]);
}

#[test]
fn of_twenty_at_once_sixteen_run_and_four_are_told_why_not() {
    let site = Site::up();
    let marks = site.path("marks");
    fs::create_dir(&marks).unwrap();
    let spawned = (0..20).map(|number| {
        let mark = marks.join(number.to_string());
        let mut command = site.command(&["--json", "run", "--", "sh", "-c", "touch \"$0\"; read -r end || exit 0"]);
        command.arg(mark).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    let mut all: Vec<Child> = spawned.collect();
    wait("each to run or to be refused", || {
        let ended = all.iter_mut().filter_map(|child| child.try_wait().unwrap()).count();
        fs::read_dir(&marks).unwrap().count() + ended == 20
    });
    assert_eq!(site.status()["running"], 16);
    let ended: Vec<Output> = all
        .into_iter()
        .map(|mut child| {
            drop(child.stdin.take());
            child.wait_with_output().unwrap()
        })
        .collect();
    let (ran, refused): (Vec<_>, Vec<_>) = ended.iter().partition(|output| output.status.code() == Some(0));
    assert_eq!((ran.len(), refused.len()), (16, 4));
    for output in refused {
        let told = refusal(output);
        assert_eq!(told["code"], "rate_limited");
        assert!(told["why"].as_str().unwrap().contains("all 16 gateway slots are in use"), "{told}");
    }
    wait("nothing to run any more", || site.status()["running"] == 0);
    assert_eq!(site.run(&["true"]).status.code(), Some(0));
}

#[test]
fn completions_know_the_commands_of_a_node() {
    let site = Site::empty();
    for shell in ["bash", "zsh", "fish"] {
        let told = stdout(&site.writ(&["completions", shell]));
        for word in [
            "up",
            "run",
            "authorize",
            "revoke",
            "halt",
            "status",
            "doctor",
            "demo",
            "socket-mode",
            "holder",
            "resume",
            "check",
            "unknown-ok",
        ] {
            assert!(told.contains(word), "{shell}: {word}");
        }
    }
}
