//! The cache of another registry, which is one of these too.

use gantry_types::Digest;
use serde_json::json;

use super::{Registry, noise};

/// A cache of `origin`.
fn cache(origin: &Registry) -> Registry {
    let url = format!("http://{}", origin.address);
    Registry::with(|settings| settings.proxy = Some(url))
}

#[test]
fn what_is_fetched_is_kept_and_outlives_the_origin() {
    let origin = Registry::new();
    let layer = noise(3_000_000);
    let (manifest, digest) = origin.push_image("a/b", "v1", &layer);
    let cache = cache(&origin);
    let blob = format!("/v2/a/b/blobs/{}", Digest::of(&layer));
    assert_eq!(cache.head(&blob).header("content-length"), Some("3000000"));
    let reply = cache.get("/v2/a/b/manifests/v1");
    assert_eq!(
        (reply.status, reply.body.as_slice()),
        (200, manifest.to_string().as_bytes())
    );
    assert_eq!(
        cache.head(&format!("/v2/a/b/manifests/{digest}")).status,
        200
    );
    let range = [("Range", "bytes=2999990-")];
    let reply = cache.send("GET", &blob, &range, b"");
    assert_eq!(
        (reply.status, reply.body.as_slice()),
        (206, &layer[2_999_990..])
    );
    assert!(cache.get(&blob).body == layer);
    assert_eq!(cache.get("/v2/a/b/tags/list").json()["tags"], json!(["v1"]));
    assert_eq!(cache.get("/v2/a/b/manifests/none").status, 404);
    assert_eq!(cache.get("/v2/none/manifests/v1").status, 404);
    let other = format!("/v2/a/b/blobs/{}", Digest::of(b"none"));
    assert_eq!(
        (cache.get(&other).status, cache.head(&other).status),
        (404, 404)
    );

    // A tag that moves is noticed.
    let (moved, _) = origin.push_image("a/b", "v1", b"moved");
    assert_eq!(
        cache.get("/v2/a/b/manifests/v1").body,
        moved.to_string().as_bytes()
    );

    drop(origin);
    assert_eq!(
        cache.get("/v2/a/b/manifests/v1").body,
        moved.to_string().as_bytes()
    );
    assert!(cache.get(&blob).body == layer);
    assert_eq!(cache.get("/v2/a/b/tags/list").json()["tags"], json!(["v1"]));
    let reply = cache.get(&format!("/v2/a/b/blobs/{}", Digest::of(b"moved")));
    assert_eq!(reply.status, 502);
    assert_eq!(cache.app().store.uploads.count(), 0);
}

#[test]
fn many_ask_for_the_same_at_once_and_it_is_fetched_once() {
    let origin = Registry::new();
    let layer = noise(8_000_000);
    origin.push_image("a", "v1", &layer);
    let cache = cache(&origin);
    let path = format!("/v2/a/blobs/{}", Digest::of(&layer));
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert!(cache.get(&path).body == layer));
        }
    });
    let blobs = cache.settings.root.join("content/blobs/sha256");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 1);
}

#[test]
fn a_wrong_blob_is_never_whole_nor_kept() {
    let origin = Registry::new();
    let layer = noise(1_000_000);
    origin.push_image("a", "v1", &layer);
    let digest = Digest::of(&layer);
    let file = origin
        .settings
        .root
        .join("content/blobs/sha256")
        .join(digest.hex());
    let mut wrong = layer.clone();
    wrong[999_999] ^= 1;
    std::fs::write(&file, &wrong).unwrap();
    let cache = cache(&origin);
    let reply = cache.get(&format!("/v2/a/blobs/{digest}"));
    assert_eq!(
        (reply.status, reply.header("content-length")),
        (200, Some("1000000"))
    );
    assert!(reply.body.len() < layer.len());
    assert!(!cache.app().store.content.exists(digest));
    std::fs::write(&file, &layer).unwrap();
    assert!(cache.get(&format!("/v2/a/blobs/{digest}")).body == layer);
}

#[test]
fn a_cache_takes_no_pushes_and_forgets_what_nobody_pulls() {
    let origin = Registry::new();
    origin.push_image("a", "v1", b"l");
    let cache = cache(&origin);
    let reply = cache.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    assert_eq!((reply.status, reply.code().as_str()), (405, "UNSUPPORTED"));
    cache.get("/v2/a/manifests/v1");
    cache.get(&format!("/v2/a/blobs/{}", Digest::of(b"l")));
    let unused = crate::store::Patience {
        grace: std::time::Duration::ZERO,
        untagged: false,
        unused: Some(std::time::Duration::ZERO),
    };
    // The configuration's blob was never asked for.
    assert_eq!(cache.app().store.collect(unused).unwrap().blobs, 1);
    assert_eq!(cache.get("/v2/_catalog").json()["repositories"], json!([]));
    assert_eq!(cache.get("/v2/a/manifests/v1").status, 200);
}
