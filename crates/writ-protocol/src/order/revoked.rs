//! What is revoked, and with what.

use super::{ControlState, Lookup, Records};
use crate::entry::{AssertedPrincipal, Audience, Grant, Place, Target};
use writ_tlog::{Hash, LeafIndex, Origin};

/// The first entry that revokes a grant or something it rests on, its ancestors included as far as `records` know them.
pub fn revoked<R: Records>(
    control: &ControlState,
    records: &R,
    writ: Option<&Hash>,
    grant: &Grant,
) -> Result<Option<LeafIndex>, R::Error> {
    let mut found = own_revocation(control, writ, grant);
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
