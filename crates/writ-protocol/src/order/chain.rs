use super::{Lookup, Records};
use crate::entry::{EntryRef, MANDATES_MAX, Mandate};
use writ_tlog::{LeafIndex, Origin};

/// A mandate with those above it, itself first: as far up as it goes, or nothing. A parent comes before its child in the ledger, so no chain comes
/// back to itself; one longer than any that the rules accept is none.
pub fn chain<R: Records + ?Sized>(
    ledger: &Origin,
    records: &R,
    named: &EntryRef,
) -> Result<Lookup<Vec<(EntryRef, Mandate)>>, R::Error> {
    let mut chain = Vec::new();
    let mut next = named.clone();
    while chain.len() < MANDATES_MAX && next.ledger == *ledger {
        let mandate = match records.mandate(LeafIndex::new(next.index), &next.entry)? {
            Lookup::Found(mandate) => mandate,
            Lookup::Absent => return Ok(Lookup::Absent),
            Lookup::Unknown => return Ok(Lookup::Unknown),
        };
        let parent = mandate.parent.clone();
        chain.push((next, mandate));
        match parent {
            None => return Ok(Lookup::Found(chain)),
            Some(parent) => next = parent,
        }
    }
    Ok(Lookup::Absent)
}
