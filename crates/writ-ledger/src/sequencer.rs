//! The one thread that writes. It owns the connection, the head, the keys and the mark.

use crate::batch::{Batch, Outcome};
use crate::draft::{Draft, Proposal};
use crate::error::LedgerError;
use crate::head::Head;
use crate::keys::LedgerSigner;
use crate::mark::MarkFile;
use crate::phase::{Observer, Phase};
use crate::place::Lock;
use crate::receipt::Receipt;
use crate::room::{self, Room};
use crate::schema;
use crate::store::{self, StoredNodes};
use rusqlite::Connection;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use writ_protocol::order::ControlState;
use writ_protocol::{Code, Refusal};
use writ_tlog::{LeafIndex, Overlay, PinnedKeys, VerifiedCheckpoint, prove_inclusion};

/// Proposals in one batch, at most.
const BATCH_PROPOSALS_MAX: usize = 1024;
/// Vault bytes in one batch, at most (one proposal may exceed it alone).
const BATCH_VAULT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often, and how long, it is waited for those who were there in the batch before.
const MOMENTS_MAX: usize = 8;
const MOMENT: Duration = Duration::from_micros(50);
/// How often it is looked whether the log of a full store can be emptied.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// How far the clock may be behind the last seal before nothing is recorded any more.
const CLOCK_BEHIND_MS_MAX: u64 = 5_000;

/// Tells the time, in milliseconds since 1970.
pub type Clock = dyn Fn() -> u64 + Send;
/// Where an answer goes.
pub(crate) type Reply = Box<dyn FnOnce(Result<Receipt, LedgerError>) + Send>;

pub(crate) struct Message {
    pub(crate) proposal: Proposal,
    pub(crate) reply: Reply,
}

/// What everybody may read: the newest durable state.
#[derive(Clone, Debug)]
pub struct Published {
    /// The newest checkpoint.
    pub checkpoint: Arc<VerifiedCheckpoint>,
    /// What the control chain says there.
    pub control: Arc<ControlState>,
    /// What the store holds there, in bytes of its file and of its log.
    pub bytes: u64,
    /// Beyond how many of them it takes nothing new, if there is a bound.
    pub bytes_max: Option<u64>,
}

impl Published {
    pub(crate) fn of(head: &Head, bytes: u64, room: &Room) -> Self {
        let (checkpoint, control) = (head.checkpoint.clone(), head.control.clone());
        Self { checkpoint, control, bytes, bytes_max: room.bytes_max() }
    }

    /// Whether something new would be taken; the refusal says why not.
    pub fn has_room(&self) -> Result<(), Refusal> {
        self.bytes_max.map_or(Ok(()), |bytes_max| room::judge(self.bytes, bytes_max))
    }
}

pub(crate) struct Sequencer {
    pub(crate) connection: Connection,
    pub(crate) head: Head,
    pub(crate) generation: i64,
    pub(crate) signer: LedgerSigner,
    /// The signer's keys, to verify what it signs.
    pub(crate) pinned: PinnedKeys,
    pub(crate) mark: MarkFile,
    pub(crate) clock: Box<Clock>,
    pub(crate) observer: Box<Observer>,
    /// How large the store may become before it takes nothing new.
    pub(crate) room: Room,
    pub(crate) published: Arc<RwLock<Published>>,
    /// Why it stopped, once it has. Known before anybody is told of the failure: whoever asks then is not told that all is well.
    pub(crate) stopped: Arc<RwLock<Option<String>>>,
    /// Whether erased values may still be in SQLite's write-ahead log.
    pub(crate) log_holds_erased: bool,
    /// Held as long as this node may write.
    pub(crate) _lock: Lock,
}

impl Sequencer {
    /// Runs until every sender is gone or nothing can be recorded any more. Returns why it stopped, if something was wrong.
    pub(crate) fn run(mut self, queue: &Receiver<Message>) -> Result<(), LedgerError> {
        let mut expected = 1;
        loop {
            (self.observer)(Phase::Idle);
            let first = self.next(queue).map_err(|stopped| refuse_the_rest(queue, stopped))?;
            let Some(first) = first else { break };
            let messages = gather(first, queue, expected);
            // Somebody alone is never made to wait, and a crowd that has gone is soon forgotten.
            expected = messages.len() * 3 / 4;
            self.batch(messages).map_err(|stopped| refuse_the_rest(queue, stopped))?;
        }
        self.mark.sync()
    }

