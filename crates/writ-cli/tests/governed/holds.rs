//! What needs approval waits until those who are asked have said yes to just that; from the outside.

use super::site::{REFUSED, Site, refusal, stderr, stdout, wait};
use serde_json::{Value as Json, json};
use std::fs;
use std::process::{Output, Stdio};

/// Touching a file takes two of the approvers, whom nobody has approved but themselves.
const POLICY: &str = r#"
@id("touch-takes-two")
@approval("2 of approvers")
@approve_within("20m")
forbid (principal, action == Action::"exec", resource == Executable::"/usr/bin/touch");

@id("approvers-answer")
permit (principal in Group::"approvers", action in [Action::"approve", Action::"reject"], resource)
when { context.auth == "key" };

@id("all-withdraw")
permit (principal, action == Action::"withdraw", resource) when { context.auth == "key" };
"#;

/// A domain in which three people approve, with its node.
fn site() -> Site {
    site_with(&[])
}

fn site_with(options: &[&str]) -> Site {
    let mut site = Site::new();
    let entities = site.path("acme/policy/entities.json");
    let mut known: Vec<Json> = serde_json::from_slice(&fs::read(&entities).unwrap()).unwrap();
    known.push(json!({ "uid": { "type": "Group", "id": "approvers" }, "attrs": {}, "parents": [] }));
    fs::write(&entities, serde_json::to_vec(&known).unwrap()).unwrap();
    for who in ["User::grace", "User::lin", "User::mae"] {
        done(&site.writ(&["key", "new", "--principal", who, "--group", "approvers", "--add"]));
    }
    fs::write(site.path("acme/policy/approvals.cedar"), POLICY).unwrap();
    site.permit_everything();
    site.start_with(options);
    site
}

#[track_caller]
fn done(output: &Output) -> Json {
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(output), stderr(output));
    serde_json::from_str(&stdout(output)).unwrap_or_default()
}

/// Held, on the record, and nothing ran.
#[track_caller]
fn held(site: &Site, file: &str) -> u64 {
    let ran = site.writ(&["--json", "run", "--", "touch", &site.text(file)]);
    assert_eq!(ran.status.code(), Some(REFUSED), "{}", stderr(&ran));
    let told = refusal(&ran);
    assert_eq!((&told["outcome"], &told["code"]), (&"hold".into(), &"approval_pending".into()), "{told}");
    assert!(!site.path(file).exists());
    told["index"].as_u64().unwrap()
}

fn answers(site: &Site, verb: &str, index: u64, who: &str) -> Output {
    site.writ(&["--json", verb, &index.to_string(), "--as", who, "--yes"])
}

fn state(site: &Site, index: u64) -> Option<String> {
    let told = done(&site.writ(&["--json", "holds"]));
    let holds = told["holds"].as_array().unwrap();
    let found = holds.iter().find(|hold| hold["index"] == index);
    found.map(|hold| hold["state"].as_str().unwrap().to_owned())
}

/// The oldest that waits, once something does.
fn first(site: &Site) -> u64 {
    let index = || done(&site.writ(&["--json", "holds"]))["holds"][0]["index"].as_u64();
    wait("something to be held", || index().is_some());
    index().unwrap()
}

#[test]
fn what_is_held_runs_once_it_is_approved() {
    let mut site = site();
    let index = held(&site, "made");
    assert_eq!(held(&site, "made"), index, "the same waits once");
    let shown = done(&site.writ(&["--json", "holds", &index.to_string()]));
    let command = format!("touch {}", site.text("made"));
    assert_eq!(shown["action"]["told"]["command"], command.as_str(), "{shown}");
    assert_eq!(shown["needs"], json!([{ "group": "approvers", "count": 2 }]));
    done(&answers(&site, "approve", index, "User::grace"));
    assert_eq!(state(&site, index).as_deref(), Some("pending"));
    held(&site, "made");
    done(&answers(&site, "approve", index, "User::lin"));
    assert_eq!(state(&site, index).as_deref(), Some("approved"));
    let ran = site.run(&["touch", &site.text("made")]);
    assert_eq!((ran.status.code(), site.path("made").exists()), (Some(0), true), "{}", stderr(&ran));
    assert_eq!(state(&site, index), None);
    // Once is once.
    assert_ne!(held(&site, "again"), index);
    fs::remove_file(site.path("made")).unwrap();
    assert_ne!(held(&site, "made"), index);
    site.audit();
}

