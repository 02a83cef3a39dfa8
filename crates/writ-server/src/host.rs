//! By which name callers from the network ask.

use crate::error::ServeError;
use hyper::Request;
use hyper::header::HOST;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name, as DNS has it.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// The name by which callers from the network ask for a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// Reads a host name: letters, digits and hyphens between dots, without a port. An address is none, since it names a machine and no domain.
    pub fn parse(text: &str) -> Result<Self, ServeError> {
        let is_label = |label: &str| {
            let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            plain && (1..=LABEL_BYTES_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        let is_name = text.len() <= NAME_BYTES_MAX && text.split('.').all(is_label);
        // The last part of a name that is no number cannot be read as an address by anybody.
        let is_address = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if is_name && !is_address && text.parse::<IpAddr>().is_err() {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(ServeError::Host(text.to_owned()))
        }
    }

    /// Whether nobody but this machine can have the name: no page in a browser can let it lead here from elsewhere.
    pub fn is_of_this_machine(&self) -> bool {
        self.0 == "localhost" || self.0.ends_with(".localhost")
    }

    /// The name, in small letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether somebody who names this, with or without a port, asks for it.
    pub fn is_meant_by(&self, named: &str) -> bool {
        let (host, port) = named.split_once(':').unwrap_or((named, ""));
        host.eq_ignore_ascii_case(&self.0) && is_port(port)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom a request names: in its target, else in its one header. Of two, nobody can tell which was meant.
pub(crate) fn named_in<B>(request: &Request<B>) -> Option<&str> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str());
    }
    let mut headers = request.headers().get_all(HOST).iter();
    let (named, another) = (headers.next()?, headers.next());
    if another.is_some() { None } else { named.to_str().ok() }
}

/// `localhost` or an address of this machine for itself, with or without a port.
pub(crate) fn is_loopback(named: &str) -> bool {
    if let Some(rest) = named.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').unwrap_or((rest, "none"));
        let port = if rest.is_empty() { Some("") } else { rest.strip_prefix(':') };
        return port.is_some_and(is_port) && host.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback());
    }
    let (host, port) = named.split_once(':').unwrap_or((named, ""));
    let is_ours = host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback());
    is_ours && is_port(port)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_for_itself_are_told_from_others() {
        for named in ["localhost", "LocalHost:8733", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:8733"] {
            assert!(is_loopback(named), "{named}");
        }
        for named in [
            "",
            "node.example",
            "localhost.node.example",
            "localhost:1@node.example",
            "127.0.0.1.node.example",
            "0.0.0.0",
            "[::]",
            "[::1",
            "[::1]x",
            "::1",
        ] {
            assert!(!is_loopback(named), "{named}");
        }
    }

    #[test]
    fn a_host_is_a_name_and_meant_by_nothing_but_itself() {
        let host = Host::parse("B.Example").unwrap();
        assert_eq!(host.as_str(), "b.example");
        for named in ["b.example", "B.EXAMPLE:8733", "b.example:"] {
            assert!(host.is_meant_by(named), "{named}");
        }
        for named in [
            "",
            "example",
            "a.b.example",
            "b.example.",
            "b.example:x",
            "b.example:1:2",
            "b.example@a.example",
            "a@b.example",
            "a.example:1@b.example",
            " b.example",
        ] {
            assert!(!host.is_meant_by(named), "{named}");
        }
    }

    #[test]
    fn what_is_no_name_is_no_host() {
        let long = ["a".repeat(64).as_str(), "example"].join(".");
        for text in
            ["", ".", "b.", ".b", "b..c", "127.0.0.1", "1.2", "::1", "b.example:1", "a b", "-a.b", "a-.b", "ü", &long]
        {
            assert!(Host::parse(text).is_err(), "{text}");
        }
        for (text, is_ours) in
            [("localhost", true), ("b.LOCALHOST", true), ("b.example", false), ("notlocalhost", false), ("1.a", false)]
        {
            assert_eq!(Host::parse(text).unwrap().is_of_this_machine(), is_ours, "{text}");
        }
    }

    #[test]
    fn two_names_in_one_request_name_nobody() {
        let request = |uri: &str, hosts: &[&str]| {
            let builder = Request::builder().uri(uri);
            hosts.iter().fold(builder, |builder, host| builder.header(HOST, *host)).body(()).unwrap()
        };
        assert_eq!(named_in(&request("/", &["a.example"])), Some("a.example"));
        assert_eq!(named_in(&request("/", &["a.example", "a.example"])), None);
        assert_eq!(named_in(&request("/", &[])), None);
        // As HTTP has it, the target counts where it names somebody.
        assert_eq!(named_in(&request("http://b.example/", &["a.example"])), Some("b.example"));
    }
}
