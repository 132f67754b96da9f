//! Layers that were made here are nothing but their files: these alone give the very same
//! archive again, or it is said that they were changed.

use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use gantry_image::{CheckOptions, CommitOptions, Error, Image, ImageStore, SaveOptions};
use gantry_snapshot::DriverKind;
use gantry_types::DiffId;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};

use crate::archives::{docker_archive, tar};
use crate::fixture::{Fixture, require_root};

/// All that a layer can have.
fn fill(directory: &Path) {
    let at = |name: &str| directory.join(name);
    std::fs::create_dir_all(at("d/deep")).unwrap();
    std::fs::write(at("d/deep/large"), vec![7; 300_000]).unwrap();
    let sparse = std::fs::File::create(at("sparse")).unwrap();
    sparse.set_len(2 << 20).unwrap();
    std::fs::write(at(&format!("d/{}", "n".repeat(200))), "long").unwrap();
    std::fs::hard_link(at("d/deep/large"), at("another name")).unwrap();
    symlink("../far/away", at("d/link")).unwrap();
    chown(at("sparse"), Some(1000), Some(3_000_000)).unwrap();
    let bits = std::fs::Permissions::from_mode(0o6711);
    std::fs::set_permissions(at("d/deep/large"), bits).unwrap();
    lsetxattr(at("d"), "user.note", b"said\0so", XattrFlags::empty()).unwrap();
    for (name, kind, device) in [
        ("fifo", FileType::Fifo, 0),
        ("device", FileType::CharacterDevice, makedev(1, 3)),
        // What is below is hidden.
        ("gone", FileType::CharacterDevice, makedev(0, 0)),
    ] {
        mknodat(CWD, at(name), kind, Mode::from_raw_mode(0o640), device).unwrap();
    }
    std::fs::create_dir(at("etc")).unwrap();
    let opaque = "trusted.overlay.opaque";
    lsetxattr(at("etc"), opaque, b"y", XattrFlags::empty()).unwrap();
}

fn base(fixture: &Fixture, name: &str) -> Image {
    let layers = [tar(&[("etc/name", name.as_bytes()), ("gone", b"x")])];
    let archive = docker_archive(&layers, &[name]).tar();
    fixture.load(&archive).unwrap();
    fixture.images.resolve(name).unwrap()
}

/// An image of what a container has done.
fn committed(fixture: &Fixture) -> Image {
    let image = base(fixture, "base:1");
    fixture.prepare(&image, "container").unwrap();
    fill(&fixture.snapshots.directory("container").unwrap());
    let options = CommitOptions {
        reference: Some("made:1".parse().unwrap()),
        ..CommitOptions::default()
    };
    let made = fixture
        .images
        .commit("container", Some(image.id), &options, &|_| false);
    fixture.images.get(made.unwrap().id).unwrap()
}

fn save(images: &ImageStore, name: &str) -> Result<Vec<u8>, Error> {
    let options = SaveOptions {
        names: vec![name.to_owned()],
        ..SaveOptions::default()
    };
    let mut archive = Vec::new();
    images.save(&options)?.write(&mut archive)?;
    Ok(archive)
}

/// What is wrong.
fn problems(fixture: &Fixture) -> Vec<String> {
    let mut problems = Vec::new();
    let mut tell = |finding: gantry_image::Finding| {
        problems.push(finding.problem);
        true
    };
    let options = CheckOptions::default();
    let checked = fixture.images.check(options, &|_| false, &mut tell);
    checked.unwrap();
    problems
}

#[test]
fn files_are_all_that_is_kept_and_enough() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let made = committed(&fixture);
    // The base's blob, and none of the new layer.
    fixture.assert_holds(2, 3, 1);
    assert_eq!(problems(&fixture), Vec::<String>::new());
    let archive = save(&fixture.images, "made:1").unwrap();
    assert_eq!(save(&fixture.images, "made:1").unwrap(), archive);
    for kind in [DriverKind::Overlay, DriverKind::Vfs] {
        let (_root, other) = Fixture::with(kind);
        assert_eq!(other.load(&archive).unwrap().0, [made.id]);
        assert_eq!(problems(&other), Vec::<String>::new());
    }
    // It is here already: nothing of it is kept.
    let v1 = SaveOptions {
        names: vec!["made:1".to_owned()],
        format: gantry_image::Format::DockerV1,
        ..SaveOptions::default()
    };
    let mut old = Vec::new();
    let saving = fixture.images.save(&v1).unwrap();
    saving.write(&mut old).unwrap();
    assert_eq!(fixture.load(&old).unwrap().0, [made.id]);
    fixture.assert_holds(2, 3, 1);
}

