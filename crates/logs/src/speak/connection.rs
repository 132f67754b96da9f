//! Where a service listens, and a connection to it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, told};

/// How long a service may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where a syslog service of this machine listens, if it does.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// What carries messages over a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// A datagram each.
    Udp,
    /// One after the other.
    Tcp,
}

impl Transport {
    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Where a service listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endpoint {
    /// Wherever this machine's syslog service does.
    LocalSyslog,
    /// At a socket in the file system.
    Socket {
        /// Its path.
        path: String,
        /// Whether it takes datagrams.
        datagram: bool,
    },
    /// At one of these addresses.
    Network {
        /// How it is reached.
        transport: Transport,
        /// The address as it was given.
        shown: String,
        /// What it means.
        addresses: Vec<SocketAddr>,
    },
}

/// An open connection; sending blocks.
#[derive(Debug)]
pub(super) enum Connection {
    Tcp(TcpStream),
    Udp(UdpSocket),
    Stream(UnixStream),
    Datagram(UnixDatagram),
}

impl Connection {
    pub(super) fn open(endpoint: &Endpoint) -> Result<Self> {
        match endpoint {
            Endpoint::LocalSyslog => LOCAL
                .iter()
                .find_map(|path| datagram(path).or_else(|_| stream(path)).ok())
                .ok_or_else(|| Error::Unreachable("Unix syslog delivery error".to_owned())),
            Endpoint::Socket { path, datagram: d } => match d {
                true => datagram(path).map_err(|error| dial("unixgram", path, &error)),
                false => stream(path).map_err(|error| dial("unix", path, &error)),
            },
            Endpoint::Network {
                transport,
                shown,
                addresses,
            } => network(*transport, addresses)
                .map_err(|error| dial(transport.name(), shown, &error)),
        }
    }

    /// Sends all of it; a datagram in one piece.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Stream(stream) => stream.write_all(bytes),
            Self::Udp(socket) => socket.send(bytes).map(drop),
            Self::Datagram(socket) => socket.send(bytes).map(drop),
        }
    }

    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Stream(stream) => stream.read(bytes),
            Self::Udp(socket) => socket.recv(bytes),
            Self::Datagram(socket) => socket.recv(bytes),
        }
    }

    /// Lets go of a service that takes nothing for so long, or answers nothing.
    pub(super) fn limit(&self, write: Option<Duration>, read: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_write_timeout(write)?;
                stream.set_read_timeout(Some(read))
            }
            Self::Stream(stream) => {
                stream.set_write_timeout(write)?;
                stream.set_read_timeout(Some(read))
            }
            Self::Udp(_) | Self::Datagram(_) => Ok(()),
        }
    }

    /// Whether messages follow each other in one stream.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Stream(_))
    }

    /// Whether the service has ended the connection: a write would succeed all
    /// the same, and be lost.
    pub(super) fn has_ended(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        self.is_stream() && matches!(recv(self.as_fd(), &mut [0u8; 1][..], flags), Ok((0, _)))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
            Self::Stream(stream) => stream.as_fd(),
            Self::Datagram(socket) => socket.as_fd(),
        }
    }
}

fn datagram(path: &str) -> io::Result<Connection> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(Connection::Datagram(socket))
}

fn stream(path: &str) -> io::Result<Connection> {
    UnixStream::connect(path).map(Connection::Stream)
}

fn network(transport: Transport, addresses: &[SocketAddr]) -> io::Result<Connection> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let opened = match transport {
            Transport::Tcp => TcpStream::connect_timeout(address, PATIENCE).map(Connection::Tcp),
            Transport::Udp => udp(address),
        };
        match opened {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn udp(address: &SocketAddr) -> io::Result<Connection> {
    let socket = match address {
        SocketAddr::V4(_) => UdpSocket::bind("0.0.0.0:0")?,
        SocketAddr::V6(_) => UdpSocket::bind("[::]:0")?,
    };
    socket.connect(address)?;
    Ok(Connection::Udp(socket))
}

fn dial(network: &str, address: &str, error: &io::Error) -> Error {
    Error::Dial {
        network: network.to_owned(),
        address: Some(address.to_owned()),
        reason: format!("connect: {}", told(error)),
    }
}
