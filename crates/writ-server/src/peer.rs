use crate::clients::ClientCertificate;
use crate::host::Host;
use hyper::http::uri::Authority;
use nix::sys::socket::{getsockopt, sockopt::PeerPidfd};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use tokio::net::UnixStream;
use writ_authority::{Descent, Shown};

/// Who is at the other end of a connection, as far as the system says. Nothing that a request says is in it.
#[derive(Debug)]
pub enum Peer {
    /// A process of this machine, as it was when it connected.
    Local {
        /// Its effective user.
        uid: u32,
        /// Its effective group.
        gid: u32,
        /// Its process id; nothing where it cannot be seen from here. It may be another process by now.
        pid: Option<i32>,
        /// The process itself, where the kernel gives it.
        pidfd: Option<OwnedFd>,
        /// What the authority found out about it.
        descent: Descent,
    },
    /// Somebody on the network.
    Remote {
        /// Where they come from.
        address: SocketAddr,
        /// Whether the connection is encrypted.
        tls: bool,
        /// The certificate that it has shown, if it has.
        certificate: Option<ClientCertificate>,
        /// Whom its handshake has named (SNI); nobody where it has asked for an address.
        server_name: Option<String>,
    },
}

impl Peer {
    pub(crate) fn of_local(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        // A kernel before 6.5 has none; then the process id alone must do, and whoever decides by it knows.
        let pidfd = getsockopt(stream, PeerPidfd).ok();
        Ok(Self::Local {
            uid: credentials.uid(),
            gid: credentials.gid(),
            pid: credentials.pid(),
            pidfd,
            descent: Descent::default(),
        })
    }

    /// Whether nobody between could have read or changed it.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Remote { tls: true, .. })
    }

    /// Whether this names whom the connection was made to: over TLS whom its handshake has named, or an address where it has named nobody. In
    /// clear, what a request names was looked at before.
    pub(crate) fn was_made_to(&self, named: &Authority) -> bool {
        match self {
            Self::Local { .. } | Self::Remote { tls: false, .. } => true,
            Self::Remote { tls: true, server_name: Some(shown), .. } => {
                Host::parse(shown).is_ok_and(|host| host.is_meant_by(named.as_str()))
            }
            Self::Remote { tls: true, server_name: None, .. } => {
                named.host().trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            }
        }
    }

    /// What the connection shows of its other end, if it shows anything.
    pub(crate) fn shown(&self) -> Option<Shown> {
        match self {
            Self::Local { .. } => None,
            Self::Remote { certificate, .. } => certificate.as_ref().map(ClientCertificate::shown),
        }
    }

    /// Whoever has the same crowd shares its limit.
    pub(crate) fn crowd(&self) -> Crowd {
        match self {
            // A governed tree must not take the places of its own user, who may want to halt it.
            Self::Local { uid, pid: Some(pid), .. } if is_elsewhere(*pid) => Crowd::Confined(*uid),
            Self::Local { uid, .. } => Crowd::Uid(*uid),
            Self::Remote { address, .. } => Crowd::Network(network(address.ip())),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { uid, pid: Some(pid), .. } => write!(f, "uid:{uid}/pid:{pid}"),
            Self::Local { uid, pid: None, .. } => write!(f, "uid:{uid}"),
            Self::Remote { address, .. } => address.fmt(f),
        }
    }
}

/// Those who are counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Crowd {
    Uid(u32),
    Confined(u32),
    Network(IpAddr),
}

impl Crowd {
    pub(crate) fn is_remote(self) -> bool {
        match self {
            Self::Uid(_) | Self::Confined(_) => false,
            Self::Network(_) => true,
        }
    }
}

/// Whether a process is in another mount namespace, as every governed one is. Who cannot be seen counts as such.
fn is_elsewhere(pid: i32) -> bool {
    let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let own = of("self");
    own.is_none() || of(&pid.to_string()) != own
}

/// One IPv6 host has at least 2^64 addresses to come from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_goes_by_the_name_of_its_handshake_or_an_address() {
        let remote = |tls, server_name: Option<&str>| Peer::Remote {
            address: "127.0.0.1:1".parse().unwrap(),
            tls,
            certificate: None,
            server_name: server_name.map(str::to_owned),
        };
        let goes_by = |peer: &Peer, named: &str| peer.was_made_to(&named.parse().unwrap());
        let named = remote(true, Some("node.example"));
        assert!(goes_by(&named, "node.example") && goes_by(&named, "NODE.example:8443"));
        for other in ["other.example", "node.example.other.example", "127.0.0.1", "x@node.example"] {
            assert!(!goes_by(&named, other), "{other}");
        }
        let unnamed = remote(true, None);
        assert!(goes_by(&unnamed, "192.0.2.7:8443") && goes_by(&unnamed, "[2001:db8::7]:8443"));
        assert!(!goes_by(&unnamed, "node.example"));
        assert!(goes_by(&remote(false, None), "localhost:8733"));
    }

    #[test]
    fn addresses_of_one_network_are_one_crowd() {
        for (address, crowd) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:3::6", "2001:db8:1:3::"),
        ] {
            assert_eq!(network(address.parse().unwrap()), crowd.parse::<IpAddr>().unwrap(), "{address}");
        }
    }
}
