use crate::args::{Place, Solver};
use clap::Args as ClapArgs;
use std::path::PathBuf;
use writ_server::Host;

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogStyle {
    /// key=value, for people
    Text,
    /// One object a line
    Json,
}

#[derive(ClapArgs)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) place: Place,
    /// How many executions can run at a time on this machine
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) slots: u16,
    /// Serve this domain too: one node for several, which share the address to listen on and nothing else. HOST is the name by which it is
    /// asked for there; once for each
    #[arg(long, value_name = "HOST=DIR", value_parser = also, conflicts_with = "socket")]
    pub(crate) also: Vec<(Host, PathBuf)>,
    /// The name by which the domain itself is asked for there, and no other; needed with --also and --listen
    #[arg(long, value_name = "HOST", requires = "listen", value_parser = Host::parse)]
    pub(crate) host: Option<Host>,
    /// Local socket to listen on [default: DIR/run/node.sock]
    #[arg(long, env = "WRIT_SOCKET", value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
    /// Mode of the local socket, in octal: who on this machine may ask
    #[arg(long, default_value = "666", value_name = "MODE", value_parser = octal)]
    pub(crate) socket_mode: u32,
    /// Address to listen on too, such as 127.0.0.1:8733; beyond this machine only with TLS. Whoever reaches it can read without showing who
    /// they are: status, entries, bundles, holds, mandates, the feed, metrics. --tls-clients-only keeps it to clients with a certificate
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    pub(crate) listen: Option<std::net::SocketAddr>,
    /// Certificate chain, as PEM
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Take the CAs in this PEM file at their word for workloads of a SPIFFE trust domain; read again when it changes
    #[arg(long, value_name = "DOMAIN=FILE", value_parser = trust)]
    pub(crate) spiffe_trust: Vec<(String, PathBuf)>,
    /// Over TLS, talk only to clients with a certificate that shows who they are
    #[arg(long)]
    pub(crate) tls_clients_only: bool,
    /// Know the issuers of tokens by the CAs in this PEM file [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer_ca: Option<PathBuf>,
    /// Tell this address of each request that waits for approval in the domain itself, not in those of --also: https, or http on this machine; until it has heard
    #[arg(long, value_name = "URL", requires = "holds_webhook_secret")]
    pub(crate) holds_webhook: Option<String>,
    /// Sign what it is told with the secret in this file, whsec_BASE64, as Standard Webhooks has it
    #[arg(long, value_name = "FILE", requires = "holds_webhook")]
    pub(crate) holds_webhook_secret: Option<PathBuf>,
    /// Know it by the CAs in this PEM file [default: those of the system]
    #[arg(long, value_name = "FILE", requires = "holds_webhook")]
    pub(crate) holds_webhook_ca: Option<PathBuf>,
    /// Requests a second that each principal may make, and that each gateway may state [default: 2000]
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u64>,
    /// Requests a second that all principals of a domain may make together, and as many orders, and as many uses and refusals that gateways state [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) domain_rate: Option<u64>,
    /// Take nothing new once a domain's store and its log hold so much; what ends, stops or answers something still goes in [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) ledger_max: Option<u64>,
    /// How the log on standard error is written
    #[arg(long, value_enum, default_value_t = LogStyle::Text)]
    pub(crate) log: LogStyle,
    #[command(flatten)]
    pub(crate) solver: Solver,
}

fn also(text: &str) -> Result<(Host, PathBuf), String> {
    let split = text.split_once('=').filter(|(_, dir)| !dir.is_empty());
    let expected =
        "expected HOST=DIR, the name by which that domain is asked for and its folder, like bolt.localhost=/srv/bolt";
    let (host, dir) = split.ok_or(expected)?;
    Ok((Host::parse(host).map_err(|error| error.to_string())?, dir.into()))
}

/// What the kernel listens on: no name, since a name may be several addresses.
pub(crate) fn address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an address in digits and a port, such as 127.0.0.1:8733 or [::1]:8733".to_owned())
}

/// Bytes, or so many KiB, MiB, GiB or TiB.
fn size(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a size like 500MiB or 20GiB, found {text:?}");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(expected)?;
    let units = ["", "KiB", "MiB", "GiB", "TiB"];
    let power = units.iter().zip([0, 10, 20, 30, 40]).find(|(name, _)| **name == unit).ok_or_else(expected)?.1;
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(1 << power).filter(|bytes| *bytes > 0).ok_or_else(expected)
}

fn octal(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(|| "expected 0 to 777".to_owned())
}

fn trust(text: &str) -> Result<(String, PathBuf), String> {
    let (domain, file) = text.split_once('=').ok_or("expected DOMAIN=FILE, like acme.example=bundle.pem")?;
    Ok((domain.to_owned(), file.into()))
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_in_bytes_and_what_is_none_is_refused() {
        for (text, bytes) in [("1", 1), ("4KiB", 4096), ("500MiB", 500 << 20), ("2TiB", 2 << 40)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "MiB", "1MB", "1 MiB", "-1", "1.5GiB", "99999999999TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
