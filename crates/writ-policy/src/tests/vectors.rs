//! Decisions that every build makes byte for byte, under semantics that have a name. The file is read as another build wrote it: policy files,
//! action and facts in their encodings, and the bytes of the decision. A build that decides otherwise has other semantics, and needs a file of its own
//! beside those that are there (Invariant 4).

use super::fixture::*;
use crate::text::hex;
use crate::{Caused, Decision, Facts, PolicySet, Semantics, Snapshot, decide};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use writ_protocol::action::{Action, Command, ExecFields, Interpreter};
use writ_protocol::cbor::Encode;
use writ_tlog::sha256;

/// No version is without decisions that it must make.
fn vectors(semantics: Semantics) -> Value {
    let text = match semantics {
        Semantics::Writ1 => include_str!("../../vectors/decisions-cedar-4.14-writ-1.json"),
        Semantics::Writ2 => include_str!("../../vectors/decisions-cedar-4.14-writ-2.json"),
    };
    serde_json::from_str(text).unwrap()
}

const POLICIES: &str = r#"
@id("build") @window("10m") @budget("100 per hour")
permit (principal in Group::"builders", action == Action::"exec", resource == Executable::"/usr/bin/cargo")
when { context has arg1 && ["build", "test"].contains(context.arg1) };

@id("look") @window("5s") @freeze_after("2s") @kill_after("4s") @sandbox("quiet") @budget("3")
permit (principal, action == Action::"exec", resource) when { context.argv.contains("--look") };

@id("odd-bytes")
permit (principal, action == Action::"exec", resource) when { context.command like "*\\x*" || context.command like "*ü*" };

@id("scripts")
permit (principal, action == Action::"exec", resource)
when { context has interpreter && context.interpreter.path == "/bin/sh" } unless { context.cwd like "/tmp*" };

@id("pinned")
permit (principal, action == Action::"exec", resource == Executable::"/opt/pinned");

@id("workdays")
permit (principal == User::"ada", action == Action::"exec", resource)
when { context.now >= datetime("2026-11-21T08:00:00Z") && context.now.toTime() < duration("18h") };

@id("stop")
permit (principal == User::"ada", action in [Action::"revoke", Action::"halt"], resource == Domain::"this")
when { context.auth == "key" && context.reason == "because" };

@id("no-preload")
forbid (principal, action == Action::"exec", resource) when { context.variables.containsAny(["LD_PRELOAD", "LD_AUDIT"]) };

@id("no-deep")
forbid (principal, action == Action::"exec", resource) when { context.depth > 3 };

@id("overflows")
forbid (principal, action == Action::"exec", resource) when { context.argc > 5 && context.argc + 9223372036854775807 > 0 };
"#;

/// What is asked under every version, by name.
fn asked() -> Vec<(&'static str, Action, Facts)> {
    let ada = || Facts { principal: principal("User", "ada"), ..facts() };
    let with = |change: fn(&mut ExecFields)| {
        let mut fields = fields(&["cargo", "x"]);
        change(&mut fields);
        exec_of(fields)
    };
    vec![
        ("a permit with a budget", exec(&["cargo", "build"]), facts()),
        ("two permits, the stricter of their terms", exec(&["cargo", "test", "--look"]), facts()),
        ("nothing permits", exec(&["cargo", "publish"]), facts()),
        ("an attribute that is absent", exec(&["cargo"]), facts()),
        ("a forbid outweighs a permit", with(|exec| exec.variables = variables(&["LD_AUDIT"])), ada()),
        (
            "two forbids, ascending",
            with(|exec| exec.variables = variables(&["LD_PRELOAD"])),
            Facts { depth: 4, ..facts() },
        ),
        ("a forbid that fails beside a permit", exec(&["cargo", "build", "1", "2", "3", "4"]), facts()),
        ("bytes that are not text", with(|exec| exec.argv.push(vec![0xff, b'\\', 7])), facts()),
        ("letters beyond ASCII", exec(&["cargo", "über"]), facts()),
        ("a script", script("/opt/runs", "/bin/sh"), facts()),
        (
            "a script in a folder of its exception",
            with(|exec| {
                exec.cwd = b"/tmp/x".to_vec();
                exec.interpreter = Some(Interpreter { path: b"/bin/sh".to_vec(), digest: sha256(b"sh") });
            }),
            facts(),
        ),
        ("an executable that is pinned to this digest", with(|exec| exec.path = b"/opt/pinned".to_vec()), facts()),
        (
            "an executable that is pinned to another digest",
            with(|exec| (exec.path, exec.executable) = (b"/opt/pinned".to_vec(), sha256(b"changed"))),
            facts(),
        ),
        ("a time", exec(&["cargo"]), ada()),
        ("a time before", exec(&["cargo"]), Facts { now_ms: NOW_MS - 86_400_000, ..ada() }),
        ("an order", order_for("because"), Facts { gateway: None, ..ada() }),
        ("an order without its reason", order(Command::Halt), Facts { gateway: None, ..ada() }),
        (
            "a principal that is not there",
            exec(&["cargo"]),
            Facts { principal: principal("Agent", "nobody"), ..facts() },
        ),
        ("an exec without a gateway", exec(&["cargo"]), Facts { gateway: None, ..facts() }),
        ("a depth beyond the engine's numbers", exec(&["cargo"]), Facts { depth: u64::MAX, ..facts() }),
    ]
}

