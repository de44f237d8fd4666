//! Where the supervisor listens: addresses and sockets, and how many each is for.
//!
//! Invariants: an admin socket is root's alone from the moment it exists. Without transport
//! security nothing listens beyond this machine unless the operator says so.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::sys::stat::{Mode, umask};
use tokio::net::{TcpListener, UnixListener};

/// Largest message between an operator and us: a configuration, and its difference line by line.
pub const MESSAGE_LEN_MAX: usize = 4 * policy::lang::TEXT_LEN_MAX;

/// Connections that the admin socket takes: shells and scripts of operators.
pub const ADMIN_MAX: usize = 128;

/// Connections that the port for dataplanes takes: one for each host, and as many again that hosts
/// left behind and that are not found dead yet.
pub const DATAPLANES_MAX: usize = 4096;

/// An address to listen on: `unix:PATH` or `tcp:IP:PORT`; also `IP:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A Unix socket, mode 0600.
    Unix(PathBuf),
    /// A TCP port.
    Tcp(SocketAddr),
}

/// Why nothing can listen there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not an address.
    #[error("`{0}` is not an address to listen on, expected unix:PATH or tcp:IP:PORT")]
    Syntax(String),
    /// An address that others can reach.
    #[error(
        "{0} can be reached from other machines, and transport security is not there yet: whoever \
         reaches it is the administrator of the switch; use a loopback address or a Unix socket, \
         or say --insecure-listen when the network is yours alone"
    )]
    Exposed(Listen),
    /// Somebody listens there already.
    #[error("{0} is in use: another supervisor listens on it")]
    InUse(Listen),
    /// The system refuses.
    #[error("cannot listen on {listen}: {source}")]
    Failed {
        /// Where.
        listen: Listen,
        /// What the system said.
        source: io::Error,
    },
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Self::Unix(PathBuf::from(path))),
            Some(_) => Err(ListenError::Syntax(text.to_owned())),
            None => match text.strip_prefix("tcp:").unwrap_or(text).parse() {
                Ok(address) => Ok(Self::Tcp(address)),
                Err(_) => Err(ListenError::Syntax(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// An open socket.
#[derive(Debug)]
pub enum Socket {
    /// A Unix socket; its file goes with the value.
    Unix(UnixListener, SocketFile),
    /// A TCP port.
    Tcp(TcpListener),
}

/// The file of a Unix socket, removed on drop.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A file that is gone already is as good; one that stays is replaced at the next start.
        fs::remove_file(&self.0).ok();
    }
}

impl Listen {
    /// Refuses an address that other machines can reach, unless that is wanted.
    ///
    /// # Errors
    /// [`ListenError::Exposed`].
    pub fn check_exposure(&self, is_insecure_wanted: bool) -> Result<(), ListenError> {
        match self {
            Self::Tcp(address) if !address.ip().is_loopback() && !is_insecure_wanted => {
                Err(ListenError::Exposed(self.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Opens the socket. A Unix socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The address is in use or the system refuses.
    pub async fn open(&self) -> Result<Socket, ListenError> {
        let failed = |source| ListenError::Failed { listen: self.clone(), source };
        match self {
            Self::Tcp(address) => match TcpListener::bind(address).await {
                Ok(listener) => Ok(Socket::Tcp(listener)),
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                    Err(ListenError::InUse(self.clone()))
                }
                Err(e) => Err(failed(e)),
            },
            Self::Unix(path) => {
                if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
                    fs::create_dir_all(parent).map_err(failed)?;
                }
                if StdUnixStream::connect(path).is_ok() {
                    return Err(ListenError::InUse(self.clone()));
                }
                remove_stale(path).map_err(failed)?;
                let listener = bind_private(path).map_err(failed)?;
                Ok(Socket::Unix(listener, SocketFile(path.clone())))
            }
        }
    }
}

/// Removes what is left of a socket after a crash; never a file of another kind.
fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// Binds with mode 0600 from the first instant: a chmod after the bind would leave a gap.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    // The mask is the process's own. Other threads that make files meanwhile make them private.
    let before = umask(Mode::S_IRWXG | Mode::S_IRWXO | Mode::S_IXUSR);
    let listener = UnixListener::bind(path);
    umask(before);
    listener
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn addresses_are_read_and_printed() {
        for text in ["unix:/run/weft/supervisor.sock", "tcp:127.0.0.1:7430", "tcp:[::1]:7430"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        assert_eq!("10.0.0.1:7430".parse::<Listen>().unwrap().to_string(), "tcp:10.0.0.1:7430");
        for text in ["", "unix:", "tcp:", "tcp:localhost:7430", "7430", "http://127.0.0.1:1"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_others_can_reach_has_to_be_asked_for() {
        for text in ["tcp:0.0.0.0:7430", "tcp:10.1.2.3:7430", "tcp:[::]:7430"] {
            let listen: Listen = text.parse().unwrap();
            let refusal = listen.check_exposure(false).unwrap_err().to_string();
            assert!(refusal.contains("transport security is not there yet"), "{refusal}");
            assert!(listen.check_exposure(true).is_ok());
        }
        for text in ["tcp:127.0.0.1:7430", "tcp:[::1]:7430", "unix:/x"] {
            assert!(text.parse::<Listen>().unwrap().check_exposure(false).is_ok());
        }
    }

    #[tokio::test]
    async fn a_socket_is_private_replaced_when_stale_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/admin.sock");
        let listen = Listen::Unix(path.clone());
        let socket = listen.open().await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(listen.open().await, Err(ListenError::InUse(_))));
        drop(socket);
        assert!(!path.exists());
        // What a killed process leaves behind.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(listen.open().await.unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(listen.open().await, Err(ListenError::Failed { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
