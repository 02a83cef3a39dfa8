//! `writ log tail`: when, who, what, and only what was asked for.

use super::site::{Site, json, stderr, stdout};
use serde_json::Value as Json;
use std::process::{Command, Stdio};

/// A domain in which Ada has run `true`, and an agent was refused a command with a blank in an argument.
fn busy() -> Site {
    let site = Site::up();
    assert!(site.writ(&["run", "--", "true"]).status.success());
    let denied = site.writ(&["run", "--as", "Agent::builder", "--", "touch", "a b", "it's"]);
    assert!(stderr(&denied).contains(r"refused touch 'a b' 'it'\''s': policy_denied"), "{}", stderr(&denied));
    site
}

fn tail(site: &Site, arguments: &[&str]) -> Vec<String> {
    stdout(&site.writ(&[&["log", "tail"], arguments].concat())).lines().map(str::to_owned).collect()
}

#[test]
fn lines_say_when_and_what() {
    let site = busy();
    let lines = tail(&site, &["--disclose", "--type", "denial"]);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, time, "denial", _, "Agent::builder", "policy_denied", ..] = words.as_slice() else { panic!("{line}") };
    let (date, clock) = time.split_once('T').unwrap();
    assert!(date.len() == 10 && clock.len() == 9 && clock.ends_with('Z'), "{line}");
    assert!(line.ends_with(r"touch 'a b' 'it'\''s'"), "{line}");
    // What gateways state has its time too, and no command of its own.
    let lines = tail(&site, &["--disclose", "--type", "start,outcome"]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains('T') && !line.contains("/bin/true")), "{lines:?}");
    let grant = &tail(&site, &["--disclose", "--type", "grant"])[0];
    assert!(grant.ends_with("  true"), "{grant}");
    assert!(!tail(&site, &["--type", "grant"])[0].ends_with("  true"));
}

#[test]
fn entries_are_chosen_by_type_principal_and_time() {
    let site = busy();
    let everything = tail(&site, &["-n", "1000"]);
    assert_eq!(tail(&site, &["-n", "1000", "--since", "1h"]), everything);
    let theirs = tail(&site, &["-n", "1000", "--principal", "Agent::builder"]);
    assert!(theirs.len() == 1 && theirs[0].contains("denial"), "{theirs:?}");
    assert!(tail(&site, &["--principal", "Agent::nobody"]).is_empty());
    // So many of those that were chosen, not of all.
    let before = tail(&site, &["-n", "1", "--type", "policy"]);
    assert!(before.len() == 1 && before[0].contains("policy"), "{before:?}");
    let wrong = site.writ(&["log", "tail", "--type", "refusal"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("grant, denial"), "{}", stderr(&wrong));
}

#[test]
fn programs_get_the_command_too_if_they_ask() {
    let site = busy();
    let told =
        |arguments: &[&str]| json(&site.writ(&[&["--json", "log", "tail", "--type", "denial"], arguments].concat()));
    assert_eq!(told(&["--disclose"])["command"], r"touch 'a b' 'it'\''s'");
    assert_eq!(told(&[])["command"], Json::Null);
}

/// One argument with a blank is no two, wherever a command is shown.
#[test]
fn arguments_are_told_apart_in_evidence() {
    let site = busy();
    let denial = tail(&site, &["--type", "denial"])[0].split_whitespace().next().unwrap().to_owned();
    let bundle = site.text("evidence");
    assert!(site.writ(&["log", "bundle", &denial, "--disclose", "-o", &bundle]).status.success());
    let verified = stdout(&site.writ(&["verify", &bundle, "--trust", &site.text("acme/trust-root")]));
    assert!(verified.contains(r"action      touch 'a b' 'it'\''s' in "), "{verified}");
    assert!(verified.lines().all(|line| line.len() < 4_000), "{verified}");
    let replayed = stdout(&site.writ(&["replay", &denial]));
    assert!(replayed.contains(r"(touch 'a b' 'it'\''s') in "), "{replayed}");
}

/// Nobody reads any more: that is the reader's right. Nowhere to write to is not.
#[test]
fn completions_end_quietly_where_nobody_reads() {
    let mut shell = Command::new("bash");
    let piped =
        format!("set -o pipefail; '{}' completions bash | true; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_writ"));
    let ended = shell.args(["-c", &piped]).stdin(Stdio::null()).output().unwrap();
    assert_eq!((stdout(&ended).as_str(), stderr(&ended).as_str()), ("0\n", ""));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    let ended = command.args(["completions", "zsh"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(ended.status.code(), Some(3));
    assert!(stderr(&ended).starts_with("writ: standard output: "), "{}", stderr(&ended));
}

/// A script that waits for its node must be able to tell that from a no.
#[test]
fn that_no_node_answers_is_no_refusal() {
    let site = Site::new();
    for command in [&["status"][..], &["holds"], &["gateway", "list"], &["revoke", "--principal", "Agent::builder"]] {
        let ended = site.writ(command);
        assert_eq!(ended.status.code(), Some(3), "{command:?}: {}", stderr(&ended));
        assert!(stderr(&ended).contains("authority_unreachable"), "{}", stderr(&ended));
    }
}