/// What reads labels and gives them, asked from the second version on.
const LABELS: &str = r#"
@id("fetch") @label("untrusted, fetched") @budget("2 per parent")
permit (principal, action == Action::"exec", resource == Executable::"/usr/bin/fetch");

@id("read") @label("secret-read") @budget("9 per origin")
permit (principal, action == Action::"exec", resource == Executable::"/usr/bin/fetch") when { context.argv.contains("--secret") };

@id("send")
permit (principal, action == Action::"exec", resource == Executable::"/usr/bin/send");

@id("no-leak")
forbid (principal, action == Action::"exec", resource == Executable::"/usr/bin/send")
when { context.lineage.labels.containsAll(["secret-read", "untrusted"]) };

@id("not-for-others")
forbid (principal, action == Action::"exec", resource == Executable::"/usr/bin/send")
when { context.lineage.depth > 1 && context.lineage.origin != "Agent::builder" };
"#;

fn carrying(labels: &[&str]) -> Facts {
    Facts { labels: labels.iter().map(|one| label(one)).collect(), ..facts() }
}

fn labelled() -> Vec<(&'static str, Action, Facts)> {
    let runs = |path: &str, argv: &[&str]| {
        let mut fields = fields(argv);
        fields.path = path.as_bytes().to_vec();
        exec_of(fields)
    };
    let (fetch, send) = (runs("/usr/bin/fetch", &["fetch", "--secret"]), runs("/usr/bin/send", &["send"]));
    let caused = |by| Facts {
        depth: 2,
        caused: Some(Caused { parent: sha256(b"parent"), origin: sha256(b"origin"), by: principal("Agent", by) }),
        ..carrying(&["secret-read"])
    };
    vec![
        ("the labels of two permits", fetch.clone(), facts()),
        ("two permits that count what is caused", fetch, caused("builder")),
        ("a label that nothing forbids", send.clone(), carrying(&["secret-read"])),
        ("two labels that are forbidden together", send.clone(), carrying(&["fetched", "secret-read", "untrusted"])),
        ("an origin", send.clone(), caused("builder")),
        ("an origin that is forbidden", send, caused("other")),
    ]
}

/// What is asked beside that from the second version on, where very many policies determine a decision.
const MANY: [(&str, &[&str]); 2] = [
    ("more permits than are named, with the terms of them all", &["x", "--many"]),
    ("more forbids than are named", &["x", "--many", "--none"]),
];

