//! What waits for approval, and how far it has come. It holds no values: those are behind commitments, as everywhere.

use super::{evidence, refused};
use crate::authority_node::AuthorityNode;
use crate::exchange::Reply;
use hyper::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout_at};
use writ_authority::Waiting;
use writ_ledger::{Held, LedgerError, Reader, View};
use writ_protocol::entry::{Need, Verdict};
use writ_protocol::order::HoldAnswer;
use writ_protocol::{Code, Name, Refusal};
use writ_tlog::{LeafIndex, TreeSize};

/// Nobody waits longer for one answer; whoever wants to asks again.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Holds that one answer shows at most.
const SHOWN_MAX: usize = 256;
/// Pages that are kept for whoever asks for the same.
const PAGES_MAX: usize = 16;
/// Making pages takes so small a part of the time at most, however many ask.
const RESTS: u32 = 20;
const REST_MAX: Duration = Duration::from_secs(1);

/// What was shown last. To make a page, every answer to every hold on it is read, so one is made at a time, for everybody who asks for it, and then the maker rests.
#[derive(Default)]
pub(crate) struct Pages(Mutex<Made>);

#[derive(Default)]
struct Made {
    pages: BTreeMap<u64, Page>,
    rests_until: Option<Instant>,
}

struct Page {
    size: TreeSize,
    made: Instant,
    shown: Value,
}

impl Page {
    /// Nothing has been recorded since; but a hold lapses without that.
    fn is_good(&self, size: TreeSize) -> bool {
        self.size == size && self.made.elapsed() < REST_MAX
    }
}

/// The holds that are open, from this index on, the oldest first; and from which on there are more.
pub(crate) async fn all(node: &AuthorityNode, from: u64) -> Reply {
    match page(node, from).await {
        Ok(shown) => Reply::json(StatusCode::OK, &shown),
        Err(error) => refused(&evidence::refusal(&error)),
    }
}

async fn page(node: &AuthorityNode, from: u64) -> Result<Value, LedgerError> {
    let mut made = node.hold_pages().0.lock().await;
    let size = || View::from(node.authority().published()).size();
    if let Some(known) = made.pages.get(&from).filter(|page| page.is_good(size())) {
        return Ok(known.shown.clone());
    }
    if let Some(until) = made.rests_until.filter(|until| *until > Instant::now()) {
        sleep_until(until).await;
    }
    let (begun, size, now_ms) = (Instant::now(), size(), node.authority().now_ms());
    let read = move |reader: &Reader, _: &View| {
        let most = u64::try_from(SHOWN_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let open = reader.open_holds_from(now_ms, LeafIndex::new(from), most)?;
        let shown = open.iter().take(SHOWN_MAX).filter_map(|index| reader.held(*index).transpose());
        Ok((shown.collect::<Result<Vec<_>, _>>()?, open.get(SHOWN_MAX).copied()))
    };
    let (open, next) = node.read(read).await?;
    let holds: Vec<Value> = open.iter().map(|held| shown(node, held, node.authority().waiting(held))).collect();
    let shown = json!({ "holds": holds, "next": next.map(LeafIndex::get) });
    if made.pages.len() >= PAGES_MAX {
        made.pages.clear();
    }
    made.pages.insert(from, Page { size, made: Instant::now(), shown: shown.clone() });
    made.rests_until = Some(Instant::now() + (begun.elapsed() * RESTS).min(REST_MAX));
    Ok(shown)
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
            return Reply::json(StatusCode::OK, &shown(node, &held, waiting));
        }
        // Neither time running out nor a node that ends is an error here: what is there is told.
        if let Ok(Err(_)) = timeout_at(wake, grown.changed()).await {
            return Reply::json(StatusCode::OK, &shown(node, &held, waiting));
        }
    }
}

/// Whose approvals are needed.
pub(crate) fn needs(needs: &[Need]) -> Value {
    needs.iter().map(|need| json!({ "group": need.group.as_str(), "count": need.count.get() })).collect()
}

pub(crate) fn shown(node: &AuthorityNode, held: &Held, waiting: Waiting) -> Value {
    let hold = &held.waiting.hold;
    let answers = held.waiting.answers.iter().zip(&held.answered_at);
    let answers: Vec<Value> = answers.map(|(answer, index)| answered(node, answer, *index)).collect();
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

fn answered(node: &AuthorityNode, answer: &HoldAnswer, index: LeafIndex) -> Value {
    json!({
        "counts": node.authority().stands(answer) || answer.verdict != Verdict::Approve,
        "by": format!("{}::{}", answer.by.kind, answer.by.id),
        "verdict": answer.verdict.as_str(),
        "groups": answer.groups.iter().map(Name::as_str).collect::<Vec<_>>(),
        "index": index.get(),
    })
}
