//! The Engine API over one kept-alive connection: for the tests that need
//! thousands of calls, or a request that no client would send.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use super::engine::Engine;

/// A connection to a daemon.
pub struct Api {
    stream: BufReader<UnixStream>,
}

/// A status and a body.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, in lower case, a line each.
    pub head: String,
    /// The whole body.
    pub body: String,
}

impl Response {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails the test unless the status is `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Api {
    /// Connects to the daemon of `engine`.
    pub fn connect(engine: &Engine) -> Self {
        let host = engine.host();
        let path = host.trim_start_matches("unix://");
        let stream = UnixStream::connect(path).expect("the daemon listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a time limit");
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// `POST` with a JSON body, or none.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: Option<&Value>) -> Response {
        let body = body.map_or_else(String::new, Value::to_string);
        self.call("POST", path, body.as_bytes())
    }

    /// `GET`.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.call("GET", path, b"")
    }

    /// `DELETE`.
    #[track_caller]
    pub fn delete(&mut self, path: &str) -> Response {
        self.call("DELETE", path, b"")
    }

    /// Any request; the connection stays open.
    #[track_caller]
    pub fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Response {
        let kind = if body.is_empty() {
            String::new()
        } else {
            "Content-Type: application/json\r\n".to_owned()
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: e2e\r\n{kind}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).expect("the head is sent");
        stream.write_all(body).expect("the body is sent");
        self.response()
    }

    #[track_caller]
    fn response(&mut self) -> Response {
        let first = self.line();
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {first:?}"));
        let (mut length, mut chunked) = (None, false);
        let mut head = String::new();
        loop {
            let line = self.line().to_ascii_lowercase();
            head.push_str(&line);
            head.push('\n');
            match line.split_once(": ") {
                Some(("content-length", number)) => length = number.parse().ok(),
                Some(("transfer-encoding", coding)) => chunked = coding == "chunked",
                Some(_) => {}
                None => break,
            }
        }
        let mut body = Vec::new();
        if chunked {
            loop {
                let line = self.line();
                let size = u64::from_str_radix(&line, 16).expect("the size of a chunk");
                self.read(size, &mut body);
                self.line();
                if size == 0 {
                    break;
                }
            }
        } else {
            self.read(length.unwrap_or(0), &mut body);
        }
        Response {
            status,
            head,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    fn read(&mut self, length: u64, body: &mut Vec<u8>) {
        let stream = &mut self.stream;
        let read = stream.take(length).read_to_end(body).expect("a body");
        assert_eq!(read as u64, length, "the connection ended early");
    }
}
