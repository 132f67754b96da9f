//! `load`: every form, every compression, the layers that are shared.

use gantry_archive::compression::Compression;
use gantry_archive::tar::{Kind, Writer};
use gantry_image::LoadOptions;
use gantry_snapshot::DriverKind;
use gantry_types::{ChainId, Digest, ImageId};
use serde_json::json;

use crate::archives::{
    compress, config, docker_archive, file, link, multi_platform, oci_layout, tar,
};
use crate::fixture::{Fixture, require_root};

fn layers() -> Vec<Vec<u8>> {
    vec![
        tar(&[("a", b"1"), ("b", b"22")]),
        tar(&[("b", b"333"), (".wh.a", b"")]),
        tar(&[("c", b"4444")]),
    ]
}

#[test]
fn docker_archives_load_over_both_drivers() {
    require_root!();
    for kind in [DriverKind::Vfs, DriverKind::Overlay] {
        let (_root, fixture) = Fixture::with(kind);
        let archive = docker_archive(&layers(), &["busybox:latest", "a/b:1"]);
        let (ids, text) = fixture.load(&archive.tar()).unwrap();
        assert_eq!(ids, [ImageId(Digest::of(&config(&layers())))]);
        assert_eq!(text, "Loaded image: busybox:latest\nLoaded image: a/b:1\n");
        let image = fixture.images.resolve("busybox").unwrap();
        assert_eq!(image.size, 10);
        let chain = ChainId::chain(&image.diff_ids);
        assert_eq!(image.top, chain.last().copied());
        for id in &chain {
            assert!(fixture.snapshots.status(&id.to_string()).unwrap().committed);
        }
        let sizes: Vec<u64> = fixture
            .images
            .history("busybox")
            .unwrap()
            .iter()
            .map(|h| h.size)
            .collect();
        assert_eq!(sizes, [4, 3, 3]);
        // Again, and compressed as a whole: nothing new.
        let again = compress(&archive.tar(), Compression::Gzip);
        assert_eq!(fixture.load(&again).unwrap().0, ids);
        fixture.assert_holds(1, 3, 3);
    }
}

#[test]
fn an_image_without_names_says_its_id() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let (ids, text) = fixture.load(&docker_archive(&layers(), &[]).tar()).unwrap();
    assert_eq!(text, format!("Loaded image ID: {}\n", ids[0]));
}

#[test]
fn oci_layouts_keep_their_blobs() {
    require_root!();
    for format in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let (_root, fixture) = Fixture::with(DriverKind::Overlay);
        let parts = oci_layout(&layers(), format, Some("docker.io/library/x:1"));
        let (ids, text) = fixture.load(&parts.tar()).unwrap();
        assert_eq!(text, "Loaded image: x:1\n");
        assert_eq!(ids, [ImageId(Digest::of(&config(&layers())))]);
        for layer in layers() {
            assert!(
                fixture
                    .content
                    .exists(Digest::of(&compress(&layer, format)))
            );
        }
        // The manifest and three layers; the configuration is in the database.
        fixture.assert_holds(1, 3, 4);
    }
}

#[test]
fn the_hybrid_of_docker_25_keeps_the_manifest() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let mut parts = oci_layout(&layers(), Compression::None, None);
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let paths: Vec<String> = layers().iter().map(|layer| blob(layer)).collect();
    let item = json!([{
        "Config": blob(&config(&layers())), "RepoTags": ["h:1"], "Layers": paths
    }]);
    parts.add("manifest.json", item.to_string());
    let (_, text) = fixture.load(&parts.tar()).unwrap();
    assert_eq!(text, "Loaded image: h:1\n");
    fixture.assert_holds(1, 3, 4);
}

#[test]
fn an_index_gives_the_platform_of_this_host_or_the_one_asked_for() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let other = vec![tar(&[("other", b"x")])];
    let host = gantry_types::Platform::host().architecture;
    let parts = multi_platform(&[("s390x", other.clone()), (&host, layers())]);
    let (ids, _) = fixture.load(&parts.tar()).unwrap();
    assert_eq!(ids, [ImageId(Digest::of(&config(&layers())))]);
    let parts = multi_platform(&[("s390x", other)]);
    let error = fixture.load(&parts.tar()).unwrap_err().to_string();
    assert!(
        error.contains("linux/s390x") && error.contains(&host),
        "{error}"
    );
    let wrong = LoadOptions {
        platform: Some("linux/riscv64".parse().unwrap()),
    };
    let archive = docker_archive(&layers(), &["p:1"]).tar();
    let error = fixture.images.load(archive.as_slice(), &wrong, &mut |_| {});
    assert!(error.unwrap_err().to_string().contains("linux/riscv64"));
}

#[test]
fn links_for_duplicate_layers_are_followed_inside() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let layer = tar(&[("a", b"1")]);
    let twice = vec![layer.clone(), layer.clone(), layer.clone()];
    let config = config(&twice);
    let name = format!("{}.json", Digest::of(&config).hex());
    let manifest = json!([{"Config": name, "RepoTags": ["l:1"], "Layers": ["1/layer.tar", "2/layer.tar", "3/layer.tar"]}]).to_string();
    let mut writer = Writer::new(Vec::new());
    let soft = link("2/layer.tar", Kind::Symlink, "../1/layer.tar");
    let hard = link("3/layer.tar", Kind::HardLink, "1/layer.tar");
    writer.append(&soft, &b""[..]).unwrap();
    writer
        .append(&file("1/layer.tar", layer.len()), layer.as_slice())
        .unwrap();
    writer.append(&hard, &b""[..]).unwrap();
    writer
        .append(&file(&name, config.len()), config.as_slice())
        .unwrap();
    writer
        .append(
            &file("./manifest.json", manifest.len()),
            manifest.as_bytes(),
        )
        .unwrap();
    fixture.load(&writer.finish().unwrap()).unwrap();
    fixture.assert_holds(1, 3, 1);
}

#[test]
fn a_name_moves_to_the_new_image() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let (old, _) = fixture
        .load(&docker_archive(&layers(), &["x:1"]).tar())
        .unwrap();
    let new = docker_archive(&layers()[..2], &["x:1"]);
    let (_, text) = fixture.load(&new.tar()).unwrap();
    let expected = format!(
        "The image x:1 already exists, renaming the old one with ID {} to empty string\n\
         Loaded image: x:1\n",
        old[0]
    );
    assert_eq!(text, expected);
    assert!(fixture.images.get(old[0]).unwrap().references.is_empty());
    fixture.assert_holds(2, 3, 3);
}

#[test]
fn layers_are_shared_with_what_is_there() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    fixture
        .load(&docker_archive(&layers(), &["x:1"]).tar())
        .unwrap();
    // The snapshots are there, but not the blobs that this manifest names.
    let parts = oci_layout(&layers()[..2], Compression::Gzip, Some("y:1"));
    fixture.load(&parts.tar()).unwrap();
    fixture.assert_holds(2, 3, 3 + 3);
    let shared = gantry_image::ListFilter {
        shared_size: true,
        ..Default::default()
    };
    let list = fixture.images.list(&shared).unwrap();
    assert!(
        list.iter().all(|image| image.shared_size == Some(6)),
        "{list:?}"
    );
}
