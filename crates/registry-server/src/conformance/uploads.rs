//! "Pushing blobs": at once, in chunks, the status of an upload and its cancelling.

use gantry_types::Digest;

use super::{Registry, noise};

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");

#[test]
fn a_blob_is_pushed_by_post_and_put() {
    let registry = Registry::new();
    let bytes = noise(3_000_000);
    let digest = Digest::of(&bytes).to_string();
    let location = registry.begin("a/b");
    assert!(location.starts_with("/v2/a/b/blobs/uploads/"));
    let path = format!("{location}?digest={digest}");
    let reply = registry.send("PUT", &path, &[OCTETS], &bytes);
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("docker-content-digest"), Some(digest.as_str()));
    let place = reply.header("location").unwrap();
    assert_eq!(place, format!("/v2/a/b/blobs/{digest}"));
    assert!(registry.get(place).body == bytes);
    assert_eq!(registry.get(&location).status, 404);
}

#[test]
fn a_blob_is_pushed_by_one_post() {
    let registry = Registry::new();
    let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::of(b"bytes"));
    let reply = registry.send("POST", &path, &[OCTETS], b"bytes");
    assert_eq!(reply.status, 201);
    assert_eq!(
        registry.get(reply.header("location").unwrap()).body,
        b"bytes"
    );
    let reply = registry.send("POST", &path, &[OCTETS], b"other");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (400, "DIGEST_INVALID")
    );
}

#[test]
fn blobs_and_manifests_may_be_named_by_sha512() {
    let registry = Registry::new();
    let long: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
    let bytes = noise(2_000_000);
    let (digest, short) = (long.like(&bytes), Digest::of(&bytes));
    let at = |digest: &Digest| format!("/v2/a/blobs/{digest}");
    for (location, right) in [
        (registry.begin("a"), digest),
        (registry.begin("a"), short),
        (registry.begin("a"), long),
    ] {
        let reply = registry.send("PATCH", &location, &[OCTETS], &bytes[..1_000_000]);
        assert_eq!(reply.status, 202);
        let path = format!("{location}?digest={right}");
        let reply = registry.send("PUT", &path, &[OCTETS], &bytes[1_000_000..]);
        assert_eq!(reply.status, if right == long { 400 } else { 201 });
    }
    // Each is a blob of its own.
    assert!(registry.get(&at(&digest)).body == bytes);
    assert_eq!(registry.send("DELETE", &at(&short), &[], b"").status, 202);
    assert_eq!(registry.get(&at(&short)).status, 404);
    assert_eq!(registry.get(&at(&digest)).status, 200);

    let kind = ("Content-Type", super::MANIFEST);
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{{"mediaType":"x/y","digest":"{digest}","size":2000000}},"layers":[]}}"#,
        kind = super::MANIFEST,
    );
    let name = long.like(text.as_bytes()).to_string();
    let path = format!("/v2/a/manifests/{name}");
    let reply = registry.send("PUT", &path, &[kind], text.as_bytes());
    assert_eq!(reply.status, 201, "{:?}", reply.code());
    assert_eq!(reply.header("docker-content-digest"), Some(name.as_str()));
    assert_eq!(registry.get(&path).body, text.as_bytes());
    let path = format!("/v2/a/manifests/{long}");
    let reply = registry.send("PUT", &path, &[kind], text.as_bytes());
    assert_eq!(reply.code(), "DIGEST_INVALID");
}

#[test]
fn a_blob_is_pushed_in_chunks() {
    let registry = Registry::new();
    let bytes = noise(1_000_000);
    let digest = Digest::of(&bytes);
    for last_by_patch in [true, false] {
        let mut location = registry.begin("a");
        let (first, rest) = bytes.split_at(400_000);
        let reply = registry.send(
            "PATCH",
            &location,
            &[OCTETS, ("Content-Range", "0-399999")],
            first,
        );
        assert_eq!(reply.status, 202);
        assert_eq!(reply.header("range"), Some("0-399999"));
        location = reply.header("location").unwrap().to_owned();
        let status = registry.get(&location);
        assert_eq!(status.status, 204);
        assert_eq!(status.header("range"), Some("0-399999"));
        assert_eq!(status.header("location"), Some(location.as_str()));
        let range = [OCTETS, ("Content-Range", "400000-999999")];
        let reply = if last_by_patch {
            let reply = registry.send("PATCH", &location, &range, rest);
            assert_eq!(reply.header("range"), Some("0-999999"));
            let location = reply.header("location").unwrap();
            registry.send("PUT", &format!("{location}?digest={digest}"), &[], b"")
        } else {
            registry.send("PUT", &format!("{location}?digest={digest}"), &range, rest)
        };
        assert_eq!(reply.status, 201, "{reply:?}");
        assert!(registry.get(reply.header("location").unwrap()).body == bytes);
    }
}

