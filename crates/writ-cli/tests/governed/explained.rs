//! Decisions explained where people meet them: in a refusal, from the ledger, and under a policy that is not in force.

use super::site::{REFUSED, Site, json, stderr, stdout};
use serde_json::Value as Json;
use std::fs;

/// Agents touch what is marked, as long as they say so.
const TOUCH: &str = r#"@id("agents-touch")
permit (principal in Group::"agents", action == Action::"exec", resource == Executable::"/usr/bin/touch")
when { context has arg1 &&
       ["made-here", "made-there"].contains(context.arg1) }
unless { context.variables.contains("DRY_RUN") };
"#;

fn up() -> Site {
    let mut site = Site::new();
    fs::write(site.path("acme/policy/touch.cedar"), TOUCH).unwrap();
    site.start();
    site
}

/// Where the newest entry of a type stands.
fn newest(site: &Site, kind: &str) -> u64 {
    site.entries().iter().rfind(|entry| entry["type"] == kind).unwrap()["index"].as_u64().unwrap()
}

fn as_builder<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["--as", "Agent::builder", "--"], more].concat()
}

#[test]
fn a_refusal_names_the_clause_what_it_saw_and_the_smallest_change_which_then_runs() {
    let site = up();
    let refused = site.writ(&[&["run"][..], &as_builder(&["touch", "elsewhere"])].concat());
    assert_eq!(refused.status.code(), Some(REFUSED));
    let said = stderr(&refused);
    for line in [
        "  policy  agents-touch (touch.cedar:1) would permit it, but",
        "              no     [\"made-here\", \"made-there\"].contains(context.arg1)",
        "                       context.arg1 = \"elsewhere\"",
        "  change  permitted by agents-touch if argument 1 is \"made-here\"",
        "  or      permitted by agents-touch if argument 1 is \"made-there\"",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}\nin\n{said}");
    }
    assert!(!said.contains("DRY_RUN"), "what stands in nobody's way is not told: {said}");
    let ran = site.writ(&[&["run"][..], &as_builder(&["touch", "made-here"])].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert!(site.path("made-here").is_file() && !site.path("elsewhere").exists());

    let (writ, mut dry) = (site.text("w"), vec!["--json", "authorize", "--explain", "-o"]);
    dry.push(&writ);
    dry.extend(as_builder(&["touch", "made-here"]));
    let denied = site.command(&dry).env("DRY_RUN", "1").output().unwrap();
    assert_eq!(denied.status.code(), Some(1));
    let denied: Json = serde_json::from_str(stderr(&denied).trim()).unwrap();
    let change = &denied["explanation"]["remedy"]["changes"][0];
    assert_eq!(change["edits"][0]["change"], "the environment variable DRY_RUN is not set", "{denied}");
    let text = site.command(&dry[1..]).env("DRY_RUN", "1").output().unwrap();
    assert!(stderr(&text).contains("  yes    scope (principal in Group::\"agents\""), "{}", stderr(&text));
    let granted = site.writ(&dry[1..]);
    assert!(stdout(&granted).contains("  permitted   by agents-touch; `writ replay "), "{}", stdout(&granted));
}

