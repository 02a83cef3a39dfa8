//! The examples of the reference compile and decide as it says.

use super::fixture::*;
use crate::{Facts, PolicySet, Semantics, Snapshot, decide};
use writ_protocol::Code;
use writ_protocol::action::Command;

const REFERENCE: &str = include_str!("../../../../docs/reference/policy.md");

/// The blocks of the page that name a file, as a policy folder.
fn folder() -> Files {
    let mut found = Files::new();
    let mut open: Option<(String, String)> = None;
    for line in REFERENCE.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                let file = info.split_once(' ').map_or("", |(_, file)| file);
                open = Some((file.to_owned(), String::new()));
            }
            (Some(_), Some(_)) => {
                let (file, text) = open.take().unwrap();
                if !file.is_empty() {
                    found.insert(file, text.into_bytes());
                }
            }
            (None, Some((_, text))) => text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    found
}

fn set() -> PolicySet {
    PolicySet::compile(&Snapshot::new(folder()).unwrap(), Semantics::CURRENT)
        .unwrap_or_else(|findings| panic!("{findings:#?}"))
}

fn by(kind: &str, id: &str) -> Facts {
    Facts { principal: principal(kind, id), ..facts() }
}

#[test]
fn the_reference_shows_a_whole_folder() {
    let names: Vec<_> = folder().into_keys().collect();
    assert_eq!(names, ["build.cedar", "entities.json", "floor.cedar", "leak.cedar", "orders.cedar", "principals.json"]);
    assert!(set().warnings().is_empty());
}

#[test]
fn builders_build_on_the_terms_shown() {
    let permit = permitted(decide(&set(), &exec(&["cargo", "build"]), &facts()));
    assert_eq!(permit.terms.window_ms, 600_000);
    assert_eq!(permit.terms.sandbox, None);
    assert_eq!(permit.terms.budgets[0].counter, name("build:Agent/builder:2026-11-21T08"));
    for argv in [&["cargo"][..], &["cargo", "install"]] {
        denied(decide(&set(), &exec(argv), &facts()), Code::PolicyDenied);
    }
    denied(decide(&set(), &exec(&["cargo", "build"]), &by("User", "ada")), Code::PolicyDenied);
}

#[test]
fn the_floor_holds_against_every_permit() {
    let mut preload = fields(&["cargo", "build"]);
    preload.variables = variables(&["LD_PRELOAD", "PATH"]);
    let deny = denied(decide(&set(), &exec_of(preload), &facts()), Code::PolicyDenied);
    assert_eq!(deny.reasons, [name("no-preload")]);
    let deep = Facts { depth: 4, surroundings: vec![], ..facts() };
    let deny = denied(decide(&set(), &exec(&["cargo", "build"]), &deep), Code::PolicyDenied);
    assert_eq!(deny.reasons, [name("no-deep-lineage"), name("other-uid-only")]);
}

#[test]
fn who_reads_a_secret_is_labelled_and_sends_nothing() {
    let run = |path: &str| {
        let mut fields = fields(&["x"]);
        fields.path = path.as_bytes().to_vec();
        exec_of(fields)
    };
    let permit = permitted(decide(&set(), &run("/usr/bin/vault"), &facts()));
    assert_eq!(permit.terms.labels, [label("secret-read")]);
    let knows = Facts { labels: vec![label("secret-read")], ..facts() };
    let deny = denied(decide(&set(), &run("/usr/bin/curl"), &knows), Code::PolicyDenied);
    assert_eq!(deny.reasons, [name("no-leak")]);
}

#[test]
fn orders_are_for_a_person_with_a_key_outside_a_governed_tree() {
    let halt = order(Command::Halt);
    permitted(decide(&set(), &halt, &by("User", "ada")));
    denied(decide(&set(), &halt, &facts()), Code::PolicyDenied);
    denied(decide(&set(), &halt, &Facts { auth: label("peer"), ..by("User", "ada") }), Code::PolicyDenied);
    let deny = denied(decide(&set(), &halt, &Facts { depth: 1, ..by("User", "ada") }), Code::PolicyDenied);
    assert_eq!(deny.reasons, [name("orders-from-origins-only")]);
}

#[test]
fn the_reference_states_the_limits_and_attributes_of_the_code() {
    let thousands = |n: usize| format!("{},{:03}", n / 1000, n % 1000);
    assert!(REFERENCE.contains(&format!("At most {} files", thousands(crate::SNAPSHOT_FILES_MAX))));
    assert!(REFERENCE.contains(&format!("deeper than {} levels", crate::scan::DEPTH_MAX)));
    assert!(REFERENCE.contains(&format!("more than {} operators", crate::scan::CHAIN_MAX)));
    assert!(REFERENCE.contains(&format!("names the first {} of them", crate::DECISION_REASONS_MAX)));
    assert!(REFERENCE.contains(&format!("More than {} budgets", crate::BUDGETS_MAX)));
    assert!(REFERENCE.contains(&format!("more than {} labels", crate::LABELS_MAX)));
    assert!(REFERENCE.contains(&format!("more than {} characters", crate::ID_CHARS_MAX)));
    assert!(Semantics::ALL.iter().all(|version| REFERENCE.contains(&format!("`{version}`"))));
    for line in include_str!("../base.cedarschema").lines().filter(|line| line.starts_with("    ")) {
        let attribute = line.trim().split(':').next().unwrap();
        assert!(REFERENCE.contains(&format!("`{attribute}`")), "{attribute}");
    }
}
