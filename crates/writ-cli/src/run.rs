//! `writ run`: a command as a governed execution. Its streams, its terminal and its exit status are the command's own.

use crate::args;
use crate::domain::{Domain, origin_of, read, read_trust_root};
use crate::error::{CliError, harmless};
use crate::explained::Detail;
use crate::keys::{action_salt, read_holder};
use crate::known::authors;
use crate::refused::{explained, next_step};
use crate::render::{policy_json, quoted};
use crate::who::{endpoint, signer};
use serde_json::json;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use writ_client::Denial;
use writ_gateway_process::{HandedOver, Patience, Ran, Refused, Run, Signer, end_like};
use writ_protocol::statement::Ending;
use writ_protocol::{Code, Refusal, WRIT_BYTES_MAX, WritVerifier};
use writ_tlog::{Algorithm, SigningKey};

/// `writ run` itself could not do it; `env` and `timeout` use the same number.
pub(crate) const FAILED: u8 = 125;
/// Refused; shells use the same number for what cannot be executed.
pub(crate) const REFUSED: u8 = 126;
/// There is no such program.
pub(crate) const NOT_FOUND: u8 = 127;

/// Runs it, and ends this process as the command ended.
pub(crate) fn run(args: &args::Run, as_json: bool) -> Result<u8, CliError> {
    if args.shadow {
        return crate::shadow::run(args, as_json);
    }
    let asked = match prepared(args) {
        Ok(asked) => asked,
        Err(CliError::Refused(refusal)) => {
            told(&args.argv, &Refused { refusal, index: None }, as_json);
            return Ok(REFUSED);
        }
        Err(error) => return Err(error),
    };
    match writ_gateway_process::run(asked) {
        Ran::Ended { grant, ending, recorded } => {
            if let Err(refusal) = &recorded {
                say(&format!(
                    "writ: it ran, and its end could not be recorded: {refusal}; the next run records `unknown`"
                ));
            }
            if as_json {
                ended(grant, ending, &recorded);
            }
            end_like(ending)
        }
        Ran::Held(held) => {
            if as_json {
                say_json(&crate::holds::told_json(&held));
            } else {
                say(&format!("writ: held {}: {}", shown(&args.argv), held.why));
                crate::holds::told(&held).iter().for_each(|line| say(line));
            }
            Ok(REFUSED)
        }
        Ran::Denied(denial) => {
            denied(args, &denial, as_json);
            Ok(REFUSED)
        }
        Ran::Refused(refused) => {
            told(&args.argv, &refused, as_json);
            Ok(REFUSED)
        }
        Ran::NotFound(refused) => {
            told_missing(&args.argv, &refused, as_json);
            Ok(NOT_FOUND)
        }
    }
}

fn prepared(args: &args::Run) -> Result<Run, CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let trust = read_trust_root(&domain.trust_root())?;
    let principal = signer(&args.who, &domain)?.map(|signer| Signer { name: signer.name, key: signer.key });
    let writ = args.writ.as_deref().map(|path| handed_over(path, args.holder.as_deref(), &trust)).transpose()?;
    let mandate = args.mandate.map(|index| crate::mandates::named(&args.reach, &domain, index)).transpose()?;
    // The mark is as much the domain's as its folder.
    let mut own = vec![domain.dir().to_owned()];
    let mark = domain.mark()?;
    let mark = std::path::absolute(&mark).map_err(CliError::file(&mark))?;
    // A machine without a store has none. Where there is one, a mark that cannot be found may be seen from inside, and that is refused.
    let is_there = |folder: &&Path| domain.store().exists() || !matches!(folder.try_exists(), Ok(false));
    own.extend(mark.parent().filter(is_there).map(Path::to_owned));
    let slots = domain.slots();
    let hidden = move || Ok([own.clone(), crate::beside::hidden(&slots)?].concat());
    Ok(Run {
        argv: args.argv.clone(),
        principal,
        writ,
        mandate,
        labels: args.label.clone(),
        endpoint: endpoint(&args.reach, &domain)?,
        origin: origin_of(&trust)?,
        trust,
        slots: domain.slots(),
        hidden: Box::new(hidden),
        kept: vec![domain.run_folder(), domain.trust_root()],
        patience: Patience { wait: args.patience.wait, begin: Some(crate::holds::waiting) },
    })
}

