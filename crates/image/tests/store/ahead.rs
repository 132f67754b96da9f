//! What is unpacked before it is known to be wanted.

use gantry_archive::compression::Compression;
use gantry_snapshot::DriverKind;

use crate::archives::{Parts, compress, docker_archive, oci_layout, tar};
use crate::fixture::{Fixture, require_root};

fn layers() -> Vec<Vec<u8>> {
    vec![tar(&[("a", b"1")]), tar(&[("b", &[7; 100_000])])]
}

/// `docker_archive`, with the layers compressed.
fn packed(layers: &[Vec<u8>], format: Compression) -> Parts {
    let mut parts = docker_archive(layers, &["x:1"]);
    for (name, data) in &mut parts.0 {
        if name.ends_with("layer.tar") {
            *data = compress(data, format);
        }
    }
    parts
}

#[test]
fn packed_layers_of_all_forms_are_loaded_once() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    for format in [Compression::Gzip, Compression::Zstd] {
        let docker = packed(&layers(), format).tar();
        let oci = oci_layout(&layers(), format, Some("x:1")).tar();
        let first = fixture.load(&docker).unwrap();
        assert_eq!(fixture.load(&docker).unwrap(), first);
        assert_eq!(fixture.load(&oci).unwrap().0, first.0);
    }
    // The manifests of both layouts, and each layer in both packings.
    assert_eq!(fixture.images.count().unwrap(), 1);
    assert_eq!(fixture.snapshots.list().len(), 2);
}

#[test]
fn what_no_image_wants_leaves_nothing() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let mut parts = Parts::default();
    let junk = [
        compress(&tar(&[("junk", b"junk")]), Compression::Gzip),
        compress(b"no layer", Compression::Gzip),
        compress(&tar(&[("../junk", b"junk")]), Compression::Zstd),
        b"\x1f\x8b\x08 not even packed".to_vec(),
        tar(&[("plain", b"junk")]),
    ];
    for (number, junk) in junk.into_iter().enumerate() {
        parts.add(format!("junk{number}"), junk);
    }
    parts.0.extend(packed(&layers(), Compression::Gzip).0);
    parts.add(
        "after",
        compress(&tar(&[("more", b"junk")]), Compression::Gzip),
    );
    fixture.load(&parts.tar()).unwrap();
    fixture.assert_holds(1, 2, 2);
}

#[test]
fn an_archive_that_breaks_off_leaves_nothing() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let whole = packed(&layers(), Compression::Gzip).tar();
    // The zeros at its end may be missing: nothing is lost then.
    let content = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for end in (0..content).step_by(content / 29) {
        assert!(fixture.load(&whole[..end]).is_err(), "{end}");
        fixture.assert_holds(0, 0, 0);
    }
}

#[test]
fn what_is_damaged_is_named() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    for format in [Compression::Gzip, Compression::Zstd] {
        let parts = packed(&layers(), format);
        let length = parts.0[1].1.len();
        for at in (6..length).step_by(1 + length / 17) {
            let mut damaged = parts.clone();
            damaged.0[1].1[at] ^= 0x55;
            let error = fixture.load(&damaged.tar()).map(drop);
            // A header has bytes that mean nothing.
            if let Err(error) = error {
                let text = error.to_string();
                assert!(text.contains("1/layer.tar"), "byte {at}: {text}");
                fixture.assert_holds(0, 0, 0);
            } else {
                let options = gantry_image::RemoveOptions::default();
                let nobody = |_: gantry_types::ImageId| Ok(Vec::new());
                fixture.images.remove("x:1", options, &nobody).unwrap();
            }
        }
    }
}

#[test]
fn loads_of_one_image_at_once_agree() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let archive = packed(&layers(), Compression::Gzip).tar();
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| fixture.load(&archive).unwrap());
            }
        });
        fixture.assert_holds(1, 2, 2);
        let options = gantry_image::RemoveOptions::default();
        let nobody = |_: gantry_types::ImageId| Ok(Vec::new());
        fixture.images.remove("x:1", options, &nobody).unwrap();
        fixture.assert_holds(0, 0, 0);
    }
}
