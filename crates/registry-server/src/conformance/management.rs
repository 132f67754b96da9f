//! "Content management": tags, manifests and blobs are deleted; a registry that only
//! reads refuses.

use super::{MANIFEST, Registry};

#[test]
fn a_tag_is_deleted_and_the_manifest_stays() {
    let registry = Registry::new();
    let (_, digest) = registry.push_image("a", "v1", b"l");
    assert_eq!(registry.delete("/v2/a/manifests/v1").status, 202);
    assert_eq!(registry.get("/v2/a/manifests/v1").status, 404);
    assert_eq!(
        registry.get(&format!("/v2/a/manifests/{digest}")).status,
        200
    );
    let reply = registry.delete("/v2/a/manifests/v1");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (404, "MANIFEST_UNKNOWN")
    );
}

#[test]
fn a_manifest_is_deleted_with_its_tags() {
    let registry = Registry::new();
    let (manifest, digest) = registry.push_image("a", "v1", b"l");
    registry.push_manifest("a", "v2", &manifest);
    let path = format!("/v2/a/manifests/{digest}");
    assert_eq!(registry.delete(&path).status, 202);
    for gone in [path.as_str(), "/v2/a/manifests/v1", "/v2/a/manifests/v2"] {
        assert_eq!(registry.get(gone).status, 404, "{gone}");
    }
    let tags = registry.get("/v2/a/tags/list").json();
    assert_eq!(tags["tags"], serde_json::json!([]));
    assert_eq!(registry.delete(&path).code(), "MANIFEST_UNKNOWN");
    let elsewhere = format!("/v2/none/manifests/{digest}");
    assert_eq!(registry.delete(&elsewhere).status, 404);
}

#[test]
fn a_blob_is_deleted_from_one_repository() {
    let registry = Registry::new();
    let digest = registry.push_blob("a", b"x");
    registry.push_blob("b", b"x");
    assert_eq!(
        registry.delete(&format!("/v2/a/blobs/{digest}")).status,
        202
    );
    let reply = registry.delete(&format!("/v2/a/blobs/{digest}"));
    assert_eq!((reply.status, reply.code().as_str()), (404, "BLOB_UNKNOWN"));
    assert_eq!(registry.get(&format!("/v2/a/blobs/{digest}")).status, 404);
    assert_eq!(registry.get(&format!("/v2/b/blobs/{digest}")).body, b"x");
}

#[test]
fn a_registry_that_only_reads_changes_nothing() {
    let registry = Registry::new();
    let (manifest, digest) = registry.push_image("a", "v1", b"l");
    let mut settings = registry.settings.clone();
    settings.read_only = true;
    let mut old = registry;
    let directory = old._directory.take();
    drop(old);
    let registry = Registry::start(settings, directory);
    let blob = manifest["layers"][0]["digest"].as_str().unwrap();
    for (method, path) in [
        ("POST", "/v2/a/blobs/uploads/".to_owned()),
        ("PUT", "/v2/a/manifests/v2".to_owned()),
        ("DELETE", "/v2/a/manifests/v1".to_owned()),
        ("DELETE", format!("/v2/a/manifests/{digest}")),
        ("DELETE", format!("/v2/a/blobs/{blob}")),
    ] {
        let reply = registry.send(method, &path, &[("Content-Type", MANIFEST)], b"");
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (405, "UNSUPPORTED"),
            "{path}"
        );
    }
    assert_eq!(registry.get("/v2/a/manifests/v1").status, 200);
}
