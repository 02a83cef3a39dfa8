//! The HTTP face of a ledger: its published tree, as C2SP `tlog-tiles`, for whoever wants to read and verify it; and of a node: its
//! operations, wired to the authority that answers them. The composition root.
//!
//! It moves bytes and decides nothing: what is permitted the authority says, what is served of the tree every client checks for
//! itself. It must never answer a permit that is not recorded, or serve what no published checkpoint covers. It takes each client
//! for hostile: what one may cost is bounded by [`Limits`] and [`NodeLimits`].
#![forbid(unsafe_code)]

mod answer;
mod api;
mod authority_node;
mod body;
mod clients;
mod connection;
mod content;
mod conversation;
mod crowd;
mod domains;
mod door;
mod error;
mod exchange;
mod explained;
mod followers;
mod govern;
mod host;
mod issuers;
mod json;
mod limits;
mod lineage;
mod listen;
mod log;
mod metrics;
mod node;
mod openapi;
mod operations;
mod outgoing;
mod own_thread;
mod pace;
mod peer;
mod readers;
mod refusing;
mod route;
mod serve;
mod signed;
mod stall;
mod strangers;
mod tls;
mod webhook;

pub use api::advice::questions_in;
pub use authority_node::{AuthorityNode, NodeSetting, PreparedNode, Quota};
pub use clients::{ClientCertificate, ClientCertificates, ClientTrust};
pub use domains::DOMAINS_MAX;
pub use error::ServeError;

pub use exchange::{Asker, Exchange, Handler, Query, Reply, event};
pub use explained::explanation_json;
pub use govern::{Governed, serve_authorities, serve_authority};
pub use host::Host;
pub use hyper::body::Bytes;
pub use hyper::header::{HeaderMap, HeaderName, HeaderValue};
pub use hyper::{Method, StatusCode};
pub use issuers::KeyFetcher;
pub use json::{Fields, Json, open_json, strict_json};
pub use limits::Limits;
pub use lineage::lineage_json;
pub use listen::{Listeners, LocalSocket, Network, SOCKET_MODE};
pub use log::{Level, Log, LogFormat, Said};
pub use metrics::{Counters, Gauge, Metrics};
pub use node::{Front, Hosted, Node, NodeLimits, Readiness, serve_node, serve_nodes};
pub use openapi::openapi;
pub use peer::Peer;
pub use route::{NODE_ROUTES, Route};
pub use serve::{serve_log, serve_log_until_signal, serve_log_within, stop_signal};
pub use tls::TlsConfig;
pub use webhook::HoldsWebhook;
pub use writ_authority::{
    Accepted, AuthorityError, Backtest, Came, Changed, EntitySnapshot, Erring, Gate, GateResult, Gated, History,
    LearnFrom, Learned, Looked, Outcome, PolicyError, PolicySet, Prover, Rate, Recorded, Replay, Replayed, RetellError,
    Retold, Semantics, Shift, Snapshot, SolverCommand, SolverLimits, Step, Tested, Verdict, backtest, command_text,
    entities_in_force, entity_to_json, gate_with, learn, prove, read_entities, read_own_policy_folder,
    read_policy_folder, replay, retell, schema_text, set_in_force,
};
