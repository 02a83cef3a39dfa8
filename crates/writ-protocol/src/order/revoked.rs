//! What is revoked, and with what.

use super::{ControlState, Lookup, Records};
use crate::entry::{AssertedPrincipal, Audience, EntryRef, Grant, MANDATES_MAX, Mandate, Place, Target};
use writ_tlog::{Hash, LeafIndex, Origin};

/// The first entry that revokes a grant or something it rests on, its ancestors included as far as `records` know them.
pub fn revoked<R: Records>(
    control: &ControlState,
    records: &R,
    writ: Option<&Hash>,
    grant: &Grant,
) -> Result<Option<LeafIndex>, R::Error> {
    let mut found = own_revocation(control, writ, grant);
    if let Some(mandate) = &grant.cause.mandate {
        found = earlier(found, mandate_revoked(control, records, mandate)?);
    }
    let mut cause = grant.cause.clone();
    // Depth falls by one with each ancestor (the rules of grants), so this ends; the count says so to the reader.
    for _ in 0..grant.cause.depth() {
        let Place::Caused { parent, origin, .. } = &cause.place else { break };
        for ancestor in [parent, origin] {
            found = earlier(found, lineage_revocation(control, &ancestor.ledger, &ancestor.entry));
            found = earlier(found, control.revoked(&Target::Writ(ancestor.entry)));
        }
        if parent.ledger != *control.origin() {
            if origin.ledger == *control.origin()
                && let Lookup::Found(first) = records.grant(LeafIndex::new(origin.index), &origin.entry)?
            {
                found = earlier(found, own_revocation(control, Some(&origin.entry), &first));
            }
            break;
        }
        match records.grant(LeafIndex::new(parent.index), &parent.entry)? {
            Lookup::Found(ancestor) => {
                found = earlier(found, own_revocation(control, Some(&parent.entry), &ancestor));
                cause = ancestor.cause.clone();
            }
            Lookup::Absent | Lookup::Unknown => break,
        }
    }
    Ok(found)
}

/// The first entry that revokes a mandate, one above it, or something they rest on: who gave them, by which key, under which policy set. The
/// mandates of ancestors are above that of what they cause.
pub fn mandate_revoked<R: Records>(
    control: &ControlState,
    records: &R,
    mandate: &EntryRef,
) -> Result<Option<LeafIndex>, R::Error> {
    let mut found = None;
    let mut next = Some(mandate.clone());
    for _ in 0..MANDATES_MAX {
        let Some(named) = next.take() else { break };
        found = earlier(found, control.revoked(&Target::Mandate(named.entry)));
        if named.ledger != *control.origin() {
            break;
        }
        if let Lookup::Found(mandate) = records.mandate(LeafIndex::new(named.index), &named.entry)? {
            found = rests_on(&mandate).iter().map(|target| control.revoked(target)).fold(found, earlier);
            next.clone_from(&mandate.parent);
        }
    }
    Ok(found)
}

fn rests_on(mandate: &Mandate) -> [Target; 3] {
    [
        Target::Key(mandate.key().key().fingerprint()),
        Target::Principal(mandate.by.asserted()),
        Target::Policy(mandate.policy.set),
    ]
}

fn own_revocation(control: &ControlState, writ: Option<&Hash>, grant: &Grant) -> Option<LeafIndex> {
    let principal = &grant.principal;
    let mut targets = vec![
        Target::Key(grant.holder.key().fingerprint()),
        Target::Principal(AssertedPrincipal { kind: principal.kind.clone(), id: principal.id.clone() }),
        Target::Policy(grant.policy.set),
    ];
    targets.extend(principal.key.as_ref().map(|key| Target::Key(key.fingerprint())));
    match &grant.audience {
        Audience::Gateway { gateway, .. } => targets.push(Target::Gateway(gateway.clone())),
        Audience::Group(_) => {}
    }
    let by_writ = writ.and_then(|writ| {
        earlier(control.revoked(&Target::Writ(*writ)), lineage_revocation(control, control.origin(), writ))
    });
    targets.iter().map(|target| control.revoked(target)).fold(by_writ, earlier)
}

fn lineage_revocation(control: &ControlState, ledger: &Origin, entry: &Hash) -> Option<LeafIndex> {
    control.revoked(&Target::Lineage { ledger: ledger.clone(), entry: *entry })
}

pub(super) fn earlier(a: Option<LeafIndex>, b: Option<LeafIndex>) -> Option<LeafIndex> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (found, None) | (None, found) => found,
    }
}
