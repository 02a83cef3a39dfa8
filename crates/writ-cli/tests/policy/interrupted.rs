//! Whatever breaks off, and whenever: one of the two sets is in force, whole, and the ledger is as it was signed.

use super::{digest_of, folder, forbid, in_force, publish_accepting, signed_site};
use crate::site::{Site, json, stderr};
use serde_json::Value as Json;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Each set takes back what another forbade.
const WIDER: [&str; 2] = ["--accept", "wider"];
/// How many moments are tried, over as long as a publish takes.
const MOMENTS: u32 = 8;

fn begun(site: &Site, folder: &str) -> Child {
    let arguments = ["--json", "policy", "publish", folder, "--author", "a1.seed", "--author", "a2.seed"];
    site.command(&[&arguments[..], &WIDER].concat()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Sets with the names `set0`, `set1`, …, each other than the others.
fn sets(site: &Site, count: u32) -> Vec<String> {
    let each = (0..count).map(|number| {
        folder(site, &format!("set{number}"), &forbid(&format!("deploy{number}")));
        digest_of(site, &site.path(&format!("set{number}")))
    });
    each.collect()
}

fn took(site: &Site) -> Duration {
    folder(site, "first", &forbid("first"));
    let begun = Instant::now();
    json(&publish_accepting(site, "first", WIDER[1]));
    begun.elapsed()
}

#[test]
fn a_client_that_is_killed_leaves_one_of_the_two_sets_in_force() {
    let mut site = signed_site();
    let took = took(&site);
    for (number, set) in (0..MOMENTS).zip(sets(&site, MOMENTS)) {
        let before = in_force(&site);
        let mut publishing = begun(&site, &format!("set{number}"));
        // The moment is the test's own, not a time to wait for something.
        std::thread::sleep(took * number / MOMENTS);
        publishing.kill().unwrap();
        publishing.wait().unwrap();
        // What the node had begun for it, it has finished when it answers the next one.
        let again = publish_accepting(&site, &format!("set{number}"), WIDER[1]);
        let after = in_force(&site);
        if again.status.code() == Some(0) {
            assert_eq!(after.1, set, "{number}");
        } else {
            assert_eq!(after, (before.0 + 1, set), "{number}: {}", stderr(&again));
        }
    }
    site.audit();
}

#[test]
fn a_node_that_is_killed_comes_back_with_one_of_the_two_sets() {
    let mut site = signed_site();
    let took = took(&site);
    for (number, set) in (0..MOMENTS).zip(sets(&site, MOMENTS)) {
        let before = in_force(&site);
        let mut publishing = begun(&site, &format!("set{number}"));
        std::thread::sleep(took * (number + 1) / MOMENTS);
        site.kill_node();
        publishing.wait().unwrap();
        site.start();
        let after = in_force(&site);
        assert!(after == before || after == (before.0 + 1, set.clone()), "{number}: {before:?}, then {after:?}");
        if after == before {
            assert_eq!(
                json(&publish_accepting(&site, &format!("set{number}"), WIDER[1]))["set"],
                set.as_str(),
                "{number}"
            );
        }
    }
    site.audit();
}

#[test]
fn of_two_that_are_published_at_once_one_is_in_force_and_the_other_refused() {
    let mut site = signed_site();
    for round in 0..3 {
        let names = [format!("left{round}"), format!("right{round}")];
        let bundles = names.each_ref().map(|name| {
            folder(&site, name, &forbid(name));
            let bundle = format!("{name}.writ-policy");
            json(&site.writ(&[
                "--json",
                "policy",
                "sign",
                name.as_str(),
                "-o",
                bundle.as_str(),
                "--author",
                "a1.seed",
                "--author",
                "a3.seed",
                WIDER[0],
                WIDER[1],
            ]));
            bundle
        });
        let before = in_force(&site);
        let publishing = bundles.map(|bundle| {
            let mut command = site.command(&["--json", "policy", "publish", bundle.as_str()]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        });
        let told = publishing.map(|child| child.wait_with_output().unwrap());
        let (won, lost): (Vec<_>, Vec<_>) = told.iter().partition(|output| output.status.code() == Some(0));
        assert_eq!((won.len(), lost.len()), (1, 1), "{told:?}");
        let refused: Json = serde_json::from_str(stderr(lost[0]).lines().last().unwrap()).unwrap();
        assert_eq!(refused["code"], "policy_stale");
        let published = json(won[0]);
        assert_eq!(in_force(&site), (before.0 + 1, published["set"].as_str().unwrap().to_owned()));
    }
    site.audit();
}
