//! Serving a node: its operations and its ledger, on all its listeners.

use crate::body::Budget;
use crate::conversation::Conversations;
use crate::domains::{DOMAINS_MAX, Domains};
use crate::door::{Door, Entrance, Event, Listener};
use crate::error::ServeError;
use crate::exchange::{Handler, Reply};
use crate::followers::Followers;
use crate::host::Host;
use crate::listen::{Listeners, LocalSocket, Network};
use crate::log::{Level, Log, Said};
use crate::metrics::Metrics;
use crate::readers::Readers;
use crate::route::Route;
use crate::serve::is_the_clients;
use crate::strangers::Strangers;
use hyper::StatusCode;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use writ_authority::Rate;
use writ_protocol::{Code, Refusal};

/// Before the next attempt, when the system has no more sockets for us.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What each of several domains has at least: so many connections to its local socket, of a user there, followers, and bytes of bodies.
const CONNECTIONS_MIN: usize = 32;
const CONNECTIONS_EACH_MIN: usize = 16;
const FOLLOWERS_MIN: usize = 16;
const FOLLOWERS_EACH_MIN: usize = 8;
const BODIES_BYTES_MIN: usize = 16 * 1024 * 1024;

/// What clients of a node may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// Connections at a time to each listener. Whoever comes later takes the place of one on which nobody known has asked, or waits until one has
    /// ended.
    pub connections_max: usize,
    /// Connections at a time of one user or address. One more takes the place of one to which nothing of use was answered yet, or is closed at once.
    pub connections_each_max: usize,
    /// How often a user or an address may try in vain to be known: requests of nobody known, and connections that came for nothing.
    pub tries_each: Rate,
    /// How often all from the network may, together.
    pub tries_all: Rate,
    /// How often a user or an address may read what anybody may.
    pub reads_each: Rate,
    /// Who may follow the feed or wait for what is to come, at a time, at each listener.
    pub followers_max: usize,
    /// How many of these may be of one user or address.
    pub followers_each_max: usize,
    /// How long the head of a request may take, and a handshake of TLS.
    pub head_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// Bytes of bodies at a time, of all clients together.
    pub bodies_bytes_max: usize,
    /// How long an answer may take. Whoever makes it goes on; the client is told to ask again.
    pub answer_timeout: Duration,
    /// How long a client may take nothing of what it asked for.
    pub stall_timeout: Duration,
    /// How long a local connection may wait for its next request.
    pub local_idle_timeout: Duration,
    /// How long a connection from the network may wait for its next request.
    pub remote_idle_timeout: Duration,
    /// How often a stream of events says that it is alive.
    pub alive_every: Duration,
    /// How long requests under way have to finish once the node is told to stop.
    pub drain_timeout: Duration,
}

impl NodeLimits {
    /// For a node that people use.
    pub const STANDARD: Self = Self {
        connections_max: 256,
        connections_each_max: 64,
        tries_each: Rate { per_second: 50, burst: 250 },
        tries_all: Rate { per_second: 1_000, burst: 2_000 },
        reads_each: Rate { per_second: 1_000, burst: 4_000 },
        followers_max: 128,
        followers_each_max: 32,
        head_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(10),
        bodies_bytes_max: 64 * 1024 * 1024,
        answer_timeout: Duration::from_secs(30),
        stall_timeout: Duration::from_secs(10),
        local_idle_timeout: Duration::from_secs(600),
        remote_idle_timeout: Duration::from_secs(10),
        alive_every: Duration::from_secs(15),
        drain_timeout: Duration::from_secs(5),
    };

    /// What each of so many domains has of its own, on its local socket and in memory: an even share, and at least enough to work with.
    #[must_use]
    pub fn shared_by(self, domains: usize) -> Self {
        let share = |all: usize, least: usize| (all / domains.max(1)).max(least.min(all));
        Self {
            connections_max: share(self.connections_max, CONNECTIONS_MIN),
            connections_each_max: share(self.connections_each_max, CONNECTIONS_EACH_MIN),
            followers_max: share(self.followers_max, FOLLOWERS_MIN),
            followers_each_max: share(self.followers_each_max, FOLLOWERS_EACH_MIN),
            bodies_bytes_max: share(self.bodies_bytes_max, BODIES_BYTES_MIN),
            ..self
        }
    }
}

/// Tells whether the node can answer now, or why not.
pub type Readiness = Box<dyn Fn() -> Result<(), Refusal> + Send + Sync>;

