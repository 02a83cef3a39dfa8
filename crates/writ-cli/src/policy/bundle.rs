//! `writ policy author`, `sign` and `publish`: from a folder to the set in force.

use super::source::{bundle_for, listed, read_bundle, snapshot_of};
use super::{args, compiled_snapshot, gates_line};
use crate::domain::{Domain, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::explained::Detail;
use crate::keys::{must_be_new, random, read_key, write_new, write_secret};
use crate::known::authors;
use crate::render::{counted, hex, quoted};
use crate::time::now_ms;
use crate::who::{commander, connect};
use serde_json::{Value, json};
use std::path::Path;
use writ_client::OrderAnswer;
use writ_protocol::action::{Action, Command, Order};
use writ_protocol::entry::{Ascending, Positive};
use writ_protocol::statement::{Ask, Manifest, ManifestFields, Request, Signed};
use writ_protocol::{
    Code, Ed25519Key, Fingerprint, Key, Label, Name, POLICY_BUNDLE_BYTES_MAX, PolicyBundle, Refusal, RequestKey,
    WritVerifier,
};
use writ_server::{GateResult, History, Looked, PolicySet, Snapshot, read_policy_folder, set_in_force};
use writ_tlog::{Algorithm, Hash, SigningKey, sha256};

/// What an author is told where there is no store.
const NOT_ASKED: &str = "no store here; the node asks it when the set is published";
/// A solver is not asked here.
const NOT_PROVED: &str =
    "not run; the node runs them when the set is published (`writ policy check --prove --against SET` does it here)";
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// So much may the clock of the node be behind that of the author.
const BEFORE_MS: u64 = 5 * 60 * 1000;

/// A key for an author of policies.
pub(crate) fn author(args: &args::Author, as_json: bool) -> Result<(), CliError> {
    must_be_new(&args.seed)?;
    let seed = write_secret(&args.seed)?;
    let public = Key::from(SigningKey::from_seed(Algorithm::Ed25519, &seed).verifying_key());
    let (text, fingerprint) = (hex(public.as_bytes()), public.fingerprint().to_string());
    if as_json {
        return json_line(&json!({ "seed": args.seed, "key": text, "fingerprint": fingerprint }));
    }
    line(format_args!("{}: a new key for an author of policies", args.seed.display()))?;
    line(format_args!("  public key  {text}"))?;
    line(format_args!("  fingerprint {fingerprint}"))?;
    line("\nnext: the root members pin it, with `writ root policy-authors`")
}

pub(crate) fn sign(args: &args::Sign, as_json: bool) -> Result<(), CliError> {
    must_be_new(&args.output)?;
    let domain = Domain::of(&args.reach.place)?;
    if args.signing.authors.is_empty() {
        return Err(CliError::Usage("say with which key to sign: --author FILE, once for each author".to_owned()));
    }
    let bytes = signed_bundle(&args.source, &args.signing, &args.reach, &domain)?;
    let history = accepted_history(&bytes, &domain, &args.source)?;
    write_new(&args.output, &bytes, 0o644)?;
    let bundle = bundle_for(&bytes, &domain.origin()?)?;
    let signers = signers(&bundle)?;
    let (epoch, until_ms) = (bundle.manifest().epoch.get(), bundle.manifest().until_ms);
    let set = hex(bundle.manifest().set.as_bytes());
    let enough = enough(&bundle, &domain)?;
    if as_json {
        return json_line(&json!({
            "bundle": args.output, "epoch": epoch, "set": set, "signers": signers, "until_ms": until_ms,
            "history": history.as_ref().map(super::history_json), "proofs": null,
            "signed": enough.map(|(signed, _)| signed), "threshold": enough.map(|(_, threshold)| threshold),
        }));
    }
    line(format_args!("{}: a policy set for epoch {epoch}", args.output.display()))?;
    line(format_args!("  set         {set}"))?;
    line(format_args!("  signed by   {}", signers.join(", ")))?;
    if let Some((signed, threshold)) = enough {
        line(format_args!("  authors     {signed} of {threshold} that must sign"))?;
    }
    line(format_args!("  until       {}", crate::time::utc(until_ms)))?;
    line(format_args!("  history     {}", history.as_ref().map_or(NOT_ASKED.to_owned(), asked)))?;
    line(format_args!("  proofs      {NOT_PROVED}"))?;
    let output = quoted(&args.output);
    if enough.is_some_and(|(signed, threshold)| signed >= threshold) {
        return line(format_args!("\nnext: writ policy publish {output}"));
    }
    line(format_args!("\nnext: another author adds a signature: `writ policy sign {output} -o OUTPUT --author FILE`"))?;
    line(format_args!("      once enough have signed, writ policy publish OUTPUT"))
}

pub(crate) fn publish(args: &args::Publish, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let reason = Label::new(args.reason.as_str()).map_err(|error| CliError::Usage(format!("--reason: {error}")))?;
    // A bundle goes to the node as it is: the node judges it, and records what it thinks.
    let bytes = if args.signing.authors.is_empty() {
        if args.source.is_dir() {
            return Err(CliError::Usage(
                "a folder is not signed; say with which keys to sign it (--author FILE), or make a bundle with `writ policy sign`"
                    .to_owned(),
            ));
        }
        read_bundle(&args.source)?
    } else {
        signed_bundle(&args.source, &args.signing, &args.reach, &domain)?
    };
    if bytes.len() > POLICY_BUNDLE_BYTES_MAX {
        let path = args.source.display();
        let why = format!("{path}: a policy bundle has at most {POLICY_BUNDLE_BYTES_MAX} bytes");
        return Err(CliError::Refused(Refusal::malformed(why)));
    }
    let signer = commander(&args.who, &domain)?;
    let action = Action::Order(Order { command: Command::Publish(sha256(&bytes)), reason });
    let request = Request {
        key: RequestKey::new(now_ms(), random()?),
        salt: random()?,
        time_ms: now_ms(),
        principal: Some(signer.name.clone()),
        action_salt: random()?,
        action: action.encode().map_err(CliError::Refused)?,
        ask: Ask::Order,
    };
    let order = request.sign(&domain.origin()?, &signer.key);
    let client = connect(&args.reach, &domain)?;
    let recorded = match client.publish(&order, &bytes).map_err(|error| unanswered(error.refusal()))? {
        OrderAnswer::Recorded(recorded) => recorded,
        OrderAnswer::Deny(denial) => return Err(CliError::Denied(Box::new(denial), Detail::Obstacles)),
        OrderAnswer::Refused(refused) => return Err(CliError::Refused(refused.refusal())),
    };
    // A set that is not proved to be in force is not.
    let trust = read_trust_root(&domain.trust_root())?;
    let logged = WritVerifier::new(trust).verify_logged(recorded.proof.as_bytes()).map_err(CliError::Refused)?;
    let index = logged.index.get();
    let bundle = bundle_for(&bytes, &domain.origin()?)?;
    let (epoch, set) = (bundle.manifest().epoch.get(), hex(bundle.manifest().set.as_bytes()));
    if as_json {
        return json_line(&json!({ "outcome": "published", "epoch": epoch, "set": set, "index": index }));
    }
    line(format_args!("published: the set of epoch {epoch} is in force, entry {index}"))?;
    line(format_args!("  policy set  {set}"))?;
    line(format_args!("  signed by   {}", signers(&bundle)?.join(", ")))
}

/// The node goes on when nobody waits for its answer any more.
fn unanswered(refusal: Refusal) -> CliError {
    if refusal.code() != Code::AuthorityUnreachable {
        return CliError::Refused(refusal);
    }
    let why = refusal.why();
    CliError::Failed(format!("{why}; it is not known whether the set came into force: `writ policy history` says so"))
}

/// The bundle of a folder, or a bundle with more signatures.
fn signed_bundle(
    source: &Path,
    signing: &args::Signing,
    reach: &crate::args::Reach,
    domain: &Domain,
) -> Result<Vec<u8>, CliError> {
    let keys = signing.authors.iter().map(|path| read_key(path)).collect::<Result<Vec<_>, _>>()?;
    let origin = domain.origin()?;
    if !source.is_dir() {
        if !signing.accepts.is_empty() {
            return Err(CliError::Usage(
                "--accept belongs to the first signature: the manifest of a bundle is fixed".to_owned(),
            ));
        }
        let bundle = bundle_for(&read_bundle(source)?, &origin)?;
        must_pass(&snapshot_of(&bundle)?, domain, source)?;
        let mut signed = bundle.signed().to_vec();
        must_be_others(&signed, &keys, source)?;
        for key in &keys {
            signed = Signed::decode(&signed).map_err(CliError::Refused)?.signed_too(key);
        }
        return Ok(PolicyBundle::assemble(&signed, bundle.files()));
    }
    let snapshot = read_policy_folder(source).map_err(|error| CliError::Found(error.to_string()))?;
    let set = must_pass(&snapshot, domain, source)?;
    must_be_there(&signing.accepts, &set, domain, source)?;
    let files = listed(&snapshot)?;
    let (epoch, replaces) = place(signing, reach, domain)?;
    let time_ms = now_ms();
    let manifest = Manifest::new(ManifestFields {
        set: snapshot.digest(),
        epoch,
        files: Manifest::list(&files),
        domain: read_trust_root(&domain.trust_root())?.domain(),
        accepts: accepts(&signing.accepts)?,
        from_ms: time_ms.saturating_sub(BEFORE_MS),
        time_ms,
        replaces,
        until_ms: time_ms.saturating_add(signing.days.saturating_mul(DAY_MS)),
    });
    let manifest = manifest.map_err(|error| CliError::Refused(Refusal::malformed(error)))?;
    let signed = manifest.sign(&origin, &keys.iter().collect::<Vec<_>>());
    let bytes = PolicyBundle::assemble(&signed, &files);
    // What is signed is read as the node will read it.
    bundle_for(&bytes, &origin)?;
    Ok(bytes)
}

/// Misspelt, it would accept nothing, and the node would refuse the set with everybody's signature on it.
fn accepts(all: &[String]) -> Result<Ascending<Name>, CliError> {
    let each = all.iter().map(|one| {
        let known = matches!(one.as_str(), "entities" | "schema" | "semantics" | "wider")
            || History::names().any(|name| name == one)
            || one.starts_with("policy:")
            || one.starts_with("guardrail:");
        let name = Name::new(one.as_str()).ok().filter(|_| known);
        name.ok_or_else(|| {
            CliError::Usage(format!("--accept {one}: expected policy:ID, guardrail:ID, entities, schema, semantics, wider, or history:newly_permitted, history:newly_denied, history:newly_held or history:undecided"))
        })
    });
    Ok(Ascending::new(each.collect::<Result<Vec<_>, _>>()?))
}

/// A policy or guardrail that is accepted by its id stands in the set, or in the one in force that it stood in: else nothing is accepted. Where the
/// store is not at hand, nobody here knows what is gone.
fn must_be_there(accepts: &[String], set: &PolicySet, domain: &Domain, source: &Path) -> Result<(), CliError> {
    let named = |set: &PolicySet, one: &str| match one.split_once(':') {
        Some(("policy", id)) => set.ids().any(|known| known.as_str() == id),
        Some(("guardrail", id)) => set.guardrails().iter().any(|(known, _)| AsRef::<str>::as_ref(known.id()) == id),
        // The others are no ids, and have been looked at.
        Some(_) | None => true,
    };
    let unknown: Vec<&String> = accepts.iter().filter(|one| !named(set, one)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let Ok(in_force) = set_in_force(&domain.store()) else { return Ok(()) };
    match unknown.into_iter().find(|one| !named(&in_force, one)) {
        Some(one) => Err(CliError::Usage(format!(
            "--accept {one}: neither {} nor the set in force has it; look at the id, `writ policy check --prove --against SET` names what to accept",
            source.display()
        ))),
        None => Ok(()),
    }
}

/// What the ledger says of a bundle, where its store is at hand: nobody signs what the node would refuse. Where it is not, the node asks.
fn accepted_history(bytes: &[u8], domain: &Domain, source: &Path) -> Result<Option<History>, CliError> {
    let bundle = bundle_for(bytes, &domain.origin()?)?;
    let gated = compiled_snapshot(&snapshot_of(&bundle)?, super::beside(domain)?.as_ref());
    let Some(set) = gated.set() else { return Ok(None) };
    let Some(history) = super::history_at_hand(&domain.store(), set)? else { return Ok(None) };
    let accepts = bundle.manifest().accepts.as_slice().iter().map(Name::as_str).collect();
    let Looked { result, accepted } = history.judged(&accepts);
    accepted.iter().try_for_each(line)?;
    let GateResult::Failed(findings) = result else { return Ok(Some(history)) };
    findings.iter().try_for_each(line)?;
    let found = counted(findings.len() as u64, "finding", "findings");
    Err(CliError::Found(format!("{found} in the ledger's history: {} was not signed", source.display())))
}

fn asked(history: &History) -> String {
    format!("{} decided again", counted(history.found().decided, "decision", "decisions"))
}

/// Nobody signs what the node would refuse.
fn must_pass(snapshot: &Snapshot, domain: &Domain, source: &Path) -> Result<PolicySet, CliError> {
    let gated = compiled_snapshot(snapshot, super::beside(domain)?.as_ref());
    if let Some(set) = gated.set() {
        return Ok(set.clone());
    }
    for finding in gated.findings() {
        line(finding)?;
    }
    line(format_args!("  gates       {}", gates_line(&gated)))?;
    let found = counted(gated.findings().count() as u64, "finding", "findings");
    Err(CliError::Found(format!("{found}: {} was not signed", source.display())))
}

/// A second signature of one author counts as one: whoever asks for it takes the bundle for further than it is.
fn must_be_others(signed: &[u8], keys: &[SigningKey], source: &Path) -> Result<(), CliError> {
    let signed = Signed::decode(signed).map_err(CliError::Refused)?;
    for key in keys {
        let mine = Key::from(key.verifying_key()).fingerprint();
        if signed.signers().any(|one| one == mine) {
            return Err(CliError::Usage(format!(
                "{}: {mine} has signed it already; another author signs it, with --author FILE",
                source.display()
            )));
        }
    }
    Ok(())
}

/// How many of the pinned authors have signed, and how many must; nothing where there is no store that says who they are.
fn enough(bundle: &PolicyBundle, domain: &Domain) -> Result<Option<(usize, usize)>, CliError> {
    let Some(authors) = authors(domain) else { return Ok(None) };
    let signed = Signed::decode(bundle.signed()).map_err(CliError::Refused)?;
    let counts = |one: &Fingerprint| authors.keys().iter().any(|key| key.key().fingerprint() == *one);
    Ok(Some((signed.signers().filter(counts).count(), authors.threshold())))
}

/// The epoch a set is for, and what it replaces: as said, or as the node says.
fn place(
    signing: &args::Signing,
    reach: &crate::args::Reach,
    domain: &Domain,
) -> Result<(Positive, Option<Hash>), CliError> {
    if let (Some(epoch), Some(replaces)) = (signing.epoch, &signing.replaces) {
        let epoch = Positive::new(epoch).ok_or_else(|| CliError::Usage("--epoch begins at 1".to_owned()))?;
        let replaces =
            hash(replaces).ok_or_else(|| CliError::Usage("--replaces: expected 64 hex digits".to_owned()))?;
        return Ok((epoch, Some(replaces)));
    }
    let status = connect(reach, domain)?.status().map_err(|error| CliError::Refused(error.refusal()))?;
    let told = || CliError::Failed("the node does not say which policy set is in force".to_owned());
    let epoch = status.pointer("/policy/epoch").and_then(Value::as_u64).ok_or_else(told)?;
    let set = status.pointer("/policy/set").and_then(Value::as_str).and_then(hash).ok_or_else(told)?;
    let next = epoch.checked_add(1).and_then(Positive::new).ok_or_else(told)?;
    Ok((next, Some(set)))
}

fn hash(text: &str) -> Option<Hash> {
    crate::keys::seed_of(text).map(Hash::from_bytes)
}

fn signers(bundle: &PolicyBundle) -> Result<Vec<String>, CliError> {
    let signed = Signed::decode(bundle.signed()).map_err(CliError::Refused)?;
    Ok(signed.signers().map(|one| one.to_string()).collect())
}

/// The public key of an author: tagged hexadecimal, or a file with the seed.
pub(crate) fn author_key(text: &str) -> Result<Ed25519Key, CliError> {
    let digits = text.strip_prefix("01").and_then(crate::keys::seed_of);
    let key = match digits {
        Some(public) => Key::from_bytes(&[&[1u8], public.as_slice()].concat())
            .map_err(|error| CliError::Usage(format!("--author {text}: {error}")))?,
        None => Key::from(read_key(Path::new(text))?.verifying_key()),
    };
    Ed25519Key::new(key).map_err(|error| CliError::Usage(format!("--author {text}: {error}")))
}
