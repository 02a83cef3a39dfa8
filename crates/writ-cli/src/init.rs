//! `writ init`: a new domain, whole or not at all.

use crate::args;
use crate::domain::{Domain, store_in};
use crate::error::{CliError, json_line, line};
use crate::keys::{SECRET_FILE, SECRET_FOLDER, random, write_new, write_secret};
use crate::render::{hex, quoted};
use crate::starter;
use crate::time::now_ms;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use writ_ledger::{Ledger, LedgerSigner, Place};
use writ_protocol::entry::{Genesis, Limits, Positive, ROOT_MEMBERS_MAX, RootMembers};
use writ_protocol::{ClusterId, DomainId, Key, KeyPair, PinnedLedger, Refusal, TrustRoot};
use writ_tlog::{Algorithm, Origin, SigningKey};

const MINUTE_MS: u64 = 60_000;

pub(crate) fn run(args: &args::Init, as_json: bool) -> Result<(), CliError> {
    if let Some((_, name)) = args.origin.split_once("://") {
        let found = &args.origin;
        return Err(CliError::Usage(format!(
            "--origin: expected a name like a URL without a scheme, such as {name}, found {found}; it stands in all that is signed and cannot be changed later"
        )));
    }
    let origin = Origin::new(args.origin.as_str()).map_err(|error| CliError::Usage(format!("--origin: {error}")))?;
    if !(1..=ROOT_MEMBERS_MAX).contains(&args.root_members)
        || !(1..=args.root_members as u64).contains(&args.root_threshold)
    {
        let most = ROOT_MEMBERS_MAX;
        return Err(CliError::Usage(format!("--root-members must be 1 to {most}, --root-threshold 1 to their number")));
    }
    let name = args.dir.file_name().ok_or_else(|| CliError::Usage("DIR must name a folder".to_owned()))?;
    if args.dir.exists() {
        return Err(CliError::Usage(format!("{} exists already; choose a folder that does not", args.dir.display())));
    }
    // Everything is made in a folder beside it, which gets its name when it is complete.
    let mut making = name.to_owned();
    making.push(".making");
    let making = args.dir.with_file_name(making);
    let mark = Domain::at(&args.dir, args.mark.as_deref()).mark()?;
    let absolute = |path: &Path| std::path::absolute(path).map_err(CliError::file(path));
    let inside = [&args.dir, &making].map(|dir| Ok::<_, CliError>(absolute(&mark)?.starts_with(absolute(dir)?)));
    if inside.into_iter().collect::<Result<Vec<_>, _>>()?.contains(&true) {
        return Err(CliError::Usage("--mark must be outside DIR: a restored copy would bring its own mark".to_owned()));
    }
    if mark.exists() {
        return Err(CliError::Failed(earlier_mark(&mark)));
    }
    folder(&making)?;
    let root_keys = args.root_keys.clone().unwrap_or_else(|| making.join("root-keys"));
    let made = make(args, &origin, &making, &root_keys, &mark);
    let made = made.and_then(|trust| match fs::rename(&making, &args.dir) {
        Ok(()) => Ok(trust),
        Err(error) => {
            // The mark is ours: it was made for the ledger that now gets no name.
            fs::remove_file(&mark).ok();
            Err(CliError::file(&args.dir)(error))
        }
    });
    let trust = match made {
        Ok(trust) => trust,
        Err(error) => {
            // Nothing of a domain that was not finished is of use, and its keys should not lie about.
            fs::remove_dir_all(&making).ok();
            return Err(error);
        }
    };
    let root_keys = args.root_keys.clone().unwrap_or_else(|| args.dir.join("root-keys"));
    told(args, &trust, &root_keys, &mark, as_json)
}

/// It outlives the folder, and shows whether what comes back in its place is older.
fn earlier_mark(mark: &Path) -> String {
    format!(
        "{0}: the mark of an earlier ledger at this path is there, and a new ledger gets none that says how far another was published. If that ledger is gone for good, delete its mark (`rm {1}`) and try again; if its folder was moved, name its mark there with --mark FILE, and give the new one another with --mark FILE here",
        mark.display(),
        quoted(mark)
    )
}

