//! `writ log`: reading a ledger, beside a running node if there is one.

pub(crate) mod tail;

use crate::args;
use crate::domain::{Domain, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::keys::must_be_new;
use crate::render::{entry_json, entry_text};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use writ_ledger::{Disclosure, Ledger, LedgerError, Reader};
use writ_protocol::Bundle;
use writ_tlog::LeafIndex;

/// What whoever accepts a store has to know.
const ACCEPTED: &str = "accept-mark declares the store as it is to be the newest, and an older copy is then not noticed any more. Expected --yes: say it only if the mark was lost or damaged and you know that nothing newer was published (\"The mark\" in docs/operations.md)";

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
    let mut making = path.to_owned().into_os_string();
    making.push(".making");
    let making = PathBuf::from(making);
    // One that was cut off is of no use.
    fs::remove_file(&making).ok();
    let written = write_whole(&making, bytes, mode).and_then(|()| named(&making, path));
    written.map_err(|source| {
        fs::remove_file(&making).ok();
        CliError::file(path)(source)
    })
}

/// Whoever finds the file under its name finds all of it.
fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives it the name that nothing has yet.
fn named(making: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(making, path) {
        // A file system without links.
        Err(error) if error.kind() != ErrorKind::AlreadyExists && path.symlink_metadata().is_err() => {
            fs::rename(making, path)
        }
        linked => linked.and_then(|()| fs::remove_file(making)),
    }
}

pub(crate) fn serve(place: &args::Place, args: &args::Serve, as_json: bool) -> Result<(), CliError> {
    let store = Domain::of(place)?.store();
    // Opened once before, so that a wrong folder is an error now and not an error page later.
    let origin = Reader::open(&store)?.origin().clone();
    let fails = |error: io::Error| CliError::Failed(format!("cannot listen on {}: {error}", args.listen));
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
        return Err(CliError::Usage(ACCEPTED.to_owned()));
    }
    let domain = Domain::of(place)?;
    let (path, mark) = (domain.mark()?, Ledger::accept_mark(&domain.place()?)?);
    if as_json {
        return json_line(&json!({ "mark": path, "size": mark.size.get(), "root": mark.root.to_base64() }));
    }
    line(format_args!("{}: the tree of {} is the newest from here on", path.display(), mark.size))
}
