//! One question to a plug-in, and its answer: HTTP/1.1 over a new connection, by TLS
//! where that is said. A
//! plug-in is hostile: all is bounded in time and size.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::address::Address;

/// Bytes of an answer's head.
const LONGEST_HEAD: usize = 64 << 10;
/// Bytes of an answer's body: a list of many volumes.
const LONGEST_BODY: usize = 4 << 20;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Asks, and waits for the answer at most that long.
///
/// # Errors
/// Why there is none.
pub(super) fn ask(
    address: &Address,
    path: &str,
    body: &str,
    patience: Duration,
) -> Result<Answer, String> {
    let deadline = Instant::now() + patience;
    let mut line = connect(address, patience, deadline)?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: plugin.moby.localhost\r\nUser-Agent: gantry\r\n\
         Accept: application/vnd.docker.plugins.v1.2+json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    line.write_all(request.as_bytes()).map_err(words)?;
    read(&mut line).map_err(words)
}

/// A connection's two ways.
trait Line: Read + Write {}

impl<L: Read + Write> Line for L {}

/// One whose waits can be limited.
trait Limited: Read + Write {
    fn limit(&self, patience: Duration) -> io::Result<()>;
}

impl Limited for UnixStream {
    fn limit(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}

impl Limited for TcpStream {
    fn limit(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}

fn connect(
    address: &Address,
    patience: Duration,
    deadline: Instant,
) -> Result<Box<dyn Line>, String> {
    let tcp = |address: &SocketAddr| {
        let failed = |error| format!("dial tcp {address}: connect: {}", strerror(&error));
        let line = TcpStream::connect_timeout(address, patience).map_err(failed)?;
        Ok::<_, String>(Timed { line, deadline })
    };
    match address {
        Address::Unix(path) => {
            let failed = |error: io::Error| {
                let why = strerror(&error);
                format!("dial unix {}: connect: {why}", path.display())
            };
            let line = connect_unix(path, patience).map_err(failed)?;
            Ok(Box::new(Timed { line, deadline }))
        }
        Address::Tcp(address) => Ok(Box::new(tcp(address)?)),
        Address::Tls {
            address,
            name,
            files,
        } => {
            let config = files.config().map_err(|error| error.to_string())?;
            let name = ServerName::try_from(name.clone()).map_err(|error| error.to_string())?;
            let failed = |error: rustls::Error| format!("tls: {error}");
            let session = ClientConnection::new(config, name).map_err(failed)?;
            Ok(Box::new(StreamOwned::new(session, tcp(address)?)))
        }
    }
}

/// The kernel waits for one who does not accept as long as a write may take.
fn connect_unix(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket: OwnedFd = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

/// A connection that ends at a moment, however slowly the other side goes on.
struct Timed<L> {
    line: L,
    deadline: Instant,
}

impl<L: Limited> Timed<L> {
    fn limit(&self) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => self.line.limit(left),
        }
    }
}

impl<L: Limited> Read for Timed<L> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.limit()?;
        self.line.read(buffer)
    }
}

impl<L: Limited> Write for Timed<L> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.limit()?;
        self.line.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.line.flush()
    }
}

/// Reads an answer.
pub(super) fn read(line: &mut impl Read) -> io::Result<Answer> {
    let (mut bytes, mut seen) = (Vec::new(), 0);
    let end = loop {
        if let Some(at) = position(&bytes, b"\r\n\r\n", seen) {
            break at;
        }
        seen = bytes.len();
        if bytes.len() > LONGEST_HEAD {
            return Err(wrong("its head is too long"));
        }
        more(line, &mut bytes, 4096)?;
    };
    let body = bytes.split_off(end + 4);
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong("its head is no text"))?;
    let (first, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut words = first.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    let status = words.next().and_then(|word| word.parse().ok());
    let Some(status) = status.filter(|_| is_http) else {
        return Err(wrong("it is no HTTP"));
    };
    let field = |name: &str| {
        let mut fields = fields.split("\r\n").filter_map(|line| line.split_once(':'));
        let found = fields.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    };
    let body = match (field("Transfer-Encoding"), field("Content-Length")) {
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => chunked(line, body)?,
        (Some(_), _) => return Err(wrong("its transfer encoding is not known")),
        (None, Some(length)) => {
            let length = length
                .parse()
                .map_err(|_| wrong("its length is no number"))?;
            exactly(line, body, length)?
        }
        (None, None) => to_the_end(line, body)?,
    };
    Ok(Answer { status, body })
}

/// Where `what` is, if none of it is in the first `seen` bytes alone.
fn position(bytes: &[u8], what: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(what.len() - 1);
    let mut windows = bytes[from..].windows(what.len());
    windows
        .position(|window| window == what)
        .map(|at| from + at)
}

