//! Entities beside those of the set. What is left out of a question must change no decision, so each is compared with one over all of
//! them; and what is missing, doubled or goes in a circle must never be in force.

use super::fixture::*;
use crate::entity_snapshot::ENTITIES_MAX;
use crate::{
    Decision, EntityProblem, EntitySnapshot, Facts, PolicySet, Problem, Semantics, Snapshot, decide, read_entities,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_protocol::Code;
use writ_protocol::action::{Action, Command};
use writ_protocol::cbor::Encode;
use writ_protocol::entities::{EntityChange, EntityUid};
use writ_tlog::sha256;

const SCHEMA: &str = "entity Team { lead?: Team, others: Set<Team>, size: Long, open: Bool } tags Team;";

fn entity(kind: &str, id: &str, attrs: Value, parents: &[(&str, &str)]) -> Value {
    let parents: Vec<Value> = parents.iter().map(|(kind, id)| json!({ "type": kind, "id": id })).collect();
    json!({ "uid": { "type": kind, "id": id }, "attrs": attrs, "parents": parents })
}

fn group(id: &str, parents: &[&str]) -> Value {
    let parents: Vec<(&str, &str)> = parents.iter().map(|id| ("Group", *id)).collect();
    entity("Group", id, json!({}), &parents)
}

fn team(id: &str, size: i64, lead: Option<&str>) -> Value {
    let mut attrs = json!({ "size": size, "open": size > 3, "others": [] });
    if let Some(lead) = lead {
        attrs["lead"] = json!({ "__entity": { "type": "Team", "id": lead } });
    }
    entity("Team", id, attrs, &[])
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::new(kind, id).unwrap()
}

fn change(put: &[Value], removed: &[(&str, &str)]) -> EntityChange {
    let put = read_entities("", json!(put).to_string().as_bytes()).unwrap();
    EntityChange::new([7; 32], None, put, removed.iter().map(|(kind, id)| uid(kind, id)).collect()).unwrap()
}

fn set(own: &[Value], policies: &str, others: Option<&EntitySnapshot>) -> Result<PolicySet, Vec<Problem>> {
    let own = json!(own).to_string();
    let files = files(&[("entities.json", &own), ("schema.cedarschema", SCHEMA), ("p.cedar", policies)]);
    let set = PolicySet::compile_with(&Snapshot::new(files).unwrap(), Semantics::CURRENT, others);
    set.map_err(|findings| findings.into_iter().map(|finding| finding.problem).collect())
}

/// A set with two groups of its own, and a person beside it.
fn begun() -> PolicySet {
    let own = [group("owners", &[]), group("builders", &["owners"])];
    let set = set(&own, PERMIT_ALL, None).unwrap();
    set.changed(&change(&[entity("Agent", "builder", json!({}), &[("Group", "builders")])], &[])).unwrap()
}

#[track_caller]
fn refused(set: &PolicySet, put: &[Value], removed: &[(&str, &str)]) -> Vec<Problem> {
    let change = change(put, removed);
    let findings = set.changed(&change).expect_err("it must not be taken");
    let whole = EntitySnapshot::with(set.others().unwrap(), &change).unwrap();
    // Looked at as a whole, it is refused too, but for what was not there to be removed.
    let unknown = findings.iter().any(|one| matches!(one.problem, Problem::Entity(EntityProblem::Unknown(_))));
    assert!(unknown || set.with_entities(&EntitySnapshot { sound_under: None, ..whole }).is_err());
    findings.into_iter().map(|finding| finding.problem).collect()
}

#[test]
fn who_is_added_to_a_group_can_do_what_the_group_can_and_no_longer_once_removed() {
    let own = [group("builders", &[])];
    let policy = r#"@id("b") permit (principal in Group::"builders", action, resource);"#;
    let before = set(&own, policy, None).unwrap();
    let action = exec(&["cargo"]);
    let deny = denied(decide(&before, &action, &facts()), Code::EvaluationError);
    assert!(deny.errors[0].1.contains("is not in entities.json"), "{deny:?}");
    let builder = entity("Agent", "builder", json!({}), &[("Group", "night")]);
    let after = before.changed(&change(&[group("night", &["builders"]), builder.clone()], &[])).unwrap();
    permitted(decide(&after, &action, &facts()));
    let moved = after.changed(&change(&[entity("Agent", "builder", json!({}), &[])], &[])).unwrap();
    denied(decide(&moved, &action, &facts()), Code::PolicyDenied);
    // What was made before a change decides as before: nothing is shared that changes.
    permitted(decide(&after, &action, &facts()));
    let gone = after.changed(&change(&[], &[("Agent", "builder")])).unwrap();
    denied(decide(&gone, &action, &facts()), Code::EvaluationError);
}

#[test]
fn a_circle_is_refused_with_its_members_named() {
    let set = begun();
    let circle = [group("a", &["b"]), group("b", &["c"]), group("c", &["a"])];
    let problems = refused(&set, &circle, &[]);
    let named = r#"Group::"a" in Group::"b" in Group::"c" in Group::"a""#;
    assert!(problems.contains(&Problem::Entity(EntityProblem::Cycle(named.to_owned()))), "{problems:?}");
    let alone = refused(&set, &[group("a", &["a"])], &[]);
    assert_eq!(alone, [Problem::Entity(EntityProblem::Cycle(r#"Group::"a" in Group::"a""#.to_owned()))]);
    // A circle that is closed later.
    let open = set.changed(&change(&[group("a", &["b"]), group("b", &[])], &[])).unwrap();
    assert!(matches!(refused(&open, &[group("b", &["a"])], &[])[..], [Problem::Entity(EntityProblem::Cycle(_))]));
}

#[test]
fn what_the_set_vouches_for_is_nobody_elses_to_say() {
    let set = begun();
    for shadow in [
        group("owners", &[]),
        entity("Domain", "this", json!({}), &[]),
        entity("Domain", "that", json!({}), &[]),
        entity("Action", "exec", json!({}), &[]),
    ] {
        let problems = refused(&set, &[shadow], &[]);
        assert!(matches!(problems[..], [Problem::Entity(EntityProblem::OfSet(_))]), "{problems:?}");
    }
    // Another set that has one of them as its own does not compile with these entities.
    let own = [group("owners", &[]), entity("Agent", "builder", json!({}), &[])];
    let problems = self::set(&own, PERMIT_ALL, set.others()).unwrap_err();
    assert_eq!(problems, [Problem::Entity(EntityProblem::OfSet(r#"Agent::"builder""#.to_owned()))]);
}

#[test]
fn what_is_named_is_there_before_and_after() {
    let set = begun();
    let (ada, nobody) = (|parent| entity("User", "ada", json!({}), &[("Group", parent)]), r#"Group::"nobody""#);
    let missing = Problem::ParentMissing { entity: r#"User::"ada""#.to_owned(), parent: nobody.to_owned() };
    assert_eq!(refused(&set, &[ada("nobody")], &[]), [missing]);
    let missing = Problem::ReferenceMissing { entity: r#"Team::"a""#.to_owned(), found: r#"Team::"b""#.to_owned() };
    assert_eq!(refused(&set, &[team("a", 1, Some("b"))], &[]), std::slice::from_ref(&missing));
    let set = set.changed(&change(&[team("a", 1, Some("b")), team("b", 1, None)], &[])).unwrap();
    assert_eq!(refused(&set, &[], &[("Team", "b")]), [missing]);
    assert_eq!(
        refused(&set, &[], &[("Team", "c")]),
        [Problem::Entity(EntityProblem::Unknown(r#"Team::"c""#.to_owned()))]
    );
    // An entity of the set is none of these.
    assert_eq!(
        refused(&set, &[], &[("Group", "owners")]),
        [Problem::Entity(EntityProblem::Unknown(r#"Group::"owners""#.to_owned()))]
    );
    set.changed(&change(&[], &[("Team", "a"), ("Team", "b")])).unwrap();
}

#[test]
fn what_policies_and_principals_name_stays() {
    let own = [group("builders", &[])];
    let nights = change(&[group("nights", &[]), entity("Agent", "builder", json!({}), &[])], &[]);
    let others = EntitySnapshot::default().with(&nights).unwrap();
    let policy = r#"@id("n") forbid (principal in Group::"nights", action, resource);"#;
    assert!(matches!(set(&own, policy, None).unwrap_err()[..], [Problem::LiteralMissing(_)]));
    let compiled = set(&own, policy, Some(&others)).unwrap();
    assert!(matches!(refused(&compiled, &[], &[("Group", "nights")])[..], [Problem::LiteralMissing(_)]));
    let key = "01".to_owned() + &"11".repeat(32);
    let principals = json!([{ "principal": "Agent::builder", "uids": [7], "keys": [] }]).to_string();
    let own = json!(own).to_string();
    let files = files(&[("entities.json", &own), ("principals.json", &principals)]);
    let named = PolicySet::compile_with(&Snapshot::new(files).unwrap(), Semantics::CURRENT, Some(&others)).unwrap();
    let problems = refused(&named, &[], &[("Agent", "builder")]);
    assert_eq!(problems, [Problem::PrincipalMissing("Agent::builder".to_owned())], "{key}");
}

#[test]
fn what_does_not_fit_the_schema_is_refused_with_its_name() {
    let set = begun();
    for wrong in [
        entity("Team", "a", json!({ "size": "large", "open": true, "others": [] }), &[]),
        entity("Team", "a", json!({ "open": true, "others": [] }), &[]),
        entity("Nothing", "a", json!({}), &[]),
        entity("User", "ada", json!({ "admin": true }), &[]),
        entity("User", "ada", json!({}), &[("Team", "a")]),
        entity("Executable", "make", json!({}), &[]),
        entity("Executable", "/usr/bin/make", json!({ "digest": "ABC" }), &[]),
    ] {
        let problems = refused(&set, &[team("b", 1, None), wrong.clone()], &[]);
        let named = wrong["uid"]["type"].as_str().unwrap();
        assert!(problems.iter().any(|problem| problem.to_string().contains(named)), "{problems:?}");
    }
    assert_eq!(ENTITIES_MAX, 250_000);
}

#[test]
fn a_pin_beside_the_set_holds() {
    let pinned = entity("Executable", "/usr/bin/cargo", json!({ "digest": "11".repeat(32) }), &[]);
    let set = begun().changed(&change(&[pinned], &[])).unwrap();
    denied(decide(&set, &exec(&["cargo"]), &facts()), Code::IntegrityFailure);
    let digest: String = sha256(b"cargo").as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let pinned = entity("Executable", "/usr/bin/cargo", json!({ "digest": digest }), &[]);
    permitted(decide(&set.changed(&change(&[pinned], &[])).unwrap(), &exec(&["cargo"]), &facts()));
}

#[test]
fn fixtures_are_asked_again_with_other_entities() {
    let fixture = "- name: nobody builds\n  principal: Agent::builder\n  run: [/usr/bin/make]\n  expect: deny\n";
    let policy = r#"@id("b") permit (principal in Group::"builders", action, resource);"#;
    let own = json!([group("builders", &[])]).to_string();
    let files = files(&[("entities.json", &own), ("p.cedar", policy), ("tests/a.yaml", fixture)]);
    let builder = |parents: &[(&str, &str)]| change(&[entity("Agent", "builder", json!({}), parents)], &[]);
    let others = EntitySnapshot::default().with(&builder(&[])).unwrap();
    let set = PolicySet::compile_with(&Snapshot::new(files).unwrap(), Semantics::CURRENT, Some(&others)).unwrap();
    let failed = |set: &PolicySet| set.test().unwrap().iter().filter(|one| one.failure.is_some()).count();
    assert_eq!(failed(&set), 0);
    assert_eq!(failed(&set.changed(&builder(&[("Group", "builders")])).unwrap()), 1);
}

#[test]
fn a_change_is_told_by_what_gains_and_loses_by_it() {
    let set = begun();
    let told = |put: &[Value], removed: &[(&str, &str)]| set.changes(&change(put, removed)).unwrap();
    // Into a group is into all that the group is in.
    let added = told(&[entity("User", "ada", json!({}), &[("Group", "builders")])], &[]);
    assert_eq!((added.added, added.changed, added.removed), (1, 0, 0));
    assert_eq!(added.groups, ["Group::builders", "Group::owners"]);
    assert_eq!(added.types, ["User"]);
    let removed = told(&[], &[("Agent", "builder")]);
    assert_eq!((removed.removed, removed.groups), (1, vec!["Group::builders".to_owned(), "Group::owners".to_owned()]));
    let moved = told(&[entity("Agent", "builder", json!({}), &[("Group", "owners")])], &[]);
    assert_eq!((moved.changed, moved.groups), (1, vec!["Group::builders".to_owned(), "Group::owners".to_owned()]));
    let same = told(&[entity("Agent", "builder", json!({}), &[("Group", "builders")])], &[]);
    assert_eq!(same, crate::Changes::default());
    // A new group within the owners, and somebody in that: both are told.
    let hidden = told(&[group("x", &["owners"]), entity("User", "eve", json!({}), &[("Group", "x")])], &[]);
    assert_eq!(hidden.groups, ["Group::owners", "Group::x"]);
    // What is not there is not told from what is.
    assert_eq!(told(&[], &[("User", "nobody")]), crate::Changes::default());
}

#[test]
fn policies_say_who_may_touch_what() {
    let policy = r#"
        @id("staff") permit (principal == User::"ada", action == Action::"entities", resource)
        when { ["User"].containsAll(context.types) && context.removed == 0 && context.added + context.changed < 10 };
        @id("not-owners") forbid (principal, action == Action::"entities", resource)
        when { context.groups.contains("Group::owners") };
    "#;
    let own =
        [group("owners", &[]), group("staff", &[]), group("leads", &["owners"]), entity("User", "ada", json!({}), &[])];
    let set = set(&own, policy, None).unwrap();
    let decided = |put: &[Value]| {
        let changes = set.changes(&change(put, &[])).unwrap();
        let facts = Facts { principal: principal("User", "ada"), gateway: None, changes: Some(changes), ..facts() };
        decide(&set, &order(Command::Entities(sha256(b"change"))), &facts)
    };
    let user = |group| entity("User", "bob", json!({}), &[("Group", group)]);
    permitted(decided(&[user("staff")]));
    for refused in [user("owners"), user("leads"), entity("Agent", "x", json!({}), &[])] {
        denied(decided(&[refused]), Code::PolicyDenied);
    }
    // Without what is changed, nothing is decided.
    let facts = Facts { principal: principal("User", "ada"), gateway: None, ..facts() };
    denied(decide(&set, &order(Command::Entities(sha256(b"change"))), &facts), Code::EvaluationError);
}

#[test]
fn entities_in_json_have_one_reading() {
    let problems = |text: &str| -> Vec<String> {
        let findings = read_entities("e.json", text.as_bytes()).unwrap_err();
        findings.into_iter().map(|finding| finding.to_string()).collect()
    };
    for (text, said) in [
        ("{}", "expected an array of entities"),
        ("[1]", "expected an object in item 1"),
        (r#"[{"uid": "User::ada"}]"#, "expected a `uid`"),
        (r#"[{"uid": {"type": "User", "id": ""}}]"#, "an id: 1 to 4096 bytes"),
        (r#"[{"uid": {"type": "Us er", "id": "a"}}]"#, "a type: 1 to 255 bytes"),
        (r#"[{"uid": {"type": "User", "id": "a", "x": 1}}]"#, "expected a `uid`"),
        (r#"[{"uid": {"type": "User", "id": "a"}, "parent": []}]"#, "found `parent`"),
        (r#"[{"uid": {"type": "User", "id": "a"}, "attrs": {"a": null}}]"#, "not `null`"),
        (r#"[{"uid": {"type": "User", "id": "a"}, "attrs": {"a": 1.5}}]"#, "integers of 64 bits"),
        (r#"[{"uid": {"type": "User", "id": "a"}, "attrs": {"a": 9223372036854775808}}]"#, "integers of 64 bits"),
        (r#"[{"uid": {"type": "User", "id": "a"}, "attrs": {"a": 1, "a": 2}}]"#, "stands twice"),
        (r#"[{"uid": {"type": "User", "id": "a"}, "parents": {}}]"#, "`parents` as an array"),
    ] {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].contains(said), "{text}: {found:?}");
    }
    let wrapped = r#"[{"uid": {"__entity": {"type": "User", "id": "a"}}, "attrs": {"b": -1, "a": [{"x": true}]}}]"#;
    let records = read_entities("", wrapped.as_bytes()).unwrap();
    let again = json!([crate::entity_to_json(&records[0])]).to_string();
    assert_eq!(read_entities("", again.as_bytes()).unwrap(), records);
    assert!(records[0].to_cbor().len() < 100);
}

const TEAMS: usize = 6;
const GROUPS: usize = 5;
const PEOPLE: [(&str, &str); 3] = [("Agent", "builder"), ("User", "ada"), ("Workload", "job")];

/// What looks into entities: near and far, by name, into sets and tags, and what fails where nothing is.
const CONDITIONS: [&str; 14] = [
    r#"Team::"t0".open"#,
    r#"Team::"t0" has lead && Team::"t0".lead.open"#,
    r#"Team::"t1" has lead && Team::"t1".lead has lead && Team::"t1".lead.lead.size > 2"#,
    r#"(if context.depth > 0 then Team::"t2" else Team::"t3").size > 3"#,
    r#"Team::"t4".others.contains(Team::"t5")"#,
    r#"{ "Value": Team::"t2" }["Value"].size > 1"#,
    r#"{ "in": Team::"t3" }["in"].open"#,
    r#"[Team::"t0", Team::"t1"].contains(if Team::"t2" has lead then Team::"t2".lead else Team::"t5")"#,
    r#"Team::"t3".hasTag("peer") && Team::"t3".getTag("peer").open"#,
    r#"principal in Group::"g0""#,
    r#"principal in [Group::"g1", Group::"g2"]"#,
    r#"Group::"g3" in Group::"g1""#,
    r#"Team::"t5".size + 9223372036854775807 > 0"#,
    r#"resource is Executable && resource has digest && resource.digest like "*7*""#,
];

#[derive(Clone, Debug)]
struct World {
    sizes: Vec<i64>,
    leads: Vec<Option<usize>>,
    peers: Vec<Option<usize>>,
    /// Of each group those of higher number that it is in, so that there is no circle.
    within: Vec<Vec<usize>>,
    memberships: Vec<Vec<usize>>,
    /// Which groups are the set's own; those that it is in then are too.
    own: usize,
    policies: Vec<(bool, usize)>,
}

fn world() -> impl Strategy<Value = World> {
    let teams = (prop::collection::vec(0i64..6, TEAMS), prop::collection::vec(prop::option::of(0..TEAMS), TEAMS));
    let peers = prop::collection::vec(prop::option::of(0..TEAMS), TEAMS);
    let within = prop::collection::vec(prop::collection::vec(0..GROUPS, 0..3), GROUPS);
    let memberships = prop::collection::vec(prop::collection::vec(0..GROUPS, 0..3), PEOPLE.len());
    let policies = prop::collection::vec((any::<bool>(), 0..CONDITIONS.len()), 1..6);
    (teams, peers, within, memberships, 0..=GROUPS, policies).prop_map(
        |((sizes, leads), peers, within, memberships, own, policies)| World {
            sizes,
            leads,
            peers,
            within,
            memberships,
            own,
            policies,
        },
    )
}

impl World {
    fn name(at: usize) -> String {
        format!("g{at}")
    }

    fn group(&self, at: usize) -> Value {
        let parents: Vec<String> = self.within[at].iter().filter(|to| **to > at).map(|to| Self::name(*to)).collect();
        group(&Self::name(at), &parents.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The entities that are the set's own, and the others.
    fn entities(&self) -> (Vec<Value>, Vec<Value>) {
        // Groups are in groups of higher number only, so the last ones are complete by themselves.
        let first_own = GROUPS - self.own;
        let own = (first_own..GROUPS).map(|at| self.group(at)).collect();
        let mut others: Vec<Value> = (0..first_own).map(|at| self.group(at)).collect();
        for at in 0..TEAMS {
            let lead = self.leads[at].map(|lead| format!("t{lead}"));
            let mut team = team(&format!("t{at}"), self.sizes[at], lead.as_deref());
            if at == 4 {
                team["attrs"]["others"] = json!([{ "__entity": { "type": "Team", "id": "t5" } }]);
            }
            if let Some(peer) = self.peers[at] {
                team["tags"] = json!({ "peer": { "__entity": { "type": "Team", "id": format!("t{peer}") } } });
            }
            others.push(team);
        }
        for ((kind, id), groups) in PEOPLE.iter().zip(&self.memberships) {
            let groups: Vec<String> = groups.iter().map(|at| Self::name(*at)).collect();
            let parents: Vec<(&str, &str)> = groups.iter().map(|id| ("Group", id.as_str())).collect();
            others.push(entity(kind, id, json!({}), &parents));
        }
        (own, others)
    }

    fn policies(&self) -> String {
        let each = self.policies.iter().enumerate().map(|(number, (permits, condition))| {
            let effect = if *permits { "permit" } else { "forbid" };
            format!(
                "@id(\"p{number}\") {effect} (principal, action, resource) when {{ {} }};\n",
                CONDITIONS[*condition]
            )
        });
        each.collect()
    }
}

fn asked() -> Vec<(Action, Facts)> {
    let each = PEOPLE.iter().flat_map(|(kind, id)| {
        [0, 1].map(|depth| (exec(&["cargo"]), Facts { principal: principal(kind, id), depth, ..facts() }))
    });
    each.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn leaving_out_what_no_policy_reaches_changes_no_decision(world in world()) {
        let (own, others) = world.entities();
        let all: Vec<Value> = own.iter().chain(&others).cloned().collect();
        // With every entity its own, each question is put with all of them.
        let Ok(whole) = set(&all, &world.policies(), None) else { return Ok(()) };
        let snapshot = EntitySnapshot::default().with(&change(&others, &[])).unwrap();
        let beside = set(&own, &world.policies(), Some(&snapshot)).unwrap();
        for (action, facts) in asked() {
            let (expected, found) = (decide(&whole, &action, &facts), decide(&beside, &action, &facts));
            prop_assert_eq!(expected.to_cbor(), found.to_cbor(), "{:?}\n{:?}", expected, found);
            // Again, with what was kept.
            prop_assert_eq!(expected.to_cbor(), decide(&beside, &action, &facts).to_cbor());
            let told = |set: &PolicySet| crate::explain(set, &action, &facts, crate::Depth::FULL);
            prop_assert_eq!(format!("{:?}", told(&whole)), format!("{:?}", told(&beside)));
        }
    }

    #[test]
    fn changes_one_by_one_come_to_the_same_as_all_at_once(
        world in world(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 24),
    ) {
        let (own, others) = world.entities();
        let Ok(mut step) = set(&own, PERMIT_ALL, None) else { return Ok(()) };
        let mut left: BTreeMap<usize, Value> = others.iter().cloned().enumerate().collect();
        let mut tried = order.iter().cycle();
        let mut refused = 0;
        // In any order that works; what names something that is not there yet is refused, and tried again later.
        while !left.is_empty() && refused < 400 {
            let at = *left.keys().nth(tried.next().unwrap().index(left.len())).unwrap();
            match step.changed(&change(std::slice::from_ref(&left[&at]), &[])) {
                Ok(next) => { step = next; left.remove(&at); }
                Err(_) => refused += 1,
            }
        }
        let rest: Vec<Value> = left.into_values().collect();
        if !rest.is_empty() {
            step = step.changed(&change(&rest, &[])).unwrap();
        }
        let whole = EntitySnapshot::default().with(&change(&others, &[])).unwrap();
        prop_assert_eq!(step.others().unwrap().root(), whole.root());
        prop_assert_eq!(step.others().unwrap().len(), others.len());
    }
}

#[test]
fn one_entity_in_many_costs_no_more_than_one_in_few() {
    // What a question is put with does not grow with what there is.
    let many: Vec<Value> =
        (0..5_000).map(|at| entity("User", &format!("u{at}"), json!({}), &[("Group", "builders")])).collect();
    let set = begun().changed(&change(&many, &[])).unwrap();
    let action = exec(&["cargo"]);
    let asked = crate::request::Question::new(&set, &action, &facts()).unwrap();
    assert!(asked.entities.iter().count() <= 8, "{}", asked.entities.iter().count());
    assert!(matches!(decide(&set, &action, &facts()), Decision::Permit(_)));
}

/// Whoever orders it need not be anybody who may: what it would do is told at the cost of its bytes, however deep the groups lie in each other.
#[test]
fn what_a_long_chain_of_groups_does_is_told_in_one_walk() {
    let names: Vec<String> = (0..20_000).map(|number| format!("g{number}")).collect();
    let within = names.iter().skip(1).map(|above| vec![("Group", above.as_str())]).chain([vec![]]);
    let chain: Vec<Value> =
        names.iter().zip(within).map(|(id, within)| entity("Group", id, json!({}), &within)).collect();
    let told = begun().changes(&change(&chain, &[])).unwrap();
    assert_eq!((told.added, told.groups.len()), (20_000, 19_999));
}
