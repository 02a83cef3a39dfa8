//! The rules of order, reached through a bundle that is genuinely proved: a dishonest ledger signs whatever entries the input has.
//!
//! Input: entries, each with a two-byte big-endian length. The first is taken for the pinned genesis.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use writ_protocol::bundle::{Bundle, ProvedEntry};
use writ_protocol::{Body, DomainId};
use writ_protocol::{Entry, Key, KeyPair, PinnedLedger, TrustRoot};
use writ_tlog::{
    Algorithm, Checkpoint, LeafIndex, NoteSigner, Origin, SigningKey, Tree, leaf_hash, prove_inclusion, sha256,
    sign_checkpoint,
};

struct Ledger {
    origin: Origin,
    signers: [NoteSigner; 2],
}

static LEDGER: LazyLock<Ledger> = LazyLock::new(|| {
    let origin = Origin::new("writ.example/ledger/demo").expect("an origin");
    let keys = [(Algorithm::Ed25519, "fuzz ed25519"), (Algorithm::MlDsa44, "fuzz ml-dsa-44")];
    let signers = keys.map(|(algorithm, label)| {
        NoteSigner::new(
            origin.key_name().clone(),
            SigningKey::from_seed(algorithm, sha256(label.as_bytes()).as_bytes()),
        )
    });
    Ledger { origin, signers }
});

fuzz_target!(|data: &[u8]| {
    let entries = entries(data);
    let Some(trust) = pins(&entries) else { return };
    let mut tree = Tree::new();
    for entry in &entries {
        tree.push(leaf_hash(entry));
    }
    let checkpoint = Checkpoint { origin: LEDGER.origin.clone(), size: tree.size(), root: tree.root() };
    let prove = |(index, bytes): (usize, &Vec<u8>)| {
        let index = LeafIndex::new(index as u64);
        let proof = prove_inclusion(index, tree.size(), &tree).expect("all nodes are held");
        ProvedEntry { index, bytes: bytes.clone(), proof }
    };
    let bundle = Bundle {
        checkpoint: sign_checkpoint(&checkpoint, &LEDGER.signers),
        entries: entries.iter().enumerate().map(prove).collect(),
        openings: Vec::new(),
        subject: LeafIndex::new(entries.len().saturating_sub(2) as u64),
    };
    let _ = Bundle::verify(&bundle.encode(), &trust);
});

fn entries(mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (entry, rest) = rest.split_at(length);
        entries.push(entry.to_vec());
        data = rest;
    }
    entries
}

/// Pins what the first entry says, so that the walk begins whatever it is; the keys that sign are ours.
fn pins(entries: &[Vec<u8>]) -> Option<TrustRoot> {
    let first = entries.first()?;
    let Body::Genesis(genesis) = Entry::decode(first, &LEDGER.origin).ok()?.body else { return None };
    let [ed25519, ml_dsa_44] = LEDGER.signers.each_ref().map(|signer| Key::from(signer.verifier().key().clone()));
    let keys = KeyPair::new(ed25519, ml_dsa_44).ok()?;
    if genesis.keys != keys {
        return None;
    }
    let domain: DomainId = genesis.domain;
    Some(TrustRoot::new(domain, PinnedLedger::new(LEDGER.origin.clone(), leaf_hash(first), keys).ok()?))
}
