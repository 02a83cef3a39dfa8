//! `writ up`: a node for a domain, with this machine's gateway slots.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::keys::{SECRET_FOLDER, read_key, read_seed, write_secret};
use crate::time::now_ms;
use serde_json::json;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use writ_ledger::LedgerSigner;
use writ_protocol::{Ed25519Key, Key, Name};
use writ_server::{
    AuthorityNode, Level, Listeners, Log, LogFormat, NodeSetting, Rate, Said, TlsConfig, serve_authority, stop_signal,
};

pub(crate) fn run(args: &args::Up, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.place)?;
    let origin = domain.origin()?;
    let keys = domain.dir().join("keys");
    let signer = LedgerSigner::from_seeds(
        origin,
        &read_seed(&keys.join("ledger-ed25519.seed"))?,
        &read_seed(&keys.join("ledger-ml-dsa-44.seed"))?,
    );
    let rate = args.rate.map_or(Rate::STANDARD, |per_second| Rate { per_second, burst: per_second.saturating_mul(2) });
    let policy = domain.dir().join("policy");
    let setting = NodeSetting { place: domain.place(), signer, policy, rate };
    let node = AuthorityNode::open(setting, now_ms).map_err(|error| CliError::Failed(error.to_string()))?;
    let enrolled = enrol_slots(&node, &domain.slots(), args.slots)?;
    let node = Arc::new(node);
    let format = if args.log == args::LogStyle::Json { LogFormat::Json } else { LogFormat::Text };
    let log = Log::new(format, std::io::stderr()).map_err(|error| CliError::Failed(format!("the log: {error}")))?;
    let tls = tls(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::Failed(format!("no event loop: {error}")))?;
    let served = runtime.block_on(async {
        let stop = stop_signal().map_err(|error| CliError::Failed(format!("signals: {error}")))?;
        let socket = domain.socket(args.socket.as_deref());
        let failed = |error: writ_server::ServeError| CliError::Failed(error.to_string());
        let mut listeners = Listeners::new().with_unix(&socket, args.socket_mode).await.map_err(failed)?;
        if let Some(address) = args.listen {
            listeners = listeners.with_tcp(address, tls).await.map_err(failed)?;
        }
        told(&node, &socket, listeners.tcp_address(), enrolled, args.slots, as_json)?;
        let entries = [("entries", Said::Number(node.size()))];
        log.line(Level::Info, "up", &entries);
        serve_authority(node.clone(), listeners, log.clone(), stop).await.map_err(failed)
    });
    log.line(Level::Info, "down", &[("entries", Said::Number(node.size()))]);
    served
}

/// Every slot has a key that is enrolled. One that is not, because it is new or was replaced, is enrolled now, in a new epoch.
fn enrol_slots(node: &AuthorityNode, folder: &Path, slots: u16) -> Result<u16, CliError> {
    match std::fs::DirBuilder::new().mode(SECRET_FOLDER).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(CliError::file(folder)(error)),
        Ok(()) | Err(_) => {}
    }
    let group = named("process")?;
    let mut enrolled = 0;
    for number in 1..=slots {
        let stem = format!("{number:02}");
        let path: PathBuf = folder.join(format!("{stem}.seed"));
        if !path.exists() {
            write_secret(&path)?;
        }
        let key = read_key(&path)?;
        let key =
            Ed25519Key::new(Key::from(key.verifying_key())).map_err(|error| CliError::Failed(error.to_string()))?;
        let gateway = named(&format!("process/{stem}"))?;
        if !node.knows_gateway(&gateway, &key) {
            node.enrol(&gateway, key, vec![group.clone()]).map_err(|error| CliError::Failed(error.to_string()))?;
            enrolled += 1;
        }
    }
    Ok(enrolled)
}

fn named(text: &str) -> Result<Name, CliError> {
    Name::new(text).map_err(|error| CliError::Failed(error.to_string()))
}

fn tls(args: &args::Up) -> Result<Option<TlsConfig>, CliError> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => {
            TlsConfig::from_pem_files(certificate, key).map(Some).map_err(|error| CliError::Failed(error.to_string()))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => {
            Err(CliError::Usage("--tls-cert and --tls-key belong together".to_owned()))
        }
    }
}

fn told(
    node: &AuthorityNode,
    socket: &Path,
    address: Option<std::net::SocketAddr>,
    enrolled: u16,
    slots: u16,
    as_json: bool,
) -> Result<(), CliError> {
    let policy = node.policy();
    if as_json {
        return json_line(&json!({
            "up": true,
            "entries": node.size(),
            "socket": socket,
            "address": address.map(|address| address.to_string()),
            "policy_epoch": policy.epoch.get(),
            "policies": policy.set.len(),
            "slots": slots,
            "enrolled": enrolled,
        }));
    }
    let listening = address.map_or_else(String::new, |address| format!(" and {address}"));
    line(format_args!("up: {} entries, {} policies in epoch {}", node.size(), policy.set.len(), policy.epoch.get()))?;
    line(format_args!("  listening   {}{listening}", socket.display()))?;
    line(format_args!("  gateways    {slots} slots, {enrolled} newly enrolled"))?;
    line("  stop        Ctrl-C")
}
