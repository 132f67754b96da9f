//! A client that opens more connections than it may: in a process of its own,
//! since that is what is counted.

#![allow(clippy::unwrap_used, reason = "a test")]

mod running;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use running::Running;
use rustix::process::{Resource, getrlimit, setrlimit};

fn ping(server: &Running) -> String {
    let mut stream = UnixStream::connect(server.socket()).unwrap();
    // It may be turned away before it has asked.
    let _ = stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn a_flood_of_connections_is_turned_away_and_ends() {
    // Both ends are in this process.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum.map(|most| most.min(8192)).or(Some(8192));
    setrlimit(Resource::Nofile, limit).unwrap();
    let server = Running::start();
    let mut open = Vec::new();
    let refused = loop {
        let mut stream = UnixStream::connect(server.socket()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        // One that is refused is told so before it says anything.
        if open.len() >= 2000 {
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            break answer;
        }
        stream.write_all(b"GET /_ping HT").unwrap();
        open.push(stream);
    };
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("too many connections"), "{refused}");
    // Those that were let in are still heard.
    let mut last = open.pop().unwrap();
    last.write_all(b"TP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(open);
    drop(last);
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !ping(&server).starts_with("HTTP/1.1 200 ") {
        assert!(std::time::Instant::now() < deadline, "still refused");
        std::thread::sleep(Duration::from_millis(20));
    }
}
