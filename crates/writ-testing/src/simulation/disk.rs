//! The node's disk, which survives the node: a folder of which a kill leaves a copy, or a fault disk that loses its power.

use super::chance::Chance;
use crate::fault_disk::{FaultDisk, PowerCut};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use writ_ledger::{Phase, Place};

/// Phases in which a node can be struck while it works; a node that waits is struck by [`Disk::strike_idle`].
pub(super) const WORKING: [Phase; 6] =
    [Phase::Write, Phase::Seal, Phase::Sign, Phase::Commit, Phase::Mark, Phase::Publish];

pub(super) struct Disk {
    /// Before the folder that it is mounted in: fields end in this order.
    fault: Option<Arc<FaultDisk>>,
    home: TempDir,
    /// How often it was struck: each time the node goes on in another folder.
    lives: u64,
    place: Place,
    trap: Arc<Mutex<Trap>>,
}

#[derive(Default)]
struct Trap {
    armed: Option<(Phase, Blow)>,
    struck: Option<Phase>,
}

enum Blow {
    /// What a killed process leaves: everything that it has written, synced or not.
    Kill,
    /// What a disk keeps that loses its power.
    PowerCut(PowerCut),
}

impl Disk {
    pub(super) fn new(loses_power: bool) -> Self {
        let home = folder();
        let fault = loses_power.then(|| {
            let disk = FaultDisk::mount(&home.path().join("backing"), &home.path().join("disk"));
            Arc::new(disk)
        });
        let root = fault.as_ref().map_or_else(|| home.path().join("life-0"), |disk| disk.mountpoint().to_owned());
        std::fs::create_dir_all(&root).unwrap();
        Self { place: place_in(&root), home, lives: 0, fault, trap: Arc::default() }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn loses_power(&self) -> bool {
        self.fault.is_some()
    }

    /// The node will be struck when it next comes to this phase.
    pub(super) fn arm(&self, phase: Phase, chance: &mut Chance) {
        let blow = match self.loses_power() {
            true if chance.one_in(3) => Blow::PowerCut(PowerCut::DropAll),
            true => Blow::PowerCut(PowerCut::KeepRandomSectors(chance.below(u64::MAX))),
            false => Blow::Kill,
        };
        self.trap().armed = Some((phase, blow));
    }

    /// Strikes a node that waits for somebody to ask.
    pub(super) fn strike_idle(&self, chance: &mut Chance) {
        self.arm(Phase::Idle, chance);
        self.observer()(Phase::Idle);
    }

    /// For the ledger: called in each phase, on the thread that writes.
    pub(super) fn observer(&self) -> impl Fn(Phase) + Send + 'static {
        let (trap, fault) = (self.trap.clone(), self.fault.clone());
        let (from, to) = (self.place.clone(), place_in(&self.next_life()));
        move |phase| {
            let mut trap = trap.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((_, blow)) = trap.armed.take_if(|(at, _)| *at == phase) else { return };
            match (&blow, &fault) {
                (Blow::PowerCut(how), Some(disk)) => disk.power_cut(*how),
                (Blow::Kill | Blow::PowerCut(_), _) => copy(&from, &to),
            }
            trap.struck = Some(phase);
        }
    }

    /// Whether the node was struck since it began: then nothing that it says is heard any more.
    pub(super) fn struck(&self) -> Option<Phase> {
        self.trap().struck
    }

    /// Goes on with what is left, once the node is gone.
    pub(super) fn recover(&mut self) {
        *self.trap() = Trap::default();
        match &self.fault {
            Some(disk) => disk.restore(),
            None => {
                let (old, next) = (self.place.store.parent().unwrap().to_owned(), self.next_life());
                self.lives += 1;
                self.place = place_in(&next);
                std::fs::remove_dir_all(old).unwrap();
            }
        }
    }

    fn next_life(&self) -> std::path::PathBuf {
        self.home.path().join(format!("life-{}", self.lives + 1))
    }

    fn trap(&self) -> MutexGuard<'_, Trap> {
        self.trap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In memory where there is such a place: what is lost here is decided by the simulator, and not by the real disk.
fn folder() -> TempDir {
    let mut folder = tempfile::Builder::new();
    folder.prefix("writ-simulation-");
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { folder.tempdir_in(memory).unwrap() } else { folder.tempdir().unwrap() }
}

fn place_in(folder: &Path) -> Place {
    Place::new(folder.join("ledger.db"), folder.join("mark"))
}

/// The files of a ledger: not the memory that SQLite's processes share, nor the lock, which both end with the process.
fn copy(from: &Place, to: &Place) {
    std::fs::create_dir_all(to.store.parent().unwrap()).unwrap();
    let log = |store: &Path| {
        let mut name = store.as_os_str().to_owned();
        name.push("-wal");
        std::path::PathBuf::from(name)
    };
    std::fs::copy(&from.store, &to.store).unwrap();
    std::fs::copy(&from.mark, &to.mark).unwrap();
    if log(&from.store).exists() {
        std::fs::copy(log(&from.store), log(&to.store)).unwrap();
    }
}
