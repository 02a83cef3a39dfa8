//! Labels and lineages from outside: `writ run --label`, policies that read it, and `writ lineage`.

use super::site::{Site, json, stderr, stdout};
use std::fs;

const FORBID: &str = r#"
@id("no-leak")
forbid (principal, action == Action::"exec", resource == Executable::"/usr/bin/touch")
when { context.lineage.labels.contains("secret-read") };
"#;

/// A node whose policy lets nothing touch a file that knows a secret.
fn site() -> Site {
    let mut site = Site::new();
    fs::write(site.path("acme/policy/leak.cedar"), FORBID).unwrap();
    site.start();
    site
}

#[test]
fn what_a_run_is_labelled_with_holds_for_all_that_it_causes() {
    let mut site = site();
    let writ = env!("CARGO_BIN_EXE_writ");
    let asking = |label: &[&str], file: &str, command: &[&str]| {
        let file = site.text(file);
        let mut arguments = vec!["run"];
        arguments.extend(label);
        arguments.extend(["--", "sh", "-c", "\"$0\" --json authorize -o \"$@\"", writ, &file, "--"]);
        arguments.extend(command);
        site.writ(&arguments)
    };
    let secret = ["--label", "other", "--label", "secret-read"];
    let looks = asking(&secret, "looks", &["true"]);
    assert_eq!(looks.status.code(), Some(0), "{}", stderr(&looks));
    let refused = asking(&secret, "leaks", &["touch", "mark"]);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("no-leak"), "{}", stderr(&refused));
    assert!(!site.path("leaks").exists());
    let other = asking(&["--label", "other"], "copies", &["touch", "mark"]);
    assert_eq!(other.status.code(), Some(0), "{}", stderr(&other));
    site.audit();
}

#[test]
fn a_lineage_is_shown_from_each_of_its_members_without_a_node() {
    let mut site = site();
    let writ = env!("CARGO_BIN_EXE_writ");
    // The shell sets a variable that whoever uses the writ does not have.
    let twice = "\"$0\" authorize -o one -- true && env -u PWD \"$0\" authorize -o two -- sh -c 'exit 3'";
    let ran = site.writ(&["run", "--label", "early", "--", "sh", "-c", twice, writ]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    let used = site.writ(&["run", "--label", "late", "--writ", "two", "--", "sh", "-c", "exit 3"]);
    assert_eq!(used.status.code(), Some(3), "{}", stderr(&used));
    site.kill_node();
    let grants: Vec<String> = site
        .entries()
        .into_iter()
        .filter(|entry| entry["type"] == "grant")
        .map(|entry| entry["index"].to_string())
        .collect();
    let [first, second, third] = grants.as_slice() else { panic!("{grants:?}") };
    let told = stdout(&site.writ(&["lineage", first]));
    let drawn: Vec<&str> = told.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let (two, three) = (format!("├─ {second}"), format!("└─ {third}"));
    let (one, carries) = (format!("{first} *"), "the lineage carries early, late");
    assert_eq!(drawn, ["entry", &one, &two, &three, carries], "{told}");
    for said in ["ended exited:0", "early since", "not used", "ended exited:3", "early, late since"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert!(!told.contains("exit 3"), "commands are not in the ledger: {told}");
    assert!(stdout(&site.writ(&["lineage", first, "--disclose"])).contains("sh -c exit 3"));
    let short = stdout(&site.writ(&["lineage", first, "-n", "1"]));
    assert!(short.contains("1 more, and what they have caused"), "{short}");
    let of_third = json(&site.writ(&["--json", "lineage", third]));
    let members = of_third["members"].as_array().unwrap();
    assert_eq!(members.len(), 2, "its sibling is not shown: {of_third}");
    assert_eq!((members[1]["subject"].as_bool(), members[1]["parent"].to_string()), (Some(true), first.clone()));
    assert_eq!(members[1]["labels"], serde_json::json!(["early"]));
    assert_eq!(members[1]["gained"][0]["labels"], serde_json::json!(["late"]));
    let execution = members[1]["executions"][0]["id"].as_str().unwrap();
    assert_eq!(json(&site.writ(&["--json", "lineage", execution])), of_third);
    let report = members[1]["gained"][0]["index"].to_string();
    assert_eq!(json(&site.writ(&["--json", "lineage", &report])), of_third);
    for nothing in ["0", "nobody"] {
        assert_eq!(site.writ(&["lineage", nothing]).status.code(), Some(2));
    }
    site.audit();
}

#[test]
fn a_label_has_a_form_and_no_place_in_shadow() {
    let site = Site::up();
    for wrong in [vec!["run", "--label", "Secret", "--", "true"], vec!["run", "--shadow", "--label", "a", "--", "true"]]
    {
        assert_eq!(site.writ(&wrong).status.code(), Some(2), "{wrong:?}");
    }
}
