//! Clients that begin something and never go on hold nobody up.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::gantry_only;
use crate::harness::Engine;
use crate::harness::traces::status;

/// How many of each kind.
const CLIENTS: usize = 150;

/// What they have said when they fall silent: half a head, half a JSON body, the
/// beginnings of an archive to be loaded and of one to be imported.
const BEGINNINGS: [&str; 4] = [
    "GET /v1.51/containers/json HTTP/1.1\r\nHo",
    "POST /v1.51/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
     Content-Length: 100000\r\n\r\n{\"Image\":",
    "POST /v1.51/images/load HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\n\
     Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    "POST /v1.51/images/create?fromSrc=- HTTP/1.1\r\nHost: x\r\n\
     Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
];

#[test]
fn silent_clients_hold_nobody_up() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let socket = engine.host().replace("unix://", "");
    engine.docker(&["run", "--rm", "busybox", "true"]).ok();
    let before = status(engine.pid(), "Threads");
    let mut silent = Vec::new();
    for _ in 0..CLIENTS {
        for beginning in BEGINNINGS {
            let mut stream = UnixStream::connect(&socket).expect("a connection");
            stream.write_all(beginning.as_bytes()).expect("a beginning");
            silent.push(stream);
        }
    }
    // All commands work meanwhile: reading, starting, uploading.
    engine.docker(&["ps", "-a"]).ok();
    engine
        .docker(&["run", "--rm", "busybox", "echo", "alive"])
        .ok()
        .prints("alive\n");
    let tar = std::fs::read(crate::harness::busybox_tar()).expect("an archive");
    engine
        .docker_with(&["import", "-", "meanwhile:1"], &tar)
        .ok();
    drop(silent);
    let deadline = Instant::now() + Duration::from_secs(60);
    while status(engine.pid(), "Threads") > before + 16 {
        assert!(Instant::now() < deadline, "their threads stay");
        std::thread::sleep(Duration::from_millis(50));
    }
}
