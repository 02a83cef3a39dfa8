use super::error;
use crate::site::{Site, json, stderr, stdout, wait};
use std::fs;

#[test]
fn a_new_folder_passes_check_and_test_at_once() {
    let site = Site::empty();
    let made = site.writ(&["policy", "new", "pol", "--user", "ada"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let checked = json(&site.writ(&["--json", "policy", "check", "pol"]));
    assert_eq!((checked["ok"].as_bool(), checked["warnings"].as_array().map(Vec::len)), (Some(true), Some(0)));
    let gates = checked["gates"].as_array().unwrap();
    assert!(gates.iter().all(|gate| gate["result"] == "passed" && gate["passed"].as_u64() > Some(0)), "{gates:?}");
    let tested = json(&site.writ(&["--json", "policy", "test", "pol"]));
    assert_eq!(tested["ok"], true);
    assert_eq!(tested["fixtures"].as_array().unwrap().len(), 9);
    let again = site.writ(&["policy", "new", "pol"]);
    assert_eq!(again.status.code(), Some(2), "what is there is left alone");
    let named = site.writ(&["policy", "new", "odd", "--user", "a b"]);
    assert_eq!(named.status.code(), Some(2));
    assert!(!site.path("odd").exists(), "half a folder would be in the way");
}

#[test]
fn a_fixture_that_fails_is_told_with_the_policy_that_decided() {
    let site = Site::empty();
    site.writ(&["policy", "new", "pol", "--user", "ada"]);
    let wrong = "- name: ada brings her own code\n  principal: User::ada\n  run: [/usr/bin/ls]\n  variables: [LD_PRELOAD]\n  expect: permit\n";
    fs::write(site.path("pol/tests/wrong.yaml"), wrong).unwrap();
    let tested = site.writ(&["policy", "test", "--quiet", "pol"]);
    assert_eq!(tested.status.code(), Some(1));
    let told = stdout(&tested);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "FAIL  tests/wrong.yaml:1  ada brings her own code",
            "      expected  permit",
            "      found     policy_denied by no-preloaded-code",
            "      starter.cedar:27",
            "        @id(\"no-preloaded-code\")",
        ]
    );
    assert_eq!(stderr(&tested), "writ: 1 of 10 fixtures failed\n");
    let checked = site.writ(&["policy", "check", "pol"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(stdout(&checked).contains("level 5, fixtures FAILED"), "{}", stdout(&checked));
    fs::write(site.path("pol/starter.cedar"), "permit (").unwrap();
    let tested = site.writ(&["policy", "test", "pol"]);
    assert_eq!(tested.status.code(), Some(1));
    assert!(stdout(&tested).contains("starter.cedar:1:1") && stderr(&tested).contains("no fixture"), "{tested:?}");
}

#[test]
fn a_diff_tells_policy_by_policy() {
    let site = Site::empty();
    for folder in ["old", "new"] {
        site.writ(&["policy", "new", folder, "--user", "ada"]);
    }
    let same = site.writ(&["policy", "diff", "old", "new"]);
    assert_eq!((same.status.code(), stdout(&same).as_str()), (Some(0), "5 policies are the same\n"));
    let text = fs::read_to_string(site.path("new/starter.cedar")).unwrap();
    let text = text.replace("1000 per day", "10 per day");
    let cut = text.find("@id(\"no-raw-disks\")").unwrap();
    let end = text.find("@id(\"administrators").unwrap();
    let text = format!(
        "{}{}@id(\"extra\")\nforbid (principal == Agent::\"builder\", action, resource);\n",
        &text[..cut],
        &text[end..]
    );
    fs::write(site.path("new/starter.cedar"), text).unwrap();
    fs::write(site.path("new/README.md"), "other\n").unwrap();
    let differ = site.writ(&["policy", "diff", "old", "new"]);
    assert_eq!(
        (differ.status.code(), stderr(&differ).as_str()),
        (Some(1), "writ: 3 policies and 1 other file differ\n")
    );
    let told = stdout(&differ);
    for line in [
        "changed  agents-build",
        "  - @budget(\"1000 per day\")",
        "  + @budget(\"10 per day\")",
        "added    extra",
        "  + forbid (principal == Agent::\"builder\", action, resource);",
        "removed  no-raw-disks",
        "changed  README.md",
        "3 policies are the same",
    ] {
        assert!(told.lines().any(|found| found == line), "{line:?} is not in:\n{told}");
    }
    let told = site.writ(&["--json", "policy", "diff", "old", "new"]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["policies"].as_array().unwrap().len(), 3);
    fs::write(site.path("new/starter.cedar"), "permit (").unwrap();
    assert!(
        error(&site.writ(&["--json", "policy", "diff", "old", "new"]))["error"]
            .as_str()
            .unwrap()
            .contains("starter.cedar:1:1")
    );
}

#[test]
fn authors_are_pinned_by_the_root_alone_and_a_domain_may_begin_with_them() {
    let mut site = Site::new();
    json(&site.writ(&["--json", "policy", "author", "a1.seed"]));
    let pin = ["--json", "root", "policy-authors", "--author", "a1.seed"];
    let few = error(&site.writ(&[pin.as_slice(), &["--threshold", "2"]].concat()));
    assert!(few["error"].as_str().unwrap().contains("threshold"), "{few}");
    let twice = error(&site.writ(&[pin.as_slice(), &["--author", "a1.seed"]].concat()));
    assert!(twice["error"].as_str().unwrap().contains("differ"), "{twice}");
    let alone = error(&site.writ(&[pin.as_slice(), &["--member", "acme/root-keys/root-1.seeds"]].concat()));
    assert_eq!(alone["code"], "signature_invalid", "{alone}");
    // The folder as it is becomes the first set, although no node was ever started.
    assert_eq!(json(&site.writ(&pin))["authors"], 1);
    site.permit_everything();
    site.start();
    let status = site.status();
    assert_eq!(status["policy"]["epoch"], 1);
    assert_eq!(status["policy"]["policies"], 5);
    let told = stdout(&site.writ(&["status"]));
    assert!(told.contains("  signed by   1 of 1 author must sign"), "{told}");
    let doctor = site.writ(&["doctor"]);
    assert!(stdout(&doctor).contains("not read: its authors sign the set, epoch 1 is in force"), "{}", stdout(&doctor));
    let beside = error(&site.writ(&pin));
    assert!(beside["error"].as_str().unwrap().contains("the node is running"), "{beside}");
    site.audit();
    let doctor = stdout(&site.writ(&["doctor"]));
    assert!(doctor.contains("ok   policy folder    not read: its authors sign the set\n"), "{doctor}");
}

#[test]
fn whoever_signs_is_told_how_many_have_and_whoever_checks_that_the_folder_does_not_count() {
    let site = super::signed_site();
    let checked = stdout(&site.writ(&["policy", "check"]));
    assert!(checked.contains("sound") && checked.contains("followed    by nobody"), "{checked}");
    assert_eq!(json(&site.writ(&["--json", "policy", "check"]))["followed"], false);
    super::folder(&site, "next", &super::forbid("deploy"));
    // A folder that is not the domain's is nobody's in any case.
    assert!(!stdout(&site.writ(&["policy", "check", "next"])).contains("followed"));
    let sign = |from: &str, to: &str, author: &str| site.writ(&["policy", "sign", from, "-o", to, "--author", author]);
    let first = stdout(&sign("next", "one", "a1.seed"));
    assert!(first.contains("authors     1 of 2 that must sign"), "{first}");
    assert!(first.contains("proofs      not run") && first.contains("next: another author"), "{first}");
    let again = sign("one", "same", "a1.seed");
    assert_eq!(again.status.code(), Some(2), "{}", stdout(&again));
    assert!(stderr(&again).contains("has signed it already"), "{}", stderr(&again));
    assert!(!site.path("same").exists());
    // Whoever is no author does not count.
    json(&site.writ(&["--json", "policy", "author", "stranger.seed"]));
    assert!(stdout(&sign("one", "strange", "stranger.seed")).contains("1 of 2"));
    let second = stdout(&sign("one", "two", "a2.seed"));
    assert!(second.contains("2 of 2 that must sign") && second.contains("next: writ policy publish two"), "{second}");
    let denied = stderr(&site.writ(&["run", "--as", "Agent::builder", "--", "/usr/bin/id"]));
    assert!(denied.contains("policy  none of those in force, which `writ policy history`"), "{denied}");
}

#[test]
fn a_folder_that_is_watched_is_checked_at_each_change() {
    let site = Site::empty();
    site.writ(&["policy", "new", "pol", "--user", "ada"]);
    let told = site.path("watched");
    let mut watching = site.command(&["policy", "check", "--watch", "pol"]);
    let mut watching = watching.stdout(fs::File::create(&told).unwrap()).spawn().unwrap();
    let times = |what: &str| fs::read_to_string(&told).unwrap().matches(what).count();
    wait("the first check", || times("pol: sound") == 1);
    fs::write(site.path("pol/more.cedar"), "permit (principal, action, resource);\n").unwrap();
    wait("what is wrong", || times("more.cedar:1:1: the policy has no `@id`") == 1 && times("1 finding") == 1);
    // A folder that is away for a moment is no reason to stop.
    fs::rename(site.path("pol"), site.path("away")).unwrap();
    wait("that it is gone", || times("No such file") == 1);
    fs::remove_file(site.path("away/more.cedar")).unwrap();
    fs::rename(site.path("away"), site.path("pol")).unwrap();
    wait("that it is sound again", || times("pol: sound") == 2);
    assert!(watching.try_wait().unwrap().is_none(), "it goes on until it is told to stop");
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn the_whole_schema_is_printed_for_editors() {
    let site = Site::empty();
    site.writ(&["policy", "new", "pol", "--user", "ada"]);
    let whole = site.writ(&["policy", "schema", "pol"]);
    assert_eq!(whole.status.code(), Some(0));
    let text = stdout(&whole);
    assert!(text.contains("action exec appliesTo") && text.contains("entity Service;"), "{text}");
}

/// Somebody at a terminal sees colours, unless they want none; nobody else does.
#[test]
fn differences_and_fixtures_have_colours_at_a_terminal_alone() {
    let site = Site::new();
    assert_eq!(site.writ(&["policy", "new", "other"]).status.code(), Some(0));
    fs::write(site.path("other/more.cedar"), "@id(\"more\") forbid (principal, action, resource);\n").unwrap();
    let terminal = "import pty, sys; pty.spawn(sys.argv[1:])";
    let shown = |arguments: &[&str], no_color: &str| {
        let mut python = site.command::<&str>(&[]);
        let envs: Vec<_> =
            python.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        python = std::process::Command::new("python3");
        python.env_clear().envs(envs.into_iter().filter_map(|(name, value)| Some((name, value?))));
        python.env("TERM", "xterm").env("NO_COLOR", no_color).current_dir(site.home.path());
        python.args(["-c", terminal, env!("CARGO_BIN_EXE_writ")]).args(arguments);
        stdout(&python.stdin(std::process::Stdio::null()).output().unwrap())
    };
    assert_eq!(site.writ(&["policy", "new", "first"]).status.code(), Some(0));
    for (arguments, painted) in [
        (&["policy", "diff", "acme/policy", "other"][..], "\x1b[32m+ @id(\"more\")"),
        (&["policy", "test", "other"], "\x1b[31mFAIL\x1b[0m"),
        (&["policy", "test", "first"], "\x1b[32mok  \x1b[0m"),
    ] {
        let found = shown(arguments, "");
        assert!(found.contains(painted), "{found}");
        let plain = shown(arguments, "1");
        assert!(!plain.contains('\x1b') && plain.lines().count() == found.lines().count(), "{plain}");
        assert!(!stdout(&site.writ(arguments)).contains('\x1b'));
    }
}
