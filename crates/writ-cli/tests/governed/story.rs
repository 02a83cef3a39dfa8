//! The whole story: a person sends an agent, the agent hands a part of it on to another, that one asks for a change in production, two others
//! approve just this, it runs once, and trust is taken back midway. Then strangers prove it, with two programs that share no code.

use super::site::{REFUSED, Site, json, stderr, stdout, wait};
use serde_json::{Value as Json, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const POLICY: &str = r#"
@id("changes-take-two")
@approval("2 of approvers")
forbid (principal, action == Action::"exec", resource == Executable::"/usr/bin/touch");

@id("approvers-answer")
permit (principal in Group::"approvers", action in [Action::"approve", Action::"reject"], resource)
when { context.auth == "key" };

@id("people-send-agents")
permit (principal is User, action == Action::"mandate", resource)
when { context.auth == "key" };

@id("agents-hand-on")
permit (principal is Agent, action == Action::"delegate", resource)
when { context.auth == "key" };

@id("agents-do-what-they-are-sent-for")
permit (principal is Agent, action == Action::"exec", resource)
when { context has mandate && context.mandate.by == "User::ada" };
"#;

/// A domain with a person, two agents, and two who approve, with its node.
fn site() -> Site {
    let mut site = Site::new();
    let entities = site.path("acme/policy/entities.json");
    let mut known: Vec<Json> = serde_json::from_slice(&fs::read(&entities).unwrap()).unwrap();
    known.push(json!({ "uid": { "type": "Group", "id": "approvers" }, "attrs": {}, "parents": [] }));
    fs::write(&entities, serde_json::to_vec(&known).unwrap()).unwrap();
    for who in ["User::grace", "User::lin"] {
        done(&site.writ(&["key", "new", "--principal", who, "--group", "approvers", "--add"]));
    }
    done(&site.writ(&["key", "new", "--principal", "Agent::helper", "--add"]));
    fs::write(site.path("acme/policy/story.cedar"), POLICY).unwrap();
    site.start();
    site
}

#[track_caller]
fn done(output: &Output) -> Json {
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(output), stderr(output));
    serde_json::from_str(&stdout(output)).unwrap_or_default()
}

/// The second implementation's word on a bundle.
fn verified_by_the_second(site: &Site, bundle: &str) -> Json {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let verify = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("vectors/verify.py"))
        .args(["bundle", &site.text(bundle), "--json", "--trust", &site.text("acme/trust-root")])
        .output();
    // `make setup` makes that Python.
    done(&verify.unwrap())
}

fn bundle(site: &Site, index: u64, name: &str) {
    done(&site.writ(&["log", "bundle", &index.to_string(), "--disclose", "-o", &site.text(name)]));
}