#[test]
fn chunks_without_a_range_are_appended() {
    let registry = Registry::new();
    let location = registry.begin("a");
    for piece in [b"one ", b"two "] {
        assert_eq!(registry.send("PATCH", &location, &[], piece).status, 202);
    }
    let path = format!("{location}?digest={}", Digest::of(b"one two "));
    assert_eq!(registry.send("PUT", &path, &[], b"").status, 201);
}

#[test]
fn chunks_out_of_order_are_refused_and_the_upload_goes_on() {
    let registry = Registry::new();
    let location = registry.begin("a");
    let send = |method: &str, path: &str, range: &str, bytes: &[u8]| {
        registry.send(method, path, &[OCTETS, ("Content-Range", range)], bytes)
    };
    let wrong = |reply: super::Reply, range: &str| {
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (416, "RANGE_INVALID")
        );
        assert_eq!(reply.header("range"), Some(range));
        assert_eq!(reply.header("location"), Some(location.as_str()));
    };
    wrong(send("PATCH", &location, "3-5", b"def"), "0-0");
    assert_eq!(send("PATCH", &location, "0-2", b"abc").status, 202);
    wrong(send("PATCH", &location, "0-2", b"abc"), "0-2");
    wrong(send("PATCH", &location, "4-5", b"ef"), "0-2");
    wrong(send("PATCH", &location, "nonsense", b"ef"), "0-2");
    wrong(send("PATCH", &location, "5-3", b""), "0-2");
    let path = format!("{location}?digest={}", Digest::of(b"abcdef"));
    wrong(send("PUT", &path, "2-5", b"cdef"), "0-2");
    let reply = send("PATCH", &location, "3-9", b"def");
    assert_eq!((reply.status, reply.code().as_str()), (400, "SIZE_INVALID"));
    assert_eq!(send("PUT", &path, "3-5", b"def").status, 201);
}

#[test]
fn the_digest_must_be_right() {
    let registry = Registry::new();
    let location = registry.begin("a");
    for wrong in ["", "?digest=", "?digest=sha256:1", "?digest=sha512:1"] {
        let reply = registry.send("PUT", &format!("{location}{wrong}"), &[], b"bytes");
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "DIGEST_INVALID")
        );
    }
    let path = format!("{location}?digest={}", Digest::of(b"other"));
    let reply = registry.send("PUT", &path, &[], b"bytes");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    // Nothing that could be added would make it right.
    assert_eq!(registry.get(&location).code(), "BLOB_UPLOAD_UNKNOWN");
    let digest = Digest::of(b"bytes");
    assert_eq!(registry.get(&format!("/v2/a/blobs/{digest}")).status, 404);
    let path = "/v2/a/blobs/uploads/?digest-algorithm=sha384";
    let reply = registry.send("POST", path, &[], b"");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    assert!(String::from_utf8_lossy(&reply.body).contains("only sha256 and sha512"));
}

#[test]
fn an_upload_is_cancelled() {
    let registry = Registry::new();
    let location = registry.begin("a");
    assert_eq!(registry.send("PATCH", &location, &[], b"bytes").status, 202);
    assert_eq!(registry.delete(&location).status, 204);
    assert_eq!(registry.get(&location).status, 404);
    assert_eq!(registry.delete(&location).code(), "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(registry.send("PATCH", &location, &[], b"x").status, 404);
    let left = registry.settings.root.join("uploads");
    assert_eq!(std::fs::read_dir(left).unwrap().count(), 0);
    assert_eq!(registry.app().store.uploads.count(), 0);
}

#[test]
fn an_upload_belongs_to_its_repository() {
    let registry = Registry::new();
    let location = registry.begin("a");
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    assert_eq!(registry.get(&elsewhere).code(), "BLOB_UPLOAD_UNKNOWN");
    for id in [
        "x",
        "..%2F..%2Flock",
        "00000000-0000-4000-8000-000000000000",
    ] {
        let reply = registry.get(&format!("/v2/a/blobs/uploads/{id}"));
        assert_eq!(reply.status, 404, "{id}");
    }
}

#[test]
fn uploads_are_bounded() {
    let registry = Registry::with(|settings| {
        settings.max_blob = 10;
        settings.max_uploads = 2;
    });
    let location = registry.begin("a");
    let reply = registry.send("PATCH", &location, &[], b"eleven byte");
    assert_eq!((reply.status, reply.code().as_str()), (413, "SIZE_INVALID"));
    registry.begin("a");
    let reply = registry.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (429, "TOOMANYREQUESTS")
    );
    assert!(reply.header("retry-after").is_some());
    registry.delete(&location);
    registry.begin("a");
}
