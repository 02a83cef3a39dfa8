//! `writ run`: a command as a governed execution. Its streams, its terminal and its exit status are the command's own.

use crate::args;
use crate::domain::{Domain, read, read_trust_root};
use crate::error::{CliError, harmless};
use crate::keys::{action_salt, read_seed};
use crate::who::{endpoint, signer};
use serde_json::json;
use std::path::{Path, PathBuf};
use writ_client::Denial;
use writ_gateway_process::{HandedOver, Ran, Refused, Run, Signer, end_like};
use writ_protocol::{Refusal, WRIT_BYTES_MAX, WritVerifier};
use writ_tlog::{Algorithm, SigningKey};

/// Refused; shells use the same number for what cannot be executed.
const REFUSED: u8 = 126;
/// There is no such program.
const NOT_FOUND: u8 = 127;

/// Runs it, and ends this process as the command ended.
pub(crate) fn run(args: &args::Run, as_json: bool) -> Result<u8, CliError> {
    let asked = match prepared(args) {
        Ok(asked) => asked,
        Err(CliError::Refused(refusal)) => {
            told(&args.argv, &Refused { refusal, index: None }, as_json);
            return Ok(REFUSED);
        }
        Err(error) => return Err(error),
    };
    match writ_gateway_process::run(asked) {
        Ran::Ended { ending, recorded } => {
            if let Err(refusal) = recorded {
                say(&format!("writ: it ran, and its end could not be recorded: {refusal}"));
            }
            end_like(ending)
        }
        Ran::Denied(denial) => {
            denied(&args.argv, &denial, as_json);
            Ok(REFUSED)
        }
        Ran::Refused(refused) => {
            told(&args.argv, &refused, as_json);
            Ok(REFUSED)
        }
        Ran::NotFound(refused) => {
            told(&args.argv, &refused, as_json);
            Ok(NOT_FOUND)
        }
    }
}

fn prepared(args: &args::Run) -> Result<Run, CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let trust = read_trust_root(&domain.trust_root())?;
    let principal = signer(&args.who, &domain)?.map(|signer| Signer { name: signer.name, key: signer.key });
    let writ = args.writ.as_deref().map(|path| handed_over(path, args.holder.as_deref(), &trust)).transpose()?;
    // The mark is as much the domain's as its folder.
    let mut hidden = vec![domain.dir().to_owned()];
    let mark = std::path::absolute(domain.mark()).map_err(CliError::file(domain.mark()))?;
    // A machine without a store has none. Where there is one, a mark that cannot be found may be seen from inside, and that is refused.
    let is_there = |folder: &&Path| domain.store().exists() || !matches!(folder.try_exists(), Ok(false));
    hidden.extend(mark.parent().filter(is_there).map(Path::to_owned));
    Ok(Run {
        argv: args.argv.clone(),
        principal,
        writ,
        endpoint: endpoint(&args.reach, &domain)?,
        origin: domain.origin()?,
        trust,
        slots: domain.slots(),
        hidden,
        kept: vec![domain.run_folder(), domain.trust_root()],
    })
}

fn handed_over(path: &Path, holder: Option<&Path>, trust: &writ_protocol::TrustRoot) -> Result<HandedOver, CliError> {
    let writ = read(path, WRIT_BYTES_MAX)?;
    let verified = WritVerifier::new(trust.clone()).verify(&writ);
    let holder = holder.map_or_else(|| key_beside(path), Path::to_owned);
    let seed = read_seed(&holder);
    // What cannot be verified is the gateway's to refuse, on the record.
    let (Ok(verified), Ok(seed)) = (verified, seed) else {
        let holder = SigningKey::from_seed(Algorithm::Ed25519, &[0; 32]);
        return Ok(HandedOver { writ, action_salt: [0; 32], holder });
    };
    let action_salt = action_salt(&seed, &verified.grant().request.key);
    Ok(HandedOver { writ, action_salt, holder: SigningKey::from_seed(Algorithm::Ed25519, &seed) })
}

/// Where `writ authorize` puts the key of the holder.
pub(crate) fn key_beside(writ: &Path) -> PathBuf {
    let mut name = writ.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

fn denied(argv: &[std::ffi::OsString], denial: &Denial, as_json: bool) {
    if as_json {
        let policies = denial.policies.iter().map(
            |one| json!({ "id": one.id, "file": one.file, "line": one.line, "effect": one.effect, "text": one.text }),
        );
        say_json(&json!({
            "outcome": "deny",
            "code": denial.code.as_str(),
            "why": denial.why,
            "index": denial.index,
            "policies": policies.collect::<Vec<_>>(),
            "next": denial.next,
        }));
        return;
    }
    say(&format!("writ: refused {}: {}: {}", shown(argv), denial.code, denial.why));
    for policy in &denial.policies {
        let place = match (&policy.file, policy.line) {
            (Some(file), Some(line)) => format!(" ({file}:{line})"),
            (Some(file), None) => format!(" ({file})"),
            (None, _) => String::new(),
        };
        say(&format!("  policy  {}{place}", policy.id));
        for line in policy.text.as_deref().unwrap_or_default().lines() {
            say(&format!("          {line}"));
        }
    }
    say(&format!("  entry   {}", denial.index));
    if let Some(next) = &denial.next {
        say(&format!("  next    {next}"));
    }
}

fn told(argv: &[std::ffi::OsString], refused: &Refused, as_json: bool) {
    let Refused { refusal, index } = refused;
    if as_json {
        say_json(&json!({
            "outcome": "refused",
            "code": refusal.code().as_str(),
            "why": refusal.why(),
            "index": index,
        }));
        return;
    }
    say(&format!("writ: refused {}: {}", shown(argv), reason(refusal)));
    match index {
        Some(index) => say(&format!("  entry   {index}")),
        None => say("  entry   none: nothing could be recorded, and nothing was run"),
    }
}

fn reason(refusal: &Refusal) -> String {
    format!("{}: {}", refusal.code(), refusal.why())
}

/// The command as it was typed, cut to what fits a line.
fn shown(argv: &[std::ffi::OsString]) -> String {
    let text = argv.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[expect(clippy::print_stderr, reason = "standard output is the command's; this is where the person looks")]
fn say(text: &str) {
    eprintln!("{}", harmless(text));
}

#[expect(clippy::print_stderr, reason = "standard output is the command's")]
fn say_json(value: &serde_json::Value) {
    eprintln!("{value}");
}
