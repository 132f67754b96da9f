//! What a policy removes, and what it keeps.

use std::time::Duration;

use gantry_image::{ContainerUse, Policy};
use gantry_snapshot::DriverKind;
use gantry_types::ImageId;

use crate::archives::tar;
use crate::fixture::{Fixture, require_root};

const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

fn enforce(fixture: &Fixture, policy: &Policy, days: i64, used: Option<ImageId>) -> Vec<String> {
    let usage = |id| {
        let user = ContainerUse {
            id: "c".repeat(64),
            running: false,
        };
        Ok((Some(id) == used).then_some(user).into_iter().collect())
    };
    let mut gone = Vec::new();
    let now = gantry_metadata::now() + days * DAY;
    let mut tell = |image: gantry_image::Expired| {
        assert!(image.freed > 0);
        gone.push(format!("{} {}", image.name, image.reason));
    };
    fixture
        .images
        .enforce(policy, now, &usage, &mut tell)
        .unwrap();
    gone.sort();
    gone
}

#[test]
fn what_is_old_goes_unless_it_is_used_or_kept() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let used = fixture.import(&tar(&[("a", b"1")]), "used:1");
    fixture.import(&tar(&[("a", b"2")]), "base/kept:1");
    fixture.import(&tar(&[("a", b"3")]), "other:stable");
    fixture.import(&tar(&[("a", b"4")]), "old:1");
    fixture.import(&tar(&[("a", b"5")]), "");
    let policy = Policy {
        max_age: Some(Duration::from_secs(10 * 24 * 60 * 60)),
        keep: vec!["base/*".to_owned(), "*:stable".to_owned()],
        ..Policy::default()
    };
    assert_eq!(enforce(&fixture, &policy, 9, Some(used)), [""; 0]);
    let gone = enforce(&fixture, &policy, 11, Some(used));
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert_eq!(gone[0], "old:1 age");
    assert!(gone[1].starts_with("sha256:"));
    assert_eq!(enforce(&fixture, &Policy::default(), 99, None), [""; 0]);
    assert_eq!(enforce(&fixture, &policy, 11, None), ["used:1 age"]);
    assert_eq!(fixture.images.count().unwrap(), 2);
}

#[test]
fn the_longest_unused_go_until_the_rest_fits() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let mut ids = Vec::new();
    for n in 0..4_u8 {
        let bytes: Vec<u8> = (0..400_000_u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> (8 + n)) as u8)
            .collect();
        ids.push(fixture.import(&tar(&[("a", &bytes)]), &format!("i:{n}")));
    }
    let all = fixture.images.disk_usage().unwrap();
    let first = all.images[&ids[0]].size;
    // The first of them was used again since.
    fixture
        .database
        .write(|tx| gantry_metadata::images::note_use(tx, ids[0]))
        .unwrap();
    let policy = Policy {
        max_size: Some(all.layers + all.blobs - 1),
        ..Policy::default()
    };
    assert_eq!(enforce(&fixture, &policy, 0, None), ["i:1 size"]);
    let policy = Policy {
        max_size: Some(first),
        ..Policy::default()
    };
    assert_eq!(
        enforce(&fixture, &policy, 0, None),
        ["i:2 size", "i:3 size"]
    );
    assert_eq!(enforce(&fixture, &policy, 0, None), [""; 0]);
}
