//! Runs that were granted and never began: nothing of them runs, and the run itself says so in the ledger, so that no later one has to guess.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use serde_json::Value as Json;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);

/// A domain with a node that runs until this goes.
struct Site {
    home: TempDir,
    node: Option<Child>,
}

impl Site {
    fn up() -> Self {
        let mut site = Self { home: TempDir::new().unwrap(), node: None };
        site.json(&["init", "acme", "--origin", "acme.example/ledger", "--user", "ada"]);
        let told = site.path("up.out");
        let mut up = site.command(&["up"]);
        up.stdout(fs::File::create(&told).unwrap()).stderr(fs::File::create(site.path("up.err")).unwrap());
        site.node = Some(up.spawn().unwrap());
        until("the node listens", || fs::read_to_string(&told).unwrap().contains('\n'));
        site
    }

    /// One more permit for everybody, with this annotation.
    fn permit(&self, annotation: &str) {
        let text = format!("@id(\"more\") {annotation}\npermit (principal, action == Action::\"exec\", resource);\n");
        fs::write(self.path("acme/policy/more.cedar"), text).unwrap();
        until("the policy is in force", || self.json(&["status"])["policy"]["epoch"] == 2);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
        command.arg("--json").args(arguments).current_dir(self.home.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin").env("WRIT_DOMAIN", self.path("acme"));
        command
    }

    fn json(&self, arguments: &[&str]) -> Json {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?} {output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// What `writ run -- touch mark` was refused with, having left no mark.
    fn refused(&self, options: &[&str]) -> Json {
        let mark = self.path("mark");
        let arguments = [&["run"], options, &["--", "touch", mark.to_str().unwrap()]].concat();
        let refused = refusal(&self.command(&arguments).output().unwrap());
        assert!(!mark.exists());
        refused
    }

    /// The types of all entries but those of root and control.
    fn story(&self) -> Vec<String> {
        let tail = self.command(&["log", "tail", "-n", "1000"]).output().unwrap();
        let lines = String::from_utf8(tail.stdout).unwrap();
        let types = lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()["type"].to_string());
        let types = types.map(|name| name.trim_matches('"').to_owned());
        types.filter(|name| ["grant", "spend", "start", "report", "outcome"].contains(&name.as_str())).collect()
    }

    /// The next run finds nothing to close.
    fn nothing_is_left(&self, story: &[&str]) {
        assert_eq!(self.story(), story);
        assert_eq!(self.json(&["status"])["running"], 0);
        // Had it to close something, the outcome would come before whatever it says itself.
        self.command(&["run", "--", "true"]).output().unwrap();
        let then = self.story().split_off(story.len());
        assert!(then.first().is_none_or(|name| name != "outcome"), "{then:?}");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(node) = &mut self.node {
            node.kill().unwrap();
            node.wait().unwrap();
        }
    }
}

fn refusal(output: &Output) -> Json {
    assert_eq!(output.status.code(), Some(126), "{output:?}");
    serde_json::from_str(String::from_utf8_lossy(&output.stderr).lines().last().unwrap()).unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a relay sees pass.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Asked,
    Answered,
}

/// Somebody between gateway and node, who looks at the bodies of every exchange and lets them pass, or closes the connection instead. What is said of the watcher
/// is left out, for this process is not its parent.
fn relay(site: &Site, pass: impl Fn(&str, Seen, &mut String) -> bool + Send + Sync + 'static) -> String {
    let socket = site.path("relay.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let node = site.path("acme/run/node.sock");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            exchange(&client.unwrap(), &UnixStream::connect(&node).unwrap(), &pass);
        }
    });
    format!("unix:{}", socket.display())
}

