//! Everything damaged in turn: it is found, and repaired where that can be.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gantry_archive::compression::Compression;
use gantry_image::{CheckOptions, CommitOptions, Finding, Image, RemoveOptions};
use gantry_metadata::{blobs, images, layers, leases, references};
use gantry_snapshot::DriverKind;
use gantry_types::{Digest, ImageId, media_type};

use crate::archives::{docker_archive, oci_layout, tar};
use crate::fixture::{Fixture, require_root};

const QUICK: CheckOptions = CheckOptions {
    repair: false,
    quick: true,
};
const FULL: CheckOptions = CheckOptions {
    repair: false,
    quick: false,
};
const REPAIR: CheckOptions = CheckOptions {
    repair: true,
    quick: false,
};

fn check(fixture: &Fixture, options: CheckOptions) -> Vec<Finding> {
    check_used(fixture, options, false)
}

fn check_used(fixture: &Fixture, options: CheckOptions, in_use: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut tell = |finding: Finding| {
        found.push(finding);
        true
    };
    let checked = fixture.images.check(options, &|_| in_use, &mut tell);
    assert_eq!(checked.unwrap().images, fixture.images.count().unwrap());
    found
}

/// Two layers of an archive, with which the whole is whole.
fn loaded(kind: DriverKind) -> (tempfile::TempDir, Fixture, Image) {
    let (root, fixture) = Fixture::with(kind);
    let layers = [
        tar(&[("etc/name", b"below"), ("gone", b"x")]),
        tar(&[("top", &[7; 9000]), (".wh.gone", b"")]),
    ];
    let archive = docker_archive(&layers, &["whole:1"]).tar();
    fixture.load(&archive).unwrap();
    assert_eq!(check(&fixture, FULL), []);
    let image = fixture.images.resolve("whole:1").unwrap();
    (root, fixture, image)
}

fn top(fixture: &Fixture, image: &Image) -> PathBuf {
    let top = image.top.unwrap().to_string();
    fixture.snapshots.directory(&top).unwrap()
}

fn blob_files(root: &Path) -> Vec<PathBuf> {
    let directory = root.join("content/blobs/sha256");
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// One finding of this kind, not repaired unless that is asked for, and nothing
/// afterwards.
fn is_repaired(fixture: &Fixture, kind: &str, problem: &str) {
    let found = check(fixture, FULL);
    assert!(
        found
            .iter()
            .any(|f| f.kind == kind && f.problem.contains(problem)),
        "{found:#?}"
    );
    assert!(found.iter().all(|f| f.repaired.is_none()), "{found:#?}");
    let found = check(fixture, REPAIR);
    assert!(found.iter().all(|f| f.repaired.is_some()), "{found:#?}");
    assert_eq!(check(fixture, FULL), []);
}

#[test]
fn damaged_layers_are_unpacked_again() {
    require_root!();
    for kind in [DriverKind::Vfs, DriverKind::Overlay] {
        let (_root, fixture, image) = loaded(kind);
        let file = top(&fixture, &image).join("top");
        std::fs::write(&file, [8; 9000]).unwrap();
        is_repaired(&fixture, "layer", "\"top\" is of another time");
        let file = top(&fixture, &image).join("top");
        assert_eq!(std::fs::read(&file).unwrap(), [7; 9000]);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        is_repaired(
            &fixture,
            "layer",
            "\"top\" is with other owners or permissions",
        );
        std::fs::remove_file(top(&fixture, &image).join("top")).unwrap();
        is_repaired(&fixture, "layer", "\"top\" is missing");
        std::fs::write(top(&fixture, &image).join("foreign"), "x").unwrap();
        assert_eq!(check(&fixture, QUICK), [], "it does not look into layers");
        is_repaired(&fixture, "layer", "\"foreign\" is not of the layer");
        let home = top(&fixture, &image).parent().unwrap().to_owned();
        std::fs::remove_dir_all(&home).unwrap();
        assert_eq!(check(&fixture, QUICK).len(), 1);
        is_repaired(&fixture, "layer", "is gone");
        fixture.prepare(&image, "container").unwrap();
    }
}

#[test]
fn a_layer_in_use_stays_as_it_is() {
    require_root!();
    let (_root, fixture, image) = loaded(DriverKind::Overlay);
    std::fs::remove_file(top(&fixture, &image).join("top")).unwrap();
    let found = check_used(&fixture, REPAIR, true);
    assert!(
        found[0]
            .advice
            .as_ref()
            .unwrap()
            .contains("running container"),
        "{found:#?}"
    );
    assert!(!top(&fixture, &image).join("top").exists());
}

#[test]
fn a_layer_without_a_record_is_unpacked_again() {
    require_root!();
    let (_root, fixture, image) = loaded(DriverKind::Overlay);
    fixture
        .snapshots
        .remove(&image.top.unwrap().to_string())
        .unwrap();
    is_repaired(&fixture, "layer", "is not unpacked");
}

#[test]
fn damaged_blobs_of_layers_that_are_whole_go() {
    require_root!();
    let (root, fixture, image) = loaded(DriverKind::Overlay);
    fixture.prepare(&image, "container").unwrap();
    let upper = fixture.snapshots.directory("container").unwrap();
    std::fs::write(upper.join("new"), vec![5; 50_000]).unwrap();
    let options = CommitOptions::default();
    let images = &fixture.images;
    let made = images.commit("container", Some(image.id), &options, &|_| false);
    let made = images.get(made.unwrap().id).unwrap();
    let before = blob_files(root.path());
    let packed = fixture.content.put(b"as it has left", None).unwrap();
    let row = layers::LayerRow {
        diff_id: *made.diff_ids.last().unwrap(),
        blob: packed.digest(),
        media_type: media_type::OCI_LAYER.to_owned(),
        size: 50_000,
        blob_size: packed.size(),
    };
    let insert = |tx: &gantry_metadata::Tx<'_>| {
        blobs::insert(tx, row.blob, row.blob_size)?;
        layers::insert(tx, &row)
    };
    fixture.database.write(insert).unwrap();
    drop(packed);
    let name = row.blob.to_string();
    let name = name.trim_start_matches("sha256:");
    let path = root.path().join("content/blobs/sha256").join(name);
    std::fs::write(path, b"less").unwrap();
    is_repaired(&fixture, "blob", "bytes long instead of");
    assert_eq!(blob_files(root.path()), before);
}