    /// Waits for the next proposal. Where the log takes the room that is left, whoever reads it may have ended meanwhile: nobody has to ask in
    /// vain before there is room again.
    fn next(&mut self, queue: &Receiver<Message>) -> Result<Option<Message>, LedgerError> {
        while self.is_full_by_its_log() {
            match queue.recv_timeout(FULL_PAUSE) {
                Ok(message) => return Ok(Some(message)),
                Err(RecvTimeoutError::Timeout) => self.shrink()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
        Ok(queue.recv().ok())
    }

    /// Records one batch and answers it. An `Err` means that this node must not go on.
    fn batch(&mut self, messages: Vec<Message>) -> Result<(), LedgerError> {
        let (proposals, replies): (Vec<_>, Vec<_>) =
            messages.into_iter().map(|message| (message.proposal, message.reply)).unzip();
        match self.record(proposals) {
            Ok(outcomes) => {
                self.answer(outcomes, replies);
                self.head.tree.trim();
                self.still_ours()
            }
            Err(error) => {
                let answers: Vec<LedgerError> = replies.iter().map(|_| as_answer(&error)).collect();
                let recovered = self.recover(error);
                if let Err(stops) = &recovered {
                    *self.stopped.write().unwrap_or_else(PoisonError::into_inner) = Some(stops.to_string());
                }
                for (reply, answer) in replies.into_iter().zip(answers) {
                    reply(Err(answer));
                }
                recovered
            }
        }
    }

    fn record(&mut self, proposals: Vec<Proposal>) -> Result<Vec<Outcome>, LedgerError> {
        let now_ms = self.trusted_time()?;
        if self.is_full_by_its_log() {
            self.shrink()?;
        }
        let mut batch = Batch::begin(&self.connection, &self.head, self.generation, &self.observer)?.within(&self.room);
        self.log_holds_erased |= proposals.iter().any(|proposal| matches!(proposal.draft, Draft::Erasure(_)));
        let outcomes = proposals.into_iter().map(|proposal| batch.add(proposal)).collect::<Result<Vec<_>, _>>()?;
        if batch.is_empty() {
            self.connection.execute_batch("ROLLBACK")?;
            return Ok(outcomes);
        }
        let (head, bytes) = batch.commit(&self.signer, &self.pinned, now_ms)?;
        // Durable from here on. The mark moves before anything is published, so that whatever was acknowledged is at or below it.
        self.head = head;
        (self.observer)(Phase::Mark);
        self.mark.record(self.head.mark())?;
        (self.observer)(Phase::Publish);
        self.publish(Ok(bytes));
        if self.log_holds_erased || self.is_full_by_its_log() {
            self.shrink()?;
        }
        Ok(outcomes)
    }

    /// What is durable now is what everybody may read, with what the file of the store takes.
    fn publish(&self, file_bytes: Result<u64, LedgerError>) {
        let bytes = file_bytes.and_then(|bytes| Ok(bytes.saturating_add(self.room.log_bytes()?)));
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        // The batch stands, whether or not its size can be told.
        *published = Published::of(&self.head, bytes.unwrap_or(published.bytes), &self.room);
    }

    fn is_full_by_its_log(&self) -> bool {
        let bytes = self.published.read().unwrap_or_else(PoisonError::into_inner).bytes;
        self.room.is_reached(bytes) && self.room.log_bytes().is_ok_and(|bytes| bytes > 0)
    }

    /// Empties the log, if nobody reads it, and tells what the store takes then.
    fn shrink(&mut self) -> Result<(), LedgerError> {
        if self.empty_log()? {
            self.log_holds_erased = false;
        }
        self.publish(Room::file_bytes(&self.connection));
        Ok(())
    }

    /// What was erased is still in SQLite's write-ahead log until that is emptied; a reader in the middle of something prevents it, and then the
    /// next batch tries again. Returns whether it is empty.
    fn empty_log(&self) -> Result<bool, LedgerError> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let busy: Result<i64, _> = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        self.connection.busy_timeout(schema::BUSY_TIMEOUT)?;
        match busy {
            Ok(busy) => Ok(busy == 0),
            // The batch before is durable and stays so: it must not be told as failed because the disk is full now.
            Err(error) if leaves_the_store_certain(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A clock that has gone back would let seals and windows lie, so nothing is recorded until it agrees again.
    fn trusted_time(&self) -> Result<u64, LedgerError> {
        let now_ms = (self.clock)();
        let last_ms = self.head.seal.time_ms;
        if now_ms.saturating_add(CLOCK_BEHIND_MS_MAX) >= last_ms {
            return Ok(now_ms);
        }
        let why = format!("the clock is {} ms behind the last seal; set it right", last_ms - now_ms);
        Err(LedgerError::Refused(Refusal::new(Code::ClockUntrusted, why)))
    }

    fn answer(&self, outcomes: Vec<Outcome>, replies: Vec<Reply>) {
        for (outcome, reply) in outcomes.into_iter().zip(replies) {
            reply(match outcome {
                Outcome::Appended { index, bytes } => self.receipt(index, bytes, false),
                Outcome::Known(index) => self.known(index),
                Outcome::Refused(refusal) => Err(refusal.into()),
            });
        }
    }

    fn known(&self, index: LeafIndex) -> Result<Receipt, LedgerError> {
        let stored = store::entry_in_tree(&self.connection, index)?
            .ok_or_else(|| LedgerError::inconsistent(format!("entry {index} is missing")))?;
        self.receipt(index, stored.bytes.into(), true)
    }

    fn receipt(&self, index: LeafIndex, entry: Arc<[u8]>, repeated: bool) -> Result<Receipt, LedgerError> {
        let size = self.head.tree.size();
        // Fresh entries are proved from memory alone; only an older one needs the store.
        let nodes = Overlay::new(&self.head.tree, StoredNodes::new(&self.connection, size));
        let proof =
            prove_inclusion(index, size, &nodes).map_err(|error| LedgerError::inconsistent(error.to_string()))?;
        Ok(Receipt { index, entry, proof, checkpoint: self.head.checkpoint.clone(), repeated })
    }

    /// After new ledger keys were ordered, the old ones may not sign again.
    fn still_ours(&self) -> Result<(), LedgerError> {
        if self.signer.key_pair()? == *self.head.control.keys() {
            return Ok(());
        }
        Err(LedgerError::Stopped(
            "the ledger's keys were replaced by a root order; start again with the new keys".to_owned(),
        ))
    }

    /// After a failed batch: go on only from what is certainly on disk, and only after faults that leave that certain.
    fn recover(&mut self, error: LedgerError) -> Result<(), LedgerError> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        if let LedgerError::Refused(_) = &error {
            return Ok(());
        }
        let certain = matches!(&error, LedgerError::Store(cause) if leaves_the_store_certain(cause));
        if !certain {
            return Err(error);
        }
        // The outcome is read again before anything is signed on top of it.
        let origin = self.head.control.origin().clone();
        let head = Head::load(&self.connection, &origin)?;
        head.agrees_with(&self.connection, self.head.mark())?;
        self.head = head;
        Ok(())
    }
}

/// A full disk and a busy database are refused before the commit; a failed sync is not certain, so it stops the node.
fn leaves_the_store_certain(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::DatabaseBusy))
}

fn as_answer(error: &LedgerError) -> LedgerError {
    if let LedgerError::Refused(refusal) = error {
        return LedgerError::Refused(refusal.clone());
    }
    LedgerError::NotRecorded(error.to_string())
}

/// Whoever waits still is told why nothing is recorded any more.
fn refuse_the_rest(queue: &Receiver<Message>, stopped: LedgerError) -> LedgerError {
    let why = stopped.to_string();
    while let Ok(message) = queue.try_recv() {
        (message.reply)(Err(LedgerError::Stopped(why.clone())));
    }
    stopped
}

/// What becomes one batch: all that waits, and while more is on its way to be expected, what comes within moments. A batch costs two
/// signatures and a write to the disk however large it is, so many small ones would keep everybody waiting longer.
fn gather(first: Message, queue: &Receiver<Message>, expected: usize) -> Vec<Message> {
    let vault_bytes =
        |message: &Message| message.proposal.openings.iter().map(|opening| opening.value.len()).sum::<usize>();
    let mut bytes = vault_bytes(&first);
    let mut messages = vec![first];
    for moment in 0..=MOMENTS_MAX {
        if moment > 0 {
            std::thread::sleep(MOMENT);
        }
        while messages.len() < BATCH_PROPOSALS_MAX && bytes < BATCH_VAULT_BYTES_MAX {
            let Ok(message) = queue.try_recv() else { break };
            bytes += vault_bytes(&message);
            messages.push(message);
        }
        if messages.len() >= expected || bytes >= BATCH_VAULT_BYTES_MAX {
            break;
        }
    }
    messages
}
