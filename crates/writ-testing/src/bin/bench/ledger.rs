//! The ledger alone: appending, and verifying what it answered.

use super::domain::now_ms;
use super::row::{Goal, ROUNDS, Row, each, percentile_ms, rate, rehearsed};
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use writ_ledger::{Ledger, Options, Phase, Place, Proposal, Receipt};
use writ_protocol::WritVerifier;
use writ_testing::scenario::{Domain, Standing};
use writ_tlog::{Algorithm, SigningKey};

const APPENDS: usize = rehearsed(6_400, 640);
/// Appends of each writer, where each phase is measured.
const APPENDS_EACH: usize = rehearsed(400, 10);

/// Verification of a writ against the raw signatures that it cannot do without.
pub(crate) fn verify_rows(home: &Path) -> Vec<Row> {
    let domain = domain();
    let (ledger, _place) = ledger(home, "verify", &domain);
    let writs: Vec<Vec<u8>> = (0..200).map(|_| ledger.append(grant(&ledger, &domain)).unwrap().to_writ()).collect();
    // All under one checkpoint: the receipts of one batch, as 64 askers at once get them.
    let batch = appended_at_once(&ledger, 64, grants(&ledger, &domain, 64));
    let same = &batch.last().unwrap().0.checkpoint;
    let together: Vec<Vec<u8>> = batch
        .iter()
        .map(|(receipt, _)| receipt)
        .filter(|receipt| receipt.checkpoint.is_same_note(same.note_bytes()))
        .map(Receipt::to_writ)
        .collect();
    let trust = domain.trust_root();
    let keys = [Algorithm::Ed25519, Algorithm::MlDsa44].map(|algorithm| SigningKey::from_seed(algorithm, &[7; 32]));
    let message = [42; 300];
    let signatures = keys.each_ref().map(|key| (key.verifying_key(), key.sign(&message)));
    let raw = |which: &[usize]| {
        each(200, || {
            for &one in which {
                signatures[one].0.verify(&message, &signatures[one].1).unwrap();
            }
        })
    };
    let mut first =
        Row::new("verify_first", "first writ under a checkpoint / its raw signatures", "µs", Goal::AtMost(1.3));
    let mut next = Row::new("verify_next", "further writ under it / one raw Ed25519", "µs", Goal::AtMost(0.18));
    for _ in 0..ROUNDS {
        // Each of them is under a checkpoint of its own.
        let mut verifier = WritVerifier::new(trust.clone());
        let mut turn = writs.iter().cycle();
        first.ours.push(each(200, || {
            verifier.verify(turn.next().unwrap()).unwrap();
        }));
        first.peer.push(raw(&[0, 1]));
        let mut verifier = WritVerifier::new(trust.clone());
        verifier.verify(&together[0]).unwrap();
        let mut turn = together.iter().cycle();
        next.ours.push(each(2_000, || {
            verifier.verify(turn.next().unwrap()).unwrap();
        }));
        next.peer.push(raw(&[0]));
    }
    vec![first, next]
}

/// Durable appends, ours with rules, idempotency, projections, vault, tree and two signatures, against one row a transaction in SQLite FULL.
pub(crate) fn append_rows(home: &Path) -> Vec<Row> {
    let what = "durable appends/s, 64 writers / single-row SQLite FULL";
    let mut many = Row::new("append_64", what, "/s", Goal::AtLeast(5.0));
    let mut late = Row::new("append_p99_ms", "the same, appended to proved, p99", "ms", Goal::AtMost(10.0));
    for took in append_rounds(home, 64, &mut many) {
        late.ours.push(percentile_ms(&took, 99));
    }
    let what = "durable appends/s, one writer / single-row SQLite FULL";
    let mut one = Row::new("append_1", what, "/s", Goal::AtLeast(0.2));
    append_rounds(home, 1, &mut one);
    vec![many, late, one]
}

