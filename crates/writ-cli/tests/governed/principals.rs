//! A second agent, and policy folders that are looked at before the node does.

use super::site::{Site, json, stderr, stdout, wait};
use serde_json::Value as Json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_new_principal_is_added_and_runs_what_its_group_may() {
    let site = Site::up();
    let new = |arguments: &[&str]| site.writ(&[&["--json", "key", "new", "--principal"], arguments].concat());
    let made = json(&new(&["Agent::scout", "--group", "agents", "--add"]));
    let seed = site.path("acme/keys/principals/Agent/scout.seed");
    assert_eq!(fs::metadata(&seed).unwrap().permissions().mode() & 0o777, 0o600);
    wait("the principal to be known", || site.status()["policy"]["epoch"] != 1);
    wait("both files to be taken", || site.writ(&["run", "--as", "Agent::scout", "--", "ls"]).status.code() == Some(0));
    for (arguments, code, says) in [
        (&["Agent::scout"][..], 2, "exists already"),
        (&["scout"], 2, "expected TYPE::ID"),
        (&["Agent::lost", "--group", "no-such-group", "--add"], 2, "nothing was added"),
        (&["Agent::builder", "--add"], 2, "principals.json has this principal"),
    ] {
        let refused = new(arguments);
        assert_eq!(refused.status.code(), Some(code), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
    assert!(!site.path("acme/keys/principals/Agent/lost.seed").exists());
    // Without --add the files stay as they are, and what belongs there is said.
    let before = fs::read(site.path("acme/policy/principals.json")).unwrap();
    let told = stdout(&site.writ(&["key", "new", "--principal", "Workload::ci"]));
    assert!(
        told.contains("{\"principal\":\"Workload::ci\",\"keys\":[\"01") && told.contains("entities.json"),
        "{told}"
    );
    assert_eq!(fs::read(site.path("acme/policy/principals.json")).unwrap(), before);
    // Whoever looked first adds the key that there is, and loses it to no mistake.
    let seed = site.path("acme/keys/principals/Workload/ci.seed");
    let kept = fs::read(&seed).unwrap();
    assert!(stderr(&new(&["Workload::ci"])).contains("--add puts it into the policy folder"));
    assert_eq!(new(&["Workload::ci", "--group", "no-such-group", "--add"]).status.code(), Some(2));
    let added = json(&new(&["Workload::ci", "--group", "agents", "--add"]));
    assert!(told.contains(added["key"].as_str().unwrap()), "{added}");
    assert_eq!(fs::read(&seed).unwrap(), kept);
    assert!(fs::read_to_string(site.path("acme/policy/principals.json")).unwrap().contains("Workload::ci"));
    assert!(made["key"].as_str().unwrap().starts_with("01"), "{made}");
}

#[test]
fn a_policy_folder_can_be_checked_before_the_node_sees_it() {
    let site = Site::up();
    let sound = json(&site.writ(&["--json", "policy", "check"]));
    assert_eq!((&sound["ok"], &sound["digest"]), (&Json::from(true), &site.status()["policy"]["set"]));
    let copy = site.path("copy");
    fs::create_dir(&copy).unwrap();
    for name in ["starter.cedar", "entities.json", "principals.json"] {
        fs::copy(site.path("acme/policy").join(name), copy.join(name)).unwrap();
    }
    assert!(stdout(&site.writ(&["policy", "check", "copy"])).contains("sound, 5 policies"));
    let odd = "@id(\"odd\")\n@sandbox(\"strict\")\npermit (principal, action == Action::\"exec\", resource);\n";
    fs::write(copy.join("odd.cedar"), odd).unwrap();
    let warned = stdout(&site.writ(&["policy", "check", "copy"]));
    assert!(warned.contains("warning: odd.cedar:1:1: ") && warned.contains("`strict`"), "{warned}");
    fs::write(copy.join("odd.cedar"), "permit (principal,\n  actoin, resource);\nforbid (x").unwrap();
    let wrong = site.writ(&["policy", "check", "copy"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", stderr(&wrong));
    assert!(stdout(&wrong).contains("odd.cedar:"), "{}", stdout(&wrong));
    assert_eq!(site.writ(&["policy", "check", "no-such-folder"]).status.code(), Some(3));
    // What is there by mistake is a finding of `doctor` too, and an exit code of 1.
    fs::write(site.path("acme/policy/broken.cedar"), "permit (principal").unwrap();
    wait("the node to see it", || site.status()["policy_refused"].is_string());
    let doctor = site.writ(&["--json", "doctor"]);
    assert_eq!(doctor.status.code(), Some(1), "{}", stderr(&doctor));
    let found: Json = serde_json::from_slice(&doctor.stdout).unwrap();
    let findings = found["findings"].as_array().unwrap();
    let policy = findings.iter().find(|one| one["what"] == "policy folder").unwrap();
    assert!(policy["ok"] == false && policy["found"].as_str().unwrap().contains("broken.cedar"), "{policy}");
}
