//! The decisions of a stretch of the ledger, with what they were decided on: for whoever goes through all of them.

use crate::error::LedgerError;
use crate::reader::Reader;
use crate::store::{StoredEntry, hash_of, sql, unsql};
use crate::vault::{self, Kept};
use rusqlite::Row;
use std::ops::Range;
use writ_protocol::Body;
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::{
    ActionRef, Advised, ApprovalFields, Denial, Entities, EntryType, ErasureFields, Grant, Halt, Hold, MandateFields,
    OrderRef, Policy, Principal, Revocation, Shadow,
};
use writ_tlog::{Hash, LeafIndex, leaf_hash};

/// A decision, and what the vault holds of what it was decided on.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Its index.
    pub index: LeafIndex,
    /// What was decided.
    pub ruled: Ruled,
    /// The action; where nothing was committed to, there is nothing.
    pub action: Kept,
    /// The facts, likewise.
    pub facts: Kept,
}

/// What an entry says of a request that was decided.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one is read at a time and it is used at once")]
pub enum Ruled {
    /// A permit.
    Grant(Grant),
    /// A refusal.
    Denial(Denial),
    /// It waits.
    Hold(Hold),
    /// Nothing was decided: what policy would have answered.
    Shadow(Shadow),
    /// What policy said of somebody, to whoever asked.
    Advised(Advised),
    /// An order that was carried out: a permit like a grant, without its terms.
    Order(Ordered),
}

/// What the entries of orders that were carried out say of their decision.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// Who gave it.
    pub by: Principal,
    /// The order.
    pub action: ActionRef,
    /// Commitment to the facts.
    pub facts: Hash,
    /// Under which policy.
    pub policy: Policy,
    /// When it was decided.
    pub time_ms: u64,
}

impl Ruled {
    /// Of an entry; nothing where none was decided.
    pub fn of(body: Body) -> Option<Self> {
        match body {
            Body::Grant(grant) => Some(Self::Grant(grant)),
            Body::Denial(denial) => Some(Self::Denial(denial)),
            Body::Hold(hold) => Some(Self::Hold(hold)),
            Body::Shadow(shadow) => Some(Self::Shadow(shadow)),
            Body::Advised(advised) => Some(Self::Advised(advised)),
            Body::Revocation(Revocation { by, action, facts, policy, time_ms, .. })
            | Body::Halt(Halt { by, action, facts, policy, time_ms, .. })
            | Body::Entities(Entities { by, action, facts, policy, time_ms, .. }) => {
                Some(Self::Order(Ordered { by, action, facts, policy, time_ms }))
            }
            Body::Approval(approval) => {
                let ApprovalFields { by, action, facts, policy, time_ms, .. } = (*approval).clone();
                Some(Self::Order(Ordered { by, action, facts, policy, time_ms }))
            }
            Body::Mandate(mandate) => {
                let MandateFields { by, action, facts, policy, time_ms, .. } = (*mandate).clone();
                Some(Self::Order(Ordered { by, action, facts, policy, time_ms }))
            }
            Body::Erasure(erasure) => {
                let ErasureFields { by, action, facts, policy, time_ms, .. } = (*erasure).clone();
                Some(Self::Order(Ordered { by, action, facts, policy, time_ms }))
            }
            Body::Gateway(enrolment) => {
                let OrderRef { action, facts, policy, .. } = enrolment.order?;
                Some(Self::Order(Ordered { by: enrolment.by, action, facts, policy, time_ms: enrolment.time_ms }))
            }
            Body::Genesis(_)
            | Body::RootOrder(_)
            | Body::Policy(_)
            | Body::Tally(_)
            | Body::Spend(_)
            | Body::Start(_)
            | Body::Outcome(_)
            | Body::Report(_)
            | Body::Seal(_) => None,
        }
    }
}

/// The types of these entries.
const DECIDED: [EntryType; 12] = [
    EntryType::Grant,
    EntryType::Denial,
    EntryType::Hold,
    EntryType::Approval,
    EntryType::Mandate,
    EntryType::Shadow,
    EntryType::Advised,
    EntryType::Revocation,
    EntryType::Halt,
    EntryType::Erasure,
    EntryType::Entities,
    EntryType::Gateway,
];

impl Reader {
    /// Gives each decision in the range to `next`, ascending. Every entry has the hash it was stored with and every value opens its
    /// commitment, or it is an error; that the entries are those of the tree, an audit says.
    pub fn decisions(&self, range: Range<u64>, next: &mut dyn FnMut(Decided)) -> Result<(), LedgerError> {
        let mut query = self.connection().prepare_cached(
            "SELECT entry.idx, entry.hash, entry.bytes, vault.action, vault.facts
             FROM entry LEFT JOIN vault ON vault.idx = entry.idx
             WHERE entry.idx >= ?1 AND entry.idx < ?2 ORDER BY entry.idx",
        )?;
        let mut rows = query.query((sql(range.start), sql(range.end)))?;
        let mut expected = range.start;
        while let Some(row) = rows.next()? {
            if unsql(row.get(0)?)? != expected {
                return Err(LedgerError::inconsistent(format!("entry {expected} is missing")));
            }
            expected += 1;
            let may_be = is_decided(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?);
            if let Some(decided) = may_be.then(|| self.decided(row)).transpose()?.flatten() {
                next(decided);
            }
        }
        if expected < range.end {
            return Err(LedgerError::inconsistent(format!("entry {expected} is missing")));
        }
        Ok(())
    }

    fn decided(&self, row: &Row<'_>) -> Result<Option<Decided>, LedgerError> {
        let index = LeafIndex::new(unsql(row.get(0)?)?);
        let hash = hash_of(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?;
        let stored = StoredEntry { index, hash, bytes: row.get(2)? };
        if leaf_hash(&stored.bytes) != stored.hash {
            return Err(LedgerError::inconsistent(format!("entry {index} does not have the hash it was stored with")));
        }
        let body = stored.decode(self.origin())?.body;
        let held = body.commitments();
        let kept = |kind: CommitmentKind, column: usize| {
            let commitment: Option<Hash> = held.iter().find_map(|(held, hash)| (*held == kind).then_some(*hash));
            match commitment {
                Some(commitment) => vault::opened(index, kind, &commitment, row.get_ref(column)?),
                None => Ok(Kept::Nothing),
            }
        };
        let (action, facts) = (kept(CommitmentKind::Action, 3)?, kept(CommitmentKind::Facts, 4)?);
        Ok(Ruled::of(body).map(|ruled| Decided { index, ruled, action, facts }))
    }
}

/// Told by the first bytes, which name the type: most entries tell what was done, and need not be read.
fn is_decided(bytes: &[u8]) -> bool {
    DECIDED.iter().any(|kind| {
        let name = kind.as_str().as_bytes();
        // `[context, type, …]`, each a text shorter than 24 bytes.
        let at = 2 + b"writ.entry".len();
        bytes.get(at).is_some_and(|head| usize::from(*head) == 0x60 + name.len())
            && bytes.get(at + 1..).is_some_and(|rest| rest.starts_with(name))
    })
}
