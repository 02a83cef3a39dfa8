//! The domains behind a listener, and which of them a connection asks.
//!
//! A connection that has asked one domain stays with it: what it has shown there (a certificate, a key, that somebody known is behind it) counts nowhere else.

use crate::conversation::Conversations;
use crate::crowd::{Crowds, Guest};
use crate::error::ServeError;
use crate::host::{Host, named_in};
use crate::metrics::Metrics;
use crate::refusing::Fault;
use hyper::Request;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

/// How many domains one node serves: so many shares of what it has are still enough for each.
pub const DOMAINS_MAX: usize = 16;

/// All domains behind one listener.
pub(crate) struct Domains {
    /// Answers who asks none of them. A domain that is alone, and may be asked by any name, does so itself.
    pub(crate) front: Arc<Conversations>,
    each: Vec<Behind>,
}

/// A domain that is asked by its name, and has so many connections at a time.
struct Behind {
    host: Host,
    connections_max: usize,
    served: Arc<Conversations>,
}

impl Domains {
    /// One domain, asked by whatever name.
    pub(crate) fn alone(served: Conversations) -> Arc<Self> {
        Arc::new(Self { front: Arc::new(served), each: Vec::new() })
    }

    /// Several, each by its own, with so many connections for each.
    pub(crate) fn named(
        front: Conversations,
        each: impl IntoIterator<Item = (Host, Conversations)>,
        connections_max: usize,
    ) -> Result<Arc<Self>, ServeError> {
        let mut all: Vec<Behind> = Vec::new();
        for (host, served) in each {
            if all.iter().any(|other| other.host == host) {
                return Err(ServeError::HostTwice(host.to_string()));
            }
            all.push(Behind { host, connections_max, served: Arc::new(served) });
        }
        Ok(Arc::new(Self { front: Arc::new(front), each: all }))
    }
}

/// One connection, and the domain that it has asked.
pub(crate) struct Line {
    domains: Arc<Domains>,
    crowds: Arc<Crowds>,
    /// What its handshake has named.
    server_name: Option<String>,
    asked: OnceLock<(usize, Place)>,
}

/// Who answers a request, and why they refuse it if nobody else may.
pub(crate) struct Met {
    pub(crate) served: Arc<Conversations>,
    pub(crate) fault: Option<Fault>,
    /// Whether the request names the domain.
    pub(crate) is_named: bool,
}

impl Line {
    pub(crate) fn new(domains: Arc<Domains>, crowds: Arc<Crowds>, server_name: Option<String>) -> Self {
        Self { domains, crowds, server_name, asked: OnceLock::new() }
    }

    pub(crate) fn front(&self) -> &Arc<Conversations> {
        &self.domains.front
    }

    /// Whom this request is for. The first that names a domain decides for the whole connection.
    pub(crate) fn meet<B>(&self, request: &Request<B>, guest: &Guest) -> Met {
        let front = |fault| Met { served: self.domains.front.clone(), fault, is_named: false };
        if self.domains.each.is_empty() {
            return front(None);
        }
        let named = named_in(request).filter(|named| self.shakes(named));
        let all = self.domains.each.iter().enumerate();
        let found = named.and_then(|named| all.clone().find(|(_, behind)| behind.host.is_meant_by(named)));
        let Some((number, behind)) = found else { return front(Some(Fault::NoSuchDomain)) };
        let met = || Met { served: behind.served.clone(), fault: None, is_named: true };
        if let Some((asked, _)) = self.asked.get() {
            return if *asked == number { met() } else { front(Some(Fault::NoSuchDomain)) };
        }
        match behind.place(number, &self.crowds, guest) {
            // Requests of one connection come one after the other, so nobody else has set it meanwhile.
            Some(place) => match self.asked.set((number, place)) {
                Ok(()) => met(),
                Err(_) => front(Some(Fault::NoSuchDomain)),
            },
            None => Met { fault: Some(Fault::TooManyConnected), ..met() },
        }
    }

    /// Whether the handshake named nobody else.
    fn shakes(&self, named: &str) -> bool {
        let Some(shown) = &self.server_name else { return true };
        Host::parse(shown).is_ok_and(|host| host.is_meant_by(named))
    }
}

impl Behind {
    /// A place among its connections; where it has none left, that of one of its strangers.
    fn place(&self, number: usize, crowds: &Crowds, guest: &Guest) -> Option<Place> {
        if crowds.present_in(number) >= self.connections_max && !crowds.make_room_in(number) {
            return None;
        }
        guest.asks(number);
        let metrics = self.served.node.metrics.clone();
        metrics.accepted.count(1);
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        Some(Place(metrics))
    }
}

/// A connection of a domain, counted until it goes.
struct Place(Arc<Metrics>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