/// The policies of which more than a decision names determine one.
fn many() -> String {
    let scope = "principal, action == Action::\"exec\", resource";
    let policies = (0..257).map(|number| {
        let terms = if number == 256 { r#"@window("3s") @budget("2") "# } else { "" };
        format!(
            "@id(\"p{number:03}\") {terms}permit ({scope}) when {{ context.argv.contains(\"--many\") }};\n\
             @id(\"f{number:03}\") forbid ({scope}) when {{ context.argv.contains(\"--none\") }};\n"
        )
    });
    policies.collect()
}

fn order_for(reason: &str) -> Action {
    Action::Order(writ_protocol::action::Order { command: Command::Halt, reason: label(reason) })
}

fn snapshot_files(semantics: Semantics) -> BTreeMap<String, String> {
    let digest = hex(sha256(b"cargo").as_bytes());
    let pinned = format!(
        r#"{{"uid": {{"type": "Executable", "id": "/opt/pinned"}}, "attrs": {{"digest": "{digest}"}}, "parents": []}}"#
    );
    let entities = ENTITIES.trim_end().trim_end_matches(']').trim_end().to_owned() + ",\n    " + &pinned + "\n]";
    let files = [("p.cedar", POLICIES), ("entities.json", entities.as_str()), ("principals.json", "[]")];
    let mut files = BTreeMap::from(files.map(|(path, text)| (path.to_owned(), text.to_owned())));
    if semantics > Semantics::Writ1 {
        files.insert("many.cedar".to_owned(), many());
        files.insert("labels.cedar".to_owned(), LABELS.to_owned());
    }
    files
}

/// The vectors as this build makes them.
fn made(semantics: Semantics) -> Value {
    let files = snapshot_files(semantics);
    let bytes = files.iter().map(|(path, text)| (path.clone(), text.as_bytes().to_vec())).collect();
    let snapshot = Snapshot::new(bytes).unwrap();
    let set = PolicySet::compile(&snapshot, semantics).unwrap_or_else(|findings| panic!("{findings:#?}"));
    let many = MANY.iter().filter(|_| semantics > Semantics::Writ1);
    let many = many.map(|(name, arguments)| (*name, exec(arguments), facts()));
    let labelled = labelled().into_iter().filter(|_| semantics > Semantics::Writ1);
    let cases = asked().into_iter().chain(many).chain(labelled).map(|(name, action, facts)| {
        let decision = decide(&set, &action, &facts);
        let outcome = match &decision {
            Decision::Permit(_) => "permit",
            Decision::Hold(_) => "hold",
            Decision::Deny(deny) => deny.code.as_str(),
        };
        json!({
            "name": name,
            "action": hex(&action.encode().unwrap()),
            "facts": hex(&facts.to_cbor()),
            "outcome": outcome,
            "decision": hex(&decision.encode()),
        })
    });
    let cases: Vec<Value> = cases.collect();
    json!({ "semantics": semantics.as_str(), "files": files, "set": hex(set.digest().as_bytes()), "cases": cases })
}

fn bytes(value: &Value) -> Vec<u8> {
    crate::text::from_hex(value.as_str().unwrap()).unwrap()
}

/// Action, facts and decision of each case, by name.
fn cases(vectors: &Value) -> Vec<(&str, Action, Facts, Vec<u8>)> {
    let cases = vectors["cases"].as_array().unwrap().iter().map(|case| {
        let action = Action::decode(&bytes(&case["action"])).unwrap();
        let facts = Facts::decode(&bytes(&case["facts"])).unwrap();
        (case["name"].as_str().unwrap(), action, facts, bytes(&case["decision"]))
    });
    cases.collect()
}

fn snapshot(vectors: &Value) -> Snapshot {
    let files = vectors["files"].as_object().unwrap();
    let files = files.iter().map(|(path, text)| (path.clone(), text.as_str().unwrap().as_bytes().to_vec())).collect();
    Snapshot::new(files).unwrap()
}

#[test]
fn every_build_makes_these_decisions_byte_for_byte() {
    for semantics in Semantics::ALL {
        let vectors = vectors(*semantics);
        assert_eq!(vectors["semantics"], semantics.as_str());
        let set = PolicySet::compile(&snapshot(&vectors), *semantics).unwrap();
        assert_eq!(set.digest().as_bytes().to_vec(), bytes(&vectors["set"]));
        for (name, action, facts, decision) in cases(&vectors) {
            assert_eq!(hex(&decide(&set, &action, &facts).encode()), hex(&decision), "{semantics}: {name}");
        }
        let cases = vectors["cases"].as_array().unwrap();
        let outcomes = |wanted: &str| cases.iter().filter(|case| case["outcome"] == wanted).count();
        assert!(outcomes("permit") > 5 && outcomes("policy_denied") > 4 && outcomes("evaluation_error") > 3);
        assert_eq!(outcomes("integrity_failure"), 1);
    }
}

#[test]
fn the_vectors_are_those_that_this_build_makes() {
    for semantics in Semantics::ALL {
        let made = made(*semantics);
        let same = vectors(*semantics) == made;
        assert!(same, "what this build makes, to compare:\n{}", serde_json::to_string_pretty(&made).unwrap());
    }
}

#[test]
fn every_version_has_its_file_and_there_is_no_other() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors");
    let found = std::fs::read_dir(folder).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> = found.collect();
    let wanted: BTreeSet<String> = Semantics::ALL.iter().map(|one| format!("decisions-{one}.json")).collect();
    assert_eq!(found, wanted);
}

/// What sets two versions apart is told by one case alone, and by the message that a denial has in the first.
#[test]
fn the_versions_differ_in_very_many_permits_and_in_nothing_else() {
    let second = vectors(Semantics::Writ2);
    let set = PolicySet::compile(&snapshot(&second), Semantics::Writ1).unwrap();
    let all = cases(&second);
    let differing = all.iter().filter(|(_, action, facts, decision)| decide(&set, action, facts).encode() != *decision);
    assert_eq!(differing.map(|(name, ..)| *name).collect::<Vec<_>>(), [MANY[0].0]);
}
