//! A set is tried against what was decided before it is published: what changes for whom is told, and its authors accept it or it stays out.

use super::{digest_of, error, folder, history, in_force, publish, publish_accepting, signed_site};
use crate::site::{Site, json, stderr, stdout};
use serde_json::Value as Json;
use std::fs;

/// Nobody asks what time it is.
const NO_DATE: &str = "@id(\"no-date\")\nforbid (principal, action == Action::\"exec\", resource) when { context.path == \"/usr/bin/date\" };\n";
const DENIED: &str = "newly denied: 1 of the ";
const ADVICE: &str = "`writ policy sign --accept history:newly_denied`";

/// Somebody has asked what time it is, and a folder would forbid that.
fn asked_site() -> Site {
    let site = signed_site();
    assert_eq!(site.run(&["/usr/bin/date"]).status.code(), Some(0));
    folder(&site, "less", NO_DATE);
    site
}

fn epoch(site: &Site, number: usize) -> Json {
    history(site)["epochs"][number - 1].clone()
}

#[test]
fn who_would_be_refused_is_told_before_it_happens_and_accepted_by_name() {
    let mut site = asked_site();
    let before = in_force(&site);
    let told = error(&publish(&site, "less"));
    assert_eq!(told["code"], "gate_failed", "{told}");
    let why = told["why"].as_str().unwrap();
    for part in
        ["the gate `backtest` is not passed", DENIED, "/usr/bin/date", "permit by", "policy_denied by no-date", ADVICE]
    {
        assert!(why.contains(part), "{part:?} is not in {why}");
    }
    assert_eq!(in_force(&site), before);
    // What was told is what the vault keeps.
    let refused = history(&site)["refused"][0].clone();
    let kept = refused["why"].as_str().unwrap();
    let finding = why.split_once("is not passed: ").unwrap().1;
    assert!(kept.contains("no_wider: passed") && kept.contains("backtest: failed") && kept.contains(finding), "{kept}");
    // Another kind is another matter.
    let told = error(&publish_accepting(&site, "less", "history:newly_permitted,history:undecided"));
    assert!(told["why"].as_str().unwrap().contains(DENIED), "{told}");
    json(&publish_accepting(&site, "less", "history:newly_denied"));
    assert_eq!(in_force(&site), (2, digest_of(&site, &site.path("less"))));
    assert_eq!(site.run(&["/usr/bin/date"]).status.code(), Some(126));
    // The ledger says what was tried and what was accepted.
    let now = epoch(&site, 2);
    let gate = now["gates"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(gate["gate"], "backtest");
    assert!(gate["passed"].as_u64().unwrap() >= 1, "{gate}");
    assert_eq!(now["accepted"], serde_json::json!(["history:newly_denied"]));
    let report = now["report"].as_str().unwrap();
    assert!(report.contains("(accepted: history:newly_denied)") && report.contains("/usr/bin/date"), "{report}");
    let shown = stdout(&site.writ(&["policy", "history", "--report"]));
    assert!(
        shown.contains("accepted    history:newly_denied") && shown.contains("(accepted: history:newly_denied)"),
        "{shown}"
    );
    // It is new once: the next set, which forbids it too, changes nothing.
    folder(&site, "next", &NO_DATE.replace("no-date", "still-no-date"));
    json(&publish_accepting(&site, "next", "wider"));
    assert_eq!(epoch(&site, 1)["report"], Json::Null, "nobody signs a folder");
    site.audit();
}

#[test]
fn who_would_be_permitted_is_accepted_beside_the_proof() {
    let mut site = asked_site();
    json(&publish_accepting(&site, "less", "history:newly_denied"));
    assert_eq!(site.run(&["/usr/bin/date"]).status.code(), Some(126));
    folder(&site, "more", "");
    for accepts in ["policy:no-date", "policy:no-date,history:newly_denied"] {
        let told = error(&publish_accepting(&site, "more", accepts));
        let why = told["why"].as_str().unwrap();
        assert!(why.contains("newly permitted: 2 of the ") && why.contains("policy_denied by no-date"), "{why}");
    }
    json(&publish_accepting(&site, "more", "policy:no-date,history:newly_permitted"));
    assert_eq!(site.run(&["/usr/bin/date"]).status.code(), Some(0));
    site.audit();
}

#[test]
fn whoever_checks_or_signs_where_the_store_is_hears_it_first() {
    let site = asked_site();
    let checked = site.writ(&["policy", "check", "less", "--history"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(stdout(&checked).contains(DENIED) && stdout(&checked).contains(ADVICE), "{}", stdout(&checked));
    assert!(stdout(&checked).contains("backtest FAILED"), "{}", stdout(&checked));
    let sign = |accepts: &[&str], output: &str| {
        let arguments = ["policy", "sign", "less", "-o", output, "--author", "a1.seed", "--author", "a2.seed"];
        site.writ(&[&arguments[..], accepts].concat())
    };
    let refused = sign(&[], "refused.writ-policy");
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stdout(&refused).contains(DENIED) && stdout(&refused).contains(ADVICE), "{}", stdout(&refused));
    assert!(stderr(&refused).contains("was not signed") && !site.path("refused.writ-policy").exists());
    assert!(stderr(&sign(&["--accept", "history:denied"], "misspelt")).contains("history:newly_denied"));
    let signed = sign(&["--accept", "history:newly_denied"], "less.writ-policy");
    assert_eq!(signed.status.code(), Some(0), "{}", stderr(&signed));
    assert!(stdout(&signed).contains("(accepted: history:newly_denied)"), "{}", stdout(&signed));
    json(&site.writ(&["--json", "policy", "publish", "less.writ-policy"]));
}

#[test]
fn where_there_is_no_store_the_node_asks() {
    let site = asked_site();
    fs::create_dir(site.path("away")).unwrap();
    fs::copy(site.path("acme/trust-root"), site.path("away/trust-root")).unwrap();
    let (_, set) = in_force(&site);
    let signed = site.writ(&[
        "policy",
        "sign",
        "less",
        "-o",
        "less.writ-policy",
        "--author",
        "a1.seed",
        "--author",
        "a2.seed",
        "--domain",
        "away",
        "--epoch",
        "2",
        "--replaces",
        &set,
    ]);
    assert_eq!(signed.status.code(), Some(0), "{}", stderr(&signed));
    assert!(
        stdout(&signed).contains("no store here; the node asks it when the set is published"),
        "{}",
        stdout(&signed)
    );
    let told = error(&site.writ(&["--json", "policy", "publish", "less.writ-policy"]));
    assert!(told["why"].as_str().unwrap().contains(DENIED), "{told}");
    let checked = site.writ(&["policy", "check", "less", "--history", "--domain", "away"]);
    assert!(
        checked.status.code() != Some(0) && stderr(&checked).contains("no store that can be read"),
        "{}",
        stderr(&checked)
    );
}
