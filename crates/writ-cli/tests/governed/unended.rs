//! What has begun and not ended: counted and listed by what is recorded, whatever became of the node meanwhile.

use super::site::{Site, json, stderr, stdout};
use serde_json::Value as Json;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

/// Whoever is known may run whatever there is.
fn open_to_all() -> Site {
    let mut site = Site::new();
    let policy = "@id(\"all\")\npermit (principal, action == Action::\"exec\", resource);\n";
    fs::write(site.path("acme/policy/all.cedar"), policy).unwrap();
    site.start();
    site
}

/// The node ends as it does for Ctrl-C, and another begins.
fn restart(site: &mut Site) {
    site.end_node("-INT");
    site.start();
}

fn gauge(site: &Site, name: &str) -> Option<String> {
    let mut stream = UnixStream::connect(site.path("acme/run/node.sock")).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
}

fn listed(site: &Site) -> Vec<Json> {
    json(&site.writ(&["--json", "ps"])).as_array().unwrap().clone()
}

#[test]
fn a_restart_of_the_node_forgets_nothing_that_runs() {
    let mut site = Site::up();
    let goes = site.begun("mark");
    let told_before = (site.status()["running"].clone(), gauge(&site, "writ_executions_running"), listed(&site));
    restart(&mut site);
    let told = (site.status()["running"].clone(), gauge(&site, "writ_executions_running"), listed(&site));
    assert_eq!((told.0.as_u64(), told.1.as_deref(), told.2.len()), (Some(1), Some("1"), 1));
    assert_eq!(told, told_before);
    let status = stdout(&site.writ(&["status"]));
    assert!(
        status.contains("  running     1 execution has begun and not ended on the record; see `writ ps`\n"),
        "{status}"
    );
    let halted = stdout(&site.writ(&["halt"]));
    assert!(
        halted.contains("  running     1 execution has begun and not ended on the record, and goes on"),
        "{halted}"
    );
    assert!(halted.contains("  next        `writ ps`"), "{halted}");
    assert_eq!(goes.end().status.code(), Some(0));
    assert_eq!((site.status()["running"].as_u64(), listed(&site).len()), (Some(0), 0));
    site.audit();
}

#[test]
fn what_runs_is_listed_by_whom_and_where_and_its_command_for_whoever_asks() {
    let mut site = open_to_all();
    assert_eq!(stdout(&site.writ(&["ps"])), "no execution has begun and not ended on the record\n");
    let (ada, builder) = (site.begun("ada"), site.begun_as(&["--as", "Agent::builder"], "builder"));
    let all = listed(&site);
    let who: Vec<_> = all.iter().map(|one| one["principal"].as_str().unwrap()).collect();
    assert_eq!(who, ["User::ada", "Agent::builder"]);
    for one in &all {
        assert_eq!((&one["state"], &one["revoked_by"], &one["command"]), (&"started".into(), &Json::Null, &Json::Null));
        assert!(one["gateway"].as_str().unwrap().starts_with("process/"), "{one}");
        let grant = json(&site.writ(&["--json", "log", "show", &one["grant"].to_string()]));
        let execution = format!("exec_{}", grant["body"]["admitted"]["execution"].as_str().unwrap());
        assert_eq!((&grant["type"], &one["execution"]), (&"grant".into(), &execution.into()));
        assert_eq!(grant["body"]["time_ms"], one["since_ms"], "{one}");
    }
    let text = stdout(&site.writ(&["ps", "--disclose"]));
    assert!(text.starts_with("2 executions have begun and not ended on the record\nexecution "), "{text}");
    assert!(text.lines().nth(3).unwrap().contains("Agent::builder") && text.contains("sh -c 'touch "), "{text}");
    // Without a node too.
    site.kill_node();
    assert_eq!(listed(&site), all);
    site.start();
    assert_eq!((ada.end().status.code(), builder.end().status.code()), (Some(0), Some(0)));
    assert_eq!(site.writ(&["ps", "--domain", &site.text("nowhere")]).status.code(), Some(2));
    site.audit();
}

#[test]
fn a_writ_that_was_handed_over_begins_with_its_use() {
    let site = Site::up();
    let (writ, mark) = (site.text("w"), site.text("mark"));
    let argv = ["--", "sh", "-c", "touch \"$0\"; read -r end || exit 0", &mark];
    let mut asked = site.command(&[&["authorize", "-o", &writ], &argv[..]].concat());
    assert!(asked.stdin(Stdio::piped()).output().unwrap().status.success());
    assert_eq!(listed(&site).len(), 0, "nobody has used it");
    let goes = site.begun_as(&["--writ", &writ], "mark");
    let one = listed(&site).remove(0);
    let spend = json(&site.writ(&["--json", "log", "show", &one["begun"].to_string()]));
    assert_eq!((&spend["type"], &one["since_ms"]), (&"spend".into(), &spend["body"]["statement"]["body"]["time_ms"]));
    assert!(one["begun"].as_u64() > one["grant"].as_u64(), "{one}");
    assert_eq!(goes.end().status.code(), Some(0));
}

