//! Telling somebody that something waits for approval: a webhook, signed as Standard Webhooks has it (HMAC-SHA256 with a shared secret).
//!
//! What is to be told is derived from the ledger: each hold that is open and waits. So nothing is lost when the node is restarted, and what was told before is told
//! again then: at least once, with the hold's id as the id of the message. Nothing that decides waits for it.

use crate::api::holds;
use crate::authority_node::AuthorityNode;
use crate::error::ServeError;
use crate::log::{Level, Log, Said};
use crate::outgoing::{Message, Outgoing};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use writ_authority::{OPEN_HOLDS_MAX, Waiting, is_place};
use writ_ledger::{LedgerError, Reader, View};
use writ_tlog::LeafIndex;

/// How long whoever is told may take.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// What is read of an answer, whose content does not matter.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// After an attempt that failed; twice as long after each further one, up to the most.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(300);
/// The ledger is looked at so often at most, however fast it grows.
const LOOKS_EVERY: Duration = Duration::from_millis(100);
/// How a secret begins, before its base64.
const SECRET_PREFIX: &str = "whsec_";
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Who is told of holds.
pub struct HoldsWebhook {
    place: String,
    outgoing: Outgoing,
    secret: hmac::Key,
}

impl HoldsWebhook {
    /// Tells this address, which begins with `https://`, or with `http://` and a loopback address; it is known by the CAs in that PEM file, or by
    /// those of the system. The secret is text: `whsec_` and 24 to 64 bytes in base64.
    pub fn new(place: &str, ca: Option<PathBuf>, secret: &str) -> Result<Self, ServeError> {
        if !is_place(place) {
            return Err(ServeError::Webhook(
                "expected an address that begins with https://, or with http:// and a loopback address",
            ));
        }
        let bytes = secret.trim().strip_prefix(SECRET_PREFIX).and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len()));
        let bytes = bytes.ok_or(ServeError::Webhook(
            "expected a secret of the form whsec_BASE64 with 24 to 64 bytes; make one with `openssl rand -base64 32`",
        ))?;
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        Ok(Self { place: place.to_owned(), outgoing: Outgoing::new(ca)?, secret })
    }

    async fn tell(&self, id: &str, time_s: u64, body: String) -> Result<(), String> {
        let time = time_s.to_string();
        let signature = hmac::sign(&self.secret, [id, &time, &body].join(".").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(signature.as_ref()));
        let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        for (name, value) in [("webhook-id", id), ("webhook-timestamp", &time), ("webhook-signature", &signature)] {
            let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
            headers.push((HeaderName::from_static(name), value));
        }
        let message = Message { method: Method::POST, headers, body: Bytes::from(body) };
        let told = timeout(TOLD_WITHIN, self.outgoing.send(&self.place, message, ANSWER_BYTES_MAX)).await;
        let late = || format!("no answer came within {} s", TOLD_WITHIN.as_secs());
        told.unwrap_or_else(|_| Err(late())).map(|_| ())
    }
}

/// Holds that somebody is to be told of.
#[derive(Default)]
struct Untold {
    /// Up to where the ledger was looked at.
    seen: u64,
    due: BTreeMap<LeafIndex, Attempt>,
}

#[derive(Clone, Copy)]
struct Attempt {
    at: Instant,
    next: Duration,
}

impl Untold {
    fn first(&self) -> Option<(LeafIndex, Attempt)> {
        self.due.iter().min_by_key(|(_, attempt)| attempt.at).map(|(index, attempt)| (*index, *attempt))
    }

    fn failed(&mut self, index: LeafIndex, attempt: Attempt) {
        let next = Attempt { at: Instant::now() + attempt.next, next: (attempt.next * 2).min(RETRY_MOST) };
        self.due.insert(index, next);
    }
}

/// Tells of each hold that is open and waits, until the node ends.
pub(crate) async fn tell_of_holds(node: Arc<AuthorityNode>, log: Log) {
    let Some(webhook) = node.holds_webhook() else { return };
    let mut grown = node.grown();
    let mut untold = Untold::default();
    let mut looks_at = Instant::now();
    loop {
        if Instant::now() >= looks_at {
            grown.borrow_and_update();
            if let Err(error) = look(&node, &mut untold).await {
                log.line(Level::Warn, "webhook", &[("why", Said::Text(&error.to_string()))]);
            }
            looks_at = Instant::now() + LOOKS_EVERY;
        }
        if let Some((index, attempt)) = untold.first().filter(|(_, attempt)| attempt.at <= Instant::now()) {
            untold.due.remove(&index);
            if let Err(why) = told(&node, webhook, index).await {
                let fields = [("hold", Said::Number(index.get())), ("why", Said::Text(&why))];
                log.line(Level::Warn, "webhook", &fields);
                untold.failed(index, attempt);
            }
            continue;
        }
        let until = untold.first().map_or_else(|| Instant::now() + RETRY_MOST, |(_, attempt)| attempt.at);
        if let Ok(Err(_)) = timeout_at(until, grown.changed()).await {
            return;
        }
        sleep(looks_at.saturating_duration_since(Instant::now())).await;
    }
}

/// Finds the holds that have come since.
async fn look(node: &AuthorityNode, untold: &mut Untold) -> Result<(), LedgerError> {
    let (now_ms, seen) = (node.authority().now_ms(), LeafIndex::new(untold.seen));
    let read = move |reader: &Reader, _: &View| reader.open_holds_from(now_ms, seen, OPEN_HOLDS_MAX);
    for index in node.read(read).await? {
        untold.seen = index.get().saturating_add(1);
        untold.due.insert(index, Attempt { at: Instant::now(), next: RETRY_FIRST });
    }
    Ok(())
}

/// What was answered, or has lapsed, meanwhile, nobody has to hear of.
async fn told(node: &AuthorityNode, webhook: &HoldsWebhook, index: LeafIndex) -> Result<(), String> {
    let held = node.read(move |reader, _| reader.held(index)).await.map_err(|error| error.to_string())?;
    let Some(held) = held else { return Ok(()) };
    let waiting = node.authority().waiting(&held);
    if waiting != Waiting::Pending {
        return Ok(());
    }
    let ledger = node.authority().published().checkpoint.checkpoint().origin.as_str().to_owned();
    let body = json!({ "type": "hold", "ledger": ledger, "hold": holds::shown(node, &held, waiting) });
    let id = held.waiting.hold.id.to_string();
    webhook.tell(&id, node.authority().now_ms() / 1000, body.to_string()).await
}