/// What a node serves.
pub struct Node {
    /// The store of its ledger.
    pub store: PathBuf,
    /// Its operations.
    pub routes: &'static [Route],
    /// Who answers them.
    pub handler: Handler,
    /// Asked at `/readyz`, from the event loop, so it must be quick.
    pub ready: Readiness,
    /// Whether there is room for more; asked there too. It says nothing of the process: one domain that is full must not take others out of service.
    pub room: Readiness,
    /// Counts, for the record, what is refused to those of whom nothing is known; quick, since a flood calls it for each of its requests.
    pub turned_away: Box<dyn Fn(Code) + Send + Sync>,
    /// Shown at `/metrics`; made by [`Node::metrics`].
    pub metrics: Arc<Metrics>,
    /// Where requests and faults are told.
    pub log: Log,
    /// What clients may cost.
    pub limits: NodeLimits,
    /// Where answers are made, if not beside the event loop that serves.
    pub answers_on: Option<Handle>,
}

impl Node {
    /// Metrics for these routes and those that every node has.
    pub fn metrics(routes: &'static [Route]) -> Metrics {
        let own = ["/checkpoint", "/tile", "/healthz", "/readyz", "/metrics", "/openapi.json"];
        Metrics::new(routes.iter().map(|route| route.pattern).chain(own))
    }
}

/// One of the domains that a node serves.
pub struct Hosted {
    /// By which name it is asked for from the network.
    pub host: Option<Host>,
    /// Its own local socket.
    pub socket: Option<LocalSocket>,
    /// What is served.
    pub node: Node,
}

/// What all domains of a node share: the listener on the network, and whoever answers there who asks for none of them.
pub struct Front {
    /// The listener.
    pub network: Option<Network>,
    /// What callers may cost there, whichever domain they ask for.
    pub limits: NodeLimits,
    /// Where requests to no domain are told.
    pub log: Log,
}

/// Serves a node until `shutdown` is ready; then takes nobody new, answers what is under way, ends streams, and returns.
///
/// Runs on one thread: deciding waits for the ledger's own thread, and reading for threads that may wait.
pub async fn serve_node(
    listeners: Listeners,
    node: Node,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let front = Front { network: listeners.tcp, limits: node.limits, log: node.log.clone() };
    serve_nodes(vec![Hosted { host: None, socket: listeners.unix, node }], front, shutdown).await
}

/// As [`serve_node`], for several domains: each on its own local socket, and all on the listener that they share, each by its name. One that is
/// alone and has no name is asked for by any.
pub async fn serve_nodes(
    domains: Vec<Hosted>,
    front: Front,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (under_way, mut none_under_way) = mpsc::channel(1);
    let (stop, stopped) = watch::channel(());
    let (drain_timeout, log) = (front.limits.drain_timeout, front.log.clone());
    let mut door = Door::new(entrances(domains, front, Running { stopped, under_way })?);
    let mut shutdown = pin!(shutdown);
    loop {
        match door.next(shutdown.as_mut()).await {
            Event::Arrived(number, Ok(arrival)) => door.admit(number, arrival),
            Event::Arrived(_, Err(error)) if is_the_clients(&error) => {}
            Event::Arrived(_, Err(error)) => {
                tell(&log, "accept_failed", &error.to_string());
                sleep(ACCEPT_PAUSE).await;
            }
            Event::Ended(Ok(())) => {}
            Event::Ended(Err(panicked)) => tell(&log, "connection_failed", &panicked.to_string()),
            Event::Shutdown => break,
        }
    }
    // First nobody new, then everybody asked to finish, then whoever has not is cut off.
    let mut connections = door.close();
    drop(stop);
    let drained = async {
        while connections.join_next().await.is_some() {}
        none_under_way.recv().await;
    };
    timeout(drain_timeout, drained).await.ok();
    connections.shutdown().await;
    Ok(())
}

pub(crate) fn tell(log: &Log, event: &str, why: &str) {
    log.line(Level::Error, event, &[("why", Said::Text(why))]);
}

/// By what every conversation of the process is told to stop, and tells that an answer is being made.
struct Running {
    stopped: watch::Receiver<()>,
    under_way: mpsc::Sender<()>,
}

impl Running {
    /// What there is of a domain, as it is served at a listener with these strangers.
    fn conversations(
        &self,
        node: Arc<Node>,
        readers: Option<Arc<Readers>>,
        strangers: Arc<Strangers>,
    ) -> Conversations {
        let limits = node.limits;
        Conversations {
            node,
            readers,
            budget: Budget::new(limits.bodies_bytes_max),
            strangers,
            followers: Followers::new(limits.followers_max, limits.followers_each_max),
            requests: Arc::new(AtomicU64::new(0)),
            stopped: self.stopped.clone(),
            under_way: self.under_way.clone(),
        }
    }
}

/// Strangers whose failures are counted for this node.
fn strangers_of(node: &Arc<Node>, limits: &NodeLimits) -> Arc<Strangers> {
    let counting = node.clone();
    Arc::new(Strangers::new(limits, Box::new(move |code| (counting.turned_away)(code))))
}

