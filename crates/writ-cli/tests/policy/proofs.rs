//! What only a solver sees is refused when a set is published, is recorded, and leaves the set in force as it was.

use super::{digest_of, error, folder, forbid, history, in_force, publish, publish_accepting, signed_site};
use crate::site::{Site, json, stderr, stdout};
use serde_json::Value as Json;
use std::fs;

/// Permits one more program.
const WIDER: &str = "@id(\"date\")\npermit (principal, action == Action::\"exec\", resource) when { context.path == \"/usr/bin/date\" };\n";

/// Publishing is refused for this reason, there is an entry that says so, and nothing else has changed.
fn refused(site: &Site, folder: &str, accepts: &[&str], why: &[&str]) {
    let before = in_force(site);
    let told = error(&publish_accepting(site, folder, &accepts.join(",")));
    assert_eq!(told["code"], "gate_failed", "{told}");
    let text = told["why"].as_str().unwrap();
    for part in why {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert_eq!(in_force(site), before);
    let newest: Json = serde_json::from_str(&site.newest("denial")).unwrap();
    assert_eq!(newest["body"]["code"], "gate_failed");
}

fn gates(site: &Site, epoch: usize) -> Vec<String> {
    let history = history(site);
    let gates = history["epochs"][epoch - 1]["gates"].as_array().unwrap().clone();
    gates.iter().map(|one| one["gate"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_wider_set_is_refused_with_a_request_that_shows_it_until_its_authors_accept_that() {
    let mut site = signed_site();
    // The starter set lets operators run anything: first nobody may, so that there is something to be wider than.
    folder(&site, "less", &forbid("nothing").replace("when { context has arg1 && context.arg1 == \"nothing\" }", ""));
    json(&publish(&site, "less"));
    assert_eq!(site.run(&["/usr/bin/date"]).status.code(), Some(126));
    folder(&site, "more", WIDER);
    let wider = [
        "the gate `no_wider` is not passed",
        "`nothing` makes the set wider",
        "may exec",
        "it was forbidden by `nothing`",
    ];
    refused(&site, "more", &[], &wider);
    // Whoever signs too can see it in the bundle.
    let signed = [
        "policy",
        "sign",
        "more",
        "-o",
        "more.writ-policy",
        "--author",
        "a1.seed",
        "--accept",
        "wider",
        "--accept",
        "history:newly_permitted",
    ];
    assert_eq!(site.writ(&signed).status.code(), Some(0));
    let looked = site.writ(&["policy", "check", "more.writ-policy", "--prove", "--against", "less"]);
    assert_eq!(looked.status.code(), Some(1));
    assert!(stdout(&looked).contains("`nothing` makes the set wider"), "{}", stdout(&looked));
    // Accepting another policy, or entities, is not accepting this one.
    refused(&site, "more", &["policy:date", "entities"], &wider[..2]);
    // What is accepted by a wrong id is told before anything is signed.
    for unknown in ["policy:nothign", "policy:nothing,guardrail:nothing"] {
        let told = publish_accepting(&site, "more", unknown);
        assert_eq!(told.status.code(), Some(2), "{unknown}");
        assert!(error(&told)["error"].to_string().contains("nor the set in force has it"), "{}", error(&told));
    }
    // Each finding has a line.
    folder(&site, "much", WIDER);
    let entities = site.path("much/entities.json");
    let mut known: Vec<Json> = serde_json::from_slice(&fs::read(&entities).unwrap()).unwrap();
    known.push(serde_json::json!({ "uid": { "type": "Group", "id": "others" }, "attrs": {}, "parents": [] }));
    fs::write(&entities, serde_json::to_vec(&known).unwrap()).unwrap();
    let told = stderr(&site.writ(&["policy", "publish", "much", "--author", "a1.seed", "--author", "a2.seed"]));
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "refused: gate_failed: the gate `no_wider` is not passed:", "{told}");
    for part in ["  more.cedar:1:1: `nothing` makes the set wider", "  entities.json:1:1: entities or principals"] {
        assert!(lines.iter().any(|line| line.starts_with(part)), "{told}");
    }
    let published = json(&publish_accepting(&site, "more", "policy:nothing,policy:date,history:newly_permitted"));
    assert_eq!(published["epoch"], 3);
    assert_eq!(in_force(&site), (3, digest_of(&site, &site.path("more"))));
    assert_eq!(site.run(&["/usr/bin/date"]).status.code(), Some(0));
    assert_eq!(gates(&site, 3)[7..], ["never_errors", "guardrails", "no_wider", "backtest"]);
    site.audit();
}

#[test]
fn whatever_it_is_can_be_accepted_and_then_no_entry_says_that_it_was_compared() {
    let mut site = signed_site();
    folder(&site, "less", &forbid("nothing").replace("when { context has arg1 && context.arg1 == \"nothing\" }", ""));
    json(&publish(&site, "less"));
    folder(&site, "more", WIDER);
    json(&publish_accepting(&site, "more", "wider"));
    assert_eq!(gates(&site, 3)[7..], ["never_errors", "guardrails", "backtest"]);
    site.audit();
}

#[test]
fn a_policy_that_can_fail_is_refused_and_so_is_one_past_a_guardrail() {
    let site = signed_site();
    let sum = "@id(\"sum\")\nforbid (principal, action == Action::\"exec\", resource) when { context.argc + 9223372036854775800 > 3 };\n";
    folder(&site, "sum", sum);
    refused(&site, "sum", &["wider"], &["the gate `never_errors` is not passed", "`sum` can fail", "overflow", "argc"]);
    folder(&site, "guarded", "");
    fs::create_dir(site.path("guarded/guardrails")).unwrap();
    let no_shell = "@id(\"no-shell\")\npermit (principal, action == Action::\"exec\", resource) when { context.path == \"/bin/sh\" };\n";
    fs::write(site.path("guarded/guardrails/never.cedar"), no_shell).unwrap();
    refused(
        &site,
        "guarded",
        &["wider"],
        &["the gate `guardrails` is not passed", "past the guardrail `no-shell`", "/bin/sh"],
    );
    fs::write(site.path("guarded/guardrails/never.cedar"), no_shell.replace("permit", "forbid")).unwrap();
    let unsound = publish_accepting(&site, "guarded", "wider");
    assert_eq!(error(&unsound)["error"], "1 finding: guarded was not signed");
    assert!(stdout(&unsound).contains("written as a permit"), "{}", stdout(&unsound));
}

/// Near the end of time the sum is more than a datetime can say.
const OVERFLOWS: &str = "@id(\"soon\")\npermit (principal in Group::\"operators\", action == Action::\"mandate\", resource)\nwhen { context.until < context.now.offset(duration(\"1d\")) };\n";

#[test]
fn a_policy_in_force_that_can_fail_is_mended_with_an_acceptance_that_names_it() {
    let mut site = Site::new();
    fs::write(site.path("acme/policy/soon.cedar"), OVERFLOWS).unwrap();
    json(&site.writ(&["--json", "policy", "author", "a1.seed"]));
    let pin = ["--json", "root", "policy-authors", "--author", "a1.seed"];
    let unproved = json(&site.writ(&[&pin[..], &["--solver", "/nowhere/cvc5"]].concat()))["warnings"].to_string();
    assert!(unproved.contains("not proved that no policy") && unproved.contains("/nowhere/cvc5"), "{unproved}");
    let pinned = json(&site.writ(&pin));
    let warned = pinned["warnings"].to_string();
    assert!(
        warned.contains("`soon` of the set in force can fail") && warned.contains("--accept policy:soon"),
        "{warned}"
    );
    site.start();
    let mended = OVERFLOWS.replace("context.until <", "context.now < datetime(\"2200-01-01\") && context.until <");
    folder(&site, "same", &forbid("deploy"));
    let why =
        ["the gate `never_errors` is not passed", "soon.cedar:1:1: `soon` can fail", "bound the number or the time"];
    refused_by_one(&site, "same", &[], &why);
    folder(&site, "next", "");
    fs::write(site.path("next/soon.cedar"), &mended).unwrap();
    let told = refused_by_one(
        &site,
        "next",
        &[],
        &[
            "the gate `no_wider` is not passed",
            "soon.cedar:1:1: `soon` of the set in force can fail",
            "--accept policy:<id>",
        ],
    );
    assert!(!told.contains(".:1:1") && !told.contains("cvc5") && !told.contains("makes the set wider"), "{told}");
    // Accepting that is not accepting what else is wider.
    folder(&site, "wider", WIDER);
    fs::write(site.path("wider/soon.cedar"), mended.replace("operators", "agents")).unwrap();
    let told = refused_by_one(&site, "wider", &["policy:soon"], &["`date` makes the set wider"]);
    assert!(!told.contains("`soon`"), "{told}");
    let published =
        site.writ(&["--json", "policy", "publish", "next", "--author", "a1.seed", "--accept", "policy:soon"]);
    assert_eq!(json(&published)["epoch"], 2);
    assert_eq!(gates(&site, 2)[7..], ["never_errors", "guardrails", "no_wider", "backtest"]);
    site.audit();
}

fn refused_by_one(site: &Site, folder: &str, accepts: &[&str], why: &[&str]) -> String {
    let mut arguments = vec!["--json", "policy", "publish", folder, "--author", "a1.seed"];
    arguments.extend(accepts.iter().flat_map(|accept| ["--accept", accept]));
    let told = error(&site.writ(&arguments))["why"].as_str().unwrap().to_owned();
    for part in why {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    told
}

#[test]
fn a_guardrail_stays_until_its_authors_let_it_go() {
    let site = signed_site();
    let never = |text: &str, folder: &str| {
        fs::create_dir(site.path(folder).join("guardrails")).unwrap();
        fs::write(site.path(folder).join("guardrails/never.cedar"), text).unwrap();
    };
    let no_preload = "@id(\"no-preload\")\npermit (principal, action == Action::\"exec\", resource) when { context.variables.contains(\"LD_PRELOAD\") };\n";
    folder(&site, "first", "");
    never(no_preload, "first");
    json(&publish(&site, "first"));
    folder(&site, "without", "");
    let gone = ["the gate `no_wider` is not passed", "the guardrail `no-preload` of the set in force is gone"];
    refused(&site, "without", &[], &gone);
    // The same name for something else is another guardrail; another file or annotation is not.
    folder(&site, "smaller", "");
    never(&no_preload.replace("contains(\"LD_PRELOAD\")", "contains(\"LD_PRELOAD\") && context.depth > 0"), "smaller");
    refused(&site, "smaller", &["entities"], &gone);
    folder(&site, "annotated", &forbid("deploy"));
    never(&format!("@description(\"for good\")\n{no_preload}"), "annotated");
    json(&publish(&site, "annotated"));
    json(&publish_accepting(&site, "without", "guardrail:no-preload,policy:deploy"));
}

#[test]
fn other_entities_are_accepted_or_refused() {
    let site = signed_site();
    folder(&site, "more", "");
    let path = site.path("more/entities.json");
    let mut entities: Vec<Json> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    entities.push(serde_json::json!({ "uid": { "type": "Agent", "id": "other" }, "attrs": {}, "parents": [] }));
    fs::write(&path, serde_json::to_vec(&entities).unwrap()).unwrap();
    refused(&site, "more", &[], &["the gate `no_wider` is not passed", "entities or principals are others"]);
    json(&publish_accepting(&site, "more", "entities"));
    // The same names in other groups.
    folder(&site, "grouped", "");
    for entity in &mut entities {
        if entity["uid"]["id"] == "builder" {
            entity["parents"] = serde_json::json!([{ "type": "Group", "id": "operators" }]);
        }
    }
    fs::write(site.path("grouped/entities.json"), serde_json::to_vec(&entities).unwrap()).unwrap();
    refused(&site, "grouped", &[], &["the gate `no_wider` is not passed", "entities or principals are others"]);
}

#[test]
fn another_schema_is_accepted_or_refused() {
    let site = signed_site();
    // One more action in a group, and a policy that has not changed permits it.
    let schema = |group: &str| {
        format!(
            "action deploys;\naction scrub{group} appliesTo {{ principal: [User], resource: Executable, context: {{}} }};\n"
        )
    };
    let policy = "@id(\"deploys\") permit (principal, action in Action::\"deploys\", resource);\n";
    folder(&site, "first", policy);
    fs::write(site.path("first/schema.cedarschema"), schema("")).unwrap();
    json(&publish_accepting(&site, "first", "wider"));
    folder(&site, "more", policy);
    fs::write(site.path("more/schema.cedarschema"), schema(" in [deploys]")).unwrap();
    refused(&site, "more", &[], &["the gate `no_wider` is not passed", "the schema is another than before"]);
    // The engine keeps actions among its entities.
    json(&publish_accepting(&site, "more", "schema,entities"));
}

#[test]
fn looser_terms_are_accepted_or_refused() {
    let site = signed_site();
    folder(&site, "less", WIDER);
    json(&publish_accepting(&site, "less", "wider"));
    folder(&site, "more", &WIDER.replace("\npermit", "\n@window(\"5m\")\npermit"));
    refused(
        &site,
        "more",
        &[],
        &["the gate `no_wider` is not passed", "`date` permits on looser terms", "a longer window"],
    );
    json(&publish_accepting(&site, "more", "policy:date"));
}

#[test]
fn without_a_solver_nothing_is_published() {
    let mut site = signed_site();
    site.kill_node();
    site.start_with(&["--solver", "/nowhere/cvc5"]);
    folder(&site, "next", &forbid("deploy"));
    refused(&site, "next", &["wider"], &["is not passed: not proved: no solver", "/nowhere/cvc5"]);
    // It runs all the same: what is in force was proved when it came into force.
    assert_eq!(site.run(&["/usr/bin/true"]).status.code(), Some(0));
}

#[test]
fn a_node_that_could_publish_nothing_says_so_before_anybody_tries() {
    let mut site = signed_site();
    assert!(site.status()["cannot_publish"].is_null());
    let old = site.path("old-cvc5");
    fs::write(&old, "#!/bin/sh\necho 'This is cvc5 version 1.0.8'\n").unwrap();
    fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (program, why) in [
        ("/nowhere/cvc5", "no solver: /nowhere/cvc5 does not run"),
        (old.to_str().unwrap(), "is cvc5 1.0.8, and 1.3.1 or later is needed"),
    ] {
        site.kill_node();
        site.start_with(&["--solver", program]);
        crate::site::wait("the node to look for it", || site.status()["cannot_publish"].is_string());
        let told = site.status()["cannot_publish"].as_str().unwrap().to_owned();
        assert!(told.contains(why) && told.contains("or say where it is (--solver, WRIT_SOLVER"), "{told}");
        let status = stdout(&site.writ(&["status"]));
        assert!(status.contains(&format!("publishing  NOT possible: {told}")), "{status}");
        let doctor = site.writ(&["doctor"]);
        assert_eq!(doctor.status.code(), Some(1));
        assert!(stdout(&doctor).contains(&format!("nothing can be published: {told}")), "{}", stdout(&doctor));
        let log = || fs::read_to_string(site.path("up.err")).unwrap();
        crate::site::wait("the log to say so", || log().contains("solver") && log().contains(why));
    }
}

#[test]
fn a_node_that_follows_a_folder_needs_no_solver() {
    let mut site = Site::up();
    site.kill_node();
    site.start_with(&["--solver", "/nowhere/cvc5"]);
    assert!(site.status()["cannot_publish"].is_null());
    assert!(!stdout(&site.writ(&["doctor"])).contains("solver"));
}

#[test]
fn a_folder_with_guardrails_needs_a_solver_too() {
    let mut site = Site::new();
    fs::create_dir(site.path("acme/policy/guardrails")).unwrap();
    let never = "@id(\"no-preload\")\npermit (principal, action == Action::\"exec\", resource) when { context.variables.contains(\"LD_PRELOAD\") };\n";
    fs::write(site.path("acme/policy/guardrails/never.cedar"), never).unwrap();
    let told = site.writ(&["--json", "up", "--solver", "/nowhere/cvc5"]);
    assert_ne!(told.status.code(), Some(0));
    assert!(error(&told)["error"].to_string().contains("/nowhere/cvc5"), "{}", error(&told));
    site.start();
    site.kill_node();
    // Where a set is in force, the next one waits for a solver and the node does not.
    fs::write(site.path("acme/policy/guardrails/more.cedar"), never.replace("no-preload", "more")).unwrap();
    let up = site.start_with(&["--solver", "/nowhere/cvc5"]);
    assert!(up["policy_refused"].as_str().unwrap().contains("/nowhere/cvc5"), "{up}");
    assert_eq!(up["policy_epoch"], 1);
}

#[test]
fn check_proves_and_compares_before_anything_is_signed() {
    let site = Site::up();
    folder(&site, "less", &forbid("deploy"));
    folder(&site, "more", WIDER);
    let proved = json(&site.writ(&["--json", "policy", "check", "less", "--prove", "--against", "acme/policy"]));
    let results: Vec<&str> =
        proved["gates"].as_array().unwrap().iter().map(|gate| gate["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["passed"; 10]);
    let wider = site.writ(&["policy", "check", "acme/policy", "--prove", "--against", "less"]);
    assert_eq!(wider.status.code(), Some(1));
    let text = stdout(&wider);
    assert!(text.contains("`deploy` makes the set wider") && text.contains("may exec"), "{text}");
    assert!(text.contains("no_wider FAILED"), "{text}");
    // Without `--prove` no solver is asked, and none need be there.
    let output = site.writ(&["policy", "check", "more", "--solver", "/nowhere/cvc5"]);
    assert_eq!(output.status.code(), Some(0));
}
