//! One batch, in exactly this order: read sets are asked again and rules judged, entries and projections written, the seal, the
//! root, the signatures, the commit. Nothing of it leaves this module before it is durable.

use crate::draft::Proposal;
use crate::error::LedgerError;
use crate::head::Head;
use crate::keys::LedgerSigner;
use crate::phase::{Observer, Phase};
use crate::records::{StoredRecords, project};
use crate::room::Room;
use crate::store::{self, sql};
use crate::vault;
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;
use writ_protocol::entry::{Positive, Seal};
use writ_protocol::order::{Accepted, OrderError, judge};
use writ_protocol::{Body, Code, Entry, Refusal};
use writ_tlog::{Checkpoint, LeafIndex, PinnedKeys, encode_tile, leaf_hash, node_from_tile, node_hash};

/// What became of one proposal.
pub(crate) enum Outcome {
    /// A new entry of this batch.
    Appended { index: LeafIndex, bytes: Arc<[u8]> },
    /// The same request was answered before; this is that answer.
    Known(LeafIndex),
    /// Refused; nothing of it is recorded.
    Refused(Refusal),
}

/// A batch being written into an open transaction.
pub(crate) struct Batch<'a> {
    connection: &'a Connection,
    head: Head,
    first: LeafIndex,
    /// How large the store may become before it takes nothing new, if it is asked.
    room: Option<&'a Room>,
    observe: &'a Observer,
}

impl<'a> Batch<'a> {
    /// Begins on top of `head`, which stays as it is: a batch that comes to nothing is dropped.
    pub(crate) fn begin(
        connection: &'a Connection,
        head: &Head,
        generation: i64,
        observe: &'a Observer,
    ) -> Result<Self, LedgerError> {
        observe(Phase::Write);
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let found: i64 = connection.prepare_cached("SELECT generation FROM ledger")?.query_row([], |row| row.get(0))?;
        if found != generation {
            return Err(LedgerError::Fenced { found, ours: generation });
        }
        let first = LeafIndex::new(head.tree.size().get());
        Ok(Self { connection, head: head.clone(), first, room: None, observe })
    }

    /// With a bound to what the store holds.
    pub(crate) fn within(self, room: &'a Room) -> Self {
        Self { room: Some(room), ..self }
    }

