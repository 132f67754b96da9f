//! Attached clients.

use std::net::Shutdown;
use std::time::Duration;

use gantry_shim::client::Error;
use gantry_shim::protocol::{AttachRequest, Event, Refusal};
use serde_json::json;

use super::environment::{
    Environment, attach_all, log_text, possible, read_to_end, read_until, type_in,
};

#[test]
fn output_is_complete_from_the_first_byte() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let (connection, mut socket) = env.start_attached(env.request("echo one; echo two >&2"));
    let frames = read_to_end(&mut socket);
    let text = String::from_utf8_lossy(&frames);
    assert!(text.contains("\x01\0\0\0\0\0\0\x04one\n"), "{text:?}");
    assert!(text.contains("\x02\0\0\0\0\0\0\x04two\n"), "{text:?}");
    env.exit();
    connection.delete().unwrap();
    env.assert_clean();
}

/// Who sees its stream end and asks for the container shall find it ended.
#[test]
fn streams_end_after_the_end_is_settled() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let (connection, mut socket) = env.start_attached(env.request("echo out"));
    read_until(&mut socket, "out\n");
    env.exit();
    let farewell = connection.say_farewell().unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let read = std::io::Read::read(&mut socket, &mut [0]);
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(farewell);
    assert!(read_to_end(&mut socket).is_empty());
    env.assert_clean();
}

#[test]
fn stdin_ends_when_the_client_half_closes() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let mut request = env.request("cat; echo end");
    request.open_stdin = true;
    request.stdin_once = true;
    let (connection, mut socket) = env.start_attached(request);
    type_in(&mut socket, "hello ");
    // More than a pipe holds.
    type_in(&mut socket, &"x".repeat(200_000));
    socket.shutdown(Shutdown::Write).unwrap();
    let frames = read_to_end(&mut socket);
    let text = String::from_utf8_lossy(&frames);
    assert!(text.contains("hello ") && text.contains("end\n"));
    assert_eq!(frames.iter().filter(|b| **b == b'x').count(), 200_000);
    assert_eq!(env.exit().exit_code, 0);
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn stdin_stays_open_for_the_next_client() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let mut request = env.request("read a; read b; echo $a-$b");
    request.open_stdin = true;
    let log = request.log.clone();
    let (connection, mut first) = env.start_attached(request);
    type_in(&mut first, "one\n");
    first.shutdown(Shutdown::Write).unwrap();
    assert!(
        read_to_end(&mut first).is_empty(),
        "the attachment ends with its input"
    );
    let mut second = connection.attach(attach_all()).unwrap();
    type_in(&mut second, "two\n");
    assert!(String::from_utf8_lossy(&read_to_end(&mut second)).contains("one-two"));
    env.exit();
    assert_eq!(log_text(&log), "one-two\n");
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn terminals_have_sizes_and_detach_keys() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let mut request = env.request_with(&["/bin/sh"], |spec| {
        spec["process"]["terminal"] = json!(true);
        spec["process"]["consoleSize"] = json!({ "height": 33, "width": 77 });
    });
    request.open_stdin = true;
    request.stdin_once = true;
    let (connection, mut socket) = env.start_attached(request);
    type_in(&mut socket, "stty size\n");
    read_until(&mut socket, "33 77");
    connection.resize(44, 99).unwrap();
    type_in(&mut socket, "stty size; tty\n");
    let text = read_until(&mut socket, "/dev/pts/0");
    assert!(text.contains("44 99"), "{text:?}");
    type_in(&mut socket, "\x10\x11");
    read_to_end(&mut socket);
    let (_, event) = env.events.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(event, Event::Detached { attach: 1 });
    // Two at once see the same.
    let mut a = connection.attach(attach_all()).unwrap();
    let mut b = connection
        .attach(AttachRequest {
            stdin: false,
            ..attach_all()
        })
        .unwrap();
    type_in(&mut a, "echo he''llo; exit 4\n");
    assert!(String::from_utf8_lossy(&read_to_end(&mut a)).contains("hello"));
    assert!(String::from_utf8_lossy(&read_to_end(&mut b)).contains("hello"));
    assert_eq!(env.exit().exit_code, 4);
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn without_a_terminal_there_is_no_size() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let connection = env.start(env.request("sleep 100"));
    let refused = connection.resize(1, 1);
    assert!(matches!(refused, Err(Error::Refused(Refusal::NoTerminal))));
    connection.signal(libc::SIGKILL, false).unwrap();
    env.exit();
    connection.delete().unwrap();
    env.assert_clean();
}

/// It is slower by far than the container, and stops, and the container does
/// not notice.
#[test]
fn the_client_that_starts_gets_everything_and_holds_nothing() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let request = env.request("dd if=/dev/zero bs=65536 count=320 2>/dev/null");
    let (connection, mut socket) = env.start_attached(request);
    // It ends while nobody has read a byte.
    assert_eq!(env.exit().exit_code, 0);
    let frames = read_to_end(&mut socket);
    let mut rest = frames.as_slice();
    let mut total = 0;
    while let Some((header, tail)) = rest.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        total += length;
        rest = &tail[length..];
    }
    assert_eq!(total, 320 * 65536);
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn a_client_that_came_later_and_sleeps_is_cut_off() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let mut request = env.request("read go; yes | head -c 90000000; echo done >&2");
    request.open_stdin = true;
    request.log.format = gantry_logs::Format::None;
    let connection = env.start(request);
    let mut typist = connection
        .attach(AttachRequest {
            stdout: false,
            ..attach_all()
        })
        .unwrap();
    let mut sleeper = connection
        .attach(AttachRequest {
            attach: 9,
            stdin: false,
            ..attach_all()
        })
        .unwrap();
    type_in(&mut typist, "go\n");
    let (_, event) = env.events.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(event, Event::Overrun { attach: 9 });
    read_until(&mut typist, "done");
    assert_eq!(env.exit().exit_code, 0);
    let frames = read_to_end(&mut sleeper);
    assert!(frames.ends_with(b"detached\n"));
    connection.delete().unwrap();
    drop((typist, sleeper));
    env.assert_clean();
}
