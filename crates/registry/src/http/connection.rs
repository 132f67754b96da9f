//! A connection to one server: a request out, the head of its answer in.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::head::{self, Head};
use super::socket::Socket;
use super::socks;
use super::{Payload, Request, SourceFailed};
use crate::cancel::Cancel;
use crate::limits::Limits;
use crate::proxy::Proxy;
use crate::refusal;
use crate::tls::explained;
use crate::url::Url;

/// What small reads are gathered in; larger ones go past it.
const BUFFER: usize = 64 << 10;
/// How much of an upload is in memory.
const PIECE: usize = 256 << 10;

enum Wire {
    Plain(Socket),
    /// On the connection, or in the TLS of a proxy.
    Tls(Box<StreamOwned<ClientConnection, Wire>>),
}

impl Wire {
    fn socket(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.sock.socket(),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            // A server that goes away without a farewell: the length tells whether that matters.
            Self::Tls(stream) => match stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                other => other,
            },
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// How a server is reached.
pub(super) struct Way<'w> {
    pub(super) proxy: Option<&'w Arc<Proxy>>,
    /// How the proxy itself is spoken to.
    pub(super) proxy_tls: Option<Arc<ClientConfig>>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) agent: &'w str,
}

/// An open connection. Between an answer's head and the end of its body it is
/// the body's.
pub(super) struct Connection {
    wire: BufReader<Wire>,
    limits: Limits,
    /// Who passes requests on that are not in TLS.
    proxy: Option<Arc<Proxy>>,
    /// To whom, for those who look for an idle one.
    pub(super) url: Url,
    /// Since when it is idle.
    pub(super) idle: Instant,
}

impl Connection {
    /// Connects; by TLS where the URL says so, which a proxy only passes on.
    pub(super) fn open(
        url: &Url,
        way: Way<'_>,
        limits: &Limits,
        cancel: &Cancel,
    ) -> io::Result<Self> {
        let buffer = match way.tls.is_some() || way.proxy_tls.is_some() {
            true => BUFFER,
            false => 0,
        };
        let mut wire = match way.proxy {
            None => Wire::Plain(Socket::connect(url, buffer, limits, cancel)?),
            Some(proxy) => {
                let socket = Socket::connect(&proxy.url, buffer, limits, cancel);
                pass(socket.map_err(refused)?, url, proxy, &way, limits)?
            }
        };
        if let Some(config) = way.tls {
            wire = handshake(url, config, wire, limits)?;
        }
        let passes_on = |proxy: &&Arc<Proxy>| !url.secure && proxy.socks().is_none();
        Ok(Self {
            wire: BufReader::with_capacity(BUFFER, wire),
            limits: limits.clone(),
            proxy: way.proxy.filter(passes_on).cloned(),
            url: url.clone(),
            idle: Instant::now(),
        })
    }

    /// Whether there is neither TLS nor a proxy on the way.
    pub(super) fn is_plain(&self) -> bool {
        !self.url.secure && self.proxy.is_none()
    }

    /// Ends when this switch is thrown, from now on.
    pub(super) fn obey(&mut self, cancel: &Cancel) {
        self.wire.get_mut().socket().cancel = cancel.clone();
    }

    /// What is read must have come by then; the next request begins anew.
    pub(super) fn until(&mut self, end: Instant) {
        self.wire.get_mut().socket().deadline = Some(end);
    }