#[test]
fn an_agent_sent_by_a_person_asks_for_a_change_that_others_approve_once() {
    let mut site = site();
    let writ = env!("CARGO_BIN_EXE_writ");
    // Ada sends the builder; the builder hands a part of it on.
    let granted =
        ["--as", "User::ada", "--to", "Agent::builder", "--program", "sh", "--program", "touch", "--uses", "9"];
    let sent = done(&site.writ(&[&["--json", "mandate", "grant"], &granted[..]].concat()))["index"].as_u64().unwrap();
    let above = sent.to_string();
    let handed = ["--as", "Agent::builder", "--to", "Agent::helper", "--uses", "5"];
    let handed = site.writ(&[&["--json", "mandate", "delegate", above.as_str()], &handed[..]].concat());
    let below = done(&handed)["index"].as_u64().unwrap().to_string();
    let wider = ["--as", "Agent::builder", "--to", "Agent::helper", "--uses", "10"];
    let wider = site.writ(&[&["--json", "mandate", "delegate", above.as_str()], &wider[..]].concat());
    assert!(stderr(&wider).contains("scope_widened"), "{}", stderr(&wider));

    // The helper works, and asks from inside of its work for the change; it goes on when it gets it.
    let (made, other, gate) = (site.text("released"), site.text("other"), site.text("gate"));
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let script = "env -u PWD \"$0\" --json authorize --wait=5m -o change.writ -- touch \"$1\" || exit 9
                  read -r line < \"$3\"
                  env -u PWD \"$0\" --json authorize -o second.writ -- touch \"$2\"";
    let mut command = site.command(&["--json", "run", "--as", "Agent::helper", "--mandate", &below, "--"]);
    command.args(["sh", "-c", script, writ, &made, &other, &gate]);
    let working = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let holds = || done(&site.writ(&["--json", "holds"]))["holds"].clone();
    wait("the change to be held", || holds()[0]["index"].is_u64());
    let held = holds()[0]["index"].as_u64().unwrap().to_string();

    // Who is asked sees what would run; neither who sent the agents nor they themselves can answer.
    let shown = done(&site.writ(&["--json", "holds", &held]));
    assert_eq!(shown["action"]["told"]["command"], format!("touch {made}"), "{shown}");
    for who in ["User::ada", "Agent::helper"] {
        let refused = site.writ(&["--json", "approve", &held, "--as", who, "--yes"]);
        assert_eq!(refused.status.code(), Some(1), "{who}: {}", stdout(&refused));
    }
    done(&site.writ(&["--json", "approve", &held, "--as", "User::grace", "--yes"]));
    assert!(!site.path("change.writ").exists(), "one of two is not enough");
    done(&site.writ(&["--json", "approve", &held, "--as", "User::lin", "--yes"]));
    wait("the change to be granted", || site.path("change.writ").exists() && site.path("change.writ.key").exists());

    // Once is once.
    let used = ["--json", "run", "--writ", "change.writ", "--", "touch", made.as_str()];
    let ran = site.writ(&used);
    assert_eq!((ran.status.code(), Path::new(&made).exists()), (Some(0), true), "{}", stderr(&ran));
    fs::remove_file(&made).unwrap();
    let again = site.writ(&used);
    assert_eq!((again.status.code(), Path::new(&made).exists()), (Some(REFUSED), false), "{}", stderr(&again));

    // Midway trust is taken back at the top, and the helper, which still runs, gets nothing more.
    done(&site.writ(&["--json", "revoke", "--mandate", &above, "--as", "User::ada"]));
    fs::write(&gate, "go on\n").unwrap();
    let worked = working.wait_with_output().unwrap();
    assert_eq!(worked.status.code(), Some(1), "{}", stderr(&worked));
    assert!(stderr(&worked).contains("revoked"), "{}", stderr(&worked));
    assert!(!site.path("second.writ").exists() && !Path::new(&other).exists());

    // The whole lineage, and what each of it was granted on, proved by both.
    let entries = site.entries();
    let grants: Vec<u64> =
        entries.iter().filter(|entry| entry["type"] == "grant").map(|entry| entry["index"].as_u64().unwrap()).collect();
    let [work, change] = grants[..] else { panic!("{grants:?}") };
    let lineage = json(&site.writ(&["--json", "lineage", &change.to_string()]));
    site.kill_node();
    let told = stdout(&site.writ(&["lineage", &work.to_string(), "--disclose"]));
    for said in ["Agent::helper", "agents-do-what-they-are-sent-for", &format!("touch {made}"), "ended exited:0"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert_eq!(
        lineage["origin"]["entry"],
        json(&site.writ(&["--json", "lineage", &work.to_string()]))["origin"]["entry"]
    );
    for (index, name) in [(work, "work"), (change, "change")] {
        bundle(&site, index, name);
        let first = done(&site.writ(&["--json", "verify", &site.text(name), "--trust", &site.text("acme/trust-root")]));
        let second = verified_by_the_second(&site, name);
        assert_eq!(second["subject"].as_u64(), Some(index), "{second}");
        assert_eq!(first["revoked_at"], second["revoked_at"], "{first} {second}");
        assert!(second["revoked_at"].is_u64(), "what stood above it was revoked: {second}");
        assert_eq!(second["executions"][0]["state"], "ended", "{second}");
    }
    site.audit();
}
