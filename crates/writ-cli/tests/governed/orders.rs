//! Revocations, halts, and how a halt ends.

use super::site::{REFUSED, Site, json, stderr, stdout};
use serde_json::Value as Json;

#[test]
fn orders_take_effect_and_are_answered_as_json() {
    let mut site = Site::up();
    let mark = site.text("mark");
    let revoked = json(&site.writ(&["--json", "revoke", "--principal", "Agent::builder", "--reason", "lost-key"]));
    assert_eq!((revoked["outcome"].as_str(), revoked["command"].as_str()), (Some("recorded"), Some("revoke")));
    assert_eq!(site.refusal(&["--as", "Agent::builder", "--", "env", "touch", &mark])["code"], "revoked");
    assert_eq!(site.status()["revocations"], 1);
    let agent = site.writ(&["--json", "halt", "--as", "Agent::builder"]);
    let error: Json = serde_json::from_str(stderr(&agent).trim()).unwrap();
    assert_eq!((agent.status.code(), error["exit"].as_u64()), (Some(1), Some(1)), "{error}");
    assert_eq!(json(&site.writ(&["--json", "log", "show", &error["index"].to_string()]))["type"], "denial", "{error}");
    assert!(error["why"].as_str().unwrap().contains("Agent::builder, ordering halt"), "{error}");
    assert!(error["next"].is_string(), "{error}");
    assert!(site.status()["halted_at"].is_null());
    let halted = json(&site.writ(&["--json", "halt"]));
    assert_eq!(site.status()["halted_at"], halted["index"]);
    assert_eq!(site.refusal(&["--", "touch", &mark])["code"], "halted");
    assert!(stdout(&site.writ(&["status"])).contains("only the root members end it"));
    assert!(!site.path("mark").exists());
    let doctor = site.writ(&["--json", "doctor"]);
    let found: Json = serde_json::from_slice(&doctor.stdout).unwrap();
    assert_eq!(found["ok"].as_bool(), Some(doctor.status.success()), "{found}");
    assert!(found["findings"].as_array().unwrap().iter().any(|one| one["what"] == "node" && one["ok"] == true));
    site.kill_node();
    let audited = json(&site.writ(&["--json", "audit", "--replay"]));
    assert_eq!(audited["replay"]["different"], 0);
    assert!(audited["findings"].as_array().unwrap().is_empty());
}