fn handed_over(path: &Path, holder: Option<&Path>, trust: &writ_protocol::TrustRoot) -> Result<HandedOver, CliError> {
    let writ = read(path, WRIT_BYTES_MAX)?;
    let verified = WritVerifier::new(trust.clone()).verify(&writ);
    let holder = holder.map_or_else(|| key_beside(path), Path::to_owned);
    let seed = read_holder(&holder);
    // What cannot be verified is the gateway's to refuse, on the record.
    let (Ok(verified), Ok((seed, salt))) = (verified, seed) else {
        let holder = SigningKey::from_seed(Algorithm::Ed25519, &[0; 32]);
        return Ok(HandedOver { writ, action_salt: [0; 32], holder });
    };
    let action_salt = salt.unwrap_or_else(|| action_salt(&seed, &verified.grant().request.key));
    Ok(HandedOver { writ, action_salt, holder: SigningKey::from_seed(Algorithm::Ed25519, &seed) })
}

/// Where `writ authorize` puts the key of the holder.
pub(crate) fn key_beside(writ: &Path) -> PathBuf {
    let mut name = writ.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

fn denied(args: &args::Run, denial: &Denial, as_json: bool) {
    if as_json {
        say_json(&json!({
            "outcome": "deny",
            "code": denial.code.as_str(),
            "why": denial.why,
            "index": denial.index,
            "policies": denial.policies.iter().map(policy_json).collect::<Vec<_>>(),
            "explanation": denial.explanation,
            "next": denial.next.as_deref().unwrap_or_else(|| next_step(denial.code)),
        }));
        return;
    }
    say(&format!("writ: refused {}: {}: {}", shown(&args.argv), denial.code, denial.why));
    if denial.code == Code::PolicyDenied && denial.policies.is_empty() {
        say(&format!("  policy  none of those {}", looked_at(args)));
    }
    for line in explained(denial, Detail::Obstacles) {
        say(&line);
    }
}

/// The policies that count: where authors are pinned, or where there is no folder, those in force are in the ledger alone.
fn looked_at(args: &args::Run) -> String {
    let domain = Domain::of(&args.reach.place).ok();
    match domain {
        Some(domain) if domain.policy().is_dir() && authors(&domain).is_none() => {
            format!("in {}", quoted(&absolute(&domain.policy())))
        }
        Some(_) | None => "in force, which `writ policy history` names".to_owned(),
    }
}

fn told(argv: &[OsString], refused: &Refused, as_json: bool) {
    let Refused { refusal, index } = refused;
    if as_json {
        return told_json(refused, next_step(refusal.code()));
    }
    say(&format!("writ: refused {}: {}", shown(argv), reason(refusal)));
    recorded_at(*index);
    say(&format!("  next    {}", next_step(refusal.code())));
}

fn told_missing(argv: &[OsString], refused: &Refused, as_json: bool) {
    let next = "look at the spelling and at PATH; a path needs a `/`";
    if as_json {
        return told_json(refused, next);
    }
    say(&format!("writ: there is no such program: {}", shown(argv.get(..1).unwrap_or_default())));
    say(&format!("  code    {}", reason(&refused.refusal)));
    recorded_at(refused.index);
    say(&format!("  next    {next}"));
}

fn told_json(Refused { refusal, index }: &Refused, next: &str) {
    say_json(&json!({
        "outcome": "refused",
        "code": refusal.code().as_str(),
        "why": refusal.why(),
        "index": index,
        "next": next,
    }));
}

fn recorded_at(index: Option<u64>) {
    match index {
        Some(index) => say(&format!("  entry   {index}")),
        None => say("  entry   none: nothing could be recorded, and nothing was run"),
    }
}

/// For programs: where the two ends of what was run are recorded. People have the ledger.
fn ended(grant: u64, ending: Ending, recorded: &Result<u64, Refusal>) {
    say_json(&json!({
        "outcome": "ran",
        "grant": grant,
        "index": recorded.as_ref().ok(),
        "ended": ending.to_string(),
    }));
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn reason(refusal: &Refusal) -> String {
    format!("{}: {}", refusal.code(), refusal.why())
}

/// The command, on one line and cut to what fits it; quoted, so that it is told which arguments there are.
pub(crate) fn shown(argv: &[OsString]) -> String {
    let text = writ_server::command_text(argv.iter().map(|part| part.as_bytes()));
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Standard output is the command's; this is where the person looks. Whether anybody does changes nothing of what is done.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr(), "{}", harmless(text)).ok();
}

/// As [`say`], for programs.
pub(crate) fn say_json(value: &serde_json::Value) {
    writeln!(std::io::stderr(), "{value}").ok();
}
