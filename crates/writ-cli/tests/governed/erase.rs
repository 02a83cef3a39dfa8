//! `writ erase` from the outside: nobody may at first, then what policy says, for good, and the evidence still verifies.

use super::site::{Site, json, stderr, stdout, wait};
use serde_json::Value as Json;
use std::fs;
use writ_ledger::{Kept, Reader};
use writ_protocol::action::CommitmentKind;
use writ_tlog::LeafIndex;

const POLICY: &str = r#"
@id("administrators-erase")
permit (principal in Group::"administrators", action == Action::"erase", resource)
when { context.auth == "key" && ["action", "request"].containsAll(context.kinds) };
"#;

fn kept(site: &Site, index: u64, kind: CommitmentKind) -> Kept {
    let reader = Reader::open(&site.path("acme/ledger.db")).unwrap();
    let index = LeafIndex::new(index);
    let body = reader.entry(index).unwrap().unwrap().decode(reader.origin()).unwrap().body;
    let (_, commitment) = body.commitments().into_iter().find(|(held, _)| *held == kind).unwrap();
    reader.kept(index, kind, &commitment).unwrap()
}

fn error(output: &std::process::Output) -> Json {
    serde_json::from_str(stderr(output).trim()).unwrap()
}

#[test]
fn what_policy_permits_is_erased_and_everything_else_stays() {
    let mut site = Site::new();
    fs::write(site.path("acme/policy/erase.cedar"), POLICY).unwrap();
    site.start();
    let index = site.refusal(&["--as", "Agent::builder", "--", "touch", "the-secret"])["index"].as_u64().unwrap();
    let named = index.to_string();
    // The agent may not, and nobody may erase facts.
    for who in [&["--as", "Agent::builder", "--kind", "action"][..], &["--kind", "facts"], &[]] {
        let refused = site.writ(&[&["--json", "erase", &named], who].concat());
        assert_eq!((refused.status.code(), &error(&refused)["code"]), (Some(1), &"policy_denied".into()), "{who:?}");
    }
    let erase = ["--json", "erase", &named, "--kind", "action", "--kind", "request", "--reason", "data-request"];
    let told = json(&site.writ(&erase));
    assert_eq!((told["outcome"].as_str(), told["command"].as_str()), (Some("recorded"), Some("erase")));
    assert_eq!(told["target"], format!("2 values of entry {index}"));
    assert_eq!(kept(&site, index, CommitmentKind::Action), Kept::Erased);
    assert_eq!(kept(&site, index, CommitmentKind::Request), Kept::Erased);
    assert!(matches!(kept(&site, index, CommitmentKind::Facts), Kept::Value(_)));
    // Another order finds nothing, and says what to do.
    let again = error(&site.writ(&erase));
    assert_eq!(again["code"], "commitment_mismatch", "{again}");
    assert!(again["next"].as_str().unwrap().contains("writ log show"), "{again}");
    let shown = json(&site.writ(&["--json", "log", "show", &told["index"].to_string()]));
    assert_eq!(shown["type"], "erasure", "{shown}");
    let replayed = site.writ(&["--json", "replay", &told["index"].to_string()]);
    assert_eq!(json(&replayed)["replay"], "same", "{}", stdout(&replayed));
    // The evidence about both verifies without the node.
    for of in [index, told["index"].as_u64().unwrap()] {
        let file = site.text(&format!("{of}.writ-bundle"));
        json(&site.writ(&["--json", "log", "bundle", &of.to_string(), "--disclose", "-o", &file]));
        json(&site.writ(&["--json", "verify", &file, "--trust", &site.text("acme/trust-root")]));
    }
    site.kill_node();
    let audited = json(&site.writ(&["--json", "audit", "--replay"]));
    assert!(audited["findings"].as_array().unwrap().is_empty(), "{audited}");
    assert_eq!((&audited["replay"]["different"], &audited["replay"]["erased"]), (&0.into(), &1.into()), "{audited}");
}

#[test]
fn what_is_needed_or_not_there_is_refused_with_a_next_step() {
    let mut site = Site::new();
    let everything = "@id(\"erase\") permit (principal, action == Action::\"erase\", resource);";
    fs::write(site.path("acme/policy/erase.cedar"), everything).unwrap();
    site.start();
    let set = site.status()["policy"]["index"].as_u64();
    let tail = stdout(&site.writ(&["log", "tail", "-n", "40"]));
    let found = tail.lines().find(|line| line.contains(" policy ")).and_then(|line| line.trim().split(' ').next());
    let policy = set.map_or_else(|| found.unwrap().to_owned(), |index| index.to_string());
    let refused = error(&site.writ(&["--json", "erase", &policy]));
    assert_eq!(refused["code"], "still_needed", "{refused}");
    assert!(refused["why"].as_str().unwrap().contains("publish another set first"), "{refused}");
    assert!(refused["next"].is_string(), "{refused}");
    // Nothing is behind genesis, nor behind what the node did by itself.
    let text = [policy.as_str(), "--kind", "text"];
    for (named, expected) in
        [(&["0"][..], "entry 0 has no values behind it"), (&text, "has no text behind it, but policy")]
    {
        let nothing = site.writ(&[&["erase"], named].concat());
        assert_eq!(nothing.status.code(), Some(2), "{}", stderr(&nothing));
        assert!(stderr(&nothing).contains(expected), "{}", stderr(&nothing));
    }
    // A set of a folder that is in force no more goes without a word on which kind: nobody's request was ever behind it.
    fs::write(site.path("acme/policy/erase.cedar"), everything.replace("erase\")", "all-erase\")")).unwrap();
    wait("the other set to be in force", || site.status()["policy"]["epoch"] == 2);
    assert_eq!(json(&site.writ(&["--json", "erase", &policy]))["target"], format!("1 value of entry {policy}"));
    assert_eq!(error(&site.writ(&["--json", "erase", "9999"]))["code"], "missing_writ");
    for wrong in [&["erase"][..], &["erase", "1", "--kind", "everything"], &["erase", "x"]] {
        assert_eq!(site.writ(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
