//! "Pulling manifests", "Pulling blobs", "Checking if content exists in the registry".

use super::{MANIFEST, Registry, noise};

#[test]
fn the_registry_says_what_it_is() {
    let registry = Registry::new();
    for path in ["/v2/", "/v2"] {
        let reply = registry.get(path);
        assert_eq!(reply.status, 200);
        let version = reply.header("docker-distribution-api-version");
        assert_eq!(version, Some("registry/2.0"));
    }
    assert_eq!(registry.get("/v3/").status, 404);
    assert_eq!(registry.send("PUT", "/v2/", &[], b"").status, 405);
}

#[test]
fn manifests_are_pulled_by_tag_and_by_digest_as_they_came() {
    let registry = Registry::new();
    let (manifest, digest) = registry.push_image("a/b", "v1", b"layer");
    for reference in ["v1".to_owned(), digest.to_string()] {
        let path = format!("/v2/a/b/manifests/{reference}");
        let reply = registry.get(&path);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body, manifest.to_string().as_bytes());
        assert_eq!(reply.header("content-type"), Some(MANIFEST));
        let head = registry.head(&path);
        assert_eq!((head.status, head.body.len()), (200, 0));
        for reply in [&reply, &head] {
            let digest = digest.to_string();
            assert_eq!(reply.header("docker-content-digest"), Some(digest.as_str()));
            let length = manifest.to_string().len().to_string();
            assert_eq!(reply.header("content-length"), Some(length.as_str()));
        }
    }
    let fresh = format!("\"{digest}\"");
    let reply = registry.send(
        "GET",
        "/v2/a/b/manifests/v1",
        &[("If-None-Match", &fresh)],
        b"",
    );
    assert_eq!((reply.status, reply.body.len()), (304, 0));
}

#[test]
fn what_is_not_there_is_not_found() {
    let registry = Registry::new();
    let (_, digest) = registry.push_image("a/b", "v1", b"layer");
    let other = gantry_types::Digest::of(b"other");
    for (path, code) in [
        ("/v2/a/b/manifests/none".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/a/b/manifests/{other}"), "MANIFEST_UNKNOWN"),
        ("/v2/none/manifests/v1".to_owned(), "NAME_UNKNOWN"),
        (format!("/v2/a/b/blobs/{other}"), "BLOB_UNKNOWN"),
        (format!("/v2/none/blobs/{digest}"), "BLOB_UNKNOWN"),
        ("/v2/none/tags/list".to_owned(), "NAME_UNKNOWN"),
    ] {
        let reply = registry.get(&path);
        assert_eq!((reply.status, reply.code().as_str()), (404, code), "{path}");
        if !path.ends_with("list") {
            let head = registry.head(&path);
            assert_eq!((head.status, head.body.len()), (404, 0), "{path}");
        }
    }
}

#[test]
fn names_tags_and_digests_follow_the_grammar() {
    let registry = Registry::new();
    let long = "a".repeat(256);
    let long_tag = "t".repeat(129);
    for (path, code) in [
        ("/v2/UPPER/manifests/v1".to_owned(), "NAME_INVALID"),
        ("/v2/a..b/tags/list".to_owned(), "NAME_INVALID"),
        ("/v2/-a/tags/list".to_owned(), "NAME_INVALID"),
        ("/v2/a%2F..%2Fb/tags/list".to_owned(), "NAME_INVALID"),
        (format!("/v2/{long}/tags/list"), "NAME_INVALID"),
        (format!("/v2/a/manifests/{long_tag}"), "TAG_INVALID"),
        ("/v2/a/manifests/.v1".to_owned(), "TAG_INVALID"),
        ("/v2/a/manifests/sha256:12".to_owned(), "DIGEST_INVALID"),
        ("/v2/a/manifests/md5:12".to_owned(), "DIGEST_INVALID"),
        ("/v2/a/blobs/v1".to_owned(), "DIGEST_INVALID"),
        ("/v2/a/referrers/sha256:x".to_owned(), "DIGEST_INVALID"),
    ] {
        let reply = registry.get(&path);
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{path}");
    }
    // Colons may be escaped.
    let digest = registry
        .push_blob("a", b"x")
        .to_string()
        .replace(':', "%3A");
    assert_eq!(registry.get(&format!("/v2/a/blobs/{digest}")).body, b"x");
}

#[test]
fn blobs_are_pulled_whole_and_in_parts() {
    let registry = Registry::new();
    let bytes = noise(700_000);
    let digest = registry.push_blob("a/b", &bytes);
    let path = format!("/v2/a/b/blobs/{digest}");
    let reply = registry.get(&path);
    assert_eq!((reply.status, reply.body == bytes), (200, true));
    let text = digest.to_string();
    assert_eq!(reply.header("docker-content-digest"), Some(text.as_str()));
    let head = registry.head(&path);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("700000"));
    assert_eq!(head.header("docker-content-digest"), Some(text.as_str()));
    for (range, first, last) in [
        ("bytes=0-9", 0, 9),
        ("bytes=300000-", 300_000, 699_999),
        ("bytes=-5", 699_995, 699_999),
        ("bytes=699999-900000", 699_999, 699_999),
    ] {
        let reply = registry.send("GET", &path, &[("Range", range)], b"");
        assert_eq!(reply.status, 206, "{range}");
        let expected = format!("bytes {first}-{last}/700000");
        assert_eq!(reply.header("content-range"), Some(expected.as_str()));
        assert!(reply.body == bytes[first..=last], "{range}");
    }
    let reply = registry.send("GET", &path, &[("Range", "bytes=700000-")], b"");
    assert_eq!(reply.status, 416);
    assert_eq!(reply.header("content-range"), Some("bytes */700000"));
    let reply = registry.send("GET", &path, &[("Range", "bytes=0-1,5-6")], b"");
    assert_eq!((reply.status, reply.body.len()), (200, 700_000));
    let stale = [("Range", "bytes=0-1"), ("If-Range", "\"other\"")];
    assert_eq!(registry.send("GET", &path, &stale, b"").status, 200);
}

#[test]
fn an_empty_blob_is_a_blob() {
    let registry = Registry::new();
    let digest = registry.push_blob("a", b"");
    let reply = registry.get(&format!("/v2/a/blobs/{digest}"));
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}
