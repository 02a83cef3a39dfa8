//! The ledger as its owner sees it: made once, opened by one node at a time, appended to by many threads.

use crate::batch::{readable, store_full_tiles};
use crate::draft::Proposal;
use crate::error::LedgerError;
use crate::head::Head;
use crate::keys::LedgerSigner;
use crate::mark::{Mark, MarkFile, sync_parent};
use crate::phase::{Observer, Phase};
use crate::place::{Place, require_store};
use crate::receipt::Receipt;
use crate::records::{StoredRecords, project};
use crate::room::Room;
use crate::schema;
use crate::sequencer::{Clock, Message, Published, Sequencer};
use crate::store::{self, sql};
use rusqlite::Connection;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use writ_protocol::entry::{ControlHead, Genesis, Positive, Seal};
use writ_protocol::order::Accepted;
use writ_protocol::{Body, Entry, pinned_keys};
use writ_tlog::{Checkpoint, Hash, LeafIndex, Origin, Tree, leaf_hash};

/// Proposals that may wait; beyond that, askers wait.
const QUEUE: usize = 4096;

/// A ledger that this process writes.
pub struct Ledger {
    origin: Origin,
    queue: Option<SyncSender<Message>>,
    published: Arc<RwLock<Published>>,
    thread: Option<JoinHandle<Result<(), LedgerError>>>,
    stopped: Arc<RwLock<Option<String>>>,
}

/// How a ledger runs.
pub struct Options {
    clock: Box<Clock>,
    observer: Box<Observer>,
    bytes_max: Option<u64>,
}

impl Options {
    /// With a clock, and nobody watching the phases.
    pub fn new(clock: impl Fn() -> u64 + Send + 'static) -> Self {
        Self { clock: Box::new(clock), observer: Box::new(|_| {}), bytes_max: None }
    }

    /// Takes nothing new once the store holds so many bytes.
    #[must_use]
    pub fn within(mut self, bytes_max: Option<u64>) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Tells `observer` of each phase of each batch.
    #[must_use]
    pub fn observed(mut self, observer: impl Fn(Phase) + Send + 'static) -> Self {
        self.observer = Box::new(observer);
        self
    }
}

impl Ledger {
    /// Makes a new ledger: genesis and its seal, durable, signed and marked. Returns the entry hash of genesis, which trust roots pin.
    pub fn create(place: &Place, genesis: &Genesis, signer: &LedgerSigner) -> Result<Hash, LedgerError> {
        for path in [&place.store, &place.mark] {
            if path.exists() {
                return Err(LedgerError::Exists(path.clone()));
            }
        }
        if signer.key_pair()? != genesis.keys {
            return Err(LedgerError::WrongKeys);
        }
        let _lock = place.lock()?;
        let connection = schema::open_writer(&place.store, true)?;
        schema::create(&connection, signer.origin().as_str())?;
        let (hash, mark) = begin(&connection, genesis, signer)?;
        sync_parent(&place.store)?;
        MarkFile::create(&place.mark, mark)?;
        Ok(hash)
    }

    /// Opens a ledger for writing, once it agrees with itself, with its mark and with the keys given.
    pub fn open(place: &Place, signer: LedgerSigner, options: Options) -> Result<Self, LedgerError> {
        require_store(&place.store)?;
        let lock = place.lock()?;
        let connection = schema::open_writer(&place.store, false)?;
        let origin = signer.origin().clone();
        let found = schema::identify(&connection)?;
        if found != origin.as_str() {
            return Err(LedgerError::OtherLedger { found, expected: origin.to_string() });
        }
        let (mark, marked) = MarkFile::open(&place.mark)?;
        let head = Head::load(&connection, &origin)?;
        head.agrees_with(&connection, marked)?;
        head.signed_by(&signer)?;
        let pinned = pinned_keys(&origin, &signer.key_pair()?)?;
        let generation = take_over(&connection)?;
        let room = Room::of(&place.store, options.bytes_max);
        let published = Arc::new(RwLock::new(Published::of(&head, room.bytes(&connection)?, &room)));
        let sequencer = Sequencer {
            connection,
            head,
            generation,
            signer,
            pinned,
            mark,
            clock: options.clock,
            observer: options.observer,
            room,
            published: published.clone(),
            stopped: Arc::default(),
            // A node that was killed may have left them there.
            log_holds_erased: true,
            _lock: lock,
        };
        Self::start(origin, sequencer, published)
    }

    /// Says that the store as it is now is the newest, and makes a mark of it. Only for a mark that was lost, by somebody who knows.
    pub fn accept_mark(place: &Place) -> Result<Mark, LedgerError> {
        require_store(&place.store)?;
        let _lock = place.lock()?;
        let connection = schema::open_writer(&place.store, false)?;
        let origin = Origin::new(schema::identify(&connection)?)
            .map_err(|error| LedgerError::inconsistent(error.to_string()))?;
        let mark = Head::load(&connection, &origin)?.mark();
        MarkFile::replace(&place.mark, mark)?;
        Ok(mark)
    }