/// Where connections come in. Each listener knows its strangers by itself: those of one domain's socket are not those of another's.
fn entrances(domains: Vec<Hosted>, front: Front, running: Running) -> Result<Vec<Entrance>, ServeError> {
    if domains.len() > DOMAINS_MAX {
        return Err(ServeError::TooManyDomains { max: DOMAINS_MAX, found: domains.len() });
    }
    let (mut entrances, mut behind) = (Vec::new(), Vec::new());
    for Hosted { host, socket, node } in domains {
        let readers = Some(Arc::new(Readers::open(&node.store)?));
        let node = Arc::new(node);
        let served = running.conversations(node.clone(), readers, strangers_of(&node, &node.limits));
        if let Some(socket) = socket {
            entrances.push(Entrance::new(Listener::Local(socket), node.limits, Domains::alone(served.clone())));
        }
        behind.push((host, served));
    }
    let Front { network, limits, log } = front;
    if let Some(network) = network {
        let domains = behind_network(behind, (&network, limits, log), &running)?;
        entrances.push(Entrance::new(Listener::Network(network), limits, domains));
    }
    if entrances.is_empty() { Err(ServeError::NoListener) } else { Ok(entrances) }
}

/// The domains that the network asks for. What a crowd may try is one allowance, whichever of them it tries: it bounds what the one process spends on strangers.
fn behind_network(
    behind: Vec<(Option<Host>, Conversations)>,
    (network, limits, log): (&Network, NodeLimits, Log),
    running: &Running,
) -> Result<Arc<Domains>, ServeError> {
    if let [(None, served)] = behind.as_slice() {
        let strangers = strangers_of(&served.node, &limits);
        return Ok(Domains::alone(Conversations { strangers, ..served.clone() }));
    }
    let nodes: Vec<Arc<Node>> = behind.iter().map(|(_, served)| served.node.clone()).collect();
    let front = Arc::new(nobodys(nodes, limits, log));
    let strangers = strangers_of(&front, &limits);
    let mut named = Vec::new();
    for (host, served) in behind {
        let host = host.ok_or(ServeError::NoHost)?;
        if !network.is_encrypted() && !host.is_of_this_machine() {
            return Err(ServeError::PlainHost(host.to_string()));
        }
        named.push((host, Conversations { strangers: strangers.clone(), ..served }));
    }
    // Even shares: those who are known in some domains must not take what is left for another.
    let connections_max = (limits.connections_max / named.len().max(1)).max(1);
    Domains::named(running.conversations(front, None, strangers), named, connections_max)
}

/// Answers for the process itself, where no domain is asked for: whether it lives, whether all of it can record, and how many have come. It tells of
/// no domain which one it is.
fn nobodys(nodes: Vec<Arc<Node>>, limits: NodeLimits, log: Log) -> Node {
    let nothing = || Refusal::new(Code::Internal, "there is no domain that could answer");
    Node {
        store: PathBuf::new(),
        routes: &[],
        handler: Handler::new(
            move |_| async move { Reply::refusal(StatusCode::INTERNAL_SERVER_ERROR, &nothing(), None) },
        ),
        ready: Box::new(move || {
            let unready = nodes.iter().any(|node| (node.ready)().is_err());
            let why = "a domain of this node cannot record; its own answer says why";
            if unready { Err(Refusal::new(Code::LedgerUnavailable, why)) } else { Ok(()) }
        }),
        room: Box::new(|| Ok(())),
        // Nobody's ledger counts it; the metrics do.
        turned_away: Box::new(|_| {}),
        metrics: Arc::new(Node::metrics(&[])),
        log,
        limits,
        answers_on: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{DOMAINS_MAX, NodeLimits};

    /// What a process may have open unless somebody says otherwise, less what ledgers and readers need.
    const OPEN_FILES: usize = 1024 - 256;

    #[test]
    fn shares_are_even_and_never_too_small_to_work_with() {
        let all = NodeLimits::STANDARD;
        assert_eq!(all.shared_by(1), all);
        let half = all.shared_by(2);
        assert_eq!((half.connections_max, half.connections_each_max, half.followers_max), (128, 32, 64));
        assert_eq!(half.bodies_bytes_max, all.bodies_bytes_max / 2);
        for domains in 1..=DOMAINS_MAX {
            let each = all.shared_by(domains);
            assert!(each.connections_each_max < each.connections_max, "nobody alone takes all of a socket");
            assert!(each.followers_max < each.connections_max, "who waits leaves places to who asks");
            assert!(each.connections_max * domains + all.connections_max <= OPEN_FILES, "{domains}");
        }
    }
}
