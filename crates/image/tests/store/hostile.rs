//! Archives that must be refused, with the entry's name, leaving nothing.

use gantry_archive::compression::Compression;
use gantry_archive::tar::{Entry, Kind, Writer};
use gantry_snapshot::DriverKind;
use gantry_types::Digest;
use serde_json::json;

use crate::archives::{Parts, compress, docker_archive, file, link, oci_layout, tar};
use crate::fixture::{Fixture, require_root};

fn layers() -> Vec<Vec<u8>> {
    vec![tar(&[("a", b"1")]), tar(&[("b", b"22")])]
}

/// Loads each archive into the same store and checks the error's words; with
/// the driver that unpacks ahead, and with the one that does not.
fn refuse(cases: &[(&str, Vec<u8>)]) {
    refuse_with(DriverKind::Overlay, cases);
    refuse_with(DriverKind::Vfs, cases);
}

fn refuse_with(kind: DriverKind, cases: &[(&str, Vec<u8>)]) {
    let (_root, fixture) = Fixture::with(kind);
    for (words, archive) in cases {
        let error = match fixture.load(archive) {
            Ok(loaded) => panic!("loaded {loaded:?}, expected {words:?}"),
            Err(error) => error.to_string(),
        };
        for word in words.split('|') {
            assert!(error.contains(word), "{error:?} has not {word:?}");
        }
        fixture.assert_holds(0, 0, 0);
    }
}

fn replaced(parts: &Parts, change: impl Fn(&str, &mut Vec<u8>)) -> Vec<u8> {
    let mut parts = parts.clone();
    for (name, data) in &mut parts.0 {
        change(name, data);
    }
    parts.tar()
}

#[test]
fn wrong_digests_and_diff_ids() {
    require_root!();
    let docker = docker_archive(&layers(), &["x:1"]);
    let oci = oci_layout(&layers(), Compression::Gzip, Some("x:1"));
    let second = format!(
        "blobs/sha256/{}",
        Digest::of(&compress(&layers()[1], Compression::Gzip)).hex()
    );
    refuse(&[
        (
            "1/layer.tar|invalid diffID",
            replaced(&docker, |name, data| {
                if name.ends_with("1/layer.tar") {
                    *data = tar(&[("b", b"23")]);
                }
            }),
        ),
        (
            ".json|unexpected digest",
            replaced(&docker, |name, data| {
                if name.ends_with(".json") && name != "manifest.json" {
                    data.push(b' ');
                }
            }),
        ),
        (
            &format!("{second}|unexpected digest"),
            replaced(&oci, |name, data| {
                if name == second {
                    *data = compress(&layers()[1], Compression::Zstd);
                }
            }),
        ),
        (
            "unexpected digest",
            replaced(&oci, |name, data| {
                let text = String::from_utf8_lossy(data);
                if name.starts_with("blobs") && text.contains("\"layers\":[") {
                    data.push(b' ');
                }
            }),
        ),
    ]);
}

#[test]
fn missing_and_truncated() {
    require_root!();
    let docker = docker_archive(&layers(), &["x:1"]);
    let mut missing = docker.clone();
    missing.0.remove(1);
    let mut lengths = docker.clone();
    lengths.0.last_mut().unwrap().1 = {
        let text = String::from_utf8(docker.0.last().unwrap().1.clone()).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value[0]["Layers"].as_array_mut().unwrap().pop();
        value.to_string().into_bytes()
    };
    let whole = docker.tar();
    let gzip = compress(&whole, Compression::Gzip);
    refuse(&[
        ("1/layer.tar|not in the archive", missing.tar()),
        ("layers length mismatch: expected 1, got 2", lengths.tar()),
        ("", whole[..700].to_vec()),
        ("", gzip[..gzip.len() / 2].to_vec()),
        ("not an image archive", tar(&[("a", b"1")])),
        ("not an image archive", Vec::new()),
        ("repositories", tar(&[("repositories", b"{}")])),
        ("manifest.json", tar(&[("manifest.json", b"{")])),
        (
            "index.json|names no image",
            tar(&[("index.json", b"{\"schemaVersion\":2,\"manifests\":[]}")]),
        ),
    ]);
}

#[test]
fn names_and_links_that_leave_the_archive() {
    require_root!();
    let with = |entry: Entry| {
        let mut writer = Writer::new(Vec::new());
        writer.append(&entry, &b""[..]).unwrap();
        let manifest = json!([{"Config": "config", "RepoTags": null, "Layers": []}]).to_string();
        let manifest_entry = file("manifest.json", manifest.len());
        writer.append(&manifest_entry, manifest.as_bytes()).unwrap();
        writer.finish().unwrap()
    };
    let manifest = |config: &str| {
        let text = json!([{"Config": config, "RepoTags": null, "Layers": []}]).to_string();
        tar(&[("manifest.json", text.as_bytes())])
    };
    refuse(&[
        ("../x|leaves the archive", with(file("../x", 0))),
        ("/etc/x|absolute", with(file("/etc/x", 0))),
        (
            "config|leaves",
            with(link("config", Kind::Symlink, "../../etc/passwd")),
        ),
        (
            "config|absolute",
            with(link("config", Kind::Symlink, "/etc/passwd")),
        ),
        (
            "config|links to \"x\"",
            with(link("config", Kind::HardLink, "x")),
        ),
        (
            "config|too many links",
            with(link("config", Kind::Symlink, "config")),
        ),
        (
            "config|devices",
            with(Entry::new("config", Kind::CharDevice)),
        ),
        ("../../etc/passwd|leaves", manifest("../../etc/passwd")),
        ("/etc/passwd|absolute", manifest("/etc/passwd")),
        ("longer than 1024", with(file(&"x/".repeat(600), 0))),
    ]);
}

