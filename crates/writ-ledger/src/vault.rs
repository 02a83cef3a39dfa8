//! The vault: salts and values behind commitments, erasable (Invariant 10). It lives in the store, in the transaction of the entry, so a
//! value is never later durable than what commits to it; and it is no projection, because it cannot be rebuilt, by design.

use crate::error::LedgerError;
use crate::store::sql;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;
use writ_protocol::action::{ACTION_BYTES_MAX, CommitmentKind, Opening};
use writ_protocol::entry::Erasure;
use writ_protocol::{Body, Code, Refusal};
use writ_tlog::{Hash, LeafIndex};

/// The openings of a proposal must be exactly those of the action, the facts and the policy set its entry commits to; a request's may come along.
/// Returns the commitment of each.
pub(crate) fn judge(body: &Body, openings: &[Opening]) -> Result<Vec<Hash>, Refusal> {
    let mismatch = |why: String| Err(Refusal::new(Code::CommitmentMismatch, why));
    let mut commitments = Vec::with_capacity(openings.len());
    let held = body.commitments();
    let different: BTreeSet<_> = held.iter().map(|(_, commitment)| commitment).collect();
    if different.len() != held.len() {
        return mismatch("two commitments of the entry are the same".to_owned());
    }
    let mut opened = BTreeSet::new();
    for opening in openings {
        if opening.value.len() > ACTION_BYTES_MAX {
            let length = opening.value.len();
            let most = ACTION_BYTES_MAX;
            return Err(Refusal::malformed(format_args!("a value has at most {most} bytes, this one has {length}")));
        }
        let commitment = (opening.kind, opening.commitment());
        if !held.contains(&commitment) {
            return mismatch(format!("an opening of kind `{}` opens nothing in the entry", opening.kind.as_str()));
        }
        body.judge_opened(opening)?;
        if !opened.insert(commitment) {
            return mismatch(format!("the opening of kind `{}` is there twice", opening.kind.as_str()));
        }
        commitments.push(commitment.1);
    }
    match held.iter().find(|commitment| required(commitment.0) && !opened.contains(commitment)) {
        Some((kind, _)) => {
            mismatch(format!("the value behind the commitment of kind `{}` is not in the proposal", kind.as_str()))
        }
        None => Ok(commitments),
    }
}

/// Whether the vault must hold the value as long as it is not erased.
pub(crate) fn required(kind: CommitmentKind) -> bool {
    match kind {
        CommitmentKind::Action | CommitmentKind::Facts | CommitmentKind::Policy => true,
        CommitmentKind::Request | CommitmentKind::Text | CommitmentKind::Output => false,
    }
}

/// Keeps the values of an entry, each with the commitment that was judged.
pub(crate) fn deposit(
    connection: &Connection,
    at: LeafIndex,
    openings: &[Opening],
    commitments: &[Hash],
) -> Result<(), LedgerError> {
    for (opening, commitment) in openings.iter().zip(commitments) {
        connection
            .prepare_cached("INSERT INTO vault (idx, commitment, kind, salt, value) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute((sql(at.get()), commitment.as_bytes(), opening.kind.as_str(), &opening.salt, &opening.value))?;
    }
    Ok(())
}

/// Overwrites salts and values (`secure_delete` zeroes what they leave behind); the rows stay, so that a loss can be told from an erasure.
pub(crate) fn erase(connection: &Connection, erasure: &Erasure) -> Result<(), LedgerError> {
    for erased in erasure.erased.as_slice() {
        connection
            .prepare_cached("UPDATE vault SET salt = NULL, value = NULL WHERE idx = ?1 AND commitment = ?2")?
            .execute((sql(erased.index), erased.commitment.as_bytes()))?;
    }
    Ok(())
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

/// Looks up a value.
pub(crate) fn lookup(connection: &Connection, at: LeafIndex, commitment: &Hash) -> Result<Kept, LedgerError> {
    type Row = (String, Option<Vec<u8>>, Option<Vec<u8>>);
    let found: Option<Row> = connection
        .prepare_cached("SELECT kind, salt, value FROM vault WHERE idx = ?1 AND commitment = ?2")?
        .query_row((sql(at.get()), commitment.as_bytes()), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let damaged = || LedgerError::inconsistent(format!("the vault row of entry {at} is damaged"));
    match found {
        None => Ok(Kept::Nothing),
        Some((_, None, None)) => Ok(Kept::Erased),
        Some((kind, Some(salt), Some(value))) => {
            let kind = CommitmentKind::from_str_exact(&kind).ok_or_else(damaged)?;
            let salt = <[u8; 32]>::try_from(salt).map_err(|_| damaged())?;
            Ok(Kept::Value(Opening { kind, salt, value }))
        }
        Some(_) => Err(damaged()),
    }
}
