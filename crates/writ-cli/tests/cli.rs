//! The command as a person or a script meets it: what it prints, where, and with which exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use serde_json::Value as Json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const REFUSED: i32 = 1;
const USAGE: i32 = 2;
const FAILED: i32 = 3;

/// An empty home, and a domain in it once `init` was called.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn with_domain() -> Self {
        let home = Self::new();
        assert_ok(&home.run(&["init", "acme", "--origin", "acme.example/ledger"]));
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
        command.args(arguments).current_dir(self.0.path()).env_clear().env("HOME", self.0.path());
        command.stdin(Stdio::null());
        command
    }

    fn mark(&self) -> PathBuf {
        let marks = self.path(".local/state/writ/marks");
        let mut found: Vec<_> = fs::read_dir(marks).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(found.len(), 1);
        found.remove(0)
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn assert_ok(output: &Output) {
    assert!(output.status.success(), "{}{}", stdout(output), stderr(output));
}

/// It ends with this code, says this on standard error, and nothing on standard output.
fn assert_fails(output: &Output, code: i32, says: &str) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(message.contains(says), "expected `{says}` in: {message}");
    assert_eq!(stdout(output), "");
}

fn json(output: &Output) -> Json {
    assert_ok(output);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_makes_a_whole_domain_with_secrets_that_only_its_owner_reads() {
    let home = Home::with_domain();
    let secrets =
        ["keys/ledger-ed25519.seed", "keys/ledger-ml-dsa-44.seed", "root-keys/root-1.seeds", "root-keys/root-3.seeds"];
    for secret in secrets {
        assert_eq!(mode(&home.path("acme").join(secret)), 0o600, "{secret}");
    }
    for folder in ["acme", "acme/keys", "acme/root-keys"] {
        assert_eq!(mode(&home.path(folder)), 0o700, "{folder}");
    }
    assert!(home.mark().is_file());
    assert_ok(&home.run(&["audit", "--domain", "acme"]));
}

#[test]
fn init_puts_keys_and_mark_where_it_is_told() {
    let home = Home::new();
    let arguments = ["init", "acme", "--origin", "a.example/l", "--root-keys", "offline", "--mark", "other/mark"];
    let told = json(&home.run(&[&arguments[..], &["--root-members", "5", "--root-threshold", "4", "--json"]].concat()));
    assert_eq!(told["root_keys"].as_array().unwrap().len(), 5);
    assert!(home.path("offline/root-5.seeds").is_file());
    assert!(home.path("other/mark").is_file());
    assert!(!home.path("acme/root-keys").exists());
    assert_ok(&home.run(&["audit", "--domain", "acme", "--mark", "other/mark"]));
}

#[test]
fn init_refuses_what_cannot_be_meant_and_leaves_nothing_behind() {
    let home = Home::new();
    let cases: &[(&[&str], &str)] = &[
        (&["init", "acme", "--origin", "with space"], "--origin"),
        (&["init", "acme", "--origin", "a+b"], "--origin"),
        (&["init", "acme", "--origin", ""], "--origin"),
        (
            &["init", "acme", "--origin", "https://acme.example/ledger"],
            "without a scheme, such as acme.example/ledger,",
        ),
        (&["init", "acme", "--origin", "a", "--root-members", "0"], "--root-members"),
        (&["init", "acme", "--origin", "a", "--root-members", "17"], "--root-members"),
        (&["init", "acme", "--origin", "a", "--root-threshold", "4"], "--root-threshold"),
        (&["init", "acme"], "--origin"),
        (&["init", "..", "--origin", "a"], "DIR"),
    ];
    for (arguments, says) in cases {
        assert_fails(&home.run(arguments), USAGE, says);
        assert_eq!(fs::read_dir(home.0.path()).unwrap().count(), 0, "{arguments:?}");
    }
}

#[test]
fn init_never_touches_what_is_there() {
    let home = Home::with_domain();
    let before = fs::read(home.path("acme/ledger.db")).unwrap();
    assert_fails(&home.run(&["init", "acme", "--origin", "acme.example/ledger"]), USAGE, "exists already");
    assert_eq!(fs::read(home.path("acme/ledger.db")).unwrap(), before);
    // The mark of a domain whose folder is gone stays what it is: a new ledger does not take its place.
    fs::remove_dir_all(home.path("acme")).unwrap();
    let mark = fs::read(home.mark()).unwrap();
    let again = home.run(&["init", "acme", "--origin", "acme.example/ledger"]);
    assert_fails(&again, FAILED, "the mark of an earlier ledger at this path is there");
    let next = format!("delete its mark (`rm {}`)", home.mark().display());
    assert!(stderr(&again).contains(&next), "{}", stderr(&again));
    assert_eq!(fs::read(home.mark()).unwrap(), mark);
    assert!(!home.path("acme").exists() && !home.path("acme.making").exists());
    fs::remove_file(home.mark()).unwrap();
    assert_ok(&home.run(&["init", "acme", "--origin", "acme.example/ledger"]));
}

#[test]
fn init_warns_of_a_folder_whose_socket_no_node_could_bind() {
    let home = Home::new();
    let long = "x".repeat(100);
    let told = json(&home.run(&["init", &long, "--origin", "acme.example/ledger", "--json"]));
    let warned = told["warnings"].to_string();
    assert!(warned.contains("too long for the system") && warned.contains("--socket FILE"), "{warned}");
    let told = json(&home.run(&["init", "acme", "--origin", "acme.example/ledger", "--json"]));
    assert_eq!(told["warnings"], Json::Array(Vec::new()));
    fs::remove_dir_all(home.path(&long)).unwrap();
    fs::remove_dir_all(home.path(".local")).unwrap();
    let told = stdout(&home.run(&["init", &long, "--origin", "acme.example/ledger"]));
    assert!(told.contains("warning: the socket ") && told.contains("shorter folder"), "{told}");
}

#[test]
fn init_in_a_folder_that_is_not_there_says_so() {
    let home = Home::new();
    assert_fails(&home.run(&["init", "no/such/acme", "--origin", "a"]), FAILED, "No such file");
    assert_eq!(fs::read_dir(home.0.path()).unwrap().count(), 0);
}

#[test]
fn entries_are_shown_for_people_and_for_programs() {
    let home = Home::with_domain();
    let shown = stdout(&home.run(&["log", "show", "0", "--domain", "acme"]));
    assert!(shown.starts_with("entry 0\n") && shown.contains("genesis") && shown.contains("threshold"), "{shown}");
    let shown = json(&home.run(&["log", "show", "1", "--domain", "acme", "--json"]));
    assert_eq!((&shown["type"], &shown["body"]["first"]), (&Json::from("seal"), &Json::from(0)));
    let tail = stdout(&home.run(&["log", "tail", "--domain", "acme"]));
    assert_eq!(tail.lines().count(), 1, "seals are not shown unless asked for: {tail}");
    let tail = stdout(&home.run(&["log", "tail", "--domain", "acme", "--seals"]));
    assert_eq!(tail.lines().count(), 2);
}

#[test]
fn what_is_not_there_is_said_to_be_not_there() {
    let home = Home::with_domain();
    assert_fails(&home.run(&["log", "show", "2", "--domain", "acme"]), FAILED, "there is no entry 2");
    assert_fails(&home.run(&["log", "bundle", "99", "--domain", "acme"]), FAILED, "there is no entry 99");
    assert_fails(&home.run(&["verify", "x", "--trust", "acme/trust-root"]), FAILED, "x: No such file");
    assert_fails(&home.run(&["frobnicate"]), USAGE, "frobnicate");
}

#[test]
fn a_domain_that_is_not_there_is_told_of_in_the_same_words_everywhere() {
    let home = Home::new();
    let nowhere = home.path("nowhere");
    let says = format!("there is no domain in {}; set WRIT_DOMAIN or --domain", nowhere.display());
    for command in [
        &["up"][..],
        &["status"],
        &["doctor"],
        &["run", "--", "true"],
        &["authorize", "-o", "w", "--", "true"],
        &["revoke", "--principal", "Agent::builder"],
        &["halt"],
        &["audit"],
        &["log", "tail"],
        &["log", "accept-mark", "--yes"],
        &["root", "resume"],
        &["key", "new", "--principal", "Agent::scout"],
        &["policy", "check"],
    ] {
        let output = home.command(command).env("WRIT_DOMAIN", &nowhere).output().unwrap();
        assert_fails(&output, USAGE, &says);
        assert!(!stderr(&output).contains("accept-mark"), "{command:?}");
    }
    assert_fails(&home.run(&["log", "tail"]), USAGE, "or make one with `writ init`");
    assert_eq!(fs::read_dir(home.0.path()).unwrap().count(), 0);
}

#[test]
fn evidence_does_not_take_the_place_of_a_file() {
    let home = Home::with_domain();
    fs::write(home.path("mine"), "mine").unwrap();
    assert_fails(&home.run(&["log", "bundle", "0", "--domain", "acme", "-o", "mine"]), USAGE, "mine exists already");
    assert_eq!(fs::read_to_string(home.path("mine")).unwrap(), "mine");
}

#[test]
fn what_is_shown_to_be_typed_can_be_typed() {
    let home = Home::new();
    let told = stdout(&home.run(&["init", "my acme", "--origin", "acme.example/ledger"]));
    assert!(told.ends_with("next: writ up --domain 'my acme'\n"), "{told}");
    assert_fails(&home.run(&["init", "other", "--origin", "a", "--user", "with space"]), USAGE, "--user: ");
    assert!(!home.path("other").exists());
}

#[test]
fn misuse_is_told_as_json_where_json_was_asked_for() {
    let home = Home::new();
    for arguments in [&["--json", "frobnicate"][..], &["init", "--json"], &["--json", "log", "show", "x"]] {
        let output = home.run(arguments);
        let error: Json = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!((output.status.code(), &error["exit"]), (Some(USAGE), &Json::from(USAGE)), "{error}");
    }
    assert!(stderr(&home.run(&["run", "--", "true", "--json"])).starts_with("writ: there is no domain"));
}

#[test]
fn a_key_as_a_certificate_is_written_once_and_shown_over_https_alone() {
    let home = Home::with_domain();
    let agent = ["key", "certificate", "--domain", "acme", "--principal", "Agent::builder", "-o", "builder"];
    assert_ok(&home.run(&agent));
    assert_eq!((mode(&home.path("builder.pem")), mode(&home.path("builder.key"))), (0o644, 0o600));
    assert_fails(&home.run(&agent), USAGE, "exists already");
    let nobody = ["key", "certificate", "--domain", "acme", "--principal", "Agent::nobody", "-o", "nobody"];
    assert_fails(&home.run(&nobody), FAILED, "nobody.seed");
    assert!(!home.path("nobody.pem").exists() && !home.path("nobody.key").exists());
    let status = ["status", "--domain", "acme", "--certificate", "builder.pem", "--certificate-key", "builder.key"];
    assert_fails(&home.run(&status), USAGE, "https");
    assert_fails(&home.run(&status[..5]), USAGE, "--certificate-key");
    assert_fails(&home.run(&["status", "--domain", "acme", "--token", "none"]), FAILED, "none");
    fs::write(home.path("token"), "not one\u{1}").unwrap();
    assert_fails(&home.run(&["status", "--domain", "acme", "--token", "token"]), USAGE, "token");
    // Nobody is believed of whom nobody could hear.
    let trust = ["up", "--domain", "acme", "--spiffe-trust", "acme.example=bundle.pem"];
    assert_fails(&home.run(&trust), USAGE, "--tls-cert");
    assert_fails(&home.run(&["up", "--domain", "acme", "--spiffe-trust", "bundle.pem"]), USAGE, "DOMAIN=FILE");
    assert_fails(&home.run(&["up", "--domain", "acme", "--issuer-ca", "none.pem"]), FAILED, "none.pem");
}

#[test]
fn a_bundle_verifies_with_the_trust_root_alone() {
    let home = Home::with_domain();
    let told = json(&home.run(&["log", "bundle", "0", "--domain", "acme", "-o", "g.writ-bundle", "--json"]));
    assert_eq!(told["size"], 2);
    fs::rename(home.path("acme/trust-root"), home.path("pins")).unwrap();
    fs::remove_dir_all(home.path("acme")).unwrap();
    let verified = json(&home.run(&["verify", "g.writ-bundle", "--trust", "pins", "--json"]));
    assert_eq!((&verified["subject"], &verified["type"]), (&Json::from(0), &Json::from("genesis")));
    assert_eq!(verified["hash"].as_str().unwrap().len(), 64);
    let told = stdout(&home.run(&["verify", "g.writ-bundle", "--trust", "pins"]));
    assert!(told.starts_with("verified: the story of entry 0, a genesis"), "{told}");
}

#[test]
fn what_does_not_verify_is_refused_with_its_code() {
    let home = Home::with_domain();
    assert_ok(&home.run(&["log", "bundle", "0", "--domain", "acme", "-o", "good"]));
    assert_ok(&home.run(&["init", "other", "--origin", "acme.example/ledger"]));
    let good = fs::read(home.path("good")).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 4;
    flipped[middle] ^= 1;
    fs::write(home.path("flipped"), flipped).unwrap();
    fs::write(home.path("cut"), &good[..good.len() - 1]).unwrap();
    fs::write(home.path("empty"), b"").unwrap();
    fs::write(home.path("v2"), b"c2sp.org/tlog-proof@v2\n").unwrap();
    fs::write(home.path("future"), b"writ/trust-root@v2\n").unwrap();
    let cases = [
        ("flipped", "acme/trust-root", "proof_invalid"),
        ("cut", "acme/trust-root", "malformed"),
        ("empty", "acme/trust-root", "malformed"),
        ("v2", "acme/trust-root", "malformed"),
        // The same name, but other keys.
        ("good", "other/trust-root", "signature_invalid"),
        ("good", "future", "unsupported_version"),
        ("good", "good", "malformed"),
    ];
    for (file, trust, code) in cases {
        let output = home.run(&["verify", file, "--trust", trust]);
        assert_fails(&output, REFUSED, &format!("refused: {code}: "));
        let output = home.run(&["verify", file, "--trust", trust, "--json"]);
        let error: Json = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!((&error["code"], &error["exit"]), (&Json::from(code), &Json::from(REFUSED)), "{file}");
    }
}

#[test]
fn what_an_attacker_wrote_does_not_reach_the_terminal_as_it_is() {
    let home = Home::with_domain();
    fs::write(home.path("evil"), "writ/trust-root@v1\u{1b}[2J\u{202e}\n").unwrap();
    assert_ok(&home.run(&["log", "bundle", "0", "--domain", "acme", "-o", "good"]));
    let output = home.run(&["verify", "good", "--trust", "evil"]);
    assert_fails(&output, REFUSED, "\\u{1b}[2J\\u{202e}");
    assert!(!stderr(&output).contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn a_lost_mark_is_a_finding_until_somebody_who_knows_accepts_the_store() {
    let home = Home::with_domain();
    fs::remove_file(home.mark()).unwrap();
    let output = home.run(&["audit", "--domain", "acme", "--json"]);
    assert_eq!(output.status.code(), Some(REFUSED));
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["findings"][0]["name"], "mark_unreadable");
    let replayed = stdout(&home.run(&["audit", "--domain", "acme", "--replay"]));
    assert!(replayed.contains("replay: not done, since the mark cannot be read"), "{replayed}");
    let told = stderr(&home.run(&["audit", "--domain", "acme"]));
    assert!(told.contains("1 finding: this ledger is as it was signed, but without its mark"), "{told}");
    assert!(told.contains("--mark FILE") && told.contains("--no-mark"), "{told}");
    assert_ok(&home.run(&["audit", "--domain", "acme", "--no-mark"]));
    let unsaid = home.run(&["log", "accept-mark", "--domain", "acme"]);
    assert_fails(&unsaid, USAGE, "--yes");
    assert!(stderr(&unsaid).contains("declares the store as it is to be the newest"), "{}", stderr(&unsaid));
    assert_ok(&home.run(&["log", "accept-mark", "--domain", "acme", "--yes"]));
    assert_ok(&home.run(&["audit", "--domain", "acme"]));
}

#[test]
fn without_a_state_folder_the_mark_must_be_named() {
    let home = Home::new();
    let output = home.command(&["init", "acme", "--origin", "a"]).env_remove("HOME").output().unwrap();
    assert_fails(&output, USAGE, "--mark");
    assert_ok(&home.run(&["init", "acme", "--origin", "a"]));
    let without_home = |arguments: &[&str]| {
        home.command(arguments).env_remove("HOME").env("WRIT_DOMAIN", home.path("acme")).output().unwrap()
    };
    // What has no use for the mark does not ask for it.
    for command in [&["log", "tail"][..], &["log", "show", "0"], &["policy", "check"], &["audit", "--no-mark"]] {
        assert_ok(&without_home(command));
    }
    let status = without_home(&["status"]);
    assert!(!stderr(&status).contains("--mark") && stderr(&status).contains("node"), "{}", stderr(&status));
    for command in [&["up"][..], &["audit"], &["log", "accept-mark", "--yes"]] {
        assert_fails(&without_home(command), USAGE, "--mark FILE");
    }
}

#[test]
fn a_store_that_its_mark_does_not_know_is_told_from_one_that_was_changed() {
    let home = Home::with_domain();
    let mark = home.mark();
    fs::remove_dir_all(home.path("acme")).unwrap();
    // Another ledger of the same name has published something else.
    let kept = fs::read(&mark).unwrap();
    fs::remove_file(&mark).unwrap();
    assert_ok(&home.run(&["init", "acme", "--origin", "acme.example/ledger"]));
    fs::write(&mark, kept).unwrap();
    let told = stderr(&home.run(&["audit", "--domain", "acme"]));
    assert!(told.contains("as it was signed, but it is not what was published last"), "{told}");
}

#[test]
fn evidence_that_is_cut_off_does_not_get_its_name() {
    let home = Home::with_domain();
    let script = format!("ulimit -f 1; exec {} log bundle 0 --domain acme -o g", env!("CARGO_BIN_EXE_writ"));
    let mut cut = Command::new("/bin/sh");
    cut.args(["-c", &script]).current_dir(home.0.path()).env_clear().env("HOME", home.0.path());
    assert!(!cut.output().unwrap().status.success());
    assert!(!home.path("g").exists());
    assert_ok(&home.run(&["log", "bundle", "0", "--domain", "acme", "-o", "g"]));
    assert!(home.path("g").is_file() && !home.path("g.making").exists());
    assert_eq!(mode(&home.path("g")), 0o644);
}

#[test]
fn an_address_to_listen_on_that_is_none_is_answered_with_one() {
    let home = Home::with_domain();
    for wrong in ["8999", "localhost:8999", "127.0.0.1", ":8999"] {
        for command in [&["up"][..], &["log", "serve"]] {
            let refused = home.run(&[command, &["--domain", "acme", "--listen", wrong]].concat());
            assert_fails(&refused, USAGE, "such as 127.0.0.1:8733");
        }
    }
    let help = stdout(&home.run(&["up", "--help"]));
    assert!(
        help.split_whitespace().collect::<Vec<_>>().join(" ").contains("can read without showing who they are"),
        "{help}"
    );
}

#[test]
fn help_and_completions_are_answers() {
    let home = Home::new();
    for arguments in [&["--help"][..], &["log", "--help"], &["verify", "--help"], &["--version"]] {
        let output = home.run(arguments);
        assert_ok(&output);
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{arguments:?}");
    }
    assert!(stdout(&home.run(&["--help"])).contains("Exit codes"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&home.run(&["completions", shell])).contains("accept-mark"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    let home = Home::with_domain();
    let mut child = home
        .command(&["log", "show", "0", "--domain", "acme"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
    assert!(output.status.success());
}
