//! A TCP connection whose waits are bounded and can be cancelled.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::cancel::{Cancel, TICK};
use crate::limits::Limits;
use crate::url::Url;

/// The connection, with a buffer below TLS, whose own reads are small.
pub(crate) struct Socket {
    stream: BufReader<TcpStream>,
    pub(super) cancel: Cancel,
    /// How long one read or write may take.
    pub(super) stall: Duration,
    /// When reads must have ended, as long as an answer is awaited.
    pub(super) deadline: Option<Instant>,
    /// The first bytes that came: a server without TLS is known by them.
    seen: [u8; 5],
    count: usize,
}

impl Socket {
    /// Connects to the first address of the host that lets us in.
    pub(crate) fn connect(
        url: &Url,
        buffer: usize,
        limits: &Limits,
        cancel: &Cancel,
    ) -> io::Result<Self> {
        let end = Instant::now() + limits.connect;
        let (addresses, mut last) = match (url.host.as_str(), url.port).to_socket_addrs() {
            Ok(found) => (found.collect::<Vec<_>>(), "no such host".to_owned()),
            Err(error) if error.to_string().contains("emporary failure") => (
                Vec::new(),
                "Temporary failure in name resolution".to_owned(),
            ),
            Err(_) => (Vec::new(), "no such host".to_owned()),
        };
        last = format!("dial tcp: lookup {}: {last}", url.host);
        let mut others = addresses.len();
        for address in addresses {
            // One that nobody answers at leaves time for the others.
            let left = end.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(others).unwrap_or(1).max(1);
            others -= 1;
            match dial(&address, share, cancel) {
                Ok(stream) => return Self::new(stream, buffer, limits, cancel),
                Err(error) if cancel.is_cancelled() => return Err(error),
                Err(error) => last = format!("dial tcp {address}: {}", dial_text(&error)),
            }
        }
        Err(io::Error::new(io::ErrorKind::NotConnected, last))
    }

    fn new(stream: TcpStream, buffer: usize, limits: &Limits, cancel: &Cancel) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TICK.min(limits.stall)))?;
        stream.set_write_timeout(Some(TICK.min(limits.stall)))?;
        Ok(Self {
            stream: BufReader::with_capacity(buffer, stream),
            cancel: cancel.clone(),
            stall: limits.stall,
            deadline: None,
            seen: [0; 5],
            count: 0,
        })
    }

    /// Whether an idle connection is still good: nothing has come, not even its end.
    pub(super) fn is_quiet(&self) -> bool {
        let stream = self.stream.get_ref();
        if !self.stream.buffer().is_empty() || stream.set_nonblocking(true).is_err() {
            return false;
        }
        let nothing = stream.peek(&mut [0]);
        stream.set_nonblocking(false).is_ok()
            && nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the server has begun like one that speaks HTTP.
    pub(super) fn has_seen_http(&self) -> bool {
        &self.seen == b"HTTP/"
    }

    /// From now on somebody else answers: the proxy has made the way.
    pub(super) fn forget_seen(&mut self) {
        self.count = 0;
        self.seen = [0; 5];
    }

    /// Calls again what has not been ready, until it has taken too long.
    fn patiently(
        &mut self,
        mut call: impl FnMut(&mut BufReader<TcpStream>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut end = None;
        loop {
            match call(&mut self.stream) {
                Err(error) if is_wait(&error) => {}
                Err(error) => return Err(plain(error)),
                // A head that comes byte by byte waits for nothing, and for ever.
                Ok(_) if self.deadline.is_some_and(|end| end <= Instant::now()) => {
                    return Err(late());
                }
                Ok(count) => return Ok(count),
            }
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("context canceled"));
            }
            // The clock is read only by those who wait. A first tick has passed already.
            let now = Instant::now();
            let stalls = *end.get_or_insert(now + self.stall.saturating_sub(TICK));
            if self
                .deadline
                .map_or(stalls, |deadline| deadline.min(stalls))
                <= now
            {
                return Err(late());
            }
        }
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "i/o timeout")
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.patiently(|stream| stream.read(buffer))?;
        if self.count < self.seen.len() {
            let take = count.min(self.seen.len() - self.count);
            self.seen[self.count..self.count + take].copy_from_slice(&buffer[..take]);
            self.count += take;
        }
        Ok(count)
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.get_mut().write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Connects in pieces of time, so that it can be cancelled between two.
fn dial(address: &SocketAddr, patience: Duration, cancel: &Cancel) -> io::Result<TcpStream> {
    // A connection attempt that is given up sends its first packet anew: the pieces grow.
    let end = Instant::now() + patience;
    let mut piece = Duration::from_secs(2);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || cancel.is_cancelled() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(address, left.min(piece)) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => piece *= 2,
            other => return other,
        }
    }
}

fn dial_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => format!("connect: {}", text(error)),
    }
}

fn is_wait(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// An error of the system in the words that Docker's users know.
fn text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

fn plain(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), text(&error))
}
