//! The vault: salts and values behind commitments, erasable (Invariant 10). It lives in the store, in the transaction of the entry, so a
//! value is never later durable than what commits to it; and it is no projection, because it cannot be rebuilt, by design.

use crate::error::LedgerError;
use crate::store::{self, sql};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::sync::LazyLock;
use writ_protocol::action::{ACTION_BYTES_MAX, CommitmentKind, Committed, Opening};
use writ_protocol::entry::Erasure;
use writ_protocol::{Body, Code, Refusal};
use writ_tlog::{Hash, LeafIndex, Origin};

const SALT_BYTES: usize = 32;

/// Each kind has a column of its name.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let columns = CommitmentKind::ALL.iter().map(|kind| format!(", {}", kind.as_str())).collect::<String>();
    let places = ", ?".repeat(CommitmentKind::ALL.len());
    format!("INSERT INTO vault (idx{columns}) VALUES (?{places})")
});

/// The openings of a proposal must be exactly those of the action, the facts and the policy set its entry commits to; a request's may come
/// along. An entry has at most one commitment of each kind.
pub(crate) fn judge(body: &Body, openings: &[Committed]) -> Result<(), Refusal> {
    let mismatch = |why: String| Err(Refusal::new(Code::CommitmentMismatch, why));
    let held = body.commitments();
    for (at, (kind, commitment)) in held.iter().enumerate() {
        if held.iter().skip(at + 1).any(|(other_kind, other)| other == commitment || other_kind == kind) {
            return mismatch("two commitments of the entry are the same".to_owned());
        }
    }
    for (at, opening) in openings.iter().enumerate() {
        let kind = opening.kind.as_str();
        if opening.value.len() > ACTION_BYTES_MAX {
            let length = opening.value.len();
            let most = ACTION_BYTES_MAX;
            return Err(Refusal::malformed(format_args!("a value has at most {most} bytes, this one has {length}")));
        }
        if !held.contains(&(opening.kind, opening.commitment())) {
            return mismatch(format!("an opening of kind `{kind}` opens nothing in the entry"));
        }
        body.judge_opened(opening)?;
        if openings.iter().skip(at + 1).any(|other| other.kind == opening.kind) {
            return mismatch(format!("the opening of kind `{kind}` is there twice"));
        }
    }
    let missing = |kind: CommitmentKind| required(kind) && openings.iter().all(|opening| opening.kind != kind);
    match held.iter().find(|(kind, _)| missing(*kind)) {
        Some((kind, _)) => {
            mismatch(format!("the value behind the commitment of kind `{}` is not in the proposal", kind.as_str()))
        }
        None => Ok(()),
    }
}

/// Whether the vault must hold the value as long as it is not erased.
pub(crate) fn required(kind: CommitmentKind) -> bool {
    match kind {
        CommitmentKind::Action
        | CommitmentKind::Facts
        | CommitmentKind::Policy
        | CommitmentKind::Entities
        | CommitmentKind::Text => true,
        CommitmentKind::Request | CommitmentKind::Output => false,
    }
}

/// Keeps the values of an entry.
pub(crate) fn deposit(connection: &Connection, at: LeafIndex, openings: &[Committed]) -> Result<(), LedgerError> {
    if openings.is_empty() {
        return Ok(());
    }
    let kept = |kind: &CommitmentKind| {
        let opening = openings.iter().find(|opening| opening.kind == *kind);
        opening.map_or(Value::Null, |opening| Value::Blob([opening.salt.as_slice(), &opening.value].concat()))
    };
    let values = std::iter::once(Value::Integer(sql(at.get()))).chain(CommitmentKind::ALL.iter().map(kept));
    connection.prepare_cached(&INSERT)?.execute(params_from_iter(values))?;
    Ok(())
}

