//! "Listing tags", the catalog, and "Listing referrers".

use gantry_types::Digest;
use serde_json::{Value, json};

use super::{INDEX, MANIFEST, Registry, image};

#[test]
fn tags_are_listed_in_order_and_in_pages() {
    let registry = Registry::new();
    for tag in ["b", "B", "a", "1.0", "_x", "a.b"] {
        registry.push_image("r", tag, b"l");
    }
    let all = json!(["1.0", "B", "_x", "a", "a.b", "b"]);
    let list = |query: &str| registry.get(&format!("/v2/r/tags/list{query}"));
    assert_eq!(list("").json(), json!({ "name": "r", "tags": all }));
    let reply = list("?n=4");
    assert_eq!(reply.json()["tags"], json!(["1.0", "B", "_x", "a"]));
    let link = reply.header("link").unwrap();
    assert_eq!(link, "</v2/r/tags/list?last=a&n=4>; rel=\"next\"");
    let reply = list("?last=a&n=4");
    assert_eq!(reply.json()["tags"], json!(["a.b", "b"]));
    assert_eq!(reply.header("link"), None);
    assert_eq!(list("?last=a").json()["tags"], json!(["a.b", "b"]));
    assert_eq!(list("?n=6").header("link"), None);
    let reply = list("?n=0");
    assert_eq!(
        (reply.status, reply.json()["tags"].clone()),
        (200, json!([]))
    );
    assert_eq!(reply.header("link"), None);
    for wrong in ["?n=-1", "?n=x"] {
        let reply = list(wrong);
        assert_eq!(reply.code(), "PAGINATION_NUMBER_INVALID");
        assert_eq!(reply.status, 400);
    }
}

#[test]
fn repositories_are_listed_in_order_and_in_pages() {
    let registry = Registry::new();
    assert_eq!(
        registry.get("/v2/_catalog").json(),
        json!({ "repositories": [] })
    );
    for name in ["b/c", "a", "b"] {
        registry.push_image(name, "v1", b"l");
    }
    registry.push_blob("only-a-blob", b"x");
    let reply = registry.get("/v2/_catalog");
    assert_eq!(reply.json()["repositories"], json!(["a", "b", "b/c"]));
    let reply = registry.get("/v2/_catalog?n=2");
    assert_eq!(reply.json()["repositories"], json!(["a", "b"]));
    let link = reply.header("link").unwrap();
    assert_eq!(link, "</v2/_catalog?last=b&n=2>; rel=\"next\"");
    let reply = registry.get("/v2/_catalog?n=2&last=b");
    assert_eq!(reply.json()["repositories"], json!(["b/c"]));
    assert_eq!(reply.header("link"), None);
}

/// An artifact that says something about `subject`.
fn artifact(subject: &Digest, number: usize, kind: Option<&str>) -> Value {
    let mut manifest = image(b"l");
    manifest["subject"] = json!({
        "mediaType": MANIFEST, "digest": subject.to_string(), "size": 2
    });
    manifest["annotations"] = json!({ "number": number.to_string() });
    if let Some(kind) = kind {
        manifest["artifactType"] = kind.into();
    }
    manifest
}

#[test]
fn referrers_are_listed_and_filtered() {
    let registry = Registry::new();
    let (_, subject) = registry.push_image("r", "v1", b"l");
    let path = format!("/v2/r/referrers/{subject}");
    let reply = registry.get(&path);
    assert_eq!(
        (reply.status, reply.json()["manifests"].clone()),
        (200, json!([]))
    );
    let typed = registry.push_manifest("r", "t", &artifact(&subject, 1, Some("a/sbom")));
    let plain = registry.push_manifest("r", "p", &artifact(&subject, 2, None));
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [],
        "subject": { "mediaType": MANIFEST, "digest": subject.to_string(), "size": 2 },
    });
    let listed = registry.push_manifest("r", "i", &index);
    let reply = registry.get(&path);
    assert_eq!(reply.header("content-type"), Some(INDEX));
    let body = reply.json();
    assert_eq!(
        (body["schemaVersion"].as_u64(), body["mediaType"].as_str()),
        (Some(2), Some(INDEX))
    );
    let find = |digest: Digest| {
        let manifests = body["manifests"].as_array().unwrap().iter();
        let mut found = manifests.filter(|found| found["digest"] == digest.to_string());
        found.next().unwrap().clone()
    };
    let found = find(typed);
    assert_eq!(found["artifactType"], "a/sbom");
    assert_eq!(found["mediaType"], MANIFEST);
    assert_eq!(found["annotations"], json!({ "number": "1" }));
    assert!(found["size"].as_u64().unwrap() > 100);
    // Without a type of its own, an image has that of its configuration; an index has none.
    assert_eq!(
        find(plain)["artifactType"],
        gantry_types::media_type::OCI_CONFIG
    );
    assert_eq!(find(listed).get("artifactType"), None);
    assert_eq!(reply.header("oci-filters-applied"), None);

    let reply = registry.get(&format!("{path}?artifactType=a/sbom"));
    assert_eq!(reply.header("oci-filters-applied"), Some("artifactType"));
    assert_eq!(reply.json()["manifests"].as_array().unwrap().len(), 1);
    let reply = registry.get(&format!("{path}?artifactType=a%2Fother"));
    assert_eq!(reply.json()["manifests"], json!([]));
    registry.delete(&format!("/v2/r/manifests/{typed}"));
    let reply = registry.get(&format!("{path}?artifactType=a/sbom"));
    assert_eq!(reply.json()["manifests"], json!([]));
}

#[test]
fn referrers_of_what_nobody_knows_are_none() {
    let registry = Registry::new();
    let digest = Digest::of(b"none");
    let reply = registry.get(&format!("/v2/none/referrers/{digest}"));
    assert_eq!(
        (reply.status, reply.json()["manifests"].clone()),
        (200, json!([]))
    );
    let reply = registry.get("/v2/none/referrers/wrong");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (400, "DIGEST_INVALID")
    );
}

#[test]
fn many_referrers_come_in_pages() {
    let registry = Registry::new();
    let (_, subject) = registry.push_image("r", "v1", b"l");
    for number in 0..5 {
        let mut manifest = artifact(&subject, number, Some("a/b c"));
        manifest["annotations"]["long"] = "x".repeat(900_000).into();
        registry.push_manifest("r", &format!("t{number}"), &manifest);
    }
    let mut path = format!("/v2/r/referrers/{subject}?artifactType=a/b%20c");
    let mut pages = Vec::new();
    loop {
        let reply = registry.get(&path);
        assert_eq!(reply.status, 200);
        pages.push(reply.json()["manifests"].as_array().unwrap().len());
        let Some(link) = reply.header("link") else {
            break;
        };
        let (next, relation) = link.split_once(">; ").unwrap();
        assert_eq!(relation, "rel=\"next\"");
        path = next.trim_start_matches('<').to_owned();
    }
    assert_eq!(pages, [2, 2, 1]);
}
