//! `writ gateway` from the outside: another machine, which has the trust root and a slot of its own, executes once a person has enrolled it.

use super::site::{REFUSED, Site, json, refusal, stderr, stdout};
use serde_json::Value as Json;
use std::fs;
use std::process::Output;

const POLICY: &str = r#"
@id("ada-enrols")
permit (principal == User::"ada", action == Action::"enrol", resource)
when { context.auth == "key" && context.gateway like "process/build-*" && ["process"].containsAll(context.groups) };
"#;

fn error(output: &Output) -> Json {
    serde_json::from_str(stderr(output).trim()).unwrap()
}

/// The same domain as another machine sees it: over the network, with the trust root.
struct Elsewhere<'s> {
    site: &'s Site,
    node: String,
}

impl Elsewhere<'_> {
    fn writ(&self, arguments: &[&str]) -> Output {
        let mut command = self.site.command(arguments);
        command.env("WRIT_DOMAIN", self.site.path("build-7")).env("WRIT_NODE", &self.node).output().unwrap()
    }

    /// As the agent, whose key was brought here.
    fn run(&self, argv: &[&str]) -> Output {
        let seed = self.site.text("acme/keys/principals/Agent/builder.seed");
        self.writ(&[&["--json", "run", "--as", "Agent::builder", "--key", &seed, "--"], argv].concat())
    }

    fn slot(&self, name: &str) -> String {
        json(&self.writ(&["--json", "gateway", "new", name]))["key"].as_str().unwrap().to_owned()
    }
}

/// Makes a slot as another machine does, in a folder that has nothing but the trust root.
fn new_slot(site: &Site, name: &str) -> Output {
    fs::create_dir_all(site.path("elsewhere")).unwrap();
    fs::copy(site.path("acme/trust-root"), site.path("elsewhere/trust-root")).unwrap();
    site.writ(&["--json", "gateway", "new", name, "--domain", &site.text("elsewhere")])
}

#[test]
fn another_machine_executes_once_it_is_enrolled_and_until_it_is_revoked() {
    let mut site = Site::new();
    fs::write(site.path("acme/policy/gateways.cedar"), POLICY).unwrap();
    let up = site.start_with(&["--listen", "127.0.0.1:0"]);
    let node = format!("http://{}", up["address"].as_str().unwrap());
    fs::create_dir(site.path("build-7")).unwrap();
    fs::copy(site.path("acme/trust-root"), site.path("build-7/trust-root")).unwrap();
    let there = Elsewhere { site: &site, node };
    let key = there.slot("process/build-7");
    let refused = refusal(&there.run(&["ls"]));
    assert_eq!(refused["code"], "missing_writ", "nobody has enrolled it: {refused}");
    // Not by an agent, and not under another name.
    let enrol = |name: &str, more: &[&str]| site.writ(&[&["--json", "gateway", "enrol", name, &key], more].concat());
    for (name, who) in [("process/build-7", "Agent::builder"), ("mesh/1", "User::ada")] {
        let refused = enrol(name, &["--as", who]);
        assert_eq!((refused.status.code(), &error(&refused)["code"]), (Some(1), &"policy_denied".into()), "{name}");
    }
    let told = json(&enrol("process/build-7", &["--as", "User::ada", "--reason", "new-machine"]));
    assert_eq!(
        (told["command"].as_str(), told["target"].as_str()),
        (Some("enrol"), Some("process/build-7 in epoch 1"))
    );
    let ran = there.run(&["ls"]);
    assert_eq!((ran.status.code(), &error(&ran)["outcome"]), (Some(0), &"ran".into()), "{}", stdout(&ran));
    let start = site.entries().into_iter().rfind(|entry| entry["type"] == "start").unwrap();
    assert_eq!(start["body"]["statement"]["body"]["gateway"], "process/build-7", "{start}");
    // The evidence of the order verifies elsewhere, with what was ordered opened, and the decision comes out the same.
    let at = told["index"].to_string();
    let file = site.text("enrolled.writ-bundle");
    json(&site.writ(&["--json", "log", "bundle", &at, "--disclose", "-o", &file]));
    json(&there.writ(&["--json", "verify", &file, "--trust", &site.text("build-7/trust-root")]));
    assert_eq!(json(&site.writ(&["--json", "replay", &at]))["replay"], "same");
    let listed = |site: &Site| {
        let all = json(&site.writ(&["--json", "gateway", "list"]));
        all.as_array().unwrap().iter().find(|one| one["name"] == "process/build-7").unwrap().clone()
    };
    assert_eq!((&listed(&site)["epoch"], &listed(&site)["groups"]), (&1.into(), &serde_json::json!(["process"])));
    let revoked = site.writ(&["--json", "revoke", "--gateway", "process/build-7", "--as", "User::ada"]);
    assert_eq!(revoked.status.code(), Some(0), "{}", stderr(&revoked));
    assert_eq!(listed(&site)["revoked"], true);
    let refused = there.run(&["ls"]);
    assert_eq!((refused.status.code(), &refusal(&refused)["code"]), (Some(REFUSED), &"revoked".into()));
    let at = refusal(&refused)["index"].as_u64().expect("it is recorded that it has asked").to_string();
    assert_eq!(json(&site.writ(&["--json", "log", "show", &at]))["type"], "denial");
    // Not even with another key.
    let other = there.slot("process/build-8");
    let again = ["--json", "gateway", "enrol", "process/build-7", &other, "--renew", "--as", "User::ada"];
    assert_eq!(error(&site.writ(&again))["code"], "revoked");
    assert_eq!(site.writ(&["audit", "--replay"]).status.code(), Some(0));
}

