use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use writ_ledger::Phase;

/// Written while no batch has been begun.
const OPENING: u8 = u8::MAX;

/// One byte that says in which phase a process is. It outlives the process, however that ends, so it says where a kill struck.
#[derive(Debug)]
pub struct PhaseFile(File);

impl PhaseFile {
    /// Makes it, or begins again.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let file = Self::open(path)?;
        file.0.write_all_at(&[OPENING], 0)?;
        Ok(file)
    }

    /// Opens it, as it is.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map(Self)
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.0.write_all_at(&[phase as u8], 0).unwrap();
    }

    /// The phase entered last; none before the ledger is open.
    pub fn phase(&self) -> Option<Phase> {
        let mut byte = [OPENING];
        self.0.read_exact_at(&mut byte, 0).unwrap();
        Phase::ALL.iter().copied().find(|phase| *phase as u8 == byte[0])
    }
}
