//! Beside the specification: garbage collection while requests come, search, stars,
//! counters.

use std::time::Duration;

use gantry_types::Digest;
use serde_json::json;

use super::{INDEX, MANIFEST, Registry, image, noise};
use crate::store::Patience;

const NOW: Patience = Patience {
    grace: Duration::ZERO,
    untagged: false,
    unused: None,
};

#[test]
fn what_nobody_needs_is_collected_and_nothing_else() {
    let registry = Registry::new();
    let (_, digest) = registry.push_image("a", "v1", b"kept");
    registry.push_image("b", "v1", b"kept");
    let garbage = registry.push_blob("a", b"garbage");
    let store = &registry.app().store;
    let patient = Patience {
        grace: Duration::from_secs(3600),
        ..NOW
    };
    assert_eq!(store.collect(patient).unwrap().blobs, 0);
    assert_eq!(registry.head(&format!("/v2/a/blobs/{garbage}")).status, 200);
    let done = store.collect(NOW).unwrap();
    assert_eq!((done.blobs, done.bytes), (1, 7));
    assert_eq!(registry.head(&format!("/v2/a/blobs/{garbage}")).status, 404);
    // A blob that another repository needs goes from this one only.
    registry.delete(&format!("/v2/a/manifests/{digest}"));
    assert_eq!(store.collect(NOW).unwrap().blobs, 0);
    let kept = Digest::of(b"kept");
    assert_eq!(registry.get(&format!("/v2/a/blobs/{kept}")).status, 404);
    assert_eq!(registry.get(&format!("/v2/b/blobs/{kept}")).body, b"kept");
    assert_eq!(
        registry.get("/v2/a/tags/list").status,
        404,
        "nothing is left of it"
    );
}

#[test]
fn manifests_without_a_tag_are_collected_if_asked_for() {
    let registry = Registry::new();
    let (_, child) = registry.push_image("a", "child", b"l");
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [{ "mediaType": MANIFEST, "digest": child.to_string(), "size": 2 }],
    });
    let parent = registry.push_manifest("a", "parent", &index);
    let mut about = image(b"l");
    about["subject"] = json!({ "mediaType": MANIFEST, "digest": parent.to_string(), "size": 2 });
    let about = registry.push_manifest("a", "about", &about);
    registry.delete("/v2/a/manifests/child");
    registry.delete("/v2/a/manifests/about");
    let store = &registry.app().store;
    let untagged = Patience {
        untagged: true,
        ..NOW
    };
    let there = |digest| registry.head(&format!("/v2/a/manifests/{digest}")).status == 200;
    store.collect(untagged).unwrap();
    assert!(there(child) && there(parent) && there(about));
    registry.delete("/v2/a/manifests/parent");
    store.collect(NOW).unwrap();
    assert!(there(child) && there(parent) && there(about));
    store.collect(untagged).unwrap();
    assert!(!there(child) && !there(parent) && !there(about));
    let blobs = registry.settings.root.join("content/blobs/sha256");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0);
}

#[test]
fn pushes_and_collections_do_not_disturb_each_other() {
    let registry = Registry::new();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Less and less often, or a push might never end: nothing is young here.
            for round in 0_u64.. {
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                registry.app().store.collect(NOW).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(round * 50));
            }
        });
        let pushers: Vec<_> = (0..3)
            .map(|number| {
                let registry = &registry;
                scope.spawn(move || push_until_taken(registry, number))
            })
            .collect();
        // A push that fails must not leave the collector running for ever.
        let ends: Vec<_> = pushers.into_iter().map(|pusher| pusher.join()).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok), "a push failed");
    });
    registry.app().store.collect(NOW).unwrap();
    for number in 0..3 {
        let manifest = registry.get(&format!("/v2/r{number}/manifests/v1")).json();
        for blob in [&manifest["config"], &manifest["layers"][0]] {
            let path = format!("/v2/r{number}/blobs/{}", blob["digest"].as_str().unwrap());
            assert_eq!(registry.get(&path).status, 200);
        }
    }
}

/// Pushes an image although what is not yet part of one is collected at once: the
/// manifest is refused then, never taken without its parts.
fn push_until_taken(registry: &Registry, number: usize) {
    let layer = noise(10_000 + number);
    let name = format!("r{number}");
    let manifest = image(&layer).to_string();
    for _ in 0..10_000 {
        registry.push_blob(&name, b"{}");
        registry.push_blob(&name, &layer);
        let path = format!("/v2/{name}/manifests/v1");
        let kind = [("Content-Type", MANIFEST)];
        let reply = registry.send("PUT", &path, &kind, manifest.as_bytes());
        match reply.status {
            201 => return,
            404 => assert_eq!(reply.code(), "MANIFEST_BLOB_UNKNOWN"),
            other => panic!("{other}: {reply:?}"),
        }
    }
    panic!("never taken");
}

#[test]
fn repositories_are_found_described_and_liked() {
    let registry = Registry::new();
    for name in ["team/web", "team/data", "other"] {
        registry.push_image(name, "v1", b"l");
    }
    let about = "/v1/repositories/team/data";
    let text = "Where the web's data are.";
    let reply = registry.send("PUT", &format!("{about}/description"), &[], text.as_bytes());
    assert_eq!(reply.status, 204);
    for _ in 0..2 {
        assert_eq!(
            registry
                .send("PUT", &format!("{about}/star"), &[], b"")
                .status,
            204
        );
    }
    let reply = registry.get("/v1/search?q=WEB&n=25").json();
    let names = |reply: &serde_json::Value| {
        let results = reply["results"].as_array().unwrap().iter();
        results
            .map(|found| found["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&reply), ["team/data", "team/web"]);
    assert_eq!(
        (reply["num_results"].as_u64(), reply["query"].as_str()),
        (Some(2), Some("WEB"))
    );
    let first = &reply["results"][0];
    assert_eq!(
        (first["star_count"].as_u64(), first["description"].as_str()),
        (Some(1), Some(text))
    );
    assert_eq!(
        names(&registry.get("/v1/search?q=team&n=1&page=2").json()),
        ["team/web"]
    );
    assert_eq!(names(&registry.get("/v1/search?q=%25").json()).len(), 0);
    assert_eq!(registry.get("/v1/search?q=a&n=x").status, 400);
    assert_eq!(registry.get(about).json()["star_count"], 1);
    assert_eq!(registry.delete(&format!("{about}/star")).status, 204);
    assert_eq!(registry.get(about).json()["star_count"], 0);
    let long = "x".repeat(1001);
    let path = format!("{about}/description");
    assert_eq!(
        registry.send("PUT", &path, &[], long.as_bytes()).status,
        413
    );
    assert_eq!(registry.send("PUT", &path, &[], b"\xff").status, 400);
    for path in [
        "/v1/repositories/none/star",
        "/v1/repositories/none/description",
    ] {
        assert_eq!(registry.send("PUT", path, &[], b"").status, 404, "{path}");
    }
}

#[test]
fn counters_are_read() {
    let registry = Registry::new();
    registry.push_image("a", "v1", b"l");
    let reply = registry.get("/metrics");
    assert!(
        reply
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let text = String::from_utf8(reply.body).unwrap();
    for line in [
        "gantry_registry_repositories 1",
        "gantry_registry_blobs 2",
        "gantry_registry_blob_bytes 3",
        "gantry_registry_uploads 0",
        "# TYPE gantry_registry_requests_total counter",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.contains("gantry_registry_requests_total{method=\"PUT\",code=\"2xx\"}"));
}
