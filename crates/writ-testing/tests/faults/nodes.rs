//! One node at a time, with the right keys and a clock that can be believed.

use crate::rig::{BASE_MS, Home, clean, deny, now_ms, published, size_of};
use rusqlite::Connection;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use writ_ledger::{Ledger, LedgerError, LedgerSigner, Options, Place, audit::audit};
use writ_protocol::statement::RootCommand;
use writ_protocol::{Code, TrustRoot};
use writ_testing::load::Line;
use writ_testing::scenario::{Domain, SecretPair};

const HOUR_MS: u64 = 3_600_000;

fn made() -> (Home, Place, Domain) {
    let (home, domain) = (Home::new(), Domain::new(BASE_MS));
    Ledger::create(&home.place(), &domain.genesis(), &domain.ledger_signer()).unwrap();
    let place = home.place();
    (home, place, domain)
}

fn open(place: &Place, domain: &Domain) -> Result<Ledger, LedgerError> {
    Ledger::open(place, domain.ledger_signer(), Options::new(now_ms))
}

/// Another process on the store. Killed when it is dropped.
struct Node {
    process: Child,
    out: BufReader<ChildStdout>,
}

impl Node {
    fn start(place: &Place) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ledger-load"))
            .arg("--store")
            .arg(&place.store)
            .arg("--mark")
            .arg(&place.mark)
            .args(["--base-ms", &BASE_MS.to_string(), "--from", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        Self { process, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_second_node_in_the_same_process_is_refused() {
    let (_home, place, domain) = made();
    let ledger = open(&place, &domain).unwrap();
    let before = published(&ledger);
    assert!(matches!(open(&place, &domain), Err(LedgerError::Locked(_))));
    assert!(matches!(Ledger::accept_mark(&place), Err(LedgerError::Locked(_))));
    assert_eq!(size_of(&place.store), before);
    deny(&ledger, &domain).unwrap();
    ledger.close().unwrap();
    open(&place, &domain).unwrap().close().unwrap();
    clean(&place, &domain);
}

#[test]
fn a_second_node_in_another_process_is_refused_on_either_side() {
    let (_home, place, domain) = made();
    let mut other = Node::start(&place);
    assert!(matches!(other.line().trim_end().parse(), Ok(Line::Opened(_))));
    assert!(matches!(open(&place, &domain), Err(LedgerError::Locked(_))));
    drop(other);
    // The kernel gives the lock of a killed process back.
    let ledger = open(&place, &domain).unwrap();
    let before = published(&ledger);
    let mut other = Node::start(&place);
    assert_eq!(other.line(), "", "it ends without a word on standard output");
    let mut why = String::new();
    std::io::Read::read_to_string(&mut other.process.stderr.take().unwrap(), &mut why).unwrap();
    assert!(why.contains("Locked"), "{why}");
    assert_eq!(size_of(&place.store), before);
    deny(&ledger, &domain).unwrap();
    ledger.close().unwrap();
    clean(&place, &domain);
}

#[test]
fn a_node_whose_store_was_taken_over_records_nothing_more_and_stops() {
    let (_home, place, domain) = made();
    let ledger = open(&place, &domain).unwrap();
    deny(&ledger, &domain).unwrap();
    let before = published(&ledger);
    let other = Connection::open(&place.store).unwrap();
    other.execute("UPDATE ledger SET generation = generation + 1", []).unwrap();
    let error = deny(&ledger, &domain).unwrap_err();
    assert!(matches!(&error, LedgerError::NotRecorded(why) if why.contains("another node")), "{error}");
    assert!(matches!(deny(&ledger, &domain), Err(LedgerError::Stopped(_))));
    assert_eq!((published(&ledger), size_of(&place.store)), (before, before));
    let why = ledger.close().unwrap_err();
    assert!(matches!(why, LedgerError::Fenced { found, ours } if found == ours + 1), "{why}");
    open(&place, &domain).unwrap().close().unwrap();
    clean(&place, &domain);
}

#[test]
fn while_the_clock_is_behind_nothing_is_recorded_and_once_it_is_right_the_ledger_goes_on() {
    let (_home, place, domain) = made();
    let clock = Arc::new(AtomicU64::new(BASE_MS + 10 * HOUR_MS));
    let set = |ms: u64| clock.store(ms, Ordering::Relaxed);
    let read = clock.clone();
    let options = Options::new(move || read.load(Ordering::Relaxed));
    let ledger = Ledger::open(&place, domain.ledger_signer(), options).unwrap();
    let now = clock.load(Ordering::Relaxed);
    let mut last = now;
    // An hour back; a little back, which is forgiven; an hour forward; the true time again, now an hour behind the last seal.
    for (time_ms, trusted) in
        [(now, true), (now - HOUR_MS, false), (now - 4_000, true), (now, true), (now + HOUR_MS, true), (now, false)]
    {
        set(time_ms);
        let before = published(&ledger);
        let result = deny(&ledger, &domain);
        match result {
            Ok(receipt) => assert!(trusted && receipt.size().get() > before, "{time_ms}"),
            Err(LedgerError::Refused(refusal)) => {
                assert!(!trusted && refusal.code() == Code::ClockUntrusted, "{time_ms}: {refusal}");
                assert_eq!((published(&ledger), size_of(&place.store)), (before, before));
            }
            Err(other) => panic!("{time_ms}: {other}"),
        }
        last = last.max(time_ms);
    }
    set(last);
    deny(&ledger, &domain).unwrap();
    ledger.close().unwrap();
    clean(&place, &domain);
}

#[test]
fn new_ledger_keys_stop_the_node_and_only_they_open_the_ledger_again() {
    let (_home, place, domain) = made();
    let next = SecretPair::new("the next keys");
    let with_next = || LedgerSigner::from_seeds(domain.origin().clone(), next.ed25519.seed(), next.ml_dsa_44.seed());
    let ledger = open(&place, &domain).unwrap();
    deny(&ledger, &domain).unwrap();
    let order = ledger.append(domain.root_order(RootCommand::LedgerKeys(next.key_pair()))).unwrap();
    let rotated = order.size();
    let error = deny(&ledger, &domain).unwrap_err();
    assert!(matches!(&error, LedgerError::Stopped(why) if why.contains("new keys")), "{error}");
    let why = ledger.close().unwrap_err();
    assert!(matches!(&why, LedgerError::Stopped(why) if why.contains("new keys")), "{why}");
    assert!(matches!(open(&place, &domain), Err(LedgerError::WrongKeys)));
    assert_eq!(size_of(&place.store), rotated.get());
    clean(&place, &domain);

    let ledger = Ledger::open(&place, with_next(), Options::new(now_ms)).unwrap();
    assert!(deny(&ledger, &domain).unwrap().size() > rotated);
    ledger.close().unwrap();
    assert!(matches!(open(&place, &domain), Err(LedgerError::WrongKeys)));
    let mut pinned = domain.pinned_ledger();
    pinned.rotate(rotated.get() + 1, next.key_pair()).unwrap();
    let both = TrustRoot::new(domain.id(), pinned);
    let findings = |trust: &TrustRoot| audit(&place.store, Some(&place.mark), trust, &mut |_, _| {}).unwrap().findings;
    assert_eq!(findings(&both), []);
    let with_old_only = findings(&domain.trust_root());
    assert!(with_old_only.iter().any(|finding| finding.name() == "checkpoint_signature"), "{with_old_only:?}");
}

#[test]
fn keys_and_ledgers_are_not_mistaken_for_one_another() {
    let (_home, place, domain) = made();
    let other = Domain::at("writ.example/ledger/other", BASE_MS);
    let thief = SecretPair::new("thief");
    let before = std::fs::read(&place.store).unwrap();
    let opened = Ledger::open(&place, other.ledger_signer(), Options::new(now_ms));
    assert!(matches!(opened, Err(LedgerError::OtherLedger { .. })));
    let signer = LedgerSigner::from_seeds(domain.origin().clone(), thief.ed25519.seed(), thief.ml_dsa_44.seed());
    assert!(matches!(Ledger::open(&place, signer, Options::new(now_ms)), Err(LedgerError::WrongKeys)));
    // One right key of two is not enough.
    let keys = domain.ledger_keys();
    let signer = LedgerSigner::from_seeds(domain.origin().clone(), keys.ed25519.seed(), thief.ml_dsa_44.seed());
    assert!(matches!(Ledger::open(&place, signer, Options::new(now_ms)), Err(LedgerError::WrongKeys)));
    assert_eq!(std::fs::read(&place.store).unwrap(), before);
    assert!(matches!(Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()), Err(LedgerError::Exists(_))));
    open(&place, &domain).unwrap().close().unwrap();
    clean(&place, &domain);
}