#[test]
fn each_kind_of_target_can_be_revoked() {
    let site = Site::up();
    let writ = site.text("w");
    json(&site.writ(&["--json", "authorize", "-o", &writ, "--", "true"]));
    let hash = "ab".repeat(32);
    let targets: [[&str; 2]; 7] = [
        ["--writ", &writ],
        ["--writ", &hash],
        ["--principal", "Agent::builder"],
        ["--fingerprint", &format!("key_{hash}")],
        ["--policy", &hash],
        ["--lineage", &hash],
        ["--gateway", "process/07"],
    ];
    for target in targets {
        let told = json(&site.writ(&[&["--json", "revoke"], &target[..]].concat()));
        assert_eq!(told["outcome"], "recorded", "{target:?}");
    }
    let set = site.status()["policy"]["set"].as_str().unwrap().to_owned();
    assert!(stdout(&site.writ(&["status"])).contains(&set));
    for wrong in [&["--fingerprint", "key_1"][..], &["--policy", "x"], &[], &["--policy", &hash, "--writ", &hash]] {
        assert_eq!(site.writ(&[&["revoke"], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(site.status()["revocations"], 7);
}

#[test]
fn what_runs_goes_on_through_a_halt_and_is_counted() {
    let site = Site::up();
    let nothing = stdout(&site.writ(&["revoke", "--writ", &"ab".repeat(32)]));
    assert!(nothing.contains("  running     no execution that rests on it\n"), "{nothing}");
    let (first, second) = (site.begun("first"), site.begun("second"));
    let revoked = json(&site.writ(&["--json", "revoke", "--gateway", "process/09"]));
    assert_eq!((revoked["target"].as_str(), revoked["running"].as_u64()), (Some("gateway process/09"), Some(2)));
    let halted = stdout(&site.writ(&["halt"]));
    assert!(
        halted.contains("2 executions have begun and not ended on the record, and go on until they end"),
        "{halted}"
    );
    assert!(halted.contains("only the root members end it"), "{halted}");
    assert_eq!((first.end().status.code(), second.end().status.code()), (Some(0), Some(0)));
    let status = stdout(&site.writ(&["status"]));
    assert!(status.contains("  running     no execution has begun and not ended on the record\n"), "{status}");
}

#[test]
fn whoever_does_not_exist_is_revoked_only_on_purpose() {
    let site = Site::up();
    for (target, says) in [
        (["--principal", "foo"], "expected TYPE::ID, such as Agent::builder"),
        (["--principal", "Agent:builder"], "expected TYPE::ID, such as Agent::builder"),
        (["--principal", "Group::agents"], "expected TYPE::ID"),
        (["--principal", "Agent::nobody"], "there is no principal Agent::nobody"),
        (["--gateway", "process/99"], "no gateway process/99 is enrolled"),
    ] {
        let refused = site.writ(&[&["revoke"], &target[..]].concat());
        assert_eq!(refused.status.code(), Some(2), "{target:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
    assert_eq!(site.status()["revocations"], 0);
    let told = stdout(&site.writ(&["revoke", "--principal", "Agent::nobody", "--unknown-ok"]));
    assert!(told.starts_with("revoke: Agent::nobody: recorded and in force, entry "), "{told}");
    json(&site.writ(&["--json", "revoke", "--gateway", "process/99", "--unknown-ok"]));
    assert_eq!(site.status()["revocations"], 2);
}

#[test]
fn nobody_who_does_not_exist_is_sent_but_on_purpose() {
    let site = Site::new();
    let policy = "@id(\"sends\")\npermit (principal == User::\"ada\", action == Action::\"mandate\", resource);\n";
    std::fs::write(site.path("acme/policy/sends.cedar"), policy).unwrap();
    let mut site = site;
    site.start();
    let grant = |more: &[&str]| site.writ(&[&["--json", "mandate", "grant"], more].concat());
    let refused = grant(&["--to", "Agent::typo"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("there is no principal Agent::typo"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--unknown-ok to give it in advance"), "{}", stderr(&refused));
    json(&grant(&["--to", "Agent::typo", "--unknown-ok"]));
    let above = json(&grant(&["--to", "Agent::builder", "--for", "168h"]))["index"].to_string();
    let handed = site.writ(&["mandate", "delegate", &above, "--as", "Agent::builder", "--to", "Agent::typo"]);
    assert!(stderr(&handed).contains("there is no principal Agent::typo"), "{}", stderr(&handed));
    for (long, says) in [("400h", "from 1s to 7 days (168h)"), ("0s", "from 1s"), ("4d", "such as 30s, 10m or 1h")] {
        let refused = grant(&["--to", "Agent::builder", "--for", long]);
        assert_eq!(refused.status.code(), Some(2), "{long}");
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
}

#[test]
fn a_halt_ends_when_enough_root_members_sign() {
    let mut site = Site::up();
    json(&site.writ(&["--json", "halt"]));
    let said = site.run(&["true"]);
    assert_eq!(said.status.code(), Some(REFUSED));
    assert!(stderr(&said).contains("writ root resume"), "{}", stderr(&said));
    let resume = |arguments: &[&str]| site.writ(&[&["--json", "root", "resume"], arguments].concat());
    let running = resume(&[]);
    assert_eq!(running.status.code(), Some(3), "{}", stderr(&running));
    assert!(stderr(&running).contains("the node is running; stop it"), "{}", stderr(&running));
    site.kill_node();
    let member = |number: u8| site.text(&format!("acme/root-keys/root-{number}.seeds"));
    let resume = |arguments: &[&str]| site.writ(&[&["--json", "root", "resume"], arguments].concat());
    // The same member twice is one member.
    let alone = resume(&["--member", &member(1), "--member", &member(1)]);
    let error: Json = serde_json::from_str(stderr(&alone).trim()).unwrap();
    assert_eq!((alone.status.code(), error["code"].as_str()), (Some(1), Some("signature_invalid")), "{error}");
    let ended = json(&resume(&["--member", &member(1), "--member", &member(3), "--reason", "over"]));
    assert_eq!(json(&site.writ(&["--json", "log", "show", &ended["index"].to_string()]))["type"], "root-order");
    let again = resume(&[]);
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    site.start();
    assert!(site.status()["halted_at"].is_null());
    assert_eq!(site.run(&["true"]).status.code(), Some(0));
    site.kill_node();
    assert!(json(&site.writ(&["--json", "audit"]))["findings"].as_array().unwrap().is_empty());
}
