//! Attaching in the ways that the stock client does not use: over a websocket,
//! without `Upgrade`, and with the input as a body.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::harness::Engine;

/// A running container called `cat`, with an open standard input.
fn with_cat(tty: &[&str]) -> Engine {
    let engine = Engine::with_busybox();
    let run = ["run", "-d", "-i", "--name", "cat", "--network", "none"];
    engine
        .docker(&[&run[..], tty, &["busybox", "cat"]].concat())
        .ok();
    engine
}

fn connect(engine: &Engine) -> UnixStream {
    let host = engine.host();
    let path = host.strip_prefix("unix://").expect("a unix socket");
    let stream = UnixStream::connect(path).expect("the daemon listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a limit");
    stream
}

/// Reads up to the end of the head.
fn head(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.extend(byte);
    }
    String::from_utf8(head).expect("text")
}

/// A frame of a client, with a mask of zeros.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn a_websocket_carries_both_directions() {
    let engine = with_cat(&[]);
    let mut stream = connect(&engine);
    let request = "GET /v1.51/containers/cat/attach/ws?stream=1&stdin=1&stdout=1&stderr=1 \
                   HTTP/1.1\r\nHost: d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request");
    let head = head(&mut stream);
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    assert!(
        head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{head}"
    );
    stream.write_all(&frame(1, b"text\n")).expect("a frame");
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"\x82\x05text\n");
    stream.write_all(&frame(2, b"binary\n")).expect("a frame");
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"\x82\x07binary\n");
    engine.docker(&["kill", "cat"]).ok();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an end");
    assert_eq!(rest, b"\x88\x02\x03\xe8");
    let refused = engine.curl(&["http://d/v1.51/containers/none/attach/ws"]);
    assert!(refused.stdout.contains("No such container: none") && refused.stdout.ends_with("404"));
}

#[test]
fn without_upgrade_the_connection_is_taken_over_too() {
    for (tty, sent, received) in [
        (&[][..], "ab\n", b"\x01\0\0\0\0\0\0\x03ab\n".as_slice()),
        (&["-t"], "ab\n", b"ab\r\nab\r\n"),
    ] {
        let engine = with_cat(tty);
        let mut stream = connect(&engine);
        let request = "POST /v1.51/containers/cat/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n\
                       Host: d\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a request");
        assert_eq!(
            head(&mut stream),
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
        );
        stream.write_all(sent.as_bytes()).expect("input");
        let mut answer = vec![0; received.len()];
        stream.read_exact(&mut answer).expect("output");
        assert_eq!(answer, received);
        engine.docker(&["kill", "cat"]).ok();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("an end");
        assert_eq!(rest, b"");
    }
}

#[test]
fn failures_are_plain_text() {
    let engine = with_cat(&[]);
    for (path, text) in [
        ("none/attach", "No such container: none\r\n\n404"),
        (
            "cat/attach?detachKeys=foo",
            "Invalid detach keys (foo) provided\r\n\n400",
        ),
    ] {
        let answer = engine.curl(&["-X", "POST", &format!("http://d/v1.51/containers/{path}")]);
        assert_eq!(answer.stdout, text);
    }
}
