//! Makes the kept fuzz corpora from the vectors and the scripted story: `fuzz-seeds VECTORS CORPUS`.
//!
//! Seeds matter: no mutation finds its way past a context string or a length by itself. Only small ones are kept in git.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a tool of the house: when something is wrong it must stop"
)]

use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use writ_ledger::{Ledger, Options, Place, Reader};
use writ_testing::scenario::{Domain, ORIGIN, Secret, SecretPair, run_script};
use writ_tlog::{Algorithm, LeafIndex, Origin, sha256};

/// Larger seeds only slow the fuzzer down.
const SEED_BYTES_MAX: usize = 8_192;
const SEEDS_MAX: usize = 60;
/// Time of the story, as in the vectors.
const BASE_MS: u64 = 1_700_000_000_000;
/// Entries at which a story is cut, so that mutations of each step are tried with little before it.
const CUTS: [u64; 7] = [4, 8, 16, 22, 40, 58, 84];

/// Target, directory of vectors, check, and the input field that holds the bytes.
const FROM_VECTORS: &[(&str, &str, &str, &str)] = &[
    ("cbor", "cbor", "cbor", "hex"),
    ("entry", "entry", "entry", "hex"),
    ("statement", "statement", "gateway", "hex"),
    ("statement", "statement", "root", "hex"),
    ("statement", "statement", "presentation", "hex"),
    ("request", "statement", "request", "hex"),
    ("action", "action", "action", "hex"),
    ("opening", "action", "opening", "hex"),
    ("scope", "scope", "narrows", "hex"),
    ("note", "ledger", "checkpoint", "text"),
    ("trust_root", "trust-root", "trust-root", "text"),
    ("tlog_proof", "writ", "writ", "text"),
    ("bundle", "bundle", "bundle", "hex"),
    ("policy_bundle", "policy-bundle", "policy-bundle", "hex"),
];

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [vectors, corpus] = arguments.as_slice() else { panic!("usage: fuzz-seeds VECTORS CORPUS") };
    for &(target, format, check, field) in FROM_VECTORS {
        from_vectors(&vectors.join(format), &corpus.join(target), check, field);
    }
    vkeys(&vectors.join("ledger"), &corpus.join("vkey"));
    stories(&corpus.join("story"));
    println!("seeds written below {}", corpus.display());
}

fn cases(folder: &Path) -> Vec<(String, Json)> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn from_vectors(folder: &Path, seeds: &Path, check: &str, field: &str) {
    let found = cases(folder).into_iter().filter(|(_, case)| case["check"] == check).filter_map(|(name, case)| {
        let input = case["input"].get(field).and_then(Json::as_str)?;
        let bytes = if field == "text" { input.as_bytes().to_vec() } else { unhex(input) };
        let good = case["expect"].get("ok").is_some();
        (bytes.len() <= SEED_BYTES_MAX || good).then_some((!good, name, bytes))
    });
    // The good ones first: they are where mutations begin.
    let mut found: Vec<_> = found.collect();
    found.sort();
    for (_, name, bytes) in found.into_iter().take(SEEDS_MAX) {
        keep(seeds, &format!("{check}-{name}"), &bytes);
    }
}

fn vkeys(folder: &Path, seeds: &Path) {
    let case = cases(folder).into_iter().find(|(_, case)| case["check"] == "checkpoint").unwrap().1;
    for (number, vkey) in case["input"]["vkeys"].as_array().unwrap().iter().enumerate() {
        keep(seeds, &format!("vkey-{number}"), vkey.as_str().unwrap().as_bytes());
    }
}

/// The story in a ledger with the keys that the fuzz target signs with.
fn stories(seeds: &Path) {
    let home = std::env::temp_dir().join(format!("writ-fuzz-seeds-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let place = Place::new(home.join("ledger.db"), home.join("mark"));
    let secret = |algorithm, label: &str| Secret::from_seed(algorithm, *sha256(label.as_bytes()).as_bytes());
    let keys = || SecretPair {
        ed25519: secret(Algorithm::Ed25519, "fuzz ed25519"),
        ml_dsa_44: secret(Algorithm::MlDsa44, "fuzz ml-dsa-44"),
    };
    let mut genesis = Domain::new(BASE_MS).genesis();
    genesis.keys = keys().key_pair();
    let root = (1..=3).map(|number| SecretPair::new(&format!("{ORIGIN} root member {number}"))).collect();
    let domain = Domain::adopted(&Origin::new(ORIGIN).unwrap(), BASE_MS, genesis, keys(), root);
    Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()).unwrap();
    let ledger = Ledger::open(&place, domain.ledger_signer(), Options::new(|| BASE_MS + 60_000)).unwrap();
    run_script(&ledger, &domain);
    ledger.close().unwrap();
    let reader = Reader::open(&place.store).unwrap();
    let mut story = Vec::new();
    let mut index = 0;
    while let Some(entry) = reader.entry(LeafIndex::new(index)).unwrap() {
        story.extend(u16::try_from(entry.bytes.len()).unwrap().to_be_bytes());
        story.extend(entry.bytes);
        index += 1;
        if CUTS.contains(&index) {
            keep(seeds, &format!("story-{index}"), &story);
        }
    }
    std::fs::remove_dir_all(&home).unwrap();
}

fn keep(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
