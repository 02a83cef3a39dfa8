//! What waits for approval, and how far it has come. It holds no values: those are behind commitments, as everywhere.

use super::{evidence, refused};
use crate::authority_node::AuthorityNode;
use crate::exchange::Reply;
use hyper::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use writ_authority::{OPEN_HOLDS_MAX, Waiting};
use writ_ledger::{Held, Reader, View};
use writ_protocol::entry::Need;
use writ_protocol::order::HoldAnswer;
use writ_protocol::{Code, Name, Refusal};
use writ_tlog::LeafIndex;

/// Nobody waits longer for one answer; whoever wants to asks again.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// The holds that are open, the oldest first.
pub(crate) async fn all(node: &AuthorityNode) -> Reply {
    let now_ms = node.authority().now_ms();
    let read = move |reader: &Reader, _: &View| {
        let open = reader.open_holds(now_ms, None, OPEN_HOLDS_MAX)?;
        open.into_iter().filter_map(|index| reader.held(index).transpose()).collect::<Result<Vec<_>, _>>()
    };
    match node.read(read).await {
        Ok(open) => {
            let holds: Vec<Value> = open.iter().map(|held| shown(held, node.authority().waiting(held))).collect();
            Reply::json(StatusCode::OK, &json!({ "holds": holds }))
        }
        Err(error) => refused(&evidence::refusal(&error)),
    }
}

/// One hold; once it is no longer pending, or after so long.
pub(crate) async fn one(node: &AuthorityNode, index: u64, wait_ms: u64) -> Reply {
    let until = Instant::now() + Duration::from_millis(wait_ms).min(WAIT_MAX);
    let mut grown = node.grown();
    loop {
        grown.borrow_and_update();
        let read = move |reader: &Reader, _: &View| reader.held(LeafIndex::new(index));
        let held = match node.read(read).await {
            Ok(Some(held)) => held,
            Ok(None) => return refused(&Refusal::new(Code::MissingWrit, format!("entry {index} is no hold"))),
            Err(error) => return refused(&evidence::refusal(&error)),
        };
        let waiting = node.authority().waiting(&held);
        // A hold lapses by itself, and nothing is recorded then.
        let lapses = Duration::from_millis(held.waiting.hold.until_ms.saturating_sub(node.authority().now_ms()));
        let wake = until.min(Instant::now() + lapses);
        if waiting != Waiting::Pending || Instant::now() >= until {
            return Reply::json(StatusCode::OK, &shown(&held, waiting));
        }
        // Neither time running out nor a node that ends is an error here: what is there is told.
        if let Ok(Err(_)) = timeout_at(wake, grown.changed()).await {
            return Reply::json(StatusCode::OK, &shown(&held, waiting));
        }
    }
}

/// Whose approvals are needed.
pub(crate) fn needs(needs: &[Need]) -> Value {
    needs.iter().map(|need| json!({ "group": need.group.as_str(), "count": need.count.get() })).collect()
}

fn shown(held: &Held, waiting: Waiting) -> Value {
    let hold = &held.waiting.hold;
    let answers = held.waiting.answers.iter().zip(&held.answered_at);
    let answers: Vec<Value> = answers.map(|(answer, index)| answered(answer, *index)).collect();
    let resolved = if let Waiting::Resolved(at) = waiting { Some(at.get()) } else { None };
    json!({
        "index": held.index.get(),
        "id": hold.id.to_string(),
        "state": waiting.as_str(),
        "principal": format!("{}::{}", hold.principal.kind, hold.principal.id),
        "needs": needs(&hold.needs),
        "policies": hold.policy.reasons.as_slice().iter().map(Name::as_str).collect::<Vec<_>>(),
        "answers": answers,
        "asked_ms": hold.time_ms,
        "until_ms": hold.until_ms,
        "resolved": resolved,
    })
}

fn answered(answer: &HoldAnswer, index: LeafIndex) -> Value {
    json!({
        "by": format!("{}::{}", answer.by.kind, answer.by.id),
        "verdict": answer.verdict.as_str(),
        "groups": answer.groups.iter().map(Name::as_str).collect::<Vec<_>>(),
        "index": index.get(),
    })
}