    /// Whether the server still waits for a request.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.wire.buffer().is_empty() && self.wire.get_mut().socket().is_quiet()
    }

    /// Sends a request and reads the head of the answer.
    pub(super) fn exchange(
        &mut self,
        request: &mut Request<'_, '_>,
        agent: &str,
    ) -> io::Result<Head> {
        let sent = self.send(request, agent);
        if let Err(error) = &sent
            && error
                .get_ref()
                .is_some_and(|inner| inner.is::<SourceFailed>())
        {
            return Err(sent.err().unwrap_or_else(|| io::ErrorKind::Other.into()));
        }
        // A server that refuses a long body may answer before it has taken all of it.
        let patience = match request.payload {
            Payload::None if matches!(request.verb, "GET" | "HEAD") => self.limits.answer,
            _ => self.limits.answer_to_writing,
        };
        let deadline = Instant::now() + patience;
        self.wire.get_mut().socket().deadline = Some(deadline);
        let head = Head::read(&mut self.wire);
        self.wire.get_mut().socket().deadline = None;
        match (sent, head) {
            (Ok(()), head) => head,
            (Err(_), Ok(mut head)) => {
                head.keep_alive = false;
                Ok(head)
            }
            (Err(error), Err(_)) => Err(error),
        }
    }

    fn send(&mut self, request: &mut Request<'_, '_>, agent: &str) -> io::Result<()> {
        let mut head = head::write(request, agent, self.proxy.as_deref())?;
        let wire = self.wire.get_mut();
        match &mut request.payload {
            Payload::None => wire.write_all(&head)?,
            Payload::Bytes(bytes) => {
                head.extend_from_slice(bytes);
                wire.write_all(&head)?;
            }
            Payload::Stream { length, source } => {
                wire.write_all(&head)?;
                stream(wire, *source, *length)?;
            }
        }
        wire.flush()
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wire.read(buffer)
    }
}

impl BufRead for Connection {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.wire.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.wire.consume(count);
    }
}

/// From the connection to a proxy to one to a server, where the proxy makes that.
fn pass(
    socket: Socket,
    url: &Url,
    proxy: &Proxy,
    way: &Way<'_>,
    limits: &Limits,
) -> io::Result<Wire> {
    let mut wire = Wire::Plain(socket);
    if let Some(config) = &way.proxy_tls {
        wire = handshake(&proxy.url, Arc::clone(config), wire, limits).map_err(refused)?;
    }
    wire.socket().deadline = Some(Instant::now() + limits.connect);
    if let Some(login) = proxy.socks() {
        socks::ask(&mut wire, url, login).map_err(|error| {
            let (through, to) = (proxy.url.authority(), url.authority());
            let text = format!("socks connect tcp {through}->{to}: {error}");
            io::Error::new(error.kind(), text)
        })?;
    } else if url.secure {
        tunnel(&mut wire, url, proxy, way.agent).map_err(refused)?;
    }
    let socket = wire.socket();
    socket.deadline = None;
    socket.forget_seen();
    Ok(wire)
}

/// Asks a proxy for a way to a server.
fn tunnel(wire: &mut Wire, url: &Url, proxy: &Proxy, agent: &str) -> io::Result<()> {
    wire.write_all(&head::write_connect(url, agent, proxy))?;
    wire.flush()?;
    // Byte by byte: what follows the head is the server's.
    let answer = Head::read(&mut BufReader::with_capacity(1, wire))?;
    match answer.status / 100 {
        2 => Ok(()),
        _ => Err(io::Error::other(refusal::reason(answer.status))),
    }
}

/// A failure on the way to a server, in Go's words.
fn refused(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("proxyconnect tcp: {error}"))
}

/// Sends exactly `length` bytes.
fn stream(wire: &mut Wire, source: &mut dyn Read, length: u64) -> io::Result<()> {
    let failed = |error| io::Error::other(SourceFailed(error));
    let mut piece = vec![0; PIECE.min(usize::try_from(length).unwrap_or(PIECE))];
    let mut left = length;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(PIECE).min(piece.len());
        let count = match source.read(&mut piece[..want]) {
            Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        wire.write_all(&piece[..count])?;
        left -= count as u64;
    }
    Ok(())
}

fn handshake(
    url: &Url,
    config: Arc<ClientConfig>,
    mut wire: Wire,
    limits: &Limits,
) -> io::Result<Wire> {
    let name = ServerName::try_from(url.host.clone())
        .map_err(|error| io::Error::other(error.to_string()))?;
    let mut session = ClientConnection::new(config, name).map_err(io::Error::other)?;
    wire.socket().deadline = Some(Instant::now() + limits.connect);
    while session.is_handshaking() {
        if let Err(error) = session.complete_io(&mut wire) {
            return Err(match wire.socket().has_seen_http() {
                true => io::Error::new(
                    io::ErrorKind::InvalidData,
                    "http: server gave HTTP response to HTTPS client",
                ),
                false if error.kind() == io::ErrorKind::UnexpectedEof => {
                    io::Error::new(error.kind(), "EOF")
                }
                false => explained(error, &url.host),
            });
        }
    }
    wire.socket().deadline = None;
    Ok(Wire::Tls(Box::new(StreamOwned::new(session, wire))))
}
