//! Serving a node that records: its operations, its upkeep, and its end.

use crate::authority_node::AuthorityNode;
use crate::clients::ClientTrust;
use crate::error::ServeError;
use crate::host::Host;
use crate::listen::{Listeners, LocalSocket, Network};
use crate::log::{Level, Log, Said};
use crate::metrics::Gauge;
use crate::node::{Front, Hosted, Node, NodeLimits, serve_nodes};
use crate::operations::handler;
use crate::own_thread::OwnThread;
use crate::route::NODE_ROUTES;
use crate::webhook::tell_of_holds;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often the policy folder is looked at.
const POLICY_EVERY: Duration = Duration::from_millis(500);
/// How often the bundles of trust domains are looked at.
const TRUST_EVERY: Duration = Duration::from_millis(500);
/// How often a solver is looked for, while there is none that could be asked.
const SOLVER_EVERY: Duration = Duration::from_secs(30);
/// How often strangers who were turned away are recorded.
const TALLY_EVERY: Duration = Duration::from_secs(10);

/// One of the domains that a node records for.
pub struct Governed {
    /// Its ledger, and who decides what goes in.
    pub node: Arc<AuthorityNode>,
    /// By which name it is asked for from the network.
    pub host: Option<Host>,
    /// Its own local socket.
    pub socket: Option<LocalSocket>,
    /// Where it is told what happens.
    pub log: Log,
}

/// Serves until `shutdown` is ready, then finishes what is under way and records what is still counted.
pub async fn serve_authority(
    node: Arc<AuthorityNode>,
    listeners: Listeners,
    log: Log,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let Listeners { unix: socket, tcp: network } = listeners;
    serve_authorities(vec![Governed { node, host: None, socket, log: log.clone() }], network, log, shutdown).await
}

/// As [`serve_authority`], for several domains. They share the listener on the network and nothing else; each has its share of what there is.
pub async fn serve_authorities(
    domains: Vec<Governed>,
    network: Option<Network>,
    log: Log,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let limits = NodeLimits::STANDARD.shared_by(domains.len());
    let own_threads = domains.len() > 1;
    let mut kept = Vec::new();
    let mut hosted = Vec::new();
    for (number, Governed { node, host, socket, log }) in domains.into_iter().enumerate() {
        let thread = if own_threads { Some(OwnThread::start(number)?) } else { None };
        let on = thread.as_ref().map_or_else(Handle::current, |thread| thread.handle().clone());
        let upkeep = upkeep(&node, &log, &on);
        let answers_on = thread.as_ref().map(|thread| thread.handle().clone());
        hosted.push(Hosted { host, socket, node: served(&node, log.clone(), limits, answers_on) });
        kept.push((node, log, upkeep, on, thread));
    }
    let clients = network.as_ref().and_then(Network::clients);
    let trust = clients.map(|clients| tokio::spawn(follow_trust(clients, log.clone())));
    let front = Front { network, limits: NodeLimits::STANDARD, log };
    let outcome = serve_nodes(hosted, front, shutdown).await;
    trust.iter().for_each(JoinHandle::abort);
    // One that hangs keeps no other from recording what it has counted.
    let last = kept.iter().map(|(node, log, upkeep, on, _)| {
        upkeep.iter().for_each(JoinHandle::abort);
        on.spawn(record_turned_away(node.clone(), log.clone()))
    });
    for recorded in last.collect::<Vec<_>>() {
        timeout(NodeLimits::STANDARD.drain_timeout, recorded).await.ok();
    }
    outcome
}

/// What is done for a domain besides answering.
fn upkeep(node: &Arc<AuthorityNode>, log: &Log, on: &Handle) -> Vec<JoinHandle<()>> {
    vec![
        on.spawn(follow_policy(node.clone(), log.clone())),
        on.spawn(look_for_solver(node.clone(), log.clone())),
        on.spawn(tally(node.clone(), log.clone())),
        on.spawn(tell_when_full(node.clone(), log.clone())),
        on.spawn(tell_of_holds(node.clone(), log.clone())),
    ]
}

fn served(node: &Arc<AuthorityNode>, log: Log, limits: NodeLimits, answers_on: Option<Handle>) -> Node {
    let (asked, has_room, scraped, counting) = (node.clone(), node.clone(), node.clone(), node.clone());
    Node {
        store: node.store().to_owned(),
        routes: NODE_ROUTES,
        handler: handler(node.clone()),
        ready: Box::new(move || asked.authority().ready().map_err(|error| error.refusal())),
        room: Box::new(move || has_room.authority().published().has_room()),
        turned_away: Box::new(move |code| counting.authority().count_turned_away(code)),
        metrics: Arc::new(Node::metrics(NODE_ROUTES).at_scrape(move || gauges(&scraped))),
        log,
        limits,
        answers_on,
    }
}

