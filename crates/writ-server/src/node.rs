//! Serving a node: its operations and its ledger, on all its listeners.

use crate::body::Budget;
use crate::conversation::{Conversations, converse};
use crate::crowd::{Crowds, Seat};
use crate::error::ServeError;
use crate::exchange::Handler;
use crate::followers::Followers;
use crate::listen::{Listeners, LocalSocket};
use crate::log::{Level, Log, Said};
use crate::metrics::Metrics;
use crate::peer::{Crowd, Peer};
use crate::readers::Readers;
use crate::route::Route;
use crate::serve::is_the_clients;
use crate::strangers::{Strangers, TurnedAway};
use crate::tls::TlsConfig;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use writ_authority::Rate;
use writ_protocol::{Code, Refusal};

/// Before the next attempt, when the system has no more sockets for us.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

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
    /// Counts, for the record, what is refused to those of whom nothing is known; quick, since a flood calls it for each of its requests.
    pub turned_away: Box<dyn Fn(Code) + Send + Sync>,
    /// Shown at `/metrics`; made by [`Node::metrics`].
    pub metrics: Arc<Metrics>,
    /// Where requests and faults are told.
    pub log: Log,
    /// What clients may cost.
    pub limits: NodeLimits,
}

impl Node {
    /// Metrics for these routes and those that every node has.
    pub fn metrics(routes: &'static [Route]) -> Metrics {
        let own = ["/checkpoint", "/tile", "/healthz", "/readyz", "/metrics", "/openapi.json"];
        Metrics::new(routes.iter().map(|route| route.pattern).chain(own))
    }
}

/// Serves a node until `shutdown` is ready; then takes nobody new, answers what is under way, ends streams, and returns.
///
/// Runs on one thread: deciding waits for the ledger's own thread, and reading for threads that may wait.
pub async fn serve_node(
    listeners: Listeners,
    mut node: Node,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    if listeners.unix.is_none() && listeners.tcp.is_none() {
        return Err(ServeError::NoListener);
    }
    let (under_way, mut none_under_way) = mpsc::channel(1);
    let (stop, stopped) = watch::channel(());
    let limits = node.limits;
    let turned_away: TurnedAway = std::mem::replace(&mut node.turned_away, Box::new(|_| {}));
    let shared = Arc::new(Conversations {
        strangers: Arc::new(Strangers::new(&limits, turned_away)),
        followers: Followers::new(limits.followers_max, limits.followers_each_max),
        readers: Arc::new(Readers::open(&node.store)?),
        budget: Budget::new(limits.bodies_bytes_max),
        requests: AtomicU64::new(0),
        node,
        stopped,
        under_way,
    });
    let mut door = Door::new(listeners, limits, shared.clone());
    let mut shutdown = pin!(shutdown);
    loop {
        match door.next(shutdown.as_mut()).await {
            Event::Arrived(Ok(arrival)) => door.admit(arrival),
            Event::Arrived(Err(error)) if is_the_clients(&error) => {}
            Event::Arrived(Err(error)) => {
                shared.tell("accept_failed", &error.to_string());
                sleep(ACCEPT_PAUSE).await;
            }
            Event::Ended(Ok(())) => {}
            Event::Ended(Err(panicked)) => shared.tell("connection_failed", &panicked.to_string()),
            Event::Shutdown => break,
        }
    }
    // First nobody new, then everybody asked to finish, then whoever has not is cut off.
    let mut connections = door.close();
    drop(stop);
    let drained = async {
        while connections.join_next().await.is_some() {}
        drop(shared);
        none_under_way.recv().await;
    };
    timeout(limits.drain_timeout, drained).await.ok();
    connections.shutdown().await;
    Ok(())
}

impl Conversations {
    fn tell(&self, event: &str, why: &str) {
        self.node.log.line(Level::Error, event, &[("why", Said::Text(why))]);
    }
}

/// Where connections come in.
struct Door {
    unix: Option<LocalSocket>,
    tcp: Option<(TcpListener, Option<TlsConfig>)>,
    limits: NodeLimits,
    shared: Arc<Conversations>,
    crowds: Arc<Crowds>,
    connections: JoinSet<()>,
    local: Arc<AtomicUsize>,
    remote: Arc<AtomicUsize>,
    remote_first: bool,
}

enum Event {
    Shutdown,
    Ended(Result<(), JoinError>),
    Arrived(io::Result<Arrival>),
}

enum Arrival {
    Local(UnixStream),
    Remote(TcpStream, SocketAddr),
}