/// Where no store lies beside the command, the node says how many there are, and nobody claims to know which of them it is about.
#[test]
fn without_a_store_a_revocation_claims_nothing_of_what_rests_on_it() {
    let site = Site::up();
    let ada = site.begun("ada");
    fs::create_dir(site.path("away")).unwrap();
    fs::copy(site.path("acme/trust-root"), site.path("away/trust-root")).unwrap();
    let (node, key) =
        (format!("unix:{}", site.text("acme/run/node.sock")), site.text("acme/keys/principals/User/ada.seed"));
    let away = ["--domain", &site.text("away"), "--node", &node, "--as", "User::ada", "--key", &key];
    let told = stdout(&site.writ(&[&["revoke", "--principal", "Agent::builder"], &away[..]].concat()));
    let says = "  running     1 execution has begun and not ended on the record; `writ ps` beside the node says which";
    assert!(told.contains(says), "{told}");
    let told = json(&site.writ(&[&["--json", "revoke", "--principal", "Agent::builder"], &away[..]].concat()));
    assert_eq!((told["running"].as_u64(), &told["concerned"]), (Some(1), &Json::Null));
    let halted = json(&site.writ(&[&["--json", "halt"], &away[..]].concat()));
    assert_eq!((halted["running"].as_u64(), halted["concerned"].as_u64()), (Some(1), Some(1)));
    assert_eq!(site.writ(&["ps", "--domain", &site.text("away")]).status.code(), Some(3));
    assert_eq!(ada.end().status.code(), Some(0));
}

#[test]
fn a_revocation_names_how_many_rest_on_it_and_each_is_marked() {
    let mut site = open_to_all();
    let ada = site.begun("ada");
    let told = stdout(&site.writ(&["revoke", "--principal", "Agent::builder"]));
    assert!(told.contains("  running     no execution that rests on it\n") && !told.contains("next"), "{told}");
    let by_gateway = listed(&site)[0]["gateway"].as_str().unwrap().to_owned();
    let gateways = json(&site.writ(&["--json", "gateway", "list"]));
    let own = gateways.as_array().unwrap().iter().find(|one| one["name"] == by_gateway.as_str()).unwrap();
    let revoked = json(&site.writ(&["--json", "revoke", "--fingerprint", own["key"].as_str().unwrap()]));
    assert_eq!((revoked["running"].as_u64(), revoked["concerned"].as_u64()), (Some(1), Some(1)), "its gateway's key");
    let named = json(&site.writ(&["--json", "revoke", "--gateway", &by_gateway]));
    assert_eq!((named["running"].as_u64(), named["concerned"].as_u64()), (Some(1), Some(1)));
    // What was revoked before stands in the list; the next order names what rests on its own target all the same.
    assert_eq!(listed(&site)[0]["revoked_by"], revoked["index"]);
    let other = json(&site.writ(&["--json", "revoke", "--writ", &"ab".repeat(32)]));
    assert_eq!((other["running"].as_u64(), other["concerned"].as_u64()), (Some(1), Some(0)));
    let set = site.status()["policy"]["set"].as_str().unwrap().to_owned();
    let told = stdout(&site.writ(&["revoke", "--policy", &set]));
    assert!(
        told.contains("  running     1 execution that rests on it has begun and not ended on the record"),
        "{told}"
    );
    assert!(told.contains("  next        `writ ps`"), "{told}");
    assert_eq!(listed(&site)[0]["revoked_by"], revoked["index"], "the first that revokes it");
    let lines = stdout(&site.writ(&["log", "revocations"]));
    let all: Vec<_> = lines.lines().collect();
    assert!(all.len() == 5 && all[0].contains("Agent::builder") && all[2].contains(&by_gateway), "{lines}");
    assert!(all[4].contains(&format!("policy set {set}")), "{lines}");
    let status = stdout(&site.writ(&["status"]));
    assert!(status.contains("  revoked     5 targets; see `writ log revocations`\n"), "{status}");
    assert_eq!(ada.end().status.code(), Some(0));
    assert!(stderr(&site.writ(&["ps"])).is_empty());
    site.audit();
}