async fn follow_policy(node: Arc<AuthorityNode>, log: Log) {
    let mut ticks = interval(POLICY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let looked = node.clone();
        match spawn_blocking(move || looked.follow_policy()).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(active))) => {
                let policies = u64::try_from(active.set.len()).unwrap_or(u64::MAX);
                let fields = [("epoch", Said::Number(active.epoch.get())), ("policies", Said::Number(policies))];
                log.line(Level::Info, "policy", &fields);
            }
            Ok(Err(error)) => log.line(Level::Warn, "policy", &[("refused", Said::Text(&error.to_string()))]),
            Err(error) => log.line(Level::Error, "policy", &[("why", Said::Text(&error.to_string()))]),
        }
    }
}

/// Bundles of trust domains are replaced as their CAs are, without a restart.
async fn follow_trust(clients: Arc<ClientTrust>, log: Log) {
    let mut ticks = interval(TRUST_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    loop {
        ticks.tick().await;
        let looked = clients.clone();
        let followed = spawn_blocking(move || looked.follow()).await.unwrap_or_default();
        let mut refused = BTreeMap::new();
        for (domain, changed) in followed {
            match changed {
                Ok(()) => log.line(Level::Info, "trust", &[("domain", Said::Text(&domain))]),
                Err(error) => {
                    refused.insert(domain, error.to_string());
                }
            }
        }
        // Told once, not at each look.
        for (domain, why) in refused.iter().filter(|(domain, why)| known.get(*domain) != Some(*why)) {
            log.line(Level::Warn, "trust", &[("domain", Said::Text(domain)), ("refused", Said::Text(why))]);
        }
        known = refused;
    }
}

/// Whoever publishes would hear of it too, but that may be in months, and at an hour when it matters.
async fn look_for_solver(node: Arc<AuthorityNode>, log: Log) {
    let mut ticks = interval(SOLVER_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    loop {
        ticks.tick().await;
        let looked = node.clone();
        let found =
            spawn_blocking(move || looked.look_for_solver()).await.unwrap_or_else(|error| Some(error.to_string()));
        match &found {
            None if known.is_none() => return,
            None => return log.line(Level::Info, "solver", &[("publishing", Said::Text("possible again"))]),
            // Told once, not at each look.
            Some(_) if found == known => {}
            Some(why) => log.line(Level::Warn, "solver", &[("cannot_publish", Said::Text(why))]),
        }
        known = found;
    }
}

async fn tally(node: Arc<AuthorityNode>, log: Log) {
    let mut ticks = interval(TALLY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        record_turned_away(node.clone(), log.clone()).await;
    }
}

async fn record_turned_away(node: Arc<AuthorityNode>, log: Log) {
    if let Err(refusal) = node.authority().record_turned_away().await {
        log.line(Level::Error, "tally", &[("why", Said::Text(refusal.why()))]);
    }
}

/// Whoever asks is refused then; the operator hears it by name.
async fn tell_when_full(node: Arc<AuthorityNode>, log: Log) {
    let Some(bytes_max) = node.ledger_bytes_max() else { return };
    let mut ticks = interval(TALLY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_full = false;
    loop {
        ticks.tick().await;
        let bytes = node.ledger_bytes();
        let is_full = bytes >= bytes_max;
        // Told once, not at each look.
        if is_full && !was_full {
            let fields = [("bytes", Said::Number(bytes)), ("bytes_max", Said::Number(bytes_max))];
            log.line(Level::Warn, "ledger_full", &fields);
        }
        was_full = is_full;
    }
}

fn gauges(node: &AuthorityNode) -> Vec<Gauge> {
    let published = node.authority().published();
    // One that cannot be read is left out: 0 would be a lie.
    let running = node.authority().running().ok().map(|value| Gauge {
        name: "writ_executions_running",
        help: "Executions that have begun and not ended on the record.",
        value,
    });
    let others = [
        Gauge { name: "writ_ledger_entries", help: "Entries published.", value: node.size() },
        Gauge {
            name: "writ_ledger_bytes",
            help: "What the store and its log hold, in bytes.",
            value: node.ledger_bytes(),
        },
        Gauge {
            name: "writ_ledger_bytes_max",
            help: "Beyond how many of them it takes nothing new; 0 where there is no bound.",
            value: node.ledger_bytes_max().unwrap_or(0),
        },
        Gauge { name: "writ_control_entries", help: "Control entries.", value: published.control.head().seq + 1 },
        Gauge {
            name: "writ_policy_epoch",
            help: "Epoch of the policy set in force.",
            value: node.policy().epoch.get(),
        },
        Gauge {
            name: "writ_halted",
            help: "1 while the domain is halted.",
            value: u64::from(published.control.halted().is_some()),
        },
        Gauge {
            name: "writ_recording",
            help: "1 while the ledger records.",
            value: u64::from(node.authority().ready().is_ok()),
        },
    ];
    others.into_iter().chain(running).collect()
}
