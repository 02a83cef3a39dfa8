//! From an exchange to the operation that answers it.

use crate::api;
use crate::authority_node::AuthorityNode;
use crate::exchange::{Exchange, Handler, Reply, event};
use crate::peer::Peer;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use writ_authority::{Caller, Local, Shown};
use writ_protocol::action::Asks;
use writ_protocol::{Code, ExecutionId, Name, Refusal};

/// How long a follower of the feed goes without a newer tree when nothing of the control chain has changed.
const FEED_EVERY: Duration = Duration::from_secs(1);
/// Requests of more bytes are answered beside the event loop.
const LARGE_BYTES: usize = 64 * 1024;
/// Events that wait for a slow follower; it gets no more until it has read them.
const FEED_WAITING_MAX: usize = 4;

/// Answers everything below `/v1` and `/access/v1`.
pub(crate) fn handler(node: Arc<AuthorityNode>) -> Handler {
    Handler::new(move |exchange| {
        let node = node.clone();
        async move { answer(&node, exchange).await }
    })
}

async fn answer(node: &Arc<AuthorityNode>, exchange: Exchange) -> Reply {
    // Before it takes a turn: an issuer may be slow, and others wait for theirs. A token that cannot be read is refused further on.
    if !exchange.body.is_empty()
        && let Ok(Some(token)) = exchange.bearer()
    {
        node.fetch_keys_for(&token).await;
    }
    if exchange.route.pattern == "/v1/policies" {
        // Compiling and testing a set takes as long as it takes: one at a time, and beside everything else.
        let turn = node.publishing().acquire().await;
        let answered = answer_elsewhere(node, exchange).await;
        drop(turn);
        return answered;
    }
    if exchange.route.pattern.starts_with("/v1/entities") {
        // The same goes for entities: a change is checked, and a whole snapshot is written out.
        let turn = node.entities().acquire().await;
        let answered = answer_elsewhere(node, exchange).await;
        drop(turn);
        return answered;
    }
    if exchange.body.len() <= LARGE_BYTES && !is_search(&exchange) {
        return answer_here(node, exchange).await;
    }
    // Reading and deciding on megabytes takes so long that others would wait, so it is done beside the event loop, one at a time.
    let turn = node.large().acquire().await;
    let answered = answer_elsewhere(node, exchange).await;
    drop(turn);
    answered
}

/// A search decides very often.
fn is_search(exchange: &Exchange) -> bool {
    exchange.route.pattern.starts_with("/access/v1/search/")
}

/// On a thread that may wait.
async fn answer_elsewhere(node: &Arc<AuthorityNode>, exchange: Exchange) -> Reply {
    let (elsewhere, handle) = (node.clone(), Handle::current());
    let answered = spawn_blocking(move || handle.block_on(answer_here(&elsewhere, exchange))).await;
    answered.unwrap_or_else(|_| api::refused(&Refusal::new(Code::Internal, "the answer was not finished")))
}

async fn answer_here(node: &Arc<AuthorityNode>, exchange: Exchange) -> Reply {
    let peer = exchange.peer.clone();
    let shown = peer.shown();
    let caller = caller(&peer, shown.as_ref());
    match exchange.route.pattern {
        "/v1/authorize" => api::authorize(node, &caller, &exchange).await,
        "/v1/shadow" => api::shadow(node, &caller, &exchange).await,
        "/v1/orders" => api::order(node, &caller, &exchange).await,
        "/v1/policies" => api::publish(node, &caller, &exchange).await,
        "/v1/entities" => api::change_entities(node, &caller, &exchange).await,
        "/v1/entities/snapshot" => {
            let asked = exchange.query().and_then(|query| query.end());
            asked.and_then(|()| api::entities(node, &caller)).unwrap_or_else(|refusal| api::refused(&refusal))
        }
        "/v1/statements" => api::state(node, &caller, exchange.fields()).await,
        "/v1/status" => api::status(node),
        "/access/v1/evaluation" => api::advice::evaluation(node, &caller, &exchange).await,
        "/access/v1/evaluations" => api::advice::evaluations(node, &caller, &exchange).await,
        "/access/v1/search/subject" => api::advice::search(node, &caller, &exchange, Asks::Subjects).await,
        "/access/v1/search/resource" => api::advice::search(node, &caller, &exchange, Asks::Resources).await,
        "/access/v1/search/action" => api::advice::search(node, &caller, &exchange, Asks::Actions).await,
        api::advice::METADATA => api::advice::metadata(&exchange),
        _ => read(node, &exchange).await.unwrap_or_else(|refusal| api::refused(&refusal)),
    }
}

