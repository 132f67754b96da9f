//! A disk that fails to write while something is on its way, and tells that to
//! somebody else: the bytes may be lost, though every later sync succeeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_archive::compression::Compression;
use gantry_image::{Error, Lease, StepLayer};
use gantry_snapshot::DriverKind;
use gantry_types::Digest;

use crate::archives::tar;
use crate::fixture::{Fixture, require_root};
use crate::pull::{Fake, noise, pull, with_each_driver};

fn may_be_lost(error: &Error) {
    assert!(error.to_string().contains("the disk has failed"), "{error}");
}

#[test]
fn a_pull_that_was_under_way_fails_and_the_next_begins_anew() {
    require_root!();
    with_each_driver(|fixture| {
        let layers = [tar(&[("a", &noise(50_000))]), tar(&[("b", b"x")])];
        let mut fake = Fake::of(&layers, Compression::Gzip);
        fake.piece = Some(4096);
        let (content, once) = (fixture.content.clone(), AtomicBool::new(true));
        fake.hook = Some(Box::new(move || {
            if once.swap(false, Ordering::Relaxed) {
                content.end_epoch();
            }
        }));
        let fake = Arc::new(fake);
        may_be_lost(&pull(fixture, &fake, "x:1").unwrap_err());
        fixture.assert_holds(0, 0, 0);
        fake.asked();
        pull(fixture, &fake, "x:1").unwrap();
        // Those layers whose bytes came before are not believed.
        assert!(fake.asked().iter().all(|(_, offset)| *offset == 0));
        fixture.assert_holds(1, 2, 3);
    });
}

#[test]
fn what_came_of_a_cut_pull_is_not_believed_afterwards() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let layers = [tar(&[("a", &noise(50_000))])];
    let mut fake = Fake::of(&layers, Compression::Gzip);
    fake.cut = Some(20_000);
    let fake = Arc::new(fake);
    pull(&fixture, &fake, "x:1").unwrap_err();
    let [(digest, 0)] = fake.asked()[..] else {
        panic!("one layer was asked for");
    };
    assert_eq!(fixture.content.partials().unwrap().bytes, 20_000);
    fixture.content.end_epoch();
    assert_eq!(fixture.content.partials().unwrap().blobs, 0);
    pull(&fixture, &fake, "x:1").unwrap_err();
    assert_eq!(fake.asked(), [(digest, 0)]);
}

#[test]
fn a_blob_that_somebody_holds_is_as_old_as_its_bytes() {
    let (_root, fixture) = Fixture::new();
    let content = &fixture.content;
    let first = content.put_soon(b"bytes").unwrap();
    content.end_epoch();
    let held = content.hold(first.digest()).unwrap();
    assert!(content.unbroken(held.epoch()).is_err());
    let anew = content.put_soon(b"others").unwrap();
    content.unbroken(anew.epoch()).unwrap();
    assert_eq!(first.digest(), Digest::of(b"bytes"));
}

#[test]
fn layers_of_a_build_that_was_under_way_are_not_settled() {
    let (_root, fixture) = Fixture::new();
    let begun = fixture.images.epoch();
    fixture.images.sync_layers(begun).unwrap();
    fixture.content.end_epoch();
    may_be_lost(&fixture.images.sync_layers(begun).unwrap_err());
    fixture.images.sync_layers(fixture.images.epoch()).unwrap();
}

/// What a step makes that writes one file.
fn step(fixture: &Fixture, lease: &Lease) -> Result<StepLayer, Error> {
    let (key, since) = ("unpack-build-step", fixture.images.epoch());
    fixture.snapshots.create(key, None).unwrap();
    let directory = fixture.snapshots.directory(key).unwrap();
    let file = std::fs::File::create(directory.join("made")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    let images = &fixture.images;
    let made = images.commit_step((key, since), &[], lease, &|_| false, None);
    made.map(|layer| layer.expect("it has written a file"))
}

#[test]
fn layers_that_a_build_has_committed_before_are_not_found_again_by_content() {
    require_root!();
    with_each_driver(|fixture| {
        let images = &fixture.images;
        let lease = images.empty_lease("first").unwrap();
        let layer = step(fixture, &lease).unwrap().diff_id;
        assert!(images.hold_layers(&lease, &[layer]).unwrap());
        fixture.content.end_epoch();
        let other = images.empty_lease("second").unwrap();
        assert!(!images.hold_layers(&other, &[layer]).unwrap());
        may_be_lost(&step(fixture, &other).unwrap_err());
        let stacked = images.stack(&[layer], &other, images.epoch());
        may_be_lost(&stacked.unwrap_err());
        // When nobody has the old one any more, it is made anew.
        drop((lease, other));
        images.collect().unwrap();
        let lease = images.empty_lease("third").unwrap();
        step(fixture, &lease).unwrap();
        assert!(images.hold_layers(&lease, &[layer]).unwrap());
        images.sync_layers(images.epoch()).unwrap();
        fixture.content.end_epoch();
        assert!(images.hold_layers(&lease, &[layer]).unwrap());
    });
}

#[test]
fn images_do_not_stand_on_what_a_build_has_not_synced() {
    require_root!();
    with_each_driver(|fixture| {
        let layers = [tar(&[("made", b"")])];
        let lease = fixture.images.empty_lease("build").unwrap();
        let fake = Arc::new(Fake::of(&layers, Compression::Gzip));
        assert_eq!(
            step(fixture, &lease).unwrap().diff_id.0,
            Digest::of(&layers[0])
        );
        fixture.content.end_epoch();
        may_be_lost(&pull(fixture, &fake, "x:1").unwrap_err());
        drop(lease);
        fixture.images.collect().unwrap();
        pull(fixture, &fake, "x:1").unwrap();
    });
}
