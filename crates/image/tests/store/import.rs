//! `import`: every compression, the configuration, names.

use std::io::Cursor;

use gantry_archive::compression::Compression;
use gantry_image::{BuiltIn, ImportOptions};
use gantry_snapshot::DriverKind;
use gantry_types::{ChainId, DiffId, Digest};

use crate::archives::{compress, tar};
use crate::fixture::{Fixture, require_root};

#[test]
fn one_layer_whatever_the_compression() {
    require_root!();
    for kind in [DriverKind::Vfs, DriverKind::Overlay] {
        let (_root, fixture) = Fixture::with(kind);
        let plain = tar(&[("a", b"1"), ("b", b"22")]);
        for format in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let archive = compress(&plain, format);
            let id = fixture.import(&archive, "x");
            let image = fixture.images.get(id).unwrap();
            let diff_id = DiffId(Digest::of(&plain));
            assert_eq!(image.diff_ids, [diff_id]);
            assert_eq!(image.size, 3);
            assert_eq!(image.top, Some(ChainId(diff_id.0)));
            assert_eq!(image.repo_tags(), ["x:latest"]);
        }
        // One snapshot; plain bytes were packed with zstd, the others kept.
        assert_eq!(fixture.snapshots.list().len(), 1);
        assert_eq!(fixture.images.count().unwrap(), 3);
        fixture
            .prepare(&fixture.images.resolve("x").unwrap(), "c")
            .unwrap();
        fixture.snapshots.mounts("c").unwrap();
        fixture.snapshots.remove("c").unwrap();
    }
}

#[test]
fn bytes_are_kept_for_a_push() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let plain = tar(&[("a", b"1")]);
    let packed = compress(&plain, Compression::Gzip);
    fixture.import(&packed, "x");
    let blobs = fixture.content.list().unwrap();
    assert_eq!(blobs, [Digest::of(&packed)]);
    assert_eq!(fixture.content.read(blobs[0], 1 << 20).unwrap(), packed);
    let rows = fixture
        .database
        .read(|view| gantry_metadata::layers::by_diff_id(view, DiffId(Digest::of(&plain))))
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        rows[0].media_type,
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
}

#[test]
fn changes_and_message_are_in_the_configuration() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let options = ImportOptions {
        reference: gantry_image::tag_reference("a/b", "c").unwrap(),
        message: "why".to_owned(),
        changes: vec!["CMD [\"x\"]".to_owned(), "ENV A=1".to_owned()],
        engine_version: "0.1.0".to_owned(),
        platform: Some("linux/arm64/v8".parse().unwrap()),
    };
    let archive = tar(&[("a", b"1")]);
    let imported = fixture.images.import(archive.as_slice(), &options).unwrap();
    let image = fixture.images.resolve("a/b:c").unwrap();
    assert_eq!(image.id, imported.id);
    assert_eq!(image.platform().to_string(), "linux/arm64/v8");
    assert_eq!(image.config.comment.as_deref(), Some("why"));
    let config = image.config.config.clone().unwrap();
    assert_eq!(config.cmd.unwrap(), ["x"]);
    let history = fixture.images.history("a/b:c").unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].id, Some(image.id));
    assert_eq!((history[0].comment.as_str(), history[0].size), ("why", 1));
    assert_eq!(history[0].tags, ["a/b:c"]);
}

#[test]
fn nothing_is_left_of_a_refused_import() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let mut archive = tar(&[("a", b"1")]);
    archive.extend_from_slice(&tar(&[("../../x", b"2")]));
    let archive = tar(&[("ok", &archive), ("../../x", b"2")]);
    let error = fixture
        .images
        .import(archive.as_slice(), &ImportOptions::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("../../x"), "{error}");
    fixture.assert_holds(0, 0, 0);
    let wrong = ImportOptions {
        changes: vec!["RUN x".to_owned()],
        ..ImportOptions::default()
    };
    let error = fixture.images.import(&b""[..], &wrong).unwrap_err();
    assert_eq!(error.to_string(), "RUN is not a valid change command");
}

#[test]
fn the_embedded_image_is_always_the_same() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let name = "gantry/hello".parse().unwrap();
    let hello = BuiltIn::Hello;
    let first = fixture
        .images
        .ensure_embedded(&name, hello, Cursor::new(b"program"))
        .unwrap();
    assert_eq!(
        fixture
            .images
            .ensure_embedded(&name, hello, Cursor::new(b"program"))
            .unwrap(),
        first
    );
    let (_root, other) = Fixture::new();
    assert_eq!(
        other
            .images
            .ensure_embedded(&name, hello, Cursor::new(b"program"))
            .unwrap(),
        first
    );
    let image = fixture.images.resolve("gantry/hello").unwrap();
    assert_eq!(image.config.config.unwrap().cmd.unwrap(), ["/hello"]);
    fixture.assert_holds(1, 1, 1);
    // A new program takes the name.
    let second = fixture
        .images
        .ensure_embedded(&name, hello, Cursor::new(b"other"))
        .unwrap();
    assert_eq!(fixture.images.resolve("gantry/hello").unwrap().id, second);
    // The registry is this program, however large.
    let name = "gantry/registry".parse().unwrap();
    let program = std::fs::File::open("/proc/self/exe").unwrap();
    let images = &fixture.images;
    images
        .ensure_embedded(&name, BuiltIn::Registry, program)
        .unwrap();
    let config = images.resolve("gantry/registry").unwrap().config;
    let config = config.config.unwrap();
    assert_eq!(config.entrypoint.unwrap(), ["/gantry", "registry", "serve"]);
    assert!(config.exposed_ports.unwrap().contains_key("5000/tcp"));
}
