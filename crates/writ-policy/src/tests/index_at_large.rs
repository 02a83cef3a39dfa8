//! The index against a full evaluation, over a hundred thousand questions to generated domains: groups in groups, principals that are in none,
//! executables that are declared, pinned or neither, sets composed of several files, and forbids that fail.

use super::fixture::*;
use super::index::{condition, decide_over_all};
use crate::{Decision, Facts, PolicySet, Semantics, decide};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use writ_protocol::action::{Action, Command, Exec, ExecFields};
use writ_tlog::sha256;

const GROUPS: usize = 6;
const PRINCIPALS: [(&str, &str); 4] = [("Agent", "a"), ("Agent", "b"), ("User", "u"), ("Workload", "w")];
const PATHS: [&str; 4] = ["/usr/bin/cargo", "/usr/bin/dd", "/opt/tool", "/opt/pinned"];
const ARGUMENTS: [&[&str]; 4] = [&["x"], &["x", "build"], &["cargo", "x"], &["x", "y", "z"]];

/// A domain: of each group and principal the groups it is in, its policies, and which executables are declared.
#[derive(Clone, Debug)]
struct World {
    groups: Vec<Vec<usize>>,
    members: Vec<Vec<usize>>,
    policies: Vec<String>,
    declared: bool,
    semantics: Semantics,
}

/// Groups above a group have a higher number, so none is its own ancestor.
fn parents(of: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::btree_set(of + 1..GROUPS.max(of + 2), 0..3)
        .prop_map(|above| above.into_iter().filter(|group| *group < GROUPS).collect())
}

fn principal_scope() -> impl Strategy<Value = String> {
    let group = 0..GROUPS;
    let named = prop::sample::select(&PRINCIPALS[..]);
    prop_oneof![
        2 => Just("principal".to_owned()),
        3 => named.clone().prop_map(|(kind, id)| format!("principal == {kind}::\"{id}\"")),
        4 => group.clone().prop_map(|group| format!("principal in Group::\"g{group}\"")),
        1 => named.prop_map(|(kind, id)| format!("principal in {kind}::\"{id}\"")),
        1 => prop::sample::select(&["User", "Agent", "Workload"][..]).prop_map(|kind| format!("principal is {kind}")),
        2 => (prop::sample::select(&["User", "Agent"][..]), group)
            .prop_map(|(kind, group)| format!("principal is {kind} in Group::\"g{group}\"")),
    ]
}

fn policy() -> impl Strategy<Value = String> {
    const ACTIONS: [&str; 2] = ["action == Action::\"exec\"", "action in [Action::\"exec\"]"];
    const ATOMS: [&str; 4] =
        ["true", "context.depth > 0", "context.auth == \"key\"", "context.depth + 9223372036854775807 > 0"];
    let resource = prop_oneof![
        3 => Just("resource".to_owned()),
        2 => prop::sample::select(&PATHS[..]).prop_map(|path| format!("resource == Executable::\"{path}\"")),
        1 => prop::sample::select(&PATHS[..]).prop_map(|path| format!("resource in Executable::\"{path}\"")),
        1 => Just("resource is Executable".to_owned()),
    ];
    let digest = Just("(resource has digest && resource.digest like \"*7*\")".to_owned());
    let clause = (prop::sample::select(&["when", "unless"][..]), prop_oneof![6 => condition(), 1 => digest])
        .prop_map(|(kind, condition)| format!("{kind} {{ {condition} }}"));
    let scope = (principal_scope(), prop::sample::select(&ACTIONS[..]), resource);
    let of_executions = (prop::sample::select(&["permit", "forbid"][..]), scope, prop::collection::vec(clause, 0..3))
        .prop_map(|(effect, (principal, action, resource), clauses)| {
            format!("{effect} ({principal}, {action}, {resource}) {};", clauses.join(" "))
        });
    // What speaks of orders too can read only what both have.
    let orders = prop::sample::select(
        &["action", "action in [Action::\"exec\", Action::\"halt\"]", "action == Action::\"halt\""][..],
    );
    let of_both =
        (prop::sample::select(&["permit", "forbid"][..]), principal_scope(), orders, prop::sample::select(&ATOMS[..]))
            .prop_map(|(effect, principal, action, atom)| {
                format!("{effect} ({principal}, {action}, resource) when {{ {atom} }};")
            });
    prop_oneof![4 => of_executions, 1 => of_both]
}

