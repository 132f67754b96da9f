//! Everything at a time, with the collector in between: nothing that somebody has is
//! ever missing, and nothing is left when everything has gone.

use std::sync::atomic::{AtomicBool, Ordering};

use gantry_image::{
    CheckOptions, CommitOptions, Error, Finding, ImageStore, PruneFilter, RemoveOptions,
};
use gantry_snapshot::DriverKind;
use gantry_types::ImageId;

use crate::archives::{docker_archive, tar};
use crate::fixture::{Fixture, require_root};

const ROUNDS: usize = 12;

/// The image's layers and blobs, by taking all of them into one's hands: a failure
/// would mean that the collector has taken something from an image that is there.
fn use_image(fixture: &Fixture, name: &str, key: &str) {
    let Ok(image) = fixture.images.resolve(name) else {
        return;
    };
    let Ok(lease) = fixture.images.lease("test", image.id) else {
        return;
    };
    fixture.prepare(&image, key).unwrap();
    fixture.snapshots.mounts(key).unwrap();
    let options = CommitOptions {
        reference: Some(format!("made:{key}").parse().unwrap()),
        ..CommitOptions::default()
    };
    let target = fixture.snapshots.unpack_target(key).unwrap();
    std::fs::write(target.directory.join("new"), key).unwrap();
    let made = fixture
        .images
        .commit(key, Some(image.id), &options, &|_| false);
    made.unwrap();
    drop(lease);
    fixture.snapshots.remove(key).unwrap();
}

fn remove(images: &ImageStore, name: &str) {
    let options = RemoveOptions {
        force: true,
        noprune: false,
    };
    match images.remove(name, options, &|_| Ok(Vec::new())) {
        Ok(_) | Err(Error::NoSuchImage(_) | Error::InUse(_)) => {}
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn the_collector_takes_nothing_that_somebody_needs() {
    require_root!();
    for kind in [DriverKind::Vfs, DriverKind::Overlay] {
        let (_root, fixture) = Fixture::with(kind);
        let base = tar(&[("base", b"shared by all")]);
        let archive = |n: usize| {
            let layers = [base.clone(), tar(&[("n", &[n as u8])])];
            docker_archive(&layers, &[&format!("t:{n}")]).tar()
        };
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..3)
                .map(|thread| {
                    let (fixture, archive) = (&fixture, &archive);
                    scope.spawn(move || {
                        for round in 0..ROUNDS {
                            let n = (thread + round) % 3;
                            fixture.load(&archive(n)).unwrap();
                            use_image(fixture, &format!("t:{n}"), &format!("c{thread}-{round}"));
                            remove(&fixture.images, &format!("t:{}", (n + 1) % 3));
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let filter = PruneFilter::default();
                    let nobody = |_: ImageId| Ok(Vec::new());
                    fixture.images.prune(&filter, &nobody).unwrap();
                    fixture.images.collect().unwrap();
                    fixture.images.disk_usage().unwrap();
                }
            });
            scope.spawn(|| {
                let options = CheckOptions {
                    repair: true,
                    quick: false,
                };
                while !ended.load(Ordering::Relaxed) {
                    let mut found: Vec<Finding> = Vec::new();
                    let checked = fixture.images.check(options, &|_| false, &mut |finding| {
                        found.push(finding);
                        true
                    });
                    checked.unwrap();
                    assert_eq!(found, []);
                }
            });
            for worker in workers {
                worker.join().unwrap();
            }
            ended.store(true, Ordering::Relaxed);
        });
        let nobody = |_: ImageId| Ok(Vec::new());
        for _ in 0..3 {
            // A commit is the child of its base, which goes in the next round.
            fixture
                .images
                .prune(&PruneFilter::default(), &nobody)
                .unwrap();
        }
        fixture.images.collect().unwrap();
        fixture.assert_holds(0, 0, 0);
    }
}