/// What anybody may read.
async fn read(node: &Arc<AuthorityNode>, exchange: &Exchange) -> Result<Reply, Refusal> {
    let mut query = exchange.query()?;
    let parameter = exchange.parameters.first().map(String::as_str).unwrap_or_default();
    let index = || parameter.parse().map_err(|_| Refusal::malformed("expected the index of an entry in the path"));
    Ok(match exchange.route.pattern {
        "/v1/control" => {
            let from = query.optional_u64("from")?;
            query.end()?;
            api::control(node, from).await
        }
        "/v1/feed" => {
            let from = query.optional_u64("from")?;
            query.end()?;
            feed(node.clone(), from)
        }
        "/v1/holds" => {
            let from = query.optional_u64("from")?.unwrap_or(0);
            query.end()?;
            api::holds::all(node, from).await
        }
        "/v1/holds/{index}" => {
            let wait_ms = query.optional_u64("wait_ms")?.unwrap_or(0);
            query.end()?;
            api::holds::one(node, index()?, wait_ms).await
        }
        "/v1/mandates" => {
            query.end()?;
            api::mandates::all(node).await
        }
        "/v1/mandates/{index}" => {
            query.end()?;
            api::mandates::one(node, index()?).await
        }
        "/v1/entries/{index}" => {
            query.end()?;
            api::entry(node, index()?).await
        }
        "/v1/entries/{index}/bundle" => {
            let disclose = query.optional_u64("disclose")? == Some(1);
            query.end()?;
            if disclose {
                node.authority().may_see_values(&caller(&exchange.peer, None))?;
            }
            api::bundle(node, index()?, disclose).await
        }
        "/v1/executions/{id}/lineage" => {
            let descendants_max = query.optional_u64("descendants")?;
            query.end()?;
            let id = ExecutionId::parse(parameter);
            let id = id.ok_or_else(|| Refusal::malformed("expected the id of an execution in the path, exec_…"))?;
            api::lineage(node, id, descendants_max).await
        }
        _ => {
            query.end()?;
            api::gateway(node, Name::new(parameter)?).await
        }
    })
}

fn caller<'p>(peer: &'p Peer, shown: Option<&'p Shown>) -> Caller<'p> {
    match peer {
        Peer::Local { uid, pid, pidfd, descent, .. } => {
            // A process that cannot be seen from here has number 0, which is nobody's.
            let pid = pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
            Caller::Local(Local { uid: *uid, pid, pidfd: pidfd.as_ref().map(AsFd::as_fd), descent })
        }
        Peer::Remote { .. } => shown.map_or(Caller::Remote, Caller::Connected),
    }
}

/// The control chain as it grows: at once, at each change, and with a newer tree about once a second while there is one.
fn feed(node: Arc<AuthorityNode>, from: Option<u64>) -> Reply {
    let (events, receiver) = mpsc::channel(FEED_WAITING_MAX);
    tokio::spawn(async move {
        let mut grown = node.grown();
        let mut known = from;
        loop {
            let Ok((size, json)) = api::control_json(&node, known, FEED_EVERY).await else { return };
            if known != Some(size) || from == known {
                if events.send(event("control", &json.to_string())).await.is_err() {
                    return;
                }
                known = Some(size);
            }
            let control = node.authority().published().control.head().seq;
            let changed = async {
                while grown.changed().await.is_ok() {
                    if node.authority().published().control.head().seq != control {
                        return;
                    }
                }
            };
            // Time running out is not an error here: a newer tree is due.
            tokio::time::timeout(FEED_EVERY, changed).await.ok();
            if events.is_closed() {
                return;
            }
        }
    });
    Reply::events(receiver)
}
