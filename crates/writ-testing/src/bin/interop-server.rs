//! Serves a fresh ledger to clients written by others (see `interop/`).
//!
//!     interop-server
//!
//! It prints two lines, the prefix of the log and the path of its trust root, and serves until standard input ends. For each line
//! read there, one more entry is appended, and the new size printed. In `writs/` beside the trust root are writs of the ledger.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test's server that fails must stop")]

use std::fs;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;
use writ_ledger::{Ledger, Options, Place, Receipt};
use writ_protocol::EntryType;
use writ_testing::scenario::{Domain, Standing, run_script};

/// After the story, batches of one entry, two, and so on to this: some 600 entries with their seals, in trees of many sizes.
const BATCH_ENTRIES_MAX: usize = 31;

fn main() {
    let folder = Folder::new();
    let place = Place::new(folder.0.join("store.db"), folder.0.join("mark"));
    let domain = Domain::new(now_ms());
    Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()).unwrap();
    let ledger = Ledger::open(&place, domain.ledger_signer(), Options::new(now_ms)).unwrap();
    let receipts = run_script(&ledger, &domain);
    for entries in 1..=BATCH_ENTRIES_MAX {
        deny(&ledger, &domain, entries);
    }
    let trust_root = folder.0.join("trust-root");
    fs::write(&trust_root, domain.trust_root().to_string()).unwrap();
    write_writs(&folder.0.join("writs"), &domain, &receipts);
    serve(&place.store, &trust_root, || deny(&ledger, &domain, 1));
    ledger.close().unwrap();
}

/// Serves until standard input ends; each of its lines makes the ledger grow.
fn serve(store: &Path, trust_root: &Path, grow: impl Fn() -> u64) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                // The sender says nothing: it goes.
                let stopped = async { stopped.await.unwrap_or(()) };
                writ_server::serve_log(listener, store, stopped, |report| panic!("{report}")).await
            })
        });
        tell(&format!("http://{address}\n{}", trust_root.display()));
        for _ in std::io::stdin().lock().lines() {
            tell(&grow().to_string());
        }
        drop(stop);
        server.join().unwrap().unwrap();
    });
}

/// Appends entries at once, and returns the size of the tree that has them all.
fn deny(ledger: &Ledger, domain: &Domain, entries: usize) -> u64 {
    let standing = Standing::of(&ledger.published());
    let (answer, answered) = channel();
    for _ in 0..entries {
        let answer = answer.clone();
        let denial = domain.denial(&standing).proposal();
        ledger.submit(denial, move |receipt| answer.send(receipt.unwrap().size()).unwrap()).unwrap();
    }
    drop(answer);
    answered.into_iter().max().unwrap().get()
}

fn write_writs(folder: &Path, domain: &Domain, receipts: &[Receipt]) {
    fs::create_dir(folder).unwrap();
    for receipt in receipts {
        if receipt.decode(domain.origin()).unwrap().body.entry_type() == EntryType::Grant {
            fs::write(folder.join(format!("{}.tlog-proof", receipt.index)), receipt.to_writ()).unwrap();
        }
    }
}

fn tell(line: &str) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Goes away with the server.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("writ-interop-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
