//! One node for several domains, as somebody starts and uses it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use serde_json::Value as Json;
use site::{Site, stderr, stdout};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Output;

/// A site whose domain is `acme`, and beside it `other`.
fn two() -> Site {
    let site = Site::new();
    site.permit_everything();
    made(&site, "other", "other.example/ledger");
    let policy = fs::read(site.path("acme/policy/everything.cedar")).unwrap();
    fs::write(site.path("other/policy/everything.cedar"), policy).unwrap();
    site
}

fn made(site: &Site, dir: &str, origin: &str) {
    let made = site.writ(&["init", dir, "--origin", origin, "--user", "ada"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
}

fn also(site: &Site) -> String {
    format!("other.localhost={}", site.path("other").display())
}

fn in_other(site: &Site, arguments: &[&str]) -> Output {
    site.command(arguments).env("WRIT_DOMAIN", site.path("other")).output().unwrap()
}

fn asked(address: &str, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn one_node_serves_two_domains_and_each_has_its_own() {
    let mut site = two();
    let up = site.start_with(&["--listen", "127.0.0.1:0", "--host", "acme.localhost", "--also", &also(&site)]);
    assert_eq!((&up["host"], &up["ledger"]), (&"acme.localhost".into(), &"acme.example/ledger".into()));
    let beside = &up["also"][0];
    assert_eq!((&beside["host"], &beside["ledger"]), (&"other.localhost".into(), &"other.example/ledger".into()));
    assert_eq!(beside["enrolled"], 16);
    // Runs in each go to its own ledger.
    assert_eq!(site.run(&["echo", "in-acme"]).status.code(), Some(0));
    let ran = in_other(&site, &["run", "--", "echo", "in-other"]);
    assert_eq!((ran.status.code(), stdout(&ran).as_str()), (Some(0), "in-other\n"), "{}", stderr(&ran));
    let grants = |output: Output| stdout(&output).lines().filter(|line| line.contains("\"type\":\"grant\"")).count();
    let tail = ["--json", "log", "tail", "-n", "1000"];
    assert_eq!((grants(site.writ(&tail)), grants(in_other(&site, &tail))), (1, 1));
    // Over the network, by name.
    let address = up["address"].as_str().unwrap();
    assert!(asked(address, "acme.localhost", "/checkpoint").contains("acme.example/ledger"));
    assert!(asked(address, "other.localhost", "/checkpoint").contains("other.example/ledger"));
    assert!(asked(address, "localhost", "/checkpoint").starts_with("HTTP/1.1 421 "));
    let port = address.rsplit(':').next().unwrap();
    let node = format!("http://other.localhost:{port}");
    let status: Json = site::json(&in_other(&site, &["--json", "status", "--node", &node]));
    assert_eq!(status["origin"], "other.example/ledger");
    // Whoever asks the other by mistake is told.
    let mistaken = site.writ(&["status", "--node", &node]);
    assert_eq!(mistaken.status.code(), Some(1));
    assert!(stderr(&mistaken).contains("speaks for the ledger other.example/ledger"), "{}", stderr(&mistaken));
    // A halt of one is none of the other.
    let halted = in_other(&site, &["halt", "--reason", "drill"]);
    assert_eq!(halted.status.code(), Some(0), "{}", stderr(&halted));
    assert_eq!(in_other(&site, &["run", "--", "true"]).status.code(), Some(site::REFUSED));
    assert_eq!(site.run(&["true"]).status.code(), Some(0));
    let log = fs::read_to_string(site.path("up.err")).unwrap();
    for ledger in ["acme.example/ledger", "other.example/ledger"] {
        assert!(log.lines().any(|line| line.contains(&format!("event=up ledger={ledger}"))), "{log}");
    }
    site.audit();
    let audited = in_other(&site, &["audit", "--replay"]);
    assert_eq!(audited.status.code(), Some(0), "{}{}", stdout(&audited), stderr(&audited));
}

/// What is hidden from an execution is settled when it starts.
#[test]
fn nothing_that_runs_already_comes_to_see_a_domain_beside_its_own() {
    let mut site = two();
    site.start();
    let running = site.begun("begun");
    site.kill_node();
    let refused = site.writ(&["up", "--also", &also(&site)]);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("1 execution began before"), "{}", stderr(&refused));
    // Alone it starts again, and when that has ended, with the other.
    site.start();
    assert_eq!(running.end().status.code(), Some(0));
    site.kill_node();
    site.start_with(&["--also", &also(&site)]);
    let running = site.begun("begun-beside");
    site.kill_node();
    site.start_with(&["--also", &also(&site)]);
    assert_eq!(running.end().status.code(), Some(0), "it never saw what it could not see");
}

#[test]
fn one_domain_that_does_not_open_starts_nothing_and_is_named() {
    let mut site = two();
    let also = also(&site);
    let beside = |site: &Site| site.writ(&["up", "--also", &also]);
    let unsound = site.path("other/policy/broken.cedar");
    fs::write(&unsound, "permit (principal").unwrap();
    let refused = beside(&site);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    assert!(stderr(&refused).contains(&site.text("other")), "{}", stderr(&refused));
    assert!(!site.path("acme/run/node.sock").exists(), "nobody is served");
    fs::remove_file(unsound).unwrap();
    // In use by a node of its own.
    site.start_with(&["--domain", &site.text("other")]);
    let locked = beside(&site);
    assert_eq!(locked.status.code(), Some(3));
    assert!(stderr(&locked).contains("in use by another node"), "{}", stderr(&locked));
    site.kill_node();
    site.start_with(&["--also", &also]);
    assert_eq!(in_other(&site, &["status"]).status.code(), Some(0));
    site.kill_node();
    // Its folder is broken once it has a set in force: that one stays, and the start says whose.
    fs::write(site.path("other/policy/broken.cedar"), "permit (principal").unwrap();
    let up = site.start_with(&["--also", &also]);
    assert!(up["policy_refused"].is_null(), "{up}");
    assert!(up["also"][0]["policy_refused"].as_str().unwrap().contains("broken.cedar"), "{up}");
    site.kill_node();
    // Its store is damaged.
    fs::write(site.path("other/ledger.db"), "no database at all").unwrap();
    let damaged = beside(&site);
    assert_eq!(damaged.status.code(), Some(3), "{}", stderr(&damaged));
    assert!(stderr(&damaged).contains(&site.text("other")), "{}", stderr(&damaged));
}

#[test]
fn a_start_that_fails_leaves_nothing_in_any_ledger() {
    let mut site = two();
    let also = also(&site);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let answered = UnixListener::bind(site.path("answered.sock")).unwrap();
    fs::write(site.path("no.pem"), "no certificate").unwrap();
    let attempts: [(&[&str], &str); 4] = [
        (&["--listen", &address], "choose another address"),
        (&["--listen", "192.0.2.1:0"], "expected a loopback address or TLS"),
        (&["--listen", "127.0.0.1:0", "--tls-cert", "no.pem", "--tls-key", "no.pem"], "no.pem"),
        (&["--socket", "answered.sock"], "another node answers"),
    ];
    for (arguments, expected) in attempts {
        let refused = site.writ(&[&["up"], arguments].concat());
        assert_eq!(refused.status.code(), Some(3), "{arguments:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(expected), "{arguments:?}: {}", stderr(&refused));
        assert_eq!(site.types(), ["genesis"], "{arguments:?}");
    }
    drop(answered);
    // Nor does one domain begin because of what is wrong with another.
    let refused = |expected: &str| {
        let refused = site.writ(&["up", "--also", &also]);
        assert_eq!(refused.status.code(), Some(3), "{expected}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(expected), "{expected}: {}", stderr(&refused));
        assert_eq!(site.types(), ["genesis"], "{expected}");
        assert!(!site.path("acme/run/node.sock").exists(), "{expected}: nobody is there");
    };
    fs::write(site.path("other/policy/broken.cedar"), "permit (principal").unwrap();
    refused("broken.cedar");
    fs::remove_file(site.path("other/policy/broken.cedar")).unwrap();
    fs::set_permissions(site.path("other/run"), Permissions::from_mode(0o777)).unwrap();
    refused("only its owner may write");
    fs::set_permissions(site.path("other/run"), Permissions::from_mode(0o700)).unwrap();
    site.start_with(&["--also", &also]);
    assert_eq!(site.types()[..2], ["genesis", "policy"]);
}

/// What a governed program finds of a domain: its key, its policy folder, its socket.
const LOOK: &str = r#"
import os, socket, sys
home = sys.argv[1]
def found(what, attempt):
    try:
        attempt()
        print(what)
    except OSError:
        pass
found("key", lambda: open(home + "/keys/ledger-ed25519.seed").read())
found("policy", lambda: open(home + "/policy/more.cedar", "w").close())
found("socket", lambda: socket.socket(socket.AF_UNIX).connect(home + "/run/node.sock"))
"#;

#[test]
fn what_runs_under_one_domain_reaches_nothing_of_another_on_its_node() {
    let mut site = two();
    let (acme, other) = (site.text("acme"), site.text("other"));
    let looks = |found: Output| {
        assert_eq!(found.status.code(), Some(0), "{}", stderr(&found));
        stdout(&found)
    };
    // Domains of nodes of their own are not known to each other: it looks in the right places.
    site.start();
    assert_eq!(looks(site.run(&["python3", "-c", LOOK, &other])), "key\npolicy\n");
    fs::remove_file(site.path("other/policy/more.cedar")).unwrap();
    site.kill_node();
    site.start_with(&["--also", &also(&site)]);
    assert_eq!(looks(site.run(&["python3", "-c", LOOK, &other])), "");
    assert_eq!(looks(in_other(&site, &["run", "--", "python3", "-c", LOOK, &acme])), "");
    assert!(!site.path("other/policy/more.cedar").exists() && !site.path("acme/policy/more.cedar").exists());
    // Its own socket it may reach, as ever.
    assert_eq!(looks(in_other(&site, &["run", "--", "python3", "-c", LOOK, &other])), "socket\n");
    site.kill_node();
    // Served alone again, it knows of no other.
    site.start();
    assert!(!site.path("acme/gateway/beside").exists());
    assert!(site.path("other/gateway/beside").exists(), "until it is started again too");
}

#[test]
fn arguments_that_would_mislead_start_nothing() {
    let site = two();
    made(&site, "twin", "acme.example/ledger");
    let (also, twin) = (also(&site), format!("twin.localhost={}", site.path("twin").display()));
    let listen = ["--listen", "127.0.0.1:0"];
    made(&site, "acme/inner", "inner.example/ledger");
    let inner = format!("inner.localhost={}", site.path("acme/inner").display());
    let twice = format!("acme.localhost={}", site.path("other").display());
    let in_clear = format!("other.example={}", site.path("other").display());
    for (arguments, exit, expected) in [
        (vec!["--also", "other.localhost"], 2, "expected HOST=DIR"),
        (vec!["--also", "other.localhost="], 2, "expected HOST=DIR"),
        (vec!["--also", "127.0.0.1=other"], 2, "no host name; give one like acme.localhost, or with TLS"),
        (vec!["--also", "other.localhost=nowhere"], 2, "no domain in nowhere; give the folder of one, or make one"),
        (vec!["--also", "own.localhost=acme"], 2, "acme is served by this node already"),
        (vec!["--also", &twin], 2, "acme.example/ledger"),
        (vec!["--also", &inner], 2, "is inside"),
        (vec!["--also", &also, "--socket", "node.sock"], 2, "--socket"),
        ([&listen[..], &["--also", &also]].concat(), 2, "--host HOST"),
        (vec!["--host", "acme.localhost"], 2, "--listen"),
        ([&listen[..], &["--host", "acme.localhost", "--also", &twice]].concat(), 2, "the name of two domains"),
        ([&listen[..], &["--host", "acme.localhost", "--also", &in_clear]].concat(), 2, "below .localhost"),
        (vec!["--ledger-max", "1MB"], 2, "expected a size"),
        (vec!["--domain-rate", "0"], 2, "--domain-rate"),
    ] {
        let up = site.writ(&[&["up"], arguments.as_slice()].concat());
        assert_eq!(up.status.code(), Some(exit), "{arguments:?}: {}", stderr(&up));
        assert!(stderr(&up).contains(expected), "{arguments:?}: {}", stderr(&up));
        assert_eq!(stdout(&up), "", "{arguments:?}");
    }
    assert_eq!(site.types(), ["genesis"], "and nothing is recorded");
}

#[test]
fn a_ledger_that_is_full_lets_nothing_more_run_and_a_halt_gets_in() {
    let mut site = two();
    site.start_with(&["--also", &also(&site)]);
    site.kill_node();
    // Slots are enrolled and the policy is in force; from here on it is full.
    let listen = ["--listen", "127.0.0.1:0", "--host", "acme.localhost"];
    let up = site.start_with(&[&listen[..], &["--ledger-max", "1KiB", "--also", &also(&site)]].concat());
    let address = up["address"].as_str().unwrap();
    let full = asked(address, "acme.localhost", "/readyz");
    assert!(
        full.starts_with("HTTP/1.1 503 ") && full.contains("not ready: ledger_unavailable: the ledger is"),
        "{full}"
    );
    // A domain that is full is no reason to take the others out of service.
    assert!(asked(address, "localhost", "/readyz").starts_with("HTTP/1.1 200 "));
    let refused = site.refusal(&["--", "touch", "ran"]);
    assert_eq!(refused["code"], "ledger_unavailable", "{refused}");
    assert!(refused["why"].as_str().unwrap().contains("as large as it may be"), "{refused}");
    assert!(!site.path("ran").exists());
    let halted = site.writ(&["halt", "--reason", "drill"]);
    assert_eq!(halted.status.code(), Some(0), "{}", stderr(&halted));
    assert!(fs::read_to_string(site.path("up.err")).unwrap().contains("event=ledger_full"));
    site.audit();
}
