//! What each crate may depend on and what it may touch.

use std::collections::BTreeSet;

use crate::metadata::Workspace;
use crate::repository::Repository;
use crate::source::{Code, Language, imports, line_of, words};

/// The allowed edges, tests' included: crate, and what it may name. `ARCHITECTURE.md` draws them.
const EDGES: &[(&str, &[&str])] = &[
    ("writ-tlog", &[]),
    ("writ-protocol", &["writ-tlog"]),
    ("writ-policy", &["writ-protocol", "writ-tlog"]),
    ("writ-prover", &["writ-policy"]),
    ("writ-enforcer", &["writ-protocol", "writ-tlog"]),
    ("writ-client", &["writ-protocol", "writ-tlog"]),
    ("writ-ledger", &["writ-protocol", "writ-tlog"]),
    ("writ-authority", &["writ-policy", "writ-prover", "writ-ledger", "writ-protocol", "writ-tlog"]),
    ("writ-gateway-process", GATEWAY),
    ("writ-gateway-tools", GATEWAY),
    ("writ-server", &["writ-authority", "writ-ledger", "writ-protocol", "writ-tlog"]),
    (
        "writ-cli",
        &[
            "writ-server",
            "writ-gateway-process",
            "writ-gateway-tools",
            "writ-client",
            "writ-ledger",
            "writ-protocol",
            "writ-tlog",
        ],
    ),
];
const GATEWAY: &[&str] = &["writ-enforcer", "writ-client", "writ-protocol", "writ-tlog"];

/// May use everything; nothing may use it.
const TESTING: &str = "writ-testing";

const AUTHORITY: &[&str] = &["writ-policy", "writ-prover", "writ-authority", "writ-ledger", "writ-server"];

const PURE: &[&str] = &["writ-tlog", "writ-protocol", "writ-policy", "writ-enforcer"];

/// What no pure crate may be linked with, however far down.
const RUNTIMES: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "hyper",
    "reqwest",
    "ureq",
    "axum",
    "rusqlite",
    "libsqlite3-sys",
    "tokio-postgres",
    "postgres",
    "sqlx",
];

/// What no pure crate may name: others that it is linked with may.
const CHANCE: &[&str] = &["rand", "rand_core", "rand_chacha", "getrandom", "fastrand", "oorandom", "uuid"];

const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::env",
    "std::time::SystemTime",
    "std::time::Instant",
    "aws_lc_rs::rand",
];

const PRINTING: &[&str] = &["println", "print", "eprintln", "eprint", "dbg"];

pub(crate) fn forbidden_edges(workspace: &Workspace) -> Vec<String> {
    let mut offences = Vec::new();
    for package in workspace.members().filter(|package| package.name != TESTING) {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            offences.push(format!("{} is not in the table of crates", package.name));
            continue;
        };
        for (name, kind) in &package.declared {
            if workspace.is_member(name) && !allowed.contains(&name.as_str()) {
                offences.push(format!("{} -> {name} ({kind:?})", package.name));
            }
        }
    }
    offences
}

pub(crate) fn gateways_that_reach_authority(workspace: &Workspace) -> Vec<String> {
    workspace
        .members()
        .filter(|package| package.name.starts_with("writ-gateway-"))
        .flat_map(|gateway| {
            let reached = workspace.linked(gateway);
            AUTHORITY
                .iter()
                .filter(move |name| reached.contains(*name))
                .map(move |name| format!("{} reaches {name}", gateway.name))
        })
        .collect()
}

pub(crate) fn impure_dependencies(workspace: &Workspace) -> Vec<String> {
    let mut offences = Vec::new();
    for package in workspace.members().filter(|package| PURE.contains(&package.name.as_str())) {
        let named: BTreeSet<&str> = package
            .resolved
            .iter()
            .filter(|(_, kind)| *kind == crate::metadata::Kind::Normal)
            .map(|(at, _)| workspace.packages[*at].name.as_str())
            .collect();
        let linked = workspace.linked(package);
        let chance = CHANCE.iter().filter(|name| named.contains(*name));
        let runtimes = RUNTIMES.iter().filter(|name| linked.contains(*name));
        offences.extend(chance.map(|name| format!("{} depends on {name}", package.name)));
        offences.extend(runtimes.map(|name| format!("{} is linked with {name}", package.name)));
    }
    offences
}

pub(crate) fn impure_sources(repository: &Repository) -> Vec<String> {
    let mut offences = Vec::new();
    for file in repository.with_extension("rs") {
        let pure = file.crate_name().is_some_and(|name| PURE.contains(&name));
        if !pure || !file.path.contains("/src/") || file.is_apart() {
            continue;
        }
        let code = Code::of(&file.text, Language::Rust).without_tests().text;
        for (line, path) in imports(&code) {
            if let Some(outside) = OUTSIDE.iter().find(|outside| brings_in(&path, outside)) {
                offences.push(format!("{}:{line} uses {path} ({outside})", file.path));
            }
        }
        let dense = |text: &str| text.replace(char::is_whitespace, "");
        for (at, line) in code.lines().enumerate().filter(|(_, line)| !line.contains("use ")) {
            let line = dense(line);
            for outside in OUTSIDE.iter().filter(|outside| words(&line, outside).next().is_some()) {
                offences.push(format!("{}:{} names {outside}", file.path, at + 1));
            }
        }
        for name in PRINTING {
            for at in words(&code, name).filter(|at| code[at + name.len()..].starts_with('!')) {
                offences.push(format!("{}:{} prints ({name}!)", file.path, line_of(&code, at)));
            }
        }
    }
    offences
}

