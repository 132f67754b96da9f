//! Calls about which somebody else decides, at the other end of a socket.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::bundle::Bundle;

/// `_IOWR('!', 0, struct seccomp_notif)` and `_IOWR('!', 1, struct seccomp_notif_resp)`.
const RECEIVE: libc::c_ulong = 0xc050_2100;
const ANSWER: libc::c_ulong = 0xc018_2101;

/// Calls that make a directory fail, with an errno that nobody else gives.
fn filter(path: &str) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "listenerMetadata": "some words",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
    })
}

fn bundle(name: &str) -> (Bundle, UnixListener) {
    let mut bundle = Bundle::new(name);
    let path = bundle.dir.path().join("agent.sock");
    let socket = UnixListener::bind(&path).unwrap();
    bundle.set("/linux/seccomp", filter(path.to_str().unwrap()));
    (bundle, socket)
}

/// Takes one listener, and lets the next `count` calls fail.
fn decide(socket: &UnixListener, count: usize) -> Value {
    let (stream, _) = socket.accept().unwrap();
    let mut buffer = [0; 8192];
    let (length, mut fds) = gantry_sys::recv_with_fds(&stream, &mut buffer).unwrap();
    let state = serde_json::from_slice(&buffer[..length]).unwrap();
    assert_eq!(fds.len(), 1);
    let listener = fds.pop().unwrap();
    // One document for each connection, and then its end.
    assert_eq!(
        gantry_sys::recv_with_fds(&stream, &mut buffer).unwrap().0,
        0
    );
    (0..count).for_each(|_| refuse_one(&listener));
    state
}

#[allow(unsafe_code, reason = "the ioctls of a seccomp listener")]
fn refuse_one(listener: &OwnedFd) {
    let mut call = [0_u64; 10];
    // SAFETY: struct seccomp_notif has 80 bytes, and begins as zeroes.
    let got = unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, call.as_mut_ptr()) };
    assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
    // id, return value, then errno (negative) with flags above it.
    let errno = u64::from((-libc::EXDEV) as u32);
    let mut answer = [call[0], 0, errno];
    // SAFETY: struct seccomp_notif_resp has 24 bytes.
    let sent = unsafe { libc::ioctl(listener.as_raw_fd(), ANSWER, answer.as_mut_ptr()) };
    assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_listener_is_handed_over_with_the_state() {
    require!();
    for privileges in [true, false] {
        let (mut bundle, socket) = bundle("listener");
        bundle.set("/process/noNewPrivileges", json!(privileges));
        bundle.set("/process/user", json!({"uid": 1000, "gid": 100}));
        let agent = std::thread::spawn(move || decide(&socket, 1));
        let (_, _, err) = bundle.sh("mkdir /tmp/x");
        assert!(err.contains("Invalid cross-device link"), "{err}");
        let state = agent.join().unwrap();
        assert_eq!(state["fds"], json!(["seccompFd"]));
        assert_eq!(state["metadata"], "some words");
        assert_eq!(state["ociVersion"], "1.2.0");
        assert_eq!(state["state"]["id"], json!(bundle.id));
        assert_eq!(state["state"]["status"], "creating");
        assert_eq!(state["pid"], state["state"]["pid"]);
    }
}

#[test]
fn created_containers_and_further_processes_have_one_too() {
    require!();
    let (mut bundle, socket) = bundle("listened");
    bundle.write(&["sh", "-c", "mkdir /tmp/x 2> /tmp/said; exec sleep 60"]);
    let id = bundle.id.clone();
    let first = std::thread::spawn(move || (decide(&socket, 1), socket));
    assert!(bundle.quietly(&["create", &id]));
    assert!(bundle.quietly(&["start", &id]));
    let (_, socket) = first.join().unwrap();
    let said = bundle.rootfs().join("tmp/said");
    let told = || std::fs::read_to_string(&said).unwrap_or_default();
    crate::bundle::wait_for(|| told().contains("cross-device"));
    let second = std::thread::spawn(move || decide(&socket, 1));
    let output = bundle.call(&["exec", &id, "mkdir", "/tmp/y"]);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("Invalid cross-device link"), "{err}");
    assert_eq!(second.join().unwrap()["state"]["status"], "running");
}

#[test]
fn without_somebody_who_listens_nothing_starts() {
    require!();
    let mut bundle = Bundle::new("nobody");
    bundle.set("/linux/seccomp", filter("/nosuch/agent.sock"));
    let (code, out, err) = bundle.sh("echo ran");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("/nosuch/agent.sock"), "{err}");
    for (change, words) in [
        (
            json!({"listenerPath": "", "listenerMetadata": ""}),
            "needs a listenerPath",
        ),
        (
            json!({"listenerPath": null}),
            "listenerMetadata needs a listenerPath",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
            "default action",
        ),
        (
            json!({"syscalls": [{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]}),
            "write syscall",
        ),
    ] {
        let mut bundle = Bundle::new("badlistener");
        bundle.set("/linux/seccomp", filter("/nosuch/agent.sock"));
        for (key, value) in change.as_object().unwrap() {
            bundle.set(&format!("/linux/seccomp/{key}"), value.clone());
        }
        let (code, _, err) = bundle.sh("echo ran");
        assert!(code == 1 && err.contains(words), "{err}");
    }
    // Where nothing is left to somebody, nobody need be there.
    let mut bundle = Bundle::new("quiet");
    bundle.set("/linux/seccomp", filter("/nosuch/agent.sock"));
    bundle.set("/linux/seccomp/syscalls", json!([]));
    assert_eq!(bundle.run(&["true"]).0, 0);
}
