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
use writ_ledger::{Ledger, Options, Place, Reader};
use writ_protocol::{Body, Entry, EntryType};
use writ_testing::scenario::{Domain, Secret, SecretPair, run_script};
use writ_tlog::{Algorithm, LeafIndex};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, mark] = arguments.as_slice() else { panic!("usage: demo-story DIR MARK") };
    let (dir, mark) = (Path::new(dir), Path::new(mark));
    let store = dir.join("ledger.db");
    let domain = adopt(dir, &store);
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

/// The domain of the folder: its genesis from its ledger, its keys from the files that `writ init` wrote.
fn adopt(dir: &Path, store: &Path) -> Domain {
    let reader = Reader::open(store).unwrap();
    let stored = reader.entry(LeafIndex::new(0)).unwrap().expect("genesis");
    let Entry { origin, body: Body::Genesis(genesis) } = stored.decode(reader.origin()).unwrap() else {
        panic!("entry 0 is not genesis")
    };
    let ledger = SecretPair {
        ed25519: Secret::from_seed(Algorithm::Ed25519, seed(&read(&dir.join("keys/ledger-ed25519.seed")))),
        ml_dsa_44: Secret::from_seed(Algorithm::MlDsa44, seed(&read(&dir.join("keys/ledger-ml-dsa-44.seed")))),
    };
    let members = 1..=genesis.root.members().len();
    let root = members.map(|number| member(&dir.join(format!("root-keys/root-{number}.seeds")))).collect();
    Domain::adopted(&origin, now_ms(), genesis, ledger, root)
}

fn member(path: &Path) -> SecretPair {
    let text = read(path);
    let seed_of = |name: &str| seed(text.lines().find_map(|line| line.strip_prefix(name)).expect("a seed"));
    SecretPair {
        ed25519: Secret::from_seed(Algorithm::Ed25519, seed_of("ed25519 ")),
        ml_dsa_44: Secret::from_seed(Algorithm::MlDsa44, seed_of("ml-dsa-44 ")),
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn seed(hex: &str) -> [u8; 32] {
    let hex = hex.trim();
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    bytes.try_into().expect("a seed of 32 bytes")
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
