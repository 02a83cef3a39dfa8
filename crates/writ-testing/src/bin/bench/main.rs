//! Measures what is promised, each time beside a peer on the same work in the same run.
//!
//!     bench OUT.json [GROUP...]
//!
//! Rounds are interleaved, ours and the peer's in turn, and medians are compared: on a shared machine only the ratios mean much.
//! The exit code says nothing about the figures: it is a person who judges them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a tool of the house: when something is wrong it must stop"
)]

mod authorize;
mod backtest;
mod cedar_agent;
mod cerbos;
mod curve;
mod domain;
mod entities;
mod flood;
mod grown;
mod history;
mod ledger;
mod load;
mod plot;
mod policy;
mod revoke;
mod row;
mod run;
mod size;

use mimalloc::MiMalloc;
use row::{ROUNDS, Row};
use std::path::Path;

/// As the product has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A name, and what is measured under it.
type Group = (&'static str, fn(&Path) -> Vec<Row>);

/// All there are.
const GROUPS: [Group; 15] = [
    ("verify", ledger::verify_rows),
    ("append", ledger::append_rows),
    ("phases", ledger::phases),
    ("authorize", authorize::rows),
    ("full", authorize::full),
    ("threads", authorize::threads),
    ("curve", curve::drawn),
    ("sequential", authorize::sequential),
    ("flood", flood::rows),
    ("revoke", revoke::rows),
    ("run", run::rows),
    ("size", size::rows),
    ("policy", policy::rows),
    ("backtest", backtest::rows),
    ("entities", entities::rows),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (out, chosen) = arguments.split_first().expect("usage: bench OUT.json [GROUP...]");
    let unknown = chosen.iter().find(|name| GROUPS.iter().all(|(known, _)| known != name));
    assert!(unknown.is_none(), "no group {unknown:?}; there are {:?}", GROUPS.map(|(name, _)| name));
    let home = tempfile::Builder::new().prefix("writ-bench-").tempdir().unwrap();
    let mut rows = Vec::new();
    for (name, measure) in GROUPS.iter().filter(|(name, _)| chosen.is_empty() || chosen.iter().any(|one| one == name)) {
        println!("measuring {name} …");
        rows.extend(measure(home.path()));
    }
    println!();
    row::print(&rows);
    println!("\n{}", GUARANTEES.replace("{ROUNDS}", &ROUNDS.to_string()));
    let rows: Vec<_> = rows.iter().map(Row::json).collect();
    std::fs::write(out, serde_json::to_string_pretty(&rows).unwrap() + "\n").unwrap();
    println!("written to {out}");
}

const GUARANTEES: &str = "Medians of {ROUNDS} interleaved rounds, the middle half in brackets; the load generator runs on the same cores.
Ours: each answer is durable (SQLite WAL, synchronous FULL), in a signed tree, and proved, before it is given. Callers are known
      by the local socket's peer credentials; where signed, by an Ed25519 signature on each request. Proofs and readiness are
      for anybody; gateways sign each statement.
Cerbos: decision log and access log in a file, not synchronized, not signed; callers are not authenticated. Same socket type.
cedar-agent: policies in memory, no log at all, so nothing durable or signed; callers are not authenticated. TCP on loopback.
bubblewrap: a mount namespace with one folder covered; nothing is decided, recorded or waited for to the end of a tree.
SQLite: one row of 512 bytes a transaction, WAL, synchronous FULL.";