    fn start(origin: Origin, sequencer: Sequencer, published: Arc<RwLock<Published>>) -> Result<Self, LedgerError> {
        let (queue, messages): (SyncSender<Message>, Receiver<Message>) = sync_channel(QUEUE);
        let stopped = sequencer.stopped.clone();
        let stops = stopped.clone();
        let run = move || {
            let result = sequencer.run(&messages);
            if let Err(error) = &result {
                *stops.write().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
            result
        };
        let thread = std::thread::Builder::new()
            .name("sequencer".to_owned())
            .spawn(run)
            .map_err(|error| LedgerError::Stopped(format!("its thread could not be started: {error}")))?;
        Ok(Self { origin, queue: Some(queue), published, thread: Some(thread), stopped })
    }

    /// The ledger's origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The newest durable state.
    pub fn published(&self) -> Published {
        self.published.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Appends and waits until the entry is durable and proved.
    pub fn append(&self, proposal: Proposal) -> Result<Receipt, LedgerError> {
        let (answer, answered) = sync_channel(1);
        self.submit(proposal, move |result| {
            // The receiver waits below as long as the sender lives.
            answer.send(result).ok();
        })?;
        answered.recv().unwrap_or_else(|_| Err(self.why_stopped()))
    }

    /// Appends without waiting; `reply` is called on the sequencer's thread, so it must be quick.
    pub fn submit(
        &self,
        proposal: Proposal,
        reply: impl FnOnce(Result<Receipt, LedgerError>) + Send + 'static,
    ) -> Result<(), LedgerError> {
        let queue = self.queue.as_ref().ok_or_else(|| self.why_stopped())?;
        queue.send(Message { proposal, reply: Box::new(reply) }).map_err(|_| self.why_stopped())
    }

    /// Whether it still records; the error says why not.
    pub fn is_running(&self) -> Result<(), LedgerError> {
        match &*self.stopped.read().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(_) => Err(self.why_stopped()),
        }
    }

    /// Finishes what is queued, makes the mark durable and gives the store back.
    pub fn close(mut self) -> Result<(), LedgerError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), LedgerError> {
        self.queue = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(LedgerError::Stopped("the sequencer panicked".to_owned())),
            None => Ok(()),
        }
    }

    fn why_stopped(&self) -> LedgerError {
        let stopped = self.stopped.read().unwrap_or_else(PoisonError::into_inner);
        LedgerError::Stopped(stopped.clone().unwrap_or_else(|| "it was closed".to_owned()))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Whoever wants to know how it ended calls `close`.
        self.join().ok();
    }
}

/// Genesis and its seal: the batch 0, written like any other but with nothing before it to judge it by.
fn begin(connection: &Connection, genesis: &Genesis, signer: &LedgerSigner) -> Result<(Hash, Mark), LedgerError> {
    let origin = signer.origin();
    let entry = |body| Entry { origin: origin.clone(), body };
    let first = entry(Body::Genesis(genesis.clone()));
    let hash = leaf_hash(&first.encode()?);
    let control = ControlHead { seq: 0, head: hash, ledger: origin.clone() };
    let seal = entry(Body::Seal(Seal { batch: 0, count: Positive::ONE, first: 0, control, time_ms: genesis.time_ms }));
    let mut tree = Tree::new();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for one in [&first, &seal] {
        let bytes = readable(one)?;
        let at = LeafIndex::new(tree.size().get());
        let hash = leaf_hash(&bytes);
        connection.execute(
            "INSERT INTO entry (idx, hash, bytes) VALUES (?1, ?2, ?3)",
            (sql(at.get()), hash.as_bytes(), &bytes),
        )?;
        let records = StoredRecords { projections: connection, entries: connection, origin };
        project(&records, at, &hash, &one.body, &Accepted::AsItStands)?;
        tree.push(hash);
    }
    store_full_tiles(connection, &tree)?;
    let checkpoint = Checkpoint { origin: origin.clone(), size: tree.size(), root: tree.root() };
    let note = signer.sign(&checkpoint);
    store::keep_checkpoint(connection, checkpoint.size, &note)?;
    connection.execute_batch("COMMIT")?;
    Ok((hash, Mark { size: checkpoint.size, root: checkpoint.root }))
}

/// Raises the generation: a node that had the store before, on a file system whose locks failed it, finds out at its next batch.
fn take_over(connection: &Connection) -> Result<i64, LedgerError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute("UPDATE ledger SET generation = generation + 1", [])?;
    let generation = connection.query_row("SELECT generation FROM ledger", [], |row| row.get(0))?;
    connection.execute_batch("COMMIT")?;
    Ok(generation)
}