/// One of the connections of a listener.
struct Present {
    count: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Present {
    fn among(count: &Arc<AtomicUsize>, metrics: &Arc<Metrics>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        Self { count: count.clone(), metrics: metrics.clone() }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Door {
    fn new(listeners: Listeners, limits: NodeLimits, shared: Arc<Conversations>) -> Self {
        Self {
            unix: listeners.unix,
            tcp: listeners.tcp,
            limits,
            crowds: Crowds::new(limits.connections_each_max, shared.strangers.clone()),
            shared,
            connections: JoinSet::new(),
            local: Arc::new(AtomicUsize::new(0)),
            remote: Arc::new(AtomicUsize::new(0)),
            remote_first: false,
        }
    }

    async fn next(&mut self, mut shutdown: Pin<&mut impl Future<Output = ()>>) -> Event {
        poll_fn(|cx| {
            if shutdown.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Shutdown);
            }
            if let Poll::Ready(Some(ended)) = self.connections.poll_join_next(cx) {
                return Poll::Ready(Event::Ended(ended));
            }
            // Neither listener starves the other.
            self.remote_first = !self.remote_first;
            let arrived = if self.remote_first {
                self.poll_remote(cx).or_else_poll(|| self.poll_local(cx))
            } else {
                self.poll_local(cx).or_else_poll(|| self.poll_remote(cx))
            };
            arrived.map(Event::Arrived)
        })
        .await
    }

    /// Clients from the network cannot take the places of local ones, which gateways depend on.
    fn poll_local(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        match &self.unix {
            Some(socket) if self.is_room(&self.local, false) => {
                socket.listener.poll_accept(cx).map_ok(|(stream, _)| Arrival::Local(stream))
            }
            Some(_) | None => Poll::Pending,
        }
    }

    fn poll_remote(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        match &self.tcp {
            Some((listener, _)) if self.is_room(&self.remote, true) => {
                listener.poll_accept(cx).map_ok(|(stream, address)| Arrival::Remote(stream, address))
            }
            Some(_) | None => Poll::Pending,
        }
    }

    fn is_room(&self, present: &AtomicUsize, is_remote: bool) -> bool {
        present.load(Ordering::Relaxed) < self.limits.connections_max || self.crowds.gives_way(is_remote)
    }

    /// A place for somebody of this crowd. Those who have tried in vain too often get none, before anything is spent on them; but nobody is turned away for
    /// what others of the network did.
    fn seat(&self, crowd: Crowd) -> Option<Seat> {
        let present = if crowd.is_remote() { &self.remote } else { &self.local };
        if !self.shared.strangers.may_connect(crowd) {
            return None;
        }
        if present.load(Ordering::Relaxed) > self.limits.connections_max {
            self.crowds.make_room(crowd.is_remote());
        }
        self.crowds.seat(crowd)
    }

    fn admit(&mut self, arrival: Arrival) {
        let metrics = &self.shared.node.metrics;
        let (peer, present, kind) = match &arrival {
            Arrival::Local(stream) => match Peer::of_local(stream) {
                Ok(peer) => (peer, Present::among(&self.local, metrics), 0),
                // Nobody is served of whom the system does not say who they are.
                Err(error) => return self.shared.tell("peer_unknown", &error.to_string()),
            },
            Arrival::Remote(_, address) => {
                let tls = self.tcp.as_ref().is_some_and(|(_, tls)| tls.is_some());
                (Peer::Remote { address: *address, tls, certificate: None }, Present::among(&self.remote, metrics), 1)
            }
        };
        metrics.accepted.count(kind);
        let Some(seat) = self.seat(peer.crowd()) else {
            metrics.turned_away.count(0);
            self.shared.strangers.turned_away(Code::RateLimited);
            return;
        };
        let shared = self.shared.clone();
        let tls = self.tcp.as_ref().and_then(|(_, tls)| tls.clone());
        self.connections.spawn(async move {
            let _present = present;
            match arrival {
                Arrival::Local(stream) => converse(stream, Arc::new(peer), &seat, shared).await,
                Arrival::Remote(stream, address) => {
                    if stream.set_nodelay(true).is_ok() {
                        remote(stream, (address, &seat), tls, shared).await;
                    }
                }
            }
        });
    }

    /// Nobody new: the local socket is gone when this returns.
    fn close(self) -> JoinSet<()> {
        self.connections
    }
}

async fn remote(
    stream: TcpStream,
    (address, seat): (SocketAddr, &Seat),
    tls: Option<TlsConfig>,
    shared: Arc<Conversations>,
) {
    let Some(tls) = tls else {
        let peer = Peer::Remote { address, tls: false, certificate: None };
        return converse(stream, Arc::new(peer), seat, shared).await;
    };
    let head_timeout = shared.node.limits.head_timeout;
    // A handshake that fails is the client's doing, and nothing to tell the operator: it could fill a disk.
    let (mut shaking, mut leaving) =
        (pin!(timeout(head_timeout, tls.acceptor().accept(stream))), pin!(seat.guest().told_to_leave()));
    let shaken = poll_fn(|cx| match shaking.as_mut().poll(cx) {
        Poll::Ready(shaken) => Poll::Ready(shaken.ok()),
        Poll::Pending => leaving.as_mut().poll(cx).map(|()| None),
    });
    if let Some(Ok(stream)) = shaken.await {
        // What was shown is looked at once here, and holds for every request of the connection.
        let certificate = tls.certificate(stream.get_ref().1);
        converse(stream, Arc::new(Peer::Remote { address, tls: true, certificate }), seat, shared).await;
    }
}

/// The second, if the first is not ready.
trait OrElsePoll<T> {
    fn or_else_poll(self, other: impl FnOnce() -> Poll<T>) -> Poll<T>;
}

impl<T> OrElsePoll<T> for Poll<T> {
    fn or_else_poll(self, other: impl FnOnce() -> Self) -> Self {
        if self.is_ready() { self } else { other() }
    }
}
