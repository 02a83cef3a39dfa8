//! Talking to a node: over its local socket or HTTP.
//!
//! It holds no issuing power, and must never believe what it has not verified: what comes back is bytes and text whose form was
//! checked, and proofs are for whoever has the trust root. It asks once: a refusal is never asked again, nor is a request of which
//! a byte was sent (Invariant 2).
#![forbid(unsafe_code)]

mod answer;
pub mod blocking;
mod client;
mod connection;
mod control;
mod endpoint;
mod error;
mod feed;
mod fields;
mod gateway;
mod sse;
mod tls;

pub use answer::{
    Answer, Denial, Held, HoldState, OrderAnswer, Permit, PolicyNote, Recorded, Refused, ShadowAnswer, Shadowed,
    StateAnswer,
};
pub use client::{Asked, Client, Timeouts};
pub use control::ControlPage;
pub use endpoint::Endpoint;
pub use error::ClientError;
pub use feed::{Feed, FeedEvent};
pub use gateway::{GatewayPlace, OpenExecution};
pub use sse::{EVENT_BYTES_MAX, Event, Parser, SseError};
