//! What a large policy set costs: to decide by, to check with proofs, and to publish while others are served.

use super::authorize::{ours_round, peers_round};
use super::cerbos::{self, Cerbos};
use super::domain::{CONNECTIONS, Node, init, policies, writ};
use super::row::{Goal, ROUNDS, Row};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use writ_policy::{Decision, Facts, PolicySet, Semantics, Snapshot, decide};
use writ_protocol::action::Action;
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::{Label, Name};

const MANY: usize = 10_000;
const FEW: usize = 10;
/// Of many, so many are for the principal and the action that is asked about.
const MATCHING: usize = 50;

pub(crate) fn rows(home: &Path) -> Vec<Row> {
    let mut rows = vec![decide_growth(home), checked(home)];
    rows.push(authorize_10k(home));
    rows.extend(published(home));
    rows
}

fn compiled(dir: &Path) -> PolicySet {
    let files = std::fs::read_dir(dir.join("policy")).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        path.is_file().then(|| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
    });
    PolicySet::compile(&Snapshot::new(files.collect::<BTreeMap<_, _>>()).unwrap(), Semantics::CURRENT).unwrap()
}

/// One decision in memory, of ten thousand policies and of ten, for paths that one policy names, another names, or none.
fn decide_growth(home: &Path) -> Row {
    let what = "a decision in memory, 10,000 policies, 50 of them for principal and action / 10 policies: p50";
    let mut row = Row::new("decide_growth_10k", what, "µs", Goal::AtMost(1.5));
    let (large, small) = (home.join("decide-large"), home.join("decide-small"));
    init(&large, MANY, MATCHING);
    init(&small, FEW, FEW);
    let (large, small) = (compiled(&large), compiled(&small));
    let node = Node::start(&home.join("decide"), FEW, FEW);
    let asked: Vec<Action> = (0..64)
        .map(|number| {
            let path = if number % 2 == 0 {
                "/usr/local/bin/deploy".to_owned()
            } else {
                format!("/usr/local/bin/tool-{number}")
            };
            Action::decode(&node.ask_to_run(&path).action).unwrap()
        })
        .collect();
    let facts = Facts {
        approvals: Vec::new(),
        answers: None,
        changes: None,
        values: None,
        now_ms: super::domain::now_ms(),
        auth: Label::new("peer").unwrap(),
        principal: AssertedPrincipal { kind: Name::new("User").unwrap(), id: Name::new("bench").unwrap() },
        depth: 0,
        labels: Vec::new(),
        mandate: None,
        caused: None,
        gateway: Some(Name::new("process/01").unwrap()),
        surroundings: vec![(Label::new("kernel").unwrap(), "linux 6.12.0".to_owned())],
    };
    let p50 = |set: &PolicySet| {
        let mut took: Vec<f64> = asked
            .iter()
            .cycle()
            .take(20_000)
            .map(|action| {
                let begun = Instant::now();
                drop(black_box(decide(set, action, &facts)));
                begun.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        took.sort_by(f64::total_cmp);
        took[took.len() / 2]
    };
    assert!(matches!(decide(&large, &asked[0], &facts), Decision::Permit(_)), "it asks for what is permitted");
    for turn in 0..=ROUNDS {
        let (few, many) = (p50(&small), p50(&large));
        if turn > 0 {
            row.ours.push(many);
            row.peer.push(few);
        }
    }
    row
}

/// As `authorize_http_64_1000`, with ten times as many of ours.
fn authorize_10k(home: &Path) -> Row {
    let what = "authorizations/s, 64 callers, 10,000 policies / Cerbos with file audit and 1,000";
    let mut row = Row::new("authorize_http_64_10k", what, "/s", Goal::AtLeast(4.0));
    let node = Node::start(&home.join("ten-thousand"), MANY, MATCHING);
    let peer = Cerbos::start(&home.join("ten-thousand-cerbos"), &cerbos::policies(1_000, MATCHING));
    for turn in 0..=ROUNDS {
        let theirs = peers_round(&peer, CONNECTIONS, 3_000);
        let ours = ours_round(&node, CONNECTIONS, 12_000, Node::bare);
        if turn > 0 {
            row.ours.push(ours.per_second());
            row.peer.push(theirs.per_second());
        }
    }
    row
}

/// The solver of the repository, where the system has none that is named.
fn solver() -> PathBuf {
    std::env::var_os("WRIT_SOLVER").map_or_else(|| std::path::absolute("scripts/cvc5").unwrap(), PathBuf::from)
}

/// The whole of `writ policy check --prove` for a thousand policies, one of which has changed.
fn checked(home: &Path) -> Row {
    let what = "`writ policy check --prove --against`: 1,000 policies, one of them changed, with every proof";
    let mut row = Row::new("policy_check_s", what, "s", Goal::AtMost(60.0));
    let (before, after) = (home.join("check-before"), home.join("check-after"));
    init(&before, 1_000, MATCHING);
    init(&after, 1_000, MATCHING);
    std::fs::write(after.join("policy/starter.cedar"), narrower(&policies(1_000, MATCHING))).unwrap();
    std::fs::copy(before.join("policy/entities.json"), after.join("policy/entities.json")).unwrap();
    std::fs::copy(before.join("policy/principals.json"), after.join("policy/principals.json")).unwrap();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut check = Command::new(writ());
        check
            .args(["--json", "policy", "check", "--prove", "--against"])
            .arg(before.join("policy"))
            .arg(after.join("policy"));
        let done = check.env("WRIT_SOLVER", solver()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        row.ours.push(begun.elapsed().as_secs_f64());
    }
    row
}

/// One policy permits less.
fn narrower(policies: &str) -> String {
    policies.replacen("context.argc <= 10", "context.argc <= 9", 1)
}

/// How long callers wait while a set of a thousand policies is published, proofs included, and how long that takes.
fn published(home: &Path) -> Vec<Row> {
    let what = "p99 of 16 callers while 1,000 policies are published, gated and proved / while they are not";
    let mut late = Row::new("publish_p99", what, "ms", Goal::AtMost(2.0));
    let mut took =
        Row::new("publish_s", "`writ policy publish` of 1,000 policies, proofs included", "s", Goal::AtMost(5.0));
    let dir = home.join("publish");
    init(&dir, 1_000, MATCHING);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(writ());
        command.args(arguments).env("WRIT_DOMAIN", &dir).env("WRIT_MARK", super::domain::mark(&dir)).current_dir(home);
        let done = command.stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    run(&["policy", "author", "author.seed"]);
    run(&["root", "policy-authors", "--author", "author.seed"]);
    let node = Node::up(&dir, super::domain::SLOTS);
    let text = policies(1_000, MATCHING);
    for turn in 0..=ROUNDS {
        let quiet = ours_round(&node, 16, 6_000, Node::bare);
        // Each turn another set, and none wider than the one before.
        let folder = dir.join("policy/starter.cedar");
        std::fs::write(
            &folder,
            format!("{text}\n@id(\"turn-{turn}\")\nforbid (principal, action == Action::\"halt\", resource);\n"),
        )
        .unwrap();
        let (publishing, round) = std::thread::scope(|scope| {
            let publishing = scope.spawn(|| {
                let begun = Instant::now();
                run(&["policy", "publish", dir.join("policy").to_str().unwrap(), "--author", "author.seed"]);
                begun.elapsed()
            });
            let round = ours_round(&node, 16, 12_000, Node::bare);
            (publishing.join().unwrap(), round)
        });
        if turn > 0 {
            late.ours.push(round.percentile_ms(99));
            late.peer.push(quiet.percentile_ms(99));
            took.ours.push(publishing.as_secs_f64());
        }
    }
    vec![late, took]
}
