use crate::clients::ClientCertificate;
use nix::sys::socket::{getsockopt, sockopt::PeerPidfd};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use tokio::net::UnixStream;
use writ_authority::{Descent, Shown};

/// Who is at the other end of a connection, as far as the system says. Nothing that a client sent is in it.
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
