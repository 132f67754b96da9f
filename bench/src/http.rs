//! A blocking HTTP/1.1 client on a unix socket, just enough to time an engine
//! and not itself: one connection, no pooling, no threads.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// One connection to an engine.
pub struct Connection(BufReader<UnixStream>);

/// Status and body of an answer.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(socket: &Path) -> Result<Self, String> {
        let stream = UnixStream::connect(socket)
            .map_err(|error| format!("{}: {error}", socket.display()))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request with a JSON body and reads the answer to its end.
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> Result<Answer, String> {
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/json\r\n"
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: engine\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0
            .get_mut()
            .write_all(request.as_bytes())
            .map_err(|error| error.to_string())?;
        let status = self
            .line()?
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .ok_or("no HTTP status")?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':') {
                None => break,
                Some(("content-length", value)) => length = value.trim().parse().ok(),
                Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
                Some(_) => {}
            }
        }
        let mut body = Vec::new();
        if chunked {
            loop {
                let size =
                    usize::from_str_radix(&self.line()?, 16).map_err(|error| error.to_string())?;
                self.read(size, &mut body)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.read(length.unwrap_or(0), &mut body)?;
        }
        Ok(Answer { status, body })
    }

    /// Sends a request as a client that wants to take over the connection, and
    /// reads until the engine closes it.
    pub fn send_until_closed(mut self, method: &str, path: &str, body: &str) -> Result<(), String> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let stream = self.0.get_mut();
        let written = stream.write_all(request.as_bytes());
        written.map_err(|error| error.to_string())?;
        let status = self.line()?;
        if !status.contains(" 101 ") && !status.contains(" 200 ") {
            return Err(status);
        }
        let mut rest = Vec::new();
        let read = self.0.read_to_end(&mut rest);
        read.map(drop).map_err(|error| error.to_string())
    }

    /// `GET`s something large, reads it to the end and tells how long it was.
    pub fn drain(mut self, path: &str) -> Result<u64, String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n");
        let failed = |error: std::io::Error| error.to_string();
        let stream = self.0.get_mut();
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let status = self.line()?;
        if !status.contains(" 200 ") {
            return Err(status);
        }
        let mut buffer = vec![0; 256 << 10];
        let mut total = self.0.buffer().len() as u64;
        loop {
            match self.0.get_mut().read(&mut buffer).map_err(failed)? {
                0 => return Ok(total),
                count => total += count as u64,
            }
        }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.0
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        Ok(line.trim_end().to_owned())
    }

    fn read(&mut self, size: usize, body: &mut Vec<u8>) -> Result<(), String> {
        let start = body.len();
        body.resize(start + size, 0);
        self.0
            .read_exact(&mut body[start..])
            .map_err(|error| error.to_string())
    }
}
