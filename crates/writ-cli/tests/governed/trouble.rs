//! A domain in trouble: a policy folder that is broken or anybody's, a store that is not the newest, a halt. What the node does then, and what is told.

use super::site::{NOBODY, Site, is_root, json, stderr, stdout, wait};
use serde_json::Value as Json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Stdio;

const BROKEN: &str = "permit (principal";

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What `writ doctor` finds of one thing.
fn found(site: &Site, what: &str) -> Json {
    let doctor = site.writ(&["--json", "doctor"]);
    let told: Json = serde_json::from_slice(&doctor.stdout).unwrap();
    assert_eq!(told["ok"].as_bool(), Some(doctor.status.success()), "{told}");
    told["findings"].as_array().unwrap().iter().find(|one| one["what"] == what).cloned().unwrap_or_default()
}

fn is_bad(site: &Site, what: &str, words: &str) {
    let one = found(site, what);
    assert!(one["ok"] == false && one["found"].as_str().unwrap().contains(words), "{one}, not {words}");
}

#[test]
fn a_broken_policy_folder_keeps_no_node_from_starting_that_has_a_set_in_force() {
    let mut site = Site::up();
    let set = site.status()["policy"]["set"].clone();
    let (broken, folder, aside) = (site.path("acme/policy/broken.cedar"), site.path("acme/policy"), site.path("aside"));
    fs::write(&broken, BROKEN).unwrap();
    site.kill_node();
    is_bad(&site, "policy folder", "1 finding");
    let up = site.start_with(&[]);
    assert!(up["policy_refused"].as_str().unwrap().contains("broken.cedar"), "{up}");
    let log = || fs::read_to_string(site.path("up.err")).unwrap();
    wait("the log to say so", || log().contains("level=warn event=policy refused="));
    let status = site.status();
    assert_eq!((&status["policy"]["set"], &status["policy"]["epoch"]), (&set, &1.into()));
    assert!(status["policy_refused"].as_str().unwrap().contains("broken.cedar"), "{status}");
    is_bad(&site, "policy folder", "not taken, the policies before it stay in force");
    assert_eq!(site.run(&["true"]).status.code(), Some(0), "by the set that is in force");
    // The same without a folder, and as a person reads it.
    site.kill_node();
    fs::rename(&folder, &aside).unwrap();
    let told = site.path("up.text");
    let mut node = site.command(&["up"]);
    let mut node = node.stdout(fs::File::create(&told).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    wait("the node to listen", || fs::read_to_string(&told).unwrap().contains("Ctrl-C"));
    let text = fs::read_to_string(&told).unwrap();
    assert!(text.contains("  WARNING     the policy folder is not in force, epoch 1 before it is: "), "{text}");
    fs::rename(&aside, &folder).unwrap();
    fs::remove_file(&broken).unwrap();
    wait("the folder to be taken", || site.status()["policy_refused"].is_null());
    assert_eq!(site.status()["policy"]["epoch"], 1, "it is what was in force");
    node.kill().unwrap();
    node.wait().unwrap();
    site.audit();
}

#[test]
fn a_domain_that_has_had_no_set_yet_does_not_begin_with_a_broken_folder() {
    let site = Site::new();
    let before = stdout(&site.writ(&["log", "tail", "--seals"]));
    fs::write(site.path("acme/policy/broken.cedar"), BROKEN).unwrap();
    let refused = site.writ(&["up"]);
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(3), ""));
    assert!(stderr(&refused).contains("broken.cedar"), "{}", stderr(&refused));
    fs::remove_file(site.path("acme/policy/broken.cedar")).unwrap();
    open_to_others(&site);
    mode(&site.path("acme/policy"), 0o777);
    let refused = site.writ(&["up"]);
    assert!(stderr(&refused).contains("others may write it"), "{}", stderr(&refused));
    assert_eq!(stdout(&site.writ(&["log", "tail", "--seals"])), before);
}

#[test]
fn a_set_that_was_revoked_is_not_put_in_force_again_by_a_restart_and_keeps_none_from_starting() {
    let mut site = Site::up();
    let first = site.status()["policy"]["set"].as_str().unwrap().to_owned();
    let second = site.path("acme/policy/second.cedar");
    fs::write(&second, "@id(\"second\")\nforbid (principal, action, resource) when { false };\n").unwrap();
    wait("the second set", || site.status()["policy"]["epoch"] == 2);
    json(&site.writ(&["--json", "revoke", "--policy", &first]));
    site.kill_node();
    fs::remove_file(&second).unwrap();
    let up = site.start_with(&[]);
    assert!(up["policy_refused"].as_str().unwrap().contains("revoked by entry"), "{up}");
    assert_eq!(up["policy_epoch"], 2);
    site.audit();
}

