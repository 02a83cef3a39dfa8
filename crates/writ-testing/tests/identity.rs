//! Who asks, on real sockets: certificates over TLS, tokens of a real issuer, and what becomes of both when they are stolen, stale, forged or revoked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test panics to fail, and looks at the entries and answers that it is about"
)]

#[path = "identity/advice.rs"]
mod advice;
#[path = "identity/connections.rs"]
mod connections;
#[path = "identity/history.rs"]
mod history;
#[path = "identity/issuer.rs"]
mod issuer;
#[path = "identity/messages.rs"]
mod messages;
#[path = "identity/revocation.rs"]
mod revocation;
#[path = "identity/site.rs"]
mod site;
#[path = "identity/tokens.rs"]
mod tokens;
#[path = "identity/webhook.rs"]
mod webhook;
