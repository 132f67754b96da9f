//! Where the server listens: `unix://PATH`, `tcp://HOST:PORT` (with or without
//! TLS) and `fd://` (sockets that systemd opened).

mod address;
mod fd;
mod group;
mod tcp;
mod unix;

use std::fmt;
use std::path::PathBuf;

pub use address::{Address, AddressError};
pub use gantry_tls::ServerFiles as TlsFiles;

use gantry_types::ErrorKind;

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is not one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A daemon answers there.
    #[error("{0}: another daemon is listening there already")]
    InUse(String),
    /// The path is a file of another kind.
    #[error("{0}: exists and is not a socket")]
    NotASocket(PathBuf),
    /// The group was named by the user and does not exist.
    #[error("group {0}: not found in /etc/group")]
    UnknownGroup(String),
    /// Anybody who reaches the port would be root.
    #[error(
        "tcp://{0}: without --tlsverify everybody who reaches this address is root on this \
         machine: give --tlsverify with --tlscacert, --tlscert and --tlskey, listen on a \
         loopback address, or insist with --insecure-tcp"
    )]
    InsecureTcp(String),
    /// systemd passed no sockets, or not this one.
    #[error("fd://{name}: {reason}")]
    Activation {
        /// What follows `fd://`.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] gantry_tls::WrongFile),
    /// The kernel refused.
    #[error("{operation} {object}: {source}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To what.
        object: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl ListenError {
    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Address(_)
            | Self::NotASocket(_)
            | Self::InsecureTcp(_)
            | Self::Activation { .. }
            | Self::Tls(_) => ErrorKind::InvalidArgument,
            Self::InUse(_) => ErrorKind::Conflict,
            Self::UnknownGroup(_) => ErrorKind::NotFound,
            Self::Io { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn io(
        operation: &'static str,
        object: impl fmt::Display,
        source: std::io::Error,
    ) -> Self {
        Self::Io {
            operation,
            object: object.to_string(),
            source,
        }
    }
}

/// How to listen.
#[derive(Debug, Clone, Default)]
pub struct ListenOptions {
    /// The group that may use unix sockets. `None` means `docker` where that
    /// exists; one that is named must exist.
    pub group: Option<String>,
    /// Certificates for TCP; without them it is plain.
    pub tls: Option<TlsFiles>,
    /// Whether plain TCP may be reached from other machines.
    pub insecure_tcp: bool,
}

/// A socket that accepts connections. A unix socket's file goes with it.
pub enum Listener {
    /// On a path.
    Unix(unix::UnixSocket),
    /// Plain TCP.
    Tcp(tokio::net::TcpListener),
    /// TCP with TLS.
    Tls(tokio::net::TcpListener, tokio_rustls::TlsAcceptor),
}

impl Listener {
    /// Checks what can be known without listening, so that a wrong configuration
    /// is told before anything has happened.
    ///
    /// # Errors
    /// When the group does not exist, certificates cannot be used, or plain TCP
    /// would be open to other machines.
    pub fn check(address: &Address, options: &ListenOptions) -> Result<(), ListenError> {
        match address {
            Address::Unix(_) => group::socket_group(options.group.as_deref()).map(drop),
            Address::Tcp(host_port) => tcp::check(host_port, options),
            Address::Fd(_) => Ok(()),
        }
    }

    /// Starts to listen; `fd://` may give several sockets. Must be called within
    /// a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or refused, or certificates cannot be used.
    pub fn open(address: &Address, options: &ListenOptions) -> Result<Vec<Self>, ListenError> {
        match address {
            Address::Unix(path) => {
                let socket = unix::UnixSocket::bind(path, options.group.as_deref())?;
                Ok(vec![Self::Unix(socket)])
            }
            Address::Tcp(host_port) => tcp::listen(host_port, options),
            Address::Fd(name) => fd::inherited(name),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tcp = |listener: &tokio::net::TcpListener| match listener.local_addr() {
            Ok(address) => address.to_string(),
            Err(_) => "?".to_owned(),
        };
        match self {
            Self::Unix(socket) => write!(f, "unix://{socket}"),
            Self::Tcp(listener) => write!(f, "tcp://{}", tcp(listener)),
            Self::Tls(listener, _) => write!(f, "tcp://{} (TLS)", tcp(listener)),
        }
    }
}
