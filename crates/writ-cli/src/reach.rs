//! Arguments that say how a node is reached, and who asks it.

use crate::args::Place;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// How a node is reached.
#[derive(ClapArgs)]
pub(crate) struct Reach {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The node: unix:/path, http://127.0.0.1:PORT, http://NAME.localhost:PORT or https://HOST:PORT [default: unix:DIR/run/node.sock]
    #[arg(long, env = "WRIT_NODE", value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Who vouches for an https node, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Show an https node this certificate, as PEM: who asks is whoever it names
    #[arg(long, env = "WRIT_CERTIFICATE", value_name = "FILE", requires = "certificate_key")]
    pub(crate) certificate: Option<PathBuf>,
    /// The key of the certificate, as PEM
    #[arg(long, env = "WRIT_CERTIFICATE_KEY", value_name = "FILE")]
    pub(crate) certificate_key: Option<PathBuf>,
    /// Send the token in this file: who asks is whoever its issuer says
    #[arg(long, env = "WRIT_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token: Option<PathBuf>,
    /// Seconds to wait for each answer of the node, 1 to 3600; after that the answer is a refusal
    #[arg(long, env = "WRIT_TIMEOUT", default_value_t = 30, value_name = "N", value_parser = timeout_s())]
    pub(crate) timeout: u64,
}

/// Who asks.
#[derive(ClapArgs)]
pub(crate) struct As {
    /// As which principal, like Agent::builder or User::ada; its key signs [default: your user on this machine]
    #[arg(long = "as", id = "as", value_name = "PRINCIPAL")]
    pub(crate) principal: Option<String>,
    /// The principal's key [default: DIR/keys/principals/TYPE/ID.seed]
    #[arg(long, value_name = "FILE", requires = "as")]
    pub(crate) key: Option<PathBuf>,
}

fn timeout_s() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=3600)
}
