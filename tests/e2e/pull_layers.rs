//! Layers that come from elsewhere, and layers that are bombs.

use gantry_types::Digest;

use crate::gantry_only;
use crate::harness::registry::{Fault, Registry, gzip};
use crate::harness::{Engine, busybox_tar, finish, script};
use crate::pull::nothing_is_left;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OWN: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Lets a tag name an image of one packed layer.
fn image(registry: &Registry, tag: &str, layer: serde_json::Value, diff_id: Digest) {
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["echo", "here"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let config = config.to_string().into_bytes();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer],
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": registry.add_blob(&config), "size": config.len(),
        },
    });
    registry.tag(tag, MANIFEST, manifest.to_string().into_bytes());
}

#[test]
fn a_foreign_layer_comes_from_its_url() {
    let engine = Engine::start();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    let plain = std::fs::read(busybox_tar()).expect("the tar");
    let (packed, diff_id) = (gzip(&plain), Digest::of(&plain));
    let digest = registry.add_blob(&packed);
    let elsewhere = format!("http://127.0.0.1:5000/elsewhere/blobs/{digest}");
    let layer = |media_type: &str, urls: &[&str]| {
        serde_json::json!({
            "mediaType": media_type, "digest": digest, "size": packed.len(), "urls": urls,
        })
    };
    let nowhere = "http://127.0.0.1:5009/nothing";
    image(
        &registry,
        "foreign",
        layer(FOREIGN, &[nowhere, &elsewhere]),
        diff_id,
    );
    image(&registry, "gone", layer(FOREIGN, &[nowhere]), diff_id);
    image(
        &registry,
        "file",
        layer(FOREIGN, &["file:///etc/passwd"]),
        diff_id,
    );
    image(&registry, "own", layer(OWN, &[&elsewhere]), diff_id);
    let held_back = digest.to_string();
    registry.plan(move |asked| {
        match asked.path.starts_with("/v2/") && asked.path.ends_with(&held_back) {
            true => Fault::Raw(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n".to_vec()),
            false => Fault::None,
        }
    });
    let name = |tag: &str| format!("127.0.0.1:5000/team/app:{tag}");
    for tag in ["gone", "file", "own"] {
        // A layer that is not foreign is looked for in the registry alone.
        engine.docker(&["pull", &name(tag)]).code(1);
        nothing_is_left(&engine, tag);
    }
    engine.docker(&["pull", &name("foreign")]).ok();
    let ran = engine.docker(&["run", "--rm", &name("foreign")]).ok();
    ran.prints("here\n");
    assert!(
        registry
            .asked()
            .iter()
            .any(|asked| asked.path.starts_with("/elsewhere/"))
    );
}

/// An archive of one file of so many zeros, packed by gzip: a thousandth of it.
fn bomb(megabytes: usize) -> (Vec<u8>, Digest) {
    let dir = tempfile::tempdir().expect("a folder");
    let text = format!(
        "cd {} && truncate -s {megabytes}M zeros && tar -cf bomb zeros && sha256sum bomb && \
         gzip -n bomb",
        dir.path().display()
    );
    let summed = finish(&mut script(&text), b"").ok().stdout;
    let hex = summed.split(' ').next().unwrap_or_default();
    let packed = std::fs::read(dir.path().join("bomb.gz")).expect("the packed archive");
    (packed, format!("sha256:{hex}").parse().expect("a digest"))
}

#[test]
fn a_gzip_bomb_fills_neither_memory_nor_disk() {
    let mut engine = Engine::start();
    gantry_only!(engine);
    engine.stop_daemon();
    let root = engine.data_root().display().to_string();
    let mount = format!("rm -rf {root}/*; mount -t tmpfs -o size=48m gantry-bomb {root}");
    finish(&mut script(&mount), b"").ok();
    engine.boot();
    let registry = Registry::start(&engine);
    // A tenth of a percent of it comes over the wire.
    let (packed, diff_id) = bomb(300);
    assert!(packed.len() < 1 << 20);
    let digest = registry.add_blob(&packed);
    let layer = serde_json::json!({"mediaType": OWN, "digest": digest, "size": packed.len()});
    image(&registry, "bomb", layer, diff_id);
    let failed = engine.docker(&["pull", "127.0.0.1:5000/team/app:bomb"]);
    let anonymous = anonymous_memory(engine.pid());
    nothing_is_left(&engine, "the bomb");
    let pulled = engine.docker(&["pull", crate::harness::registry::IMAGE]);
    engine.stop_daemon();
    finish(&mut script(&format!("umount {root}")), b"").ok();
    engine.boot();
    failed.code(1).says("No space left on device");
    pulled.ok();
    assert!(anonymous < 64 << 20, "{anonymous}");
}

/// What a process has written to its memory.
fn anonymous_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .expect("a number");
    kib << 10
}
