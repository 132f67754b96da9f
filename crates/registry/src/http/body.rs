//! The body of an answer: of a known length, in chunks, or until the connection
//! ends. One that ends too early is an error.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::time::Instant;

use super::connection::Connection;
use super::head::{Head, wrong};
use super::{Pool, Response};

/// The longest line between two chunks.
const LINE: u64 = 4 << 10;

/// How the end is known.
#[derive(Clone, Copy)]
enum Rest {
    Known(u64),
    /// So much is left of a chunk.
    Chunk(u64),
    FirstChunk,
    UntilEnd,
    Nothing,
}

/// Reads a body. At its end the connection goes back to the pool.
pub(crate) struct Body {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    rest: Rest,
    keep_alive: bool,
}

impl Body {
    /// The answer whose head has just been read.
    pub(super) fn respond(
        pool: &Arc<Pool>,
        connection: Connection,
        head: Head,
        verb: &str,
    ) -> io::Result<Response> {
        let rest = if verb == "HEAD" || matches!(head.status, 204 | 304) {
            Rest::Nothing
        } else if head.get("transfer-encoding").is_some() {
            let mut encodings = head.all("transfer-encoding");
            if !encodings.all(|encoding| encoding.eq_ignore_ascii_case("chunked")) {
                return Err(wrong("unsupported transfer encoding"));
            }
            Rest::FirstChunk
        } else {
            match head.length()? {
                Some(0) => Rest::Nothing,
                Some(length) => Rest::Known(length),
                None => Rest::UntilEnd,
            }
        };
        let mut body = Self {
            connection: Some(connection),
            pool: Arc::clone(pool),
            rest,
            keep_alive: head.keep_alive,
        };
        if matches!(rest, Rest::Nothing) {
            body.end();
        }
        Ok(Response { head, body })
    }

    /// Reads all of it, unless it is longer than `limit`: then what fits.
    pub(crate) fn read_up_to(&mut self, limit: u64) -> io::Result<(Vec<u8>, bool)> {
        // What comes byte by byte never stalls, and has to end all the same.
        let end = Instant::now() + self.pool.limits().answer;
        if let Some(connection) = &mut self.connection {
            connection.until(end);
        }
        let mut bytes = Vec::new();
        self.take(limit + 1).read_to_end(&mut bytes)?;
        let fits = bytes.len() as u64 <= limit;
        Ok((bytes, fits))
    }

    fn end(&mut self) {
        self.rest = Rest::Nothing;
        if let Some(connection) = self.connection.take()
            && self.keep_alive
        {
            self.pool.give_back(connection);
        }
    }

    /// The length of the next chunk; 0 behind the last one.
    fn next_chunk(connection: &mut Connection, first: bool) -> io::Result<u64> {
        if !first && !line(connection)?.is_empty() {
            return Err(wrong("malformed chunked encoding"));
        }
        let text = line(connection)?;
        let digits = text.split(';').next().unwrap_or_default().trim();
        let fits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let length = u64::from_str_radix(digits, 16).ok().filter(|_| fits);
        let length = length.ok_or_else(|| wrong("malformed chunked encoding"))?;
        let mut trailers = 0;
        while length == 0 && !line(connection)?.is_empty() {
            trailers += 1;
            if trailers > 100 {
                return Err(wrong("malformed chunked encoding"));
            }
        }
        Ok(length)
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(connection) = &mut self.connection else {
            return Ok(0);
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Rest::Chunk(0) | Rest::FirstChunk = self.rest {
            let first = matches!(self.rest, Rest::FirstChunk);
            match Self::next_chunk(connection, first)? {
                0 => {
                    self.end();
                    return Ok(0);
                }
                length => self.rest = Rest::Chunk(length),
            }
        }
        let most = match self.rest {
            Rest::Known(left) | Rest::Chunk(left) => usize::try_from(left).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let most = most.min(buffer.len());
        let count = connection.read(&mut buffer[..most])?;
        match &mut self.rest {
            Rest::Known(left) | Rest::Chunk(left) => {
                if count == 0 {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "unexpected EOF",
                    ));
                }
                *left -= count as u64;
            }
            _ if count == 0 => {
                self.keep_alive = false;
                self.end();
            }
            _ => {}
        }
        if let Rest::Known(0) = self.rest {
            self.end();
        }
        Ok(count)
    }
}

/// A short line, without its end.
fn line(connection: &mut Connection) -> io::Result<String> {
    let mut bytes = Vec::new();
    connection.take(LINE).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "unexpected EOF",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("malformed chunked encoding"))?;
    Ok(text.trim_end_matches('\r').to_owned())
}