#[test]
fn a_decision_is_derived_again_from_the_store_alone_and_explained() {
    let mut site = up();
    site.refusal(&as_builder(&["touch", "elsewhere"]));
    assert_eq!(site.writ(&[&["run"][..], &as_builder(&["touch", "made-here"])].concat()).status.code(), Some(0));
    let (denial, grant) = (newest(&site, "denial"), newest(&site, "grant"));
    let ids: Vec<String> = ["denial", "grant"]
        .iter()
        .flat_map(|kind| {
            let entry = site.entries().into_iter().rfind(|entry| entry["type"] == *kind).unwrap();
            let id = |field: &Json, prefix: &str| format!("{prefix}_{}", field.as_str().unwrap());
            let prefix = if *kind == "grant" { "writ" } else { "deny" };
            [id(&entry["body"]["id"], prefix), id(&entry["body"]["request"]["key"], "req")]
        })
        .collect();
    let execution = site.entries().into_iter().rfind(|entry| entry["type"] == "grant").unwrap();
    let execution = format!("exec_{}", execution["body"]["admitted"]["execution"].as_str().unwrap());
    site.kill_node();

    let told = stdout(&site.writ(&["replay", &denial.to_string()]));
    assert!(told.starts_with(&format!("entry {denial}: denied, policy_denied, ")), "{told}");
    assert!(told.contains("  asked   Agent::builder by key: /usr/bin/touch (touch elsewhere) in "), "{told}");
    assert!(told.contains("  replay  the same, byte for byte: the entry of "), "{told}");
    assert!(told.contains("  policy  agents-touch (touch.cedar:1) would permit it, but\n"), "{told}");
    assert!(told.contains("                       context.arg1 = \"elsewhere\"\n"), "{told}");
    assert!(told.contains("              no     context.variables.contains(\"DRY_RUN\")   (not asked)\n"), "{told}");
    assert!(told.contains("  change  permitted by agents-touch if argument 1 is \"made-here\"\n"), "{told}");

    let report = json(&site.writ(&["--json", "replay", &grant.to_string()]));
    assert_eq!((&report["decision"], &report["replay"]), (&"permit".into(), &"same".into()), "{report}");
    let policies = report["explanation"]["policies"].as_array().unwrap();
    let determining: Vec<&str> =
        policies.iter().filter(|one| one["role"] == "determining").map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(determining, ["agents-touch"]);
    assert_eq!(report["explanation"]["remedy"], Json::Null);

    for (id, index) in ids.iter().zip([denial, denial, grant, grant]).chain([(&execution, grant)]) {
        assert_eq!(json(&site.writ(&["--json", "replay", id]))["index"], index, "{id}");
    }
    for (wrong, status) in [("0", 2), ("nonsense", 2), ("99999", 3), ("writ_00000000000000000000000000000000", 3)] {
        let refused = site.writ(&["replay", wrong]);
        assert_eq!(refused.status.code(), Some(status), "{wrong}: {}", stderr(&refused));
    }
}