#[test]
fn whoever_waits_goes_on_when_the_last_one_approves() {
    let mut site = site();
    let mut command = site.command(&["--json", "run", "--wait=2m", "--", "touch", &site.text("made")]);
    let waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let index = first(&site);
    done(&answers(&site, "approve", index, "User::grace"));
    done(&answers(&site, "approve", index, "User::mae"));
    let ran = waiting.wait_with_output().unwrap();
    assert_eq!((ran.status.code(), site.path("made").exists()), (Some(0), true), "{}", stderr(&ran));
    // Whoever waits and is refused, is refused.
    let mut command = site.command(&["--json", "run", "--wait", "--", "touch", &site.text("other")]);
    let waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let index = first(&site);
    done(&answers(&site, "reject", index, "User::grace"));
    let ran = waiting.wait_with_output().unwrap();
    assert_eq!((ran.status.code(), site.path("other").exists()), (Some(REFUSED), false));
    assert!(stderr(&ran).contains("approval_rejected"), "{}", stderr(&ran));
    // Nobody answers: it ends by itself.
    let ran = site.writ(&["--json", "run", "--wait=1s", "--", "touch", &site.text("third")]);
    assert_eq!((ran.status.code(), site.path("third").exists()), (Some(REFUSED), false));
    site.audit();
}

#[test]
fn whoever_waits_keeps_no_slot_and_runs_what_was_approved_or_nothing() {
    let mut site = site_with(&["--slots", "1"]);
    // What is approved by one principal and path is another program by then.
    let program = site.path("touch");
    fs::copy("/usr/bin/touch", &program).unwrap();
    let policy = POLICY.replace("/usr/bin/touch", program.to_str().unwrap());
    fs::write(site.path("acme/policy/approvals.cedar"), policy).unwrap();
    let before = done(&site.writ(&["--json", "status"]))["policy"]["epoch"].as_u64();
    wait("the policy to be in force", || done(&site.writ(&["--json", "status"]))["policy"]["epoch"].as_u64() > before);
    for changed in [false, true] {
        let made = site.text(if changed { "changed" } else { "made" });
        let arguments = ["--json", "run", "--wait=2m", "--", program.to_str().unwrap(), &made];
        let mut command = site.command(&arguments);
        let waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let index = first(&site);
        // The only slot is free: it is let go a moment after the hold is recorded.
        wait("the slot to be free", || site.run(&["true"]).status.success());
        if changed {
            // Still a program that does the same.
            let mut bytes = fs::read(&program).unwrap();
            bytes.push(0);
            fs::write(&program, bytes).unwrap();
        }
        done(&answers(&site, "approve", index, "User::grace"));
        done(&answers(&site, "approve", index, "User::lin"));
        let ran = waiting.wait_with_output().unwrap();
        let expected = if changed { Some(REFUSED) } else { Some(0) };
        assert_eq!((ran.status.code(), fs::exists(&made).unwrap()), (expected, !changed), "{}", stderr(&ran));
        if changed {
            assert!(stderr(&ran).contains("approval_rejected"), "{}", stderr(&ran));
        }
    }
    site.audit();
}

#[test]
fn an_approval_that_counts_no_longer_is_shown_so() {
    let mut site = site();
    let index = held(&site, "made");
    let answered = stdout(&site.writ(&["approve", &index.to_string(), "--as", "User::grace", "--yes"]));
    assert!(
        answered.contains("recorded, entry ") && answered.contains("answered: approved by User::grace"),
        "{answered}"
    );
    let shown = || done(&site.writ(&["--json", "holds"]))["holds"][0]["answers"][0].clone();
    assert_eq!((&shown()["by"], &shown()["counts"]), (&"User::grace".into(), &true.into()));
    done(&site.writ(&["--json", "revoke", "--principal", "User::grace", "--as", "User::ada"]));
    assert_eq!(shown()["counts"], false);
    let told = stdout(&site.writ(&["holds"]));
    assert!(told.contains("approved by User::grace (counts no longer)"), "{told}");
    assert!(told.contains(&format!("Z: touch {}", site.text("made"))), "{told}");
    site.audit();
}