#[test]
fn a_gateway_is_renewed_on_purpose_and_what_is_wrong_is_said() {
    let mut site = Site::new();
    fs::write(site.path("acme/policy/gateways.cedar"), POLICY).unwrap();
    site.start();
    let slot = |name: &str| new_slot(&site, name);
    let key = |name: &str| json(&slot(name))["key"].as_str().unwrap().to_owned();
    let (first, second) = (key("process/build-7"), key("process/build-8"));
    assert_eq!(slot("process/build-7").status.code(), Some(2), "its key is not drawn anew");
    let enrol = |name: &str, key: &str, more: &[&str]| {
        site.writ(&[&["--json", "gateway", "enrol", name, key, "--as", "User::ada"], more].concat())
    };
    assert_eq!(enrol("process/build-7", &first, &["--renew"]).status.code(), Some(2), "there is none to renew");
    json(&enrol("process/build-7", &first, &[]));
    let taken = enrol("process/build-7", &second, &[]);
    assert_eq!(taken.status.code(), Some(2));
    assert!(stderr(&taken).contains("--renew"), "{}", stderr(&taken));
    let same = error(&enrol("process/build-8", &first, &[]));
    assert_eq!(same["code"], "identity_mismatch", "{same}");
    assert!(same["why"].as_str().unwrap().contains("process/build-7"), "{same}");
    let told = json(&enrol("process/build-7", &second, &["--renew", "--speaks-for", "Agent::builder"]));
    assert_eq!(told["target"], "process/build-7 in epoch 2, for Agent::builder");
    let shown = stdout(&site.writ(&["gateway", "list"]));
    assert!(shown.contains("process/build-7  epoch 2  of process  for Agent::builder"), "{shown}");
    fs::create_dir(site.path("nothing")).unwrap();
    let nowhere = site.writ(&["gateway", "new", "process/build-9", "--domain", &site.text("nothing")]);
    assert!(!nowhere.status.success() && stderr(&nowhere).contains("no domain"), "{}", stderr(&nowhere));
    assert!(!site.path("nothing/gateway").exists());
    for wrong in ["build-7", "process/../up", "process/.hidden"] {
        assert_eq!(slot(wrong).status.code(), Some(2), "{wrong:?}");
    }
    for wrong in [
        &["gateway", "enrol", "process/build-9", "not-a-key"][..],
        &["gateway", "enrol", "process/build-9", &first[2..]],
        &["gateway", "enrol", "process/build-9", &first, "--speaks-for", "builder"],
        &["gateway", "enrol", "", &first],
    ] {
        assert_eq!(site.writ(&[wrong, &["--domain", &site.text("acme")]].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

fn slots(site: &Site) -> Vec<(String, bool)> {
    let all = json(&site.writ(&["--json", "gateway", "list"]));
    let read = |one: &Json| (one["name"].as_str().unwrap().to_owned(), one["revoked"].as_bool().unwrap());
    all.as_array().unwrap().iter().map(read).collect()
}

#[test]
fn a_slot_that_is_revoked_keeps_nothing_from_running_and_no_node_from_starting() {
    let mut site = Site::new();
    site.permit_everything();
    fs::write(site.path("acme/policy/gateways.cedar"), POLICY.replace("process/build-*", "process/*")).unwrap();
    site.start_with(&["--slots", "3"]);
    let as_ada = |arguments: &[&str]| {
        let done = site.writ(&[arguments, &["--as", "User::ada"]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    };
    as_ada(&["revoke", "--gateway", "process/01"]);
    // The key of another machine for a name of this one.
    let key = json(&new_slot(&site, "process/elsewhere"))["key"].as_str().unwrap().to_owned();
    as_ada(&["gateway", "enrol", "process/02", &key, "--renew"]);
    let ran = site.run(&["echo", "still"]);
    assert_eq!((ran.status.code(), stdout(&ran).as_str()), (Some(0), "still\n"), "{}", stderr(&ran));
    let start = site.entries().into_iter().rfind(|entry| entry["type"] == "start").unwrap();
    assert_eq!(start["body"]["statement"]["body"]["gateway"], "process/03", "{start}");
    site.kill_node();
    let up = site.start_with(&["--slots", "3"]);
    assert_eq!((&up["set_aside"], &up["enrolled"]), (&2.into(), &2.into()), "{up}");
    let named = slots(&site);
    assert!(named.contains(&("process/05".to_owned(), false)) && named.contains(&("process/01".to_owned(), true)));
    assert!(site.path("acme/gateway/01.set-aside").exists());
    // A key that is revoked is another matter than a name: the slot gets a new one.
    let all = json(&site.writ(&["--json", "gateway", "list"]));
    let third = all.as_array().unwrap().iter().find(|one| one["name"] == "process/03").unwrap()["key"].clone();
    let revoke = ["revoke", "--fingerprint", third.as_str().unwrap(), "--as", "User::ada"];
    assert_eq!(site.writ(&revoke).status.code(), Some(0));
    assert_eq!(site.run(&["true"]).status.code(), Some(0), "the others go on");
    site.kill_node();
    let up = site.start_with(&["--slots", "3"]);
    assert_eq!((&up["set_aside"], &up["enrolled"]), (&1.into(), &1.into()), "{up}");
    assert_eq!(site.run(&["true"]).status.code(), Some(0));
    assert_eq!(site.writ(&["audit", "--replay"]).status.code(), Some(0));
}

#[test]
fn a_slot_of_another_machine_is_none_beside_the_node() {
    let mut site = Site::new();
    site.permit_everything();
    fs::write(site.path("acme/policy/gateways.cedar"), POLICY).unwrap();
    site.start_with(&["--slots", "1"]);
    let key = json(&new_slot(&site, "process/build-7"))["key"].as_str().unwrap().to_owned();
    json(&site.writ(&["--json", "gateway", "enrol", "process/build-7", &key, "--as", "User::ada"]));
    fs::remove_file(site.path("acme/gateway/01.seed")).unwrap();
    fs::copy(site.path("elsewhere/gateway/build-7.seed"), site.path("acme/gateway/build-7.seed")).unwrap();
    let refused = refusal(&site.writ(&["--json", "run", "--", "true"]));
    assert_eq!(refused["code"], "unknown_authority", "{refused}");
    assert!(refused["why"].as_str().unwrap().contains("--slots"), "{refused}");
}

/// A slot that stands by mistake beside those of the node, its name another machine's: whoever cannot run is told why, which is not that slot.
#[test]
fn a_stray_slot_beside_the_node_is_refused_and_stands_in_nobodys_way() {
    let mut site = Site::new();
    fs::write(site.path("acme/policy/gateways.cedar"), POLICY).unwrap();
    site.start_with(&["--slots", "1"]);
    for more in [&[][..], &["--renew"]] {
        let refused = site.writ(&[&["gateway", "new", "process/build-7"], more].concat());
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("run this on the other machine"), "{}", stderr(&refused));
    }
    assert_eq!(fs::read_dir(site.path("acme/gateway")).unwrap().count(), 1);
    let key = json(&new_slot(&site, "process/build-7"))["key"].as_str().unwrap().to_owned();
    json(&site.writ(&["--json", "gateway", "enrol", "process/build-7", &key, "--as", "User::ada"]));
    fs::copy(site.path("acme/gateway/01.seed"), site.path("acme/gateway/build-7.seed")).unwrap();
    let seed = fs::read_to_string(site.path("acme/gateway/01.seed")).unwrap().replace('a', "b");
    fs::write(site.path("acme/gateway/build-7.seed"), seed).unwrap();
    let goes = site.begun("mark");
    let refused = refusal(&site.writ(&["--json", "run", "--", "true"]));
    assert_eq!(refused["code"], "rate_limited", "{refused}");
    assert!(refused["why"].as_str().unwrap().contains("all 1 gateway slots are in use"), "{refused}");
    assert_eq!(goes.end().status.code(), Some(0));
    assert_eq!(site.run(&["true"]).status.code(), Some(0));
    site.audit();
}

/// The findings of `writ doctor`, by what they are about, and whether it ended well.
fn doctored(output: &Output) -> (bool, Json) {
    let found: Json = serde_json::from_slice(&output.stdout).unwrap();
    let each = found["findings"].as_array().unwrap().iter();
    let named = each.map(|one| (one["what"].as_str().unwrap().to_owned(), one.clone())).collect();
    (output.status.success(), Json::Object(named))
}

#[test]
fn a_doctor_on_the_machine_of_a_gateway_looks_for_what_that_needs() {
    let mut site = Site::new();
    fs::write(site.path("acme/policy/gateways.cedar"), POLICY).unwrap();
    let up = site.start_with(&["--listen", "127.0.0.1:0"]);
    let node = format!("http://{}", up["address"].as_str().unwrap());
    fs::create_dir(site.path("build-7")).unwrap();
    fs::copy(site.path("acme/trust-root"), site.path("build-7/trust-root")).unwrap();
    let there = Elsewhere { site: &site, node };
    let says = |what: &str, is_ok: bool, words: &str| {
        let output = there.writ(&["--json", "doctor"]);
        let (well, found) = doctored(&output);
        assert_eq!((well, &found[what]["ok"]), (is_ok, &is_ok.into()), "{found}");
        assert!(found[what]["found"].as_str().unwrap().contains(words), "{found}");
        for of_a_node in ["ledger keys", "mark", "policy folder", "solver"] {
            assert!(found[of_a_node].is_null(), "{found}");
        }
        assert_eq!(found["node"]["ok"], true);
    };
    says("gateway slots", false, "`writ gateway new process/NAME --domain ");
    let key = there.slot("process/build-7");
    let enrol = format!("process/build-7 is not enrolled: `writ gateway enrol process/build-7 {key}`");
    says("enrolment", false, &enrol);
    let enrol = |key: &str, more: &[&str]| {
        json(
            &site.writ(&[&["--json", "gateway", "enrol", "process/build-7", key, "--as", "User::ada"], more].concat()),
        );
    };
    enrol(&key, &[]);
    says("enrolment", true, "1 slot");
    let renewed = json(&there.writ(&["--json", "gateway", "new", "process/build-7", "--renew"]));
    says("enrolment", false, "is enrolled with another key: `writ gateway enrol process/build-7 ");
    enrol(renewed["key"].as_str().unwrap(), &["--renew"]);
    there.slot("process/build-8");
    says("enrolment", true, "1 slot; passed over:\nprocess/build-8 is not enrolled");
    json(&site.writ(&["--json", "halt"]));
    let (_, found) = doctored(&there.writ(&["--json", "doctor"]));
    assert_eq!((&found["enrolment"]["ok"], &found["halt"]["ok"]), (&true.into(), &false.into()), "{found}");
    json(&site.writ(&["--json", "revoke", "--gateway", "process/build-7", "--as", "User::ada"]));
    let (_, found) = doctored(&there.writ(&["--json", "doctor"]));
    assert!(found["enrolment"]["found"].as_str().unwrap().contains("process/build-7 is revoked"), "{found}");
    let seed = site.path("build-7/gateway/build-7.seed");
    fs::set_permissions(&seed, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    says("gateway slots", false, "can be read by others: `chmod 600 ");
}
