//! A domain whose ledger has grown: made once by the real ledger, and kept below the build folder for the next time.

use super::domain::{Node, SLOTS, init, mark, now_ms};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use writ_ledger::{Ledger, Options, Place, Proposal};
use writ_testing::scenario::{Domain, Standing};

/// When what is in it was made, by its own account.
const BASE_MS: u64 = 1_700_000_000_000;
/// A grant takes fewer numbers than this.
const MADE_BY_GRANT: u64 = 8;
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// A domain with an open ledger.
pub(crate) struct Grown {
    pub(crate) dir: PathBuf,
    pub(crate) domain: Domain,
    pub(crate) ledger: Ledger,
}

impl Grown {
    /// Opens a domain with so many entries, and makes it where there is none. It is no copy, which would take gigabytes: what a run
    /// appends stays, and a ledger that has become a quarter too large is made again.
    pub(crate) fn of(entries: u64) -> Self {
        let dir = kept_in().join(entries.to_string());
        if dir.exists() {
            let (domain, ledger) = open(&dir);
            if size(&ledger) < entries + entries / 4 {
                return Self { dir, domain, ledger };
            }
            drop(ledger);
            std::fs::remove_dir_all(&dir).unwrap();
        }
        make(&dir, entries);
        let (domain, ledger) = open(&dir);
        Self { dir, domain, ledger }
    }

    pub(crate) fn size(&self) -> u64 {
        size(&self.ledger)
    }

    /// The next grant, under the policy in force, as one of those it has.
    pub(crate) fn grant(&self) -> Proposal {
        grant(&self.domain, &self.ledger)
    }
}

fn open(dir: &Path) -> (Domain, Ledger) {
    let domain = Domain::in_folder(dir, BASE_MS);
    let place = Place::new(dir.join("ledger.db"), mark(dir));
    let ledger = Ledger::open(&place, domain.ledger_signer(), Options::new(now_ms)).unwrap();
    (domain.after(size(&ledger) * MADE_BY_GRANT), ledger)
}

fn size(ledger: &Ledger) -> u64 {
    ledger.published().checkpoint.checkpoint().size.get()
}

fn grant(domain: &Domain, ledger: &Ledger) -> Proposal {
    let published = ledger.published();
    let policy = published.control.policy().expect("its node was up once");
    let draft = domain.grant(&Standing::of(&published)).to_group(domain.group());
    draft.under_active(policy).proposal()
}

fn make(dir: &Path, entries: u64) {
    println!("  making a ledger of {entries} entries in {}, for this run and those after it", dir.display());
    let making = dir.with_file_name("making");
    for left in [&making, &mark(&making), &mark(dir)] {
        std::fs::remove_dir_all(left).or_else(|_| std::fs::remove_file(left)).ok();
    }
    init(&making, 10, 10);
    // Policy and gateways come onto the chain, so that a later start finds nothing to do.
    Node::up(&making, SLOTS).stop();
    let (domain, ledger) = open(&making);
    grow(&domain, &ledger, entries);
    ledger.close().unwrap();
    std::fs::rename(mark(&making), mark(dir)).unwrap();
    std::fs::rename(&making, dir).unwrap();
}

/// In batches as large as the ledger makes them.
fn grow(domain: &Domain, ledger: &Ledger, entries: u64) {
    let (begun, mut told) = (Instant::now(), Instant::now());
    while size(ledger) < entries {
        ledger.submit(grant(domain, ledger), |appended| drop(appended.unwrap())).unwrap();
        if told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            let (size, s) = (size(ledger), begun.elapsed().as_secs_f64());
            println!("  {size} of {entries} entries after {s:.0} s, {:.0}/s", size as f64 / s);
        }
    }
}

/// Of this layout of the store.
fn kept_in() -> PathBuf {
    let home = tempfile::tempdir().unwrap();
    let new = home.path().join("new");
    init(&new, 1, 1);
    let store = rusqlite::Connection::open(new.join("ledger.db")).unwrap();
    let layout: i64 = store.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let built = std::env::current_exe().unwrap();
    let kept = built.ancestors().nth(2).unwrap().join(format!("bench-ledgers/layout-{layout}"));
    std::fs::create_dir_all(&kept).unwrap();
    kept
}
