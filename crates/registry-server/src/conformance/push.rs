//! "Pushing manifests", also with a subject, and "Mounting a blob from another
//! repository".

use gantry_types::{Digest, media_type};
use serde_json::json;

use super::{INDEX, MANIFEST, Registry, image};

#[test]
fn a_pushed_manifest_is_at_its_location() {
    let registry = Registry::new();
    registry.push_blob("a", b"{}");
    registry.push_blob("a", b"l");
    let text = image(b"l").to_string();
    let digest = Digest::of(text.as_bytes()).to_string();
    let headers = [(
        "Content-Type",
        "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
    )];
    for reference in ["v1", &digest] {
        let path = format!("/v2/a/manifests/{reference}");
        let reply = registry.send("PUT", &path, &headers, text.as_bytes());
        assert_eq!(reply.status, 201);
        assert_eq!(reply.header("docker-content-digest"), Some(digest.as_str()));
        let pulled = registry.get(reply.header("location").unwrap());
        assert_eq!(pulled.body, text.as_bytes());
        assert_eq!(pulled.header("content-type"), Some(MANIFEST));
    }
}

#[test]
fn all_kinds_of_manifests_are_kept() {
    let registry = Registry::new();
    let (_, child) = registry.push_image("a", "child", b"layer");
    let list = |kind: &str| {
        json!({
            "schemaVersion": 2, "mediaType": kind,
            "manifests": [{ "mediaType": MANIFEST, "digest": child.to_string(), "size": 2 }],
        })
    };
    let artifact = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.example.thing+json", "any": "field",
    });
    let mut schema_2 = image(b"layer");
    schema_2["mediaType"] = media_type::DOCKER_MANIFEST.into();
    for (tag, manifest) in [
        ("index", list(INDEX)),
        ("list", list(media_type::DOCKER_MANIFEST_LIST)),
        ("artifact", artifact),
        ("schema2", schema_2),
    ] {
        registry.push_manifest("a", tag, &manifest);
        let reply = registry.get(&format!("/v2/a/manifests/{tag}"));
        assert_eq!(reply.header("content-type"), manifest["mediaType"].as_str());
        assert_eq!(reply.body, manifest.to_string().as_bytes());
    }
}

#[test]
fn a_manifest_with_a_missing_part_is_refused() {
    let registry = Registry::new();
    registry.push_blob("a", b"{}");
    registry.push_blob("other", b"layer");
    let put = |text: &str| {
        let kind = [("Content-Type", "")];
        registry.send("PUT", "/v2/a/manifests/v1", &kind, text.as_bytes())
    };
    let reply = put(&image(b"layer").to_string());
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (404, "MANIFEST_BLOB_UNKNOWN")
    );
    let missing = json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [{ "digest": Digest::of(b"none").to_string(), "size": 1 }],
    });
    assert_eq!(put(&missing.to_string()).code(), "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(registry.get("/v2/a/manifests/v1").status, 404);
}

#[test]
fn wrong_manifests_are_refused() {
    let registry = Registry::new();
    let other = format!("/v2/a/manifests/{}", Digest::of(b"other"));
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(5 << 20));
    for (path, kind, text, status, code) in [
        (
            "/v2/a/manifests/v1",
            MANIFEST,
            "no json",
            400,
            "MANIFEST_INVALID",
        ),
        ("/v2/a/manifests/v1", MANIFEST, "", 400, "MANIFEST_INVALID"),
        (
            "/v2/a/manifests/v1",
            MANIFEST,
            r#"{"mediaType":"a/b"}"#,
            400,
            "MANIFEST_INVALID",
        ),
        (&other, MANIFEST, "{}", 400, "DIGEST_INVALID"),
        (
            "/v2/a/manifests/v1",
            MANIFEST,
            &huge,
            413,
            "MANIFEST_INVALID",
        ),
    ] {
        let reply = registry.send("PUT", path, &[("Content-Type", kind)], text.as_bytes());
        let found = (reply.status, reply.code());
        assert_eq!(found, (status, code.to_owned()), "{path} {}", text.len());
    }
    assert_eq!(
        registry.get("/v2/_catalog").json()["repositories"],
        json!([])
    );
}

