use crate::client::Timeouts;
use crate::error::ClientError;
use hyper::header::HeaderValue;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a node is, and by what it is known there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) place: Place,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) token: Option<Token>,
    pub(crate) owners: Vec<u32>,
    pub(crate) timeouts: Timeouts,
}

/// What goes into the head of each request. Whoever has it can use it, so it is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) HeaderValue);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Unix(PathBuf),
    /// In clear: these are addresses of this machine.
    Http {
        addresses: Vec<SocketAddr>,
        /// How it is asked for, where several domains are behind one address.
        name: Option<String>,
    },
    Https {
        host: String,
        port: u16,
    },
}

impl Endpoint {
    /// Reads `unix:/path`, `http://127.0.0.1:port` or `https://host:port`.
    ///
    /// Behind a local socket must be root or the user that we act as, if [`Endpoint::owned_by`] does not say otherwise.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let fault = |why| ClientError::Endpoint { found: text.to_owned(), why };
        let place = if let Some(path) = text.strip_prefix("unix:") {
            if !path.starts_with('/') || path.contains('\0') {
                return Err(fault("the path of a socket begins with a slash"));
            }
            Place::Unix(path.into())
        } else if let Some(rest) = text.strip_prefix("http://") {
            let (host, port) = host_and_port(rest).map_err(fault)?;
            match loopback(&host, port) {
                Some(addresses) => {
                    let name = host.ends_with(".localhost").then(|| format!("{host}:{port}"));
                    Place::Http { addresses, name }
                }
                None => return Err(ClientError::PlainHttp(host)),
            }
        } else if let Some(rest) = text.strip_prefix("https://") {
            let (host, port) = host_and_port(rest).map_err(fault)?;
            Place::Https { host, port }
        } else {
            return Err(fault("it begins with none of the three"));
        };
        Ok(Self::at(place))
    }

    /// A local socket at this path.
    pub fn unix(path: &Path) -> Self {
        Self::at(Place::Unix(path.to_owned()))
    }

    /// Whether it is a socket of this machine, so that the node knows the process that connects.
    pub fn is_socket(&self) -> bool {
        matches!(self.place, Place::Unix(_))
    }

    fn at(place: Place) -> Self {
        let (owners, timeouts) = (default_owners(), Timeouts::STANDARD);
        Self { place, ca: None, certificate: None, token: None, owners, timeouts }
    }

    /// Shows this certificate, a PEM file with its chain, and proves that it has the key: requests need no signature of their own.
    #[must_use]
    pub fn with_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// Sends this token with each request.
    pub fn with_token(mut self, token: &str) -> Result<Self, ClientError> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ClientError::Token)?;
        value.set_sensitive(true);
        self.token = Some(Token(value));
        Ok(self)
    }

    /// Known by a certificate that a CA in this PEM file has signed.
    #[must_use]
    pub fn with_ca(mut self, ca: impl Into<PathBuf>) -> Self {
        self.ca = Some(ca.into());
        self
    }

    /// Behind the local socket must be a process of one of these users.
    #[must_use]
    pub fn owned_by(mut self, owners: impl Into<Vec<u32>>) -> Self {
        self.owners = owners.into();
        self
    }

    /// With other limits to how long is waited there.
    #[must_use]
    pub fn within(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The CA file, if one was given.
    pub fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// What requests call the node.
    pub(crate) fn authority(&self) -> String {
        match &self.place {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Http { name: Some(name), .. } => name.clone(),
            Place::Http { addresses, name: None } => addresses.first().map_or_else(String::new, SocketAddr::to_string),
            Place::Https { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Https { host, port } => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
            Place::Http { .. } => write!(f, "http://{}", self.authority()),
            Place::Https { .. } => write!(f, "https://{}", self.authority()),
        }
    }
}

/// Root, and whom we act as: the owner of /proc/self.
fn default_owners() -> Vec<u32> {
    let mut owners = vec![0];
    owners.extend(fs::metadata("/proc/self").map(|found| found.uid()).ok().filter(|uid| *uid != 0));
    owners
}

fn host_and_port(rest: &str) -> Result<(String, u16), &'static str> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = rest.rsplit_once(':').ok_or("the port is missing")?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = Some(port).filter(|_| digits).and_then(|port| port.parse().ok()).filter(|port| *port != 0);
    let port = port.ok_or("the port is no number from 1 to 65535")?;
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| "there is no IPv6 address in the brackets")?;
        return Ok((address.to_string(), port));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
        return Err("the host is no name and no address");
    }
    Ok((host.to_owned(), port))
}

/// Names are not looked up for this: who answers for a name could send us elsewhere in clear. Those below `localhost` are of this machine by RFC 6761.
pub(crate) fn loopback(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if host == "localhost" || host.ends_with(".localhost") {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Some(both.map(|address| SocketAddr::new(address, port)).into());
    }
    let address: IpAddr = host.parse().ok()?;
    address.to_canonical().is_loopback().then(|| vec![SocketAddr::new(address, port)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_protocol::Code;

    #[test]
    fn places_are_read_and_written() {
        for (text, shown) in [
            ("unix:/run/writ/node.sock", "unix:/run/writ/node.sock"),
            ("http://127.0.0.1:8733", "http://127.0.0.1:8733"),
            ("http://127.9.9.9:1/", "http://127.9.9.9:1"),
            ("http://[::1]:8733", "http://[::1]:8733"),
            ("http://localhost:8733", "http://127.0.0.1:8733"),
            ("http://b.localhost:8733", "http://b.localhost:8733"),
            ("https://node.example:443", "https://node.example:443"),
            ("https://[2001:db8::1]:443/", "https://[2001:db8::1]:443"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn other_places_are_refused() {
        for text in [
            "",
            "node.sock",
            "unix:node.sock",
            "unix:/a\0b",
            "ftp://127.0.0.1:1",
            "http://127.0.0.1",
            "http://127.0.0.1:0",
            "http://127.0.0.1:+1",
            "http://127.0.0.1:65536",
            "https://a b:1",
            "https://user@host:1",
            "https://host:1/path",
            "https://[host]:1",
            "https://:1",
        ] {
            assert!(matches!(Endpoint::parse(text), Err(ClientError::Endpoint { .. })), "{text:?}");
        }
    }

    #[test]
    fn plain_http_to_another_machine_is_refused() {
        for host in ["192.0.2.1", "node.example", "[2001:db8::1]", "0.0.0.0", "localhost.example", "[::ffff:192.0.2.1]"]
        {
            let error = Endpoint::parse(&format!("http://{host}:80")).unwrap_err();
            assert!(matches!(error, ClientError::PlainHttp(_)), "{host}: {error}");
            assert_eq!(error.code(), Code::Malformed);
            assert!(error.to_string().contains("use https"));
        }
    }
}
