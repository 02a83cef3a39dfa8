//! Tells the scripted story in a domain that `writ init` made: every type of entry, appended to the real ledger.
//!
//!     demo-story DIR MARK
//!
//! It prints a line for each step, and at the end the indices whose bundles are worth looking at.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a tool of the house: when something is wrong it must stop"
)]

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use writ_ledger::{Ledger, Options, Place};
use writ_protocol::EntryType;
use writ_testing::scenario::{Domain, run_script};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, mark] = arguments.as_slice() else { panic!("usage: demo-story DIR MARK") };
    let (dir, mark) = (Path::new(dir), Path::new(mark));
    let store = dir.join("ledger.db");
    let domain = Domain::in_folder(dir, now_ms());
    let ledger = Ledger::open(&Place::new(&store, mark), domain.ledger_signer(), Options::new(now_ms)).unwrap();
    let receipts = run_script(&ledger, &domain);
    let mut worth_a_look = Vec::new();
    for receipt in &receipts {
        let entry = receipt.decode(domain.origin()).unwrap();
        let kind = entry.body.entry_type();
        println!("  {:>4}  {:<11} proved in the tree of {}", receipt.index.get(), kind.as_str(), receipt.size());
        if matches!(
            kind,
            EntryType::Grant | EntryType::Denial | EntryType::Hold | EntryType::RootOrder | EntryType::Policy
        ) {
            worth_a_look.push(receipt.index.to_string());
        }
    }
    ledger.close().unwrap();
    println!("bundles: {}", worth_a_look.join(" "));
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