#[test]
fn foreign_blobs_are_fetched_again_by_the_next_load() {
    require_root!();
    for kind in [DriverKind::Vfs, DriverKind::Overlay] {
        let (root, fixture, _) = loaded(kind);
        let layers = [tar(&[("a/b", b"x"), ("c", b"y")])];
        let archive = docker_archive(&layers, &["other:1"]).tar();
        let before = blob_files(root.path());
        fixture.load(&archive).unwrap();
        let after = blob_files(root.path());
        for blob in after.iter().filter(|path| !before.contains(path)) {
            std::fs::remove_file(blob).unwrap();
        }
        let found = check(&fixture, REPAIR);
        assert_eq!(found[0].problem, "missing (of other:1)");
        let advice = found[0].advice.as_ref().unwrap();
        assert!(
            advice.contains("pull or load the image again"),
            "{found:#?}"
        );
        let found = check(&fixture, FULL);
        assert!(found[0].problem.contains("has no blob"), "{found:#?}");
        fixture.load(&archive).unwrap();
        assert_eq!(check(&fixture, FULL), []);
    }
}

#[test]
fn what_nobody_knows_is_removed() {
    require_root!();
    let (root, fixture, image) = loaded(DriverKind::Overlay);
    let stray = root
        .path()
        .join("content/blobs/sha256")
        .join("ab".repeat(32));
    std::fs::write(&stray, "x").unwrap();
    is_repaired(&fixture, "blob", "is not in any record");
    assert!(!stray.exists());
    let stray = root.path().join("snapshots/overlay/4711/fs");
    std::fs::create_dir_all(&stray).unwrap();
    is_repaired(&fixture, "directory", "is not in any record");
    assert!(!stray.exists());
    fixture.snapshots.create("layer", None).unwrap();
    let chain = Digest::of(b"nothing").to_string();
    fixture.snapshots.commit("layer", &chain, None).unwrap();
    is_repaired(&fixture, "layer", "is of no image");
    assert!(fixture.snapshots.status(&chain).is_err());
    fixture
        .database
        .write(|tx| leases::insert(tx, "nobody", "nothing"))
        .unwrap();
    is_repaired(&fixture, "lease", "which has ended");
    let lease = fixture.images.lease("test", image.id).unwrap();
    assert_eq!(check(&fixture, REPAIR), []);
    drop(lease);
}

