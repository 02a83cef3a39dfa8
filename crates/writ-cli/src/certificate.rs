//! `writ key certificate`: a principal's key in the form in which TLS shows it.
//!
//! The certificate is signed by its own key, says nothing but that key, and does not end: whose key it is, and until when, is what the policy set and
//! revocations say.

use crate::args::Place;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::keys::{SECRET_FILE, must_be_new, principal_seed, read_key, read_seed, write_new};
use crate::who::principal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args as ClapArgs;
use serde_json::json;
use std::path::PathBuf;
use writ_tlog::SigningKey;

#[derive(ClapArgs)]
pub(crate) struct KeyCertificate {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Whose, like Agent::builder
    #[arg(long, value_name = "TYPE::ID")]
    pub(crate) principal: String,
    /// The file with the seed of the key [default: DIR/keys/principals/TYPE/ID.seed]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Where to write, without ending: STEM.pem is the certificate, STEM.key its secret key
    #[arg(short, long, value_name = "STEM")]
    pub(crate) output: PathBuf,
}

const PUBLIC_FILE: u32 = 0o644;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const BITS: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const TIME: u8 = 0x18;

const VERSION_3: &[u8] = &[0x02, 0x01, 0x02];
const SERIAL: &[u8] = &[0x02, 0x01, 0x01];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// Common name, and the text `writ`.
const NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x04, b'w', b'r', b'i', b't'];
const FROM: &[u8] = b"000101000000Z";
/// What RFC 5280 says for a certificate that has no end.
const UNTIL: &[u8] = b"99991231235959Z";
/// What stands before the seed of an Ed25519 key in PKCS #8 (RFC 8410).
const KEY_HEAD: &[u8] =
    &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

pub(crate) fn run(args: &KeyCertificate, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.place)?;
    let seed_file = args
        .key
        .clone()
        .map_or_else(|| principal(&args.principal).map(|name| principal_seed(domain.dir(), &name)), Ok)?;
    let (certificate, key) = (args.output.with_extension("pem"), args.output.with_extension("key"));
    for path in [&certificate, &key] {
        must_be_new(path)?;
    }
    let pkcs8 = [KEY_HEAD, &read_seed(&seed_file)?].concat();
    write_new(&key, pem("PRIVATE KEY", &pkcs8).as_bytes(), SECRET_FILE)?;
    write_new(&certificate, pem("CERTIFICATE", &self_signed(&read_key(&seed_file)?)).as_bytes(), PUBLIC_FILE)?;
    if as_json {
        return json_line(&json!({ "principal": args.principal, "certificate": certificate, "key": key }));
    }
    line(format_args!("{}: its key as a certificate", args.principal))?;
    line(format_args!("  certificate {}", certificate.display()))?;
    line(format_args!("  key         {}   for its owner alone", key.display()))
}

fn self_signed(key: &SigningKey) -> Vec<u8> {
    let algorithm = der(SEQUENCE, &[ED25519]);
    let name = der(SEQUENCE, &[&der(SET, &[&der(SEQUENCE, &[NAME])])]);
    let validity = der(SEQUENCE, &[&der(UTC_TIME, &[FROM]), &der(TIME, &[UNTIL])]);
    // The first byte of a key of ours is its tag; the first of a bit string says that all its bits count.
    let public = writ_protocol::Key::from(key.verifying_key());
    let bits = der(BITS, &[&[0], public.as_bytes().get(1..).unwrap_or_default()]);
    let info = der(SEQUENCE, &[&algorithm, &bits]);
    let version = der(VERSION, &[VERSION_3]);
    let signed = der(SEQUENCE, &[&version, SERIAL, &algorithm, &name, &validity, &name, &info]);
    let signature = der(BITS, &[&[0], &key.sign(&signed)]);
    der(SEQUENCE, &[&signed, &algorithm, &signature])
}

/// One element of DER. All that is written here is shorter than 64 KiB.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut element = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ 0..=0x7f) => element.push(length),
        Ok(length) => element.extend([0x81, length]),
        Err(_) => {
            element.push(0x82);
            element.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    element.extend(content);
    element
}

fn pem(kind: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let mut lines = vec![format!("-----BEGIN {kind}-----")];
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        lines.push(line.to_owned());
        rest = after;
    }
    lines.push(format!("-----END {kind}-----\n"));
    lines.join("\n")
}
