//! A domain in the folder that `writ init` made.

use super::domain::Domain;
use super::secrets::{Secret, SecretPair};
use std::path::Path;
use writ_ledger::Reader;
use writ_protocol::{Body, Entry};
use writ_tlog::{Algorithm, LeafIndex};

impl Domain {
    /// The domain of a folder, with the keys in it and its genesis from its ledger; what is made in it is of `base_ms` and after.
    ///
    /// # Panics
    /// If the folder is not as `writ init` leaves it.
    pub fn in_folder(dir: &Path, base_ms: u64) -> Self {
        let reader = Reader::open(&dir.join("ledger.db")).unwrap();
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
        Self::adopted(&origin, base_ms, genesis, ledger, root)
    }
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