/// Fills the row, and returns how long each append took, ascending, for each round.
fn append_rounds(home: &Path, writers: usize, row: &mut Row) -> Vec<Vec<Duration>> {
    let domain = domain();
    let (ledger, _place) = ledger(home, row.figure, &domain);
    let peer = sqlite(&home.join(format!("{}.peer", row.figure)));
    let each = APPENDS.min(writers * 400) / writers;
    let rounds = (0..ROUNDS).map(|_| {
        let proposals = grants(&ledger, &domain, writers * each);
        let begun = Instant::now();
        let appended = appended_at_once(&ledger, writers, proposals);
        row.ours.push(rate(appended.len(), begun.elapsed()));
        let begun = Instant::now();
        for _ in 0..400 {
            peer.execute("INSERT INTO entry (bytes) VALUES (?1)", [[7u8; 512]]).unwrap();
        }
        row.peer.push(rate(400, begun.elapsed()));
        let mut took: Vec<Duration> = appended.into_iter().map(|(_, took)| took).collect();
        took.sort_unstable();
        took
    });
    rounds.collect()
}

/// Each receipt, and how long it took. Each of the writers appends as soon as its last entry is proved; none is a thread of its own, as
/// none is in a node.
pub(crate) fn appended_at_once(ledger: &Ledger, writers: usize, proposals: Vec<Proposal>) -> Vec<(Receipt, Duration)> {
    let (proved, proofs) = channel();
    let (all, mut waiting) = (proposals.len(), proposals.into_iter());
    let mut append = || {
        let Some(proposal) = waiting.next() else { return };
        let (proved, begun) = (proved.clone(), Instant::now());
        ledger.submit(proposal, move |result| proved.send((result.unwrap(), begun.elapsed())).unwrap()).unwrap();
    };
    (0..writers).for_each(|_| append());
    proofs.iter().take(all).inspect(|_| append()).collect()
}

/// Where the time of a batch goes: prints the mean of each phase.
pub(crate) fn phases(home: &Path) -> Vec<Row> {
    for writers in [1, 64] {
        let (domain, spent) = (domain(), Arc::new(Mutex::new(Spent::default())));
        let noted = spent.clone();
        let options = Options::new(now_ms).observed(move |phase| noted.lock().unwrap().enter(phase));
        let ledger = opened(home, &format!("phases-{writers}"), &domain, options).0;
        appended_at_once(&ledger, writers, grants(&ledger, &domain, writers * APPENDS_EACH / 4));
        let proposals = grants(&ledger, &domain, writers * APPENDS_EACH);
        *spent.lock().unwrap() = Spent::default();
        let begun = Instant::now();
        appended_at_once(&ledger, writers, proposals);
        let elapsed = begun.elapsed().as_secs_f64() * 1e6;
        let spent = spent.lock().unwrap();
        let batches = spent.batches as f64;
        let (size, each) = ((writers * APPENDS_EACH) as f64 / batches, elapsed / batches);
        println!("{writers} writers: {size:.1} entries and {each:.0} µs a batch, of which");
        for (phase, took) in Phase::ALL.iter().zip(spent.took) {
            println!("  {:<8} {:>6.0} µs", phase.as_str(), took.as_secs_f64() * 1e6 / batches);
        }
    }
    Vec::new()
}

#[derive(Default)]
struct Spent {
    took: [Duration; Phase::ALL.len()],
    batches: u64,
    now: Option<(Phase, Instant)>,
}

impl Spent {
    fn enter(&mut self, phase: Phase) {
        let at = Instant::now();
        if let Some((before, since)) = self.now.replace((phase, at)) {
            self.took[before as usize] += at - since;
        }
        self.batches += u64::from(phase == Phase::Commit);
    }
}

fn domain() -> Domain {
    Domain::new(1_700_000_000_000)
}

fn ledger(home: &Path, name: &str, domain: &Domain) -> (Ledger, Place) {
    opened(home, name, domain, Options::new(now_ms))
}

fn opened(home: &Path, name: &str, domain: &Domain, options: Options) -> (Ledger, Place) {
    let place = Place::new(home.join(format!("{name}.db")), home.join(format!("{name}.mark")));
    Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()).unwrap();
    let ledger = Ledger::open(&place, domain.ledger_signer(), options).unwrap();
    (ledger, place)
}

/// Made before anything is measured, as requests are.
fn grants(ledger: &Ledger, domain: &Domain, count: usize) -> Vec<Proposal> {
    (0..count).map(|_| grant(ledger, domain)).collect()
}

fn grant(ledger: &Ledger, domain: &Domain) -> Proposal {
    domain.grant(&Standing::of(&ledger.published())).to_group(domain.group()).proposal()
}

fn sqlite(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE entry (idx INTEGER PRIMARY KEY, bytes BLOB)")
        .unwrap();
    connection
}
