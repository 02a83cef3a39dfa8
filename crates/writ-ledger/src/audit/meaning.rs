//! What the entries mean, derived again: the rules of order, the batches, the projections, the vault.

use super::{Audited, Finding, StoredRow};
use crate::error::LedgerError;
use crate::records::{StoredRecords, project};
use crate::schema::{self, PROJECTED_TABLES};
use crate::store::{self, sql, unsql};
use crate::vault::{self, Kept};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension};
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::Seal;
use writ_protocol::order::{Accepted, ControlState, OrderError, judge};
use writ_protocol::{Body, Code, Entry, PinnedLedger, Refusal};
use writ_tlog::{Hash, LeafIndex, Origin};

/// How many rows of one projection are named one by one.
const NAMED_MAX: usize = 16;

pub(super) struct Meaning<'a> {
    store: &'a Connection,
    /// Filled from the entries alone.
    rebuilt: Connection,
    origin: &'a Origin,
    pinned: &'a PinnedLedger,
    control: Option<ControlState>,
    seal: Option<Seal>,
    /// Every commitment whose value the vault must hold or an erasure name.
    values: u64,
    /// Values of the vault, or places of erased ones, that an entry commits to.
    held: u64,
}

impl<'a> Meaning<'a> {
    pub(super) fn new(
        store: &'a Connection,
        origin: &'a Origin,
        pinned: &'a PinnedLedger,
    ) -> Result<Self, LedgerError> {
        let rebuilt = schema::projections_in_memory()?;
        rebuilt.execute_batch("BEGIN")?;
        Ok(Self { store, rebuilt, origin, pinned, control: None, seal: None, values: 0, held: 0 })
    }

