//! Where connections come in: the listeners of a node, and who gets a place at each.

use crate::conversation::converse;
use crate::crowd::{Crowds, Seat};
use crate::domains::{Domains, Line};
use crate::listen::{LocalSocket, Network};
use crate::metrics::Metrics;
use crate::node::{NodeLimits, tell};
use crate::peer::{Crowd, Peer};
use crate::strangers::Strangers;
use crate::tls::TlsConfig;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use writ_protocol::Code;

pub(crate) struct Door {
    entrances: Vec<Entrance>,
    connections: JoinSet<()>,
    /// Which entrance is asked first, the next time.
    first: usize,
}

pub(crate) enum Event {
    Shutdown,
    Ended(Result<(), JoinError>),
    /// At which entrance.
    Arrived(usize, io::Result<Arrival>),
}

pub(crate) enum Arrival {
    Local(UnixStream),
    Remote(TcpStream, SocketAddr),
}

pub(crate) enum Listener {
    Local(LocalSocket),
    Network(Network),
}

/// One listener. What callers of one take, those of another still have: of the network and of this machine, and of each domain's own socket.
pub(crate) struct Entrance {
    listener: Listener,
    limits: NodeLimits,
    domains: Arc<Domains>,
    strangers: Arc<Strangers>,
    crowds: Arc<Crowds>,
    present: Arc<AtomicUsize>,
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
    pub(crate) fn new(entrances: Vec<Entrance>) -> Self {
        Self { entrances, connections: JoinSet::new(), first: 0 }
    }

    pub(crate) async fn next(&mut self, mut shutdown: Pin<&mut impl Future<Output = ()>>) -> Event {
        poll_fn(|cx| {
            if shutdown.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Shutdown);
            }
            if let Poll::Ready(Some(ended)) = self.connections.poll_join_next(cx) {
                return Poll::Ready(Event::Ended(ended));
            }
            // No listener starves another.
            self.first = self.first.wrapping_add(1) % self.entrances.len().max(1);
            let (before, after) = self.entrances.split_at(self.first);
            let turns = (self.first..).zip(after).chain((0..).zip(before));
            for (number, entrance) in turns {
                if let Poll::Ready(arrived) = entrance.poll(cx) {
                    return Poll::Ready(Event::Arrived(number, arrived));
                }
            }
            Poll::Pending
        })
        .await
    }

    pub(crate) fn admit(&mut self, number: usize, arrival: Arrival) {
        let conversation = self.entrances.get(number).and_then(|entrance| entrance.admit(arrival));
        if let Some(conversation) = conversation {
            self.connections.spawn(conversation);
        }
    }

    /// Nobody new: the local sockets are gone when this returns.
    pub(crate) fn close(self) -> JoinSet<()> {
        self.connections
    }
}

type Conversation = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Entrance {
    pub(crate) fn new(listener: Listener, limits: NodeLimits, domains: Arc<Domains>) -> Self {
        let strangers = domains.front.strangers.clone();
        let crowds = Crowds::new(limits.connections_each_max, strangers.clone());
        Self { listener, limits, domains, strangers, crowds, present: Arc::default() }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        if !self.is_room() {
            return Poll::Pending;
        }
        match &self.listener {
            Listener::Local(socket) => socket.listener.poll_accept(cx).map_ok(|(stream, _)| Arrival::Local(stream)),
            Listener::Network(network) => {
                network.listener.poll_accept(cx).map_ok(|(stream, address)| Arrival::Remote(stream, address))
            }
        }
    }

    fn is_remote(&self) -> bool {
        match &self.listener {
            Listener::Local(_) => false,
            Listener::Network(_) => true,
        }
    }

    fn is_room(&self) -> bool {
        self.present.load(Ordering::Relaxed) < self.limits.connections_max || self.crowds.gives_way(self.is_remote())
    }

    /// A place for somebody of this crowd. Those who have tried in vain too often get none, before anything is spent on them; but nobody is turned away for
    /// what others of the network did.
    fn seat(&self, crowd: Crowd) -> Option<Seat> {
        if !self.strangers.may_connect(crowd) {
            return None;
        }
        if self.present.load(Ordering::Relaxed) > self.limits.connections_max {
            self.crowds.make_room(crowd.is_remote());
        }
        self.crowds.seat(crowd)
    }

    fn tls(&self) -> Option<TlsConfig> {
        match &self.listener {
            Listener::Local(_) => None,
            Listener::Network(network) => network.tls.clone(),
        }
    }

    /// The conversation with whoever has come, if they get a place.
    fn admit(&self, arrival: Arrival) -> Option<Conversation> {
        let node = &self.domains.front.node;
        let present = Present::among(&self.present, &node.metrics);
        let tls = self.tls();
        let (peer, kind) = match &arrival {
            Arrival::Local(stream) => match Peer::of_local(stream) {
                Ok(peer) => (peer, 0),
                // Nobody is served of whom the system does not say who they are.
                Err(error) => {
                    tell(&node.log, "peer_unknown", &error.to_string());
                    return None;
                }
            },
            Arrival::Remote(_, address) => {
                (Peer::Remote { address: *address, tls: tls.is_some(), certificate: None, server_name: None }, 1)
            }
        };
        node.metrics.accepted.count(kind);
        let Some(seat) = self.seat(peer.crowd()) else {
            node.metrics.turned_away.count(0);
            self.strangers.turned_away(Code::RateLimited);
            return None;
        };
        let head_timeout = self.limits.head_timeout;
        let (domains, crowds) = (self.domains.clone(), self.crowds.clone());
        Some(Box::pin(async move {
            let _present = present;
            let line = |server_name| Line::new(domains, crowds, server_name);
            match arrival {
                Arrival::Local(stream) => converse(stream, Arc::new(peer), &seat, line(None)).await,
                Arrival::Remote(stream, address) => {
                    if stream.set_nodelay(true).is_ok() {
                        remote(stream, (address, &seat), (tls, head_timeout), line).await;
                    }
                }
            }
        }))
    }
}

async fn remote(
    stream: TcpStream,
    (address, seat): (SocketAddr, &Seat),
    (tls, head_timeout): (Option<TlsConfig>, Duration),
    line: impl FnOnce(Option<String>) -> Line,
) {
    let Some(tls) = tls else {
        let peer = Peer::Remote { address, tls: false, certificate: None, server_name: None };
        return converse(stream, Arc::new(peer), seat, line(None)).await;
    };
    // A handshake that fails is the client's doing, and nothing to tell the operator: it could fill a disk.
    let (mut shaking, mut leaving) =
        (pin!(timeout(head_timeout, tls.acceptor().accept(stream))), pin!(seat.guest().told_to_leave()));
    let shaken = poll_fn(|cx| match shaking.as_mut().poll(cx) {
        Poll::Ready(shaken) => Poll::Ready(shaken.ok()),
        Poll::Pending => leaving.as_mut().poll(cx).map(|()| None),
    });
    if let Some(Ok(stream)) = shaken.await {
        let shown = stream.get_ref().1;
        // What was shown is looked at once here, and holds for every request of the connection.
        let (certificate, server_name) = (tls.certificate(shown), shown.server_name().map(str::to_owned));
        let peer = Peer::Remote { address, tls: true, certificate, server_name: server_name.clone() };
        converse(stream, Arc::new(peer), seat, line(server_name)).await;
    }
}
