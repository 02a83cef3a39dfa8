//! `writ up`: a node for one domain or several, with this machine's gateway slots.

pub(crate) mod args;
mod slots;

use crate::beside::{must_be_apart, note, nothing_runs_that_sees_more};
use crate::domain::{Domain, user};
use crate::error::{CliError, json_line, line};
use crate::keys::must_be_secret;
use crate::render::counted;
use crate::time::now_ms;
use args::{LogStyle, Up};
use serde_json::{Map, Value, json};
use slots::Slots;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use writ_protocol::Name;
use writ_server::{
    AuthorityNode, ClientCertificates, ClientTrust, DOMAINS_MAX, Governed, HoldsWebhook, Host, KeyFetcher, Level,
    LocalSocket, Log, LogFormat, Network, NodeSetting, PreparedNode, Quota, Rate, Said, ServeError, TlsConfig,
    serve_authorities, stop_signal,
};
use writ_tlog::Origin;

/// What the kernel takes as the name of a local socket (`sun_path`, less its final zero byte).
const SOCKET_BYTES_MAX: usize = 107;
/// Of 4,194,304, the most that Linux counts processes to.
const PROCESS_DIGITS_MAX: usize = 7;

pub(crate) fn run(args: &Up, as_json: bool) -> Result<(), CliError> {
    let places = places(args)?;
    let log_format = if args.log == LogStyle::Json { LogFormat::Json } else { LogFormat::Text };
    let tls = tls(args)?;
    nothing_runs_that_sees_more(&places.iter().map(|place| &place.domain).collect::<Vec<_>>())?;
    let log = Log::new(log_format, std::io::stderr()).map_err(|error| CliError::Failed(format!("the log: {error}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::Failed(format!("no event loop: {error}")))?;
    // A start that fails leaves nothing in any ledger: all of them are open, and there are places to listen, before anything is recorded.
    let ready = places.into_iter().map(|place| Ready::new(place, args)).collect::<Result<Vec<_>, _>>()?;
    let (sockets, network) = runtime.block_on(listeners(&ready, args, tls))?;
    let opened = ready.into_iter().map(|one| one.begin(args)).collect::<Result<Vec<_>, _>>()?;
    note(&opened.iter().map(|one| &one.place.domain).collect::<Vec<_>>())?;
    let logs: Vec<Log> = opened.iter().map(|one| one.log(&log, opened.len())).collect();
    let served = runtime.block_on(async {
        let stop = stop_signal().map_err(|error| CliError::Failed(format!("signals: {error}")))?;
        let mut domains = Vec::new();
        for ((one, log), socket) in opened.iter().zip(&logs).zip(sockets) {
            let (node, host) = (one.node.clone(), one.place.host.clone());
            domains.push(Governed { node, host, socket: Some(socket), log: log.clone() });
        }
        told(&opened, network.as_ref().and_then(Network::address), args.slots, as_json)?;
        for (one, log) in opened.iter().zip(&logs) {
            log.line(Level::Info, "up", &[("entries", Said::Number(one.node.size()))]);
            if let Some(why) = one.node.policy_refused() {
                log.line(Level::Warn, "policy", &[("refused", Said::Text(&why))]);
            }
        }
        serve_authorities(domains, network, log, stop).await.map_err(failed)
    });
    for (one, log) in opened.iter().zip(&logs) {
        log.line(Level::Info, "down", &[("entries", Said::Number(one.node.size()))]);
    }
    served
}

/// Bound once the ledgers are open: of two that start at a time, the one that has the ledger has the socket. Nobody is answered yet.
async fn listeners(
    ready: &[Ready],
    args: &Up,
    tls: Option<TlsConfig>,
) -> Result<(Vec<LocalSocket>, Option<Network>), CliError> {
    let mut sockets = Vec::new();
    for one in ready {
        sockets.push(LocalSocket::bind(&one.place.socket, args.socket_mode).await.map_err(foreign)?);
    }
    let network = match args.listen {
        Some(address) => Some(Network::bind(address, tls).await.map_err(failed)?),
        None => None,
    };
    Ok((sockets, network))
}

fn failed(error: ServeError) -> CliError {
    CliError::Failed(error.to_string())
}

/// A folder that nobody else may write in is another user's, as is the domain more often than not.
fn foreign(error: ServeError) -> CliError {
    let ServeError::SocketFolder { folder, mode, uid } = &error else { return failed(error) };
    if mode & 0o022 != 0 {
        return failed(error);
    }
    CliError::Failed(format!(
        "{}: it belongs to {}, and a node is that of its domain's owner: work as that user (see \"One user\" in docs/operations.md)",
        folder.display(),
        user(*uid)
    ))
}

/// Where a domain is, and how it is asked.
struct Place {
    domain: Domain,
    origin: Origin,
    host: Option<Host>,
    socket: PathBuf,
    webhook: Option<HoldsWebhook>,
}

/// The domain itself and those beside it. Nothing is opened yet: what is wrong with the arguments is said before anything is recorded.
fn places(args: &Up) -> Result<Vec<Place>, CliError> {
    let own = Domain::of(&args.place)?;
    let (origin, socket) = (own.origin()?, own.socket(args.socket.as_deref()));
    let mut places =
        vec![Place { domain: own, origin, host: args.host.clone(), socket, webhook: holds_webhook(args)? }];
    for (host, dir) in &args.also {
        let domain = Domain::beside(dir).map_err(|error| {
            let CliError::Usage(_) = error else { return error };
            let dir = dir.display();
            let why = "give the folder of one, or make one with `writ init`";
            CliError::Usage(format!("--also {host}={dir}: there is no domain in {dir}; {why}"))
        })?;
        let (origin, socket) = (domain.origin()?, domain.socket(None));
        let is_there = |other: &Place| same_folder(other.domain.dir(), dir);
        if places.iter().any(is_there) {
            let why =
                format!("--also {host}={0}: {0} is served by this node already; name each domain once", dir.display());
            return Err(CliError::Usage(why));
        }
        // What is signed names its ledger, and nothing else would tell the one from the other.
        if places.iter().any(|other| other.origin == origin) {
            let why = format!(
                "--also {host}={}: another domain of this node has the ledger {origin} too; to be told apart, each has its own",
                dir.display()
            );
            return Err(CliError::Usage(why));
        }
        places.push(Place { domain, origin, host: Some(host.clone()), socket, webhook: None });
    }
    if places.len() > DOMAINS_MAX {
        return Err(failed(ServeError::TooManyDomains { max: DOMAINS_MAX, found: places.len() }));
    }
    if args.listen.is_some() && args.host.is_none() && !args.also.is_empty() {
        let dir = args.place.domain.display();
        let why = format!(
            "with --listen, each domain of a node is asked for by a name, and {dir} has none yet: --host HOST, like acme.localhost"
        );
        return Err(CliError::Usage(why));
    }
    must_be_askable(&places, args)?;
    must_be_apart(&places.iter().map(|place| &place.domain).collect::<Vec<_>>())?;
    places.iter().try_for_each(|place| must_fit(&place.socket))?;
    Ok(places)
}

fn same_folder(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// What the listener would refuse is said before anything is opened.
fn must_be_askable(places: &[Place], args: &Up) -> Result<(), CliError> {
    let hosts: Vec<&Host> = places.iter().filter_map(|place| place.host.as_ref()).collect();
    let wrong = |error: ServeError| Err(CliError::Usage(error.to_string()));
    for (number, host) in hosts.iter().enumerate() {
        if hosts.iter().skip(number.saturating_add(1)).any(|other| other == host) {
            return wrong(ServeError::HostTwice(host.to_string()));
        }
        if args.listen.is_some() && args.tls_cert.is_none() && !host.is_of_this_machine() {
            return wrong(ServeError::PlainHost(host.to_string()));
        }
    }
    Ok(())
}

/// A domain whose ledger is open and whose policies are sound, with nothing recorded yet.
struct Ready {
    place: Place,
    node: PreparedNode,
    /// What messages about it begin with, where there are several.
    named: String,
}

impl Ready {
    /// One that does not open stops the start, and with it all: whoever starts the node is there, and learns which it is.
    fn new(mut place: Place, args: &Up) -> Result<Self, CliError> {
        let named = if args.also.is_empty() { String::new() } else { format!("{}: ", place.domain.dir().display()) };
        let told = |error: &dyn std::fmt::Display| CliError::Failed(format!("{named}{error}"));
        let fetcher = KeyFetcher::new(args.issuer_ca.clone()).map_err(|error| told(&error))?;
        let quota = Quota { rate_together: args.domain_rate.map(Rate::of), ledger_bytes_max: args.ledger_max };
        let setting = NodeSetting {
            place: place.domain.place()?,
            signer: place.domain.signer()?,
            policy: place.domain.policy(),
            rate: args.rate.map_or(Rate::STANDARD, Rate::of),
            quota,
            solver: args.solver.command(),
            fetcher,
            holds_webhook: place.webhook.take(),
        };
        let node = AuthorityNode::prepare(setting, now_ms).map_err(|error| told(&error))?;
        Ok(Self { place, node, named })
    }

    /// Records what the start has to: the policy set, and the slots.
    fn begin(self, args: &Up) -> Result<Opened, CliError> {
        let Self { place, node, named } = self;
        let node = node.begin().map_err(|error| CliError::Failed(format!("{named}{error}")))?;
        let slots = Slots::of(&node, &place.domain.slots(), args.slots);
        let slots = slots.map_err(|error| CliError::Failed(format!("{named}{error}")))?;
        Ok(Opened { place, node: Arc::new(node), slots })
    }
}

/// A domain that can be served.
struct Opened {
    place: Place,
    node: Arc<AuthorityNode>,
    slots: Slots,
}

impl Opened {
    /// With several, each line says whose it is.
    fn log(&self, log: &Log, domains: usize) -> Log {
        if domains > 1 { log.of(self.place.origin.as_str()) } else { log.clone() }
    }

    fn json(&self, slots: u16) -> Map<String, Value> {
        let policy = self.node.policy();
        let shown = [
            ("entries", json!(self.node.size())),
            ("socket", json!(self.place.socket)),
            ("policy_epoch", json!(policy.epoch.get())),
            ("policies", json!(policy.set.len())),
            ("policy_refused", json!(self.node.policy_refused())),
            ("slots", json!(slots)),
            ("enrolled", json!(self.slots.enrolled)),
            ("set_aside", json!(self.slots.set_aside)),
        ];
        shown.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The same, of one of several.
    fn named(&self, slots: u16) -> Map<String, Value> {
        let mut shown = self.json(slots);
        shown.insert("ledger".to_owned(), json!(self.place.origin.as_str()));
        shown.insert("host".to_owned(), json!(self.place.host.as_ref().map(Host::as_str)));
        shown
    }

    fn text(&self) -> String {
        let policy = self.node.policy();
        format!(
            "{}, {} in epoch {}",
            counted(self.node.size(), "entry", "entries"),
            counted(policy.set.len() as u64, "policy", "policies"),
            policy.epoch.get()
        )
    }

    /// What whoever starts the node must hear: it decides, and not as the folder says.
    fn warned(&self) -> Result<(), CliError> {
        let Some(why) = self.node.policy_refused() else { return Ok(()) };
        let epoch = self.node.policy().epoch.get();
        line(format_args!(
            "  WARNING     the policy folder is not in force, epoch {epoch} before it is: {}",
            why.replace('\n', "\n              ")
        ))?;
        line("  next        mend the folder, see `writ policy check`; the node takes it once it is sound")
    }
}

/// Looked at before anything is recorded.
fn must_fit(socket: &Path) -> Result<(), CliError> {
    too_long(socket)?.map_or(Ok(()), |why| Err(CliError::Usage(why)))
}

/// The system takes short names of sockets only, and ours is made under a longer one first, with the number of its process.
pub(crate) fn too_long(socket: &Path) -> Result<Option<String>, CliError> {
    let path = std::path::absolute(socket).map_err(CliError::file(socket))?;
    let excess = (path.as_os_str().len() + 2 + PROCESS_DIGITS_MAX).saturating_sub(SOCKET_BYTES_MAX);
    let why = || {
        format!(
            "the socket {} has a path that is {} too long for the system; choose a shorter one with --socket FILE, and give it to other commands as --node unix:FILE or WRIT_NODE",
            path.display(),
            counted(excess as u64, "byte", "bytes")
        )
    };
    Ok((excess > 0).then(why))
}

fn named(text: &str) -> Result<Name, CliError> {
    Name::new(text).map_err(|error| CliError::Failed(error.to_string()))
}

fn holds_webhook(args: &Up) -> Result<Option<HoldsWebhook>, CliError> {
    let (Some(place), Some(file)) = (&args.holds_webhook, &args.holds_webhook_secret) else { return Ok(None) };
    must_be_secret(file)?;
    let secret = std::fs::read_to_string(file).map_err(CliError::file(file))?;
    let webhook = HoldsWebhook::new(place, args.holds_webhook_ca.clone(), &secret);
    webhook.map(Some).map_err(|error| CliError::Usage(error.to_string()))
}

fn tls(args: &Up) -> Result<Option<TlsConfig>, CliError> {
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

fn told(opened: &[Opened], address: Option<SocketAddr>, slots: u16, as_json: bool) -> Result<(), CliError> {
    let Some((own, others)) = opened.split_first() else { return Ok(()) };
    if as_json {
        let mut shown = if others.is_empty() { own.json(slots) } else { own.named(slots) };
        shown.insert("up".to_owned(), json!(true));
        shown.insert("address".to_owned(), json!(address.map(|address| address.to_string())));
        if !others.is_empty() {
            shown.insert("also".to_owned(), others.iter().map(|one| one.named(slots)).collect());
        }
        return json_line(&Value::Object(shown));
    }
    let listening = address.map_or_else(String::new, |address| format!(" and {address}"));
    line(format_args!("up: {}", own.text()))?;
    line(format_args!("  listening   {}{listening}", own.place.socket.display()))?;
    line(format_args!("  gateways    {}, {}", counted(slots.into(), "slot", "slots"), own.slots))?;
    own.warned()?;
    for one in others {
        let host = one.place.host.as_ref().map_or_else(String::new, |host| format!(" for {host}"));
        line(format_args!("  also        {}{host}: {}", one.place.origin, one.text()))?;
        line(format_args!("              {}, {}", one.place.socket.display(), one.slots))?;
        one.warned()?;
    }
    line("  stop        Ctrl-C")
}
