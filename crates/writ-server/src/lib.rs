//! The HTTP face of a ledger: its published tree, as C2SP `tlog-tiles`, for whoever wants to read and verify it.
//!
//! What is served is what every client checks for itself, so this crate decides nothing and is trusted with nothing. It must never
//! hold a signing key, write to a store, or serve what no published checkpoint covers. It takes each client for hostile: what one
//! may cost is bounded by [`Limits`].
#![forbid(unsafe_code)]

mod answer;
mod connection;
mod error;
mod limits;
mod readers;
mod serve;
mod stall;

pub use error::ServeError;
pub use limits::Limits;
pub use serve::{serve_log, serve_log_until_signal, serve_log_within};
