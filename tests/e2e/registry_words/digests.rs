//! Parts of images that are named by sha512.

use gantry_types::Digest;

use crate::gantry_only;
use crate::harness::Engine;
use crate::harness::served::Registry;

#[test]
fn an_image_may_name_its_parts_by_sha512() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let registry = Registry::ours(&engine, 5000);
    let short = registry.name("team/short:1");
    engine.docker(&["tag", "busybox", &short]).ok();
    engine.docker(&["push", "-q", &short]).ok();
    engine.docker(&["rmi", &short, "busybox"]).ok();
    // The same parts under other names.
    let long: Digest = format!("sha512:{}", "0".repeat(128))
        .parse()
        .expect("a digest");
    let mut manifest = registry.manifest("team/short", "1");
    let file = engine.dir().join("part").display().to_string();
    let data = format!("@{file}");
    let put = |verb: &str, path: &str, kind: &str| {
        let kind = format!("Content-Type: {kind}");
        let args = ["-f", "-X", verb, "-H", &kind, "--data-binary", &data];
        registry.get(path, &args).ok();
    };
    let parsed: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    for part in [&parsed["config"], &parsed["layers"][0]] {
        let digest = part["digest"].as_str().expect("a digest");
        registry
            .get(&format!("team/short/blobs/{digest}"), &["-f", "-o", &file])
            .ok();
        let other = long
            .like(&std::fs::read(&file).expect("a blob"))
            .to_string();
        let path = format!("team/long/blobs/uploads/?digest={other}");
        put("POST", &path, "application/octet-stream");
        manifest = manifest.replace(digest, &other);
    }
    std::fs::write(&file, &manifest).expect("a file");
    let digest = long.like(manifest.as_bytes()).to_string();
    let kind = parsed["mediaType"].as_str().expect("a type");
    for reference in ["1", &digest] {
        put("PUT", &format!("team/long/manifests/{reference}"), kind);
    }
    let name = registry.name("team/long");
    for image in [format!("{name}:1"), format!("{name}@{digest}")] {
        engine.docker(&["pull", &image]).ok();
        let run = ["run", "--rm", &image, "echo", "ran"];
        engine.docker(&run).ok().prints("ran\n");
    }
    registry.gantry(&engine, &["system", "check"]).ok();
    // It leaves again, and by an archive.
    let other = registry.name("team/other:1");
    engine.docker(&["tag", &format!("{name}:1"), &other]).ok();
    engine.docker(&["push", &other]).ok();
    let archive = engine.dir().join("long.tar").display().to_string();
    engine.docker(&["save", "-o", &archive, &other]).ok();
    let ids = engine.docker(&["images", "-q", "--no-trunc"]).ok().stdout;
    let ids: std::collections::BTreeSet<&str> = ids.lines().collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    engine
        .docker(&[&["rmi", "-f"], ids.as_slice()].concat())
        .ok();
    engine.docker(&["load", "-i", &archive]).ok();
    engine
        .docker(&["run", "--rm", &other, "echo", "ran"])
        .ok()
        .prints("ran\n");
    engine.docker(&["rmi", &other]).ok();
    engine.docker(&["pull", &other]).ok();
    engine
        .docker(&["run", "--rm", &other, "echo", "ran"])
        .ok()
        .prints("ran\n");
}
