//! What remains when the node is gone: each decision's evidence verified with the trust root alone, the ledger audited, every
//! decision derived again.

use super::stage::Stage;
use super::table::Table;
use crate::error::CliError;
use crate::keys::{SECRET_FILE, write_new};
use std::collections::BTreeMap;
use writ_ledger::{Disclosure, LedgerError, Reader};
use writ_protocol::{Body, Bundle};
use writ_server::replay;
use writ_tlog::LeafIndex;

pub(super) fn play(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    table.section("evidence", "The node is gone; what it leaves")?;
    bundles(stage, table)?;
    audited(stage, table)
}

/// The bundle of each grant and each denial, kept as a file for the other verifier.
fn bundles(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let reader = Reader::open(&stage.place.domain.store())?;
    let view = reader.view()?;
    let (mut counts, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for index in (0..view.size().get()).map(LeafIndex::new) {
        let stored = reader.entry(index)?.ok_or(LedgerError::NoEntry(index))?;
        let body = stored.decode(&stage.origin)?.body;
        if !matches!(body, Body::Grant(_) | Body::Denial(_)) {
            continue;
        }
        let kind = body.entry_type();
        let bytes = reader.bundle(index, &view, Disclosure::Values)?.encode();
        write_new(&stage.dir.join(format!("bundles/{index}.writ-bundle")), &bytes, SECRET_FILE)?;
        match Bundle::verify(&bytes, &stage.trust) {
            Ok(story) if story.subject == index && story.subject_type == kind => {
                *counts.entry(kind.as_str()).or_default() += 1;
            }
            Ok(_) => wrong.push(format!("{index}: the story of something else")),
            Err(refusal) => wrong.push(format!("{index}: {refusal}")),
        }
    }
    for kind in ["grant", "denial"].into_iter().filter(|kind| !counts.contains_key(kind)) {
        wrong.push(format!("no {kind} at all"));
    }
    let told: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}s")).collect();
    let wrong = (!wrong.is_empty()).then(|| wrong.join("; "));
    table.done("bundles", &format!("the evidence of {} verified offline", told.join(" and ")), None, wrong)
}

fn audited(stage: &Stage, table: &mut Table) -> Result<(), CliError> {
    let domain = &stage.place.domain;
    let (report, replayed) = replay(&domain.store(), Some(&domain.mark()?), &stage.trust, &mut |_, _| ())?;
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let wrong = (!findings.is_empty()).then(|| findings.join("; "));
    table.done(
        "audit",
        &format!("{} entries audited: hashes, signatures, order, mark", report.entries),
        None,
        wrong,
    )?;
    let differs = replayed.findings.iter().map(|one| format!("{}: {}", one.index, one.what)).collect::<Vec<_>>();
    let wrong = match (replayed.same, differs.as_slice()) {
        (0, []) => Some("nothing was derived again".to_owned()),
        (_, []) => None,
        (_, differs) => Some(differs.join("; ")),
    };
    table.done("replay", &format!("{} decisions derived again, each the same", replayed.same), None, wrong)
}
