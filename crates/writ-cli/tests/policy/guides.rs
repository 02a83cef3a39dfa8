//! What people copy from the documents must pass where sets are signed.

use crate::site::{Site, json, stdout};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The blocks of a document that are policies, and its schema if it shows one.
fn shown(document: &str) -> (Vec<&str>, Option<&str>) {
    let blocks = document.split("\n```cedar").skip(1).filter_map(|rest| rest.split_once('\n'));
    let blocks: Vec<(&str, &str)> =
        blocks.map(|(name, rest)| (name.trim(), rest.split("\n```").next().unwrap_or(rest))).collect();
    let (schemas, policies): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|(name, _)| *name == "schema.cedarschema");
    (policies.into_iter().map(|(_, text)| text).collect(), schemas.first().map(|(_, text)| *text))
}

/// Every entity that the policies name, as a file of entities has them.
fn named(policies: &str) -> String {
    let mut found: BTreeSet<(&str, &str)> = BTreeSet::new();
    for kind in ["Group", "User", "Agent", "Workload"] {
        for rest in policies.split(&format!("{kind}::\"")).skip(1) {
            found.insert((kind, rest.split('"').next().unwrap_or_default()));
        }
    }
    let each = found
        .iter()
        .map(|(kind, id)| serde_json::json!({ "uid": { "type": kind, "id": id }, "attrs": {}, "parents": [] }));
    serde_json::Value::from(each.collect::<Vec<_>>()).to_string()
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
    found
}

/// In each document that shows policies, all of them pass the gates and are proved unable to fail.
#[test]
fn every_policy_of_the_documents_is_proved() {
    let site = Site::empty();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut proved = 0;
    for document in documents(&docs) {
        let text = fs::read_to_string(&document).unwrap();
        let (policies, schema) = shown(&text);
        for policy in &policies {
            let folder = site.path(&format!("shown-{proved}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("shown.cedar"), policy).unwrap();
            fs::write(folder.join("entities.json"), named(policy)).unwrap();
            fs::write(folder.join("principals.json"), "[]").unwrap();
            if let Some(schema) = schema {
                fs::write(folder.join("schema.cedarschema"), schema).unwrap();
            }
            let checked = site.writ(&["policy", "check", folder.to_str().unwrap(), "--prove"]);
            let told = stdout(&checked);
            assert!(checked.status.code() == Some(0), "{}: {told}", document.display());
            assert!(told.contains("never_errors"), "{told}");
            proved += 1;
        }
    }
    assert!(proved >= 10, "{proved}");
}

#[test]
fn the_first_policies_of_a_domain_are_proved() {
    let site = Site::new();
    json(&site.writ(&["--json", "policy", "check", "acme/policy", "--prove"]));
    json(&site.writ(&["--json", "policy", "new", "policies", "--user", "ada"]));
    json(&site.writ(&["--json", "policy", "check", "policies", "--prove"]));
}