#[test]
fn what_somebody_rejects_does_not_run() {
    let mut site = site();
    let index = held(&site, "made");
    done(&answers(&site, "approve", index, "User::grace"));
    done(&answers(&site, "reject", index, "User::lin"));
    let late = answers(&site, "approve", index, "User::mae");
    assert_eq!(late.status.code(), Some(1), "{}", stderr(&late));
    let ran = site.writ(&["--json", "run", "--", "touch", &site.text("made")]);
    let told = refusal(&ran);
    assert_eq!((ran.status.code(), &told["code"]), (Some(REFUSED), &"approval_rejected".into()), "{told}");
    assert!(!site.path("made").exists());
    site.audit();
}

#[test]
fn whoever_is_not_asked_or_has_no_key_here_approves_nothing() {
    let site = site();
    let index = held(&site, "made");
    for (who, code) in [("User::ada", "approval_rejected"), ("Agent::builder", "approval_rejected")] {
        let refused = answers(&site, "approve", index, who);
        let told: Json = serde_json::from_str(&stderr(&refused)).unwrap();
        assert_eq!((refused.status.code(), &told["code"]), (Some(1), &code.into()), "{who}: {told}");
    }
    // Nothing inside a governed execution reaches a key, and none of its words is an order.
    let (at, bundle) = (index.to_string(), site.path("hold.writ-bundle"));
    let kept = site.writ(&["log", "bundle", &at, "--disclose", "-o", bundle.to_str().unwrap()]);
    assert!(kept.status.success(), "{}", stderr(&kept));
    let inside = site.command(&["approve", &at, "--bundle", bundle.to_str().unwrap(), "--as", "User::grace", "--yes"]);
    let mut argv = vec![inside.get_program().to_owned()];
    argv.extend(inside.get_args().map(ToOwned::to_owned));
    let mut run = site.command(&["run", "--"]);
    let ran = run.args(&argv).output().unwrap();
    assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));
    assert!(
        stderr(&ran).contains("identity_mismatch") || stderr(&ran).contains("Permission denied"),
        "{}",
        stderr(&ran)
    );
    assert_eq!(state(&site, index).as_deref(), Some("pending"));
    // Without anybody to ask, --yes must be said; and what is not there is answered by nobody.
    let silent = site.writ(&["approve", &index.to_string(), "--as", "User::grace"]);
    assert_eq!(silent.status.code(), Some(2), "{}", stderr(&silent));
    let nothing = answers(&site, "approve", 2, "User::grace");
    assert_eq!(nothing.status.code(), Some(2), "{}", stderr(&nothing));
}

#[test]
fn a_hold_is_answered_from_its_bundle_and_not_from_one_without_values() {
    let site = site();
    let index = held(&site, "made");
    let (whole, bare) = (site.text("whole"), site.text("bare"));
    done(&site.writ(&["log", "bundle", &index.to_string(), "--disclose", "-o", &whole]));
    done(&site.writ(&["log", "bundle", &index.to_string(), "-o", &bare]));
    let answer = |file: &str| {
        site.writ(&["--json", "approve", &index.to_string(), "--bundle", file, "--as", "User::grace", "--yes"])
    };
    let blind = answer(&bare);
    assert_eq!(blind.status.code(), Some(1), "{}", stderr(&blind));
    assert!(stderr(&blind).contains("nobody answers what they have not seen"));
    // What was changed on its way is not shown, and not answered.
    let mut bytes = fs::read(&whole).unwrap();
    let at = bytes.windows(5).position(|window| window == b"touch").unwrap();
    bytes[at..at + 5].copy_from_slice(b"false");
    fs::write(site.path("changed"), bytes).unwrap();
    assert_eq!(answer(&site.text("changed")).status.code(), Some(1));
    done(&answer(&whole));
    let told = done(&site.writ(&["--json", "holds", &index.to_string(), "--bundle", &whole]));
    assert_eq!(told["answers"], json!([]), "as it was when the bundle was made");
}