fn make(args: &args::Init, origin: &Origin, dir: &Path, root_keys: &Path, mark: &Path) -> Result<TrustRoot, CliError> {
    let keys = dir.join("keys");
    folder(&keys)?;
    let ed25519 = write_secret(&keys.join("ledger-ed25519.seed"))?;
    let ml_dsa_44 = write_secret(&keys.join("ledger-ml-dsa-44.seed"))?;
    let signer = LedgerSigner::from_seeds(origin.clone(), &ed25519, &ml_dsa_44);
    if !root_keys.exists() {
        folder(root_keys)?;
    }
    let members =
        (1..=args.root_members).map(|number| root_member(root_keys, number)).collect::<Result<Vec<_>, _>>()?;
    let root = RootMembers::new(args.root_threshold, members).map_err(|error| CliError::Usage(error.to_string()))?;
    let time_ms = now_ms();
    let genesis = Genesis {
        domain: DomainId::new(time_ms, random()?),
        cluster: ClusterId::new(time_ms, random()?),
        home: origin.clone(),
        keys: signer.key_pair().map_err(CliError::Refused)?,
        root,
        limits: limits()?,
        time_ms,
    };
    let uid = fs::metadata(dir).map_err(CliError::file(dir))?.uid();
    let first = if args.empty { starter::First::Empty } else { starter::First::Starter };
    starter::make(dir, first, &args.user.clone().unwrap_or_else(|| user_name(uid)), uid)?;
    let run = dir.join("run");
    fs::DirBuilder::new().mode(0o755).create(&run).map_err(CliError::file(&run))?;
    let place = Place::new(store_in(dir), mark);
    let hash = Ledger::create(&place, &genesis, &signer)?;
    let pinned = PinnedLedger::new(origin.clone(), hash, genesis.keys.clone()).map_err(CliError::Refused)?;
    let trust = TrustRoot::new(genesis.domain, pinned);
    write_new(&dir.join("trust-root"), trust.to_string().as_bytes(), 0o644)?;
    Ok(trust)
}

/// The name that the session gives its user; whoever wants another one says `--user`.
pub(crate) fn user_name(uid: u32) -> String {
    let login = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    starter::user_name(login.as_deref(), uid)
}

/// Limits that no grant of the domain may exceed; chosen wide, since policy narrows them.
fn limits() -> Result<Limits, CliError> {
    let positive = |value| Positive::new(value).ok_or_else(|| CliError::Failed("a limit of zero".to_owned()));
    Ok(Limits {
        depth_max: 64,
        kill_ms_max: positive(10 * MINUTE_MS)?,
        freeze_ms_max: positive(10 * MINUTE_MS)?,
        window_ms_max: positive(24 * 60 * MINUTE_MS)?,
    })
}

/// One file for one member, so that each can be carried to another place: two seeds, a line each.
fn root_member(folder: &Path, number: usize) -> Result<KeyPair, CliError> {
    let seeds: [[u8; 32]; 2] = [random()?, random()?];
    let text = format!("ed25519 {}\nml-dsa-44 {}\n", hex(&seeds[0]), hex(&seeds[1]));
    write_new(&folder.join(format!("root-{number}.seeds")), text.as_bytes(), SECRET_FILE)?;
    let key = |algorithm, seed| Key::from(SigningKey::from_seed(algorithm, seed).verifying_key());
    KeyPair::new(key(Algorithm::Ed25519, &seeds[0]), key(Algorithm::MlDsa44, &seeds[1]))
        .map_err(|error| CliError::Refused(Refusal::malformed(error)))
}

fn folder(path: &Path) -> Result<(), CliError> {
    fs::DirBuilder::new().recursive(false).mode(SECRET_FOLDER).create(path).map_err(CliError::file(path))
}

fn told(args: &args::Init, trust: &TrustRoot, root_keys: &Path, mark: &Path, as_json: bool) -> Result<(), CliError> {
    let dir = args.dir.display();
    let warning = crate::up::too_long(&args.dir.join("run/node.sock"))?;
    let files: Vec<PathBuf> =
        (1..=args.root_members).map(|number| root_keys.join(format!("root-{number}.seeds"))).collect();
    if as_json {
        return json_line(&json!({
            "domain": trust.domain().to_string(),
            "origin": args.origin,
            "dir": args.dir,
            "store": store_in(&args.dir),
            "trust_root": args.dir.join("trust-root"),
            "policy": args.dir.join("policy"),
            "mark": mark,
            "root_keys": files,
            "warnings": warning.iter().collect::<Vec<_>>(),
        }));
    }
    line(format_args!("domain {} with the ledger {}", trust.domain(), args.origin))?;
    line(format_args!("  ledger      {}", store_in(&args.dir).display()))?;
    line(format_args!("  mark        {}   keep it apart from the ledger", mark.display()))?;
    line(format_args!("  trust root  {dir}/trust-root   give it to everyone who verifies"))?;
    line(format_args!(
        "  root keys   {}/   {} files, {} must sign: move each to another place, offline",
        root_keys.display(),
        files.len(),
        args.root_threshold
    ))?;
    let policy = if args.empty {
        "permits no execution yet; see what runs with `writ run --shadow`, then `writ policy learn --shadow`"
    } else {
        "who may run what; read it, then change it"
    };
    line(format_args!("  policy      {dir}/policy/   {policy}"))?;
    if let Some(warning) = warning {
        line(format_args!("warning: {warning}; or begin again in a shorter folder"))?;
    }
    line(format_args!("\nnext: writ up --domain {}", quoted(&args.dir)))
}