#[test]
fn documents_that_are_too_large_or_not_for_us() {
    require_root!();
    let with_config = |config: serde_json::Value, layers: usize| {
        let config = config.to_string();
        let paths = vec!["l"; layers];
        let manifest = json!([{"Config": "c", "RepoTags": ["x:1"], "Layers": paths}]).to_string();
        let layer = tar(&[]);
        tar(&[
            ("c", config.as_bytes()),
            ("l", &layer),
            ("manifest.json", manifest.as_bytes()),
        ])
    };
    let base = |os: &str, kind: &str, count: usize| {
        let diff_ids = vec![Digest::of(&tar(&[])); count];
        json!({"architecture": "amd64", "os": os, "rootfs": {"type": kind, "diff_ids": diff_ids}})
    };
    let large = vec![b' '; 5 << 20];
    let tag = json!([{"Config": "c", "RepoTags": ["../x"], "Layers": []}]).to_string();
    refuse(&[
        (
            "manifest.json|larger than",
            tar(&[("manifest.json", &large)]),
        ),
        ("c|windows", with_config(base("windows", "layers", 1), 1)),
        ("c|rootfs", with_config(base("linux", "other", 1), 1)),
        (
            "max depth exceeded",
            with_config(base("linux", "layers", 128), 128),
        ),
        (
            "max depth exceeded",
            with_config(base("linux", "layers", 128), 1),
        ),
        ("c|missing field", with_config(json!({}), 0)),
        (
            "manifest.json|tag \"../x\"",
            tar(&[("c", b"{}"), ("manifest.json", tag.as_bytes())]),
        ),
    ]);
}

#[test]
fn a_hostile_layer_is_named() {
    require_root!();
    let evil = tar(&[("../../evil", b"x")]);
    let layers = vec![tar(&[("a", b"1")]), evil];
    refuse(&[
        (
            "1/layer.tar|../../evil",
            docker_archive(&layers, &["x:1"]).tar(),
        ),
        (
            "../../evil",
            oci_layout(&layers, Compression::Zstd, None).tar(),
        ),
    ]);
}

#[test]
fn bombs_are_stopped_by_the_limits() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let limits = gantry_image::Limits {
        archive_bytes: 8 << 20,
        layer_bytes: 2 << 20,
        layer_entries: 100,
    };
    let store = gantry_image::ImageStore::open_with(
        std::sync::Arc::clone(&fixture.database),
        fixture.content.clone(),
        std::sync::Arc::clone(&fixture.snapshots),
        limits,
    )
    .unwrap();
    let zeros = tar(&[("zeros", &vec![0; 4 << 20])]);
    let many: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let packed = |layer: Vec<u8>| oci_layout(&[layer], Compression::Gzip, None).tar();
    let huge = compress(&tar(&[("x", &vec![0; 9 << 20])]), Compression::Gzip);
    for (archive, words) in [
        (packed(zeros.clone()), ["2097152", "zeros"]),
        (packed(tar(&many)), ["100", "entr"]),
        (huge, ["8388608", "x"]),
    ] {
        let error = store.load(archive.as_slice(), &Default::default(), &mut |_| {});
        let error = error.unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        fixture.assert_holds(0, 0, 0);
    }
    let gzip = compress(&zeros, Compression::Gzip);
    let error = store
        .import(gzip.as_slice(), &Default::default())
        .unwrap_err();
    assert!(error.to_string().contains("2097152"), "{error}");
    fixture.assert_holds(0, 0, 0);
}

#[test]
fn what_came_before_a_refused_image_stays() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    fixture
        .load(&docker_archive(&layers()[..1], &["x:1"]).tar())
        .unwrap();
    let bad = replaced(&docker_archive(&layers(), &["x:1"]), |name, data| {
        if name.ends_with("1/layer.tar") {
            *data = tar(&[("b", b"23")]);
        }
    });
    fixture.load(&bad).unwrap_err();
    fixture.assert_holds(1, 1, 1);
    fixture.images.resolve("x:1").unwrap();
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Whatever one byte becomes, the store refuses or loads, and is sound.
    #[test]
    fn damaged_archives_leave_a_sound_store(at in 0.0..1.0f64, byte: u8) {
        if crate::fixture::is_root("hostile") {
            let (_root, fixture) = Fixture::new();
            let mut archive = oci_layout(&layers(), Compression::Gzip, Some("x:1")).tar();
            let place = (archive.len() as f64 * at) as usize;
            archive[place] = byte;
            match fixture.load(&archive) {
                Ok(_) => assert_eq!(fixture.images.count().unwrap(), 1),
                Err(_) => fixture.assert_holds(0, 0, 0),
            }
        }
    }
}
