//! Where a node listens.

#[cfg(test)]
mod tests;

use crate::clients::ClientTrust;
use crate::error::ServeError;
use crate::tls::TlsConfig;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::timeout;

/// Everybody may ask; the kernel says who does.
pub const SOCKET_MODE: u32 = 0o666;
/// How long a socket that exists has to show that nobody is behind it.
const STALE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a node listens on.
#[derive(Default)]
pub struct Listeners {
    pub(crate) unix: Option<LocalSocket>,
    pub(crate) tcp: Option<Network>,
}

/// A listener on the network.
pub struct Network {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsConfig>,
}

impl Network {
    /// Listens on an address. Without TLS, only this machine may reach it.
    pub async fn bind(address: SocketAddr, tls: Option<TlsConfig>) -> Result<Self, ServeError> {
        if tls.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(ServeError::PlainTcp(address));
        }
        let listener = TcpListener::bind(address).await.map_err(|why| ServeError::Address { address, why })?;
        Ok(Self { listener, tls })
    }

    /// The address listened on, with the port that the system chose.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Whose word is taken for who clients from the network are.
    pub(crate) fn clients(&self) -> Option<Arc<ClientTrust>> {
        self.tls.as_ref()?.clients().cloned()
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }
}

impl Listeners {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens on a local socket too, made at this path with this mode.
    pub async fn with_unix(mut self, path: &Path, mode: u32) -> Result<Self, ServeError> {
        self.unix = Some(LocalSocket::bind(path, mode).await?);
        Ok(self)
    }

    /// Listens on an address too. Without TLS, only this machine may reach it.
    pub async fn with_tcp(mut self, address: SocketAddr, tls: Option<TlsConfig>) -> Result<Self, ServeError> {
        self.tcp = Some(Network::bind(address, tls).await?);
        Ok(self)
    }

    /// The address listened on, with the port that the system chose.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(Network::address)
    }
}

/// A socket in the file system, taken away at the end if it is still this one.
pub struct LocalSocket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl LocalSocket {
    /// Listens on a socket at this path, with this mode.
    ///
    /// It is made under another name and then moved, so that it appears with its mode and with somebody behind it.
    pub async fn bind(path: &Path, mode: u32) -> Result<Self, ServeError> {
        let fault = |why| ServeError::Socket { path: path.to_owned(), why };
        let (folder, name) = folder_and_name(path).ok_or_else(|| fault(ErrorKind::InvalidInput.into()))?;
        judge_folder(folder, fault)?;
        refuse_if_answered(path).await?;
        let mut temporary_name = OsString::from(".");
        temporary_name.push(name);
        temporary_name.push(format!(".{}", process::id()));
        let temporary = folder.join(temporary_name);
        remove_if_there(&temporary).map_err(fault)?;
        let listener = UnixListener::bind(&temporary).map_err(fault)?;
        let placed = fs::set_permissions(&temporary, Permissions::from_mode(mode))
            .and_then(|()| fs::symlink_metadata(&temporary))
            .and_then(|ours| fs::rename(&temporary, path).map(|()| ours));
        match placed {
            Ok(ours) => Ok(Self { listener, path: path.to_owned(), device: ours.dev(), inode: ours.ino() }),
            Err(why) => {
                remove_if_there(&temporary).ok();
                Err(fault(why))
            }
        }
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // Another node may have taken the name over meanwhile; its socket is not ours to remove.
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode)) {
            fs::remove_file(&self.path).ok();
        }
    }
}

fn folder_and_name(path: &Path) -> Option<(&Path, &std::ffi::OsStr)> {
    let folder = path.parent()?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    Some((folder, path.file_name()?))
}

/// Whoever may write in the folder could put a socket of their own there, and would be asked for writs.
fn judge_folder(folder: &Path, fault: impl Fn(io::Error) -> ServeError) -> Result<(), ServeError> {
    match fs::DirBuilder::new().mode(0o755).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fault(error)),
    }
    let found = fs::metadata(folder).map_err(&fault)?;
    // The owner of /proc/self is whom this process acts as.
    let own = fs::metadata("/proc/self").map_err(&fault)?.uid();
    let mode = found.mode() & 0o7777;
    if mode & 0o022 != 0 || (found.uid() != own && found.uid() != 0) {
        return Err(ServeError::SocketFolder { folder: folder.to_owned(), mode, uid: found.uid() });
    }
    Ok(())
}

/// Only a refused connection shows that nobody is there. Whatever else happens may be a node that is busy.
async fn refuse_if_answered(path: &Path) -> Result<(), ServeError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(ServeError::Socket { path: path.to_owned(), why }),
        Ok(found) if !found.file_type().is_socket() => return Err(ServeError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match timeout(STALE_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        Ok(Ok(_) | Err(_)) | Err(_) => Err(ServeError::AnotherNode(path.to_owned())),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