/// Whether importing `path` makes `outside` reachable: itself, something within it, or a
/// module that it lies in.
fn brings_in(path: &str, outside: &str) -> bool {
    let path = path.trim_end_matches('*').trim_end_matches("::");
    let within = |inner: &str, outer: &str| {
        inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"))
    };
    within(path, outside) || within(outside, path)
}

pub(crate) fn unsafe_sources(repository: &Repository) -> Vec<String> {
    let mut offences = Vec::new();
    for file in repository.with_extension("rs") {
        if file.crate_name() == Some("writ-gateway-process") {
            continue;
        }
        let code = Code::of(&file.text, Language::Rust).text;
        offences.extend(words(&code, "unsafe").map(|at| format!("{}:{}", file.path, line_of(&code, at))));
    }
    offences
}

pub(crate) fn without_workspace_lints(repository: &Repository) -> Vec<String> {
    repository
        .files
        .iter()
        .filter(|file| file.crate_name().is_some() && file.path.ends_with("/Cargo.toml"))
        .filter(|file| {
            let mut lines = file.text.lines().skip_while(|line| line.trim() != "[lints]").skip(1);
            lines.next().is_none_or(|line| line.replace(' ', "") != "workspace=true")
        })
        .map(|file| file.path.clone())
        .collect()
}

pub(crate) fn without_opening_docs(repository: &Repository) -> Vec<String> {
    repository
        .with_extension("rs")
        .filter(|file| file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs"))
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.path.clone())
        .collect()
}

mod samples {
    use super::*;

    #[test]
    fn an_edge_upwards_is_found_and_so_is_an_unknown_crate() {
        let workspace = Workspace::sample(&[
            ("writ-tlog", &["writ-protocol"]),
            ("writ-protocol", &["writ-tlog", "writ-testing"]),
            ("writ-testing", &["writ-tlog"]),
            ("writ-new", &[]),
        ]);
        assert_eq!(
            forbidden_edges(&workspace),
            [
                "writ-tlog -> writ-protocol (Normal)",
                "writ-protocol -> writ-testing (Normal)",
                "writ-new is not in the table of crates",
            ]
        );
    }

    #[test]
    fn a_gateway_that_reaches_authority_by_a_detour_is_found() {
        let workspace = Workspace::sample(&[
            ("writ-gateway-tools", &["writ-client"]),
            ("writ-client", &["writ-ledger"]),
            ("writ-ledger", &[]),
        ]);
        assert_eq!(gateways_that_reach_authority(&workspace), ["writ-gateway-tools reaches writ-ledger"]);
    }

    #[test]
    fn a_runtime_is_found_at_any_depth_and_chance_at_the_first() {
        let workspace = Workspace::sample(&[
            ("writ-policy", &["engine"]),
            ("engine", &["tokio", "rand"]),
            ("writ-tlog", &["getrandom"]),
        ]);
        assert_eq!(
            impure_dependencies(&workspace),
            ["writ-policy is linked with tokio", "writ-tlog depends on getrandom"]
        );
    }

    #[test]
    fn touching_the_outside_is_found_in_code_only() {
        let source = "//! std::fs is not for us.\nuse std::{fmt, time::{Duration, Instant}};\n\
                      fn a() { std::thread::sleep(D); println!(\"std::env\") }\nuse std::time;\n\
                      #[cfg(test)]\nmod tests {\n  use std::fs;\n}\n";
        let repository = Repository::sample(&[
            ("crates/writ-tlog/src/lib.rs", source),
            ("crates/writ-ledger/src/lib.rs", source),
            ("crates/writ-tlog/tests/outside.rs", source),
        ]);
        let path = "crates/writ-tlog/src/lib.rs";
        assert_eq!(
            impure_sources(&repository),
            [
                format!("{path}:2 uses std::time::Instant (std::time::Instant)"),
                format!("{path}:4 uses std::time (std::time::SystemTime)"),
                format!("{path}:3 names std::thread"),
                format!("{path}:3 prints (println!)"),
            ]
        );
    }

    #[test]
    fn unsafe_is_found_but_not_in_a_string_nor_in_the_process_gateway() {
        let source = "#![forbid(unsafe_code)]\nfn a() { \"unsafe\"; unsafe { b() } }\n";
        let repository = Repository::sample(&[
            ("crates/writ-tlog/src/lib.rs", source),
            ("crates/writ-gateway-process/src/lib.rs", source),
        ]);
        assert_eq!(unsafe_sources(&repository), ["crates/writ-tlog/src/lib.rs:2"]);
    }

    #[test]
    fn a_crate_without_lints_or_docs_is_found() {
        let repository = Repository::sample(&[
            ("crates/a/Cargo.toml", "[lints]\nworkspace = true\n"),
            ("crates/b/Cargo.toml", "[lints]\n\n[dependencies]\nworkspace = true\n"),
            ("crates/a/src/lib.rs", "//! Says what it is for.\n"),
            ("crates/b/src/main.rs", "fn main() {}\n"),
        ]);
        assert_eq!(without_workspace_lints(&repository), ["crates/b/Cargo.toml"]);
        assert_eq!(without_opening_docs(&repository), ["crates/b/src/main.rs"]);
    }
}