/// Takes salts and values away (`secure_delete` zeroes what they leave behind); an empty place stays, so that a loss can be told from an
/// erasure.
pub(crate) fn erase(connection: &Connection, origin: &Origin, erasure: &Erasure) -> Result<(), LedgerError> {
    for erased in erasure.erased.as_slice() {
        let at = LeafIndex::new(erased.index);
        // The rules of order have found it there.
        let kind = kind_of(connection, origin, at, &erased.commitment)?.ok_or_else(|| damaged(at))?;
        let column = kind.as_str();
        connection
            .prepare_cached(&format!("UPDATE vault SET {column} = x'' WHERE idx = ?1 AND {column} IS NOT NULL"))?
            .execute([sql(erased.index)])?;
    }
    Ok(())
}

/// Of which kind a commitment of an entry is.
pub(crate) fn kind_of(
    connection: &Connection,
    origin: &Origin,
    at: LeafIndex,
    commitment: &Hash,
) -> Result<Option<CommitmentKind>, LedgerError> {
    let Some(stored) = store::entry(connection, at)? else { return Ok(None) };
    let held = stored.decode(origin)?.body.commitments();
    Ok(held.into_iter().find_map(|(kind, held)| (held == *commitment).then_some(kind)))
}

/// What the vault holds for one commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The value with its salt.
    Value(Opening),
    /// There was one, and it was erased.
    Erased,
    /// There never was one.
    Nothing,
}

/// Looks up what opens a commitment of an entry. A value that does not open it is an error.
pub(crate) fn lookup(
    connection: &Connection,
    at: LeafIndex,
    kind: CommitmentKind,
    commitment: &Hash,
) -> Result<Kept, LedgerError> {
    let found = connection
        .prepare_cached(&format!("SELECT {} FROM vault WHERE idx = ?1", kind.as_str()))?
        .query_row([sql(at.get())], |row| Ok(read(kind, row.get_ref(0)?)))
        .optional()?;
    match found {
        None => Ok(Kept::Nothing),
        Some(Some(Kept::Value(opening))) if opening.commitment() != *commitment => Err(damaged(at)),
        Some(kept) => kept.ok_or_else(|| damaged(at)),
    }
}

/// What a column of the vault holds for a commitment of an entry. A value that does not open it is an error.
pub(crate) fn opened(
    at: LeafIndex,
    kind: CommitmentKind,
    commitment: &Hash,
    stored: ValueRef<'_>,
) -> Result<Kept, LedgerError> {
    match read(kind, stored) {
        Some(Kept::Value(opening)) if opening.commitment() != *commitment => Err(damaged(at)),
        Some(kept) => Ok(kept),
        None => Err(damaged(at)),
    }
}

/// The kinds of which there is anything in the vault's row of an entry, if it has one.
pub(crate) fn kinds(connection: &Connection, at: LeafIndex) -> Result<Vec<CommitmentKind>, LedgerError> {
    let columns = CommitmentKind::ALL.iter().map(|kind| format!("{} IS NOT NULL", kind.as_str()));
    let select = format!("SELECT {} FROM vault WHERE idx = ?1", columns.collect::<Vec<_>>().join(", "));
    let found = connection.prepare_cached(&select)?.query_row([sql(at.get())], |row| {
        let there = CommitmentKind::ALL.iter().enumerate().map(|(column, kind)| Ok((row.get(column)?, *kind)));
        there.collect::<Result<Vec<(bool, CommitmentKind)>, rusqlite::Error>>()
    });
    let there = found.optional()?.unwrap_or_default();
    Ok(there.into_iter().filter_map(|(is_there, kind)| is_there.then_some(kind)).collect())
}

fn read(kind: CommitmentKind, stored: ValueRef<'_>) -> Option<Kept> {
    match stored {
        ValueRef::Null => Some(Kept::Nothing),
        ValueRef::Blob([]) => Some(Kept::Erased),
        ValueRef::Blob(bytes) => {
            let (salt, value) = bytes.split_first_chunk::<SALT_BYTES>()?;
            Some(Kept::Value(Opening { kind, salt: *salt, value: value.to_vec() }))
        }
        ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) => None,
    }
}

fn damaged(at: LeafIndex) -> LedgerError {
    LedgerError::inconsistent(format!("what the vault holds for entry {at} is not what that commits to"))
}