/// Lets others through to what is in the domain's folder.
fn open_to_others(site: &Site) {
    for folder in [site.home.path(), &site.path("acme")] {
        mode(folder, 0o755);
    }
}

/// A checkout with a group's modes, in a folder that only its owner enters, is nobody else's.
#[test]
fn modes_mean_nothing_where_others_do_not_get_to() {
    let site = Site::up();
    mode(&site.path("acme"), 0o700);
    let file = site.path("acme/policy/more.cedar");
    fs::write(&file, "@id(\"more\")\nforbid (principal, action, resource) when { false };\n").unwrap();
    mode(&file, 0o664);
    mode(&site.path("acme/policy"), 0o775);
    wait("the folder to be taken", || site.status()["policy"]["epoch"] == 2);
    assert_eq!(found(&site, "policy folder")["ok"], true);
}

#[test]
fn what_others_may_write_is_not_taken_for_policy() {
    let mut site = Site::up();
    open_to_others(&site);
    let (folder, file) = (site.path("acme/policy"), site.path("acme/policy/starter.cedar"));
    let anybodys = "@id(\"anybodys\")\npermit (principal, action, resource);\n";
    let chmod = format!("`chmod -R go-w {}`", folder.display());
    let is_refused = |site: &Site, words: &str| {
        wait("the folder to be refused", || {
            site.status()["policy_refused"].as_str().is_some_and(|why| why.contains(words))
        });
        is_bad(site, "policy folder", words);
    };
    let is_taken = |site: &Site| wait("the folder to be sound", || site.status()["policy_refused"].is_null());
    mode(&folder, 0o777);
    is_refused(&site, &chmod);
    // Whatever somebody writes there, the node is not moved by it, and neither is the next one.
    fs::write(folder.join("anybodys.cedar"), anybodys).unwrap();
    site.kill_node();
    is_bad(&site, "policy folder", &chmod);
    assert!(site.start_with(&[])["policy_refused"].as_str().unwrap().contains(&chmod));
    assert_eq!(site.status()["policy"]["epoch"], 1);
    fs::remove_file(folder.join("anybodys.cedar")).unwrap();
    mode(&folder, 0o755);
    is_taken(&site);
    // A file that others may write, where they get to it.
    mode(&file, 0o666);
    is_refused(&site, &chmod);
    mode(&folder, 0o700);
    is_taken(&site);
    mode(&folder, 0o755);
    is_refused(&site, &chmod);
    mode(&file, 0o644);
    is_taken(&site);
    if is_root() {
        chown(&file, Some(NOBODY), None).unwrap();
        is_refused(&site, "it belongs to another user (uid 65534)");
    }
    assert_eq!(site.status()["policy"]["epoch"], 1);
    site.audit();
}

#[test]
fn a_doctor_finds_a_store_that_no_node_would_start_with() {
    let mut site = Site::up();
    site.end_node("-INT");
    assert_eq!(found(&site, "mark")["ok"], true);
    fs::copy(site.path("acme/ledger.db"), site.path("older")).unwrap();
    site.start();
    assert_eq!(site.run(&["true"]).status.code(), Some(0));
    assert_eq!(found(&site, "mark")["ok"], true, "beside a node");
    site.end_node("-INT");
    for name in ["ledger.db-wal", "ledger.db-shm"] {
        fs::remove_file(site.path("acme").join(name)).ok();
    }
    fs::copy(site.path("older"), site.path("acme/ledger.db")).unwrap();
    is_bad(&site, "mark", "it is an older copy; restore the newest store");
    assert_eq!(site.writ(&["up"]).status.code(), Some(3));
}

#[test]
fn a_doctor_finds_a_halt_with_a_node_and_without() {
    let mut site = Site::up();
    assert!(found(&site, "halt").is_null());
    let halted = json(&site.writ(&["--json", "halt"]));
    let words = format!("halted by entry {}, and nothing starts: stop the node, `writ root resume`", halted["index"]);
    is_bad(&site, "halt", &words);
    site.kill_node();
    is_bad(&site, "halt", &words);
}
