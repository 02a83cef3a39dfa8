use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use writ_ledger::{LedgerError, Reader};
use writ_tlog::Resource;

/// Reads of the store at a time; each has a connection to it.
const READERS_MAX: usize = 8;

/// Opened readers of one store. A reader is used by one thread at a time, and outside the event loop, since it waits for a disk.
pub(crate) struct Readers {
    store: PathBuf,
    idle: Mutex<Vec<Reader>>,
    permits: Arc<Semaphore>,
}

/// Why nothing could be read. For the operator only: it names files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Store(#[from] LedgerError),
    #[error("reading the store did not end: {0}")]
    Unfinished(#[from] JoinError),
}

impl Readers {
    /// Opens the store, and asks it what every client asks first: a store that cannot tell is found before anyone is answered.
    pub(crate) fn open(store: &Path) -> Result<Self, LedgerError> {
        let reader = Reader::open(store)?;
        reader.checkpoint()?;
        Ok(Self {
            store: store.to_owned(),
            idle: Mutex::new(vec![reader]),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
        })
    }

    /// What the published tree has under a name.
    pub(crate) async fn resource(self: Arc<Self>, resource: Resource) -> Result<Option<Vec<u8>>, ReadError> {
        self.with(move |reader| reader.resource(&resource)).await
    }

    /// Whatever a read finds.
    pub(crate) async fn with<T: Send + 'static>(
        self: Arc<Self>,
        read: impl FnOnce(&Reader) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ReadError> {
        // Nobody closes the semaphore, so there is always a permit to come. It goes along with the read: when the client leaves,
        // the read goes on, and still counts.
        let permit = self.permits.clone().acquire_owned().await.ok();
        let run = move || {
            let _permit = permit;
            self.read(read)
        };
        Ok(spawn_blocking(run).await??)
    }

    fn read<T>(&self, read: impl FnOnce(&Reader) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let reader = match waiting {
            Some(reader) => reader,
            None => Reader::open(&self.store)?,
        };
        let found = read(&reader)?;
        // One that failed is not kept: the next request opens the store anew.
        idle().push(reader);
        Ok(found)
    }
}