#[test]
fn a_manifest_of_four_megabytes_is_taken() {
    let registry = Registry::new();
    let filler = "x".repeat((4 << 20) - 100);
    let manifest = json!({ "mediaType": "a/b", "filler": filler });
    assert!(manifest.to_string().len() <= 4 << 20);
    registry.push_manifest("a", "v1", &manifest);
    let reply = registry.get("/v2/a/manifests/v1");
    assert!(reply.body == manifest.to_string().as_bytes());
}

#[test]
fn tags_can_be_given_with_the_digest() {
    let registry = Registry::new();
    registry.push_image("a", "v1", b"l");
    let text = image(b"l").to_string();
    let path = format!(
        "/v2/a/manifests/{}?tag=1.2.3&tag=1.2&tag=latest",
        Digest::of(text.as_bytes())
    );
    let kind = [("Content-Type", MANIFEST)];
    let reply = registry.send("PUT", &path, &kind, text.as_bytes());
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("oci-tag"), Some("1.2.3, 1.2, latest"));
    let tags = registry.get("/v2/a/tags/list").json();
    assert_eq!(tags["tags"], json!(["1.2", "1.2.3", "latest", "v1"]));
    let wrong = path.replace("latest", ".wrong");
    let reply = registry.send("PUT", &wrong, &kind, text.as_bytes());
    assert_eq!((reply.status, reply.code().as_str()), (400, "TAG_INVALID"));
}

#[test]
fn a_tag_moves() {
    let registry = Registry::new();
    let (_, first) = registry.push_image("a", "v1", b"one");
    let (_, second) = registry.push_image("a", "v1", b"two");
    let reply = registry.get("/v2/a/manifests/v1");
    assert_eq!(
        reply.header("docker-content-digest"),
        Some(second.to_string().as_str())
    );
    assert_eq!(
        registry.get(&format!("/v2/a/manifests/{first}")).status,
        200
    );
}

#[test]
fn a_subject_may_come_later_and_is_acknowledged() {
    let registry = Registry::new();
    registry.push_blob("a", b"{}");
    registry.push_blob("a", b"l");
    let subject = Digest::of(b"not there").to_string();
    let mut manifest = image(b"l");
    manifest["subject"] = json!({ "mediaType": MANIFEST, "digest": subject, "size": 3 });
    let kind = [("Content-Type", MANIFEST)];
    let text = manifest.to_string();
    let reply = registry.send("PUT", "/v2/a/manifests/v1", &kind, text.as_bytes());
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("oci-subject"), Some(subject.as_str()));
}

#[test]
fn blobs_are_mounted_from_other_repositories() {
    let registry = Registry::new();
    let digest = registry.push_blob("from/here", b"bytes");
    for query in [
        format!("mount={digest}&from=from/here"),
        format!("mount={digest}"),
    ] {
        let into = if query.contains("from=") { "a" } else { "b" };
        let path = format!("/v2/{into}/blobs/uploads/?{query}");
        let reply = registry.send("POST", &path, &[], b"");
        assert_eq!(reply.status, 201);
        assert_eq!(
            registry.get(reply.header("location").unwrap()).body,
            b"bytes"
        );
        let text = digest.to_string();
        assert_eq!(reply.header("docker-content-digest"), Some(text.as_str()));
    }
    for query in [
        format!("mount={digest}&from=nowhere"),
        format!("mount={}&from=from/here", Digest::of(b"none")),
        format!("mount={}", Digest::of(b"none")),
    ] {
        let reply = registry.send("POST", &format!("/v2/c/blobs/uploads/?{query}"), &[], b"");
        assert_eq!(reply.status, 202, "{query}");
        assert!(
            reply
                .header("location")
                .unwrap()
                .starts_with("/v2/c/blobs/uploads/")
        );
    }
    let reply = registry.send("POST", "/v2/c/blobs/uploads/?mount=sha256:1", &[], b"");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (400, "DIGEST_INVALID")
    );
}
