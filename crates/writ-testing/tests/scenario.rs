//! The scripted story in a real ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use writ_ledger::audit::audit;
use writ_ledger::{Ledger, Options, Place, Receipt};
use writ_protocol::action::{CommitmentKind, Opening};
use writ_protocol::{EntryType, WritVerifier};
use writ_testing::scenario::{Domain, Recorded, Standing, run_script, script};

const BASE_MS: u64 = 1_700_000_000_000;

struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("writ-scenario-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn place(&self) -> Place {
        Place::new(self.0.join("store.db"), self.0.join("mark"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn open(place: &Place, domain: &Domain) -> Ledger {
    Ledger::open(place, domain.ledger_signer(), Options::new(|| BASE_MS + 60_000)).unwrap()
}

fn told(name: &str) -> (Home, Domain, Ledger, Vec<Receipt>) {
    let (home, domain) = (Home::new(name), Domain::new(BASE_MS));
    let genesis = Ledger::create(&home.place(), &domain.genesis(), &domain.ledger_signer()).unwrap();
    assert_eq!(genesis, domain.genesis_hash());
    let ledger = open(&home.place(), &domain);
    let receipts = run_script(&ledger, &domain);
    (home, domain, ledger, receipts)
}

#[test]
fn the_script_has_every_type_of_entry() {
    let (_home, domain, _ledger, receipts) = told("types");
    let types = receipts.iter().map(|receipt| receipt.decode(domain.origin()).unwrap().body.entry_type());
    // Genesis and the seals come by themselves.
    let found: BTreeSet<_> = types.chain([EntryType::Genesis, EntryType::Seal]).collect();
    assert_eq!(found, EntryType::ALL.iter().copied().collect());
    assert_eq!(receipts.len(), script(&domain).len());
}

#[test]
fn a_ledger_with_the_script_opens_again_where_it_was() {
    let (home, domain, ledger, _) = told("again");
    let before = ledger.published();
    ledger.close().unwrap();
    let after = open(&home.place(), &domain).published();
    assert_eq!(after.checkpoint.checkpoint(), before.checkpoint.checkpoint());
    assert_eq!(after.control, before.control);
}

#[test]
fn each_grant_of_the_script_is_a_writ_and_nothing_else_is() {
    let (_home, domain, _ledger, receipts) = told("writs");
    let mut verifier = WritVerifier::new(domain.trust_root());
    let mut writs = 0;
    for receipt in &receipts {
        let verified = verifier.verify(&receipt.to_writ());
        let is_grant = receipt.decode(domain.origin()).unwrap().body.entry_type() == EntryType::Grant;
        assert_eq!(verified.is_ok(), is_grant, "entry {}: {verified:?}", receipt.index);
        writs += usize::from(is_grant);
    }
    assert_eq!(writs, 7);
}

#[test]
fn the_same_base_time_makes_the_same_entries() {
    let (_first_home, .., first) = told("first");
    let (_second_home, .., second) = told("second");
    let entries = |receipts: &[Receipt]| receipts.iter().map(|receipt| receipt.entry.clone()).collect::<Vec<_>>();
    assert_eq!(entries(&first), entries(&second));
}

#[test]
fn what_was_erased_is_in_no_file_of_the_store_while_the_node_runs() {
    let (home, domain) = (Home::new("erased"), Domain::new(BASE_MS));
    Ledger::create(&home.place(), &domain.genesis(), &domain.ledger_signer()).unwrap();
    let ledger = open(&home.place(), &domain);
    let draft = domain.grant(&Standing::of(&ledger.published())).to_group(domain.group()).proposal();
    let openings: Vec<Opening> = draft.openings.iter().cloned().map(Into::into).collect();
    let salt = openings.iter().find(|opening| opening.kind == CommitmentKind::Facts).unwrap().salt;
    let granted = Recorded::of(&ledger.append(draft).unwrap(), domain.origin(), openings);
    assert!(stored(&home, &salt), "the salt is there before it is erased, or this test shows nothing");
    ledger.append(domain.erase(&granted, CommitmentKind::Facts)).unwrap();
    assert!(!stored(&home, &salt));
}

/// Whether any file of the store holds these bytes.
fn stored(home: &Home, wanted: &[u8]) -> bool {
    let files = std::fs::read_dir(&home.0).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted))
}

#[test]
fn an_audit_beside_a_recording_node_finds_nothing() {
    let (home, domain) = (Home::new("beside"), Domain::new(BASE_MS));
    Ledger::create(&home.place(), &domain.genesis(), &domain.ledger_signer()).unwrap();
    let ledger = open(&home.place(), &domain);
    let (store, mark, trust) = (home.place().store, home.place().mark, domain.trust_root());
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            for _ in 0..200 {
                let draft = domain.grant(&Standing::of(&ledger.published())).to_group(domain.group());
                ledger.append(draft.proposal()).unwrap();
            }
        });
        while !appending.is_finished() {
            let report = audit(&store, Some(&mark), &trust, &mut |_, _| {}).unwrap();
            assert_eq!(report.findings, []);
        }
    });
    assert_eq!(audit(&store, Some(&mark), &trust, &mut |_, _| {}).unwrap().entries, 2 + 2 * 200);
}
