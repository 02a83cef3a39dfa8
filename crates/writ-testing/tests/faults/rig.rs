//! A ledger on a disk that can fail, and what is known of it.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use writ_ledger::{Ledger, LedgerError, Options, Place, Reader, Receipt, audit::audit};
use writ_testing::fault_disk::FaultDisk;
use writ_testing::load::{Line, Memory, append_all};
use writ_testing::scenario::{Domain, Standing};

pub(crate) const BASE_MS: u64 = 1_700_000_000_000;

/// A directory that goes with its owner.
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("writ-faults-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn place(&self) -> Place {
        Place::new(self.path("ledger.db"), self.path("mark"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Where the mark lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkOn {
    /// A disk that never fails.
    Safe,
    /// The disk of the store.
    Same,
    /// A fault disk of its own.
    Own,
}

/// A new ledger on a fault disk. Fields in the order in which they must go.
pub(crate) struct Rig {
    pub(crate) disk: FaultDisk,
    pub(crate) mark_disk: Option<FaultDisk>,
    pub(crate) place: Place,
    pub(crate) domain: Domain,
    memory: Mutex<Memory>,
    _home: Home,
}

impl Rig {
    pub(crate) fn new(mark: MarkOn, appenders: usize) -> Self {
        let home = Home::new();
        let mount = |name: &str| FaultDisk::mount(&home.path(&format!("{name}-backing")), &home.path(name));
        let disk = mount("disk");
        let mark_disk = (mark == MarkOn::Own).then(|| mount("mark-disk"));
        let marked = match (mark, &mark_disk) {
            (MarkOn::Same, _) => disk.mountpoint().join("mark"),
            (_, Some(own)) => own.mountpoint().join("mark"),
            (_, None) => home.path("mark"),
        };
        let place = Place::new(disk.mountpoint().join("ledger.db"), marked);
        let domain = Domain::new(BASE_MS);
        Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()).unwrap();
        let memory = Mutex::new(Memory::new(&domain, domain.trust_root(), appenders));
        let rig = Self { disk, mark_disk, place, domain, memory, _home: home };
        rig.hold();
        rig
    }

    pub(crate) fn open(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.place, self.domain.ledger_signer(), Options::new(now_ms))
    }

    /// Runs the appenders from where they are known to be, each for so many stories more, and remembers what they are told.
    pub(crate) fn append(&self, ledger: &Ledger, more: u64, heard: impl Fn(&Line) + Sync) -> Result<(), LedgerError> {
        let stories = self.stories();
        let until = stories.iter().max().unwrap().saturating_add(more);
        let lines = Mutex::new(Vec::new());
        let tell = |line: Line| {
            heard(&line);
            lines.lock().unwrap().push(line);
        };
        let result = append_all(ledger, &self.domain, &stories, until, &tell);
        let mut memory = self.memory.lock().unwrap();
        lines.into_inner().unwrap().into_iter().for_each(|line| memory.hear(line));
        result
    }

    /// Remembers what an appender elsewhere was told.
    pub(crate) fn hear(&self, line: Line) {
        self.memory.lock().unwrap().hear(line);
    }

    /// Whether the store has what was asked for, as of when it was last held against what is known.
    pub(crate) fn is_recorded(&self, asked: &str) -> bool {
        self.memory.lock().unwrap().is_recorded(asked)
    }

    pub(crate) fn stories(&self) -> Vec<u64> {
        self.memory.lock().unwrap().stories().to_vec()
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.memory.lock().unwrap().acknowledged
    }

    /// Everything acknowledged is there, and the history is the one that was shown before.
    pub(crate) fn hold(&self) {
        self.memory.lock().unwrap().hold_against(&Reader::open(&self.place.store).unwrap());
    }

    /// Also, nothing is found by an audit.
    pub(crate) fn audit(&self) {
        self.memory.lock().unwrap().hold_all_against(&Reader::open(&self.place.store).unwrap());
        clean(&self.place, &self.domain);
    }

    /// How much the store says is published.
    pub(crate) fn size(&self) -> u64 {
        size_of(&self.place.store)
    }
}

pub(crate) fn size_of(store: &Path) -> u64 {
    Reader::open(store).unwrap().view().unwrap().size().get()
}

pub(crate) fn clean(place: &Place, domain: &Domain) {
    let report = audit(&place.store, Some(&place.mark), &domain.trust_root(), &mut |_, _| {}).unwrap();
    assert_eq!(report.findings, []);
}

/// One more entry.
pub(crate) fn deny(ledger: &Ledger, domain: &Domain) -> Result<Receipt, LedgerError> {
    ledger.append(domain.denial(&Standing::of(&ledger.published())).proposal())
}

pub(crate) fn published(ledger: &Ledger) -> u64 {
    ledger.published().checkpoint.checkpoint().size.get()
}

pub(crate) fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
