//! The head of a request, written, and of an answer, read.

use std::io::{self, BufRead};

use super::{Payload, Request};
use crate::proxy::Proxy;
use crate::url::Url;

/// The longest head of an answer, and the most lines in it.
const LIMIT: usize = 64 << 10;
const LINES: usize = 100;

/// Status and headers of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Whether the connection may be used again, as far as the head tells.
    pub(crate) keep_alive: bool,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// All headers of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(named)
            .map(|(_, value)| value.as_str())
    }

    /// The length of the body that the head announces.
    pub(crate) fn length(&self) -> io::Result<Option<u64>> {
        let mut lengths = self.all("content-length");
        let Some(first) = lengths.next() else {
            return Ok(None);
        };
        match first.parse() {
            Ok(length) if lengths.all(|other| other == first) => Ok(Some(length)),
            _ => Err(wrong("bad Content-Length")),
        }
    }

    /// Reads a head; those of the class 1xx are passed over.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        loop {
            let head = Self::read_one(reader)?;
            if head.status >= 200 {
                return Ok(head);
            }
        }
    }

    fn read_one(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut bytes = Vec::new();
        loop {
            let before = bytes.len();
            let found = reader.fill_buf()?;
            if found.is_empty() {
                return Err(match before {
                    0 => io::Error::new(io::ErrorKind::UnexpectedEof, "EOF"),
                    _ => io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF"),
                });
            }
            bytes.extend_from_slice(found);
            let taken = match end(&bytes, before) {
                Some(end) => {
                    bytes.truncate(end);
                    end - before
                }
                None => found.len(),
            };
            reader.consume(taken);
            if bytes.ends_with(b"\n\r\n") || bytes.ends_with(b"\n\n") {
                return Self::parse(&bytes);
            }
            if bytes.len() > LIMIT {
                return Err(wrong("the head is too long"));
            }
        }
    }

    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let mut lines = [httparse::EMPTY_HEADER; LINES];
        let mut parsed = httparse::Response::new(&mut lines);
        match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            _ => return Err(wrong("malformed HTTP response")),
        }
        let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
        let headers: Vec<_> = parsed
            .headers
            .iter()
            .map(|line| (line.name.to_owned(), text(line.value)))
            .collect();
        let mut head = Self {
            status: parsed.code.unwrap_or_default(),
            keep_alive: false,
            headers,
        };
        let says = |word: &str| {
            let mut words = head.all("connection").flat_map(|value| value.split(','));
            words.any(|found| found.trim().eq_ignore_ascii_case(word))
        };
        head.keep_alive = match parsed.version {
            Some(1) => !says("close"),
            _ => says("keep-alive"),
        };
        Ok(head)
    }
}

/// Where the head in `bytes` ends, looked for from a little before `from`.
fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let from = from.saturating_sub(3);
    let mut at = from;
    while let Some(newline) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        at += newline + 1;
        match bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// The bytes of a request's head. Values have been checked by whoever made them:
/// a line break in one ends the request with an error.
/// A proxy is told the whole address.
pub(crate) fn write(
    request: &Request<'_, '_>,
    agent: &str,
    proxy: Option<&Proxy>,
) -> io::Result<Vec<u8>> {
    let (url, host) = (request.url, request.url.authority());
    let server = proxy.map_or(String::new(), |_| format!("http://{host}"));
    let mut text = format!(
        "{} {server}{} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n",
        request.verb, url.target,
    );
    if let Some(own) = proxy.and_then(Proxy::line) {
        text.push_str(&own);
    }
    let length = match &request.payload {
        Payload::None if matches!(request.verb, "GET" | "HEAD") => None,
        Payload::None => Some(0),
        Payload::Bytes(bytes) => Some(bytes.len() as u64),
        Payload::Stream { length, .. } => Some(*length),
    };
    if let Some(length) = length {
        text.push_str(&format!("Content-Length: {length}\r\n"));
    }
    for (name, value) in &request.headers {
        if value
            .bytes()
            .any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("invalid header field value for {name:?}"),
            ));
        }
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    Ok(text.into_bytes())
}

/// Asks a proxy for a way to a server.
pub(super) fn write_connect(url: &Url, agent: &str, proxy: &Proxy) -> Vec<u8> {
    let host = match url.host.contains(':') {
        true => format!("[{}]:{}", url.host, url.port),
        false => format!("{}:{}", url.host, url.port),
    };
    let own = proxy.line().unwrap_or_default();
    format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n{own}\r\n")
        .into_bytes()
}

pub(super) fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_in_any_pieces() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\na: c \r\n\r\nbody";
        for capacity in 1..text.len() {
            let mut reader = io::BufReader::with_capacity(capacity, &text[..]);
            let head = Head::read(&mut reader).unwrap();
            assert_eq!(head.all("A").collect::<Vec<_>>(), ["b", "c"]);
            assert!(head.keep_alive);
            let mut rest = String::new();
            io::Read::read_to_string(&mut reader, &mut rest).unwrap();
            assert_eq!(rest, "body");
        }
    }

    #[test]
    fn wrong_heads_are_errors() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(LINES + 1));
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(LIMIT));
        for text in ["", "HTTP/1.1 200", "SSH-2.0\r\n\r\n", &many, &long] {
            assert!(Head::read(&mut text.as_bytes()).is_err());
        }
        let twice = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
        assert!(Head::read(&mut twice.as_bytes()).unwrap().length().is_err());
    }

    #[test]
    fn no_value_ends_a_line() {
        let url = Url::parse("http://a:1/b").unwrap();
        let request = Request::new("GET", &url).header("Accept", "x");
        assert_eq!(
            write(&request, "g", None).unwrap(),
            b"GET /b HTTP/1.1\r\nHost: a:1\r\nUser-Agent: g\r\nAccept: x\r\n\r\n"
        );
        let request = Request::new("GET", &url).header("Accept", "x\r\nB: c");
        assert!(write(&request, "g", None).is_err());
    }
}
