//! `writ policy history`: which sets were in force, who signed them, and what they passed.

use super::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::render::hex;
use crate::time::utc;
use serde_json::{Value, json};
use writ_ledger::{Kept, LedgerError, Reader};
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::{Activation, Denial, Principal};
use writ_protocol::statement::Signed;
use writ_protocol::{Body, Entry};
use writ_tlog::{Hash, LeafIndex};

pub(crate) fn run(args: &args::History, as_json: bool) -> Result<(), CliError> {
    let reader = Reader::open(&Domain::of(&args.place)?.store())?;
    let mut epochs = Vec::new();
    for index in reader.control_entries()? {
        if let Body::Policy(activation) = body(&reader, index)? {
            epochs.push((index, activation));
        }
    }
    let refused = if args.refused { refused(&reader)? } else { Vec::new() };
    if as_json {
        let refused: Vec<Value> = refused.iter().map(|one| one.json()).collect();
        let epochs =
            epochs.iter().map(|(index, one)| epoch_json(&reader, *index, one)).collect::<Result<Vec<_>, _>>()?;
        let told =
            if args.refused { json!({ "epochs": epochs, "refused": refused }) } else { json!({ "epochs": epochs }) };
        return json_line(&told);
    }
    for (index, activation) in &epochs {
        tell(&reader, *index, activation, args.report)?;
    }
    refused.iter().try_for_each(Refused::tell)
}

fn body(reader: &Reader, index: LeafIndex) -> Result<Body, CliError> {
    let stored = reader.entry(index)?.ok_or(LedgerError::NoEntry(index))?;
    Ok(Entry::decode(&stored.bytes, reader.origin()).map_err(CliError::Refused)?.body)
}

fn tell(reader: &Reader, index: LeafIndex, one: &Activation, whole: bool) -> Result<(), CliError> {
    let when = utc(one.time_ms);
    line(format_args!("epoch {}   {when}   entry {index}   by {}", one.epoch.get(), who(&one.by)))?;
    line(format_args!("  set         {}", hex(one.set.as_bytes())))?;
    line(format_args!("  semantics   {}", one.semantics))?;
    let signed = signers(one)?.map_or_else(|| "nobody: taken from a folder".to_owned(), |all| all.join(", "));
    line(format_args!("  signed by   {signed}"))?;
    let gates: Vec<String> = one.gates.as_slice().iter().map(|one| format!("{} {}", one.gate, one.passed)).collect();
    line(format_args!("  gates       {}", gates.join(", ")))?;
    for accepted in accepted(reader, one)? {
        line(format_args!("  accepted    {accepted}"))?;
    }
    if !whole {
        return Ok(());
    }
    match report(reader, index, one)? {
        Some(report) => report.lines().try_for_each(|told| line(format_args!("    {told}"))),
        None => line("    no report is kept"),
    }
}

/// What its authors have accepted.
fn accepted(reader: &Reader, one: &Activation) -> Result<Vec<String>, CliError> {
    let Some(manifest) = &one.manifest else { return Ok(Vec::new()) };
    let signed = Signed::decode(&manifest.0).map_err(CliError::Refused)?;
    let manifest = signed.manifest_claims(reader.origin()).map_err(CliError::Refused)?;
    Ok(manifest.accepts.as_slice().iter().map(ToString::to_string).collect())
}

/// What the gates had to say, if there is anything and it was not erased.
fn report(reader: &Reader, index: LeafIndex, one: &Activation) -> Result<Option<String>, CliError> {
    let Some(report) = one.report else { return Ok(None) };
    kept_text(reader, index, &report)
}

fn kept_text(reader: &Reader, index: LeafIndex, text: &Hash) -> Result<Option<String>, CliError> {
    Ok(match reader.kept(index, CommitmentKind::Text, text)? {
        Kept::Value(opening) => Some(String::from_utf8_lossy(&opening.value).trim_end().to_owned()),
        Kept::Erased | Kept::Nothing => None,
    })
}

fn epoch_json(reader: &Reader, index: LeafIndex, one: &Activation) -> Result<Value, CliError> {
    let gates = one.gates.as_slice().iter().map(|one| json!({ "gate": one.gate.as_str(), "passed": one.passed }));
    Ok(json!({
        "epoch": one.epoch.get(),
        "index": index.get(),
        "time_ms": one.time_ms,
        "set": hex(one.set.as_bytes()),
        "semantics": one.semantics.as_str(),
        "by": who(&one.by),
        "signers": signers(one)?,
        "gates": gates.collect::<Vec<_>>(),
        "accepted": accepted(reader, one)?,
        "report": report(reader, index, one)?,
    }))
}

fn who(by: &Principal) -> String {
    format!("{}::{}", by.kind, by.id)
}

/// Who signed it; nothing where it came from a folder.
fn signers(one: &Activation) -> Result<Option<Vec<String>>, CliError> {
    let Some(manifest) = &one.manifest else { return Ok(None) };
    let signed = Signed::decode(&manifest.0).map_err(CliError::Refused)?;
    Ok(Some(signed.signers().map(|one| one.to_string()).collect()))
}

/// A bundle that was refused.
struct Refused {
    index: LeafIndex,
    denial: Denial,
    why: Option<String>,
}

/// Only refused bundles have a text.
fn refused(reader: &Reader) -> Result<Vec<Refused>, CliError> {
    let (size, _) = reader.checkpoint()?;
    let mut found = Vec::new();
    for index in (0..size.get()).map(LeafIndex::new) {
        let Body::Denial(denial) = body(reader, index)? else { continue };
        let Some(text) = denial.text else { continue };
        let why = kept_text(reader, index, &text)?;
        found.push(Refused { index, denial, why });
    }
    Ok(found)
}

impl Refused {
    fn tell(&self) -> Result<(), CliError> {
        let Self { index, denial, why } = self;
        let when = utc(denial.time_ms);
        line(format_args!("refused   {when}   entry {index}   by {}   {}", who(&denial.principal), denial.code))?;
        why.iter().flat_map(|why| why.lines()).try_for_each(|why| line(format_args!("  {why}")))
    }

    fn json(&self) -> Value {
        let Self { index, denial, why } = self;
        json!({
            "index": index.get(),
            "time_ms": denial.time_ms,
            "by": who(&denial.principal),
            "code": denial.code.as_str(),
            "why": why,
        })
    }
}