    /// Returns the entry with its values, if it can be read.
    pub(super) fn read(
        &mut self,
        row: &StoredRow,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Audited>, LedgerError> {
        let at = row.index;
        let entry = match Entry::decode(&row.bytes, self.origin) {
            Ok(entry) => entry,
            Err(refusal) => {
                findings.push(Finding::AgainstRules { at, refusal });
                return Ok(None);
            }
        };
        match self.judge(at, row.hash, &entry) {
            Ok(accepted) => {
                project(&self.records(), at, &row.hash, &entry.body, &accepted)
                    .or_else(|error| against_rules(at, &error, findings))?;
                if let Some(control) = &mut self.control {
                    control.apply(at, row.hash, &entry.body, accepted.root());
                }
            }
            Err(OrderError::Refused(refusal)) => findings.push(Finding::AgainstRules { at, refusal }),
            Err(OrderError::Records(LedgerError::Inconsistent(what))) => {
                findings.push(Finding::AgainstRules { at, refusal: Refusal::new(Code::EvidenceInvalid, what) });
            }
            Err(OrderError::Records(error)) => return Err(error),
        }
        let values = self.vault(at, &entry.body, findings)?;
        let named = self.named(&entry.body)?;
        Ok(Some(Audited { index: at, body: entry.body, values, named }))
    }

    /// The entries whose values an erasure erases. What is wrong with one of them was said before.
    fn named(&self, body: &Body) -> Result<Vec<(LeafIndex, Body)>, LedgerError> {
        let Body::Erasure(erasure) = body else { return Ok(Vec::new()) };
        let mut named = Vec::new();
        for index in erasure.entries() {
            match store::entry(self.store, index).and_then(|stored| stored.map(|it| it.decode(self.origin)).transpose())
            {
                Ok(entry) => named.extend(entry.map(|entry| (index, entry.body))),
                Err(LedgerError::Inconsistent(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(named)
    }

    /// Whether this entry is a seal that ends a batch as it must.
    pub(super) fn ends_batch(&self, at: LeafIndex) -> bool {
        self.seal.as_ref().is_some_and(|seal| seal.first + seal.count.get() == at.get())
    }

    /// Returns how many values in the vault open their commitments.
    pub(super) fn finish(self, findings: &mut Vec<Finding>) -> Result<u64, LedgerError> {
        if self.control.is_none() {
            findings.push(Finding::OtherGenesis);
        }
        for &(table, order) in PROJECTED_TABLES {
            compare(self.store, &self.rebuilt, table, order, findings)?;
        }
        self.not_erased(findings)?;
        self.not_committed_to(findings)?;
        Ok(self.values)
    }

    fn judge(&mut self, at: LeafIndex, hash: Hash, entry: &Entry) -> Result<Accepted, OrderError<LedgerError>> {
        let Some(control) = &self.control else {
            return Ok(self.genesis(at, hash, entry)?);
        };
        if let Body::Seal(seal) = &entry.body {
            follows(self.seal.as_ref(), seal, at, control)?;
            self.seal = Some(seal.clone());
            return Ok(Accepted::AsItStands);
        }
        self.answered_once(&entry.body)?;
        judge(control, &self.records(), at, entry)
    }

    fn records(&self) -> StoredRecords<'_> {
        StoredRecords { projections: &self.rebuilt, entries: self.store, origin: self.origin }
    }

    /// Rule 3: a request is answered once; only what resolves its hold may answer it again.
    fn answered_once(&self, body: &Body) -> Result<(), OrderError<LedgerError>> {
        let Some(request) = body.request() else { return Ok(()) };
        let answered: Option<i64> = self
            .rebuilt
            .prepare_cached("SELECT idx FROM request WHERE key = ?1")
            .and_then(|mut query| query.query_row([request.key.as_bytes()], |row| row.get(0)).optional())
            .map_err(|error| OrderError::Records(error.into()))?;
        let resolved = body.resolves().map(|hold| sql(hold.index));
        if answered.is_none() || answered == resolved {
            return Ok(());
        }
        Err(Refusal::new(Code::Replayed, format!("{} was answered before", request.key)).into())
    }

    fn genesis(&mut self, at: LeafIndex, hash: Hash, entry: &Entry) -> Result<Accepted, Refusal> {
        let Body::Genesis(genesis) = &entry.body else {
            return Err(Refusal::new(Code::ControlChainBroken, "there is no genesis before it"));
        };
        if at.get() != 0 || hash != *self.pinned.genesis() {
            return Err(Refusal::new(Code::UnknownAuthority, "it is not the genesis that the trust root pins"));
        }
        self.control = Some(ControlState::begin(self.origin.clone(), genesis.clone(), hash));
        Ok(Accepted::AsItStands)
    }

    /// Values that are there open their commitments; values that must be there are, or an erasure names them. Returns those that do.
    fn vault(
        &mut self,
        at: LeafIndex,
        body: &Body,
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<(Hash, Kept)>, LedgerError> {
        let mut values = Vec::new();
        for (kind, commitment) in body.commitments() {
            let found = vault::lookup(self.store, at, kind, &commitment);
            self.held += u64::from(!matches!(found, Ok(Kept::Nothing)));
            match found {
                Ok(Kept::Value(opening)) => {
                    if let Err(refusal) = body.judge_asked(&opening, self.origin) {
                        findings.push(Finding::RequestDiffers { at, refusal });
                    }
                    self.values += 1;
                    values.push((commitment, Kept::Value(opening)));
                }
                Err(LedgerError::Inconsistent(_)) => findings.push(Finding::VaultChanged(at)),
                // What may never have been there may be missing; only an erasure leaves an empty place.
                Ok(kept @ (Kept::Erased | Kept::Nothing))
                    if (kept == Kept::Erased || vault::required(kind)) && !self.is_erased(at, &commitment)? =>
                {
                    findings.push(Finding::VaultMissing(at));
                }
                Ok(found @ (Kept::Erased | Kept::Nothing)) => values.push((commitment, found)),
                Err(error) => return Err(error),
            }
        }
        Ok(values)
    }

    /// Whether an erasure names it: one further on, so the stored projection is asked; that projection itself is compared at the end.
    fn is_erased(&self, at: LeafIndex, commitment: &Hash) -> Result<bool, LedgerError> {
        Ok(self
            .store
            .prepare_cached("SELECT 1 FROM erased WHERE idx = ?1 AND commitment = ?2")?
            .exists((sql(at.get()), commitment.as_bytes()))?)
    }

    fn not_erased(&self, findings: &mut Vec<Finding>) -> Result<(), LedgerError> {
        let mut query = self.store.prepare("SELECT idx, commitment FROM erased ORDER BY idx")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        for row in rows {
            let (index, commitment) = row?;
            // A row that is not of an erasure is found where the projection is compared.
            let (Ok(place), Some(commitment)) = (u64::try_from(index), Hash::from_slice(&commitment)) else { continue };
            let at = LeafIndex::new(place);
            let kept = match vault::kind_of(self.store, self.origin, at, &commitment) {
                Ok(Some(kind)) => vault::lookup(self.store, at, kind, &commitment),
                // What is wrong with the entry was said before.
                Ok(None) | Err(LedgerError::Inconsistent(_)) => continue,
                Err(error) => Err(error),
            };
            match kept {
                Ok(Kept::Erased | Kept::Nothing) => {}
                Ok(Kept::Value(_)) | Err(LedgerError::Inconsistent(_)) => findings.push(Finding::VaultNotErased(at)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A value that nothing commits to could never be erased by an order (Invariant 10), and a row without any is in the way of an entry.
    fn not_committed_to(&self, findings: &mut Vec<Finding>) -> Result<(), LedgerError> {
        let there = CommitmentKind::ALL.iter().map(|kind| format!("({} IS NOT NULL)", kind.as_str()));
        let there = there.collect::<Vec<_>>().join(" + ");
        let count = format!("SELECT coalesce(sum({there}), 0), coalesce(sum({there} = 0), 0) FROM vault");
        let (there, bare): (i64, i64) = self.store.query_row(&count, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if unsql(there)? == self.held && bare == 0 {
            return Ok(());
        }
        let mut query = self.store.prepare("SELECT idx FROM vault ORDER BY idx")?;
        let mut named = 0;
        for index in query.query_map([], |row| row.get::<_, i64>(0))? {
            let at = LeafIndex::new(u64::try_from(index?).unwrap_or(u64::MAX));
            if named < NAMED_MAX && !self.is_committed_to(at)? {
                findings.push(Finding::VaultChanged(at));
                named += 1;
            }
        }
        Ok(())
    }

    /// Whether the entry commits to whatever the vault's row of it holds.
    fn is_committed_to(&self, at: LeafIndex) -> Result<bool, LedgerError> {
        match store::entry(self.store, at).and_then(|stored| stored.map(|it| it.decode(self.origin)).transpose()) {
            Ok(Some(entry)) => {
                let held = entry.body.commitments();
                let kinds = vault::kinds(self.store, at)?;
                Ok(!kinds.is_empty() && kinds.iter().all(|kind| held.iter().any(|(held, _)| held == kind)))
            }
            Ok(None) => Ok(false),
            // What is wrong with the entry was said before.
            Err(LedgerError::Inconsistent(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn against_rules(at: LeafIndex, error: &LedgerError, findings: &mut Vec<Finding>) -> Result<(), LedgerError> {
    findings.push(Finding::AgainstRules { at, refusal: Refusal::new(Code::EvidenceInvalid, error.to_string()) });
    Ok(())
}

/// Rule 1: batches follow one another, and each seal states exactly what is there.
fn follows(before: Option<&Seal>, seal: &Seal, at: LeafIndex, control: &ControlState) -> Result<(), Refusal> {
    let (batch, first, time_ms) = match before {
        Some(before) => {
            let after = before.first.saturating_add(before.count.get()).saturating_add(1);
            (before.batch.saturating_add(1), after, before.time_ms)
        }
        None => (0, 0, 0),
    };
    let wrong = |what: String| Err(Refusal::new(Code::EvidenceInvalid, what));
    if seal.batch != batch || seal.first != first {
        return wrong(format!(
            "seal of batch {} from entry {}, expected batch {batch} from entry {first}",
            seal.batch, seal.first
        ));
    }
    if seal.first.checked_add(seal.count.get()) != Some(at.get()) {
        return wrong(format!("seal over {} entries from {}, found at {at}", seal.count.get(), seal.first));
    }
    if seal.time_ms < time_ms {
        return wrong(format!("seal of time {}, the one before is of {time_ms}", seal.time_ms));
    }
    if seal.control != control.head() {
        return Err(Refusal::new(Code::ControlChainBroken, "the seal names another control head"));
    }
    Ok(())
}

/// Compares a projection row by row, both sides in the order of their keys.
fn compare(
    store: &Connection,
    rebuilt: &Connection,
    table: &'static str,
    order: &str,
    findings: &mut Vec<Finding>,
) -> Result<(), LedgerError> {
    let query = format!("SELECT * FROM {table} ORDER BY {order}");
    let (mut left, mut right) = (store.prepare(&query)?, rebuilt.prepare(&query)?);
    let (mut left, mut right) = (left.query([])?, right.query([])?);
    let mut named = 0;
    loop {
        let stored = left.next()?.map(values).transpose()?;
        let derived = right.next()?.map(values).transpose()?;
        let row = match (&stored, &derived) {
            (None, None) => return Ok(()),
            (Some(stored), Some(derived)) if stored == derived => continue,
            (Some(stored), Some(derived)) => format!("found {}, derived {}", shown(stored), shown(derived)),
            (Some(stored), None) => format!("found {}, derived nothing", shown(stored)),
            (None, Some(derived)) => format!("found nothing, derived {}", shown(derived)),
        };
        findings.push(Finding::ProjectionChanged { table, row });
        named += 1;
        if named == NAMED_MAX {
            return Ok(());
        }
    }
}

fn values(row: &rusqlite::Row<'_>) -> rusqlite::Result<Vec<Value>> {
    (0..row.as_ref().column_count()).map(|column| row.get(column)).collect()
}

fn shown(values: &[Value]) -> String {
    let shown: Vec<String> = values
        .iter()
        .map(|value| match ValueRef::from(value) {
            ValueRef::Null => "null".to_owned(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Blob(bytes) => bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>() + "…",
        })
        .collect();
    format!("({})", shown.join(", "))
}
