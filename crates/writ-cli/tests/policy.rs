//! Policies as people work with them: written, tested, signed, published; and what becomes of bundles that are not as they should be.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "policy/bundles.rs"]
mod bundles;
#[path = "policy/guides.rs"]
mod guides;
#[path = "policy/history_gate.rs"]
mod history_gate;
#[path = "policy/interrupted.rs"]
mod interrupted;
#[path = "policy/life.rs"]
mod life;
#[path = "policy/proofs.rs"]
mod proofs;
#[path = "policy/samples.rs"]
mod samples;
mod site;
#[path = "policy/writing.rs"]
mod writing;

use serde_json::Value as Json;
use site::{Site, json, stderr, stdout};
use std::fs;
use std::path::Path;
use std::process::Output;

/// A domain with a node whose sets are signed: by two of three authors.
fn signed_site() -> Site {
    let mut site = Site::up();
    site.kill_node();
    signed(&mut site);
    site
}

/// Two of three authors sign from now on, and the node is started.
fn signed(site: &mut Site) {
    for author in ["a1.seed", "a2.seed", "a3.seed"] {
        json(&site.writ(&["--json", "policy", "author", author]));
    }
    let pinned = site.writ(&[
        "--json",
        "root",
        "policy-authors",
        "--author",
        "a1.seed",
        "--author",
        "a2.seed",
        "--author",
        "a3.seed",
        "--threshold",
        "2",
    ]);
    assert_eq!(json(&pinned)["threshold"], 2);
    site.start();
}

/// A copy of the domain's folder with one policy more.
fn folder(site: &Site, name: &str, policy: &str) {
    let (from, to) = (site.path("acme/policy"), site.path(name));
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    fs::write(to.join("more.cedar"), policy).unwrap();
}

/// Nobody runs anything with this first argument.
fn forbid(word: &str) -> String {
    let when = format!("context has arg1 && context.arg1 == \"{word}\"");
    format!("@id(\"{word}\")\nforbid (principal, action == Action::\"exec\", resource) when {{ {when} }};\n")
}

/// Signs and publishes a folder as the first two authors.
fn publish(site: &Site, folder: &str) -> Output {
    site.writ(&["--json", "policy", "publish", folder, "--author", "a1.seed", "--author", "a2.seed"])
}

/// The same, accepting what is named, by commas.
fn publish_accepting(site: &Site, folder: &str, accepts: &str) -> Output {
    let mut arguments = vec!["--json", "policy", "publish", folder, "--author", "a1.seed", "--author", "a2.seed"];
    arguments.extend(accepts.split(',').filter(|accept| !accept.is_empty()).flat_map(|accept| ["--accept", accept]));
    site.writ(&arguments)
}

/// Epoch and digest of the set in force.
fn in_force(site: &Site) -> (u64, String) {
    let status = site.status();
    (status["policy"]["epoch"].as_u64().unwrap(), status["policy"]["set"].as_str().unwrap().to_owned())
}

/// The error that a command printed as JSON.
fn error(output: &Output) -> Json {
    assert_ne!(output.status.code(), Some(0), "{}", stdout(output));
    serde_json::from_str(stderr(output).lines().last().unwrap()).unwrap()
}

fn history(site: &Site) -> Json {
    json(&site.writ(&["--json", "policy", "history", "--refused"]))
}

fn digest_of(site: &Site, folder: &Path) -> String {
    json(&site.writ(&["--json", "policy", "check", folder.to_str().unwrap()]))["digest"].as_str().unwrap().to_owned()
}
