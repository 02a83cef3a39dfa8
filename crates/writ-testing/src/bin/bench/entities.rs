//! What a decision and a change cost among a hundred thousand entities.

use super::row::{Goal, ROUNDS, Row, rehearsed};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;
use writ_policy::{Decision, Facts, PolicySet, Semantics, Snapshot, decide, read_entities};
use writ_protocol::action::{Action, Exec, ExecFields, Stdin, Variables};
use writ_protocol::entities::{EntityChange, EntityRecord};
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::{Label, Name};
use writ_tlog::sha256;

const MANY: usize = rehearsed(100_000, 2_000);
const FEW: usize = 10;
const TEAMS: usize = 1_000;
const POLICY: &str = r#"
@id("staff")
permit (principal in Group::"staff", action == Action::"exec", resource)
when { context.path like "/usr/bin/*" && !(principal in Group::"team-7") };
"#;

pub(crate) fn rows(_: &Path) -> Vec<Row> {
    let (large, small) = (set(MANY), set(FEW));
    vec![decided(&large, &small), changed(&large, &small)]
}

/// Ten people whom both sets know, each in a team that is in the staff; and as many others as there are to be.
fn people(count: usize) -> Vec<EntityRecord> {
    let uid = |kind: &str, id: String| json!({ "type": kind, "id": id });
    let team = |at: usize| json!({ "uid": uid("Group", format!("team-{at}")), "attrs": {}, "parents": [uid("Group", "staff".to_owned())] });
    let person = |at: usize| {
        let within = [uid("Group", format!("team-{}", at % TEAMS.min(count)))];
        json!({ "uid": uid("User", format!("person-{at}")), "attrs": {}, "parents": within })
    };
    let teams = TEAMS.min(count);
    let all: Vec<Value> = (0..teams).map(team).chain((0..count).map(person)).collect();
    read_entities("bench", json!(all).to_string().as_bytes()).unwrap()
}

fn change(put: Vec<EntityRecord>) -> EntityChange {
    EntityChange::new([1; 32], None, put, Vec::new()).unwrap()
}

fn set(count: usize) -> PolicySet {
    let own = json!([
        { "uid": { "type": "Group", "id": "staff" }, "attrs": {}, "parents": [] },
        { "uid": { "type": "Group", "id": "team-7-x" }, "attrs": {}, "parents": [] },
    ]);
    let policy = POLICY.replace("team-7", "team-7-x");
    let files = [("entities.json", own.to_string()), ("principals.json", "[]".to_owned()), ("a.cedar", policy)];
    let files: BTreeMap<String, Vec<u8>> =
        files.into_iter().map(|(path, text)| (path.to_owned(), text.into_bytes())).collect();
    let set = PolicySet::compile(&Snapshot::new(files).unwrap(), Semantics::CURRENT).unwrap();
    set.changed(&change(people(count))).unwrap()
}

fn asked() -> Action {
    let fields = ExecFields {
        executable: sha256(b"make"),
        argv: vec![b"make".to_vec()],
        path: b"/usr/bin/make".to_vec(),
        variables: Variables::new([]).unwrap(),
        cwd: b"/work".to_vec(),
        stdin: Stdin::Null,
        interpreter: None,
    };
    Action::Exec(Exec::new(fields).unwrap())
}

fn facts(person: usize) -> Facts {
    Facts {
        mandate: None,
        approvals: Vec::new(),
        answers: None,
        changes: None,
        values: None,
        now_ms: super::domain::now_ms(),
        auth: Label::new("peer").unwrap(),
        principal: AssertedPrincipal {
            kind: Name::new("User").unwrap(),
            id: Name::new(format!("person-{person}")).unwrap(),
        },
        depth: 0,
        labels: Vec::new(),
        caused: None,
        gateway: Some(Name::new("process/01").unwrap()),
        surroundings: Vec::new(),
    }
}

/// Decisions for ten people, where there are ten and where there are a hundred thousand.
fn decided(large: &PolicySet, small: &PolicySet) -> Row {
    let what = "a decision in memory that touches ten of 100,000 entities / ten of ten: p50";
    let mut row = Row::new("entities_100k", what, "µs", Goal::AtMost(1.2));
    let (action, facts): (Action, Vec<Facts>) = (asked(), (0..FEW).map(facts).collect());
    let p50 = |set: &PolicySet| {
        let mut took: Vec<f64> = facts
            .iter()
            .cycle()
            .take(rehearsed(20_000, 200))
            .map(|facts| {
                let begun = Instant::now();
                drop(black_box(decide(set, &action, facts)));
                begun.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        took.sort_by(f64::total_cmp);
        took[took.len() / 2]
    };
    for set in [large, small] {
        assert!(matches!(decide(set, &action, &facts[3]), Decision::Permit(_)), "it asks for what is permitted");
    }
    for turn in 0..=ROUNDS {
        let (few, many) = (p50(small), p50(large));
        if turn > 0 {
            row.ours.push(many);
            row.peer.push(few);
        }
    }
    row
}

/// One more person, and the first decision after.
fn changed(large: &PolicySet, small: &PolicySet) -> Row {
    let what = "one entity changed and the first decision after, among 100,000 / among ten: p50";
    let mut row = Row::new("entity_change_100k", what, "µs", Goal::AtMost(3.0));
    let (action, facts) = (asked(), facts(3));
    let p50 = |set: &PolicySet, turn: usize| {
        let mut took: Vec<f64> = (0..200)
            .map(|number| {
                let mut person = people(1).pop().unwrap();
                let uid = writ_protocol::entities::EntityUid::new("User", format!("new-{turn}-{number}")).unwrap();
                person = EntityRecord::new(uid, person.parents().to_vec(), Vec::new(), Vec::new()).unwrap();
                let change = change(vec![person]);
                let begun = Instant::now();
                let set = set.changed(&change).unwrap();
                drop(black_box(decide(&set, &action, &facts)));
                begun.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        took.sort_by(f64::total_cmp);
        took[took.len() / 2]
    };
    for turn in 0..=ROUNDS {
        let (few, many) = (p50(small, turn), p50(large, turn));
        if turn > 0 {
            row.ours.push(many);
            row.peer.push(few);
        }
    }
    row
}
