//! The server while the daemon is still starting: what needs no engine is
//! answered, everything else is told to come back, and limits hold.

#![allow(clippy::unwrap_used, reason = "a test")]

mod running;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use running::Running;

impl Running {
    /// Sends a request and reads to the end of the connection.
    fn ask(&self, head: &str) -> String {
        ask(
            &self.socket(),
            &format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
    }
}

fn ask(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    // The server may hang up on a bad request before it has read all of it.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn ping_is_answered_with_all_headers() {
    let server = Running::start();
    for request in ["GET /_ping HTTP/1.1", "GET /v1.24/_ping HTTP/1.1"] {
        let answer = server.ask(request);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nOK"), "{answer}");
        for header in [
            "Api-Version: 1.51",
            "Docker-Experimental: false",
            "Ostype: linux",
            "Swarm: inactive",
            "Cache-Control: no-cache, no-store, must-revalidate",
            "Pragma: no-cache",
        ] {
            assert!(
                answer.contains(&format!("\r\n{header}\r\n")),
                "{header} in {answer}"
            );
        }
    }
    let head = server.ask("HEAD /_ping HTTP/1.1");
    assert!(
        head.contains("\r\nContent-Length: 0\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[test]
fn the_rest_has_to_wait() {
    let server = Running::start();
    for request in [
        "GET /version HTTP/1.1",
        "GET /containers/json HTTP/1.1",
        "POST /containers/x/start HTTP/1.1",
        "POST /images/load HTTP/1.1",
    ] {
        let answer = server.ask(request);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(
            answer.contains("{\"message\":\"the daemon is starting"),
            "{answer}"
        );
    }
}

#[test]
fn unknown_and_later_routes_say_so() {
    let server = Running::start();
    for (request, status, text) in [
        ("GET /nope HTTP/1.1", 404, "page not found"),
        ("DELETE /version HTTP/1.1", 404, "page not found"),
        (
            "POST /v1.51/plugins/pull HTTP/1.1",
            501,
            "POST /plugins/pull is not supported yet",
        ),
        (
            "POST /plugins/a/b/push HTTP/1.1",
            501,
            "POST /plugins/{name}/push is not",
        ),
        (
            "GET /swarm HTTP/1.1",
            503,
            "This node is not a swarm manager.",
        ),
        (
            "GET /v1.23/info HTTP/1.1",
            400,
            "client version 1.23 is too old.",
        ),
        (
            "GET /v1.52/info HTTP/1.1",
            400,
            "client version 1.52 is too new.",
        ),
        (
            "GET /containers/json?filters=%zz HTTP/1.1",
            400,
            "invalid URL escape",
        ),
    ] {
        let answer = server.ask(request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains(text), "{answer}");
        assert!(answer.contains("\r\nApi-Version: 1.51\r\n"), "{answer}");
    }
}

#[test]
fn bodies_are_checked_before_the_engine_sees_them() {
    let server = Running::start();
    let post = |kind: &str, body: &str| {
        let len = body.len();
        let head = format!(
            "POST /containers/create HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {len}"
        );
        let rest = format!("\r\nHost: x\r\nConnection: close\r\n\r\n{body}");
        ask(&server.socket(), &(head + &rest))
    };
    for (kind, body, text) in [
        (
            "text/plain",
            "{}",
            "unsupported Content-Type header (text/plain): must be",
        ),
        ("application/json", "{", "invalid JSON: "),
        ("application/json", "{} {}", "unexpected content after JSON"),
        ("application/json", "", "got EOF while reading request body"),
        (
            "application/json",
            "{\"HostConfig\":{}}",
            "config cannot be empty",
        ),
    ] {
        let answer = post(kind, body);
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains(text),
            "{answer}"
        );
    }
}

#[test]
fn endless_heads_are_cut_off() {
    let server = Running::start();
    let request = format!("GET /_ping HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let answer = ask(&server.socket(), &request);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
}
