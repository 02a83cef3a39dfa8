//! `writ up`: a node for a domain, with this machine's gateway slots.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::keys::{SECRET_FOLDER, must_be_secret, read_key, write_secret};
use crate::render::counted;
use crate::time::now_ms;
use serde_json::json;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use writ_protocol::{Ed25519Key, Key, Name};
use writ_server::{
    AuthorityNode, ClientCertificates, ClientTrust, HoldsWebhook, KeyFetcher, Level, Listeners, Log, LogFormat,
    NodeSetting, Rate, Said, TlsConfig, serve_authority, stop_signal,
};

/// What the kernel takes as the name of a local socket (`sun_path`, less its final zero byte).
const SOCKET_BYTES_MAX: usize = 107;

pub(crate) fn run(args: &args::Up, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.place)?;
    let socket = domain.socket(args.socket.as_deref());
    must_fit(&socket)?;
    let signer = domain.signer()?;
    let rate = args.rate.map_or(Rate::STANDARD, |per_second| Rate { per_second, burst: per_second.saturating_mul(2) });
    let fetcher = KeyFetcher::new(args.issuer_ca.clone()).map_err(|error| CliError::Failed(error.to_string()))?;
    let (policy, solver) = (domain.policy(), args.solver.command());
    let holds_webhook = holds_webhook(args)?;
    let setting = NodeSetting { place: domain.place(), signer, policy, rate, solver, fetcher, holds_webhook };
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

/// The system takes short names of sockets only, and ours is made under a longer one first. Looked at before anything is recorded.
fn must_fit(socket: &Path) -> Result<(), CliError> {
    let path = std::path::absolute(socket).map_err(CliError::file(socket))?;
    let found = path.as_os_str().len() + 2 + std::process::id().to_string().len();
    if found <= SOCKET_BYTES_MAX {
        return Ok(());
    }
    let excess = found - SOCKET_BYTES_MAX;
    Err(CliError::Usage(format!(
        "the socket {} has a path that is {} too long for the system; choose a shorter one with --socket FILE, and give it to other commands as --node unix:FILE or WRIT_NODE",
        path.display(),
        counted(excess as u64, "byte", "bytes")
    )))
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

fn holds_webhook(args: &args::Up) -> Result<Option<HoldsWebhook>, CliError> {
    let (Some(place), Some(file)) = (&args.holds_webhook, &args.holds_webhook_secret) else { return Ok(None) };
    must_be_secret(file)?;
    let secret = std::fs::read_to_string(file).map_err(CliError::file(file))?;
    let webhook = HoldsWebhook::new(place, args.holds_webhook_ca.clone(), &secret);
    webhook.map(Some).map_err(|error| CliError::Usage(error.to_string()))
}

fn tls(args: &args::Up) -> Result<Option<TlsConfig>, CliError> {
    let failed = |error: writ_server::ServeError| CliError::Failed(error.to_string());
    match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => {
            let wanted = if args.tls_clients_only { ClientCertificates::Required } else { ClientCertificates::Asked };
            let clients = ClientTrust::new(wanted, args.spiffe_trust.iter().cloned(), now_ms).map_err(failed)?;
            TlsConfig::with_clients(certificate, key, Arc::new(clients)).map(Some).map_err(failed)
        }
        (None, None) if args.tls_clients_only || !args.spiffe_trust.is_empty() => {
            Err(CliError::Usage("--spiffe-trust and --tls-clients-only need --tls-cert and --tls-key".to_owned()))
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
    line(format_args!(
        "up: {}, {} in epoch {}",
        counted(node.size(), "entry", "entries"),
        counted(policy.set.len() as u64, "policy", "policies"),
        policy.epoch.get()
    ))?;
    line(format_args!("  listening   {}{listening}", socket.display()))?;
    line(format_args!("  gateways    {}, {enrolled} newly enrolled", counted(slots.into(), "slot", "slots")))?;
    line("  stop        Ctrl-C")
}