fn world() -> impl Strategy<Value = World> {
    let groups = (0..GROUPS).map(|group| parents(group).boxed()).collect::<Vec<_>>();
    let member = prop::collection::btree_set(0..GROUPS, 0..3).prop_map(|groups| groups.into_iter().collect());
    let members = prop::collection::vec(member, PRINCIPALS.len());
    let semantics = prop::sample::select(Semantics::ALL);
    (groups, members, prop::collection::vec(policy(), 1..24), any::<bool>(), semantics).prop_map(
        |(groups, members, policies, declared, semantics)| World { groups, members, policies, declared, semantics },
    )
}

impl World {
    fn compiled(&self) -> PolicySet {
        let within = |groups: &[usize]| {
            let parents = groups.iter().map(|group| format!(r#"{{"type": "Group", "id": "g{group}"}}"#));
            parents.collect::<Vec<_>>().join(", ")
        };
        let entity = |kind: &str, id: &str, attributes: &str, groups: &[usize]| {
            let parents = within(groups);
            format!(
                r#"{{"uid": {{"type": "{kind}", "id": "{id}"}}, "attrs": {{{attributes}}}, "parents": [{parents}]}}"#
            )
        };
        let mut entities: Vec<String> = Vec::new();
        for (number, above) in self.groups.iter().enumerate() {
            entities.push(entity("Group", &format!("g{number}"), "", above));
        }
        for ((kind, id), groups) in PRINCIPALS.iter().zip(&self.members) {
            entities.push(entity(kind, id, "", groups));
        }
        if self.declared {
            let digest: String = sha256(b"cargo").as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            entities.push(entity("Executable", "/opt/pinned", &format!(r#""digest": "{digest}""#), &[]));
            entities.push(entity("Executable", "/opt/tool", "", &[]));
        }
        // Each third of the policies in a file of its own, as people compose sets.
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for (number, policy) in self.policies.iter().enumerate() {
            let file = files.entry(format!("{}.cedar", number % 3)).or_default();
            writeln!(file, "@id(\"p{number}\") {policy}").unwrap();
        }
        files.insert("entities.json".to_owned(), format!("[{}]", entities.join(",")));
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let set = compile(&files).unwrap_or_else(|findings| panic!("{findings:#?}\n{self:#?}"));
        PolicySet { semantics: self.semantics, ..set }
    }
}

fn asked() -> Vec<(Action, Facts)> {
    let mut asked = Vec::new();
    for (kind, id) in PRINCIPALS {
        for depth in [0, 1] {
            let facts = Facts { principal: principal(kind, id), depth, ..facts() };
            for (path, arguments) in PATHS.iter().flat_map(|path| ARGUMENTS.iter().map(move |argv| (path, argv))) {
                let fields = ExecFields { path: path.as_bytes().to_vec(), ..fields(arguments) };
                asked.push((Action::Exec(Exec::new(fields).unwrap()), facts.clone()));
            }
            asked.push((order(Command::Halt), Facts { gateway: None, ..facts }));
        }
    }
    asked
}

/// What was compared, by how it came out.
#[derive(Debug, Default)]
struct Compared {
    permitted: u64,
    denied: u64,
    failed: u64,
}

#[test]
fn the_index_decides_as_a_full_evaluation_over_a_hundred_thousand_questions() {
    let config = Config { cases: 780, ..Config::default() };
    let (wanted, compared, questions) = (config.cases, RefCell::new(Compared::default()), asked());
    TestRunner::new(config)
        .run(&world(), |world| {
            let set = world.compiled();
            for (action, facts) in &questions {
                let decision = decide(&set, action, facts);
                prop_assert_eq!(decision.encode(), decide_over_all(&set, action, facts).encode(), "{:?}", facts);
                let mut compared = compared.borrow_mut();
                match decision {
                    Decision::Permit(_) => compared.permitted += 1,
                    Decision::Deny(deny) if deny.errors.is_empty() => compared.denied += 1,
                    Decision::Deny(_) => compared.failed += 1,
                    Decision::Hold(hold) => panic!("{hold:?}"),
                }
            }
            Ok(())
        })
        .unwrap();
    let Compared { permitted, denied, failed } = compared.into_inner();
    let total = permitted + denied + failed;
    assert_eq!(total, u64::from(wanted) * questions.len() as u64);
    // Were nearly all of them alike, they would show little.
    assert!([permitted, denied, failed].iter().all(|count| *count > total / 50), "{permitted} {denied} {failed}");
}