fn exchange(client: &UnixStream, node: &UnixStream, pass: &impl Fn(&str, Seen, &mut String) -> bool) {
    let (mut asking, mut answering) = (BufReader::new(client), BufReader::new(node));
    while let Some((head, mut body)) = message(&mut asking) {
        let watcher = body.find(",\"watcher\":");
        let what = if watcher.is_some() { "start" } else { head.split(' ').nth(1).unwrap() };
        if !pass(what, Seen::Asked, &mut body) {
            return;
        }
        if let Some(at) = watcher {
            let end = at + body[at + 1..].find([',', '}']).unwrap() + 1;
            body.replace_range(at..end, &" ".repeat(end - at));
        }
        let mut node = node;
        node.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let Some((answer, mut body)) = message(&mut answering) else { return };
        let mut client = client;
        if !pass(what, Seen::Answered, &mut body) || client.write_all(format!("{answer}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

/// One message of HTTP, head and body.
fn message(from: &mut BufReader<&UnixStream>) -> Option<(String, String)> {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let begins = head.len();
        if from.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if let Some(number) = head[begins..].to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

/// An order is given when the start is on its way.
fn ordered_before_the_start(site: &Site, order: &[&str], code: &str) {
    let order = Mutex::new(site.command(order));
    let address = relay(site, move |what, seen, _| {
        if (what, seen) == ("start", Seen::Asked) {
            let given = order.lock().unwrap().output().unwrap();
            assert!(given.status.success(), "{given:?}");
        }
        true
    });
    let refused = site.refused(&["--node", &address]);
    assert!(refused["code"] == code && refused["index"].is_u64(), "{refused}");
    site.nothing_is_left(&["grant", "report", "outcome"]);
}

#[test]
fn a_halt_between_grant_and_start_stops_the_start() {
    ordered_before_the_start(&Site::up(), &["halt"], "halted");
}

#[test]
fn a_revocation_between_grant_and_start_stops_the_start() {
    ordered_before_the_start(&Site::up(), &["revoke", "--gateway", "process/01"], "revoked");
}

#[test]
fn what_the_gateway_cannot_give_is_refused_and_settled() {
    let site = Site::up();
    site.permit("@sandbox(\"tight\")");
    let refused = site.refused(&[]);
    assert!(refused["code"] == "surroundings_mismatch" && refused["index"].is_u64(), "{refused}");
    assert_eq!(site.story(), ["grant", "report", "outcome"]);
    site.refused(&[]);
    assert_eq!(site.story(), ["grant", "report", "outcome", "grant", "report", "outcome"]);
}

#[test]
fn what_cannot_be_brought_to_its_first_instruction_is_settled() {
    let site = Site::up();
    let mut inside = site.command(&["run", "--", "true"]);
    let refused = refusal(&inside.current_dir(site.path("acme")).output().unwrap());
    assert!(refused["code"] == "integrity_failure" && refused["index"].is_u64(), "{refused}");
    site.nothing_is_left(&["grant", "report", "outcome"]);
}

/// The connection closes once instead of an answer to this.
fn unanswered(lost: &'static str, number: usize, run: impl FnOnce(&Site, &str) -> Json, story: &[&str]) {
    let site = Site::up();
    let count = Mutex::new(0);
    let address = relay(&site, move |what, seen, _| {
        let mut count = count.lock().unwrap();
        *count += usize::from((what, seen) == (lost, Seen::Answered));
        (what, seen) != (lost, Seen::Answered) || *count != number
    });
    let refused = run(&site, &address);
    assert!(refused["code"] == "authority_unreachable" && refused["index"].is_u64(), "{refused}");
    site.nothing_is_left(story);
}

fn with_its_own(site: &Site, address: &str) -> Json {
    site.refused(&["--node", address])
}

fn handed_over(site: &Site, address: &str) -> Json {
    let (mark, writ) = (site.path("mark"), site.path("touch.writ"));
    let writ = writ.to_str().unwrap();
    site.json(&["authorize", "-o", writ, "--", "touch", mark.to_str().unwrap()]);
    site.refused(&["--node", address, "--writ", writ])
}

#[test]
fn a_grant_whose_answer_is_lost_is_settled() {
    unanswered("/v1/authorize", 1, with_its_own, &["grant", "report", "outcome"]);
}

#[test]
fn a_start_whose_answer_is_lost_is_settled() {
    unanswered("start", 1, with_its_own, &["grant", "start", "report", "outcome"]);
}

#[test]
fn a_spend_whose_answer_is_lost_is_settled() {
    // The first statement is the heartbeat.
    unanswered("/v1/statements", 2, handed_over, &["grant", "report", "spend", "report", "outcome"]);
}

/// The answer to this comes so late that a revocation may have come in between.
fn held_back(late: &'static str, number: usize, run: impl FnOnce(&Site, &str) -> Json, story: &[&str]) -> Json {
    let site = Site::up();
    site.permit("@freeze_after(\"3s\")");
    let count = Mutex::new(0);
    let address = relay(&site, move |what, seen, _| {
        let mut count = count.lock().unwrap();
        *count += usize::from((what, seen) == (late, Seen::Answered));
        if (what, seen) == (late, Seen::Answered) && *count == number {
            std::thread::sleep(Duration::from_millis(3_100));
        }
        true
    });
    let refused = run(&site, &address);
    assert!(refused["code"] == "view_stale" && refused["index"].is_u64(), "{refused}");
    site.nothing_is_left(story);
    refused
}

/// As when the gateway itself was stopped meanwhile.
#[test]
fn a_start_whose_answer_was_held_back_is_not_let_go() {
    let refused = held_back("start", 1, with_its_own, &["grant", "start", "report", "outcome"]);
    assert!(refused["why"].as_str().unwrap().contains("since the start was sent"), "{refused}");
}

#[test]
fn a_grant_whose_answer_was_held_back_is_settled() {
    held_back("/v1/authorize", 1, with_its_own, &["grant", "report", "outcome"]);
}

#[test]
fn a_spend_whose_answer_was_held_back_is_settled() {
    held_back("/v1/statements", 2, handed_over, &["grant", "report", "spend", "report", "outcome"]);
}

#[test]
fn a_start_with_the_receipt_of_another_is_not_let_go() {
    let site = Site::up();
    let address = relay(&site, |what, seen, body| {
        if (what, seen) == ("start", Seen::Answered) {
            let digit = body.find("\"index\":").unwrap() + 8;
            let other = if &body[digit..=digit] == "1" { "2" } else { "1" };
            body.replace_range(digit..=digit, other);
        }
        true
    });
    let refused = with_its_own(&site, &address);
    assert!(refused["code"] == "proof_invalid" && refused["index"].is_u64(), "{refused}");
    site.nothing_is_left(&["grant", "start", "report", "outcome"]);
}

#[test]
fn what_has_lost_its_watcher_is_settled() {
    let site = Site::up();
    let watcher = Mutex::new(String::new());
    let address = relay(&site, move |what, seen, body| {
        let mut watcher = watcher.lock().unwrap();
        match (what, seen) {
            ("start", Seen::Asked) => {
                let after = body.split("\"watcher\":").nth(1).unwrap();
                *watcher = after.chars().take_while(char::is_ascii_digit).collect();
            }
            ("start", Seen::Answered) => {
                assert!(Command::new("kill").args(["-KILL", &watcher]).status().unwrap().success());
                let state = || fs::read_to_string(format!("/proc/{watcher}/stat")).unwrap_or_default();
                until("the watcher has ended", || state().is_empty() || state().contains(") Z "));
            }
            _ => {}
        }
        true
    });
    let refused = with_its_own(&site, &address);
    assert!(refused["code"] == "integrity_failure" && refused["index"].is_u64(), "{refused}");
    site.nothing_is_left(&["grant", "start", "report", "outcome"]);
}
