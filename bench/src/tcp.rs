//! A blocking HTTP/1.1 client over TCP that keeps its connection and throws bodies
//! away: just enough to time a registry and not itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// How much of a body is read at once.
const PIECE: usize = 256 << 10;

/// Docker's registry gives a manifest only to those who name its type.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json";

/// A request.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    /// `GET` and the like.
    pub method: &'r str,
    /// With its query.
    pub path: &'r str,
    /// The body's media type.
    pub kind: &'r str,
    /// The body.
    pub body: &'r [u8],
}

impl<'r> Request<'r> {
    /// Asks for `path`.
    pub fn get(path: &'r str) -> Self {
        Self {
            method: "GET",
            path,
            kind: "application/octet-stream",
            body: b"",
        }
    }
}

/// What is of interest of an answer.
pub struct Answer {
    /// The header `Location`.
    pub location: Option<String>,
}

/// One connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
    piece: Vec<u8>,
}

impl Connection {
    /// Connects to `host:port`.
    pub fn open(address: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            stream: BufReader::new(stream),
            piece: vec![0; PIECE],
        })
    }

    /// Sends a request and reads the answer to its end.
    pub fn send(&mut self, request: &Request<'_>, expected: u16) -> Result<Answer, String> {
        let at = |error: std::io::Error| format!("{} {}: {error}", request.method, request.path);
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: registry\r\nAccept: {ACCEPT}\r\nContent-Type: {}\r\n\
             Content-Length: {}\r\n\r\n",
            request.method,
            request.path,
            request.kind,
            request.body.len()
        );
        let socket = self.stream.get_mut();
        socket.write_all(head.as_bytes()).map_err(at)?;
        socket.write_all(request.body).map_err(at)?;
        let (mut status, mut length, mut location) = (0, 0, None);
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line).map_err(at)? == 0 {
                return Err(format!("{} {}: hung up", request.method, request.path));
            }
            if status == 0 {
                let word = line.split(' ').nth(1).unwrap_or("");
                status = word
                    .parse()
                    .map_err(|_| format!("not an answer: {line:?}"))?;
                continue;
            }
            match line.trim_end().split_once(": ") {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().map_err(|_| "no length".to_owned())?;
                }
                Some((name, value)) if name.eq_ignore_ascii_case("location") => {
                    location = Some(value.to_owned());
                }
                Some(_) => {}
            }
        }
        while length > 0 {
            let wanted = length.min(self.piece.len());
            let count = self.stream.read(&mut self.piece[..wanted]).map_err(at)?;
            if count == 0 {
                return Err(format!("{} {}: cut off", request.method, request.path));
            }
            length -= count;
        }
        match status == expected {
            true => Ok(Answer { location }),
            false => Err(format!(
                "{} {}: status {status}",
                request.method, request.path
            )),
        }
    }
}
