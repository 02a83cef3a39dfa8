//! `writ log`: reading a ledger, beside a running node if there is one.

pub(crate) mod tail;

use crate::args;
use crate::domain::{Domain, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::keys::must_be_new;
use crate::render::{entry_json, entry_text};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use writ_ledger::{Disclosure, Ledger, LedgerError, Reader};
use writ_protocol::Bundle;
use writ_tlog::LeafIndex;

pub(crate) fn show(place: &args::Place, args: &args::Show, as_json: bool) -> Result<(), CliError> {
    let reader = Reader::open(&Domain::of(place)?.store())?;
    let index = LeafIndex::new(args.index);
    let stored = reader.entry(index)?.ok_or(LedgerError::NoEntry(index))?;
    if as_json { json_line(&entry_json(&stored)) } else { line(entry_text(&stored)) }
}

/// Nothing is ever taken out of what is revoked, so these are all of them, the oldest first.
pub(crate) fn revocations(place: &args::Place, as_json: bool) -> Result<(), CliError> {
    let reader = Reader::open(&Domain::of(place)?.store())?;
    let control = reader.view()?.control;
    let mut found: Vec<LeafIndex> = control.revocations().map(|(_, index)| index).collect();
    found.sort();
    found.into_iter().try_for_each(|index| tail::tell(&reader, index, as_json))
}

pub(crate) fn bundle(place: &args::Place, args: &args::Bundle, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(place)?;
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.writ-bundle", args.index)));
    must_be_new(&output)?;
    let reader = Reader::open(&domain.store())?;
    let view = reader.view()?;
    let disclosure = if args.disclose { Disclosure::Values } else { Disclosure::Nothing };
    let bytes = reader.bundle(LeafIndex::new(args.index), &view, disclosure)?.encode();
    // What is handed out has been verified as its reader will verify it.
    Bundle::verify(&bytes, &read_trust_root(&domain.trust_root())?).map_err(CliError::Refused)?;
    write_new(&output, &bytes, args.disclose)?;
    if as_json {
        return json_line(&json!({ "file": output, "bytes": bytes.len(), "size": view.size().get() }));
    }
    line(format_args!(
        "{}: {} bytes, verified; entry {} in the tree of {}",
        output.display(),
        bytes.len(),
        args.index,
        view.size()
    ))
}

/// Evidence never takes the place of a file that is there, and values from the vault are for its owner to hand on.
fn write_new(path: &Path, bytes: &[u8], discloses: bool) -> Result<(), CliError> {
    let mode = if discloses { 0o600 } else { 0o644 };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(CliError::file(path))
}

pub(crate) fn serve(place: &args::Place, args: &args::Serve, as_json: bool) -> Result<(), CliError> {
    let store = Domain::of(place)?.store();
    // Opened once before, so that a wrong folder is an error now and not an error page later.
    let origin = Reader::open(&store)?.origin().clone();
    let fails = |error: std::io::Error| CliError::Failed(format!("cannot listen on {}: {error}", args.listen));
    let listener = std::net::TcpListener::bind(args.listen).map_err(fails)?;
    let address = listener.local_addr().map_err(fails)?;
    let told = if as_json {
        json!({ "origin": origin.as_str(), "url": format!("http://{address}") }).to_string()
    } else {
        format!("serving {origin} at http://{address} (tlog-tiles, read only); stop with Ctrl-C")
    };
    // Somebody may wait for this line, but nobody has to.
    let ready = || line(told).unwrap_or_else(|error| complain(error.to_string()));
    writ_server::serve_log_until_signal(listener, &store, ready, complain)
        .map_err(|error| CliError::Failed(error.to_string()))
}

#[expect(clippy::print_stderr, reason = "a server's complaints go to standard error")]
fn complain(what: String) {
    eprintln!("writ: {what}");
}

pub(crate) fn accept_mark(place: &args::Place, args: &args::AcceptMark, as_json: bool) -> Result<(), CliError> {
    if !args.yes {
        return Err(CliError::Usage("say --yes".to_owned()));
    }
    let domain = Domain::of(place)?;
    let mark = Ledger::accept_mark(&domain.place())?;
    if as_json {
        return json_line(&json!({ "mark": domain.mark(), "size": mark.size.get(), "root": mark.root.to_base64() }));
    }
    line(format_args!("{}: the tree of {} is the newest from here on", domain.mark().display(), mark.size))
}
