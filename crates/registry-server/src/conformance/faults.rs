//! What goes wrong: cut connections, restarts in the middle, two at once.

use std::io::Write;

use gantry_types::Digest;

use super::{Registry, Reply, noise};

/// Begins to send a body of `announced` bytes, sends `bytes`, and hangs up.
fn cut(registry: &Registry, method: &str, path: &str, announced: usize, bytes: &[u8]) {
    let mut stream = registry.connect();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {announced}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(bytes).unwrap();
}

/// How much of an upload has come; waits until a request before is over.
fn came(registry: &Registry, location: &str) -> usize {
    let reply = registry.get(location);
    assert_eq!(reply.status, 204, "{reply:?}");
    let last = reply
        .header("range")
        .unwrap()
        .strip_prefix("0-")
        .unwrap()
        .parse::<usize>();
    match last.unwrap() {
        0 => 0,
        last => last + 1,
    }
}

#[test]
fn a_cut_upload_goes_on_where_it_stopped() {
    let registry = Registry::new();
    let bytes = noise(2_000_000);
    let path = format!("?digest={}", Digest::of(&bytes));
    for method in ["PATCH", "PUT"] {
        let location = registry.begin("a");
        let end = if method == "PUT" { path.as_str() } else { "" };
        cut(
            &registry,
            method,
            &format!("{location}{end}"),
            bytes.len(),
            &bytes[..1_500_000],
        );
        // The request may not have begun yet.
        let have = loop {
            match came(&registry, &location) {
                0 => std::thread::sleep(std::time::Duration::from_millis(5)),
                have => break have,
            }
        };
        assert_eq!(have, 1_500_000);
        let reply = registry.send("PUT", &format!("{location}{path}"), &[], &bytes[have..]);
        assert_eq!(reply.status, 201);
        assert!(registry.get(reply.header("location").unwrap()).body == bytes);
    }
}

#[test]
fn uploads_and_all_that_was_acknowledged_survive_a_restart() {
    let registry = Registry::new();
    let bytes = noise(500_000);
    let (manifest, _) = registry.push_image("kept", "v1", b"layer");
    let location = registry.begin("a");
    let (first, rest) = bytes.split_at(300_000);
    assert_eq!(registry.send("PATCH", &location, &[], first).status, 202);
    let never = registry.begin("a");
    std::fs::write(registry.settings.root.join("uploads/stranger"), "x").unwrap();
    let registry = registry.restart();
    assert!(!registry.settings.root.join("uploads/stranger").exists());
    assert_eq!(registry.app().store.uploads.count(), 2);
    assert_eq!(
        registry.get("/v2/kept/manifests/v1").body,
        manifest.to_string().as_bytes()
    );
    assert_eq!(came(&registry, &location), 300_000);
    assert_eq!(came(&registry, &never), 0);
    let path = format!("{location}?digest={}", Digest::of(&bytes));
    let reply = registry.send("PUT", &path, &[("Content-Range", "300000-499999")], rest);
    assert_eq!(reply.status, 201);
    assert!(registry.get(reply.header("location").unwrap()).body == bytes);
}

#[test]
fn one_blob_is_pushed_by_many_at_once() {
    let registry = Registry::new();
    let bytes = noise(1_500_000);
    let digest = Digest::of(&bytes);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (registry, bytes) = (&registry, &bytes);
            scope.spawn(move || registry.push_blob(&format!("r{}", number % 3), bytes));
        }
    });
    for number in 0..3 {
        let path = format!("/v2/r{number}/blobs/{digest}");
        assert!(registry.get(&path).body == bytes);
    }
    let blobs = registry.settings.root.join("content/blobs/sha256");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 1);
    let uploads = registry.settings.root.join("uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
}

#[test]
fn two_requests_do_not_mix_in_one_upload() {
    let registry = Registry::new();
    let location = registry.begin("a");
    let bytes = noise(400_000);
    let sent = std::thread::scope(|scope| {
        let send = |range: &'static str| {
            let (registry, location, bytes) = (&registry, &location, &bytes);
            scope.spawn(move || {
                let headers = [("Content-Range", range)];
                registry.send("PATCH", location, &headers, bytes).status
            })
        };
        let both = [send("0-399999"), send("0-399999")];
        both.map(|thread| thread.join().unwrap())
    });
    assert!(sent == [202, 416] || sent == [416, 202], "{sent:?}");
    let path = format!("{location}?digest={}", Digest::of(&bytes));
    assert_eq!(registry.send("PUT", &path, &[], b"").status, 201);
}

#[test]
fn old_uploads_are_removed() {
    let registry = Registry::new();
    let location = registry.begin("a");
    registry.send("PATCH", &location, &[], b"bytes");
    let store = &registry.app().store;
    assert_eq!(store.uploads.expire(0).unwrap(), 0);
    let later = gantry_metadata::now() + 1_000_000_000;
    assert_eq!(store.uploads.expire(later).unwrap(), 1);
    assert_eq!(registry.get(&location).status, 404);
    assert_eq!(store.uploads.count(), 0);
}

#[test]
fn nonsense_is_answered_or_cut() {
    let registry = Registry::new();
    for text in [
        "GET /v2/ HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n",
        "\r\n\r\n\r\n \x01",
        "PATCH /v2/%zz/blobs/uploads/x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
    ] {
        let mut stream = registry.connect();
        stream.write_all(text.as_bytes()).unwrap();
        assert!(Reply::read(stream).status >= 400, "{text}");
    }
    let mut stream = registry.connect();
    let long = "x".repeat(1 << 20);
    let _ = write!(stream, "GET /v2/{long} HTTP/1.1\r\n");
    drop(stream);
    assert_eq!(registry.get("/v2/").status, 200);
}

#[test]
fn what_nobody_could_go_on_with_is_not_kept() {
    let registry = Registry::with(|settings| settings.max_blob = 10);
    let path = format!(
        "/v2/a/blobs/uploads/?digest={}",
        Digest::of(b"more than ten")
    );
    let reply = registry.send("POST", &path, &[], b"more than ten");
    assert_eq!(reply.status, 413);
    let uploads = registry.settings.root.join("uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
    assert_eq!(registry.app().store.uploads.count(), 0);
}