#[test]
fn a_writ_for_later_is_held_and_written_once_it_is_approved() {
    let mut site = site();
    let (writ, made) = (site.text("touch.writ"), site.text("made"));
    let asked = || site.writ(&["--json", "authorize", "-o", &writ, "--", "touch", &made]);
    let first = asked();
    let told: Json = serde_json::from_str(&stderr(&first)).unwrap();
    assert_eq!((first.status.code(), &told["outcome"]), (Some(1), &"hold".into()), "{told}");
    assert!(!site.path("touch.writ").exists());
    let index = told["index"].as_u64().unwrap();
    for who in ["User::lin", "User::mae"] {
        done(&answers(&site, "approve", index, who));
    }
    done(&asked());
    let ran = site.writ(&["run", "--writ", &writ, "--", "touch", &made]);
    assert_eq!((ran.status.code(), site.path("made").exists()), (Some(0), true), "{}", stderr(&ran));
    site.audit();
}

#[test]
fn what_whoever_asked_withdraws_does_not_run() {
    let site = site();
    let index = held(&site, "t");
    let withdraws = |who: &str| site.writ(&["--json", "withdraw", &index.to_string(), "--as", who]);
    let other = withdraws("User::grace");
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("approval_rejected"), "{}", stderr(&other));
    let told = done(&withdraws("User::ada"));
    assert_eq!(
        (told["command"].as_str(), told["target"].as_str()),
        (Some("withdraw"), Some(&*format!("hold {index}")))
    );
    assert_eq!(state(&site, index), None, "it waits no more");
    let late = answers(&site, "approve", index, "User::lin");
    assert!(stderr(&late).contains("approval_rejected"), "{}", stderr(&late));
    let shown = stdout(&site.writ(&["log", "tail", "-n", "20"]));
    assert!(shown.contains(&format!("hold {index} withdrawn by User::")), "{shown}");
    assert_eq!(site.writ(&["withdraw", "0"]).status.code(), Some(2));
    for no_hold in ["0", "1"] {
        let refused = site.writ(&["approve", no_hold, "--as", "User::grace", "--yes"]);
        assert!(stderr(&refused).contains(&format!("entry {no_hold} is no hold")), "{}", stderr(&refused));
    }
}

/// Whoever looks at what was erased is not sent for it.
#[test]
fn a_hold_whose_values_were_erased_says_so() {
    let site = site();
    let everything = "@id(\"erase\") permit (principal, action == Action::\"erase\", resource);";
    fs::write(site.path("acme/policy/erase.cedar"), everything).unwrap();
    wait("the policy to be in force", || site.status()["policy"]["epoch"] == 2);
    let index = held(&site, "made").to_string();
    let without = site.text("without.writ-bundle");
    done(&site.writ(&["--json", "log", "bundle", &index, "-o", &without]));
    let shown = stdout(&site.writ(&["holds", &index, "--bundle", &without]));
    assert!(shown.contains("is not in the bundle; `writ log bundle --disclose`"), "{shown}");
    done(&site.writ(&["--json", "withdraw", &index, "--as", "User::ada"]));
    done(&site.writ(&["--json", "erase", &index, "--kind", "action", "--kind", "request", "--as", "User::ada"]));
    let shown = stdout(&site.writ(&["holds", &index]));
    assert!(shown.contains("action    not shown: it was erased"), "{shown}");
    assert!(!shown.contains("where     not shown"), "its facts are there: {shown}");
    let refused = answers(&site, "approve", index.parse().unwrap(), "User::grace");
    assert!(stderr(&refused).contains("what would run was erased"), "{}", stderr(&refused));
}
