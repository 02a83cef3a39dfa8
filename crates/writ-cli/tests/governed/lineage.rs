//! Labels and lineages from outside: `writ run --label`, policies that read it, and `writ lineage`.

use super::site::{Site, json, stderr, stdout};
use serde_json::Value as Json;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

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
    let (status, at_node) = asked(&site, &format!("{}/lineage", execution_of(&site)));
    site.kill_node();
    let grants: Vec<String> = site
        .entries()
        .into_iter()
        .filter(|entry| entry["type"] == "grant")
        .map(|entry| entry["index"].to_string())
        .collect();
    let [first, second, third] = grants.as_slice() else { panic!("{grants:?}") };
    // The node tells the same.
    assert_eq!((status, &at_node), (200, &json(&site.writ(&["--json", "lineage", first]))));
    let told = stdout(&site.writ(&["lineage", first]));
    let drawn: Vec<&str> = told.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let (two, three) = (format!("├─ {second}"), format!("└─ {third}"));
    let (one, carries) = (format!("{first} *"), "the lineage carries early, late");
    assert_eq!(drawn, ["entry", &one, &two, &three, carries], "{told}");
    for said in ["ended exited:0", "early since", "not used", "ended exited:3", "early, late since"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert!(!told.contains("exit 3"), "commands are not in the ledger: {told}");
    assert!(stdout(&site.writ(&["lineage", first, "--disclose"])).contains("sh -c 'exit 3'"));
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

/// The execution of the first grant.
fn execution_of(site: &Site) -> String {
    let entries = site.entries();
    let first = entries.iter().find(|entry| entry["type"] == "grant").unwrap()["index"].to_string();
    let lineage = json(&site.writ(&["--json", "lineage", &first]));
    lineage["members"][0]["executions"][0]["id"].as_str().unwrap().to_owned()
}

/// What the node answers about an execution: status and JSON.
fn asked(site: &Site, of: &str) -> (u16, Json) {
    let mut stream = UnixStream::connect(site.path("acme/run/node.sock")).unwrap();
    let request = format!("GET /v1/executions/{of} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn a_node_tells_no_lineage_of_what_it_does_not_know_and_no_more_than_was_asked_for() {
    let site = site();
    let writ = env!("CARGO_BIN_EXE_writ");
    let twice = "\"$0\" authorize -o one -- true && \"$0\" authorize -o two -- true";
    assert_eq!(site.run(&["sh", "-c", twice, writ]).status.code(), Some(0));
    let execution = execution_of(&site);
    let (status, short) = asked(&site, &format!("{execution}/lineage?descendants=1"));
    let shown = short["members"].as_array().unwrap().len();
    assert_eq!((status, shown, short["left_out"].as_u64()), (200, 2, Some(1)), "{short}");
    assert!(!short.to_string().contains("authorize"), "values stay in the vault: {short}");
    let unknown = execution.replace(&execution[execution.len() - 4..], "0000");
    for (of, expected, code) in [
        (format!("{unknown}/lineage"), 404, "missing_writ"),
        ("7/lineage".to_owned(), 400, "malformed"),
        (format!("{execution}/lineage?disclose=1"), 400, "malformed"),
    ] {
        let (status, refused) = asked(&site, &of);
        assert_eq!((status, refused["code"].as_str()), (expected, Some(code)), "{of}: {refused}");
    }
}

#[test]
fn a_label_has_a_form_and_no_place_in_shadow() {
    let site = Site::up();
    for wrong in [vec!["run", "--label", "Secret", "--", "true"], vec!["run", "--shadow", "--label", "a", "--", "true"]]
    {
        assert_eq!(site.writ(&wrong).status.code(), Some(2), "{wrong:?}");
    }
}
