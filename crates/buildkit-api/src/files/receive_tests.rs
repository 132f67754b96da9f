//! The whole way of files: a client that is called over a connection sends what it has,
//! well-behaved or not.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gantry_grpc::packet::{Kind, Packet, Stat};
use http::{HeaderMap, HeaderValue, Response};
use tokio::io::DuplexStream;

use super::receive::{Wanted, receive};
use crate::message_stream::{Incoming, Outgoing};
use crate::progress::Progress;
use crate::register::Register;
use crate::session::{self, Introduction};
use crate::status::Status;

const METHOD: &str = "/moby.filesync.v1.FileSync/DiffCopy";

/// What a client does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// It sends contents that nobody asked for.
    Unasked,
    /// It goes in the middle.
    Goes,
    /// It tells of a failure.
    Fails,
}

/// A client with these files; it answers one call.
async fn client(io: DuplexStream, files: Vec<(&'static str, &'static [u8])>, fault: Fault) {
    let mut connection = h2::server::handshake(io).await.unwrap();
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    assert_eq!(request.uri().path(), METHOD);
    assert_eq!(request.headers()["dir-name"], "context");
    let driving = tokio::spawn(async move { while connection.accept().await.is_some() {} });
    let stream = respond.send_response(Response::new(()), false).unwrap();
    let (mut incoming, mut outgoing) = (Incoming::new(request.into_body()), Outgoing::new(stream));
    if fault == Fault::Unasked {
        outgoing.send(&Packet::data(0, b"x")).await.unwrap();
    }
    for (path, bytes) in &files {
        let stat = Stat {
            path: (*path).to_owned(),
            mode: 0o644,
            size: bytes.len() as u64,
            modified: 1_000,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            ..Stat::default()
        };
        outgoing.send(&Packet::told(&stat)).await.unwrap();
    }
    match fault {
        Fault::Goes => return driving.abort(),
        Fault::Fails => {
            let status = Status::unknown("the client's disk is gone");
            return outgoing.finish(Err(status));
        }
        Fault::None | Fault::Unasked => {}
    }
    outgoing.send(&Packet::told_all()).await.unwrap();
    while let Ok(Some(message)) = incoming.next().await {
        let packet = Packet::decode(&message).unwrap();
        if packet.kind == Kind::Finished {
            outgoing.send(&Packet::finished()).await.unwrap();
            break;
        }
        let bytes = files[packet.id as usize].1;
        for piece in bytes.chunks(3).chain([&[][..]]) {
            outgoing
                .send(&Packet::data(packet.id, piece))
                .await
                .unwrap();
        }
    }
    outgoing.finish(Ok(()));
    // The other side reads the end before the connection goes.
    drop(driving.await);
}

async fn sync(
    directory: &Path,
    files: Vec<(&'static str, &'static [u8])>,
    fault: Fault,
) -> Result<(), Status> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let sessions = Arc::new(Register::default());
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-docker-expose-session-uuid", "s"),
        ("x-docker-expose-session-grpc-method", METHOD),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let introduction = Introduction::of(&headers).unwrap();
    let table = Arc::clone(&sessions);
    let serving = tokio::spawn(async move { session::run(&table, introduction, near).await });
    let client = tokio::spawn(client(far, files, fault));
    let session = session::find(&sessions, "s").await?;
    let wanted = Wanted {
        directory: "context".to_owned(),
        ..Wanted::default()
    };
    let (vertex, progress) = ("sha256:0".to_owned(), Progress::new());
    let done = receive(&session, &wanted, directory.into(), progress, vertex, "x").await;
    serving.abort();
    client.abort();
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_whole() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<(&str, &[u8])> = vec![("a", b"first file"), ("b", b""), ("c", b"third")];
    sync(dir.path(), files.clone(), Fault::None).await.unwrap();
    for (path, bytes) in files {
        assert_eq!(std::fs::read(dir.path().join(path)).unwrap(), bytes);
    }
    sync(dir.path(), vec![("b", b"")], Fault::None)
        .await
        .unwrap();
    assert!(!dir.path().join("a").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_clients_are_told_so() {
    let dir = tempfile::tempdir().unwrap();
    for fault in [Fault::Unasked, Fault::Goes, Fault::Fails] {
        let failed = sync(dir.path(), vec![("a", b"x")], fault).await;
        assert!(failed.is_err());
    }
    let outside = sync(dir.path(), vec![("../a", b"x")], Fault::None).await;
    assert!(outside.unwrap_err().text.contains("leaves its tree"));
    sync(dir.path(), vec![("a", b"x")], Fault::None)
        .await
        .unwrap();
    assert_eq!(
        std::fs::read(dir.path().join("a")).unwrap(),
        Bytes::from("x")
    );
}