    /// Whether nothing new has been written.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.tree.size().get() == self.first.get()
    }

    /// Sequences one proposal. An `Err` means that the store failed, and with it the whole batch.
    pub(crate) fn add(&mut self, proposal: Proposal) -> Result<Outcome, LedgerError> {
        let Proposal { draft, openings, reads } = proposal;
        let origin = self.head.control.origin().clone();
        let room = self.room.filter(|room| room.bytes_max().is_some() && !draft.goes_in_when_full(&origin));
        let body = match draft.into_body(self.head.control.next(), &origin) {
            Ok(body) => body,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        match self.known(&body)? {
            Answered::Before(index) => return Ok(Outcome::Known(index)),
            Answered::Otherwise(refusal) => return Ok(Outcome::Refused(refusal)),
            Answered::Not => {}
        }
        // Asked for each proposal: what a batch writes goes beyond the bound by one entry at most, and what its log takes meanwhile.
        if let Some(room) = room
            && let Err(refusal) = room.judge(self.connection)?
        {
            return Ok(Outcome::Refused(refusal));
        }
        // Invariant 5: what the decision read is asked again here, after everything that was sequenced before it.
        if let Err(refusal) = reads.recheck(&self.head.control, &self.records())? {
            return Ok(Outcome::Refused(refusal));
        }
        let at = LeafIndex::new(self.head.tree.size().get());
        let entry = Entry { origin, body };
        let accepted = match self.judge(at, &entry) {
            Ok(accepted) => accepted,
            Err(OrderError::Refused(refusal)) => return Ok(Outcome::Refused(refusal)),
            Err(OrderError::Records(error)) => return Err(error),
        };
        let judged = vault::judge(&entry.body, &openings).and_then(|()| readable(&entry));
        let bytes = match judged {
            Ok(bytes) => bytes,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        self.write(at, &entry.body, &accepted, &bytes)?;
        vault::deposit(self.connection, at, &openings)?;
        if let Body::Erasure(erasure) = &entry.body {
            vault::erase(self.connection, &entry.origin, erasure)?;
        }
        Ok(Outcome::Appended { index: at, bytes: bytes.into() })
    }

    /// Seals, signs and commits. What is returned is durable; with it, what the store's file takes then, in bytes.
    ///
    /// The keys in force before this batch sign it; an order in it takes effect with the next.
    pub(crate) fn commit(
        mut self,
        signer: &LedgerSigner,
        pinned: &PinnedKeys,
        time_ms: u64,
    ) -> Result<(Head, u64), LedgerError> {
        (self.observe)(Phase::Seal);
        self.seal(time_ms)?;
        store_full_tiles(self.connection, &self.head.tree)?;
        (self.observe)(Phase::Sign);
        let checkpoint = Checkpoint {
            origin: self.head.control.origin().clone(),
            size: self.head.tree.size(),
            root: self.head.tree.root(),
        };
        let note = signer.sign(&checkpoint);
        // Our own signatures are verified before anything stands on them: a faulty signer must not publish.
        let opened =
            pinned.open(&note).map_err(|error| LedgerError::NotRecorded(format!("our own signature: {error}")))?;
        self.head.checkpoint = Arc::new(opened);
        store::keep_checkpoint(self.connection, checkpoint.size, &note)?;
        // Asked within the transaction, which has its lock already.
        let bytes = Room::file_bytes(self.connection)?;
        (self.observe)(Phase::Commit);
        self.connection.execute_batch("COMMIT")?;
        Ok((self.head, bytes))
    }

    fn judge(&self, at: LeafIndex, entry: &Entry) -> Result<Accepted, OrderError<LedgerError>> {
        judge(&self.head.control, &self.records(), at, entry)
    }

    fn records(&self) -> StoredRecords<'_> {
        StoredRecords { projections: self.connection, entries: self.connection, origin: self.head.control.origin() }
    }

    fn write(&mut self, at: LeafIndex, body: &Body, accepted: &Accepted, bytes: &[u8]) -> Result<(), LedgerError> {
        let hash = leaf_hash(bytes);
        self.connection.prepare_cached("INSERT INTO entry (idx, hash, bytes) VALUES (?1, ?2, ?3)")?.execute((
            sql(at.get()),
            hash.as_bytes(),
            bytes,
        ))?;
        project(&self.records(), at, &hash, body, accepted)?;
        self.head.tree.push(hash);
        if body.control().is_some() {
            Arc::make_mut(&mut self.head.control).apply(at, hash, body, accepted.root());
        }
        Ok(())
    }

    fn seal(&mut self, time_ms: u64) -> Result<(), LedgerError> {
        let at = LeafIndex::new(self.head.tree.size().get());
        let count = Positive::new(at.get() - self.first.get())
            .ok_or_else(|| LedgerError::inconsistent("a batch without entries"))?;
        let seal = Seal {
            batch: self.head.seal.batch + 1,
            count,
            first: self.first.get(),
            control: self.head.control.head(),
            time_ms: time_ms.max(self.head.seal.time_ms),
        };
        let entry = Entry { origin: self.head.control.origin().clone(), body: Body::Seal(seal.clone()) };
        let bytes = entry.encode()?;
        self.write(at, &entry.body, &Accepted::AsItStands, &bytes)?;
        self.head.seal = seal;
        Ok(())
    }

    /// Whether this request, statement or order was answered before (idempotency): the same gets the same answer, another under the same key is refused.
    fn known(&self, body: &Body) -> Result<Answered, LedgerError> {
        if let Some(request) = body.request() {
            return self.known_request(body, request);
        }
        match body {
            Body::Spend(evidence) | Body::Start(evidence) | Body::Outcome(evidence) | Body::Report(evidence) => {
                self.known_statement(&evidence.statement.0)
            }
            Body::RootOrder(order) => self.known_root_order(&order.statement.0),
            Body::Genesis(_)
            | Body::Gateway(_)
            | Body::Revocation(_)
            | Body::Halt(_)
            | Body::Policy(_)
            | Body::Entities(_)
            | Body::Grant(_)
            | Body::Denial(_)
            | Body::Hold(_)
            | Body::Approval(_)
            | Body::Mandate(_)
            | Body::Shadow(_)
            | Body::Advised(_)
            | Body::Tally(_)
            | Body::Erasure(_)
            | Body::Seal(_) => Ok(Answered::Not),
        }
    }

    fn known_request(&self, body: &Body, request: &writ_protocol::entry::RequestRef) -> Result<Answered, LedgerError> {
        let found = self
            .connection
            .prepare_cached("SELECT digest, idx FROM request WHERE key = ?1")?
            .query_row([request.key.as_bytes()], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        let Some((digest, index)) = found else { return Ok(Answered::Not) };
        let index = LeafIndex::new(store::unsql(index)?);
        if digest != request.digest.as_bytes() {
            let why = format!("the request key {} was used for another request, entry {index}", request.key);
            return Ok(Answered::Otherwise(Refusal::new(Code::Replayed, why)));
        }
        // The hold's own request is answered for good now, once.
        if body.resolves().is_some_and(|hold| hold.index == index.get()) {
            return Ok(Answered::Not);
        }
        let recorded = store::entry(self.connection, index)?
            .ok_or_else(|| LedgerError::inconsistent(format!("entry {index} is missing")))?
            .decode(self.head.control.origin())?;
        if answers(&recorded.body, body) {
            return Ok(Answered::Before(index));
        }
        let why = format!("the request key {} was answered with entry {index}, which is something else", request.key);
        Ok(Answered::Otherwise(Refusal::new(Code::Replayed, why)))
    }

    fn known_statement(&self, statement: &[u8]) -> Result<Answered, LedgerError> {
        let origin = self.head.control.origin();
        let claims = match writ_protocol::statement::Signed::decode(statement).and_then(|it| it.gateway_claims(origin))
        {
            Ok(claims) => claims,
            Err(refusal) => return Ok(Answered::Otherwise(refusal)),
        };
        let found: Option<i64> = self
            .connection
            .prepare_cached("SELECT idx FROM statement WHERE gateway = ?1 AND epoch = ?2 AND seq = ?3")?
            .query_row((claims.gateway.as_str(), sql(claims.epoch.get()), sql(claims.seq.get())), |row| row.get(0))
            .optional()?;
        self.same_statement(found, statement, "another statement of this gateway has this number")
    }

    fn known_root_order(&self, statement: &[u8]) -> Result<Answered, LedgerError> {
        let control = &self.head.control;
        let signed = writ_protocol::statement::Signed::decode(statement)
            .and_then(|signed| signed.verify_root(control.root(), control.domain(), control.origin()));
        // Not by today's root: the rules say what is wrong with it.
        let Ok(order) = signed else { return Ok(Answered::Not) };
        let found: Option<i64> = self
            .connection
            .prepare_cached("SELECT idx FROM used_id WHERE id = ?1")?
            .query_row([order.id.as_bytes()], |row| row.get(0))
            .optional()?;
        self.same_statement(found, statement, "another order has this id")
    }

    fn same_statement(
        &self,
        found: Option<i64>,
        statement: &[u8],
        otherwise: &'static str,
    ) -> Result<Answered, LedgerError> {
        let Some(index) = found else { return Ok(Answered::Not) };
        let index = LeafIndex::new(store::unsql(index)?);
        let recorded = store::entry(self.connection, index)?
            .ok_or_else(|| LedgerError::inconsistent(format!("entry {index} is missing")))?
            .decode(self.head.control.origin())?;
        if recorded.body.statement() == Some(statement) {
            Ok(Answered::Before(index))
        } else {
            Ok(Answered::Otherwise(Refusal::new(Code::Replayed, format!("{otherwise}: entry {index}"))))
        }
    }
}

enum Answered {
    Not,
    Before(LeafIndex),
    Otherwise(Refusal),
}

/// The bytes of an entry, if every reader will read this entry from them: what nobody can decode must never be recorded.
pub(crate) fn readable(entry: &Entry) -> Result<Vec<u8>, Refusal> {
    let bytes = entry.encode()?;
    if Entry::decode(&bytes, &entry.origin)? == *entry {
        return Ok(bytes);
    }
    Err(Refusal::malformed("the entry would be read as another one"))
}

/// Whether `proposed` asks for what `recorded` answered. A control entry or an erasure is only ever answered by its like.
fn answers(recorded: &Body, proposed: &Body) -> bool {
    match (recorded, proposed) {
        (Body::Revocation(known), Body::Revocation(asked)) => known.target == asked.target,
        (Body::Halt(_), Body::Halt(_)) => true,
        (Body::Entities(known), Body::Entities(asked)) => known.change == asked.change,
        (Body::Gateway(known), Body::Gateway(asked)) => {
            known.gateway == asked.gateway && known.epoch == asked.epoch && known.key == asked.key
        }
        (Body::Policy(known), Body::Policy(asked)) => known.set == asked.set && known.epoch == asked.epoch,
        (Body::Erasure(known), Body::Erasure(asked)) => known.erased == asked.erased,
        // What would have been decided is no answer to whoever asks for a writ, and a writ none to whoever asks what would be.
        (Body::Shadow(_), Body::Grant(_) | Body::Hold(_)) | (Body::Grant(_) | Body::Hold(_), Body::Shadow(_)) => false,
        (known, asked) => match (known.asked_by(), asked.asked_by()) {
            (Some(known_by), Some(asked_by)) => {
                // Of two that resolve one hold, only the like of the first is answered by it.
                let same_resolution = asked.resolves().is_none() || known.entry_type() == asked.entry_type();
                known_by.kind == asked_by.kind && known_by.id == asked_by.id && same_resolution
            }
            (None, _) | (_, None) => false,
        },
    }
}

/// Stores the tiles that became full since the tree was trimmed.
pub(crate) fn store_full_tiles(connection: &Connection, tree: &writ_tlog::Tree) -> Result<(), LedgerError> {
    for (id, hashes) in tree.full_tiles() {
        let halves = (node_from_tile(&hashes, 7, 0), node_from_tile(&hashes, 7, 1));
        let (Some(left), Some(right)) = halves else {
            return Err(LedgerError::inconsistent("a full tile without a root"));
        };
        let root = node_hash(&left, &right);
        connection.prepare_cached("INSERT INTO tile (level, n, root, hashes) VALUES (?1, ?2, ?3, ?4)")?.execute((
            i64::from(id.level),
            sql(id.index),
            root.as_bytes(),
            encode_tile(&hashes),
        ))?;
    }
    Ok(())
}