#[test]
fn what_is_being_made_is_no_damage() {
    require_root!();
    let (_root, fixture, image) = loaded(DriverKind::Overlay);
    let held = fixture.content.put(b"not recorded yet", None).unwrap();
    fixture.prepare(&image, "container").unwrap();
    assert_eq!(check(&fixture, REPAIR), []);
    assert!(fixture.content.exists(held.digest()));
    fixture.snapshots.status("container").unwrap();
}

#[test]
fn a_blob_that_an_operation_holds_is_left() {
    require_root!();
    let (root, fixture, _) = loaded(DriverKind::Vfs);
    let rows = fixture.database.read(blobs::list).unwrap();
    std::fs::remove_file(blob_files(root.path()).pop().unwrap()).unwrap();
    let hold = |tx: &gantry_metadata::Tx<'_>| {
        leases::insert(tx, "l", "test")?;
        for row in &rows {
            let key = row.digest.to_string();
            leases::hold(tx, "l", leases::Kind::Blob, &key)?;
        }
        Ok::<_, gantry_metadata::Error>(())
    };
    fixture.database.write(hold).unwrap();
    let options = CheckOptions {
        repair: true,
        quick: true,
    };
    let mut found = check(&fixture, options);
    // The lease of nobody goes first; the blob can go then.
    assert_eq!(found.remove(0).kind, "lease");
    assert!(found[0].repaired.is_none(), "{found:#?}");
    assert_eq!(
        fixture.database.read(references::dangling).unwrap(),
        [""; 0]
    );
}

#[test]
fn a_damaged_manifest_is_forgotten_and_the_image_goes_on() {
    require_root!();
    let (root, fixture) = Fixture::with(DriverKind::Overlay);
    let layers = [tar(&[("a", b"b")])];
    let archive = oci_layout(&layers, Compression::Gzip, Some("made:1")).tar();
    fixture.load(&archive).unwrap();
    let image = fixture.images.resolve("made:1").unwrap();
    let manifest = |fixture: &Fixture| {
        let row = fixture.database.read(|view| images::get(view, image.id));
        row.unwrap().unwrap().manifest
    };
    let blob = manifest(&fixture).unwrap();
    let file = root.path().join("content/blobs/sha256").join(blob.hex());
    let bytes = std::fs::read(&file).unwrap();
    // As long as before, and JSON still.
    let spoilt = String::from_utf8(bytes)
        .unwrap()
        .replace("sha256", "sha257");
    std::fs::write(&file, spoilt).unwrap();
    is_repaired(&fixture, "blob", "made:1");
    assert_eq!(manifest(&fixture), None);
    fixture.images.resolve("made:1").unwrap();
    fixture.load(&archive).unwrap();
    assert_eq!(manifest(&fixture), Some(blob));
    assert_eq!(check(&fixture, FULL), []);
}

#[test]
fn damaged_configurations_are_told() {
    require_root!();
    let (_root, fixture, image) = loaded(DriverKind::Overlay);
    let row = fixture.database.read(|view| images::get(view, image.id));
    let good = row.unwrap().unwrap();
    let cases: [(&[u8], &[u8], &str); 2] = [
        (b"another", b"{}", "is not what its id says"),
        (b"{", b"{", "is unreadable"),
    ];
    for (id, config, problem) in cases {
        let row = images::ImageRow {
            id: ImageId(Digest::of(id)),
            config: config.to_vec(),
            top: None,
            ..good.clone()
        };
        let added = fixture.database.write(|tx| images::insert(tx, &row, &[]));
        assert!(added.unwrap());
        let found = check(&fixture, REPAIR);
        let told = |f: &Finding| f.problem.contains(problem) && f.repaired.is_none();
        assert!(found.iter().any(told), "{found:#?}");
    }
    // It says what to do, and that helps.
    for name in [&b"another"[..], b"{"] {
        let options = RemoveOptions {
            force: true,
            noprune: false,
        };
        let id = Digest::of(name).to_string();
        let removed = fixture.images.remove(&id, options, &|_| Ok(Vec::new()));
        removed.unwrap();
    }
    assert_eq!(check(&fixture, FULL), []);
}
