//! The same client for programs without an event loop. Everything runs on the thread that asks, and no other is started: a program
//! that is about to fork and confine itself must be the only one in its process.

use crate::answer::{Answer, HoldState, OrderAnswer, ShadowAnswer, StateAnswer};
use crate::client::{Asked, Timeouts};
use crate::control::ControlPage;
use crate::endpoint::{Endpoint, Place, loopback};
use crate::error::ClientError;
use crate::feed::{Feed, FeedEvent};
use crate::gateway::GatewayPlace;
use hyper::body::Bytes;
use serde_json::Value;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, yield_now};
use writ_protocol::ExecutionId;

/// How often whoever is ready gets its turn, until a request is on its way: whoever asks, and the connection that it asks on.
const TURNS: usize = 4;

/// A node that can be asked.
pub struct Client {
    // Dropped first: its connections end in the runtime.
    client: Arc<crate::client::Client>,
    runtime: Runtime,
}

/// A question that is on its way. Its answer can be taken later, by the client that asks; until then nothing happens on this side.
#[must_use = "an answer is taken with `Client::answer`"]
pub struct Asking<T>(JoinHandle<Result<T, ClientError>>);

impl Client {
    /// Connects, and waits no longer than the endpoint says.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, ClientError> {
        Self::connect_within(endpoint, endpoint.timeouts)
    }

    /// Connects. A host name is looked up now, by the system, for as long as that takes.
    pub fn connect_within(endpoint: &Endpoint, timeouts: Timeouts) -> Result<Self, ClientError> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(ClientError::Start)?;
        let known = look_up(endpoint)?;
        let client = runtime.block_on(crate::client::Client::connect_to(endpoint, known, timeouts))?;
        Ok(Self { client: Arc::new(client), runtime })
    }

    /// Asks for a writ.
    pub fn authorize(&self, asked: &Asked) -> Result<Answer, ClientError> {
        self.runtime.block_on(self.client.authorize(asked))
    }

    /// The holds that are open, as the node tells them.
    pub fn holds(&self) -> Result<Value, ClientError> {
        self.runtime.block_on(self.client.holds())
    }

    /// How far a hold has come, once it is no longer pending, or after `patience`.
    pub fn hold(&self, index: u64, patience: Duration) -> Result<HoldState, ClientError> {
        self.runtime.block_on(self.client.hold(index, patience))
    }

    /// The mandates that have not ended, as the node tells them.
    pub fn mandates(&self) -> Result<Value, ClientError> {
        self.runtime.block_on(self.client.mandates())
    }

    /// One mandate, as the node tells it.
    pub fn mandate(&self, index: u64) -> Result<Value, ClientError> {
        self.runtime.block_on(self.client.mandate(index))
    }

    /// Asks what policy would answer.
    pub fn shadow(&self, asked: &Asked) -> Result<ShadowAnswer, ClientError> {
        self.runtime.block_on(self.client.shadow(asked))
    }

    /// Sends a signed order.
    pub fn order(&self, signed: &[u8]) -> Result<OrderAnswer, ClientError> {
        self.runtime.block_on(self.client.order(signed))
    }

    /// Sends a policy bundle with the signed order to publish it.
    pub fn publish(&self, signed: &[u8], bundle: &[u8]) -> Result<OrderAnswer, ClientError> {
        self.runtime.block_on(self.client.publish(signed, bundle))
    }

    /// Sends a change of entities with the signed order to make it.
    pub fn change_entities(&self, signed: &[u8], change: &[u8]) -> Result<OrderAnswer, ClientError> {
        self.runtime.block_on(self.client.change_entities(signed, change))
    }

    /// The entities in force, as the node tells them.
    pub fn entities(&self) -> Result<Value, ClientError> {
        self.runtime.block_on(self.client.entities())
    }

    /// Sends a gateway's statement.
    pub fn state(&self, statement: &[u8], watcher: Option<u32>) -> Result<StateAnswer, ClientError> {
        self.runtime.block_on(self.client.state(statement, watcher))
    }

    /// Asks for the control chain, and for how the tree grew from the one of `from` entries.
    pub fn control(&self, from: Option<u64>) -> Result<ControlPage, ClientError> {
        self.runtime.block_on(self.client.control(from))
    }

    /// Begins a feed; [`Client::next`] waits for its events.
    pub fn feed(&self, from: u64) -> Result<Feed, ClientError> {
        self.runtime.block_on(self.client.feed(from))
    }

    /// The next event of a feed of this client.
    pub fn next(&self, feed: &mut Feed) -> Result<Option<FeedEvent>, ClientError> {
        self.runtime.block_on(feed.next())
    }

    /// The node's status, as it tells it.
    pub fn status(&self) -> Result<Value, ClientError> {
        self.runtime.block_on(self.client.status())
    }

    /// Asks what the node knows of a gateway, and does not wait.
    pub fn ask_gateway(&self, name: &str) -> Asking<GatewayPlace> {
        let (client, name) = (Arc::clone(&self.client), name.to_owned());
        let asking = self.runtime.spawn(async move { client.gateway(&name).await });
        self.runtime.block_on(async {
            for _ in 0..TURNS {
                yield_now().await;
            }
        });
        Asking(asking)
    }

    /// Waits for the answer to what was asked.
    pub fn answer<T>(&self, Asking(asking): Asking<T>) -> Result<T, ClientError> {
        match self.runtime.block_on(asking) {
            Ok(answered) => answered,
            Err(why) => Err(ClientError::Closed { place: self.client.endpoint().to_string(), why: why.to_string() }),
        }
    }

    /// What the node knows of a gateway.
    pub fn gateway(&self, name: &str) -> Result<GatewayPlace, ClientError> {
        self.runtime.block_on(self.client.gateway(name))
    }

    /// The evidence bundle of an entry.
    pub fn bundle(&self, index: u64, disclose: bool) -> Result<Bytes, ClientError> {
        self.runtime.block_on(self.client.bundle(index, disclose))
    }

    /// Where an execution comes from, what it has caused and what it carries, as the node tells it.
    pub fn lineage(&self, execution: &ExecutionId) -> Result<Value, ClientError> {
        self.runtime.block_on(self.client.lineage(execution))
    }

    /// A page for people or their tools, with its status.
    pub fn text(&self, path: &str) -> Result<(u16, String), ClientError> {
        self.runtime.block_on(self.client.text(path))
    }
}

/// The event loop would look names up on another thread.
fn look_up(endpoint: &Endpoint) -> Result<Option<Vec<SocketAddr>>, ClientError> {
    let Place::Https { host, port } = &endpoint.place else { return Ok(None) };
    if let Some(addresses) = loopback(host, *port) {
        return Ok(Some(addresses));
    }
    match (host.as_str(), *port).to_socket_addrs() {
        Ok(addresses) => Ok(Some(addresses.collect())),
        Err(why) => Err(ClientError::Unreachable { place: endpoint.to_string(), why }),
    }
}
