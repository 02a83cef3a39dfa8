//! Fetching the keys of token issuers, when a token comes that needs them.

use crate::authority_node::AuthorityNode;
use crate::error::ServeError;
use crate::outgoing::{Message, Outgoing};
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, HeaderValue};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use writ_authority::JWKS_BYTES_MAX;

/// How long an issuer may take for its keys, in all. Whoever sent the token waits meanwhile.
const FETCHED_WITHIN: Duration = Duration::from_secs(5);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Asks issuers for their keys. By default, it knows them by the CAs of the system.
#[derive(Default)]
pub struct KeyFetcher {
    outgoing: Outgoing,
    /// One at a time for each address: who waits for its turn finds what the one before has fetched.
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl KeyFetcher {
    /// Knows issuers by the CAs in this PEM file, or by those of the system.
    pub fn new(ca: Option<PathBuf>) -> Result<Self, ServeError> {
        Ok(Self { outgoing: Outgoing::new(ca)?, turns: Mutex::default() })
    }

    /// Only addresses that a policy set names come here, so there are few.
    fn turn_at(&self, place: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(place.to_owned()).or_default().clone()
    }

    async fn fetch(&self, place: &str) -> Result<Bytes, String> {
        let late = || format!("no answer came within {} s", FETCHED_WITHIN.as_secs());
        let asked = Message { method: Method::GET, headers: vec![(ACCEPT, JSON)], body: Bytes::new() };
        timeout(FETCHED_WITHIN, self.outgoing.send(place, asked, JWKS_BYTES_MAX)).await.unwrap_or_else(|_| Err(late()))
    }
}

impl AuthorityNode {
    /// Fetches what is needed to judge this token, if it is time to. What comes of it the authority knows; whoever asks is refused by that.
    pub(crate) async fn fetch_keys_for(&self, token: &str) {
        let Some(place) = self.authority().keys_wanted(token) else { return };
        let turn = self.fetcher().turn_at(&place);
        let _turn = turn.lock().await;
        // Whoever had the turn before may have fetched them.
        let Some(place) = self.authority().keys_wanted(token) else { return };
        let answer = self.fetcher().fetch(&place).await;
        // A refusal says why there are no keys, to whoever asks and to the log.
        self.authority().keys_fetched(&place, answer.as_deref().map_err(Clone::clone)).ok();
    }
}
