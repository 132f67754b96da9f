//! Many at a time: loads and removals of images that share layers.

use gantry_image::{Error, RemoveOptions};
use gantry_snapshot::DriverKind;

use crate::archives::{docker_archive, tar};
use crate::fixture::{Fixture, require_root};

#[test]
fn loads_and_removals_at_the_same_time() {
    require_root!();
    for kind in [DriverKind::Vfs, DriverKind::Overlay] {
        let (_root, fixture) = Fixture::with(kind);
        let base = tar(&[("base", b"shared by all")]);
        let archive = |n: usize| {
            let name = format!("file{}", n % 2);
            let layers = [
                base.clone(),
                tar(&[(&name, b"by some")]),
                tar(&[("n", &[n as u8])]),
            ];
            docker_archive(&layers, &[&format!("t:{n}")]).tar()
        };
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (fixture, archive) = (&fixture, &archive);
                scope.spawn(move || {
                    for round in 0..8 {
                        let n = (thread + round) % 3;
                        fixture.load(&archive(n)).unwrap();
                        let other = format!("t:{}", (n + 1) % 3);
                        let options = RemoveOptions::default();
                        match fixture.images.remove(&other, options, &|_| Ok(Vec::new())) {
                            Ok(_) | Err(Error::NoSuchImage(_)) => {}
                            Err(error) => panic!("{other}: {error}"),
                        }
                        if let Ok(image) = fixture.images.resolve(&format!("t:{n}")) {
                            let key = format!("c{thread}-{round}");
                            // It may have gone meanwhile, but never in part.
                            if fixture.prepare(&image, &key).is_ok() {
                                fixture.snapshots.mounts(&key).unwrap();
                                fixture.snapshots.remove(&key).unwrap();
                            }
                        }
                    }
                });
            }
        });
        for n in 0..3 {
            let _ = fixture
                .images
                .remove(&format!("t:{n}"), RemoveOptions::default(), &|_| {
                    Ok(Vec::new())
                });
        }
        fixture.images.collect().unwrap();
        fixture.assert_holds(0, 0, 0);
    }
}