#[test]
fn files_that_were_changed_do_not_leave() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let made = committed(&fixture);
    let top = made.top.unwrap().to_string();
    let directory = fixture.snapshots.directory(&top).unwrap();
    let larger = || std::fs::write(directory.join("more"), vec![1; 100_000]).unwrap();
    let smaller = || std::fs::remove_file(directory.join("d/deep/large")).unwrap();
    for change in [&larger as &dyn Fn(), &smaller] {
        change();
        let error = save(&fixture.images, "made:1").unwrap_err().to_string();
        assert!(error.contains("were changed on the disk"), "{error}");
        assert!(problems(&fixture)[0].contains("were changed on the disk"));
    }
}

#[test]
fn a_layer_that_was_put_on_others_is_the_same() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let images = &fixture.images;
    let layer: DiffId = *committed(&fixture).diff_ids.last().unwrap();
    let lease = images.empty_lease("test").unwrap();
    let other = base(&fixture, "other:1");
    let stacked = [other.diff_ids[0], layer];
    assert!(images.hold_layers(&lease, &other.diff_ids).unwrap());
    images.stack(&stacked, &lease, images.epoch()).unwrap();
    // The one that it was taken from goes.
    fixture.snapshots.remove("container").unwrap();
    let options = gantry_image::RemoveOptions::default();
    let removed = images.remove("made:1", options, &|_| Ok(Vec::new()));
    removed.unwrap();
    assert!(images.hold_layers(&lease, &stacked).unwrap());
    let mut config = other.config.clone();
    config.rootfs.diff_ids = stacked.to_vec();
    let built = gantry_image::Built {
        config: &config,
        references: &["stacked:1".parse().unwrap()],
        parent: None,
    };
    images.record_built(&built, &lease).unwrap();
    drop(lease);
    images.collect().unwrap();
    assert_eq!(problems(&fixture), Vec::<String>::new());
    save(images, "stacked:1").unwrap();
}

#[test]
fn an_image_that_is_removed_while_it_leaves_is_whole_and_nothing_is_left_of_it() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let made = committed(&fixture);
    let options = SaveOptions {
        names: vec!["made:1".to_owned()],
        ..SaveOptions::default()
    };
    let saving = fixture.images.save(&options).unwrap();
    fixture.snapshots.remove("container").unwrap();
    for image in fixture.images.list(&Default::default()).unwrap() {
        let force = gantry_image::RemoveOptions {
            force: true,
            ..Default::default()
        };
        let id = image.id.to_string();
        fixture
            .images
            .remove(&id, force, &|_| Ok(Vec::new()))
            .unwrap();
    }
    let mut archive = Vec::new();
    saving.write(&mut archive).unwrap();
    drop(saving);
    fixture.assert_holds(0, 0, 0);
    assert_eq!(fixture.load(&archive).unwrap().0, [made.id]);
}

#[test]
fn a_blob_that_was_changed_is_not_put_on_others() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let images = &fixture.images;
    let (below, above) = (base(&fixture, "below:1"), base(&fixture, "above:1"));
    let stacked = [below.diff_ids[0], above.diff_ids[0]];
    let blobs = fixture.content.list().unwrap();
    let changed = tar(&[("etc/name", b"changed"), ("gone", b"x")]);
    assert_eq!(blobs.len(), 2);
    for digest in blobs {
        let file = fixture.content.reader(digest).unwrap();
        let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        std::fs::write(&path, &changed).unwrap();
    }
    let lease = images.empty_lease("test").unwrap();
    let error = images.stack(&stacked, &lease, images.epoch()).unwrap_err();
    assert!(error.to_string().contains("it unpacks to"), "{error}");
}