fn more(line: &mut impl Read, bytes: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let mut piece = [0; 4096];
    loop {
        match line.read(&mut piece[..most.min(4096)]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes.extend_from_slice(&piece[..count]);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn exactly(line: &mut impl Read, mut body: Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    if length > LONGEST_BODY {
        return Err(wrong("it is too long"));
    }
    while body.len() < length {
        let left = length - body.len();
        more(line, &mut body, left)?;
    }
    body.truncate(length);
    Ok(body)
}

fn to_the_end(line: &mut impl Read, mut body: Vec<u8>) -> io::Result<Vec<u8>> {
    loop {
        match more(line, &mut body, 4096) {
            Ok(()) if body.len() > LONGEST_BODY => return Err(wrong("it is too long")),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(body),
            Err(error) => return Err(error),
        }
    }
}

fn chunked(line: &mut impl Read, mut rest: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut seen = 0;
        let end = loop {
            if let Some(at) = position(&rest, b"\r\n", seen) {
                break at;
            }
            seen = rest.len();
            if rest.len() > 1024 {
                return Err(wrong("a chunk has no length"));
            }
            more(line, &mut rest, 4096)?;
        };
        let after = rest.split_off(end + 2);
        let text = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        let digits = text.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16).ok();
        let length = length.filter(|length| *length <= LONGEST_BODY - body.len());
        let length = length.ok_or_else(|| wrong("a chunk has a wrong length"))?;
        rest = after;
        if length == 0 {
            return Ok(body);
        }
        while rest.len() < length + 2 {
            let left = length + 2 - rest.len();
            more(line, &mut rest, left)?;
        }
        body.extend_from_slice(&rest[..length]);
        rest.drain(..length + 2);
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::other(format!("malformed answer: {why}"))
}

/// Why there is no answer, as Docker says it where it does.
fn words(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            "context deadline exceeded".to_owned()
        }
        io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        _ => strerror(&error),
    }
}

fn strerror(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        io::ErrorKind::BrokenPipe => "broken pipe".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "i/o timeout".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> io::Result<Answer> {
        // Byte by byte, as it may come.
        struct Slow<'t>(&'t [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.len().min(buffer.len()).min(1);
                buffer[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        read(&mut Slow(text.as_bytes()))
    }

    #[test]
    fn answers_of_all_kinds_are_read() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more",
            "HTTP/1.0 200\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1;a=b\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        ] {
            let read = answer(text).unwrap();
            assert_eq!(
                (read.status, read.body.as_slice()),
                (200, &b"{}"[..]),
                "{text}"
            );
        }
    }

    /// A server with the certificates of the end-to-end tests, which answers once and
    /// wants to see a certificate.
    fn tls_server(folder: &Path) -> SocketAddr {
        let files = gantry_tls::ServerFiles {
            client_ca: Some(folder.join("authority.crt")),
            certificate: folder.join("server.pem"),
            key: folder.join("server.pem"),
        };
        let config = files.config().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (line, _) = listener.accept().unwrap();
            let session = rustls::ServerConnection::new(config).unwrap();
            let mut line = StreamOwned::new(session, line);
            if more(&mut line, &mut Vec::new(), 4096).is_ok() {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
                line.write_all(answer).unwrap();
            }
        });
        address
    }

    #[test]
    fn tls_is_spoken_with_whom_the_authority_knows() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/certificates");
        let ours = Some((folder.join("client.cert"), folder.join("client.key")));
        let asked = |authority: &str, ours, name: &str| {
            let address = Address::Tls {
                address: tls_server(&folder),
                name: name.to_owned(),
                files: gantry_tls::ClientFiles {
                    authority: folder.join(authority),
                    ours,
                },
            };
            ask(&address, "/x", "{}", Duration::from_secs(20))
        };
        // What the certificate says, wherever it is.
        let here = "10.99.0.1";
        let answer = asked("authority.crt", ours.clone(), here).unwrap();
        assert_eq!((answer.status, answer.body), (200, b"{}".to_vec()));
        asked("authority.crt", None, here).unwrap_err();
        asked("client.cert", ours.clone(), here).unwrap_err();
        asked("authority.crt", ours.clone(), "192.0.2.1").unwrap_err();
        let missing = asked("nosuch.crt", ours, here).unwrap_err();
        assert!(missing.contains("nosuch.crt"), "{missing}");
    }

    #[test]
    fn wrong_answers_are_refused() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(answer(text).is_err(), "{text}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(20_000));
        assert!(answer(&endless).is_err());
    }
}