#[test]
fn a_candidate_is_tried_against_everything_that_was_decided() {
    let site = up();
    site.refusal(&as_builder(&["touch", "elsewhere"]));
    for _ in 0..2 {
        assert_eq!(site.writ(&[&["run"][..], &as_builder(&["touch", "made-here"])].concat()).status.code(), Some(0));
    }
    let copied = |name: &str, touch: &str| {
        let folder = site.path(name);
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(site.path("acme/policy")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        fs::write(folder.join("touch.cedar"), touch).unwrap();
        folder.to_str().unwrap().to_owned()
    };
    // The node goes on meanwhile.
    let same = json(&site.writ(&["--json", "policy", "backtest", &copied("same", TOUCH)]));
    assert_eq!(
        (&same["verdict"], &same["decided"], &same["same"]),
        (&"unchanged".into(), &3.into(), &3.into()),
        "{same}"
    );

    let other =
        site.writ(&["--json", "policy", "backtest", &copied("other", &TOUCH.replace("made-here", "elsewhere"))]);
    assert_eq!(other.status.code(), Some(1));
    let other: Json = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!((&other["counts"]["newly_permitted"], &other["counts"]["newly_denied"]), (&1.into(), &2.into()));
    let group = &other["changed"][1];
    let was = (&group["change"], &group["principal"], &group["resource"], &group["count"]);
    assert_eq!(was, (&"newly_denied".into(), &"Agent::builder".into(), &"/usr/bin/touch".into(), &2.into()), "{other}");
    assert_eq!(group["was"]["reasons"], serde_json::json!(["agents-touch"]));

    let renamed = copied("renamed", &TOUCH.replace("agents-touch", "touching"));
    let told = site.writ(&["policy", "backtest", &renamed]);
    assert_eq!(told.status.code(), Some(0), "{}", stderr(&told));
    let told = stdout(&told);
    assert!(told.contains("the same, for other reasons: 2 decisions\n"), "{told}");
    assert!(told.contains("permit by agents-touch -> permit by touching\n"), "{told}");
    let broken = site.writ(&["policy", "backtest", &copied("broken", "permit")]);
    assert_eq!(broken.status.code(), Some(1), "{}", stderr(&broken));
    let missing = site.writ(&["policy", "backtest", "nowhere"]);
    assert_eq!(missing.status.code(), Some(3), "{}", stderr(&missing));
}

#[test]
fn what_was_done_is_learnt_and_what_was_learnt_permits_it_and_little_else() {
    let mut site = up();
    let touch = |site: &Site, what: &str| site.writ(&[&["run"][..], &as_builder(&["touch", what])].concat());
    for what in ["made-here", "made-here", "made-there"] {
        assert_eq!(touch(&site, what).status.code(), Some(0));
    }
    assert_eq!(touch(&site, "odd \"one").status.code(), Some(REFUSED));
    let folder = site.text("learned");
    let told = site.writ(&["policy", "learn", "-o", &folder]);
    assert_eq!(told.status.code(), Some(0), "{}", stderr(&told));
    let told = stdout(&told);
    for line in [
        "--- a/touch.cedar",
        "+++ /dev/null",
        "-@id(\"agents-touch\")",
        "-@id(\"people-run-tools\")",
        " @id(\"no-raw-disks\")",
        "+  principal == Agent::\"builder\",",
        "+  resource == Executable::\"/usr/bin/touch\"",
        "+    \"touch made-here\",",
        "+    \"touch made-there\"",
        "+  ].contains(context.command) &&",
        "# learnt 1 policy from 3 executions; in place of 3 permits",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\nin\n{told}");
    }
    assert!(told.contains(": 0 newly permitted, 0 newly denied, 0 undecided"), "{told}");
    assert!(told.contains("+    // 2 times, entries "), "{told}");
    json(&site.writ(&["--json", "policy", "check", &folder]));
    // The difference is one that `patch` takes.
    let patched = site.path("patched");
    fs::create_dir(&patched).unwrap();
    for entry in fs::read_dir(site.path("acme/policy")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), patched.join(entry.file_name())).unwrap();
    }
    fs::write(site.path("learned.diff"), &told).unwrap();
    let mut patch = std::process::Command::new("patch");
    let patch = patch.args(["-p1", "-s", "-i", &site.text("learned.diff")]).current_dir(&patched).output().unwrap();
    assert!(patch.status.success(), "{patch:?}");
    let digest = |folder: &str| json(&site.writ(&["--json", "policy", "check", folder]))["digest"].clone();
    assert_eq!(digest(patched.to_str().unwrap()), digest(&folder));

    // What no policy permitted is learnt where that is asked for, quotes and all.
    let wider = json(&site.writ(&["--json", "policy", "learn", "--refused"]));
    assert_eq!((&wider["seen"], &wider["newly_permitted"]), (&4.into(), &1.into()), "{wider}");
    assert!(wider["text"].as_str().unwrap().contains(r#""touch 'odd \"one'""#), "{wider}");
    assert_eq!(site.writ(&["policy", "learn", "-o", &folder]).status.code(), Some(2), "it takes the place of nothing");

    site.kill_node();
    fs::rename(site.path("acme/policy"), site.path("before")).unwrap();
    fs::rename(&folder, site.path("acme/policy")).unwrap();
    site.start();
    assert_eq!(touch(&site, "made-here").status.code(), Some(0));
    assert_eq!(touch(&site, "made-elsewhere").status.code(), Some(REFUSED));
    assert_eq!(site.run(&["true"]).status.code(), Some(REFUSED));
    site.audit();
}

#[test]
fn without_executions_there_is_nothing_to_learn() {
    let site = up();
    let nothing = site.writ(&["policy", "learn"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(stderr(&nothing).contains("--refused learns from what no policy permitted too"), "{}", stderr(&nothing));
}
